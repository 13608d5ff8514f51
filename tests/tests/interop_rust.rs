//! A second implementation in Rust, the crate `krb5` (pure Rust, nothing shared with libkrb but the
//! ciphers below it): its client against our KDC, its initiator against our acceptor, our client
//! against its acceptor, and the files of both.
//!
//! It knows the AES encryption types and no Camellia, asks for SPAKE and FAST only where a KDC offers
//! them, and has neither a KDC nor KRB-SAFE and KRB-PRIV; MIC tokens of RFC 4121
//! show that both hold the same key.

use std::sync::Arc;
use std::time::Instant;

use krb5::acceptor::AcceptOptions;
use krb5::initiator::{GSS_C_INTEG_FLAG, GSS_C_MUTUAL_FLAG, InitOptions};
use krb5::rcache::ReplayCache;
use krb5::{CCache, CacheName, ClientError, Credentials, InitiatorContext, KdcClient, KerberosContext, KerberosError};
use libkrb::ErrorCode;
use libkrb::client::{ApExchange, ApRequest};
use libkrb::crypto::OsRandom;
use libkrb::flags::TicketFlags;
use libkrb::gss::{ContextFlags, InitiatorStep};
use tests::gss;
use tests::library::{acceptor, now, ticket};
use tests::{AES128_SHA1, AES128_SHA2, AES256_SHA1, AES256_SHA2, Etype, PATIENCE, Pair, Plan, Realm, suite};

const SERVICE: &str = "host/server.example.org";
const MESSAGE: &[u8] = b"a message";

suite! {
    our_kdc: Ours, Ours;
    => {
        a_password_logs_in;
        a_keytab_logs_in;
        a_wrong_password_is_refused;
        an_unknown_client_and_an_unknown_service_are_refused;
        a_client_that_speaks_only_tcp_is_served;
        a_ticket_is_renewed;
        a_postdated_ticket_is_validated_once_its_start_has_come;
        its_initiator_and_our_acceptor_agree_under_aes128_sha1;
        its_initiator_and_our_acceptor_agree_under_aes256_sha1;
        its_initiator_and_our_acceptor_agree_under_aes128_sha2;
        its_initiator_and_our_acceptor_agree_under_aes256_sha2;
        its_initiator_without_mutual_authentication_gets_no_reply;
        its_initiator_hands_us_its_ticket;
        our_acceptor_refuses_its_request_when_it_comes_again;
        our_initiator_and_its_acceptor_agree_under_aes128_sha1;
        our_initiator_and_its_acceptor_agree_under_aes256_sha1;
        our_initiator_and_its_acceptor_agree_under_aes128_sha2;
        our_initiator_and_its_acceptor_agree_under_aes256_sha2;
        its_acceptor_takes_our_request_without_the_frame_of_gss;
        its_acceptor_refuses_our_request_when_it_comes_again;
        a_user_without_a_keytab_accepts_a_ticket_under_its_session_key;
        our_tools_use_its_cache;
        it_uses_the_cache_of_our_tools;
    }
}

fn name(text: &str) -> krb5::Principal {
    krb5::Principal::parse_in_realm(text, "EXAMPLE.ORG").unwrap()
}

fn client(realm: &Realm) -> KdcClient {
    KdcClient::new(realm.name(), [realm.address().to_string()]).with_timeout(PATIENCE)
}

fn login(realm: &Realm) -> Credentials {
    client(realm).login_with_password(&name("alice"), "secret").unwrap()
}

/// Its ticket for the service, with the service's keytab.
fn service_ticket(realm: &Realm) -> (Credentials, std::path::PathBuf) {
    let keytab = realm.add_service(SERVICE);
    (client(realm).service_ticket(&login(realm), &name(SERVICE)).unwrap(), keytab)
}

fn has(credentials: &Credentials, flag: TicketFlags) -> bool {
    TicketFlags(credentials.flags).has(flag)
}

/// The code with which the KDC refused.
#[track_caller]
fn refusal(outcome: Result<Credentials, ClientError>) -> i32 {
    outcome.expect_err("a refusal").kdc_code().expect("the KDC's refusal")
}

/// Its options, with a replay cache of this test's own.
fn options() -> AcceptOptions {
    let mut options = AcceptOptions::default();
    options.replay_cache = Some(Arc::new(ReplayCache::new()));
    options
}

fn a_password_logs_in(pair: Pair) {
    let realm = pair.realm();
    let tgt = client(&realm).with_forwardable(true).login_with_password(&name("alice"), "secret").unwrap();
    assert_eq!(tgt.client.to_string(), "alice@EXAMPLE.ORG");
    assert_eq!(tgt.server.to_string(), "krbtgt/EXAMPLE.ORG@EXAMPLE.ORG");
    for flag in [TicketFlags::INITIAL, TicketFlags::PRE_AUTHENT, TicketFlags::FORWARDABLE] {
        assert!(has(&tgt, flag), "{flag:?} of {:?}", TicketFlags(tgt.flags));
    }
}

fn a_keytab_logs_in(pair: Pair) {
    let realm = pair.realm();
    let keytab = krb5::Keytab::load(realm.keytab("alice")).unwrap();
    let tgt = client(&realm).login_with_keytab(&name("alice"), &keytab).unwrap();
    assert_eq!(tgt.client.to_string(), "alice@EXAMPLE.ORG");
}

fn a_wrong_password_is_refused(pair: Pair) {
    let realm = pair.realm();
    let refused = client(&realm).login_with_password(&name("alice"), "wrong");
    assert_eq!(refusal(refused), ErrorCode::PREAUTH_FAILED.0);
}

fn an_unknown_client_and_an_unknown_service_are_refused(pair: Pair) {
    let realm = pair.realm();
    let nobody = client(&realm).login_with_password(&name("nobody"), "secret");
    assert_eq!(refusal(nobody), ErrorCode::C_PRINCIPAL_UNKNOWN.0);
    let nowhere = client(&realm).service_ticket(&login(&realm), &name("host/nowhere.example.org"));
    assert_eq!(refusal(nowhere), ErrorCode::S_PRINCIPAL_UNKNOWN.0);
}

fn a_client_that_speaks_only_tcp_is_served(pair: Pair) {
    let realm = pair.realm();
    realm.add_service(SERVICE);
    let client = client(&realm).with_udp(false);
    let tgt = client.login_with_password(&name("alice"), "secret").unwrap();
    client.service_ticket(&tgt, &name(SERVICE)).unwrap();
}

fn a_ticket_is_renewed(pair: Pair) {
    let realm = pair.realm();
    let client = client(&realm).with_renew_lifetime(Some(std::time::Duration::from_secs(2 * 86_400)));
    let first = client.login_with_password(&name("alice"), "secret").unwrap();
    let second = client.renew(&first).unwrap();
    assert!(has(&second, TicketFlags::RENEWABLE));
    assert_eq!(second.renew_till, first.renew_till);
    assert_ne!(second.ticket, first.ticket);
    assert_eq!(refusal(client.renew(&login(&realm))), ErrorCode::BADOPTION.0, "that one is not renewable");
}

fn a_postdated_ticket_is_validated_once_its_start_has_come(pair: Pair) {
    let realm = pair.realm();
    realm.add_service(SERVICE);
    let client = client(&realm).with_start_time(Some(std::time::Duration::from_secs(2)));
    let early = client.login_with_password(&name("alice"), "secret").unwrap();
    assert!(early.is_invalid());
    client.service_ticket(&early, &name(SERVICE)).expect_err("it does not begin yet");
    // Its start is the event to wait for; only the KDC can tell when it has come.
    let began = Instant::now();
    let valid = loop {
        match client.validate(&early) {
            Ok(valid) => break valid,
            Err(refused) => assert_eq!(refused.kdc_code(), Some(ErrorCode::TKT_NYV.0)),
        }
        assert!(began.elapsed() < PATIENCE, "a postdated ticket never became valid");
    };
    assert!(!valid.is_invalid());
    client.service_ticket(&valid, &name(SERVICE)).unwrap();
}

/// Lets our acceptor take its token.
fn accept(keytab: &std::path::Path, token: &[u8]) -> gss::Accepted {
    gss::accept_token(&Arc::new(acceptor(keytab)), token).unwrap()
}

fn its_initiator_and_our_acceptor_agree(pair: Pair, etype: Etype) {
    let realm = pair.realm_of(Plan::default().with_etypes(&[etype]));
    let keytab = realm.add_service(SERVICE);
    let client = client(&realm).with_enctypes(&[etype.number]);
    let tgt = client.login_with_password(&name("alice"), "secret").unwrap();
    let ticket = client.service_ticket(&tgt, &name(SERVICE)).unwrap();
    assert_eq!((ticket.session_key.enctype(), ticket.ticket_enctype), (etype.number, etype.number));
    let (mut initiator, token) = InitiatorContext::new(&ticket, GSS_C_MUTUAL_FLAG | GSS_C_INTEG_FLAG).unwrap();

    let gss::Accepted { mut context, caller, token: reply } = accept(&keytab, &token);
    assert_eq!(caller.accepted.client.to_string(), "alice@EXAMPLE.ORG");
    assert_eq!(caller.accepted.server.to_string(), "host/server.example.org@EXAMPLE.ORG");
    assert_eq!(context.flags(), ContextFlags::MUTUAL | ContextFlags::INTEGRITY);
    initiator.step(&reply.expect("it asks who we are")).unwrap();
    assert!(initiator.is_established() && initiator.has_acceptor_subkey());
    assert_eq!(initiator.recv_seq(), Some(caller.accepted.acceptor_sequence.into()));

    let theirs = initiator.per_message_tokens().unwrap();
    let mic = theirs.emit_mic(initiator.send_seq(), MESSAGE).unwrap();
    context.verify_mic(MESSAGE, &mic).unwrap();
    theirs.verify_mic(&context.mic(MESSAGE).unwrap(), MESSAGE).unwrap();
}

fn its_initiator_and_our_acceptor_agree_under_aes128_sha1(pair: Pair) {
    its_initiator_and_our_acceptor_agree(pair, AES128_SHA1);
}

fn its_initiator_and_our_acceptor_agree_under_aes256_sha1(pair: Pair) {
    its_initiator_and_our_acceptor_agree(pair, AES256_SHA1);
}

fn its_initiator_and_our_acceptor_agree_under_aes128_sha2(pair: Pair) {
    its_initiator_and_our_acceptor_agree(pair, AES128_SHA2);
}

fn its_initiator_and_our_acceptor_agree_under_aes256_sha2(pair: Pair) {
    its_initiator_and_our_acceptor_agree(pair, AES256_SHA2);
}

fn its_initiator_without_mutual_authentication_gets_no_reply(pair: Pair) {
    let realm = pair.realm();
    let (ticket, keytab) = service_ticket(&realm);
    let (initiator, token) = InitiatorContext::new(&ticket, GSS_C_INTEG_FLAG).unwrap();
    assert!(initiator.is_established());
    let mut accepted = accept(&keytab, &token);
    assert!(accepted.token.is_none());
    let mic = initiator.per_message_tokens().unwrap().emit_mic(initiator.send_seq(), MESSAGE).unwrap();
    accepted.context.verify_mic(MESSAGE, &mic).unwrap();
}

fn its_initiator_hands_us_its_ticket(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let client = client(&realm).with_forwardable(true);
    let tgt = client.login_with_password(&name("alice"), "secret").unwrap();
    let ticket = client.service_ticket(&tgt, &name(SERVICE)).unwrap();
    let forwarded = client.forwarded_tgt(&tgt, None).unwrap();
    let (_, token) = InitiatorContext::new_delegating(&ticket, GSS_C_MUTUAL_FLAG, &forwarded).unwrap();
    let accepted = accept(&keytab, &token);
    assert_eq!(accepted.context.flags(), ContextFlags::DELEGATE | ContextFlags::MUTUAL);
    let received = accepted.caller.delegated.expect("a KRB-CRED");
    let [handed] = received.tickets.as_slice() else { panic!("one ticket") };
    assert_eq!((handed.client.to_string(), &handed.ticket), ("alice@EXAMPLE.ORG".to_owned(), &forwarded.ticket));
    assert!(handed.flags.has(TicketFlags::FORWARDED));
    assert_eq!(handed.key.expose(), forwarded.session_key.bytes());
}

fn our_acceptor_refuses_its_request_when_it_comes_again(pair: Pair) {
    let realm = pair.realm();
    let (ticket, keytab) = service_ticket(&realm);
    let (_, token) = InitiatorContext::new(&ticket, GSS_C_MUTUAL_FLAG).unwrap();
    let acceptor = Arc::new(acceptor(&keytab));
    gss::accept_token(&acceptor, &token).unwrap();
    let refused = gss::accept_token(&acceptor, &token).err().expect("a replay");
    assert_eq!(refused.cause.wire_code(), ErrorCode::REPEAT);
}

fn our_initiator_and_its_acceptor_agree(pair: Pair, etype: Etype) {
    let realm = pair.realm_of(Plan::default().with_etypes(&[etype]));
    let keytab = krb5::Keytab::load(realm.add_service(SERVICE)).unwrap();
    let ticket = ticket(&pair.seat(&realm), "alice", "secret", SERVICE);
    let flags = ContextFlags::MUTUAL | ContextFlags::INTEGRITY;
    let mut initiator = libkrb::gss::InitiatorContext::new(&ticket, gss::kerberos(flags)).unwrap();
    let mut step = |token: Option<&[u8]>| initiator.step(now(), &mut OsRandom::new(), token).unwrap();
    let InitiatorStep::Continue(token) = step(None) else { panic!("a first token") };
    let (acceptor, reply) = KerberosContext::accept_token_with(&keytab, &token, &options()).unwrap();
    assert_eq!(acceptor.client_principal, "alice@EXAMPLE.ORG");
    assert_eq!(acceptor.service_principal, "host/server.example.org@EXAMPLE.ORG");
    assert_eq!(acceptor.gss_flags, flags.0);
    let InitiatorStep::Done(mut context, None) = step(Some(&reply)) else { panic!("a context") };

    // It proposes no subkey of its own, so ours is the key.
    assert_eq!(context.key().expose(), acceptor.base_key);
    let theirs = acceptor.per_message_tokens().unwrap();
    theirs.verify_mic(&context.mic(MESSAGE).unwrap(), MESSAGE).unwrap();
    let mic = theirs.emit_mic(acceptor.acceptor_seq.into(), MESSAGE).unwrap();
    context.verify_mic(MESSAGE, &mic).unwrap();
}

fn our_initiator_and_its_acceptor_agree_under_aes128_sha1(pair: Pair) {
    our_initiator_and_its_acceptor_agree(pair, AES128_SHA1);
}

fn our_initiator_and_its_acceptor_agree_under_aes256_sha1(pair: Pair) {
    our_initiator_and_its_acceptor_agree(pair, AES256_SHA1);
}

fn our_initiator_and_its_acceptor_agree_under_aes128_sha2(pair: Pair) {
    our_initiator_and_its_acceptor_agree(pair, AES128_SHA2);
}

fn our_initiator_and_its_acceptor_agree_under_aes256_sha2(pair: Pair) {
    our_initiator_and_its_acceptor_agree(pair, AES256_SHA2);
}

fn its_acceptor_takes_our_request_without_the_frame_of_gss(pair: Pair) {
    let realm = pair.realm();
    let keytab = krb5::Keytab::load(realm.add_service(SERVICE)).unwrap();
    let ticket = ticket(&pair.seat(&realm), "alice", "secret", SERVICE);
    // Without a subkey the ticket's own key is that of the conversation.
    let request = ApRequest { subkey: false, ..ApRequest::default() };
    let (exchange, message) = ApExchange::new(&ticket, &request, now(), &mut OsRandom::new()).unwrap();
    let (acceptor, reply) = KerberosContext::accept_ap_req(&keytab, &message, &options()).unwrap();
    let session = exchange.finish(&reply).unwrap();
    assert!(!acceptor.used_initiator_subkey);
    assert_eq!(session.key().expose(), acceptor.base_key);
    assert_eq!(session.key().expose(), acceptor.session_key);
}

fn its_acceptor_refuses_our_request_when_it_comes_again(pair: Pair) {
    let realm = pair.realm();
    let keytab = krb5::Keytab::load(realm.add_service(SERVICE)).unwrap();
    let ticket = ticket(&pair.seat(&realm), "alice", "secret", SERVICE);
    let (_, message) = ApExchange::new(&ticket, &ApRequest::default(), now(), &mut OsRandom::new()).unwrap();
    let options = options();
    KerberosContext::accept_ap_req(&keytab, &message, &options).unwrap();
    let refused = KerberosContext::accept_ap_req(&keytab, &message, &options).unwrap_err();
    assert!(matches!(refused, KerberosError::Replay(_)), "{refused}");
}

fn a_user_without_a_keytab_accepts_a_ticket_under_its_session_key(pair: Pair) {
    let realm = pair.realm();
    realm.add("bob", "hidden", &[]);
    let client = client(&realm);
    let theirs = client.login_with_password(&name("bob"), "hidden").unwrap();
    let ticket = client.user_to_user(&login(&realm), &name("bob"), &theirs.ticket).unwrap();
    let mut asked = InitOptions::default();
    asked.use_session_key = true;
    let (mut initiator, token) = InitiatorContext::with_options(&ticket, GSS_C_MUTUAL_FLAG, asked).unwrap();

    let options = libkrb::service::Options::default();
    let replay = Arc::new(libkrb::replay::MemoryReplayCache::new(options.clock_skew, 1000));
    let etype = libkrb::codes::EncryptionType(theirs.session_key.enctype());
    let key = libkrb::crypto::Key::new(etype, theirs.session_key.bytes()).unwrap();
    let bob = libkrb::Principal::parse("bob@EXAMPLE.ORG", None).unwrap();
    let acceptor = libkrb::service::Acceptor::user_to_user(bob, &key, options, replay);
    let accepted = gss::accept_token(&Arc::new(acceptor), &token).unwrap();
    assert_eq!(accepted.caller.accepted.client.to_string(), "alice@EXAMPLE.ORG");
    initiator.step(&accepted.token.unwrap()).unwrap();
}

fn our_tools_use_its_cache(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    let cache = CacheName::File(seat.ccache());
    client(&realm).kinit_with_password(&name("alice"), "secret", &cache).unwrap();
    assert!(seat.tgt().has("IA"));
    let kvno = seat.tool("kvno").args(["-k"]).args([&keytab]).args([SERVICE]).run();
    kvno.succeeds().saying("keytab entry valid");
}

fn it_uses_the_cache_of_our_tools(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    let cache = CacheName::File(seat.ccache());
    let ticket = client(&realm).service_ticket_cached(&cache, &name(SERVICE)).unwrap();
    let (_, token) = InitiatorContext::new(&ticket, GSS_C_MUTUAL_FLAG).unwrap();
    assert_eq!(accept(&keytab, &token).caller.accepted.client.to_string(), "alice@EXAMPLE.ORG");
    // What it put into the cache is there for our tools, and what they put there is there for it.
    assert_eq!(seat.tickets().len(), 2);
    let stored = CCache::read(seat.ccache()).unwrap();
    assert_eq!(stored.credentials().count(), 2);
}
