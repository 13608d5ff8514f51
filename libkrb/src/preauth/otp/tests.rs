use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::*;
use crate::codes::EncryptionType;
use crate::crypto::OsRandom;
use crate::name::Principal;
use crate::time::{Instant, Time};
use crate::wire::{List, Utf8};

const NOW: Instant = Instant { time: Time(1_800_000_000), micros: 5 };

fn armor() -> Key {
    Key::new(EncryptionType::AES256_SHA1, &[9; 32]).unwrap()
}

fn token(flags: OtpFlags, vendor: &'static str) -> OtpTokenInfo<'static> {
    OtpTokenInfo {
        flags,
        vendor: Some(Utf8(vendor)),
        challenge: None,
        length: Some(6),
        format: Some(0),
        token_id: Some(b"phone"),
        algorithm: None,
        hashes: None,
        iterations: None,
    }
}

/// What the client answers to a challenge with these tokens, and what it was asked.
fn answered(tokens: &[OtpTokenInfo<'_>], typed: &[&str]) -> (Result<Elements>, Vec<String>) {
    let asked = Arc::new(Mutex::new(vec![]));
    let (questions, mut answers) = (asked.clone(), typed.iter().map(ToString::to_string).collect::<VecDeque<_>>());
    let ask = move |question: &str| {
        questions.lock().unwrap().push(question.to_owned());
        Ok(Zeroizing::new(answers.pop_front().expect("an answer")))
    };
    let mut means = Means { ask: Some(Box::new(ask)), ..Means::default() };
    let offer = wire::encode(&PaOtpChallenge {
        nonce: b"a nonce",
        service: None,
        tokens: List::Items(tokens),
        salt: None,
        s2kparams: None,
    });
    let alice = Principal::parse("alice@R", None).unwrap();
    let server = Principal::tgs("R");
    let armor = armor();
    let mut client = begin(&means, Armored::Yes).expect("somebody to ask");
    let mut context = MethodContext {
        client: &alice,
        server: &server,
        client_key: &mut || panic!("no password is needed"),
        hint: None,
        armor: Some(&armor),
        body: &[],
        nonce: 1,
        offers: List::Items(&[]),
        means: &mut means,
        now: NOW,
        random: &mut OsRandom::new(),
    };
    let elements = client.answer(&mut context, &offer);
    let asked = asked.lock().unwrap().clone();
    (elements, asked)
}

fn request(elements: &Elements) -> PaOtpRequest<'_> {
    let [(PaType::OTP_REQUEST, value)] = &elements[..] else { panic!("one element") };
    wire::decode(value).unwrap()
}

#[test]
fn the_value_of_the_only_token_is_asked_for_and_sent_in_answer_to_the_challenge() {
    let (elements, asked) = answered(&[token(OtpFlags::DO_NOT_COLLECT_PIN, "phone")], &["123456"]);
    let elements = elements.unwrap();
    let request = request(&elements);
    assert_eq!(asked, ["Enter OTP Token Value"]);
    assert_eq!(request.value, Some(&b"123456"[..]));
    assert!(request.pin.is_none());
    assert_eq!(request.token_id, Some(&b"phone"[..]));
    assert_eq!(request.vendor, Some(Utf8("phone")), "as the challenge had it (RFC 6560 3.3)");
    assert_eq!(open(&armor(), &request.enc_data), Ok(Answers::Nonce(b"a nonce".to_vec())));
    let other = Key::new(EncryptionType::AES256_SHA1, &[8; 32]).unwrap();
    assert_eq!(open(&other, &request.enc_data), Err(Error::Integrity));
}

#[test]
fn a_pin_goes_before_the_value_or_apart_from_it() {
    let joined = OtpFlags::COLLECT_PIN;
    let (elements, asked) = answered(&[token(joined, "phone")], &["123456", "secret"]);
    assert_eq!(asked, ["Enter OTP Token Value", "OTP Token PIN"]);
    assert_eq!(request(&elements.unwrap()).value, Some(&b"secret123456"[..]));
    let (elements, _) = answered(&[token(joined | OtpFlags::SEPARATE_PIN_REQUIRED, "phone")], &["123456", "secret"]);
    let elements = elements.unwrap();
    assert_eq!(request(&elements).value, Some(&b"123456"[..]));
    assert_eq!(request(&elements).pin, Some(Utf8("secret")));
}

#[test]
fn of_several_tokens_one_is_chosen_by_its_number() {
    let tokens = [token(OtpFlags::DO_NOT_COLLECT_PIN, "phone"), token(OtpFlags::NEXT_OTP, "key\u{1b}[1m")];
    let (elements, asked) = answered(&tokens, &["2", "123456"]);
    assert_eq!(asked[0], "Please choose from the following:\n1. phone\n2. key[1m\nEnter #");
    assert_eq!(asked[1], "Enter next OTP Token Value");
    let elements = elements.unwrap();
    assert_eq!(request(&elements).vendor, Some(Utf8("key\u{1b}[1m")));
    assert!(request(&elements).flags.has(OtpFlags::NEXT_OTP), "the flag is given back (RFC 6560 3.3)");
    assert!(answered(&tokens, &["3"]).0.is_err());
    assert!(answered(&tokens, &["0"]).0.is_err());
}

#[test]
fn tokens_that_nobody_can_type_are_passed_over() {
    let hashed = OtpTokenInfo { iterations: Some(1000), ..token(OtpFlags::NONE, "hashed") };
    let keyed = token(OtpFlags::MUST_ENCRYPT_NONCE, "keyed");
    let torn = token(OtpFlags::COLLECT_PIN | OtpFlags::DO_NOT_COLLECT_PIN, "both");
    let combined = token(OtpFlags::COMBINE, "combine without a challenge");
    assert_eq!(answered(&[hashed, keyed, torn, combined], &[]), (Ok(vec![]), vec![]), "the next method's turn");
    let good = token(OtpFlags::NONE, "good");
    assert_eq!(answered(&[hashed, keyed, good], &["123456"]).1.len(), 1);
}

#[test]
fn without_armor_or_anybody_to_ask_nothing_begins() {
    let means = Means { ask: Some(Box::new(|_| Ok(Zeroizing::new(String::new())))), ..Means::default() };
    assert!(begin(&means, Armored::No).is_none());
    assert!(begin(&Means::default(), Armored::Yes).is_none());
}
