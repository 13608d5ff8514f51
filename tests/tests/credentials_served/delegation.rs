//! The user's tickets on their way through services, and second tries.

use std::sync::Arc;

use kdc::core::Attributes;
use libkrb::Principal;
use libkrb::client::ClockOffset;
use libkrb::credentials::{Channel, Credentials, Delegation, Initiation, Remedy};
use libkrb::error::{Error, ErrorCode};
use libkrb::flags::TicketFlags;
use libkrb::gss::ContextFlags;
use libkrb::service::{Acceptor, Options};
use libkrb::session::ReceivedCred;
use libkrb::spn::Spn;
use tests::joined::{NOW, PASSWORD, REALM, name};

use super::{HOUR, OTHER, SERVICE, Scene, acceptor, open};

fn wanting(delegation: Delegation) -> Initiation {
    Initiation { delegation, ..Initiation::default() }
}

/// Whether the KDC trusts the service with tickets of others.
fn trust(scene: &Scene, trusted: bool) {
    scene.served.realm.lock().unwrap().change(SERVICE, |entry| {
        entry.attributes = entry.attributes.with(Attributes::OK_AS_DELEGATE, trusted);
    });
}

/// What alice hands over to the service.
async fn handed(scene: &Scene, alice: &Credentials, service: &Credentials) -> ReceivedCred {
    let (_, caller) = scene.call(alice, wanting(Delegation::Always), &acceptor(service)).await.unwrap();
    caller.delegated.unwrap()
}

#[tokio::test]
async fn a_ticket_is_handed_over_to_those_only_whom_the_policy_names() {
    let scene = Scene::new().await;
    let (service, alice) = (scene.service().await, scene.alice().await);
    let acceptor = acceptor(&service);
    for (trusted, delegation, given) in [
        (false, Delegation::Never, false),
        (true, Delegation::Never, false),
        (false, Delegation::IfTrusted, false),
        (true, Delegation::IfTrusted, true),
        (false, Delegation::Always, true),
    ] {
        trust(&scene, trusted);
        alice.forget(&name(SERVICE));
        let (context, caller) = scene.call(&alice, wanting(delegation), &acceptor).await.unwrap();
        assert_eq!(caller.delegated.is_some(), given, "{trusted} {delegation:?}");
        assert_eq!(context.flags().has(ContextFlags::DELEGATE), given);
    }
    assert_eq!(Initiation::default().delegating().delegation, Delegation::IfTrusted);
    assert_eq!(Initiation::default().delegation, Delegation::Never);
}

#[tokio::test]
async fn a_ticket_that_is_not_forwardable_is_not_handed_over_and_who_insists_hears_why() {
    let scene = Scene::new().await;
    let service = scene.service().await;
    trust(&scene, true);
    let builder = Credentials::from_password("alice", std::str::from_utf8(PASSWORD).unwrap());
    let alice = scene.with_clock(builder).start().await.unwrap();
    let (_, caller) = scene.call(&alice, wanting(Delegation::IfTrusted), &acceptor(&service)).await.unwrap();
    assert!(caller.delegated.is_none());
    let outcome = alice.initiator(&Spn::from(name(SERVICE)), wanting(Delegation::Always)).await;
    let error = outcome.err().unwrap();
    assert_eq!(error.wire_code(), ErrorCode::BADOPTION);
    assert!(error.to_string().contains("forwardable = true in krb5.conf, or Builder::forwardable"), "{error}");
}

#[tokio::test]
async fn one_ticket_is_forwarded_for_each_service_and_is_asked_for_once() {
    let scene = Scene::new().await;
    let (service, alice) = (scene.service().await, scene.alice().await);
    let first = handed(&scene, &alice, &service).await;
    let asked = scene.served.counts.both();
    let second = handed(&scene, &alice, &service).await;
    assert_eq!(scene.served.counts.both(), asked, "held like other tickets");
    assert_eq!(first.tickets[0].ticket, second.tickets[0].ticket);
    let other = alice.initiator(&Spn::from(name(OTHER)), wanting(Delegation::Always)).await;
    assert!(other.is_ok());
    // A ticket for it and one to hand over: what one service holds is no other's.
    assert_eq!(scene.served.counts.both(), (asked.0, asked.1 + 2));
}

#[tokio::test]
async fn the_next_hop_sees_the_user() {
    let scene = Scene::new().await;
    let (service, alice) = (scene.service().await, scene.alice().await);
    let received = handed(&scene, &alice, &service).await;
    let user = service.delegated(&received, &name("alice")).unwrap();
    assert_eq!(user.principal(), &name("alice"));
    assert!(user.is_healthy());
    let path = scene.path("b.keytab");
    scene.write_keytab(&path, OTHER, &[1]);
    let next = scene.with_clock(Credentials::from_keytab(path.to_str().unwrap())).start().await.unwrap();
    let initiator = user.initiator(&Spn::from(name(OTHER)), wanting(Delegation::Always)).await.unwrap();
    let (_, caller) = open(initiator, &user, &acceptor(&next), scene.served.theirs.now()).unwrap();
    assert_eq!(caller.accepted.client, name("alice"));
    assert!(caller.accepted.flags.has(TicketFlags::FORWARDED), "{}", caller.accepted.flags);
    // And so may the one after that.
    let further = next.delegated(&caller.delegated.unwrap(), &caller.accepted.client).unwrap();
    assert_eq!(further.ticket(&name(SERVICE)).await.unwrap().client, name("alice"));
    let shown = format!("{user:?} {received:?} {:?}", user.state());
    assert!(shown.contains("alice@EXAMPLE.ORG") && shown.contains("redacted"), "{shown}");
}

#[tokio::test]
async fn what_was_handed_over_ends_with_the_ticket_and_is_not_renewed() {
    let scene = Scene::with("renew_lifetime = 7d").await;
    let (service, alice) = (scene.service().await, scene.alice().await);
    let received = handed(&scene, &alice, &service).await;
    assert!(received.tickets[0].flags.has(TicketFlags::RENEWABLE), "it could be");
    let user = service.delegated(&received, &name("alice")).unwrap();
    let ticket = user.ticket(&name(OTHER)).await.unwrap();
    assert_eq!(user.state().tgt_end, received.tickets[0].end_time);
    assert_eq!((user.state().next_attempt, ticket.end_time), (None, received.tickets[0].end_time.unwrap()));
    scene.served.wait(9 * HOUR + HOUR / 2);
    user.ticket(&name(OTHER)).await.unwrap();
    user.ready().await.unwrap();
    scene.served.wait(HOUR);
    assert!(!user.is_healthy());
    let expired = Err(Error::code(ErrorCode::TKT_EXPIRED));
    assert_eq!(user.ticket(&name(OTHER)).await, expired);
    assert_eq!(user.ready().await, expired.map(drop));
    assert_eq!(user.state().kdc_requests.as_exchanges, 0);
    assert_eq!(user.state().kdc_requests.tgs_exchanges, 1);
}

#[tokio::test]
async fn tickets_of_somebody_else_than_the_caller_are_not_believed() {
    let scene = Scene::new().await;
    let (service, alice) = (scene.service().await, scene.alice().await);
    let received = handed(&scene, &alice, &service).await;
    let refused = |received: &ReceivedCred, caller: &Principal| service.delegated(received, caller).unwrap_err();
    assert_eq!(refused(&received, &name("bob")).wire_code(), ErrorCode::BADMATCH);
    // It says bob, and bob is who calls: the KDC knows better when the ticket is used.
    let mut lie = received.clone();
    lie.tickets[0].client = name("bob");
    assert_eq!(refused(&lie, &name("alice")).wire_code(), ErrorCode::BADMATCH);
    let believed = service.delegated(&lie, &name("bob")).unwrap();
    assert_eq!(believed.ticket(&name(OTHER)).await.unwrap_err().wire_code(), ErrorCode::BADMATCH);
    let mut none = received.clone();
    none.tickets[0].server = name(OTHER);
    assert!(refused(&none, &name("alice")).to_string().contains("no ticket-granting ticket"));
    let mut endless = received.clone();
    endless.tickets[0].end_time = None;
    assert!(refused(&endless, &name("alice")).to_string().contains("without an end"));
    let mut two = received.clone();
    two.tickets.extend(lie.tickets);
    assert_eq!(refused(&two, &name("alice")).wire_code(), ErrorCode::BADMATCH);
    assert_eq!(Principal::tgs(REALM), received.tickets[0].server);
}

#[tokio::test]
async fn a_refusal_leads_to_a_second_try_where_that_can_help() {
    let scene = Scene::new().await;
    let alice = scene.alice().await;
    let spn = Spn::from(name(SERVICE));
    let old = alice.ticket(&spn.principal).await.unwrap();
    let remedy = |code, clock| alice.remedy(&spn, &Error::code(code), clock, Channel::Open);
    for code in [ErrorCode::REPEAT, ErrorCode::BADADDR, ErrorCode::GENERIC] {
        assert_eq!(remedy(code, None), None, "{code}");
    }
    assert_eq!(alice.remedy(&spn, &Error::Malformed("x"), None, Channel::Open), None);
    assert_eq!(alice.ticket(&spn.principal).await.unwrap(), old);
    for code in [ErrorCode::MODIFIED, ErrorCode::BADKEYVER, ErrorCode::NOKEY, ErrorCode::BAD_INTEGRITY] {
        let before = alice.ticket(&spn.principal).await.unwrap();
        assert_eq!(remedy(code, None), Some(Remedy::NewTicket), "{code}");
        assert_ne!(alice.ticket(&spn.principal).await.unwrap().ticket, before.ticket);
    }
}

#[tokio::test]
async fn a_services_clock_is_followed_where_nobody_can_gain_by_it() {
    let scene = Scene::new().await;
    let (service, alice) = (scene.service().await, scene.alice().await);
    let spn = Spn::from(name(SERVICE));
    alice.ticket(&spn.principal).await.unwrap();
    scene.served.wait(2 * HOUR);
    for (seconds, open, authenticated) in
        [(-HOUR, true, true), (HOUR, false, true), (-3 * HOUR, false, false), (9 * HOUR, false, false)]
    {
        let clock = Some(ClockOffset::new(seconds as i32, 0).apply(alice.clock()));
        let error = Error::code(ErrorCode::SKEW);
        let followed = |channel| alice.remedy(&spn, &error, clock, channel).is_some();
        assert_eq!((followed(Channel::Open), followed(Channel::Authenticated)), (open, authenticated), "{seconds}");
        assert_eq!(alice.remedy(&spn, &error, None, Channel::Authenticated), None);
    }
    // A service whose clock is an hour behind.
    let acceptor = acceptor(&service);
    let late = libkrb::time::Instant::from(NOW + HOUR);
    let first = alice.initiator(&spn, Initiation::default()).await.unwrap();
    let refused = open(first, &alice, &acceptor, late).unwrap_err();
    assert_eq!(refused.error.wire_code(), ErrorCode::SKEW);
    let remedy = alice.remedy(&spn, &refused.error, refused.clock, Channel::Open);
    let Some(Remedy::Clock(offset)) = remedy else { panic!("{remedy:?}") };
    let theirs = offset.apply(alice.clock());
    assert!(theirs.time.distance(NOW + HOUR) <= 1, "{theirs:?}");
}

#[tokio::test]
async fn the_service_that_accepts_can_be_named() {
    let scene = Scene::new().await;
    let (service, alice) = (scene.service().await, scene.alice().await);
    let options = Options { service: Some(name(SERVICE)), ..Options::default() };
    let replay = Arc::new(libkrb::replay::MemoryReplayCache::new(300, 10));
    let acceptor: Arc<Acceptor> = service.acceptor(options, replay.clone()).unwrap();
    scene.call(&alice, Initiation::default(), &acceptor).await.unwrap();
    let options = Options { service: Some(name(OTHER)), ..Options::default() };
    assert!(service.acceptor(options, replay).is_err());
}
