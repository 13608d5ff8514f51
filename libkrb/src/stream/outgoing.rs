//! Frames that go out: what is written is sealed at once, and one frame at most waits for the
//! connection. Not here: frames that come in ([`super::incoming`]).

use std::io;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};

use tokio::io::AsyncWrite;
use zeroize::Zeroizing;

use super::{Failure, LENGTH, MAX_FRAME};
use crate::crypto::OsRandom;
use crate::error::{Error, Result};
use crate::gss::Context;

/// The longest message of a frame. Shorter than what is taken: the reader gets its first bytes
/// sooner, and both sides hold less.
const MESSAGE: usize = 16 * 1024;

/// Our direction.
pub(super) struct Outgoing {
    confidential: bool,
    /// A sealed frame, and how much of it is on its way.
    frame: Zeroizing<Vec<u8>>,
    sent: usize,
    /// Whether the end was said.
    ended: bool,
}

impl Outgoing {
    pub(super) fn new(confidential: bool) -> Outgoing {
        Outgoing { confidential, frame: Zeroizing::new(Vec::new()), sent: 0, ended: false }
    }

    pub(super) fn poll_write(
        &mut self,
        mut io: Pin<&mut impl AsyncWrite>,
        sealer: (&mut Context, &mut OsRandom),
        task: &mut Task<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, "the stream was shut down")));
        }
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_drain(io.as_mut(), task))?;
        let message = data.get(..MESSAGE).unwrap_or(data);
        self.seal(sealer, message)?;
        // It is taken, whether or not the connection has room for it now.
        match self.poll_drain(io, task) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(message.len())),
        }
    }

    pub(super) fn poll_flush(
        &mut self,
        mut io: Pin<&mut impl AsyncWrite>,
        task: &mut Task<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(io.as_mut(), task))?;
        io.poll_flush(task)
    }

    /// Says the end, which is an empty message, and closes the connection's direction.
    pub(super) fn poll_shutdown(
        &mut self,
        mut io: Pin<&mut impl AsyncWrite>,
        sealer: (&mut Context, &mut OsRandom),
        task: &mut Task<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ended {
            ready!(self.poll_drain(io.as_mut(), task))?;
            self.seal(sealer, &[])?;
            self.ended = true;
        }
        ready!(self.poll_drain(io.as_mut(), task))?;
        io.poll_shutdown(task)
    }

    /// How many octets there is room for.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.frame.capacity()
    }

    /// Makes the next frame; the last one is gone.
    fn seal(&mut self, (context, random): (&mut Context, &mut OsRandom), message: &[u8]) -> io::Result<()> {
        self.fill(context, random, message).map_err(|cause| {
            self.frame.clear();
            Failure::io(io::ErrorKind::InvalidData, "a message was not sealed", cause)
        })
    }

    /// The length, and a Wrap token made where it stands.
    fn fill(&mut self, context: &mut Context, random: &mut OsRandom, message: &[u8]) -> Result<()> {
        let room = context.wrap_room(self.confidential)?;
        let length = room.before + message.len() + room.after;
        let octets = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME);
        let octets = octets.ok_or(Error::Malformed("a frame longer than any may be"))?;
        self.frame.clear();
        self.sent = 0;
        self.frame.extend_from_slice(&octets.to_be_bytes());
        self.frame.resize(LENGTH + room.before, 0);
        self.frame.extend_from_slice(message);
        self.frame.resize(LENGTH + length, 0);
        let token = self.frame.get_mut(LENGTH..).unwrap_or_default();
        context.wrap_in_place(random, self.confidential, token)
    }

    /// Brings what is left of the frame on its way.
    fn poll_drain(&mut self, mut io: Pin<&mut impl AsyncWrite>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        loop {
            let rest = self.frame.get(self.sent..).unwrap_or_default();
            if rest.is_empty() {
                self.frame.clear();
                self.sent = 0;
                return Poll::Ready(Ok(()));
            }
            match ready!(io.as_mut().poll_write(task, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
    }
}
