//! Pictures of figures: bars, and lines over two axes. Not here: the figures.

use std::fmt::Write;

/// The colour of what is ours.
pub const OURS: &str = "#1f77b4";
/// The colour of what is not.
pub const THEIRS: &str = "#b0b7bf";
const COLOURS: [&str; 4] = [OURS, "#d62728", "#2ca02c", "#7f7f7f"];

/// A bar of a picture.
pub struct Bar<'a> {
    /// What it stands for.
    pub name: &'a str,
    /// How long it is.
    pub value: f64,
    /// Whether it is ours.
    pub ours: bool,
}

/// A line of a picture.
pub struct Line<'a> {
    /// What it stands for.
    pub name: &'a str,
    /// Where it goes along.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 760.0;

fn begin(height: f64, title: &str, below: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n<text x=\"16\" y=\"24\" \
         font-size=\"16\" fill=\"#222222\">{title}</text>\n<text x=\"16\" y=\"43\" fill=\"#666666\">{below}</text>\n"
    )
}

/// Bars on a logarithmic scale that begins at `least`: what is compared differs by factors.
pub fn bars(title: &str, below: &str, least: f64, bars: &[Bar<'_>]) -> String {
    const LEFT: f64 = 230.0;
    const RIGHT: f64 = 90.0;
    const ROW: f64 = 30.0;
    const TOP: f64 = 56.0;
    let longest = bars.iter().map(|bar| bar.value).fold(10.0 * least, f64::max);
    let scale = |value: f64| (value.max(least) / least).log10() / (longest / least).log10() * (WIDTH - LEFT - RIGHT);
    let mut svg = begin(TOP + ROW * bars.len() as f64 + 16.0, title, below);
    for (row, Bar { name, value, ours }) in bars.iter().enumerate() {
        let y = TOP + ROW * row as f64;
        let (baseline, bar, colour) = (y + 18.0, scale(*value), if *ours { OURS } else { THEIRS });
        let _ = write!(
            svg,
            "<text x=\"{:.0}\" y=\"{baseline:.0}\" text-anchor=\"end\" fill=\"#222222\">{name}</text>\n\
             <rect x=\"{LEFT:.0}\" y=\"{:.0}\" width=\"{bar:.1}\" height=\"{:.0}\" rx=\"2\" fill=\"{colour}\"/>\n\
             <text x=\"{:.0}\" y=\"{baseline:.0}\" fill=\"#222222\">{value:.1}</text>\n",
            LEFT - 10.0,
            y + 4.0,
            ROW - 10.0,
            LEFT + bar + 8.0,
        );
    }
    svg + "</svg>\n"
}

/// Lines over two axes; the one along the bottom logarithmic if its values differ by factors, the other from zero.
pub fn lines(title: &str, below: &str, logarithmic: bool, lines: &[Line<'_>]) -> String {
    const LEFT: f64 = 60.0;
    const TOP: f64 = 70.0;
    const HEIGHT: f64 = 260.0;
    const LONG: f64 = WIDTH - LEFT - 150.0;
    let along = |x: f64| if logarithmic { x.max(1e-9).log10() } else { x };
    let all = || lines.iter().flat_map(|line| &line.points);
    let (low, high) =
        all().map(|(x, _)| along(*x)).fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
    let top = all().map(|(_, y)| *y).fold(1e-9, f64::max);
    let place =
        |(x, y): (f64, f64)| (LEFT + (along(x) - low) / (high - low).max(1e-9) * LONG, TOP + HEIGHT - y / top * HEIGHT);
    let mut svg = begin(TOP + HEIGHT + 50.0, title, below);
    let (bottom, right) = (TOP + HEIGHT, LEFT + LONG);
    let _ = writeln!(
        svg,
        "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#888888\"/>\n\
         <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\" fill=\"#222222\">{top:.3}</text>",
        LEFT - 6.0,
        TOP + 5.0
    );
    for (x, _) in lines.first().map_or(&[][..], |line| &line.points) {
        let (at, _) = place((*x, 0.0));
        let _ = writeln!(
            svg,
            "<text x=\"{at:.0}\" y=\"{:.0}\" text-anchor=\"middle\" fill=\"#222222\">{x}</text>",
            bottom + 20.0
        );
    }
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let points: Vec<String> =
            line.points.iter().map(|point| place(*point)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let last = line.points.last().map_or((right, bottom), |last| place(*last));
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <text x=\"{:.0}\" y=\"{:.0}\" fill=\"{colour}\">{}</text>",
            points.join(" "),
            last.0 + 8.0,
            last.1 + 4.0,
            line.name
        );
    }
    svg + "</svg>\n"
}
