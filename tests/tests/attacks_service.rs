//! What broke other acceptors, sent to this one: each case under its own name, with tickets from a
//! KDC in memory.

use std::sync::Arc;

use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::{ApOptions, KdcOptions};
use libkrb::keytab::{Keytab, KeytabEntry};
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Accepted, Acceptor, Options};
use libkrb::session::{Role, Session};
use libkrb::wire::{self, ApRep, ApReq, Authenticator, EncApRepPart, EncryptedData, Fixed, Raw, Ticket};
use libkrb::{ErrorCode, Principal};
use tests::joined::{Asking, Credential, Joined, REALM, Sequence, name};

const HOST: &str = "host/a.example.org";

fn acceptor_of(keytab: &Keytab) -> Acceptor {
    Acceptor::new(keytab, Options::default(), Arc::new(MemoryReplayCache::new(300, 1000))).expect("a keytab")
}

fn acceptor(realm: &Joined) -> Acceptor {
    acceptor_of(&realm.keytab(&[HOST]))
}

fn ticket_for(realm: &mut Joined, service: &str) -> Credential {
    let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
    realm.tgs(&tgt, &Asking::service(service)).expect("a ticket")
}

/// The AP-REQ of an honest client.
fn ap_req(realm: &mut Joined, with: &Credential, options: ApOptions) -> Vec<u8> {
    realm.tick();
    let plain = wire::encode(&Authenticator {
        version: Fixed,
        client_realm: with.client.realm(),
        client: (&with.client).into(),
        checksum: None,
        micros: realm.now.micros,
        time: realm.now.time,
        subkey: None,
        sequence: Some(7),
        authorization_data: None,
    });
    let cipher = with.key.encrypt(KeyUsage::AP_REQ_AUTHENTICATOR, &mut Sequence(3), &plain);
    wire::encode(&ApReq {
        version: Fixed,
        kind: Fixed,
        options,
        ticket: Raw::parse(&with.ticket).expect("a ticket"),
        authenticator: EncryptedData { etype: with.key.etype(), kvno: None, cipher: &cipher },
    })
}

/// The same request with another clear part of its ticket.
fn retitled<'a>(ap_req: &'a [u8], change: impl FnOnce(&mut Ticket<'a>)) -> Vec<u8> {
    let request: ApReq<'a> = wire::decode(ap_req).expect("an AP-REQ");
    let mut value = request.ticket.value;
    change(&mut value);
    let der = wire::encode(&value);
    wire::encode(&ApReq { ticket: Raw { der: &der, value }, ..request })
}

fn accept(realm: &Joined, acceptor: &Acceptor, ap_req: &[u8]) -> Result<Accepted, ErrorCode> {
    acceptor.accept(realm.now, &mut Sequence(9), ap_req, None).map_err(|refusal| refusal.code())
}

#[test]
fn the_life_of_a_ticket_from_password_to_private_message() {
    let mut realm = Joined::new();
    let credential = ticket_for(&mut realm, HOST);
    let request = ap_req(&mut realm, &credential, ApOptions::MUTUAL_REQUIRED);
    let accepted = accept(&realm, &acceptor(&realm), &request).expect("accepted");
    assert_eq!((&accepted.client, &accepted.server), (&name("alice"), &name(HOST)));
    assert_eq!((accepted.flags, accepted.times.end), (credential.flags, credential.end_time));

    let reply: ApRep<'_> = wire::decode(accepted.reply.as_ref().expect("mutual")).expect("an AP-REP");
    let plain = credential.key.decrypt(KeyUsage::AP_REP, reply.enc_part.cipher).expect("the service has the key");
    let part: EncApRepPart<'_> = wire::decode(&plain).expect("EncAPRepPart");
    assert_eq!((part.time, part.micros), (realm.now.time, realm.now.micros));
    let key = part.subkey.expect("a subkey").key().expect("a key");
    let mut client = Session::new(&key, Role::Initiator, 7, part.sequence.expect("a number"));
    let message = client.make_priv(realm.now, &mut Sequence(5), b"hello").expect("a message");
    assert_eq!(accepted.session().read_priv(realm.now, &message).expect("readable").as_slice(), b"hello");
}

#[test]
fn a11_a_service_does_not_let_itself_be_talked_into_rc4() {
    let mut realm = Joined::new();
    let credential = ticket_for(&mut realm, HOST);
    let request = ap_req(&mut realm, &credential, ApOptions::NONE);
    let rc4 = retitled(&request, |ticket| ticket.enc_part.etype = EncryptionType::RC4_HMAC);
    assert_eq!(accept(&realm, &acceptor(&realm), &rc4).expect_err("refused"), ErrorCode::ETYPE_NOSUPP);
}

#[test]
fn b11_a_user_to_user_ticket_opens_with_the_tgt_it_was_made_for() {
    let mut realm = Joined::new();
    let bob = realm.login(&Asking::login("bob")).expect("bob's TGT");
    let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
    let asking = Asking { additional: vec![bob.ticket.clone()], ..Asking::service("bob") };
    let credential = realm.tgs(&tgt, &asking.with(KdcOptions::ENC_TKT_IN_SKEY)).expect("a ticket");
    let request = ap_req(&mut realm, &credential, ApOptions::USE_SESSION_KEY);
    let user = |key: &Key| {
        let replay = Arc::new(MemoryReplayCache::new(300, 10));
        Acceptor::user_to_user(name("bob"), key, Options::default(), replay)
    };
    assert_eq!(accept(&realm, &user(&tgt.key), &request).expect_err("not bob"), ErrorCode::BAD_INTEGRITY);
    assert_eq!(accept(&realm, &user(&bob.key), &request).expect("bob").client, name("alice"));
    assert_eq!(accept(&realm, &acceptor(&realm), &request).expect_err("no TGT"), ErrorCode::NO_TGT);
}

#[test]
fn b12_tickets_for_the_kdc_and_for_password_changes_open_no_other_service() {
    let mut realm = Joined::new();
    let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
    let asking = Asking { server: Some(Principal::changepw(REALM)), ..Asking::login("alice") };
    let changepw = realm.login(&asking).expect("an initial ticket");
    let acceptor = acceptor(&realm);
    for credential in [tgt, changepw] {
        let request = ap_req(&mut realm, &credential, ApOptions::NONE);
        assert_eq!(accept(&realm, &acceptor, &request).expect_err("not for us"), ErrorCode::NOKEY);
        let server = name(HOST);
        let dressed = retitled(&request, |ticket| ticket.server = (&server).into());
        assert_eq!(accept(&realm, &acceptor, &dressed).expect_err("not for us"), ErrorCode::BAD_INTEGRITY);
    }
}

/// CVE-2022-32744: a password change under whatever key the keytab has.
#[test]
fn b12_a_strict_service_uses_its_own_keys_whatever_the_ticket_is_called() {
    let mut realm = Joined::new();
    let keytab = realm.keytab(&[HOST, "kadmin/changepw"]);
    let service = Some(Principal::changepw(REALM));
    let options = Options { service, require_initial: true, ..Options::default() };
    let strict = Acceptor::new(&keytab, options, Arc::new(MemoryReplayCache::new(300, 10))).expect("a keytab");
    let credential = ticket_for(&mut realm, HOST);
    let request = ap_req(&mut realm, &credential, ApOptions::NONE);
    let changepw = Principal::changepw(REALM);
    let dressed = retitled(&request, |ticket| ticket.server = (&changepw).into());
    for request in [&request, &dressed] {
        assert_eq!(accept(&realm, &strict, request).expect_err("another key"), ErrorCode::BAD_INTEGRITY);
    }
    let credential = realm.login(&Asking { server: Some(changepw), ..Asking::login("alice") }).expect("initial");
    let request = ap_req(&mut realm, &credential, ApOptions::NONE);
    assert!(accept(&realm, &strict, &request).is_ok());
}

#[test]
fn d7_a_replay_is_one_under_every_clear_name() {
    let mut realm = Joined::new();
    let credential = ticket_for(&mut realm, HOST);
    // As with a computer account: one key, many names.
    let mut keytab = realm.keytab(&[HOST]);
    for alias in ["HTTP/a.example.org", "cifs/a"] {
        let aliases = keytab.entries.clone().into_iter();
        keytab.entries.extend(aliases.map(|entry| KeytabEntry { principal: name(alias), ..entry }));
    }
    let acceptor = acceptor_of(&keytab);
    let request = ap_req(&mut realm, &credential, ApOptions::NONE);
    assert!(accept(&realm, &acceptor, &request).is_ok());
    assert_eq!(accept(&realm, &acceptor, &request).expect_err("seen"), ErrorCode::REPEAT);
    for alias in ["HTTP/a.example.org", "cifs/a", "unknown/name"] {
        let alias = name(alias);
        let retitled = retitled(&request, |ticket| ticket.server = (&alias).into());
        assert_eq!(accept(&realm, &acceptor, &retitled).expect_err("seen"), ErrorCode::REPEAT, "{alias}");
    }
    let nameless_version = retitled(&request, |ticket| ticket.enc_part.kvno = None);
    assert_eq!(accept(&realm, &acceptor, &nameless_version).expect_err("seen"), ErrorCode::REPEAT);
}

#[test]
fn d8_every_wrong_checksum_is_wrong_and_the_right_one_right() {
    let mut realm = Joined::new();
    let acceptor = acceptor(&realm);
    let credential = ticket_for(&mut realm, HOST);
    let request = ap_req(&mut realm, &credential, ApOptions::NONE);
    let decoded: ApReq<'_> = wire::decode(&request).expect("an AP-REQ");
    let end_of = |part: &[u8]| part.as_ptr() as usize - request.as_ptr() as usize + part.len();
    for end in [end_of(decoded.ticket.enc_part.cipher), end_of(decoded.authenticator.cipher)] {
        for at in end - 12..end {
            for bit in 0..8 {
                let mut bent = request.clone();
                bent[at] ^= 1 << bit;
                assert_eq!(accept(&realm, &acceptor, &bent).expect_err("bent"), ErrorCode::BAD_INTEGRITY);
            }
        }
        let mut zeroed = request.clone();
        zeroed[end - 12..end].fill(0);
        assert_eq!(accept(&realm, &acceptor, &zeroed).expect_err("bent"), ErrorCode::BAD_INTEGRITY);
    }
    assert!(accept(&realm, &acceptor, &request).is_ok());
}
