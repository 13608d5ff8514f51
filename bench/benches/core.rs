//! The codec, and the KDC's mind without sockets: bytes in, bytes out.
#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use libkrb::codes::EncryptionType;
use libkrb::wire::{self, KdcReq};
use tests::joined::{Asking, Joined};

fn codec(c: &mut Criterion) {
    let mut realm = Joined::new();
    let key = realm.key("alice", EncryptionType::AES256_SHA1);
    let request = realm.as_req(&Asking::login("alice"), Some(&key));
    c.bench_function("decode AS-REQ", |b| b.iter(|| wire::decode::<KdcReq<'_>>(&request).expect("a request").kind));
    let message = wire::decode::<KdcReq<'_>>(&request).expect("a request");
    c.bench_function("encode AS-REQ", |b| b.iter(|| wire::encode(&message)));
}

fn core(c: &mut Criterion) {
    let mut realm = Joined::new();
    let key = realm.key("alice", EncryptionType::AES256_SHA1);
    let asking = Asking::login("alice");
    c.bench_function("core AS, encrypted timestamp, aes256-sha1", |b| {
        b.iter_batched(
            || realm.as_req(&asking, Some(&key)),
            |request| {
                let outcome = shared(&request);
                assert!(outcome.event.issued.is_some(), "{:?}", outcome.event);
            },
            BatchSize::SmallInput,
        );
    });
    let tgt = realm.login(&asking).expect("a TGT");
    let service = Asking::service("host/a.example.org");
    c.bench_function("core TGS, aes256-sha1", |b| {
        b.iter_batched(
            || realm.tgs_req(&tgt, &service),
            |request| {
                let outcome = shared(&request);
                assert!(outcome.event.issued.is_some(), "{:?}", outcome.event);
            },
            BatchSize::SmallInput,
        );
    });
}

/// A second, equal realm answers, so that one can make requests while the other is borrowed.
fn shared(request: &[u8]) -> kdc::core::Outcome {
    use std::cell::RefCell;
    thread_local!(static REALM: RefCell<Joined> = RefCell::new(Joined::new()));
    REALM.with_borrow_mut(|realm| realm.send(request))
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50);
    targets = codec, core
}
criterion_main!(benches);
