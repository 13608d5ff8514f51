//! What broke other negotiations, sent to this one: each case under its own name, with tickets from a
//! KDC in memory. The numbers are those of the cases in MIT krb5 and Heimdal.

use std::cell::Cell;
use std::sync::Arc;

use libkrb::ErrorCode;
use libkrb::error::Error;
use libkrb::gss::{
    AcceptStep, AcceptorContext, AcceptorOptions, Context, ContextFlags, InitiatorContext, InitiatorOptions,
    InitiatorStep, Refusal,
};
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Acceptor, Options};
use libkrb::wire::{self, InitialToken, List, NegState, NegTokenInit, NegTokenResp, NegotiationToken, Oid, Raw};
use tests::gss::kerberos;
use tests::joined::{Asking, Credential, Joined, Sequence};

const HOST: &str = "host/a.example.org";
const NEGOEX: Oid<'static> = Oid(&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 30]);

/// A realm, alice's ticket for the service, and the service.
struct Place {
    realm: Joined,
    ticket: Credential,
    acceptor: Arc<Acceptor>,
    /// No two contexts have the same keys.
    seed: Cell<u64>,
}

impl Place {
    fn new() -> Place {
        let mut realm = Joined::new();
        let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
        let ticket = realm.tgs(&tgt, &Asking::service(HOST)).expect("a ticket");
        let replay = Arc::new(MemoryReplayCache::new(300, 1000));
        let acceptor = Acceptor::new(&realm.keytab(&[HOST]), Options::default(), replay).expect("a keytab");
        Place { realm, ticket, acceptor: Arc::new(acceptor), seed: Cell::new(9) }
    }

    fn acceptor(&self) -> AcceptorContext {
        AcceptorContext::new(self.acceptor.clone(), AcceptorOptions::default())
    }

    fn random(&self) -> Sequence {
        self.seed.set(self.seed.get() + 1);
        Sequence(self.seed.get())
    }

    fn accept(&self, context: &mut AcceptorContext, token: &[u8]) -> Result<AcceptStep, Refusal> {
        context.step(self.realm.now, &mut self.random(), token, None)
    }

    /// An initiator that has spoken, and what it said.
    fn initiator(&mut self, options: InitiatorOptions) -> (InitiatorContext, Vec<u8>) {
        self.realm.tick();
        let mut initiator = InitiatorContext::new(&self.ticket.cached(), options).expect("a ticket");
        match self.step(&mut initiator, None).expect("a first token") {
            InitiatorStep::Continue(token) => (initiator, token),
            InitiatorStep::Done(..) => panic!("it waits for an answer"),
        }
    }

    fn step(&self, initiator: &mut InitiatorContext, token: Option<&[u8]>) -> Result<InitiatorStep, Error> {
        initiator.step(self.realm.now, &mut self.random(), token)
    }

    /// What an honest acceptor answers to an honest initiator.
    fn honest(&mut self) -> (InitiatorContext, Vec<u8>) {
        let (initiator, token) = self.initiator(InitiatorOptions::default());
        match self.accept(&mut self.acceptor(), &token).expect("accepted") {
            AcceptStep::Done(_, _, Some(token)) => (initiator, token),
            step => panic!("no answer: {step:?}"),
        }
    }

    /// An acceptor that has chosen Kerberos from an offer, and waits for a token of it.
    fn asking(&self, mechanisms: &[Oid<'_>]) -> AcceptorContext {
        let mut acceptor = self.acceptor();
        continued(self.accept(&mut acceptor, &offer(mechanisms, None)));
        acceptor
    }

    /// An acceptor that waits for the initiator's signature, and what both of them signed and said.
    fn signing(&mut self, mechanisms: &[Oid<'_>]) -> (AcceptorContext, Context, Vec<u8>) {
        let mut acceptor = self.asking(mechanisms);
        let (mut initiator, token) = self.initiator(kerberos(ContextFlags::DEFAULT));
        let answer = continued(self.accept(&mut acceptor, &resp(None, None, Some(&token), None)));
        let reply = parts(&answer).token.expect("a token").to_vec();
        match self.step(&mut initiator, Some(&reply)) {
            Ok(InitiatorStep::Done(context, None)) => (acceptor, *context, answer),
            step => panic!("no context: {step:?}"),
        }
    }
}

fn continued(step: Result<AcceptStep, Refusal>) -> Vec<u8> {
    match step.expect("a step") {
        AcceptStep::Continue(token) => token,
        AcceptStep::Done(..) => panic!("it waits for an answer"),
    }
}

fn list(mechanisms: &[Oid<'_>]) -> Vec<u8> {
    wire::encode(&List::Items(mechanisms))
}

fn framed(inner: &[u8]) -> Vec<u8> {
    wire::encode(&InitialToken { mechanism: Oid::SPNEGO, inner })
}

fn offer(mechanisms: &[Oid<'_>], token: Option<&[u8]>) -> Vec<u8> {
    let list = list(mechanisms);
    let init = NegTokenInit { mechanisms: Raw::parse(&list).expect("a list"), token, hints: None, mic: None };
    framed(&wire::encode(&NegotiationToken::Init(init)))
}

fn resp(state: Option<NegState>, mechanism: Option<Oid<'_>>, token: Option<&[u8]>, mic: Option<&[u8]>) -> Vec<u8> {
    wire::encode(&NegotiationToken::Resp(NegTokenResp { state, mechanism, token, mic }))
}

fn parts(token: &[u8]) -> NegTokenResp<'_> {
    match wire::decode(token) {
        Ok(NegotiationToken::Resp(resp)) => resp,
        other => panic!("no answer: {other:?}"),
    }
}

/// A refusal that rejects, and tells nothing else.
#[track_caller]
fn rejected(step: Result<AcceptStep, Refusal>) -> Error {
    let refusal = step.expect_err("a refusal");
    let token = refusal.token.expect("a token");
    let answer = parts(&token);
    assert_eq!(answer.state, Some(NegState::Reject));
    assert!(answer.token.is_none() && answer.mechanism.is_none() && answer.mic.is_none());
    refusal.cause
}

#[test]
fn d4_an_empty_continuation() {
    // CVE-2014-4344.
    let mut place = Place::new();
    let completed = Some(NegState::AcceptCompleted);
    let empty = [vec![], resp(None, None, None, None), resp(completed, None, None, None)];
    for token in empty.iter().chain([&resp(completed, None, Some(b""), Some(b""))]) {
        rejected(place.accept(&mut place.asking(&[Oid::KERBEROS]), token));
        rejected(place.accept(&mut place.asking(&[Oid::NTLM, Oid::KERBEROS]), token));
        let (mut acceptor, ..) = place.signing(&[Oid::NTLM, Oid::KERBEROS]);
        rejected(place.accept(&mut acceptor, token));
        let (mut initiator, _) = place.honest();
        assert!(place.step(&mut initiator, Some(token)).is_err());
    }
    assert!(place.accept(&mut place.acceptor(), b"").is_err());
}

/// A message of NegoEx (MS-NEGOEX 2.2.6) as far as its numbers go: how long its header and it are, and
/// where its vectors begin and how many elements they have.
fn negoex(header: u32, length: u32, vector: (u32, u16)) -> Vec<u8> {
    let mut message = [b"NEGOEXTS".as_slice(), &0u32.to_le_bytes(), &0u32.to_le_bytes()].concat();
    message.extend([header.to_le_bytes(), length.to_le_bytes()].concat());
    message.extend([7; 16 + 32 + 8]);
    for _ in 0..2 {
        message.extend(vector.0.to_le_bytes());
        message.extend([vector.1.to_le_bytes(), [0; 2]].concat());
    }
    message
}

#[test]
fn d4_lengths_in_a_token_of_negoex() {
    // CVE-2026-40355, CVE-2026-40356: we do not read it at all, whatever it says.
    let place = Place::new();
    for number in [0, 1, 39, 40, 96, 97, 1 << 16, 1 << 31, u32::MAX - 1, u32::MAX] {
        for token in [
            negoex(number, 96, (0, 0)),
            negoex(96, number, (0, 0)),
            negoex(96, 96, (number, u16::MAX)),
            negoex(96, 96, (96, number as u16)),
            negoex(number, number, (number, number as u16))[..40.min(number as usize)].to_vec(),
        ] {
            let cause = rejected(place.accept(&mut place.acceptor(), &offer(&[NEGOEX], Some(&token))));
            assert_eq!(cause, Error::Negotiation("the client does not offer Kerberos"));
            let mut acceptor = place.acceptor();
            let answer = continued(place.accept(&mut acceptor, &offer(&[NEGOEX, Oid::KERBEROS], Some(&token))));
            assert_eq!(parts(&answer).state, Some(NegState::RequestMic));
            // As the token of Kerberos it is one of a wrong type.
            let step = place.accept(&mut acceptor, &resp(None, None, Some(&token), None));
            assert!(step.is_err());
            assert!(place.accept(&mut place.acceptor(), &token).is_err());
        }
    }
}

#[test]
fn d4_an_answer_that_changes_the_mechanism() {
    // CVE-2014-4343.
    let mut place = Place::new();
    for mechanism in [Oid::NTLM, NEGOEX, Oid::SPNEGO, Oid(&[0x2a]), Oid(&[0xff; 64])] {
        for state in [NegState::AcceptCompleted, NegState::AcceptIncomplete, NegState::RequestMic, NegState::Reject] {
            for token in [None, Some(b"token".as_slice())] {
                let (mut initiator, honest) = place.honest();
                let answer = resp(Some(state), Some(mechanism), token.or(parts(&honest).token), None);
                assert!(matches!(place.step(&mut initiator, Some(&answer)), Err(Error::Negotiation(_))));
                assert!(place.step(&mut initiator, Some(&honest)).is_err(), "it is over");
            }
        }
    }
}

#[test]
fn d4_a_first_token_of_no_mechanism() {
    // CVE-2021-44758.
    let mut place = Place::new();
    let (_, token) = place.initiator(kerberos(ContextFlags::DEFAULT));
    for mechanisms in [&[][..], &[Oid(&[1])], &[Oid::SPNEGO], &[NEGOEX, Oid::SPNEGO]] {
        let cause = rejected(place.accept(&mut place.acceptor(), &offer(mechanisms, Some(&token))));
        assert_eq!(cause, Error::Negotiation("the client does not offer Kerberos"));
    }
    // It was not looked at: it is still good.
    assert!(place.accept(&mut place.acceptor(), &offer(&[Oid::KERBEROS], Some(&token))).is_ok());
}

/// DER of small parts.
fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut writer = wire::Writer::new();
    writer.primitive(tag, contents);
    writer.bytes().to_vec()
}

#[test]
fn d4_offers_that_lack_what_they_must_have_or_have_it_wrong() {
    // CVE-2009-0845, CVE-2010-0628, CVE-2022-3116.
    let place = Place::new();
    let list = list(&[Oid::KERBEROS]);
    let mechanisms = der(0xa0, &list);
    let token = der(0xa2, &der(4, b"token"));
    let init = |fields: &[&[u8]]| framed(&der(0xa0, &der(0x30, &fields.concat())));
    for offer in [
        init(&[]),
        init(&[&token]),
        init(&[&der(0xa0, &[]), &token]),
        init(&[&der(0xa0, &[6, 0]), &token]),
        init(&[&der(0xa0, &der(0x30, &[6, 0])), &token]),
        init(&[&der(0xa0, &der(0x30, &der(0x30, &list))), &token]),
        init(&[&mechanisms, &der(0xa1, &[]), &token]),
        init(&[&mechanisms, &der(0xa1, &[3, 5, 1]), &token]),
        init(&[&mechanisms, &der(0xa2, &[])]),
        init(&[&mechanisms, &der(0xa2, &[4, 0x84, 0xff, 0xff, 0xff, 0xff])]),
        init(&[&mechanisms, &token, &token]),
        init(&[&token, &mechanisms]),
        init(&[&mechanisms, &token, &der(0xa3, &der(0x30, &[0xa0, 0]))]),
        init(&[&mechanisms, &token, &der(0xa3, &[4])]),
    ] {
        rejected(place.accept(&mut place.acceptor(), &offer));
    }
    // The flags MUST be ignored (RFC 4178 4.2.1), so they may be what they like.
    for flags in [&[3, 1, 0][..], &[3, 2, 8, 0xff], &[3, 0], &[4, 2, 1, 2]] {
        let offer = init(&[&mechanisms, &der(0xa1, flags)]);
        continued(place.accept(&mut place.acceptor(), &offer));
    }
}

#[test]
fn d4_lengths_beyond_the_end_of_a_token() {
    // CVE-2009-0844; and a frame that is nothing but its length, which Heimdal read beyond.
    let mut place = Place::new();
    let (_, token) = place.initiator(InitiatorOptions::default());
    for length in 0..token.len() {
        assert!(place.accept(&mut place.acceptor(), &token[..length]).is_err(), "{length}");
    }
    for token in [&[0x60][..], &[0x60, 0], &[0x60, 1], &[0x60, 0x81], &[0x60, 0x81, 0xff], &[0x60, 0x84, 0xff, 0xff]] {
        assert!(place.accept(&mut place.acceptor(), token).is_err(), "{token:?}");
    }
    let (_, honest) = place.honest();
    for length in 0..honest.len() {
        let (mut initiator, _) = place.honest();
        assert!(place.step(&mut initiator, Some(&honest[..length])).is_err(), "{length}");
    }
}

#[test]
fn d4_tokens_nested_deep() {
    // CVE-2020-28196: no depth of theirs is one of ours.
    let mut place = Place::new();
    for tag in [0x30, 0x60, 0xa0, 0xa1] {
        let (mut nested, mut infinite) = (vec![], vec![]);
        for _ in 0..2000 {
            nested = der(tag, &nested);
            infinite.extend([tag, 0x80]);
        }
        for token in [nested.as_slice(), &infinite, &framed(&nested), &framed(&infinite)] {
            assert!(place.accept(&mut place.acceptor(), token).is_err());
            let (mut initiator, _) = place.honest();
            assert!(place.step(&mut initiator, Some(token)).is_err());
        }
    }
}

#[test]
fn d4_an_offer_of_very_many_mechanisms() {
    let mut place = Place::new();
    let mut many = vec![Oid(&[0x2a, 3, 4]); 100_000];
    rejected(place.accept(&mut place.acceptor(), &offer(&many, Some(b"token"))));
    many.push(Oid::KERBEROS);
    let (mut acceptor, mut context, _) = place.signing(&many);
    let mic = context.mic(&list(&many)).expect("a signature");
    let last = resp(Some(NegState::AcceptCompleted), None, None, Some(&mic));
    assert!(matches!(place.accept(&mut acceptor, &last), Ok(AcceptStep::Done(..))));
}

#[test]
fn d4_a_context_after_an_error() {
    // CVE-2017-11462, and CVE-2015-2695 in the state between: nothing is left that could be used.
    let mut place = Place::new();
    let (_, token) = place.initiator(InitiatorOptions::default());
    let mut acceptor = place.acceptor();
    rejected(place.accept(&mut acceptor, &offer(&[NEGOEX], None)));
    assert!(place.accept(&mut acceptor, &token).is_err());
    let mut acceptor = place.asking(&[Oid::KERBEROS]);
    rejected(place.accept(&mut acceptor, &token));
    assert!(place.accept(&mut acceptor, &resp(None, None, Some(&token), None)).is_err());
    // And one that is open is not opened again.
    let mut acceptor = place.acceptor();
    let step = place.accept(&mut acceptor, &token).expect("accepted");
    assert!(matches!(step, AcceptStep::Done(..)));
    let (_, token) = place.initiator(InitiatorOptions::default());
    assert!(place.accept(&mut acceptor, &token).is_err());
}

#[test]
fn d4_an_offer_that_was_changed_on_its_way() {
    // What CVE-2016-2110 did to NTLM in Samba: somebody between them makes them agree on less.
    let mut place = Place::new();
    let (changed, sent) = ([Oid::NTLM, Oid::KERBEROS], [Oid::NTLM, NEGOEX, Oid::KERBEROS]);
    let (mut acceptor, mut context, answer) = place.signing(&changed);
    let mic = parts(&answer).mic.expect("its signature");
    assert!(context.verify_mic(&list(&sent), mic).is_err(), "the initiator sees it");
    let mic = context.mic(&list(&sent)).expect("a signature");
    let last = resp(Some(NegState::AcceptCompleted), None, None, Some(&mic));
    rejected(place.accept(&mut acceptor, &last));
}

#[test]
fn d4_signatures_of_an_offer_that_are_not_the_peers() {
    let mut place = Place::new();
    let mechanisms = [Oid::NTLM, Oid::KERBEROS];
    let (_, mut other, _) = place.signing(&mechanisms);
    let others = other.mic(&list(&mechanisms)).expect("a signature");
    let (mut acceptor, _, answer) = place.signing(&mechanisms);
    let own = parts(&answer).mic.expect("its signature").to_vec();
    rejected(place.accept(&mut acceptor, &resp(None, None, None, Some(&own))));
    for mic in [others.as_slice(), b"", &[4, 4, 0], &[0xff; 28]] {
        let (mut acceptor, ..) = place.signing(&mechanisms);
        rejected(place.accept(&mut acceptor, &resp(None, None, None, Some(mic))));
    }
    // Of the acceptor's signature every bit counts.
    let (mut initiator, honest) = place.honest();
    let answer = resp(Some(NegState::AcceptCompleted), None, parts(&honest).token, Some(&own));
    assert!(place.step(&mut initiator, Some(&answer)).is_err());
}

#[test]
fn d4_an_acceptance_without_a_proof() {
    let mut place = Place::new();
    for state in [None, Some(NegState::AcceptCompleted), Some(NegState::AcceptIncomplete)] {
        let (mut initiator, _) = place.honest();
        let answer = resp(state, Some(Oid::KERBEROS), None, None);
        assert_eq!(place.step(&mut initiator, Some(&answer)).expect_err("unproven"), Error::code(ErrorCode::MUT_FAIL));
        // Its own token, sent back.
        let (mut initiator, token) = place.initiator(InitiatorOptions::default());
        assert!(place.step(&mut initiator, Some(&token)).is_err());
        let (mut initiator, token) = place.initiator(kerberos(ContextFlags::DEFAULT));
        assert!(place.step(&mut initiator, Some(&resp(state, None, Some(&token), None))).is_err());
    }
}
