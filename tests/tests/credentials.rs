//! A service's credentials with running KDCs, ours, MIT's and Heimdal's, and with what others write to
//! disk: an outage, a keytab that is replaced, ten thousand tasks, a user's ticket on its way through
//! two services, a cache that `kinit` writes. What takes hours is in `credentials_served`.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libkrb::config::Config;
use libkrb::credentials::{Alarm, Builder, Channel, Credentials, Delegation, Initiation, Remedy, State};
use libkrb::crypto::OsRandom;
use libkrb::error::{Error, ErrorCode};
use libkrb::flags::TicketFlags;
use libkrb::gss::{AcceptStep, AcceptorContext, AcceptorOptions, Caller, InitiatorContext, InitiatorStep};
use libkrb::net::{Trace, TraceSink, Transport};
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Acceptor, Options};
use libkrb::spn::Spn;
use libkrb::time::Instant;
use libkrb::{Principal, Result};
use tests::library::now;
use tests::{PATIENCE, Pair, Realm, Secret, suite};
use tokio::sync::Notify;
use tokio::task::JoinSet;

const FIRST: &str = "HTTP/ads.example.org";
const SECOND: &str = "HTTP/users.example.org";

suite! {
    our_kdc: Ours, Ours;
    mit_kdc: Ours, Mit;
    heimdal_kdc: Ours, Heimdal;
    => {
        ten_thousand_tasks_ask_once;
        an_unknown_service_is_asked_for_once;
        an_outage_of_the_kdc_is_survived;
        a_keytab_that_is_replaced_on_disk_is_taken_over;
        a_users_ticket_reaches_the_second_service_where_the_kdc_trusts_the_first;
        a_password_and_a_configuration_on_disk_are_enough;
    }
}

/// Of the clients only kinit counts here.
mod caches {
    use super::{a_cache_that_kinit_writes_is_read_again, suite};

    suite! {
        our_kinit: Ours, Ours;
        mits_kinit: Mit, Ours;
        heimdals_kinit: Heimdal, Ours;
        our_kinit_mit_kdc: Ours, Mit;
        => { a_cache_that_kinit_writes_is_read_again; }
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(2 * PATIENCE, test).await }).expect("an end in time");
}

fn name(text: &str) -> Principal {
    Principal::parse(text, Some("EXAMPLE.ORG")).unwrap()
}

/// How many requests were sent, by what the trace says.
#[derive(Default)]
struct Requests(AtomicUsize);

impl Requests {
    fn sent(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl TraceSink for Requests {
    fn line(&self, text: &str) {
        self.0.fetch_add(usize::from(text.starts_with("Sending request (")), Ordering::SeqCst);
    }
}

/// Wakes the background tasks when a test says so, whatever the clock shows.
#[derive(Default)]
struct Bell(Notify);

impl Alarm for Bell {
    fn at<'a>(&'a self, time: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            if now() < time {
                self.0.notified().await;
            }
        })
    }
}

/// A realm's clients and services in this process.
struct Scene {
    transport: Transport,
    requests: Arc<Requests>,
    bell: Arc<Bell>,
}

impl Scene {
    fn new(realm: &Realm) -> Scene {
        let text = format!(
            "[libdefaults]\ndefault_realm = EXAMPLE.ORG\ndns_lookup_kdc = false\n\
             [realms]\nEXAMPLE.ORG = {{\nkdc = {}\n}}\n",
            realm.address()
        );
        let requests = Arc::new(Requests::default());
        let transport = Transport::new(Arc::new(Config::parse("krb5.conf", &text).unwrap()));
        let transport = transport.with_trace(Trace::to(requests.clone()));
        Scene { transport, requests, bell: Arc::default() }
    }

    async fn start(&self, builder: Builder) -> Credentials {
        builder.transport(self.transport.clone()).alarm(self.bell.clone()).start().await.unwrap()
    }

    async fn service(&self, keytab: &Path) -> Credentials {
        self.start(Credentials::from_keytab(keytab.to_str().unwrap())).await
    }

    async fn alice(&self) -> Credentials {
        self.start(Credentials::from_password("alice", "secret").forwardable()).await
    }

    /// Rings until the state is such.
    async fn until(&self, credentials: &Credentials, such: impl Fn(&State) -> bool) -> State {
        let mut watch = credentials.watch();
        loop {
            self.bell.0.notify_waiters();
            let short = Duration::from_millis(20);
            if let Ok(state) = tokio::time::timeout(short, watch.wait_for(&such)).await {
                return state.unwrap().clone();
            }
        }
    }
}

fn acceptor(credentials: &Credentials) -> Arc<Acceptor> {
    credentials.acceptor(Options::default(), Arc::new(MemoryReplayCache::new(300, 1000))).unwrap()
}

/// Passes tokens to and fro; gives who calls.
fn open(client: &Credentials, mut initiator: InitiatorContext, acceptor: &Arc<Acceptor>) -> Result<Box<Caller>> {
    let mut random = OsRandom::new();
    let mut acceptor = AcceptorContext::new(acceptor.clone(), AcceptorOptions::default());
    let InitiatorStep::Continue(token) = initiator.step(client.clock(), &mut random, None)? else { panic!("no token") };
    let (caller, answer) = match acceptor.step(now(), &mut random, &token, None) {
        Ok(AcceptStep::Done(_, caller, answer)) => (Some(caller), answer.unwrap()),
        Ok(AcceptStep::Continue(_)) => panic!("another leg"),
        Err(refusal) => (None, refusal.token.unwrap()),
    };
    match initiator.step(client.clock(), &mut random, Some(&answer))? {
        InitiatorStep::Done(..) => Ok(caller.unwrap()),
        InitiatorStep::Continue(_) => panic!("another leg"),
    }
}

async fn call(
    client: &Credentials,
    service: &str,
    wanted: Initiation,
    acceptor: &Arc<Acceptor>,
) -> Result<Box<Caller>> {
    let initiator = client.initiator(&Spn::from(name(service)), wanted).await?;
    open(client, initiator, acceptor)
}

fn ten_thousand_tasks_ask_once(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(FIRST);
    realm.add_service(SECOND);
    run(async {
        let scene = Scene::new(&realm);
        let service = scene.service(&keytab).await;
        let mut tasks = JoinSet::new();
        for _ in 0..10_000 {
            let service = service.clone();
            tasks.spawn(async move { service.ticket(&name(SECOND)).await.map(drop) });
        }
        assert!(tasks.join_all().await.into_iter().all(|outcome| outcome.is_ok()));
        // Messages: one AS-REQ, which proves the key at once, and one TGS-REQ.
        assert_eq!(scene.requests.sent(), 2);
        let asked = service.state().kdc_requests;
        assert_eq!((asked.as_exchanges, asked.tgs_exchanges), (1, 1));
    });
}

fn an_unknown_service_is_asked_for_once(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(FIRST);
    run(async {
        let scene = Scene::new(&realm);
        let service = scene.service(&keytab).await;
        let spn = service.spn("http://nobody.example.org:8080").unwrap();
        for _ in 0..100 {
            let error = service.initiator(&spn, Initiation::default()).await.err().unwrap();
            assert_eq!(error.wire_code(), ErrorCode::S_PRINCIPAL_UNKNOWN);
            assert!(
                error.to_string().contains("HTTP/nobody.example.org (by default, from service and host"),
                "{error}"
            );
        }
        assert_eq!(service.state().kdc_requests.tgs_exchanges, 1);
    });
}

fn an_outage_of_the_kdc_is_survived(pair: Pair) {
    let mut realm = pair.realm();
    let keytab = realm.add_service(FIRST);
    run(async {
        let scene = Scene::new(&realm);
        let (service, alice) = (scene.service(&keytab).await, scene.alice().await);
        let acceptor = acceptor(&service);
        call(&alice, FIRST, Initiation::default(), &acceptor).await.unwrap();
        realm.kill();
        let state = scene.until(&alice, |state| state.attempts >= 2).await;
        assert_eq!(state.last_error.unwrap().error, Error::Unreachable("EXAMPLE.ORG".into()));
        assert!(alice.is_healthy() && service.is_healthy());
        call(&alice, FIRST, Initiation::default(), &acceptor).await.expect("a call while the KDC is away");
        let other = alice.ticket(&name(SECOND)).await;
        assert_eq!(other, Err(Error::Unreachable("EXAMPLE.ORG".into())));
        realm.restart();
        scene.until(&alice, |state| state.attempts == 0).await;
        alice.forget(&name(FIRST));
        call(&alice, FIRST, Initiation::default(), &acceptor).await.expect("a call with a new ticket");
    });
}

fn a_keytab_that_is_replaced_on_disk_is_taken_over(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(FIRST);
    run(async {
        let scene = Scene::new(&realm);
        let (service, alice) = (scene.service(&keytab).await, scene.alice().await);
        let acceptor = acceptor(&service);
        let old = scene.alice().await;
        call(&old, FIRST, Initiation::default(), &acceptor).await.unwrap();
        // For a moment there is no file at all.
        realm.change(FIRST, Secret::Random);
        assert_eq!(realm.keytab(FIRST), keytab);
        let refused = call(&alice, FIRST, Initiation::default(), &acceptor).await.unwrap_err();
        assert_eq!(refused.wire_code(), ErrorCode::BADKEYVER);
        let state = scene.until(&service, |state| state.origin.reloads > 0).await;
        assert_eq!((state.origin.kvnos, state.origin.problem), (vec![2], None));
        assert!(state.origin.kept_keys > 0);
        let remedy = alice.remedy(&Spn::from(name(FIRST)), &refused, None, Channel::Open);
        assert_eq!(remedy, Some(Remedy::NewTicket));
        call(&alice, FIRST, Initiation::default(), &acceptor).await.expect("the second try");
        call(&old, FIRST, Initiation::default(), &acceptor).await.expect("a ticket under the old key");
        // It logs in with the new key, at the second try where one with the old key was under way.
        service.forget(&Principal::tgs("EXAMPLE.ORG"));
        if service.ready().await.is_err() {
            scene.until(&service, |state| state.attempts == 0).await;
            service.ready().await.unwrap();
        }
    });
}

fn a_users_ticket_reaches_the_second_service_where_the_kdc_trusts_the_first(pair: Pair) {
    let realm = pair.realm();
    let (first, second) = (realm.add_service(FIRST), realm.add_service(SECOND));
    run(async {
        let scene = Scene::new(&realm);
        let (ads, users) = (scene.service(&first).await, scene.service(&second).await);
        let (at_ads, at_users) = (acceptor(&ads), acceptor(&users));
        let wanted = || Initiation::default().delegating();
        let alice = scene.alice().await;
        let caller = call(&alice, FIRST, wanted(), &at_ads).await.unwrap();
        assert!(caller.delegated.is_none(), "the KDC does not trust it");
        realm.modify(FIRST, &["+ok_as_delegate"]);
        alice.forget(&name(FIRST));
        let caller = call(&alice, FIRST, wanted(), &at_ads).await.unwrap();
        assert!(caller.accepted.flags.has(TicketFlags::OK_AS_DELEGATE));
        let received = caller.delegated.expect("a ticket that was handed over");
        let user = ads.delegated(&received, &caller.accepted.client).unwrap();
        let caller = call(&user, SECOND, wanted(), &at_users).await.unwrap();
        assert_eq!(caller.accepted.client, name("alice"), "the second service sees the user");
        assert!(caller.accepted.flags.has(TicketFlags::FORWARDED));
        assert!(caller.delegated.is_none(), "and is not trusted itself");
        let caller = call(&ads, SECOND, wanted(), &at_users).await.unwrap();
        assert_eq!(caller.accepted.client, name(FIRST), "the first one calls in its own name too");
        // Who insists needs no trust of the KDC's.
        let always = Initiation { delegation: Delegation::Always, ..Initiation::default() };
        let caller = call(&user, SECOND, always, &at_users).await.unwrap();
        assert!(users.delegated(&caller.delegated.unwrap(), &name("alice")).unwrap().is_healthy());
    });
}

fn a_password_and_a_configuration_on_disk_are_enough(pair: Pair) {
    let realm = pair.realm();
    realm.add_service(FIRST);
    let seat = pair.seat(&realm);
    let text = std::fs::read_to_string(seat.configuration()).unwrap();
    run(async {
        let config = Arc::new(Config::parse("krb5.conf", &text).unwrap());
        let alice = Credentials::from_password("alice", "secret").config(config).start().await.unwrap();
        alice.ready().await.unwrap();
        let spn = alice.spn("https://ads.example.org").unwrap();
        assert_eq!(spn.principal, name(FIRST));
        assert!(spn.how.ends_with("realm from [domain_realm]"), "{}", spn.how);
        assert_eq!(alice.ticket(&spn.principal).await.unwrap().server, name(FIRST));
    });
}

fn a_cache_that_kinit_writes_is_read_again(pair: Pair) {
    let realm = pair.realm();
    realm.add_service(FIRST);
    let seat = pair.seat(&realm);
    seat.kinit(&["-l", "1h", "alice"], "secret").succeeds();
    run(async {
        let scene = Scene::new(&realm);
        let cache = format!("FILE:{}", seat.ccache().display());
        let alice = scene.start(Credentials::from_ccache(&cache)).await;
        assert_eq!(alice.principal(), &name("alice"));
        let short = alice.ticket(&name(FIRST)).await.unwrap();
        seat.kinit(&["-l", "2h", "alice"], "secret").succeeds();
        let state = scene.until(&alice, |state| state.origin.reloads == 1).await;
        assert_eq!(state.tgt_end, Some(seat.tgt().end));
        let long = alice.ticket(&name(FIRST)).await.unwrap();
        assert!(long.end_time - short.end_time > 3000, "{} {}", long.end_time, short.end_time);
        assert_eq!(state.kdc_requests.as_exchanges, 0);
        // A cache that is gone leaves the tickets as they were.
        std::fs::remove_file(seat.ccache()).unwrap();
        scene.until(&alice, |state| state.origin.problem.is_some()).await;
        assert_eq!(alice.ticket(&name(FIRST)).await.unwrap(), long);
    });
}
