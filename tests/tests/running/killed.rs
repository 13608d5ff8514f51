//! Killed in the midst of changes: each that was acknowledged is there, and none is half made.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use kdc::admin::{Answer, NewKeys, Operation, Settings};

use crate::place::*;

/// Writers at a time.
const WRITERS: usize = 4;

/// How many changes are acknowledged before the test ends, and how often the KDC is killed meanwhile.
fn extent() -> (usize, usize) {
    let writes = std::env::var("KRB_SOAK_WRITES").ok().and_then(|text| text.parse().ok());
    writes.map_or((200, 4), |writes: usize| (writes, writes.div_ceil(200)))
}

/// What one writer got acknowledged: the number in its note, and whether its other principal exists.
#[derive(Clone, Copy, Debug, Default)]
struct Acknowledged {
    note: usize,
    exists: bool,
}

/// Changes until the KDC is gone.
fn write(place: &Place, writer: usize, mut so_far: Acknowledged, count: &AtomicUsize) -> Acknowledged {
    let (own, other) = (name(&format!("writer{writer}")), name(&format!("other{writer}")));
    loop {
        let next = so_far.note + 1;
        let set = |name: &str| Operation::SetString {
            principal: own.clone(),
            name: name.into(),
            value: Some(next.to_string()),
        };
        if place.perform(set("note")).is_err() {
            return so_far;
        }
        so_far.note = next;
        let exists = so_far.exists;
        let change = if exists {
            Operation::Delete { principal: other.clone() }
        } else {
            let keys = NewKeys::Random(vec![]);
            Operation::Create { principal: other.clone(), keys, kvno: None, settings: Settings::default() }
        };
        count.fetch_add(1, Ordering::Relaxed);
        if place.perform(change).is_err() {
            return so_far;
        }
        so_far.exists = !exists;
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// What is really there.
fn found(place: &Place, writer: usize) -> Acknowledged {
    let strings = place.perform(Operation::Strings { principal: name(&format!("writer{writer}")) }).expect("strings");
    let Answer::Strings(strings) = strings else { panic!("{strings:?}") };
    let strings: BTreeMap<_, _> = strings.into_iter().collect();
    let note = strings.get("note").map_or(0, |note| note.parse().expect("a number"));
    let exists = place.perform(Operation::Describe { principal: name(&format!("other{writer}")) }).is_ok();
    Acknowledged { note, exists }
}

#[test]
fn what_was_acknowledged_is_there_after_kill_9_and_nothing_is_torn() {
    let (writes, kills) = extent();
    let place = Place::new();
    let daemon = place.start();
    for writer in 0..WRITERS {
        let keys = NewKeys::Random(vec![]);
        let principal = name(&format!("writer{writer}"));
        place.perform(Operation::Create { principal, keys, kvno: None, settings: Settings::default() }).expect("added");
    }
    drop(daemon);
    let mut known = [Acknowledged::default(); WRITERS];
    let mut seed = 1_u32;
    for _ in 0..kills {
        // The KDC is started, written to, and killed when so many changes are through.
        let mut daemon = place.start();
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let until = writes / kills / 2 + (seed >> 16) as usize % (writes / kills);
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let writers: Vec<_> = known
                .into_iter()
                .enumerate()
                .map(|(writer, so_far)| {
                    let (place, count) = (&place, &count);
                    scope.spawn(move || write(place, writer, so_far, count))
                })
                .collect();
            while count.load(Ordering::Relaxed) < until {
                std::thread::yield_now();
            }
            daemon.kill();
            for (known, writer) in known.iter_mut().zip(writers) {
                *known = writer.join().expect("a writer that ends");
            }
        });
        place.kdc("check").run().succeeds();
        let daemon = place.start();
        for (writer, known) in known.iter_mut().enumerate() {
            let found = found(&place, writer);
            // The change that was under way may have been made or not.
            let extra = (found.note - known.note, found.exists != known.exists);
            assert!(matches!(extra, (0, _) | (1, false)), "{writer}: acknowledged {known:?}, found {found:?}");
            *known = found;
        }
        drop(daemon);
    }
}
