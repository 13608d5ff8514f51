//! Keys that turn over: announced before they are used, fetched by their owners, old ones honoured until
//! their time is over. Joined in memory first, then with a running KDC and the tools.

use kdc::core::Attributes;
use libkrb::client::{ApExchange, ApRequest, FetchExchange};
use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::TicketFlags;
use libkrb::keytab::Keytab;
use libkrb::wire::{self, Ticket};
use libkrb::{ErrorCode, Principal};
use tests::joined::{Asking, Credential, Joined, REALM, Sequence, as_error};

const SERVICE: &str = "host/a.example.org";
const HOUR: i64 = 3600;

fn kvno(credential: &Credential) -> Option<u32> {
    wire::decode::<Ticket<'_>>(&credential.ticket).expect("a ticket").enc_part.kvno
}

/// A ticket for the door, from an AS exchange.
fn door(realm: &mut Joined, who: &str) -> Result<Credential, ErrorCode> {
    realm.login(&Asking { server: Some(Principal::fetch(REALM)), ..Asking::login(who) })
}

fn fetch_with(realm: &mut Joined, ticket: &Credential) -> Result<Keytab, ErrorCode> {
    realm.tick();
    let (exchange, message) = FetchExchange::new(&ticket.cached(), realm.now, &mut Sequence(9)).expect("a request");
    let reply = realm.send(&message).reply.expect("an answer");
    exchange.finish(realm.now, &reply).map_err(|error| error.wire_code())
}

fn fetch(realm: &mut Joined, who: &str) -> Result<Keytab, ErrorCode> {
    let ticket = door(realm, who)?;
    fetch_with(realm, &ticket)
}

fn kvnos(keytab: &Keytab) -> Vec<u32> {
    let mut kvnos: Vec<_> = keytab.entries.iter().map(|entry| entry.kvno).collect();
    kvnos.dedup();
    kvnos
}

/// The service's key of a version.
fn key_of(realm: &Joined, kvno: u32) -> Key {
    let entry = realm.entry(SERVICE);
    entry.version(kvno).and_then(|set| set.key(EncryptionType::AES256_SHA1)).expect("a key").key.clone()
}

fn log_in_with(realm: &mut Joined, key: &Key) -> Result<Credential, ErrorCode> {
    let request = realm.as_req(&Asking::login(SERVICE), Some(key));
    realm.credential(&request, key, KeyUsage::AS_REP_ENC_PART)
}

#[test]
fn a_service_has_its_announced_keys_before_any_ticket_is_sealed_in_them() {
    let mut realm = Joined::new();
    realm.announce(SERVICE, 2 * HOUR, 25 * HOUR);
    let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
    let keytab = fetch(&mut realm, SERVICE).expect("keys");
    assert_eq!(kvnos(&keytab), [2, 1]);
    let new = keytab.entries.iter().find(|entry| entry.key.etype == EncryptionType::AES256_SHA1).expect("there");
    assert_eq!(new.key.key().expect("usable").expose(), key_of(&realm, 2).expose());
    assert_eq!(kvno(&realm.tgs(&tgt, &Asking::service(SERVICE)).expect("a ticket")), Some(1));
    realm.wait(2 * HOUR);
    assert_eq!(kvno(&realm.tgs(&tgt, &Asking::service(SERVICE)).expect("a ticket")), Some(2));
    realm.wait(25 * HOUR);
    assert_eq!(kvnos(&fetch(&mut realm, SERVICE).expect("keys")), [2], "what is over is not shown");
}

#[test]
fn keys_are_shown_to_their_owner_with_an_initial_ticket_only() {
    let mut realm = Joined::new();
    let tgt = realm.login(&Asking::login(SERVICE)).expect("a TGT");
    let through_tgs = realm.tgs(&tgt, &Asking::service("kadmin/fetch"));
    assert_eq!(through_tgs.expect_err("refused"), ErrorCode::POLICY);
    let initial = door(&mut realm, SERVICE).expect("a ticket");
    let stolen =
        realm.forge(&initial, "kadmin/fetch", |part| part.flags = part.flags.with(TicketFlags::INITIAL, false));
    assert_eq!(fetch_with(&mut realm, &stolen).expect_err("refused"), ErrorCode::POLICY);
    assert_eq!(fetch_with(&mut realm, &tgt).expect_err("refused"), ErrorCode::NOT_US);
    let keytab = fetch_with(&mut realm, &initial).expect("keys");
    assert!(keytab.entries.iter().all(|entry| entry.principal == initial.client));
}

#[test]
fn lockdown_a_lock_and_a_password_keep_keys_in() {
    let mut realm = Joined::new();
    let ticket = door(&mut realm, SERVICE).expect("a ticket");
    realm.change(SERVICE, |entry| entry.attributes = Attributes::LOCKDOWN_KEYS);
    assert_eq!(fetch_with(&mut realm, &ticket).expect_err("refused"), ErrorCode::POLICY);
    realm.change(SERVICE, |entry| entry.attributes = Attributes::DISALLOW_ALL_TIX);
    assert_eq!(fetch_with(&mut realm, &ticket).expect_err("refused"), ErrorCode::CLIENT_REVOKED);
    assert_eq!(fetch(&mut realm, "alice").expect_err("refused"), ErrorCode::POLICY);
}

#[test]
fn who_got_a_ticket_before_a_change_of_keys_is_not_shown_the_new_ones() {
    let mut realm = Joined::new();
    let stolen = door(&mut realm, SERVICE).expect("a ticket");
    realm.wait(1);
    let now = realm.now.time;
    realm.change(SERVICE, |entry| entry.password_changed = Some(now));
    assert_eq!(fetch_with(&mut realm, &stolen).expect_err("refused"), ErrorCode::TGT_REVOKED);
    fetch(&mut realm, SERVICE).expect("who logs in anew has the key still");
}

#[test]
fn a_request_for_keys_is_good_once_and_its_answer_is_for_its_subkey() {
    let mut realm = Joined::new();
    let ticket = door(&mut realm, SERVICE).expect("a ticket");
    let (_, message) = FetchExchange::new(&ticket.cached(), realm.now, &mut Sequence(9)).expect("a request");
    let code = |realm: &mut Joined, message: &[u8]| as_error(&realm.send(message).reply.expect("an answer"));
    assert_eq!(code(&mut realm, &message), None);
    assert_eq!(code(&mut realm, &message), Some(ErrorCode::REPEAT));
    realm.tick();
    let bare = ApRequest { subkey: false, mutual: false, ..ApRequest::default() };
    let (_, message) = ApExchange::new(&ticket.cached(), &bare, realm.now, &mut Sequence(9)).expect("a request");
    assert_eq!(code(&mut realm, &message), Some(ErrorCode::GENERIC));
    realm.wait(24 * HOUR + 301);
    assert_eq!(fetch_with(&mut realm, &ticket).expect_err("refused"), ErrorCode::TKT_EXPIRED);
}

#[test]
fn who_has_fetched_logs_in_with_the_new_key_and_who_is_late_with_the_old_one() {
    let mut realm = Joined::new();
    let old = key_of(&realm, 1);
    realm.announce(SERVICE, HOUR, 25 * HOUR);
    let new = key_of(&realm, 2);
    for wait in [0, HOUR, 25 * HOUR - 1] {
        realm.now.time = tests::joined::NOW + wait;
        log_in_with(&mut realm, &new).expect("announced or in use");
        log_in_with(&mut realm, &old).expect("not over");
    }
    realm.wait(HOUR + 1);
    log_in_with(&mut realm, &new).expect("in use");
    assert_eq!(log_in_with(&mut realm, &old).expect_err("over"), ErrorCode::PREAUTH_FAILED);
}

#[test]
fn a_change_at_once_ends_the_login_with_the_old_key_though_its_tickets_are_honoured() {
    let mut realm = Joined::new();
    let old = key_of(&realm, 1);
    realm.announce(SERVICE, 0, 25 * HOUR);
    realm.change(SERVICE, |entry| entry.keys[0].from = libkrb::Time::EPOCH);
    assert_eq!(log_in_with(&mut realm, &old).expect_err("refused"), ErrorCode::PREAUTH_FAILED);
}

#[test]
fn tickets_under_the_old_key_of_the_realm_are_honoured_until_its_time_is_over_or_it_is_purged() {
    let mut realm = Joined::new();
    let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
    realm.announce("krbtgt/EXAMPLE.ORG", 0, 2 * HOUR);
    realm.tgs(&tgt, &Asking::service(SERVICE)).expect("the old TGT is honoured");
    let new = realm.login(&Asking::login("alice")).expect("a TGT");
    assert_eq!((kvno(&tgt), kvno(&new)), (Some(1), Some(2)));
    realm.wait(2 * HOUR);
    assert_eq!(realm.tgs(&tgt, &Asking::service(SERVICE)).expect_err("over"), ErrorCode::BADKEYVER);
    realm.tgs(&new, &Asking::service(SERVICE)).expect("the new one is not");
    realm.announce("krbtgt/EXAMPLE.ORG", 0, 2 * HOUR);
    realm.tgs(&new, &Asking::service(SERVICE)).expect("honoured");
    realm.change("krbtgt/EXAMPLE.ORG", |entry| entry.keys.truncate(1));
    assert_eq!(realm.tgs(&new, &Asking::service(SERVICE)).expect_err("purged"), ErrorCode::BADKEYVER);
}

/// With a running KDC, its kadmin and the tools.
mod daemons {
    use std::path::Path;

    use libkrb::keytab::KeytabName;
    use tests::{Family, Realm, Said, Tool};

    fn kadmin(realm: &Realm, query: &[&str]) -> Said {
        let config = realm.folder().join("kdc/kdc.toml");
        Tool::new(Family::Ours.program("kadmin")).args(["--config"]).args([config]).args(query).run()
    }

    fn kvnos(keytab: &Path) -> Vec<u32> {
        let keytab = KeytabName::File(keytab.to_owned()).load().expect("a keytab");
        let mut kvnos: Vec<_> = keytab.entries.iter().map(|entry| entry.kvno).collect();
        kvnos.sort_unstable();
        kvnos.dedup();
        kvnos
    }

    #[test]
    fn a_keytab_follows_its_keys_by_ktutil_fetch() {
        let realm = Realm::start(Family::Ours);
        realm.add("alice", "secret", &[]);
        let service = "HTTP/www.example.org";
        let keytab = realm.add_service(service);
        let seat = realm.seat(Family::Ours);
        let named = keytab.to_str().expect("text");
        let fetch = || seat.tool("ktutil").args(["fetch", "-k", named]).run();
        fetch().succeeds().saying("no new keys");
        kadmin(&realm, &["rotate_keys", "-announce", "1h", service]).succeeds();
        fetch().succeeds().saying("HTTP/www.example.org@EXAMPLE.ORG: 6 new keys");
        assert_eq!(kvnos(&keytab), [1, 2]);
        fetch().succeeds().saying("no new keys");
        seat.kinit(&["alice"], "secret").succeeds();
        seat.tool("kvno").args(["-k", named, service]).run().succeeds().saying("kvno = 1, keytab entry valid");
        // Its newest keys are not in use, and do for a login all the same.
        seat.kinit_with(&keytab, &[service]).succeeds();
        kadmin(&realm, &["modprinc", "+lockdown_keys", service]).succeeds();
        fetch().fails_with(1).saying("locked down");
        realm.delete("alice");
    }

    #[test]
    fn tickets_go_on_through_a_turn_over_at_once_and_the_late_service_catches_up() {
        let realm = Realm::start(Family::Ours);
        realm.add("alice", "secret", &[]);
        let service = "HTTP/www.example.org";
        let keytab = realm.add_service(service);
        let seat = realm.seat(Family::Ours);
        let named = keytab.to_str().expect("text");
        kadmin(&realm, &["rotate_keys", service]).succeeds();
        seat.kinit(&["alice"], "secret").succeeds();
        seat.tool("kvno").args([service]).run().succeeds().saying("kvno = 2");
        seat.tool("ktutil").args(["fetch", "-q", "-k", named]).run().succeeds();
        seat.tool("kvno").args(["-k", named, service]).run().succeeds().saying("kvno = 2, keytab entry valid");
        kadmin(&realm, &["rotate_keys", "-overlap", "1h", service]).fails().saying("too short");
        kadmin(&realm, &["rotate_keys", "alice"]).fails().saying("those of a password");
    }

    #[test]
    fn a_rule_turns_keys_over_by_itself_and_the_audit_says_so() {
        let mut realm = Realm::start(Family::Ours);
        realm.stop();
        let settings = realm.folder().join("kdc/kdc.toml");
        let text = std::fs::read_to_string(&settings).expect("settings");
        let text = text.replacen("#file = \"audit.jsonl\"", "file = \"audit.jsonl\"", 1);
        let rule = "[[rotation]]\nprincipals = [\"HTTP/*\"]\nperiod = \"3s\"\nannounce = \"1s\"\n";
        std::fs::write(&settings, format!("{text}\n{rule}")).expect("written");
        let service = "HTTP/www.example.org";
        realm.restart();
        realm.add("alice", "secret", &[]);
        let keytab = realm.add_service(service);
        // Whoever starts has a look at once.
        realm.restart();
        let seat = realm.seat(Family::Ours);
        let named = keytab.to_str().expect("text");
        seat.kinit(&["alice"], "secret").succeeds();
        let deadline = std::time::Instant::now() + tests::PATIENCE;
        while kvnos(&keytab).len() < 3 {
            assert!(std::time::Instant::now() < deadline, "the keys never turned over twice: {}", realm.log());
            seat.tool("ktutil").args(["fetch", "-q", "-k", named]).run().succeeds();
            // Not from the cache: another ticket every time, under the keys that are in use.
            seat.tool("kvno")
                .args(["--out-cache", seat.path("other").to_str().expect("text"), "-k", named, service])
                .run()
                .succeeds();
        }
        let audit = std::fs::read_to_string(realm.folder().join("kdc/audit.jsonl")).expect("an audit file");
        let turned =
            audit.lines().find(|line| line.contains("\"operation\":\"rotate\"")).expect("a line of the rotation");
        assert!(
            turned.contains("\"by\":\"kdc/rotation@EXAMPLE.ORG\"") && turned.contains("\"from\":\"kdc\""),
            "{turned}"
        );
        assert!(audit.lines().any(|line| line.contains("\"exchange\":\"fetch\"") && line.contains(service)), "{audit}");
        assert!(realm.log().contains("keys turn over"));
    }

    #[test]
    fn the_realm_s_own_keys_turn_over_under_tickets_that_live_on_until_a_purge() {
        let realm = Realm::start(Family::Ours);
        realm.add("alice", "secret", &[]);
        realm.add("HTTP/a", tests::Secret::Random, &[]);
        realm.add("HTTP/b", tests::Secret::Random, &[]);
        let seat = realm.seat(Family::Ours);
        seat.kinit(&["alice"], "secret").succeeds();
        kadmin(&realm, &["cpw", "-randkey", "-keepold", "krbtgt/EXAMPLE.ORG"]).succeeds();
        seat.tool("kvno").args(["HTTP/a"]).run().succeeds();
        kadmin(&realm, &["rotate_keys", "krbtgt/EXAMPLE.ORG"]).succeeds();
        kadmin(&realm, &["getprinc", "krbtgt/EXAMPLE.ORG"]).succeeds().saying(", good until ");
        seat.tool("kvno").args(["HTTP/b"]).run().succeeds();
        kadmin(&realm, &["purgekeys", "krbtgt/EXAMPLE.ORG"]).succeeds();
        kadmin(&realm, &["addprinc", "-randkey", "HTTP/c"]).succeeds();
        seat.tool("kvno").args(["HTTP/c"]).run().fails();
        seat.kinit(&["alice"], "secret").succeeds();
        seat.tool("kvno").args(["HTTP/c"]).run().succeeds();
    }
}
