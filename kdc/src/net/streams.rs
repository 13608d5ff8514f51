//! What is served over connections alone: HTTPS, and sockets in the file system. From the start to the end as
//! [`super::Server`]: places may come and go, and in the end the sockets may go to another process. Not here: what
//! is said on a connection.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use libkrb::{Error, Result};

use super::answers::{Answers, Ends};
use super::listen::take_tcp;
use super::tcp::{self, Bounds, Host};
use super::{Inherited, Limits};
use crate::observe::Transport;
use crate::unix;

/// Whoever may open the file may ask, as on the network; folders say who gets there.
const MODE: u32 = 0o666;
/// Who comes through a socket in the file system is on this machine.
const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Where connections come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// An address and port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Tcp(address) => address.fmt(f),
            At::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A socket on which connections come in.
#[derive(Debug)]
pub enum Socket {
    /// Of an address and port.
    Tcp(TcpListener),
    /// In the file system.
    Unix(UnixListener),
}

/// The same, on a tokio runtime.
pub(super) enum Coming {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

/// A connection.
pub(super) enum Came {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

impl Coming {
    pub(super) fn from_std(socket: Socket) -> io::Result<Coming> {
        Ok(match socket {
            Socket::Tcp(listener) => Coming::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Socket::Unix(listener) => Coming::Unix(tokio::net::UnixListener::from_std(listener)?),
        })
    }

    /// The next connection.
    pub(super) async fn next(&self) -> io::Result<(Came, Ends)> {
        match self {
            Coming::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                let _ = stream.set_nodelay(true);
                let to = stream.local_addr().ok().map(|address| address.ip());
                Ok((Came::Tcp(stream), Ends { from, to, via: Transport::Tcp }))
            }
            Coming::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Came::Unix(stream), Ends { from: HERE, to: None, via: Transport::Unix }))
            }
        }
    }
}

/// A place that is, or will be, served.
#[derive(Debug)]
pub struct Door {
    asked: At,
    at: At,
    socket: Socket,
}

impl Door {
    /// Takes the socket of this place that is open already, or binds one. `setting` is the one that names it.
    ///
    /// # Errors
    /// What keeps it from being served, and what to do.
    pub fn take(at: At, inherited: &mut Inherited, setting: &str) -> Result<Door> {
        let asked = at;
        let (at, socket) = match &asked {
            At::Tcp(address) => {
                let wrong = |error: &dyn fmt::Display| Error::Setting(format!("{setting}: {error}"));
                let listener = take_tcp(*address, inherited).map_err(|error| wrong(&error))?;
                let at = At::Tcp(listener.local_addr().map_err(|error| wrong(&error))?);
                (at, Socket::Tcp(listener))
            }
            At::Unix(path) => (asked.clone(), Socket::Unix(take_unix(path, inherited, setting)?)),
        };
        Ok(Door { asked, at, socket })
    }

    fn copy(&self) -> io::Result<Socket> {
        Ok(match &self.socket {
            Socket::Tcp(listener) => Socket::Tcp(listener.try_clone()?),
            Socket::Unix(listener) => Socket::Unix(listener.try_clone()?),
        })
    }

    /// Nobody finds it any more.
    fn vanish(&self) {
        if let At::Unix(path) = &self.asked {
            // One that stays behind is replaced by the next daemon.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn take_unix(path: &Path, inherited: &mut Inherited, setting: &str) -> Result<UnixListener> {
    let Some(listener) = inherited.unix(path) else { return unix::bind(path, MODE, setting) };
    listener.set_nonblocking(true).map_err(|error| Error::file(path, error))?;
    Ok(listener)
}

impl From<Door> for OwnedFd {
    fn from(door: Door) -> OwnedFd {
        door.socket.into()
    }
}

impl From<Socket> for OwnedFd {
    fn from(socket: Socket) -> OwnedFd {
        match socket {
            Socket::Tcp(listener) => listener.into(),
            Socket::Unix(listener) => listener.into(),
        }
    }
}

/// Places being served.
pub struct Streams {
    open: Vec<Door>,
    tasks: tcp::Tasks,
}

impl Streams {
    /// Serves framed messages at these places, on the tokio runtime that this is called in.
    ///
    /// # Errors
    /// What the system says when it has no file descriptors left.
    pub fn start(doors: Vec<Door>, answers: Arc<impl Answers>, limits: &Limits) -> io::Result<Streams> {
        Streams::begin(doors, tcp::Tasks::new(answers, limits, &Arc::default()))
    }

    /// The same, in another language.
    pub(super) fn hosted(
        doors: Vec<Door>,
        limits: &Limits,
        host: impl FnOnce(Bounds) -> Arc<dyn Host>,
    ) -> io::Result<Streams> {
        Streams::begin(doors, tcp::Tasks::of(limits, &Arc::default(), host))
    }

    fn begin(doors: Vec<Door>, tasks: tcp::Tasks) -> io::Result<Streams> {
        let mut streams = Streams { open: vec![], tasks };
        streams.add(doors)?;
        Ok(streams)
    }

    fn add(&mut self, doors: Vec<Door>) -> io::Result<()> {
        for door in doors {
            self.tasks.add(door.asked.clone(), door.copy()?)?;
            self.open.push(door);
        }
        Ok(())
    }

    /// Where it serves.
    pub fn places(&self) -> impl Iterator<Item = &At> {
        self.open.iter().map(|door| &door.at)
    }

    /// Those of these places that it does not serve yet.
    pub fn missing(&self, wanted: &[At]) -> Vec<At> {
        wanted.iter().filter(|at| !self.open.iter().any(|door| door.asked == **at)).cloned().collect()
    }

    /// Holds connections to other limits from now on.
    pub fn limit(&self, limits: &Limits) {
        self.tasks.limit(limits);
    }

    /// Serves these places and no others from now on, with `new` for those that were
    /// [`Streams::missing`].
    ///
    /// # Errors
    /// What the system says when it has no file descriptors left.
    pub async fn rearrange(&mut self, wanted: &[At], new: Vec<Door>) -> io::Result<()> {
        self.add(new)?;
        for door in self.open.extract_if(.., |door| !wanted.contains(&door.asked)) {
            door.vanish();
            self.tasks.remove(&door.asked).await;
        }
        Ok(())
    }

    /// Lets nobody in any more and waits until what has arrived is answered, for as long as `patience` lasts.
    pub async fn drain(self, patience: Duration) {
        self.open.iter().for_each(Door::vanish);
        drop(self.open);
        self.tasks.drain(patience).await;
    }

    /// The same, but leaves those who wait to be let in to the next process.
    pub async fn hand_over(self, patience: Duration) -> Vec<OwnedFd> {
        self.tasks.hand_over(patience).await;
        self.open.into_iter().map(|door| door.socket.into()).collect()
    }
}
