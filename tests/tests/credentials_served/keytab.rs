//! A keytab that changes on disk: new keys are taken over, old ones open tickets for their time, and
//! what is broken changes nothing.

use std::sync::Arc;

use libkrb::credentials::{Channel, Credentials, Initiation, Remedy};
use libkrb::error::ErrorCode;
use libkrb::keytab::{Keytab, KeytabName};
use libkrb::spn::Spn;
use tests::joined::name;

use super::{HOUR, OTHER, SERVICE, Scene, acceptor, until};

#[tokio::test]
async fn new_keys_are_taken_over_and_tickets_under_old_ones_go_on_to_be_taken() {
    let scene = Scene::new().await;
    let (service, alice) = (scene.service().await, scene.alice().await);
    let acceptor = acceptor(&service);
    scene.call(&alice, Initiation::default(), &acceptor).await.unwrap();
    // The new key alone is written: a secret of Kubernetes is replaced, not added to.
    let kvno = scene.rotate(SERVICE);
    scene.write_keytab(&scene.path("a.keytab"), SERVICE, &[kvno]);
    scene.served.wait(16);
    let state = until(&service, |state| state.origin.reloads == 1).await;
    assert_eq!((state.origin.kvnos, state.origin.problem), (vec![2], None));
    assert_eq!(state.origin.kept_keys, 2, "of two enctypes");
    scene.call(&alice, Initiation::default(), &acceptor).await.expect("the old ticket");
    alice.forget(&name(SERVICE));
    scene.call(&alice, Initiation::default(), &acceptor).await.expect("a new ticket");
}

#[tokio::test]
async fn keys_that_vanished_are_dropped_after_their_time() {
    let scene = Scene::new().await;
    let service = scene.service().await;
    let kvno = scene.rotate(SERVICE);
    scene.write_keytab(&scene.path("a.keytab"), SERVICE, &[kvno]);
    scene.served.wait(16);
    until(&service, |state| state.origin.kept_keys == 2).await;
    scene.served.wait(25 * HOUR);
    until(&service, |state| state.origin.kept_keys == 0).await;
}

#[tokio::test]
async fn a_ticket_under_a_key_that_is_not_known_yet_has_the_keytab_looked_at_at_once() {
    let scene = Scene::new().await;
    let (service, alice) = (scene.service().await, scene.alice().await);
    let acceptor = acceptor(&service);
    let kvno = scene.rotate(SERVICE);
    scene.write_keytab(&scene.path("a.keytab"), SERVICE, &[1, kvno]);
    let refused = scene.call(&alice, Initiation::default(), &acceptor).await.unwrap_err();
    assert_eq!(refused.error.wire_code(), ErrorCode::BADKEYVER);
    // Not before the next second: strangers can send such tickets too.
    scene.served.wait(1);
    let state = until(&service, |state| state.origin.reloads == 1).await;
    assert_eq!((state.origin.kvnos, state.origin.kept_keys), (vec![2, 1], 0));
    let spn = Spn::from(name(SERVICE));
    let remedy = alice.remedy(&spn, &refused.error, refused.clock, Channel::Open);
    assert_eq!(remedy, Some(Remedy::NewTicket));
    scene.call(&alice, Initiation::default(), &acceptor).await.expect("the second try");
}

#[tokio::test]
async fn a_realm_made_anew_whose_keys_have_the_same_number_is_noticed_too() {
    let scene = Scene::new().await;
    let (service, alice) = (scene.service().await, scene.alice().await);
    let acceptor = acceptor(&service);
    scene.rotate(SERVICE);
    scene.served.realm.lock().unwrap().change(SERVICE, |entry| {
        entry.keys.truncate(1);
        entry.keys[0].kvno = 1;
    });
    scene.write_keytab(&scene.path("a.keytab"), SERVICE, &[1]);
    let refused = scene.call(&alice, Initiation::default(), &acceptor).await.unwrap_err();
    assert_eq!(refused.error.wire_code(), ErrorCode::BAD_INTEGRITY);
    scene.served.wait(1);
    until(&service, |state| state.origin.reloads == 1).await;
    scene.call(&alice, Initiation::default(), &acceptor).await.expect("the same ticket");
}

#[tokio::test]
async fn what_is_broken_is_not_taken_over_and_the_state_says_so() {
    let scene = Scene::new().await;
    let (service, alice) = (scene.service().await, scene.alice().await);
    let (acceptor, path) = (acceptor(&service), scene.path("a.keytab"));
    let whole = std::fs::read(&path).unwrap();
    let other = scene.path("other");
    scene.write_keytab(&other, OTHER, &[1]);
    let other = std::fs::read(other).unwrap();
    let empty = Keytab::default().encode().unwrap().to_vec();
    for (content, problem) in [
        (Some(b"garbage".to_vec()), "this is no keytab"),
        (Some(whole[..whole.len() - 3].to_vec()), "Bad format in keytab"),
        (Some(vec![]), "the file is empty"),
        (Some(empty), "no key of host/a.example.org@EXAMPLE.ORG that can be used"),
        (Some(other), "no key of host/a.example.org@EXAMPLE.ORG that can be used"),
        (None, "holds no such file"),
    ] {
        match &content {
            Some(content) => std::fs::write(&path, content).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        scene.served.wait(16);
        let broken = |state: &libkrb::credentials::State| {
            state.origin.problem.as_ref().is_some_and(|failure| failure.error.to_string().contains(problem))
        };
        let state = until(&service, broken).await;
        assert_eq!((state.origin.reloads, state.origin.kvnos), (0, vec![1]));
        scene.call(&alice, Initiation::default(), &acceptor).await.expect("the old keys hold");
        // It can log in too.
        service.forget(&libkrb::Principal::tgs("EXAMPLE.ORG"));
        service.ready().await.unwrap();
    }
    std::fs::write(&path, whole).unwrap();
    scene.served.wait(16);
    let state = until(&service, |state| state.origin.problem.is_none()).await;
    assert_eq!(state.origin.reloads, 0, "the same keys again");
}

#[tokio::test]
async fn the_next_login_is_made_with_the_newest_key_on_disk_and_one_that_was_refused_at_once() {
    let scene = Scene::new().await;
    let service = scene.service().await;
    service.ready().await.unwrap();
    let kvno = scene.rotate(SERVICE);
    scene.served.realm.lock().unwrap().change(SERVICE, |entry| entry.keys.truncate(1));
    // The KDC knows the new key alone, and the keytab does not have it.
    scene.served.wait(8 * HOUR + 1);
    let state = until(&service, |state| state.attempts == 1).await;
    assert_eq!(state.last_error.unwrap().error.wire_code(), ErrorCode::BAD_INTEGRITY, "the reply does not open");
    assert!(service.is_healthy(), "the ticket lives");
    scene.write_keytab(&scene.path("a.keytab"), SERVICE, &[kvno]);
    scene.served.wait(1);
    scene.served.wait(16);
    let state = until(&service, |state| state.attempts == 0).await;
    assert_eq!(state.origin.kvnos, [2]);
}

#[tokio::test]
async fn several_acceptors_follow_one_keytab_and_one_in_memory_is_followed_too() {
    let scene = Scene::new().await;
    let file = scene.path("a.keytab");
    scene.write_keytab(&file, SERVICE, &[1]);
    let memory = KeytabName::Memory("followed".into());
    memory.replace(&KeytabName::File(file.clone()).load().unwrap()).unwrap();
    let service = scene.with_clock(Credentials::from_keytab("MEMORY:followed")).start().await.unwrap();
    let acceptors = [acceptor(&service), acceptor(&service)];
    let kvno = scene.rotate(SERVICE);
    scene.write_keytab(&file, SERVICE, &[kvno]);
    memory.replace(&KeytabName::File(file).load().unwrap()).unwrap();
    scene.served.wait(16);
    until(&service, |state| state.origin.reloads == 1).await;
    let alice = scene.alice().await;
    for acceptor in &acceptors {
        scene.call(&alice, Initiation::default(), acceptor).await.unwrap();
        assert_eq!(Arc::strong_count(acceptor), 1, "nothing keeps it");
    }
}

#[tokio::test]
async fn a_keytab_that_is_not_there_or_is_empty_ends_the_start() {
    let scene = Scene::new().await;
    let start = async |name: &str| scene.with_clock(Credentials::from_keytab(name)).start().await.unwrap_err();
    let missing = scene.path("missing");
    let error = start(missing.to_str().unwrap()).await.to_string();
    assert!(error.starts_with("Key table file not found (filename: "), "{error}");
    assert!(error.contains("has the one who is to write it done so"), "{error}");
    assert!(start("MEMORY:never filled").await.to_string().ends_with("the keytab is empty"));
    assert!(start("SRVTAB:x").await.to_string().contains("use FILE: or MEMORY:"));
}

#[tokio::test]
async fn only_credentials_of_a_keytab_can_accept() {
    let scene = Scene::new().await;
    let alice = scene.alice().await;
    let replay = Arc::new(libkrb::replay::MemoryReplayCache::new(300, 10));
    let error = alice.acceptor(Default::default(), replay).unwrap_err().to_string();
    assert_eq!(error, "only credentials of a keytab have keys to accept tickets with");
}
