//! The whole KDC with a small realm behind it: bytes in, and requests that are well formed and
//! sealed with the right keys, so that the code behind the cryptography is reached.

use std::cell::RefCell;

use kdc::core::{Attributes, Outcome};
use libkrb::codes::{EncryptionType, NameType, PaType};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::{KdcOptions, PacOptions, TicketFlags};
use libkrb::preauth::s4u;
use libkrb::time::Instant;
use libkrb::wire::{self, AuthData, HostAddress, KdcRep, KrbError, List, PaPacOptions, TransitedEncoding};
use libkrb::{Principal, Time};

use super::fast;
use super::script::Script;
use crate::joined::{Asking, Bend, Credential, Joined, REALM, as_error, name};

thread_local! {
    /// One realm a thread: making it costs more than asking it.
    static REALM_OF_THREAD: RefCell<Joined> = RefCell::new(realm());
}

/// The realm of [`Joined::new`] and some odd principals.
fn realm() -> Joined {
    let realm = Joined::new();
    realm.add_user("carol", |entry| entry.attributes = Attributes::default());
    realm.add_user("locked", |entry| entry.attributes = Attributes::DISALLOW_ALL_TIX);
    realm.add_user("late", |entry| entry.password_expires = Some(Time(1)));
    realm.add(name("keyless"), |entry| entry.keys.clear());
    realm.add(name("host/strict"), |entry| {
        entry.attributes = Attributes::REQUIRES_PRE_AUTH.with(Attributes::NO_AUTH_DATA_REQUIRED, true);
        entry.strings.insert("session_enctypes".into(), "aes256-sha2 aes128-cts, nonsense".into());
    });
    realm.add(name("host/named"), |entry| entry.aliases = vec![name("host/alias"), name("other@x")]);
    realm.add(Principal::cross_tgs("OTHER.ORG", REALM), |_| {});
    realm.add(name("host/gate"), |entry| {
        entry.attributes = Attributes::OK_TO_AUTH_AS_DELEGATE;
        entry.strings.insert("allowed_to_delegate_to".into(), "host/a* */*".into());
    });
    realm
}

/// Lends the thread's realm, as it was made.
fn with_realm(story: impl FnOnce(&mut Joined)) {
    REALM_OF_THREAD.with_borrow_mut(|realm| {
        realm.reset();
        story(realm);
    });
}

/// What holds of every answer.
fn check(request: &[u8], outcome: &Outcome) {
    let event = &outcome.event;
    let Some(reply) = &outcome.reply else {
        assert!(event.issued.is_none(), "a ticket for nobody");
        return;
    };
    assert!(reply.len() <= 4096 + 2 * request.len(), "{} bytes make {} of them", request.len(), reply.len());
    if let Some(code) = as_error(reply) {
        assert_eq!(event.refusal.map(|(code, _)| code), Some(code), "the log tells what the client was told");
        assert!(event.issued.is_none(), "issued and refused");
        let error = wire::decode::<KrbError<'_>>(reply).expect("a KRB-ERROR");
        assert_eq!(wire::encode(&error), *reply);
    } else {
        assert!(event.refusal.is_none() && event.issued.is_some(), "an answer without an event");
        let reply = wire::decode::<KdcRep<'_>>(reply).expect("a KDC-REP");
        let nobody = Principal::anonymous();
        assert!([REALM, nobody.realm()].contains(&reply.client_realm));
    }
}

/// Any bytes, sent to the KDC.
pub fn kdc_request(data: &[u8]) {
    with_realm(|realm| {
        let outcome = realm.send(data);
        check(data, &outcome);
    });
}

/// A story of requests whose cryptography is right.
pub fn kdc_structured(data: &[u8]) {
    with_realm(|realm| {
        let mut script = Script::new(data);
        bend_policy(realm, &mut script);
        let mut held = vec![realm.login(&Asking::login("alice")).expect("an ordinary login")];
        for _ in 0..6 {
            match script.byte() % 7 {
                0 | 1 => further(realm, &mut script, &mut held),
                2 => login(realm, &mut script, &mut held),
                3 => forge(realm, &mut script, &mut held),
                4 => realm.wait(i64::from(script.number() % 200_000)),
                5 => in_fast(realm, &mut script, &held),
                _ => bent(realm, &mut script, &held),
            }
            if script.is_empty() {
                break;
            }
        }
    });
}

fn bend_policy(realm: &mut Joined, script: &mut Script<'_>) {
    let bits = script.byte();
    let policy = &mut realm.policy;
    policy.check_addresses = bits & 1 != 0;
    policy.hide_unknown_clients = bits & 2 != 0;
    policy.allow_disable_transited_check = bits & 4 != 0;
    policy.require_preauth = bits & 8 != 0;
    realm.from = (bits & 16 != 0).then(|| [10, 0, 0, bits >> 5].into());
}

/// A name that this realm has, or one that it does not.
fn server(script: &mut Script<'_>) -> Option<Principal> {
    const KNOWN: [&str; 12] = [
        "host/a.example.org",
        "krbtgt/EXAMPLE.ORG",
        "host/strict",
        "host/alias",
        "bob",
        "kadmin/changepw",
        "krbtgt/OTHER.ORG",
        "keyless",
        "alice",
        "nobody",
        "host/x",
        "krbtgt/X/Y",
    ];
    match script.byte() % 16 {
        13 => None,
        14 => {
            let kind = NameType(script.byte().into());
            let parts = script.list(4, |script| String::from_utf8_lossy(script.bytes()).into_owned());
            Principal::new(kind, REALM, parts).ok()
        }
        15 => Some(name("host/a.example.org").in_realm("OTHER.ORG")),
        index => Some(name(KNOWN[usize::from(index) % KNOWN.len()])),
    }
}

fn asking(script: &mut Script<'_>, held: &[Credential]) -> Asking {
    let options = match script.byte() % 4 {
        0 => KdcOptions::NONE,
        1 => script.choose(KdcOptions::TABLE).0,
        2 => script.choose(KdcOptions::TABLE).0 | script.choose(KdcOptions::TABLE).0,
        _ => KdcOptions(script.number()),
    };
    let additional = script.list(2, |script| {
        let mut ticket = held[usize::from(script.byte()) % held.len()].ticket.clone();
        if script.seldom(8) {
            let last = ticket.len() - 1;
            ticket[last] ^= 1;
        }
        ticket
    });
    Asking {
        server: server(script),
        options,
        from: script.maybe_time(),
        till: script.time(),
        renew_till: script.maybe_time(),
        nonce: script.number(),
        etypes: script.etypes(),
        addresses: script.addresses(),
        authorization_data: script.seldom(4).then(|| script.authorization_data()),
        realm: if script.seldom(16) { "OTHER.ORG".to_owned() } else { REALM.to_owned() },
        additional,
        ..Asking::login("alice")
    }
}

fn login(realm: &mut Joined, script: &mut Script<'_>, held: &mut Vec<Credential>) {
    let user = script.choose(&[
        "alice",
        "bob",
        "carol",
        "late",
        "locked",
        "keyless",
        "nobody",
        "host/a.example.org",
        "host/gate",
    ]);
    let mut asking = Asking { client: name(user), authorization_data: None, ..asking(script, held) };
    if script.seldom(8) {
        asking.client = asking.client.with_kind(NameType::ENTERPRISE);
    }
    asking.nameless = script.seldom(16);
    asking.padata = script.list(3, |script| {
        (PaType(script.choose(&[149, 150, 2, 136, 138, 133, 151, 16, 128, -1])), script.bytes().to_vec())
    });
    let etype = script.choose(&[EncryptionType::AES256_SHA1, EncryptionType::AES128_SHA1]);
    let own = if ["nobody", "keyless"].contains(&user) { None } else { Some(realm.key(user, etype)) };
    let key = match script.byte() % 8 {
        6 => None,
        7 => Some(Key::new(etype, &vec![7; libkrb::crypto::key_len(etype).expect("known")]).expect("a key")),
        _ => own,
    };
    let request = realm.as_req(&asking, key.as_ref());
    let outcome = realm.send(&request);
    check(&request, &outcome);
    if let (Some(issued), Some(reply)) = (&outcome.event.issued, &outcome.reply) {
        let key = realm.key(user, issued.reply_etype);
        held.extend(Credential::open(reply, &key, KeyUsage::AS_REP_ENC_PART));
    }
}

fn further(realm: &mut Joined, script: &mut Script<'_>, held: &mut Vec<Credential>) {
    let with = held[usize::from(script.byte()) % held.len()].clone();
    let mut asking = asking(script, held);
    if script.seldom(4) {
        about_user(script, &with, &mut asking);
    }
    let bend = bend(script);
    let request = realm.tgs_req_with(&with, &asking, &bend);
    let outcome = realm.send(&request);
    check(&request, &outcome);
    let (Some(issued), Some(reply)) = (&outcome.event.issued, &outcome.reply) else { return };
    assert!(!issued.flags.has(TicketFlags::INITIAL), "INITIAL from a TGS");
    let last = if asking.options.has(KdcOptions::RENEW) { with.renew_till } else { Some(with.end_time) };
    assert!(issued.end_time <= last.unwrap_or(with.end_time), "a ticket outlives the one it comes from");
    let got = Credential::open(reply, &with.key, KeyUsage::TGS_REP_SESSION).expect("a ticket");
    let behalf = outcome.event.on_behalf_of.clone();
    assert!(behalf.is_none() || with.client == name("host/gate"), "nobody else may act for users");
    assert_eq!(got.client, behalf.unwrap_or(with.client), "somebody else's ticket");
    held.push(got);
}

/// Asks in a user's name, or with padata that looks like it.
fn about_user(script: &mut Script<'_>, with: &Credential, asking: &mut Asking) {
    let user = name(script.choose(&["alice", "bob", "locked", "nobody", "WELLKNOWN/ANONYMOUS", "host/alias"]));
    let (kind, mut value) = match script.byte() % 4 {
        0 => (PaType::FOR_USER, s4u::for_user(&with.key, &user)),
        1 => (PaType::FOR_X509_USER, s4u::x509_user(&with.key, asking.nonce, s4u::User::Named(&user))),
        2 => {
            let flags = PacOptions::RESOURCE_BASED_DELEGATION;
            asking.options |= KdcOptions::CNAME_IN_ADDL_TKT;
            (PaType::PAC_OPTIONS, wire::encode(&PaPacOptions { flags }))
        }
        _ => (PaType(script.choose(&[128, 129, 130, 167])), script.bytes().to_vec()),
    };
    if script.seldom(4) {
        script.bend(&mut value);
    }
    asking.padata.push((kind, value));
    if script.seldom(2) {
        asking.server = Some(name(script.choose(&["host/gate", "host/a.example.org", "krbtgt/EXAMPLE.ORG"])));
    }
}

fn bend(script: &mut Script<'_>) -> Bend {
    let mut bend = Bend::default();
    match script.byte() % 16 {
        10 => bend.client = Some(name("bob")),
        11 => bend.time = Some(Instant { time: script.time(), micros: script.number() }),
        12 => bend.checksum_over = Some(script.bytes().to_vec()),
        13 => bend.checksum_kind = Some(libkrb::codes::ChecksumType(script.number() as i32)),
        14 => bend.no_checksum = true,
        15 => bend.authenticator_key = Key::new(EncryptionType::AES128_SHA1, &[1; 16]).ok(),
        _ => (),
    }
    bend
}

/// A ticket with anything in it, under a key of this realm: what another, worse KDC of the realm
/// might have issued.
fn forge(realm: &mut Joined, script: &mut Script<'_>, held: &mut Vec<Credential>) {
    let with = held[usize::from(script.byte()) % held.len()].clone();
    let sealed_by = script.choose(&["krbtgt/EXAMPLE.ORG", "krbtgt/EXAMPLE.ORG", "host/a.example.org"]);
    let flags = TicketFlags(script.number());
    let (auth, start, end, renew_till) = (script.time(), script.maybe_time(), script.time(), script.maybe_time());
    let (hosts, data) = (script.addresses(), script.authorization_data());
    let hosts = hosts.iter().map(|(kind, address)| HostAddress { kind: *kind, address }).collect::<Vec<_>>();
    let data = data.iter().map(|(kind, data)| AuthData { kind: *kind, data }).collect::<Vec<_>>();
    let transited = TransitedEncoding { kind: libkrb::codes::TransitedType(1), contents: script.bytes() };
    let strange = script.seldom(4);
    let forged = realm.forge(&with, sealed_by, |part| {
        part.flags = flags;
        (part.auth_time, part.start_time, part.end_time, part.renew_till) = (auth, start, end, renew_till);
        part.addresses = (!hosts.is_empty()).then_some(List::Items(&hosts));
        part.authorization_data = (!data.is_empty()).then_some(List::Items(&data));
        part.transited = transited;
        if strange {
            part.client_realm = "OTHER.ORG";
        }
    });
    let start_time = start.unwrap_or(auth);
    let client = if strange { forged.client.in_realm("OTHER.ORG") } else { forged.client.clone() };
    held.push(Credential { client, flags, auth_time: auth, start_time, end_time: end, renew_till, ..forged });
}

/// A request in an envelope.
fn in_fast(realm: &mut Joined, script: &mut Script<'_>, held: &[Credential]) {
    let (within, outside) = (asking(script, held), asking(script, held));
    let [within, outside] = [within, outside].map(|asking| Asking { authorization_data: None, ..asking });
    let request = fast::enveloped(realm, script, held, (&within, &outside));
    let outcome = realm.send(&request);
    check(&request, &outcome);
}

/// A right request, some bytes of it changed on the way.
fn bent(realm: &mut Joined, script: &mut Script<'_>, held: &[Credential]) {
    let with = held[usize::from(script.byte()) % held.len()].clone();
    let asking = asking(script, held);
    let mut request = if script.seldom(2) {
        let key = realm.key("alice", EncryptionType::AES256_SHA1);
        realm.as_req(&Asking { authorization_data: None, ..asking }, Some(&key))
    } else {
        realm.tgs_req(&with, &asking)
    };
    script.bend(&mut request);
    let outcome = realm.send(&request);
    check(&request, &outcome);
}
