//! Tickets for services: fetched, opened with the service's keytab, user-to-user, over TCP, big.
//! MIT's clients against our KDC, and ours against MIT's and Heimdal's.

use tests::{AES128_SHA1, Family, Pair, suite};

const SERVICE: &str = "host/server.example.org";

suite! {
    mit_tools_our_kdc: Mit, Ours;
    mit_tools_heimdal_kdc: Mit, Heimdal;
    our_tools_our_kdc: Ours, Ours;
    our_tools_mit_kdc: Ours, Mit;
    our_tools_heimdal_kdc: Ours, Heimdal;
    => {
        a_service_ticket_is_opened_with_the_services_keytab;
        a_service_ticket_is_not_opened_with_anothers_keytab;
        an_unknown_service_is_refused;
        a_service_with_a_new_key_gets_tickets_under_it;
        the_session_key_is_of_the_etype_asked_for;
        a_service_ticket_lives_no_longer_than_the_service_allows;
        a_service_that_may_have_delegated_tickets_is_marked;
        a_user_to_user_ticket_is_sealed_in_the_other_users_session_key;
        a_user_that_is_no_service_has_no_ordinary_tickets;
        a_client_that_speaks_only_tcp_is_served;
        a_ticket_too_big_for_a_datagram_comes_over_tcp;
        a_tgt_outlives_a_restart_and_a_crash_of_the_kdc;
        mits_gss_programs_talk_with_tickets_from_this_kdc;
    }
}

fn a_service_ticket_is_opened_with_the_services_keytab(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    let verified = seat.tool("kvno").args(["-k"]).args([&keytab]).args([SERVICE]).run();
    verified.succeeds().saying("host/server.example.org@EXAMPLE.ORG: kvno = 1, keytab entry valid");
}

fn a_service_ticket_is_not_opened_with_anothers_keytab(pair: Pair) {
    let realm = pair.realm();
    realm.add_service(SERVICE);
    let other = realm.add_service("host/other.example.org");
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    seat.tool("kvno").args(["-k"]).args([&other]).args([SERVICE]).run().fails_with(1).saying("keytab entry invalid");
}

fn an_unknown_service_is_refused(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    let refused = seat.fetch(&["host/nowhere.example.org"]).fails_with(1).saying("not found in Kerberos database");
    refused.saying("while getting credentials for host/nowhere.example.org@EXAMPLE.ORG");
}

fn a_service_with_a_new_key_gets_tickets_under_it(pair: Pair) {
    let realm = pair.realm();
    realm.add_service(SERVICE);
    realm.change(SERVICE, tests::Secret::Random);
    let keytab = realm.keytab(SERVICE);
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    let verified = seat.tool("kvno").args(["-k"]).args([&keytab]).args([SERVICE]).run();
    verified.succeeds().saying("kvno = 2, keytab entry valid");
}

fn the_session_key_is_of_the_etype_asked_for(pair: Pair) {
    let realm = pair.realm();
    realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    seat.fetch(&["-e", AES128_SHA1.name, SERVICE]).succeeds();
    assert_eq!(seat.ticket(SERVICE).session_etype, AES128_SHA1.name);
}

fn a_service_ticket_lives_no_longer_than_the_service_allows(pair: Pair) {
    let realm = pair.realm();
    realm.add_service(SERVICE);
    realm.modify(SERVICE, &["-maxlife", "1h"]);
    let seat = pair.seat(&realm);
    seat.kinit(&["-l", "10h", "alice"], "secret").succeeds();
    seat.fetch(&[SERVICE]).succeeds();
    assert_eq!(seat.ticket(SERVICE).life(), 3600);
}

fn a_service_that_may_have_delegated_tickets_is_marked(pair: Pair) {
    let realm = pair.realm();
    realm.add_service(SERVICE);
    realm.modify(SERVICE, &["+ok_as_delegate"]);
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    seat.fetch(&[SERVICE]).succeeds();
    assert!(seat.ticket(SERVICE).has("O"));
}

fn a_user_to_user_ticket_is_sealed_in_the_other_users_session_key(pair: Pair) {
    let realm = pair.realm();
    realm.add("bob", "hunter2", &[]);
    let (alice, bob) = (pair.seat(&realm), pair.seat(&realm));
    alice.kinit(&["alice"], "secret").succeeds();
    bob.kinit(&["bob"], "hunter2").succeeds();
    let cache = format!("FILE:{}", bob.ccache().display());
    alice.fetch(&["--u2u", &cache, "bob"]).succeeds().saying("bob@EXAMPLE.ORG: kvno = 0");
    assert_eq!(alice.ticket("bob").ticket_etype, bob.tgt().session_etype);
}

fn a_user_that_is_no_service_has_no_ordinary_tickets(pair: Pair) {
    let realm = pair.realm();
    realm.add("bob", "hunter2", &["-allow_svr"]);
    let (alice, bob) = (pair.seat(&realm), pair.seat(&realm));
    alice.kinit(&["alice"], "secret").succeeds();
    alice.fetch(&["bob"]).fails_with(1);
    bob.kinit(&["bob"], "hunter2").succeeds();
}

fn a_client_that_speaks_only_tcp_is_served(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    seat.set("udp_preference_limit = 1");
    seat.kinit(&["alice"], "secret").succeeds();
    seat.tool("kvno").args(["-k"]).args([&keytab]).args([SERVICE]).run().succeeds().saying("keytab entry valid");
    if pair.client == Family::Mit {
        let trace = seat.trace();
        assert!(trace.contains("Initiating TCP connection") && !trace.contains("UDP"), "{trace}");
    }
}

fn a_ticket_too_big_for_a_datagram_comes_over_tcp(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    // Each address stands in the ticket and in the reply beside it: some 6 kilobytes. MIT's line
    // holds 2 kilobytes.
    let many: Vec<_> = (0..200).map(|number| format!("1.2.3.{number}")).collect();
    seat.set(&format!("extra_addresses = 127.0.0.1,{}", many.join(",")));
    seat.set("udp_preference_limit = 32000");
    seat.kinit(&["-a", "alice"], "secret").succeeds();
    assert!(seat.tgt().addresses.len() > 200);
    seat.tool("kvno").args(["-k"]).args([&keytab]).args([SERVICE]).run().succeeds().saying("keytab entry valid");
    if pair.client == Family::Mit {
        assert!(seat.trace().contains("too big for UDP; retrying with TCP"), "{}", seat.trace());
    }
}

fn a_tgt_outlives_a_restart_and_a_crash_of_the_kdc(pair: Pair) {
    let mut realm = pair.realm();
    realm.add_service(SERVICE);
    realm.add_service("host/other.example.org");
    let cache = {
        let seat = pair.seat(&realm);
        seat.kinit(&["alice"], "secret").succeeds();
        seat.ccache()
    };
    let stopped = realm.stop();
    assert!(stopped.success(), "a KDC asked to stop ends well: {stopped}");
    realm.restart();
    pair.seat(&realm).tool("kvno").args(["-c"]).args([&cache]).args([SERVICE]).run().succeeds();
    realm.kill();
    realm.restart();
    let after = pair.seat(&realm).tool("kvno").args(["-c"]).args([&cache]).args(["host/other.example.org"]).run();
    after.succeeds();
}

fn mits_gss_programs_talk_with_tickets_from_this_kdc(pair: Pair) {
    if !Family::Mit.has_clients() {
        return;
    }
    let realm = pair.realm();
    let keytab = realm.add_service("host/localhost");
    let seat = pair.seat(&realm);
    seat.kinit(&["-f", "alice"], "secret").succeeds();
    let port = tests::Port::claim();
    let number = port.number().to_string();
    let server = seat.program(Family::Mit.program("gss-server")).env("KRB5_KTNAME", &keytab).args([
        "-port",
        &number,
        "-verbose",
        "host@localhost",
    ]);
    let server = tests::Daemon::start(server.command(), "starting...");
    let client = seat.program(Family::Mit.program("gss-client")).args(["-port", &number, "-d"]);
    client.args(["127.0.0.1", "host@localhost", "a message"]).run().succeeds().saying("Signature verified.");
    assert!(server.log().contains("alice@EXAMPLE.ORG"), "{}", server.log());
}
