//! A loopback port that is free for UDP and TCP and stays ours while a test runs. Tests run in many
//! processes at once, so a port is claimed by a lock on a file that all of them see.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// Below the ports that the kernel hands to clients, so that no outgoing connection sits on one.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A claimed port of 127.0.0.1; free for others when dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _claim: File,
}

impl Port {
    /// Claims a port on which nobody listens.
    pub fn claim() -> Port {
        let folder = std::env::temp_dir().join("krb-test-ports");
        std::fs::create_dir_all(&folder).expect("a folder for the claims on ports");
        let start = std::process::id() as u16;
        for step in 0..COUNT {
            let number = FIRST + start.wrapping_mul(31).wrapping_add(step) % COUNT;
            let claim = File::create(folder.join(number.to_string())).expect("a file for the claim on a port");
            if claim.try_lock().is_ok() && is_free(number) {
                return Port { number, _claim: claim };
            }
        }
        panic!("none of {COUNT} ports from {FIRST} on is free");
    }

    /// The number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// 127.0.0.1 with this port.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

fn is_free(number: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, number);
    UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_port_is_not_given_out_twice() {
        let (first, second) = (Port::claim(), Port::claim());
        assert_ne!(first.number(), second.number());
    }
}
