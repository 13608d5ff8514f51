//! A RADIUS server on loopback that knows one user and one password, to stand where a server of one-time
//! passwords would (RFC 2865, RFC 3579 3.2). It signs its answers, unless it is told not to.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use kdc::radius::packet::hmac_md5;
use libkrb::crypto::danger_md5;

const SECRET: &[u8] = b"shared between us";

/// The server; gone when dropped.
pub struct RadiusServer {
    address: SocketAddr,
    asked: Arc<AtomicU32>,
    ended: Arc<AtomicBool>,
}

impl RadiusServer {
    /// A server that accepts this user with this password.
    pub fn start(user: &str, password: &str) -> RadiusServer {
        RadiusServer::answering(user, password, true)
    }

    /// The same; without `signed` its answers have no Message-Authenticator, as those that can be
    /// forged (attack C4).
    pub fn answering(user: &str, password: &str, signed: bool) -> RadiusServer {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let (address, asked) = (socket.local_addr().expect("an address"), Arc::new(AtomicU32::new(0)));
        let ended = Arc::new(AtomicBool::new(false));
        let (count, end) = (asked.clone(), ended.clone());
        let known = (user.as_bytes().to_vec(), password.as_bytes().to_vec());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !end.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                count.fetch_add(1, Ordering::Relaxed);
                let _ = socket.send_to(&answer(&buffer[..length], &known, signed), from);
            }
        });
        RadiusServer { address, asked, ended }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often it was asked.
    pub fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Writes the shared secret to a file that only its owner can read.
    pub fn secret_file(&self, folder: &Path) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join("radius.secret");
        std::fs::write(&path, SECRET).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("closed");
        path
    }
}

impl Drop for RadiusServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn answer(request: &[u8], known: &(Vec<u8>, Vec<u8>), signed: bool) -> Vec<u8> {
    let (mut user, mut password) = (vec![], vec![]);
    let mut attributes = &request[20..];
    while let [kind, length, ..] = *attributes {
        let (one, rest) = attributes.split_at(usize::from(length));
        match kind {
            1 => user = one[2..].to_vec(),
            2 => password = shown(&request[4..20], &one[2..]),
            _ => {}
        }
        attributes = rest;
    }
    let code = if (&user, &password) == (&known.0, &known.1) { 2 } else { 3 };
    let mut answer = vec![code, request[1], 0, if signed { 38 } else { 20 }];
    answer.extend_from_slice(&request[4..20]);
    if signed {
        answer.extend([80, 18]);
        answer.extend([0; 16]);
        let tag = hmac_md5(SECRET, &answer);
        answer[22..38].copy_from_slice(&tag);
    }
    let told = danger_md5(&[&answer[..], SECRET].concat());
    answer[4..20].copy_from_slice(&told);
    answer
}

/// User-Password (RFC 2865 5.2), without its padding.
fn shown(authenticator: &[u8], hidden: &[u8]) -> Vec<u8> {
    let mut before = authenticator.to_vec();
    let mut password = vec![];
    for block in hidden.chunks(16) {
        let pad = danger_md5(&[SECRET, &before].concat());
        password.extend(block.iter().zip(pad).map(|(octet, pad)| octet ^ pad));
        before = block.to_vec();
    }
    password.truncate(password.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1));
    password
}
