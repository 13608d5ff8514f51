//! How old keys are.

use std::path::Path;
use std::time::UNIX_EPOCH;

use libkrb::Time;

use crate::core::{Entry, Store};
use crate::observe::facts::KeyAge;

/// The keys of an entry that are in use; `None` where it has none.
pub fn of_entry(key: &str, entry: &Entry, now: Time) -> Option<KeyAge> {
    let made = entry.keys_made(now)?;
    Some(KeyAge { key: key.to_owned(), changed: made.seconds(), ..KeyAge::default() })
}

/// A key in a file of its own, which is as old as the file.
pub fn of_file(key: &str, path: &Path) -> Option<KeyAge> {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    let changed = i64::try_from(modified.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?;
    Some(KeyAge { key: key.to_owned(), changed, ..KeyAge::default() })
}

/// The service whose keys are older than any other's.
pub fn oldest_service(store: &dyn Store, now: Time) -> Option<KeyAge> {
    let (principal, made) = store.oldest_service(now).ok()??;
    let (key, principal) = ("oldest_service".to_owned(), Some(principal.to_string()));
    Some(KeyAge { key, changed: made.seconds(), principal, ..KeyAge::default() })
}

#[cfg(test)]
mod tests {
    use libkrb::Principal;
    use libkrb::codes::EncryptionType;
    use libkrb::crypto::Key;

    use super::*;
    use crate::core::{Change, KeySet, LongTermKey};
    use crate::store::Memory;

    #[test]
    fn the_oldest_key_of_a_service_is_found_and_no_users() {
        let store = Memory::new();
        for (number, (text, made, salt)) in
            [("host/new", 30, None), ("host/old", 20, None), ("root/admin", 10, Some("R")), ("alice", 5, None)]
                .into_iter()
                .enumerate()
        {
            let name = Principal::parse(text, Some("R")).expect("a name");
            let mut entry = Entry::new(name, [number as u8; 16], Time(made), "test");
            let key = Key::new(EncryptionType::AES128_SHA1, &[7; 16]).expect("a key");
            let keys = vec![LongTermKey::new(key, salt.map(str::to_owned))];
            entry.keys = vec![KeySet { kvno: 1, keys, created: Time(made), from: Time::EPOCH, until: None }];
            store.commit(&[Change::Create(entry)]).expect("created");
        }
        let oldest = oldest_service(&store, Time(100)).expect("a service");
        assert_eq!((oldest.principal.as_deref(), oldest.changed), (Some("host/old@R"), 20));
    }
}
