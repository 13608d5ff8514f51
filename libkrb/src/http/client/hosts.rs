//! Which hosts tokens may go to. None does by default, and a host that is trusted behind TLS is not
//! trusted without it. Not here: what a host's service is called ([`crate::spn`]).

use std::fmt;

use http::Uri;
use http::uri::Scheme;

use crate::error::{Error, Result};

/// Where a request goes: scheme, host and port, by which browsers tell sites apart too (RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    /// Without TLS.
    pub(super) plain: bool,
    /// In lower case, without a last dot; an IPv6 address in its brackets.
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an absolute URL of HTTP.
    pub(super) fn of(url: &Uri) -> Option<Origin> {
        let plain = match url.scheme()? {
            scheme if *scheme == Scheme::HTTPS => false,
            scheme if *scheme == Scheme::HTTP => true,
            _ => return None,
        };
        let port = url.port_u16().unwrap_or(default_port(plain));
        Some(Origin { plain, host: canonical(url.host()?), port })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", if self.plain { "http" } else { "https" }, self.host, self.port)
    }
}

fn canonical(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

const fn default_port(plain: bool) -> u16 {
    if plain { 80 } else { 443 }
}

/// The hosts that tokens may go to, as patterns: `ads.example.org`, `*.example.org` for all below
/// it but not itself, `ads:8443`, and `ads:*` for every port. Without a port the scheme's own is
/// meant.
///
/// ```
/// # use libkrb::http::client::Hosts;
/// let hosts = Hosts::https(["*.example.org"])?.plain_http(["localhost:*"])?;
/// # Ok::<(), libkrb::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Hosts(Vec<Pattern>);

#[derive(Clone, Debug)]
struct Pattern {
    plain: bool,
    host: Host,
    /// `None` for any.
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Host {
    Is(String),
    /// With its leading dot.
    Below(String),
}

impl Hosts {
    /// These hosts, where TLS shows that it is they.
    ///
    /// # Errors
    /// [`Error::Setting`] for what is no pattern.
    pub fn https<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Hosts> {
        Hosts::default().with(false, patterns)
    }

    /// The same, and these without TLS. Who can read the network there can steal sessions, and who
    /// can change it can steal requests: for loopback, and for networks that protect themselves.
    ///
    /// # Errors
    /// As [`Hosts::https`].
    pub fn plain_http<'a>(self, patterns: impl IntoIterator<Item = &'a str>) -> Result<Hosts> {
        self.with(true, patterns)
    }

    fn with<'a>(mut self, plain: bool, patterns: impl IntoIterator<Item = &'a str>) -> Result<Hosts> {
        for pattern in patterns {
            let parsed = Pattern::parse(plain, pattern);
            self.0.push(parsed.ok_or_else(|| {
                Error::Setting(format!(
                    "{pattern}: a host is expected, as in example.org, *.example.org or example.org:8443"
                ))
            })?);
        }
        Ok(self)
    }

    pub(super) fn allow(&self, origin: &Origin) -> bool {
        self.0.iter().any(|pattern| pattern.fits(origin))
    }
}

impl Pattern {
    fn parse(plain: bool, text: &str) -> Option<Pattern> {
        let after_host = text.rfind(']').map_or(0, |bracket| bracket + 1);
        let (host, port) = match text.get(after_host..)?.rfind(':') {
            Some(colon) => (text.get(..after_host + colon)?, text.get(after_host + colon + 1..)?),
            None => (text, ""),
        };
        let port = match port {
            "" if text.ends_with(':') => return None,
            "" => Some(default_port(plain)),
            "*" => None,
            number => Some(number.parse().ok()?),
        };
        let (name, below) = host.strip_prefix("*.").map_or((host, false), |name| (name, true));
        let name = canonical(name);
        // What a URL would take for its host is one.
        let parsed = name.parse::<http::uri::Authority>().ok().filter(|authority| authority.host() == name)?;
        if parsed.port().is_some() || name.contains(['*', '@']) {
            return None;
        }
        Some(Pattern { plain, host: if below { Host::Below(format!(".{name}")) } else { Host::Is(name) }, port })
    }

    fn fits(&self, origin: &Origin) -> bool {
        let host = match &self.host {
            Host::Is(name) => origin.host == *name,
            Host::Below(name) => origin.host.len() > name.len() && origin.host.ends_with(name),
        };
        host && self.plain == origin.plain && self.port.is_none_or(|port| port == origin.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(hosts: &Hosts, url: &str) -> bool {
        Origin::of(&url.parse().expect("a URL")).is_some_and(|origin| hosts.allow(&origin))
    }

    #[test]
    fn a_host_is_allowed_by_its_scheme_name_and_port_together() {
        let hosts = Hosts::https(["ads.example.org", "*.Shop.example.org", "b:8443", "c:*"]).unwrap();
        let hosts = hosts.plain_http(["localhost:*", "[::1]:8080", "10.0.0.7"]).unwrap();
        for url in [
            "https://ads.example.org/list",
            "https://ADS.example.org./list",
            "https://ads.example.org:443",
            "https://a.shop.example.org",
            "https://a.b.shop.example.org",
            "https://b:8443/",
            "https://c:1/",
            "http://localhost:8080",
            "http://[::1]:8080",
            "http://10.0.0.7/",
        ] {
            assert!(allows(&hosts, url), "{url}");
        }
        for url in [
            "http://ads.example.org/list",
            "https://ads.example.org:8443/list",
            "https://ads.example.org.evil.org/list",
            "https://evil-ads.example.org/",
            "https://shop.example.org/",
            "https://evilshop.example.org/",
            "https://.shop.example.org/",
            "https://b/",
            "https://localhost:8080",
            "http://[::1]/",
            "http://[::2]:8080",
            "https://10.0.0.7/",
            "https://ads.example.org@evil.org/",
            "https://ads.example.org:x@evil.org/",
            "ftp://ads.example.org/",
            "/list",
        ] {
            assert!(!allows(&hosts, url), "{url}");
        }
    }

    #[test]
    fn nothing_is_allowed_that_was_not_named() {
        assert!(!allows(&Hosts::default(), "https://localhost"));
        assert!(!allows(&Hosts::default(), "http://localhost"));
    }

    #[test]
    fn what_is_no_pattern_is_told_apart() {
        for pattern in
            ["", "*", "*.", "a*.org", "https://a", "a/b", "a:", "a:x", "a:70000", "a@b", "a b", "a:1:2", "*.*.org"]
        {
            let error = Hosts::https([pattern]).expect_err(pattern).to_string();
            assert!(error.contains("a host is expected"), "{error}");
        }
    }
}
