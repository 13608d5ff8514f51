//! TCP: one request a connection, many on one, and very many idle ones.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Instant;

use bench::quiet::{Quiet, Wishes};
use bench::rows::Goal;
use bench::{TURNS, both, cpu_nanos, median, resident};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use tests::{AES256_SHA1, Family};

use crate::pace::{percentile, round_trips};
use crate::{Extent, Report};

/// Asks over a connection, and takes a ticket for the answer.
pub fn exchange(stream: &mut TcpStream, request: &[u8]) {
    let frame = [&(request.len() as u32).to_be_bytes(), request].concat();
    stream.write_all(&frame).expect("a sent request");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("a length");
    let mut reply = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut reply).expect("a reply");
    assert_eq!(reply[0], 0x6b, "a ticket");
}

pub fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// What a request over TCP costs.
pub fn tcp(report: &mut Report, extent: Extent) {
    let mut quiet = Quiet::start(Family::Ours, AES256_SHA1, Wishes::default());
    let requests = quiet.logins(extent.requests / 4);
    let (server, pid, count) = (quiet.address(), quiet.pid(), requests.len() as f64);
    let before = cpu_nanos(pid);
    requests.iter().for_each(|request| exchange(&mut connect(server), request));
    let each = (cpu_nanos(pid) - before) as f64 / 1000.0 / count;
    report.rows.add(
        "AS over TCP, one request a connection",
        Goal::Stated,
        each,
        " us",
        "one after the other".to_owned(),
    );
    let requests = quiet.logins(extent.requests / 4);
    let (mut stream, before) = (connect(server), cpu_nanos(pid));
    requests.iter().for_each(|request| exchange(&mut stream, request));
    let each = (cpu_nanos(pid) - before) as f64 / 1000.0 / count;
    report.rows.add("AS over TCP, all on one connection", Goal::Stated, each, " us", "one after the other".to_owned());
}

/// One of the KDCs that take turns, and whence it is asked: connections that were closed keep their ports for a minute,
/// so each turn has an address of its own.
struct Turns {
    quiet: Quiet,
    network: u8,
    taken: u8,
}

impl Turns {
    /// The 99th percentiles of the time that a datagram and a new connection are waited for, in microseconds.
    fn take(&mut self, extent: Extent) -> [f64; 2] {
        let (server, requests) = (self.quiet.address(), self.quiet.logins(extent.requests / 4 / TURNS));
        let datagrams = percentile(&round_trips(server, &requests), 0.99);
        let requests = self.quiet.logins(extent.requests / 8 / TURNS);
        let own = Ipv4Addr::new(127, 0, self.network, self.taken);
        self.taken += 1;
        let mut times: Vec<f64> = requests
            .iter()
            .map(|request| {
                let socket = bound(own);
                let start = Instant::now();
                exchange(&mut connected(socket, server), request);
                start.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        times.sort_by(f64::total_cmp);
        [datagrams, percentile(&times, 0.99)]
    }
}

/// As many idle connections as the system lets one process have, and what they do to everybody else: beside a KDC that has
/// none, in turns.
pub fn idle(report: &mut Report, extent: Extent) {
    const OTHER_FILES: usize = 300;
    let files = files(extent.connections + OTHER_FILES);
    let count = extent.connections.min(files.saturating_sub(OTHER_FILES));
    let lines = format!("tcp_connections = {0}\ntcp_connections_per_peer = {0}\nidle_timeout = \"10m\"", count + 50);
    let start = |network| {
        let settings = vec![("limits", lines.clone())];
        let quiet = Quiet::start(Family::Ours, AES256_SHA1, Wishes { settings, ..Wishes::default() });
        Turns { quiet, network, taken: 0 }
    };
    let mut kdcs = [2, 3].map(start);
    // What grows with requests has grown.
    (0..2 * TURNS).for_each(|_| kdcs.iter_mut().for_each(|one| _ = one.take(extent)));
    let (server, pid) = (kdcs[1].quiet.address(), kdcs[1].quiet.pid());
    let memory = resident(pid);
    let held: Vec<Socket> = (0..count).map(|number| open(number, server)).collect();
    // Who was let in last is answered, so all have been.
    kdcs.iter_mut().for_each(|one| _ = one.take(extent));
    let turns: Vec<_> = (0..TURNS).map(|turn| both(turn, |place| kdcs[place].take(extent))).collect();
    let grown = resident(pid).saturating_sub(memory);
    let lost = held.iter().filter(|socket| is_closed(socket)).count();
    let mib = |octets: f64| octets / f64::from(1 << 20);
    let whole = mib(memory as f64 + grown as f64 / count as f64 * extent.connections as f64);
    let detail = format!(
        "{count} held ({lost} lost{}): {:.0} octets each beside {:.0} MiB",
        if count < extent.connections { ", as many as a process may have here" } else { "" },
        grown as f64 / count as f64,
        mib(memory as f64),
    );
    report.rows.add(
        &format!("memory with {} idle connections", extent.connections),
        Goal::AtMost(400.0),
        whole,
        " MiB",
        detail,
    );
    for (place, what) in ["UDP", "new TCP connections"].iter().enumerate() {
        let [without, with] = [0, 1].map(|one| median(turns.iter().map(|turn| turn[one][place])));
        let detail = format!("{with:.0} us against {without:.0} us of a KDC without, medians of {TURNS} turns");
        // "Undiminished" within what two runs of the same differ by.
        report.rows.add(
            &format!("p99 of {what} beside them"),
            Goal::AtMost(1.25),
            median(turns.iter().map(|[without, with]| with[place] / without[place])),
            " times",
            detail,
        );
    }
}

/// How many files this process and those that it starts may have: so many if the system lets it, else as many as it does.
fn files(wanted: usize) -> usize {
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let limit = |files: u64| Rlimit { current: Some(files), maximum: Some(files) };
    if most < wanted as u64 && setrlimit(Resource::Nofile, limit(wanted as u64)).is_ok() {
        return wanted;
    }
    // What it has already stays.
    let _ = setrlimit(Resource::Nofile, limit(most));
    most as usize
}

/// From one of several addresses: none has ports enough for all.
fn open(number: usize, server: SocketAddr) -> Socket {
    const OF_ONE: usize = 20_000;
    let socket = bound(Ipv4Addr::new(127, 0, 1, (1 + number / OF_ONE) as u8));
    socket.connect(&server.into()).expect("a connection");
    socket
}

fn bound(own: Ipv4Addr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((own, 0)).into()).expect("an address");
    socket
}

fn connected(socket: Socket, server: SocketAddr) -> TcpStream {
    socket.connect(&server.into()).expect("a connection");
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true).expect("no delay");
    stream
}

fn is_closed(socket: &Socket) -> bool {
    socket.set_nonblocking(true).expect("a socket that does not wait");
    matches!((&*socket).read(&mut [0; 1]), Ok(0))
}
