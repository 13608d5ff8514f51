//! The library's client on its way through several realms, joined in memory.

use std::collections::BTreeMap;

use libkrb::ccache::Credential;
use libkrb::client::{AsExchange, AsRequest, Exchange, Outcome, Secret, Step, TgsExchange, TgsRequest};
use libkrb::codes::NameType;
use libkrb::{Error, ErrorCode, Principal, Result};
use tests::joined::{Joined, PASSWORD, REALM, Sequence, name};

/// Realms and the ways between them.
pub struct World(BTreeMap<String, Joined>);

impl World {
    /// Our realm and others; a way leads from the first of a pair to the second.
    pub fn of(others: &[&str], ways: &[(&str, &str)]) -> World {
        let mut realms = BTreeMap::from([(REALM.to_owned(), Joined::new())]);
        realms.extend(others.iter().map(|other| ((*other).to_owned(), Joined::of(other))));
        for (from, to) in ways {
            for side in [from, to] {
                realms[*side].add(Principal::cross_tgs(to, from), |_| {});
            }
        }
        World(realms)
    }

    pub fn realm(&mut self, realm: &str) -> &mut Joined {
        self.0.get_mut(realm).expect("a realm")
    }

    pub fn run(&mut self, exchange: &mut dyn Exchange) -> Result<Outcome> {
        let mut random = Sequence(7);
        let mut reply: Option<Vec<u8>> = None;
        for _ in 0..40 {
            self.0.values_mut().for_each(Joined::tick);
            let now = self.realm(REALM).now;
            match exchange.step(now, &mut random, reply.as_deref())? {
                Step::Done(outcome) => return Ok(*outcome),
                Step::Send { realm, message } => reply = self.realm(&realm).send(&message).reply,
            }
        }
        panic!("the exchange does not end");
    }

    fn login(&mut self) -> Credential {
        let password = Secret::password(std::str::from_utf8(PASSWORD).expect("text"));
        self.run(&mut AsExchange::new(AsRequest::new(name("alice")), password)).expect("a login").credential
    }

    /// The realms whose ticket-granting tickets were got on the way to a service.
    fn walk(&mut self, server: Principal, path: &[&str]) -> Result<Vec<String>> {
        let path = path.iter().map(|realm| (*realm).to_owned()).collect();
        let tgt = self.login();
        let outcome = self.run(&mut TgsExchange::new(TgsRequest { path, ..TgsRequest::new(tgt, server.clone()) })?)?;
        assert!(outcome.credential.server.same_name(&server));
        Ok(outcome.hops.iter().filter_map(|hop| hop.server.tgs_target()).map(str::to_owned).collect())
    }
}

fn service(realm: &str) -> Principal {
    Principal::service("HTTP", "web.far.org", realm)
}

#[test]
fn a_client_walks_the_hierarchy_without_being_told_the_way() {
    let mut world = World::of(&["ORG", "FAR.ORG"], &[(REALM, "ORG"), ("ORG", "FAR.ORG")]);
    world.realm("FAR.ORG").add(service("FAR.ORG"), |_| {});
    assert_eq!(world.walk(service("FAR.ORG"), &[]).expect("a ticket"), ["ORG", "FAR.ORG"]);
    assert_eq!(world.walk(service("FAR.ORG"), &[REALM, "ORG", "FAR.ORG"]).expect("a ticket"), ["ORG", "FAR.ORG"]);
}

#[test]
fn a_client_that_knows_the_way_walks_it_where_the_kdcs_do_not() {
    let ways = [(REALM, "B.NET"), ("B.NET", "C.COM"), ("C.COM", "FAR.ORG")];
    let mut world = World::of(&["B.NET", "C.COM", "FAR.ORG"], &ways);
    world.realm("FAR.ORG").add(service("FAR.ORG"), |_| {});
    let unknown = world.walk(service("FAR.ORG"), &[]).expect_err("nobody knows the way");
    assert_eq!(unknown.wire_code(), ErrorCode::S_PRINCIPAL_UNKNOWN);
    let path = [REALM, "B.NET", "C.COM", "FAR.ORG"];
    let refused = world.walk(service("FAR.ORG"), &path).expect_err("the realms between are not trusted");
    assert_eq!(refused.wire_code(), ErrorCode::PATH_NOT_ACCEPTED);
    for (realm, between) in [("C.COM", vec!["B.NET"]), ("FAR.ORG", vec!["B.NET", "C.COM"])] {
        let between = between.into_iter().map(str::to_owned).collect();
        world.realm(realm).policy.abroad.paths.set(REALM, realm, between);
    }
    assert_eq!(world.walk(service("FAR.ORG"), &path).expect("a ticket"), ["B.NET", "C.COM", "FAR.ORG"]);
}

#[test]
fn a_client_follows_referrals_to_a_realm_that_it_does_not_know() {
    let mut world = World::of(&["ORG", "FAR.ORG"], &[(REALM, "ORG"), ("ORG", "FAR.ORG")]);
    world.realm("FAR.ORG").add(service("FAR.ORG"), |_| {});
    for realm in [REALM, "ORG"] {
        world.realm(realm).policy.abroad.referrals.hosts.insert(".far.org".into(), "FAR.ORG".into());
    }
    for realm in ["", REALM] {
        let server = service("X").in_realm(realm);
        assert_eq!(world.walk(server, &[]).expect("a ticket"), ["ORG", "FAR.ORG"], "{realm}");
    }
}

#[test]
fn a_client_is_led_in_no_circle() {
    let ways = [(REALM, "ORG"), ("ORG", REALM), ("ORG", "FAR.ORG"), ("FAR.ORG", REALM), ("FAR.ORG", "ORG")];
    let mut world = World::of(&["ORG", "FAR.ORG"], &ways);
    for (realm, there) in [(REALM, "ORG"), ("ORG", "FAR.ORG"), ("FAR.ORG", REALM)] {
        world.realm(realm).policy.abroad.referrals.hosts.insert(".far.org".into(), there.into());
    }
    let refused = world.walk(service(""), &[]).expect_err("nowhere");
    assert_eq!(refused.wire_code(), ErrorCode::S_PRINCIPAL_UNKNOWN, "the KDC that would close the circle says so");
}

#[test]
fn a_client_is_sent_to_its_own_realm_to_log_in() {
    let mut world = World::of(&["FAR.ORG"], &[]);
    world.realm("FAR.ORG").policy.abroad.referrals.clients.insert("mail.example".into(), REALM.into());
    let enterprise = |realm| Principal::new(NameType::ENTERPRISE, realm, ["al@mail.example"]).expect("a name");
    world.realm(REALM).change("alice", |entry| entry.aliases.push(enterprise(REALM)));
    let mut request = AsRequest::new(enterprise("FAR.ORG"));
    request.options |= libkrb::flags::KdcOptions::CANONICALIZE;
    let password = Secret::password(std::str::from_utf8(PASSWORD).expect("text"));
    let outcome = world.run(&mut AsExchange::new(request, password)).expect("a login");
    assert_eq!(outcome.credential.client, name("alice"));
}

#[test]
fn a_one_way_trust_is_no_way_back() {
    let mut world = World::of(&["FAR.ORG"], &[("FAR.ORG", REALM)]);
    world.realm("FAR.ORG").add(service("FAR.ORG"), |_| {});
    let refused = world.walk(service("FAR.ORG"), &[]).expect_err("no way");
    assert!(matches!(refused, Error::Protocol { code: ErrorCode::S_PRINCIPAL_UNKNOWN, .. }), "{refused}");
}

#[test]
fn a_service_elsewhere_gets_forwarded_tickets_only_where_the_own_realm_trusts_the_way() {
    use kdc::core::Attributes;
    use libkrb::flags::TicketFlags;
    let mut world = World::of(&["FAR.ORG"], &[(REALM, "FAR.ORG")]);
    world.realm("FAR.ORG").add(service("FAR.ORG"), |entry| entry.attributes = Attributes::OK_AS_DELEGATE);
    let tgt = world.login();
    let flag = |world: &mut World| {
        let outcome =
            world.run(&mut TgsExchange::new(TgsRequest::new(tgt.clone(), service("FAR.ORG"))).expect("a TGT"));
        let outcome = outcome.expect("a ticket");
        let next = TgsRequest::new(outcome.hops[0].clone(), service("FAR.ORG"));
        let again = world.run(&mut TgsExchange::new(next).expect("a TGT")).expect("a ticket");
        assert_eq!(again.credential.flags, outcome.credential.flags, "the way is the same when it is known");
        outcome.credential.flags.has(TicketFlags::OK_AS_DELEGATE)
    };
    assert!(!flag(&mut world), "that realm alone says so");
    let way = Principal::cross_tgs("FAR.ORG", REALM).to_string();
    world.realm(REALM).change(&way, |entry| entry.attributes = Attributes::OK_AS_DELEGATE);
    assert!(flag(&mut world));
}
