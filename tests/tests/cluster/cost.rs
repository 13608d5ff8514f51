//! What a login and a service ticket cost a KDC over etcd, beside one over its own file alone: CPU time of the whole
//! process, kernel included, for requests that were made beforehand. The two take turns, for the machine is another one
//! from second to second. It prints lines and asserts no time. Longer with KRB_CLUSTER_SECONDS.

use std::io::ErrorKind;
use std::net::UdpSocket;

use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage};
use libkrb::time::Instant;
use tests::joined::{Asking, Credential, Joined};
use tests::{PATIENCE, cpu_nanos, median};

use crate::load::figure;
use crate::place::{Cluster, Kdc};

const PASSWORD: &str = "correct horse battery";
const SERVICE: &str = "host/a.example.org";
const ETYPE: EncryptionType = EncryptionType::AES256_SHA1;
/// First octets of answers: tickets, and nothing else.
const EXCHANGES: [(&str, u8); 2] = [("login", 0x6b), ("service ticket", 0x6d)];

fn seconds() -> usize {
    let seconds = std::env::var("KRB_CLUSTER_SECONDS").ok().and_then(|text| text.parse().ok());
    seconds.unwrap_or(1)
}

/// How many requests of a kind in a turn.
fn requests() -> usize {
    200 * seconds()
}

/// How often each has its turn: in a short run often enough to see that it works.
fn turns() -> usize {
    if seconds() > 1 { 41 } else { 3 }
}

/// A KDC with a user who asks.
struct Asked<'a> {
    kdc: &'a Kdc,
    client: Joined,
    key: Key,
}

impl<'a> Asked<'a> {
    fn new(kdc: &'a Kdc) -> Asked<'a> {
        // Under a policy that locks, each login looks at what was counted.
        kdc.kadmin(&["addpol", "-maxfailure", "5", "strict"]).succeeds();
        kdc.kadmin(&["addprinc", "-policy", "strict", "-pw", PASSWORD, "+requires_preauth", "alice"]).succeeds();
        kdc.kadmin(&["addprinc", "-randkey", SERVICE]).succeeds();
        let key = Key::from_password(ETYPE, PASSWORD.as_bytes(), b"EXAMPLE.ORGalice", None).expect("a key");
        // The clock is set with every request.
        Asked { kdc, client: Joined { now: Instant::default(), ..Joined::new() }, key }
    }

    fn login(&mut self) -> Vec<u8> {
        self.client.now = self.client.now.max(tests::library::now());
        let asking = Asking { etypes: vec![ETYPE], ..Asking::login("alice") };
        self.client.as_req(&asking, Some(&self.key))
    }

    fn services(&mut self, count: usize) -> Vec<Vec<u8>> {
        let login = self.login();
        let tgt = self.ask(&[login], EXCHANGES[0].1).remove(0);
        let tgt = Credential::open(&tgt, &self.key, KeyUsage::AS_REP_ENC_PART).expect("a TGT");
        let asking = Asking { etypes: vec![ETYPE], ..Asking::service(SERVICE) };
        let mut another = || {
            self.client.now = self.client.now.max(tests::library::now());
            self.client.tgs_req(&tgt, &asking)
        };
        (0..count).map(|_| another()).collect()
    }

    /// The answers to requests, several of which are on their way at a time. Who asks stays awake: to be woken would be
    /// work of the KDC's.
    fn ask(&self, requests: &[Vec<u8>], expected: u8) -> Vec<Vec<u8>> {
        const IN_FLIGHT: usize = 32;
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
        socket.connect(("127.0.0.1", self.kdc.port())).expect("connected");
        socket.set_nonblocking(true).expect("a socket that does not wait");
        let (mut sent, mut answers, mut heard) = (0, vec![], std::time::Instant::now());
        let mut buffer = vec![0; 65_536];
        while answers.len() < requests.len() {
            while sent < requests.len() && sent - answers.len() < IN_FLIGHT {
                socket.send(&requests[sent]).expect("sent");
                sent += 1;
            }
            match socket.recv(&mut buffer) {
                Ok(length) => {
                    assert_eq!(buffer[0], expected, "a ticket");
                    answers.push(buffer[..length].to_vec());
                    heard = std::time::Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    assert!(heard.elapsed() < PATIENCE, "no answer");
                    std::hint::spin_loop();
                }
                Err(error) => panic!("{error}"),
            }
        }
        answers
    }

    /// Microseconds of CPU for a login, and for a service ticket.
    fn turn(&mut self) -> [f64; 2] {
        let made = [(0..requests()).map(|_| self.login()).collect(), self.services(requests())];
        [0, 1].map(|place| {
            let before = cpu_nanos(self.kdc.pid());
            self.ask(&made[place], EXCHANGES[place].1);
            cpu_nanos(self.kdc.pid()).saturating_sub(before) as f64 / 1000.0 / requests() as f64
        })
    }
}

#[test]
fn a_request_costs_a_kdc_over_etcd_about_what_it_costs_one_over_a_file() {
    let Some(cluster) = Cluster::start(1, 3) else { return };
    let alone = Kdc::alone(cluster.folder());
    let mut kdcs = [&alone, &cluster.kdcs[0]].map(Asked::new);
    // What is kept ready is made ready, and what grows has grown.
    for _ in 0..turns() / 4 {
        kdcs.iter_mut().for_each(|kdc| _ = kdc.turn());
    }
    let turns: Vec<_> = (0..turns()).map(|_| kdcs.each_mut().map(|kdc| kdc.turn())).collect();
    for (place, (what, _)) in EXCHANGES.iter().enumerate() {
        let [file, etcd] = [0, 1].map(|kdc| median(turns.iter().map(|turn| turn[kdc][place])));
        let ratio = median(turns.iter().map(|[file, etcd]| etcd[place] / file[place]));
        let words = format!(
            "{ratio:.3} times: {file:.1} us over a file, {etcd:.1} us over etcd, medians of {} turns of {}",
            turns.len(),
            requests()
        );
        figure(&format!("CPU of a {what} over etcd, beside a file"), "at most 1.05 times", &words, ratio <= 1.05);
        assert!(file > 0.0 && etcd > 0.0, "it was measured");
    }
}
