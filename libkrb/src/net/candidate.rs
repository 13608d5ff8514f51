//! One server at one address, asked once: UDP with repeats (RFC 4120 7.2.1), streams with the
//! length before the message (RFC 4120 7.2.2), proxies over HTTPS (`https`). Not here: which
//! address is next, and what the answer means for the search ([`super::transport`]).

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
#[cfg(feature = "kkdcp")]
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, UnixStream};
use tokio::time::timeout;

#[cfg(feature = "kkdcp")]
use super::https::Proxy;
use super::trace::Trace;
use super::transport::Transport;

/// The largest answer from a stream; MIT's bound.
const MAX_REPLY: u32 = 1 << 20;

/// The largest datagram.
const MAX_DATAGRAM: usize = 65_535;

/// An address and the way to talk to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Candidate {
    Udp(SocketAddr),
    Tcp(SocketAddr),
    Unix(PathBuf),
    #[cfg(feature = "kkdcp")]
    Https(Arc<Proxy>, SocketAddr),
}

impl Candidate {
    /// Its kind, as traces name it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Candidate::Udp(_) => "UDP",
            Candidate::Tcp(_) | Candidate::Unix(_) => "TCP",
            #[cfg(feature = "kkdcp")]
            Candidate::Https(..) => "HTTPS",
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Candidate::Udp(address) => write!(f, "dgram {address}"),
            Candidate::Tcp(address) => write!(f, "stream {address}"),
            Candidate::Unix(path) => write!(f, "unix {}", path.display()),
            #[cfg(feature = "kkdcp")]
            Candidate::Https(_, address) => write!(f, "https {address}"),
        }
    }
}

/// A question to a candidate.
pub(super) struct Question<'a> {
    /// The realm that is asked, of which only a proxy has to be told.
    #[cfg_attr(not(feature = "kkdcp"), expect(dead_code, reason = "for proxies over HTTPS"))]
    pub(super) realm: &'a str,
    pub(super) message: &'a [u8],
    /// How long to wait before a datagram is sent again; each next wait is twice as long.
    pub(super) repeat: Duration,
    /// Whether bytes can be an answer at all; datagrams that cannot are ignored.
    pub(super) plausible: fn(&[u8]) -> bool,
    pub(super) trace: &'a Trace,
    #[cfg_attr(not(feature = "kkdcp"), expect(dead_code, reason = "for proxies over HTTPS"))]
    pub(super) transport: &'a Transport,
}

impl Question<'_> {
    /// Asks; the error is why this candidate is of no use.
    pub(super) async fn ask(&self, candidate: &Candidate) -> io::Result<Vec<u8>> {
        let answer = match candidate {
            Candidate::Udp(address) => self.udp(candidate, *address).await?,
            Candidate::Tcp(address) => {
                self.trace.line(format_args!("Initiating TCP connection to {candidate}"));
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                self.stream(candidate, stream).await?
            }
            Candidate::Unix(path) => {
                self.trace.line(format_args!("Connecting to {candidate}"));
                let stream = UnixStream::connect(path).await?;
                self.stream(candidate, stream).await?
            }
            #[cfg(feature = "kkdcp")]
            Candidate::Https(proxy, address) => {
                self.trace.line(format_args!("Sending HTTPS request to {candidate}"));
                let answer =
                    proxy.ask(*address, self.transport.trust(self.realm).await?, self.realm, self.message).await?;
                (self.plausible)(&answer).then_some(answer).ok_or_else(|| wrong("not an answer"))?
            }
        };
        self.trace.line(format_args!("Received answer ({} bytes) from {candidate}", answer.len()));
        Ok(answer)
    }

    async fn udp(&self, candidate: &Candidate, address: SocketAddr) -> io::Result<Vec<u8>> {
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any).await?;
        // A connected socket takes datagrams from this address only, and hears of refusals.
        socket.connect(address).await?;
        self.trace.line(format_args!("Sending initial UDP request to {candidate}"));
        socket.send(self.message).await?;
        let mut wait = self.repeat;
        let mut buffer = vec![0; MAX_DATAGRAM];
        loop {
            match timeout(wait, self.datagram(candidate, &socket, &mut buffer)).await {
                Ok(answer) => return answer,
                Err(_) => {
                    self.trace.line(format_args!("Sending retry UDP request to {candidate}"));
                    socket.send(self.message).await?;
                    wait = wait.saturating_mul(2);
                }
            }
        }
    }

    async fn datagram(&self, candidate: &Candidate, socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Vec<u8>> {
        loop {
            let length = socket.recv(buffer).await?;
            let answer = buffer.get(..length).unwrap_or_default();
            if (self.plausible)(answer) {
                return Ok(answer.to_vec());
            }
            self.trace.line(format_args!("Ignoring {length} bytes from {candidate}: not an answer"));
        }
    }

    async fn stream(
        &self,
        candidate: &Candidate,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
    ) -> io::Result<Vec<u8>> {
        let length = u32::try_from(self.message.len()).map_err(|_| wrong("the request is too long"))?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(self.message);
        self.trace.line(format_args!("Sending TCP request to {candidate}"));
        stream.write_all(&framed).await?;
        let length = stream.read_u32().await?;
        if length > MAX_REPLY {
            return Err(wrong("the answer is too long"));
        }
        // What has not come yet takes no memory.
        let mut answer = vec![];
        stream.take(length.into()).read_to_end(&mut answer).await?;
        if answer.len() != length as usize {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if !(self.plausible)(&answer) {
            return Err(wrong("not an answer"));
        }
        Ok(answer)
    }
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
