//! Heimdal's clients against our KDC. Their options differ from MIT's, so do these tests; MIT's
//! `klist` and `kvno` read what Heimdal's wrote.

use std::time::Instant;

use tests::{AES128_SHA1, AES128_SHA2, AES256_SHA1, AES256_SHA2, Etype, Family, PATIENCE, Pair, Plan, Seat, suite};

const SERVICE: &str = "host/server.example.org";

suite! {
    heimdal_tools_our_kdc: Heimdal, Ours;
    => {
        a_password_opens_a_preauthenticated_tgt;
        a_keytab_opens_a_tgt;
        a_wrong_password_is_refused;
        an_unknown_client_is_refused;
        a_locked_client_is_refused;
        an_expired_client_is_refused;
        keys_of_aes128_sha1_alone_suffice;
        keys_of_aes256_sha1_alone_suffice;
        keys_of_aes128_sha2_alone_suffice;
        keys_of_aes256_sha2_alone_suffice;
        a_service_ticket_is_opened_with_the_services_keytab;
        an_unknown_service_is_refused;
        flags_are_as_asked;
        a_renewable_ticket_is_renewed;
        a_ticket_that_is_not_renewable_is_not_renewed;
        a_postdated_ticket_is_of_no_use_before_its_start;
        a_postdated_ticket_is_validated_once_its_start_has_come;
        a_ticket_with_addresses_holds_for_them;
        a_ticket_for_other_addresses_is_refused;
        a_client_that_speaks_only_tcp_is_served;
        a_big_ticket_is_served;
    }
}

/// Opens the ticket that Heimdal's client fetched with the keytab, by MIT's `kvno`.
fn assert_opens(seat: &Seat<'_>, keytab: &std::path::Path) {
    let kvno = seat.program(Family::Mit.program("kvno")).args(["--cached-only", "-k"]).args([keytab]).args([SERVICE]);
    kvno.run().succeeds().saying("keytab entry valid");
}

fn a_password_opens_a_preauthenticated_tgt(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    assert!(seat.tgt().has("IA"));
    seat.tool("klist").args(["-v"]).run().succeeds().saying("Client: alice@EXAMPLE.ORG");
}

fn a_keytab_opens_a_tgt(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.keytab("alice");
    let seat = pair.seat(&realm);
    seat.kinit_with(&keytab, &["alice"]).succeeds();
    assert!(seat.tgt().has("IA"));
}

fn a_wrong_password_is_refused(pair: Pair) {
    let realm = pair.realm();
    pair.seat(&realm).kinit(&["alice"], "wrong").fails().saying("Password incorrect");
}

fn an_unknown_client_is_refused(pair: Pair) {
    let realm = pair.realm();
    let refused = pair.seat(&realm).kinit(&["nobody"], "secret").fails();
    // Heimdal shows the KDC's e-text, and its own words only where there is none.
    let words = ["no such client", "CLIENT_NOT_FOUND", "Client not found", "not found in Kerberos database"];
    assert!(words.iter().any(|words| refused.stderr().contains(words)), "{refused:?}");
}

fn a_locked_client_is_refused(pair: Pair) {
    let realm = pair.realm();
    realm.modify("alice", &["-allow_tix"]);
    pair.seat(&realm).kinit(&["alice"], "secret").fails();
}

fn an_expired_client_is_refused(pair: Pair) {
    let realm = pair.realm();
    realm.modify("alice", &["-expire", "2001-01-01"]);
    pair.seat(&realm).kinit(&["alice"], "secret").fails();
}

fn keys_of_one_etype_suffice(pair: Pair, etype: Etype) {
    let realm = pair.realm_of(Plan::default().with_etypes(&[etype]));
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    seat.set(&format!("default_etypes = {}", etype.name));
    seat.kinit(&["alice"], "secret").succeeds();
    seat.fetch(&[SERVICE]).succeeds();
    assert_opens(&seat, &keytab);
    for ticket in seat.tickets() {
        assert_eq!((ticket.session_etype.as_str(), ticket.ticket_etype.as_str()), (etype.name, etype.name));
    }
}

fn keys_of_aes128_sha1_alone_suffice(pair: Pair) {
    keys_of_one_etype_suffice(pair, AES128_SHA1);
}

fn keys_of_aes256_sha1_alone_suffice(pair: Pair) {
    keys_of_one_etype_suffice(pair, AES256_SHA1);
}

fn keys_of_aes128_sha2_alone_suffice(pair: Pair) {
    keys_of_one_etype_suffice(pair, AES128_SHA2);
}

fn keys_of_aes256_sha2_alone_suffice(pair: Pair) {
    keys_of_one_etype_suffice(pair, AES256_SHA2);
}

fn a_service_ticket_is_opened_with_the_services_keytab(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    seat.fetch(&[SERVICE]).succeeds();
    assert_opens(&seat, &keytab);
}

fn an_unknown_service_is_refused(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    seat.fetch(&["host/nowhere.example.org"]).fails();
}

fn flags_are_as_asked(pair: Pair) {
    let realm = pair.realm();
    realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    seat.kinit(&["-f", "-p", "alice"], "secret").succeeds();
    assert!(seat.tgt().has("FP"));
    seat.kinit(&["-F", "alice"], "secret").succeeds();
    let tgt = seat.tgt();
    assert!(!tgt.has("F") && !tgt.has("P"), "{tgt:?}");
    seat.kinit(&["-f", "alice"], "secret").succeeds();
    seat.fetch(&["--forwardable", SERVICE]).succeeds();
    assert!(seat.ticket(SERVICE).has("F"));
}

fn a_renewable_ticket_is_renewed(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["-l", "1h", "-r", "2d", "alice"], "secret").succeeds();
    let (first, before) = (seat.tgt(), std::fs::read(seat.ccache()).expect("the cache"));
    assert!(first.has("RI"), "{first:?}");
    seat.kinit(&["-R"], "").succeeds();
    let second = seat.tgt();
    assert!(second.has("R"), "{second:?}");
    assert_eq!((second.renew_until, second.life()), (first.renew_until, first.life()));
    assert_ne!(std::fs::read(seat.ccache()).expect("the cache"), before, "another ticket");
}

fn a_ticket_that_is_not_renewable_is_not_renewed(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    seat.kinit(&["-R"], "").fails();
}

fn a_postdated_ticket_is_of_no_use_before_its_start(pair: Pair) {
    let realm = pair.realm();
    realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    // Heimdal counts the life from now and not from the start.
    seat.kinit(&["-s", "2h", "-l", "3h", "alice"], "secret").succeeds();
    assert!(seat.tgt().has("di"));
    seat.kinit(&["-v"], "").fails();
    seat.fetch(&[SERVICE]).fails();
}

fn a_postdated_ticket_is_validated_once_its_start_has_come(pair: Pair) {
    let realm = pair.realm();
    realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    seat.kinit(&["-s", "2s", "-l", "1h", "alice"], "secret").succeeds();
    assert!(seat.tgt().has("di"));
    // Its start is the event to wait for; only the KDC can tell when it has come.
    let began = Instant::now();
    while !seat.kinit(&["-v"], "").is_success() {
        assert!(began.elapsed() < PATIENCE, "a postdated ticket never became valid");
    }
    assert!(!seat.tgt().has("i"));
    seat.fetch(&[SERVICE]).succeeds();
}

fn a_ticket_with_addresses_holds_for_them(pair: Pair) {
    let realm = pair.realm();
    realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    seat.set("no-addresses = no");
    seat.kinit(&["-a", "127.0.0.1", "-a", "192.0.2.7", "alice"], "secret").succeeds();
    let tgt = seat.tgt();
    assert!(["127.0.0.1", "192.0.2.7"].iter().all(|ip| tgt.addresses.iter().any(|found| found == ip)), "{tgt:?}");
    seat.fetch(&[SERVICE]).succeeds();
    assert_eq!(seat.ticket(SERVICE).addresses, tgt.addresses);
}

fn a_ticket_for_other_addresses_is_refused(pair: Pair) {
    let realm = pair.realm();
    realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    seat.set("no-addresses = no").set("scan_interfaces = no");
    let asked = seat.kinit(&["-a", "192.0.2.7", "alice"], "secret");
    let refused = if asked.is_success() { seat.fetch(&[SERVICE]) } else { asked };
    refused.fails();
}

fn a_client_that_speaks_only_tcp_is_served(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    seat.kdc_prefix("tcp/");
    seat.kinit(&["alice"], "secret").succeeds();
    seat.fetch(&[SERVICE]).succeeds();
    assert_opens(&seat, &keytab);
}

fn a_big_ticket_is_served(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    seat.set("no-addresses = no").set("large_message_size = 32000");
    let many: Vec<_> = (0..200).flat_map(|number| ["-a".to_owned(), format!("192.0.2.{number}")]).collect();
    let many: Vec<_> = many.iter().map(String::as_str).chain(["-a", "127.0.0.1", "alice"]).collect();
    seat.kinit(&many, "secret").succeeds();
    assert!(seat.tgt().addresses.len() > 200);
    seat.fetch(&[SERVICE]).succeeds();
    assert_opens(&seat, &keytab);
}
