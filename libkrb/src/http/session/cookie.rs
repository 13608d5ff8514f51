//! A session as a cookie (RFC 6265): found among others, taken out, written and erased.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::error::{Error, Result};
use crate::time::Seconds;

/// How many cookies of our name are tried: a neighbour can put one before ours where the name has
/// no `__Host-`.
const MAX_TRIED: usize = 4;

/// Whether a browser sends the cookie with a request that another site began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    /// Only when a person follows a link to here.
    #[default]
    Lax,
    /// Never.
    Strict,
}

/// What the cookie is like.
#[derive(Clone, Debug)]
pub struct Cookie {
    /// Its name. Over TLS `__Host-` stands before it, or `__Secure-` with another path than `/`, by
    /// which browsers refuse one that somebody else wrote.
    pub name: String,
    /// Where it is sent.
    pub path: String,
    /// Whether other sites' requests bear it.
    pub same_site: SameSite,
    /// Whether it goes over TLS only. To be false nowhere but on a developer's machine.
    pub secure: bool,
}

impl Default for Cookie {
    fn default() -> Cookie {
        Cookie { name: super::COOKIE.to_owned(), path: "/".to_owned(), same_site: SameSite::default(), secure: true }
    }
}

impl Cookie {
    /// With its whole name.
    pub(super) fn checked(mut self) -> Result<Cookie> {
        let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
        let path = |c: u8| c.is_ascii_graphic() && c != b';' && c != b',';
        if self.name.is_empty() || !self.name.bytes().all(token) {
            return Err(Error::Setting("the name of the session's cookie is no token".to_owned()));
        }
        if !self.path.starts_with('/') || !self.path.bytes().all(path) {
            return Err(Error::Setting("the path of the session's cookie is none: write one such as /".to_owned()));
        }
        let prefix = match (self.secure, &*self.path) {
            (false, _) => "",
            (true, "/") => "__Host-",
            (true, _) => "__Secure-",
        };
        self.name.insert_str(0, prefix);
        Ok(self)
    }

    /// The values of cookies of this name.
    pub(super) fn find<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(name, _)| *name == self.name).map(|(_, value)| value).take(MAX_TRIED)
    }

    /// Takes cookies of this name out of a request, so that no handler passes them on.
    pub(super) fn take_out(&self, headers: &mut HeaderMap) {
        if self.find(headers).next().is_none() {
            return;
        }
        let ours = |pair: &&str| pair.trim().split_once('=').is_some_and(|(name, _)| name == self.name);
        let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let left: Vec<_> = lines.flat_map(|line| line.split(';')).filter(|pair| !ours(pair)).map(str::trim).collect();
        let left = HeaderValue::try_from(left.join("; ")).ok().filter(|left| !left.is_empty());
        headers.remove(COOKIE);
        left.map(|left| headers.insert(COOKIE, left));
    }

    /// Set-Cookie; without a value it erases the cookie.
    pub(super) fn set(&self, value: &str, max_age: Seconds) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let site = match self.same_site {
            SameSite::Lax => "Lax",
            SameSite::Strict => "Strict",
        };
        let Cookie { name, path, .. } = self;
        let text = format!("{name}={value}; Path={path}; Max-Age={max_age}; HttpOnly; SameSite={site}{secure}");
        let mut header = HeaderValue::try_from(text).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Cookie {
        Cookie { name: name.to_owned(), ..Cookie::default() }.checked().unwrap()
    }

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn the_prefix_follows_from_path_and_security() {
        assert_eq!(named("s").name, "__Host-s");
        let under = Cookie { path: "/app".to_owned(), ..Cookie::default() };
        assert_eq!(under.checked().unwrap().name, "__Secure-krb_session");
        let open = Cookie { secure: false, ..Cookie::default() }.checked().unwrap();
        assert_eq!(open.set("v", 60).unwrap(), "krb_session=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");
        let strict = Cookie { same_site: SameSite::Strict, ..Cookie::default() }.checked().unwrap();
        let expected = "__Host-krb_session=v; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure";
        assert_eq!(strict.set("v", 60).unwrap(), expected);
        for (name, path) in
            [("", "/"), ("a b", "/"), ("a;b", "/"), ("a", ""), ("a", "x"), ("a", "/;Domain=x"), ("a=", "/")]
        {
            let cookie = Cookie { name: name.to_owned(), path: path.to_owned(), ..Cookie::default() };
            assert!(cookie.checked().is_err(), "{name} {path}");
        }
    }

    #[test]
    fn ours_is_found_among_others_and_taken_out() {
        let cookie = named("s");
        let mut request = headers(&["a=b; __Host-s=one;c=d", "__Host-s=two; e=f", "__host-s=no; s=no; x__Host-s=no"]);
        assert_eq!(cookie.find(&request).collect::<Vec<_>>(), ["one", "two"]);
        cookie.take_out(&mut request);
        assert_eq!(
            request.get_all(COOKIE).iter().collect::<Vec<_>>(),
            ["a=b; c=d; e=f; __host-s=no; s=no; x__Host-s=no"]
        );
        let mut request = headers(&["__Host-s=one"]);
        cookie.take_out(&mut request);
        assert!(request.is_empty());
    }

    #[test]
    fn a_stranger_cannot_make_us_try_many() {
        let many = "__Host-s=x; ".repeat(1000);
        assert_eq!(named("s").find(&headers(&[&many])).count(), MAX_TRIED);
    }
}
