//! What the benchmarks share: a load generator that makes its requests beforehand, and the reading
//! of a process's CPU time. Speeds are ratios between KDCs in one run; the numbers only illustrate.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How many requests are on their way at a time.
const IN_FLIGHT: usize = 32;

/// What a load did.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// CPU time of the server for one request, in microseconds.
    pub cpu_micros: f64,
    /// Answered requests in a second, as the clock on the wall has it.
    pub per_second: f64,
    /// Requests that got an error or another answer than was expected.
    pub failed: usize,
}

/// Sends every request over UDP, [`IN_FLIGHT`] at a time, and reads the CPU time that the server
/// (process `pid` with its children) spends meanwhile. `expected` is the first byte of a good reply.
///
/// # Panics
/// When the server does not answer at all.
pub fn load(server: SocketAddr, pid: u32, requests: &[Vec<u8>], expected: u8) -> Load {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a UDP socket");
    socket.connect(server).expect("a connected socket");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    let mut buffer = [0; 65536];
    let (mut sent, mut answered, mut failed) = (0, 0, 0);
    let (cpu, start) = (cpu_nanos(pid), Instant::now());
    while answered < requests.len() {
        while sent < requests.len() && sent - answered < IN_FLIGHT {
            socket.send(&requests[sent]).expect("a sent request");
            sent += 1;
        }
        match socket.recv(&mut buffer) {
            Ok(length) => failed += usize::from(length == 0 || buffer[0] != expected),
            // A lost datagram counts as answered and failed: its answer never comes.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => failed += 1,
            Err(error) => panic!("the server at {server} is gone: {error}"),
        }
        answered += 1;
    }
    let (cpu, elapsed) = (cpu_nanos(pid) - cpu, start.elapsed());
    Load {
        cpu_micros: cpu as f64 / 1000.0 / requests.len() as f64,
        per_second: requests.len() as f64 / elapsed.as_secs_f64(),
        failed,
    }
}

/// Waits until a server answers anything to `probe`.
///
/// # Panics
/// After ten seconds without an answer.
pub fn await_server(server: SocketAddr, probe: &[u8]) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a UDP socket");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        // Refused while nobody listens yet.
        let _ = socket.send_to(probe, server);
        if socket.recv_from(&mut [0; 65536]).is_ok() {
            return;
        }
    }
    panic!("no server at {server}");
}

/// CPU time of a process, its threads and its children so far, in nanoseconds.
pub fn cpu_nanos(pid: u32) -> u64 {
    let own =
        fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten().map(|task| on_cpu(&task.path()));
    own.sum::<u64>() + children(pid).into_iter().map(cpu_nanos).sum::<u64>()
}

/// CPU time of the calling thread so far, in nanoseconds.
pub fn thread_nanos() -> u64 {
    on_cpu(std::path::Path::new("/proc/thread-self"))
}

/// The first number of schedstat: nanoseconds on a CPU, in user and kernel mode.
fn on_cpu(task: &std::path::Path) -> u64 {
    let stat = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().filter_map(|child| child.parse().ok()).collect::<Vec<_>>())
        .collect()
}
