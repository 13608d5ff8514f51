//! Certificates and FAST with MIT's programs, from both sides: armor of nobody's ticket, a certificate that is
//! shown in armor, and what a cache remembers of it.

use libkrb::Principal;
use libkrb::ccache::Ccache;
use tests::{Family, Pair, Realm, Seat, Tool, suite};

use crate::peers::{file, kinit, place, realm};

const HOST: &str = "host/server.example.org";

suite! {
    mit_tools_our_kdc: Mit, Ours;
    our_tools_our_kdc: Ours, Ours;
    our_tools_mit_kdc: Ours, Mit;
    => {
        a_password_is_proven_in_the_armor_of_nobodys_ticket;
        a_certificate_is_shown_in_the_armor_of_a_hosts_ticket;
        a_login_is_repeated_as_its_cache_remembers_it;
        a_key_is_derived_by_the_better_way_that_both_know;
    }
}

mod found {
    use super::{
        krb5_conf_asks_for_armor_of_nobody, nobodys_armor_is_found_by_itself, suite,
        without_an_authority_there_is_no_armor_of_nobody,
    };

    suite! {
        our_tools_our_kdc: Ours, Ours;
        our_tools_mit_kdc: Ours, Mit;
        => {
            nobodys_armor_is_found_by_itself;
            krb5_conf_asks_for_armor_of_nobody;
            without_an_authority_there_is_no_armor_of_nobody;
        }
    }
}

/// A realm that gives tickets to nobody in particular.
fn open_realm(pair: Pair) -> Realm {
    let realm = realm(pair);
    realm.add("WELLKNOWN/ANONYMOUS", tests::Secret::Random, &[]);
    realm
}

/// A seat that believes the realm's authority.
fn believing(pair: Pair, realm: &Realm) -> Seat<'_> {
    let seat = pair.seat(realm);
    seat.set(&format!("pkinit_anchors = FILE:{}", file("ca.crt")));
    seat
}

/// What the cache remembers of the login.
fn remembered(seat: &Seat<'_>, key: &str) -> String {
    let cache = Ccache::parse(&std::fs::read(seat.ccache()).expect("a cache")).expect("a cache");
    let value = cache.config(key, Some(&Principal::tgs("EXAMPLE.ORG"))).unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

fn a_password_is_proven_in_the_armor_of_nobodys_ticket(pair: Pair) {
    let realm = open_realm(pair);
    let seat = believing(pair, &realm);
    let armor = seat.path("armor");
    let armor = armor.to_str().expect("a path");
    seat.tool("kinit").args(["-n", "-c", armor, "@EXAMPLE.ORG"]).run().succeeds();
    seat.kinit(&["-T", armor, "alice"], "secret").succeeds();
    assert_eq!(remembered(&seat, "pa_type"), "138", "{}", seat.trace());
    seat.kinit(&["-T", armor, "alice"], "wrong").fails();
}

/// `kinit alice` where no keytab is.
fn login(seat: &Seat<'_>, arguments: &[&str]) -> Tool {
    let tool = seat.tool("kinit").args(arguments).args(["alice"]).stdin("secret\n".to_owned());
    tool.env("KRB5_KTNAME", seat.path("none"))
}

const NOBODY: &str = "in the armor of WELLKNOWN/ANONYMOUS";

fn nobodys_armor_is_found_by_itself(pair: Pair) {
    if pair.client != Family::Ours {
        return;
    }
    let realm = open_realm(pair);
    let seat = believing(pair, &realm);
    login(&seat, &["--armor", "auto"]).run().succeeds();
    assert_eq!(remembered(&seat, "pa_type"), "138");
    assert!(seat.trace().contains(NOBODY), "{}", seat.trace());
    let other = pair.seat(&realm);
    let anchors = format!("X509_anchors=FILE:{}", file("ca.crt"));
    login(&other, &["-T", "auto", "-X", &anchors]).run().succeeds();
    assert!(other.trace().contains(NOBODY), "{}", other.trace());
}

fn krb5_conf_asks_for_armor_of_nobody(pair: Pair) {
    if pair.client != Family::Ours {
        return;
    }
    let realm = open_realm(pair);
    let seat = believing(pair, &realm);
    let text = std::fs::read_to_string(seat.configuration()).expect("krb5.conf");
    std::fs::write(seat.configuration(), text.replace("  kdc =", "  auto_fast_armor = true\n  kdc ="))
        .expect("krb5.conf");
    login(&seat, &[]).run().succeeds();
    assert!(seat.trace().contains(NOBODY), "{}", seat.trace());
}

fn without_an_authority_there_is_no_armor_of_nobody(pair: Pair) {
    if pair.client != Family::Ours {
        return;
    }
    let realm = open_realm(pair);
    let seat = pair.seat(&realm);
    login(&seat, &["--armor", "auto"]).run().fails_with(1).saying("No armor").saying("`pkinit_anchors`");
    let wrong = format!("X509_anchors=FILE:{}", file("other-ca.crt"));
    login(&seat, &["--armor", "auto", "-X", &wrong]).run().fails_with(1).saying("an anonymous ticket: ");
}

fn a_certificate_is_shown_in_the_armor_of_a_hosts_ticket(pair: Pair) {
    let realm = realm(pair);
    let keytab = realm.add_service(HOST);
    let seat = pair.seat(&realm);
    let armor = seat.path("armor");
    let armor = armor.to_str().expect("a path");
    seat.kinit_with(&keytab, &["-c", armor, HOST]).succeeds();
    kinit(pair, &seat, &place("alice"), "alice").args(["-T", armor]).run().succeeds();
    assert!(seat.tgt().has("IA"));
    assert_eq!(remembered(&seat, "pa_type"), "16", "{}", seat.trace());
    // Nobody's name goes with a certificate in an envelope, and another's neither.
    let other = pair.seat(&realm);
    kinit(pair, &other, &place("bob"), "alice").args(["-T", armor]).run().fails();
}

fn a_login_is_repeated_as_its_cache_remembers_it(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    kinit(pair, &seat, &place("alice"), "alice").run().succeeds();
    assert_eq!(remembered(&seat, "pa_type"), "16");
    assert_eq!(remembered(&seat, "pa_config_data"), format!("{{\"X509_user_identity\":\"{}\"}}", place("alice")));
    let again = seat.path("again");
    let (former, again) = (seat.ccache(), again.to_str().expect("a path"));
    let former = former.to_str().expect("a path");
    seat.tool("kinit").args(["-I", former, "-c", again, "alice"]).run().succeeds();
    // A password is no answer where a certificate was.
    let other = pair.seat(&realm);
    other.kinit(&["alice"], "secret").succeeds();
    other.kinit(&["-I", former, "alice"], "secret").fails();
}

fn a_key_is_derived_by_the_better_way_that_both_know(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    kinit(pair, &seat, &place("alice"), "alice").run().succeeds();
    let words = match pair.client {
        // id-pkinit-kdf-ah-sha512 and -sha256, without their length.
        Family::Mit => ["2B06010502030602", "2B06010502030603"],
        _ => ["derived with SHA-256", "derived with SHA-512"],
    };
    let trace = seat.trace();
    assert!(words.iter().any(|word| trace.contains(word)), "{trace}");
}
