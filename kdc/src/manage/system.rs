//! What Linux knows of this process and its sockets, read from /proc. What is not there counts as zero.

#![allow(clippy::disallowed_methods, reason = "files of the system")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::process::{Resource, getrlimit};

use crate::observe::facts::{Process, Socket};

/// Ticks of processor time in a second: what Linux tells programs on every machine that we build for.
const TICKS: f64 = 100.0;

/// The process.
pub fn process() -> Process {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in parentheses, may hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    Process {
        cpu_seconds: ticks.sum::<f64>() / TICKS,
        resident_bytes: resident.unwrap_or(0_u64).saturating_mul(1024),
        fds: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count) as u64,
        fds_limit: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
    }
}

/// The queues of these addresses.
pub fn sockets(addresses: &[SocketAddr]) -> Vec<Socket> {
    let read = |names: [&str; 2]| {
        names.map(|name| fs::read_to_string(format!("/proc/self/net/{name}")).unwrap_or_default()).concat()
    };
    let (udp, tcp) = (read(["udp", "udp6"]), read(["tcp", "tcp6"]));
    let socket = |address: &SocketAddr| {
        let (udp_queue, udp_dropped) = udp
            .lines()
            .filter_map(|line| queue(line, address))
            .fold((0, 0), |sum, line| (sum.0 + line.waiting, sum.1 + line.dropped));
        let listening = tcp.lines().filter_map(|line| queue(line, address)).filter(|line| line.state == LISTENING);
        let tcp_backlog = listening.map(|line| line.waiting).sum();
        Socket { address: address.to_string(), udp_queue, udp_dropped, tcp_backlog }
    };
    addresses.iter().map(socket).collect()
}

/// TCP_LISTEN.
const LISTENING: &str = "0A";

struct Queue<'a> {
    state: &'a str,
    /// Octets, or connections of a listening socket.
    waiting: u64,
    dropped: u64,
}

/// A line of /proc/net/udp or /proc/net/tcp about this address.
fn queue<'a>(line: &'a str, address: &SocketAddr) -> Option<Queue<'a>> {
    let fields = line.split_whitespace().collect::<Vec<_>>();
    let [_, local, _, state, queues, ..] = fields.as_slice() else { return None };
    (local_address(local)? == *address).then_some(())?;
    let waiting = u64::from_str_radix(queues.split_once(':')?.1, 16).ok()?;
    let dropped = fields.get(12).and_then(|dropped| dropped.parse().ok()).unwrap_or(0);
    Some(Queue { state, waiting, dropped })
}

/// `0100007F:0058`: words of four octets in the machine's order, and a port.
fn local_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |place: usize| u32::from_str_radix(ip.get(place..place + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn datagrams_that_wait_are_seen_at_the_address_that_they_wait_at() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(any) else { continue };
            let address = socket.local_addr().expect("an address");
            assert_eq!(sockets(&[address])[0].udp_queue, 0);
            UdpSocket::bind(any).and_then(|other| other.send_to(b"hello", address)).expect("sent");
            let found = sockets(&[address]).remove(0);
            assert!(found.udp_queue > 0 && found.udp_dropped == 0, "{found:?}");
        }
    }

    #[test]
    fn this_process_uses_memory_and_files() {
        let process = process();
        assert!(process.resident_bytes > 1 << 20 && process.fds > 2 && process.fds_limit >= process.fds, "{process:?}");
    }
}
