//! A keytab that follows the KDC by itself.

use std::time::Duration;

use libkrb::credentials::{Credentials, Initiation};
use libkrb::keytab::KeytabName;
use libkrb::wire::{self, Ticket};
use tests::joined::name;

use super::{HOUR, SERVICE, Scene, acceptor, until};

#[tokio::test]
async fn keys_turn_over_with_nobody_noticing() {
    let scene = Scene::new().await;
    let path = scene.path("a.keytab");
    scene.write_keytab(&path, SERVICE, &[1]);
    let builder = Credentials::from_keytab(path.to_str().unwrap()).fetching_keys(Duration::from_secs(3600));
    let service = scene.with_clock(builder).start().await.unwrap();
    until(&service, |state| state.origin.fetched.is_some()).await;
    let (alice, acceptor) = (scene.alice().await, acceptor(&service));
    let mut sealed = vec![];
    for round in 0..3 {
        {
            let mut realm = scene.served.realm.lock().unwrap();
            realm.now = scene.served.theirs.now();
            realm.announce(SERVICE, 2 * HOUR + 1800, 25 * HOUR);
        }
        let newest = round + 2;
        for step in 0..6 {
            scene.served.wait(HOUR + 1);
            let due = scene.served.ours.now().time;
            until(&service, |state| state.origin.fetched.is_some_and(|fetched| fetched >= due)).await;
            if step == 0 {
                scene.served.wait(1);
                until(&service, |state| state.origin.kvnos.first() == Some(&newest)).await;
            }
            // Another ticket for every call.
            alice.forget(&name(SERVICE));
            scene.call(&alice, Initiation::default(), &acceptor).await.expect("no call is refused");
            let ticket = alice.ticket(&name(SERVICE)).await.unwrap();
            sealed.push(wire::decode::<Ticket<'_>>(&ticket.ticket).unwrap().enc_part.kvno.unwrap());
        }
    }
    sealed.dedup();
    assert_eq!(sealed, [1, 2, 3, 4]);
    let kvnos: Vec<u32> = KeytabName::File(path).load().unwrap().entries.iter().map(|entry| entry.kvno).collect();
    assert_eq!(kvnos, [1, 1, 2, 2, 3, 3, 4, 4], "old keys stay");
}

#[tokio::test]
async fn a_kdc_that_gives_no_keys_is_told_of_and_changes_nothing() {
    let scene = Scene::new().await;
    let path = scene.path("a.keytab");
    scene.write_keytab(&path, SERVICE, &[1]);
    {
        let realm = scene.served.realm.lock().unwrap();
        realm.change("kadmin/fetch", |entry| entry.keys.clear());
    }
    let builder = Credentials::from_keytab(path.to_str().unwrap()).fetching_keys(Duration::from_secs(3600));
    let service = scene.with_clock(builder).start().await.unwrap();
    let state = until(&service, |state| state.origin.fetch_problem.is_some()).await;
    assert_eq!((state.origin.fetched, state.origin.kvnos), (None, vec![1]));
    service.ready().await.expect("it logs in all the same");
}
