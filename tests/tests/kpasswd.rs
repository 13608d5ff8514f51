//! The service that changes passwords, joined in memory: what it does, and what it refuses to whom
//! and why (RFC 3244; attack B12 by name).

use kdc::core::attempts::{Lockout, Proven};
use kdc::core::{Attempts, Attributes, Change, Entry, Exchange, PasswordPolicy, Policy, Store};
use libkrb::client::NewSecret;
use libkrb::codes::{EncryptionType, KpasswdCode};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::TicketFlags;
use libkrb::session::{Address, Role, Session};
use libkrb::wire::{self, ChangePasswdData, KpasswdReply, KpasswdRequest, NewPassword, PrincipalName};
use libkrb::{Error, ErrorCode, Principal};
use tests::changing::{Changing, Draft, krb_error};
use tests::joined::{Asking, Credential, Joined, NOW, REALM, Sequence, name};

const NEW: &str = "a brand new password";

#[track_caller]
fn refused(outcome: libkrb::Result<()>) -> (KpasswdCode, String) {
    match outcome {
        Err(Error::PasswordRefused { code, text }) => (code, text.unwrap_or_default()),
        other => panic!("it was to be refused: {other:?}"),
    }
}

fn opens_with(entry: &Entry, password: &str) -> bool {
    let key = entry.key(EncryptionType::AES256_SHA1, NOW).expect("a key");
    let salt = key.salt.clone().expect("a salt");
    key.key.same_as(&Key::from_password(key.etype(), password.as_bytes(), salt.as_bytes(), None).expect("a key"))
}

fn draft(with: &Credential) -> Draft<'_> {
    Draft::new(with, KpasswdRequest::CHANGE, NEW.as_bytes())
}

fn set<'a>(with: &'a Credential, target: Option<&Principal>, realm: Option<&str>) -> Draft<'a> {
    let target = target.map(PrincipalName::from);
    let data = ChangePasswdData { new_password: NewPassword(NEW.as_bytes()), target, realm };
    Draft::new(with, KpasswdRequest::SET, &wire::encode(&data))
}

/// The result of sending a request, whether the service proves itself or not.
fn send(draft: &Draft<'_>, realm: &mut Changing) -> (KpasswdCode, String) {
    realm.realm.tick();
    let reply = realm.send(&draft.request(realm.realm.now)).reply.expect("a reply");
    match KpasswdReply::decode(&reply).expect("a reply") {
        KpasswdReply::Error(_) => krb_error(&reply),
        KpasswdReply::Answer { ap_rep, message } => {
            let part = draft
                .with
                .key
                .decrypt(KeyUsage::AP_REP, wire::decode::<wire::ApRep<'_>>(ap_rep).expect("AP-REP").enc_part.cipher);
            let part = part.expect("a proof");
            let part: wire::EncApRepPart<'_> = wire::decode(&part).expect("EncAPRepPart");
            let subkey = draft.subkey.as_ref().expect("a subkey");
            let mut session = Session::new(subkey, Role::Initiator, 0, part.sequence.unwrap_or(0));
            session = session.with_addresses(Address::initiator(), None);
            let data = session.read_priv(realm.realm.now, message).expect("KRB-PRIV");
            let result = wire::KpasswdResult::decode(&data).expect("a result");
            (result.code, String::from_utf8(result.text.to_vec()).expect("UTF-8"))
        }
    }
}

#[test]
fn a_client_changes_its_own_password_and_is_recorded() {
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    let (exchange, request) = realm.request(&ticket, &NewSecret { password: NEW, target: None });
    let outcome = realm.send(&request);
    exchange.finish(realm.realm.now, &outcome.reply.expect("a reply")).expect("changed");
    let event = outcome.event;
    assert_eq!((event.exchange, event.client, event.refusal), (Exchange::Kpasswd, Some(name("alice")), None));
    let alice = realm.entry("alice");
    assert!(opens_with(&alice, NEW));
    assert_eq!((alice.keys.len(), alice.keys[0].kvno, &*alice.modified_by), (1, 2, "alice@EXAMPLE.ORG"));
}

#[test]
fn a_client_may_name_itself_by_any_of_its_names() {
    let joined = Joined::new();
    joined.change("alice", |entry| entry.aliases.push(name("al")));
    let mut realm = Changing::of(joined);
    for target in [Some(name("alice")), Some(name("al"))] {
        let ticket = realm.ticket("alice");
        realm.set(&ticket, &NewSecret { password: NEW, target: target.as_ref() }).expect("its own");
        realm.bend("alice", |entry| entry.password_changed = None);
    }
    let ticket = realm.ticket("al");
    realm.change(&ticket, NEW).expect("by its alias");
    assert_eq!(send(&set(&realm.ticket("alice"), None, None), &mut realm).0, KpasswdCode::SUCCESS);
    assert_eq!(send(&set(&realm.ticket("alice"), Some(&name("alice")), None), &mut realm).0, KpasswdCode::SUCCESS);
}

#[test]
fn a_password_that_must_be_changed_can_be_and_then_need_not() {
    let joined = Joined::new();
    joined.change("alice", |entry| {
        entry.attributes = entry.attributes.with(Attributes::REQUIRES_PWCHANGE, true);
        entry.password_expires = Some(NOW + -1);
    });
    let mut realm = Changing::of(joined);
    assert_eq!(realm.realm.login(&Asking::login("alice")).expect_err("expired"), ErrorCode::KEY_EXPIRED);
    let ticket = realm.ticket("alice");
    realm.change(&ticket, NEW).expect("changed");
    let alice = realm.entry("alice");
    assert!(!alice.attributes.has(Attributes::REQUIRES_PWCHANGE) && alice.password_expires.is_none());
}

#[test]
fn a_client_that_failures_have_locked_changes_nothing_with_the_ticket_that_it_has() {
    let joined = Joined::new();
    joined
        .store
        .commit(&[Change::PutPolicy(PasswordPolicy { max_failures: 3, ..PasswordPolicy::new("three") })])
        .expect("a policy");
    joined.change("alice", |entry| entry.policy = Some("three".into()));
    let mut realm = Changing::of(joined);
    let ticket = realm.ticket("alice");
    let (id, rule) = (realm.entry("alice").id, Lockout { max_failures: 3, interval: 0, duration: 0 });
    let _ = realm.attempts.attempt(&id, Some(&rule), NOW, &mut |_| Proven::No(3));
    let (code, text) = refused(realm.change(&ticket, NEW));
    assert_eq!((code, &*text), (KpasswdCode::ACCESSDENIED, "The account is locked after too many failures"));
    realm.attempts.unlock(&id).expect("opened");
    realm.change(&ticket, NEW).expect("changed");
}

#[test]
fn other_rules_are_in_force_for_whoever_asks_next() {
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    let narrow = Policy { etypes: vec![EncryptionType::CAMELLIA256], ..realm.realm.policy.clone() };
    realm.govern(narrow);
    let (code, text) = refused(realm.change(&ticket, NEW));
    assert_eq!(code, KpasswdCode::AUTHERROR, "{text}");
    realm.govern(realm.realm.policy.clone());
    realm.change(&ticket, NEW).expect("changed");
}

#[test]
fn the_password_of_another_is_not_changed() {
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    for target in ["bob", "krbtgt/EXAMPLE.ORG", "kadmin/changepw", "nobody", "alice@OTHER.ORG"] {
        let target = Principal::parse(target, Some(REALM)).expect("a name");
        let (code, text) = refused(realm.set(&ticket, &NewSecret { password: NEW, target: Some(&target) }));
        assert_eq!(code, KpasswdCode::ACCESSDENIED, "{target}: {text}");
        assert!(!text.is_empty());
    }
    assert_eq!(realm.entry("bob").keys[0].kvno, 1);
}

#[test]
fn the_password_of_another_is_set_where_the_access_list_says_so() {
    let acl = "alice c bob\nalice c krbtgt/EXAMPLE.ORG";
    let joined = Joined::new();
    joined.change("krbtgt/EXAMPLE.ORG", |entry| entry.attributes = Attributes::LOCKDOWN_KEYS);
    let mut realm = Changing::under(joined, acl);
    let ticket = realm.ticket("alice");
    let set = |realm: &mut Changing, target: &str| {
        let target = name(target);
        realm.set(&ticket, &NewSecret { password: NEW, target: Some(&target) })
    };
    set(&mut realm, "bob").expect("in the list");
    let bob = realm.entry("bob");
    assert!(opens_with(&bob, NEW));
    assert_eq!(bob.modified_by, "alice@EXAMPLE.ORG");
    assert_eq!(refused(set(&mut realm, "krbtgt/EXAMPLE.ORG")).0, KpasswdCode::ACCESSDENIED, "locked down");
    assert_eq!(refused(set(&mut realm, "host/a.example.org")).0, KpasswdCode::ACCESSDENIED, "not in the list");
}

#[test]
fn a_refusal_says_which_rule_failed_and_the_way_out() {
    type Rule = fn(&mut PasswordPolicy);
    let rules: [(Rule, &str); 4] = [
        (|policy| policy.min_length = 40, "Password is too short: policy staff asks for at least 40 characters"),
        (
            |policy| policy.min_classes = 5,
            "Password does not contain enough character classes: policy staff asks for 5",
        ),
        (|policy| policy.min_life = 1 << 40, "Current password's minimum life has not expired: policy staff lets"),
        (|policy| policy.min_strength = 4, "Password is too easy to guess: policy staff asks for a strength of 4"),
    ];
    for (rule, expected) in rules {
        let mut policy = PasswordPolicy::new("staff");
        rule(&mut policy);
        let joined = Joined::new();
        joined.add_policy(policy);
        joined.change("alice", |entry| entry.policy = Some("staff".into()));
        joined.change("alice", |entry| entry.password_changed = Some(NOW + -100_000_000));
        let mut realm = Changing::of(joined);
        let ticket = realm.ticket("alice");
        let weak = "hunter22";
        let (code, text) = refused(realm.change(&ticket, weak));
        assert_eq!(code, KpasswdCode::SOFTERROR, "{text}");
        assert!(text.starts_with(expected), "{text}");
        assert!(!text.contains(weak), "{text}");
    }
}

#[test]
fn b12_only_a_ticket_for_changing_passwords_under_its_own_key_is_taken() {
    let mut realm = Changing::new();
    let tgt = realm.realm.login(&Asking::login("alice")).expect("a TGT");
    let service = realm.realm.tgs(&tgt, &Asking::service("host/a.example.org")).expect("a ticket");
    let mut tickets = vec![tgt.clone(), service.clone()];
    // Under the name of the service, but sealed with other keys that the store has.
    for sealed_by in ["krbtgt/EXAMPLE.ORG", "host/a.example.org", "alice"] {
        let forged = realm.realm.forge(&tgt, sealed_by, |_| {});
        let ticket = wire::decode::<wire::Ticket<'_>>(&forged.ticket).expect("a ticket");
        let changepw = Principal::changepw(REALM);
        let renamed = wire::encode(&wire::Ticket { server: (&changepw).into(), ..ticket });
        tickets.push(Credential { ticket: renamed, ..forged });
    }
    for ticket in tickets {
        let (exchange, request) = realm.request(&ticket, &NewSecret { password: NEW, target: None });
        let outcome = realm.send(&request);
        assert_eq!(outcome.event.client, None);
        let reply = outcome.reply.expect("a reply");
        assert_eq!(krb_error(&reply).0, KpasswdCode::AUTHERROR);
        assert_eq!(refused(exchange.finish(realm.realm.now, &reply)).0, KpasswdCode::AUTHERROR);
    }
    assert_eq!(realm.entry("alice").keys[0].kvno, 1);
}

#[test]
fn b12_a_ticket_that_is_not_from_a_login_changes_nothing() {
    // A realm that gives such tickets, against what `kdc init` makes.
    let joined = Joined::new();
    joined.change("kadmin/changepw", |entry| entry.attributes = Attributes::default());
    let mut realm = Changing::of(joined);
    let tgt = realm.realm.login(&Asking::login("alice")).expect("a TGT");
    let ticket = realm.realm.tgs(&tgt, &Asking::service("kadmin/changepw")).expect("a ticket");
    assert!(!ticket.flags.has(TicketFlags::INITIAL));
    let (code, text) = refused(realm.change(&ticket, NEW));
    assert_eq!(code, KpasswdCode::INITIAL_FLAG_NEEDED);
    assert!(text.contains("login"), "{text}");
    assert_eq!(realm.entry("alice").keys[0].kvno, 1);
}

#[test]
fn the_same_request_is_good_once() {
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    let (_, request) = realm.request(&ticket, &NewSecret { password: NEW, target: None });
    assert!(realm.send(&request).event.refusal.is_none());
    let again = realm.send(&request);
    assert_eq!(again.event.refusal.map(|(code, _)| code), Some(ErrorCode::REPEAT));
    let (code, text) = krb_error(&again.reply.expect("a reply"));
    assert_eq!((code, &*text), (KpasswdCode::AUTHERROR, "The ticket was refused: Request is a replay"));
    assert_eq!(realm.entry("alice").keys[0].kvno, 2);
}

#[test]
fn a_ticket_that_is_older_than_the_password_is_good_for_nothing() {
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    realm.bend("alice", |entry| entry.password_changed = Some(ticket.auth_time + 1));
    let (code, text) = refused(realm.change(&ticket, NEW));
    assert_eq!(code, KpasswdCode::ACCESSDENIED);
    assert!(text.contains("log in anew"), "{text}");
    realm.bend("alice", |entry| entry.password_changed = Some(ticket.auth_time));
    realm.change(&ticket, NEW).expect("of the same second");
}

#[test]
fn who_was_disabled_or_deleted_since_the_login_changes_nothing() {
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    let bends: [fn(&mut Entry); 3] = [
        |entry| entry.attributes = entry.attributes.with(Attributes::DISALLOW_ALL_TIX, true),
        |entry| {
            entry.attributes = entry.attributes.with(Attributes::DISALLOW_ALL_TIX, false);
            entry.expires = Some(NOW);
        },
        |entry| {
            entry.expires = None;
            entry.attributes = entry.attributes.with(Attributes::LOCKDOWN_KEYS, true);
        },
    ];
    for bend in bends {
        realm.bend("alice", bend);
        assert_eq!(refused(realm.change(&ticket, NEW)).0, KpasswdCode::ACCESSDENIED);
    }
    realm.store.commit(&[Change::Delete(name("alice"))]).expect("deleted");
    assert_eq!(refused(realm.change(&ticket, NEW)).0, KpasswdCode::ACCESSDENIED);
}

#[test]
fn a_password_that_is_none_is_told_as_such() {
    let mut realm = Changing::new();
    for data in [&b""[..], b"nul\0nul", b"\xff\xfe"] {
        let ticket = realm.ticket("alice");
        let (code, text) = send(&Draft { data: data.to_vec(), ..draft(&ticket) }, &mut realm);
        assert_eq!(code, KpasswdCode::SOFTERROR, "{data:?}");
        assert!(!text.is_empty());
    }
    assert_eq!(realm.entry("alice").keys[0].kvno, 1);
}

#[test]
fn what_is_wrong_with_a_request_is_told_by_its_code() {
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    let draft = || draft(&ticket);
    let other = Key::random(ticket.key.etype(), &mut Sequence(1)).expect("a key");
    let (bob, nowhere) = (name("bob"), "");
    for (draft, expected) in [
        (Draft { version: 2, ..draft() }, KpasswdCode::BAD_VERSION),
        (Draft { version: KpasswdRequest::SET, ..draft() }, KpasswdCode::MALFORMED),
        (set(&ticket, None, Some(REALM)), KpasswdCode::MALFORMED),
        (set(&ticket, Some(&bob), Some(nowhere)), KpasswdCode::ACCESSDENIED),
        (Draft { subkey: None, ..draft() }, KpasswdCode::AUTHERROR),
        (Draft { sealed_with: Some(other), ..draft() }, KpasswdCode::AUTHERROR),
        (Draft { sealed_with: Some(ticket.key.clone()), ..draft() }, KpasswdCode::AUTHERROR),
        (Draft { number: 6, ..draft() }, KpasswdCode::AUTHERROR),
    ] {
        let (code, text) = send(&draft, &mut realm);
        assert_eq!(code, expected, "{text}");
    }
    assert_eq!(realm.entry("alice").keys[0].kvno, 1);
    assert_eq!(send(&draft(), &mut realm).0, KpasswdCode::SUCCESS);
}

#[test]
fn replies_are_not_answered_and_junk_is_no_gain_for_who_sends_it() {
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    let (_, request) = realm.request(&ticket, &NewSecret { password: NEW, target: None });
    let reply = realm.send(&request).reply.expect("a reply");
    assert!(realm.send(&reply).reply.is_none(), "a reply");
    let junk = realm.send(b"junk").reply.expect("an error");
    assert_eq!(krb_error(&junk).0, KpasswdCode::MALFORMED);
    assert!(realm.send(&junk).reply.is_none(), "an error");
    let Ok(KpasswdReply::Error(bare)) = KpasswdReply::decode(&junk) else { panic!("no KRB-ERROR") };
    assert!(realm.send(bare).reply.is_none(), "an error without a frame");
}

#[test]
fn a_request_that_is_cut_or_bent_on_its_way_changes_nothing_or_what_was_asked() {
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    let (_, request) = realm.request(&ticket, &NewSecret { password: NEW, target: None });
    for length in 0..request.len() {
        let _ = realm.send(&request[..length]);
    }
    assert_eq!(realm.entry("alice").keys[0].kvno, 1);
    for at in 0..request.len() {
        let mut bent = request.clone();
        bent[at] ^= 0x41;
        let _ = realm.send(&bent);
    }
    // The names on a ticket and the options beside it are anyone's to change, and decide nothing.
    let alice = realm.entry("alice");
    assert!(alice.keys[0].kvno == 1 || opens_with(&alice, NEW));
    assert_eq!(realm.entry("bob").keys[0].kvno, 1);
}

#[test]
fn who_turns_one_version_into_the_other_makes_no_password_of_what_is_none() {
    let mut realm = Changing::new();
    let ticket = realm.ticket("alice");
    for (target, version) in [(Some(name("alice")), 0x0001_u16), (None, 0xff80)] {
        let (_, mut request) = realm.request(&ticket, &NewSecret { password: NEW, target: target.as_ref() });
        request[2..4].copy_from_slice(&version.to_be_bytes());
        let refusal = realm.send(&request).event.refusal;
        assert!(refusal.is_some(), "{version:#x}");
    }
    assert_eq!(realm.entry("alice").keys[0].kvno, 1);
}
