//! Contexts of GSS-API: while they are opened and when they are open, by any bytes and by tokens
//! whose cryptography is right.

use std::cell::RefCell;

use libkrb::ccache::Credential;
use libkrb::client::{ApExchange, ApRequest};
use libkrb::codes::ChecksumType;
use libkrb::crypto::KeyUsage;
use libkrb::gss::{
    AcceptStep, AcceptorContext, AcceptorOptions, Caller, ChannelBindings, Context, ContextFlags, InitiatorContext,
    InitiatorOptions, InitiatorStep, Mechanism, Refusal,
};
use libkrb::session::Role;
use libkrb::time::Instant;
use libkrb::wire::{self, InitialToken, NegotiationToken, Oid};

use super::script::Script;
use super::service::fresh_acceptor;
use crate::joined::{Asking, Joined, NOW, Sequence, as_error, name};

thread_local! {
    /// A realm and alice's ticket for its service.
    pub(super) static PLACE: RefCell<(Joined, Credential)> = RefCell::new({
        let mut realm = Joined::new();
        let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
        let ticket = realm.tgs(&tgt, &Asking::service(super::service::HOST)).expect("a ticket").cached();
        (realm, ticket)
    });
}

pub(super) fn acceptor(realm: &Joined, options: AcceptorOptions) -> AcceptorContext {
    AcceptorContext::new(fresh_acceptor(realm).into(), options)
}

pub(super) fn initiator(
    ticket: &Credential,
    options: InitiatorOptions,
) -> (InitiatorContext, Option<Context>, Vec<u8>) {
    let mut initiator = InitiatorContext::new(ticket, options).expect("a ticket");
    match initiator.step(Instant::from(NOW), &mut Sequence(5), None).expect("a first token") {
        InitiatorStep::Continue(token) => (initiator, None, token),
        InitiatorStep::Done(context, token) => (initiator, Some(*context), token.expect("a first token")),
    }
}

/// Offers a first token, then others for as long as more are wanted.
fn offer<'a>(
    acceptor: &mut AcceptorContext,
    first: &'a [u8],
    mut next: impl FnMut() -> &'a [u8],
) -> Result<(Context, Caller), Refusal> {
    let mut token = first;
    for _ in 0..4 {
        match acceptor.step(Instant::from(NOW), &mut Sequence(9), token, None) {
            Ok(AcceptStep::Continue(answer)) => told(&answer),
            Ok(AcceptStep::Done(context, caller, answer)) => {
                answer.as_deref().iter().for_each(|answer| told(answer));
                assert_eq!(caller.accepted.server, name(super::service::HOST));
                return Ok((*context, *caller));
            }
            Err(refusal) => {
                refusal.token.as_deref().iter().for_each(|answer| told(answer));
                return Err(refusal);
            }
        }
        token = next();
    }
    panic!("a negotiation without an end");
}

/// What we answer is a token.
pub(super) fn told(answer: &[u8]) {
    let kerberos = wire::decode::<InitialToken<'_>>(answer).is_ok_and(|token| token.mechanism == Oid::KERBEROS);
    let negotiation = wire::decode::<NegotiationToken<'_>>(answer).is_ok();
    let bare = as_error(answer).is_some() || wire::application_tag(answer) == Some(15);
    assert!(kerberos || negotiation || bare, "no token: {answer:02x?}");
}

/// Any bytes for an acceptor, which hears them again if it asks for more.
pub fn gss_acceptor(data: &[u8]) {
    PLACE.with_borrow(|(realm, _)| {
        let _ = offer(&mut acceptor(realm, AcceptorOptions::default()), data, || data);
    });
}

/// First tokens that were honest, or whose flags, bindings and delegation are anything.
pub fn gss_acceptor_structured(data: &[u8]) {
    PLACE.with_borrow(|(realm, ticket)| {
        let mut script = Script::new(data);
        let mut token = first(ticket, &mut script);
        if script.seldom(3) {
            script.bend(&mut token);
        }
        let options = AcceptorOptions { bindings: bindings(&mut script), require_bindings: script.seldom(4) };
        let (insists, channel) = (options.require_bindings, options.bindings.is_some());
        let opened = offer(&mut acceptor(realm, options), &token, || script.bytes());
        if let Ok((mut context, caller)) = opened {
            assert_eq!(caller.accepted.client, name("alice"));
            assert!(caller.bound || !insists, "not bound where it has to be");
            assert!(channel || !caller.bound, "bound to no channel");
            assert_eq!(caller.delegated.is_some(), context.flags().has(ContextFlags::DELEGATE));
            let _ = context.unwrap(script.remainder());
        }
    });
}

fn bindings(script: &mut Script<'_>) -> Option<ChannelBindings> {
    let hash = script.seldom(2).then(|| [script.byte() % 2; 32])?;
    Some(ChannelBindings::tls_server_end_point(&hash))
}

fn mechanism(script: &mut Script<'_>) -> Mechanism {
    script.choose(&[Mechanism::Kerberos, Mechanism::Spnego])
}

fn first(ticket: &Credential, script: &mut Script<'_>) -> Vec<u8> {
    let mechanism = mechanism(script);
    if !script.seldom(2) {
        let flags = ContextFlags::DEFAULT.with(ContextFlags::MUTUAL, !script.seldom(4));
        let bindings = bindings(script);
        return initiator(ticket, InitiatorOptions { flags, bindings, mechanism, delegated: None }).2;
    }
    let checksum = if script.seldom(4) { script.bytes().to_vec() } else { checksum(ticket, script) };
    let kind = ChecksumType(script.choose(&[0x8003, 0x8003, 0x8003, 16]));
    let request = ApRequest {
        mutual: !script.seldom(4),
        subkey: !script.seldom(4),
        sequence: !script.seldom(4),
        checksum: (!script.seldom(8)).then_some((kind, checksum)),
    };
    let (_, ap_req) = ApExchange::new(ticket, &request, Instant::from(NOW), &mut Sequence(5)).expect("an AP-REQ");
    if script.seldom(4) {
        return ap_req;
    }
    let inner = [&[1, 0], ap_req.as_slice()].concat();
    wire::encode(&InitialToken { mechanism: Oid::KERBEROS, inner: &inner })
}

/// What stands in place of a checksum (RFC 4121 4.1.1).
fn checksum(ticket: &Credential, script: &mut Script<'_>) -> Vec<u8> {
    let delegates = script.seldom(2);
    let flags = if script.seldom(2) { script.number() } else { ContextFlags::DEFAULT.0 };
    let flags = ContextFlags(flags).with(ContextFlags::DELEGATE, delegates);
    let mut checksum = [&[16, 0, 0, 0], [0; 16].as_slice(), &flags.0.to_le_bytes()].concat();
    if delegates {
        let key = ticket.key.key().expect("a key");
        let plain = script.bytes();
        let cipher = key.encrypt(KeyUsage::KRB_CRED, &mut Sequence(4), plain);
        let enc_part = wire::EncryptedData { etype: key.etype(), kvno: None, cipher: &cipher };
        let tickets = vec![wire::Raw::parse(&ticket.ticket).expect("a ticket"); usize::from(script.byte() % 3)];
        let tickets = wire::List::Items(&tickets);
        let cred = wire::encode(&wire::KrbCred { version: wire::Fixed, kind: wire::Fixed, tickets, enc_part });
        checksum.extend([1, 0]);
        checksum.extend(u16::try_from(cred.len()).unwrap_or(u16::MAX).to_le_bytes());
        checksum.extend(cred);
    }
    checksum
}

/// Any bytes for an initiator, or the honest answer bent: what it believes, the acceptor said.
pub fn gss_initiator(data: &[u8]) {
    PLACE.with_borrow(|(realm, ticket)| {
        let mut script = Script::new(data);
        let options = InitiatorOptions { mechanism: mechanism(&mut script), ..InitiatorOptions::default() };
        let (mut initiator, _, token) = initiator(ticket, options);
        let step = acceptor(realm, AcceptorOptions::default()).step(Instant::from(NOW), &mut Sequence(9), &token, None);
        let Ok(AcceptStep::Done(context, _, Some(honest))) = step else { panic!("an honest token: {step:?}") };
        let mut answer = if script.seldom(2) { script.remainder().to_vec() } else { honest };
        if !script.is_empty() {
            script.bend(&mut answer);
        }
        for _ in 0..4 {
            match initiator.step(Instant::from(NOW), &mut Sequence(5), Some(&answer)) {
                Ok(InitiatorStep::Continue(token)) => told(&token),
                Ok(InitiatorStep::Done(opened, _)) => return assert!(opened.key().same_as(context.key())),
                Err(_) => return,
            }
            answer = script.bytes().to_vec();
        }
        panic!("a negotiation without an end");
    });
}

/// Both ends of an open context.
fn opened(realm: &Joined, ticket: &Credential, flags: ContextFlags) -> (Context, Context) {
    let options = InitiatorOptions { flags, mechanism: Mechanism::Kerberos, ..InitiatorOptions::default() };
    let (_, context, token) = initiator(ticket, options);
    let (acceptor, _) = offer(&mut acceptor(realm, AcceptorOptions::default()), &token, || &[]).expect("honest");
    (context.expect("without mutual authentication one token is enough"), acceptor)
}

/// Any bytes for an open context, or any header and message under the right key.
pub fn gss_message(data: &[u8]) {
    PLACE.with_borrow(|(realm, ticket)| {
        let mut script = Script::new(data);
        let flags = ContextFlags::DEFAULT.with(ContextFlags::MUTUAL, false);
        let (mut from, mut to) = opened(realm, ticket, flags.with(ContextFlags::SEQUENCE, !script.seldom(4)));
        let (token, honest) = match script.byte() % 4 {
            0 => (from.wrap(&mut Sequence(3), true, b"a message").expect("a Wrap token"), true),
            1 => (from.wrap(&mut Sequence(3), false, b"a message").expect("a Wrap token"), true),
            2 => (script.remainder().to_vec(), false),
            _ => (forged(&from, &mut script), false),
        };
        let mut bent = token.clone();
        if !script.is_empty() {
            script.bend(&mut bent);
        }
        // Whatever came before, the honest token is still good, unless it was that itself; and once.
        let before = taken(&mut to, &bent);
        let now = taken(&mut to, &token);
        assert!(now || before || !honest, "lost");
        assert!(!taken(&mut to, &token), "twice");
    });
}

/// Whether a context takes a token in any way.
fn taken(context: &mut Context, token: &[u8]) -> bool {
    let signed = context.verify_mic(b"a message", token).is_ok();
    let mut place = token.to_vec();
    let Ok(found) = context.unwrap_in_place(&mut place) else { return signed };
    assert!(place.get(found.message).is_some(), "a message outside of its token");
    true
}

/// A sealed token of which everything but the seal is anything.
fn forged(from: &Context, script: &mut Script<'_>) -> Vec<u8> {
    let role = if from.role() == Role::Initiator { 0 } else { 1 };
    let mut header = vec![5, 4, 2 | role, 0xff];
    let extra = script.choose(&[0_u16, 1, 2, 7, 15, 16, 17, 255, u16::MAX]);
    header.extend(extra.to_be_bytes());
    header.extend([0, 0]);
    header.extend(u64::from(script.number()).to_be_bytes());
    let message = script.bytes();
    let sealed = if script.seldom(4) { script.bytes() } else { &header };
    let cipher = from.key().encrypt(KeyUsage::GSS_INITIATOR_SEAL, &mut Sequence(4), &[message, sealed].concat());
    let mut token = [header.as_slice(), &cipher].concat();
    let rotation = script.choose(&[0_u16, 1, 12, 16, 28, 44, 1000, u16::MAX]);
    let length = token.len() - 16;
    token[6..8].copy_from_slice(&rotation.to_be_bytes());
    token[16..].rotate_right(usize::from(rotation) % length);
    token
}

/// An honest first token of a mechanism, for the seeds.
pub fn honest_token(mechanism: Mechanism) -> Vec<u8> {
    let options = InitiatorOptions { mechanism, ..InitiatorOptions::default() };
    PLACE.with_borrow(|(_, ticket)| initiator(ticket, options).2)
}
