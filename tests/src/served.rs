//! A realm in memory behind a socket of loopback, with the clocks of both sides in hand and a count of
//! what is asked: for tests of what a program asks for, how often, and what it does when time passes.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use libkrb::config::Config;
use libkrb::credentials::Alarm;
use libkrb::net::Transport;
use libkrb::time::Instant;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::joined::{Joined, NOW, REALM};

/// A clock that goes on by a microsecond whenever somebody looks, and by what a test says. It wakes
/// who waits for its times.
#[derive(Debug)]
pub struct Clock {
    micros: AtomicI64,
    moved: Notify,
}

impl Clock {
    fn new() -> Arc<Clock> {
        Arc::new(Clock { micros: AtomicI64::new(NOW.0 * 1_000_000), moved: Notify::new() })
    }

    /// What it shows.
    pub fn now(&self) -> Instant {
        Instant::from_micros(self.micros.fetch_add(1, Ordering::SeqCst))
    }

    /// Lets seconds pass.
    pub fn advance(&self, seconds: i64) {
        self.micros.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
        self.moved.notify_waiters();
    }

    /// The clock as a transport takes it.
    pub fn reading(self: &Arc<Clock>) -> impl Fn() -> Instant + Send + Sync + 'static {
        let clock = self.clone();
        move || clock.now()
    }
}

impl Alarm for Clock {
    fn at<'a>(&'a self, time: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            loop {
                let mut moved = pin!(self.moved.notified());
                moved.as_mut().enable();
                if self.now() >= time {
                    return;
                }
                moved.await;
            }
        })
    }
}

/// What was asked.
#[derive(Debug, Default)]
pub struct Counts {
    as_requests: AtomicUsize,
    tgs_requests: AtomicUsize,
    /// While it is set, requests are counted but not answered.
    pub silent: AtomicBool,
    /// Wakes when a request comes.
    pub arrived: Notify,
}

impl Counts {
    /// How many AS-REQs and TGS-REQs came.
    pub fn both(&self) -> (usize, usize) {
        (self.as_requests.load(Ordering::SeqCst), self.tgs_requests.load(Ordering::SeqCst))
    }
}

/// A realm behind a socket.
pub struct Served {
    /// The realm.
    pub realm: Arc<Mutex<Joined>>,
    /// A way to it, by our clock.
    pub transport: Transport,
    /// The KDC's clock.
    pub theirs: Arc<Clock>,
    /// The client's.
    pub ours: Arc<Clock>,
    /// What was asked.
    pub counts: Arc<Counts>,
    /// Where it listens.
    pub address: SocketAddr,
    task: Mutex<AbortHandle>,
}

impl Served {
    /// A realm with nothing particular in the client's krb5.conf.
    pub async fn new(realm: Joined) -> Served {
        Served::with(realm, "").await
    }

    /// A realm with settings in `[libdefaults]` of the client.
    pub async fn with(realm: Joined, settings: &str) -> Served {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("its address");
        let realm = Arc::new(Mutex::new(realm));
        let (theirs, ours, counts) = (Clock::new(), Clock::new(), Arc::new(Counts::default()));
        let task = tokio::spawn(answer(socket, realm.clone(), theirs.clone(), counts.clone()));
        let text = format!(
            "[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = false\n{settings}\nticket_lifetime = 10h\n\
             [realms]\n{REALM} = {{\nkdc = {address}\n}}\n[domain_realm]\n.example.org = {REALM}\n"
        );
        let config = Config::parse("krb5.conf", &text).expect("a krb5.conf");
        let transport = Transport::new(Arc::new(config)).with_clock(ours.reading());
        let task = Mutex::new(task.abort_handle());
        Served { realm, transport, theirs, ours, counts, address, task }
    }

    /// Lets time pass on both sides.
    pub fn wait(&self, seconds: i64) {
        self.theirs.advance(seconds);
        self.ours.advance(seconds);
    }

    /// Closes the socket: whoever asks hears at once that nobody is there.
    pub async fn leave(&self) {
        let task = self.task.lock().expect("no panic").clone();
        task.abort();
        while !task.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    /// Opens the socket again, where it was.
    pub async fn come_back(&self) {
        let socket = UdpSocket::bind(self.address).await.expect("the port, which was ours");
        let task = answer(socket, self.realm.clone(), self.theirs.clone(), self.counts.clone());
        *self.task.lock().expect("no panic") = tokio::spawn(task).abort_handle();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.lock().expect("no panic").abort();
    }
}

async fn answer(socket: UdpSocket, realm: Arc<Mutex<Joined>>, theirs: Arc<Clock>, counts: Arc<Counts>) {
    let mut buffer = vec![0; 65_535];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.expect("a request");
        let request = &buffer[..length];
        let count = if request[0] == 0x6a { &counts.as_requests } else { &counts.tgs_requests };
        count.fetch_add(1, Ordering::SeqCst);
        counts.arrived.notify_one();
        if counts.silent.load(Ordering::SeqCst) {
            continue;
        }
        let reply = {
            let mut realm = realm.lock().expect("no panic");
            realm.now = theirs.now();
            realm.send(request).reply
        };
        if let Some(reply) = reply {
            socket.send_to(&reply, from).await.expect("an answer sent");
        }
    }
}
