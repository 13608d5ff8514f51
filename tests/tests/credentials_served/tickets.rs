//! Tickets: asked for once, renewed in time, kept through an outage, refusals remembered.

use std::sync::Arc;
use std::time::Duration;

use libkrb::credentials::{Credentials, Pace};
use libkrb::error::{Error, ErrorCode};
use libkrb::spn::SpnRules;
use tests::joined::{NOW, name};
use tokio::task::JoinSet;

use super::{HOUR, OTHER, SERVICE, Scene, principals, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_tasks_make_one_as_req_and_one_tgs_req() {
    let scene = Scene::new().await;
    let credentials = scene.service().await;
    let mut tasks = JoinSet::new();
    for _ in 0..10_000 {
        let credentials = credentials.clone();
        tasks.spawn(async move { credentials.ticket(&name(OTHER)).await.unwrap() });
    }
    let tickets = tasks.join_all().await;
    assert!(tickets.iter().all(|ticket| Arc::ptr_eq(ticket, &tickets[0]) || **ticket == *tickets[0]));
    assert_eq!(tickets.len(), 10_000);
    // Messages, not exchanges: a keytab proves itself with the first one.
    assert_eq!(scene.served.counts.both(), (1, 1));
    let asked = credentials.state().kdc_requests;
    assert_eq!((asked.as_exchanges, asked.tgs_exchanges), (1, 1));
}

#[tokio::test]
async fn the_first_ticket_is_renewed_in_time_though_nobody_asks() {
    let scene = Scene::new().await;
    let credentials = scene.service().await;
    credentials.ready().await.unwrap();
    let first = until(&credentials, |state| state.tgt_end.is_some()).await;
    let (end, next) = (first.tgt_end.unwrap(), first.next_attempt.unwrap());
    assert_eq!(end.distance(NOW + 10 * HOUR), 0);
    assert!((NOW + 6 * HOUR..=NOW + 8 * HOUR).contains(&next), "{next}");
    scene.served.wait(next - NOW + 1);
    let second = until(&credentials, |state| state.tgt_end != Some(end)).await;
    assert_eq!(second.tgt_end.unwrap() - end, next - NOW + 1);
    assert_eq!(second.last_success, Some(next + 1));
    assert_eq!((second.attempts, second.last_error.clone()), (0, None));
    assert!(second.next_attempt.unwrap() > next + 6 * HOUR);
    assert_eq!(scene.served.counts.both(), (2, 0));
}

#[tokio::test]
async fn tickets_that_live_outlive_an_outage_of_the_kdc() {
    let scene = Scene::new().await;
    let credentials = scene.service().await;
    let ticket = credentials.ticket(&name(OTHER)).await.unwrap();
    scene.served.leave().await;
    // Past the renewal of the first ticket, which fails.
    scene.served.wait(8 * HOUR + 1);
    let state = until(&credentials, |state| state.attempts > 0).await;
    assert_eq!(state.last_error.unwrap().error, Error::Unreachable("EXAMPLE.ORG".into()));
    assert!(credentials.is_healthy(), "while tickets live");
    assert_eq!(credentials.ticket(&name(OTHER)).await.unwrap(), ticket);
    // Past their end.
    scene.served.wait(2 * HOUR);
    assert!(!credentials.is_healthy());
    assert_eq!(credentials.ticket(&name(OTHER)).await, Err(Error::Unreachable("EXAMPLE.ORG".into())));
    scene.served.come_back().await;
    scene.served.wait(61);
    until(&credentials, |state| state.attempts == 0).await;
    assert!(credentials.is_healthy());
    assert!(credentials.ticket(&name(OTHER)).await.unwrap().end_time > ticket.end_time);
}

#[tokio::test]
async fn a_service_comes_up_while_its_kdc_is_away_and_asks_ever_more_seldom() {
    let scene = Scene::new().await;
    scene.served.leave().await;
    let credentials = scene.service().await;
    let mut now = NOW;
    for (attempts, longest) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60)] {
        let state = until(&credentials, |state| state.attempts == attempts).await;
        let next = state.next_attempt.unwrap();
        let shortest = longest / 2 - 1;
        assert!((now + shortest..=now + longest + 1).contains(&next), "attempt {attempts}: {next} after {now}");
        assert!(!credentials.is_healthy());
        if attempts < 8 {
            scene.served.wait(next - now + 1);
            now = next + 1;
        }
    }
    scene.served.come_back().await;
    scene.served.wait(62);
    let state = until(&credentials, |state| state.tgt_end.is_some()).await;
    assert_eq!(state.attempts, 0);
    assert!(state.last_error.is_some(), "what went wrong stays to be read");
    assert!(credentials.is_healthy());
}

#[tokio::test]
async fn a_refusal_counts_for_ten_seconds_and_for_this_service_alone() {
    let scene = Scene::new().await;
    let credentials = scene.service().await;
    let unknown = Err(Error::code(ErrorCode::S_PRINCIPAL_UNKNOWN));
    for _ in 0..100 {
        assert_eq!(credentials.ticket(&name("host/nobody")).await, unknown);
    }
    assert_eq!(scene.served.counts.both(), (1, 1));
    assert_eq!(credentials.ticket(&name("host/else")).await, unknown);
    credentials.ticket(&name(OTHER)).await.unwrap();
    assert_eq!(scene.served.counts.both(), (1, 3));
    scene.served.wait(9);
    assert_eq!(credentials.ticket(&name("host/nobody")).await, unknown);
    assert_eq!(scene.served.counts.both(), (1, 3));
    scene.served.wait(1);
    scene.served.realm.lock().unwrap().add(name("host/nobody"), |_| {});
    assert!(credentials.ticket(&name("host/nobody")).await.is_ok());
    assert_eq!(scene.served.counts.both(), (1, 4));
}

#[tokio::test]
async fn an_unknown_service_is_told_with_the_name_that_was_tried_and_how_it_was_made() {
    let scene = Scene::new().await;
    scene.service().await;
    let path = scene.path("a.keytab");
    let rules = SpnRules::parse("rules", "ads -> HTTP/ad-service.shop@EXAMPLE.ORG").unwrap();
    let builder = scene.with_clock(Credentials::from_keytab(path.to_str().unwrap())).spn_rules(rules);
    let credentials = builder.start().await.unwrap();
    let spn = credentials.spn("http://ads:8080/").unwrap();
    let error = credentials.initiator(&spn, Default::default()).await.err().unwrap().to_string();
    assert_eq!(
        error,
        "Server not found in Kerberos database: HTTP/ad-service.shop@EXAMPLE.ORG (from the rule ads -> \
         HTTP/ad-service.shop@EXAMPLE.ORG); add it to the realm (kadmin [--config FILE] addprinc -randkey \
         HTTP/ad-service.shop), or say in the rules for service names what it is called"
    );
    let spn = credentials.spn_of_host("host", "a.example.org:22").unwrap();
    assert_eq!(spn.principal, name(SERVICE));
    assert!(credentials.initiator(&spn, Default::default()).await.is_ok());
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_by_each_who_wants_a_ticket() {
    let scene = Scene::new().await;
    let credentials = scene.with_clock(Credentials::from_password("alice", "wrong")).start().await.unwrap();
    for _ in 0..100 {
        assert_eq!(credentials.ready().await, Err(Error::PasswordIncorrect));
        assert_eq!(credentials.ticket(&name(SERVICE)).await, Err(Error::PasswordIncorrect));
    }
    // The KDC says how the key is made, sends its challenge, and then that the key is wrong.
    assert_eq!(scene.served.counts.both(), (3, 0));
    let state = until(&credentials, |state| state.attempts == 1).await;
    assert!((5..=10).contains(&(state.next_attempt.unwrap() - NOW)), "no sooner than a refusal counts: {state:?}");
    assert!(!credentials.is_healthy());
}

#[tokio::test]
async fn one_that_only_accepts_asks_for_nothing_and_is_well() {
    let scene = Scene::new().await;
    let path = scene.path("a.keytab");
    scene.write_keytab(&path, SERVICE, &[1]);
    let builder = scene.with_clock(Credentials::from_keytab(path.to_str().unwrap())).accept_only();
    let credentials = builder.start().await.unwrap();
    assert!(credentials.is_healthy());
    let state = credentials.state();
    assert_eq!((state.next_attempt, state.tgt_end, state.origin.kvnos), (None, None, vec![1]));
    scene.served.wait(20 * HOUR);
    // It can ask when it has to.
    credentials.ticket(&name(OTHER)).await.unwrap();
    assert_eq!(scene.served.counts.both(), (1, 1));
}

#[tokio::test]
async fn tickets_follow_the_kdcs_clock() {
    let scene = Scene::new().await;
    scene.served.theirs.advance(HOUR);
    let credentials = scene.service().await;
    credentials.ready().await.unwrap();
    assert!(credentials.clock().time.distance(NOW + HOUR) <= 1);
    let state = until(&credentials, |state| state.tgt_end.is_some()).await;
    assert_eq!(state.tgt_end.unwrap().distance(NOW + 11 * HOUR), 0);
    assert!(state.next_attempt.unwrap() <= NOW + 8 * HOUR, "by our clock: {state:?}");
}

#[tokio::test]
async fn the_tasks_end_with_the_last_clone_and_acceptors_count() {
    let scene = Scene::new().await;
    let alone = Arc::strong_count(&scene.served.ours);
    let credentials = scene.service().await;
    credentials.ready().await.unwrap();
    let (clone, acceptor) = (credentials.clone(), super::acceptor(&credentials));
    drop(credentials);
    drop(clone);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(Arc::strong_count(&scene.served.ours) > alone, "its keys follow the keytab still");
    drop(acceptor);
    while Arc::strong_count(&scene.served.ours) > alone {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn numbers_for_metrics_are_those_of_the_state() {
    let scene = Scene::new().await;
    let credentials = scene.service().await;
    credentials.ticket(&name(OTHER)).await.unwrap();
    let state = until(&credentials, |state| state.tgt_end.is_some()).await;
    let numbers = state.numbers();
    let number = |name| numbers.iter().find(|(known, _)| *known == name).unwrap().1;
    assert_eq!(number("krb_credentials_tgt_end_seconds"), (NOW + 10 * HOUR).seconds() as u64);
    assert_eq!(number("krb_credentials_as_exchanges_total"), 1);
    assert_eq!(number("krb_credentials_tgs_exchanges_total"), 1);
    assert_eq!(number("krb_credentials_failed_attempts"), 0);
    assert_eq!(number("krb_credentials_origin_broken"), 0);
    assert_eq!(format!("{credentials:?}"), "Credentials(Principal(host/a.example.org@EXAMPLE.ORG))");
}

#[tokio::test]
async fn the_pace_can_be_set() {
    let scene = Scene::new().await;
    let path = scene.path("a.keytab");
    scene.write_keytab(&path, SERVICE, &[1]);
    let pace = Pace { refusals: Duration::ZERO, ..Pace::default() };
    let builder = scene.with_clock(Credentials::from_keytab(path.to_str().unwrap())).pace(pace);
    let credentials = builder.start().await.unwrap();
    for _ in 0..3 {
        assert!(credentials.ticket(&name("host/nobody")).await.is_err());
    }
    assert_eq!(scene.served.counts.both(), (1, 3), "no refusal is remembered");
}

#[tokio::test]
async fn a_keytab_of_several_principals_is_of_its_first_unless_one_is_named() {
    let scene = Scene::new().await;
    let (one, two) = (scene.path("one"), scene.path("two"));
    scene.write_keytab(&one, SERVICE, &[1]);
    scene.write_keytab(&two, OTHER, &[1]);
    let load = |path: &std::path::Path| libkrb::keytab::KeytabName::File(path.to_owned()).load().unwrap().entries;
    libkrb::keytab::KeytabName::File(one.clone()).add(&load(&two)).unwrap();
    let builder = || scene.with_clock(Credentials::from_keytab(one.to_str().unwrap()));
    let start = async |builder: libkrb::credentials::Builder| builder.start().await.map(|it| it.principal().clone());
    let [a, b] = &principals(&[SERVICE, OTHER])[..] else { unreachable!() };
    assert_eq!(&start(builder()).await.unwrap(), a);
    assert_eq!(&start(builder().principal(OTHER)).await.unwrap(), b);
    let error = start(builder().principal("HTTP/c")).await.unwrap_err().to_string();
    assert!(error.ends_with("no key of HTTP/c@EXAMPLE.ORG that can be used"), "{error}");
}
