//! The acceptor: bytes in, and AP-REQs whose cryptography is right.

use std::cell::RefCell;
use std::sync::Arc;

use libkrb::codes::{ChecksumType, EncryptionType};
use libkrb::crypto::KeyUsage;
use libkrb::flags::{ApOptions, TicketFlags};
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Acceptor, Options};
use libkrb::time::Instant;
use libkrb::wire::{
    self, ApReq, AuthData, Authenticator, Checksum, EncryptedData, EncryptionKey, Fixed, HostAddress, KrbError, List,
    Raw,
};

use super::script::Script;
use crate::joined::{Asking, Credential, Joined, NOW, Sequence, as_error, name};

pub(super) const HOST: &str = "host/a.example.org";

thread_local! {
    /// A realm and a ticket of it; the seeds hold AP-REQs with that same ticket.
    static PLACE: RefCell<(Joined, Credential)> = RefCell::new({
        let mut realm = Joined::new();
        let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
        let ticket = realm.tgs(&tgt, &Asking::service(HOST)).expect("a ticket");
        (realm, ticket)
    });
}

/// A service that has seen nobody yet.
pub(super) fn fresh_acceptor(realm: &Joined) -> Acceptor {
    acceptor_of(realm, Options::default())
}

fn acceptor_of(realm: &Joined, options: Options) -> Acceptor {
    Acceptor::new(&realm.keytab(&[HOST]), options, Arc::new(MemoryReplayCache::new(300, 100))).expect("a keytab")
}

fn offer(acceptor: &Acceptor, now: Instant, ap_req: &[u8], then: &[u8]) {
    match acceptor.accept(now, &mut Sequence(9), ap_req, Some([10, 0, 0, 1].into())) {
        Err(refusal) => {
            let error = refusal.krb_error();
            assert_eq!(as_error(&error), Some(refusal.code()));
            wire::decode::<KrbError<'_>>(&error).expect("a KRB-ERROR");
        }
        Ok(accepted) => {
            assert_eq!(accepted.server, name(HOST));
            assert!(accepted.client.names_something(), "a nameless client");
            let mut session = accepted.session();
            let _ = (session.read_priv(now, then), session.read_safe(now, then));
            let again = acceptor.accept(now, &mut Sequence(9), ap_req, Some([10, 0, 0, 1].into()));
            assert!(again.is_err(), "accepted twice");
        }
    }
}

/// That a principal has components.
trait Named {
    fn names_something(&self) -> bool;
}

impl Named for libkrb::Principal {
    fn names_something(&self) -> bool {
        !self.components().is_empty() && !self.realm().is_empty()
    }
}

/// Any bytes, offered to a service.
pub fn acceptor(data: &[u8]) {
    PLACE.with_borrow(|(realm, _)| {
        let acceptor = acceptor_of(realm, Options::default());
        offer(&acceptor, Instant::from(NOW), data, data);
    });
}

/// Tickets and authenticators with anything in them, sealed with the right keys.
pub fn acceptor_structured(data: &[u8]) {
    PLACE.with_borrow_mut(|(realm, credential)| {
        realm.reset();
        let mut script = Script::new(data);
        let forged = forge(realm, credential, &mut script);
        let bits = script.byte();
        let options = Options {
            service: (bits & 1 != 0).then(|| name(HOST)),
            require_initial: bits & 2 != 0,
            require_addresses: bits & 4 != 0,
            accept_unchecked_path: bits & 8 != 0,
            acceptor_subkey: bits & 16 == 0,
            ..Options::default()
        };
        let acceptor = acceptor_of(realm, options);
        let mut request = ap_req(&forged, &mut script);
        if script.seldom(4) {
            script.bend(&mut request);
        }
        offer(&acceptor, Instant::from(NOW), &request, script.remainder());
    });
}

/// An AP-REQ that the service of these targets accepts.
pub fn honest_ap_req() -> Vec<u8> {
    PLACE.with_borrow(|(_, credential)| ap_req(credential, &mut Script::new(&[])))
}

fn forge(realm: &mut Joined, with: &Credential, script: &mut Script<'_>) -> Credential {
    if script.seldom(2) {
        return with.clone();
    }
    let flags = TicketFlags(script.number());
    let (auth, start, end) = (script.time(), script.maybe_time(), script.time());
    let (hosts, data) = (script.addresses(), script.authorization_data());
    let hosts = hosts.iter().map(|(kind, address)| HostAddress { kind: *kind, address }).collect::<Vec<_>>();
    let data = data.iter().map(|(kind, data)| AuthData { kind: *kind, data }).collect::<Vec<_>>();
    let (kind, contents) = (libkrb::codes::TransitedType(script.byte().into()), script.bytes());
    realm.forge(with, HOST, |part| {
        (part.flags, part.auth_time, part.start_time, part.end_time) = (flags, auth, start, end);
        part.addresses = (!hosts.is_empty()).then_some(List::Items(&hosts));
        part.authorization_data = (!data.is_empty()).then_some(List::Items(&data));
        part.transited = wire::TransitedEncoding { kind, contents };
    })
}

fn ap_req(with: &Credential, script: &mut Script<'_>) -> Vec<u8> {
    let bob = name("bob");
    let client = if script.seldom(8) { &bob } else { &with.client };
    let kind = script.choose(&[0x8003, 16, 15, 7, 1, -138]);
    let checksum = script.seldom(2).then(|| Checksum { kind: ChecksumType(kind), checksum: script.bytes() });
    let subkey = script.seldom(2).then(|| EncryptionKey {
        etype: EncryptionType(script.choose(&[18, 17, 19, 26, 23, 0, -1])),
        value: script.bytes(),
    });
    let data = script.authorization_data();
    let data = data.iter().map(|(kind, data)| AuthData { kind: *kind, data }).collect::<Vec<_>>();
    let at = if script.seldom(8) { script.time() } else { NOW };
    let plain = wire::encode(&Authenticator {
        version: Fixed,
        client_realm: client.realm(),
        client: client.into(),
        checksum,
        micros: script.number() % 1_100_000,
        time: at,
        subkey,
        sequence: script.seldom(2).then(|| script.number()),
        authorization_data: (!data.is_empty()).then_some(List::Items(&data)),
    });
    let cipher = with.key.encrypt(KeyUsage::AP_REQ_AUTHENTICATOR, &mut Sequence(3), &plain);
    wire::encode(&ApReq {
        version: Fixed,
        kind: Fixed,
        options: ApOptions(u32::from(script.byte()) << 24),
        ticket: Raw::parse(&with.ticket).expect("a ticket"),
        authenticator: EncryptedData { etype: with.key.etype(), kvno: None, cipher: &cipher },
    })
}
