//! What comes through the newer doors: messages of proxies, of the daemon for caches and to it, and of clients that log
//! in through a service.

use std::cell::RefCell;
use std::sync::Arc;

use kinit::kcmd::house::{Bounds, Houses};
use libkrb::Principal;
use libkrb::ccache::kcm::protocol::{Reply, Request};
use libkrb::client::{AsRequest, Secret};
use libkrb::crypto::OsRandom;
use libkrb::gss::{
    AcceptorOptions, IakerbAcceptor, IakerbAnswer, IakerbStep, InitiatorContext, InitiatorOptions, Login, Mechanism,
};
use libkrb::keytab::Keytab;
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Acceptor, Options};
use libkrb::time::Instant;
use libkrb::wire::{KdcProxyMessage, is_for_kdc};

use super::script::Script;

/// What is read is what would be written, and its frame fits.
pub fn kkdcp_message(data: &[u8]) {
    let Ok(read) = KdcProxyMessage::read(data) else { return };
    let Ok(message) = read.message() else { return };
    let _ = is_for_kdc(message);
    let again = KdcProxyMessage::wrap(message, read.realm).expect("as long as it was");
    let again = KdcProxyMessage::read(&again).expect("what we write");
    assert_eq!((again.message(), again.realm), (Ok(message), read.realm));
}

const BOUNDS: Bounds = Bounds { of_user: 1 << 16, of_all: 3 << 16 };

thread_local! {
    static HOUSES: RefCell<Houses> = RefCell::new(Houses::new(BOUNDS, || [7; 16]));
}

/// Requests of several users to a daemon, whose answers a client reads; then any bytes as an answer.
pub fn kcm(data: &[u8]) {
    let mut script = Script::new(data);
    let user = u32::from(script.byte() % 4);
    let bytes = script.remainder();
    if let Ok(request) = Request::decode(bytes) {
        assert_eq!(Request::decode(&request.encode()), Ok(request.clone()), "what was read is what is written");
        HOUSES.with_borrow_mut(|houses| {
            if let Ok(reply) = houses.answer(user, request.clone()) {
                assert_eq!(Reply::decode(&request, &reply.encode()), Ok(reply));
            }
            assert!(houses.held() <= BOUNDS.of_all);
        });
    }
    let name = || "x".to_owned();
    for request in [Request::Owner(name()), Request::CacheIds, Request::Credentials(name()), Request::Primary] {
        let _ = Reply::decode(&request, bytes);
    }
}

/// Any bytes to the service, and any bytes to the client.
pub fn iakerb_token(data: &[u8]) {
    [Mechanism::Kerberos, Mechanism::Spnego].into_iter().for_each(|mechanism| iakerb(data, mechanism));
}

fn iakerb(data: &[u8], mechanism: Mechanism) {
    let mut script = Script::new(data);
    let (now, random) = (Instant::from_micros(1_800_000_000_000_000), &mut OsRandom::new());
    let principal = |text: &str| Principal::parse(text, Some("EXAMPLE.ORG")).expect("a name");
    let nobody = Acceptor::new(&Keytab::default(), Options::default(), Arc::new(MemoryReplayCache::new(300, 10)));
    let mut server =
        nobody.map(|nobody| IakerbAcceptor::new(Arc::new(nobody), AcceptorOptions::default(), &["EXAMPLE.ORG"]));
    let login = Login::new(AsRequest::new(principal("alice")), Secret::password("secret"), principal("host/a"));
    let options = InitiatorOptions { mechanism, ..InitiatorOptions::default() };
    let mut client = InitiatorContext::through_service(login, options).expect("a client");
    let _ = client.step(now, random, None);
    for _ in 0..4 {
        let token = script.bytes().to_vec();
        if let Ok(server) = &mut server
            && let Ok(IakerbStep::Ask { realm, .. }) = server.step(now, random, &token, None)
        {
            assert_eq!(realm, "EXAMPLE.ORG", "nobody else is asked");
            let _ = server.answered(now, &IakerbAnswer::Reply(token.clone()));
        }
        if client.step(now, random, Some(&token)).is_err() {
            return;
        }
    }
}
