//! How often the KDC's mind asks the allocator for memory: a bound for each kind of request, so that what
//! is made on the way is noticed. A counting allocator needs a program of its own.

use std::alloc::System;

use libkrb::codes::EncryptionType;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tests::armored::{self, Armor, Inside};
use tests::joined::{Asking, Joined};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ETYPE: EncryptionType = EncryptionType::AES256_SHA1;
const REQUESTS: usize = 100;

/// Allocations and reallocations for each of many requests, after one that finds nothing prepared.
fn counted(requests: &[Vec<u8>]) -> usize {
    let mut server = Joined::new();
    let (first, rest) = requests.split_first().expect("requests");
    assert!(server.send(first).event.issued.is_some());
    let region = Region::new(ALLOCATOR);
    for request in rest {
        assert!(server.send(request).event.issued.is_some());
    }
    let change = region.change();
    (change.allocations + change.reallocations) / rest.len()
}

fn asking(asking: Asking) -> Asking {
    Asking { etypes: vec![ETYPE], ..asking }
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
        ("AS", &logins, 36),
        ("TGS", &services, 62),
        ("AS in FAST", &armored_logins, 68),
        ("TGS in FAST", &armored_services, 80),
    ];
    let counts = rows.map(|(what, requests, most)| (what, counted(requests), most));
    for (what, count, most) in counts {
        assert!(count <= most, "{what}: {count} allocations a request, {most} at most, of {counts:?}");
    }
}
