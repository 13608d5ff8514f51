//! A realm of ours with its daemon, and clients that ask as theirs do: again when nothing comes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kdc::admin::{self, Answer, Name, NewKeys, Operation, Perform, Refusal, Remote, Settings};
use kdc::init::{Files, init};
use libkrb::Principal;
use libkrb::client::{AsExchange, AsRequest, Exchange, Secret, Step};
use libkrb::crypto::OsRandom;
use libkrb::time::Instant;
use tempfile::TempDir;
use tests::{Daemon, Family, Port, Tool};

pub const REALM: &str = "EXAMPLE.ORG";
pub const PASSWORD: &str = "correct horse battery";
/// What clients do: MIT's wait a second before they ask again.
const AGAIN: Duration = Duration::from_secs(1);
const TRIES: u32 = 10;

pub struct Place {
    pub files: Files,
    pub port: Port,
    folder: TempDir,
}

impl Place {
    pub fn new() -> Place {
        let (folder, port) = (tempfile::tempdir().expect("a folder"), Port::claim());
        let files = init(REALM, &folder.path().join("kdc"), &[port.address()]).expect("a realm");
        Place { files, port, folder }
    }

    /// Puts a line before the settings.
    pub fn set(&self, line: &str) {
        let text = std::fs::read_to_string(&self.files.config).expect("settings");
        std::fs::write(&self.files.config, format!("{line}\n{text}")).expect("settings");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("kdc").join(name)
    }

    pub fn kdc(&self, command: &str) -> Tool {
        Tool::new(Family::Ours.program("kdc")).args([command, "--config"]).args([&self.files.config])
    }

    pub fn start(&self) -> Daemon {
        self.start_as(self.kdc("run").command())
    }

    pub fn start_as(&self, command: Command) -> Daemon {
        Daemon::start(command, "ready")
    }

    pub fn perform(&self, operation: Operation) -> Result<Answer, Refusal> {
        let remote = Remote::find(&self.path("admin.sock"))?;
        remote.ok_or_else(|| Refusal::new(admin::Reason::Failed, "nobody answers"))?.perform(operation)
    }

    pub fn add(&self, user: &str) {
        let password = admin::Secret::new(PASSWORD.to_owned());
        let keys = NewKeys::Password { password, kinds: vec![] };
        let create = Operation::Create { principal: name(user), keys, kvno: None, settings: Settings::default() };
        self.perform(create).expect("a new principal");
    }

    pub fn udp(&self) -> Udp {
        Udp::to(self.port.address())
    }

    pub fn tcp(&self) -> Tcp {
        Tcp(self.port.address())
    }
}

pub fn name(text: &str) -> Name {
    Name(principal(text))
}

pub fn principal(text: &str) -> Principal {
    Principal::parse(text, Some(REALM)).expect("a name")
}

/// A way to the KDC.
pub trait Way {
    fn ask(&mut self, request: &[u8]) -> Option<Vec<u8>>;
}

/// A socket for each message, as kinit has it: an answer that comes late is none to what was asked next.
pub struct Udp(SocketAddr);

impl Udp {
    pub fn to(address: SocketAddr) -> Udp {
        Udp(address)
    }
}

impl Way for Udp {
    fn ask(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(self.0).expect("connected");
        socket.set_read_timeout(Some(AGAIN)).expect("a timeout");
        let mut reply = vec![0; 65_536];
        for _ in 0..TRIES {
            // Nobody may be there for a moment: as good as no answer.
            let _ = socket.send(request);
            match socket.recv(&mut reply) {
                Ok(length) => return Some(reply[..length].to_vec()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => std::thread::yield_now(),
            }
        }
        None
    }
}

/// A connection for each request, as kinit has it; a refused one is not tried again.
pub struct Tcp(pub SocketAddr);

impl Tcp {
    pub fn ask_over(stream: &mut TcpStream, request: &[u8]) -> Option<Vec<u8>> {
        stream.set_read_timeout(Some(AGAIN * TRIES)).ok()?;
        stream.write_all(&[&(request.len() as u32).to_be_bytes(), request].concat()).ok()?;
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut reply = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut reply).ok()?;
        Some(reply)
    }
}

impl Way for Tcp {
    fn ask(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        Tcp::ask_over(&mut TcpStream::connect(self.0).ok()?, request)
    }
}

/// Logs in; what went wrong, if anything did.
pub fn log_in(user: &str, way: &mut impl Way) -> Result<(), String> {
    let mut exchange = AsExchange::new(AsRequest::new(principal(user)), Secret::password(PASSWORD));
    let (mut random, mut reply) = (OsRandom::new(), None::<Vec<u8>>);
    loop {
        match exchange.step(now(), &mut random, reply.as_deref()).map_err(|error| error.to_string())? {
            Step::Send { message, .. } => reply = Some(way.ask(&message).ok_or("no answer")?),
            Step::Done(_) => return Ok(()),
        }
    }
}

fn now() -> Instant {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    Instant::from_micros(since.as_micros() as i64)
}
