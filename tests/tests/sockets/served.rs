//! A realm served on loopback inside the test's own process, with a store that can be made to wait.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime};

use kdc::attempts::Counted;
use kdc::core::{Change, Entry, PasswordPolicy, Policy, Store, StoreError};
use kdc::net::{Limits, Listener, Memories, Responder, Server};
use kdc::observe::Observer;
use kdc::store::{Cached, Memory};
use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage};
use libkrb::replay::MemoryReplayCache;
use libkrb::time::Instant;
use libkrb::{ErrorCode, Principal};
use tests::joined::{Asking, Credential, Joined, REALM, as_error};
use tokio::runtime::Runtime;

/// Longer than anything takes that is not stuck.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Served {
    runtime: Runtime,
    server: Option<Server>,
    pub addresses: Vec<SocketAddr>,
    pub observer: Arc<Observer>,
    pub responder: Arc<Responder>,
    pub gate: Arc<Gate>,
    pub client: Joined,
}

pub fn served() -> Served {
    served_with(&["127.0.0.1:0"], Limits::default())
}

pub fn served_with(listen: &[&str], limits: Limits) -> Served {
    served_watched(listen, limits, Observer::default())
}

/// The same, with somebody who watches.
pub fn served_watched(listen: &[&str], limits: Limits, observer: Observer) -> Served {
    let mut client = Joined::new();
    client.now = Instant::default();
    let gate = Arc::new(Gate::around(&client.store));
    let observer = Arc::new(observer);
    let replays = Arc::new(MemoryReplayCache::new(300, 1_000_000));
    let store = Arc::clone(&gate) as Arc<dyn Store>;
    let memories = Memories { store, replays, attempts: Arc::new(Counted::default()) };
    let responder = Responder::new(Policy::new(REALM), memories, Arc::clone(&observer), &limits);
    let listeners = listen.iter().map(|address| Listener::bind(address.parse().expect("an address")));
    let listeners = listeners.collect::<Result<Vec<_>, _>>().expect("sockets");
    let addresses = listeners.iter().map(Listener::address).collect();
    let runtime = Runtime::new().expect("a runtime");
    let entered = runtime.enter();
    let responder = Arc::new(responder);
    let server = Server::start(listeners, Arc::clone(&responder), &limits).expect("a server");
    drop(entered);
    Served { runtime, server: Some(server), addresses, observer, responder, gate, client }
}

impl Served {
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Starts to drain; the returned task ends when that is done.
    pub fn drain(&mut self) -> tokio::task::JoinHandle<()> {
        let server = self.server.take().expect("a running server");
        self.runtime.spawn(server.drain(PATIENCE))
    }

    pub fn wait_for(&self, task: tokio::task::JoinHandle<()>) {
        self.runtime.block_on(task).expect("a task that ends");
    }

    pub fn alices_key(&self) -> Key {
        self.client.key("alice", EncryptionType::AES256_SHA1)
    }

    /// An AS-REQ that gets a ticket; another one each time.
    pub fn login(&mut self) -> Vec<u8> {
        self.login_asking(&Asking::login("alice"))
    }

    pub fn login_asking(&mut self, asking: &Asking) -> Vec<u8> {
        self.set_clock();
        let key = self.alices_key();
        self.client.as_req(asking, Some(&key))
    }

    /// A TGS-REQ; another one each time.
    pub fn tgs(&mut self, tgt: &Credential, server: &str) -> Vec<u8> {
        self.set_clock();
        self.client.tgs_req(tgt, &Asking::service(server))
    }

    /// What alice gets for a login.
    pub fn open(&self, reply: &[u8]) -> Result<Credential, ErrorCode> {
        Credential::open(reply, &self.alices_key(), KeyUsage::AS_REP_ENC_PART)
    }

    fn set_clock(&mut self) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
        // No two authenticators of a test may be the same.
        self.client.now = self.client.now.max(Instant::from_micros(since.as_micros() as i64));
    }

    pub fn datagrams(&self) -> UdpSocket {
        datagrams(self.address())
    }

    pub fn connection(&self) -> TcpStream {
        connection(self.address())
    }

    /// Sends a datagram and waits for the reply.
    pub fn ask(&self, request: &[u8]) -> Vec<u8> {
        let socket = self.datagrams();
        socket.send(request).expect("a sent datagram");
        receive(&socket)
    }

    /// That the server still does what it is for.
    #[track_caller]
    pub fn assert_serves(&mut self) {
        let request = self.login();
        let reply = self.ask(&request);
        self.open(&reply).expect("a ticket over UDP");
        let request = self.login();
        let reply = exchange(&mut self.connection(), &request).expect("a reply over TCP");
        self.open(&reply).expect("a ticket over TCP");
    }
}

pub fn datagrams(server: SocketAddr) -> UdpSocket {
    let own: SocketAddr = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }.parse().expect("an address");
    let socket = UdpSocket::bind(own).expect("a socket");
    // A connected socket hears nothing but what comes from the address that was asked.
    socket.connect(server).expect("a connected socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

pub fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let length = socket.recv(&mut buffer).expect("a reply");
    buffer.truncate(length);
    buffer
}

pub fn connection(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

pub fn frame(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes(), message].concat()
}

/// The next message; `None` at the end of the connection.
pub fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    let first = stream.read(&mut length).expect("a readable connection");
    if first == 0 {
        return None;
    }
    stream.read_exact(&mut length[first..]).expect("a whole length");
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut message).expect("a whole message");
    Some(message)
}

pub fn exchange(stream: &mut TcpStream, request: &[u8]) -> Option<Vec<u8>> {
    stream.write_all(&frame(request)).expect("a sent request");
    message(stream)
}

/// Whether the server has closed a connection on which it had nothing to say.
pub fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[track_caller]
pub fn assert_error(reply: &[u8], code: ErrorCode) {
    assert_eq!(as_error(reply), Some(code));
}

/// A store whose readers wait while it is closed.
pub struct Gate {
    store: Memory,
    /// Who must wait, by how a thread's name begins; and how many do.
    state: Mutex<(Option<&'static str>, usize)>,
    changed: Condvar,
}

impl Gate {
    fn around(original: &Cached<Memory>) -> Gate {
        let store = Memory::new();
        for name in original.list(None, usize::MAX).expect("names") {
            let entry = original.lookup(&name).expect("a store").expect("an entry");
            store.commit(&[Change::Create((*entry).clone())]).expect("a new principal");
        }
        Gate { store, state: Mutex::new((None, 0)), changed: Condvar::new() }
    }

    pub fn close(&self) {
        self.close_to("");
    }

    /// Closes it to the threads whose name begins so.
    pub fn close_to(&self, threads: &'static str) {
        self.state.lock().expect("a state").0 = Some(threads);
    }

    pub fn open(&self) {
        self.state.lock().expect("a state").0 = None;
        self.changed.notify_all();
    }

    /// Waits until so many readers are waiting.
    pub fn await_readers(&self, count: usize) {
        let state = self.state.lock().expect("a state");
        let (_state, waited) =
            self.changed.wait_timeout_while(state, PATIENCE, |(_, waiting)| *waiting < count).expect("a state");
        assert!(!waited.timed_out(), "nobody came");
    }
}

impl Store for Gate {
    fn lookup(&self, name: &Principal) -> Result<Option<Arc<Entry>>, StoreError> {
        let thread = std::thread::current();
        let named = |start: &str| thread.name().unwrap_or_default().starts_with(start);
        let mut state = self.state.lock().expect("a state");
        if state.0.is_some_and(named) {
            state.1 += 1;
            self.changed.notify_all();
            state = self.changed.wait_while(state, |(closed, _)| closed.is_some_and(named)).expect("a state");
            state.1 -= 1;
        }
        drop(state);
        self.store.lookup(name)
    }

    fn list(&self, after: Option<&Principal>, limit: usize) -> Result<Vec<Principal>, StoreError> {
        self.store.list(after, limit)
    }

    fn policy(&self, name: &str) -> Result<Option<Arc<PasswordPolicy>>, StoreError> {
        self.store.policy(name)
    }

    fn policies(&self) -> Result<Vec<String>, StoreError> {
        self.store.policies()
    }

    fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        self.store.commit(changes)
    }
}
