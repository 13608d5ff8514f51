//! Frames that come in: gathered as their bytes arrive, opened, handed out. Not here: frames that
//! go out ([`super::outgoing`]).

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use zeroize::Zeroizing;

use super::{Failure, LENGTH, MAX_FRAME};
use crate::error::Error;
use crate::gss::Context;

/// Room for this much is there from the start; more comes with the first frame that needs it.
const ROOM: usize = 4096;

/// How far the peer's direction has come.
enum Way {
    Open,
    /// The peer said that this is all.
    Ended,
    Failed(io::ErrorKind, &'static str, Option<Error>),
}

/// The peer's direction.
pub(super) struct Incoming {
    confidential: bool,
    way: Way,
    /// What came: an opened message as far as it was not handed out, and from `start` to `end`
    /// frames that are not opened yet.
    frames: Zeroizing<Vec<u8>>,
    message: Range<usize>,
    start: usize,
    end: usize,
}

impl Incoming {
    pub(super) fn new(confidential: bool) -> Incoming {
        Incoming {
            confidential,
            way: Way::Open,
            frames: Zeroizing::new(vec![0; ROOM]),
            message: 0..0,
            start: 0,
            end: 0,
        }
    }

    pub(super) fn poll_read(
        &mut self,
        mut io: Pin<&mut impl AsyncRead>,
        context: &mut Context,
        task: &mut Task<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if out.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            let rest = self.frames.get(self.message.clone()).unwrap_or_default();
            if !rest.is_empty() {
                let some = rest.get(..out.remaining()).unwrap_or(rest);
                out.put_slice(some);
                self.message.start += some.len();
                return Poll::Ready(Ok(()));
            }
            match &self.way {
                Way::Open => {}
                Way::Ended => return Poll::Ready(Ok(())),
                Way::Failed(kind, what, cause) => return Poll::Ready(Err(failure(*kind, what, cause.clone()))),
            }
            match self.frame() {
                Ok(Some(length)) => self.open(context, length),
                Ok(None) if ready!(self.poll_fill(io.as_mut(), task))? == 0 => {
                    self.fail(
                        io::ErrorKind::UnexpectedEof,
                        "the connection was cut before the peer ended the stream",
                        None,
                    );
                }
                Ok(None) => {}
                Err(problem) => self.fail(io::ErrorKind::InvalidData, problem, None),
            }
        }
    }

    /// The length of the frame that has come whole; with `None` the room that it needs is there.
    fn frame(&mut self) -> Result<Option<usize>, &'static str> {
        let came = self.frames.get(self.start..self.end).unwrap_or_default();
        let needed = match came.first_chunk::<LENGTH>() {
            Some(length) => {
                let length = u32::from_be_bytes(*length) as usize;
                if length > MAX_FRAME {
                    return Err("a frame is longer than any may be");
                }
                if came.len() >= LENGTH + length {
                    return Ok(Some(length));
                }
                LENGTH + length
            }
            None => LENGTH,
        };
        if self.start + needed > self.frames.len() {
            let came = self.start..self.end;
            if needed > self.frames.len() {
                // What it is copied from is wiped: it may hold what was handed out.
                let mut roomy = Zeroizing::new(Vec::with_capacity(needed));
                roomy.extend_from_slice(self.frames.get(came.clone()).unwrap_or_default());
                roomy.resize(needed, 0);
                self.frames = roomy;
            } else {
                self.frames.copy_within(came.clone(), 0);
            }
            (self.start, self.end) = (0, came.len());
        }
        Ok(None)
    }

    fn poll_fill(&mut self, io: Pin<&mut impl AsyncRead>, task: &mut Task<'_>) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(self.frames.get_mut(self.end..).unwrap_or_default());
        ready!(io.poll_read(task, &mut room))?;
        let came = room.filled().len();
        self.end += came;
        Poll::Ready(Ok(came))
    }

    /// Opens the frame of this length that stands at `start`.
    fn open(&mut self, context: &mut Context, length: usize) {
        let begin = self.start + LENGTH;
        let token = self.frames.get_mut(begin..begin + length).unwrap_or_default();
        let opened = context.unwrap_in_place(token);
        self.start = begin + length;
        if self.start == self.end {
            // The next frame has the whole room, once this message is handed out.
            (self.start, self.end) = (0, 0);
        }
        match opened {
            Ok(opened) if self.confidential && !opened.confidential => {
                self.fail(io::ErrorKind::InvalidData, "the peer sent a message that is not encrypted", None);
            }
            Ok(opened) if opened.message.is_empty() => self.way = Way::Ended,
            Ok(opened) => self.message = begin + opened.message.start..begin + opened.message.end,
            Err(cause) => self.fail(io::ErrorKind::InvalidData, "a frame was refused", Some(cause)),
        }
    }

    /// How many octets there is room for.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.frames.capacity()
    }

    fn fail(&mut self, kind: io::ErrorKind, what: &'static str, cause: Option<Error>) {
        self.way = Way::Failed(kind, what, cause);
    }
}

fn failure(kind: io::ErrorKind, what: &'static str, cause: Option<Error>) -> io::Error {
    match cause {
        Some(cause) => Failure::io(kind, what, cause),
        None => io::Error::new(kind, what),
    }
}
