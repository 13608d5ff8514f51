//! What broke other KDCs, sent to this one: each case under its own name, joined in memory.

use kdc::core::{Arrival, Attributes, Change, Entry, Kdc, KeySet, LongTermKey, Outcome, PasswordPolicy, Store};
use kdc::store::{Cached, MasterKey, Redb};
use libkrb::codes::{AddressType, ChecksumType, EncryptionType, NameType, PaType};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::{KdcOptions as O, TicketFlags as F};
use libkrb::time::Instant;
use libkrb::wire;
use libkrb::{ErrorCode, Principal};
use tests::armored;
use tests::joined::{Asking, Bend, Credential, Joined, NOW, REALM, as_error, name};

fn code(outcome: &Outcome) -> ErrorCode {
    as_error(outcome.reply.as_deref().expect("an answer")).expect("KRB-ERROR")
}

fn alice(realm: &mut Joined) -> Credential {
    realm.login(&Asking::login("alice")).expect("a TGT")
}

/// The KDC still does its work.
fn alive(realm: &mut Joined) {
    realm.change("alice", |entry| entry.attributes = Attributes::REQUIRES_PRE_AUTH);
    let tgt = alice(realm);
    realm.tgs(&tgt, &Asking::service("host/a.example.org")).expect("a service ticket");
}

#[test]
fn a1_encrypted_challenge_without_fast() {
    let mut realm = Joined::new();
    for value in [vec![], vec![0x30, 0], vec![0xff; 40]] {
        let padata = vec![(PaType::ENCRYPTED_CHALLENGE, value)];
        let request = realm.as_req(&Asking { padata, ..Asking::login("alice") }, None);
        assert_eq!(code(&realm.send(&request)), ErrorCode::PREAUTH_REQUIRED);
    }
    alive(&mut realm);
}

#[test]
fn a9_cookies_that_are_forged_cut_or_huge() {
    let mut realm = Joined::new();
    let key = realm.key("alice", EncryptionType::AES256_SHA1);
    let forged = [b"KRB1\0\0\0\x01\0\0\0\x12".as_slice(), &[7; 80]].concat();
    for cookie in [b"KRB1".to_vec(), forged, vec![0x41; 60_000]] {
        let padata = vec![(PaType::FX_COOKIE, cookie)];
        let request = realm.as_req(&Asking { padata, ..Asking::login("alice") }, Some(&key));
        assert_eq!(code(&realm.send(&request)), ErrorCode::PREAUTH_FAILED);
    }
    for nothing in [b"".as_slice(), b"KRB0", b"MIT"] {
        let padata = vec![(PaType::FX_COOKIE, nothing.to_vec())];
        let request = realm.as_req(&Asking { padata, ..Asking::login("alice") }, Some(&key));
        assert!(realm.send(&request).event.issued.is_some(), "one that holds nothing");
    }
    alive(&mut realm);
}

#[test]
fn b1_an_envelope_whose_request_names_no_server() {
    let mut realm = Joined::new();
    let tgt = alice(&mut realm);
    let (named, nameless) = (Asking::service("host/a.example.org"), Asking { server: None, ..Asking::login("alice") });
    let (request, armor, _) = armored::tgs_req(&mut realm, &tgt, (&named, &nameless), None);
    let reply = realm.send(&request).reply.expect("an answer");
    assert_eq!(armor.open(&reply, 4711).expect("an envelope").code, Some(ErrorCode::S_PRINCIPAL_UNKNOWN));
    // What stands outside does not count, whether it is there or not.
    let (request, ..) = armored::tgs_req(&mut realm, &tgt, (&nameless, &named), None);
    assert_eq!(realm.send(&request).event.server, Some(name("host/a.example.org")));
    alive(&mut realm);
}

#[test]
fn a2_requests_without_client_or_server_name() {
    let mut realm = Joined::new();
    let nameless = Asking { nameless: true, ..Asking::login("alice") };
    let request = realm.as_req(&nameless, None);
    assert_eq!(code(&realm.send(&request)), ErrorCode::C_PRINCIPAL_UNKNOWN);
    let request = realm.as_req(&Asking { server: None, ..Asking::login("alice") }, None);
    assert_eq!(code(&realm.send(&request)), ErrorCode::S_PRINCIPAL_UNKNOWN);
    let tgt = alice(&mut realm);
    let request = realm.tgs_req(&tgt, &Asking { server: None, ..Asking::login("alice") });
    assert_eq!(code(&realm.send(&request)), ErrorCode::S_PRINCIPAL_UNKNOWN);
    alive(&mut realm);
}

#[test]
fn a3_truncated_messages_and_deep_indefinite_lengths() {
    let mut realm = Joined::new();
    let request = realm.as_req(&Asking::login("alice"), None);
    for end in 1..request.len() {
        assert_eq!(code(&realm.send(&request[..end])), ErrorCode::GENERIC);
    }
    for bytes in [vec![0x6a, 0xff], vec![0x6c, 0xff], vec![0x6a], [0x6a, 0x80].repeat(30_000)] {
        assert_eq!(code(&realm.send(&bytes)), ErrorCode::GENERIC);
    }
    for bytes in [vec![], [0x30, 0x80].repeat(30_000)] {
        assert_eq!(code(&realm.send(&bytes)), ErrorCode::MSG_TYPE, "no message of a client's");
    }
    alive(&mut realm);
}

#[test]
fn a4_every_bent_byte_of_padata_is_an_error_or_ignored() {
    let mut realm = Joined::new();
    let key = realm.key("alice", EncryptionType::AES256_SHA1);
    let request = realm.as_req(&Asking::login("alice"), Some(&key));
    for at in 0..request.len() {
        for value in [0x00, 0x7f, 0x80, 0xff, request[at] ^ 0x20] {
            let mut bent = request.clone();
            bent[at] = value;
            let _ = realm.send(&bent);
        }
    }
    alive(&mut realm);
}

#[test]
fn a5_unknown_missing_and_negative_etypes() {
    let mut realm = Joined::new();
    let many = (1000..3000).map(EncryptionType).collect();
    for etypes in [
        many,
        vec![],
        vec![EncryptionType(-1)],
        vec![EncryptionType(i32::MIN), EncryptionType(0)],
        vec![EncryptionType::RC4_HMAC],
    ] {
        let asking = Asking { etypes, ..Asking::login("alice") };
        let request = realm.as_req(&asking, None);
        assert_eq!(code(&realm.send(&request)), ErrorCode::ETYPE_NOSUPP);
        let tgt = alice(&mut realm);
        let asking = Asking { server: Some(name("host/a.example.org")), ..asking };
        assert_eq!(realm.tgs(&tgt, &asking).expect_err("no etype"), ErrorCode::ETYPE_NOSUPP);
    }
    alive(&mut realm);
}

#[test]
fn a7_pkinit_padata_does_not_count_as_preauthentication() {
    let mut realm = Joined::new();
    for value in [vec![], vec![0x30, 0], vec![0xff; 100]] {
        let padata = vec![(PaType::PK_AS_REQ, value)];
        let request = realm.as_req(&Asking { padata, ..Asking::login("alice") }, None);
        assert_eq!(code(&realm.send(&request)), ErrorCode::PREAUTH_REQUIRED);
    }
}

#[test]
fn a10_encrypted_timestamps_replayed_skewed_or_under_a_wrong_key() {
    let mut realm = Joined::new();
    let key = realm.key("alice", EncryptionType::AES256_SHA1);
    let stamp = realm.timestamp(&key, realm.now);
    let with = |stamp: &Vec<u8>, nonce| Asking {
        padata: vec![(PaType::ENC_TIMESTAMP, stamp.clone())],
        nonce,
        ..Asking::login("alice")
    };
    let request = realm.as_req(&with(&stamp, 1), None);
    assert!(realm.send(&request).event.issued.is_some());
    let again = realm.as_req(&with(&stamp, 2), None);
    assert_eq!(code(&realm.send(&again)), ErrorCode::REPEAT);

    for seconds in [-301, 301] {
        let stamp = realm.timestamp(&key, Instant::from(NOW + seconds));
        let request = realm.as_req(&with(&stamp, 3), None);
        assert_eq!(code(&realm.send(&request)), ErrorCode::SKEW);
    }
    let wrong = Key::new(EncryptionType::AES256_SHA1, &[9; 32]).expect("a key");
    let stamp = realm.timestamp(&wrong, realm.now);
    let request = realm.as_req(&with(&stamp, 4), None);
    assert_eq!(code(&realm.send(&request)), ErrorCode::PREAUTH_FAILED);
}

#[test]
fn a10_several_timestamps_are_all_tried() {
    let mut realm = Joined::new();
    let wrong = Key::new(EncryptionType::AES256_SHA1, &[9; 32]).expect("a key");
    let padata = vec![(PaType::ENC_TIMESTAMP, realm.timestamp(&wrong, realm.now)), (PaType::ENC_TIMESTAMP, vec![])];
    realm.login(&Asking { padata, ..Asking::login("alice") }).expect("the last one fits");
}

#[test]
fn a10_hidden_unknown_clients_look_like_known_ones() {
    let mut realm = Joined::new();
    let request = realm.as_req(&Asking::login("nobody"), None);
    assert_eq!(code(&realm.send(&request)), ErrorCode::C_PRINCIPAL_UNKNOWN);

    realm.policy.hide_unknown_clients = true;
    realm.change("bob", |entry| entry.attributes = entry.attributes.with(Attributes::DISALLOW_ALL_TIX, true));
    // The decoy's keys are known constants: even who uses them learns nothing.
    for key in [Key::new(EncryptionType::AES256_SHA1, &[0; 32]), Key::new(EncryptionType::AES256_SHA1, &[9; 32])] {
        let key = key.expect("a key");
        let mut answers = ["alice", "bob_", "bob"].map(|user| {
            let first = realm.as_req(&Asking::login(user), None);
            let second = realm.as_req(&Asking::login(user), Some(&key));
            [first, second].map(|request| {
                let reply = realm.send(&request).reply.expect("an answer");
                let error = wire::decode::<wire::KrbError<'_>>(&reply).expect("KRB-ERROR");
                let hints = wire::decode::<wire::MethodData<'_>>(error.data.expect("hints")).expect("METHOD-DATA");
                (error.code, error.text.map(str::to_owned), hints.iter().map(|hint| hint.kind.0).collect::<Vec<_>>())
            })
        });
        let first = answers[0].clone();
        assert!(answers.iter_mut().all(|answer| *answer == first), "{answers:?}");
        assert_eq!((first[0].0, first[1].0), (ErrorCode::PREAUTH_REQUIRED, ErrorCode::PREAUTH_FAILED));
    }
}

#[test]
fn a11_nothing_is_sealed_in_a_password_key_without_proof_and_nothing_in_rc4() {
    let mut realm = Joined::new();
    let request = realm.as_req(&Asking::login("alice"), None);
    assert_eq!(code(&realm.send(&request)), ErrorCode::PREAUTH_REQUIRED);
    let downgrade = vec![EncryptionType::RC4_HMAC, EncryptionType::DES_CBC_MD5, EncryptionType::DES3_CBC_SHA1];
    let request = realm.as_req(&Asking { etypes: downgrade, ..Asking::login("alice") }, None);
    assert_eq!(code(&realm.send(&request)), ErrorCode::ETYPE_NOSUPP);
    assert!(!realm.policy.etypes.iter().any(|etype| libkrb::crypto::is_weak(*etype)));
}

#[test]
fn b11_user_to_user_with_somebody_elses_ticket() {
    let mut realm = Joined::new();
    realm.add_user("carol", |_| {});
    let tgt = alice(&mut realm);
    let carol = realm.login(&Asking::login("carol")).expect("carol's TGT");
    let changepw = Asking { server: Some(Principal::changepw(REALM)), ..Asking::login("bob") };
    let changepw = realm.login(&changepw).expect("a kadmin/changepw ticket");
    let bob = realm.login(&Asking::login("bob")).expect("bob's TGT");
    let foreign = {
        let ticket = wire::decode::<wire::Ticket<'_>>(&bob.ticket).expect("a ticket");
        wire::encode(&wire::Ticket { realm: "OTHER.ORG", ..ticket })
    };
    let mut junk = bob.ticket.clone();
    *junk.last_mut().expect("bytes") ^= 1;
    for (second, expected) in [
        (vec![carol.ticket], ErrorCode::SERVER_NOMATCH),
        (vec![changepw.ticket], ErrorCode::POLICY),
        (vec![foreign], ErrorCode::NOT_US),
        (vec![junk], ErrorCode::BAD_INTEGRITY),
        (vec![], ErrorCode::BADOPTION),
    ] {
        let asking = Asking { additional: second, ..Asking::service("bob") }.with(O::ENC_TKT_IN_SKEY);
        assert_eq!(realm.tgs(&tgt, &asking).expect_err("refused"), expected);
    }
}

#[test]
fn b12_a_password_change_ticket_is_no_tgt_and_a_tgt_gets_none() {
    let mut realm = Joined::new();
    let asking = Asking { server: Some(Principal::changepw(REALM)), ..Asking::login("alice") };
    let changepw = realm.login(&asking).expect("an initial ticket");
    for server in ["host/a.example.org", "krbtgt/EXAMPLE.ORG", "kadmin/changepw"] {
        assert_eq!(realm.tgs(&changepw, &Asking::service(server)).expect_err("no TGT"), ErrorCode::NOT_US);
    }
    let tgt = alice(&mut realm);
    assert_eq!(realm.tgs(&tgt, &Asking::service("kadmin/changepw")).expect_err("not initial"), ErrorCode::POLICY);
}

#[test]
fn b13_no_ticket_is_sealed_in_a_users_password_key() {
    let mut realm = Joined::new();
    let tgt = alice(&mut realm);
    assert_eq!(realm.tgs(&tgt, &Asking::service("bob")).expect_err("no service"), ErrorCode::MUST_USE_USER2USER);
    let asking = Asking { server: Some(name("bob")), ..Asking::login("alice") };
    assert_eq!(realm.login(&asking).expect_err("no service"), ErrorCode::MUST_USE_USER2USER);
}

#[test]
fn b15_strange_server_names_are_unknown_servers() {
    let mut realm = Joined::new();
    let tgt = alice(&mut realm);
    let strange: [&[&str]; 10] = [
        &["", "test"],
        &["test", ""],
        &["", ""],
        &["krbtgt", ""],
        &["krbtgt"],
        &[""],
        &["krbtgt", "EXAMPLE.ORG", ""],
        &["krbtgt\0", "EXAMPLE.ORG"],
        &["KRBTGT", "EXAMPLE.ORG"],
        &["krbtgt/EXAMPLE.ORG"],
    ];
    for parts in strange {
        let server = Principal::new(NameType::PRINCIPAL, REALM, parts).expect("parts");
        let asking = Asking { server: Some(server), ..Asking::login("alice") };
        assert_eq!(realm.tgs(&tgt, &asking).expect_err("unknown"), ErrorCode::S_PRINCIPAL_UNKNOWN, "{parts:?}");
        assert_eq!(realm.login(&asking).expect_err("unknown"), ErrorCode::S_PRINCIPAL_UNKNOWN, "{parts:?}");
    }
    for strange in ["", "\0EXAMPLE.ORG", "EXAMPLE.ORG\0", "example.org", "OTHER.ORG"] {
        let asking = Asking { realm: strange.to_owned(), ..Asking::service("host/a.example.org") };
        assert_eq!(realm.tgs(&tgt, &asking).expect_err("unknown"), ErrorCode::S_PRINCIPAL_UNKNOWN, "{strange:?}");
        let asking = Asking { realm: strange.to_owned(), ..Asking::login("alice") };
        assert_eq!(realm.login(&asking).expect_err("unknown"), ErrorCode::WRONG_REALM, "{strange:?}");
    }
}

#[test]
fn b17_names_are_compared_part_by_part() {
    let mut realm = Joined::new();
    let tgt = alice(&mut realm);
    realm.add(Principal::new(NameType::PRINCIPAL, REALM, ["host", "c", "d"]).expect("parts"), |_| {});
    for parts in [
        &["host/a.example.org"][..],
        &["host", "a.example.org@EXAMPLE.ORG"],
        &["host", "a.example.org\0"],
        &["host", "a.example.org", "x"],
        &["host", "c/d"],
        &["host/c", "d"],
        &["kadmin", "changepw2"],
        &["kadmin"],
        &["h\u{f6}st", "a.example.org"],
    ] {
        let server = Principal::new(NameType::SRV_HST, REALM, parts).expect("parts");
        let asking = Asking { server: Some(server), ..Asking::login("alice") };
        assert_eq!(realm.tgs(&tgt, &asking).expect_err("unknown"), ErrorCode::S_PRINCIPAL_UNKNOWN, "{parts:?}");
    }
    realm.tgs(&tgt, &Asking::service("host/c/d")).expect("three parts are a name like any other");
}

#[test]
fn b19_the_answer_that_sends_clients_to_tcp_is_smaller_than_what_causes_it() {
    let mut realm = Joined::new();
    let answer = kdc::core::too_big(&realm.policy, realm.now);
    assert_eq!(as_error(&answer), Some(ErrorCode::RESPONSE_TOO_BIG));
    let smallest = realm.as_req(&Asking::login("alice"), None);
    assert!(answer.len() < smallest.len(), "{} against {}", answer.len(), smallest.len());
    let addresses = (0..400_u32).map(|n| (AddressType::IPV4, n.to_be_bytes().to_vec())).collect();
    let big = realm.login(&Asking { addresses, ..Asking::login("alice") }).expect("a big ticket");
    assert!(big.ticket.len() > 4096);
}

#[test]
fn b20_authenticators_that_do_not_belong_to_ticket_or_request() {
    let mut realm = Joined::new();
    let tgt = alice(&mut realm);
    let asking = Asking::service("host/a.example.org");
    let other_key = Key::new(EncryptionType::AES256_SHA1, &[3; 32]).expect("a key");
    let cases = [
        (Bend { client: Some(name("bob")), ..Bend::default() }, ErrorCode::BADMATCH),
        (Bend { client: Some(name("alice").in_realm("OTHER.ORG")), ..Bend::default() }, ErrorCode::BADMATCH),
        (Bend { authenticator_key: Some(other_key), ..Bend::default() }, ErrorCode::BAD_INTEGRITY),
        (Bend { checksum_over: Some(b"another body".to_vec()), ..Bend::default() }, ErrorCode::MODIFIED),
        (Bend { checksum_kind: Some(ChecksumType::CRC32), ..Bend::default() }, ErrorCode::INAPP_CKSUM),
        (Bend { checksum_kind: Some(ChecksumType::RSA_MD5), ..Bend::default() }, ErrorCode::INAPP_CKSUM),
        (Bend { checksum_kind: Some(ChecksumType::SHA1), ..Bend::default() }, ErrorCode::INAPP_CKSUM),
        (Bend { no_checksum: true, ..Bend::default() }, ErrorCode::INAPP_CKSUM),
        (Bend { time: Some(Instant::from(NOW + 301)), ..Bend::default() }, ErrorCode::SKEW),
        (Bend { time: Some(Instant::from(NOW - 301)), ..Bend::default() }, ErrorCode::SKEW),
    ];
    for (bend, expected) in cases {
        let request = realm.tgs_req_with(&tgt, &asking, &bend);
        assert_eq!(code(&realm.send(&request)), expected);
    }
    alive(&mut realm);
}

#[test]
fn b20_an_authenticator_is_good_for_one_request() {
    let mut realm = Joined::new();
    let tgt = alice(&mut realm);
    let request = realm.tgs_req(&tgt, &Asking::service("host/a.example.org"));
    assert!(realm.send(&request).event.issued.is_some());
    assert_eq!(code(&realm.send(&request)), ErrorCode::REPEAT);
}

#[test]
fn tickets_that_this_realm_did_not_seal_open_nothing() {
    let mut realm = Joined::new();
    let tgt = alice(&mut realm);
    let asking = Asking::service("host/a.example.org");
    // Whoever has the key of a service can make tickets for it, and only for it.
    let forged = realm.forge(&tgt, "host/b.example.org", |part| part.flags = F::INITIAL | F::RENEWABLE);
    assert_eq!(realm.tgs(&forged, &asking).expect_err("no TGT"), ErrorCode::NOT_US);
    let sealed_by_host = {
        let ticket = wire::decode::<wire::Ticket<'_>>(&forged.ticket).expect("a ticket");
        let tgs = Principal::tgs(REALM);
        let as_tgt = wire::encode(&wire::Ticket { server: (&tgs).into(), ..ticket });
        Credential { ticket: as_tgt, ..forged }
    };
    assert_eq!(realm.tgs(&sealed_by_host, &asking).expect_err("wrong key"), ErrorCode::BAD_INTEGRITY);
    let cipher = tgt.key.encrypt(KeyUsage::TICKET, &mut tests::joined::Sequence(5), b"not a ticket");
    assert!(realm.key("krbtgt/EXAMPLE.ORG", EncryptionType::AES256_SHA1).decrypt(KeyUsage::TICKET, &cipher).is_err());
}

#[test]
fn replies_and_errors_are_never_answered() {
    let mut realm = Joined::new();
    let request = realm.as_req(&Asking::login("alice"), None);
    let error = realm.send(&request).reply.expect("KRB-ERROR");
    assert!(realm.send(&error).reply.is_none());
    for tag in [0x6b, 0x6d, 0x6f, 0x7e] {
        assert!(realm.send(&[tag, 0]).reply.is_none());
    }
}

/// A realm whose principals stand in a file, with entries kept ready in front, as the daemon has them.
struct Filed {
    client: Joined,
    store: Cached<Redb>,
    _folder: tempfile::TempDir,
}

impl Filed {
    fn new() -> Filed {
        let client = Joined::new();
        let folder = tempfile::tempdir().expect("a folder");
        let master = MasterKey::ephemeral().expect("random");
        let store = Redb::create(&folder.path().join("store"), REALM, master).expect("a store");
        let names = client.store.list(None, 100).expect("listed");
        let entry = |name| (*client.store.lookup(name).expect("readable").expect("there")).clone();
        let made: Vec<_> = names.iter().map(|name| Change::Create(entry(name))).collect();
        store.commit(&made).expect("committed");
        Filed { client, store: Cached::new(store, 100), _folder: folder }
    }

    fn change(&self, who: &str, change: impl FnOnce(&mut Entry)) {
        let mut entry = (*self.store.lookup(&name(who)).expect("readable").expect("there")).clone();
        change(&mut entry);
        self.store.commit(&[Change::Replace(entry)]).expect("committed");
    }

    fn send(&mut self, request: &[u8], key: &Key, usage: KeyUsage) -> Result<Credential, ErrorCode> {
        let Joined { policy, replays, attempts, tickets, now, random, .. } = &mut self.client;
        let kdc = Kdc { policy, store: &self.store, replays, attempts, tickets };
        let outcome = kdc::core::handle(&kdc, Arrival { now: *now, from: None }, random, request);
        Credential::open(&outcome.reply.expect("an answer"), key, usage)
    }

    fn login(&mut self, key: &Key) -> Result<Credential, ErrorCode> {
        let request = self.client.as_req(&Asking::login("alice"), Some(key));
        self.send(&request, key, KeyUsage::AS_REP_ENC_PART)
    }

    fn ticket(&mut self, tgt: &Credential) -> Result<Credential, ErrorCode> {
        let request = self.client.tgs_req(tgt, &Asking::service("host/a.example.org"));
        self.send(&request, &tgt.key, KeyUsage::TGS_REP_SESSION)
    }
}

#[test]
fn what_was_changed_is_seen_by_the_very_next_request_though_entries_are_kept_ready() {
    const ETYPE: EncryptionType = EncryptionType::AES256_SHA1;
    let mut realm = Filed::new();
    let old = realm.client.key("alice", ETYPE);
    let new = Key::new(ETYPE, &[7; 32]).expect("a key");
    let tgt = realm.login(&old).expect("a TGT");
    realm.ticket(&tgt).expect("a ticket");

    // A key: of the client, and of the service.
    let sets = |key: &Key| vec![KeySet::new(2, vec![LongTermKey::new(key.clone(), None)])];
    realm.change("alice", |entry| entry.keys = sets(&new));
    assert_eq!(realm.login(&old).map(drop), Err(ErrorCode::PREAUTH_FAILED));
    realm.login(&new).expect("the new key's owner");
    realm.change("host/a.example.org", |entry| entry.keys = sets(&new));
    let ticket = realm.ticket(&tgt).expect("a ticket");
    let sealed = wire::decode::<wire::Ticket<'_>>(&ticket.ticket).expect("a ticket").enc_part;
    assert_eq!(sealed.kvno, Some(2));
    assert!(new.decrypt(KeyUsage::TICKET, sealed.cipher).is_ok());

    // What a policy allows, and what a principal may.
    let policy = PasswordPolicy { max_ticket_life: 600, ..PasswordPolicy::new("short") };
    realm.store.commit(&[Change::PutPolicy(policy)]).expect("committed");
    realm.change("alice", |entry| entry.policy = Some("short".into()));
    let lives = |ticket: &Credential| ticket.end_time - ticket.start_time;
    assert_eq!(lives(&realm.login(&new).expect("a TGT")), 600);
    let known = realm.store.policy("short").expect("readable").expect("there");
    let policy = PasswordPolicy { max_ticket_life: 900, ..(*known).clone() };
    realm.store.commit(&[Change::PutPolicy(policy)]).expect("committed");
    assert_eq!(lives(&realm.login(&new).expect("a TGT")), 900);
    realm.change("host/a.example.org", |entry| entry.attributes = Attributes::DISALLOW_SVR);
    assert_eq!(realm.ticket(&tgt).map(drop), Err(ErrorCode::MUST_USE_USER2USER));
    realm.change("host/a.example.org", |entry| entry.attributes = Attributes::default());
    realm.ticket(&tgt).expect("a ticket");

    realm.store.commit(&[Change::Delete(name("alice"))]).expect("committed");
    assert_eq!(realm.login(&new).map(drop), Err(ErrorCode::C_PRINCIPAL_UNKNOWN));
    assert!(realm.ticket(&tgt).is_err());
}
