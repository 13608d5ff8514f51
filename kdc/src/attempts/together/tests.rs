//! KDCs that count together over a realm that is played here, in every order that a seed gives.

use std::sync::Arc;

use super::*;
use crate::attempts::Counted;
use crate::core::attempts::{Attempts, Lockout, Tried};

const NOW: Time = Time(1_800_000_000);
const RULE: Lockout = Lockout { max_failures: 5, interval: 0, duration: 0 };
const WHO: AccountId = [7; 16];

/// What etcd is, as far as it matters here.
#[derive(Default)]
struct Realm {
    tallies: HashMap<AccountId, (Tally, i64)>,
    changes: Vec<(AccountId, Option<Tally>, i64)>,
}

struct Kdc {
    counted: Counted,
    together: Arc<Together>,
    sent: Vec<Due>,
    heard: usize,
    marks: u64,
}

impl Kdc {
    fn new(number: u64) -> Kdc {
        let together = Arc::new(Together::default());
        together.hear_all(&HashMap::new(), 0);
        let counted = Counted::default().together(Some(Arc::clone(&together)));
        Kdc { counted, together, sent: vec![], heard: 0, marks: number << 32 }
    }

    /// Whether a guess was made.
    fn guess(&self) -> bool {
        self.counted.attempt(&WHO, Some(&RULE), NOW, &mut |left| Proven::No(left.min(3))) == Tried::Made
    }

    fn take(&mut self) {
        let marks = &mut self.marks;
        if self.sent.is_empty() {
            self.sent = self.together.take(10, &mut || {
                *marks += 1;
                *marks
            });
        }
    }

    /// What was sent arrives; the answer too, or not: then it is sent again.
    fn arrive(&mut self, realm: &mut Realm, answered: bool) {
        for due in &self.sent {
            let there = realm.tallies.get(&due.who).copied();
            let fits = there.map_or(0, |(_, at)| at) == due.revision;
            if fits {
                let at = realm.changes.len() as i64 + 1;
                realm.changes.push((due.who, due.tally, at));
                match due.tally {
                    Some(tally) => drop(realm.tallies.insert(due.who, (tally, at))),
                    None => drop(realm.tallies.remove(&due.who)),
                }
            }
            if answered && fits {
                self.together.settle(due, realm.changes.len() as i64);
            } else if answered {
                self.together.overtaken(
                    due,
                    there.map(|(tally, _)| tally),
                    there.map_or(0, |(_, at)| at),
                    realm.changes.len() as i64,
                );
            }
        }
        if answered {
            self.sent.clear();
        }
    }

    fn hear(&mut self, realm: &Realm) {
        if let Some((who, tally, at)) = realm.changes.get(self.heard) {
            self.together.hear(who, *tally, *at);
            self.heard += 1;
        }
    }

    fn failures(&self) -> u32 {
        self.counted.record(&WHO).failures
    }
}

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

fn kdcs(count: u64) -> Vec<Kdc> {
    (1..=count).map(Kdc::new).collect()
}

/// One step of one of them, other than a guess.
fn step(dice: &mut Dice, kdc: &mut Kdc, realm: &mut Realm) {
    match dice.below(4) {
        0 => kdc.take(),
        1 => kdc.arrive(realm, dice.below(4) > 0),
        _ => kdc.hear(realm),
    }
}

/// Until nothing is under way any more.
fn settle(kdcs: &mut [Kdc], realm: &mut Realm) {
    for _ in 0..100 {
        for kdc in &mut *kdcs {
            kdc.take();
            kdc.arrive(realm, true);
            (0..10).for_each(|_| kdc.hear(realm));
        }
    }
}

#[test]
fn whatever_the_order_there_are_no_more_guesses_than_the_rule_allows_and_one_for_each_kdc() {
    for seed in 0..300 {
        let (mut dice, mut realm) = (Dice(seed), Realm::default());
        let mut kdcs = kdcs(2 + seed % 6);
        let count = kdcs.len() as u64;
        let mut guesses = 0;
        for _ in 0..2000 {
            let kdc = &mut kdcs[dice.below(count) as usize];
            match dice.below(3) {
                0 => guesses += u64::from(kdc.guess()),
                _ => step(&mut dice, kdc, &mut realm),
            }
        }
        settle(&mut kdcs, &mut realm);
        assert!(!kdcs.iter().any(Kdc::guess), "seed {seed}: it is locked everywhere");
        let most = u64::from(RULE.max_failures) + count;
        assert!((u64::from(RULE.max_failures)..=most).contains(&guesses), "seed {seed}: {guesses} of {most}");
    }
}

#[test]
fn whatever_the_order_all_come_to_the_same_count_and_an_account_that_is_opened_is_open_everywhere() {
    for seed in 0..300 {
        let (mut dice, mut realm) = (Dice(seed), Realm::default());
        let mut kdcs = kdcs(2 + seed % 4);
        let count = kdcs.len() as u64;
        for _ in 0..1000 {
            let kdc = &mut kdcs[dice.below(count) as usize];
            match dice.below(6) {
                0 => drop(kdc.guess()),
                1 => drop(kdc.counted.attempt(&WHO, Some(&RULE), NOW, &mut |_| Proven::Yes)),
                2 => drop(kdc.counted.attempt(&WHO, None, NOW, &mut |_| Proven::Yes)),
                _ => step(&mut dice, kdc, &mut realm),
            }
        }
        settle(&mut kdcs, &mut realm);
        let there = realm.tallies.get(&WHO).map_or(0, |(tally, _)| tally.failures);
        assert!(kdcs.iter().all(|kdc| kdc.failures() == there), "seed {seed}");
        while kdcs[0].guess() {
            settle(&mut kdcs, &mut realm);
        }
        kdcs[1].together.add(&WHO, Proven::Yes, false, NOW);
        settle(&mut kdcs, &mut realm);
        assert!(realm.tallies.is_empty() && kdcs.iter().all(|kdc| kdc.failures() == 0), "seed {seed}");
        assert!(kdcs.iter().all(|kdc| kdc.together.part(&WHO).is_empty()), "nothing is kept of who has not failed");
    }
}

#[test]
fn a_success_tells_nobody_anything_unless_there_were_failures() {
    let mut kdc = Kdc::new(1);
    for rule in [None, Some(&RULE)] {
        let _ = kdc.counted.attempt(&WHO, rule, NOW, &mut |_| Proven::Yes);
        kdc.take();
        assert!(kdc.sent.is_empty());
    }
    assert!(kdc.guess());
    kdc.take();
    assert_eq!(kdc.sent.len(), 1);
}

#[test]
fn a_second_guess_waits_until_the_first_is_known_unless_nobody_can_be_told() {
    let (mut kdc, mut realm) = (Kdc::new(1), Realm::default());
    let try_it = |kdc: &Kdc| kdc.counted.attempt(&WHO, Some(&RULE), NOW, &mut |_| Proven::No(1));
    assert_eq!(try_it(&kdc), Tried::Made);
    assert_eq!(try_it(&kdc), Tried::Busy);
    kdc.take();
    assert_eq!(try_it(&kdc), Tried::Busy, "on its way is not known");
    kdc.arrive(&mut realm, true);
    assert_eq!(try_it(&kdc), Tried::Made);
    // What is counted while nobody hears of it is told later.
    kdc.together.reaches(false);
    assert_eq!((0..5).filter(|_| try_it(&kdc) == Tried::Made).count(), 3);
    kdc.take();
    kdc.arrive(&mut realm, true);
    assert_eq!(realm.tallies[&WHO].0.failures, 5);
}

#[test]
fn a_failure_that_is_told_again_after_its_answer_was_lost_counts_once_though_another_was_counted_upon_it() {
    let (mut realm, mut all) = (Realm::default(), kdcs(2));
    assert!(all[0].guess());
    all[0].take();
    all[0].arrive(&mut realm, false);
    all[1].hear(&realm);
    assert!(all[1].guess());
    all[1].take();
    all[1].arrive(&mut realm, true);
    all[0].hear(&realm);
    all[0].hear(&realm);
    // Its answer never came.
    all[0].arrive(&mut realm, true);
    settle(&mut all, &mut realm);
    let failures = all[0].counted.record(&WHO).failures;
    assert!(all.iter().all(|kdc| kdc.counted.record(&WHO).failures == failures));
    assert_eq!(realm.tallies[&WHO].0.failures, failures);
    assert_eq!(realm.changes.len(), 2, "each was written once");
}

#[test]
fn failures_that_are_over_are_over_once_however_many_kdcs_begin_anew() {
    let rule = Lockout { interval: 60, ..RULE };
    let (mut kdcs, mut realm) = (kdcs(3), Realm::default());
    let fail = |kdc: &Kdc, now: Time| kdc.counted.attempt(&WHO, Some(&rule), now, &mut |_| Proven::No(1));
    for _ in 0..4 {
        let _ = fail(&kdcs[0], NOW);
        settle(&mut kdcs, &mut realm);
    }
    assert_eq!(kdcs[2].failures(), 4);
    // All at once, each sees the four that are over.
    for kdc in &kdcs {
        assert_eq!(fail(kdc, NOW + 60), Tried::Made);
    }
    settle(&mut kdcs, &mut realm);
    assert!(kdcs.iter().all(|kdc| kdc.failures() == 3), "the four are forgotten, none of the three");
}

#[test]
fn what_a_kdc_knew_from_before_counts_until_it_hears_of_the_realm_and_no_longer() {
    let together = Arc::new(Together::default());
    let counted = Counted::default().together(Some(Arc::clone(&together)));
    let _ = counted.attempt(&WHO, Some(&RULE), NOW, &mut |_| Proven::No(4));
    assert_eq!(counted.record(&WHO).failures, 4);
    // None of the four is told yet; two were elsewhere.
    let tally = Tally { failures: 2, last_failure: Some(NOW), count: 1, mark: 1 };
    together.hear_all(&HashMap::from([(WHO, (tally, 1))]), 1);
    assert_eq!(counted.record(&WHO).failures, 6);
    together.hear(&WHO, None, 2);
    assert_eq!(counted.record(&WHO).failures, 4, "what was not told yet stays");
    assert!(together.open(&[9; 16]).is_ok(), "nothing to open");
}

/// The watch is a connection of its own: what it says may be newer than an answer that is read later.
#[test]
fn an_answer_that_is_older_than_what_was_heard_of_meanwhile_changes_no_count() {
    let (mut kdcs, mut realm) = (kdcs(1), Realm::default());
    let kdc = &mut kdcs[0];
    assert!(kdc.guess());
    kdc.take();
    let due = kdc.sent[0];
    // Others were quicker, at 3 and at 4.
    let others = |failures, mark| Some(Tally { failures, last_failure: Some(NOW), count: 7, mark });
    kdc.together.hear(&WHO, others(1, 8), 3);
    kdc.together.hear(&WHO, others(2, 9), 4);
    kdc.together.overtaken(&due, others(1, 8), 3, 3);
    assert_eq!(kdc.failures(), 3, "two of others, and the one that is to be told");
    kdc.sent.clear();
    kdc.take();
    assert_eq!(kdc.sent[0].revision, 4);
    realm.tallies.insert(WHO, (others(2, 9).expect("failures"), 4));
    realm.changes.extend([(WHO, None, 0); 4]);
    kdc.arrive(&mut realm, true);
    assert_eq!(kdc.failures(), 3);
}
