//! How long a service takes to accept an AP-REQ, replay cache and AP-REP included.

use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage, OsRandom};
use libkrb::flags::{ApOptions, TicketFlags};
use libkrb::keytab::{Keytab, KeytabEntry, RawKey};
use libkrb::name::Principal;
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Acceptor, Options};
use libkrb::time::{Instant, Time};
use libkrb::wire::{
    self, ApReq, AuthData, Authenticator, EncTicketPart, EncryptedData, Fixed, List, Raw, Ticket, TransitedEncoding,
};

const NOW: Time = Time(1_800_000_000);

/// A client with a ticket, as big as one of MIT krb5 with its PAC.
struct Client {
    name: Principal,
    server: Principal,
    session_key: Key,
    ticket: Vec<u8>,
    micros: u32,
    random: OsRandom,
}

impl Client {
    fn new(service_key: &Key, server: Principal) -> Client {
        let mut random = OsRandom::new();
        let name = Principal::parse("alice@EXAMPLE.ORG", None).expect("a name");
        let session_key = Key::random(service_key.etype(), &mut random).expect("a key");
        let pac = [AuthData { kind: libkrb::codes::AuthDataType::WIN2K_PAC, data: &[7; 144] }];
        let pac = wire::encode(&List::Items(&pac));
        let authz = [AuthData { kind: libkrb::codes::AuthDataType::IF_RELEVANT, data: &pac }];
        let ticket = wire::encode(&EncTicketPart {
            flags: TicketFlags::PRE_AUTHENT,
            key: (&session_key).into(),
            client_realm: name.realm(),
            client: (&name).into(),
            transited: TransitedEncoding::NONE,
            auth_time: NOW - 60,
            start_time: None,
            end_time: NOW + 3600,
            renew_till: None,
            addresses: None,
            authorization_data: Some(List::Items(&authz)),
        });
        let ticket = service_key.encrypt(KeyUsage::TICKET, &mut random, &ticket);
        Client { name, server, session_key, ticket, micros: 0, random }
    }

    /// The next request; no two are the same.
    fn ap_req(&mut self, options: ApOptions) -> Vec<u8> {
        self.micros += 1;
        let authenticator = wire::encode(&Authenticator {
            version: Fixed,
            client_realm: self.name.realm(),
            client: (&self.name).into(),
            checksum: None,
            micros: self.micros % 1_000_000,
            time: NOW + i64::from(self.micros / 1_000_000),
            subkey: Some((&self.session_key).into()),
            sequence: Some(self.micros),
            authorization_data: None,
        });
        let authenticator = self.session_key.encrypt(KeyUsage::AP_REQ_AUTHENTICATOR, &mut self.random, &authenticator);
        let etype = self.session_key.etype();
        let enc_part = EncryptedData { etype, kvno: Some(1), cipher: &self.ticket };
        let value = Ticket { version: Fixed, realm: self.server.realm(), server: (&self.server).into(), enc_part };
        let der = wire::encode(&value);
        wire::encode(&ApReq {
            version: Fixed,
            kind: Fixed,
            options,
            ticket: Raw { der: &der, value },
            authenticator: EncryptedData { etype, kvno: None, cipher: &authenticator },
        })
    }
}

fn acceptor(c: &mut Criterion) {
    for etype in [EncryptionType::AES256_SHA1, EncryptionType::AES256_SHA384] {
        let server = Principal::service("host", "www.example.org", "EXAMPLE.ORG");
        let key = Key::random(etype, &mut OsRandom::new()).expect("a key");
        let entry = KeytabEntry { principal: server.clone(), timestamp: NOW, kvno: 1, key: RawKey::from(&key) };
        let replay = Arc::new(MemoryReplayCache::new(300, 100_000_000));
        let keytab = Keytab { entries: vec![entry] };
        let acceptor = Acceptor::new(&keytab, Options::default(), replay).expect("a keytab");
        let mut client = Client::new(&key, server);
        let mut random = OsRandom::new();
        for (name, options) in [("one-way", ApOptions::NONE), ("mutual", ApOptions::MUTUAL_REQUIRED)] {
            c.bench_function(&format!("accept {name} {etype}"), |b| {
                b.iter_batched(
                    || client.ap_req(options),
                    |request| acceptor.accept(Instant::from(NOW), &mut random, &request, None).expect("accepted"),
                    BatchSize::SmallInput,
                );
            });
        }
    }
}

criterion_group!(benches, acceptor);
criterion_main!(benches);
