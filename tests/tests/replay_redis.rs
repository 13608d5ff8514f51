//! The replay cache that replicas share, with a real server: replays to another replica, a server
//! that goes away, comes back, forgets, hangs or is full.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use libkrb::crypto::{KeyUsage, OsRandom};
use libkrb::flags::ApOptions;
use libkrb::keytab::{Keytab, KeytabEntry, RawKey};
use libkrb::replay::{Event, Observer, RedisOptions, RedisReplayCache, ReplayCache, ReplayKey, Verdict, WhenAway};
use libkrb::service::{Acceptor, Options};
use libkrb::time::{Instant, Time};
use libkrb::wire::{self, ApReq, Authenticator, EncryptedData, Fixed, Raw};
use libkrb::{ErrorCode, Principal};
use rustix::process::{Pid, Signal, kill_process};
use tests::joined::{Asking, Credential, Joined, name};
use tests::library::now;
use tests::{PATIENCE, Port, Redis};

const HOST: &str = "host/a.example.org";

/// One replica's cache, and what it tells.
struct Replica {
    cache: Arc<RedisReplayCache>,
    told: Receiver<Event>,
}

impl Replica {
    fn new(redis: &Redis) -> Replica {
        Replica::with(redis, |_| ())
    }

    fn with(redis: &Redis, change: impl FnOnce(&mut RedisOptions)) -> Replica {
        Replica::at(&redis.url(), change)
    }

    fn at(url: &str, change: impl FnOnce(&mut RedisOptions)) -> Replica {
        let (tell, told) = channel();
        let mut options = RedisOptions::new(url);
        // Longer than a busy machine needs; those who test the timeout set another.
        (options.timeout, options.connect_timeout) = (PATIENCE / 4, PATIENCE / 4);
        options.observer = Observer::new(move |event| drop(tell.send(event.clone())));
        change(&mut options);
        Replica { cache: Arc::new(RedisReplayCache::connect_blocking(options).expect("a URL")), told }
    }

    /// Waits for an event of that kind.
    fn hears(&self, mut wanted: impl FnMut(&Event) -> bool) -> Event {
        loop {
            let event = self.told.recv_timeout(PATIENCE).expect("an event in time");
            if wanted(&event) {
                return event;
            }
        }
    }

    fn hears_away(&self) -> String {
        let Event::Away { cause } = self.hears(|event| matches!(event, Event::Away { .. })) else { unreachable!() };
        cause
    }

    /// Waits until the server is back, and returns since when it remembers if it had forgotten.
    fn hears_back(&self) -> Option<Time> {
        let mut since = None;
        self.hears(|event| {
            if let Event::Forgot { since: told } = event {
                since = Some(*told);
            }
            *event == Event::Back
        });
        since
    }

    fn hears_forgot(&self) -> Time {
        let Event::Forgot { since } = self.hears(|event| matches!(event, Event::Forgot { .. })) else { unreachable!() };
        since
    }

    /// What it says of an authenticator that was made at that time.
    fn asked(&self, number: u32, time: Time) -> Verdict {
        self.cache.insert(key(number), time, now().time)
    }

    fn asked_now(&self, number: u32) -> Verdict {
        self.asked(number, now().time)
    }
}

fn key(number: u32) -> ReplayKey {
    ReplayKey::new([number.to_be_bytes().as_slice()])
}

/// A client with a ticket, and acceptors that have the service's key.
struct Realm {
    joined: Joined,
    ticket: Credential,
}

impl Realm {
    fn new() -> Realm {
        let mut joined = Joined::new();
        joined.now = now();
        let tgt = joined.login(&Asking::login("alice")).expect("a TGT");
        let ticket = joined.tgs(&tgt, &Asking::service(HOST)).expect("a ticket");
        Realm { joined, ticket }
    }

    fn acceptor(&self, replica: &Replica) -> Acceptor {
        let entry = self.joined.entry(HOST);
        let keys = entry.keys.iter().flat_map(|set| set.keys.iter().map(|key| (set.kvno, RawKey::from(&key.key))));
        let entry = |(kvno, key)| KeytabEntry { principal: name(HOST), timestamp: now().time, kvno, key };
        let keytab = Keytab { entries: keys.map(entry).collect() };
        Acceptor::new(&keytab, Options::default(), Arc::clone(&replica.cache) as _).expect("a keytab")
    }

    fn ap_req(&self) -> Vec<u8> {
        let (client, now): (&Principal, Instant) = (&self.ticket.client, now());
        let plain = wire::encode(&Authenticator {
            version: Fixed,
            client_realm: client.realm(),
            client: client.into(),
            checksum: None,
            micros: now.micros,
            time: now.time,
            subkey: None,
            sequence: Some(7),
            authorization_data: None,
        });
        let cipher = self.ticket.key.encrypt(KeyUsage::AP_REQ_AUTHENTICATOR, &mut OsRandom::new(), &plain);
        wire::encode(&ApReq {
            version: Fixed,
            kind: Fixed,
            options: ApOptions::NONE,
            ticket: Raw::parse(&self.ticket.ticket).expect("a ticket"),
            authenticator: EncryptedData { etype: self.ticket.key.etype(), kvno: None, cipher: &cipher },
        })
    }
}

fn accept(acceptor: &Acceptor, ap_req: &[u8]) -> Result<Principal, ErrorCode> {
    let accepted = acceptor.accept(now(), &mut OsRandom::new(), ap_req, None);
    accepted.map(|accepted| accepted.client).map_err(|refusal| refusal.code())
}

#[test]
fn a_request_that_one_replica_has_accepted_is_a_replay_to_the_other() {
    let Some(redis) = Redis::start(&[]) else { return };
    let (realm, replicas) = (Realm::new(), [Replica::new(&redis), Replica::new(&redis)]);
    let [first, second] = replicas.each_ref().map(|replica| realm.acceptor(replica));
    let request = realm.ap_req();
    assert_eq!(accept(&first, &request), Ok(name("alice")));
    assert_eq!(accept(&second, &request), Err(ErrorCode::REPEAT));
    assert_eq!(accept(&first, &request), Err(ErrorCode::REPEAT));
    assert_eq!(accept(&second, &realm.ap_req()), Ok(name("alice")));
}

#[test]
fn a_task_awaits_the_server_and_a_thread_waits_for_it_wherever_they_are() {
    let Some(redis) = Redis::start(&[]) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let cache = RedisReplayCache::connect(RedisOptions::new(redis.url())).await.expect("a URL");
        assert!(!cache.is_away());
        let (time, other) = (now().time, thread::spawn(|| key(3)).join().expect("a thread"));
        assert_eq!(cache.insert_async(key(1), time, time).await, Verdict::Fresh);
        assert_eq!(cache.insert_async(key(1), time, time).await, Verdict::Replay);
        // The one thread of this runtime waits, and the server is heard all the same.
        assert_eq!(cache.insert(key(2), time, time), Verdict::Fresh);
        let cache = thread::spawn(move || (cache.insert(other, time, time), cache).1).join().expect("a thread");
        assert_eq!(cache.insert_async(other, time, time).await, Verdict::Replay);
    });
}

#[test]
fn of_64_at_each_of_two_replicas_that_bring_the_same_authenticator_one_hears_fresh() {
    let Some(redis) = Redis::start(&[]) else { return };
    let replicas = [Replica::new(&redis), Replica::new(&redis)];
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for round in 0..20 {
        let time = now().time;
        let tasks: Vec<_> = (0..128)
            .map(|number| {
                let cache = Arc::clone(&replicas[number % 2].cache);
                runtime.spawn(async move { cache.insert_async(key(round), time, time).await })
            })
            .collect();
        let verdicts: Vec<_> = runtime.block_on(async {
            let mut verdicts = vec![];
            for task in tasks {
                verdicts.push(task.await.expect("a verdict"));
            }
            verdicts
        });
        let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
        assert_eq!((count(Verdict::Fresh), count(Verdict::Replay)), (1, 127));
    }
}

#[test]
fn without_its_server_a_replica_refuses_everybody_unless_it_may_go_on_alone() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    let careful = Replica::new(&redis);
    let alone = Replica::with(&redis, |options| options.when_away = WhenAway::Local);
    let realm = Realm::new();
    let acceptors = [&careful, &alone].map(|replica| realm.acceptor(replica));
    let before = realm.ap_req();
    assert_eq!(accept(&acceptors[1], &before), Ok(name("alice")));
    redis.kill();
    careful.hears_away();
    alone.hears_away();
    assert!(careful.cache.is_away() && alone.cache.is_away());

    let request = realm.ap_req();
    assert_eq!(accept(&acceptors[0], &request), Err(ErrorCode::SVC_UNAVAILABLE));
    assert_eq!(accept(&acceptors[1], &request), Ok(name("alice")));
    assert_eq!(accept(&acceptors[1], &request), Err(ErrorCode::REPEAT), "it remembers on its own");
    assert_eq!(accept(&acceptors[1], &before), Err(ErrorCode::REPEAT), "and what it told the server");
    assert_eq!(alone.asked(1, now().time - 60), Verdict::Replay, "made before the process began to remember");

    redis.restart();
    careful.hears_back();
    let since = alone.hears_back().expect("it has forgotten");
    assert_eq!(accept(&acceptors[0], &before), Err(ErrorCode::REPEAT));
    assert_eq!(careful.asked(2, since), Verdict::Fresh);
    assert_eq!(alone.asked(2, since), Verdict::Replay);
}

#[test]
fn a_server_that_was_away_from_the_start_is_used_when_it_comes() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    redis.kill();
    let replica = Replica::new(&redis);
    assert_eq!(replica.hears_away(), "connection refused");
    assert_eq!(replica.asked_now(1), Verdict::Unavailable);
    redis.restart();
    replica.hears_back();
    assert_eq!(replica.asked(2, now().time + 5), Verdict::Fresh);
}

#[test]
fn what_was_made_before_the_server_forgot_is_refused_by_every_replica() {
    type Forget = fn(&mut Redis);
    let ways: [(&str, Forget); 3] = [
        ("a restart", Redis::restart),
        ("a flush", |redis| assert_eq!(redis.command("FLUSHALL"), "+OK")),
        ("a restart with an old snapshot", |redis| {
            redis.kill();
            std::fs::rename(redis.folder().join("kept"), redis.folder().join("dump.rdb")).expect("a snapshot");
            redis.restart();
        }),
    ];
    for (way, forget) in ways {
        let Some(mut redis) = Redis::start(&[]) else { return };
        let replicas = [Replica::new(&redis), Replica::new(&redis)];
        assert_eq!(redis.command("SAVE"), "+OK");
        std::fs::rename(redis.folder().join("dump.rdb"), redis.folder().join("kept")).expect("a snapshot");
        let time = now().time;
        assert_eq!(replicas[0].asked(1, time), Verdict::Fresh, "{way}");
        assert_eq!(replicas[0].asked(4, time), Verdict::Fresh, "{way}");
        forget(&mut redis);
        assert_ne!(replicas[1].asked(4, time), Verdict::Fresh, "{way}: at once");
        let seen: HashSet<_> = replicas.iter().map(Replica::hears_forgot).collect();
        let since = *seen.iter().next().expect("a time");
        assert_eq!(seen.len(), 1, "{way}: all replicas find the same time");
        assert!(since > time, "{way}");
        assert_eq!(replicas[1].asked(1, time), Verdict::Replay, "{way}");
        assert_eq!(replicas[1].asked(2, since - 1), Verdict::Replay, "{way}: for all that is known");
        assert_eq!(replicas[1].asked(3, since), Verdict::Fresh, "{way}");
        assert_eq!(replicas[0].asked(3, since), Verdict::Replay, "{way}");
    }
}

#[test]
fn what_one_replica_accepted_alone_is_refused_by_all_from_when_it_is_back() {
    let Some(redis) = Redis::start(&[]) else { return };
    redis.command("ACL SETUSER a on >secret allcommands allkeys");
    let url = format!("redis://a:secret@{}", redis.address());
    let (cut_off, other) = (Replica::at(&url, |options| options.when_away = WhenAway::Local), Replica::new(&redis));
    redis.command("ACL SETUSER a off");
    redis.command("CLIENT KILL USER a");
    cut_off.hears_away();
    let time = now().time + 1;
    assert_eq!(cut_off.asked(1, time), Verdict::Fresh);
    redis.command("ACL SETUSER a on");
    cut_off.hears_back();
    let since = other.hears_forgot();
    let verdict = other.asked(1, time);
    assert_eq!(verdict, if time < since { Verdict::Replay } else { Verdict::Fresh }, "a clock ahead is what remains");
    assert_eq!(other.asked(2, since - 1), Verdict::Replay);
    assert_eq!(other.asked(3, since), Verdict::Fresh);
}

#[test]
fn a_server_that_hangs_is_not_waited_for() {
    let Some(redis) = Redis::start(&[]) else { return };
    let replica = Replica::with(&redis, |options| options.timeout = Duration::from_millis(100));
    let signal = |signal| {
        let pid = Pid::from_raw(redis.pid().cast_signed()).expect("a process");
        kill_process(pid, signal).expect("a signal sent");
    };
    signal(Signal::STOP);
    assert_eq!(replica.asked_now(1), Verdict::Unavailable);
    assert_eq!(replica.hears_away(), "no answer in time");
    signal(Signal::CONT);
    replica.hears_back();
}

#[test]
fn a_server_that_may_forget_for_want_of_memory_is_not_used_unless_it_has_to_be() {
    let Some(redis) = Redis::start(&["--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"]) else { return };
    let replica = Replica::new(&redis);
    assert!(replica.hears_away().contains("noeviction"));
    assert_eq!(replica.asked_now(1), Verdict::Unavailable);
    let trusting = Replica::with(&redis, |options| options.may_evict = true);
    assert_eq!(trusting.asked_now(1), Verdict::Fresh);
    redis.command("CONFIG SET maxmemory-policy noeviction");
    replica.hears_back();
    assert_eq!(replica.asked_now(2), Verdict::Fresh);
}

#[test]
fn a_server_that_is_full_refuses_and_says_so() {
    let Some(redis) = Redis::start(&[]) else { return };
    let replica = Replica::new(&redis);
    redis.command("CONFIG SET maxmemory 1");
    assert_eq!(replica.asked_now(1), Verdict::Full);
    assert_eq!(replica.hears_away(), "its memory is full");
    redis.command("CONFIG SET maxmemory 0");
    assert_eq!(replica.asked_now(2), Verdict::Fresh);
    replica.hears_back();
}

#[test]
fn the_server_keeps_an_authenticator_for_two_windows_after_its_time() {
    let Some(redis) = Redis::start(&[]) else { return };
    let replica = Replica::with(&redis, |options| options.prefix = "other".to_owned());
    let time = now().time;
    assert_eq!(replica.cache.insert(key(1), time + 100, time), Verdict::Fresh);
    let digest: String = key(1).as_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    let left = redis.command(&format!("PTTL other:{digest}"));
    let left: i64 = left.trim_start_matches(':').parse().expect("a number");
    assert!((600_000..=700_000).contains(&left), "{left}");
}

#[test]
fn over_tls_only_a_server_with_a_known_certificate_is_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let [certificate, key] = ["certificate", "key"].map(|file| folder.path().join(file).display().to_string());
    std::fs::write(&certificate, certified.cert.pem()).expect("a file");
    std::fs::write(&key, certified.signing_key.serialize_pem()).expect("a file");
    let port = Port::claim();
    let number = port.number().to_string();
    let options = ["--tls-port", &number, "--tls-cert-file", &certificate, "--tls-key-file", &key];
    let Some(_redis) = Redis::start(&[&options[..], &["--tls-auth-clients", "no"]].concat()) else { return };
    let url = format!("rediss://localhost:{number}");
    let replica = Replica::at(&url, |options| options.authorities = Some(certified.cert.pem().into_bytes()));
    assert_eq!(replica.asked_now(1), Verdict::Fresh);
    let stranger = Replica::at(&url, |_| ());
    stranger.hears_away();
    assert_eq!(stranger.asked_now(2), Verdict::Unavailable);
}

#[test]
fn a_password_that_is_wrong_is_told_and_not_shown() {
    let Some(redis) = Redis::start(&["--requirepass", "open sesame"]) else { return };
    let url = format!("redis://:barley@{}", redis.address());
    let replica = Replica::at(&url, |_| ());
    let cause = replica.hears_away();
    assert!(cause.contains("authentication failed") && !cause.contains("barley"), "{cause}");
    let options = RedisOptions::new(url);
    assert!(!format!("{options:?} {:?}", replica.cache).contains("barley"));
}
