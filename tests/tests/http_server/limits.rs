//! How large a token may be: what servers let through before the layer sees it, and what is
//! answered beyond.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use libkrb::codes::AuthDataType;
use libkrb::gss::{InitiatorContext, InitiatorOptions, InitiatorStep};
use libkrb::http::server::NegotiateLayer;
use libkrb::keytab::{Keytab, KeytabEntry, RawKey};
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Acceptor, Options};
use libkrb::wire::{self, AuthData, List};
use libkrb::{Time, ccache};
use tests::joined::{Asking, Joined, Sequence, name};

use crate::me;
use crate::site::{Site, Wire, authorization, block_on, get_with, listen, serve};

/// What came of a token of so many octets that no acceptor takes: the layer's own 400 and 401 mean
/// that it got through to it.
async fn fate(wire: &mut Wire, octets: usize) -> Option<StatusCode> {
    let answer = wire.get("/me", &[("authorization", &authorization(&vec![0x60; octets]))]).await;
    answer.ok().map(|answer| answer.status)
}

#[test]
fn a_token_of_48_kib_goes_through_http1_and_a_larger_one_gets_a_clear_answer() {
    let site = Site::start();
    let layer = site.layer();
    block_on(async {
        let address = serve(Router::new().route("/me", get(me)).layer(layer)).await;
        let mut fates = vec![];
        for kib in [8, 48, 64, 65, 128, 512] {
            fates.push((kib, fate(&mut Wire::http1(address).await, kib * 1024).await.map(|status| status.as_u16())));
        }
        // The token is refused for what it is up to the layer's bound, for its size up to hyper's
        // (some 400 KiB of headers), and by hyper itself beyond.
        let expected = [(8, 401), (48, 401), (64, 401), (65, 400), (128, 400), (512, 431)];
        assert_eq!(fates, expected.map(|(kib, status)| (kib, Some(status))));
    });
}

#[test]
fn http2_lets_16_kib_of_headers_through_unless_the_server_is_told_otherwise() {
    let site = Site::start();
    let layer = site.layer();
    block_on(async {
        let router = Router::new().route("/me", get(me)).layer(layer);
        let plain = serve(router.clone()).await;
        let mut fates = vec![];
        for kib in [8, 16, 48] {
            fates.push(fate(&mut Wire::http2(plain).await, kib * 1024).await.map(|status| status.as_u16()));
        }
        // Beyond 16 KiB there is an answer still; far beyond it h2 ends the connection, and tells
        // why in the code of its GOAWAY (ENHANCE_YOUR_CALM).
        assert_eq!(fates, [Some(401), Some(431), None]);

        let (listener, address) = listen().await;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(router.clone());
                let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                builder.http2().max_header_list_size(128 * 1024);
                tokio::spawn(async move { builder.serve_connection(TokioIo::new(stream), service).await.ok() });
            }
        });
        assert_eq!(fate(&mut Wire::http2(address).await, 48 * 1024).await, Some(StatusCode::UNAUTHORIZED));
    });
}

const HOST: &str = "host/a.example.org";

/// alice's token for host/a, whose ticket has so much authorization data, and a layer of host/a.
fn heavy(octets: usize) -> (Vec<u8>, NegotiateLayer) {
    let mut realm = Joined::new();
    let tgt = realm.login(&Asking::login("alice")).expect("a TGT");
    let credential = realm.tgs(&tgt, &Asking::service(HOST)).expect("a ticket");
    let groups = vec![0x47; octets];
    let inner = wire::encode(&List::Items(&[AuthData { kind: AuthDataType::WIN2K_PAC, data: &groups }]));
    let outer = [AuthData { kind: AuthDataType::IF_RELEVANT, data: &inner }];
    let forged = realm.forge(&credential, HOST, |part| part.authorization_data = Some(List::Items(&outer)));
    let ticket = ccache::Credential {
        client: forged.client.clone(),
        server: forged.server.clone(),
        key: RawKey::from(&forged.key),
        auth_time: forged.auth_time,
        start_time: forged.start_time,
        end_time: forged.end_time,
        renew_till: Time::EPOCH,
        is_skey: false,
        flags: forged.flags,
        addresses: vec![],
        authdata: vec![],
        ticket: forged.ticket,
        second_ticket: vec![],
    };
    let mut alice = InitiatorContext::new(&ticket, InitiatorOptions::default()).expect("a context");
    let now = realm.now;
    let InitiatorStep::Continue(token) = alice.step(now, &mut Sequence(1), None).expect("a token") else {
        panic!("it waits for the service's proof");
    };
    let entry = realm.entry(HOST);
    let keys = entry.keys.iter().flat_map(|set| set.keys.iter().map(|key| (set.kvno, RawKey::from(&key.key))));
    let entries = keys.map(|(kvno, key)| KeytabEntry { principal: name(HOST), timestamp: now.time, kvno, key });
    let keytab = Keytab { entries: entries.collect() };
    let replay = Arc::new(MemoryReplayCache::new(300, 1000));
    let acceptor = Acceptor::new(&keytab, Options::default(), replay).expect("an acceptor");
    (token, NegotiateLayer::new(Arc::new(acceptor)).clock(move || now))
}

#[test]
fn a_ticket_with_48_kib_of_groups_is_accepted() {
    for (kib, status) in [(0, StatusCode::OK), (48, StatusCode::OK), (64, StatusCode::BAD_REQUEST)] {
        let (token, layer) = heavy(kib * 1024);
        block_on(async {
            let address = serve(Router::new().route("/me", get(me)).layer(layer)).await;
            let answer = get_with(address, "/me", &[("authorization", &authorization(&token))]).await;
            assert_eq!(answer.status, status, "{kib} KiB: {}", answer.body);
        });
    }
}
