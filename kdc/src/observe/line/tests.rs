//! The line by hand against what serde makes of the same record: field by field, octet by octet.

use std::net::SocketAddr;
use std::time::Duration;

use libkrb::flags::TicketFlags;
use libkrb::time::Instant;
use libkrb::{ErrorCode, Principal, Time};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde::{Serialize, Serializer};

use super::*;
use crate::core::{Event, Exchange};
use crate::observe::Transport;
use crate::observe::record::{Micros, clipped};

/// What is told of a request, in this order.
#[derive(Serialize)]
struct Record<'a> {
    #[serde(serialize_with = "shown")]
    time: Micros,
    exchange: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    from: SocketAddr,
    transport: &'static str,
    /// "issued", "changed" for a password, or the RFC's name of the error code.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    /// In whose name it asked, if in another's (MS-SFU).
    #[serde(skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<String>,
    /// How the client proved itself.
    #[serde(skip_serializing_if = "str::is_empty")]
    proof: &'static str,
    /// What the ticket says of that (RFC 8129).
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    indicators: &'a [String],
    /// Whose ticket armored the request, if it came in FAST.
    #[serde(skip_serializing_if = "str::is_empty")]
    armor: &'static str,
    #[serde(skip_serializing_if = "<[i32]>::is_empty")]
    offered: Vec<i32>,
    #[serde(flatten)]
    ticket: Option<Ticket>,
    /// How long the decision took, in microseconds.
    micros: u64,
}

/// What is told of an issued ticket.
#[derive(Serialize)]
struct Ticket {
    /// The letters of klist.
    flags: String,
    #[serde(serialize_with = "optional", skip_serializing_if = "Option::is_none")]
    auth_time: Option<Time>,
    #[serde(serialize_with = "optional", skip_serializing_if = "Option::is_none")]
    start_time: Option<Time>,
    #[serde(serialize_with = "shown")]
    end_time: Time,
    #[serde(serialize_with = "optional", skip_serializing_if = "Option::is_none")]
    renew_till: Option<Time>,
    ticket_etype: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_etype: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_etype: Option<i32>,
}

impl<'a> Record<'a> {
    /// Tells of a request.
    fn new(seen: &Seen<'a>) -> Self {
        let event = seen.event;
        Record {
            time: Micros(seen.at),
            exchange: exchange(event.exchange),
            client: event.client.as_ref().map(|it| clipped(it.to_string())),
            server: event.server.as_ref().map(|it| clipped(it.to_string())),
            from: seen.from,
            transport: seen.transport.name(),
            outcome: event.refusal.map_or(done(event.exchange), |(code, _)| code.name()),
            cause: event.refusal.map(|(_, cause)| cause),
            on_behalf_of: event.on_behalf_of.as_ref().map(|it| clipped(it.to_string())),
            proof: event.proof,
            armor: event.armor,
            indicators: &event.indicators,
            offered: event.offered.iter().map(|etype| etype.0).collect(),
            ticket: event.issued.as_ref().map(|issued| Ticket::new(issued, seen.at.time)),
            micros: record::micros(seen),
        }
    }
}

impl Ticket {
    fn new(issued: &Issued, now: Time) -> Self {
        let other = |etype: EncryptionType| (etype != issued.ticket_etype).then_some(etype.0);
        Ticket {
            flags: issued.flags.letters(),
            auth_time: (issued.auth_time != now).then_some(issued.auth_time),
            start_time: (issued.start_time != now).then_some(issued.start_time),
            end_time: issued.end_time,
            renew_till: issued.renew_till,
            ticket_etype: issued.ticket_etype.0,
            session_etype: other(issued.session_etype),
            reply_etype: other(issued.reply_etype),
        }
    }
}

fn shown<T: std::fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn optional<T: std::fmt::Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(ToString::to_string).serialize(serializer)
}

const WORDS: [&str; 6] = ["", "issued", "the \"salt\" of it", "back\\slash", "naïve", "two\nlines"];

fn times() -> impl Strategy<Value = Time> {
    prop_oneof![1_700_000_000..1_900_000_000_i64, -99_999_999_999..999_999_999_999_i64].prop_map(Time)
}

fn etypes() -> impl Strategy<Value = EncryptionType> {
    prop_oneof![16..27_i32, any::<i32>()].prop_map(EncryptionType)
}

fn names() -> impl Strategy<Value = Option<Principal>> {
    const PART: &str = r#"([a-z]{0,8}|[/@\\"ä]|[\x00-\x1f]|[a-z]{300}){0,2}"#;
    (PART, vec(PART, 1..3)).prop_map(|(realm, parts)| Principal::new(Default::default(), &realm, parts).ok())
}

fn tickets() -> impl Strategy<Value = Issued> {
    let used = (etypes(), etypes(), etypes());
    (times(), times(), times(), option::of(times()), any::<u32>(), used).prop_map(
        |(auth_time, start_time, end_time, renew_till, flags, (ticket_etype, session_etype, reply_etype))| Issued {
            auth_time,
            start_time,
            end_time,
            renew_till,
            flags: TicketFlags(flags),
            ticket_etype,
            session_etype,
            reply_etype,
        },
    )
}

fn events() -> impl Strategy<Value = Event> {
    let exchange = select(vec![Exchange::As, Exchange::Tgs, Exchange::Kpasswd, Exchange::Fetch, Exchange::Other]);
    let refusal = option::of((any::<i16>().prop_map(|code| ErrorCode(code.into())), select(&WORDS[..])));
    let words = (select(&WORDS[..]), select(&WORDS[..]), vec(r#"[a-z"]{0,6}"#, 0..3));
    let told = (refusal, option::of(tickets()), words);
    (exchange, names(), names(), names(), vec(etypes(), 0..4), told).prop_map(
        |(exchange, client, server, on_behalf_of, offered, (refusal, issued, (proof, armor, indicators)))| Event {
            exchange,
            client,
            server,
            offered: offered.into(),
            on_behalf_of,
            refusal,
            issued,
            proof,
            armor,
            indicators,
        },
    )
}

type Request = (Event, SocketAddr, Transport, (Time, u32), u64);

fn requests() -> impl Strategy<Value = Request> {
    let at = (times(), 0..1_000_000_u32);
    (events(), any::<SocketAddr>(), select(&Transport::ALL[..]), at, 0..10_000_000_000_u64)
}

proptest! {
    #[test]
    fn a_line_is_to_the_octet_what_serde_makes_of_the_record(one in requests(), other in requests(), turns in vec(any::<[bool; 5]>(), 1..6)) {
        let mut before = Before::default();
        for turn in turns {
            // Some of it as in the line before, some not.
            let of = |place: usize| if turn[place] { &one } else { &other };
            let (mut event, from, transport) = (of(0).0.clone(), of(1).1, of(0).2);
            event.issued = of(2).0.issued;
            // As most have them.
            if let Some(issued) = event.issued.as_mut().filter(|_| turn[1]) {
                (issued.auth_time, issued.session_etype) = (of(3).3.0, issued.ticket_etype);
            }
            let at = Instant { time: of(3).3.0, micros: of(4).3.1 };
            let seen = Seen { event: &event, from, transport, at, took: Duration::from_nanos(of(4).4) };
            let mut text = String::new();
            add(&seen, &mut before, &mut text);
            let expected = serde_json::to_string(&Record::new(&seen)).expect("JSON");
            prop_assert_eq!(format!("{{{text}}}"), expected);
        }
    }
}
