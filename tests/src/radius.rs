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
        let known = Known { user: user.into(), password: password.into(), next: None, signed };
        RadiusServer::knowing(known)
    }

    /// A server that wants to see another value after the first one (RFC 2865 4.4), and says so with this state and message.
    pub fn asking_on(user: &str, password: &str, next: &str) -> RadiusServer {
        RadiusServer::knowing(Known {
            user: user.into(),
            password: password.into(),
            next: Some(next.into()),
            signed: true,
        })
    }

    fn knowing(known: Known) -> RadiusServer {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let (address, asked) = (socket.local_addr().expect("an address"), Arc::new(AtomicU32::new(0)));
        let ended = Arc::new(AtomicBool::new(false));
        let (count, end) = (asked.clone(), ended.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !end.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                count.fetch_add(1, Ordering::Relaxed);
                let _ = socket.send_to(&answer(&buffer[..length], &known), from);
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

/// What a server knows, and how it answers.
struct Known {
    user: Vec<u8>,
    password: Vec<u8>,
    next: Option<Vec<u8>>,
    signed: bool,
}

/// What it wants to be told again with the next value, and what it says to the user.
const STATE: &[u8] = b"\0state\xff";
const MESSAGE: &[u8] = b"Wait for the next code";

fn answer(request: &[u8], known: &Known) -> Vec<u8> {
    let (mut user, mut password, mut state) = (vec![], vec![], vec![]);
    let mut attributes = &request[20..];
    while let [kind, length, ..] = *attributes {
        let (one, rest) = attributes.split_at(usize::from(length));
        match kind {
            1 => user = one[2..].to_vec(),
            2 => password = shown(&request[4..20], &one[2..]),
            24 => state = one[2..].to_vec(),
            _ => {}
        }
        attributes = rest;
    }
    let expected = if state == STATE { known.next.as_ref() } else { Some(&known.password) };
    let code = match user == known.user && Some(&password) == expected {
        true if known.next.is_some() && state.is_empty() => 11,
        right => {
            if right {
                2
            } else {
                3
            }
        }
    };
    let mut answer = vec![code, request[1], 0, 20];
    answer.extend_from_slice(&request[4..20]);
    if known.signed {
        answer[3] += 18;
    }
    let mut attributes = vec![];
    if code == 11 {
        for (kind, value) in [(24, STATE), (18, MESSAGE)] {
            attributes.extend([kind, value.len() as u8 + 2]);
            attributes.extend_from_slice(value);
        }
        answer[3] += attributes.len() as u8;
    }
    if known.signed {
        answer.extend([80, 18]);
        answer.extend([0; 16]);
        answer.extend_from_slice(&attributes);
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
