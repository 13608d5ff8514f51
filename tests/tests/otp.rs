//! One-time passwords (RFC 6560): a KDC in memory and a client by hand, in FAST.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use kdc::core::entry::{Token, TokenKind};
use kdc::core::second::{Answer, More, OtpServer, OtpType};
use kdc::core::{Arrival, Attributes, Kdc, PasswordPolicy};
use libkrb::client::{AsExchange, AsRequest, Exchange, Outcome, Secret, Step};
use libkrb::codes::{EncryptionType, PaType};
use libkrb::crypto::{Key, KeyUsage, OtpHash, hotp};
use libkrb::flags::OtpFlags;
use libkrb::preauth::{Means, fast};
use libkrb::wire::{self, EncryptedData, PaEncTsEnc, PaOtpChallenge, PaOtpEncRequest, PaOtpRequest, Utf8};
use libkrb::{ErrorCode, authz};
use tests::armored::{Armor, Inside, Told};
use tests::joined::{Asking, Credential, Joined, NOW, PASSWORD, Sequence, as_error, name};
use zeroize::Zeroizing;

const SECRET: &[u8] = b"12345678901234567890";
const HOST: &str = "host/a.example.org";

fn token(name: &str, kind: TokenKind) -> Token {
    Token {
        name: name.into(),
        kind,
        hash: OtpHash::Sha1,
        digits: 6,
        secret: Zeroizing::new(SECRET.to_vec()),
        next: 0,
        with_password: false,
        indicators: vec![],
        created: NOW,
    }
}

/// A realm whose alice has a token that counts.
fn realm() -> Joined {
    let realm = Joined::new();
    realm.change("alice", |entry| entry.tokens = vec![token("key", TokenKind::Counting)]);
    realm
}

fn code(count: u64) -> String {
    hotp(OtpHash::Sha1, SECRET, count, 6)
}

/// Armor of the host's own ticket.
fn armor(realm: &mut Joined) -> Armor {
    let host = realm.login(&Asking { client: name(HOST), ..Asking::login("alice") }).expect("the host's TGT");
    Armor::new(realm, &host)
}

/// What the KDC says first: that it wants a proof, and its challenge.
fn challenged(realm: &mut Joined, armor: &Armor) -> Told {
    let asking = Asking::login("alice");
    let request = armor.as_req(realm, &asking, &Inside::default());
    let reply = realm.send(&request).reply.expect("an answer");
    let told = armor.open(&reply, asking.nonce).expect("an envelope");
    assert_eq!(told.code, Some(ErrorCode::PREAUTH_REQUIRED));
    told
}

/// How an answer departs from an honest one.
#[derive(Default)]
struct Bend<'a> {
    nonce: Option<&'a [u8]>,
    clock: bool,
    pin: Option<&'a str>,
    token: Option<&'a str>,
    vendor: Option<&'a str>,
    no_value: bool,
    no_cookie: bool,
    key: Option<&'a Key>,
}

/// The AS-REQ that answers a challenge.
fn answer(realm: &mut Joined, armor: &Armor, told: &Told, value: &str, bend: &Bend<'_>) -> Vec<u8> {
    realm.tick();
    let challenge: PaOtpChallenge<'_> = wire::decode(told.value(PaType::OTP_CHALLENGE).expect("offered")).expect("one");
    let plain = match bend.clock {
        true => wire::encode(&PaEncTsEnc { time: realm.now.time, micros: Some(realm.now.micros) }),
        false => wire::encode(&PaOtpEncRequest { nonce: bend.nonce.unwrap_or(challenge.nonce) }),
    };
    let key = bend.key.unwrap_or(&armor.key);
    let cipher = key.encrypt(KeyUsage::OTP_REQUEST, &mut Sequence(7), &plain);
    let request = wire::encode(&PaOtpRequest {
        flags: OtpFlags::NONE,
        nonce: None,
        enc_data: EncryptedData { etype: key.etype(), kvno: None, cipher: &cipher },
        hash: None,
        iterations: None,
        value: (!bend.no_value).then_some(value.as_bytes()),
        pin: bend.pin.map(Utf8),
        challenge: None,
        time: None,
        counter: None,
        format: None,
        token_id: bend.token.map(str::as_bytes),
        algorithm: None,
        vendor: bend.vendor.map(Utf8),
    });
    let cookie = told.value(PaType::FX_COOKIE).expect("a cookie").to_vec();
    let mut padata = vec![(PaType::OTP_REQUEST, request)];
    padata.extend((!bend.no_cookie).then_some((PaType::FX_COOKIE, cookie)));
    armor.as_req(realm, &Asking::login("alice"), &Inside::of(padata))
}

fn opened(armor: &Armor, reply: &[u8]) -> Result<Credential, ErrorCode> {
    let told = armor.open(reply, Asking::login("alice").nonce).expect("an envelope");
    if let Some(code) = told.code {
        return Err(code);
    }
    let key = fast::strengthened(told.strengthen.as_ref().expect("a key"), &armor.key).expect("a key");
    Credential::open(reply, &key, KeyUsage::AS_REP_ENC_PART)
}

fn login_with(realm: &mut Joined, value: &str, bend: &Bend<'_>) -> Result<Credential, ErrorCode> {
    let armor = armor(realm);
    let told = challenged(realm, &armor);
    let request = answer(realm, &armor, &told, value, bend);
    let reply = realm.send(&request).reply.expect("an answer");
    opened(&armor, &reply)
}

fn login(realm: &mut Joined, value: &str) -> Result<Credential, ErrorCode> {
    login_with(realm, value, &Bend::default())
}

fn indicators(realm: &Joined, ticket: &Credential) -> Vec<String> {
    realm.open(&ticket.ticket, |part| {
        let containers = authz::cammac::find(part.authorization_data.as_ref());
        containers.iter().flat_map(|container| authz::indicators::read(&container.elements.value)).collect()
    })
}

#[test]
fn s6560_a_value_of_the_token_is_a_login_and_the_ticket_says_so() {
    let mut realm = realm();
    realm.change("alice", |entry| entry.tokens[0].indicators = vec!["yubikey".into()]);
    let ticket = login(&mut realm, &code(0)).expect("a TGT");
    assert_eq!(indicators(&realm, &ticket), ["otp", "yubikey"]);
    let timed = token("phone", TokenKind::Timed { period: 30 });
    realm.change("alice", |entry| entry.tokens.push(timed));
    let now = code(realm.now.time.seconds() as u64 / 30);
    assert!(login_with(&mut realm, &now, &Bend { token: Some("key"), ..Bend::default() }).is_err(), "of that token");
    assert!(login_with(&mut realm, &now, &Bend { token: Some("phone"), ..Bend::default() }).is_ok());
}

#[test]
fn s6560_the_challenge_names_the_tokens_and_has_a_long_nonce() {
    let mut realm = realm();
    realm.change("alice", |entry| entry.tokens[0].with_password = true);
    let armor = armor(&mut realm);
    let told = challenged(&mut realm, &armor);
    let challenge: PaOtpChallenge<'_> = wire::decode(told.value(PaType::OTP_CHALLENGE).expect("offered")).expect("one");
    assert!(challenge.nonce.len() >= armor.key.expose().len());
    let tokens: Vec<_> = challenge.tokens.iter().collect();
    let [token] = &tokens[..] else { panic!("one token") };
    assert_eq!((token.vendor, token.token_id, token.length), (Some(Utf8("key")), Some(&b"key"[..]), Some(6)));
    assert_eq!(token.flags, OtpFlags::COLLECT_PIN | OtpFlags::SEPARATE_PIN_REQUIRED);
    let kinds: Vec<_> = told.padata.iter().map(|(kind, _)| *kind).collect();
    assert!(!kinds.contains(&PaType::ENCRYPTED_CHALLENGE) && !kinds.contains(&PaType::ENC_TIMESTAMP), "{kinds:?}");
}

#[test]
fn a_value_is_good_once_also_with_a_fresh_challenge() {
    let mut realm = realm();
    assert!(login(&mut realm, &code(3)).is_ok(), "three were made in vain");
    for used in [3, 2, 0] {
        assert_eq!(login(&mut realm, &code(used)).expect_err("used"), ErrorCode::PREAUTH_FAILED);
    }
    assert!(login(&mut realm, &code(4)).is_ok());
    let timed = token("phone", TokenKind::Timed { period: 30 });
    realm.change("alice", |entry| entry.tokens = vec![timed]);
    let step = realm.now.time.seconds() as u64 / 30;
    assert!(login(&mut realm, &code(step)).is_ok());
    assert_eq!(login(&mut realm, &code(step)).expect_err("used"), ErrorCode::PREAUTH_FAILED);
    assert_eq!(login(&mut realm, &code(step - 1)).expect_err("older"), ErrorCode::PREAUTH_FAILED);
    assert!(login(&mut realm, &code(step + 1)).is_ok(), "the next one, of a clock that is ahead");
}

#[test]
fn of_two_clients_who_come_at_once_with_one_value_one_gets_in() {
    for round in 0..8 {
        let mut realm = realm();
        let armors = [armor(&mut realm), armor(&mut realm)];
        let requests = armors.each_ref().map(|armor| {
            let told = challenged(&mut realm, armor);
            answer(&mut realm, armor, &told, &code(0), &Bend::default())
        });
        let Joined { policy, store, replays, attempts, tickets, .. } = &realm;
        let kdc = Kdc { policy, store, replays, attempts, tickets };
        let at = Arrival { now: realm.now, from: None };
        let start = std::sync::Barrier::new(2);
        let replies: Vec<_> = std::thread::scope(|scope| {
            let threads = requests.each_ref().map(|request| {
                let (kdc, start) = (&kdc, &start);
                scope.spawn(move || {
                    start.wait();
                    kdc::core::handle(kdc, at, &mut Sequence(round), request).reply.expect("an answer")
                })
            });
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let outcomes: Vec<_> = armors.iter().zip(&replies).map(|(armor, reply)| opened(armor, reply)).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        let refused = outcomes.into_iter().find_map(Result::err);
        assert_eq!(refused, Some(ErrorCode::PREAUTH_FAILED));
    }
}

#[test]
fn a_password_alone_is_not_enough_for_who_has_a_token_unless_that_is_allowed() {
    let mut realm = realm();
    assert_eq!(realm.login(&Asking::login("alice")).expect_err("no FAST"), ErrorCode::POLICY);
    let armor = armor(&mut realm);
    assert_eq!(armor.login(&mut realm, &Asking::login("alice")).expect_err("no token"), ErrorCode::POLICY);
    realm.change("alice", |entry| entry.attributes = Default::default());
    let bare = realm.as_req(&Asking::login("alice"), None);
    assert!(as_error(&realm.send(&bare).reply.expect("an answer")).is_some(), "also without requires_preauth");
    realm.change("alice", |entry| entry.attributes = Attributes::REQUIRES_PRE_AUTH);
    realm.change("alice", |entry| drop(entry.strings.insert("otp_optional".into(), "true".into())));
    assert!(armor.login(&mut realm, &Asking::login("alice")).is_ok());
    assert!(realm.login(&Asking::login("alice")).is_ok());
    assert!(login(&mut realm, &code(0)).is_ok(), "and the token does too");
}

#[test]
fn wrong_values_lock_with_and_without_a_policy() {
    let mut plain = realm();
    for number in 1..=10 {
        assert_eq!(login(&mut plain, "000000").expect_err("wrong"), ErrorCode::PREAUTH_FAILED);
        if number == 9 {
            plain.wait(3599);
        }
    }
    let told = plain.as_req(&Asking::login("alice"), None);
    assert!(as_error(&plain.send(&told).reply.expect("an answer")).is_some());
    let armor = armor(&mut plain);
    let request = armor.as_req(&mut plain, &Asking::login("alice"), &Inside::default());
    let reply = plain.send(&request).reply.expect("an answer");
    assert_eq!(armor.open(&reply, 4711).expect("an envelope").code, Some(ErrorCode::CLIENT_REVOKED));
    plain.wait(3600);
    assert!(login(&mut plain, &code(0)).is_ok(), "for an hour");
    let mut strict = realm();
    strict.add_policy(PasswordPolicy { max_failures: 2, lockout_duration: 60, ..PasswordPolicy::new("strict") });
    strict.change("alice", |entry| entry.policy = Some("strict".into()));
    assert_eq!(login(&mut strict, "000000").expect_err("wrong"), ErrorCode::PREAUTH_FAILED);
    assert!(login(&mut strict, &code(0)).is_ok());
    for _ in 0..2 {
        assert_eq!(login(&mut strict, "000000").expect_err("wrong"), ErrorCode::PREAUTH_FAILED);
    }
    assert_eq!(strict.attempts_of("alice").failures, 2);
}

#[test]
fn who_has_the_password_guesses_no_more_values_for_it() {
    let mut realm = realm();
    realm.change("alice", |entry| drop(entry.strings.insert("otp_optional".into(), "true".into())));
    for failures in 1..=10 {
        assert_eq!(login(&mut realm, "000000").expect_err("wrong"), ErrorCode::PREAUTH_FAILED);
        let password = realm.login(&Asking::login("alice"));
        assert_eq!(password.is_ok(), failures < 10, "{failures}");
        assert_eq!(realm.attempts_of("alice").failures, failures);
    }
    realm.wait(3600);
    assert!(login(&mut realm, &code(0)).is_ok());
    assert_eq!(realm.attempts_of("alice").failures, 0, "the token proves more");
}

#[test]
fn an_answer_is_asked_about_once_and_only_right_ones_are_remembered() {
    let mut realm = realm();
    let clock = || Bend { clock: true, no_cookie: true, ..Bend::default() };
    for _ in 0..3 {
        let before = realm.replays.len();
        assert_eq!(login_with(&mut realm, "000000", &clock()).expect_err("wrong"), ErrorCode::PREAUTH_FAILED);
        assert_eq!(realm.replays.len(), before + 1, "the login of the host whose ticket is armor: nothing for a guess");
    }
    // What comes again gets its answer from who remembers that it left a trace.
    let armor = armor(&mut realm);
    let told = challenged(&mut realm, &armor);
    let request = answer(&mut realm, &armor, &told, &code(0), &Bend::default());
    let before = realm.replays.len();
    assert!(opened(&armor, &realm.send(&request).reply.expect("an answer")).is_ok());
    assert_eq!(realm.replays.len(), before + 1);

    let server = Arc::new(Scripted { answer: Answer::Wrong, asked: AtomicU32::new(0) });
    let kind = OtpType { server: server.clone(), strip_realm: true, indicators: vec![], collect_pin: None };
    realm.policy.otp_types.insert("corp".into(), kind);
    realm.change("alice", |entry| {
        entry.tokens.clear();
        entry.strings.insert("otp".into(), "[{\"type\":\"corp\",\"username\":\"al\"}]".to_owned());
    });
    let told = challenged(&mut realm, &armor);
    let request = answer(&mut realm, &armor, &told, "secret123456", &Bend::default());
    assert_eq!(opened(&armor, &realm.send(&request).reply.expect("one")).err(), Some(ErrorCode::PREAUTH_FAILED));
    assert_eq!(opened(&armor, &realm.send(&request).reply.expect("one")).err(), Some(ErrorCode::REPEAT));
    assert_eq!(server.asked.load(Ordering::Relaxed), 1);
}

#[test]
fn a_token_that_wants_the_password_too_wants_both() {
    let mut realm = realm();
    realm.change("alice", |entry| entry.tokens[0].with_password = true);
    let right = std::str::from_utf8(PASSWORD).expect("text");
    let with = |pin| Bend { pin, ..Bend::default() };
    assert_eq!(login_with(&mut realm, &code(0), &with(None)).expect_err("none"), ErrorCode::PIN_REQUIRED);
    assert_eq!(login_with(&mut realm, &code(0), &with(Some("wrong"))).expect_err("wrong"), ErrorCode::PREAUTH_FAILED);
    assert_eq!(login_with(&mut realm, "000000", &with(Some(right))).expect_err("wrong"), ErrorCode::PREAUTH_FAILED);
    assert_eq!(realm.attempts_of("alice").failures, 2, "each a wrong guess, and a missing one none");
    assert!(login_with(&mut realm, &code(0), &with(Some(right))).is_ok(), "a value is not used up by a wrong password");
}

#[test]
fn s6560_answers_to_other_challenges_and_without_armor_are_refused() {
    let mut realm = realm();
    let refused = |realm: &mut Joined, bend| login_with(realm, &code(0), &bend).expect_err("refused");
    let other = Key::new(EncryptionType::AES256_SHA1, &[5; 32]).expect("a key");
    assert_eq!(refused(&mut realm, Bend { nonce: Some(b"other"), ..Bend::default() }), ErrorCode::PREAUTH_FAILED);
    assert_eq!(refused(&mut realm, Bend { key: Some(&other), ..Bend::default() }), ErrorCode::PREAUTH_FAILED);
    assert_eq!(refused(&mut realm, Bend { no_value: true, ..Bend::default() }), ErrorCode::PREAUTH_FAILED);
    assert!(login_with(&mut realm, &code(0), &Bend { no_cookie: true, ..Bend::default() }).is_err());
    let armor = armor(&mut realm);
    let told = challenged(&mut realm, &armor);
    realm.wait(601);
    let armor = self::armor(&mut realm);
    let late = answer(&mut realm, &armor, &told, &code(0), &Bend::default());
    let reply = realm.send(&late).reply.expect("an answer");
    assert_eq!(opened(&armor, &reply).expect_err("too late"), ErrorCode::PREAUTH_EXPIRED);
    let bare = Asking { padata: vec![(PaType::OTP_REQUEST, b"0\0".to_vec())], ..Asking::login("alice") };
    let bare = realm.as_req(&bare, None);
    assert!(as_error(&realm.send(&bare).reply.expect("an answer")).is_some());
    assert!(login(&mut realm, &code(0)).is_ok(), "none of it used the value up");
}

#[test]
fn s6560_who_has_seen_no_challenge_may_show_a_clock_instead() {
    let mut realm = realm();
    let clock = || Bend { clock: true, no_cookie: true, ..Bend::default() };
    assert!(login_with(&mut realm, &code(0), &clock()).is_ok());
    assert!(login_with(&mut realm, &code(0), &clock()).is_err(), "the value is used all the same");
}

/// A server that says what it is told to, and counts who asks.
#[derive(Debug)]
struct Scripted {
    answer: Answer,
    asked: AtomicU32,
}

impl OtpServer for Scripted {
    fn ask(&self, user: &str, password: &[u8], state: Option<&[u8]>) -> Answer {
        self.asked.fetch_add(1, Ordering::Relaxed);
        assert_eq!((user, password, state), ("al", &b"secret123456"[..], None));
        self.answer.clone()
    }
}

/// A server whose users have just got a new token: it wants to see its next value, and asks until it is right.
#[derive(Debug)]
struct Patient;

impl OtpServer for Patient {
    fn ask(&self, user: &str, password: &[u8], state: Option<&[u8]>) -> Answer {
        assert_eq!(user, "al");
        let more = |state: &[u8]| More { state: Some(state.to_vec()), message: "Wait for the next code".into() };
        match (state, password) {
            (None, b"first") => Answer::More(more(b"first")),
            (Some(b"first" | b"again"), b"next") => Answer::Right,
            (Some(_), b"no") => Answer::Wrong,
            (Some(_), _) => Answer::More(more(b"again")),
            _ => Answer::Wrong,
        }
    }
}

/// A realm whose alice has tokens of these types, and this server for both.
fn corporate(server: Arc<dyn OtpServer>, types: &[&str]) -> Joined {
    let mut realm = Joined::new();
    for name in types {
        let (server, indicators) = (server.clone(), vec!["radius".into()]);
        let kind = OtpType { server, strip_realm: true, indicators, collect_pin: None };
        realm.policy.otp_types.insert((*name).into(), kind);
    }
    let tokens: Vec<_> = types.iter().map(|name| format!("{{\"type\":\"{name}\",\"username\":\"al\"}}")).collect();
    let otp = format!("[{}]", tokens.join(","));
    realm.change("alice", |entry| drop(entry.strings.insert("otp".into(), otp)));
    realm
}

#[test]
fn a_server_that_wants_to_know_more_is_answered_by_another_value() {
    let mut realm = corporate(Arc::new(Patient), &["corp"]);
    let (outcome, asked) = typed(&mut realm, &["first", "next"], &[]);
    assert!(outcome.is_ok(), "{asked:?}");
    assert_eq!(asked, ["Enter OTP Token Value", "OTP Challenge: Wait for the next code\nEnter OTP Token Value"]);
    assert_eq!(realm.attempts_of("alice").failures, 0);
    let (outcome, _) = typed(&mut realm, &["next"], &[]);
    assert!(outcome.is_err(), "the answer to a question that nobody asked");
    assert_eq!(realm.attempts_of("alice").failures, 1);
    assert!(typed(&mut realm, &["first", "no"], &[]).0.is_err());
    assert_eq!(realm.attempts_of("alice").failures, 2, "the question was no failure, the wrong answer is one");
    let (outcome, asked) = typed(&mut realm, &["first", "typo", "next"], &[]);
    assert!(outcome.is_ok(), "{asked:?}");
    assert_eq!(realm.attempts_of("alice").failures, 0, "a login clears them");
}

#[test]
fn who_guesses_at_a_server_that_never_says_no_is_locked_out() {
    let mut realm = corporate(Arc::new(Patient), &["corp"]);
    let mut guesses = 0;
    while typed(&mut realm, &["first", "guess"], &[]).1.len() > 1 {
        guesses += 1;
        assert!(guesses < 50, "guesses without end");
    }
    assert_eq!(guesses, 10);
    assert!(typed(&mut realm, &["first", "next"], &[]).0.is_err(), "locked");
}

#[test]
fn a9_what_a_server_wants_to_be_told_again_is_bound_to_client_challenge_and_token() {
    let mut realm = corporate(Arc::new(Patient), &["corp", "other"]);
    let armor = armor(&mut realm);
    let told = challenged(&mut realm, &armor);
    let corp = || Bend { vendor: Some("corp"), ..Bend::default() };
    let request = answer(&mut realm, &armor, &told, "first", &corp());
    let reply = realm.send(&request).reply.expect("an answer");
    let more = armor.open(&reply, Asking::login("alice").nonce).expect("an envelope");
    assert_eq!(more.code, Some(ErrorCode::MORE_PREAUTH_DATA_REQUIRED));
    let mut refused = |told: &Told, bend: &Bend<'_>| {
        let request = answer(&mut realm, &armor, told, "next", bend);
        opened(&armor, &realm.send(&request).reply.expect("an answer")).err()
    };
    assert_eq!(refused(&more, &Bend { vendor: Some("other"), ..corp() }), Some(ErrorCode::PREAUTH_FAILED));
    assert_eq!(refused(&more, &Bend { nonce: Some(&[1; 40]), ..corp() }), Some(ErrorCode::PREAUTH_FAILED));
    assert_eq!(refused(&more, &Bend { no_cookie: true, ..corp() }), Some(ErrorCode::PREAUTH_EXPIRED));
    assert_eq!(refused(&more, &corp()), None);
}

#[test]
fn a_value_that_somebody_else_knows_is_asked_for_there() {
    for (answer, expected) in [
        (Answer::Right, None),
        (Answer::Wrong, Some(ErrorCode::PREAUTH_FAILED)),
        (Answer::Silent, Some(ErrorCode::SVC_UNAVAILABLE)),
    ] {
        let mut realm = Joined::new();
        let server = Arc::new(Scripted { answer: answer.clone(), asked: AtomicU32::new(0) });
        let kind = OtpType {
            server: server.clone(),
            strip_realm: true,
            indicators: vec!["radius".into()],
            collect_pin: Some(true),
        };
        realm.policy.otp_types.insert("corp".into(), kind);
        let otp = "[{\"type\":\"corp\",\"username\":\"al\"}]".to_owned();
        realm.change("alice", |entry| drop(entry.strings.insert("otp".into(), otp)));
        let outcome = login(&mut realm, "secret123456");
        assert_eq!(outcome.as_ref().err().copied(), expected);
        assert_eq!(server.asked.load(Ordering::Relaxed), 1);
        let failures = u32::from(answer == Answer::Wrong);
        assert_eq!(realm.attempts_of("alice").failures, failures, "a server that is down is nobody's wrong guess");
        if let Ok(ticket) = outcome {
            assert_eq!(indicators(&realm, &ticket), ["otp", "radius"]);
        }
        assert_eq!(realm.login(&Asking::login("alice")).expect_err("alone"), ErrorCode::POLICY);
    }
}

/// A login of our client's, to which these answers are typed; and what it asked.
fn typed(realm: &mut Joined, answers: &[&str], choices: &[(&str, &str)]) -> (libkrb::Result<Outcome>, Vec<String>) {
    let host = realm.login(&Asking { client: name(HOST), ..Asking::login("alice") }).expect("the host's TGT");
    let asked = Arc::new(Mutex::new(vec![]));
    let (questions, mut answers) =
        (asked.clone(), answers.iter().map(ToString::to_string).collect::<Vec<_>>().into_iter());
    let ask = move |question: &str| {
        questions.lock().expect("questions").push(question.to_owned());
        answers.next().map(Zeroizing::new).ok_or(libkrb::Error::PasswordIncorrect)
    };
    let choices = choices.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let means = Means { ask: Some(Box::new(ask)), choices, ..Means::default() };
    let secret = Secret::Prompt(Box::new(|_| panic!("no password is asked for but the token's")));
    let exchange = AsExchange::with_means(AsRequest::new(name("alice")), secret, means);
    let mut exchange = exchange.armored(host.cached()).expect("armor");
    let mut reply = None;
    let outcome = loop {
        realm.tick();
        match exchange.step(realm.now, &mut Sequence(realm.now.micros.into()), reply.as_deref()) {
            Err(error) => break Err(error),
            Ok(Step::Done(outcome)) => break Ok(*outcome),
            Ok(Step::Send { message, .. }) => reply = realm.send(&message).reply,
        }
    };
    let asked = asked.lock().expect("questions").clone();
    (outcome, asked)
}

#[test]
fn our_client_types_the_value_and_opens_the_reply() {
    let mut realm = realm();
    let right = std::str::from_utf8(PASSWORD).expect("text");
    realm.change("alice", |entry| {
        entry.tokens[0].with_password = true;
        entry.tokens.push(token("phone", TokenKind::Timed { period: 30 }));
    });
    let (outcome, asked) = typed(&mut realm, &["1", &code(0), right], &[]);
    let outcome = outcome.expect("a ticket");
    assert!(asked[0].contains("1. key") && asked[0].contains("2. phone"), "{asked:?}");
    assert_eq!((outcome.credential.client, asked.len()), (name("alice"), 3));
    // The next time the token that was chosen is known.
    let choices: Vec<_> = outcome.choices.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(choices.iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["vendor", "algID", "tokenID"]);
    let (outcome, asked) = typed(&mut realm, &[&code(1), right], &choices);
    assert!(outcome.is_ok());
    assert_eq!(asked, ["Enter OTP Token Value", "OTP Token PIN"]);
    let (_, asked) = typed(&mut realm, &[], &[("vendor", "lost")]);
    assert!(asked[0].contains("2. phone"), "one that is gone is none: {asked:?}");
}

#[test]
fn s6560_2_4_two_values_in_a_row_show_a_token_that_has_counted_on() {
    let mut realm = realm();
    assert!(typed(&mut realm, &[&code(100), &code(101)], &[]).0.is_err(), "only where the realm wants it");
    realm.policy.otp_next_value = true;
    let before = realm.attempts_of("alice").failures;
    let (outcome, asked) = typed(&mut realm, &[&code(100), &code(102)], &[]);
    assert!(outcome.is_err(), "not in a row");
    assert_eq!(asked, ["Enter OTP Token Value", "Enter next OTP Token Value"]);
    assert_eq!(realm.attempts_of("alice").failures, before + 2, "each value was a guess");
    assert!(typed(&mut realm, &[&code(100), &code(101)], &[]).0.is_ok());
    assert_eq!(realm.attempts_of("alice").failures, 0);
    assert!(login(&mut realm, &code(101)).is_err(), "both were used");
    assert!(login(&mut realm, &code(102)).is_ok());
    // A clock does not count on.
    realm.change("alice", |entry| entry.tokens = vec![token("phone", TokenKind::Timed { period: 30 })]);
    assert_eq!(typed(&mut realm, &["000000"], &[]).1.len(), 1);
}

#[test]
fn s6560_2_4_the_question_for_the_next_value_tells_nothing_of_the_one_before() {
    let mut realm = realm();
    realm.policy.otp_next_value = true;
    realm.change("alice", |entry| entry.tokens[0].with_password = true);
    let right = std::str::from_utf8(PASSWORD).expect("text");
    // A value that will be right, one that never will, and a wrong password with a right value.
    for (value, pin) in [(code(100), right), ("000000".to_owned(), right), (code(0), "wrong")] {
        let (outcome, asked) = typed(&mut realm, &[&value, pin, "000000", pin], &[]);
        assert!(outcome.is_err());
        assert_eq!(asked.len(), 4, "{asked:?}");
    }
    realm.wait(3600);
    assert!(
        typed(&mut realm, &[&code(0), "wrong", &code(1), right], &[]).0.is_ok(),
        "who has only mistyped the password"
    );
}

#[test]
fn s6560_4_1_a_pin_that_the_server_wants_goes_before_the_value() {
    let mut realm = Joined::new();
    let server = Arc::new(Scripted { answer: Answer::Right, asked: AtomicU32::new(0) });
    for (collect_pin, answers) in
        [(Some(true), &["123456", "secret"][..]), (Some(false), &["secret123456"]), (None, &["secret123456"])]
    {
        let kind = OtpType { server: server.clone(), strip_realm: true, indicators: vec![], collect_pin };
        realm.policy.otp_types.insert("corp".into(), kind);
        let otp = "[{\"type\":\"corp\",\"username\":\"al\"}]".to_owned();
        realm.change("alice", |entry| drop(entry.strings.insert("otp".into(), otp.clone())));
        let (outcome, asked) = typed(&mut realm, answers, &[]);
        assert!(outcome.is_ok(), "{collect_pin:?}: {asked:?}");
        assert_eq!(asked.len(), answers.len());
    }
}
