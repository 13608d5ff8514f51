use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::*;

/// Serves a fresh registry while `run` runs.
fn served<T: Send + 'static>(run: impl FnOnce(&Path, &Memory) -> T + Send + 'static) -> T {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("admin.sock");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (store, registry) = registry();
    runtime.block_on(async {
        let listener = bind(&path).expect("bound");
        let server = tokio::spawn(serve(listener, registry, crate::accept::Host::default().guest()));
        let result = tokio::task::spawn_blocking(move || run(&path, &store)).await.expect("ran");
        server.abort();
        result
    })
}

fn remote(path: &Path) -> Remote {
    Remote::find(path).expect("allowed").expect("served")
}

/// What comes back for raw octets, until the server hangs up.
fn raw(path: &Path, octets: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(path).expect("connected");
    stream.write_all(octets).expect("sent");
    stream.shutdown(std::net::Shutdown::Write).expect("said");
    let mut reply = vec![];
    // A server that hangs up on unread octets resets the connection.
    let _ = stream.read_to_end(&mut reply);
    reply
}

#[test]
fn a_change_through_the_socket_is_seen_by_the_store_at_once() {
    served(|path, store| {
        let remote = remote(path);
        assert_eq!(remote.perform(create("alice", password("secret"))), Ok(Answer::Done));
        assert!(find(store, "alice").is_some());
        let refusal = remote.perform(create("alice", random())).expect_err("taken");
        assert_eq!((refusal.reason, &*refusal.text), (Reason::Exists, "Principal or policy already exists"));
        let Ok(Answer::Keys { keys, .. }) =
            remote.perform(Operation::Extract { principal: name("alice"), fresh: None })
        else {
            panic!("keys")
        };
        let stored = find(store, "alice").expect("there");
        assert_eq!(*keys[0].key.octets().expect("hexadecimal"), stored.keys[0].keys[0].key.expose());
    });
}

#[test]
fn both_ways_to_a_registry_give_the_same_answers() {
    served(|path, _| {
        let (_, here) = registry();
        let (here, there) = (Local::new(here), remote(path));
        for operation in [
            create("host/a", random()),
            create("host/a", random()),
            Operation::Alias { alias: name("host/b"), principal: name("host/a") },
            Operation::SetString { principal: name("host/a"), name: "a".into(), value: Some("ü\n\"".into()) },
            Operation::Strings { principal: name("host/b") },
            Operation::List { pattern: Some("host/*".into()), after: None, limit: None },
            Operation::List { pattern: None, after: Some(name("host/\u{fc} & ?=%2F/..")), limit: Some(1) },
            Operation::Ensure { principal: name("host/a"), keys: random(), kvno: None, settings: Settings::default() },
            Operation::Ensure {
                principal: name("host/n"),
                keys: random(),
                kvno: Some(7),
                settings: Settings::default(),
            },
            Operation::Modify { principal: name("host/n"), kvno: Some(9), settings: Settings::default() },
            Operation::ChangeKeys { principal: name("host/n"), keys: NewKeys::Keyless, keep_old: true },
            Operation::SetString { principal: name("host/a"), name: "a / b".into(), value: Some("c".into()) },
            Operation::SetString { principal: name("host/a"), name: "a / b".into(), value: None },
            Operation::Privileges,
            Operation::Guarded { revision: 0, operation: Box::new(Operation::Delete { principal: name("host/n") }) },
            Operation::Batch { operations: vec![create("x", random()), create("x", random())] },
            Operation::Batch { operations: vec![create("x", random()), Operation::Privileges] },
            Operation::Delete { principal: name("x") },
            Operation::Describe { principal: name("x") },
            Operation::PurgeKeys { principal: name("nobody"), keep: Keep::From(3) },
            Operation::Rename { principal: name("host/a"), to: name(r"host/\@") },
            Operation::Delete { principal: name(r"host/\@") },
        ] {
            assert_eq!(here.perform(operation.clone()), there.perform(operation));
        }
    });
}

#[test]
fn the_socket_is_its_owners_only() {
    served(|path, _| {
        assert_eq!(std::fs::metadata(path).expect("there").permissions().mode() & 0o777, 0o600);
    });
}

#[test]
fn whoever_sends_junk_is_told_so_or_hung_up_on_and_others_are_served() {
    served(|path, store| {
        let post = |body: &[u8]| {
            let head =
                "POST /v1/principals HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n";
            let head = format!("{head}content-length: {}\r\n\r\n", body.len());
            String::from_utf8_lossy(&raw(path, &[head.as_bytes(), body].concat())).into_owned()
        };
        let reply = post(b"{\"principal\":{\"hunter2\":\"hunter2\"}}");
        assert!(reply.starts_with("HTTP/1.1 422 ") && !reply.contains("hunter2"), "{reply}");
        let reply = post(b"{\"principal\": hunter2");
        assert!(reply.starts_with("HTTP/1.1 400 ") && !reply.contains("hunter2"), "{reply}");
        let reply = post(&vec![b'['; 100_000]);
        assert!(reply.starts_with("HTTP/1.1 400 "), "{reply}");
        for octets in [&[][..], &[0], &[0, 0, 0, 9, 1], &[0xff; 64], b"GET / HTTP/1.0\r\n\r\n", b"GET  \r\n\r\n"] {
            raw(path, octets);
        }
        assert!(raw(path, &vec![b'a'; 100_000]).len() < 1000);
        assert_eq!(remote(path).perform(create("alice", random())), Ok(Answer::Done));
        assert!(find(store, "alice").is_some());
    });
}

#[test]
fn a_hundred_silent_connections_leave_room_for_the_next_when_they_go() {
    served(|path, _| {
        let silent: Vec<_> = (0..100).map(|_| UnixStream::connect(path).expect("connected")).collect();
        drop(silent);
        assert_eq!(remote(path).perform(create("alice", random())), Ok(Answer::Done));
    });
}

#[test]
fn nobody_at_the_socket_is_no_error() {
    let dir = tempfile::tempdir().expect("a folder");
    assert!(Remote::find(&dir.path().join("admin.sock")).expect("allowed").is_none());
}

#[test]
fn the_socket_of_a_killed_daemon_is_replaced_and_that_of_a_living_one_is_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("admin.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
    assert!(Remote::find(&path).expect("allowed").is_none());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();
    let living = bind(&path).expect("replaced");
    assert!(bind(&path).expect_err("served").to_string().contains("another KDC serves this realm"));
    drop(living);
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, "precious").expect("written");
    assert!(bind(&path).is_err());
    assert_eq!(std::fs::read(&path).expect("there"), b"precious");
    let long = dir.path().join("x".repeat(120));
    assert!(bind(&long).expect_err("too long").to_string().contains("set a shorter admin_socket"));
}
