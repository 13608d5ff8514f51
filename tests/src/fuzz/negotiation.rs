//! SPNEGO of several legs: an initiator that offers anything and may prefer anything, whose tokens and
//! signatures are right, until one of them is bent.

use libkrb::ccache::Credential;
use libkrb::gss::{
    AcceptStep, AcceptorOptions, Caller, Context, ContextFlags, InitiatorContext, InitiatorOptions, InitiatorStep,
    Mechanism,
};
use libkrb::time::Instant;
use libkrb::wire::{self, InitialToken, List, NegState, NegTokenInit, NegTokenResp, NegotiationToken, Oid, Raw};

use super::gss::{PLACE, acceptor, initiator, told};
use super::script::Script;
use crate::joined::{NOW, Sequence, name};

const OTHERS: [Oid<'static>; 5] =
    [Oid::KERBEROS, Oid::KERBEROS_MICROSOFT, Oid::NTLM, Oid(&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 30]), Oid(&[0x2a])];

/// The initiator, which speaks Kerberos by itself and is put into the negotiation by hand.
struct Initiator {
    kerberos: InitiatorContext,
    context: Option<Context>,
    /// Its first token, until it is sent.
    token: Option<Vec<u8>>,
    /// What it offers, and would sign.
    list: Vec<u8>,
    /// Whether it has signed.
    signed: bool,
}

/// What the acceptor makes of an offer that may have changed on its way.
#[derive(Debug, Default)]
struct Seen {
    list: Vec<u8>,
    kerberos_first: bool,
}

impl Initiator {
    fn new(ticket: &Credential, script: &mut Script<'_>) -> Initiator {
        let mechanisms = match script.seldom(2) {
            true => script.list(5, |script| script.choose(&OTHERS)),
            false => vec![Oid::NTLM, Oid::KERBEROS],
        };
        let flags = ContextFlags::DEFAULT.with(ContextFlags::MUTUAL, !script.seldom(4));
        let flags = flags.with(ContextFlags::INTEGRITY, !script.seldom(8));
        let options = InitiatorOptions { flags, mechanism: Mechanism::Kerberos, ..InitiatorOptions::default() };
        let (kerberos, context, token) = initiator(ticket, options);
        let list = wire::encode(&List::Items(&mechanisms));
        Initiator { kerberos, context, token: Some(token), list, signed: false }
    }

    fn offer(&mut self, script: &mut Script<'_>) -> Vec<u8> {
        let token = if script.seldom(2) { self.token.take() } else { None };
        let mic = if script.seldom(4) { self.sign(&token) } else { None };
        let mechanisms = Raw::parse(&self.list).expect("a list");
        let init = NegTokenInit { mechanisms, token: token.as_deref(), hints: None, mic: mic.as_deref() };
        let inner = wire::encode(&NegotiationToken::Init(init));
        wire::encode(&InitialToken { mechanism: Oid::SPNEGO, inner: &inner })
    }

    /// A signature, once there is a context and nothing of Kerberos is left to say but this token.
    fn sign(&mut self, token: &Option<Vec<u8>>) -> Option<Vec<u8>> {
        let mic = self.context.as_mut().filter(|_| token.is_some() || self.token.is_none())?.mic(&self.list).ok()?;
        self.signed = true;
        Some(mic)
    }

    fn reply(&mut self, answer: &[u8], saw: &Seen, script: &mut Script<'_>) -> Vec<u8> {
        let Ok(NegotiationToken::Resp(answer)) = wire::decode(answer) else { panic!("no answer of SPNEGO") };
        if let Some(token) = answer.token {
            let step = self.kerberos.step(Instant::from(NOW), &mut Sequence(5), Some(token));
            let Ok(InitiatorStep::Done(mut context, None)) = step else { panic!("an answer of Kerberos: {step:?}") };
            if let Some(mic) = answer.mic {
                assert_eq!(context.verify_mic(&self.list, mic).is_ok(), saw.list == self.list, "its signature");
            }
            self.context = Some(*context);
        }
        let token = self.token.take();
        let mic = if script.seldom(4) { None } else { self.sign(&token) };
        let state = script.choose(&[None, Some(NegState::AcceptCompleted), Some(NegState::AcceptIncomplete)]);
        let (token, mic) = (token.as_deref(), mic.as_deref());
        wire::encode(&NegotiationToken::Resp(NegTokenResp { state, mechanism: None, token, mic }))
    }
}

fn seen(offer: &[u8]) -> Seen {
    let inner = wire::decode::<InitialToken<'_>>(offer).map_or(offer, |frame| frame.inner);
    let Ok(NegotiationToken::Init(init)) = wire::decode(inner) else { return Seen::default() };
    let kerberos_first = init.mechanisms.iter().next().is_some_and(Oid::is_kerberos);
    Seen { list: init.mechanisms.der.to_vec(), kerberos_first }
}

/// A negotiation in which any message may be bent: where Kerberos was not the favourite, it ends well
/// only if the initiator signed what the acceptor saw.
pub fn gss_negotiation(data: &[u8]) {
    PLACE.with_borrow(|(realm, ticket)| {
        let mut script = Script::new(data);
        let mut initiator = Initiator::new(ticket, &mut script);
        let mut acceptor = acceptor(realm, AcceptorOptions::default());
        let mut message = initiator.offer(&mut script);
        let mut saw = None;
        for _ in 0..4 {
            if script.seldom(8) {
                script.bend(&mut message);
            }
            let saw = saw.get_or_insert_with(|| seen(&message));
            match acceptor.step(Instant::from(NOW), &mut Sequence(9), &message, None) {
                Ok(AcceptStep::Continue(answer)) => {
                    told(&answer);
                    message = initiator.reply(&answer, saw, &mut script);
                }
                Ok(AcceptStep::Done(context, caller, _)) => return came(&context, &caller, &initiator, saw),
                Err(refusal) => return assert!(!data.is_empty(), "an honest negotiation: {refusal}"),
            }
        }
        panic!("a negotiation without an end");
    });
}

fn came(context: &Context, caller: &Caller, initiator: &Initiator, saw: &Seen) {
    assert_eq!(caller.accepted.client, name("alice"));
    if context.flags().has(ContextFlags::INTEGRITY) && !saw.kerberos_first {
        assert!(initiator.signed && initiator.list == saw.list, "unsigned: {saw:?}");
    }
}
