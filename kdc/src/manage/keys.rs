//! How old keys are.

use std::path::Path;
use std::time::UNIX_EPOCH;

use libkrb::Time;

use crate::core::{Attributes, Entry, Store};
use crate::observe::facts::KeyAge;

/// How many names are read at a time.
const PAGE: usize = 500;

/// The keys of an entry that are in use; `None` where it has none.
pub fn of_entry(key: &str, entry: &Entry, now: Time) -> Option<KeyAge> {
    let made = entry.current(now)?.created;
    // Of older keys nobody wrote down when they were made.
    let made = if made == Time::EPOCH { entry.password_changed.unwrap_or(entry.modified) } else { made };
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
    let mut oldest: Option<KeyAge> = None;
    let mut after = None;
    loop {
        let names = store.list(after.as_ref(), PAGE).unwrap_or_default();
        after = Some(names.last()?.clone());
        // Who has one component only is a person; whom the KDC keeps for itself is told apart.
        let services = names.iter().filter(|name| {
            let first = name.components().first().map(|part| &**part);
            name.components().len() > 1 && !matches!(first, Some("krbtgt" | "kadmin"))
        });
        for entry in services.filter_map(|name| store.lookup(name).ok().flatten()) {
            let key = of_entry("oldest_service", &entry, now).filter(|_| is_service(&entry, now));
            let key = key.map(|key| KeyAge { principal: Some(entry.principal.to_string()), ..key });
            oldest = match (oldest, key) {
                (Some(one), Some(other)) => Some(if other.changed < one.changed { other } else { one }),
                (one, other) => one.or(other),
            };
        }
        if names.len() < PAGE {
            return oldest;
        }
    }
}

/// Whether tickets are sealed in its keys, which are random.
fn is_service(entry: &Entry, now: Time) -> bool {
    let of_password = entry.current(now).is_none_or(|set| set.keys.iter().any(|key| key.salt.is_some()));
    !of_password && !entry.attributes.has(Attributes::DISALLOW_SVR)
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
