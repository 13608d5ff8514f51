use super::*;
use crate::client::{AsRequest, Secret};
use crate::gss::spnego;
use crate::gss::testing::{AES, Counter, NOW, acceptor, key, principal};
use crate::gss::{AcceptorOptions, InitiatorContext, InitiatorOptions, InitiatorStep, Mechanism};
use crate::wire::{List, NegState, NegTokenInit, NegTokenResp, NegotiationToken, Raw};

const REALM: &str = "EXAMPLE.ORG";

fn service() -> IakerbAcceptor {
    IakerbAcceptor::new(acceptor(AES), AcceptorOptions::default(), &[REALM, "OTHER.ORG"])
}

fn step(service: &mut IakerbAcceptor, token: &[u8]) -> Result<IakerbStep> {
    service.step(NOW, &mut Counter(0), token, None).map_err(|refusal| {
        assert_eq!(refusal.token, None, "nothing is told to whoever it is");
        refusal.cause
    })
}

fn client() -> InitiatorContext {
    speaking(Mechanism::Kerberos)
}

fn speaking(mechanism: Mechanism) -> InitiatorContext {
    let request = AsRequest::new(principal("alice"));
    let login = Login::new(request, Secret::password("secret"), principal("host/a"));
    InitiatorContext::through_service(login, InitiatorOptions { mechanism, ..InitiatorOptions::default() }).unwrap()
}

fn offer(mechanisms: &[Oid<'static>], token: Option<&[u8]>) -> Vec<u8> {
    let list = wire::encode(&List::Items(mechanisms));
    let mechanisms = Raw::parse(&list).unwrap();
    let init = NegotiationToken::Init(NegTokenInit { mechanisms, token, hints: None, mic: None });
    wire::encode(&InitialToken { mechanism: Oid::SPNEGO, inner: &wire::encode(&init) })
}

#[test]
fn within_a_negotiation_each_token_stands_in_one_of_its_own() {
    let (mut client, mut service) = (speaking(Mechanism::Spnego), service());
    let token = first_token(&mut client);
    let NegotiationToken::Init(init) = spnego::read(&token).unwrap() else { panic!("an offer") };
    assert_eq!(init.mechanisms.iter().collect::<Vec<_>>(), [Oid::IAKERB]);
    assert!(matches!(read(init.token.unwrap()).unwrap(), Read::Proxy { realm: IakerbRealm::Octets(REALM), .. }));
    assert!(matches!(step(&mut service, &token).unwrap(), IakerbStep::Ask { realm, .. } if realm == REALM));
    let answer = service.answered(NOW, &IakerbAnswer::NoKdc).unwrap();
    let NegotiationToken::Resp(resp) = spnego::read(&answer).unwrap() else { panic!("an answer") };
    assert_eq!((resp.state, resp.mechanism), (Some(NegState::AcceptIncomplete), Some(Oid::IAKERB)));
    let refused = client.step(NOW, &mut Counter(0), Some(&answer)).unwrap_err();
    assert_eq!(refused.wire_code(), ErrorCode::IAKERB_KDC_NOT_FOUND, "as without a negotiation");
    // The choice is told once.
    let more = NegTokenResp { token: Some(init.token.unwrap()), ..spnego::answer(NegState::AcceptIncomplete) };
    step(&mut service, &spnego::write(more)).unwrap();
    let answer = service.answered(NOW, &IakerbAnswer::Silence).unwrap();
    assert!(matches!(spnego::read(&answer).unwrap(), NegotiationToken::Resp(resp) if resp.mechanism.is_none()));
}

#[test]
fn a_negotiation_that_is_out_of_order_is_refused() {
    let whole = proxy_token(true, IakerbRealm::Text(REALM), b"\x6a\x03abc");
    let begun = || {
        let mut service = service();
        step(&mut service, &offer(&[Oid::IAKERB, Oid::KERBEROS], Some(&whole))).unwrap();
        service.answered(NOW, &IakerbAnswer::Silence).unwrap();
        service
    };
    let resp = |state, token| spnego::write(NegTokenResp { token, ..spnego::answer(state) });
    let nested = offer(&[Oid::KERBEROS], Some(b"abc"));
    for token in [
        &whole[..],
        &offer(&[Oid::IAKERB], Some(&whole)),
        &resp(NegState::Reject, Some(&whole)),
        &resp(NegState::AcceptIncomplete, None),
        &resp(NegState::AcceptIncomplete, Some(b"")),
        &resp(NegState::AcceptIncomplete, Some(&nested)),
    ] {
        assert!(step(&mut begun(), token).is_err());
    }
    assert!(step(&mut service(), &offer(&[Oid::IAKERB], Some(&nested))).is_err());
    // The service says that it is done, and the client has no ticket yet.
    for state in [NegState::AcceptCompleted, NegState::Reject] {
        let mut client = speaking(Mechanism::Spnego);
        first_token(&mut client);
        assert!(client.step(NOW, &mut Counter(0), Some(&resp(state, None))).is_err());
    }
    let mut client = speaking(Mechanism::Spnego);
    first_token(&mut client);
    let kerberos = NegTokenResp { mechanism: Some(Oid::KERBEROS), ..spnego::answer(NegState::AcceptIncomplete) };
    assert!(client.step(NOW, &mut Counter(0), Some(&spnego::write(kerberos))).is_err(), "it was not offered");
}

fn first_token(client: &mut InitiatorContext) -> Vec<u8> {
    match client.step(NOW, &mut Counter(0), None).unwrap() {
        InitiatorStep::Continue(token) => token,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_token_stands_in_a_frame_and_later_ones_do_not() {
    let token = first_token(&mut client());
    assert_eq!(token[0], 0x60);
    let Read::Proxy { realm, message } = read(&token).unwrap() else { panic!("a message for a KDC") };
    assert_eq!((realm, wire::application_tag(message)), (IakerbRealm::Octets(REALM), Some(10)));
    let later = proxy_token(false, IakerbRealm::Text(REALM), b"\x6a\x00");
    assert_eq!(later[..2], PROXY);
    assert!(matches!(read(&later).unwrap(), Read::Proxy { realm: IakerbRealm::Text(REALM), message: b"\x6a\x00" }));
}

#[test]
fn a_strangers_word_chooses_no_host_and_sends_nothing_but_requests_for_tickets() {
    for realm in ["", "127.0.0.1:88", "example.org", "EVIL.ORG", "EXAMPLE.ORG."] {
        let refused = step(&mut service(), &proxy_token(true, IakerbRealm::Octets(realm), b"\x6a\x03abc")).unwrap_err();
        assert_eq!(refused.wire_code(), ErrorCode::WRONG_REALM, "{realm}");
    }
    for message in [&b""[..], b"GET / HTTP/1.0\r\n\r\n", b"\x6e\x00", b"\x7e\x00", b"\x02\x10"] {
        let refused = step(&mut service(), &proxy_token(true, IakerbRealm::Text(REALM), message)).unwrap_err();
        assert_eq!(refused.wire_code(), ErrorCode::MSG_TYPE, "{message:?}");
    }
    for realm in [REALM, "OTHER.ORG"] {
        let asked = step(&mut service(), &proxy_token(true, IakerbRealm::Octets(realm), b"\x6c\x03abc")).unwrap();
        assert!(matches!(asked, IakerbStep::Ask { realm: to, message } if to == realm && message == b"\x6c\x03abc"));
    }
}

#[test]
fn a_conversation_comes_to_an_end() {
    let mut service = service();
    let token = proxy_token(false, IakerbRealm::Text(REALM), b"\x6a\x03abc");
    let answer = IakerbAnswer::Reply(b"\x7e\x00".to_vec());
    for _ in 0..MAX_HOPS {
        step(&mut service, &token).unwrap();
        service.answered(NOW, &answer).unwrap();
    }
    assert!(step(&mut service, &token).is_err());
    let mut service = self::service();
    step(&mut service, &token).unwrap();
    assert!(step(&mut service, &token).is_err(), "one after the other");
    assert!(service.answered(NOW, &IakerbAnswer::Reply(vec![0; MAX_CONVERSATION])).is_err());
    assert!(service.answered(NOW, &answer).is_err(), "nobody asked");
}

#[test]
fn a_kdc_that_is_not_found_or_silent_is_told_to_the_client_as_such() {
    for (answer, code) in [
        (IakerbAnswer::NoKdc, ErrorCode::IAKERB_KDC_NOT_FOUND),
        (IakerbAnswer::Silence, ErrorCode::IAKERB_KDC_NO_RESPONSE),
    ] {
        let (mut client, mut service) = (client(), service());
        step(&mut service, &first_token(&mut client)).unwrap();
        let token = service.answered(NOW, &answer).unwrap();
        let refused = client.step(NOW, &mut Counter(0), Some(&token)).unwrap_err();
        assert_eq!(refused.wire_code(), code);
    }
}

#[test]
fn tokens_that_are_none_are_refused_at_either_end() {
    let whole = proxy_token(true, IakerbRealm::Text(REALM), b"\x6a\x03abc");
    // What is cut within the header is no token; what is cut behind it has another message.
    for end in 0..whole.len() - 4 {
        assert!(step(&mut service(), &whole[..end]).is_err(), "{end}");
    }
    for token in [&b""[..], b"\x05\x01", b"\x05\x02\x30\x00", b"\x04\x04abc", b"\x60\x00"] {
        assert!(step(&mut service(), token).is_err());
        let mut client = client();
        first_token(&mut client);
        assert!(client.step(NOW, &mut Counter(0), Some(token)).is_err());
    }
    let mut client = client();
    first_token(&mut client);
    let early = wire::encode(&InitialToken { mechanism: Oid::IAKERB, inner: b"\x02\x00\x6f\x00" });
    assert!(client.step(NOW, &mut Counter(0), Some(&early)).is_err(), "a proof before a ticket was shown");
}

#[test]
fn a_conversation_is_signed_under_the_clients_own_key() {
    let mut said = Conversation::default();
    said.add(b"one").unwrap();
    said.add(b"two").unwrap();
    let (own, other) = (key(AES, 1), key(AES, 2));
    let signed = sign(&said.bytes, &own);
    assert_eq!(said.verify(&own, &signed), Ok(()));
    assert!(said.verify(&other, &signed).is_err());
    said.add(b"three").unwrap();
    assert!(said.verify(&own, &signed).is_err());
}
