//! Where passwords are changed: `kpasswd_listen`, or what follows from `listen`.

use std::net::SocketAddr;

use super::Config;

/// How far the port for changing passwords is above that of the KDC: from 88 to 464.
const ABOVE: u16 = 464 - 88;

impl Config {
    /// The addresses of the service that changes passwords; none where it is off.
    pub fn kpasswd_addresses(&self) -> Vec<SocketAddr> {
        self.kpasswd_listen.clone().unwrap_or_else(|| kpasswd_addresses(&self.listen))
    }
}

/// The addresses where passwords are changed unless it is said otherwise: port 464 where the KDC's is
/// 88, else as far above it. Port 0, of the system's choice, stays that.
pub fn kpasswd_addresses(listen: &[SocketAddr]) -> Vec<SocketAddr> {
    let beside = |address: &SocketAddr| {
        let port = if address.port() == 0 { Some(0) } else { address.port().checked_add(ABOVE) };
        port.map(|port| SocketAddr::new(address.ip(), port))
    };
    listen.iter().filter_map(beside).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &[&str]) -> Vec<SocketAddr> {
        text.iter().map(|text| text.parse().expect(text)).collect()
    }

    #[test]
    fn passwords_are_changed_as_far_above_the_kdc_as_port_464_is_above_88() {
        let listen = addresses(&["192.0.2.1:88", "[::1]:8888", "127.0.0.1:0", "127.0.0.1:65300"]);
        assert_eq!(kpasswd_addresses(&listen), addresses(&["192.0.2.1:464", "[::1]:9264", "127.0.0.1:0"]));
    }

    #[test]
    fn what_is_said_counts_and_nothing_said_turns_it_off() {
        let read = |line: &str| {
            let text = format!("realm = 'R'\nlisten = ['127.0.0.1:88']\n{line}");
            super::super::parse(std::path::Path::new("kdc.toml"), &text).expect(line).kpasswd_addresses()
        };
        assert_eq!(read(""), addresses(&["127.0.0.1:464"]));
        assert_eq!(read("kpasswd_listen = ['192.0.2.1:4640']"), addresses(&["192.0.2.1:4640"]));
        assert!(read("kpasswd_listen = []").is_empty());
    }
}
