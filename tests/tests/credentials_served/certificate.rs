//! A service of a mesh (SPIFFE): its certificate gets it tickets, and no keytab is anywhere.

use std::path::Path;

use kdc::core::Pkinit;
use libkrb::credentials::Credentials;
use libkrb::error::{Error, ErrorCode};
use libkrb::preauth::pkinit::Purpose;
use tests::certificates::{file, identity, pkinit, realm_with};
use tests::joined::name;

use super::{HOUR, OTHER, Scene, until};

/// Puts somebody's certificate where the mesh puts the workload's.
fn issue(path: &Path, who: &str) {
    std::fs::write(path, file(&format!("{who}.pem"))).unwrap();
}

async fn workload(scene: &Scene, who: &str) -> Credentials {
    let (svid, anchors) = (scene.path("svid.pem"), scene.path("ca.crt"));
    issue(&svid, who);
    std::fs::write(&anchors, file("ca.crt")).unwrap();
    let place = format!("FILE:{0},{0}", svid.display());
    let builder = Credentials::from_certificate(&place).anchors(&format!("FILE:{}", anchors.display()));
    scene.with_clock(builder.principal("orders/shop@EXAMPLE.ORG")).start().await.unwrap()
}

#[tokio::test]
async fn a_spiffe_certificate_gets_a_workload_tickets_until_the_mesh_puts_it_out() {
    // SVIDs are meant for TLS.
    let scene = Scene::of(realm_with(Pkinit { purposes: vec![Purpose::ClientAuth], ..pkinit() }), "").await;
    let credentials = workload(&scene, "svid").await;
    let ticket = credentials.ticket(&name(OTHER)).await.unwrap();
    assert_eq!(ticket.client, name("orders/shop"));
    let end = until(&credentials, |state| state.tgt_end.is_some()).await.tgt_end.unwrap();
    assert!(end <= identity("svid").not_after(), "no ticket outlives the certificate");
    // What the next login reads is somebody else's.
    issue(&scene.path("svid.pem"), "alice-tls");
    scene.served.wait(24 * HOUR);
    let refused = credentials.ticket(&name(OTHER)).await.unwrap_err();
    assert!(matches!(refused, Error::Protocol { code: ErrorCode::CLIENT_NAME_MISMATCH, .. }), "{refused}");
    issue(&scene.path("svid.pem"), "svid");
    scene.served.wait(HOUR);
    until(&credentials, |state| state.attempts == 0).await;
    assert_eq!(credentials.ticket(&name(OTHER)).await.unwrap().client, name("orders/shop"));
}
