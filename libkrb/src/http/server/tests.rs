use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Request, StatusCode};
use tower_layer::Layer;

use super::testing::{Answer, Echo, begin, layer, request, send, token, with_token};
use super::*;
use crate::ErrorCode;
use crate::access::AccessPolicy;
use crate::codes::ChecksumType;
use crate::config::Config;
use crate::gss::testing::{Counter, NOW, kerberos, principal};
use crate::gss::{ChannelBindings, ContextFlags, InitiatorOptions, InitiatorStep};
use crate::http::Caller;
use crate::http::session::{Cookie, SessionKeys};
use crate::service::testing::Draft;
use crate::wire::{self, KrbError, List, NegTokenInit, NegTokenResp, NegotiationToken, Oid, Raw};

const ALICE: &str = "alice@EXAMPLE.ORG by Negotiate";
const ALICE_AGAIN: &str = "alice@EXAMPLE.ORG by Session";

fn ask(layer: &NegotiateLayer, request: Request<()>) -> Answer {
    send(layer.layer(Echo), request)
}

/// The code of the KRB-ERROR in an answer's token.
fn refusal(answer: &Answer) -> Option<ErrorCode> {
    let token = answer.token()?;
    // The frame of RFC 2743 3.1 and the token's number stand before it.
    let at = token.windows(2).position(|pair| pair == [3, 0]).map(|at| at + 2)?;
    Some(wire::decode::<KrbError<'_>>(&token[at..]).expect("a KRB-ERROR").code)
}

#[test]
fn a_request_without_credentials_is_challenged_in_words_that_a_person_understands() {
    let answer = ask(&layer(), request(&[]));
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.header("www-authenticate"), Some("Negotiate"));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let words =
        "This service wants a Kerberos ticket: get one with kinit, and call with a client that speaks Negotiate.";
    assert_eq!(answer.body, format!("{words}\n"));

    let answer = ask(&layer(), request(&[(ACCEPT.as_str(), "application/json")]));
    assert_eq!((answer.status, answer.header("www-authenticate")), (StatusCode::UNAUTHORIZED, Some("Negotiate")));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "type": "about:blank", "title": "Unauthorized", "status": 401, "detail": words
        })
    );
}

#[test]
fn every_refusal_of_grpc_is_a_status_in_headers_alone() {
    let grpc = |header: (&str, &str)| ask(&layer(), request(&[(CONTENT_TYPE.as_str(), "application/grpc"), header]));
    let answer = grpc(("x", "y"));
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, ""));
    assert_eq!(answer.header("grpc-status"), Some("16"));
    assert!(answer.header("grpc-message").unwrap().starts_with("This service wants a Kerberos ticket"));
    assert_eq!(answer.header("www-authenticate"), Some("Negotiate"));
    assert_eq!(answer.header("content-type"), Some("application/grpc"));
    assert_eq!(grpc(("authorization", "Negotiate !")).header("grpc-status"), Some("16"));
    let all = [
        Reason::NoCredentials,
        Reason::OtherScheme,
        Reason::SeveralHeaders,
        Reason::Malformed(""),
        Reason::TooLarge,
        Reason::Legs(""),
        Reason::Continue,
        Reason::Session(""),
        Reason::Denied(String::new()),
        Reason::Anonymous,
        Reason::NoLayer,
    ];
    let codes = [ErrorCode::SKEW, ErrorCode::REPEAT, ErrorCode::SVC_UNAVAILABLE, ErrorCode::GENERIC];
    for reason in all.into_iter().chain(codes.map(|code| Reason::Token(crate::Error::code(code)))) {
        let words = reason.row().words;
        let unquoted = |c: char| c.is_ascii() && !c.is_control() && !['%', '"', '\\'].contains(&c);
        assert!(words.chars().all(unquoted), "{words:?} would have to be quoted in JSON or in grpc-message");
    }
}

#[test]
fn a_token_is_accepted_and_the_service_proves_itself_in_the_answer() {
    let (mut alice, token) = begin(kerberos());
    let answer = ask(&layer(), with_token(&token));
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, ALICE));
    let proof = answer.token().expect("a token");
    let done = alice.step(NOW, &mut Counter(0), Some(&proof)).unwrap();
    assert!(matches!(done, InitiatorStep::Done(_, None)));
    assert!(answer.header("cache-control").is_none() && answer.header("saw-authorization").is_none());
}

#[test]
fn a_client_that_wants_no_proof_gets_none() {
    let flags = ContextFlags::DEFAULT.with(ContextFlags::MUTUAL, false);
    let answer = ask(&layer(), with_token(&begin(InitiatorOptions { flags, ..kerberos() }).1));
    assert_eq!((&*answer.body, answer.header("www-authenticate")), (ALICE, None));
}

/// D7: what was accepted once is refused from then on, whatever stands on it.
#[test]
fn d7_a_token_that_comes_again_is_refused() {
    let layer = layer();
    let token = token();
    assert_eq!(ask(&layer, with_token(&token)).body, ALICE);
    let answer = ask(&layer, with_token(&token));
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(refusal(&answer), Some(ErrorCode::REPEAT));
    assert!(answer.body.starts_with("This token was used before"), "{}", answer.body);
    // The name of the service stands clear on the ticket: host/a becomes host/b.
    let at = token.windows(5).position(|name| name == b"\x04host\x1b" || name == b"host\x1b").expect("the name");
    let mut retitled = token.clone();
    assert_eq!(retitled[at + 6], b'a');
    retitled[at + 6] = b'b';
    let answer = ask(&layer, with_token(&retitled));
    assert_eq!((answer.status, refusal(&answer)), (StatusCode::UNAUTHORIZED, Some(ErrorCode::REPEAT)));
}

/// D8: a comparison with its sense turned round accepts what is wrong, and refuses what is right.
#[test]
fn d8_a_token_with_any_changed_octet_is_refused_and_the_right_one_is_not() {
    let layer = layer();
    let token = token();
    let accepted = (0..token.len()).filter(|at| {
        let mut bent = token.clone();
        bent[*at] ^= 0x40;
        let answer = ask(&layer, with_token(&bent));
        assert!(answer.status == StatusCode::UNAUTHORIZED || answer.body == ALICE, "{at}");
        answer.status == StatusCode::OK
    });
    // What is accepted can only have been changed where nothing is proven, as in the clear name; from
    // then on the replay cache knows it.
    assert!(accepted.count() <= 1);
    assert_eq!(ask(&layer, with_token(&self::token())).body, ALICE);
}

/// D9: without a line of krb5.conf that names it no principal has a local account.
#[test]
fn d9_local_names_are_given_by_explicit_rules_only() {
    let local = |text: &str| {
        let names = Config::parse("krb5.conf", text).unwrap().local_names().unwrap();
        let layer = layer().local_names(names);
        send(layer.layer(Local), with_token(&token())).body
    };
    assert_eq!(local(""), "none");
    assert_eq!(local("[libdefaults]\ndefault_realm = EXAMPLE.ORG"), "none");
    let with = |rule: &str| {
        local(&format!("[libdefaults]\ndefault_realm = EXAMPLE.ORG\n[realms]\nEXAMPLE.ORG = {{\n{rule}\n}}"))
    };
    assert_eq!(with("auth_to_local = DEFAULT"), "alice");
    assert_eq!(with("auth_to_local = RULE:[1:u_$1]"), "u_alice");
    assert_eq!(with("auth_to_local = RULE:[2:$1]"), "none");
}

/// Answers with the caller's local name.
#[derive(Clone)]
struct Local;

impl tower_service::Service<Request<()>> for Local {
    type Response = http::Response<String>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let caller = request.extensions().get::<Caller>().expect("a caller");
        std::future::ready(Ok(http::Response::new(caller.local_name().unwrap_or("none").to_owned())))
    }
}

#[test]
fn a_token_out_of_its_time_says_to_look_at_the_clock() {
    let late = layer().clock(|| (NOW.time + 400).into());
    let answer = ask(&late, with_token(&token()));
    assert_eq!((answer.status, refusal(&answer)), (StatusCode::UNAUTHORIZED, Some(ErrorCode::SKEW)));
    assert!(answer.body.contains("clock"), "{}", answer.body);
}

#[test]
fn headers_that_cannot_be_read_are_bad_requests() {
    for value in ["Negotiate", "Negotiate !!!", "Negotiate\tYII=", "Negotiate YII=, Negotiate YII="] {
        let answer = ask(&layer(), request(&[("authorization", value)]));
        assert_eq!((answer.status, answer.header("www-authenticate")), (StatusCode::BAD_REQUEST, None), "{value}");
        assert!(answer.body.starts_with("The Authorization header cannot be read"), "{}", answer.body);
    }
    let answer = ask(&layer(), request(&[("authorization", "Negotiate YII="), ("authorization", "Basic eDp5")]));
    assert_eq!(
        (answer.status, &*answer.body),
        (StatusCode::BAD_REQUEST, "The request has more than one Authorization header; send one.\n")
    );
    let answer = ask(&layer().max_token(1000), with_token(&[0x60; 1001]));
    assert_eq!(
        (answer.status, &*answer.body),
        (StatusCode::BAD_REQUEST, "The Negotiate token is larger than this service takes.\n")
    );
    for junk in [&b"junk"[..], b"NTLMSSP\0\x01\0\0\0", &[0x60, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x60; 65536]] {
        assert_eq!(ask(&layer(), with_token(junk)).status, StatusCode::UNAUTHORIZED);
    }
}

#[test]
fn a_token_in_the_query_or_under_another_name_is_not_looked_at() {
    use base64::Engine;
    let token = base64::engine::general_purpose::STANDARD.encode(token());
    let mut in_query =
        request(&[("x-authorization", &format!("Negotiate {token}")), ("cookie", &format!("Negotiate={token}"))]);
    *in_query.uri_mut() = format!("/?authorization=Negotiate%20{}", token.replace('+', "%2B")).parse().unwrap();
    let answer = ask(&layer(), in_query);
    assert_eq!((answer.status, answer.header("www-authenticate")), (StatusCode::UNAUTHORIZED, Some("Negotiate")));
}

#[test]
fn what_is_not_required_may_be_left_out_but_not_be_wrong() {
    let optional = layer().mode(Mode::Optional);
    assert_eq!(ask(&optional, request(&[])).body, "nobody");
    assert_eq!(
        ask(&optional, request(&[("authorization", "Basic eDp5")])).header("saw-authorization"),
        Some("Basic eDp5")
    );
    assert_eq!(ask(&optional, with_token(&token())).body, ALICE);
    assert_eq!(ask(&optional, with_token(b"junk")).status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&optional, request(&[("authorization", "Negotiate !")])).status, StatusCode::BAD_REQUEST);
    let off = layer().mode(Mode::Off);
    assert_eq!(ask(&off, with_token(b"junk")).body, "nobody");
    assert_eq!(ask(&layer(), request(&[("authorization", "Basic eDp5")])).status, StatusCode::UNAUTHORIZED);
}

#[test]
fn a_layer_within_another_believes_it() {
    let (inner, outer) = (layer(), layer().mode(Mode::Optional));
    assert_eq!(send(outer.layer(inner.layer(Echo)), with_token(&token())).body, ALICE);
    assert_eq!(send(outer.layer(inner.layer(Echo)), request(&[])).status, StatusCode::UNAUTHORIZED);
}

#[test]
fn a_layer_that_requires_more_than_the_one_around_it_gets_it() {
    let outer = || layer().mode(Mode::Optional);
    let unbound = send(outer().layer(layer().require_bindings().layer(Echo)), with_token(&token()));
    assert_eq!(unbound.status, StatusCode::UNAUTHORIZED);
    let anonymous = Draft::with(|draft| {
        draft.checksum = Some((ChecksumType::GSSAPI, [&[16, 0, 0, 0][..], &[0; 20]].concat()));
        draft.client = principal("WELLKNOWN/ANONYMOUS");
        draft.claimed = draft.client.clone();
    });
    let answer = send(outer().allow_anonymous().layer(layer().layer(Echo)), with_token(&anonymous));
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[test]
fn a_session_is_good_only_where_its_beginning_would_have_been() {
    let sessions = cookies();
    let begun = ask(&sessions, with_token(&token()));
    let cookie = begun.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let with_cookie = || request(&[("cookie", &cookie)]);
    assert_eq!(ask(&sessions, with_cookie()).body, ALICE_AGAIN);
    let answer = ask(&sessions.clone().require_bindings(), with_cookie());
    assert_eq!((answer.status, answer.header("www-authenticate")), (StatusCode::UNAUTHORIZED, Some("Negotiate")));
    assert_eq!(ask(&sessions.require_bindings().mode(Mode::Optional), with_cookie()).body, "nobody");
}

/// Layers that share their sessions, each with a table of its own.
#[test]
fn nobody_carries_the_roles_of_one_layer_into_another() {
    let editor = |layer: NegotiateLayer| layer.layer(Require::caller().role("editor").clock(|| NOW).layer(Echo));
    let drafts = cookies().roles("drafts", |_| vec!["editor".to_owned()]);
    let (archive, bare) = (cookies().roles("archive", |_| vec![]), cookies());
    let begun = send(editor(drafts.clone()), with_token(&token()));
    let cookie = begun.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let with_cookie = || request(&[("cookie", &cookie)]);
    assert_eq!(send(editor(drafts), with_cookie()).body, ALICE_AGAIN);
    for other in [archive, bare] {
        assert_eq!(send(editor(other.clone()), with_cookie()).status, StatusCode::UNAUTHORIZED);
        assert_eq!(send(editor(other), with_token(&token())).status, StatusCode::FORBIDDEN);
    }
}

fn cookies() -> NegotiateLayer {
    let keys = SessionKeys::from_secrets([[1; 32]]).unwrap();
    layer().sessions(Sessions::cookie(keys, &principal("host/a"), Cookie::default()).unwrap())
}

#[test]
fn a_cookie_stands_for_the_caller_after_the_first_exchange() {
    let layer = cookies();
    let first = ask(&layer, with_token(&token()));
    assert_eq!((&*first.body, first.header("cache-control")), (ALICE, Some("no-store")));
    assert!(first.token().is_some());
    let cookie = first.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("__Host-krb_session=krb1."));
    for _ in 0..3 {
        let again = ask(&layer, request(&[("cookie", &format!("a=b; {cookie}"))]));
        assert_eq!((&*again.body, again.header("saw-cookie")), (ALICE_AGAIN, Some("a=b")));
        assert!(again.header("set-cookie").is_none() && again.header("www-authenticate").is_none());
    }
    let token = token();
    let mut both = with_token(&token);
    both.headers_mut().insert("cookie", cookie.parse().unwrap());
    assert_eq!(ask(&layer, both).body, ALICE, "a token goes before a session");
}

#[test]
fn no_cache_keeps_an_answer_that_brings_a_session() {
    let cached = |mut request: Request<()>| {
        *request.uri_mut() = "/cached".parse().unwrap();
        let answer = ask(&cookies(), request);
        let values: Vec<_> = answer.headers.get_all("cache-control").iter().cloned().collect();
        (values, answer.header("set-cookie").map(str::to_owned))
    };
    let (values, cookie) = cached(with_token(&token()));
    assert_eq!(values, ["no-store"]);
    let cookie = cookie.unwrap();
    assert_eq!(cached(request(&[("cookie", cookie.split(';').next().unwrap())])).0, ["public"]);
}

#[test]
fn a_stale_cookie_is_erased_and_answered_with_a_challenge() {
    let bent = [("cookie", "__Host-krb_session=krb1.AAAA")];
    let erased = Some("__Host-krb_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure");
    let answer = ask(&cookies(), request(&bent));
    assert_eq!((answer.status, answer.header("www-authenticate")), (StatusCode::UNAUTHORIZED, Some("Negotiate")));
    assert_eq!(answer.header("set-cookie"), erased);
    let answer = ask(&cookies().mode(Mode::Optional), request(&bent));
    assert_eq!((&*answer.body, answer.header("set-cookie")), ("nobody", erased));
    assert_eq!(answer.header("saw-cookie"), None);
}

#[test]
fn a_bearer_token_stands_for_the_caller_too() {
    let keys = SessionKeys::from_secrets([[1; 32]]).unwrap();
    let layer = layer().sessions(Sessions::bearer(keys, &principal("host/a")));
    let first = ask(&layer, with_token(&token()));
    let session = first.header("krb-session").unwrap();
    let (bearer, life) = session.split_once("; max-age=").unwrap();
    assert_eq!(life, "3600");
    let again = ask(&layer, request(&[("authorization", &format!("Bearer {bearer}"))]));
    assert_eq!((&*again.body, again.header("saw-authorization")), (ALICE_AGAIN, None));
    for mode in [Mode::Required, Mode::Optional] {
        let answer = ask(&layer.clone().mode(mode), request(&[("authorization", "Bearer krb1.AAAA")]));
        assert_eq!(
            (answer.status, &*answer.body),
            (StatusCode::UNAUTHORIZED, "The session is over: authenticate again with Negotiate.\n")
        );
        assert_eq!(answer.header("www-authenticate"), Some("Negotiate"));
    }
    let other = ask(&layer.clone().mode(Mode::Optional), request(&[("authorization", "Bearer eyJ")]));
    assert_eq!((&*other.body, other.header("saw-authorization")), ("nobody", Some("Bearer eyJ")));
    assert_eq!(ask(&layer, request(&[("authorization", "Bearer eyJ")])).status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        ask(&self::layer(), request(&[("authorization", &format!("Bearer {bearer}"))])).status,
        StatusCode::UNAUTHORIZED,
        "sessions are off"
    );
}

#[test]
fn a_caller_has_to_be_bound_to_the_channel_where_that_is_required() {
    let ours = ChannelBindings::tls_server_end_point(&[1; 32]);
    let with = |bindings: Option<ChannelBindings>| {
        let mut request = with_token(&begin(InitiatorOptions { bindings, ..kerberos() }).1);
        request.extensions_mut().insert(Connection::new().with_bindings(ours.clone()));
        request
    };
    let other = ChannelBindings::tls_server_end_point(&[2; 32]);
    let required = layer().require_bindings();
    assert_eq!(ask(&required, with(Some(ours.clone()))).body, ALICE);
    assert_eq!(ask(&required, with(None)).status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&required, with(Some(other.clone()))).status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&layer(), with(None)).body, ALICE);
    assert_eq!(ask(&layer(), with(Some(other))).status, StatusCode::UNAUTHORIZED);
}

#[test]
fn a_ticket_that_is_bound_to_addresses_is_good_from_there_only() {
    let ap_req = Draft::with(|draft| {
        draft.addresses = vec![crate::session::Address::ip([192, 0, 2, 1].into())];
        // No channel bindings, no flags (RFC 4121 4.1.1).
        let checksum = [&[16, 0, 0, 0][..], &[0; 20]].concat();
        draft.checksum = Some((ChecksumType::GSSAPI, checksum));
    });
    let from = |peer: Option<[u8; 4]>| {
        let mut request = with_token(&ap_req);
        let connection = peer.map(|peer| Connection::new().with_peer(peer.into()));
        connection.map(|connection| request.extensions_mut().insert(connection));
        ask(&layer(), request)
    };
    assert_eq!(from(Some([192, 0, 2, 1])).body, ALICE);
    assert_eq!(from(Some([192, 0, 2, 2])).status, StatusCode::UNAUTHORIZED);
    assert_eq!(from(None).body, ALICE, "an address that is not known decides nothing");
}

#[test]
fn the_anonymous_principal_is_nobody_unless_it_was_asked_for() {
    let bare = |micros: u32| {
        Draft::with(|draft| {
            draft.checksum = Some((ChecksumType::GSSAPI, [&[16, 0, 0, 0][..], &[0; 20]].concat()));
            draft.time.micros = micros;
            draft.client = principal("WELLKNOWN/ANONYMOUS");
            draft.claimed = draft.client.clone();
        })
    };
    let answer = ask(&layer(), with_token(&bare(1)));
    assert_eq!((answer.status, answer.header("www-authenticate")), (StatusCode::FORBIDDEN, None));
    let answer = ask(&layer().allow_anonymous(), with_token(&bare(2)));
    assert_eq!(answer.body, "WELLKNOWN/ANONYMOUS@EXAMPLE.ORG by Negotiate");
}

#[test]
fn requirements_let_only_those_through_who_meet_them() {
    let layer = layer().roles("realms", |accepted| vec![format!("of-{}", accepted.client.realm())]);
    let status = |require: Require| {
        let answer = send(layer.layer(require.clock(|| NOW).layer(Echo)), with_token(&token()));
        if answer.status != StatusCode::OK {
            assert_eq!(answer.body, "It is known who you are, but you may not do this.\n");
            assert_eq!(
                answer.header("www-authenticate").map(|value| value.starts_with("Negotiate ")),
                Some(true),
                "the proof"
            );
        }
        answer.status.as_u16()
    };
    let policy = |line: &str| Require::policy(AccessPolicy::new().with(line).unwrap());
    assert_eq!(status(Require::caller()), 200);
    assert_eq!(status(Require::caller().role("x")), 403);
    assert_eq!(status(Require::caller().role("x").role("of-EXAMPLE.ORG")), 200);
    assert_eq!(status(Require::caller().initial()), 403);
    assert_eq!(status(Require::caller().fresh_within(3600)), 200);
    assert_eq!(status(Require::caller().fresh_within(3599)), 403);
    assert_eq!(status(policy("allow principal:alice@EXAMPLE.ORG")), 200);
    assert_eq!(status(policy("allow role:of-EXAMPLE.ORG")), 200);
    assert_eq!(status(policy("allow role:of-EXAMPLE.ORG").role("x")), 403);
    assert_eq!(status(policy("deny realm:OTHER")), 403);
    assert_eq!(status(Require::policy(AccessPolicy::new())), 403);
}

#[test]
fn a_requirement_without_a_caller_challenges_and_without_a_layer_is_a_mistake() {
    let optional = layer().mode(Mode::Optional);
    let answer = send(optional.layer(Require::caller().layer(Echo)), request(&[]));
    assert_eq!((answer.status, answer.header("www-authenticate")), (StatusCode::UNAUTHORIZED, Some("Negotiate")));
    let answer = send(Require::caller().layer(Echo), request(&[]));
    assert_eq!((answer.status, answer.header("www-authenticate")), (StatusCode::INTERNAL_SERVER_ERROR, None));
    let grpc = send(Require::caller().layer(Echo), request(&[("content-type", "application/grpc")]));
    assert_eq!((grpc.status, grpc.header("grpc-status")), (StatusCode::OK, Some("13")));
}

#[test]
fn an_observer_hears_what_becomes_of_each_request() {
    let counters = Arc::new(Counters::default());
    let layer = cookies().observer(counters.clone());
    let token = token();
    let cookie = ask(&layer, with_token(&token)).header("set-cookie").unwrap().to_owned();
    ask(&layer, with_token(&token));
    ask(&layer, request(&[("cookie", cookie.split(';').next().unwrap())]));
    ask(&layer, request(&[]));
    ask(&layer, request(&[("authorization", "Negotiate !")]));
    ask(&layer.clone().mode(Mode::Optional), request(&[]));
    let require = Require::caller().role("x").observer(counters.clone());
    send(layer.layer(require.layer(Echo)), with_token(&self::token()));
    assert_eq!((counters.negotiated(), counters.sessions(), counters.anonymous()), (2, 1, 1));
    let refused: Vec<_> = counters.refused().into_iter().collect();
    assert_eq!(refused, [("KRB_AP_ERR_REPEAT", 1), ("denied", 1), ("malformed", 1), ("no-credentials", 1)]);
}

/// An offer of Kerberos without a token, which makes the negotiation one of several legs.
fn offer() -> Vec<u8> {
    let list = wire::encode(&List::Items(&[Oid::KERBEROS]));
    let mechanisms = Raw::parse(&list).unwrap();
    wire::encode(&NegotiationToken::Init(NegTokenInit { mechanisms, token: None, hints: None, mic: None }))
}

/// The token that goes on with it.
fn second_leg() -> Vec<u8> {
    let token = token();
    wire::encode(&NegotiationToken::Resp(NegTokenResp { state: None, mechanism: None, token: Some(&token), mic: None }))
}

fn over(connection: &Connection, token: &[u8]) -> Request<()> {
    let mut request = with_token(token);
    request.extensions_mut().insert(connection.clone());
    request
}

#[test]
fn a_negotiation_of_several_legs_goes_on_over_its_own_connection() {
    let layer = layer();
    let (ours, theirs) = (Connection::new(), Connection::new());
    let first = ask(&layer, over(&ours, &offer()));
    assert_eq!((first.status, &*first.body), (StatusCode::UNAUTHORIZED, "The negotiation goes on.\n"));
    assert!(first.token().is_some());
    let stolen = ask(&layer, over(&theirs, &second_leg()));
    assert_eq!((stolen.status, stolen.header("www-authenticate")), (StatusCode::UNAUTHORIZED, Some("Negotiate")));
    assert!(stolen.body.starts_with("The negotiation cannot go on over this connection"), "{}", stolen.body);
    let done = ask(&layer, over(&ours, &second_leg()));
    assert_eq!((done.status, &*done.body), (StatusCode::OK, ALICE));
    assert_eq!(ask(&layer, over(&ours, &second_leg())).status, StatusCode::UNAUTHORIZED, "it is over");
}

#[test]
fn a_new_token_begins_anew_whatever_was_half_open() {
    let layer = layer();
    let connection = Connection::new();
    ask(&layer, over(&connection, &offer()));
    assert_eq!(ask(&layer, over(&connection, &token())).body, ALICE);
    assert_eq!(ask(&layer, over(&connection, &second_leg())).status, StatusCode::UNAUTHORIZED);
}

#[test]
fn a_half_open_negotiation_waits_for_a_minute() {
    let layer = layer();
    let connection = Connection::new();
    ask(&layer, over(&connection, &offer()));
    let later = layer.clone().clock(|| (NOW.time + 61).into());
    assert_eq!(ask(&later, over(&connection, &second_leg())).status, StatusCode::UNAUTHORIZED);
}

#[test]
fn several_legs_need_a_connection_that_carries_one_request_at_a_time() {
    let connection = Connection::new();
    let unknown = ask(&layer(), with_token(&offer()));
    let mut multiplexed = over(&connection, &offer());
    *multiplexed.version_mut() = http::Version::HTTP_2;
    for answer in [unknown, ask(&layer(), multiplexed)] {
        assert_eq!((answer.status, answer.header("www-authenticate")), (StatusCode::UNAUTHORIZED, Some("Negotiate")));
        assert!(answer.body.contains("with a Kerberos token at once"), "{}", answer.body);
    }
    assert_eq!(ask(&layer(), over(&connection, &second_leg())).status, StatusCode::UNAUTHORIZED);
}

/// A page of another site may not call unless a layer around this one lets it: as it is documented.
#[test]
fn what_a_browser_asks_before_it_calls_reaches_no_handler() {
    let mut preflight = request(&[("origin", "https://evil.example"), ("access-control-request-method", "POST")]);
    *preflight.method_mut() = http::Method::OPTIONS;
    let answer = ask(&cookies(), preflight);
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{:?}", answer.headers);
}

#[test]
fn ten_thousand_half_open_negotiations_are_bounded_and_stop_nobody_with_a_whole_token() {
    let layer = layer().max_half_open(100);
    let connections: Vec<_> = (0..10_000).map(|_| Connection::new()).collect();
    let offer = offer();
    assert!(connections.iter().all(|connection| ask(&layer, over(connection, &offer)).token().is_some()));
    let half_open = connections.iter().map(|connection| connection.take().is_some()).collect::<Vec<_>>();
    assert_eq!(half_open.iter().filter(|open| **open).count(), 100);
    assert!(half_open[9_900..].iter().all(|open| *open), "the oldest gave way");
    assert_eq!(ask(&layer, with_token(&token())).body, ALICE);
    let none = self::layer().max_half_open(0);
    assert_eq!(ask(&none, over(&connections[0], &offer)).token(), None);
}

#[test]
fn who_holds_every_place_and_waits_keeps_nobody_from_going_on() {
    let layer = layer().max_half_open(100);
    let idle: Vec<_> = (0..100).map(|_| Connection::new()).collect();
    idle.iter().for_each(|connection| assert!(ask(&layer, over(connection, &offer())).token().is_some()));
    let honest = Connection::new();
    for _ in 0..200 {
        assert!(ask(&layer, over(&honest, &offer())).token().is_some(), "one connection has one place");
    }
    assert_eq!(ask(&layer, over(&honest, &second_leg())).status, StatusCode::OK);
    assert_eq!(idle.iter().filter(|connection| connection.take().is_some()).count(), 99);
}

#[test]
fn spnego_opens_a_context_in_one_leg() {
    let (mut alice, token) = begin(InitiatorOptions::default());
    let answer = ask(&layer(), with_token(&token));
    assert_eq!(answer.body, ALICE);
    let done = alice.step(NOW, &mut Counter(0), Some(&answer.token().unwrap())).unwrap();
    assert!(matches!(done, InitiatorStep::Done(_, None)));
}
