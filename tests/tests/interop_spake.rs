//! Logins by SPAKE (RFC 9588): MIT's clients against our KDC, ours against MIT's and ours. Heimdal has
//! no SPAKE.

use libkrb::ccache::Ccache;
use libkrb::codes::PaType;
use tests::{AES128_SHA1, AES128_SHA2, AES256_SHA1, AES256_SHA2, CAMELLIA256, Family, Pair, Plan, Realm, Seat, suite};

const GROUPS: [&str; 4] = ["edwards25519", "P-256", "P-384", "P-521"];

suite! {
    mit_tools_our_kdc: Mit, Ours;
    our_tools_our_kdc: Ours, Ours;
    our_tools_mit_kdc: Ours, Mit;
    => {
        a_password_is_proven_by_spake_in_every_group;
        keys_of_every_enctype_are_proven;
        a_challenge_that_nobody_asked_for_is_answered;
        without_a_common_group_another_method_is_used;
        a_wrong_password_is_refused_and_shown_to_nobody;
        a_realm_without_spake_gets_no_timestamp_where_that_is_disabled;
        a_password_is_proven_by_spake_in_armor_too;
    }
}

/// A realm whose KDC allows these groups and sends challenges in that one unasked.
fn realm_with(pair: Pair, plan: Plan, groups: &[&str], challenge: Option<&str>) -> Realm {
    let mut realm = pair.realm_of(plan);
    let edit = |file: &str, section: &str, lines: &str| {
        let path = realm.folder().join(file);
        let text = std::fs::read_to_string(&path).expect("a configuration");
        assert!(text.contains(section), "{section} in {text}");
        std::fs::write(&path, text.replacen(section, &format!("{section}{lines}"), 1)).expect("a configuration");
    };
    match pair.kdc {
        Family::Ours => {
            let challenge = challenge.map(|group| format!("challenge = \"{group}\"\n")).unwrap_or_default();
            edit("kdc/kdc.toml", "[spake]\n", &format!("groups = {groups:?}\n{challenge}"));
        }
        _ => {
            let names = groups.join(",");
            // MIT takes no empty list.
            if !groups.is_empty() {
                edit("kdc-krb5.conf", "[libdefaults]\n", &format!(" spake_preauth_groups = {names}\n"));
            }
            if let Some(group) = challenge {
                edit("kdc.conf", "[kdcdefaults]\n", &format!(" spake_preauth_kdc_challenge = {group}\n"));
            }
        }
    }
    realm.restart();
    realm
}

fn a_password_is_proven_by_spake_in_armor_too(pair: Pair) {
    const HOST: &str = "host/server.example.org";
    let realm = realm_with(pair, Plan::default(), &GROUPS, None);
    let keytab = realm.add_service(HOST);
    for group in &GROUPS[..2] {
        let seat = pair.seat(&realm);
        seat.set(&format!("spake_preauth_groups = {group}"));
        seat.set(&format!("preferred_preauth_types = {}", PaType::SPAKE.0));
        let armor = seat.path("armor");
        let cache = armor.to_str().expect("a path");
        seat.kinit_with(&keytab, &["-c", cache, HOST]).succeeds();
        seat.kinit(&["-T", cache, "alice"], "secret").succeeds();
        assert_eq!(method(&seat), PaType::SPAKE, "{group}: {}", seat.trace());
        seat.kinit(&["-T", cache, "alice"], "wrong").fails_with(1).saying("Password incorrect");
    }
}

/// How the client proved itself, as its cache remembers it.
fn method(seat: &Seat<'_>) -> PaType {
    let cache = Ccache::parse(&std::fs::read(seat.ccache()).expect("a cache")).expect("a cache");
    let tgs = libkrb::Principal::tgs("EXAMPLE.ORG");
    let kind = cache.config("pa_type", Some(&tgs)).expect("pa_type");
    PaType(String::from_utf8_lossy(kind).parse().expect("a number"))
}

fn a_password_is_proven_by_spake_in_every_group(pair: Pair) {
    let realm = realm_with(pair, Plan::default(), &GROUPS, None);
    for group in GROUPS {
        let seat = pair.seat(&realm);
        seat.set(&format!("spake_preauth_groups = {group}"));
        seat.kinit(&["alice"], "secret").succeeds();
        assert_eq!(method(&seat), PaType::SPAKE, "{group}: {}", seat.trace());
        assert!(seat.tgt().has("IA"), "{group}");
    }
}

fn keys_of_every_enctype_are_proven(pair: Pair) {
    for etype in [AES128_SHA1, AES256_SHA1, AES128_SHA2, AES256_SHA2, CAMELLIA256] {
        let realm = realm_with(pair, Plan::default().with_etypes(&[etype]), &GROUPS[..1], None);
        let seat = pair.seat(&realm);
        seat.kinit(&["alice"], "secret").succeeds();
        assert_eq!(method(&seat), PaType::SPAKE, "{}", etype.name);
    }
}

fn a_challenge_that_nobody_asked_for_is_answered(pair: Pair) {
    let realm = realm_with(pair, Plan::default(), &GROUPS, Some("edwards25519"));
    for group in &GROUPS[..2] {
        let seat = pair.seat(&realm);
        seat.set(&format!("spake_preauth_groups = {group}"));
        seat.kinit(&["alice"], "secret").succeeds();
        assert_eq!(method(&seat), PaType::SPAKE, "{group}");
    }
}

fn without_a_common_group_another_method_is_used(pair: Pair) {
    let realm = realm_with(pair, Plan::default(), &GROUPS[..1], None);
    let seat = pair.seat(&realm);
    seat.set("spake_preauth_groups = P-521");
    seat.kinit(&["alice"], "secret").succeeds();
    assert_eq!(method(&seat), PaType::ENC_TIMESTAMP);
}

fn a_wrong_password_is_refused_and_shown_to_nobody(pair: Pair) {
    let realm = realm_with(pair, Plan::default(), &GROUPS[..1], None);
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "wrong").fails_with(1).saying("Password incorrect while getting initial credentials");
    if pair.client == Family::Ours {
        assert!(!seat.trace().contains("chosen: enc-timestamp"), "{}", seat.trace());
    }
    assert!(!seat.ccache().exists());
}

fn a_realm_without_spake_gets_no_timestamp_where_that_is_disabled(pair: Pair) {
    let realm = realm_with(pair, Plan::default(), &[], None);
    let seat = pair.seat(&realm);
    let path = seat.configuration();
    let text = std::fs::read_to_string(&path).expect("a configuration");
    let text = text.replacen("EXAMPLE.ORG = {\n", "EXAMPLE.ORG = {\n  disable_encrypted_timestamp = true\n", 1);
    assert!(text.contains("disable_encrypted_timestamp"), "{text}");
    std::fs::write(&path, text).expect("a configuration");
    seat.kinit(&["alice"], "secret").fails();
    assert!(!seat.ccache().exists());
}
