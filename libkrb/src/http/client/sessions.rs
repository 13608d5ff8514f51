//! The sessions that services gave us: instead of a ticket for each request, what the first answer
//! brought, until it ends. In memory, for one principal. Not here: what a session is
//! ([`crate::http::session`]).

use std::collections::HashMap;

use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use super::hosts::Origin;
use crate::http::session::HEADER;
use crate::name::Principal;
use crate::time::{Seconds, Time};

/// A session is given up this long before it ends, so that it does not end on its way.
const MARGIN: Seconds = 10;

/// How many are kept. A client that talks to more services has more tickets to make.
const MAX: usize = 1024;

/// Whose session it is: behind one origin there can be several services.
pub(super) type Place = (Origin, Principal);

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Session {
    bearer: Option<HeaderValue>,
    cookies: Vec<(String, String)>,
    until: Time,
    /// When the ticket ends by which it was begun.
    ticket_end: Time,
}

impl Session {
    /// The session in an answer, if it gives one. It lives no longer than the ticket.
    pub(super) fn of(headers: &HeaderMap, cookies: &[String], now: Time, ticket_end: Time) -> Option<Session> {
        let bearer = bearer(headers, now);
        let cookies: Vec<_> =
            headers.get_all(SET_COOKIE).iter().filter_map(|value| cookie(value, cookies, now)).collect();
        let ends = bearer.iter().map(|(_, ends)| *ends).chain(cookies.iter().map(|(_, ends)| *ends));
        let until = ends.fold(ticket_end, |until, ends| until.min(ends.unwrap_or(Time::MAX)));
        let some = bearer.is_some() || !cookies.is_empty();
        some.then(|| Session {
            bearer: bearer.map(|(value, _)| value),
            cookies: cookies.into_iter().map(|(pair, _)| pair).collect(),
            until,
            ticket_end,
        })
    }

    /// Adds it to a request.
    pub(super) fn dress(&self, headers: &mut HeaderMap) {
        if let Some(bearer) = &self.bearer {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
        let ours = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let theirs = headers.get(COOKIE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let all: Vec<_> = theirs.into_iter().chain(ours).collect();
        if let Some(Ok(mut value)) = (!self.cookies.is_empty()).then(|| HeaderValue::try_from(all.join("; "))) {
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
        }
    }

    /// What a session that follows it may not outlive.
    pub(super) fn ticket_end(&self) -> Time {
        self.ticket_end
    }
}

/// All sessions, each at its place.
#[derive(Default)]
pub(super) struct Sessions(HashMap<Place, Session>);

impl Sessions {
    pub(super) fn find(&self, place: &Place, now: Time) -> Option<Session> {
        self.0.get(place).filter(|session| session.until - MARGIN > now).cloned()
    }

    pub(super) fn put(&mut self, place: Place, session: Session, now: Time) {
        if self.0.len() >= MAX && !self.0.contains_key(&place) {
            self.0.retain(|_, session| session.until - MARGIN > now);
        }
        if self.0.len() < MAX || self.0.contains_key(&place) {
            self.0.insert(place, session);
        }
    }

    /// Removes this session, and not a newer one at the same place.
    pub(super) fn remove(&mut self, place: &Place, session: &Session) {
        if self.0.get(place) == Some(session) {
            self.0.remove(place);
        }
    }
}

/// The bearer's session in an answer, and when it ends.
fn bearer(headers: &HeaderMap, now: Time) -> Option<(HeaderValue, Option<Time>)> {
    let mut parts = headers.get(HEADER)?.to_str().ok()?.split(';').map(str::trim);
    let token = parts.next().filter(|token| !token.is_empty())?;
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some((value, parts.find_map(|part| max_age(part, now))))
}

/// A session's cookie, and when it ends. One that holds for a part of the site only is left alone:
/// where it holds is not kept here.
fn cookie(value: &HeaderValue, names: &[String], now: Time) -> Option<((String, String), Option<Time>)> {
    let mut parts = value.to_str().ok()?.split(';').map(str::trim);
    let (name, content) = parts.next()?.split_once('=')?;
    let known = names.iter().any(|known| known == name);
    let attributes: Vec<_> = parts.collect();
    let path = attributes.iter().find_map(|attribute| named(attribute, "path"));
    let whole = path.is_none_or(|path| path == "/");
    let ends = attributes.iter().find_map(|attribute| max_age(attribute, now));
    (known && whole && !content.is_empty()).then(|| ((name.to_owned(), content.to_owned()), ends))
}

fn max_age(attribute: &str, now: Time) -> Option<Time> {
    let seconds: Seconds = named(attribute, "max-age")?.parse().ok()?;
    Some(now + seconds)
}

fn named<'a>(attribute: &'a str, name: &str) -> Option<&'a str> {
    let (found, value) = attribute.split_once('=')?;
    found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_800_000_000);

    fn place(host: &str) -> Place {
        let origin = Origin::of(&format!("https://{host}/").parse().unwrap()).unwrap();
        (origin, Principal::service("HTTP", host, "R"))
    }

    fn answer(headers: &[(&'static str, &str)]) -> Option<Session> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        Session::of(&map, &["id".to_owned()], NOW, NOW + 3600)
    }

    fn dressed(session: &Session, theirs: Option<&'static str>) -> (Option<String>, Option<String>) {
        let mut headers = HeaderMap::new();
        if let Some(theirs) = theirs {
            headers.insert(COOKIE, HeaderValue::from_static(theirs));
        }
        session.dress(&mut headers);
        let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap().to_owned());
        (text(AUTHORIZATION), text(COOKIE))
    }

    #[test]
    fn a_bearers_session_ends_when_it_says_or_with_the_ticket() {
        let session = answer(&[(HEADER, "abc; Max-Age=60")]).unwrap();
        assert_eq!(dressed(&session, None), (Some("Bearer abc".to_owned()), None));
        assert_eq!(session.until, NOW + 60);
        assert_eq!(answer(&[(HEADER, "abc; max-age=99999")]).unwrap().until, NOW + 3600);
        assert_eq!(answer(&[(HEADER, "abc")]).unwrap().until, NOW + 3600);
        assert!(answer(&[(HEADER, "")]).is_none());
    }

    #[test]
    fn a_sessions_cookie_stands_beside_the_requests_own() {
        let session =
            answer(&[("set-cookie", "id=x=y; Path=/; Max-Age=60; HttpOnly"), ("set-cookie", "colour=red")]).unwrap();
        assert_eq!(dressed(&session, None), (None, Some("id=x=y".to_owned())));
        assert_eq!(dressed(&session, Some("a=b")), (None, Some("a=b; id=x=y".to_owned())));
        assert_eq!(session.until, NOW + 60);
        for other in ["colour=red", "id=", "id=x; Path=/admin", "id", "ID=x"] {
            assert!(answer(&[("set-cookie", other)]).is_none(), "{other}");
        }
    }

    #[test]
    fn a_session_is_found_at_its_place_until_shortly_before_its_end() {
        let mut sessions = Sessions::default();
        let session = answer(&[(HEADER, "abc; max-age=60")]).unwrap();
        sessions.put(place("a"), session.clone(), NOW);
        assert!(sessions.find(&place("a"), NOW) == Some(session.clone()));
        assert!(sessions.find(&place("a"), NOW + 49).is_some());
        assert!(sessions.find(&place("a"), NOW + 50).is_none());
        assert!(sessions.find(&place("b"), NOW).is_none());
        let other_service = (place("a").0, Principal::service("HTTP", "b", "R"));
        assert!(sessions.find(&other_service, NOW).is_none());
        let newer = answer(&[(HEADER, "def")]).unwrap();
        sessions.put(place("a"), newer.clone(), NOW);
        sessions.remove(&place("a"), &session);
        assert!(sessions.find(&place("a"), NOW) == Some(newer));
    }

    #[test]
    fn no_more_sessions_are_kept_than_there_is_room_for() {
        let mut sessions = Sessions::default();
        let session = answer(&[(HEADER, "abc; max-age=60")]).unwrap();
        for number in 0..MAX + 10 {
            sessions.put(place(&format!("h{number}")), session.clone(), NOW);
        }
        assert_eq!(sessions.0.len(), MAX);
        sessions.put(place("late"), session.clone(), NOW + 100);
        assert!(sessions.0.contains_key(&place("late")));
    }
}
