//! What the benchmarks share: load that is made beforehand, KDCs at their quickest, the reading of a process's CPU
//! time and memory, rows of figures beside goals, and pictures. Speeds are ratios within one run; the numbers only
//! illustrate.

mod load;
pub mod quiet;
pub mod rows;
pub mod svg;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

pub use load::{Load, load, load_from};
pub use tests::{cpu_nanos, median};

/// Those that are compared take turns: the machine is another one from second to second.
pub const TURNS: usize = 7;
/// Of those whose ratio is to be known to some hundredths.
pub const MANY_TURNS: usize = 3 * TURNS;

/// Waits until a server has done what it does at its start, beside serving.
pub fn rest(pid: u32) {
    let mut before = 0;
    while before != cpu_nanos(pid) {
        before = cpu_nanos(pid);
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// What each of two gives in a turn. Each is the first as often as the other.
pub fn both<T>(turn: usize, mut take: impl FnMut(usize) -> T) -> [T; 2] {
    if turn.is_multiple_of(2) {
        return [take(0), take(1)];
    }
    let second = take(1);
    [take(0), second]
}

/// Waits until a server answers anything to `probe`.
///
/// # Panics
/// After ten seconds without an answer.
pub fn await_server(server: SocketAddr, probe: &[u8]) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a UDP socket");
    socket.set_read_timeout(Some(Duration::from_millis(2))).expect("a timeout");
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

/// Memory of a process that is in use, in octets.
pub fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// CPU time of the calling thread so far, in nanoseconds.
pub fn thread_nanos() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
