use std::net::IpAddr;

use serde_json::Value;

use super::*;
use crate::codes::{ChecksumType, EncryptionType};
use crate::error::{Error, ErrorCode, Result};
use crate::flags::TicketFlags;
use crate::name::Principal;
use crate::replay::MemoryReplayCache;
use crate::service::testing::{Counter, hex, step_key, transcripts};
use crate::time::Time;
use crate::wire::{self, EncKrbCredPart, EncryptedData, Fixed, KrbCred, KrbSafe, KrbSafeBody, List, Raw};

const NOW: Instant = Instant { time: Time(1_800_000_000), micros: 7 };

fn key() -> Key {
    Key::new(EncryptionType::AES256_SHA1, &[7; 32]).unwrap()
}

fn pair() -> (Session, Session) {
    (Session::new(&key(), Role::Initiator, 1000, 5), Session::new(&key(), Role::Acceptor, 5, 1000))
}

fn unordered() -> (Session, Session) {
    let cache = || Arc::new(MemoryReplayCache::new(DEFAULT_SKEW, 100));
    (
        Session::unordered(&key(), Role::Initiator, DEFAULT_SKEW, cache()),
        Session::unordered(&key(), Role::Acceptor, DEFAULT_SKEW, cache()),
    )
}

fn later(seconds: Seconds) -> Instant {
    Instant { time: NOW.time + seconds, ..NOW }
}

fn code<T>(result: Result<T>) -> ErrorCode {
    result.err().expect("a refusal").wire_code()
}

fn seal(session: &mut Session, data: &[u8]) -> Vec<u8> {
    session.make_priv(NOW, &mut Counter(0), data).unwrap()
}

#[test]
fn private_messages_go_both_ways_in_order() {
    let (mut client, mut server) = pair();
    for data in [b"one".as_slice(), b"", b"three"] {
        let message = seal(&mut client, data);
        assert_eq!(server.read_priv(NOW, &message).unwrap().as_slice(), data);
        let message = seal(&mut server, data);
        assert_eq!(client.read_priv(NOW, &message).unwrap().as_slice(), data);
    }
}

#[test]
fn safe_messages_go_both_ways_and_can_be_read_by_all() {
    let (mut client, mut server) = pair();
    let message = client.make_safe(NOW, b"in the clear").unwrap();
    assert!(message.windows(12).any(|bytes| bytes == b"in the clear"));
    assert_eq!(server.read_safe(NOW, &message).unwrap(), b"in the clear");
    let message = server.make_safe(NOW, b"back").unwrap();
    assert_eq!(client.read_safe(NOW, &message).unwrap(), b"back");
}

#[test]
fn a_private_message_hides_its_data() {
    let message = seal(&mut pair().0, b"in the dark");
    assert!(!message.windows(11).any(|bytes| bytes == b"in the dark"));
}

#[test]
fn sequence_numbers_go_on_after_the_last_one_there_is() {
    let mut client = Session::new(&key(), Role::Initiator, u32::MAX, 0);
    let mut server = Session::new(&key(), Role::Acceptor, 0, u32::MAX);
    for _ in 0..2 {
        let message = seal(&mut client, b"x");
        server.read_priv(NOW, &message).unwrap();
    }
}

#[test]
fn a_message_that_is_missed_or_comes_twice_is_out_of_order() {
    let (mut client, mut server) = pair();
    let [first, second] = [seal(&mut client, b"1"), seal(&mut client, b"2")];
    assert_eq!(code(server.read_priv(NOW, &second)), ErrorCode::BADORDER);
    server.read_priv(NOW, &first).unwrap();
    assert_eq!(code(server.read_priv(NOW, &first)), ErrorCode::BADORDER);
    server.read_priv(NOW, &second).expect("a refusal moves nothing");
}

#[test]
fn a_message_of_another_type_is_refused_by_its_type() {
    let (mut client, mut server) = pair();
    let safe = client.make_safe(NOW, b"x").unwrap();
    let private = seal(&mut client, b"x");
    assert_eq!(code(server.read_priv(NOW, &safe)), ErrorCode::MSG_TYPE);
    assert_eq!(code(server.read_safe(NOW, &private)), ErrorCode::MSG_TYPE);
    assert_eq!(code(server.read_cred(NOW, &private)), ErrorCode::MSG_TYPE);
    assert_eq!(code(server.read_priv(NOW, b"")), ErrorCode::MSG_TYPE);
}

#[test]
fn no_changed_or_truncated_message_is_read() {
    let (mut client, mut server) = pair();
    let private = seal(&mut client, b"hello");
    let safe = pair().0.make_safe(NOW, b"hello").unwrap();
    for at in 0..private.len() {
        for bit in 0..8 {
            let mut changed = private.clone();
            changed[at] ^= 1 << bit;
            assert!(server.read_priv(NOW, &changed).is_err(), "bit {bit} of byte {at}");
        }
        assert!(server.read_priv(NOW, &private[..at]).is_err());
    }
    for at in 0..safe.len() {
        for bit in 0..8 {
            let mut changed = safe.clone();
            changed[at] ^= 1 << bit;
            assert!(server.read_safe(NOW, &changed).is_err(), "bit {bit} of byte {at}");
        }
        assert!(server.read_safe(NOW, &safe[..at]).is_err());
    }
    assert!(server.read_priv(NOW, &private).is_ok());
}

#[test]
fn a_changed_private_message_fails_its_integrity_and_a_changed_safe_one_is_modified() {
    let (mut client, mut server) = pair();
    let mut private = seal(&mut client, b"hello");
    *private.last_mut().unwrap() ^= 1;
    assert_eq!(code(server.read_priv(NOW, &private)), ErrorCode::BAD_INTEGRITY);
    let mut safe = client.make_safe(NOW, b"hello").unwrap();
    let at = safe.windows(5).position(|bytes| bytes == b"hello").unwrap();
    safe[at] = b'j';
    assert_eq!(code(server.read_safe(NOW, &safe)), ErrorCode::MODIFIED);
}

#[test]
fn another_key_reads_nothing() {
    let message = seal(&mut pair().0, b"x");
    let other = Key::new(EncryptionType::AES256_SHA1, &[8; 32]).unwrap();
    let mut session = Session::new(&other, Role::Acceptor, 5, 1000);
    assert_eq!(code(session.read_priv(NOW, &message)), ErrorCode::BAD_INTEGRITY);
}

fn safe_message(checksum: (ChecksumType, &[u8]), sequence: Option<u32>) -> Vec<u8> {
    let sender = Address::initiator();
    let value =
        KrbSafeBody { user_data: b"x", time: None, micros: None, sequence, sender: sender.view(), receiver: None };
    let der = wire::encode(&value);
    let checksum = wire::Checksum { kind: checksum.0, checksum: checksum.1 };
    wire::encode(&KrbSafe { version: Fixed, kind: Fixed, body: Raw { der: &der, value }, checksum })
}

#[test]
fn a_safe_message_with_an_unkeyed_checksum_is_inappropriate() {
    for kind in [ChecksumType::CRC32, ChecksumType::RSA_MD5, ChecksumType::SHA1, ChecksumType(0)] {
        let message = safe_message((kind, &[0; 20]), Some(1000));
        assert_eq!(code(pair().1.read_safe(NOW, &message)), ErrorCode::INAPP_CKSUM);
    }
}

#[test]
fn a_safe_checksum_over_the_whole_message_is_accepted_as_mit_makes_it() {
    let blank = safe_message((ChecksumType(0), &[]), Some(1000));
    let checksum = key().checksum(KeyUsage::KRB_SAFE, &blank);
    let message = safe_message((ChecksumType::HMAC_SHA1_96_AES256, &checksum), Some(1000));
    assert_eq!(pair().1.read_safe(NOW, &message).unwrap(), b"x");
}

#[test]
fn a_message_without_time_and_number_is_modified_and_one_without_its_number_out_of_order() {
    let (_, mut server) = pair();
    let sender = Address::initiator();
    let mut make = |time: Option<Time>| {
        let part = wire::EncKrbPrivPart {
            user_data: b"x",
            time,
            micros: time.map(|_| 0),
            sequence: None,
            sender: sender.view(),
            receiver: None,
        };
        let cipher = key().encrypt(KeyUsage::KRB_PRIV, &mut Counter(0), &wire::encode(&part));
        let enc_part = EncryptedData { etype: key().etype(), kvno: None, cipher: &cipher };
        let message = wire::encode(&wire::KrbPriv { version: Fixed, kind: Fixed, enc_part });
        code(server.read_priv(NOW, &message))
    };
    assert_eq!(make(None), ErrorCode::MODIFIED);
    assert_eq!(make(Some(NOW.time)), ErrorCode::BADORDER);
    assert_eq!(make(Some(NOW.time - DEFAULT_SKEW - 1)), ErrorCode::SKEW);
}

#[test]
fn our_own_message_sent_back_has_a_bad_address() {
    let mut client = Session::new(&key(), Role::Initiator, 1000, 1000);
    let message = seal(&mut client, b"x");
    assert_eq!(code(client.read_priv(NOW, &message)), ErrorCode::BADADDR);
    let safe = client.make_safe(NOW, b"x").unwrap();
    assert_eq!(code(client.read_safe(NOW, &safe)), ErrorCode::BADADDR);
}

#[test]
fn addresses_must_be_those_of_the_two_hosts_where_they_are_used() {
    let [here, there, elsewhere] =
        ["10.0.0.1", "::ffff:10.0.0.2", "2001:db8::3"].map(|text| Address::ip(text.parse::<IpAddr>().unwrap()));
    let send = |local: &Address, remote: &Address| {
        let (client, _) = pair();
        seal(&mut client.with_addresses(local.clone(), Some(remote.clone())), b"x")
    };
    let read = |message: &[u8], remote: Option<&Address>| {
        pair().1.with_addresses(there.clone(), remote.cloned()).read_priv(NOW, message).map(drop)
    };
    assert_eq!(read(&send(&here, &there), Some(&here)), Ok(()));
    assert_eq!(read(&send(&here, &there), None), Ok(()));
    assert_eq!(code(read(&send(&elsewhere, &there), Some(&here))), ErrorCode::BADADDR);
    assert_eq!(code(read(&send(&here, &elsewhere), Some(&here))), ErrorCode::BADADDR);
    assert_eq!(code(read(&send(&here, &elsewhere), None)), ErrorCode::BADADDR);
    assert_eq!(read(&seal(&mut pair().0, b"x"), Some(&here)), Ok(()), "directional addresses are always understood");
}

#[test]
fn messages_with_times_may_overtake_each_other_but_come_once() {
    let (mut client, mut server) = unordered();
    let [first, second] = [seal(&mut client, b"same"), seal(&mut client, b"same")];
    server.read_priv(NOW, &second).unwrap();
    server.read_priv(later(DEFAULT_SKEW), &first).expect("two of the same microsecond and contents are two");
    for message in [first, second] {
        assert_eq!(code(server.read_priv(later(DEFAULT_SKEW), &message)), ErrorCode::REPEAT);
    }
}

#[test]
fn a_message_with_an_old_or_future_or_without_a_time_is_skewed() {
    let (mut client, mut server) = unordered();
    let message = seal(&mut client, b"x");
    assert_eq!(code(server.read_priv(later(DEFAULT_SKEW + 1), &message)), ErrorCode::SKEW);
    assert_eq!(code(server.read_priv(later(-DEFAULT_SKEW - 1), &message)), ErrorCode::SKEW);
    let timeless = seal(&mut pair().0, b"x");
    assert_eq!(code(server.read_priv(NOW, &timeless)), ErrorCode::SKEW);
}

#[test]
fn a_message_is_known_to_its_sender_when_times_are_used() {
    let replay = Arc::new(MemoryReplayCache::new(DEFAULT_SKEW, 100));
    let nowhere = Address::ip("10.0.0.1".parse().unwrap());
    let mut client = Session::unordered(&key(), Role::Initiator, DEFAULT_SKEW, replay).with_addresses(nowhere, None);
    let message = seal(&mut client, b"x");
    assert_eq!(code(client.read_priv(NOW, &message)), ErrorCode::REPEAT);
}

#[test]
fn a_full_replay_cache_refuses() {
    let replay = Arc::new(MemoryReplayCache::new(DEFAULT_SKEW, 1));
    let mut server = Session::unordered(&key(), Role::Acceptor, DEFAULT_SKEW, replay);
    let (mut client, _) = unordered();
    server.read_priv(NOW, &seal(&mut client, b"1")).unwrap();
    assert_eq!(code(server.read_priv(NOW, &seal(&mut client, b"2"))), ErrorCode::GENERIC);
}

fn recorded(exchanges: &Value, service: &str) -> Value {
    let found = exchanges.as_array().unwrap().iter().find(|exchange| exchange["service"] == service);
    found.expect("recorded").clone()
}

#[test]
fn the_password_change_that_mit_recorded_is_read() {
    let exchange = recorded(&transcripts()["exchanges"], "kpasswd");
    let step = |what: &str| {
        let found = exchange["steps"].as_array().unwrap().iter().find(|step| step["what"] == what);
        found.expect("a step").clone()
    };
    let private = |message: &str| {
        let message = hex(exchange[message].as_str().unwrap());
        let ap = usize::from(u16::from_be_bytes([message[4], message[5]]));
        message[6 + ap..].to_vec()
    };
    let localhost = Address::ip("127.0.0.1".parse().unwrap());
    let server_number = step("AP-REP")["decoded"]["seq-number"].as_u64().unwrap() as u32;
    let key = step_key(&step("KRB-PRIV request"));

    let mut server =
        Session::new(&key, Role::Acceptor, server_number, 0).with_addresses(localhost.clone(), Some(localhost.clone()));
    assert_eq!(server.read_priv(NOW, &private("request")).unwrap().as_slice(), b"Newpw-1");

    let mut client = Session::new(&key, Role::Initiator, 0, server_number).with_addresses(localhost, None);
    assert_eq!(client.read_priv(NOW, &private("reply")).unwrap().as_slice(), [0, 0]);
}

#[test]
fn the_tickets_that_mit_delegated_are_read() {
    let transcripts = transcripts();
    let dialogue = recorded_dialogue(&transcripts, "gss-krb5-deleg");
    let steps = dialogue["steps"].as_array().unwrap();
    let authenticator = steps.iter().find(|step| step["what"] == "authenticator").unwrap();
    let cred = steps.iter().find(|step| step["what"].as_str().unwrap().starts_with("KRB-CRED")).unwrap();
    let checksum = hex(authenticator["decoded"]["cksum"]["checksum"]["hex"].as_str().unwrap());
    let received = open_cred(&step_key(cred), &checksum[28..]).unwrap();
    let [ticket] = received.tickets.as_slice() else { panic!("one ticket") };
    assert_eq!(ticket.client.to_string(), "user@KRBTEST.COM");
    assert!(ticket.server.is_local_tgs());
    assert!(ticket.flags.has(TicketFlags::FORWARDED));
    assert_eq!(received.time.unwrap().micros, 847_977);

    let session = Session::new(&step_key(cred), Role::Acceptor, 0, 0);
    let sent = received.time.unwrap();
    assert_eq!(session.read_cred(sent, &checksum[28..]).unwrap().len(), 1);
    let stale = Instant { time: sent.time + DEFAULT_SKEW + 1, ..sent };
    assert_eq!(code(session.read_cred(stale, &checksum[28..])), ErrorCode::SKEW);
}

fn recorded_dialogue<'a>(transcripts: &'a Value, scenario: &str) -> &'a Value {
    transcripts["gss"].as_array().unwrap().iter().find(|dialogue| dialogue["scenario"] == scenario).unwrap()
}

fn tgt() -> CredTicket {
    let server = Principal::tgs("EXAMPLE.ORG");
    let enc_part = EncryptedData { etype: EncryptionType::AES256_SHA1, kvno: Some(1), cipher: b"sealed" };
    let ticket = wire::Ticket { version: Fixed, realm: "EXAMPLE.ORG", server: (&server).into(), enc_part };
    CredTicket {
        client: Principal::parse("alice@EXAMPLE.ORG", None).unwrap(),
        key: Key::new(EncryptionType::AES128_SHA256, &[3; 16]).unwrap(),
        flags: TicketFlags::FORWARDED | TicketFlags::FORWARDABLE,
        auth_time: Some(Time(1_799_999_000)),
        start_time: None,
        end_time: Some(Time(1_800_009_000)),
        renew_till: None,
        addresses: vec![Address::ip("10.1.2.3".parse().unwrap())],
        ticket: wire::encode(&ticket),
        server,
    }
}

#[test]
fn tickets_arrive_as_they_were_sent() {
    let (client, server) = pair();
    let sent = [tgt(), CredTicket { addresses: vec![], ..tgt() }];
    let message = client.make_cred(NOW, &mut Counter(0), &sent).unwrap();
    let received = server.read_cred(NOW, &message).unwrap();
    assert_eq!(received.len(), 2);
    for (ours, theirs) in sent.iter().zip(&received) {
        assert_eq!(ours.client, theirs.client);
        assert_eq!(ours.server, theirs.server);
        assert!(ours.key.same_as(&theirs.key));
        assert_eq!((ours.flags, ours.auth_time, ours.end_time), (theirs.flags, theirs.auth_time, theirs.end_time));
        assert_eq!(ours.addresses, theirs.addresses);
        assert_eq!(ours.ticket, theirs.ticket);
    }
}

/// A KRB-CRED with the tickets of one and the keys of another.
fn mixed_cred(tickets: usize, infos: usize) -> Vec<u8> {
    let tgt = tgt();
    let sealed = vec![Raw::parse(&tgt.ticket).unwrap(); tickets];
    let info = wire::KrbCredInfo {
        key: (&tgt.key).into(),
        client_realm: Some("EXAMPLE.ORG"),
        client: Some((&tgt.client).into()),
        flags: None,
        auth_time: None,
        start_time: None,
        end_time: None,
        renew_till: None,
        server_realm: Some("EXAMPLE.ORG"),
        server: Some((&tgt.server).into()),
        addresses: None,
    };
    let info = vec![info; infos];
    let part = EncKrbCredPart {
        info: List::Items(&info),
        nonce: None,
        time: Some(NOW.time),
        micros: Some(0),
        sender: None,
        receiver: None,
    };
    let cipher = key().encrypt(KeyUsage::KRB_CRED, &mut Counter(0), &wire::encode(&part));
    let enc_part = EncryptedData { etype: key().etype(), kvno: None, cipher: &cipher };
    wire::encode(&KrbCred { version: Fixed, kind: Fixed, tickets: List::Items(&sealed), enc_part })
}

/// Attack D5.
#[test]
fn a_cred_without_tickets_or_with_keys_that_do_not_match_them_is_an_error() {
    let (client, server) = pair();
    for (tickets, infos) in [(0, 0), (0, 1), (1, 0), (1, 2), (2, 1)] {
        assert!(matches!(server.read_cred(NOW, &mixed_cred(tickets, infos)), Err(Error::Malformed(_))));
    }
    assert!(server.read_cred(NOW, &mixed_cred(1, 1)).is_ok());
    assert!(client.make_cred(NOW, &mut Counter(0), &[]).is_err());
}

#[test]
fn no_changed_or_truncated_cred_is_read() {
    let (client, server) = pair();
    let message = client.make_cred(NOW, &mut Counter(0), &[CredTicket { ticket: tgt().ticket, ..tgt() }]).unwrap();
    let sealed_from = message.len() - 200;
    for at in 0..message.len() {
        let mut changed = message.clone();
        changed[at] ^= 0x41;
        // What stands outside of the encrypted part is the clear part of the tickets, which proves nothing.
        assert!(server.read_cred(NOW, &changed).is_err() || at < sealed_from, "byte {at}");
        assert!(server.read_cred(NOW, &message[..at]).is_err());
    }
}
