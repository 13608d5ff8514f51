//! What a flood of costly requests does to everybody else: a client asks the KDC for service tickets,
//! one after the other, first alone and then while strangers ask for what is dear, several times as fast
//! as the KDC can do it: SPAKE challenges, and logins by certificate. A real daemon over UDP on loopback.
//! `cargo bench -p bench --bench flood [-- SERVICE_TICKETS]`
#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use bench::cpu_nanos;
use libkrb::codes::{EncryptionType, PaType};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::preauth::spake::{GROUPS, client};
use libkrb::time::Instant as Moment;
use tests::certificates;
use tests::joined::{Asking, Credential, Joined};
use tests::{AES256_SHA1, Family, Plan, Realm};

const PASSWORD: &str = "correct horse";
const SERVICE: &str = "host/a.example.org";
const AES256: EncryptionType = EncryptionType::AES256_SHA1;
/// So many at once, then a pause.
const BURST: usize = 40;

/// A flood: of what, how it is made, and how much comes in a second.
type Flood = (&'static str, fn(&mut Joined) -> Vec<Vec<u8>>, usize);

/// Of the first one thread does some ten thousand in a second, of the second half of that.
const FLOODS: [Flood; 2] = [("SPAKE challenges", challenges, 40_000), ("logins by certificate", certified, 20_000)];

fn main() {
    let count = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(20_000);
    let mut realm = Plan::default().with_etypes(&[AES256_SHA1]).start(Family::Ours);
    take_certificates(&mut realm);
    realm.add("alice", PASSWORD, &["+requires_preauth"]);
    realm.add_service(SERVICE);
    let mut client = Joined::new();
    client.now = now();
    let tgt = tgt(&realm, &mut client);
    let requests = |client: &mut Joined| -> Vec<_> {
        client.now = now();
        (0..count).map(|_| client.tgs_req(&tgt, &Asking::service(SERVICE))).collect()
    };
    println!("{count} service tickets, one after the other; latency in microseconds");
    println!("  {:<34} {:>8} {:>8} {:>8} {:>12}", "", "median", "p99", "p99.9", "KDC's CPU %");
    // The first requests find nothing in any cache.
    round_trips(realm.address(), &requests(&mut client));
    let alone = measured(&realm, "alone", &requests(&mut client));
    for (what, make, per_second) in FLOODS {
        let (flood, stop, sent) = (make(&mut client), AtomicBool::new(false), AtomicUsize::new(0));
        let address = realm.address();
        let flooded = thread::scope(|scope| {
            scope.spawn(|| pour(address, (&flood, per_second), &stop, &sent));
            thread::sleep(Duration::from_millis(300));
            let requests = requests(&mut client);
            let before = (sent.load(Ordering::Relaxed), Instant::now());
            let flooded = measured(&realm, &format!("with a flood of {what}"), &requests);
            let rate = (sent.load(Ordering::Relaxed) - before.0) as f64 / before.1.elapsed().as_secs_f64();
            println!("  ({rate:.0} asked for in a second)");
            stop.store(true, Ordering::Relaxed);
            flooded
        });
        println!("  times as slow: median {:.2}, p99 {:.2}", flooded.0 / alone.0, flooded.1 / alone.1);
    }
}

/// Has the realm take the certificates of `tests::certificates`.
fn take_certificates(realm: &mut Realm) {
    let path = |name: &str| format!("{}/../tests/vectors/pkinit/{name}", env!("CARGO_MANIFEST_DIR"));
    let (kdc, ca, crl) = (path("kdc-p256.pem"), path("ca.crt"), path("ca.crl"));
    let table = format!("[pkinit]\nidentity = \"FILE:{kdc},{kdc}\"\nanchors = [\"{ca}\"]\ncrls = [\"{crl}\"]\n");
    let file = realm.folder().join("kdc/kdc.toml");
    let settings = std::fs::read_to_string(&file).expect("the KDC's settings");
    std::fs::write(&file, settings.replace("[pkinit]\n", &table)).expect("the KDC's settings");
    realm.restart();
}

fn now() -> Moment {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
    Moment::from_micros(since.as_micros() as i64)
}

fn tgt(realm: &Realm, client: &mut Joined) -> Credential {
    let key = Key::from_password(AES256, PASSWORD.as_bytes(), b"EXAMPLE.ORGalice", None).expect("a key");
    let request = client.as_req(&Asking::login("alice"), Some(&key));
    let socket = socket(realm.address());
    socket.send(&request).expect("a sent request");
    let mut buffer = vec![0; 65536];
    let length = socket.recv(&mut buffer).expect("a reply");
    Credential::open(&buffer[..length], &key, KeyUsage::AS_REP_ENC_PART).expect("a TGT")
}

fn socket(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a UDP socket");
    socket.connect(server).expect("a connected socket");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    socket
}

/// Requests for a challenge, each other than the rest.
fn challenges(client: &mut Joined) -> Vec<Vec<u8>> {
    let support = vec![(PaType::SPAKE, client::support(&[&GROUPS[0]]))];
    let asking = Asking { padata: support, ..Asking::login("alice") };
    (0..50_000).map(|nonce| client.as_req(&Asking { nonce, ..asking.clone() }, None)).collect()
}

/// Logins by certificate, each other than the rest: more than the KDC answers while it is measured.
fn certified(_: &mut Joined) -> Vec<Vec<u8>> {
    let mut realm = certificates::realm();
    realm.now = now();
    certificates::logins_in(&mut realm, "alice-p256", 20_000).expect("logins")
}

/// Sends requests and listens to no answer, until it is told to stop.
fn pour(server: SocketAddr, (requests, per_second): (&[Vec<u8>], usize), stop: &AtomicBool, sent: &AtomicUsize) {
    let socket = socket(server);
    socket.set_nonblocking(true).expect("a socket that does not wait");
    let pause = Duration::from_secs(1) * BURST as u32 / per_second as u32;
    let mut next = Instant::now();
    for burst in requests.chunks(BURST).cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        for request in burst {
            // Where the kernel has no room the flood is as high as it gets.
            let _ = socket.send(request);
        }
        sent.fetch_add(burst.len(), Ordering::Relaxed);
        next += pause;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// The latency of each request in microseconds, in order.
fn round_trips(server: SocketAddr, requests: &[Vec<u8>]) -> Vec<f64> {
    let socket = socket(server);
    let mut buffer = [0; 65536];
    let ask = |request: &Vec<u8>| {
        let start = Instant::now();
        socket.send(request).expect("a sent request");
        let length = socket.recv(&mut buffer).expect("an answer");
        let took = start.elapsed().as_secs_f64() * 1e6;
        assert!(length > 0 && buffer[0] == 0x6d, "a service ticket");
        took
    };
    let mut times: Vec<_> = requests.iter().map(ask).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Median and 99th percentile, after saying them.
fn measured(realm: &Realm, what: &str, requests: &[Vec<u8>]) -> (f64, f64) {
    let (cpu, start) = (cpu_nanos(realm.pid()), Instant::now());
    let times = round_trips(realm.address(), requests);
    let cpu = (cpu_nanos(realm.pid()) - cpu) as f64 / start.elapsed().as_nanos() as f64 * 100.0;
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("  {what:<34} {:>8.0} {:>8.0} {:>8.0} {cpu:>12.0}", at(0.5), at(0.99), at(0.999));
    (at(0.5), at(0.99))
}
