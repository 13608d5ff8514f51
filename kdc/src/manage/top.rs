//! `kdc top`: the running KDC live, a frame a second: rates, latencies, who asks most, what is refused and why.

use std::path::Path;
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Table, Wrap};

use super::status::{ask, bytes, latencies, span};
use crate::error::{Error, Result};
use crate::observe::facts::{Facts, Latency, Named};

/// A frame that is not on a terminal.
const WIDTH: u16 = 100;
const HEIGHT: u16 = 34;
/// How long counts are watched before the first frame.
const FIRST: Duration = Duration::from_secs(1);

/// Shows frames until `q`; one only when `once`.
///
/// # Errors
/// That the KDC does not run, or that there is no terminal.
pub fn top(settings: &Path, once: bool, pause: Duration) -> Result<()> {
    let before = ask(settings)?;
    if once {
        std::thread::sleep(FIRST);
        let frame = text(&View { before, now: ask(settings)? }, WIDTH)?;
        return super::command::say(&frame);
    }
    let mut view = View { now: before.clone(), before };
    let mut terminal =
        ratatui::try_init().map_err(|error| Error::Other(format!("no terminal: {error}; try --once")))?;
    let shown = show(&mut terminal, &mut view, settings, pause);
    ratatui::restore();
    shown
}

fn show(terminal: &mut ratatui::DefaultTerminal, view: &mut View, settings: &Path, pause: Duration) -> Result<()> {
    let broken = |error: std::io::Error| Error::Other(format!("the terminal: {error}"));
    loop {
        terminal.draw(|frame| view.draw(frame)).map_err(broken)?;
        let next = Instant::now() + pause;
        while event::poll(next.saturating_duration_since(Instant::now())).map_err(broken)? {
            match event::read().map_err(broken)? {
                Event::Key(key) if key.code == KeyCode::Char('q') || key.code == KeyCode::Esc => return Ok(()),
                Event::Key(key) if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) => {
                    return Ok(());
                }
                Event::Resize(..) => break,
                _ => {}
            }
        }
        view.before = std::mem::replace(&mut view.now, ask(settings)?);
    }
}

/// The facts at two times; what is shown is what happened between.
struct View {
    before: Facts,
    now: Facts,
}

/// One frame as text, of so many columns.
fn text(view: &View, width: u16) -> Result<String> {
    let failed = |error: &dyn std::fmt::Display| Error::Other(format!("no frame: {error}"));
    let mut terminal = Terminal::new(TestBackend::new(width, HEIGHT)).map_err(|error| failed(&error))?;
    terminal.draw(|frame| view.draw(frame)).map_err(|error| failed(&error))?;
    let buffer = terminal.backend().buffer();
    let cells = buffer.content().chunks(usize::from(width));
    let line = |row: &[ratatui::buffer::Cell]| row.iter().map(|cell| cell.symbol()).collect::<String>();
    Ok(cells.map(|row| format!("{}\n", line(row).trim_end())).collect())
}

impl View {
    fn draw(&self, frame: &mut Frame<'_>) {
        // Where there is less room, what is said of the process takes more lines.
        let head = if frame.area().width < WIDTH { 6 } else { 4 };
        let rows = [Constraint::Length(head), Constraint::Length(6), Constraint::Min(5), Constraint::Length(8)];
        let [head, rates, lists, last] = Layout::vertical(rows).areas(frame.area());
        self.head(frame, head);
        self.rates(frame, rates);
        let [people, causes] =
            Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(lists);
        self.people(frame, people);
        self.causes(frame, causes);
        self.refused(frame, last);
    }

    fn seconds(&self) -> f64 {
        let micros = self.now.uptime_micros.saturating_sub(self.before.uptime_micros);
        (micros as f64 / 1e6).max(0.001)
    }

    fn head(&self, frame: &mut Frame<'_>, area: Rect) {
        let now = &self.now;
        let problems = now.parts.iter().filter_map(|part| Some(format!("{}: {}", part.name, part.problem.as_ref()?)));
        let problems = problems.collect::<Vec<_>>();
        let state = match problems.is_empty() {
            true => Span::styled("ready", Style::new().fg(Color::Green)),
            false => Span::styled(format!("NOT READY {}", problems.join("; ")), Style::new().fg(Color::Red)),
        };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let up = format!("  kdc {}  up {}  ", now.version, span(now.uptime_micros / 1_000_000));
        let cpu = (now.process.cpu_seconds - self.before.process.cpu_seconds) / self.seconds();
        let used = format!(
            "cpu {:.0}%  memory {}  files {}  connections {}/{}  principals {}  locked {}",
            100.0 * cpu,
            bytes(now.process.resident_bytes),
            now.process.fds,
            now.net.connections,
            now.net.connections_limit,
            now.store.principals,
            now.locked.len(),
        );
        let queue = now.net.sockets.iter().map(|socket| socket.udp_queue).sum();
        let held = format!(
            "replays {}/{}  answers {}  udp queue {}  audit lost {}",
            now.net.replays,
            now.net.replays_limit,
            now.net.lookaside,
            bytes(queue),
            now.audit.iter().map(|sink| sink.lost).sum::<u64>(),
        );
        let lines = vec![
            Line::from(vec![Span::styled(now.realm.clone(), bold), Span::raw(up), state]),
            Line::raw(used),
            Line::raw(held),
            Line::styled("q quits", Style::new().fg(Color::DarkGray)),
        ];
        frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), area);
    }

    fn rates(&self, frame: &mut Frame<'_>, area: Rect) {
        let rows = self.now.traffic.latency.iter().map(|now| {
            let before = self.before.traffic.latency.iter().find(|before| before.exchange == now.exchange);
            let buckets = between(before, now);
            let issued = self.rate_of(&now.exchange, |outcome| outcome == "issued");
            let asked = self.rate_of(&now.exchange, |outcome| outcome == "KDC_ERR_PREAUTH_REQUIRED");
            let all = self.rate_of(&now.exchange, |_| true);
            let cells = [all, issued, asked, (all - issued - asked).max(0.0)].map(|rate| format!("{rate:.1}"));
            Row::new([now.exchange.clone()].into_iter().chain(cells).chain([latencies(&buckets)]))
        });
        let names = ["", "requests/s", "issued/s", "to prove/s", "refused/s", "latency"];
        let widths = [6, 10, 9, 10, 9].map(Constraint::Length).into_iter().chain([Constraint::Min(10)]);
        let header = Row::new(names).style(Style::new().add_modifier(Modifier::BOLD));
        frame.render_widget(Table::new(rows, widths).header(header).block(block("requests")), area);
    }

    fn rate_of(&self, exchange: &str, wanted: impl Fn(&str) -> bool) -> f64 {
        let sum = |facts: &Facts| {
            let lines = facts.traffic.requests.iter().filter(|it| it.exchange == exchange && wanted(&it.outcome));
            lines.map(|line| line.count).sum::<u64>()
        };
        sum(&self.now).saturating_sub(sum(&self.before)) as f64 / self.seconds()
    }

    fn people(&self, frame: &mut Frame<'_>, area: Rect) {
        let rows =
            self.now.busiest.iter().map(|asker| {
                Row::new([asker.requests.to_string(), asker.refused.to_string(), shown(&asker.principal)])
            });
        let header = Row::new(["requests", "refused", "client"]).style(Style::new().add_modifier(Modifier::BOLD));
        let widths = [Constraint::Length(9), Constraint::Length(8), Constraint::Min(10)];
        frame.render_widget(
            Table::new(rows, widths).header(header).block(block("who asks most (last 1-2 minutes)")),
            area,
        );
    }

    fn causes(&self, frame: &mut Frame<'_>, area: Rect) {
        let mut causes = self.now.traffic.refusals.iter().chain(&self.now.traffic.dropped).collect::<Vec<_>>();
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.count));
        let rows = causes.into_iter().map(|Named { name, count }| Row::new([count.to_string(), name.clone()]));
        let header = Row::new(["count", "cause"]).style(Style::new().add_modifier(Modifier::BOLD));
        let widths = [Constraint::Length(9), Constraint::Min(10)];
        frame.render_widget(
            Table::new(rows, widths).header(header).block(block("refusals by cause (since the start)")),
            area,
        );
    }

    fn refused(&self, frame: &mut Frame<'_>, area: Rect) {
        let rows = self.now.refused.iter().map(|refused| {
            let client = shown(refused.client.as_deref().unwrap_or("-"));
            let age = self.now.now.saturating_sub(refused.at.div_euclid(1_000_000)).max(0);
            Row::new([
                format!("{age} s ago"),
                refused.exchange.clone(),
                client,
                refused.from.clone(),
                refused.cause.clone(),
            ])
        });
        let widths = [
            Constraint::Length(9),
            Constraint::Length(6),
            Constraint::Fill(2),
            Constraint::Max(21),
            Constraint::Fill(3),
        ];
        frame.render_widget(Table::new(rows, widths).block(block("last refusals")), area);
    }
}

fn block(title: &str) -> Block<'_> {
    Block::new().borders(Borders::TOP).title(title)
}

/// A name that strangers may have made up, without what a terminal takes for commands.
fn shown(name: &str) -> String {
    name.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

/// What came into the buckets since.
fn between(before: Option<&Latency>, now: &Latency) -> Vec<u64> {
    let old = before.map(|before| before.buckets.as_slice()).unwrap_or_default();
    let past = old.iter().copied().chain(std::iter::repeat(0));
    now.buckets.iter().zip(past).map(|(count, past)| count.saturating_sub(past)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::facts::{Asker, OutcomeCount, Traffic};

    #[test]
    fn a_frame_shows_rates_of_what_happened_between_two_looks() {
        let at = |micros, count| Facts {
            realm: "EXAMPLE.ORG".into(),
            uptime_micros: micros,
            traffic: Traffic {
                requests: vec![OutcomeCount { exchange: "AS".into(), outcome: "issued".into(), count }],
                latency: vec![Latency { exchange: "AS".into(), buckets: vec![0, 0, 0, count], nanos: 0 }],
                refusals: vec![Named { name: "no such client in this realm".into(), count: 3 }],
                ..Traffic::default()
            },
            busiest: vec![Asker { principal: "eve\u{1b}[2J@E.ORG".into(), requests: 5, refused: 5 }],
            ..Facts::default()
        };
        let view = View { before: at(0, 100), now: at(2_000_000, 300) };
        for width in [200, WIDTH, 80, 72] {
            let text = text(&view, width).expect("a frame");
            let said = ["EXAMPLE.ORG", "p50 5 us", "no such client in this", "eve?[2J@E.ORG", "requests/s issued/s"];
            let numbers = ["AS     100.0      100.0", "udp queue 0", "locked 0"];
            for part in said.into_iter().chain(numbers) {
                assert!(text.contains(part), "{part} in {width} columns:\n{text}");
            }
            assert!(!text.contains('\u{1b}'));
        }
    }
}
