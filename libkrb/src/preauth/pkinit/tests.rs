use super::client::{Ask, Asked, KdcPurpose, KdcRules};
use super::kdc::{Request, Terms};
use super::*;
use crate::codes::EncryptionType;
use crate::crypto::OsRandom;
use crate::error::ErrorCode;
use crate::name::Principal;
use crate::time::{Instant, Time};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// 2026-11-22
const NOW: Time = Time(1_795_300_000);
const BODY: &[u8] = b"KDC-REQ-BODY";
const NO_PATH: &str = "no path leads from the certificate to one of ours";
const REQUEST: &[u8] = b"AS-REQ";

fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/../tests/vectors/pkinit/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn identity(name: &str) -> Identity {
    let pem = file(&format!("{name}.pem"));
    Identity::from_pem(&pem, &pem).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn trust() -> Trust {
    Trust::from_pem(&file("ca.crt"), b"", b"").unwrap()
}

fn alice() -> Principal {
    Principal::parse("alice@EXAMPLE.ORG", None).unwrap()
}

fn ask(identity: Option<&Identity>, group: Group) -> (Vec<u8>, Asked) {
    let now = Instant { time: NOW, micros: 7 };
    let mut nonce = [0; 4];
    OsRandom::new().fill(&mut nonce);
    let nonce = u32::from_be_bytes(nonce);
    let ask = Ask { identity, trust: &trust(), group, now, body: BODY, nonce, freshness: Some(b"fresh"), plain: false };
    ask.request(&mut OsRandom::new()).unwrap()
}

fn binding<'a>(client: &'a Principal, server: &'a Principal, reply: &'a [u8]) -> Binding<'a> {
    Binding { etype: EncryptionType::AES256_SHA1, client, server, request: REQUEST, reply }
}

/// What a KDC of this identity answers, and its reply key.
fn answer(terms: &Terms<'_>, kdc: &Identity, client: &Principal) -> (Vec<u8>, Key) {
    let (reply, secret) = terms.answer(kdc, &mut OsRandom::new()).unwrap();
    let key = binding(client, &Principal::tgs("EXAMPLE.ORG"), &reply).reply_key(&secret, terms.kdf).unwrap();
    (reply, key)
}

fn reply_key(asked: &Asked, reply: &[u8], rules: &KdcRules) -> Result<Key> {
    let (alice, tgs) = (alice(), Principal::tgs("EXAMPLE.ORG"));
    asked.reply_key(&binding(&alice, &tgs, reply), &trust(), rules, NOW).map(|(key, _)| key)
}

/// What the KDC finds of a client with this identity, under these anchors.
fn found(trust: &Trust, name: &str) -> Result<(), Distrust> {
    let (value, _) = ask(Some(&identity(name)), Group::P256);
    let request = Request::read(&value)?;
    let claim = request.claim.expect("signed");
    trust.check(&claim.certificate, &claim.others, NOW)?;
    claim.verify()?;
    claim.certificate.check_purpose(&[Purpose::PkinitClient, Purpose::SmartcardLogon])
}

#[test]
fn client_and_kdc_agree_on_a_key_in_every_group_with_every_kind_of_certificate() {
    let names = ["alice", "alice-p256", "alice-p384", "alice-p521", "alice-smartcard"];
    let kdcs = [identity("kdc"), identity("kdc-p256")];
    for ((name, group), kdc) in names.iter().zip(Group::ALL).zip(kdcs.iter().cycle()) {
        let (value, asked) = ask(Some(&identity(name)), group);
        let request = Request::read(&value).unwrap();
        assert_eq!(found(&trust(), name), Ok(()), "{name}");
        assert_eq!(request.check_body(BODY), Ok(()));
        assert_eq!(request.pack.authenticator.freshness_token, Some(b"fresh".as_slice()));
        let terms = request.terms(&(Group::Modp2048..=Group::P521)).unwrap();
        assert_eq!((terms.group, terms.kdf), (group, Some(Kdf::Sha512)));
        let (reply, theirs) = answer(&terms, kdc, &alice());
        let ours = reply_key(&asked, &reply, &KdcRules::default()).unwrap();
        assert!(ours.same_as(&theirs), "{name}");
    }
}

#[test]
fn what_a_certificate_lacks_is_told_by_its_code() {
    for (name, code) in [
        ("alice-unknown-ca", ErrorCode::CANT_VERIFY_CERTIFICATE),
        ("alice-long-issuer", ErrorCode::CANT_VERIFY_CERTIFICATE),
        ("alice-chainless", ErrorCode::CANT_VERIFY_CERTIFICATE),
        ("alice-other-ca", ErrorCode::INVALID_CERTIFICATE),
        ("alice-expired", ErrorCode::INVALID_CERTIFICATE),
        ("alice-future", ErrorCode::INVALID_CERTIFICATE),
        ("alice-sha1", ErrorCode::DIGEST_IN_CERT_NOT_ACCEPTED),
        ("alice-tls", ErrorCode::INCONSISTENT_KEY_PURPOSE),
        ("alice-no-purpose", ErrorCode::INCONSISTENT_KEY_PURPOSE),
        ("alice-encipher", ErrorCode::INCONSISTENT_KEY_PURPOSE),
    ] {
        assert_eq!(found(&trust(), name).unwrap_err().code, code, "{name}");
    }
    assert_eq!(found(&trust(), "alice-chain"), Ok(()));
    assert_eq!(found(&trust(), "alice-revoked"), Ok(()), "nobody said that it was revoked");
}

#[test]
fn short_keys_neither_sign_here_nor_are_believed() {
    let pem = file("alice-rsa1024.pem");
    let refused = Identity::from_pem(&pem, &pem).unwrap_err().to_string();
    assert!(refused.contains("2048"), "{refused}");
    let der = trust::certificates(&pem).unwrap();
    let certificate = Certificate::parse(&der[0]).unwrap();
    assert!(!crate::crypto::public::key_is_strong(&certificate.key));
}

#[test]
fn intermediates_of_our_own_make_up_for_those_that_do_not_come() {
    let trust = Trust::from_pem(&file("ca.crt"), &file("between.crt"), b"").unwrap();
    assert_eq!(found(&trust, "alice-chainless"), Ok(()));
}

#[test]
fn revocation_lists_are_believed_while_they_are_current() {
    let listed = |list: &str| Trust::from_pem(&file("ca.crt"), b"", &file(list)).unwrap();
    let current = listed("ca.crl");
    assert_eq!(found(&current, "alice"), Ok(()));
    assert_eq!(found(&current, "alice-revoked").unwrap_err().code, ErrorCode::REVOKED_CERTIFICATE);
    let unknown = ErrorCode::REVOCATION_STATUS_UNKNOWN;
    assert_eq!(found(&listed("ca-old.crl"), "alice").unwrap_err().code, unknown);
    assert_eq!(found(&trust().requiring_revocation(true), "alice").unwrap_err().code, unknown);
    assert_eq!(found(&listed("ca.crl").requiring_revocation(true), "alice"), Ok(()));
}

#[test]
fn a_remembered_path_is_forgotten_with_time_and_with_the_certificate() {
    let trust = trust();
    let soon = identity("alice-soon");
    let certificate = soon.certificate().unwrap();
    let check = |now| trust.check(&certificate, &[], now);
    assert!(check(NOW).is_ok() && check(NOW + 1).is_ok());
    assert_eq!(check(certificate.not_after + 1).unwrap_err().code, ErrorCode::INVALID_CERTIFICATE);
    let just_before = certificate.not_after - 1;
    assert!(check(just_before).is_ok());
    assert_eq!(check(certificate.not_after + 1).unwrap_err().code, ErrorCode::INVALID_CERTIFICATE);
}

#[test]
fn every_octet_of_a_request_is_under_its_signature_or_of_no_meaning() {
    let (value, _) = ask(Some(&identity("alice-p256")), Group::P256);
    let request = Request::read(&value).unwrap();
    let content = wire::encode(&request.pack);
    let start = value.windows(content.len()).position(|window| window == content).unwrap();
    for at in start..start + content.len() {
        let mut changed = value.clone();
        changed[at] ^= 1;
        let Ok(request) = Request::read(&changed) else { continue };
        assert_eq!(request.claim.unwrap().verify().unwrap_err().code, ErrorCode::INVALID_SIG, "octet {at}");
    }
}

#[test]
fn a_request_is_good_for_its_own_body_only() {
    let (value, _) = ask(Some(&identity("alice")), Group::P256);
    let request = Request::read(&value).unwrap();
    assert_eq!(request.check_body(b"another").unwrap_err().code, ErrorCode::MODIFIED);
    let mut pack = request.pack;
    pack.authenticator.checksum = None;
    let request = Request { pack, claim: None, content: &[] };
    assert_eq!(request.check_body(BODY).unwrap_err().code, ErrorCode::PA_CHECKSUM_MUST_BE_INCLUDED);
}

#[test]
fn groups_that_are_too_weak_unknown_or_none_at_all_are_refused_with_those_that_are_not() {
    let (value, _) = ask(Some(&identity("alice")), Group::Modp2048);
    let mut request = Request::read(&value).unwrap();
    let refused = request.terms(&(Group::P384..=Group::P521)).unwrap_err().code;
    assert_eq!(refused, ErrorCode::DH_KEY_PARAMETERS_NOT_ACCEPTED);
    request.pack.client_public_value = None;
    let refused = request.terms(&(Group::Modp2048..=Group::P521)).unwrap_err().code;
    assert_eq!(refused, ErrorCode::PUBLIC_KEY_ENCRYPTION_NOT_SUPPORTED);
    let data = kdc::accepted_groups(Group::Modp4096..=Group::P521);
    let typed: wire::List<'_, wire::TypedData<'_>> = wire::decode(&data).unwrap();
    let told = typed.iter().next().unwrap().value.unwrap();
    let other = |tried: &[Group]| client::other_group(told, Group::Modp2048, tried);
    assert_eq!(other(&[Group::P256]), Some(Group::P384));
    assert_eq!(other(&[Group::P384, Group::P521]), Some(Group::Modp4096));
    assert_eq!(client::other_group(told, Group::P521, &[Group::P521]), None);
}

#[test]
fn key_derivations_are_chosen_among_the_offered_and_an_old_client_gets_the_old_one() {
    let (value, _) = ask(Some(&identity("alice")), Group::P256);
    let mut request = Request::read(&value).unwrap();
    request.pack.supported_kdfs = None;
    assert_eq!(request.terms(&(Group::Modp2048..=Group::P521)).unwrap().kdf, None);
    let only = [Kdf::Sha256.id()];
    request.pack.supported_kdfs = Some(wire::List::Items(&only));
    assert_eq!(request.terms(&(Group::Modp2048..=Group::P521)).unwrap().kdf, Some(Kdf::Sha256));
    let unknown = [wire::KdfAlgorithmId { id: wire::Oid::KERBEROS }];
    request.pack.supported_kdfs = Some(wire::List::Items(&unknown));
    assert_eq!(request.terms(&(Group::Modp2048..=Group::P521)).unwrap_err().code, ErrorCode::NO_ACCEPTABLE_KDF);
}

#[test]
fn a_kdc_is_believed_for_its_realm_or_its_host() {
    let (value, asked) = ask(Some(&identity("alice")), Group::P256);
    let request = Request::read(&value).unwrap();
    let terms = request.terms(&(Group::Modp2048..=Group::P521)).unwrap();
    let hosts = || vec!["KDC.example.org".to_owned()];
    let by_host = |purpose| KdcRules { hosts: hosts(), purpose };
    let anywhere = KdcRules::default();
    for (kdc, rules, believed) in [
        ("kdc", &anywhere, true),
        ("kdc-of-other-realm", &anywhere, false),
        ("kdc-by-host", &anywhere, false),
        ("kdc-by-host", &by_host(KdcPurpose::Kdc), true),
        ("kdc-by-host-server", &by_host(KdcPurpose::Kdc), false),
        ("kdc-by-host-server", &by_host(KdcPurpose::Server), true),
        ("kdc-by-host-server", &by_host(KdcPurpose::Any), true),
        ("alice", &anywhere, false),
        ("alice", &by_host(KdcPurpose::Any), false),
        ("alice-other-ca", &anywhere, false),
    ] {
        let (reply, _) = answer(&terms, &identity(kdc), &alice());
        let result = reply_key(&asked, &reply, rules);
        assert_eq!(result.is_ok(), believed, "{kdc} {rules:?}: {result:?}");
        if let Err(error) = result {
            assert_eq!(error.wire_code(), ErrorCode::KDC_NOT_TRUSTED, "{kdc}");
        }
    }
}

#[test]
fn an_answer_to_another_request_or_without_a_signature_is_none() {
    let (_, asked) = ask(Some(&identity("alice")), Group::P256);
    let (value, _) = ask(Some(&identity("alice")), Group::P256);
    let request = Request::read(&value).unwrap();
    let (reply, _) = answer(&request.terms(&(Group::Modp2048..=Group::P521)).unwrap(), &identity("kdc"), &alice());
    assert!(matches!(reply_key(&asked, &reply, &KdcRules::default()), Err(Error::ReplyMismatch(_))));
    let wire::PaPkAsRep::Dh(info) = wire::decode(&reply).unwrap() else { panic!("dhInfo") };
    let content = signed::open(info.signed_data, wire::Oid::PKINIT_DH_KEY_DATA).unwrap().content;
    let unsigned = sign(None, wire::Oid::PKINIT_DH_KEY_DATA, content).unwrap();
    let reply = wire::encode(&wire::PaPkAsRep::Dh(wire::DhRepInfo { signed_data: &unsigned, ..info }));
    let error = reply_key(&asked, &reply, &KdcRules::default()).unwrap_err();
    assert_eq!(error.wire_code(), ErrorCode::KDC_NOT_TRUSTED);
}

#[test]
fn names_in_certificates_are_told_apart_by_kind() {
    let names = |name: &str| identity(name).certificate().unwrap().names();
    assert_eq!(names("alice").principals, [alice()]);
    assert_eq!(names("alice-upn").upn_principals("EXAMPLE.ORG"), [alice()]);
    assert_eq!(names("alice-upn").upn_principals("OTHER.ORG"), []);
    assert_eq!(names("svid").uris, ["spiffe://example.org/ns/shop/sa/orders"]);
    assert_eq!(names("kdc-by-host").dns, ["kdc.example.org"]);
    assert_eq!(names("alice-nameless"), AlternativeNames::default());
    let all = AlternativeNames {
        principals: vec![alice()],
        upns: vec!["a@b".into()],
        mail: vec!["m@x".into()],
        dns: vec!["h.x".into()],
        uris: vec!["spiffe://x/y".into()],
    };
    assert_eq!(all.encode()[0], 0x30);
    assert_eq!(all.texts(), ["alice@EXAMPLE.ORG", "a@b", "h.x", "spiffe://x/y"], "mail is no principal");
}

/// Authorities of one name with a key each, as many as a message may bring.
fn namesakes(ca: &str) -> Vec<Vec<u8>> {
    let der = CertificateDer::from_pem_slice(&file(ca)).unwrap().to_vec();
    let key = Certificate::parse(&der).unwrap().key_der.to_vec();
    let at = der.windows(key.len()).position(|window| window == key).unwrap() + key.len() / 2;
    let namesake = |number| [&der[..at], &[der[at] ^ number], &der[at + 1..]].concat();
    (0..15).map(namesake).collect()
}

#[test]
fn a_maze_of_authorities_that_lead_nowhere_is_left_at_once() {
    for (name, ca) in [("alice-unknown-ca", "unknown-ca.crt"), ("alice", "ca.crt")] {
        let identity = identity(name);
        let others = namesakes(ca);
        let others: Vec<_> = others.iter().map(Vec::as_slice).collect();
        let certificate = identity.certificate().unwrap();
        let found = trust().check(&certificate, &others, NOW);
        let expected = Err(Distrust::new(ErrorCode::CANT_VERIFY_CERTIFICATE, NO_PATH));
        assert_eq!(found.map(drop), if name == "alice" { Ok(()) } else { expected }, "{name}");
    }
}

#[test]
fn mits_rules_match_by_subject_issuer_names_purposes_and_uses() {
    let matches = |rule: &str, name: &str| Rule::parse(rule).unwrap().matches(&identity(name).certificate().unwrap());
    for (rule, name, expected) in [
        ("<SUBJECT>CN=alice", "alice", true),
        ("<SUBJECT>^CN=alice,O=EXAMPLE.ORG$", "alice", true),
        ("<SUBJECT>CN=bob", "alice", false),
        ("<ISSUER>CN=Authority<SAN>^alice@EXAMPLE.ORG$", "alice", true),
        ("<ISSUER>CN=Authority<SAN>^alice@EXAMPLE.ORG$", "bob", false),
        ("||<SUBJECT>CN=bob<EKU>pkinit", "alice", true),
        ("&&<SUBJECT>CN=bob<EKU>pkinit", "alice", false),
        ("<EKU>pkinit,clientAuth", "alice", false),
        ("<EKU>clientAuth<KU>digitalSignature", "svid", true),
        ("<KU>keyEncipherment", "alice", false),
        ("<SAN>^spiffe://example.org/", "svid", true),
    ] {
        assert_eq!(matches(rule, name), expected, "{rule} {name}");
    }
    for rule in ["", "CN=alice", "<WHAT>x", "<EKU>unknown", "<SUBJECT>(", "&&", "<KU>", &"<SAN>x".repeat(1000)] {
        assert!(Rule::parse(rule).is_err(), "{rule}");
    }
}

#[test]
fn keys_are_read_in_every_common_form_and_refused_with_the_reason() {
    assert!(Identity::from_pkcs12(&file("alice-open.p12"), "").is_ok());
    let locked = identity("alice").chain().concat();
    let opened = Identity::from_pkcs12(&file("alice.p12"), "secret").unwrap();
    assert_eq!(opened.chain().concat(), locked, "without the authority");
    assert!(Identity::from_pkcs12(&file("alice.p12"), "wrong").is_err());
    assert!(identity("alice-traditional").certificate().is_ok());
    let pem = |name: &str| file(&format!("{name}.pem"));
    let error = |chain: &str, key: &str| Identity::from_pem(&pem(chain), &pem(key)).unwrap_err().to_string();
    assert!(error("alice-locked", "alice-locked").contains("sealed with a password"));
    let sealed = |key: &[u8], password: &str| Identity::from_sealed_pem(&pem("alice"), key, password);
    let opened = sealed(&pem("alice-locked"), "secret").unwrap();
    assert_eq!(opened.chain().concat(), locked);
    assert!(sealed(&pem("alice-locked"), "wrong").unwrap_err().to_string().contains("password"));
    let old = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let cut = String::from_utf8(pem("alice-locked")).unwrap().replace("MII", "MIJ");
    for key in [&old[..], cut.as_bytes(), b"ENCRYPTED", b"\xffENCRYPTED"] {
        assert!(Identity::is_sealed(key));
        assert!(sealed(key, "secret").unwrap_err().to_string().contains("openssl pkcs8 -topk8"));
    }
    assert!(error("alice", "bob").contains("another private key"));
    assert!(Identity::from_pem(&file("ca.crt"), &file("ca.crt")).is_err());
}

#[test]
fn both_sides_make_the_session_key() {
    let mut random = OsRandom::new();
    let etype = EncryptionType::AES256_SHA1;
    let (part, reply) = (Key::random(etype, &mut random).unwrap(), Key::random(etype, &mut random).unwrap());
    let sealed = seal_contribution(&part, &reply, &mut random);
    assert!(open_contribution(&sealed, &reply).unwrap().same_as(&part));
    assert_eq!(open_contribution(&sealed, &part).unwrap_err(), Error::Integrity);
    assert!(!joint_session_key(&part, &reply).unwrap().same_as(&part));
}
