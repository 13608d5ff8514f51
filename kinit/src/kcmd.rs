//! `kcmd`: a daemon that holds credential caches in its memory, for `KCM:` names of MIT's, Heimdal's and our own
//! programs. Who one is, the kernel says; what one has, nobody else sees. What is held is gone with the daemon.
//! Not here: what is held, and what a request does ([`house`]).

pub mod house;

use std::fs::Permissions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;
use libkrb::ccache::kcm::{SOCKET, protocol};
use libkrb::crypto::{OsRandom, Random};
use listenfd::ListenFd;
use protocol::{Reply, Request, Status};
use rustix::process::{DumpableBehavior, Resource, Rlimit, geteuid, set_dumpable_behavior, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::report::{self, Failure, Result};
use house::{Bounds, Houses};

/// Connections at a time; more wait.
const CONNECTIONS: usize = 512;
/// Of these, connections of one user.
const OF_USER: usize = 64;
/// The longest request: a cache of many tickets.
const MAX_REQUEST: usize = 4 << 20;
/// How long a request may take from its first byte to its last, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may stay silent; clients connect anew.
const SILENCE: Duration = Duration::from_secs(300);
/// The id of users whom a namespace does not know, unless the kernel says another.
const OVERFLOW: u32 = 65534;
/// Everybody may connect: each sees their own.
const MODE: u32 = 0o666;

/// Hold credential caches in memory, for programs that use KCM:
#[derive(Parser)]
#[command(name = "kcmd", after_help = EXAMPLES)]
struct Arguments {
    /// Where to listen, unless a service manager has opened the socket
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
    /// Print the version
    #[arg(short = 'V', long)]
    version: bool,
}

const EXAMPLES: &str = "\
Started by root it serves everybody, each their own caches; started by a user it serves that user.
It takes a socket that systemd has opened (LISTEN_FDS). Caches are lost when it ends.

Examples:
  kcmd                                    for the machine; krb5.conf: default_ccache_name = KCM:
  kcmd --socket $XDG_RUNTIME_DIR/kcm      for yourself; krb5.conf: kcm_socket = that path

Exit code: 0 when told to end (SIGTERM, SIGINT), 1 on failure, 2 for a wrong command line.";

/// Its command line.
pub(crate) fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs it.
pub fn main() -> ExitCode {
    report::run("kcmd", 2, run)
}

fn run(arguments: Arguments) -> Result<u8> {
    let mut out = report::output();
    if arguments.version {
        writeln!(out, "Kerberos 5 version {} (libkrb)", env!("CARGO_PKG_VERSION"))?;
        return Ok(0);
    }
    // To be asked for before there are threads.
    let inherited = ListenFd::from_env().take_unix_listener(0).ok().flatten();
    // Keys must not end up in a core dump, nor be read by a debugger of the same user.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let (listener, own) = match inherited {
        Some(listener) => (listener, None),
        None => (bind(&arguments.socket)?, Some(Made(arguments.socket.clone()))),
    };
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut end, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let listener = UnixListener::from_std(listener)?;
        report::complain(&format!("kcmd: ready at {}\n", arguments.socket.display()));
        tokio::select! {
            () = serve(listener, Arc::new(Daemon::default())) => {}
            _ = end.recv() => {}
            _ = interrupt.recv() => {}
        }
        drop(own);
        Ok(0)
    })
}

/// A socket in the file system that is ours to remove.
struct Made(PathBuf);

impl Drop for Made {
    fn drop(&mut self) {
        // One that stays behind is replaced by the next daemon.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Binds the socket; one that a killed daemon left behind is replaced.
fn bind(path: &Path) -> Result<std::os::unix::net::UnixListener> {
    let wrong = |error: std::io::Error| {
        let failure = Failure::new(format!("{error} while listening at {}", path.display()));
        failure.next("--socket names another place; only root may listen at the default one.")
    };
    if let Ok(kind) = std::fs::symlink_metadata(path).map(|it| it.file_type()) {
        if !kind.is_socket() {
            return Err(wrong(ErrorKind::AlreadyExists.into()));
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(wrong(ErrorKind::AddrInUse.into()));
        }
        std::fs::remove_file(path).map_err(wrong)?;
    }
    let listener = std::os::unix::net::UnixListener::bind(path).map_err(wrong)?;
    std::fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(wrong)?;
    Ok(listener)
}

/// What all connections share.
struct Daemon {
    houses: Mutex<Houses>,
    places: Mutex<Vec<u32>>,
    /// The user id of whoever has none here.
    nameless: Option<u32>,
}

impl Default for Daemon {
    fn default() -> Self {
        let fresh = || {
            let mut id = [0; 16];
            OsRandom::new().fill(&mut id);
            id
        };
        let houses = Houses::new(Bounds::default(), fresh);
        Daemon { houses: Mutex::new(houses), places: Mutex::default(), nameless: nameless() }
    }
}

/// In a user namespace, users that it does not know all come under one id: nobody can say who of them connects.
fn nameless() -> Option<u32> {
    let knows_all = std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| maps_all(&map));
    let overflow = || std::fs::read_to_string("/proc/sys/kernel/overflowuid").ok()?.trim().parse().ok();
    (!knows_all).then(|| overflow().unwrap_or(OVERFLOW))
}

/// Whether a map of user ids has one for everybody, as that of the machine itself has.
fn maps_all(map: &str) -> bool {
    let mapped = map.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    mapped.sum::<u64>() >= u32::MAX.into()
}

/// The place of a connection, given back when dropped.
struct Place(Arc<Daemon>, u32);

impl Place {
    fn take(daemon: &Arc<Daemon>, user: u32) -> Option<Place> {
        let mut places = daemon.places.lock().unwrap_or_else(PoisonError::into_inner);
        let own = places.iter().filter(|of| **of == user).count();
        if own >= OF_USER {
            return None;
        }
        places.push(user);
        Some(Place(Arc::clone(daemon), user))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = places.iter().position(|of| *of == self.1) {
            places.swap_remove(own);
        }
    }
}

async fn serve(listener: UnixListener, daemon: Arc<Daemon>) {
    let open = Arc::new(Semaphore::new(CONNECTIONS));
    let own = geteuid().as_raw();
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&open).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let user = stream.peer_cred().map(|peer| peer.uid());
                // Who is not root can't be trusted with what is others'.
                let user = user.ok().filter(|user| own == 0 || *user == own);
                let user = user.filter(|user| daemon.nameless != Some(*user));
                let place = user.and_then(|user| Place::take(&daemon, user));
                if let Some(place) = place {
                    tokio::spawn(async move {
                        // A client that breaks off has done so for reasons of its own.
                        let _ = converse(stream, &place).await;
                        drop(permit);
                    });
                }
            }
            // Out of file descriptors, or a connection gone before it was taken.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Answers requests until there are no more.
async fn converse(mut stream: UnixStream, place: &Place) -> std::io::Result<()> {
    loop {
        let mut length = [0; 4];
        timeout(SILENCE, stream.read_exact(&mut length)).await??;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_REQUEST {
            return Ok(());
        }
        let request = timeout(PATIENCE, read(&mut stream, length)).await??;
        let answer = answer(place, &request);
        timeout(PATIENCE, stream.write_all(&answer)).await??;
    }
}

/// A request of this length; what has not come yet takes no memory, and what was copied is wiped.
async fn read(stream: &mut UnixStream, length: usize) -> std::io::Result<Zeroizing<Vec<u8>>> {
    const PIECE: usize = 64 << 10;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.min(PIECE)));
    while bytes.len() < length {
        let (have, more) = (bytes.len(), PIECE.min(length - bytes.len()));
        if bytes.capacity() < have + more {
            let mut bigger = Zeroizing::new(Vec::with_capacity(length.min(have * 2 + more)));
            bigger.extend_from_slice(&bytes);
            bytes = bigger;
        }
        bytes.resize(have + more, 0);
        stream.read_exact(bytes.get_mut(have..).unwrap_or_default()).await?;
    }
    Ok(bytes)
}

/// The frame of an answer: a length, a status of the transport, and in it the status of the request.
fn answer(place: &Place, request: &[u8]) -> Zeroizing<Vec<u8>> {
    let Place(daemon, user) = place;
    let answer = Request::decode(request).and_then(|request| {
        let mut houses = daemon.houses.lock().unwrap_or_else(PoisonError::into_inner);
        houses.answer(*user, request)
    });
    let (status, body) = match answer {
        Ok(reply) => (Status::OK, reply.encode()),
        Err(status) => (status, Reply::Done.encode()),
    };
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    let mut frame = Zeroizing::new(Vec::with_capacity(body.len() + 12));
    for part in [&length.to_be_bytes()[..], &[0; 4], &status.0.to_be_bytes(), &body] {
        frame.extend_from_slice(part);
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_knows_everybody_when_its_map_has_all_ids() {
        assert!(maps_all("         0          0 4294967295\n"));
        assert!(!maps_all("         0       1000          1\n         1     100000      65536\n"));
        assert!(!maps_all(""), "what can't be read says nothing");
    }
}
