//! What broke other GSS-APIs, sent to this one: each case under its own name, with tickets from a
//! KDC in memory.

use std::sync::Arc;

use libkrb::client::{ApExchange, ApRequest};
use libkrb::codes::ChecksumType;
use libkrb::crypto::{Key, KeyUsage};
use libkrb::error::{Error, Result};
use libkrb::gss::{AcceptStep, AcceptorContext, AcceptorOptions, Caller, Context, InitiatorContext, InitiatorStep};
use libkrb::gss::{ContextFlags, Refusal};
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Acceptor, Options};
use libkrb::session::{CredTicket, make_cred};
use libkrb::wire::{self, EncKrbCredPart, EncryptedData, Fixed, InitialToken, KrbCred, List, Oid, Raw};
use tests::gss::kerberos;
use tests::joined::{Asking, Credential, Joined, Sequence};

const HOST: &str = "host/a.example.org";
const MESSAGE: &[u8] = b"an order of nineteen oxen";

/// A realm, and alice's ticket for the service.
fn realm() -> (Joined, Credential) {
    let mut realm = Joined::new();
    let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
    let ticket = realm.tgs(&tgt, &Asking::service(HOST)).expect("a ticket");
    (realm, ticket)
}

fn acceptor(realm: &Joined) -> AcceptorContext {
    let replay = Arc::new(MemoryReplayCache::new(300, 1000));
    let acceptor = Acceptor::new(&realm.keytab(&[HOST]), Options::default(), replay).expect("a keytab");
    AcceptorContext::new(Arc::new(acceptor), AcceptorOptions::default())
}

fn accept(realm: &Joined, token: &[u8]) -> Result<(Context, Caller, Option<Vec<u8>>), Refusal> {
    match acceptor(realm).step(realm.now, &mut Sequence(9), token, None)? {
        AcceptStep::Done(context, caller, token) => Ok((*context, *caller, token)),
        AcceptStep::Continue(_) => panic!("one token opens a context of the Kerberos mechanism"),
    }
}

/// Both ends of a context that was opened by honest people.
fn context() -> (Context, Context) {
    let (realm, ticket) = realm();
    let mut initiator = InitiatorContext::new(&ticket.cached(), kerberos(ContextFlags::DEFAULT)).expect("a ticket");
    let mut step = |token: Option<&[u8]>| initiator.step(realm.now, &mut Sequence(5), token).expect("a step");
    let InitiatorStep::Continue(token) = step(None) else { panic!("a first token") };
    let (acceptor, _, reply) = accept(&realm, &token).expect("accepted");
    let InitiatorStep::Done(initiator, None) = step(reply.as_deref()) else { panic!("an open context") };
    (*initiator, acceptor)
}

/// The initiator's token, sealed or signed.
fn wrapped(context: &mut Context, confidential: bool) -> Vec<u8> {
    context.wrap(&mut Sequence(7), confidential, MESSAGE).expect("a Wrap token")
}

/// The context still takes what its peer sends.
fn lives(context: &mut Context, token: &[u8]) {
    assert_eq!(context.unwrap(token).expect("the honest token").message.as_slice(), MESSAGE);
}

#[test]
fn d3_a_wrap_token_with_another_extra_count() {
    for confidential in [true, false] {
        let (mut initiator, mut acceptor) = context();
        let token = wrapped(&mut initiator, confidential);
        let honest = [token[4], token[5]];
        for count in (0..=u16::MAX).map(u16::to_be_bytes).filter(|count| *count != honest) {
            let mut bent = token.clone();
            bent[4..6].copy_from_slice(&count);
            assert!(acceptor.unwrap(&bent).is_err(), "{count:?}");
        }
        lives(&mut acceptor, &token);
    }
}

#[test]
fn d3_message_tokens_of_bad_lengths() {
    let (mut initiator, mut acceptor) = context();
    let mic = initiator.mic(MESSAGE).expect("a signature");
    for length in 0..100 {
        for first in [[5, 4, 0], [5, 4, 2], [5, 4, 4], [5, 4, 6], [4, 4, 0], [4, 4, 4]] {
            for filler in [0, 0xff] {
                let mut token = first.to_vec();
                token.resize(length.max(3), filler);
                assert!(acceptor.unwrap(&token).is_err() && acceptor.verify_mic(MESSAGE, &token).is_err());
            }
        }
        assert!(acceptor.verify_mic(MESSAGE, mic.get(..length).filter(|cut| *cut != mic).unwrap_or(&[])).is_err());
    }
    assert!(acceptor.verify_mic(MESSAGE, &[mic.as_slice(), &[0]].concat()).is_err(), "an octet too many");
    acceptor.verify_mic(MESSAGE, &mic).expect("the honest signature");
}

#[test]
fn d3_a_mic_with_another_checksum() {
    let (mut initiator, mut acceptor) = context();
    let mic = initiator.mic(MESSAGE).expect("a signature");
    for byte in 16..mic.len() {
        for value in (0..=u8::MAX).filter(|value| *value != mic[byte]) {
            let mut bent = mic.clone();
            bent[byte] = value;
            assert!(acceptor.verify_mic(MESSAGE, &bent).is_err(), "{byte} {value}");
        }
    }
    for other in [b"".as_slice(), b"an order of nineteen foxen"] {
        assert!(acceptor.verify_mic(other, &mic).is_err());
    }
    let mut none = mic.clone();
    none.truncate(16);
    assert!(acceptor.verify_mic(MESSAGE, &none).is_err(), "no checksum at all");
    acceptor.verify_mic(MESSAGE, &mic).expect("the honest signature");
}

#[test]
fn d3_tokens_of_rfc_1964_on_a_context_of_rfc_4121() {
    let (mut initiator, mut acceptor) = context();
    // Wrap, MIC and the deletion of a context, with the algorithms of DES and RC4, sealed and not.
    for id in [[2, 1], [1, 1], [1, 2]] {
        for algorithms in [[0, 0, 0, 0], [0, 0, 0xff, 0xff], [4, 0, 2, 0], [0x11, 0, 0x10, 0], [0x11, 0, 0xff, 0xff]] {
            let inner = [id.as_slice(), &algorithms, &[0xff; 2], &[0; 8], &[0; 8], &[0; 8], MESSAGE].concat();
            let token = wire::encode(&InitialToken { mechanism: Oid::KERBEROS, inner: &inner });
            for token in [token, inner] {
                assert!(matches!(acceptor.unwrap(&token), Err(Error::Malformed(_))));
                assert!(matches!(acceptor.verify_mic(MESSAGE, &token), Err(Error::Malformed(_))));
            }
        }
    }
    let token = wrapped(&mut initiator, true);
    lives(&mut acceptor, &token);
}

#[test]
fn d3_nothing_tells_how_a_sealed_message_was_wrong() {
    let (mut initiator, mut acceptor) = context();
    let token = wrapped(&mut initiator, true);
    for bit in 16 * 8..token.len() * 8 {
        let mut bent = token.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(acceptor.unwrap(&bent), Err(Error::Integrity)), "{bit}");
        // A header that would make the plaintext end elsewhere changes nothing of that.
        bent[5] ^= 1;
        assert!(matches!(acceptor.unwrap(&bent), Err(Error::Integrity)), "{bit}");
    }
    lives(&mut acceptor, &token);
}

#[test]
fn d3_messages_of_one_context_in_another() {
    let (mut one, _) = context();
    let (mut realm, ticket) = realm();
    realm.tick();
    let mut initiator = InitiatorContext::new(&ticket.cached(), kerberos(ContextFlags::DEFAULT)).expect("a ticket");
    let Ok(InitiatorStep::Continue(token)) = initiator.step(realm.now, &mut Sequence(6), None) else { panic!("one") };
    let (mut other, ..) = accept(&realm, &token).expect("accepted");
    for confidential in [true, false] {
        assert!(other.unwrap(&wrapped(&mut one, confidential)).is_err());
    }
    assert!(other.verify_mic(MESSAGE, &one.mic(MESSAGE).expect("a signature")).is_err());
}

/// An honest AP-REQ but for what stands in place of the authenticator's checksum.
fn with_checksum(realm: &mut Joined, ticket: &Credential, checksum: Vec<u8>) -> Vec<u8> {
    realm.tick();
    let request = ApRequest { checksum: Some((ChecksumType::GSSAPI, checksum)), ..ApRequest::default() };
    let (_, ap_req) = ApExchange::new(&ticket.cached(), &request, realm.now, &mut Sequence(5)).expect("an AP-REQ");
    let inner = [&[1, 0], ap_req.as_slice()].concat();
    wire::encode(&InitialToken { mechanism: Oid::KERBEROS, inner: &inner })
}

/// A checksum that hands this over.
fn handing(cred: &[u8]) -> Vec<u8> {
    let flags = (ContextFlags::MUTUAL | ContextFlags::DELEGATE).0.to_le_bytes();
    let length = u16::try_from(cred.len()).expect("a short KRB-CRED").to_le_bytes();
    [&[16, 0, 0, 0], [0; 16].as_slice(), &flags, &[1, 0], &length, cred].concat()
}

/// A KRB-CRED with these tickets and these keys for them.
fn cred(key: &Key, tickets: &[Raw<'_, wire::Ticket<'_>>], info: &[wire::KrbCredInfo<'_>]) -> Vec<u8> {
    let info = List::Items(info);
    let plain =
        wire::encode(&EncKrbCredPart { info, nonce: None, time: None, micros: None, sender: None, receiver: None });
    let cipher = key.encrypt(KeyUsage::KRB_CRED, &mut Sequence(4), &plain);
    let enc_part = EncryptedData { etype: key.etype(), kvno: None, cipher: &cipher };
    wire::encode(&KrbCred { version: Fixed, kind: Fixed, tickets: List::Items(tickets), enc_part })
}

#[test]
fn d5_a_krb_cred_without_credentials() {
    let (mut realm, ticket) = realm();
    let key = ticket.key.clone();
    let nameless = wire::KrbCredInfo {
        key: (&key).into(),
        client_realm: None,
        client: None,
        flags: None,
        auth_time: None,
        start_time: None,
        end_time: None,
        renew_till: None,
        server_realm: None,
        server: None,
        addresses: None,
    };
    let one = Raw::parse(&ticket.ticket).expect("a ticket");
    let empty = [
        cred(&key, &[], &[]),
        cred(&key, &[one], &[]),
        cred(&key, &[], &[nameless]),
        cred(&key, &[one], &[nameless]),
        cred(&key, &[one, one], &[nameless]),
        vec![],
        vec![0; 40],
        vec![0x76, 0x80],
    ];
    for (case, cred) in empty.iter().enumerate() {
        let token = with_checksum(&mut realm, &ticket, handing(cred));
        let refusal = accept(&realm, &token).expect_err("no credentials");
        assert!(refusal.token.is_some(), "case {case}");
    }
}

#[test]
fn d5_a_krb_cred_that_is_cut_or_called_plain_and_is_not() {
    let (mut realm, ticket) = realm();
    let handed = CredTicket {
        client: ticket.client.clone(),
        server: ticket.server.clone(),
        key: ticket.key.clone(),
        flags: ticket.flags,
        auth_time: None,
        start_time: None,
        end_time: None,
        renew_till: None,
        addresses: vec![],
        ticket: ticket.ticket.clone(),
    };
    let whole = make_cred(&ticket.key, realm.now, &mut Sequence(4), &[handed]).expect("a KRB-CRED");
    let checksum = handing(&whole);
    for length in 0..checksum.len() {
        let token = with_checksum(&mut realm, &ticket, checksum[..length].to_vec());
        assert!(accept(&realm, &token).is_err(), "{length} octets of the checksum");
        if length < whole.len() {
            let token = with_checksum(&mut realm, &ticket, handing(&whole[..length]));
            assert!(accept(&realm, &token).is_err(), "{length} octets of the KRB-CRED");
        }
    }
    // Heimdal leaves it plain (etype 0), for it is encrypted with all of the authenticator.
    let mut clear: KrbCred<'_> = wire::decode(&whole).expect("a KRB-CRED");
    clear.enc_part.etype = libkrb::codes::EncryptionType(0);
    let token = with_checksum(&mut realm, &ticket, handing(&wire::encode(&clear)));
    assert!(accept(&realm, &token).is_err());

    let token = with_checksum(&mut realm, &ticket, checksum);
    let (_, caller, _) = accept(&realm, &token).expect("the honest one");
    assert_eq!(caller.delegated.expect("a ticket").tickets.len(), 1);
}
