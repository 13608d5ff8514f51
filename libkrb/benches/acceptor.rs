//! How long a service takes to accept an AP-REQ, replay cache and AP-REP included; the same as a GSS
//! context, and the messages in it.

use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use libkrb::ccache::Credential;
use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage, OsRandom};
use libkrb::flags::{ApOptions, TicketFlags};
use libkrb::gss::{AcceptStep, AcceptorContext, Context, InitiatorContext, InitiatorOptions, InitiatorStep, Mechanism};
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
        let der = self.ticket();
        wire::encode(&ApReq {
            version: Fixed,
            kind: Fixed,
            options,
            ticket: Raw::parse(&der).expect("a ticket"),
            authenticator: EncryptedData { etype, kvno: None, cipher: &authenticator },
        })
    }

    fn ticket(&self) -> Vec<u8> {
        let enc_part = EncryptedData { etype: self.session_key.etype(), kvno: Some(1), cipher: &self.ticket };
        wire::encode(&Ticket { version: Fixed, realm: self.server.realm(), server: (&self.server).into(), enc_part })
    }

    /// The ticket as a cache keeps it.
    fn credential(&self) -> Credential {
        Credential {
            client: self.name.clone(),
            server: self.server.clone(),
            key: RawKey::from(&self.session_key),
            auth_time: NOW - 60,
            start_time: NOW - 60,
            end_time: NOW + 3600,
            renew_till: Time::EPOCH,
            is_skey: false,
            flags: TicketFlags::PRE_AUTHENT,
            addresses: vec![],
            authdata: vec![],
            ticket: self.ticket(),
            second_ticket: vec![],
        }
    }
}

/// A client and its service.
fn both(etype: EncryptionType) -> (Client, Acceptor) {
    let server = Principal::service("host", "www.example.org", "EXAMPLE.ORG");
    let key = Key::random(etype, &mut OsRandom::new()).expect("a key");
    let entry = KeytabEntry { principal: server.clone(), timestamp: NOW, kvno: 1, key: RawKey::from(&key) };
    let replay = Arc::new(MemoryReplayCache::new(300, 100_000_000));
    let keytab = Keytab { entries: vec![entry] };
    let acceptor = Acceptor::new(&keytab, Options::default(), replay).expect("a keytab");
    (Client::new(&key, server), acceptor)
}

fn acceptor(c: &mut Criterion) {
    for etype in [EncryptionType::AES256_SHA1, EncryptionType::AES256_SHA384] {
        let (mut client, acceptor) = both(etype);
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

/// A client's first token, and what it then is.
fn first(ticket: &Credential, now: Instant, random: &mut OsRandom) -> (InitiatorContext, Vec<u8>) {
    let options = InitiatorOptions { mechanism: Mechanism::Kerberos, ..InitiatorOptions::default() };
    let mut initiator = InitiatorContext::new(ticket, options).expect("a ticket");
    match initiator.step(now, random, None) {
        Ok(InitiatorStep::Continue(token)) => (initiator, token),
        other => panic!("a first token: {other:?}"),
    }
}

fn accept(acceptor: &Arc<Acceptor>, token: &[u8], random: &mut OsRandom) -> (Box<Context>, Vec<u8>) {
    let mut context = AcceptorContext::new(acceptor.clone(), Default::default());
    match context.step(Instant::from(NOW), random, token, None) {
        Ok(AcceptStep::Done(context, _, Some(token))) => (context, token),
        other => panic!("accepted: {other:?}"),
    }
}

fn contexts(c: &mut Criterion) {
    for etype in [EncryptionType::AES256_SHA1, EncryptionType::AES256_SHA384] {
        let (client, acceptor) = both(etype);
        let (acceptor, ticket) = (Arc::new(acceptor), client.credential());
        let (random, clients) = (&mut OsRandom::new(), &mut OsRandom::new());
        let mut micros = 0;
        let mut next = || {
            micros += 1;
            Instant { micros: micros % 1_000_000, time: NOW + i64::from(micros / 1_000_000) }
        };
        c.bench_function(&format!("gss initiate {etype}"), |b| b.iter(|| first(&ticket, next(), clients)));
        c.bench_function(&format!("gss accept mutual {etype}"), |b| {
            let request = || first(&ticket, next(), clients).1;
            b.iter_batched(request, |token| accept(&acceptor, &token, random), BatchSize::SmallInput);
        });
        let (mut initiator, token) = first(&ticket, next(), clients);
        let (mut theirs, answer) = accept(&acceptor, &token, random);
        let Ok(InitiatorStep::Done(mut ours, _)) = initiator.step(Instant::from(NOW), random, Some(&answer)) else {
            panic!("an open context")
        };
        for length in [64, 1024, 16 * 1024] {
            let message = vec![7; length];
            c.bench_function(&format!("gss wrap and unwrap {length} {etype}"), |b| {
                b.iter(|| {
                    let token = ours.wrap(random, true, &message).expect("a token");
                    theirs.unwrap(&token).expect("the message")
                });
            });
            let room = ours.wrap_room(true).expect("room");
            let mut place = vec![7; room.before + length + room.after];
            c.bench_function(&format!("gss wrap and unwrap in place {length} {etype}"), |b| {
                b.iter(|| {
                    ours.wrap_in_place(random, true, &mut place).expect("a token");
                    theirs.unwrap_in_place(&mut place).expect("the message")
                });
            });
        }
    }
}

criterion_group!(benches, acceptor, contexts);
criterion_main!(benches);
