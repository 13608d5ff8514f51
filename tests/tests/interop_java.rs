//! Java against our KDC: JAAS logins, and JGSS on both sides of a service.

use tests::{AES128_SHA1, AES128_SHA2, AES256_SHA1, AES256_SHA2, Etype, Pair, Plan, Realm, Said, Seat, java, suite};

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
        an_unknown_service_is_refused;
    }
}

/// Runs `tests/java/Peer.java` at a seat; `None` when there is no Java here.
fn run(seat: &Seat<'_>, words: &[&str], password: &str) -> Option<Said> {
    let configuration = format!("-Djava.security.krb5.conf={}", seat.configuration().display());
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/java/Peer.java");
    let tool = seat.program(java()?).args([configuration.as_str(), "-Xshare:auto", source]).args(words);
    Some(tool.stdin(format!("{password}\n")).run())
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
