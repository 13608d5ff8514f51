//! How often the KDC's mind, an acceptor and its client ask the allocator for memory: a bound for each kind of
//! request, so that what is made on the way is noticed. A counting allocator needs a program of its own.

use std::alloc::System;
use std::sync::Arc;

use libkrb::ccache::Credential;
use libkrb::codes::EncryptionType;
use libkrb::gss::{
    AcceptStep, AcceptorContext, AcceptorOptions, InitiatorContext, InitiatorOptions, InitiatorStep, Mechanism,
};
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Acceptor, Options};
use libkrb::time::Instant;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tests::armored::{self, Armor, Inside};
use tests::joined::{Asking, Joined, Sequence};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ETYPE: EncryptionType = EncryptionType::AES256_SHA1;
const REQUESTS: usize = 100;

/// Allocations and reallocations for each of many requests, after one that finds nothing prepared.
fn counted(requests: &[Vec<u8>]) -> usize {
    let mut server = Joined::new();
    of_each(requests, |request| assert!(server.send(request).event.issued.is_some()))
}

/// The same of any work; a few pieces of it go before.
fn of_each<T>(pieces: &[T], mut work: impl FnMut(&T)) -> usize {
    let (first, rest) = pieces.split_at(3);
    first.iter().for_each(&mut work);
    let region = Region::new(ALLOCATOR);
    rest.iter().for_each(work);
    let change = region.change();
    (change.allocations + change.reallocations) / rest.len()
}

/// A context of the Kerberos mechanism, and its first token.
fn initiate(ticket: &Credential, now: Instant) -> (InitiatorContext, Vec<u8>) {
    let options = InitiatorOptions { mechanism: Mechanism::Kerberos, ..InitiatorOptions::default() };
    let mut context = InitiatorContext::new(ticket, options).expect("a context");
    match context.step(now, &mut Sequence(5), None).expect("a token") {
        InitiatorStep::Continue(token) => (context, token),
        InitiatorStep::Done(..) => panic!("no proof was asked for"),
    }
}

/// Accepts tokens with a replay cache, and proves the service.
fn accepted(realm: &Joined, tokens: &[(InitiatorContext, Vec<u8>)]) -> usize {
    // With room from the start: growing it is the work of many tokens.
    let replays = Arc::new(MemoryReplayCache::new(300, 1_000));
    let acceptor = Acceptor::new(&realm.keytab(&["host/a.example.org"]), Options::default(), replays);
    let acceptor = Arc::new(acceptor.expect("an acceptor"));
    of_each(tokens, |(_, token)| {
        let mut context = AcceptorContext::new(acceptor.clone(), AcceptorOptions::default());
        let step = context.step(realm.now, &mut Sequence(6), token, None).expect("an honest client");
        assert!(matches!(step, AcceptStep::Done(_, _, Some(_))));
    })
}

fn asking(asking: Asking) -> Asking {
    Asking { etypes: vec![ETYPE], ..asking }
}

/// Tickets for one service, with their PACs.
fn realm_tickets(client: &mut Joined, tgt: &tests::joined::Credential) -> Vec<Credential> {
    let service = asking(Asking::service("host/a.example.org"));
    (0..REQUESTS).map(|_| client.tgs(tgt, &service).expect("a ticket").cached()).collect()
}

/// So many microseconds later.
fn at(client: &Joined, micros: usize) -> Instant {
    Instant::from_micros(client.now.as_micros() + micros as i64)
}

/// One test, for others at the same time would be counted too.
#[test]
fn a_request_asks_the_allocator_for_no_more_than_its_bound() {
    let mut client = Joined::new();
    let (login, service) = (asking(Asking::login("alice")), asking(Asking::service("host/a.example.org")));
    let key = client.key("alice", ETYPE);
    let logins: Vec<_> = (0..REQUESTS).map(|_| client.as_req(&login, Some(&key))).collect();
    let tgt = client.login(&login).expect("a TGT");
    let services: Vec<_> = (0..REQUESTS).map(|_| client.tgs_req(&tgt, &service)).collect();
    let host = client.login(&asking(Asking::login("host/b.example.org"))).expect("a host's ticket");
    let armor = Armor::new(&mut client, &host);
    let armored_logins = (0..REQUESTS).map(|_| {
        let inside = Inside::of(vec![armor.challenge(&mut client, &key)]);
        armor.as_req(&mut client, &login, &inside)
    });
    let armored_logins: Vec<_> = armored_logins.collect();
    let armored_services = (0..REQUESTS).map(|_| armored::tgs_req(&mut client, &tgt, (&service, &service), None).0);
    let armored_services: Vec<_> = armored_services.collect();
    let rows = [
        ("AS", &logins, 5),
        ("TGS", &services, 12),
        ("AS in FAST", &armored_logins, 20),
        ("TGS in FAST", &armored_services, 20),
    ];
    let counts = rows.map(|(what, requests, most)| (what, counted(requests), most));
    let held = realm_tickets(&mut client, &tgt);
    let known: Vec<_> = (0..REQUESTS).map(|micros| initiate(&held[0], at(&client, micros))).collect();
    let new: Vec<_> = held.iter().map(|ticket| initiate(ticket, client.now)).collect();
    let counts = [
        &counts[..],
        &[
            ("token of a ticket that is held", of_each(&held, |ticket| drop(initiate(ticket, client.now))), 11),
            ("acceptor, ticket known", accepted(&client, &known), 7),
            ("acceptor, ticket new", accepted(&client, &new), 20),
        ],
    ]
    .concat();
    for (what, count, most) in counts.clone() {
        assert!(count <= most, "{what}: {count} allocations a request, {most} at most, of {counts:?}");
    }
}
