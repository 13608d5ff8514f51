//! Logins by certificate with MIT's and Heimdal's programs, from both sides.

use std::path::{Path, PathBuf};

use tests::{Family, Pair, Realm, Seat, Tool, suite};

suite! {
    mit_tools_our_kdc: Mit, Ours;
    our_tools_our_kdc: Ours, Ours;
    our_tools_mit_kdc: Ours, Mit;
    => {
        a_certificate_opens_a_tgt;
        a_certificate_in_pkcs12_opens_a_tgt;
        a_certificate_whose_key_is_sealed_opens_a_tgt;
        a_certificate_that_the_environment_names_opens_a_tgt;
        a_certificate_that_krb5_conf_names_opens_a_tgt;
        a_certificate_of_another_principal_is_refused;
        a_certificate_of_an_unknown_authority_is_refused;
        an_expired_certificate_is_refused;
        a_revoked_certificate_is_refused;
        a_kdc_with_another_authority_is_not_believed;
        a_rule_beside_the_principal_chooses_the_certificate;
        nobody_gets_a_ticket_without_a_name_and_with_it_one_for_a_service;
    }
}

/// What Heimdal has of it; its programs have other options.
mod heimdal {
    use super::{a_certificate_opens_a_tgt, nobody_gets_a_ticket_without_a_name_and_with_it_one_for_a_service, suite};

    suite! {
        heimdal_tools_our_kdc: Heimdal, Ours;
        our_tools_heimdal_kdc: Ours, Heimdal;
        => { a_certificate_opens_a_tgt; }
    }

    suite! {
        heimdal_tools_of_nobody_our_kdc: Heimdal, Ours;
        => { nobody_gets_a_ticket_without_a_name_and_with_it_one_for_a_service; }
    }
}

pub(crate) fn file(name: &str) -> String {
    format!("{}/vectors/pkinit/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A realm whose KDC has this certificate, and believes the authority of the others.
fn realm_of(pair: Pair, certificate: &str) -> Realm {
    let mut realm = pair.realm();
    realm.add("bob", "secret", &[]);
    let (kdc, ca, crl) = (file(certificate), file("ca.crt"), file("ca.crl"));
    let edit = |path: PathBuf, from: &str, to: String| {
        let text = std::fs::read_to_string(&path).expect("settings");
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replacen(from, &to, 1)).expect("settings");
    };
    let folder: &Path = realm.folder();
    match realm.family() {
        Family::Ours => edit(
            folder.join("kdc/kdc.toml"),
            "[pkinit]\n",
            format!("[pkinit]\nidentity = \"FILE:{kdc},{kdc}\"\nanchors = [\"{ca}\"]\ncrls = [\"{crl}\"]\n"),
        ),
        Family::Mit => edit(
            folder.join("kdc.conf"),
            "  max_life",
            format!(
                "  pkinit_identity = FILE:{kdc},{kdc}\n  pkinit_anchors = FILE:{ca}\n  pkinit_revoke = FILE:{crl}\n  \
                 max_life"
            ),
        ),
        Family::Heimdal => edit(
            folder.join("kdc-krb5.conf"),
            "[kdc]\n",
            format!("[kdc]\n enable-pkinit = yes\n pkinit_identity = FILE:{kdc}\n pkinit_anchors = FILE:{ca}\n"),
        ),
    }
    realm.restart();
    realm
}

pub(crate) fn realm(pair: Pair) -> Realm {
    realm_of(pair, "kdc.pem")
}

/// A `kinit` by certificate.
pub(crate) fn kinit(pair: Pair, seat: &Seat<'_>, place: &str, principal: &str) -> Tool {
    let ca = file("ca.crt");
    seat.set(&format!("pkinit_anchors = FILE:{ca}"));
    strong(pair, seat);
    match pair.client {
        Family::Heimdal => {
            seat.tool("kinit").args([&format!("--pk-user={place}"), &format!("--x509-anchors=FILE:{ca}"), principal])
        }
        _ => seat.tool("kinit").args(["-X", &format!("X509_user_identity={place}"), principal]),
    }
}

/// Heimdal's clients would begin with 1024 bits, and its table says of group 14 that it has 1760.
fn strong(pair: Pair, seat: &Seat<'_>) {
    if pair.client == Family::Heimdal {
        seat.set("pkinit_dh_min_bits = 1700");
    }
}

pub(crate) fn place(who: &str) -> String {
    let pem = file(&format!("{who}.pem"));
    format!("FILE:{pem},{pem}")
}

fn refused(pair: Pair, who: &str) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    // Without a password to fall back on.
    kinit(pair, &seat, &place(who), "alice").run().fails();
}

fn a_certificate_opens_a_tgt(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    kinit(pair, &seat, &place("alice"), "alice").run().succeeds();
    assert!(seat.tgt().has("IA"), "{:?}", seat.tgt());
}

fn a_certificate_in_pkcs12_opens_a_tgt(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    let place = format!("PKCS12:{}", file("alice.p12"));
    kinit(pair, &seat, &place, "alice").stdin("secret\n").run().succeeds();
    assert!(seat.tgt().has("IA"));
}

fn a_certificate_whose_key_is_sealed_opens_a_tgt(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    kinit(pair, &seat, &place("alice-locked"), "alice").stdin("secret\n").run().succeeds();
    assert!(seat.tgt().has("IA"));
    kinit(pair, &seat, &place("alice-locked"), "alice").stdin("wrong\n").run().fails();
}

fn a_certificate_that_the_environment_names_opens_a_tgt(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    kinit(pair, &seat, "ENV:ALICE", "alice").env("ALICE", place("alice")).run().succeeds();
    kinit(pair, &seat, "ENV:NOBODY", "alice").run().fails();
}

fn a_certificate_that_krb5_conf_names_opens_a_tgt(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    seat.set(&format!("pkinit_anchors = FILE:{}", file("ca.crt")));
    seat.set(&format!("pkinit_identities = {}", place("alice")));
    seat.tool("kinit").args(["alice"]).run().succeeds();
    assert!(seat.tgt().has("IA"));
}

fn a_certificate_of_another_principal_is_refused(pair: Pair) {
    refused(pair, "bob");
}

fn a_certificate_of_an_unknown_authority_is_refused(pair: Pair) {
    refused(pair, "alice-unknown-ca");
}

fn an_expired_certificate_is_refused(pair: Pair) {
    refused(pair, "alice-expired");
}

fn a_revoked_certificate_is_refused(pair: Pair) {
    refused(pair, "alice-revoked");
}

fn a_kdc_with_another_authority_is_not_believed(pair: Pair) {
    let realm = realm_of(pair, "alice-unknown-ca.pem");
    let seat = pair.seat(&realm);
    kinit(pair, &seat, &place("alice"), "alice").run().fails();
}

fn a_rule_beside_the_principal_chooses_the_certificate(pair: Pair) {
    let realm = realm(pair);
    realm.query(&["setstr", "alice", "pkinit_cert_match", "<SUBJECT>CN=alice-nameless<EKU>pkinit"]);
    let seat = pair.seat(&realm);
    kinit(pair, &seat, &place("alice-nameless"), "alice").run().succeeds();
    let other = pair.seat(&realm);
    kinit(pair, &other, &place("alice"), "alice").run().fails();
}

fn nobody_gets_a_ticket_without_a_name_and_with_it_one_for_a_service(pair: Pair) {
    let realm = realm(pair);
    realm.add("WELLKNOWN/ANONYMOUS", tests::Secret::Random, &[]);
    realm.add_service("host/web.example.org");
    let seat = pair.seat(&realm);
    let ca = file("ca.crt");
    seat.set(&format!("pkinit_anchors = FILE:{ca}"));
    strong(pair, &seat);
    let tool = seat.tool("kinit");
    match pair.client {
        Family::Heimdal => tool.args(["--anonymous", &format!("--x509-anchors=FILE:{ca}"), "@EXAMPLE.ORG"]),
        _ => tool.args(["-n", "@EXAMPLE.ORG"]),
    }
    .run()
    .succeeds();
    let tgt = seat.tgt();
    assert!(tgt.has("Ia"), "initial and anonymous: {tgt:?}");
    if pair.client != Family::Heimdal {
        seat.tool("kvno").args(["host/web.example.org"]).run().succeeds();
        assert!(seat.ticket("host/web.example.org").has("a"));
    }
}

/// MIT's KDC knows nobody by a certificate with the stores that it has here.
fn a_service_gets_a_ticket_in_the_name_of_whom_a_certificate_is_of(pair: Pair) {
    const GATEWAY: &str = "HTTP/gateway.example.org";
    let realm = realm(pair);
    let keytab = realm.add_service(GATEWAY);
    let seat = pair.seat(&realm);
    seat.kinit_with(&keytab, &[GATEWAY]).succeeds();
    let kvno = |who: &str| {
        let pem = file(&format!("{who}.pem"));
        seat.tool("kvno").args(["-k"]).args([&keytab]).args(["-F", &pem, GATEWAY]).run()
    };
    kvno("alice").succeeds().saying("HTTP/gateway.example.org@EXAMPLE.ORG: kvno = 1, keytab entry valid");
    realm.says("on_behalf_of=\"alice@EXAMPLE.ORG\"");
    for distrusted in ["alice-expired", "alice-unknown-ca"] {
        kvno(distrusted).fails_with(1).saying("not found");
    }
}

#[test]
fn our_kvno_names_a_user_by_a_certificate() {
    a_service_gets_a_ticket_in_the_name_of_whom_a_certificate_is_of(Pair { client: Family::Ours, kdc: Family::Ours });
}

#[test]
fn mits_kvno_names_a_user_by_a_certificate() {
    if let Some(pair) = Pair::present(Family::Mit, Family::Ours).filter(|pair| pair.kdc == Family::Ours) {
        a_service_gets_a_ticket_in_the_name_of_whom_a_certificate_is_of(pair);
    }
}
