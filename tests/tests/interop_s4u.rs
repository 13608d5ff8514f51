//! Services that act for users (MS-SFU), with others' programs: MIT's kvno and python3-gssapi, Heimdal's
//! kgetcred against our KDC; our kvno against MIT's. MIT's KDC gives tickets in users' names to a service
//! itself and, with the store that it has here (DB2), never further: the tests of that are ours alone.

use std::path::{Path, PathBuf};

use libkrb::ccache::{CacheName, Credential};
use libkrb::crypto::KeyUsage;
use libkrb::keytab::KeytabName;
use libkrb::net::Acting;
use libkrb::wire::{self, Ticket};
use libkrb::{Principal, Time};
use tests::{Family, Pair, Realm, Seat, optional_peer, suite};

const GATEWAY: &str = "HTTP/gateway.example.org";
const USERS: &str = "HTTP/users.example.org";
const ADS: &str = "HTTP/ads.example.org";

suite! {
    mit_tools_our_kdc: Mit, Ours;
    our_tools_our_kdc: Ours, Ours;
    our_tools_mit_kdc: Ours, Mit;
    => {
        a_service_gets_a_ticket_to_itself_in_a_users_name;
        a_ticket_in_a_users_name_is_for_the_service_itself;
        nobody_is_found_for_a_name_that_is_nobodys;
    }
}

suite! {
    mit_tools_delegate: Mit, Ours;
    our_tools_delegate: Ours, Ours;
    => {
        a_service_reaches_another_as_the_user_where_its_list_says_so;
        a_service_reaches_another_as_the_user_where_that_ones_list_says_so;
        who_may_not_be_delegated_is_not;
    }
}

/// A realm with the gateway, its keytab and what it may do.
fn realm(pair: Pair) -> (Realm, PathBuf) {
    let realm = pair.realm();
    let keytab = realm.add_service(GATEWAY);
    if pair.kdc != Family::Mit {
        realm.modify(GATEWAY, &["+ok_to_auth_as_delegate"]);
        realm.query(&["setstr", GATEWAY, "allowed_to_delegate_to", USERS]);
    }
    (realm, keytab)
}

/// The gateway with its own ticket.
fn gateway<'a>(pair: Pair, realm: &'a Realm, keytab: &Path) -> Seat<'a> {
    let seat = pair.seat(realm);
    seat.kinit_with(keytab, &["-f", GATEWAY]).succeeds();
    seat
}

fn a_service_gets_a_ticket_to_itself_in_a_users_name(pair: Pair) {
    let (realm, keytab) = realm(pair);
    for option in ["-I", "-U"] {
        let seat = gateway(pair, &realm, &keytab);
        let kvno = seat.tool("kvno").args(["-k"]).args([&keytab]).args([option, "alice", GATEWAY]).run();
        kvno.succeeds().saying("HTTP/gateway.example.org@EXAMPLE.ORG: kvno = 1, keytab entry valid");
        let listed = seat.program(Family::Ours.program("klist")).run().succeeds();
        assert!(listed.stdout().matches(GATEWAY).count() >= 2, "{}", listed.stdout());
    }
}

fn a_ticket_in_a_users_name_is_for_the_service_itself(pair: Pair) {
    let (realm, keytab) = realm(pair);
    realm.add_service(USERS);
    let seat = gateway(pair, &realm, &keytab);
    let refused = seat.tool("kvno").args(["-I", "alice", USERS]).run().fails_with(1);
    refused.saying("client and server principal names must match");
}

fn nobody_is_found_for_a_name_that_is_nobodys(pair: Pair) {
    let (realm, keytab) = realm(pair);
    let seat = gateway(pair, &realm, &keytab);
    seat.tool("kvno").args(["-I", "nobody", GATEWAY]).run().fails_with(1).saying("Client not found");
}

fn a_service_reaches_another_as_the_user_where_its_list_says_so(pair: Pair) {
    if pair.kdc != Family::Ours {
        return;
    }
    let (realm, keytab) = realm(pair);
    let users = realm.add_service(USERS);
    realm.add_service(ADS);
    let seat = gateway(pair, &realm, &keytab);
    let kvno = seat.tool("kvno").args(["-I", "alice", "-P", USERS]).run();
    kvno.succeeds().saying("HTTP/users.example.org@EXAMPLE.ORG: kvno = 1");
    assert!(opens(&users, &in_alices_name(&seat, USERS)));
    let refused = seat.tool("kvno").args(["-I", "alice", "-P", ADS]).run().fails_with(1);
    refused.saying("KDC can't fulfill requested option");
    realm.says("on_behalf_of=\"alice@EXAMPLE.ORG\"");
}

fn a_service_reaches_another_as_the_user_where_that_ones_list_says_so(pair: Pair) {
    if pair.kdc != Family::Ours {
        return;
    }
    let (realm, keytab) = realm(pair);
    let ads = realm.add_service(ADS);
    realm.query(&["setstr", ADS, "allowed_to_delegate_from", "HTTP/gate*.example.org"]);
    let seat = gateway(pair, &realm, &keytab);
    let kvno = seat.tool("kvno").args(["-U", "alice", "-P", ADS]).run();
    kvno.succeeds().saying("HTTP/ads.example.org@EXAMPLE.ORG: kvno = 1");
    assert!(opens(&ads, &in_alices_name(&seat, ADS)));
}

fn who_may_not_be_delegated_is_not(pair: Pair) {
    if pair.kdc != Family::Ours {
        return;
    }
    let (realm, keytab) = realm(pair);
    realm.add_service(USERS);
    realm.modify("alice", &["-allow_forwardable"]);
    let seat = gateway(pair, &realm, &keytab);
    seat.tool("kvno").args(["-I", "alice", "-P", USERS]).run().fails_with(1);
    seat.tool("kvno").args(["-I", "alice", GATEWAY]).run().succeeds();
}

#[test]
fn heimdals_kgetcred_delegates_at_our_kdc() {
    let Some(pair) = Pair::present(Family::Heimdal, Family::Ours).filter(|pair| pair.kdc == Family::Ours) else {
        return;
    };
    let (realm, keytab) = realm(pair);
    let users = realm.add_service(USERS);
    let seat = gateway(pair, &realm, &keytab);
    let (evidence, further) = (seat.path("evidence"), seat.path("further"));
    let cache = |path: &PathBuf| format!("FILE:{}", path.display());
    let kgetcred = || seat.tool("kgetcred");
    kgetcred()
        .args(["--impersonate=alice", "--forwardable", &format!("--out-cache={}", cache(&evidence)), GATEWAY])
        .run()
        .succeeds();
    let with = format!("--delegation-credential-cache={}", cache(&evidence));
    kgetcred().args([&with, &format!("--out-cache={}", cache(&further)), USERS]).run().succeeds();
    let kvno = seat.program(Family::Mit.program("kvno")).args(["-c", &cache(&further), "--cached-only", "-k"]);
    kvno.args([&users]).args([USERS]).run().succeeds().saying("keytab entry valid");
    realm.says("on_behalf_of=\"alice@EXAMPLE.ORG\"");
}

const PYTHON: &str = r#"
import sys, gssapi
gateway, users = sys.argv[1:]
kerberos = gssapi.NameType.kerberos_principal
target = gssapi.Name("HTTP/users.example.org@EXAMPLE.ORG", kerberos)

def seen(creds):
    caller = gssapi.SecurityContext(name=target, creds=creds, usage="initiate")
    called = gssapi.SecurityContext(creds=gssapi.Credentials(usage="accept", store={"keytab": users}), usage="accept")
    token = called.step(caller.step())
    if token and not caller.complete:
        caller.step(token)
    return called.initiator_name

store = {"keytab": gateway, "client_keytab": gateway, "ccache": "MEMORY:gateway"}
name = gssapi.Name("HTTP/gateway.example.org@EXAMPLE.ORG", kerberos)
own = gssapi.Credentials(name=name, usage="both", store=store)
alice = own.impersonate(name=gssapi.Name("alice@EXAMPLE.ORG", kerberos))
print("seen", seen(alice))
alice.store({"ccache": "FILE:theirs"}, usage="initiate", overwrite=True)
print("by ours", seen(gssapi.Credentials(usage="initiate", store={"ccache": "FILE:ours"})))
"#;

#[test]
fn a_python_service_acts_for_a_user_and_caches_in_a_users_name_are_understood_both_ways() {
    let python = optional_peer("python3-gssapi", "/usr/lib/python3/dist-packages/gssapi").and_then(|_| {
        let here = Pair::present(Family::Mit, Family::Ours).filter(|pair| pair.kdc == Family::Ours);
        here.zip(optional_peer("python3", "/usr/bin/python3"))
    });
    let Some((pair, python)) = python else { return };
    let (realm, keytab) = realm(pair);
    let users = realm.add_service(USERS);
    let seat = gateway(pair, &realm, &keytab);
    // What the script logs in for itself must be good for delegation too.
    seat.set("forwardable = true");
    seat.tool("kvno").args(["-I", "alice", GATEWAY]).run().succeeds();
    let held = CacheName::File(seat.ccache()).load().expect("the gateway's cache");
    let tgt = held.tickets().find(|ticket| ticket.server.is_local_tgs()).expect("the gateway's TGT");
    let evidence = held.tickets().find(|ticket| ticket.client != held.principal).expect("a ticket in alice's name");
    CacheName::File(seat.path("ours")).replace(&Acting::cache(tgt, evidence)).expect("a cache");
    let script = seat.write("delegate.py", PYTHON);
    let said = seat.program(python).args([&script, &keytab, &users]).run().succeeds();
    let _ = said.saying("seen alice@EXAMPLE.ORG").saying("by ours alice@EXAMPLE.ORG");
    let ticket = tests::library::ticket_from(&seat, &seat.path("theirs"), USERS);
    assert_eq!((ticket.client.to_string(), opens(&users, &ticket)), ("alice@EXAMPLE.ORG".to_owned(), true));
}

/// Whether a service's keytab opens a ticket.
fn opens(keytab: &Path, ticket: &Credential) -> bool {
    let keytab = KeytabName::File(keytab.to_owned()).load().expect("a keytab");
    let sealed = wire::decode::<Ticket<'_>>(&ticket.ticket).expect("a ticket").enc_part;
    let keys = keytab.entries.iter().filter(|entry| entry.key.etype == sealed.etype);
    let mut keys = keys.filter_map(|entry| entry.key.key().ok());
    keys.any(|key| key.decrypt(KeyUsage::TICKET, sealed.cipher).is_ok())
}

/// The ticket for a service in alice's name that somebody's tool left in the cache.
fn in_alices_name(seat: &Seat<'_>, service: &str) -> Credential {
    let cache = CacheName::File(seat.ccache()).load().expect("a cache");
    let service = Principal::parse(service, Some("EXAMPLE.ORG")).expect("a name");
    let alice = Principal::parse("alice", Some("EXAMPLE.ORG")).expect("a name");
    cache.find_of(&alice, &service, Time::EPOCH).expect("a ticket in alice's name").clone()
}
