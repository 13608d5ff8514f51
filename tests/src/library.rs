//! libkrb in the test's own process, beside the peer's programs: a ticket from the realm's KDC over
//! the network, and an acceptor with a keytab that the realm wrote.

use std::path::Path;
use std::sync::Arc;

use libkrb::ccache::{CacheName, Credential, RawKey};
use libkrb::client::{ClockOffset, TgsExchange, TgsRequest};
use libkrb::config::Config;
use libkrb::keytab::KeytabName;
use libkrb::net::{Client, Transport};
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Acceptor, Options};
use libkrb::session::CredTicket;
use libkrb::time::Instant;
use libkrb::{Principal, Time};

use crate::{PATIENCE, Seat};

/// What a seat's configuration says.
fn transport(seat: &Seat<'_>) -> Transport {
    let text = std::fs::read_to_string(seat.configuration()).expect("the client's krb5.conf");
    Transport::new(Arc::new(Config::parse("krb5.conf", &text).expect("a krb5.conf")))
}

fn name(transport: &Transport, text: &str) -> Principal {
    Principal::parse(text, transport.config().default_realm()).expect("a principal")
}

/// Waits for what is asked over the network.
fn wait<T>(asked: impl Future<Output = libkrb::Result<T>>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, asked).await });
    answer.expect("an answer in time").expect("a ticket")
}

/// A ticket for a service, with a password.
pub fn ticket(seat: &Seat<'_>, client: &str, password: &str, service: &str) -> Credential {
    let transport = transport(seat);
    let (client, service) = (name(&transport, client), name(&transport, service));
    let client = Client::with_password(transport, client, password);
    (*wait(client.ticket(&service))).clone()
}

/// A ticket for a service, with a credential cache.
pub fn ticket_from(seat: &Seat<'_>, cache: &Path, service: &str) -> Credential {
    let transport = transport(seat);
    let service = name(&transport, service);
    let cache = CacheName::File(cache.to_owned());
    (*wait(async { Client::with_cache(transport, cache).await?.ticket(&service).await })).clone()
}

/// A ticket-granting ticket to hand over, with a password; the seat has to ask for forwardable ones.
pub fn forwarded(seat: &Seat<'_>, client: &str, password: &str) -> CredTicket {
    let transport = transport(seat);
    let client = Client::with_password(transport.clone(), name(&transport, client), password);
    let tgt = wait(client.tgt());
    let got = fetch(&transport, TgsRequest::forward((*tgt).clone(), vec![]));
    CredTicket {
        key: got.key.key().expect("a key"),
        flags: got.flags,
        auth_time: Some(got.auth_time),
        start_time: Some(got.start_time),
        end_time: Some(got.end_time),
        renew_till: None,
        addresses: vec![],
        ticket: got.ticket,
        client: got.client,
        server: got.server,
    }
}

/// A ticket for a service, with a ticket that was handed over.
pub fn ticket_with(seat: &Seat<'_>, handed: &CredTicket, service: &str) -> Credential {
    let transport = transport(seat);
    let handed = handed.clone();
    let tgt = Credential {
        client: handed.client,
        server: handed.server,
        key: RawKey::from(&handed.key),
        auth_time: handed.auth_time.unwrap_or(Time::EPOCH),
        start_time: handed.start_time.unwrap_or(Time::EPOCH),
        end_time: handed.end_time.expect("an end"),
        renew_till: Time::EPOCH,
        is_skey: false,
        flags: handed.flags,
        addresses: vec![],
        authdata: vec![],
        ticket: handed.ticket,
        second_ticket: vec![],
    };
    let service = name(&transport, service);
    fetch(&transport, TgsRequest::new(tgt, service))
}

fn fetch(transport: &Transport, request: TgsRequest) -> Credential {
    let mut exchange = TgsExchange::new(request).expect("a request");
    wait(transport.drive(&mut exchange, ClockOffset::default())).credential
}

/// An acceptor with all keys of a keytab and the defaults of libkrb.
pub fn acceptor(keytab: &Path) -> Acceptor {
    let options = Options::default();
    let replay = Arc::new(MemoryReplayCache::new(options.clock_skew, 1000));
    let keytab = KeytabName::File(keytab.to_owned()).load().expect("a keytab");
    Acceptor::new(&keytab, options, replay).expect("an acceptor")
}

/// What the system's clock shows: peers in other processes live by it.
pub fn now() -> Instant {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
    Instant::from_micros(i64::try_from(since_1970.as_micros()).expect("a year before 294000"))
}
