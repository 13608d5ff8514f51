//! What a packet costs us that is sent to cost us something: less than a good request.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use bench::quiet::{Quiet, Wishes};
use bench::rows::Goal;
use bench::{MANY_TURNS, both, cpu_nanos, load, median};
use tests::{AES256_SHA1, Family};
use udp_batch::Outgoing;

use crate::connections::{connect, exchange};
use crate::{Extent, Report};

/// Packets between two requests whose answers are awaited: fewer than a socket's buffer holds.
const BURST: usize = 100;

/// CPU of one packet in microseconds. After each burst a good request is answered, and taken out again.
fn poured(quiet: &mut Quiet, packets: &[Vec<u8>], good: f64) -> f64 {
    let (server, pid) = (quiet.address(), quiet.pid());
    let awaited = quiet.logins(packets.len().div_ceil(BURST));
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a UDP socket");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let (before, mut buffer) = (cpu_nanos(pid), vec![0; 65536]);
    for (burst, request) in packets.chunks(BURST).zip(&awaited) {
        let mut sent = 0;
        while sent < burst.len() {
            let outgoing = burst.iter().skip(sent).map(|bytes| Outgoing { to: server, from: None, bytes });
            sent += udp_batch::send(&socket, outgoing).expect("sent packets");
        }
        socket.send_to(request, server).expect("a sent request");
        loop {
            match socket.recv(&mut buffer) {
                Ok(length) if length > 0 && buffer[0] == 0x6b => break,
                Ok(_) => {}
                // There was no room for it behind the flood.
                Err(_) => drop(socket.send_to(request, server).expect("a sent request")),
            }
        }
    }
    let spent = (cpu_nanos(pid) - before) as f64 / 1000.0;
    (spent - good * awaited.len() as f64) / packets.len() as f64
}

/// Every kind of flood.
pub fn floods(report: &mut Report, extent: Extent) {
    // Who floods from here is exempt from the limits on failures: this is what it costs before they take hold.
    let mut quiet = Quiet::start(Family::Ours, AES256_SHA1, Wishes::default());
    let count = extent.requests / 2;
    let first = quiet.logins(count);
    load(quiet.address(), quiet.pid(), &first, 0x6b);
    let requests = quiet.logins(count);
    let good = load(quiet.address(), quiet.pid(), &requests, 0x6b).cpu_micros;
    let packets: [(&str, Vec<Vec<u8>>); 6] = [
        ("malformed: another octet in each", malformed(&requests)),
        ("malformed: no message at all", (0..count).map(|number| vec![number as u8; 280]).collect()),
        ("unknown names", (0..count).map(|number| quiet.unproven(&format!("nobody{number}"), number as u32)).collect()),
        ("one name, no proof", (0..count).map(|number| quiet.unproven("alice", number as u32)).collect()),
        // Their answers are tickets for a service: none of them is taken for the one that is awaited.
        ("replays: the same octets", vec![quiet.services(1).remove(0); count]),
        ("huge datagrams", vec![vec![0x6a; 60_000]; count / 20]),
    ];
    for (what, packets) in packets {
        // Of the huge ones no socket's buffer holds a burst: those that are dropped cost nothing, and count for nothing.
        let cost = poured(&mut quiet, &packets, good);
        report.rows.add(
            &format!("flood, {what}"),
            Goal::AtMost(1.0),
            cost / good,
            " of a request",
            format!("{cost:.1} us"),
        );
    }
    slow(report, &quiet, good);
    huge(report, &mut quiet, good);
}

/// Requests with one octet that is not theirs.
fn malformed(requests: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let bend = |(number, request): (usize, &Vec<u8>)| {
        let mut request = request.clone();
        let place = 2 + number % (request.len() - 2);
        request[place] ^= 0x55;
        request
    };
    requests.iter().enumerate().map(bend).collect()
}

/// Peers that send an octet at a time of a request that never ends.
fn slow(report: &mut Report, quiet: &Quiet, good: f64) {
    const PEERS: usize = 200;
    let mut peers: Vec<TcpStream> = (0..PEERS).map(|_| connect(quiet.address())).collect();
    // A length, and a little of what has it.
    let mut last = cpu_nanos(quiet.pid());
    let costs = [[0], [0], [1], [0]].iter().cycle().take(MANY_TURNS).map(|octet| {
        for peer in &mut peers {
            let _ = peer.write_all(octet);
        }
        // What of this is done later is the next turn's.
        let before = std::mem::replace(&mut last, cpu_nanos(quiet.pid()));
        (last - before) as f64 / 1000.0 / PEERS as f64
    });
    let cost = median(costs);
    report.rows.add(
        "flood, slow peers over TCP, an octet each",
        Goal::AtMost(1.0),
        cost / good,
        " of a request",
        format!("{cost:.1} us"),
    );
}

/// Frames that are announced longer than any request: refused by their length alone. What they cost besides is their
/// connection, so it is a good request with one of its own that they are measured by.
fn huge(report: &mut Report, quiet: &mut Quiet, good: f64) {
    const FRAMES: usize = 200;
    let (server, pid) = (quiet.address(), quiet.pid());
    let turns = (0..MANY_TURNS).map(|number| {
        let requests = quiet.logins(FRAMES);
        let ask = |request: &Vec<u8>| exchange(&mut connect(server), request);
        let announce = || {
            let mut stream = connect(server);
            stream.write_all(&[0x7f, 0xff, 0xff, 0xff]).expect("an announcement");
            let _ = std::io::Read::read(&mut stream, &mut [0; 512]);
        };
        both(number, |place| {
            let before = cpu_nanos(pid);
            match place {
                0 => requests.iter().for_each(ask),
                _ => (0..FRAMES).for_each(|_| announce()),
            }
            (cpu_nanos(pid) - before) as f64 / 1000.0 / FRAMES as f64
        })
    });
    let turns: Vec<_> = turns.collect();
    let [like, cost] = [0, 1].map(|place| median(turns.iter().map(|turn| turn[place])));
    let ratio = median(turns.iter().map(|[like, cost]| cost / like));
    report.rows.add(
        "flood, huge frames over TCP, a connection each",
        Goal::AtMost(1.0),
        ratio,
        " of a request",
        format!("{cost:.1} us against {like:.1} us of a request over TCP with its connection; {good:.1} us over UDP"),
    );
}
