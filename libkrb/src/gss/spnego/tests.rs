use super::*;
use crate::error::ErrorCode;
use crate::gss::testing::{self, AES, Counter, NOW, principal};
use crate::gss::{
    AcceptStep, AcceptorContext, AcceptorOptions, Caller, Context, ContextFlags, InitiatorContext, InitiatorOptions,
    InitiatorStep, Mechanism, Refusal,
};
use crate::time::Instant;
use crate::wire::{List, NegHints, NegTokenInit, Raw};

const NEGOEX: Oid<'static> = Oid(&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 30]);
const WITHOUT_MUTUAL: ContextFlags = ContextFlags::INTEGRITY;

fn acceptor() -> AcceptorContext {
    AcceptorContext::new(testing::acceptor(AES), AcceptorOptions::default())
}

fn initiator(mechanism: Mechanism, flags: ContextFlags) -> InitiatorContext {
    testing::initiator(AES, InitiatorOptions { flags, mechanism, ..InitiatorOptions::default() })
}

fn initiate(context: &mut InitiatorContext, token: Option<&[u8]>) -> Result<InitiatorStep> {
    context.step(NOW, &mut Counter(40), token)
}

fn accept_at(context: &mut AcceptorContext, now: Instant, token: &[u8]) -> Result<AcceptStep, Refusal> {
    context.step(now, &mut Counter(90), token, None)
}

fn accept(context: &mut AcceptorContext, token: &[u8]) -> Result<AcceptStep, Refusal> {
    accept_at(context, NOW, token)
}

fn offered(step: InitiatorStep) -> Vec<u8> {
    match step {
        InitiatorStep::Continue(token) => token,
        InitiatorStep::Done(..) => panic!("done"),
    }
}

fn initiated(step: Result<InitiatorStep>) -> (Context, Option<Vec<u8>>) {
    match step.unwrap() {
        InitiatorStep::Done(context, token) => (*context, token),
        InitiatorStep::Continue(_) => panic!("not done"),
    }
}

fn asked(step: Result<AcceptStep, Refusal>) -> Vec<u8> {
    match step.unwrap() {
        AcceptStep::Continue(token) => token,
        AcceptStep::Done(..) => panic!("done"),
    }
}

fn accepted(step: Result<AcceptStep, Refusal>) -> (Context, Caller, Option<Vec<u8>>) {
    match step.unwrap() {
        AcceptStep::Done(context, caller, token) => (*context, *caller, token),
        AcceptStep::Continue(_) => panic!("not done"),
    }
}

fn refused(step: Result<AcceptStep, Refusal>) -> (Error, NegTokenRespOwned) {
    let refusal = step.expect_err("a refusal");
    (refusal.cause, owned(&refusal.token.expect("a token")))
}

/// An answer with its parts in hand.
#[derive(Debug)]
struct NegTokenRespOwned {
    state: Option<NegState>,
    mechanism: Option<Vec<u8>>,
    token: Option<Vec<u8>>,
    mic: Option<Vec<u8>>,
}

fn owned(token: &[u8]) -> NegTokenRespOwned {
    let Ok(NegotiationToken::Resp(resp)) = wire::decode(token) else { panic!("no answer") };
    let copy = |part: Option<&[u8]>| part.map(<[u8]>::to_vec);
    NegTokenRespOwned {
        state: resp.state,
        mechanism: copy(resp.mechanism.map(|oid| oid.0)),
        token: copy(resp.token),
        mic: copy(resp.mic),
    }
}

fn list(mechanisms: &[Oid<'_>]) -> Vec<u8> {
    wire::encode(&List::Items(mechanisms))
}

fn framed(inner: &[u8]) -> Vec<u8> {
    wire::encode(&InitialToken { mechanism: Oid::SPNEGO, inner })
}

/// An offer of whoever can write one.
fn offer(mechanisms: &[Oid<'_>], token: Option<&[u8]>, mic: Option<&[u8]>) -> Vec<u8> {
    let list = list(mechanisms);
    let init = NegTokenInit { mechanisms: Raw::parse(&list).unwrap(), token, hints: None, mic };
    framed(&wire::encode(&NegotiationToken::Init(init)))
}

fn resp(state: Option<NegState>, mechanism: Option<Oid<'_>>, token: Option<&[u8]>, mic: Option<&[u8]>) -> Vec<u8> {
    write(NegTokenResp { state, mechanism, token, mic })
}

/// Both ends hear each other, and neither has missed a message.
fn they_talk(initiator: &mut Context, acceptor: &mut Context) {
    let (mut here, mut there) = (Counter(1), Counter(2));
    let token = initiator.wrap(&mut here, true, b"to the acceptor").unwrap();
    assert_eq!(acceptor.unwrap(&token).unwrap().message.as_slice(), b"to the acceptor");
    let token = acceptor.wrap(&mut there, true, b"to the initiator").unwrap();
    assert_eq!(initiator.unwrap(&token).unwrap().message.as_slice(), b"to the initiator");
}

/// An offer of our own, with what the acceptor answers.
fn first_round(flags: ContextFlags) -> (InitiatorContext, Result<AcceptStep, Refusal>) {
    let mut initiator = initiator(Mechanism::Spnego, flags);
    let token = offered(initiate(&mut initiator, None).unwrap());
    let step = accept(&mut acceptor(), &token);
    (initiator, step)
}

#[test]
fn one_round_trip_opens_a_context() {
    let (mut initiator, step) = first_round(ContextFlags::DEFAULT);
    let (mut theirs, caller, token) = accepted(step);
    let token = token.unwrap();
    let answer = owned(&token);
    assert_eq!(answer.state, Some(NegState::AcceptCompleted));
    assert_eq!((answer.mechanism, answer.mic), (Some(Oid::KERBEROS.0.to_vec()), None));
    let (mut ours, last) = initiated(initiate(&mut initiator, Some(&token)));
    assert!(last.is_none());
    assert_eq!(caller.accepted.client, principal("alice"));
    they_talk(&mut ours, &mut theirs);
}

#[test]
fn without_mutual_authentication_the_answer_still_ends_the_negotiation() {
    let (mut initiator, step) = first_round(WITHOUT_MUTUAL);
    let (mut theirs, _, token) = accepted(step);
    let (mut ours, last) = initiated(initiate(&mut initiator, token.as_deref()));
    assert!(last.is_none());
    let mic = ours.mic(b"a message").unwrap();
    theirs.verify_mic(b"a message", &mic).unwrap();
}

#[test]
fn a_negotiated_context_can_always_sign() {
    let (_, step) = first_round(ContextFlags::MUTUAL);
    assert!(accepted(step).0.flags().has(ContextFlags::INTEGRITY | ContextFlags::MUTUAL));
}

#[test]
fn an_offer_without_its_frame_is_read_too() {
    let mut initiator = initiator(Mechanism::Spnego, ContextFlags::DEFAULT);
    let token = offered(initiate(&mut initiator, None).unwrap());
    let frame: InitialToken<'_> = wire::decode(&token).unwrap();
    accepted(accept(&mut acceptor(), frame.inner));
}

#[test]
fn the_spelling_of_windows_is_answered_in_kind() {
    for (mechanisms, answered) in [
        ([Oid::KERBEROS_MICROSOFT, Oid::KERBEROS, NEGOEX, Oid::NTLM], Oid::KERBEROS_MICROSOFT),
        ([Oid::KERBEROS, Oid::KERBEROS_MICROSOFT, Oid::NTLM, NEGOEX], Oid::KERBEROS),
    ] {
        let mut kerberos = initiator(Mechanism::Kerberos, ContextFlags::DEFAULT);
        let token = offered(initiate(&mut kerberos, None).unwrap());
        let (mut theirs, _, token) = accepted(accept(&mut acceptor(), &offer(&mechanisms, Some(&token), None)));
        let answer = owned(&token.unwrap());
        assert_eq!(answer.mechanism, Some(answered.0.to_vec()));
        let (mut ours, _) = initiated(initiate(&mut kerberos, answer.token.as_deref()));
        they_talk(&mut ours, &mut theirs);
    }
}

#[test]
fn an_offer_without_a_token_is_asked_for_one() {
    let mut acceptor = acceptor();
    let answer = owned(&asked(accept(&mut acceptor, &offer(&[Oid::KERBEROS, Oid::NTLM], None, None))));
    assert_eq!((answer.state, answer.token), (Some(NegState::AcceptIncomplete), None));
    assert_eq!(answer.mechanism, Some(Oid::KERBEROS.0.to_vec()));
    let mut kerberos = initiator(Mechanism::Kerberos, ContextFlags::DEFAULT);
    let token = offered(initiate(&mut kerberos, None).unwrap());
    let (.., token) = accepted(accept(&mut acceptor, &resp(None, None, Some(&token), None)));
    let answer = owned(&token.unwrap());
    // The name of the mechanism stands in the first answer only.
    assert_eq!((answer.state, answer.mechanism, answer.mic), (Some(NegState::AcceptCompleted), None, None));
    initiated(initiate(&mut kerberos, answer.token.as_deref()));
}

/// An initiator that would have liked another mechanism better, as far as its token of Kerberos.
struct Reluctant {
    list: Vec<u8>,
    kerberos: InitiatorContext,
    acceptor: AcceptorContext,
    token: Vec<u8>,
    context: Option<Context>,
}

fn reluctant(flags: ContextFlags, mechanisms: &[Oid<'_>]) -> Reluctant {
    let (mut acceptor, mut kerberos) = (acceptor(), initiator(Mechanism::Kerberos, flags));
    // What stands where the first mechanism's token would is not looked at.
    let answer = owned(&asked(accept(&mut acceptor, &offer(mechanisms, Some(b"NEGOEXTS\xff\xff\xff\xff"), None))));
    assert_eq!((answer.state, answer.token), (Some(NegState::RequestMic), None));
    assert_eq!((answer.mechanism, answer.mic), (Some(Oid::KERBEROS.0.to_vec()), None));
    let (token, context) = match initiate(&mut kerberos, None).unwrap() {
        InitiatorStep::Continue(token) => (token, None),
        InitiatorStep::Done(context, token) => (token.unwrap(), Some(*context)),
    };
    Reluctant { list: list(mechanisms), kerberos, acceptor, token, context }
}

#[test]
fn an_offer_that_prefers_another_mechanism_is_signed_by_both() {
    for mechanisms in [[Oid::NTLM, Oid::KERBEROS], [NEGOEX, Oid::KERBEROS]] {
        let Reluctant { list, mut kerberos, mut acceptor, token, .. } = reluctant(ContextFlags::DEFAULT, &mechanisms);
        let answer = owned(&asked(accept(&mut acceptor, &resp(None, None, Some(&token), None))));
        assert_eq!((answer.state, answer.mechanism), (Some(NegState::AcceptIncomplete), None));
        let (mut ours, _) = initiated(initiate(&mut kerberos, answer.token.as_deref()));
        ours.verify_mic(&list, &answer.mic.unwrap()).unwrap();
        let mic = ours.mic(&list).unwrap();
        let last = resp(Some(NegState::AcceptCompleted), None, None, Some(&mic));
        let (mut theirs, caller, token) = accepted(accept(&mut acceptor, &last));
        assert_eq!((caller.accepted.client, token), (principal("alice"), None));
        they_talk(&mut ours, &mut theirs);
    }
}

#[test]
fn an_initiator_that_waits_for_an_end_is_told_it() {
    let Reluctant { list, mut kerberos, mut acceptor, token, .. } =
        reluctant(ContextFlags::DEFAULT, &[Oid::NTLM, Oid::KERBEROS]);
    let answer = owned(&asked(accept(&mut acceptor, &resp(None, None, Some(&token), None))));
    let (mut ours, _) = initiated(initiate(&mut kerberos, answer.token.as_deref()));
    let mic = ours.mic(&list).unwrap();
    let (.., token) = accepted(accept(&mut acceptor, &resp(Some(NegState::AcceptIncomplete), None, None, Some(&mic))));
    assert_eq!(owned(&token.unwrap()).state, Some(NegState::AcceptCompleted));
}

#[test]
fn with_the_last_signature_comes_no_further_token() {
    let Reluctant { list, mut kerberos, mut acceptor, token, .. } =
        reluctant(ContextFlags::DEFAULT, &[Oid::NTLM, Oid::KERBEROS]);
    let answer = owned(&asked(accept(&mut acceptor, &resp(None, None, Some(&token), None))));
    let (mut ours, _) = initiated(initiate(&mut kerberos, answer.token.as_deref()));
    let mic = ours.mic(&list).unwrap();
    let (cause, _) = refused(accept(&mut acceptor, &resp(None, None, Some(b"another"), Some(&mic))));
    assert!(matches!(cause, Error::Malformed(_)));
}

#[test]
fn an_offer_of_another_favourite_is_not_taken_unsigned_or_signed_wrongly() {
    let mechanisms = [Oid::NTLM, Oid::KERBEROS];
    let wrong = list(&[Oid::KERBEROS]);
    for (sign, reply) in [(None, NegState::Reject), (Some(&wrong), NegState::Reject)] {
        let Reluctant { mut kerberos, mut acceptor, token, .. } = reluctant(ContextFlags::DEFAULT, &mechanisms);
        let answer = owned(&asked(accept(&mut acceptor, &resp(None, None, Some(&token), None))));
        let (mut ours, _) = initiated(initiate(&mut kerberos, answer.token.as_deref()));
        let mic = sign.map(|list| ours.mic(list).unwrap());
        let last = resp(Some(NegState::AcceptCompleted), None, None, mic.as_deref());
        let (_, answer) = refused(accept(&mut acceptor, &last));
        assert_eq!((answer.state, answer.token), (Some(reply), None));
        // It was the last chance.
        let mic = ours.mic(&list(&mechanisms)).unwrap();
        let again = accept(&mut acceptor, &resp(Some(NegState::AcceptCompleted), None, None, Some(&mic)));
        assert!(again.is_err());
    }
}

#[test]
fn where_the_initiator_has_the_last_token_it_signs_first() {
    let mechanisms = [NEGOEX, Oid::NTLM, Oid::KERBEROS];
    let start = || {
        let Reluctant { list, acceptor, token, context, .. } = reluctant(WITHOUT_MUTUAL, &mechanisms);
        (list, acceptor, token, context.unwrap())
    };
    let (list, mut acceptor, token, mut ours) = start();
    let mic = ours.mic(&list).unwrap();
    let (_, _, last) = accepted(accept(&mut acceptor, &resp(None, None, Some(&token), Some(&mic))));
    let answer = owned(&last.unwrap());
    assert_eq!((answer.state, answer.token), (Some(NegState::AcceptCompleted), None));
    ours.verify_mic(&list, &answer.mic.unwrap()).unwrap();

    let (_, mut acceptor, token, _) = start();
    refused(accept(&mut acceptor, &resp(None, None, Some(&token), None)));
    let (_, mut acceptor, token, mut ours) = start();
    let mic = ours.mic(b"another list").unwrap();
    refused(accept(&mut acceptor, &resp(None, None, Some(&token), Some(&mic))));
}

#[test]
fn a_signature_nobody_asked_for_is_checked_and_answered() {
    let mechanisms = [Oid::KERBEROS, Oid::NTLM];
    for (good, signed) in [(true, list(&mechanisms)), (false, list(&[Oid::KERBEROS]))] {
        let mut kerberos = initiator(Mechanism::Kerberos, WITHOUT_MUTUAL);
        let (mut ours, token) = initiated(initiate(&mut kerberos, None));
        let mic = ours.mic(&signed).unwrap();
        let step = accept(&mut acceptor(), &offer(&mechanisms, token.as_deref(), Some(&mic)));
        if good {
            let answer = owned(&accepted(step).2.unwrap());
            ours.verify_mic(&signed, &answer.mic.unwrap()).unwrap();
        } else {
            assert_eq!(refused(step).1.state, Some(NegState::Reject));
        }
    }
}

#[test]
fn a_context_that_cannot_sign_is_not_asked_to() {
    let Reluctant { mut kerberos, mut acceptor, token, .. } =
        reluctant(ContextFlags::MUTUAL, &[Oid::NTLM, Oid::KERBEROS]);
    let (.., token) = accepted(accept(&mut acceptor, &resp(None, None, Some(&token), None)));
    let answer = owned(&token.unwrap());
    assert_eq!((answer.state, answer.mic), (Some(NegState::AcceptCompleted), None));
    initiated(initiate(&mut kerberos, answer.token.as_deref()));
}

/// An acceptor that signs what it saw, which is not what we said.
fn signing_acceptor(state: NegState, signed: Option<&[u8]>) -> (Result<InitiatorStep>, Context) {
    let mut initiator = initiator(Mechanism::Spnego, ContextFlags::DEFAULT);
    let token = offered(initiate(&mut initiator, None).unwrap());
    let (mut theirs, _, token) = accepted(accept(&mut acceptor(), &token));
    let answer = owned(&token.unwrap());
    let mic = signed.map(|list| theirs.mic(list).unwrap());
    let token = resp(Some(state), Some(Oid::KERBEROS), answer.token.as_deref(), mic.as_deref());
    (initiate(&mut initiator, Some(&token)), theirs)
}

#[test]
fn a_changed_offer_is_found_by_the_signature_over_it() {
    let changed = list(&[Oid::NTLM, Oid::KERBEROS]);
    for state in [NegState::AcceptIncomplete, NegState::RequestMic, NegState::AcceptCompleted] {
        assert!(signing_acceptor(state, Some(&changed)).0.is_err(), "{state:?}");
    }
}

#[test]
fn an_acceptor_that_signs_gets_our_signature_where_it_waits_for_it() {
    let list = list(&[Oid::KERBEROS]);
    for state in [NegState::AcceptIncomplete, NegState::RequestMic] {
        let (step, mut theirs) = signing_acceptor(state, Some(&list));
        let (mut ours, last) = initiated(step);
        let answer = owned(&last.unwrap());
        assert_eq!((answer.state, answer.mechanism), (Some(NegState::AcceptCompleted), None));
        theirs.verify_mic(&list, &answer.mic.unwrap()).unwrap();
        they_talk(&mut ours, &mut theirs);
    }
    let (step, mut theirs) = signing_acceptor(NegState::AcceptCompleted, Some(&list));
    let (mut ours, last) = initiated(step);
    assert!(last.is_none());
    they_talk(&mut ours, &mut theirs);
}

#[test]
fn an_acceptor_that_wants_a_signature_has_to_give_one() {
    let (step, _) = signing_acceptor(NegState::RequestMic, None);
    assert!(matches!(step, Err(Error::Negotiation(_))));
    let (step, _) = signing_acceptor(NegState::AcceptIncomplete, None);
    assert_eq!(owned(&initiated(step).1.unwrap()).mic, None);
}

/// What the initiator says of an answer.
fn answered(flags: ContextFlags, token: &[u8]) -> Error {
    let mut initiator = initiator(Mechanism::Spnego, flags);
    initiate(&mut initiator, None).unwrap();
    let error = initiate(&mut initiator, Some(token)).expect_err("no context");
    assert!(initiate(&mut initiator, Some(token)).is_err(), "it was the last answer");
    error
}

#[test]
fn a_state_of_completed_proves_nothing() {
    for token in [None, Some(b"".as_slice())] {
        let token = resp(Some(NegState::AcceptCompleted), Some(Oid::KERBEROS), token, None);
        assert_eq!(answered(ContextFlags::DEFAULT, &token), Error::code(ErrorCode::MUT_FAIL));
    }
    // The same in fewer words (CVE-2014-4344 was in the other direction).
    assert_eq!(answered(ContextFlags::DEFAULT, &resp(None, None, None, None)), Error::code(ErrorCode::MUT_FAIL));
}

#[test]
fn an_answer_that_chooses_what_was_not_offered_is_refused() {
    for mechanism in [Oid::NTLM, NEGOEX, Oid(&[1]), Oid::SPNEGO] {
        let token = resp(Some(NegState::AcceptCompleted), Some(mechanism), None, None);
        assert!(matches!(answered(WITHOUT_MUTUAL, &token), Error::Negotiation(_)));
    }
}

#[test]
fn a_second_token_of_a_mechanism_that_has_one_is_refused() {
    let token = resp(Some(NegState::AcceptCompleted), None, Some(b"another"), None);
    assert!(matches!(answered(WITHOUT_MUTUAL, &token), Error::Malformed(_)));
}

#[test]
fn the_words_of_kerberos_come_through_a_rejection() {
    let late = Instant { time: NOW.time + 1000, ..NOW };
    for flags in [ContextFlags::DEFAULT, WITHOUT_MUTUAL] {
        let mut initiator = initiator(Mechanism::Spnego, flags);
        let token = offered(initiate(&mut initiator, None).unwrap());
        let refusal = accept_at(&mut acceptor(), late, &token).expect_err("the clock is wrong");
        assert_eq!(refusal.cause.wire_code(), ErrorCode::SKEW);
        let token = refusal.token.unwrap();
        assert_eq!(owned(&token).state, Some(NegState::Reject));
        let error = initiate(&mut initiator, Some(&token)).expect_err("rejected");
        assert_eq!(error.wire_code(), ErrorCode::SKEW);
        assert!(initiator.clock_offset().is_some());
    }
}

#[test]
fn a_rejection_is_one_however_it_is_put() {
    let mute = resp(Some(NegState::Reject), None, None, None);
    assert_eq!(answered(ContextFlags::DEFAULT, &mute), Error::Negotiation("the service rejects Kerberos"));
    // With an answer of Kerberos that would do, and with one that is none.
    let mut initiator = initiator(Mechanism::Spnego, ContextFlags::DEFAULT);
    let token = offered(initiate(&mut initiator, None).unwrap());
    let answer = owned(&accepted(accept(&mut acceptor(), &token)).2.unwrap());
    let token = resp(Some(NegState::Reject), None, answer.token.as_deref(), None);
    assert!(initiate(&mut initiator, Some(&token)).is_err());
    let junk = resp(Some(NegState::Reject), None, Some(b"junk"), None);
    assert_eq!(answered(ContextFlags::DEFAULT, &junk), Error::Negotiation("the service rejects Kerberos"));
}

#[test]
fn a_refusal_of_kerberos_without_negotiation_is_understood() {
    let late = Instant { time: NOW.time + 1000, ..NOW };
    let mut kerberos = initiator(Mechanism::Kerberos, ContextFlags::DEFAULT);
    let token = offered(initiate(&mut kerberos, None).unwrap());
    let refusal = accept_at(&mut acceptor(), late, &token).expect_err("the clock is wrong");
    let error = answered(ContextFlags::DEFAULT, &refusal.token.unwrap());
    assert_eq!(error.wire_code(), ErrorCode::SKEW);
    // An answer of Kerberos is no answer of the negotiation, though.
    let mut initiator = initiator(Mechanism::Spnego, ContextFlags::DEFAULT);
    let token = offered(initiate(&mut initiator, None).unwrap());
    let answer = owned(&accepted(accept(&mut acceptor(), &token)).2.unwrap());
    assert!(initiate(&mut initiator, answer.token.as_deref()).is_err());
}

#[test]
fn ntlm_is_refused_with_the_reason_why_it_came() {
    let raw = b"NTLMSSP\0\x01\0\0\0\x97\x82\x08\xe2";
    let alone = offer(&[Oid::NTLM], Some(raw), None);
    let windows = offer(&[NEGOEX, Oid::NTLM], Some(b"NEGOEXTS"), None);
    for token in [raw.as_slice(), &alone, &windows] {
        let mut acceptor = acceptor();
        let (cause, answer) = refused(accept(&mut acceptor, token));
        assert!(cause.to_string().starts_with("the client offers NTLM, which is not Kerberos"), "{cause}");
        assert_eq!((answer.state, answer.mechanism, answer.token), (Some(NegState::Reject), None, None));
        refused_again(&mut acceptor);
    }
}

fn refused_again(acceptor: &mut AcceptorContext) {
    let mut initiator = initiator(Mechanism::Spnego, ContextFlags::DEFAULT);
    let token = offered(initiate(&mut initiator, None).unwrap());
    accept(acceptor, &token).expect_err("a context that was refused stays so");
}

#[test]
fn an_offer_without_kerberos_is_rejected() {
    for mechanisms in [&[][..], &[NEGOEX], &[Oid::SPNEGO], &[Oid(&[1, 2, 3])]] {
        let (cause, answer) = refused(accept(&mut acceptor(), &offer(mechanisms, Some(b"token"), None)));
        assert_eq!(cause, Error::Negotiation("the client does not offer Kerberos"));
        assert_eq!((answer.state, answer.token), (Some(NegState::Reject), None));
    }
}

#[test]
fn tokens_at_the_wrong_time_are_rejected() {
    // An answer before there was an offer, and a second offer.
    refused(accept(&mut acceptor(), &resp(Some(NegState::AcceptCompleted), None, Some(b"token"), None)));
    let mut acceptor = acceptor();
    asked(accept(&mut acceptor, &offer(&[Oid::KERBEROS], None, None)));
    let (_, answer) = refused(accept(&mut acceptor, &offer(&[Oid::KERBEROS], None, None)));
    assert_eq!(answer.state, Some(NegState::Reject));
}

#[test]
fn an_initiator_that_ends_it_is_believed() {
    let mut acceptor = acceptor();
    asked(accept(&mut acceptor, &offer(&[Oid::NTLM, Oid::KERBEROS], None, None)));
    let (cause, _) = refused(accept(&mut acceptor, &resp(Some(NegState::Reject), None, None, None)));
    assert_eq!(cause, Error::Negotiation("the client rejects our answer"));
}

#[test]
fn a_service_that_speaks_first_is_heard() {
    let mechanisms = list(&[NEGOEX, Oid::KERBEROS_MICROSOFT, Oid::NTLM]);
    let hints = Some(NegHints { name: Some("not_defined_in_RFC4178@please_ignore"), address: None });
    let init = NegTokenInit { mechanisms: Raw::parse(&mechanisms).unwrap(), token: None, hints, mic: None };
    let token = framed(&wire::encode(&NegotiationToken::Init(init)));
    let mut heard = initiator(Mechanism::Spnego, ContextFlags::DEFAULT);
    let token = offered(initiate(&mut heard, Some(&token)).unwrap());
    accepted(accept(&mut acceptor(), &token));
    let mut heard = initiator(Mechanism::Spnego, ContextFlags::DEFAULT);
    let error = initiate(&mut heard, Some(&offer(&[Oid::NTLM], None, None))).expect_err("NTLM alone");
    assert_eq!(error, Error::Negotiation("the service does not offer Kerberos"));
}

#[test]
fn every_token_that_is_cut_or_bent_is_refused_or_read_without_a_panic() {
    let mut initiator = initiator(Mechanism::Spnego, ContextFlags::DEFAULT);
    let token = offered(initiate(&mut initiator, None).unwrap());
    for end in 0..token.len() {
        assert!(accept(&mut acceptor(), &token[..end]).is_err(), "{end}");
    }
    for at in 0..token.len() {
        let mut bent = token.clone();
        bent[at] ^= 0x81;
        let _ = accept(&mut acceptor(), &bent);
    }
}
