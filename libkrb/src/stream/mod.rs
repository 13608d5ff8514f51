//! Byte streams under a GSS context: over any connection both sides prove who they are, and every
//! byte after that is signed and, unless told otherwise, encrypted. For protocols of one's own,
//! where TLS would need certificates that nobody wants to keep. Not here: where the connection and
//! the ticket come from.
//!
//! # On the wire
//!
//! Everything is a frame: a length of four octets, high octet first, and as many octets.
//!
//! 1. The tokens of the context's opening, one a frame, initiator first (RFC 2743 1.2.5 leaves it to
//!    the application how they travel).
//! 2. Then each frame is a Wrap token (RFC 4121 4.2.6.2) of at most [`MAX_FRAME`] octets, encrypted
//!    by default. An empty message ends its direction: a connection that is cut before it gives
//!    [`std::io::ErrorKind::UnexpectedEof`], never a silent end.
//!
//! The context's sequence numbers make a frame that is changed, dropped, repeated or moved an
//! error, after which nothing more is read. A service should have a principal of its own for such a
//! protocol: an AP-REQ is good wherever the key of its service is.
//!
//! ```no_run
//! # use libkrb::gss::{AcceptorContext, AcceptorOptions, InitiatorContext};
//! # use libkrb::service::Acceptor;
//! # use libkrb::stream::{KrbStream, StreamOptions};
//! # use std::sync::Arc;
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # use tokio::net::TcpStream;
//! # async fn client(initiator: InitiatorContext) -> std::io::Result<()> {
//! let tcp = TcpStream::connect("ledger.example.org:7000").await?;
//! let mut stream = KrbStream::connect(tcp, initiator, &StreamOptions::default()).await?;
//! stream.write_all(b"hello").await?;
//! stream.shutdown().await?;
//! # Ok(())
//! # }
//! # async fn service(tcp: TcpStream, acceptor: Arc<Acceptor>) -> std::io::Result<()> {
//! let opening = AcceptorContext::new(acceptor, AcceptorOptions::default());
//! let mut stream = KrbStream::accept(tcp, opening, None, &StreamOptions::default()).await?;
//! let caller = stream.caller().map(|caller| caller.accepted.client.clone());
//! let mut said = String::new();
//! stream.read_to_string(&mut said).await?;
//! # Ok(())
//! # }
//! ```
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod handshake;
mod incoming;
mod outgoing;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::crypto::OsRandom;
use crate::error::Error;
use crate::gss::{AcceptorContext, Caller, Context, InitiatorContext};
use crate::net::system_clock;
use crate::time::Instant;
use incoming::Incoming;
use outgoing::Outgoing;

/// The longest frame that is taken after the opening: 64 KiB of message and what a Wrap token adds.
pub const MAX_FRAME: usize = 65_536 + 256;

/// Octets of a frame's length.
const LENGTH: usize = 4;

/// How a stream is opened, and what it carries.
#[derive(Clone)]
pub struct StreamOptions {
    /// Whether messages are encrypted, ours and the peer's. If not they are signed, and may come
    /// either way.
    pub confidential: bool,
    /// How long the whole opening may take: a slow peer holds nothing for longer.
    pub handshake_timeout: Duration,
    /// The longest token of the opening that is taken. A ticket with a PAC, and a forwarded one with
    /// it, has its place in the default of 64 KiB.
    pub max_token: usize,
    /// The clock by which tickets are judged; on the initiator's side the service's, as far as it is
    /// known: `Arc::new(move || credentials.clock())` follows the KDC's.
    pub clock: Arc<dyn Fn() -> Instant + Send + Sync>,
}

impl Default for StreamOptions {
    /// Encrypted, opened within ten seconds of the system's clock.
    fn default() -> StreamOptions {
        StreamOptions {
            confidential: true,
            handshake_timeout: Duration::from_secs(10),
            max_token: 65_536,
            clock: Arc::new(system_clock),
        }
    }
}

impl fmt::Debug for StreamOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamOptions")
            .field("confidential", &self.confidential)
            .field("handshake_timeout", &self.handshake_timeout)
            .field("max_token", &self.max_token)
            .finish_non_exhaustive()
    }
}

/// A connection under a GSS context.
///
/// Writes behave as with any buffered writer: what was written is on its way for certain after a
/// flush, and `shutdown` says the end. Of each direction one frame is held at most. Errors are
/// those of the connection, or have an [`Error`] as their source; after one the direction that it
/// happened in stays failed. Halves of `tokio::io::split` work on different tasks.
pub struct KrbStream<S> {
    io: S,
    context: Context,
    caller: Option<Box<Caller>>,
    random: OsRandom,
    incoming: Incoming,
    outgoing: Outgoing,
}

impl<S: AsyncRead + AsyncWrite + Unpin> KrbStream<S> {
    /// Proves to the service who we are and has it prove itself. The initiator has to ask for what
    /// [`crate::gss::ContextFlags::DEFAULT`] has.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] when the service refuses us or is not who it should be,
    /// [`io::ErrorKind::TimedOut`] when it takes too long, [`io::ErrorKind::UnexpectedEof`] when it
    /// hangs up, [`io::ErrorKind::InvalidData`] for a token that is too long.
    pub async fn connect(io: S, initiator: InitiatorContext, options: &StreamOptions) -> io::Result<KrbStream<S>> {
        let mut stream = (io, OsRandom::new());
        let opened = handshake::initiate(&mut stream, initiator, options);
        let context = handshake::in_time(options, opened).await?;
        Ok(KrbStream::new(stream, *context, None, options))
    }

    /// Has a caller prove who it is, and proves the service to it. With the address of the peer
    /// given, a ticket that is bound to addresses is good only from there.
    ///
    /// # Errors
    /// As [`KrbStream::connect`]. A caller that is refused was told why, as far as it may know.
    pub async fn accept(
        io: S,
        acceptor: AcceptorContext,
        peer: Option<IpAddr>,
        options: &StreamOptions,
    ) -> io::Result<KrbStream<S>> {
        let mut stream = (io, OsRandom::new());
        let opened = handshake::accept(&mut stream, acceptor, peer, options);
        let (context, caller) = handshake::in_time(options, opened).await?;
        Ok(KrbStream::new(stream, *context, Some(caller), options))
    }

    fn new(
        (io, random): (S, OsRandom),
        context: Context,
        caller: Option<Box<Caller>>,
        options: &StreamOptions,
    ) -> Self {
        let incoming = Incoming::new(options.confidential);
        let outgoing = Outgoing::new(options.confidential);
        KrbStream { io, context, caller, random, incoming, outgoing }
    }
}

impl<S> KrbStream<S> {
    /// Who called; `None` on the caller's own side, which knows whom it called.
    pub fn caller(&self) -> Option<&Caller> {
        self.caller.as_deref()
    }

    /// The context, for its flags and for keys derived from it ([`Context::prf`]).
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The connection underneath, for its addresses and options.
    pub fn connection(&self) -> &S {
        &self.io
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for KrbStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Task<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let KrbStream { io, context, incoming, .. } = &mut *self;
        incoming.poll_read(Pin::new(io), context, task, out)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for KrbStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Task<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let KrbStream { io, context, random, outgoing, .. } = &mut *self;
        outgoing.poll_write(Pin::new(io), (context, random), task, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        let KrbStream { io, outgoing, .. } = &mut *self;
        outgoing.poll_flush(Pin::new(io), task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        let KrbStream { io, context, random, outgoing, .. } = &mut *self;
        outgoing.poll_shutdown(Pin::new(io), (context, random), task)
    }
}

impl<S> fmt::Debug for KrbStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = self.context.role();
        f.debug_struct("KrbStream").field("role", &role).field("caller", &self.caller).finish_non_exhaustive()
    }
}

/// What was being done when an error of this crate ended it.
#[derive(Debug)]
struct Failure {
    what: &'static str,
    cause: Error,
}

impl Failure {
    fn io(kind: io::ErrorKind, what: &'static str, cause: Error) -> io::Error {
        io::Error::new(kind, Failure { what, cause })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.cause)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

#[cfg(test)]
mod tests;
