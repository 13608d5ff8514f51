//! FAST (RFC 6113) between MIT's, Heimdal's and our programs: logins in the armor of a host's ticket,
//! and further tickets asked for in an envelope. Heimdal 7.8 has no FAST for the latter.

use std::path::PathBuf;

use tests::{Family, Pair, Realm, Said, Seat, suite};

const HOST: &str = "host/server.example.org";

suite! {
    mit_tools_our_kdc: Mit, Ours;
    our_tools_our_kdc: Ours, Ours;
    our_tools_mit_kdc: Ours, Mit;
    our_tools_heimdal_kdc: Ours, Heimdal;
    heimdal_tools_our_kdc: Heimdal, Ours;
    => {
        a_password_is_proven_in_the_armor_of_a_hosts_ticket;
        a_wrong_password_is_refused_in_armor_too;
        an_unknown_client_is_refused_in_armor_too;
        armor_that_has_ended_protects_nothing;
    }
}

mod further {
    use super::{suite, tickets_are_asked_for_in_fast_where_the_kdc_knows_it};

    suite! {
        mit_tools_our_kdc: Mit, Ours;
        our_tools_our_kdc: Ours, Ours;
        our_tools_mit_kdc: Ours, Mit;
        => { tickets_are_asked_for_in_fast_where_the_kdc_knows_it; }
    }
}

mod ours {
    use super::{
        a_login_finds_its_armor_in_the_hosts_keytab, a_principal_can_be_made_to_need_armor, krb5_conf_asks_for_armor,
        suite,
    };

    suite! {
        our_tools_our_kdc: Ours, Ours;
        => {
            a_principal_can_be_made_to_need_armor;
            a_login_finds_its_armor_in_the_hosts_keytab;
            krb5_conf_asks_for_armor;
        }
    }
}

/// A realm with a host, and a cache with the host's ticket.
fn with_armor<'a>(pair: Pair, realm: &'a Realm) -> (Seat<'a>, PathBuf) {
    let keytab = realm.add_service(HOST);
    let seat = pair.seat(realm);
    let armor = seat.path("armor");
    let cache = format!("FILE:{}", armor.display());
    seat.tool("kinit").args(["-k", "-t"]).args([keytab]).args(["-c", &cache, HOST]).run().succeeds();
    (seat, armor)
}

fn kinit(pair: Pair, seat: &Seat<'_>, armor: &std::path::Path, who: &str, password: &str) -> Said {
    let cache = format!("FILE:{}", armor.display());
    match pair.client {
        Family::Heimdal => seat.kinit(&[&format!("--fast-armor-cache={cache}"), who], password),
        _ => seat.kinit(&["-T", &cache, who], password),
    }
}

/// By which method the login was, as the cache has it.
fn method(seat: &Seat<'_>) -> String {
    let listing = seat.program(Family::Mit.program("klist")).args(["-C"]).run().succeeds();
    let line = listing.stdout().lines().find(|line| line.contains("pa_type")).unwrap_or_default().to_owned();
    line.rsplit(' ').next().unwrap_or_default().to_owned()
}

fn a_password_is_proven_in_the_armor_of_a_hosts_ticket(pair: Pair) {
    // MIT's KDC takes the realm outside of Heimdal's envelope for none of its own, and says nothing.
    if (pair.client, pair.kdc) == (Family::Heimdal, Family::Mit) {
        return;
    }
    let realm = pair.realm();
    let (seat, armor) = with_armor(pair, &realm);
    kinit(pair, &seat, &armor, "alice", "secret").succeeds();
    assert!(seat.tgt().has("IA"));
    // Heimdal 7.8 knows no encrypted challenge, and writes nothing down.
    if pair.client != Family::Heimdal && Family::Mit.has_clients() {
        assert_eq!(method(&seat), if pair.kdc == Family::Heimdal { "2" } else { "138" });
    }
}

fn a_wrong_password_is_refused_in_armor_too(pair: Pair) {
    let realm = pair.realm();
    let (seat, armor) = with_armor(pair, &realm);
    kinit(pair, &seat, &armor, "alice", "wrong").fails();
}

fn an_unknown_client_is_refused_in_armor_too(pair: Pair) {
    let realm = pair.realm();
    let (seat, armor) = with_armor(pair, &realm);
    kinit(pair, &seat, &armor, "nobody", "secret").fails();
}

fn armor_that_has_ended_protects_nothing(pair: Pair) {
    let realm = pair.realm();
    let (seat, armor) = with_armor(pair, &realm);
    realm.change("krbtgt/EXAMPLE.ORG", tests::Secret::Random);
    // The KDC's own key is new, so the armor does not open any more.
    kinit(pair, &seat, &armor, "alice", "secret").fails();
}

fn tickets_are_asked_for_in_fast_where_the_kdc_knows_it(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(HOST);
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    seat.fetch(&["-k", &keytab.display().to_string(), HOST]).succeeds().saying("keytab entry valid");
    seat.fetch(&["host/nowhere.example.org"]).fails();
    let words =
        if pair.client == Family::Mit { "Encoding request body and padata into FAST request" } else { "in FAST" };
    assert!(seat.trace().contains(words), "{}", seat.trace());
}

fn a_principal_can_be_made_to_need_armor(pair: Pair) {
    let realm = pair.realm();
    let (seat, armor) = with_armor(pair, &realm);
    if pair.kdc != Family::Ours {
        return;
    }
    realm.query(&["setstr", "alice", "require_armor", "true"]);
    seat.kinit(&["alice"], "secret").fails();
    kinit(pair, &seat, &armor, "alice", "secret").succeeds();
}

fn a_login_finds_its_armor_in_the_hosts_keytab(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(HOST);
    let seat = pair.seat(&realm);
    if pair.client != Family::Ours {
        return;
    }
    let login = || seat.tool("kinit").args(["--armor", "auto", "alice"]).stdin("secret\n".to_owned());
    login().env("KRB5_KTNAME", seat.path("none")).run().fails().saying("No armor");
    login().env("KRB5_KTNAME", keytab).run().succeeds();
    assert!(seat.trace().contains("in the armor of host/server.example.org"), "{}", seat.trace());
}

fn krb5_conf_asks_for_armor(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(HOST);
    let seat = pair.seat(&realm);
    if pair.client != Family::Ours {
        return;
    }
    let text = std::fs::read_to_string(seat.configuration()).expect("krb5.conf");
    let text = text.replace("  kdc =", "  auto_fast_armor = true\n  kdc =");
    std::fs::write(seat.configuration(), text).expect("krb5.conf");
    let login = || seat.tool("kinit").args(["alice"]).stdin("secret\n".to_owned());
    login().env("KRB5_KTNAME", seat.path("none")).run().succeeds();
    assert!(!seat.trace().contains("in the armor of"), "{}", seat.trace());
    login().env("KRB5_KTNAME", keytab).run().succeeds();
    assert!(seat.trace().contains("in the armor of host/server.example.org"), "{}", seat.trace());
}
