//! Raw streams between two processes' worth of credentials, over TCP.

use std::sync::Arc;

use libkrb::config::Config;
use libkrb::credentials::{Credentials, Initiation};
use libkrb::gss::{AcceptorContext, AcceptorOptions, Mechanism};
use libkrb::replay::MemoryReplayCache;
use libkrb::service::Options;
use libkrb::stream::{KrbStream, StreamOptions};
use tests::{PATIENCE, Pair, suite};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

suite! {
    our_kdc: Ours, Ours;
    mit_kdc: Ours, Mit;
    => {
        two_services_talk_over_a_stream_and_know_each_other;
    }
}

fn two_services_talk_over_a_stream_and_know_each_other(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    let text = std::fs::read_to_string(seat.configuration()).expect("a krb5.conf");
    let config = Arc::new(Config::parse("krb5.conf", &text).expect("a krb5.conf"));
    let of = |keytab: std::path::PathBuf| {
        Credentials::from_keytab(&format!("FILE:{}", keytab.display())).config(config.clone()).start()
    };
    let (shop, ledger) = (realm.add_service("shop/localhost"), realm.add_service("ledger/localhost"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let talk = async {
        let (shop, ledger) = (of(shop).await.expect("credentials"), of(ledger).await.expect("credentials"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let replay = Arc::new(MemoryReplayCache::new(300, 1000));
        let acceptor = ledger.acceptor(Options::default(), replay).expect("an acceptor");
        let service = tokio::spawn(async move {
            let (tcp, from) = listener.accept().await.expect("a call");
            let opening = AcceptorContext::new(acceptor, AcceptorOptions::default());
            let options = StreamOptions::default();
            let mut stream = KrbStream::accept(tcp, opening, Some(from.ip()), &options).await.expect("a stream");
            let caller = stream.caller().expect("a caller").accepted.client.to_string();
            let mut said = Vec::new();
            stream.read_to_end(&mut said).await.expect("the whole");
            stream.write_all(&said).await.expect("an answer");
            stream.shutdown().await.expect("an end");
            caller
        });
        let spn = shop.spn_of_host("ledger", "localhost").expect("a name");
        let wanted = Initiation { mechanism: Mechanism::Kerberos, ..Initiation::default() };
        let initiator = shop.initiator(&spn, wanted).await.expect("a ticket");
        let tcp = TcpStream::connect(address).await.expect("a connection");
        let mut stream = KrbStream::connect(tcp, initiator, &StreamOptions::default()).await.expect("a stream");
        let message: Vec<_> = (0..1 << 20).map(|at| (at % 251) as u8).collect();
        let (mut from, mut to) = tokio::io::split(&mut stream);
        let mut heard = Vec::new();
        let (said, got) = tokio::join!(
            async {
                to.write_all(&message).await?;
                to.shutdown().await
            },
            from.read_to_end(&mut heard)
        );
        said.expect("all said");
        got.expect("all heard");
        assert!(heard == message);
        assert_eq!(service.await.expect("a service"), "shop/localhost@EXAMPLE.ORG");
    };
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, talk).await }).expect("an end in time");
}
