use std::path::PathBuf;

use serde_json::Value;

use super::*;
use crate::wire::{InitialToken, decode, encode};

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex")).collect()
}

fn hex(value: &Value) -> Vec<u8> {
    unhex(value.as_str().expect("hex"))
}

fn read(path: PathBuf) -> Option<Value> {
    Some(serde_json::from_slice(&std::fs::read(path).ok()?).expect("JSON"))
}

/// The tokens of gokrb5, where they are.
fn outside() -> Vec<Value> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = std::env::var_os("KRB_VECTORS_OUTSIDE")
        .map_or_else(|| root.join("../shared/reference/vectors/outside"), PathBuf::from);
    let file = read(folder.join("gss_tokens.json"));
    file.map_or_else(Vec::new, |file| file["vectors"].as_array().expect("vectors").clone())
}

/// The tokens of a recorded dialogue of MIT's programs.
fn dialogue() -> Vec<Vec<u8>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let file = read(root.join("tests/vectors/transcripts_mit.json")).expect("the project's own vectors");
    let dialogues = file["gss"].as_array().expect("dialogues");
    let found = dialogues.iter().find(|dialogue| dialogue["scenario"] == "gss-spnego").expect("the dialogue");
    found["tokens"].as_array().expect("tokens").iter().map(|token| hex(&token["token"])).collect()
}

fn init(bytes: &[u8]) -> NegTokenInit<'_> {
    match decode(bytes) {
        Ok(NegotiationToken::Init(init)) => init,
        other => panic!("no NegTokenInit: {other:?}"),
    }
}

fn resp(bytes: &[u8]) -> NegTokenResp<'_> {
    match decode(bytes) {
        Ok(NegotiationToken::Resp(resp)) => resp,
        other => panic!("no NegTokenResp: {other:?}"),
    }
}

#[test]
fn a_recorded_negotiation_is_read_and_comes_back_to_the_byte() {
    let tokens = dialogue();
    let frame: InitialToken<'_> = decode(&tokens[1]).expect("a frame");
    assert_eq!((frame.mechanism, encode(&frame)), (Oid::SPNEGO, tokens[1].clone()));
    let offer = init(frame.inner);
    assert_eq!(encode(&NegotiationToken::Init(offer)), frame.inner);
    assert_eq!(offer.mechanisms.iter().collect::<Vec<_>>(), [Oid::KERBEROS]);
    let token: InitialToken<'_> = decode(offer.token.expect("an optimistic token")).expect("a frame in it");
    assert_eq!((token.mechanism, &token.inner[..3]), (Oid::KERBEROS, [1, 0, 0x6e].as_slice()));

    let answer = resp(&tokens[2]);
    assert_eq!(encode(&NegotiationToken::Resp(answer)), tokens[2]);
    assert_eq!((answer.state, answer.mechanism), (Some(NegState::AcceptCompleted), Some(Oid::KERBEROS)));
    let token: InitialToken<'_> = decode(answer.token.expect("its token")).expect("a frame in it");
    assert_eq!((token.mechanism, &token.inner[..3]), (Oid::KERBEROS, [2, 0, 0x6f].as_slice()));
}

#[test]
fn tokens_of_others_are_read_and_come_back_to_the_byte() {
    let vectors = outside();
    let mut checked = 0;
    for vector in &vectors {
        let token = hex(&vector["token"].as_str().map_or_else(|| "".into(), Value::from));
        let value = &vector["value"]["value"];
        let token = match vector["kind"].as_str() {
            Some("spnego") => token,
            Some("spnego-initial-token") => {
                let frame: InitialToken<'_> = decode(&token).expect("a frame");
                assert_eq!((frame.mechanism, encode(&frame)), (Oid::SPNEGO, token.clone()));
                frame.inner.to_vec()
            }
            _ => continue,
        };
        let read: NegotiationToken<'_> = decode(&token).expect("a token");
        if value["reqFlags"].is_null() {
            assert_eq!(encode(&read), token);
        }
        match read {
            NegotiationToken::Init(read) => {
                let offered = value["mechTypes"].as_array().expect("mechanisms").len();
                assert_eq!(read.mechanisms.iter().count(), offered);
                assert_eq!(read.token, Some(hex(&value["mechToken"]["hex"]).as_slice()));
            }
            NegotiationToken::Resp(read) => assert_eq!(read.state, Some(NegState::AcceptCompleted)),
        }
        checked += 1;
    }
    assert!(vectors.is_empty() || checked == 4, "{checked}");
}

#[test]
fn what_windows_says_first_is_read_with_its_hints() {
    let list = encode(&List::Items(&[Oid::KERBEROS_MICROSOFT, Oid::KERBEROS, Oid::NTLM]));
    let hints = NegHints { name: Some("not_defined_in_RFC4178@please_ignore"), address: None };
    let ours = NegTokenInit {
        mechanisms: Raw::parse(&list).expect("a list"),
        token: None,
        hints: Some(hints),
        mic: Some(&[7; 3]),
    };
    let token = encode(&NegotiationToken::Init(ours));
    let read = init(&token);
    assert_eq!(read.hints.expect("hints").name, hints.name);
    assert_eq!((read.mechanisms.der, read.mic), (list.as_slice(), Some([7; 3].as_slice())));
}

#[test]
fn a_signature_is_found_in_the_field_of_either_edition_and_not_in_both() {
    let list = "3003060100";
    for (fields, good) in [("a30404027777", true), ("a40404027777", true), ("a30404027777a40404027777", false)] {
        let contents = format!("a005{list}{fields}");
        let length = contents.len() / 2;
        let bytes = unhex(&format!("a0{:02x}30{length:02x}{contents}", length + 2));
        match decode(&bytes) {
            Ok(NegotiationToken::Init(init)) => assert_eq!((init.mic, good), (Some([0x77; 2].as_slice()), true)),
            other => assert!(!good, "{other:?}"),
        }
    }
}

#[test]
fn the_list_keeps_the_bytes_it_came_in() {
    // The length of the list takes two octets where one would do: a signature is over these bytes.
    let bytes = unhex("a00a3008a006308103060100");
    let read = init(&bytes);
    assert_eq!(read.mechanisms.der, unhex("308103060100"));
    assert_eq!(read.mechanisms.iter().collect::<Vec<_>>(), [Oid(&[0])]);
}

#[test]
fn flags_and_fields_of_later_editions_are_passed_over() {
    // reqFlags of seven bits, and fields 5 and 6.
    let bytes = unhex("a0193017a0053003060100a10403020176a503020107a603020108");
    assert!(init(&bytes).token.is_none());
    let bytes = unhex("a10c300aa0030a0100a403020107");
    assert_eq!(resp(&bytes).state, Some(NegState::AcceptCompleted));
}

#[test]
fn an_answer_may_be_empty_and_a_state_may_not_be_unknown() {
    assert!(resp(&unhex("a1023000")).state.is_none());
    for state in ["0a0104", "0a01ff", "0a00", "0a020000", "020100"] {
        let length = state.len() / 2;
        let bytes = unhex(&format!("a1{:02x}30{:02x}a0{length:02x}{state}", length + 4, length + 2));
        assert!(decode::<NegotiationToken<'_>>(&bytes).is_err(), "{state}");
    }
}

#[test]
fn every_truncation_is_an_error() {
    let tokens = dialogue();
    for end in 0..tokens[1].len() {
        assert!(decode::<InitialToken<'_>>(&tokens[1][..end]).is_err());
    }
    for end in 0..tokens[2].len() {
        assert!(decode::<NegotiationToken<'_>>(&tokens[2][..end]).is_err());
    }
    for bytes in ["", "60", "6000", "600106", "60020600", "a000", "a100", "a0023000", "a00430020600", "a006a1023000"] {
        assert!(decode::<NegotiationToken<'_>>(&unhex(bytes)).is_err(), "{bytes}");
    }
}
