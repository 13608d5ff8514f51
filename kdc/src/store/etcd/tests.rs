//! Against a real etcd of each test's own, of one node. Several nodes and KDCs: `tests/tests/cluster`.

/// Claimed, and below those of clients: one that the kernel hands out may be anybody's before etcd has it.
#[path = "../../../../tests/src/port.rs"]
mod port;
mod sealed;
mod told;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use port::Port;

use super::*;
use crate::attempts::Counted;
use crate::core::attempts::{AccountId, Attempts, Lockout, Proven, Tried};
use crate::core::{Change, Entry, Store};
use crate::store::redb::Row;
use crate::store::tests::{battery, entry, name, with_aliases};
use crate::store::{House, Vault};

const KEPT: Kept = Kept { entries: 1, records: 1 << 20 };

const PROGRAM: &str = "/usr/bin/etcd";

/// Says something beside what the test harness says.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A node, gone when dropped.
struct Node {
    child: Child,
    url: String,
    peer: String,
    data: tempfile::TempDir,
    /// Options for TLS.
    tls: Vec<String>,
    _ports: [Port; 2],
}

impl Node {
    /// Starts one, where etcd is installed; where it has to be, its absence is a failure.
    fn start() -> Option<Node> {
        Node::start_at("http", vec![])
    }

    fn start_at(scheme: &str, tls: Vec<String>) -> Option<Node> {
        if !Path::new(PROGRAM).exists() {
            let said = |name: &str, value: &str| std::env::var(name).is_ok_and(|set| set == value);
            assert!(!said("CI", "true") && !said("KRB_REQUIRE_PEERS", "1"), "{PROGRAM} is not there");
            tell(&format!("SKIPPED: {PROGRAM} is not there (etcd-server)"));
            return None;
        }
        let ports = [Port::claim(), Port::claim()];
        let (url, peer) = (format!("{scheme}://{}", ports[0].address()), format!("http://{}", ports[1].address()));
        let data = tempfile::tempdir().expect("a folder");
        let child = spawn(&url, &peer, data.path(), &tls);
        Some(Node { child, url, peer, data, tls, _ports: ports })
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.url, &self.peer, self.data.path(), &self.tls);
    }

    /// Comes back as one that has never been.
    fn lose_everything(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.data.path()).expect("removed");
        self.child = spawn(&self.url, &self.peer, self.data.path(), &self.tls);
    }

    /// Comes back as it was when a snapshot was saved, as a cluster of its own.
    fn restore(&mut self, snapshot: &str) {
        self.kill();
        let data = self.data.path().to_str().expect("a path").to_owned();
        std::fs::remove_dir_all(&data).expect("removed");
        let cluster = format!("default={}", self.peer);
        let peers = ["--initial-cluster", &cluster, "--initial-advertise-peer-urls", &self.peer];
        self.ctl(&[&["snapshot", "restore", snapshot, "--data-dir", &data], &peers[..]].concat());
        self.child = spawn(&self.url, &self.peer, self.data.path(), &self.tls);
    }

    fn ctl(&self, words: &[&str]) {
        let mut ctl = Command::new("/usr/bin/etcdctl");
        ctl.env("ETCDCTL_API", "3").args(["--endpoints", &self.url]).args(words).stdout(Stdio::null());
        assert!(ctl.status().expect("etcdctl").success(), "{words:?}");
    }

    /// Its newest revision.
    fn revision(&self) -> String {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let header = runtime.block_on(async {
            let client = Client::new(&self.options("/")).expect("a client");
            client.range(Layout::below("/").one(&Kind::Head), PATIENCE).await.expect("an answer").header
        });
        header.expect("a header").revision.to_string()
    }

    fn options(&self, prefix: &str) -> Options {
        Options { endpoints: vec![self.url.clone()], prefix: prefix.to_owned(), ..Options::default() }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(url: &str, peer: &str, data: &Path, tls: &[String]) -> Child {
    let mut child = Command::new(PROGRAM)
        .args(["--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer])
        .args(["--initial-advertise-peer-urls", peer, "--initial-cluster", &format!("default={peer}"), "--data-dir"])
        .arg(data)
        .args(tls)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("etcd");
    let said = BufReader::new(child.stderr.take().expect("piped"));
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in said.lines().map_while(Result::ok) {
            if line.contains("ready to serve client requests") {
                let _ = ready.send(());
            }
        }
    });
    is_ready.recv_timeout(Duration::from_secs(60)).expect("etcd is ready");
    child
}

/// A realm in etcd with the master key that its copies share.
struct Shared {
    folder: tempfile::TempDir,
    options: Options,
}

impl Shared {
    fn made(node: &Node, prefix: &str) -> Shared {
        Shared::of(node.options(prefix))
    }

    fn of(options: Options) -> Shared {
        let shared = Shared { folder: tempfile::tempdir().expect("a folder"), options };
        MasterKey::create(&shared.path("master.key")).expect("a master key");
        shared.publish();
        shared
    }

    /// Puts an empty realm into etcd.
    fn publish(&self) {
        let file = self.path("first");
        let _ = std::fs::remove_file(&file);
        let store = Redb::create(&file, "R", self.master()).expect("a store");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(publish(&self.options, &store)).expect("published");
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn master(&self) -> MasterKey {
        MasterKey::load(&self.path("master.key")).expect("a master key")
    }

    fn try_open(&self, file: &str) -> Result<Etcd, StoreError> {
        Etcd::open(self.options.clone(), &self.path(file), "R", self.master(), KEPT)
    }

    fn open(&self, file: &str) -> Etcd {
        self.try_open(file).expect("opens")
    }
}

impl Etcd {
    /// Returns once the copy is as far as another.
    fn await_all_of(&self, other: &Etcd) {
        let (wanted, mut applied) = (other.revision(), self.changer.progress.applied());
        self.wait(async move { drop(applied.wait_for(|applied| applied.revision >= wanted).await) });
    }

    /// Returns once changes can be made again.
    fn await_quorum(&self) {
        let progress = Arc::clone(&self.changer.progress);
        self.wait(async move { progress.can_change().await });
    }

    fn wait(&self, event: impl Future<Output = ()> + Send + 'static) {
        let (done, is_done) = sync_channel(1);
        self.runtime.spawn(async move {
            event.await;
            let _ = done.send(());
        });
        is_done.recv_timeout(Duration::from_secs(60)).expect("it comes");
    }

    /// Rolls the master key over; which version seals then, and which are gone.
    fn rolled_over(&self) -> (u32, Vec<u32>) {
        let mut next = None;
        loop {
            let step = self.reseal(next.as_ref()).expect("rolled over");
            next = step.next;
            if next.is_none() {
                return (step.version, step.removed);
            }
        }
    }

    fn create(&self, entry: Entry) {
        self.commit(&[Change::Create(entry)]).expect("created");
    }

    fn find(&self, text: &str) -> Option<Arc<Entry>> {
        self.lookup(&name(text)).expect("readable")
    }
}

#[test]
fn every_test_of_stores_holds_over_etcd() {
    let Some(node) = Node::start() else { return };
    for (test, hold) in battery::EVERY {
        tell(test);
        let shared = Shared::made(&node, &format!("/battery/{test}"));
        hold(&shared.open("copy"));
    }
}

#[test]
fn what_is_changed_on_one_copy_comes_to_all_and_is_the_same_there() {
    let Some(node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let (one, two) = (shared.open("one"), shared.open("two"));
    one.create(with_aliases("alice", &["al"]));
    two.await_all_of(&one);
    let read = two.find("al").expect("found");
    assert_eq!(read.principal, name("alice"));
    // Moved to another principal, and kept in two's cache until then.
    let changes = [Change::Delete(name("alice")), Change::Create(with_aliases("bob", &["al"]))];
    one.commit(&changes).expect("made");
    two.await_all_of(&one);
    assert_eq!(two.find("al").expect("found").principal, name("bob"));
    assert!(two.find("alice").is_none());
    // Whoever read before finds a conflict, wherever it is written.
    let old = Entry { max_life: Some(5), ..(*read).clone() };
    assert_eq!(two.commit(&[Change::Replace(old)]), Err(StoreError::Missing(name("alice"))));
    let read = two.find("bob").expect("found");
    one.commit(&[Change::Replace(Entry { max_life: Some(1), ..(*read).clone() })]).expect("replaced");
    let late = Entry { max_life: Some(2), ..(*read).clone() };
    assert_eq!(two.commit(&[Change::Replace(late)]), Err(StoreError::Conflict(name("bob"))));
    assert_eq!(two.find("bob").expect("found").max_life, Some(1), "the conflict was found in what is there now");
}

#[test]
fn of_many_who_change_the_same_through_different_kdcs_nobody_is_lost() {
    let Some(node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let kdcs = [shared.open("one"), shared.open("two"), shared.open("three")];
    kdcs[0].create(Entry { max_life: Some(0), ..entry("counter") });
    for kdc in &kdcs {
        kdc.await_all_of(&kdcs[0]);
    }
    std::thread::scope(|scope| {
        for kdc in kdcs.iter().flat_map(|kdc| [kdc, kdc]) {
            scope.spawn(move || {
                for _ in 0..5 {
                    loop {
                        let mut entry = (*kdc.find("counter").expect("found")).clone();
                        *entry.max_life.as_mut().expect("set") += 1;
                        match kdc.commit(&[Change::Replace(entry)]) {
                            Ok(()) => break,
                            Err(StoreError::Conflict(_)) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            });
        }
    });
    let newest = kdcs.iter().max_by_key(|kdc| kdc.revision()).expect("three");
    for kdc in &kdcs {
        kdc.await_all_of(newest);
        assert_eq!(kdc.find("counter").expect("found").max_life, Some(30));
    }
}

#[test]
fn a_copy_that_was_away_goes_on_where_it_was_or_reads_all_where_that_is_thrown_away() {
    let Some(node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let one = shared.open("one");
    one.create(entry("alice"));
    for thrown_away in [false, true] {
        let two = shared.open("two");
        two.await_all_of(&one);
        drop(two);
        let user = format!("user-{thrown_away}");
        one.create(entry(&user));
        one.commit(&[Change::Delete(name("alice")), Change::Create(with_aliases("alice", &[&format!("al-{user}")]))])
            .expect("made anew");
        if thrown_away {
            node.ctl(&["compact", &one.revision().to_string()]);
        }
        let two = shared.open("two");
        assert!(two.revision() >= one.revision(), "it is up to date before it serves");
        assert!(two.find(&user).is_some() && two.find(&format!("al-{user}")).is_some());
        assert!(thrown_away != two.find("al-user-false").is_some(), "an alias that is gone is gone");
        assert_eq!(two.size().expect("readable").principals, one.size().expect("readable").principals);
    }
}

#[test]
fn failed_logins_are_counted_by_all_and_told_later_where_etcd_was_away() {
    const WHO: AccountId = [3; 16];
    const NOW: Time = Time(1_800_000_000);
    let rule = Lockout { max_failures: 5, interval: 0, duration: 0 };
    let Some(mut node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let kdcs = ["one", "two"].map(|file| {
        let kdc = shared.open(file);
        let counted = Counted::default().together(kdc.together());
        (kdc, counted)
    });
    let [(_, one), (_, two)] = &kdcs;
    let fail = |counted: &Counted| counted.attempt(&WHO, Some(&rule), NOW, &mut |_| Proven::No(1));
    // Each look takes its time.
    let until = |is_so: &mut dyn FnMut() -> bool| {
        let begun = std::time::Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it never came");
            std::thread::yield_now();
        }
    };
    assert_eq!((fail(one), fail(two)), (Tried::Made, Tried::Made));
    until(&mut || [one, two].iter().all(|counted| counted.record(&WHO).failures == 2));
    node.kill();
    // What has left is waited for until nobody answers; then each counts on for itself.
    until(&mut || fail(one) == Tried::Locked);
    assert_eq!((one.record(&WHO).failures, two.record(&WHO).failures), (5, 2));
    let error = one.unlock(&WHO).expect_err("nobody can be told").to_string();
    assert!(error.contains("read-only: no quorum"), "{error}");
    assert_eq!(one.record(&WHO).failures, 0, "it is open here");
    until(&mut || fail(one) == Tried::Locked);
    node.restart();
    until(&mut || two.record(&WHO).failures == 5);
    assert_eq!(fail(two), Tried::Locked);
    two.unlock(&WHO).expect("told");
    until(&mut || one.record(&WHO).failures == 0);
    assert_eq!(fail(one), Tried::Made);
    // A KDC that comes anew knows what was counted.
    until(&mut || two.record(&WHO).failures == 1);
    let three = shared.open("three");
    assert_eq!(Counted::default().together(three.together()).record(&WHO).failures, 1);
}

#[test]
fn while_etcd_is_away_a_copy_serves_and_nothing_can_be_changed() {
    let Some(mut node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let one = shared.open("one");
    one.create(entry("alice"));
    node.kill();
    let Err(StoreError::ReadOnly(said)) = one.commit(&[Change::Create(entry("bob"))]) else { panic!("it is away") };
    assert!(said.starts_with("read-only: no quorum"), "{said}");
    assert!(one.standing().trouble.is_some() && one.find("alice").is_some());
    drop(one);
    // Also from its start, if there is a copy.
    let one = shared.open("one");
    assert!(one.find("alice").is_some() && one.standing().trouble.is_some());
    let error = shared.try_open("two").err().expect("neither etcd nor a copy").to_string();
    assert!(error.contains("no copy of the realm yet"), "{error}");
    node.restart();
    one.await_quorum();
    one.create(entry("bob"));
    assert!(one.find("bob").is_some() && one.standing().trouble.is_none());
}

#[test]
fn a_copy_that_is_too_old_serves_no_more_until_etcd_is_back() {
    let Some(mut node) = Node::start() else { return };
    let mut shared = Shared::made(&node, "/kdc/R");
    shared.options.max_staleness = Some(Duration::from_secs(3600));
    let one = shared.open("one");
    one.create(entry("alice"));
    assert!(one.find("alice").is_some());
    drop(one);
    shared.options.max_staleness = Some(Duration::ZERO);
    node.kill();
    let one = shared.open("one");
    assert!(one.lookup(&name("alice")).is_err(), "older than nothing at all");
}

#[test]
fn another_history_is_found_out_and_read_whole() {
    let Some(mut node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let one = shared.open("one");
    one.create(entry("alice"));
    // As after a backup from before alice was made, with others made since.
    node.lose_everything();
    shared.publish();
    let two = shared.open("two");
    for user in ["bob", "carol", "dave"] {
        two.create(entry(user));
    }
    one.await_quorum();
    let wanted = two.changer.progress.applied().borrow().head;
    let mut applied = one.changer.progress.applied();
    one.wait(async move { drop(applied.wait_for(|applied| applied.head == wanted).await) });
    assert!(one.find("alice").is_none() && one.find("dave").is_some());
    one.create(entry("erin"));
    two.await_all_of(&one);
    assert!(two.find("erin").is_some());
}

#[test]
fn after_a_restore_from_a_snapshot_all_copies_are_as_that_was_and_go_on_from_there() {
    let Some(mut node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let kdcs = ["one", "two"].map(|file| shared.open(file));
    let [one, two] = &kdcs;
    one.create(entry("alice"));
    let snapshot = shared.path("snapshot");
    node.ctl(&["snapshot", "save", snapshot.to_str().expect("a path")]);
    for user in ["bob", "carol", "dave"] {
        two.create(entry(user));
    }
    one.await_all_of(two);
    node.restore(snapshot.to_str().expect("a path"));
    // Of the very first commit after that, made before anybody else has found out, nothing may be lost either.
    kdcs.iter().for_each(Etcd::await_quorum);
    let begun = std::time::Instant::now();
    while let Err(error) = one.commit(&[Change::Create(entry("erin"))]) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{error}");
    }
    let wanted = one.changer.progress.applied().borrow().head;
    let mut applied = two.changer.progress.applied();
    two.wait(async move { drop(applied.wait_for(|applied| applied.head == wanted).await) });
    for kdc in &kdcs {
        assert!(kdc.find("alice").is_some() && kdc.find("erin").is_some());
        assert!(["bob", "carol", "dave"].iter().all(|user| kdc.find(user).is_none()), "what was not saved is gone");
        let export = kdc.export().expect("readable");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let found = runtime
            .block_on(compare(&shared.options, &shared.master(), kdc.revision(), export.records))
            .expect("compared");
        assert_eq!(found.differences, [""; 0]);
    }
}

#[test]
fn nothing_of_an_earlier_epoch_is_taken_until_somebody_says_that_it_was_restored_on_purpose() {
    let Some(mut node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let one = shared.open("one");
    let epoch = || one.copy().position().expect("readable").expect("a copy").epoch;
    let fenced = |known: u64| {
        let mut applied = one.changer.progress.applied();
        let head = applied.borrow_and_update().head;
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let epoch = runtime.block_on(fence(&shared.options, known)).expect("fenced");
        one.wait(async move { drop(applied.wait_for(|applied| applied.head != head).await) });
        epoch
    };
    one.create(entry("alice"));
    let (snapshot, first) = (shared.path("snapshot"), epoch());
    node.ctl(&["snapshot", "save", snapshot.to_str().expect("a path")]);
    one.create(entry("bob"));
    drop(shared.open("stale"));
    let second = fenced(0);
    assert!(second > first && epoch() == second && one.find("bob").is_some(), "all there is was read anew");
    // A node with the state from before comes in the place of the others.
    node.restore(snapshot.to_str().expect("a path"));
    let progress = Arc::clone(&one.changer.progress);
    one.wait(async move { progress.cannot_change("`kdc store fence` says so").await });
    assert!(matches!(one.commit(&[Change::Create(entry("carol"))]), Err(StoreError::ReadOnly(_))));
    assert!(one.find("bob").is_some() && epoch() == second, "nothing is taken back");
    let third = fenced(second);
    assert!(third > second && epoch() == third && one.find("bob").is_none(), "the copy is as what was restored");
    one.await_quorum();
    one.create(entry("carol"));
    // Revisions of the history that is over count no more.
    let newest = one.changer.progress.applied().borrow().revision;
    assert!(!one.comes_to(newest + 1, Duration::ZERO));
    let stale = shared.open("stale");
    assert!(stale.find("carol").is_some() && stale.find("bob").is_none(), "who was away longest too");
}

#[test]
fn where_etcd_is_lost_one_copy_makes_the_realm_anew_and_all_others_follow() {
    let Some(mut node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let [one, two, three] = ["one", "two", "three"].map(|file| shared.open(file));
    one.create(entry("alice"));
    two.await_all_of(&one);
    drop(two);
    one.create(entry("bob"));
    three.await_all_of(&one);
    let old = one.copy().position().expect("readable").expect("a copy").epoch;
    drop(one);
    node.lose_everything();
    let file = shared.path("one");
    let detached = Redb::open(&file, shared.master()).expect("opens");
    detached.become_copy(false).expect("detached");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(publish(&shared.options, &detached)).expect("published");
    drop(detached);
    let [one, two] = ["one", "two"].map(|file| shared.open(file));
    one.create(entry("carol"));
    let wanted = one.changer.progress.applied().borrow().head;
    for kdc in [&one, &two, &three] {
        let mut applied = kdc.changer.progress.applied();
        kdc.wait(async move { drop(applied.wait_for(|applied| applied.head == wanted).await) });
        assert!(["alice", "bob", "carol"].iter().all(|user| kdc.find(user).is_some()));
        assert!(kdc.copy().position().expect("readable").expect("a copy").epoch >= old);
        let export = kdc.export().expect("readable");
        let found = runtime
            .block_on(compare(&shared.options, &shared.master(), kdc.revision(), export.records))
            .expect("compared");
        assert_eq!(found.differences, [""; 0]);
    }
}

#[test]
fn a_request_that_comes_again_over_another_kdc_is_answered_as_it_was_and_nobody_else_reads_that() {
    let Some(node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let (one, two) = (shared.open("one"), shared.open("two"));
    let answered = |at: i64| {
        let octets = Zeroizing::new(b"the keys".to_vec());
        Change::Answered(crate::core::store::Answered { request: [7; 32], at: Time(at), octets })
    };
    one.commit(&[Change::Create(entry("alice")), answered(1)]).expect("made");
    assert_eq!(two.answered(&[7; 32]).expect("known").expect("there").to_vec(), b"the keys");
    assert_eq!(two.answered(&[8; 32]).expect("known"), None);
    let (client, key) = (Arc::clone(&one.changer.client), one.changer.layout.answer(&[7; 32]).expect("known"));
    let (send, there) = sync_channel(1);
    one.wait(async move {
        let request = wire::RangeRequest { key, ..wire::RangeRequest::default() };
        let _ = send.send(client.range(request, PATIENCE).await.expect("answered").kvs.remove(0));
    });
    let there = there.recv().expect("an answer");
    assert!(there.lease != 0, "etcd forgets it by itself");
    assert!(!there.value.windows(8).any(|octets| octets == b"the keys"));
    let members = one.members().expect("known").expect("there may be several");
    assert_eq!((members.newest, members.kdcs.len()), (one.revision(), 0), "none has said that it serves");
}

#[test]
fn an_older_kdc_passes_on_what_a_newer_one_wrote_and_serves_all_that_it_can_read() {
    let Some(node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let (one, two) = (shared.open("one"), shared.open("two"));
    for user in ["alice", "bob", "carol"] {
        one.create(entry(user));
    }
    let at = |kdc: &Etcd, user: &str| {
        let export = kdc.export().expect("readable");
        let mut records = export.records.map(|record| record.expect("readable"));
        records.find(|record| record.name == format!("{user}@R")).expect("there").record
    };
    // A field that nobody here knows; and a format of the future, which a record begins with.
    let field = |tag: u32, number: u64| {
        let mut octets = vec![];
        prost::encoding::uint64::encode(tag, &number, &mut octets);
        octets
    };
    let (bob, carol) = (at(&one, "bob"), at(&one, "carol"));
    let rest = carol.strip_prefix(&*field(1, 1)).expect("it begins with its format");
    let written = [("bob", [bob, field(4000, 7)].concat()), ("carol", [&*field(1, 4000), rest].concat())];
    for (user, record) in &written {
        let parent = one.changer.progress.applied().borrow().head;
        let row = layout::put(one.changer.layout.key(&Kind::Principal(format!("{user}@R"))), record.clone());
        let request = writer::transaction(&one.changer.layout, parent, parent.next().expect("random"), vec![row]);
        let (client, mut applied) = (Arc::clone(&one.changer.client), one.changer.progress.applied());
        one.wait(async move {
            let made = client.txn(request, PATIENCE).await.expect("made");
            let revision = made.header.expect("a header").revision;
            drop(applied.wait_for(|applied| applied.revision >= revision).await);
        });
    }
    two.await_all_of(&one);
    for kdc in [&one, &two] {
        assert!(kdc.find("alice").is_some() && kdc.find("bob").is_some());
        let error = kdc.lookup(&name("carol")).expect_err("of the future").to_string();
        assert!(error.contains("by a newer kdc"), "{error}");
        // With the revision behind, as every copy has it.
        assert!(written.iter().all(|(user, record)| at(kdc, user).starts_with(record)), "no octet is lost");
    }
    two.create(entry("dave"));
    // And when it changes what it can read; what it can't, it does not touch.
    let bob = two.find("bob").expect("there");
    two.commit(&[Change::Replace(Entry { max_life: Some(5), ..(*bob).clone() })]).expect("changed");
    one.await_all_of(&two);
    let (known, newer) = (one.find("bob").expect("there"), field(4000, 7));
    assert_eq!((known.max_life, &known.newer), (Some(5), &newer));
    assert!(at(&one, "bob").windows(newer.len()).any(|part| part == newer), "no octet is lost by a change");
    let error = two.commit(&[Change::Delete(name("carol"))]).expect_err("of the future").to_string();
    assert!(error.contains("by a newer kdc") && error.contains("use that kdc for it"), "{error}");
}

#[test]
fn a_transaction_that_is_sent_twice_is_made_once() {
    let Some(node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let one = shared.open("one");
    let parent = one.changer.progress.applied().borrow().head;
    let head = parent.next().expect("random");
    let request = writer::transaction(&one.changer.layout, parent, head, vec![]);
    let client = Arc::clone(&one.changer.client);
    let (again, first) = (request.clone(), request);
    let (send, answers) = sync_channel(2);
    one.wait(async move {
        for request in [first, again] {
            let _ = send.send(client.txn(request, PATIENCE).await.expect("answered"));
        }
    });
    assert!(answers.recv().expect("an answer").succeeded);
    let again = answers.recv().expect("an answer");
    let found = again.responses[0].range.as_ref().expect("the head").kvs[0].clone();
    assert!(!again.succeeded && found.value == head.bytes(), "it is found to be made");
}

#[test]
fn a_copy_is_changed_through_etcd_only_and_a_store_of_its_own_is_no_copy() {
    let Some(node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    drop(shared.open("copy"));
    let copy = Redb::open(&shared.path("copy"), shared.master()).expect("opens");
    let error = copy.commit(&[Change::Create(entry("alice"))]).expect_err("a copy").to_string();
    assert!(error.contains("a copy of the realm in etcd"), "{error}");
    copy.become_copy(false).expect("detached");
    copy.commit(&[Change::Create(entry("alice"))]).expect("a store of its own");
    drop(copy);
    let error = shared.try_open("copy").err().expect("no copy").to_string();
    assert!(error.contains("a store of its own"), "{error}");
    let error =
        Etcd::open(shared.options.clone(), &shared.path("x"), "S", shared.master(), KEPT).err().expect("another");
    assert!(error.to_string().contains("is the realm R"), "{error}");
    let other = MasterKey::create(&shared.path("other.key")).expect("made");
    let error = Etcd::open(shared.options.clone(), &shared.path("x"), "R", other, KEPT).err().expect("another key");
    assert!(error.to_string().contains("wrong master key"), "{error}");
    let elsewhere = Shared { options: node.options("/nowhere"), ..shared };
    let error = elsewhere.try_open("x").err().expect("nothing there").to_string();
    assert!(error.contains("there is no realm at /nowhere") && error.contains("kdc store publish"), "{error}");
}

#[test]
fn a_comparison_finds_what_differs() {
    let Some(node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let one = shared.open("one");
    for user in ["alice", "bob", "carol"] {
        one.create(entry(user));
    }
    let compared = |one: &Etcd| {
        let export = one.export().expect("readable");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(compare(&shared.options, &shared.master(), one.revision(), export.records)).expect("compared")
    };
    let found = compared(&one);
    assert_eq!((found.records, found.differences), (3, vec![]));
    let at = one.copy().position().expect("readable").expect("a copy");
    let row = |text: &str| Row::Principal(format!("{text}@R"));
    one.copy().follow(&[(row("bob"), None), (row("carol"), Some(vec![1]))], &at, &at, true).expect("bent");
    let found = compared(&one);
    assert_eq!(found.differences, ["carol@R is another in etcd", "bob@R is in etcd only"]);
}

#[test]
fn a_batch_of_hundreds_is_one_commit_and_what_etcd_cannot_take_is_refused() {
    let Some(node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let one = shared.open("one");
    let changes: Vec<_> = (0..500).map(|number| Change::Create(entry(&format!("user{number}")))).collect();
    one.commit(&changes).expect("made");
    assert_eq!(one.size().expect("readable").principals, 500);
    assert_eq!(one.find("user0").map(|user| user.revision), one.find("user499").map(|user| user.revision));
    let long = Entry { modified_by: "x".repeat(2 << 20), ..entry("long") };
    let error = one.commit(&[Change::Create(long)]).expect_err("too long").to_string();
    assert!(error.contains("too much for one commit"), "{error}");
    assert!(one.find("long").is_none());
}

#[test]
fn what_waits_together_and_does_not_go_together_is_made_all_the_same() {
    let Some(node) = Node::start() else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let one = shared.open("one");
    let answered = |request: u8| {
        let octets = Zeroizing::new(b"done".to_vec());
        Change::Answered(crate::core::store::Answered { request: [request; 32], at: Time(1), octets })
    };
    let long = |octets: usize| Entry { modified_by: "x".repeat(octets), ..entry("long") };
    let pairs = [
        // Who asks for too much stands in nobody's way.
        ([vec![Change::Create(entry("a"))], vec![Change::Create(long(2 << 20))]], [true, false]),
        ([vec![Change::Create(long(2 << 20))], vec![Change::Create(entry("b"))]], [false, true]),
        ([vec![Change::Create(long(800 << 10))], vec![Change::Create(entry("c"))]], [true, true]),
        // Nor do two who bring the same request.
        ([vec![Change::Create(entry("d")), answered(1)], vec![Change::Create(entry("e")), answered(1)]], [true, true]),
    ];
    for ([first, second], expected) in pairs {
        let (one_of, other) = (one.changer.clone(), one.changer.clone());
        let (send, made) = sync_channel(1);
        one.wait(async move {
            // Both wait before the writer is woken.
            let both = tokio::join!(one_of.change(first), other.change(second));
            let _ = send.send([both.0, both.1]);
        });
        let made = made.recv().expect("answers");
        assert_eq!(made.each_ref().map(Result::is_ok), expected, "{made:?}");
        let wrong = made.into_iter().filter_map(Result::err).map(|error| error.to_string());
        assert!(
            wrong.clone().all(|error| error.contains("too much for one commit")),
            "{:?}",
            wrong.collect::<Vec<_>>()
        );
    }
    assert!(["a", "b", "c", "d", "e", "long"].iter().all(|user| one.find(user).is_some()));
}

/// Has a KDC say that it lives, which it does not do twice in a second, until etcd takes that, or refuses it.
async fn said_until(progress: &Progress, taken: bool) {
    loop {
        progress.tell.notify_one();
        if timeout(Duration::from_millis(200), progress.comes_to_take(taken)).await.is_ok() {
            return;
        }
    }
}

#[test]
fn where_etcd_answers_and_takes_nothing_that_is_said_before_anybody_changes_anything() {
    let Some(node) = Node::start_at("http", vec!["--quota-backend-bytes=8388608".to_owned()]) else { return };
    let shared = Shared::made(&node, "/kdc/R");
    let one = shared.open("one");
    one.create(entry("alice"));
    one.serves(vec![], vec![]);
    let (progress, client) = (Arc::clone(&one.changer.progress), Arc::clone(&one.changer.client));
    one.wait(async move {
        let fill = |number: u32| {
            let success = vec![layout::put(format!("/junk/{number}").into_bytes(), vec![7; 1 << 20])];
            client.txn(wire::TxnRequest { success, ..wire::TxnRequest::default() }, PATIENCE)
        };
        for number in 0..100 {
            // On a busy machine one may come to nothing for another reason.
            if let Err(Trouble::Refused(_)) = fill(number).await {
                break;
            }
        }
        said_until(&progress, false).await;
    });
    let standing = one.standing().trouble.expect("full");
    assert!(standing.starts_with("read-only: etcd refuses: ") && standing.contains("space exceeded"), "{standing}");
    assert!(one.commit(&[Change::Create(entry("bob"))]).is_err() && one.find("alice").is_some());
    node.ctl(&["del", "--prefix", "/junk/"]);
    node.ctl(&["compact", "--physical", &node.revision()]);
    node.ctl(&["defrag"]);
    node.ctl(&["alarm", "disarm"]);
    let progress = Arc::clone(&one.changer.progress);
    one.wait(async move { said_until(&progress, true).await });
    one.await_quorum();
    one.create(entry("bob"));
    assert_eq!(one.standing().trouble, None);
}

#[test]
fn a_token_from_before_rights_were_changed_is_asked_for_anew() {
    use http_body_util::{BodyExt, Full};
    use tonic::Status;
    use tonic::body::Body;
    let logins = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = Arc::clone(&logins);
    let answer = move |request: axum::http::Request<Body>| {
        let first = request.headers().get("token").is_some_and(|token| token == "1");
        let message = match request.uri().path().ends_with("Authenticate") {
            true => {
                let token = 1 + counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                wire::Authenticated { token: token.to_string() }.encode_to_vec()
            }
            false => wire::RangeResponse { count: 7, ..wire::RangeResponse::default() }.encode_to_vec(),
        };
        let framed = [&[0], &u32::try_from(message.len()).expect("short").to_be_bytes()[..], &message].concat();
        let well =
            axum::http::HeaderMap::from_iter([("grpc-status".parse().expect("a name"), "0".parse().expect("0"))]);
        let body = Full::new(prost::bytes::Bytes::from(framed)).with_trailers(std::future::ready(Some(Ok(well))));
        let answer = axum::http::Response::builder().header("content-type", "application/grpc").body(Body::new(body));
        std::future::ready(match first {
            true => Err(Status::invalid_argument("etcdserver: revision of auth store is old")),
            false => Ok(answer.expect("an answer")),
        })
    };
    let line: Lines = Arc::new(move |_| Line::new(tower::service_fn(answer.clone())));
    let options = Options {
        endpoints: vec!["played".to_owned()],
        user: Some("kdc".to_owned()),
        password: Some(Zeroizing::new("a secret".to_owned())),
        world: World { lines: Some(line), ..World::default() },
        ..Options::default()
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let found = runtime.block_on(async {
        let client = Client::new(&options).expect("a client");
        client.range(wire::RangeRequest::default(), PATIENCE).await
    });
    assert_eq!(found.expect("an answer").count, 7);
    assert_eq!(logins.load(std::sync::atomic::Ordering::Relaxed), 2);
}

/// A certificate with its key for a name, in two files; of an authority, or an authority's own.
fn certificate(folder: &Path, name: &str, issuer: Option<&rcgen::Issuer<'_, rcgen::KeyPair>>) -> rcgen::KeyPair {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut fields = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("fields");
    fields.distinguished_name.push(rcgen::DnType::CommonName, name);
    let made = match issuer {
        Some(issuer) => fields.signed_by(&key, issuer),
        None => {
            fields.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            fields.self_signed(&key)
        }
    };
    std::fs::write(folder.join(format!("{name}.pem")), made.expect("a certificate").pem()).expect("written");
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("written");
    key
}

#[test]
fn etcd_is_reached_over_tls_with_a_certificate_and_as_a_user_of_one_prefix() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |file: &str| folder.path().join(file);
    let authority = certificate(folder.path(), "authority", None);
    let mut fields = rcgen::CertificateParams::default();
    fields.distinguished_name.push(rcgen::DnType::CommonName, "authority");
    let issuer = rcgen::Issuer::new(fields, authority);
    certificate(folder.path(), "server", Some(&issuer));
    certificate(folder.path(), "client", Some(&issuer));
    let option = |name: &str, file: &str| format!("--{name}={}", path(file).display());
    let [ca, chain, key] = ["authority.pem", "client.pem", "client.key"];
    let tls = vec![
        option("cert-file", "server.pem"),
        option("key-file", "server.key"),
        option("trusted-ca-file", ca),
        "--client-cert-auth".to_owned(),
    ];
    let Some(node) = Node::start_at("https", tls) else { return };
    let proof = [option("cacert", ca), option("cert", chain), option("key", key)];
    let ctl = |words: &[&str]| node.ctl(&[proof.each_ref().map(String::as_str).as_slice(), words].concat());
    ctl(&["user", "add", "root:toor"]);
    ctl(&["user", "add", "kdc:a secret"]);
    ctl(&["role", "add", "kdc"]);
    ctl(&["role", "grant-permission", "kdc", "--prefix=true", "readwrite", "/kdc/R/"]);
    ctl(&["user", "grant-role", "root", "root"]);
    ctl(&["user", "grant-role", "kdc", "kdc"]);
    ctl(&["auth", "enable"]);
    let allowed = Options {
        ca: Some(path(ca)),
        identity: Some((path(chain), path(key))),
        user: Some("kdc".to_owned()),
        password: Some(Zeroizing::new("a secret".to_owned())),
        ..node.options("/kdc/R")
    };
    let shared = Shared { folder: tempfile::tempdir().expect("a folder"), options: allowed.clone() };
    MasterKey::create(&shared.path("master.key")).expect("a master key");
    shared.publish();
    let one = shared.open("one");
    one.serves(vec![], vec![]);
    one.create(entry("alice"));
    let two = shared.open("two");
    assert!(two.find("alice").is_some());
    for (options, said) in [
        (Options { prefix: "/kdc/S".to_owned(), ..allowed.clone() }, "permission denied"),
        (Options { password: Some(Zeroizing::new("guessed".to_owned())), ..allowed.clone() }, "authentication failed"),
        (Options { identity: None, ..allowed.clone() }, "no quorum"),
        (Options { ca: Some(path("server.pem")), ..allowed }, "no quorum"),
    ] {
        let error = Etcd::open(options, &path("copy"), "R", shared.master(), KEPT).err().expect("refused").to_string();
        assert!(error.contains(said), "{error}");
    }
}
