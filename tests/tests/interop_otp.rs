//! One-time passwords and what follows from them: `kinit -T`, a RADIUS server that knows the passwords,
//! tokens that the KDC knows itself, and services that want them (RFC 6560, RFC 8129).

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use libkrb::crypto::{OtpHash, hotp};
use tests::otp_secret as secret;
use tests::radius::RadiusServer;
use tests::{Family, Pair, Realm, Said, Seat, optional_peer, suite};

const HOST: &str = "host/armor.example.org";
const SERVICE: &str = "host/server.example.org";

suite! {
    mit_tools_our_kdc: Mit, Ours;
    our_tools_our_kdc: Ours, Ours;
    our_tools_mit_kdc: Ours, Mit;
    => {
        a_password_that_a_radius_server_knows_opens_a_tgt;
        c4_a_radius_server_that_does_not_sign_is_not_believed;
        a_service_may_want_a_one_time_password;
        a_token_that_was_chosen_is_not_asked_for_again;
        a_server_that_wants_another_value_gets_it;
    }
}

/// The modules that only stand where otp.so is, and our KDC has it always.
fn able(pair: Pair) -> bool {
    pair.kdc != Family::Mit
        || optional_peer("krb5-otp", "/usr/lib/x86_64-linux-gnu/krb5/plugins/preauth/otp.so").is_some()
}

/// A server that knows alice's password. MIT's library of this version drops answers with attributes that it
/// does not know, so with a signature.
fn server(pair: Pair) -> RadiusServer {
    RadiusServer::answering("alice", "secret123456", pair.kdc != Family::Mit)
}

/// A realm whose alice has a token that this server knows, and nothing else.
fn realm(pair: Pair, server: &RadiusServer) -> Realm {
    let mut realm = pair.realm();
    realm.add_service(HOST);
    realm.add_service(SERVICE);
    realm.query(&["setstr", "alice", "otp", "[]"]);
    realm.query(&["purgekeys", "-all", "alice"]);
    realm.add("bob", "secret", &[]);
    let (address, secret) = (server.address(), server.secret_file(realm.folder()));
    let secret = secret.display();
    let (file, lines) = match pair.kdc {
        Family::Mit => (
            "kdc.conf",
            format!(
                "[otp]\n DEFAULT = {{\n  server = {address}\n  secret = {secret}\n  timeout = 1\n  retries = 1\n  indicator = otp\n }}\n"
            ),
        ),
        _ => (
            "kdc/kdc.toml",
            format!("\n[[otp.radius]]\nserver = \"{address}\"\nsecret = \"{secret}\"\ntimeout = \"1s\"\ntries = 1\n"),
        ),
    };
    let path = realm.folder().join(file);
    let text = std::fs::read_to_string(&path).expect("settings");
    std::fs::write(&path, text + &lines).expect("written");
    realm.restart();
    realm
}

/// Armor for this seat: the host's own ticket in a cache of its own.
fn armor(realm: &Realm, seat: &Seat<'_>) -> PathBuf {
    let keytab = realm.keytab(HOST);
    let cache = seat.path("armor");
    seat.kinit_with(&keytab, &["-c", cache.to_str().expect("a path"), HOST]).succeeds();
    cache
}

fn login(realm: &Realm, seat: &Seat<'_>, typed: &str) -> Said {
    let armor = armor(realm, seat);
    seat.kinit(&["-T", armor.to_str().expect("a path"), "alice"], typed)
}

fn a_password_that_a_radius_server_knows_opens_a_tgt(pair: Pair) {
    if !able(pair) {
        return;
    }
    let server = server(pair);
    let realm = realm(pair, &server);
    let seat = pair.seat(&realm);
    login(&realm, &seat, "secret123456").succeeds();
    assert!(seat.tgt().has("IA"));
    assert_eq!(server.asked(), 1);
    login(&realm, &seat, "secret000000").fails();
    assert!(server.asked() >= 2);
    seat.kinit(&["alice"], "secret123456").fails();
}

fn c4_a_radius_server_that_does_not_sign_is_not_believed(pair: Pair) {
    // Debian's MIT of this version asks for no signature.
    if pair.kdc != Family::Ours {
        return;
    }
    let server = RadiusServer::answering("alice", "secret123456", false);
    let realm = realm(pair, &server);
    let seat = pair.seat(&realm);
    login(&realm, &seat, "secret123456").fails();
    assert!(server.asked() > 0, "it was asked, and answered");
}

fn a_service_may_want_a_one_time_password(pair: Pair) {
    if !able(pair) {
        return;
    }
    let server = server(pair);
    let realm = realm(pair, &server);
    realm.query(&["setstr", SERVICE, "require_auth", "smartcard otp"]);
    let seat = pair.seat(&realm);
    login(&realm, &seat, "secret123456").succeeds();
    seat.fetch(&[SERVICE]).succeeds();
    let other = pair.seat(&realm);
    other.kinit(&["bob"], "secret").succeeds();
    other.fetch(&[SERVICE]).fails();
    other.kinit(&["-S", SERVICE, "bob"], "secret").fails();
}

fn a_token_that_was_chosen_is_not_asked_for_again(pair: Pair) {
    if !able(pair) {
        return;
    }
    let server = server(pair);
    let realm = realm(pair, &server);
    let seat = pair.seat(&realm);
    login(&realm, &seat, "secret123456").succeeds();
    let cache = libkrb::ccache::Ccache::parse(&std::fs::read(seat.ccache()).expect("a cache")).expect("a cache");
    let tgs = libkrb::Principal::tgs("EXAMPLE.ORG");
    assert_eq!(cache.config("pa_type", Some(&tgs)), Some(&b"141"[..]));
    let armor = armor(&realm, &seat);
    let (armor, former) = (armor.display().to_string(), seat.ccache().display().to_string());
    let again = seat.path("again").display().to_string();
    seat.kinit(&["-T", &armor, "-I", &former, "-c", &again, "alice"], "secret123456").succeeds();
}

fn a_server_that_wants_another_value_gets_it(pair: Pair) {
    // MIT's KDC takes a challenge of the server's for a refusal.
    if pair.kdc != Family::Ours {
        return;
    }
    let server = RadiusServer::asking_on("alice", "secret123456", "654321");
    let realm = realm(pair, &server);
    let seat = pair.seat(&realm);
    login(&realm, &seat, "secret123456\n123456").fails();
    login(&realm, &seat, "secret123456\n654321").succeeds();
    assert!(seat.tgt().has("IA"));
    assert_eq!(server.asked(), 4);
    login(&realm, &seat, "654321").fails();
}

/// What `kadmin otp add` shows first.
fn enrolled(realm: &Realm, words: &[&str]) -> String {
    let tool = tests::Tool::new(Family::Ours.program("kadmin"));
    let config = realm.folder().join("kdc/kdc.toml");
    let query = ["otp add -noqr", &words.join(" ")].join(" ");
    let said = tool.args(["--config"]).args([config]).args(["-q", &query]).run().succeeds();
    said.stdout().lines().find(|line| line.starts_with("otpauth://")).expect("a URI").to_owned()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

#[test]
fn our_kinit_asks_for_the_next_value_of_a_token_that_has_counted_on() {
    // MIT's client takes no challenge with nextOTP: it says "No supported tokens".
    let ours = |pair: &Pair| (pair.client, pair.kdc) == (Family::Ours, Family::Ours);
    let Some(pair) = Pair::present(Family::Ours, Family::Ours).filter(ours) else { return };
    let mut realm = pair.realm();
    realm.add_service(HOST);
    let file = realm.folder().join("kdc/kdc.toml");
    let text = std::fs::read_to_string(&file).expect("settings");
    assert!(text.contains("[otp]\n"), "{text}");
    std::fs::write(&file, text.replacen("[otp]\n", "[otp]\nnext_value = true\n", 1)).expect("written");
    realm.restart();
    let secret = secret(&enrolled(&realm, &["-name", "key", "-counting", "alice"]));
    let seat = pair.seat(&realm);
    let cache = armor(&realm, &seat).display().to_string();
    let value = |count| hotp(OtpHash::Sha1, &secret, count, 6);
    let login = |first, second| seat.kinit(&["-T", &cache, "alice"], &format!("{}\n{}", value(first), value(second)));
    login(50, 52).fails();
    login(50, 51).succeeds();
    assert!(seat.tgt().has("IA"));
    seat.kinit(&["-T", &cache, "alice"], &value(52)).succeeds();
}

#[test]
fn mits_kinit_logs_in_with_a_token_that_kadmin_enrolled() {
    let Some(pair) = Pair::present(Family::Mit, Family::Ours).filter(|pair| pair.kdc == Family::Ours) else { return };
    let realm = pair.realm();
    realm.add_service(HOST);
    let secret_of_key = secret(&enrolled(&realm, &["-name", "key", "-counting", "-with_password", "alice"]));
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").fails();
    let cache = armor(&realm, &seat);
    let cache = cache.to_str().expect("a path");
    let value = hotp(OtpHash::Sha1, &secret_of_key, 0, 6);
    let login = |pin: &str, value: &str| seat.kinit(&["-T", cache, "alice"], &format!("{value}\n{pin}"));
    login("wrong", &value).fails();
    login("secret", &value).succeeds();
    assert!(seat.tgt().has("IA"));
    login("secret", &value).fails();
    realm.query(&["otp", "del", "alice", "key"]);
    let secret_of_phone = secret(&enrolled(&realm, &["-algorithm", "sha256", "-digits", "8", "alice"]));
    let value = hotp(OtpHash::Sha256, &secret_of_phone, now() / 30, 8);
    seat.kinit(&["-T", cache, "alice"], &value).succeeds();
}

#[test]
fn mits_acceptor_shows_indicators_and_passes_over_roles() {
    let Some(pair) = Pair::present(Family::Mit, Family::Ours).filter(|pair| pair.kdc == Family::Ours) else { return };
    let gssapi = optional_peer("python3-gssapi", "/usr/lib/python3/dist-packages/gssapi");
    let (Some(python), Some(_)) = (optional_peer("python3", "/usr/bin/python3"), gssapi) else { return };
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    realm.query(&["setstr", "alice", "role:host/*", "seller"]);
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/indicators.py");
    let service = format!("{SERVICE}@{}", realm.name());
    let said = seat.program(python).env("KRB5_KTNAME", &keytab).args([script, &service]).run().succeeds();
    assert!(said.stdout().contains("client alice@EXAMPLE.ORG"), "{}", said.stdout());
    assert!(said.stdout().contains("auth-indicators hardened spake"), "{}", said.stdout());
}

#[test]
fn klist_shows_indicators_to_who_has_the_keys_of_the_service() {
    let realm = Realm::start(Family::Ours);
    realm.add("alice", "secret", &[]);
    let [keytab, others] = [SERVICE, "host/other.example.org"].map(|service| realm.add_service(service));
    let seat = realm.seat(Family::Ours);
    seat.kinit(&["alice"], "secret").succeeds();
    seat.tool("kvno").args([SERVICE]).run().succeeds();
    let klist = |keytab: &str| seat.tool("klist").args(["-I", keytab]);
    let said = klist(&keytab.display().to_string()).run().succeeds();
    let lines: Vec<_> = said.stdout().lines().filter(|line| line.contains("indicators")).collect();
    assert_eq!(lines, ["\tAuthentication indicators: hardened, spake"], "of the one ticket that it opens");
    let by_default = klist("-").env("KRB5_KTNAME", &keytab).run().succeeds();
    assert_eq!(by_default.stdout(), said.stdout());
    let json = klist("-").env("KRB5_KTNAME", &keytab).args(["--json"]).run().succeeds();
    let json: serde_json::Value = serde_json::from_str(json.stdout()).expect("JSON");
    assert_eq!(json["tickets"][1]["indicators"], serde_json::json!(["hardened", "spake"]));
    assert_eq!(json["tickets"][0]["indicators"], serde_json::json!([]));
    klist(&others.display().to_string()).run().succeeds().not_saying("indicators");
    klist("/nowhere/keytab").run().fails_with(1).saying("/nowhere/keytab");
    seat.tool("klist").args(["-k", "-I", "-"]).run().fails_with(1);
}
