//! The client that a program holds for its life, against our KDC behind a socket of loopback: what
//! it asks for, how often, and what it does when time passes.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use kdc::core::Attributes;
use libkrb::ccache::{CacheName, Credential};
use libkrb::client::Secret;
use libkrb::config::Config;
use libkrb::crypto::Key;
use libkrb::flags::{KdcOptions, TicketFlags};
use libkrb::keytab::{Keytab, KeytabEntry, KeytabName};
use libkrb::net::{Client, Source, Transport, as_request};
use libkrb::{Error, ErrorCode, Principal, Time};
use tests::Family;
use tests::joined::{Joined, NOW, PASSWORD, REALM, name};
use tests::served::Served;

const HOUR: i64 = 3600;

fn password() -> String {
    String::from_utf8(PASSWORD.to_vec()).unwrap()
}

async fn serve(realm: Joined) -> Served {
    Served::new(realm).await
}

async fn serve_with(realm: Joined, settings: &str) -> Served {
    Served::with(realm, settings).await
}

fn alice(served: &Served) -> Client {
    Client::with_password(served.transport.clone(), name("alice"), &password())
}

/// A keytab with alice's keys.
fn keytab_of_alice(served: &Served, label: &str) -> KeytabName {
    let realm = served.realm.lock().unwrap();
    let entry = realm.entry("alice");
    let keys = entry.keys.iter().flat_map(|set| set.keys.iter().map(|key| (set.kvno, key.key.clone())));
    let entries = keys.map(|(kvno, key): (u32, Key)| KeytabEntry {
        principal: name("alice"),
        timestamp: NOW,
        kvno,
        key: (&key).into(),
    });
    let keytab = KeytabName::parse(&format!("MEMORY:{label}")).unwrap();
    keytab.replace(&Keytab { entries: entries.collect() }).unwrap();
    keytab
}

fn cache(label: &str) -> CacheName {
    CacheName::Memory(label.to_owned())
}

/// Runs one future a task and collects what they came to.
async fn all<F>(futures: impl Iterator<Item = F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let tasks: Vec<_> = futures.map(tokio::spawn).collect();
    let mut outcomes = vec![];
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_make_one_login_and_one_request() {
    let served = serve(Joined::new()).await;
    let client = alice(&served);
    let tickets = all((0..1000).map(|_| {
        let client = client.clone();
        async move { client.ticket(&name("host/a.example.org")).await.unwrap() }
    }))
    .await;
    assert!(tickets.iter().all(|ticket| ticket.ticket == tickets[0].ticket));
    // The first AS-REQ is told how to prove itself, the second gets a challenge, the third answers it.
    assert_eq!(served.counts.both(), (3, 1));
    client.ticket(&name("host/b.example.org")).await.unwrap();
    client.ticket(&name("host/a.example.org")).await.unwrap();
    assert_eq!(served.counts.both(), (3, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_that_want_different_services_share_the_login() {
    let served = serve(Joined::new()).await;
    let client = alice(&served);
    let services = ["host/a.example.org", "host/b.example.org"];
    let tickets = all((0..200).map(|index| {
        let client = client.clone();
        async move { client.ticket(&name(services[index % 2])).await.unwrap() }
    }))
    .await;
    assert_eq!(tickets[0].server, name(services[0]));
    assert_eq!(tickets[1].server, name(services[1]));
    assert_eq!(served.counts.both(), (3, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refusal_is_shared_by_all_who_wait_for_it() {
    let served = serve(Joined::new()).await;
    let client = alice(&served);
    client.tgt().await.unwrap();
    served.counts.silent.store(true, Ordering::SeqCst);
    let waiting = tokio::spawn(all((0..100).map({
        let client = client.clone();
        move |_| {
            let client = client.clone();
            async move { client.ticket(&name("nobody/here")).await }
        }
    })));
    served.counts.arrived.notified().await;
    served.counts.silent.store(false, Ordering::SeqCst);
    for outcome in waiting.await.unwrap() {
        assert_eq!(outcome, Err(Error::code(ErrorCode::S_PRINCIPAL_UNKNOWN)));
    }
    // The first went unanswered and was sent again.
    let (_, tgs_requests) = served.counts.both();
    assert!(tgs_requests <= 3, "{tgs_requests}");
}

#[tokio::test]
async fn one_who_gives_up_does_not_take_the_others_along() {
    let served = serve(Joined::new()).await;
    served.counts.silent.store(true, Ordering::SeqCst);
    let client = alice(&served);
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.tgt().await }
    });
    served.counts.arrived.notified().await;
    let second = tokio::spawn({
        let client = client.clone();
        async move { client.tgt().await }
    });
    tokio::task::yield_now().await;
    served.counts.silent.store(false, Ordering::SeqCst);
    first.abort();
    assert!(second.await.unwrap().is_ok());
    assert!(client.tgt().await.is_ok());
}

#[tokio::test]
async fn a_keytab_logs_in_and_is_read_again_for_the_next_login() {
    let served = serve(Joined::new()).await;
    let keytab = keytab_of_alice(&served, "rotated");
    let client = Client::with_keytab(served.transport.clone(), name("alice"), keytab.clone());
    assert!(client.tgt().await.unwrap().flags.has(TicketFlags::INITIAL));
    keytab.replace(&Keytab { entries: vec![] }).unwrap();
    client.forget(&Principal::tgs(REALM));
    assert_eq!(client.tgt().await.unwrap_err().to_string(), "Keytab contains no suitable keys for alice@EXAMPLE.ORG");
    keytab_of_alice(&served, "rotated");
    assert!(client.tgt().await.is_ok());
}

#[tokio::test]
async fn tickets_in_a_cache_are_used_before_the_kdc_is_asked() {
    let served = serve(Joined::new()).await;
    let request = as_request(served.transport.config(), name("alice"));
    let source = Source::Password(password().into());
    let first = Client::new(served.transport.clone(), request, source, Some(cache("shared")));
    let ticket = first.ticket(&name("host/a.example.org")).await.unwrap();
    let asked = served.counts.both();
    let second = Client::with_cache(served.transport.clone(), cache("shared")).await.unwrap();
    assert_eq!(second.principal(), &name("alice"));
    assert_eq!(second.ticket(&name("host/a.example.org")).await.unwrap().ticket, ticket.ticket);
    assert_eq!(served.counts.both(), asked);
    // What it gets anew is there for others.
    second.ticket(&name("host/b.example.org")).await.unwrap();
    assert!(cache("shared").load().unwrap().find(&name("host/b.example.org"), NOW).is_some());
    let stored = cache("shared").load().unwrap();
    assert_eq!(stored.config("pa_type", Some(&Principal::tgs(REALM))), Some(&b"151"[..]));
}

#[tokio::test]
async fn a_cache_alone_says_whether_its_ticket_is_missing_or_expired() {
    let served = serve(Joined::new()).await;
    assert!(Client::with_cache(served.transport.clone(), cache("none")).await.is_err());
    cache("empty").initialize(&name("alice"), None).unwrap();
    let client = Client::with_cache(served.transport.clone(), cache("empty")).await.unwrap();
    assert_eq!(client.tgt().await, Err(Error::NoCredential));
    // Somebody else logs in.
    let request = as_request(served.transport.config(), name("alice"));
    let login = served.transport.login(request, Secret::password(password())).await.unwrap();
    cache("empty").replace(&login.into_ccache()).unwrap();
    client.tgt().await.unwrap();
    served.wait(11 * HOUR);
    assert_eq!(client.tgt().await, Err(Error::code(ErrorCode::TKT_EXPIRED)));
    assert_eq!(client.ticket(&name("host/a.example.org")).await, Err(Error::code(ErrorCode::TKT_EXPIRED)));
}

#[tokio::test]
async fn an_expired_ticket_is_replaced_by_a_new_login() {
    let served = serve(Joined::new()).await;
    let client = alice(&served);
    let old = client.ticket(&name("host/a.example.org")).await.unwrap();
    served.wait(11 * HOUR);
    let new = client.ticket(&name("host/a.example.org")).await.unwrap();
    assert!(new.end_time > old.end_time);
    assert_eq!(served.counts.both(), (6, 2));
}

/// Asks until the answer is another ticket.
async fn until_new<F: Future<Output = Arc<Credential>>>(old: Time, get: impl Fn() -> F) -> Arc<Credential> {
    loop {
        let ticket = get().await;
        if ticket.end_time > old {
            return ticket;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_ticket_that_ends_soon_is_given_out_at_once_and_got_anew_meanwhile() {
    let served = serve(Joined::new()).await;
    let client = alice(&served);
    let service = name("host/a.example.org");
    let old = client.ticket(&service).await.unwrap();
    served.wait(9 * HOUR);
    // Nobody answers: the old ticket does, without waiting.
    served.counts.silent.store(true, Ordering::SeqCst);
    assert_eq!(client.ticket(&service).await.unwrap().ticket, old.ticket);
    served.counts.silent.store(false, Ordering::SeqCst);
    let new = until_new(old.end_time, || async {
        served.wait(1);
        client.ticket(&service).await.unwrap()
    })
    .await;
    assert_eq!(new.server, service);
}

#[tokio::test]
async fn a_renewable_ticket_of_a_cache_is_renewed() {
    let served = serve_with(Joined::new(), "renew_lifetime = 7d").await;
    served.realm.lock().unwrap().policy.max_renewable_life = 7 * 24 * HOUR;
    for principal in ["alice", "krbtgt/EXAMPLE.ORG"] {
        served.realm.lock().unwrap().change(principal, |entry| entry.max_renewable_life = None);
    }
    let request = as_request(served.transport.config(), name("alice"));
    let login = served.transport.login(request, Secret::password(password())).await.unwrap();
    assert!(login.outcome.credential.flags.has(TicketFlags::RENEWABLE), "{:?}", login.outcome.credential);
    let end = login.outcome.credential.end_time;
    cache("renewable").replace(&login.into_ccache()).unwrap();
    let client = Client::with_cache(served.transport.clone(), cache("renewable")).await.unwrap();
    client.tgt().await.unwrap();
    served.wait(9 * HOUR);
    until_new(end, || async { client.tgt().await.unwrap() }).await;
    let (as_requests, tgs_requests) = served.counts.both();
    assert_eq!((as_requests, tgs_requests), (3, 1));
    assert!(cache("renewable").load().unwrap().tickets().any(|ticket| ticket.end_time > end));
}

#[tokio::test]
async fn the_kdcs_clock_is_followed_unless_that_is_forbidden() {
    let served = serve(Joined::new()).await;
    served.theirs.advance(HOUR);
    let client = alice(&served);
    let ticket = client.ticket(&name("host/a.example.org")).await.unwrap();
    assert!(ticket.end_time > NOW + 10 * HOUR);
    assert!(client.kdc_time().distance(NOW + HOUR) <= 2);

    let strict = serve_with(Joined::new(), "kdc_timesync = 0").await;
    strict.theirs.advance(HOUR);
    let refused = alice(&strict).tgt().await.unwrap_err();
    assert_eq!(refused.wire_code(), ErrorCode::SKEW, "{refused}");
}

#[tokio::test]
async fn a_first_ticket_that_the_kdc_does_not_take_any_more_leads_to_a_new_login() {
    let served = serve(Joined::new()).await;
    let client = alice(&served);
    client.tgt().await.unwrap();
    // The realm's own key is changed, and the old one thrown away.
    let new = Joined::new();
    new.change("krbtgt/EXAMPLE.ORG", |entry| {
        entry.keys[0].kvno = 2;
        entry.keys[0].keys = new.entry("host/a.example.org").keys[0].keys.clone();
    });
    *served.realm.lock().unwrap() = new;
    assert!(client.ticket(&name("host/b.example.org")).await.is_ok());
    assert_eq!(served.counts.both(), (6, 2));
}

#[tokio::test]
async fn a_forgotten_ticket_is_got_anew() {
    let served = serve(Joined::new()).await;
    let client = alice(&served);
    let service = name("host/a.example.org");
    let old = client.ticket(&service).await.unwrap();
    client.forget(&service);
    assert_ne!(client.ticket(&service).await.unwrap().ticket, old.ticket);
    assert_eq!(served.counts.both(), (3, 2));
}

#[tokio::test]
async fn a_service_is_found_by_its_host() {
    let served = serve(Joined::new()).await;
    let client = alice(&served);
    let ticket = client.service_ticket("host", "A.Example.Org.").await.unwrap();
    assert_eq!(ticket.server, name("host/a.example.org"));
    // No realm is known for this one, so the KDC is asked for a referral, and has none.
    let unknown = client.service_ticket("host", "a.elsewhere.test").await;
    assert_eq!(unknown, Err(Error::code(ErrorCode::S_PRINCIPAL_UNKNOWN)));
}

#[tokio::test]
async fn a_wrong_password_is_told_as_one() {
    let served = serve(Joined::new()).await;
    let client = Client::with_password(served.transport.clone(), name("alice"), "wrong");
    assert_eq!(client.tgt().await, Err(Error::PasswordIncorrect));
    let nobody = Client::with_password(served.transport.clone(), name("nobody"), "wrong");
    let error = nobody.tgt().await.unwrap_err();
    assert_eq!(error.to_string(), "Client not found in Kerberos database");
}

#[tokio::test]
async fn a_password_that_only_the_primary_knows_is_tried_there() {
    let stale = Joined::new();
    stale.change("alice", |entry| {
        entry.keys[0].keys = stale.entry("host/a.example.org").keys[0].keys.clone();
    });
    let (replica, primary) = (serve(stale).await, serve(Joined::new()).await);
    let text = format!(
        "[libdefaults]\ndns_lookup_kdc = false\n[realms]\n{REALM} = {{\nkdc = {}\nprimary_kdc = {}\n}}\n",
        replica.address, primary.address
    );
    let config = Arc::new(Config::parse("krb5.conf", &text).unwrap());
    let transport = Transport::new(config).with_clock(primary.ours.reading());
    let login =
        |password: String| transport.login(as_request(transport.config(), name("alice")), Secret::password(password));
    assert!(login(password()).await.is_ok());
    assert_eq!(login("wrong".into()).await.unwrap_err(), Error::PasswordIncorrect);
    assert!(primary.counts.both().0 >= 3);
}

#[tokio::test]
async fn the_configuration_shapes_the_request() {
    let served = serve_with(Joined::new(), "forwardable = true\nproxiable = true\nticket_lifetime = 2h").await;
    let ticket = alice(&served).tgt().await.unwrap();
    assert!(ticket.flags.has(TicketFlags::FORWARDABLE | TicketFlags::PROXIABLE));
    assert!(ticket.end_time.distance(NOW + 2 * HOUR) <= 1);
    let request = as_request(served.transport.config(), name("alice"));
    assert!(request.options.has(KdcOptions::FORWARDABLE) && !request.options.has(KdcOptions::CANONICALIZE));
    // A principal that must not be a service has no tickets, whoever asks.
    served.realm.lock().unwrap().change("host/a.example.org", |entry| {
        entry.attributes = entry.attributes.with(Attributes::DISALLOW_SVR, true);
    });
    assert!(alice(&served).ticket(&name("host/a.example.org")).await.is_err());
}

/// Against another project's KDC: password and keytab, UDP and TCP, and a refusal.
async fn gets_tickets_from(family: Family) {
    if !family.present() {
        return;
    }
    let realm = tests::Realm::start(family);
    realm.add("alice", "secret", &[]);
    realm.add_service("host/www.example.org");
    let keytab = realm.keytab("host/www.example.org");
    for limit in [1465, 0] {
        let text = format!(
            "[libdefaults]\ndns_lookup_kdc = false\nudp_preference_limit = {limit}\n\
             [realms]\nEXAMPLE.ORG = {{\nkdc = {}\n}}\n",
            realm.address()
        );
        let transport = Transport::new(Arc::new(Config::parse("krb5.conf", &text).unwrap()));
        let alice = Client::with_password(transport.clone(), name("alice"), "secret");
        let ticket = alice.ticket(&name("host/www.example.org")).await.unwrap();
        assert_eq!((&ticket.client, &ticket.server), (&name("alice"), &name("host/www.example.org")));
        let service =
            Client::with_keytab(transport.clone(), name("host/www.example.org"), KeytabName::File(keytab.clone()));
        assert!(service.tgt().await.unwrap().flags.has(TicketFlags::INITIAL));
        let wrong = Client::with_password(transport, name("alice"), "wrong");
        assert_eq!(wrong.tgt().await.unwrap_err(), Error::PasswordIncorrect);
        let nobody = alice.ticket(&name("host/nobody.example.org")).await;
        assert_eq!(nobody, Err(Error::code(ErrorCode::S_PRINCIPAL_UNKNOWN)));
    }
}

#[tokio::test]
async fn mits_kdc_gives_us_tickets() {
    gets_tickets_from(Family::Mit).await;
}

#[tokio::test]
async fn heimdals_kdc_gives_us_tickets() {
    gets_tickets_from(Family::Heimdal).await;
}
