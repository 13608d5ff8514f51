mod authorize;
mod passwords;
mod registry;
mod socket;
mod trail;

use std::collections::BTreeMap;
use std::sync::Arc;

use libkrb::Principal;
use libkrb::codes::EncryptionType;

use super::*;
use crate::core::{Attributes, Entry, Policy, Store};
use crate::store::Memory;

/// A registry with little to do for passwords, over a store that the test sees too.
fn registry() -> (Arc<Memory>, Arc<Registry>) {
    let store = Arc::new(Memory::new());
    let keys = KeyRules { etypes: vec![EncryptionType::AES256_SHA1, EncryptionType::AES128_SHA1], iterations: None };
    let registry = Registry::new(Arc::clone(&store) as Arc<dyn Store>, Policy::new("R"), keys);
    (store, Arc::new(registry))
}

fn root() -> Caller {
    Caller::login("root", "R", Door::Process)
}

fn name(text: &str) -> Name {
    Name(Principal::parse(text, Some("R")).expect(text))
}

fn create(text: &str, keys: NewKeys) -> Operation {
    Operation::Create { principal: name(text), keys, kvno: None, settings: Settings::default() }
}

fn random() -> NewKeys {
    NewKeys::Random(vec![])
}

fn password(text: &str) -> NewKeys {
    NewKeys::Password { password: Secret::new(text.into()), kinds: vec![] }
}

fn find(store: &Memory, text: &str) -> Option<Arc<Entry>> {
    store.lookup(&name(text).0).expect("readable")
}
