//! What a session holds, as bytes before they are sealed: numbers big-endian, texts with their
//! length. Not a format for others: who cannot open it has no business with it.

use crate::codes::NameType;
use crate::flags::TicketFlags;
use crate::gss::ContextFlags;
use crate::http::caller::{Caller, Facts, How};
use crate::name::Principal;
use crate::service::TicketTimes;
use crate::time::Time;

/// A session.
#[derive(Clone, Debug)]
pub(super) struct Content {
    /// What names it; random.
    pub(super) id: [u8; 16],
    pub(super) issued: Time,
    /// When it was last renewed for its use.
    pub(super) seen: Time,
    pub(super) end: Time,
    /// Whether the caller handed tickets over; they are kept elsewhere.
    pub(super) delegated: bool,
    pub(super) caller: Caller,
}

const NO_TIME: i64 = i64::MIN;

impl Content {
    pub(super) fn encode(&self) -> Vec<u8> {
        let facts = self.caller.facts();
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(&self.id);
        let times = [
            self.issued,
            self.seen,
            self.end,
            facts.times.auth,
            facts.times.start,
            facts.times.end,
            facts.times.renew_till.unwrap_or(Time(NO_TIME)),
        ];
        times.iter().for_each(|time| out.extend_from_slice(&time.0.to_be_bytes()));
        out.extend_from_slice(&facts.flags.0.to_be_bytes());
        out.extend_from_slice(&facts.context_flags.0.to_be_bytes());
        out.push(u8::from(self.delegated));
        out.push(u8::from(facts.bound));
        out.extend_from_slice(&facts.principal.kind().0.to_be_bytes());
        text(&mut out, facts.principal.realm());
        texts(&mut out, facts.principal.components());
        texts(&mut out, facts.local_name.as_slice());
        texts(&mut out, &facts.roles);
        texts(&mut out, &facts.indicators);
        out
    }

    /// Reads what was opened. It was ours, so this fails only for another version of this library.
    pub(super) fn decode(bytes: &[u8]) -> Option<Content> {
        let mut reader = Reader(bytes);
        let id = *reader.array()?;
        let [issued, seen, end] = [reader.time()?, reader.time()?, reader.time()?];
        let [auth, start, ticket_end, renew_till] = [reader.time()?, reader.time()?, reader.time()?, reader.time()?];
        let renew_till = Some(renew_till).filter(|time| time.0 != NO_TIME);
        let flags = TicketFlags(reader.number()?);
        let context_flags = ContextFlags(reader.number()?);
        let [delegated, bound] = *reader.array()?;
        let kind = NameType(reader.number()?.cast_signed());
        let realm = reader.text()?;
        let principal = Principal::new(kind, realm, reader.texts()?).ok()?;
        let local_name = reader.texts()?.into_iter().next().map(str::to_owned);
        let roles = reader.texts()?.into_iter().map(str::to_owned).collect();
        let indicators = reader.texts()?.into_iter().map(str::to_owned).collect();
        let caller = Caller::new(Facts {
            principal,
            local_name,
            times: TicketTimes { auth, start, end: ticket_end, renew_till },
            flags,
            context_flags,
            bound: bound == 1,
            roles,
            indicators,
            delegated: None,
            how: How::Session,
        });
        let content = Content { id, issued, seen, end, delegated: delegated == 1, caller };
        reader.0.is_empty().then_some(content)
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    // One that is too long makes a session that is too long as well, and is never sealed.
    out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn texts<T: AsRef<str>>(out: &mut Vec<u8>, all: &[T]) {
    out.extend_from_slice(&u16::try_from(all.len()).unwrap_or(u16::MAX).to_be_bytes());
    all.iter().for_each(|one| text(out, one.as_ref()));
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (found, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(found)
    }

    fn time(&mut self) -> Option<Time> {
        self.array().map(|bytes| Time(i64::from_be_bytes(*bytes)))
    }

    fn number(&mut self) -> Option<u32> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }

    fn length(&mut self) -> Option<usize> {
        self.array().map(|bytes| usize::from(u16::from_be_bytes(*bytes)))
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.length()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn texts(&mut self) -> Option<Vec<&'a str>> {
        (0..self.length()?).map(|_| self.text()).collect()
    }
}
