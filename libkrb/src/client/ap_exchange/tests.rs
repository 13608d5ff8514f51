use serde_json::Value;

use super::super::testing::*;
use super::*;
use crate::codes::EncryptionType;
use crate::crypto::OsRandom;
use crate::time::Time;
use crate::wire::{ApReq, Authenticator, Decode, EncryptedData, EncryptionKey, Fixed, Reader};

const AES128: EncryptionType = EncryptionType::AES128_SHA1;

fn credential() -> Credential {
    tgt(principal("host/server.krbtest.com@KRBTEST.COM"))
}

fn begin(change: impl FnOnce(&mut ApRequest)) -> (ApExchange, Vec<u8>) {
    let mut request = ApRequest::default();
    change(&mut request);
    ApExchange::new(&credential(), &request, NOW, &mut OsRandom::new()).unwrap()
}

/// An AP-REP whose encrypted part is bent.
fn answer<'a>(key: &Key, bend: impl FnOnce(&mut EncApRepPart<'a>)) -> Vec<u8> {
    let mut part = EncApRepPart { time: NOW.time, micros: NOW.micros, subkey: None, sequence: Some(7) };
    bend(&mut part);
    let cipher = key.encrypt(KeyUsage::AP_REP, &mut OsRandom::new(), &wire::encode(&part));
    let enc_part = EncryptedData { etype: key.etype(), kvno: None, cipher: &cipher };
    wire::encode(&ApRep { version: Fixed, kind: Fixed, enc_part })
}

fn good() -> Vec<u8> {
    answer(&any_key(0x5e), |_| ())
}

/// The authenticator's plain text.
fn authenticator(message: &[u8]) -> Vec<u8> {
    let ap_req: ApReq<'_> = wire::decode(message).unwrap();
    any_key(0x5e).decrypt(KeyUsage::AP_REQ_AUTHENTICATOR, ap_req.authenticator.cipher).unwrap().to_vec()
}

#[test]
fn a_service_that_read_the_ticket_is_believed() {
    let (exchange, message) = begin(|_| ());
    let plain = authenticator(&message);
    let shown: Authenticator<'_> = wire::decode(&plain).unwrap();
    let session = exchange.finish(&good()).unwrap();
    assert!(session.key().same_as(&shown.subkey.unwrap().key().unwrap()));
    assert_eq!((session.send_seq, session.recv_seq), (shown.sequence.unwrap(), 7));
    assert_eq!((shown.time, shown.micros), (NOW.time, NOW.micros));
    assert!(shown.client.names(&principal("user@KRBTEST.COM")));
}

#[test]
fn every_wish_stands_in_the_request() {
    let sum = (ChecksumType::GSSAPI, vec![1, 2, 3]);
    type Wish = (fn(&mut ApRequest), ApOptions, bool, bool);
    let wishes: [Wish; 4] = [
        (|_| (), ApOptions::MUTUAL_REQUIRED, true, true),
        (|r| r.mutual = false, ApOptions::NONE, true, true),
        (|r| r.subkey = false, ApOptions::MUTUAL_REQUIRED, false, true),
        (|r| r.sequence = false, ApOptions::MUTUAL_REQUIRED, true, false),
    ];
    for (wish, options, subkey, sequence) in wishes {
        let (_, message) = begin(|request| {
            request.checksum = Some(sum.clone());
            wish(request);
        });
        assert_eq!(wire::decode::<ApReq<'_>>(&message).unwrap().options, options);
        let plain = authenticator(&message);
        let shown: Authenticator<'_> = wire::decode(&plain).unwrap();
        assert_eq!((shown.subkey.is_some(), shown.sequence.is_some()), (subkey, sequence));
        assert_eq!(shown.checksum.map(|sum| (sum.kind, sum.checksum.to_vec())), Some(sum.clone()));
    }
}

#[test]
fn a_user_to_user_ticket_is_marked_as_such() {
    let ticket = Credential { is_skey: true, ..credential() };
    let (_, message) = ApExchange::new(&ticket, &ApRequest::default(), NOW, &mut OsRandom::new()).unwrap();
    assert!(wire::decode::<ApReq<'_>>(&message).unwrap().options.has(ApOptions::USE_SESSION_KEY));
}

#[test]
fn the_last_key_that_was_proposed_is_the_conversations() {
    let theirs = key(AES128, 9);
    let reply = answer(&any_key(0x5e), |part| part.subkey = Some(EncryptionKey::from(&theirs)));
    assert!(begin(|_| ()).0.finish(&reply).unwrap().key().same_as(&theirs));
    let plain = begin(|request| request.subkey = false).0.finish(&good()).unwrap();
    assert!(plain.key().same_as(&any_key(0x5e)));
}

#[test]
fn a_reply_that_proves_nothing_is_refused() {
    let replies = [
        ("another key", answer(&any_key(1), |_| ())),
        ("another enctype", answer(&key(AES128, 0x5e), |_| ())),
        ("another second", answer(&any_key(0x5e), |part| part.time = Time(NOW.time.0 + 1))),
        ("another microsecond", answer(&any_key(0x5e), |part| part.micros ^= 1)),
    ];
    for (what, reply) in replies {
        assert_eq!(begin(|_| ()).0.finish(&reply).unwrap_err(), Error::code(ErrorCode::MUT_FAIL), "{what}");
    }
}

#[test]
fn mutual_authentication_that_was_asked_for_cannot_be_left_out() {
    assert_eq!(begin(|_| ()).0.without_reply().unwrap_err(), Error::code(ErrorCode::MUT_FAIL));
    assert!(begin(|request| request.mutual = false).0.without_reply().is_ok());
}

#[test]
fn a_refusal_keeps_its_code() {
    let refusal = Refuse::with(ErrorCode::REPEAT).encode();
    assert_eq!(begin(|_| ()).0.finish(&refusal).unwrap_err(), Error::code(ErrorCode::REPEAT));
}

#[test]
fn no_cut_reply_is_accepted() {
    let reply = good();
    for length in 0..reply.len() {
        assert!(begin(|_| ()).0.finish(&reply[..length]).is_err(), "{length}");
    }
}

/// The AP-REP that stands somewhere in a token.
fn find_reply(token: &[u8]) -> Option<&[u8]> {
    (0..token.len()).find_map(|at| {
        let mut reader = Reader::new(&token[at..]);
        ApRep::decode(&mut reader).ok()?;
        Some(&token[at..token.len() - reader.rest().len()])
    })
}

/// Shows a recorded ticket as the recorded client did, and reads the recorded answer.
fn replay(dialogue: &Value, tokens: &[Vec<u8>]) -> Option<ApSession> {
    let reply = tokens.iter().find_map(|token| find_reply(token))?;
    let steps = dialogue["steps"].as_array().unwrap();
    let told = steps.iter().find(|step| step["what"].as_str().unwrap().contains("AP-REP"))?;
    let recorded = hex(&step(dialogue, "authenticator")?["plaintext"]);
    let recorded: Authenticator<'_> = wire::decode(&recorded).unwrap();
    let ticket = Credential {
        client: recorded.client.principal(recorded.client_realm).unwrap(),
        key: (&step_key(told)).into(),
        ..credential()
    };
    let request = ApRequest {
        mutual: true,
        subkey: recorded.subkey.is_some(),
        sequence: recorded.sequence.is_some(),
        checksum: recorded.checksum.map(|sum| (sum.kind, sum.checksum.to_vec())),
    };
    let subkey = recorded.subkey.map(|key| key.value.to_vec()).unwrap_or_default();
    let script = [subkey, recorded.sequence.unwrap_or(0).to_be_bytes().to_vec()].concat();
    let now = Instant { time: recorded.time, micros: recorded.micros };
    let (exchange, message) = ApExchange::new(&ticket, &request, now, &mut Script(script)).unwrap();
    let ap_req: ApReq<'_> = wire::decode(&message).unwrap();
    let ours = step_key(told).decrypt(KeyUsage::AP_REQ_AUTHENTICATOR, ap_req.authenticator.cipher).unwrap();
    assert_eq!(*ours, wire::encode(&recorded), "{}", dialogue["scenario"]);
    let session = exchange.finish(reply).unwrap();
    let plain = hex(&told["plaintext"]);
    let part: EncApRepPart<'_> = wire::decode(&plain).unwrap();
    assert!(session.key().same_as(&part.subkey.unwrap().key().unwrap()));
    assert_eq!(session.recv_seq, part.sequence.unwrap());
    Some(session)
}

#[test]
fn recorded_dialogues_begin_as_this_client_would_begin_them() {
    let file = transcripts("mit");
    let mut replayed = 0;
    for dialogue in file["gss"].as_array().unwrap() {
        let tokens: Vec<_> = dialogue["tokens"].as_array().unwrap().iter().map(|token| hex(&token["token"])).collect();
        replayed += usize::from(replay(dialogue, &tokens).is_some());
    }
    for exchange in exchanges(&file).iter().filter(|exchange| exchange["service"] == "kpasswd") {
        assert!(replay(exchange, &[hex(&exchange["reply"])]).is_some());
        replayed += 1;
    }
    assert_eq!(replayed, 5);
}
