//! Services that act for users of other realms (MS-SFU 3.1.5.1.1.2, 3.2.5.1.1): the way to the user's realm and
//! back, and what somebody may try on it (B2, B4, B7, B16 of the attack cases). Joined in memory.

use std::slice;

use kdc::core::Attributes;
use kdc::core::abroad::Trust;
use libkrb::access::Glob;
use libkrb::authz::pac::{self, ClientInfo, Pac, Signatures};
use libkrb::ccache;
use libkrb::client::{AsExchange, AsRequest, Exchange, Outcome, Secret, Step, TgsExchange, TgsRequest, User};
use libkrb::codes::{AuthDataType, EncryptionType, NameType, PaType, PacType};
use libkrb::crypto::KeyUsage;
use libkrb::flags::{KdcOptions as O, TicketFlags as F};
use libkrb::preauth::s4u;
use libkrb::wire::{self, AuthData, KdcRep, List};
use libkrb::{Error, ErrorCode, Principal, Result};
use tests::joined::{Asking, Credential, Joined, REALM, Sequence, name};

use crate::visit::{bent, trusting};
use crate::walks::World;

const GATEWAY: &str = "HTTP/gateway.example.org";
const USERS: &str = "HTTP/users.example.org";
const OTHER: &str = "OTHER.ORG";

fn user(name: &str) -> Principal {
    Principal::parse(name, Some(OTHER)).expect("a name")
}

fn with_gateway(realm: &Joined) {
    realm.add(name(GATEWAY), |entry| {
        entry.attributes = Attributes::OK_TO_AUTH_AS_DELEGATE;
        entry.strings.insert("allowed_to_delegate_to".into(), USERS.into());
    });
    realm.add(name(USERS), |_| {});
}

/// Our realm with a gateway, another one with the user alice, and a way between them in both directions
/// through these.
fn world(through: &[&str]) -> World {
    let way: Vec<&str> = [REALM].iter().chain(through).chain(&[OTHER]).copied().collect();
    let steps = way.windows(2).flat_map(|pair| [(pair[0], pair[1]), (pair[1], pair[0])]).collect::<Vec<_>>();
    let others: Vec<&str> = through.iter().chain(&[OTHER]).copied().collect();
    let mut world = World::of(&others, &steps);
    with_gateway(world.realm(REALM));
    world.realm(OTHER).add(user("alice"), |entry| entry.aliases = vec![user("alice.a")]);
    world
}

fn gateway(world: &mut World) -> ccache::Credential {
    let key = world.realm(REALM).key(GATEWAY, EncryptionType::AES256_SHA1);
    let keys = Secret::Keys(vec![(1, key)]);
    let request = AsRequest { options: O::FORWARDABLE, ..AsRequest::new(name(GATEWAY)) };
    world.run(&mut AsExchange::new(request, keys)).expect("the gateway's login").credential
}

fn ask(world: &mut World, tgt: &ccache::Credential, who: &Principal) -> Result<Outcome> {
    world.run(&mut TgsExchange::new(TgsRequest::for_user(tgt.clone(), User::Named(who.clone())))?)
}

#[test]
fn a_service_gets_a_ticket_to_itself_for_a_user_of_another_realm_and_goes_on_with_it() {
    let mut world = world(&[]);
    let tgt = gateway(&mut world);
    let outcome = ask(&mut world, &tgt, &user("alice")).expect("a ticket in alice's name");
    let ticket = outcome.credential;
    assert_eq!((&ticket.client, &ticket.server), (&user("alice"), &name(GATEWAY)));
    assert!(ticket.flags.has(F::FORWARDABLE) && ticket.flags.has(F::TRANSITED_POLICY_CHECKED));
    let kept: Vec<_> = outcome.hops.iter().map(|hop| hop.server.to_string()).collect();
    assert_eq!(kept, [format!("krbtgt/{OTHER}@{REALM}")], "what leads back is good for nothing else");
    world.realm(REALM).open(&ticket.ticket, |part| {
        assert!(part.client.names(&user("alice")) && part.client_realm == OTHER && part.transited.contents.is_empty());
        let pac = Pac::parse(pac::find(part).expect("one PAC").expect("a PAC")).expect("a PAC");
        pac.verify_client(&user("alice"), part.auth_time).expect("alice's, as in every ticket to a service");
        assert!(pac.requestor().expect("no identifier").is_none(), "no account of ours");
    });
    let on = TgsRequest::on_behalf(tgt, name(USERS), &ticket);
    let further = world.run(&mut TgsExchange::new(on).expect("a request")).expect("a ticket for users").credential;
    assert_eq!((&further.client, &further.server), (&user("alice"), &name(USERS)));
    world.realm(REALM).open(&further.ticket, |part| assert_eq!(part.client_realm, OTHER));
}

#[test]
fn the_realms_between_are_walked_both_ways_and_stand_in_the_ticket() {
    let mut world = world(&["ORG"]);
    let tgt = gateway(&mut world);
    let outcome = ask(&mut world, &tgt, &user("alice")).expect("a ticket in alice's name");
    world.realm(REALM).open(&outcome.credential.ticket, |part| {
        assert_eq!((part.client_realm, part.transited.contents), (OTHER, &b"ORG"[..]));
    });
}

#[test]
fn the_users_realm_says_by_which_name_the_user_is_known_and_whether_there_is_one() {
    let mut world = world(&[]);
    let tgt = gateway(&mut world);
    assert_eq!(ask(&mut world, &tgt, &user("alice.a")).expect("a ticket").credential.client, user("alice"));
    let enterprise = Principal::new(NameType::ENTERPRISE, OTHER, ["alice@OTHER.ORG"]).expect("a name");
    assert_eq!(ask(&mut world, &tgt, &enterprise).expect("a ticket").credential.client, user("alice"));
    let code = |refused: Result<Outcome>| refused.expect_err("nobody").wire_code();
    assert_eq!(code(ask(&mut world, &tgt, &user("nobody"))), ErrorCode::C_PRINCIPAL_UNKNOWN);
    assert_eq!(code(ask(&mut world, &tgt, &user("krbtgt/OTHER.ORG"))), ErrorCode::C_PRINCIPAL_UNKNOWN);
    world.realm(OTHER).change("alice@OTHER.ORG", |entry| entry.attributes = Attributes::DISALLOW_ALL_TIX);
    assert_eq!(code(ask(&mut world, &tgt, &user("alice"))), ErrorCode::CLIENT_REVOKED);
}

#[test]
fn a_service_that_is_locked_or_not_trusted_to_delegate_stays_so_with_users_of_other_realms() {
    let mut world = world(&[]);
    world.realm(REALM).change(GATEWAY, |entry| entry.attributes = Attributes::default());
    let tgt = gateway(&mut world);
    let ticket = ask(&mut world, &tgt, &user("alice")).expect("a ticket in alice's name").credential;
    assert!(!ticket.flags.has(F::FORWARDABLE));
    world.realm(REALM).change(GATEWAY, |entry| entry.attributes = Attributes::DISALLOW_ALL_TIX);
    ask(&mut world, &tgt, &user("alice")).expect_err("locked");
}

#[test]
fn a_reply_that_names_another_user_than_the_kdc_signed_ends_the_exchange() {
    let mut world = world(&[]);
    let tgt = gateway(&mut world);
    let request = TgsRequest::for_user(tgt, User::Named(user("alice")));
    let mut exchange = TgsExchange::new(request).expect("a request");
    let (mut random, mut reply) = (Sequence(7), None::<Vec<u8>>);
    let refused = loop {
        world.realm(OTHER).tick();
        world.realm(REALM).tick();
        let now = world.realm(REALM).now;
        match exchange.step(now, &mut random, reply.as_deref()) {
            Ok(Step::Send { realm, message }) => {
                let told = world.realm(&realm).send(&message).reply.expect("a reply");
                let ticket = wire::decode::<KdcRep<'_>>(&told).expect("a ticket");
                let bob = user("bob");
                let named = if ticket.client_realm == OTHER { (&bob).into() } else { ticket.client };
                reply = Some(wire::encode(&KdcRep { client: named, ..ticket }));
            }
            Ok(Step::Done(_)) => panic!("bob's ticket"),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::ReplyMismatch("another client")), "{refused}");
}

/// Our realm, which takes the word of the other one, with a gateway.
fn ours() -> Joined {
    let realm = trusting(&[OTHER]);
    with_gateway(&realm);
    realm
}

/// A ticket of another realm's for `client`, with a PAC that has this client info.
fn led_back(realm: &mut Joined, client: &str, about: impl Fn(libkrb::Time) -> Option<Vec<u8>>) -> Credential {
    let trust = Principal::cross_tgs(REALM, OTHER);
    let key = realm.key(&trust.to_string(), EncryptionType::AES256_SHA1);
    let signs = key.prepare_checksum(KeyUsage::NON_KERB_CHECKSUM);
    let time = realm.now.time;
    let wrapped = about(time).map(|about| {
        let by = Signatures { server: &signs, kdc: &signs, ticket: None };
        pac::wrapped(&pac::sign(&[(PacType::CLIENT_INFO, &about)], by).expect("a PAC")).bytes().to_vec()
    });
    let element = wrapped.map(|data| &*data.leak()).map(|data| AuthData { kind: AuthDataType::IF_RELEVANT, data });
    let elements = element.map(|element| &*Box::leak(Box::new(element)));
    bent(realm, &name(client).to_string(), OTHER, |part| {
        part.auth_time = time;
        part.authorization_data = elements.map(|element| List::Items(slice::from_ref(element)));
    })
}

/// The gateway, sent back by the other realm, asks for a ticket to itself.
fn at_home(tgt: &Credential, who: &Principal) -> Asking {
    Asking { padata: vec![(PaType::FOR_USER, s4u::for_user(&tgt.key, who))], ..Asking::service(GATEWAY) }
}

fn naming(who: &Principal) -> impl Fn(libkrb::Time) -> Option<Vec<u8>> {
    move |time| ClientInfo::encode_user(who, time).ok()
}

#[test]
fn b16_only_whom_the_other_realms_pac_names_gets_a_ticket() {
    let (mut realm, alice) = (ours(), user("alice"));
    let tgt = led_back(&mut realm, GATEWAY, naming(&alice));
    let ticket = realm.tgs(&tgt, &at_home(&tgt, &alice)).expect("alice's ticket");
    assert_eq!(ticket.client, alice);
    assert_eq!(realm.tgs(&tgt, &at_home(&tgt, &user("bob"))).expect_err("bob"), ErrorCode::MODIFIED);
    let other = Principal::parse("alice@THIRD.ORG", None).expect("a name");
    assert_eq!(realm.tgs(&tgt, &at_home(&tgt, &other)).expect_err("of a third realm"), ErrorCode::MODIFIED);
    let third = led_back(&mut realm, GATEWAY, naming(&other));
    let refused = realm.tgs(&third, &at_home(&third, &other)).expect_err("not theirs to speak for");
    assert_eq!(refused, ErrorCode::PATH_NOT_ACCEPTED);
    let bare = led_back(&mut realm, GATEWAY, |_| None);
    assert_eq!(realm.tgs(&bare, &at_home(&bare, &alice)).expect_err("no PAC"), ErrorCode::MODIFIED);
    let own = led_back(&mut realm, GATEWAY, |time| ClientInfo::encode(&name(GATEWAY), time).ok());
    assert_eq!(realm.tgs(&own, &at_home(&own, &alice)).expect_err("the gateway's PAC"), ErrorCode::MODIFIED);
    let earlier = led_back(&mut realm, GATEWAY, |time| ClientInfo::encode_user(&alice, time + -1).ok());
    assert_eq!(realm.tgs(&earlier, &at_home(&earlier, &alice)).expect_err("another login"), ErrorCode::MODIFIED);
}

#[test]
fn b16_what_leads_back_is_good_for_nothing_else() {
    let (mut realm, alice) = (ours(), user("alice"));
    let tgt = led_back(&mut realm, GATEWAY, naming(&alice));
    assert_eq!(realm.tgs(&tgt, &Asking::service(USERS)).expect_err("as the gateway"), ErrorCode::ILL_CR_TKT);
    let elsewhere = Asking { server: Some(name(USERS)), ..at_home(&tgt, &alice) };
    assert_eq!(realm.tgs(&tgt, &elsewhere).expect_err("to another service"), ErrorCode::BADMATCH);
    let onward = Asking { server: Some(Principal::cross_tgs(OTHER, REALM)), ..at_home(&tgt, &alice) };
    realm.add(Principal::cross_tgs(OTHER, REALM), |_| {});
    assert_eq!(realm.tgs(&tgt, &onward).expect_err("round and round"), ErrorCode::ILL_CR_TKT);
    let ticket = realm.tgs(&tgt, &at_home(&tgt, &alice).with(O::FORWARDABLE)).expect("alice's ticket");
    let through = Asking { additional: vec![ticket.ticket], ..Asking::service(USERS) }.with(O::CNAME_IN_ADDL_TKT);
    assert_eq!(realm.tgs(&tgt, &through).expect_err("delegation from abroad"), ErrorCode::BADOPTION);
}

#[test]
fn b16_no_realm_speaks_for_our_users_nor_by_our_services_odd_names() {
    let mut realm = ours();
    let alice = name("alice");
    let tgt = led_back(&mut realm, GATEWAY, naming(&alice));
    assert_eq!(realm.tgs(&tgt, &at_home(&tgt, &alice)).expect_err("ours"), ErrorCode::C_PRINCIPAL_UNKNOWN);
    // A service whose own name looks like that of a user of the other realm.
    let odd = r"alice\@OTHER.ORG";
    realm.add(name(odd), |_| {});
    let tgt = led_back(&mut realm, odd, |time| ClientInfo::encode(&name(odd), time).ok());
    let asking = Asking { server: Some(name(odd)), ..at_home(&tgt, &user("alice")) };
    assert_eq!(realm.tgs(&tgt, &asking).expect_err("its own PAC"), ErrorCode::MODIFIED);
    // A service of another realm, sent here though it is not from here.
    let stranger = led_back(&mut realm, GATEWAY, naming(&user("alice")));
    let stranger = Credential { client: user(GATEWAY), ..stranger };
    realm.tgs(&stranger, &at_home(&stranger, &user("alice"))).expect_err("another client");
}

#[test]
fn b7_rules_about_another_realm_hold_for_its_users_in_whose_name_somebody_asks() {
    let (mut realm, alice) = (ours(), user("alice"));
    let tgt = led_back(&mut realm, GATEWAY, naming(&alice));
    let own = realm.login(&Asking::login(GATEWAY).with(O::FORWARDABLE)).expect("the gateway's TGT");
    let ticket = realm.tgs(&tgt, &at_home(&tgt, &alice).with(O::FORWARDABLE)).expect("alice's ticket");
    let through =
        Asking { additional: vec![ticket.ticket.clone()], ..Asking::service(USERS) }.with(O::CNAME_IN_ADDL_TKT);
    realm.tgs(&own, &through).expect("where the list says so");
    let glob = |text: &str| vec![Glob::parse(text).expect("a pattern")];
    let rule = |clients: Option<Vec<Glob>>, services| Trust {
        realm: OTHER.into(),
        clients,
        services,
        max_life: None,
        indicators: Default::default(),
    };
    realm.policy.abroad.trusts = vec![rule(None, Some(glob("HTTP/gateway.*@EXAMPLE.ORG")))];
    assert_eq!(realm.tgs(&own, &through).expect_err("the rule"), ErrorCode::POLICY);
    realm.policy.abroad.trusts = vec![rule(Some(glob("bob@OTHER.ORG")), None)];
    assert_eq!(realm.tgs(&tgt, &at_home(&tgt, &alice)).expect_err("the rule"), ErrorCode::POLICY);
    realm.policy.abroad.trusts = vec![];
    realm.change("krbtgt/EXAMPLE.ORG@OTHER.ORG", |entry| entry.attributes = Attributes::DISALLOW_ALL_TIX);
    assert_eq!(realm.tgs(&own, &through).expect_err("no trust left"), ErrorCode::TGT_REVOKED);
}
