use super::super::testing::{
    AES, Counter, Draft, NOW, acceptor, acceptor_with, forwarded, initiator, join, kerberos, key, opened,
};
use super::super::{
    AcceptStep, AcceptorContext, AcceptorOptions, ChannelBindings, ContextFlags, InitiatorContext, InitiatorOptions,
    InitiatorStep, Refusal,
};
use super::checksum::Checksum;
use super::*;
use crate::codes::{AuthDataType, ChecksumType};
use crate::crypto;
use crate::flags::{ApOptions, TicketFlags};
use crate::service::Options;
use crate::service::testing::authz;
use crate::session::{Role, make_cred};
use crate::time::Instant;
use crate::wire::KrbError;

fn first(options: InitiatorOptions) -> (InitiatorContext, Vec<u8>) {
    let mut initiator = initiator(AES, options);
    match initiator.step(NOW, &mut Counter(0), None).unwrap() {
        InitiatorStep::Continue(token) | InitiatorStep::Done(_, Some(token)) => (initiator, token),
        InitiatorStep::Done(_, None) => panic!("a first token"),
    }
}

fn accept_with(options: &AcceptorOptions, token: &[u8]) -> Result<AcceptStep, Refusal> {
    AcceptorContext::new(acceptor(AES), options.clone()).step(NOW, &mut Counter(9), token, None)
}

fn accept(token: &[u8]) -> Result<AcceptStep, Refusal> {
    accept_with(&AcceptorOptions::default(), token)
}

/// An AP-REQ in the mechanism's frame, bent.
fn drafted(change: impl FnOnce(&mut Draft)) -> Vec<u8> {
    let checksum = Checksum { bindings: [0; 16], flags: ContextFlags::MUTUAL, delegation: None };
    let mut draft = Draft { checksum: Some(said(&checksum)), ..Draft::default() };
    change(&mut draft);
    frame(TokenId::ApReq, &draft.ap_req())
}

fn said(checksum: &Checksum<'_>) -> (ChecksumType, Vec<u8>) {
    (ChecksumType::GSSAPI, checksum.encode().unwrap())
}

/// The code in a refusal's token.
fn told(refusal: &Refusal) -> ErrorCode {
    let (id, error) = unframe(refusal.token.as_ref().expect("a token")).unwrap();
    assert_eq!(id, TokenId::Error);
    wire::decode::<KrbError<'_>>(error).unwrap().code
}

#[test]
fn an_initiator_and_an_acceptor_open_a_context() {
    let (initiator, acceptor, caller) = opened(AES, kerberos());
    assert_eq!(caller.accepted.client.to_string(), "alice@EXAMPLE.ORG");
    assert!(initiator.key().same_as(acceptor.key()));
    assert_eq!((initiator.flags(), acceptor.flags()), (ContextFlags::DEFAULT, ContextFlags::DEFAULT));
    assert_eq!((initiator.role(), acceptor.role()), (Role::Initiator, Role::Acceptor));
    assert!(caller.delegated.is_none() && !caller.bound);
}

#[test]
fn an_initiator_that_trusts_the_service_is_done_at_once() {
    let flags = ContextFlags::DEFAULT.with(ContextFlags::MUTUAL, false);
    let (mut initiator, mut acceptor, caller) = opened(AES, InitiatorOptions { flags, ..kerberos() });
    assert!(caller.accepted.acceptor_subkey.is_none() && caller.accepted.reply.is_none());
    let token = acceptor.mic(b"from the acceptor").unwrap();
    initiator.verify_mic(b"from the acceptor", &token).unwrap();
    let token = initiator.mic(b"from the initiator").unwrap();
    acceptor.verify_mic(b"from the initiator", &token).unwrap();
}

#[test]
fn without_a_subkey_of_the_acceptors_the_initiators_is_used() {
    let acceptor = acceptor_with(AES, Options { acceptor_subkey: false, ..Options::default() });
    let acceptor = AcceptorContext::new(acceptor, AcceptorOptions::default());
    let (mut initiator, mut acceptor, caller) = join(initiator(AES, kerberos()), acceptor);
    assert!(acceptor.key().same_as(caller.accepted.client_subkey.as_ref().unwrap()));
    let token = initiator.mic(b"a message").unwrap();
    assert_eq!(token[2], 0, "neither the acceptor's nor under its subkey");
    acceptor.verify_mic(b"a message", &token).unwrap();
}

#[test]
fn a_task_accepts_what_a_thread_does() {
    let (_, token) = first(kerberos());
    let mut context = AcceptorContext::new(acceptor(AES), AcceptorOptions::default());
    let mut random = Counter(0);
    let step = std::pin::pin!(context.step_async(NOW, &mut random, &token, None));
    let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(step) = step.poll(&mut task) else { panic!("nothing to wait for") };
    assert!(matches!(step.unwrap(), AcceptStep::Done(..)));
}

#[test]
fn bindings_decide_as_both_sides_have_them() {
    let channel = |name: &[u8]| Some(ChannelBindings { application: name.to_vec(), ..ChannelBindings::default() });
    let (none, ours, other) = (|| None, || channel(b"ours"), || channel(b"other"));
    // The initiator's, the acceptor's, whether it insists, and whether the caller is then bound.
    let table = [
        (none(), none(), false, Some(false)),
        (ours(), none(), false, Some(false)),
        (none(), ours(), false, Some(false)),
        (ours(), ours(), false, Some(true)),
        (ours(), ours(), true, Some(true)),
        (other(), ours(), false, None),
        (other(), ours(), true, None),
        (none(), ours(), true, None),
        (ours(), none(), true, None),
        (none(), none(), true, None),
    ];
    for (row, (initiators, bindings, require_bindings, bound)) in table.into_iter().enumerate() {
        let (_, token) = first(InitiatorOptions { bindings: initiators, ..kerberos() });
        match accept_with(&AcceptorOptions { bindings, require_bindings }, &token) {
            Ok(AcceptStep::Done(_, caller, _)) => assert_eq!(Some(caller.bound), bound, "row {row}"),
            Ok(AcceptStep::Continue(_)) => panic!("one token is enough"),
            Err(refusal) => {
                assert!(matches!(refusal.cause, Error::ChannelBindings(_)), "row {row}: {refusal}");
                assert_eq!((bound, told(&refusal)), (None, ErrorCode::GENERIC), "row {row}");
            }
        }
    }
}

#[test]
fn every_part_of_the_bindings_counts() {
    let whole = ChannelBindings { initiator: (2, vec![1]), acceptor: (2, vec![2]), application: vec![3] };
    let parts: [fn(&mut ChannelBindings); 6] = [
        |b| b.initiator.0 = 0,
        |b| b.initiator.1.clear(),
        |b| b.acceptor.0 = 0,
        |b| b.acceptor.1.push(2),
        |b| b.application.clear(),
        |b| std::mem::swap(&mut b.initiator, &mut b.acceptor),
    ];
    for (part, change) in parts.into_iter().enumerate() {
        let mut changed = whole.clone();
        change(&mut changed);
        assert_ne!(changed.hash(), whole.hash(), "part {part}");
    }
}

#[test]
fn who_says_that_it_binds_where_it_can_has_to_be_bound() {
    let options = |flags: u32| authz(&[(AuthDataType::AP_OPTIONS, flags.to_le_bytes().to_vec())]);
    let bindings = Some(ChannelBindings::tls_server_end_point(&[7; 32]));
    let acceptor = AcceptorOptions { bindings, require_bindings: false };
    for (flags, good) in [(0x4000, false), (0, true), (0x1, true)] {
        let token = drafted(|draft| draft.authz = vec![(AuthDataType::IF_RELEVANT, options(flags))]);
        assert_eq!(accept_with(&acceptor, &token).is_ok(), good, "{flags:#x}");
        assert!(accept(&token).is_ok(), "who has no channel asks for none");
    }
    let token = drafted(|draft| draft.ticket_authz = vec![(AuthDataType::IF_RELEVANT, options(0x4000))]);
    assert!(accept_with(&acceptor, &token).is_ok(), "in the ticket it is of another conversation");
}

#[test]
fn a_ticket_is_handed_over() {
    let options = InitiatorOptions { delegated: Some(forwarded()), ..kerberos() };
    let (initiator, acceptor, caller) = opened(AES, options);
    assert!(initiator.flags().has(ContextFlags::DELEGATE) && acceptor.flags().has(ContextFlags::DELEGATE));
    let [handed] = caller.delegated.unwrap().tickets.try_into().unwrap();
    assert_eq!(handed.server.to_string(), "krbtgt/EXAMPLE.ORG@EXAMPLE.ORG");
    assert!(handed.key.same_as(&forwarded().key) && handed.flags.has(TicketFlags::FORWARDED));
}

#[test]
fn a_ticket_that_was_not_given_is_not_claimed() {
    let options = InitiatorOptions { flags: ContextFlags::DEFAULT | ContextFlags::DELEGATE, ..kerberos() };
    let (initiator, acceptor, caller) = opened(AES, options);
    assert!(caller.delegated.is_none());
    assert!(!initiator.flags().any(ContextFlags::DELEGATE) && !acceptor.flags().any(ContextFlags::DELEGATE));
}

#[test]
fn a_ticket_handed_over_under_another_key_is_refused() {
    let cred = make_cred(&key(AES, 8), NOW, &mut Counter(0), &[forwarded()]).unwrap();
    let checksum = Checksum { bindings: [0; 16], flags: ContextFlags::MUTUAL, delegation: Some(&cred) };
    let refusal = accept(&drafted(|draft| draft.checksum = Some(said(&checksum)))).unwrap_err();
    assert_eq!(told(&refusal), ErrorCode::BAD_INTEGRITY);
}

#[test]
fn contexts_in_the_style_of_dce_are_refused_by_name() {
    let options = InitiatorOptions { flags: ContextFlags::DEFAULT | ContextFlags::DCE_STYLE, ..kerberos() };
    let refused = InitiatorContext::new(&super::super::testing::ticket(AES), options).unwrap_err();
    assert!(refused.to_string().contains("DCE"), "{refused}");
    let flags = ContextFlags::MUTUAL | ContextFlags::DCE_STYLE;
    let checksum = Checksum { bindings: [0; 16], flags, delegation: None };
    let refused = accept(&drafted(|draft| draft.checksum = Some(said(&checksum)))).unwrap_err();
    assert!(refused.to_string().contains("DCE"), "{refused}");
}

#[test]
fn a_bare_ap_req_is_accepted_and_answered_bare() {
    let framed = drafted(|_| ());
    let (_, bare) = unframe(&framed).unwrap();
    let Ok(AcceptStep::Done(_, _, Some(reply))) = accept(bare) else { panic!("accepted") };
    assert_eq!(wire::application_tag(&reply), Some(15));
    let refusal = accept(&bare[..bare.len() - 1]).unwrap_err();
    assert_eq!(wire::application_tag(&refusal.token.unwrap()), Some(30));
}

#[test]
fn the_identifier_that_windows_writes_is_read() {
    let token = drafted(|_| ());
    let token: InitialToken<'_> = wire::decode(&token).unwrap();
    let token = wire::encode(&InitialToken { mechanism: Oid::KERBEROS_MICROSOFT, ..token });
    assert!(matches!(accept(&token), Ok(AcceptStep::Done(..))));
    let (_, bare) = token.split_at(17);
    let other = wire::encode(&InitialToken { mechanism: Oid(&[0x2a, 3]), inner: bare });
    assert!(accept(&other).is_err());
}

#[test]
fn an_authenticator_without_the_checksum_of_rfc_4121_is_refused() {
    for checksum in [None, Some((ChecksumType::HMAC_SHA1_96_AES256, vec![0; 12]))] {
        let refusal = accept(&drafted(|draft| draft.checksum = checksum)).unwrap_err();
        assert_eq!(told(&refusal), ErrorCode::INAPP_CKSUM);
    }
}

#[test]
fn whether_both_sides_prove_themselves_stands_in_the_authenticator() {
    let refusal = accept(&drafted(|draft| draft.options = ApOptions::NONE)).unwrap_err();
    assert_eq!(told(&refusal), ErrorCode::MODIFIED);
    let alone = Checksum { bindings: [0; 16], flags: ContextFlags::NONE, delegation: None };
    let step = accept(&drafted(|draft| draft.checksum = Some(said(&alone)))).unwrap();
    let AcceptStep::Done(context, caller, None) = step else { panic!("{step:?}") };
    assert!(context.key().same_as(&key(AES, 4)), "the initiator's subkey");
    assert!(caller.accepted.acceptor_subkey.is_none());
}

#[test]
fn a_token_that_asks_for_something_else_is_of_the_wrong_type() {
    let ap_req = Draft::default().ap_req();
    for id in [TokenId::ApRep, TokenId::Error] {
        assert_eq!(told(&accept(&frame(id, &ap_req)).unwrap_err()), ErrorCode::MSG_TYPE);
    }
    let unknown = wire::encode(&InitialToken { mechanism: Oid::KERBEROS, inner: &[5, 0, 1] });
    assert_eq!(told(&accept(&unknown).unwrap_err()), ErrorCode::MSG_TYPE);
    assert_eq!(told(&accept(&frame(TokenId::ApReq, b"")).unwrap_err()), ErrorCode::MSG_TYPE);
}

#[test]
fn a_refusal_tells_the_initiator_the_code_alone() {
    let acceptor = acceptor(AES);
    let (mut initiator, token) = first(kerberos());
    let accept = |token: &[u8]| {
        AcceptorContext::new(acceptor.clone(), AcceptorOptions::default()).step(NOW, &mut Counter(0), token, None)
    };
    accept(&token).unwrap();
    let refusal = accept(&token).unwrap_err();
    assert_eq!((refusal.cause.wire_code(), told(&refusal)), (ErrorCode::REPEAT, ErrorCode::REPEAT));
    let heard = initiator.step(NOW, &mut Counter(0), refusal.token.as_deref()).unwrap_err();
    assert_eq!(heard.to_string(), "Request is a replay");
    assert!(initiator.clock_offset().is_none());
}

#[test]
fn an_initiator_whose_clock_is_wrong_hears_by_how_much_and_can_try_again() {
    for (seconds, words) in [(1000, "1000 seconds ahead of ours"), (-1000, "1000 seconds behind ours")] {
        let (mut initiator, token) = first(kerberos());
        let theirs = Instant { time: NOW.time + seconds, ..NOW };
        let acceptor = acceptor(AES);
        let accept = |token: &[u8]| {
            AcceptorContext::new(acceptor.clone(), AcceptorOptions::default()).step(
                theirs,
                &mut Counter(0),
                token,
                None,
            )
        };
        let refusal = accept(&token).unwrap_err();
        let heard = initiator.step(NOW, &mut Counter(0), refusal.token.as_deref()).unwrap_err();
        assert_eq!(heard.wire_code(), ErrorCode::SKEW);
        assert!(heard.to_string().ends_with(words), "{heard}");
        let now = initiator.clock_offset().expect("its clock").apply(NOW);
        let mut again = super::super::testing::initiator(AES, kerberos());
        let Ok(InitiatorStep::Continue(token)) = again.step(now, &mut Counter(0), None) else { panic!("a token") };
        let Ok(AcceptStep::Done(_, _, reply)) = accept(&token) else { panic!("accepted") };
        assert!(matches!(again.step(now, &mut Counter(0), reply.as_deref()), Ok(InitiatorStep::Done(..))));
    }
}

#[test]
fn an_answer_to_another_question_proves_nothing() {
    let (mut mine, _) = first(kerberos());
    let mut other = initiator(AES, kerberos());
    let later = Instant { micros: NOW.micros + 1, ..NOW };
    let Ok(InitiatorStep::Continue(token)) = other.step(later, &mut Counter(0), None) else { panic!("a token") };
    let Ok(AcceptStep::Done(_, _, reply)) = accept(&token) else { panic!("accepted") };
    let refused = mine.step(NOW, &mut Counter(0), reply.as_deref()).unwrap_err();
    assert_eq!(refused.wire_code(), ErrorCode::MUT_FAIL);
}

#[test]
fn a_step_too_many_or_too_few_is_refused() {
    let (mut initiator, token) = first(kerberos());
    let mut acceptor = AcceptorContext::new(acceptor(AES), AcceptorOptions::default());
    let Ok(AcceptStep::Done(_, _, reply)) = acceptor.step(NOW, &mut Counter(0), &token, None) else { panic!("done") };
    let mut other = super::super::testing::initiator(AES, kerberos());
    let later = Instant { micros: NOW.micros + 1, ..NOW };
    let Ok(InitiatorStep::Continue(fresh)) = other.step(later, &mut Counter(0), None) else { panic!("a token") };
    assert!(acceptor.step(later, &mut Counter(0), &fresh, None).is_err(), "after the end");
    initiator.step(NOW, &mut Counter(0), reply.as_deref()).unwrap();
    assert!(initiator.step(NOW, &mut Counter(0), reply.as_deref()).is_err(), "after the end");
    let (mut initiator, _) = first(kerberos());
    assert!(initiator.step(NOW, &mut Counter(0), None).is_err(), "no answer");
    let mut early = super::super::testing::initiator(AES, kerberos());
    assert!(early.step(NOW, &mut Counter(0), reply.as_deref()).is_err(), "an answer to nothing");
}

#[test]
fn opening_tokens_that_are_cut_are_refused_at_every_length() {
    let (_, request) = first(kerberos());
    for length in 0..request.len() {
        assert!(accept(&request[..length]).is_err(), "{length}");
    }
    let Ok(AcceptStep::Done(_, _, Some(reply))) = accept(&request) else { panic!("accepted") };
    for length in 0..reply.len() {
        let (mut initiator, _) = first(kerberos());
        assert!(initiator.step(NOW, &mut Counter(0), Some(&reply[..length])).is_err(), "{length}");
    }
}

#[test]
fn a_changed_bit_of_an_opening_token_is_refused_or_changes_nothing() {
    let (_, request) = first(kerberos());
    let Ok(AcceptStep::Done(_, honest, Some(reply))) = accept(&request) else { panic!("accepted") };
    let bent = |token: &[u8], bit: usize| {
        let mut token = token.to_vec();
        token[bit / 8] ^= 1 << (bit % 8);
        token
    };
    for bit in 0..request.len() * 8 {
        if let Ok(AcceptStep::Done(_, caller, token)) = accept(&bent(&request, bit)) {
            assert_eq!(caller.accepted.client, honest.accepted.client, "{bit}");
            assert!(caller.accepted.session_key.same_as(&honest.accepted.session_key) && token.is_some(), "{bit}");
        }
    }
    for bit in 0..reply.len() * 8 {
        let (mut initiator, _) = first(kerberos());
        match initiator.step(NOW, &mut Counter(0), Some(&bent(&reply, bit))) {
            // The spelling of the mechanism's name that Windows uses is one bit away.
            Ok(_) => assert!((16..16 + 11 * 8 + 16).contains(&bit), "{bit}"),
            Err(refused) => assert!(!refused.to_string().is_empty()),
        }
    }
}

#[test]
fn contexts_open_under_every_enctype() {
    for etype in crypto::SUPPORTED {
        let (initiator, acceptor, caller) = opened(*etype, kerberos());
        assert_eq!(initiator.key().etype(), *etype);
        assert!(initiator.key().same_as(acceptor.key()));
        assert!(initiator.key().same_as(caller.accepted.acceptor_subkey.as_ref().unwrap()));
    }
}
