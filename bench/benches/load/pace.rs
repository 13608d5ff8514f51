//! Requests that come at a pace of their own: how long answers take, and what becomes of a KDC that is asked three
//! times as much as it can do.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bench::quiet::{Quiet, Wishes};
use bench::rows::Goal;
use bench::{TURNS, both, load, median, resident};
use socket2::SockRef;
use tests::{AES256_SHA1, Family};
use udp_batch::{BATCH, Inbox, Outgoing};

use crate::cost::echoing;
use crate::{Extent, Report};

/// The value at this share of sorted ones.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted.get(((sorted.len().max(1) - 1) as f64 * share) as usize).copied().unwrap_or(f64::NAN)
}

/// How long each request takes, one after the other, in microseconds and sorted.
pub fn round_trips(server: SocketAddr, requests: &[Vec<u8>]) -> Vec<f64> {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a UDP socket");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let mut buffer = vec![0; 65536];
    let ask = |request: &Vec<u8>| {
        let start = Instant::now();
        socket.send_to(request, server).expect("a sent request");
        socket.recv(&mut buffer).expect("an answer");
        start.elapsed().as_secs_f64() * 1e6
    };
    let mut times: Vec<_> = requests.iter().map(ask).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// A socket that does not wait, with room for the answers that come while this thread is kept from running.
fn roomy() -> UdpSocket {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a UDP socket");
    socket.set_nonblocking(true).expect("a socket that does not wait");
    // As much as the system gives.
    let _ = SockRef::from(&socket).set_recv_buffer_size(16 << 20);
    socket
}

/// Sends at so many requests in a second whatever comes back, from one socket; the latencies in milliseconds, sorted.
fn at_rate(server: SocketAddr, requests: &[Vec<u8>], per_second: f64) -> Vec<f64> {
    let socket = roomy();
    let (mut inbox, start) = (Inbox::new(65_507), Instant::now());
    let (mut sent, mut times) = (0, Vec::with_capacity(requests.len()));
    let due = |number: usize| Duration::from_secs_f64(number as f64 / per_second);
    let end = due(requests.len()) + Duration::from_millis(500);
    while times.len() < requests.len() && start.elapsed() < end {
        let now = start.elapsed();
        let ready = requests.iter().enumerate().skip(sent).take(BATCH).take_while(|(number, _)| due(*number) <= now);
        let outgoing = ready.map(|(_, bytes)| Outgoing { to: server, from: None, bytes });
        sent += udp_batch::send(&socket, outgoing).unwrap_or(0);
        // Of one socket the answers come in the order of the requests.
        let count = inbox.receive(&socket, BATCH).unwrap_or(0);
        let now = start.elapsed();
        (0..count).for_each(|_| times.push(now.saturating_sub(due(times.len())).as_secs_f64() * 1000.0));
    }
    times.sort_by(f64::total_cmp);
    times
}

/// Latency by load, and overload.
pub fn pace(report: &mut Report, extent: Extent) {
    let mut quiet = Quiet::start(Family::Ours, AES256_SHA1, Wishes::default());
    let (server, pid) = (quiet.address(), quiet.pid());
    let first = quiet.logins(extent.requests);
    load(server, pid, &first, 0x6b);
    let requests = quiet.logins(extent.requests);
    let capacity = load(server, pid, &requests, 0x6b).per_second;
    for share in [0.1, 0.25, 0.5, 0.75, 0.9] {
        let rate = capacity * share;
        let mut turns = vec![];
        for _ in 0..TURNS {
            let requests = quiet.logins(extent.requests / TURNS);
            let times = at_rate(server, &requests, rate);
            let reply = quiet.ask(&requests[0]);
            // What the machine itself keeps waiting: other programs, and the system's own threads.
            let (bare, _) = echoing(&reply, |address| at_rate(address, &requests, rate));
            let lost = requests.len() - times.len();
            turns.push([percentile(&times, 0.5), percentile(&times, 0.99), percentile(&bare, 0.99), lost as f64]);
        }
        let of = |place: usize| median(turns.iter().map(|turn| turn[place]));
        let (middle, high, bare) = (of(0), of(1), of(2));
        let lost: f64 = turns.iter().map(|turn| turn[3]).sum();
        println!(
            "  {rate:.0} in a second: median {middle:.3} ms, p99 {high:.3} ms, of an echo {bare:.3} ms, {lost} lost"
        );
        report.latency.push((share * 100.0, [middle, high]));
        if share == 0.5 {
            let worst = turns.iter().map(|turn| turn[1]).fold(0.0, f64::max);
            let detail = format!(
                "{rate:.0} AS in a second, one client's socket; median {middle:.3} ms; median of {TURNS} turns, the worst \
                 of which {worst:.1} ms; of an echo {bare:.3} ms",
            );
            report.rows.add("p99 at half load", Goal::AtMost(1.0), high, " ms", detail);
        }
    }
    overload(report, &mut quiet, extent);
}

/// What came of requests that are sent whatever comes back.
struct Poured {
    answers: usize,
    /// Answers in a second.
    goodput: f64,
    /// Requests in a second.
    offered: f64,
}

/// Sends a batch at each beat.
fn poured(server: SocketAddr, requests: &[Vec<u8>], beat: Duration) -> Poured {
    const SILENCE: Duration = Duration::from_millis(50);
    let socket = roomy();
    let (mut inbox, start) = (Inbox::new(65_507), Instant::now());
    let (mut answers, mut sent, mut last) = (0, 0, Duration::ZERO);
    let mut receive = |answers: &mut usize, last: &mut Duration| {
        let count = inbox.receive(&socket, BATCH).unwrap_or(0);
        *answers += count;
        if count > 0 {
            *last = start.elapsed();
        }
    };
    for (number, batch) in (0..).zip(requests.chunks(BATCH)) {
        let outgoing = batch.iter().map(|bytes| Outgoing { to: server, from: None, bytes });
        sent += udp_batch::send(&socket, outgoing).unwrap_or(0);
        receive(&mut answers, &mut last);
        while start.elapsed() < beat * number {
            receive(&mut answers, &mut last);
        }
    }
    let sending = start.elapsed().as_secs_f64();
    // What waits at the server is answered still.
    while start.elapsed() < last.max(Duration::from_secs_f64(sending)) + SILENCE {
        receive(&mut answers, &mut last);
    }
    Poured { answers, goodput: answers as f64 / last.as_secs_f64(), offered: sent as f64 / sending }
}

fn overload(report: &mut Report, quiet: &mut Quiet, extent: Extent) {
    let (server, pid) = (quiet.address(), quiet.pid());
    let count = extent.requests * 3;
    let mut requests = quiet.logins(count);
    // The most that comes back when no more is asked than can be answered: found by asking ever more.
    let mut peak: f64 = 0.0;
    for share in 0..6 {
        let pause = Duration::from_nanos(BATCH as u64 * (12_000 - 1_800 * share));
        peak = peak.max(poured(server, &requests[..extent.requests], pause).goodput);
        requests = quiet.logins(count);
    }
    let (most, pause) =
        (Duration::from_secs_f64(BATCH as f64 / peak), Duration::from_secs_f64(BATCH as f64 / (3.0 * peak)));
    let mut pour = |much: bool| {
        let (requests, beat) =
            if much { (quiet.logins(count / 2), pause) } else { (quiet.logins(extent.requests / 2), most) };
        let memory = resident(pid) as f64;
        let poured = poured(server, &requests, beat);
        (poured, (resident(pid) as f64 - memory) / f64::from(1 << 20))
    };
    // What grows once has grown then.
    let _ = [true, false].map(&mut pour);
    let mut turns = vec![];
    let (mut grown, mut answers) = ([0.0; 2], [0.0; 2]);
    for number in 0..TURNS {
        let [just, much] = both(number, |place| {
            let (poured, more) = pour(place == 1);
            grown[place] += more;
            answers[place] += poured.answers as f64;
            poured
        });
        turns.push([just.goodput, much.goodput, much.offered, much.goodput / just.goodput * 100.0]);
    }
    let of = |place: usize| median(turns.iter().map(|turn| turn[place]));
    let (possible, goodput, offered) = (of(0), of(1), of(2));
    let detail = format!(
        "{goodput:.0} of {possible:.0} answers in a second, {offered:.0} asked for ({:.1} times), medians of {TURNS} turns",
        offered / possible
    );
    report.rows.add("goodput at overload", Goal::AtLeast(90.0), of(3), " %", detail);
    // Who is answered is remembered, lest he comes twice, at any load.
    let [usual, all] = [grown[0] / answers[0] * answers[1], grown[1]];
    report.rows.add(
        "memory growth by overload",
        Goal::AtMost(8.0),
        (all - usual).max(0.0),
        " MiB",
        format!("{all:.1} MiB with {:.0} answers, of which as many without overload take {usual:.1}", answers[1]),
    );
    established(report, quiet, &requests, pause);
}

/// People log in meanwhile with an ordinary client, which asks again when it hears nothing.
fn established(report: &mut Report, quiet: &Quiet, requests: &[Vec<u8>], pause: Duration) {
    const LOGINS: usize = 10;
    let (server, stop) = (quiet.address(), AtomicBool::new(false));
    let succeeded = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                poured(server, requests, pause);
            }
        });
        let seat = quiet.realm().seat(Family::Ours);
        let logins = (0..LOGINS).filter(|_| seat.kinit(&["alice"], "correct horse").is_success()).count();
        stop.store(true, Ordering::Relaxed);
        logins
    });
    let share = succeeded as f64 / LOGINS as f64 * 100.0;
    report.rows.add(
        "logins by kinit under overload",
        Goal::AtLeast(100.0),
        share,
        " %",
        format!("{succeeded} of {LOGINS}"),
    );
}
