//! What a message of 300 octets costs, with the key prepared and from the bare key.
//! `cargo bench -p libkrb --bench crypto`.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use libkrb::crypto::{Key, KeyUsage, OsRandom, Random, SUPPORTED};

/// About an EncTicketPart.
const PLAIN: [u8; 300] = [0x5a; 300];

fn messages(criterion: &mut Criterion) {
    let mut random = OsRandom::new();
    for etype in SUPPORTED {
        let key = Key::random(*etype, &mut random).expect("a supported enctype");
        let usage = KeyUsage::TICKET;
        let prepared = key.prepare(usage);
        let cipher = key.encrypt(usage, &mut random, &PLAIN);
        let mac = key.checksum(usage, &PLAIN);
        let signing = key.prepare_checksum(usage);

        let mut group = criterion.benchmark_group(etype.to_string());
        group.throughput(Throughput::Bytes(PLAIN.len() as u64));
        let mut out = Vec::with_capacity(512);
        group.bench_function("encrypt prepared", |bencher| {
            bencher.iter(|| {
                out.clear();
                prepared.encrypt_into(&mut random, black_box(&PLAIN), &mut out);
            });
        });
        group.bench_function("encrypt bare", |bencher| {
            bencher.iter(|| {
                out.clear();
                key.encrypt_into(usage, &mut random, black_box(&PLAIN), &mut out);
            });
        });
        group.bench_function("decrypt prepared", |bencher| {
            bencher.iter_batched_ref(
                || cipher.clone(),
                |cipher| prepared.decrypt_in_place(cipher).is_ok(),
                BatchSize::SmallInput,
            );
        });
        group.bench_function("decrypt bare", |bencher| {
            bencher.iter_batched_ref(
                || cipher.clone(),
                |cipher| key.decrypt_in_place(usage, cipher).is_ok(),
                BatchSize::SmallInput,
            );
        });
        let kind = key.checksum_type();
        group.bench_function("verify checksum prepared", |bencher| {
            bencher.iter(|| signing.verify(kind, black_box(&PLAIN), &mac).is_ok());
        });
        group.bench_function("verify checksum bare", |bencher| {
            bencher.iter(|| key.verify_checksum(usage, kind, black_box(&PLAIN), &mac).is_ok());
        });
        group.bench_function("make ready", |bencher| bencher.iter(|| key.prepare(black_box(usage))));
        group.finish();
    }
}

fn randomness(criterion: &mut Criterion) {
    let mut random = OsRandom::new();
    let mut confounder = [0; 16];
    criterion.bench_function("random confounder", |bencher| bencher.iter(|| random.fill(black_box(&mut confounder))));
}

criterion_group!(benches, messages, randomness);
criterion_main!(benches);
