//! A realm under way: administrators, users and guessers at several KDCs, and what befalls these, etcd and the
//! network between them. What must hold is looked at all the time, and once more when all is well again. Not
//! here: how any of them works (`kdc`, `etcd`, `line`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kdc::core::{Attributes, Change, Entry, KeySet, LongTermKey, PasswordPolicy, Store, StoreError};
use kdc::store::etcd::{compare, publish};
use kdc::store::{MasterKey, Redb};
use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage};
use libkrb::wire::{self, Ticket};
use libkrb::{ErrorCode, Principal};
use tests::joined::{Asking, Credential, Joined, NOW, REALM, Sequence, as_error, name};
use tokio::time::{Instant, sleep};

use crate::dice::Dice;
use crate::etcd::{Etcd, NODES};
use crate::guess::{GUESSED, Guesses, MOST};
use crate::kdc::{Alive, Clock, PREFIX, Seat};
use crate::line::{Network, Way};
use crate::trace::Trace;

/// How long things go wrong, and how long they may take to be well again.
const TROUBLED: Duration = Duration::from_secs(60);
const HEALS: Duration = Duration::from_secs(90);
const COUNTERS: usize = 3;
/// Seconds that a clock may be off: two of them together stay within what Kerberos allows.
const SKEW: i64 = 140;

/// What is known of what was done.
#[derive(Default)]
pub struct Book {
    counters: [Counter; COUNTERS],
    pub guesses: [Guesses; GUESSED],
    /// How far a KDC's view of a counter was, by life.
    seen: BTreeMap<(usize, u32, usize), i64>,
    tickets: Vec<Held>,
    /// Since which revision a key of the KDCs' own is used; the entry's revision grows when the next is announced, too.
    used: BTreeMap<u32, i64>,
    logins: usize,
    rolled: usize,
}

impl Book {
    fn sees(&mut self, alive: &Alive) {
        let Some(tgs) = alive.entry(&Principal::tgs(REALM)) else { return };
        let Some(used) = tgs.keys.iter().find(|set| !set.announced()) else { return };
        let at = i64::try_from(tgs.revision).unwrap_or_default();
        self.used.entry(used.kvno).and_modify(|since| *since = at.min(*since)).or_insert(at);
    }
}

#[derive(Default)]
struct Counter {
    begun: usize,
    refused: usize,
    /// What those wrote who were told that they had.
    acknowledged: BTreeSet<i64>,
}

/// A ticket, and since which revision its key was used.
#[derive(Clone)]
struct Held {
    credential: Credential,
    kvno: u32,
    since: i64,
    from: usize,
}

/// The realm.
pub struct Realm {
    pub seats: Vec<Seat>,
    etcd: Arc<Etcd>,
    pub dice: Dice,
    pub trace: Arc<Trace>,
    pub book: Arc<Mutex<Book>>,
    pub client: Joined,
    clock: Clock,
    /// What is to be well again, and when.
    undo: Vec<(Instant, Undo)>,
    folder: tempfile::TempDir,
}

#[derive(Clone, Copy, Debug)]
enum Undo {
    Way(usize),
    Start(usize),
    Node(usize),
}

pub fn key(of: u64) -> Key {
    Key::random(EncryptionType::AES256_SHA1, &mut Sequence(of)).expect("a key")
}

fn entry(text: &str, of: u64) -> Entry {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&of.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    let mut entry = Entry::new(name(text), id, NOW, "simulation");
    entry.keys = vec![KeySet::new(1, vec![LongTermKey::new(key(of), None)])];
    entry
}

fn first() -> Vec<Change> {
    let user = |text: String, of| {
        let attributes = Attributes::REQUIRES_PRE_AUTH.with(Attributes::DISALLOW_SVR, true);
        Entry { attributes, ..entry(&text, of) }
    };
    let lock = PasswordPolicy { max_failures: MOST as u32, ..PasswordPolicy::new("lock") };
    let mut changes = vec![Change::PutPolicy(lock)];
    changes.push(Change::Create(entry(&format!("krbtgt/{REALM}"), 1)));
    changes.push(Change::Create(entry("host/a.example.org", 2)));
    changes.push(Change::Create(user("alice".into(), 3)));
    let counters =
        (0..COUNTERS).map(|it| Entry { max_life: Some(0), ..entry(&format!("counter{it}"), 10 + it as u64) });
    changes.extend(counters.map(Change::Create));
    let guessed =
        (0..GUESSED).map(|it| Entry { policy: Some("lock".into()), ..user(format!("guessed{it}"), 30 + it as u64) });
    changes.extend(guessed.map(Change::Create));
    changes
}

pub fn book(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Realm {
    /// One with so many KDCs as a seed says.
    pub async fn new(seed: u64, trace: Arc<Trace>) -> Realm {
        let dice = Dice::of(seed, 0);
        let etcd = Etcd::new(seed, Arc::clone(&trace));
        tokio::spawn(Arc::clone(&etcd).live());
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.expect("a folder");
        let clock = Clock(Instant::now());
        let seat = |number| {
            let network = Network::new(seed, number, Arc::clone(&etcd));
            let mut seat = Seat::new(number, network, folder.path().to_owned(), clock, Arc::clone(&trace));
            seat.seal_names = seed.is_multiple_of(2);
            seat
        };
        let mut seats: Vec<_> = (0..3 + dice.below(5)).map(seat).collect();
        let master = MasterKey::create(&folder.path().join("master.key")).expect("a master key");
        let store = Redb::create(&folder.path().join("first"), REALM, master).expect("a store");
        store.commit(&first()).expect("made");
        publish(&seats[0].options(), &store).await.expect("published");
        for seat in &mut seats {
            seat.skew.store(dice.below(2 * SKEW as usize) as i64 - SKEW, Ordering::Relaxed);
            seat.start();
        }
        trace.say(format!("seed {seed}: {} KDCs", seats.len()));
        let (book, client) = (Arc::default(), Joined::of(REALM));
        Realm { seats, etcd, dice, trace, book, client, clock, undo: vec![], folder }
    }

    /// Lives through trouble and out of it again.
    pub async fn live(&mut self) {
        let begun = Instant::now();
        // Some seeds have no trouble at all but that all of it takes time.
        let trouble = self.dice.below(4) * 4;
        while begun.elapsed() < TROUBLED && self.trace.first_wrong().is_none() {
            sleep(self.dice.millis(20, 300)).await;
            self.undo(Instant::now());
            self.seats.iter().filter_map(Seat::alive).for_each(|alive| book(&self.book).sees(&alive));
            match self.dice.below(100) {
                die if die < trouble => self.trouble(),
                die if die < 45 => self.increment(),
                die if die < 60 => self.login(),
                die if die < 75 => self.present(),
                die if die < 84 => self.guess(),
                die if die < 86 => self.assault(),
                die if die < 90 => self.roll_over(),
                _ => self.edit(),
            }
        }
        if self.trace.first_wrong().is_none() {
            self.heal().await;
        }
        self.seats.iter_mut().for_each(Seat::stop);
        sleep(Duration::from_millis(100)).await;
    }

    /// In a line.
    pub fn figures(&self) -> String {
        let book = book(&self.book);
        let acknowledged: usize = book.counters.iter().map(|counter| counter.acknowledged.len()).sum();
        let guesses: usize = book.guesses.iter().map(|guesses| guesses.together).sum();
        let lives: u32 = self.seats.iter().map(|seat| seat.lives).sum();
        format!(
            "{} KDCs, {lives} lives, {acknowledged} writes, {} tickets, {} roll-overs, {guesses} guesses",
            self.seats.len(),
            book.logins,
            book.rolled,
        )
    }

    pub fn anybody(&self) -> Option<Arc<Alive>> {
        self.seats[self.dice.below(self.seats.len())].alive()
    }

    fn undo(&mut self, now: Instant) {
        let due: Vec<_> = self.undo.extract_if(.., |(when, _)| *when <= now).collect();
        for (_, undo) in due {
            self.trace.say(format!("well again: {undo:?}"));
            match undo {
                Undo::Way(kdc) => self.seats[kdc].network.set(|way| *way = Way::default()),
                Undo::Start(kdc) => self.seats[kdc].start(),
                Undo::Node(node) => {
                    self.etcd.set_down(node, false);
                    self.etcd.set_cut(node, false);
                }
            }
        }
    }

    /// Something goes wrong.
    fn trouble(&mut self) {
        let kdc = self.dice.below(self.seats.len());
        let node = self.dice.below(NODES);
        let until = Instant::now() + self.dice.millis(200, 20_000);
        let what = match self.dice.below(10) {
            0 => {
                self.seats[kdc].network.set(|way| way.cut = [true; NODES]);
                self.undo.push((until, Undo::Way(kdc)));
                format!("kdc {kdc} is cut off")
            }
            1 => {
                self.seats[kdc].network.set(|way| way.cut[node] = true);
                self.undo.push((until, Undo::Way(kdc)));
                format!("kdc {kdc} is cut off from node {node}")
            }
            2 => {
                let (slow, lag) = (self.dice.below(1500) as u64, self.dice.below(6000) as u64);
                self.seats[kdc].network.set(|way| (way.slow, way.lag) = (slow, lag));
                self.undo.push((until, Undo::Way(kdc)));
                format!("kdc {kdc} is slow by {slow} ms, its watches by {lag} ms")
            }
            3 | 4 if self.seats[kdc].alive().is_some() => {
                let hard = self.dice.chance(75);
                if hard {
                    self.seats[kdc].crash()
                } else {
                    self.seats[kdc].stop()
                }
                book(&self.book).guesses.iter_mut().for_each(|guesses| guesses.crashes += 1);
                let until = Instant::now() + self.dice.millis(100, 15_000);
                self.undo.push((until, Undo::Start(kdc)));
                format!("kdc {kdc} {}", if hard { "crashes" } else { "ends" })
            }
            5 => {
                self.etcd.set_down(node, true);
                self.undo.push((until, Undo::Node(node)));
                format!("node {node} is down")
            }
            6 => {
                self.etcd.set_cut(node, true);
                self.undo.push((until, Undo::Node(node)));
                format!("node {node} is cut off from the others")
            }
            7 => {
                self.seats[kdc].network.set(|way| way.lost = 30);
                self.undo.push((until, Undo::Way(kdc)));
                format!("answers to kdc {kdc} are lost")
            }
            8 => {
                self.etcd.depose();
                "the leader is deposed".into()
            }
            _ if self.dice.chance(50) => {
                format!("compacted up to {}", self.etcd.compact(self.dice.below(20) as i64))
            }
            _ => {
                let skew = self.dice.below(2 * SKEW as usize) as i64 - SKEW;
                self.seats[kdc].skew.store(skew, Ordering::Relaxed);
                format!("the clock of kdc {kdc} is {skew} s off")
            }
        };
        self.trace.say(what);
    }

    /// An administrator counts on, and hears whether it was done.
    fn increment(&mut self) {
        let (kdc, counter) = (self.dice.below(self.seats.len()), self.dice.below(COUNTERS));
        let Some(alive) = self.seats[kdc].alive() else { return };
        let (book, trace) = (Arc::clone(&self.book), Arc::clone(&self.trace));
        self.seats[kdc].tasks.spawn(async move {
            let _ = increment(&alive, counter, &book, &trace).await;
        });
    }

    /// Things come and go, and names move.
    fn edit(&mut self) {
        let (kdc, thing, random) = (self.dice.below(self.seats.len()), self.dice.below(4), self.dice.below(1 << 20));
        let Some(alive) = self.seats[kdc].alive() else { return };
        let trace = Arc::clone(&self.trace);
        let alias = name(&format!("alias{}", random % 3));
        self.seats[kdc].tasks.spawn(async move {
            let change = match alive.entry(&name(&format!("thing{thing}"))) {
                None => {
                    Change::Create(Entry { aliases: vec![alias], ..entry(&format!("thing{thing}"), random as u64) })
                }
                Some(there) if random % 2 == 0 => Change::Delete(there.principal.clone()),
                Some(there) => Change::Replace(Entry { aliases: vec![alias], ..(*there).clone() }),
            };
            let done = alive.etcd.change(vec![change]).await;
            trace.say(format!("kdc {kdc}: thing{thing} is changed: {done:?}"));
        });
    }

    /// The key of the ticket-granting service is changed at once.
    fn roll_over(&mut self) {
        let kdc = self.dice.below(self.seats.len());
        let Some(alive) = self.seats[kdc].alive() else { return };
        let (book_of, trace, tgs) = (Arc::clone(&self.book), Arc::clone(&self.trace), Principal::tgs(REALM));
        self.seats[kdc].tasks.spawn(async move {
            let Some(old) = alive.entry(&tgs) else { return };
            let kvno = old.newest().map_or(1, |set| set.kvno + 1);
            let mut new = (*old).clone();
            let fresh = key(u64::from(kvno) << 32 | kdc as u64);
            new.keys.insert(0, KeySet::new(kvno, vec![LongTermKey::new(fresh, None)]).made(alive.now()));
            trace.say(format!("kdc {kdc}: krbtgt is to get key {kvno}"));
            let done = alive.etcd.change(vec![Change::Replace(new)]).await;
            trace.say(format!("kdc {kdc}: krbtgt has key {kvno}: {done:?}"));
            let mut book = book(&book_of);
            book.rolled += usize::from(done.is_ok());
            book.sees(&alive);
        });
    }

    pub fn moment(&mut self) {
        let now = self.clock.now(0);
        let later = self.client.now.as_micros().max(now.as_micros());
        self.client.now = libkrb::time::Instant::from_micros(later);
    }

    /// A user logs in.
    fn login(&mut self) {
        let Some(alive) = self.anybody() else { return };
        self.moment();
        let request = self.client.as_req(&Asking::login("alice"), Some(&key(3)));
        let reply = alive.answer(&request).reply.expect("an answer");
        match Credential::open(&reply, &key(3), KeyUsage::AS_REP_ENC_PART) {
            Err(error) => self.trace.wrong(format!("kdc {} refuses a login: {error:?}", alive.number)),
            Ok(credential) => {
                let kvno = wire::decode::<Ticket<'_>>(&credential.ticket).expect("a ticket").enc_part.kvno;
                let kvno = kvno.unwrap_or_default();
                let tgs = alive.entry(&Principal::tgs(REALM)).expect("a realm");
                let newest = i64::try_from(tgs.revision).unwrap_or_default();
                self.trace.say(format!("kdc {}: a ticket under key {kvno}", alive.number));
                let mut book = book(&self.book);
                let since = book.used.get(&kvno).copied().unwrap_or(newest);
                book.logins += 1;
                book.tickets.push(Held { credential, kvno, since, from: alive.number });
            }
        }
    }

    /// A user brings a ticket to another KDC: mostly a new one.
    fn present(&mut self) {
        let Some(alive) = self.anybody() else { return };
        let held = {
            let book = book(&self.book);
            let back = if self.dice.chance(80) { self.dice.below(3) } else { self.dice.below(40) };
            book.tickets.iter().rev().nth(back).cloned()
        };
        let Some(held) = held else { return };
        self.moment();
        let request = self.client.tgs_req(&held.credential, &Asking::service("host/a.example.org"));
        let reply = alive.answer(&request).reply.expect("an answer");
        let Some(error) = as_error(&reply) else { return };
        let what = format!("kdc {} does not open a ticket of kdc {} under key {}", alive.number, held.from, held.kvno);
        // Who counts as alive since before the key was used has it.
        let lives = self.etcd.created(&format!("{PREFIX}/k/{}", alive.id));
        let has_it = lives.is_some_and(|since| since < held.since);
        match error {
            ErrorCode::SVC_UNAVAILABLE if !has_it => self.trace.say(format!("{what}: it has been away")),
            error => self.trace.wrong(format!("{what}: {error:?} (lives since {lives:?}, used since {})", held.since)),
        }
    }

    /// All is well again, and all that was lost is found.
    async fn heal(&mut self) {
        self.trace.say("all is well again".into());
        for (_, undo) in std::mem::take(&mut self.undo) {
            if let Undo::Start(kdc) = undo {
                self.seats[kdc].start();
            }
        }
        (0..NODES).for_each(|node| {
            self.etcd.set_down(node, false);
            self.etcd.set_cut(node, false);
        });
        self.seats.iter().for_each(|seat| seat.network.set(|way| *way = Way::default()));
        let deadline = Instant::now() + HEALS;
        let mut well = vec![false; self.seats.len()];
        while !well.iter().all(|well| *well) {
            if Instant::now() > deadline {
                let ill: Vec<_> = (0..well.len()).filter(|kdc| !well[*kdc]).collect();
                return self.trace.wrong(format!("kdc {ill:?} is not well again"));
            }
            sleep(Duration::from_millis(500)).await;
            for (seat, well) in self.seats.iter().zip(&mut well) {
                let Some(alive) = seat.alive().filter(|alive| alive.etcd.standing().trouble.is_none()) else {
                    continue;
                };
                *well = *well || increment(&alive, seat.number % COUNTERS, &self.book, &self.trace).await;
            }
        }
        // What was on its way is there by then.
        sleep(Duration::from_secs(20)).await;
        let newest = self.etcd.modified(&format!("{PREFIX}/r/head"));
        let mut digests = BTreeSet::new();
        for seat in &self.seats {
            let Some(alive) = seat.alive() else { continue };
            if alive.etcd.revision() < newest {
                self.trace.wrong(format!("kdc {} is at {} of {newest}", seat.number, alive.etcd.revision()));
                return;
            }
            let export = alive.etcd.export().expect("readable");
            let master = MasterKey::load(&*self.folder.path().join("master.key")).expect("the master key");
            match compare(&seat.options(), &master, alive.etcd.revision(), export.records).await {
                Ok(found) if found.differences.is_empty() => drop(digests.insert(found.digest)),
                Ok(found) => self.trace.wrong(format!("kdc {} differs: {:?}", seat.number, found.differences)),
                Err(error) => self.trace.wrong(format!("kdc {} can't be compared: {error}", seat.number)),
            }
        }
        if digests.len() != 1 {
            self.trace.wrong(format!("{} different copies", digests.len()));
        }
        self.counted();
    }

    /// What was acknowledged is there, once; and all know the same failures.
    fn counted(&self) {
        let book = book(&self.book);
        let alive: Vec<_> = self.seats.iter().filter_map(Seat::alive).collect();
        let Some(one) = alive.first() else { return };
        for (number, counter) in book.counters.iter().enumerate() {
            let value = one.entry(&name(&format!("counter{number}"))).and_then(|entry| entry.max_life).unwrap_or(-1);
            let least = counter.acknowledged.len();
            let most = counter.begun - counter.refused;
            if !(least as i64..=most as i64).contains(&value) {
                self.trace.wrong(format!("counter{number} is {value}, of {least} acknowledged and {most} possible"));
            }
        }
        for number in 0..GUESSED {
            let who = entry(&format!("guessed{number}"), 30 + number as u64).id;
            let failures = alive.iter().map(|alive| kdc::core::Attempts::record(&*alive.counted, &who).failures);
            let failures: BTreeSet<_> = failures.collect();
            if failures.len() > 1 {
                self.trace.wrong(format!("KDCs count {failures:?} failures of {number}"));
            }
        }
        let _ = &self.folder;
    }
}

/// Counts on; whether that was acknowledged.
async fn increment(alive: &Alive, counter: usize, of: &Mutex<Book>, trace: &Trace) -> bool {
    let principal = name(&format!("counter{counter}"));
    let Some(there) = alive.entry(&principal) else {
        trace.wrong(format!("kdc {} lacks counter{counter}", alive.number));
        return false;
    };
    let (place, value) = ((alive.number, alive.life, counter), there.max_life.unwrap_or_default());
    let before = book(of).seen.get(&place).copied().unwrap_or_default();
    if value < before {
        trace.wrong(format!("kdc {} has counter{counter} at {value}, after it had {before}", alive.number));
    }
    book(of).seen.insert(place, value);
    book(of).counters[counter].begun += 1;
    let changed = Entry { max_life: Some(value + 1), ..(*there).clone() };
    let done = alive.etcd.change(vec![Change::Replace(changed)]).await;
    trace.say(format!("kdc {}: counter{counter} {} is {done:?}", alive.number, value + 1));
    match done {
        Ok(()) => {
            if !book(of).counters[counter].acknowledged.insert(value + 1) {
                trace.wrong(format!("counter{counter} was acknowledged to be {} twice", value + 1));
            }
            book(of).seen.entry(place).and_modify(|seen| *seen = (value + 1).max(*seen));
            let read = alive.entry(&principal).and_then(|entry| entry.max_life).unwrap_or(-1);
            if read <= value {
                trace.wrong(format!(
                    "kdc {} acknowledged counter{counter} {} and reads {read}",
                    alive.number,
                    value + 1
                ));
            }
            return true;
        }
        Err(StoreError::Conflict(_)) => book(of).counters[counter].refused += 1,
        Err(StoreError::ReadOnly(_) | StoreError::Storage(_)) => {}
        Err(error) => trace.wrong(format!("counter{counter} can't be changed: {error}")),
    }
    false
}
