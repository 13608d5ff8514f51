//! Same bytes, same answer: a client that did not hear the answer asks again with the same request,
//! over UDP or then over TCP, and must not be told that its authenticator is a replay (RFC 4120
//! 3.3.3, "retransmission").
//!
//! Remembered are the answers to requests that left a trace in the replay cache, refusals among
//! them: any other request can be answered again by asking the core again, so no stranger without a
//! key can fill this memory. The memory is bounded by bytes and cut into shards; each has a young
//! and an old generation, and the old one is dropped as a whole when the young one is full or has
//! grown old.
//!
//! A request is *claimed* while it is answered. Whoever brings the same bytes meanwhile is told so:
//! over UDP the copy is dropped, because the answer to the first is on its way; over TCP it waits.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libkrb::crypto::{OsRandom, Random};
use polyval::Polyval;
use polyval::universal_hash::UniversalHash;
use tokio::sync::Notify;

/// The bytes of a reply.
pub type Answer = Vec<u8>;

/// 128 bits of a universal hash under a random key: of two requests that strangers choose without ever seeing
/// what they hash to, the chance that they share it is their length in blocks to 2^128.
type Digest = u128;

/// An answer is remembered for at least one generation and at most two, unless memory runs out.
/// Clients ask again for up to a minute and a half (three times thirty seconds in Java).
const GENERATION: Duration = Duration::from_secs(90);
/// Records begin where the processor's cache lines do.
const LINE: usize = 64;
/// There is a slot for each so many octets of memory, so that errors fill it too, which are the shortest answers.
const SHORT: usize = 192;
/// What a slot takes.
const SLOT: usize = size_of::<u32>();
/// No answer is there.
const FREE: u32 = 0;
/// A slot's bits that say where.
const PLACE_BITS: u32 = 24;
const PLACES: u32 = (1 << PLACE_BITS) - 1;
/// What so many bits can tell apart.
const MOST_MEMORY: usize = PLACES as usize * LINE;
/// A shard's share of the memory should hold some hundreds of answers.
const SHARD_MEMORY: usize = 256 << 10;
const MAX_SHARDS: usize = 64;

/// The memory of answers given.
pub struct Lookaside {
    /// With the key, before the first octet.
    hash: Polyval,
    shards: Box<[Shard]>,
    /// Bytes that one generation of one shard may have.
    budget: usize,
}

struct Shard {
    state: Mutex<State>,
    /// Told whenever a claim ends.
    settled: Notify,
}

struct State {
    /// Requests being answered right now: no more than there are threads.
    claimed: Vec<Digest>,
    /// Whether somebody waits for the end of a claim.
    awaited: bool,
    young: Generation,
    old: Generation,
}

/// Answers lie one behind the other, so that remembering one takes no memory of its own from the allocator and
/// forgetting thousands is one step. Where which lies is said in so few octets that the processor's caches hold
/// them: most requests are new, and to know that takes no look at the answers.
struct Generation {
    /// A slot of an answer: an octet of its digest, then one more than the number of the line where its record
    /// begins. From where its digest points to on, up to the next that is free (linear probing).
    slots: Vec<u32>,
    taken: usize,
    /// The records: digest, length and answer, each filled up to whole lines.
    records: Vec<u8>,
    since: Instant,
}

/// What is known of a request.
pub enum Found<'a> {
    /// It was answered.
    Answered(Answer),
    /// Somebody is answering it.
    Claimed,
    /// It is new, and now claimed.
    New(Claim<'a>),
}

/// The duty to answer a request; ends when dropped.
pub struct Claim<'a> {
    shard: &'a Shard,
    digest: Digest,
    budget: usize,
    /// When it began.
    since: Instant,
    ended: bool,
}

impl Lookaside {
    /// An empty memory of at most `memory` bytes.
    pub fn new(memory: usize) -> Self {
        let shards = (memory / SHARD_MEMORY).clamp(1, MAX_SHARDS);
        let mut key = polyval::Key::default();
        OsRandom::new().fill(&mut key);
        Lookaside {
            hash: Polyval::new(&key),
            shards: (0..shards).map(|_| Shard::new(Instant::now())).collect(),
            budget: (memory / shards / 2).min(MOST_MEMORY),
        }
    }

    /// Looks a request up, and claims it when it is new.
    pub fn find(&self, request: &[u8], now: Instant) -> Found<'_> {
        let digest = self.digest(request);
        self.shard(digest).find(digest, self.budget, now)
    }

    /// The same, but waits while somebody else is answering.
    pub async fn settled(&self, request: &[u8]) -> Found<'_> {
        let digest = self.digest(request);
        let shard = self.shard(digest);
        loop {
            // Made before looking, so that no end of a claim is missed in between.
            let settled = shard.settled.notified();
            match shard.find(digest, self.budget, Instant::now()) {
                Found::Claimed if shard.await_settled(digest) => settled.await,
                Found::Claimed => {}
                found => return found,
            }
        }
    }

    fn digest(&self, request: &[u8]) -> Digest {
        let mut hash = self.hash.clone();
        hash.update_padded(request);
        // Zeros at the end of a request are not the padding.
        hash.update(&[(request.len() as u128).to_le_bytes().into()]);
        Digest::from_le_bytes(hash.finalize().into())
    }

    fn shard(&self, digest: Digest) -> &Shard {
        // The half is as uniform as the whole, and divided in a fraction of the time.
        &self.shards[(digest as u64 % self.shards.len() as u64) as usize]
    }

    /// How many answers are remembered, in how many bytes, and how many of these there may be.
    pub fn fill(&self) -> (usize, usize, usize) {
        let fill = |(answers, bytes): (usize, usize), shard: &Shard| {
            let State { young, old, .. } = &*shard.lock();
            (answers + young.taken + old.taken, bytes + young.bytes() + old.bytes())
        };
        let (answers, bytes) = self.shards.iter().fold((0, 0), fill);
        (answers, bytes, 2 * self.budget * self.shards.len())
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock()).map(|state| state.young.bytes() + state.old.bytes()).sum()
    }
}

impl Shard {
    fn new(now: Instant) -> Self {
        let (young, old) = (Generation::new(now), Generation::new(now));
        let state = State { claimed: vec![], awaited: false, young, old };
        Shard { state: Mutex::new(state), settled: Notify::new() }
    }

    /// Whoever panicked while holding the lock left nothing half done that matters.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, digest: Digest, budget: usize, now: Instant) -> Found<'_> {
        let mut state = self.lock();
        state.age(now);
        if let Some(answer) = state.answer(digest) {
            return Found::Answered(answer);
        }
        if state.claimed.contains(&digest) {
            return Found::Claimed;
        }
        state.claimed.push(digest);
        Found::New(Claim { shard: self, digest, budget, since: now, ended: false })
    }

    /// Has the end of this claim told. `false`: it has ended already.
    fn await_settled(&self, digest: Digest) -> bool {
        let mut state = self.lock();
        let claimed = state.claimed.contains(&digest);
        state.awaited |= claimed;
        claimed
    }
}

impl State {
    fn answer(&self, digest: Digest) -> Option<Answer> {
        [&self.young, &self.old].into_iter().find_map(|generation| generation.answer(digest)).map(<[u8]>::to_vec)
    }

    fn age(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.young.since);
        if age >= GENERATION {
            // Less may come in the next than came in this one.
            self.old = mem::replace(&mut self.young, Generation::new(now));
        }
        if age >= 2 * GENERATION {
            self.old = Generation::new(now);
        }
    }

    /// The young generation becomes the old one, which is forgotten and whose memory is used again.
    fn turn(&mut self, now: Instant) {
        mem::swap(&mut self.young, &mut self.old);
        self.young.clear(now);
    }

    fn remember(&mut self, digest: Digest, answer: &[u8], budget: usize, now: Instant) {
        let record = record(answer);
        if !self.young.has_room(record, budget) {
            if !Generation::new(self.young.since).has_room(record, budget) {
                return;
            }
            self.turn(now);
        }
        self.young.remember(digest, answer, budget);
    }

    /// Ends a claim; whether somebody is to be told.
    fn end(&mut self, digest: Digest) -> bool {
        self.claimed.retain(|claimed| *claimed != digest);
        mem::take(&mut self.awaited)
    }
}

impl Generation {
    fn new(since: Instant) -> Self {
        Generation { slots: vec![], taken: 0, records: vec![], since }
    }

    fn bytes(&self) -> usize {
        self.records.len() + self.slots.len() * SLOT
    }

    fn clear(&mut self, since: Instant) {
        self.slots.fill(FREE);
        self.taken = 0;
        self.records.clear();
        self.since = since;
    }

    /// The slots where a digest may be, in their order.
    fn probe(&self, digest: Digest) -> impl Iterator<Item = (usize, u32)> {
        // The half that does not choose the shard, spread by its upper bits.
        let start = (((digest >> 64) * self.slots.len() as u128) >> 64) as usize;
        let (before, after) = self.slots.split_at(start);
        (start..).zip(after.iter().copied()).chain((0..).zip(before.iter().copied()))
    }

    fn answer(&self, digest: Digest) -> Option<&[u8]> {
        let taken = self.probe(digest).map(|(_, slot)| slot).take_while(|slot| *slot != FREE);
        taken.filter(|slot| slot >> PLACE_BITS == tag(digest)).find_map(|slot| {
            let start = ((slot & PLACES) as usize - 1) * LINE;
            let (known, record) = self.records.get(start..)?.split_first_chunk()?;
            let (length, record) = record.split_first_chunk()?;
            record.get(..u32::from_le_bytes(*length) as usize).filter(|_| u128::from_le_bytes(*known) == digest)
        })
    }

    /// Whether one more of so many octets goes in.
    fn has_room(&self, record: usize, memory: usize) -> bool {
        4 * (self.taken + 1) <= 3 * slots(memory) && self.records.len() + record + slots(memory) * SLOT <= memory
    }

    fn remember(&mut self, digest: Digest, answer: &[u8], memory: usize) {
        if self.slots.is_empty() {
            // The system gives the memory when it is written to, not before.
            self.slots = vec![FREE; slots(memory)];
            self.records.reserve_exact(memory - slots(memory) * SLOT);
        }
        let place = (self.records.len() / LINE) as u32 + 1;
        let Some((free, _)) = self.probe(digest).find(|(_, slot)| *slot == FREE) else { return };
        self.slots[free] = tag(digest) << PLACE_BITS | place;
        self.taken += 1;
        self.records.extend_from_slice(&digest.to_le_bytes());
        self.records.extend_from_slice(&(answer.len() as u32).to_le_bytes());
        self.records.extend_from_slice(answer);
        self.records.resize(self.records.len().next_multiple_of(LINE), 0);
    }
}

/// How many octets an answer takes.
fn record(answer: &[u8]) -> usize {
    (size_of::<Digest>() + size_of::<u32>() + answer.len()).next_multiple_of(LINE)
}

/// How many slots a generation of so many octets has.
fn slots(memory: usize) -> usize {
    memory / SHORT
}

/// What a slot tells of a digest: bits that choose neither the shard nor the slot.
fn tag(digest: Digest) -> u32 {
    (digest as u64 >> 56) as u32
}

impl Claim<'_> {
    /// Remembers the answer, for all who bring the same bytes from now on.
    pub fn settle(mut self, answer: &[u8]) {
        self.end(Some(answer));
    }

    fn end(&mut self, answer: Option<&[u8]>) {
        if mem::replace(&mut self.ended, true) {
            return;
        }
        let mut state = self.shard.lock();
        let awaited = state.end(self.digest);
        if let Some(answer) = answer {
            state.remember(self.digest, answer, self.budget, self.since);
        }
        drop(state);
        if awaited {
            self.shard.settled.notify_waiters();
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.end(None);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn found(lookaside: &Lookaside, request: &[u8], now: Instant) -> &'static str {
        match lookaside.find(request, now) {
            Found::Answered(_) => "answered",
            Found::Claimed => "claimed",
            Found::New(_) => "new",
        }
    }

    fn settle(lookaside: &Lookaside, request: &[u8], now: Instant) {
        let Found::New(claim) = lookaside.find(request, now) else { panic!("not new") };
        claim.settle(request);
    }

    #[test]
    fn the_same_bytes_get_the_same_answer_and_others_do_not() {
        let (lookaside, now) = (Lookaside::new(1 << 20), Instant::now());
        settle(&lookaside, b"request", now);
        let Found::Answered(answer) = lookaside.find(b"request", now) else { panic!("forgotten") };
        assert_eq!(&*answer, b"request");
        assert_eq!(found(&lookaside, b"request ", now), "new");
    }

    #[test]
    fn requests_that_differ_in_zeros_at_their_end_are_not_the_same() {
        let (lookaside, now) = (Lookaside::new(1 << 20), Instant::now());
        for length in 0..=48 {
            settle(&lookaside, &vec![0; length], now);
        }
        let answered = |length| match lookaside.find(&vec![0; length], now) {
            Found::Answered(answer) => answer.len(),
            _ => panic!("forgotten"),
        };
        assert!((0..=48).all(|length| answered(length) == length));
    }

    #[test]
    fn a_copy_that_comes_while_the_first_is_answered_is_told_so() {
        let (lookaside, now) = (Lookaside::new(1 << 20), Instant::now());
        let first = lookaside.find(b"request", now);
        assert_eq!(found(&lookaside, b"request", now), "claimed");
        drop(first);
        assert_eq!(found(&lookaside, b"request", now), "new", "a claim that ends without an answer leaves nothing");
    }

    #[tokio::test]
    async fn who_can_wait_gets_the_answer_when_it_is_there() {
        let lookaside = Arc::new(Lookaside::new(1 << 20));
        let Found::New(claim) = lookaside.find(b"request", Instant::now()) else { panic!("not new") };
        let second = Arc::clone(&lookaside);
        let waiting = tokio::spawn(async move { matches!(second.settled(b"request").await, Found::Answered(_)) });
        tokio::task::yield_now().await;
        claim.settle(b"answer");
        assert!(waiting.await.unwrap());
    }

    #[test]
    fn memory_stays_bounded_whatever_comes() {
        let memory = 1 << 20;
        let (lookaside, now) = (Lookaside::new(memory), Instant::now());
        for number in 0..20_000_u32 {
            let request = [&number.to_be_bytes()[..], &[0; 500]].concat();
            settle(&lookaside, &request, now);
            assert!(lookaside.bytes() <= memory);
        }
        assert!(lookaside.bytes() > memory / 3, "and is used");
    }

    #[test]
    fn what_is_remembered_last_is_found_whole_however_many_there_are_of_whatever_length() {
        let (lookaside, now) = (Lookaside::new(1 << 20), Instant::now());
        let request = |number: u32| [&number.to_be_bytes()[..], &vec![7; number as usize % 700]].concat();
        for number in 0..4_000 {
            settle(&lookaside, &request(number), now);
            for number in number.saturating_sub(100)..=number {
                let Found::Answered(answer) = lookaside.find(&request(number), now) else { panic!("forgotten") };
                assert_eq!(answer, request(number));
            }
        }
    }

    #[test]
    fn however_small_the_memory_is_it_is_not_exceeded() {
        for memory in 0..1024 {
            let (lookaside, now) = (Lookaside::new(memory), Instant::now());
            (0..9_u8).for_each(|number| settle(&lookaside, &[number], now));
            assert!(lookaside.bytes() <= memory);
        }
    }

    #[test]
    fn an_answer_stays_its_time_also_where_others_had_filled_the_memory_before() {
        let (lookaside, begun) = (Lookaside::new(64 << 10), Instant::now());
        let later = begun + GENERATION * 2 / 3;
        settle(&lookaside, b"request", later);
        // The second takes the place of both, which are then the older half.
        settle(&lookaside, &[1; 20_000], later);
        settle(&lookaside, &[2; 20_000], later);
        assert_eq!(found(&lookaside, b"request", begun + GENERATION), "answered");
    }

    #[test]
    fn an_answer_that_fits_nowhere_is_not_remembered() {
        let (lookaside, now) = (Lookaside::new(64 << 10), Instant::now());
        settle(&lookaside, &[1; 60_000], now);
        assert_eq!(lookaside.bytes(), 0);
    }

    #[test]
    fn answers_are_forgotten_after_two_generations_and_not_before_one() {
        let (lookaside, now) = (Lookaside::new(64 << 10), Instant::now());
        settle(&lookaside, b"request", now);
        assert_eq!(found(&lookaside, b"request", now + GENERATION), "answered");
        assert_eq!(found(&lookaside, b"request", now + GENERATION + GENERATION), "new");
        settle(&lookaside, b"other", now + 2 * GENERATION);
        assert_eq!(found(&lookaside, b"other", now + 9 * GENERATION), "new", "after a long silence");
    }
}
