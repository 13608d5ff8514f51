use std::sync::atomic::AtomicU32;
use std::sync::{Arc, mpsc};

use libkrb::crypto::danger_md5;

use super::*;

/// A secret in a file.
fn secret() -> (tempfile::TempDir, Source) {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("secret");
    std::fs::write(&path, "shared secret\nmore\n").expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("closed");
    (folder, (&path).into())
}

/// A server that answers each request with what `answer` makes of it.
fn server(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> (SocketAddr, Arc<AtomicU32>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let (address, asked) = (socket.local_addr().expect("an address"), Arc::new(AtomicU32::new(0)));
    let count = asked.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            count.fetch_add(1, Ordering::Relaxed);
            if let Some(answer) = answer(&buffer[..length]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    (address, asked)
}

/// An answer whose Response Authenticator is right, without a Message-Authenticator.
fn unsigned(request: &[u8], code: u8) -> Vec<u8> {
    let mut answer = vec![code, request[1], 0, 20];
    let told = danger_md5(&[&answer[..], &request[4..20], b"shared secret"].concat());
    answer.extend(told);
    answer
}

fn radius(address: SocketAddr, secret: Source, tries: u32, most: usize) -> Radius {
    Radius::new(address, secret, (Duration::from_millis(50), tries), most)
}

#[test]
fn c4_who_answers_without_a_message_authenticator_is_not_believed_and_asked_again() {
    let (_folder, secret) = secret();
    let (address, asked) = server(|request| Some(unsigned(request, 2)));
    assert_eq!(radius(address, secret, 3, 1).ask("alice", b"123456", None), Answer::Silent);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[test]
fn who_finds_no_place_is_told_at_once_and_places_are_given_back() {
    let (_folder, secret) = secret();
    let (started, wait) = mpsc::channel();
    let (address, _) = server(move |_| started.send(()).ok().and(None));
    let radius = Arc::new(Radius::new(address, secret, (Duration::from_secs(20), 1), 1));
    let other = radius.clone();
    std::thread::spawn(move || other.ask("alice", b"123456", None));
    wait.recv().expect("the first one waits");
    assert!(radius.place().is_none());
    assert_eq!(radius.ask("bob", b"123456", None), Answer::Silent);
    assert!(radius.place().is_none(), "those who found none hold none");
}

#[test]
fn a_secret_that_is_not_there_or_a_password_that_is_too_long_asks_nobody() {
    let (_folder, secret) = secret();
    let (address, asked) = server(|_| None);
    let nowhere = Source::from(std::path::Path::new("/nowhere/secret"));
    assert_eq!(radius(address, nowhere, 1, 1).ask("alice", b"123456", None), Answer::Silent);
    assert_eq!(radius(address, secret, 1, 1).ask("alice", &[b'1'; 129], None), Answer::Silent);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}
