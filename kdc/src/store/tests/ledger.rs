//! Records of attempts beside the principals.

use super::*;
use crate::core::attempts::{Ledger, Record};
use crate::core::{Change, Store};

const ALICE: [u8; 16] = [1; 16];
const BOB: [u8; 16] = [2; 16];

fn record(failures: u32) -> Record {
    Record { failures, last_failure: Some(Time(-5)), last_success: (failures == 0).then_some(Time(0)) }
}

#[test]
fn records_are_kept_whole_over_a_restart_and_taken_out() {
    let (dir, store) = redb();
    assert_eq!(store.record(&ALICE), Ok(None), "a store that never had any");
    store.write_down(&[(ALICE, Some(record(3))), (BOB, Some(record(0)))]).expect("written");
    store.write_down(&[]).expect("nothing to write");
    drop(store);
    let store = reopen(&dir).expect("opens");
    assert_eq!((store.record(&ALICE), store.record(&BOB)), (Ok(Some(record(3))), Ok(Some(record(0)))));
    store.write_down(&[(ALICE, None), (BOB, Some(record(1)))]).expect("written");
    assert_eq!((store.record(&ALICE), store.record(&BOB)), (Ok(None), Ok(Some(record(1)))));
}

#[test]
fn writing_records_down_is_no_change_of_a_principal() {
    let (_dir, store) = redb();
    store.commit(&[Change::Create(entry("alice"))]).expect("created");
    let before = store.lookup(&name("alice")).expect("readable").expect("there");
    store.write_down(&[(before.id, Some(record(3)))]).expect("written");
    assert_eq!(store.lookup(&name("alice")).expect("readable").expect("there").revision, before.revision);
    // What was read before the records were written is still the newest.
    store.commit(&[Change::Replace((*before).clone())]).expect("no conflict");
}
