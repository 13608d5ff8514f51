//! `kdc pki`, from the first command to a login by what it made: by MIT's kinit and ours, and by a service
//! that has no keytab.

use std::sync::Arc;

use libkrb::config::Config;
use libkrb::credentials::Credentials;
use libkrb::net::Transport;
use tests::{Family, Pair, Realm, Seat, Tool, suite};

suite! {
    mit_tools_our_kdc: Mit, Ours;
    our_tools_our_kdc: Ours, Ours;
    => {
        an_authority_of_the_realms_own_lets_its_people_in;
        a_service_of_that_authority_gets_tickets_without_a_keytab;
    }
}

/// What `kdc pki` says, in this realm.
fn pki(realm: &Realm, arguments: &[&str]) -> Tool {
    let config = realm.folder().join("kdc/kdc.toml");
    Tool::new(Family::Ours.program("kdc")).args(["pki"]).args(arguments).args(["--config"]).args([config])
}

/// A realm with an authority of its own, set up as `kdc pki init` says.
fn realm(pair: Pair) -> Option<Realm> {
    if pair.kdc != Family::Ours {
        return None;
    }
    let mut realm = pair.realm();
    let said = pki(&realm, &["init"]).run().succeeds();
    let lines = said.stdout().lines().map(str::trim);
    let wanted: String = lines
        .filter(|line| line.starts_with("identity = ") || line.starts_with("anchors = "))
        .map(|line| format!("{line}\n"))
        .collect();
    let file = realm.folder().join("kdc/kdc.toml");
    let text = std::fs::read_to_string(&file).expect("kdc.toml");
    std::fs::write(&file, text.replacen("[pkinit]\n", &format!("[pkinit]\n{wanted}"), 1)).expect("kdc.toml");
    realm.restart();
    let _ = pki(&realm, &["init"]).run().fails();
    Some(realm)
}

/// What the command says to run next, without the program's name.
fn next(said: &str) -> Vec<String> {
    let line = said.lines().find_map(|line| line.trim().strip_prefix("kinit ")).expect("what to do next");
    line.split(' ').map(str::to_owned).collect()
}

fn believing<'a>(pair: Pair, realm: &'a Realm) -> Seat<'a> {
    let seat = pair.seat(realm);
    seat.set(&format!("pkinit_anchors = FILE:{}", realm.folder().join("kdc/pki/ca.crt").display()));
    seat
}

fn an_authority_of_the_realms_own_lets_its_people_in(pair: Pair) {
    let Some(realm) = realm(pair) else { return };
    realm.query(&["addprinc", "-nokey", "carol"]);
    let said = pki(&realm, &["user", "carol"]).run().succeeds();
    let seat = believing(pair, &realm);
    seat.tool("kinit").args(next(said.stdout())).run().succeeds();
    assert!(seat.tgt().has("IA"));
    // The KDC's certificate is made anew, and everybody goes on.
    for file in ["kdc.crt", "kdc.key"] {
        std::fs::remove_file(realm.folder().join("kdc/pki").join(file)).expect("removed");
    }
    pki(&realm, &["kdc"]).run().succeeds();
    let config = realm.folder().join("kdc/kdc.toml");
    Tool::new(Family::Ours.program("kdc")).args(["reload", "--config"]).args([config]).run().succeeds();
    seat.tool("kinit").args(next(said.stdout())).run().succeeds();
    // Who has a certificate is not everybody.
    let mut other = next(said.stdout());
    other.pop();
    other.push("alice".to_owned());
    seat.tool("kinit").args(other).run().fails();
}

fn a_service_of_that_authority_gets_tickets_without_a_keytab(pair: Pair) {
    let Some(realm) = realm(pair).filter(|_| pair.client == Family::Ours) else { return };
    realm.add_service("host/web.example.org");
    realm.query(&["addprinc", "-nokey", "orders/shop"]);
    let said = pki(&realm, &["service", "orders/shop"]).run().succeeds();
    let arguments = next(said.stdout());
    let identity = arguments[1].strip_prefix("X509_user_identity=").expect("a place").to_owned();
    let seat = believing(pair, &realm);
    let text = std::fs::read_to_string(seat.configuration()).expect("krb5.conf");
    let transport = Transport::new(Arc::new(Config::parse("krb5.conf", &text).expect("a krb5.conf")));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let ticket = runtime.block_on(async {
        // Without a name it is the one in the certificate.
        let credentials = Credentials::from_certificate(&identity).transport(transport).start().await?;
        credentials.ticket(&libkrb::Principal::service("host", "web.example.org", "EXAMPLE.ORG")).await
    });
    assert_eq!(ticket.expect("a ticket").client.to_string(), "orders/shop@EXAMPLE.ORG");
}
