//! libkrb in the test's own process, beside the peer's programs: a ticket from the realm's KDC over
//! the network, and an acceptor with a keytab that the realm wrote.

use std::path::Path;
use std::sync::Arc;

use libkrb::Principal;
use libkrb::ccache::Credential;
use libkrb::config::Config;
use libkrb::keytab::KeytabName;
use libkrb::net::{Client, Transport};
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Acceptor, Options};
use libkrb::time::Instant;

use crate::{PATIENCE, Seat};

/// A ticket for a service, with a password.
pub fn ticket(seat: &Seat<'_>, client: &str, password: &str, service: &str) -> Credential {
    let text = std::fs::read_to_string(seat.configuration()).expect("the client's krb5.conf");
    let config = Arc::new(Config::parse("krb5.conf", &text).expect("a krb5.conf"));
    let realm = config.default_realm().map(str::to_owned);
    let name = |text| Principal::parse(text, realm.as_deref()).expect("a principal");
    let client = Client::with_password(Transport::new(config), name(client), password);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let service = name(service);
    let ticket = runtime.block_on(async { tokio::time::timeout(PATIENCE, client.ticket(&service)).await });
    (*ticket.expect("an answer in time").expect("a ticket")).clone()
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
