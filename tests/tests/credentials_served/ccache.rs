//! A credential cache that somebody else writes: read again when it changes, renewed, never written.

use std::path::Path;

use libkrb::ccache::{CacheName, Ccache};
use libkrb::client::Secret;
use libkrb::credentials::Credentials;
use libkrb::error::{Error, ErrorCode};
use libkrb::net::as_request;
use tests::joined::{NOW, PASSWORD, name};

use super::{HOUR, OTHER, SERVICE, Scene, until};

/// What `kinit` does.
async fn kinit(scene: &Scene, user: &str, cache: &Path) -> Ccache {
    let transport = &scene.served.transport;
    let secret = Secret::password(std::str::from_utf8(PASSWORD).unwrap());
    let login = transport.login(as_request(transport.config(), name(user)), secret).await.unwrap();
    let content = login.into_ccache();
    CacheName::File(cache.to_owned()).replace(&content).unwrap();
    content
}

fn from(scene: &Scene, cache: &Path) -> libkrb::credentials::Builder {
    scene.with_clock(Credentials::from_ccache(cache.to_str().unwrap()))
}

#[tokio::test]
async fn tickets_of_the_cache_are_used_and_it_is_not_written() {
    let scene = Scene::new().await;
    let cache = scene.path("krb5cc");
    kinit(&scene, "alice", &cache).await;
    let before = std::fs::read(&cache).unwrap();
    let asked = scene.served.counts.both();
    let credentials = from(&scene, &cache).start().await.unwrap();
    assert_eq!(credentials.principal(), &name("alice"));
    assert!(credentials.is_healthy());
    credentials.ready().await.unwrap();
    assert_eq!(scene.served.counts.both(), asked);
    credentials.ticket(&name(OTHER)).await.unwrap();
    assert_eq!(scene.served.counts.both(), (asked.0, asked.1 + 1));
    assert_eq!(std::fs::read(&cache).unwrap(), before);
    assert_eq!(credentials.state().next_attempt, None, "it is not renewable");
}

#[tokio::test]
async fn a_new_login_in_the_cache_replaces_all_tickets() {
    let scene = Scene::new().await;
    let cache = scene.path("krb5cc");
    kinit(&scene, "alice", &cache).await;
    let credentials = from(&scene, &cache).start().await.unwrap();
    let old = credentials.ticket(&name(OTHER)).await.unwrap();
    scene.served.wait(HOUR);
    kinit(&scene, "alice", &cache).await;
    scene.served.wait(16);
    let state = until(&credentials, |state| state.origin.reloads == 1).await;
    assert_eq!(state.tgt_end.unwrap().distance(NOW + 11 * HOUR), 0);
    let new = credentials.ticket(&name(OTHER)).await.unwrap();
    assert!(new.end_time > old.end_time);
    // Somebody stores a ticket in it: that is no new login.
    CacheName::File(cache).store(&old).unwrap();
    scene.served.wait(16);
    assert_eq!(credentials.ticket(&name(OTHER)).await.unwrap(), new);
    assert_eq!(credentials.state().origin.reloads, 1);
}

#[tokio::test]
async fn an_expired_cache_is_told_and_a_new_login_in_it_found_at_once() {
    let scene = Scene::new().await;
    let cache = scene.path("krb5cc");
    kinit(&scene, "alice", &cache).await;
    let credentials = from(&scene, &cache).start().await.unwrap();
    scene.served.wait(10 * HOUR);
    assert!(!credentials.is_healthy());
    assert_eq!(credentials.ticket(&name(OTHER)).await, Err(Error::code(ErrorCode::TKT_EXPIRED)));
    kinit(&scene, "alice", &cache).await;
    // The failure is a reason to look, without waiting for the next time.
    assert!(credentials.ready().await.is_err());
    scene.served.wait(1);
    until(&credentials, |state| state.origin.reloads == 1).await;
    credentials.ticket(&name(OTHER)).await.unwrap();
}

#[tokio::test]
async fn a_cache_of_somebody_else_is_not_taken_over() {
    let scene = Scene::new().await;
    let cache = scene.path("krb5cc");
    kinit(&scene, "alice", &cache).await;
    let credentials = from(&scene, &cache).start().await.unwrap();
    kinit(&scene, "bob", &cache).await;
    scene.served.wait(16);
    let state = until(&credentials, |state| state.origin.problem.is_some()).await;
    let problem = state.origin.problem.unwrap().error.to_string();
    assert!(problem.contains("is of bob@EXAMPLE.ORG now; what began as alice@EXAMPLE.ORG goes on"), "{problem}");
    assert_eq!(credentials.ticket(&name(OTHER)).await.unwrap().client, name("alice"));
    let error = from(&scene, &cache).principal("alice").start().await.unwrap();
    assert!(error.state().origin.problem.is_some(), "also at the start");
    assert_eq!(error.ticket(&name(OTHER)).await, Err(Error::NoCredential));
}

#[tokio::test]
async fn a_cache_without_a_ticket_is_one_that_is_being_written() {
    let scene = Scene::new().await;
    let cache = scene.path("krb5cc");
    kinit(&scene, "alice", &cache).await;
    let credentials = from(&scene, &cache).start().await.unwrap();
    let old = credentials.ticket(&name(OTHER)).await.unwrap();
    CacheName::File(cache.clone()).initialize(&name("alice"), None).unwrap();
    scene.served.wait(16);
    let state = until(&credentials, |state| state.origin.problem.is_some()).await;
    assert_eq!(state.origin.reloads, 0);
    assert!(credentials.is_healthy());
    assert_eq!(credentials.ticket(&name(OTHER)).await.unwrap(), old);
    kinit(&scene, "alice", &cache).await;
    scene.served.wait(16);
    let state = until(&credentials, |state| state.origin.reloads == 1).await;
    assert_eq!(state.origin.problem, None);
}

#[tokio::test]
async fn a_cache_that_is_not_there_yet_is_awaited_if_it_is_known_whose_it_will_be() {
    let scene = Scene::new().await;
    let cache = scene.path("krb5cc");
    let error = from(&scene, &cache).start().await.unwrap_err().to_string();
    assert!(error.starts_with("No credentials cache found (filename: "), "{error}");
    let credentials = from(&scene, &cache).principal("alice").start().await.unwrap();
    assert!(!credentials.is_healthy());
    assert_eq!(credentials.ready().await, Err(Error::NoCredential));
    let problem = credentials.state().origin.problem.unwrap().error.to_string();
    assert!(problem.ends_with("and under this name?"), "{problem}");
    kinit(&scene, "alice", &cache).await;
    scene.served.wait(16);
    let state = until(&credentials, |state| state.tgt_end.is_some()).await;
    assert_eq!((state.origin.problem, state.origin.reloads), (None, 0));
    assert!(credentials.is_healthy());
    credentials.ticket(&name(SERVICE)).await.unwrap();
}

#[tokio::test]
async fn a_renewable_ticket_is_renewed_in_memory_until_it_cannot_be() {
    let scene = Scene::with("renew_lifetime = 1d").await;
    let cache = scene.path("krb5cc");
    kinit(&scene, "alice", &cache).await;
    let before = std::fs::read(&cache).unwrap();
    let credentials = from(&scene, &cache).start().await.unwrap();
    let mut end = credentials.state().tgt_end.unwrap();
    let mut now = NOW;
    // 10 hours each, until the day is over.
    while let Some(next) = credentials.state().next_attempt {
        assert!(next < end && next > now, "{next} {end}");
        scene.served.wait(next - now + 1);
        now = next + 1;
        end = until(&credentials, |state| state.tgt_end != Some(end)).await.tgt_end.unwrap();
    }
    assert_eq!(end.distance(NOW + 24 * HOUR), 0);
    let (as_requests, tgs_requests) = scene.served.counts.both();
    assert_eq!(as_requests, 3, "kinit's");
    assert!((2..=4).contains(&tgs_requests), "{tgs_requests}");
    assert_eq!(std::fs::read(&cache).unwrap(), before);
}

#[tokio::test]
async fn a_cache_of_the_host_is_told_with_what_to_use_instead() {
    let scene = Scene::new().await;
    for kind in ["API:0", "MSLSA:"] {
        let error = scene.with_clock(Credentials::from_ccache(kind)).start().await.unwrap_err().to_string();
        assert!(error.contains("FILE:/path on a volume that both see"), "{error}");
    }
}
