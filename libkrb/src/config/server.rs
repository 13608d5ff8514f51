//! Where a server is, as `kdc = ...` and its like say it. Not here: finding addresses.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;

/// The ports of RFC 4120 7.2.3, RFC 3244 and MIT's kadmin.
pub const KDC_PORT: u16 = 88;
/// The port of password changes (RFC 3244).
pub const KPASSWD_PORT: u16 = 464;
/// The port of kadmin.
pub const KADMIN_PORT: u16 = 749;

/// How to talk to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP or TCP, whichever suits the message (RFC 4120 7.2).
    Any,
    /// Only UDP (RFC 4120 7.2.1).
    Udp,
    /// Only TCP (RFC 4120 7.2.2).
    Tcp,
}

/// A server of a realm.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    /// A host, by name or address.
    Host {
        /// UDP, TCP or both.
        transport: Transport,
        /// Its name or address; an IPv6 address without brackets.
        host: String,
        /// Its port.
        port: u16,
    },
    /// An HTTPS proxy (MS-KKDCP).
    Https {
        /// Its name or address.
        host: String,
        /// Its port.
        port: u16,
        /// The path, without the first slash.
        path: String,
    },
    /// A Unix domain stream socket.
    Unix(PathBuf),
}

impl Server {
    /// Parses `host`, `host:port`, `[v6]:port`, a bare IPv6 address, any of them after `tcp/` or
    /// `udp/`, `https://host:port/path`, or the absolute path of a socket. What follows a blank is
    /// no part of it, as in MIT krb5.
    pub fn parse(text: &str, default_port: u16) -> Option<Server> {
        let text = text.split_ascii_whitespace().next()?;
        if text.starts_with('/') {
            return Some(Server::Unix(text.into()));
        }
        if let Some(rest) = text.strip_prefix("https://") {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let (host, port) = host_and_port(host, 443)?;
            return Some(Server::Https { host, port, path: path.to_owned() });
        }
        let (transport, rest) = match text.split_once('/') {
            Some(("tcp", rest)) => (Transport::Tcp, rest),
            Some(("udp", rest)) => (Transport::Udp, rest),
            Some(_) => return None,
            None => (Transport::Any, text),
        };
        let (host, port) = host_and_port(rest, default_port)?;
        Some(Server::Host { transport, host, port })
    }
}

/// Splits `host:port`. A number alone is no host: MIT reads it as a port.
fn host_and_port(text: &str, default_port: u16) -> Option<(String, u16)> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((text.to_owned(), default_port));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            match rest {
                "" => (host, None),
                rest => (host, Some(rest.strip_prefix(':')?)),
            }
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if host.is_empty() || digits(host) || host.contains(|c: char| c.is_control() || "[]/@".contains(c)) {
        return None;
    }
    let port = match port {
        Some(port) if digits(port) => port.parse().ok().filter(|port| *port != 0)?,
        Some(_) => return None,
        None => default_port,
    };
    Some((host.to_owned(), port))
}

fn write_host(f: &mut fmt::Formatter<'_>, host: &str, port: u16) -> fmt::Result {
    match host.contains(':') {
        true => write!(f, "[{host}]:{port}"),
        false => write!(f, "{host}:{port}"),
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Server::Host { transport, host, port } => {
                f.write_str(match transport {
                    Transport::Any => "",
                    Transport::Udp => "udp/",
                    Transport::Tcp => "tcp/",
                })?;
                write_host(f, host, *port)
            }
            Server::Https { host, port, path } => {
                f.write_str("https://")?;
                write_host(f, host, *port)?;
                write!(f, "/{path}")
            }
            Server::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_server_is_understood() {
        for (text, shown) in [
            ("kdc.example.org", "kdc.example.org:88"),
            ("kdc.example.org:8888", "kdc.example.org:8888"),
            ("kdc.example.org # the first", "kdc.example.org:88"),
            ("192.0.2.1", "192.0.2.1:88"),
            ("192.0.2.1:750", "192.0.2.1:750"),
            ("2001:db8::1", "[2001:db8::1]:88"),
            ("[2001:db8::1]", "[2001:db8::1]:88"),
            ("[2001:db8::1]:750", "[2001:db8::1]:750"),
            ("tcp/kdc.example.org", "tcp/kdc.example.org:88"),
            ("udp/[2001:db8::1]:750", "udp/[2001:db8::1]:750"),
            ("https://proxy.example.org/KdcProxy", "https://proxy.example.org:443/KdcProxy"),
            ("https://proxy.example.org:8443", "https://proxy.example.org:8443/"),
            ("/run/kdc.sock", "/run/kdc.sock"),
        ] {
            let server = Server::parse(text, KDC_PORT).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(server.to_string(), shown);
            assert_eq!(Server::parse(shown, KDC_PORT), Some(server), "{text} does not survive printing");
        }
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for text in [
            "",
            " ",
            "88",
            ":88",
            "kdc:",
            "kdc:0",
            "kdc:65536",
            "kdc:x",
            "kdc:+1",
            "[2001:db8::1",
            "[kdc]:88",
            "[::1]88",
            "http/kdc",
            "ftp://kdc",
            "https://",
            "https://:443/x",
            "2001:db8::g",
            "a:1:2",
        ] {
            assert_eq!(Server::parse(text, KDC_PORT), None, "{text}");
        }
    }
}
