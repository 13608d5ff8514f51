use std::sync::atomic::{AtomicBool, AtomicU32};

use super::*;

const NOW: Time = Time(1_800_000_000);
const RULE: Lockout = Lockout { max_failures: 5, interval: 0, duration: 0 };
const WHO: AccountId = [7; 16];

/// A ledger that counts its writes and fails when told to.
#[derive(Default)]
struct Book {
    rows: Mutex<HashMap<AccountId, Record>>,
    writes: AtomicUsize,
    full: AtomicBool,
    damaged: AtomicBool,
}

impl Ledger for Book {
    fn record(&self, who: &AccountId) -> Result<Option<Record>, StoreError> {
        if self.damaged.load(Ordering::Relaxed) {
            return Err(StoreError::Storage("the record is none".into()));
        }
        Ok(self.rows.lock().expect("whole").get(who).copied())
    }

    fn write_down(&self, records: &[(AccountId, Option<Record>)]) -> Result<(), StoreError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(StoreError::Storage("the disk is full".into()));
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        let mut rows = self.rows.lock().expect("whole");
        for (who, record) in records {
            match record {
                Some(record) => drop(rows.insert(*who, *record)),
                None => drop(rows.remove(who)),
            }
        }
        Ok(())
    }
}

fn book() -> (Arc<Book>, Counted) {
    let book = Arc::new(Book::default());
    (Arc::clone(&book), Counted::over(book))
}

fn fail(counted: &Counted, who: &AccountId, guesses: u32) -> Tried {
    counted.attempt(who, Some(&RULE), NOW, &mut |_| Proven::No(guesses))
}

#[test]
fn without_last_successes_a_login_writes_nothing_down_and_failures_count_all_the_same() {
    let (book, counted) = book();
    counted.disable_last_success(true);
    let login = |rule: Option<&Lockout>| counted.attempt(&WHO, rule, NOW, &mut |_| Proven::Yes);
    assert_eq!((login(None), login(Some(&RULE))), (Tried::Made, Tried::Made));
    counted.flush().expect("written");
    assert!(book.rows.lock().expect("whole").is_empty() && counted.record(&WHO) == Record::default());
    for rule in [None, Some(&RULE)] {
        fail(&counted, &WHO, 2);
        assert_eq!(counted.record(&WHO).failures, 2);
        login(rule);
        assert_eq!((counted.record(&WHO).failures, counted.record(&WHO).last_success), (0, None));
    }
    fail(&counted, &WHO, 2);
    counted.flush().expect("written");
    let next = Counted::over(Arc::clone(&book) as Arc<dyn Ledger>);
    next.disable_last_success(true);
    next.attempt(&WHO, None, NOW, &mut |_| Proven::Yes);
    assert_eq!(next.record(&WHO).failures, 0, "also those that were only written down");
    counted.disable_last_success(false);
    login(None);
    assert_eq!(counted.record(&WHO).last_success, Some(NOW));
}

#[test]
fn of_many_guesses_at_once_no_more_are_made_than_the_rule_allows() {
    let counted = Counted::default();
    let guesses = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let _ = counted.attempt(&WHO, Some(&RULE), NOW, &mut |left| {
                        let made = left.min(2);
                        guesses.fetch_add(made, Ordering::Relaxed);
                        Proven::No(made)
                    });
                }
            });
        }
    });
    assert_eq!(guesses.into_inner(), 5);
}

#[test]
fn an_unlocked_account_may_be_tried_again() {
    let counted = Counted::default();
    assert_eq!(fail(&counted, &WHO, 5), Tried::Made);
    assert_eq!(fail(&counted, &WHO, 5), Tried::Locked);
    counted.unlock(&WHO).expect("in memory");
    assert_eq!(counted.attempt(&WHO, Some(&RULE), NOW, &mut |_| Proven::Yes), Tried::Made);
    assert_eq!(counted.record(&WHO), Record { failures: 0, last_failure: Some(NOW), last_success: Some(NOW) });
}

#[test]
fn a_thousand_logins_are_one_write() {
    let (book, counted) = book();
    for index in 0..1000_u16 {
        let [high, low] = index.to_be_bytes();
        let who = [low, high, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let _ = counted.attempt(&who, None, NOW, &mut |_| Proven::Yes);
    }
    assert_eq!(book.writes.load(Ordering::Relaxed), 0);
    counted.flush().expect("written");
    counted.flush().expect("nothing to write");
    assert_eq!(book.rows.lock().expect("whole").len(), 1000);
    assert!(book.writes.load(Ordering::Relaxed) <= 2);
}

#[test]
fn what_was_written_down_counts_on_in_the_next_process() {
    let (book, counted) = book();
    fail(&counted, &WHO, 4);
    counted.flush().expect("written");
    let next = Counted::over(Arc::clone(&book) as Arc<dyn Ledger>);
    assert_eq!(next.record(&WHO).failures, 4);
    fail(&next, &WHO, 1);
    next.flush().expect("written");
    assert_eq!(fail(&Counted::over(book), &WHO, 1), Tried::Locked);
}

#[test]
fn an_unlock_is_written_down_at_once() {
    let (book, counted) = book();
    fail(&counted, &WHO, 5);
    counted.flush().expect("written");
    counted.unlock(&WHO).expect("written");
    assert_eq!(book.rows.lock().expect("whole")[&WHO].failures, 0);
    let writes = book.writes.load(Ordering::Relaxed);
    counted.unlock(&WHO).expect("nothing to do");
    assert_eq!(book.writes.load(Ordering::Relaxed), writes);
}

#[test]
fn what_can_not_be_written_counts_on_and_is_written_later() {
    let (book, counted) = book();
    book.full.store(true, Ordering::Relaxed);
    fail(&counted, &WHO, 5);
    counted.flush().expect_err("full");
    assert_eq!(fail(&counted, &WHO, 1), Tried::Locked);
    book.full.store(false, Ordering::Relaxed);
    counted.flush().expect("written");
    assert_eq!(book.rows.lock().expect("whole")[&WHO].failures, 5);
}

#[test]
fn records_that_are_written_down_give_way_and_those_that_are_not_stay() {
    let (_, counted) = book();
    let who = |index: u32| {
        let mut who = WHO;
        who[4..8].copy_from_slice(&index.to_be_bytes());
        who
    };
    fail(&counted, &who(0), 1);
    for index in 1..5000 {
        fail(&counted, &who(index), 2);
        if index % 100 == 0 {
            counted.flush().expect("written");
            fail(&counted, &who(index), 1);
        }
    }
    assert!(counted.shard(&WHO).slots.len() <= KEPT + 101);
    for (index, failures) in [(0, 1), (4900, 3), (4999, 2)] {
        assert_eq!(counted.record(&who(index)).failures, failures, "{index}");
    }
}

#[test]
fn of_an_account_that_is_gone_nothing_is_kept() {
    let (book, counted) = book();
    fail(&counted, &WHO, 5);
    counted.flush().expect("written");
    fail(&counted, &[8; 16], 1);
    counted.forget(&WHO);
    counted.flush().expect("written");
    let rows = book.rows.lock().expect("whole");
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), [[8; 16]]);
}

#[tokio::test]
async fn a_lock_does_not_wait_for_the_next_batch() {
    let (_, counted) = book();
    let urgent = async || {
        tokio::select! {
            biased;
            () = counted.urgent.notified() => true,
            () = std::future::ready(()) => false,
        }
    };
    fail(&counted, &WHO, 4);
    assert!(!urgent().await);
    fail(&counted, &WHO, 1);
    assert!(urgent().await);
}

#[test]
fn a_record_that_can_not_be_read_locks_where_failures_lock_until_somebody_opens_it() {
    let (book, counted) = book();
    book.damaged.store(true, Ordering::Relaxed);
    assert_eq!(counted.attempt(&WHO, Some(&RULE), NOW, &mut |_| panic!("no guess is made")), Tried::Locked);
    assert!(RULE.locks(&counted.record(&WHO), NOW + 1_000_000_000), "before it is asked for a proof too");
    // Where no failures lock, nobody is kept out.
    assert_eq!(counted.attempt(&[8; 16], None, NOW, &mut |_| Proven::Yes), Tried::Made);
    counted.unlock(&WHO).expect("written down");
    assert_eq!(counted.attempt(&WHO, Some(&RULE), NOW, &mut |_| Proven::Yes), Tried::Made);
    assert_eq!(book.rows.lock().expect("whole").get(&WHO).map(|record| record.failures), Some(0));
}

#[test]
fn a_success_reads_nothing_and_keeps_what_is_written_down_of_earlier_failures() {
    let (book, counted) = book();
    fail(&counted, &WHO, 3);
    counted.flush().expect("written");
    let next = Counted::over(Arc::clone(&book) as Arc<dyn Ledger>);
    book.damaged.store(true, Ordering::Relaxed);
    assert_eq!(next.attempt(&WHO, None, NOW + 9, &mut |_| Proven::Yes), Tried::Made);
    book.damaged.store(false, Ordering::Relaxed);
    let known = Record { failures: 0, last_failure: Some(NOW), last_success: Some(NOW + 9) };
    assert_eq!(next.record(&WHO), known);
    next.flush().expect("written");
    assert_eq!(book.rows.lock().expect("whole")[&WHO], known);
}

#[test]
fn a_success_waits_where_a_failure_does_not() {
    let (book, counted) = book();
    let other = [8; 16];
    let _ = counted.attempt(&other, None, NOW, &mut |_| Proven::Yes);
    fail(&counted, &WHO, 1);
    counted.write(false).expect("written");
    let written = || book.rows.lock().expect("whole").keys().copied().collect::<Vec<_>>();
    assert_eq!(written(), [WHO]);
    let _ = counted.attempt(&other, None, NOW, &mut |_| Proven::No(1));
    counted.write(false).expect("written");
    assert_eq!(written().len(), 2, "a failure after it takes it along");
    counted.flush().expect("nothing is left to write");
    assert_eq!(book.rows.lock().expect("whole")[&other].failures, 1);
}

#[test]
fn a_success_does_not_write_over_a_record_that_can_not_be_read() {
    let (book, counted) = book();
    fail(&counted, &WHO, 4);
    counted.flush().expect("written");
    let next = Counted::over(Arc::clone(&book) as Arc<dyn Ledger>);
    let _ = next.attempt(&WHO, None, NOW, &mut |_| Proven::Yes);
    book.damaged.store(true, Ordering::Relaxed);
    next.flush().expect("nothing to write");
    assert_eq!(book.rows.lock().expect("whole")[&WHO].failures, 4);
}
