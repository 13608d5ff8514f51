//! What is called: the parts of a URL, or of `host:port`, that can name a service. Neither user
//! names nor queries are kept: they may be secret.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// No host name is longer (RFC 1035 2.3.4).
const MAX_NAME: usize = 253;

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Called {
    /// In lower case; `None` where no URL is called.
    pub(super) scheme: Option<String>,
    pub(super) host: Host,
    pub(super) port: Option<u16>,
    /// From its first slash; may be empty.
    pub(super) path: String,
}

/// A host, by name or by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// In lower case, without a last dot.
    Name(String),
    Address(IpAddr),
}

impl Called {
    /// The parts of `scheme://host[:port][/path]`.
    pub(super) fn url(url: &str) -> Result<Called, String> {
        let (scheme, rest) = url.split_once("://").ok_or("a URL begins with \"https://\" or \"http://\"")?;
        if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
            return Err("a URL begins with \"https://\" or \"http://\"".to_owned());
        }
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        let (host, port) = split(authority)?;
        Ok(Called { scheme: Some(scheme.to_ascii_lowercase()), host: Host::parse(host)?, port, path: path.to_owned() })
    }

    /// The parts of `host[:port]`.
    pub(super) fn host(text: &str) -> Result<Called, String> {
        let (host, port) = split(text)?;
        Ok(Called { scheme: None, host: Host::parse(host)?, port, path: String::new() })
    }

    /// The port, or the one that the scheme stands for.
    pub(super) fn effective_port(&self) -> Option<u16> {
        self.port.or(match self.scheme.as_deref() {
            Some("http" | "ws") => Some(80),
            Some("https" | "wss") => Some(443),
            _ => None,
        })
    }
}

/// Host and port. A colon within brackets, or one of several, is no port's.
pub(super) fn split(text: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or("expected a port after \"]\"")?)),
        None if text.matches(':').count() > 1 => (text, None),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let number = |port: &str| port.parse().map_err(|_| "the port is no number below 65536".to_owned());
    // RFC 3986 3.2.3: a colon may stand before no port.
    Ok((host, port.filter(|port| !port.is_empty()).map(number).transpose()?))
}

impl Host {
    pub(super) fn parse(text: &str) -> Result<Host, String> {
        if let Some(address) = address(text) {
            return Ok(Host::Address(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if name.is_empty() {
            return Err("there is no host".to_owned());
        }
        if name.len() > MAX_NAME {
            return Err(format!("a host name has no more than {MAX_NAME} characters"));
        }
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if !name.split('.').all(|label| !label.is_empty() && label.bytes().all(letter)) {
            let expected = "letters, digits, \"-\" and \"_\" between single dots (other scripts as xn--...)";
            return Err(format!("a host name has {expected}"));
        }
        // What URL libraries take for an address in one of its odd forms: 127.1, 0x7f000001.
        let last = name.rsplit('.').next().unwrap_or_default();
        let hexadecimal = last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("a host name does not end in a number, and an address has four of them".to_owned());
        }
        Ok(Host::Name(name))
    }
}

fn address(text: &str) -> Option<IpAddr> {
    let v6 = text.split_once('%').map_or(text, |(address, _zone)| address).parse::<Ipv6Addr>();
    v6.map(IpAddr::V6).or_else(|_| text.parse::<Ipv4Addr>().map(IpAddr::V4)).ok()
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}://")?;
        }
        match self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            _ => self.host.fmt(f),
        }
    }
}
