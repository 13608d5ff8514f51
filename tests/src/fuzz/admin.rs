//! What administrators and their files bring: operations, frames at the socket, queries, records.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use kdc::admin::query::{self, Context, words};
use kdc::admin::{Caller, Door, KeyRules, LocalZone, Name, NewKeys, Operation, Registry, Settings};
use kdc::core::Policy;
use kdc::store::{MasterKey, Memory, decode_record, encode_record};
use libkrb::Principal;
use libkrb::codes::EncryptionType;

use crate::joined::{NOW, REALM};

/// Whose record it is.
pub const OWNER: &str = "alice@EXAMPLE.ORG";

/// The master key that seals the records among the seeds.
pub fn master() -> MasterKey {
    let text = format!("kdc-master-key 1\n1 {}\n", "2a".repeat(32));
    MasterKey::parse(Path::new("master.key"), &text).expect("a master key")
}

/// Any bytes as the record of a principal: what was read is written, and read as the same.
pub fn store_record(data: &[u8]) {
    let master = master();
    let Ok(entry) = decode_record(OWNER, data, &master) else { return };
    let encoded = encode_record(&entry, entry.revision, &master).expect("what was read can be written");
    let again = decode_record(OWNER, &encoded, &master).expect("what was written can be read");
    assert_eq!(again.principal, entry.principal);
    assert_eq!(
        (again.keys.len(), again.attributes, again.strings),
        (entry.keys.len(), entry.attributes, entry.strings)
    );
    assert_eq!((again.expires, again.max_life, again.id), (entry.expires, entry.max_life, entry.id));
}

fn root() -> Caller {
    Caller::login("root", REALM, Door::Process)
}

fn registry() -> Arc<Registry> {
    // One enctype, whose default rounds are few.
    let keys = KeyRules { etypes: vec![EncryptionType::AES128_SHA1], iterations: None };
    let registry = Registry::new(Arc::new(Memory::new()), Policy::new(REALM), keys);
    let principal = Name(Principal::parse(OWNER, None).expect("a name"));
    let settings = Settings::default();
    let alice = Operation::Create { principal, keys: NewKeys::Random(vec![]), kvno: None, settings };
    registry.perform(&root(), alice).expect("a principal");
    Arc::new(registry)
}

/// Any bytes as an operation, which is performed.
pub fn admin_operation(data: &[u8]) {
    let Ok(operation) = serde_json::from_slice::<Operation>(data) else { return };
    let json = serde_json::to_vec(&operation).expect("what was read can be written");
    let again = serde_json::from_slice::<Operation>(&json).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&again).expect("JSON"), json);
    let registry = registry();
    for _ in 0..2 {
        if let Err(refusal) = registry.perform(&root(), again.clone()) {
            assert!(!refusal.text.is_empty());
        }
    }
}

/// A socket at which a registry is served.
struct Served {
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
}

impl Served {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("admin.sock");
        let listener = runtime.block_on(async { kdc::admin::bind(&path) }).expect("a socket");
        runtime.spawn(kdc::admin::serve(listener, registry(), kdc::accept::Host::default().guest()));
        Served { runtime, folder }
    }
}

thread_local! {
    static SERVED: RefCell<Served> = RefCell::new(Served::new());
}

/// Any bytes sent to the socket, to which answers of HTTP and nothing else come back.
pub fn admin_frame(data: &[u8]) {
    SERVED.with_borrow(|served| {
        let _guard = served.runtime.enter();
        let mut stream = UnixStream::connect(served.folder.path().join("admin.sock")).expect("a connection");
        // It may have had enough before all is sent.
        let _ = stream.write_all(data).and_then(|()| stream.shutdown(Shutdown::Write));
        let mut said = vec![];
        let _ = stream.read_to_end(&mut said);
        // Every answer is one of HTTP, or there is none.
        assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 "), "what is no answer");
    });
}

/// Any text as a query of kadmin.
pub fn kadmin_query(data: &[u8]) {
    let context = Context { realm: REALM, now: NOW, zone: &LocalZone };
    for line in String::from_utf8_lossy(data).lines().take(10) {
        let Ok(words) = words(line) else { continue };
        if let Err(misuse) = query::read(&context, &words) {
            assert!(!misuse.text().is_empty());
        }
    }
}
