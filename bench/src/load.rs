//! Load: requests that were made beforehand, sent over UDP in batches. Not here: what they say.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use udp_batch::{Inbox, Outgoing};

/// How many requests of a socket are on their way at a time: the server shall find the next batch when it has
/// answered one, and the buffers of servers that ask for no room shall hold them.
const IN_FLIGHT: usize = 64;
/// How often who waits awake looks. Where two processors are two threads of one core, who looks all the time slows who
/// answers, and no KDC has its clients on the same core.
const LOOK: Duration = Duration::from_micros(10);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How one who has asked waits for answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// Looking again and again, for which it has a processor to itself: who answers would else pay, in its own CPU
    /// time, for waking who asks, as no KDC pays whose clients are on other machines.
    Awake,
    /// Asleep, as several must that share the processors with who answers.
    Asleep,
}

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

/// Sends every request over UDP and reads the CPU time that the server (process `pid` with its children) spends
/// meanwhile. `expected` is the first byte of a good reply.
///
/// # Panics
/// When there are no sockets left.
pub fn load(server: SocketAddr, pid: u32, requests: &[Vec<u8>], expected: u8) -> Load {
    load_from(1, server, || super::cpu_nanos(pid), requests, &[expected])
}

/// The same from several sockets at once, each with a thread, and with another way to know the server's CPU time. Any of
/// `expected` is a good reply.
///
/// # Panics
/// As [`load`].
pub fn load_from(
    sockets: usize,
    server: SocketAddr,
    cpu: impl Fn() -> u64,
    requests: &[Vec<u8>],
    expected: &[u8],
) -> Load {
    let (before, start) = (cpu(), Instant::now());
    let share = requests.len().div_ceil(sockets);
    let waits = if sockets == 1 { Waits::Awake } else { Waits::Asleep };
    let failed = thread::scope(|scope| {
        let threads: Vec<_> =
            requests.chunks(share).map(|share| scope.spawn(move || ask_all(server, share, expected, waits))).collect();
        threads.into_iter().map(|thread| thread.join().expect("an end")).sum()
    });
    let (spent, elapsed) = (cpu() - before, start.elapsed());
    Load {
        cpu_micros: spent as f64 / 1000.0 / requests.len() as f64,
        per_second: requests.len() as f64 / elapsed.as_secs_f64(),
        failed,
    }
}

/// A socket that is connected to nobody, and gives up after a while.
pub(crate) fn socket() -> UdpSocket {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a UDP socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

/// Waits without sleeping, and without work.
fn pause() {
    let start = Instant::now();
    while start.elapsed() < LOOK {
        (0..16).for_each(|_| std::hint::spin_loop());
    }
}

/// How many of the requests were not answered well.
fn ask_all(server: SocketAddr, requests: &[Vec<u8>], expected: &[u8], waits: Waits) -> usize {
    let (socket, mut inbox) = (socket(), Inbox::new(65_507));
    socket.set_nonblocking(waits == Waits::Awake).expect("a socket");
    let (mut sent, mut answered, mut good, mut heard) = (0, 0, 0, Instant::now());
    while answered < requests.len() {
        let room = IN_FLIGHT.saturating_sub(sent - answered);
        let next = requests.iter().skip(sent).take(room);
        let outgoing = next.map(|bytes| Outgoing { to: server, from: None, bytes });
        sent += udp_batch::send(&socket, outgoing).expect("sent requests");
        if sent < requests.len() && sent - answered < IN_FLIGHT {
            continue;
        }
        match inbox.receive(&socket, udp_batch::BATCH) {
            Ok(count) => {
                answered += count;
                heard = Instant::now();
                let first = |place| inbox.get(place).and_then(|datagram| datagram.bytes.first().copied());
                good += (0..count).filter_map(first).filter(|first| expected.contains(first)).count();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && heard.elapsed() < PATIENCE => pause(),
            // What is lost counts as answered and failed: its answer never comes.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                answered = sent;
                heard = Instant::now();
            }
            Err(error) => panic!("the server at {server} is gone: {error}"),
        }
    }
    requests.len() - good.min(requests.len())
}
