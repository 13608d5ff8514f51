//! Java against our KDC: JAAS logins, and JGSS on both sides of a service, or on one side with us on
//! the other.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use libkrb::flags::TicketFlags;
use libkrb::gss::ContextFlags;
use libkrb::{ErrorCode, Principal};
use tests::call::{called, connect, receive, send};
use tests::gss;
use tests::library::{acceptor, ticket};
use tests::{
    AES128_SHA1, AES128_SHA2, AES256_SHA1, AES256_SHA2, Etype, Pair, Plan, Realm, Said, Seat, Tool, java, suite,
};

const SERVICE: &str = "HTTP/server.example.org";

suite! {
    our_kdc: Ours, Ours;
    => {
        a_password_logs_in;
        a_keytab_logs_in;
        a_wrong_password_is_refused;
        an_unknown_client_is_refused;
        a_client_that_speaks_only_tcp_is_served;
        an_initiator_and_an_acceptor_talk_under_aes128_sha1;
        an_initiator_and_an_acceptor_talk_under_aes256_sha1;
        an_initiator_and_an_acceptor_talk_under_aes128_sha2;
        an_initiator_and_an_acceptor_talk_under_aes256_sha2;
        a_service_goes_on_with_the_forwarded_ticket_of_its_client;
        an_initiator_and_an_acceptor_talk_from_process_to_process;
        our_acceptor_and_its_initiator_agree_under_aes128_sha1;
        our_acceptor_and_its_initiator_agree_under_aes256_sha2;
        our_acceptor_is_handed_its_forwarded_ticket;
        our_initiator_and_its_acceptor_agree_under_aes128_sha1;
        our_initiator_and_its_acceptor_agree_under_aes256_sha2;
        an_unknown_service_is_refused;
    }
}

const MESSAGE: &[u8] = b"a message";

/// What Java's acceptor says to a token that it has seen.
const REPLAYED: &str = "again Failure unspecified at GSS-API level (Mechanism level: Request is a replay (34))";

/// `tests/java/Peer.java` at a seat; `None` when there is no Java here.
fn peer(seat: &Seat<'_>, words: &[&str]) -> Option<Tool> {
    let configuration = format!("-Djava.security.krb5.conf={}", seat.configuration().display());
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/java/Peer.java");
    Some(seat.program(java()?).args([configuration.as_str(), "-Xshare:auto", source]).args(words))
}

/// Runs it.
fn run(seat: &Seat<'_>, words: &[&str], password: &str) -> Option<Said> {
    Some(peer(seat, words)?.stdin(format!("{password}\n")).run())
}

/// alice's initiator, with a keytab or the password, which calls the address it is given.
fn initiator(seat: &Seat<'_>, keytab: Option<&Path>) -> Option<impl FnOnce(SocketAddr) -> Tool> {
    let tool = peer(seat, &["initiate"])?.stdin("secret\n");
    Some(move |address| calling(tool, address).args(["alice", SERVICE]).args(keytab))
}

/// The service's acceptor, which calls the address it is given.
fn its_acceptor(seat: &Seat<'_>, keytab: &Path) -> Option<impl FnOnce(SocketAddr) -> Tool> {
    let tool = peer(seat, &["accept"])?;
    Some(move |address| calling(tool, address).args([SERVICE, &keytab.to_string_lossy()]))
}

fn calling(tool: Tool, address: SocketAddr) -> Tool {
    tool.args([address.ip().to_string(), address.port().to_string()])
}

fn a_password_logs_in(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.set("forwardable = true");
    let Some(said) = run(&seat, &["login", "alice"], "secret") else { return };
    said.succeeds()
        .saying("principal alice@EXAMPLE.ORG")
        .saying("ticket krbtgt/EXAMPLE.ORG@EXAMPLE.ORG etype 18 initial forwardable");
}

fn a_keytab_logs_in(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.keytab("alice");
    let seat = pair.seat(&realm);
    let Some(said) = run(&seat, &["login-keytab", "alice", &keytab.to_string_lossy()], "") else { return };
    said.succeeds().saying("principal alice@EXAMPLE.ORG").saying("ticket krbtgt/EXAMPLE.ORG@EXAMPLE.ORG");
}

fn a_wrong_password_is_refused(pair: Pair) {
    let realm = pair.realm();
    let Some(said) = run(&pair.seat(&realm), &["login", "alice"], "wrong") else { return };
    // Java tells a wrong password from the others by the code 24 alone.
    said.fails_with(1).saying("(24)");
}

fn an_unknown_client_is_refused(pair: Pair) {
    let realm = pair.realm();
    let Some(said) = run(&pair.seat(&realm), &["login", "nobody"], "secret") else { return };
    said.fails_with(1).saying("(6)");
}

fn a_client_that_speaks_only_tcp_is_served(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.set("udp_preference_limit = 1");
    let Some(said) = run(&seat, &["login", "alice"], "secret") else { return };
    said.succeeds().saying("ticket krbtgt/EXAMPLE.ORG@EXAMPLE.ORG");
}

/// A client of `realm` opens a context with a service, in the words of `Peer.java`.
fn talk(pair: Pair, realm: &Realm, settings: &[String]) -> Option<Said> {
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(realm);
    for line in settings {
        seat.set(line);
    }
    run(&seat, &["talk", "alice", SERVICE, &keytab.to_string_lossy()], "secret")
}

fn they_talk_under(pair: Pair, etype: Etype) {
    let realm = pair.realm_of(Plan::default().with_etypes(&[etype]));
    let permitted = format!("permitted_enctypes = {}", etype.name);
    let Some(said) = talk(pair, &realm, &[permitted]) else { return };
    said.succeeds()
        .saying("initiator alice@EXAMPLE.ORG")
        .saying("acceptor HTTP/server.example.org")
        .saying("mutual true")
        .saying("message true");
}

fn an_initiator_and_an_acceptor_talk_under_aes128_sha1(pair: Pair) {
    they_talk_under(pair, AES128_SHA1);
}

fn an_initiator_and_an_acceptor_talk_under_aes256_sha1(pair: Pair) {
    they_talk_under(pair, AES256_SHA1);
}

fn an_initiator_and_an_acceptor_talk_under_aes128_sha2(pair: Pair) {
    they_talk_under(pair, AES128_SHA2);
}

fn an_initiator_and_an_acceptor_talk_under_aes256_sha2(pair: Pair) {
    they_talk_under(pair, AES256_SHA2);
}

fn a_service_goes_on_with_the_forwarded_ticket_of_its_client(pair: Pair) {
    let realm = pair.realm();
    let (front, back) = (realm.add_service(SERVICE), realm.add_service("HTTP/backend.example.org"));
    let seat = pair.seat(&realm);
    seat.set("forwardable = true");
    let words =
        ["talk", "alice", SERVICE, &front.to_string_lossy(), "HTTP/backend.example.org", &back.to_string_lossy()];
    let Some(said) = run(&seat, &words, "secret") else { return };
    said.succeeds()
        .saying("forwarded alice@EXAMPLE.ORG")
        .saying("backend initiator alice@EXAMPLE.ORG")
        .saying("backend message true");
}

fn an_unknown_service_is_refused(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    realm.delete(SERVICE);
    let words = ["talk", "alice", SERVICE, &keytab.to_string_lossy()];
    let Some(said) = run(&pair.seat(&realm), &words, "secret") else { return };
    said.fails_with(1).saying("(7)");
}

fn an_initiator_and_an_acceptor_talk_from_process_to_process(pair: Pair) {
    let realm = pair.realm();
    let (keytab, alices) = (realm.add_service(SERVICE), realm.keytab("alice"));
    let (client, service) = (pair.seat(&realm), pair.seat(&realm));
    let Some((initiator, acceptor)) = initiator(&client, Some(&alices)).zip(its_acceptor(&service, &keytab)) else {
        return;
    };
    let (client_said, service_said) =
        called(initiator, |client| called(acceptor, |service| connect(&client, &service)));
    let client = client_said.succeeds();
    let (service_said, talk) = service_said.expect("a call from the initiator");
    service_said.succeeds().saying("initiator alice@EXAMPLE.ORG").saying("mutual true").saying(REPLAYED);
    client.saying("acceptor HTTP/server.example.org").saying("mutual true");
    talk.expect("a call from the acceptor");
}

fn our_acceptor_and_its_initiator_agree(pair: Pair, etype: Etype) {
    let realm = pair.realm_of(Plan::default().with_etypes(&[etype]));
    let acceptor = Arc::new(acceptor(&realm.add_service(SERVICE)));
    let seat = pair.seat(&realm);
    seat.set(&format!("permitted_enctypes = {}", etype.name));
    let Some(initiator) = initiator(&seat, None) else { return };
    let (said, talk) = called(initiator, |mut stream| {
        let token = receive(&mut stream);
        let gss::Accepted { mut context, caller, token: reply } = gss::accept_token(&acceptor, &token).unwrap();
        send(&mut stream, &reply.expect("it asks who we are"));
        context.verify_mic(MESSAGE, &receive(&mut stream)).unwrap();
        send(&mut stream, &context.mic(MESSAGE).unwrap());
        (gss::accept_token(&acceptor, &token).err().expect("a replay").cause.wire_code(), context.flags(), caller)
    });
    said.succeeds().saying("mutual true").saying("acceptor HTTP/server.example.org");
    let (again, flags, caller) = talk.expect("a call");
    assert_eq!(again, ErrorCode::REPEAT);
    assert_eq!(caller.accepted.client, Principal::parse("alice@EXAMPLE.ORG", None).unwrap());
    assert_eq!(caller.accepted.session_key.etype().0, etype.number);
    assert!(flags.has(ContextFlags::MUTUAL) && !flags.any(ContextFlags::DELEGATE) && caller.delegated.is_none());
}

fn our_acceptor_and_its_initiator_agree_under_aes128_sha1(pair: Pair) {
    our_acceptor_and_its_initiator_agree(pair, AES128_SHA1);
}

fn our_acceptor_and_its_initiator_agree_under_aes256_sha2(pair: Pair) {
    our_acceptor_and_its_initiator_agree(pair, AES256_SHA2);
}

fn our_acceptor_is_handed_its_forwarded_ticket(pair: Pair) {
    let realm = pair.realm();
    let acceptor = Arc::new(acceptor(&realm.add_service(SERVICE)));
    let seat = pair.seat(&realm);
    seat.set("forwardable = true");
    let Some(initiator) = initiator(&seat, None) else { return };
    // We hang up after its first token, so what Java says does not matter.
    let (_, talk) = called(initiator, |mut stream| gss::accept_token(&acceptor, &receive(&mut stream)).unwrap().caller);
    let caller = talk.expect("a call");
    let received = caller.delegated.expect("a KRB-CRED");
    let [handed] = received.tickets.as_slice() else { panic!("one ticket: {received:?}") };
    assert_eq!(handed.client, caller.accepted.client);
    assert_eq!(handed.server.to_string(), "krbtgt/EXAMPLE.ORG@EXAMPLE.ORG");
    assert!(handed.flags.has(TicketFlags::FORWARDED));
}

fn our_initiator_and_its_acceptor_agree(pair: Pair, etype: Etype) {
    let realm = pair.realm_of(Plan::default().with_etypes(&[etype]));
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    let ticket = ticket(&seat, "alice", "secret", SERVICE);
    let Some(its_acceptor) = its_acceptor(&seat, &keytab) else { return };
    let (said, talk) = called(its_acceptor, |mut stream| {
        let mut context = gss::initiate(&ticket, gss::kerberos(ContextFlags::DEFAULT), &mut stream);
        send(&mut stream, &context.mic(MESSAGE).unwrap());
        context.verify_mic(MESSAGE, &receive(&mut stream)).unwrap();
    });
    let heard = said.succeeds().saying("initiator alice@EXAMPLE.ORG").saying("mutual true").saying("delegated false");
    heard.saying(REPLAYED);
    talk.expect("a call");
}

fn our_initiator_and_its_acceptor_agree_under_aes128_sha1(pair: Pair) {
    our_initiator_and_its_acceptor_agree(pair, AES128_SHA1);
}

fn our_initiator_and_its_acceptor_agree_under_aes256_sha2(pair: Pair) {
    our_initiator_and_its_acceptor_agree(pair, AES256_SHA2);
}
