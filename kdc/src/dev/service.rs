//! The service of the show: it has a keytab, learns who calls, and proves who it is. Over TCP each
//! message stands behind its length, four bytes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use libkrb::Principal;
use libkrb::crypto::OsRandom;
use libkrb::keytab::Keytab;
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Acceptor, Options};
use libkrb::time::Instant;

use crate::error::{Error, Result};

/// The longest message that is read.
const LONGEST: usize = 64 << 10;
/// Nobody else is expected than the client of the show.
const AUTHENTICATORS: usize = 1000;

/// A service that waits for callers.
pub struct Service {
    /// Where it waits.
    pub address: SocketAddr,
    callers: std::sync::mpsc::Receiver<Principal>,
}

impl Service {
    /// Starts a service with these keys, on a port of this machine that is free. It ends with the
    /// process.
    pub fn start(keytab: &Keytab) -> Result<Service> {
        let options = Options::default();
        let replay = Arc::new(MemoryReplayCache::new(options.clock_skew, AUTHENTICATORS));
        let acceptor = Acceptor::new(keytab, options, replay)?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| failed(&error))?;
        let address = listener.local_addr().map_err(|error| failed(&error))?;
        let (caller, callers) = std::sync::mpsc::channel();
        let serve = move || {
            for stream in listener.incoming().flatten() {
                // A caller that leaves in the midst is no matter.
                let _ = answer(&acceptor, stream, &caller);
            }
        };
        thread::Builder::new().name("service".into()).spawn(serve).map_err(|error| failed(&error))?;
        Ok(Service { address, callers })
    }

    /// Who was accepted last.
    pub fn caller(&self) -> Option<Principal> {
        self.callers.try_recv().ok()
    }
}

fn answer(acceptor: &Acceptor, mut stream: TcpStream, caller: &std::sync::mpsc::Sender<Principal>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let ap_req = receive(&mut stream)?;
    match acceptor.accept(now(), &mut OsRandom::new(), &ap_req, None) {
        Ok(accepted) => {
            let _ = caller.send(accepted.client);
            send(&mut stream, &accepted.reply.unwrap_or_default())
        }
        Err(refusal) => send(&mut stream, &refusal.krb_error()),
    }
}

/// Sends a message behind its length; a KDC's sockets have it so, too.
pub fn send(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat())
}

/// Receives a message.
pub fn receive(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > LONGEST {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message)?;
    Ok(message)
}

/// The clock of both sides.
pub fn now() -> Instant {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Instant::from_micros(i64::try_from(since.as_micros()).unwrap_or_default())
}

fn failed(error: &io::Error) -> Error {
    Error::Other(format!("the service of the show can't be started: {error}"))
}
