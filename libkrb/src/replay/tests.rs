use std::sync::Barrier;
use std::thread;

use super::*;
use crate::time::Seconds;

const NOW: Time = Time(1_800_000_000);
const WINDOW: Seconds = 300;

fn key(number: usize) -> ReplayKey {
    ReplayKey::new([number.to_be_bytes().as_slice()])
}

/// What so many threads come to together, each told its number.
fn sum_of(threads: usize, each: impl Fn(usize) -> usize + Sync) -> usize {
    let each = &each;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|number| scope.spawn(move || each(number))).collect();
        threads.into_iter().map(|thread| thread.join().expect("an end")).sum()
    })
}

#[test]
fn an_authenticator_is_fresh_once() {
    let cache = MemoryReplayCache::new(WINDOW, 10);
    assert_eq!(cache.insert(key(1), NOW, NOW), Verdict::Fresh);
    assert_eq!(cache.insert(key(1), NOW, NOW), Verdict::Replay);
    assert_eq!(cache.insert(key(2), NOW, NOW), Verdict::Fresh);
}

#[test]
fn of_many_threads_that_bring_the_same_authenticators_one_each_hears_fresh() {
    const THREADS: usize = 8;
    const KEYS: usize = 500;
    let cache = MemoryReplayCache::new(WINDOW, KEYS);
    let start = Barrier::new(THREADS);
    let fresh = sum_of(THREADS, |_| {
        start.wait();
        (0..KEYS).filter(|number| cache.insert(key(*number), NOW, NOW) == Verdict::Fresh).count()
    });
    assert_eq!(fresh, KEYS);
    assert_eq!(cache.len(), KEYS);
}

#[test]
fn an_authenticator_is_remembered_for_as_long_as_it_could_be_accepted() {
    for offset in [-WINDOW, -1, 0, 1, WINDOW] {
        let cache = MemoryReplayCache::new(WINDOW, 10);
        let time = NOW + offset;
        assert_eq!(cache.insert(key(1), time, NOW), Verdict::Fresh);
        for now in NOW.seconds()..=time.seconds() + 3 * WINDOW {
            assert_eq!(cache.insert(key(1), time, Time(now)), Verdict::Replay, "made {offset} later, at {now}");
        }
    }
}

#[test]
fn one_too_old_to_be_remembered_is_never_fresh() {
    let cache = MemoryReplayCache::new(WINDOW, 10);
    assert_eq!(cache.insert(key(1), NOW - WINDOW - 1, NOW), Verdict::Replay);
}

#[test]
fn a_clock_set_back_by_a_window_brings_nothing_back() {
    let cache = MemoryReplayCache::new(WINDOW, 10);
    assert_eq!(cache.insert(key(1), NOW, NOW), Verdict::Fresh);
    assert_eq!(cache.insert(key(2), NOW + 2 * WINDOW, NOW + 2 * WINDOW), Verdict::Fresh);
    assert_eq!(cache.insert(key(1), NOW, NOW + WINDOW), Verdict::Replay);
}

#[test]
fn a_full_cache_refuses_and_forgets_nobody_who_lives() {
    let cache = MemoryReplayCache::new(WINDOW, 3);
    for number in 0..3 {
        assert_eq!(cache.insert(key(number), NOW, NOW), Verdict::Fresh);
    }
    assert_eq!(cache.insert(key(3), NOW, NOW), Verdict::Full);
    for number in 0..3 {
        assert_eq!(cache.insert(key(number), NOW, NOW), Verdict::Replay);
    }
    assert_eq!(cache.len(), 3);
}

#[test]
fn old_windows_make_room_in_every_shard() {
    let cache = MemoryReplayCache::new(WINDOW, 1000);
    for number in 0..1000 {
        assert_eq!(cache.insert(key(number), NOW, NOW), Verdict::Fresh);
    }
    let later = NOW + 4 * WINDOW;
    for number in 1000..2000 {
        assert_eq!(cache.insert(key(number), later, later), Verdict::Fresh);
    }
    assert_eq!(cache.len(), 1000);
}

/// Which shards are left with places that they don't need is up to the random scatter: many caches, then.
#[test]
fn places_that_a_shard_took_in_advance_and_left_serve_another() {
    for number in 0..30 {
        let cache = MemoryReplayCache::new(WINDOW, 500);
        let fresh = (0..500).filter(|number| cache.insert(key(*number), NOW, NOW) == Verdict::Fresh).count();
        assert_eq!(fresh, 500, "in cache {number}");
    }
}

#[test]
fn threads_that_take_places_in_advance_use_all_there_are_and_no_more() {
    const MAX: usize = 8192;
    const THREADS: usize = 4;
    let cache = MemoryReplayCache::new(WINDOW, MAX);
    for (round, now) in [NOW, NOW + 4 * WINDOW, NOW + 8 * WINDOW].into_iter().enumerate() {
        let fresh = sum_of(THREADS, |thread| {
            let numbers = (0..MAX).map(|number| (round * THREADS + thread) * MAX + number);
            numbers.filter(|number| cache.insert(key(*number), now, now) == Verdict::Fresh).count()
        });
        assert_eq!((fresh, cache.len()), (MAX, MAX), "in round {round}");
    }
}

#[test]
fn parts_cannot_be_shifted_between_each_other() {
    let [a, b] = [[b"ab".as_slice(), b"c"], [b"a", b"bc"]].map(ReplayKey::new);
    assert_ne!(a, b);
}

/// A CMAC can be run backwards by who has its key: whoever has any could end his own ciphertext as somebody else's ends.
#[test]
fn the_end_of_a_ciphertext_stands_for_it_only_where_it_is_an_hmac() {
    let [one, other] = [[1; 40], [[2; 16].as_slice(), &[1; 24]].concat().try_into().expect("40 octets")];
    let same = |etype: i32| {
        let key = |cipher| ReplayKey::of_opened(&EncryptedData { etype: EncryptionType(etype), kvno: None, cipher });
        key(&one) == key(&other)
    };
    assert_eq!([17, 18, 19, 20, 23, 25, 26].map(same), [true, true, true, true, false, false, false]);
}

#[test]
fn after_a_restart_what_the_earlier_process_may_have_seen_is_refused() {
    let cache = MemoryReplayCache::new(WINDOW, 10).refusing_before(NOW);
    assert_eq!(cache.insert(key(1), NOW - 1, NOW), Verdict::Replay);
    assert_eq!(cache.insert(key(1), NOW, NOW), Verdict::Fresh);
}
