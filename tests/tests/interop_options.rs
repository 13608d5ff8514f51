//! The options of RFC 4120 5.4.1 that a client asks for: forwardable, proxiable, renewable,
//! postdated, addresses. MIT's clients against our KDC, and ours against MIT's and Heimdal's.

use std::time::Instant;

use tests::{PATIENCE, Pair, suite};

suite! {
    mit_tools_our_kdc: Mit, Ours;
    mit_tools_heimdal_kdc: Mit, Heimdal;
    our_tools_our_kdc: Ours, Ours;
    our_tools_mit_kdc: Ours, Mit;
    our_tools_heimdal_kdc: Ours, Heimdal;
    => {
        tickets_are_forwardable_when_asked_for;
        tickets_are_proxiable_when_asked_for;
        service_tickets_inherit_forwardable_and_proxiable;
        a_renewable_ticket_is_renewed;
        the_renewable_life_is_clipped_by_the_client;
        a_ticket_that_is_not_renewable_is_not_renewed;
        a_postdated_ticket_is_of_no_use_before_its_start;
        a_ticket_that_is_valid_is_not_validated;
        a_ticket_with_addresses_holds_for_them;
        a_ticket_for_other_addresses_is_refused;
        a_ticket_without_addresses_is_the_default;
    }
}

/// Heimdal refuses the whole request where the others leave the flag out, and takes a start within
/// the clock skew for now.
mod without_heimdal {
    use super::{
        a_client_that_may_not_forward_gets_no_forwardable_ticket, a_client_that_may_not_proxy_gets_no_proxiable_ticket,
        a_client_that_may_not_renew_gets_no_renewable_ticket, a_postdated_ticket_is_validated_once_its_start_has_come,
        suite,
    };

    suite! {
        mit_tools_our_kdc: Mit, Ours;
        our_tools_our_kdc: Ours, Ours;
        our_tools_mit_kdc: Ours, Mit;
        => {
            a_client_that_may_not_forward_gets_no_forwardable_ticket;
            a_client_that_may_not_proxy_gets_no_proxiable_ticket;
            a_client_that_may_not_renew_gets_no_renewable_ticket;
            a_postdated_ticket_is_validated_once_its_start_has_come;
        }
    }
}

fn tickets_are_forwardable_when_asked_for(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["-f", "alice"], "secret").succeeds();
    assert!(seat.tgt().has("F"));
    seat.kinit(&["-F", "alice"], "secret").succeeds();
    assert!(!seat.tgt().has("F"));
}

fn tickets_are_proxiable_when_asked_for(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["-p", "alice"], "secret").succeeds();
    assert!(seat.tgt().has("P"));
    seat.kinit(&["-P", "alice"], "secret").succeeds();
    assert!(!seat.tgt().has("P"));
}

fn service_tickets_inherit_forwardable_and_proxiable(pair: Pair) {
    let realm = pair.realm();
    realm.add_service("host/server.example.org");
    let seat = pair.seat(&realm);
    seat.kinit(&["-f", "-p", "alice"], "secret").succeeds();
    seat.fetch(&["host/server.example.org"]).succeeds();
    let ticket = seat.ticket("host/server.example.org");
    assert!(ticket.has("FPA") && !ticket.has("I"), "{ticket:?}");
}

fn a_client_that_may_not_forward_gets_no_forwardable_ticket(pair: Pair) {
    let realm = pair.realm();
    realm.modify("alice", &["-allow_forwardable"]);
    let seat = pair.seat(&realm);
    seat.kinit(&["-f", "alice"], "secret").succeeds();
    assert!(!seat.tgt().has("F"));
}

fn a_client_that_may_not_proxy_gets_no_proxiable_ticket(pair: Pair) {
    let realm = pair.realm();
    realm.modify("alice", &["-allow_proxiable"]);
    let seat = pair.seat(&realm);
    seat.kinit(&["-p", "alice"], "secret").succeeds();
    assert!(!seat.tgt().has("P"));
}

fn a_client_that_may_not_renew_gets_no_renewable_ticket(pair: Pair) {
    let realm = pair.realm();
    realm.modify("alice", &["-allow_renewable"]);
    let seat = pair.seat(&realm);
    seat.kinit(&["-r", "2d", "alice"], "secret").succeeds();
    assert_eq!((seat.tgt().has("R"), seat.tgt().renew_until), (false, None));
}

fn a_renewable_ticket_is_renewed(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["-l", "1h", "-r", "2d", "alice"], "secret").succeeds();
    let first = seat.tgt();
    assert!(first.has("RI"), "{first:?}");
    let until = first.renew_until.expect("an end to renewing");
    assert!((2 * 86_400 - 5..=2 * 86_400).contains(&(until - first.start)), "{first:?}");
    let before = std::fs::read(seat.ccache()).expect("the cache");
    seat.kinit(&["-R"], "").succeeds();
    assert_ne!(std::fs::read(seat.ccache()).expect("the cache"), before, "another ticket");
    let second = seat.tgt();
    assert!(second.has("RA"), "{second:?}");
    assert_eq!((second.renew_until, second.life()), (first.renew_until, first.life()));
    assert!(second.start >= first.start);
}

fn the_renewable_life_is_clipped_by_the_client(pair: Pair) {
    let realm = pair.realm();
    realm.modify("alice", &["-maxrenewlife", "1d"]);
    let seat = pair.seat(&realm);
    seat.kinit(&["-l", "1h", "-r", "5d", "alice"], "secret").succeeds();
    let tgt = seat.tgt();
    assert_eq!(tgt.renew_until.expect("an end to renewing") - tgt.start, 86_400);
}

fn a_ticket_that_is_not_renewable_is_not_renewed(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    assert!(!seat.tgt().has("R"));
    seat.kinit(&["-R"], "").fails_with(1).saying("while renewing credentials");
    assert!(seat.tgt().has("I"), "the ticket stays as it was");
}

fn a_postdated_ticket_is_of_no_use_before_its_start(pair: Pair) {
    let realm = pair.realm();
    realm.add_service("host/server.example.org");
    let seat = pair.seat(&realm);
    seat.kinit(&["-s", "2h", "-l", "1h", "alice"], "secret").succeeds();
    let later = seat.tgt();
    assert!(later.has("di"), "postdated and invalid: {later:?}");
    assert!((3595..=3600).contains(&later.life()), "{later:?}");
    seat.fetch(&["host/server.example.org"]).fails_with(1);
    seat.kinit(&["-v"], "").fails_with(1).saying("while validating credentials");
    assert_eq!(seat.tgt(), later, "the ticket stays as it was");
}

fn a_postdated_ticket_is_validated_once_its_start_has_come(pair: Pair) {
    let realm = pair.realm();
    realm.add_service("host/server.example.org");
    let seat = pair.seat(&realm);
    seat.kinit(&["-s", "2s", "-l", "1h", "alice"], "secret").succeeds();
    assert!(seat.tgt().has("di"));
    // Its start is the event to wait for; only the KDC can tell when it has come.
    let began = Instant::now();
    while !seat.kinit(&["-v"], "").is_success() {
        assert!(began.elapsed() < PATIENCE, "a postdated ticket never became valid");
    }
    let valid = seat.tgt();
    assert!(valid.has("d") && !valid.has("i"), "{valid:?}");
    seat.fetch(&["host/server.example.org"]).succeeds();
}

fn a_ticket_that_is_valid_is_not_validated(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    seat.kinit(&["-v"], "").fails_with(1).saying("while validating credentials");
}

fn a_ticket_with_addresses_holds_for_them(pair: Pair) {
    let realm = pair.realm();
    realm.add_service("host/server.example.org");
    let seat = pair.seat(&realm);
    seat.set("extra_addresses = 127.0.0.1, 192.0.2.7");
    seat.kinit(&["-a", "alice"], "secret").succeeds();
    let tgt = seat.tgt();
    assert!(["127.0.0.1", "192.0.2.7"].iter().all(|ip| tgt.addresses.iter().any(|found| found == ip)), "{tgt:?}");
    seat.fetch(&["host/server.example.org"]).succeeds();
    assert_eq!(seat.ticket("host/server.example.org").addresses, tgt.addresses);
}

fn a_ticket_for_other_addresses_is_refused(pair: Pair) {
    let realm = pair.realm();
    realm.add_service("host/server.example.org");
    let seat = pair.seat(&realm);
    // The KDC sees 127.0.0.1, and loopback is not among the addresses that a client asks for.
    seat.set("extra_addresses = 192.0.2.7");
    let asked = seat.kinit(&["-a", "alice"], "secret");
    // Heimdal refuses to make such a ticket, the others refuse to take it.
    let refused = if asked.is_success() { seat.fetch(&["host/server.example.org"]) } else { asked };
    refused.fails_with(1).saying("Incorrect net address");
}

fn a_ticket_without_addresses_is_the_default(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.set("extra_addresses = 192.0.2.7");
    seat.kinit(&["-A", "alice"], "secret").succeeds();
    assert_eq!(seat.tgt().addresses, [""; 0]);
}
