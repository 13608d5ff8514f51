//! A body that is remembered while it is sent, so that it can be sent again from its beginning: what
//! has gone of it so far, and then the rest. Not here: when that is wanted.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use crate::http::client::{Replay, Resend};

/// No more than this is remembered of a body.
const MOST: usize = 64 * 1024;

/// Bodies of tonic's are had again by remembering them.
#[derive(Clone, Copy, Debug)]
pub struct Recorded;

impl Replay<Body> for Recorded {
    fn keep(&self, body: Body) -> (Body, Resend<Body>) {
        let tape = Tape { body: Some(body), ..Tape::default() };
        let (recorder, tape) = Recorder::new(tape);
        let tape = Mutex::new(tape);
        let resend = move || {
            let mut held = locked(&tape);
            let again = locked(&held).rewound()?;
            let (recorder, next) = Recorder::new(again);
            *held = next;
            Some(Body::new(recorder))
        };
        (Body::new(recorder), Box::new(resend))
    }
}

#[derive(Default)]
struct Tape {
    /// What is to be sent before the rest.
    first: VecDeque<Bytes>,
    /// The rest; `None` once somebody else sends it.
    body: Option<Body>,
    /// What was sent.
    sent: Vec<Bytes>,
    /// Whether something was sent that is not remembered.
    torn: bool,
}

impl Tape {
    /// The whole body as far as it is known, and its rest.
    fn rewound(&mut self) -> Option<Tape> {
        if self.torn {
            return None;
        }
        let body = Some(self.body.take()?);
        let first = self.sent.drain(..).chain(self.first.drain(..)).collect();
        Some(Tape { first, body, ..Tape::default() })
    }

    fn remember(&mut self, frame: &Frame<Bytes>) {
        match frame.data_ref() {
            Some(data) if !self.torn => {
                self.sent.push(data.clone());
                self.torn = self.sent.iter().map(Bytes::len).sum::<usize>() > MOST;
            }
            _ => self.torn = true,
        }
        if self.torn {
            self.sent.clear();
        }
    }
}

struct Recorder(Arc<Mutex<Tape>>);

impl Recorder {
    fn new(tape: Tape) -> (Recorder, Arc<Mutex<Tape>>) {
        let tape = Arc::new(Mutex::new(tape));
        (Recorder(tape.clone()), tape)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl http_body::Body for Recorder {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut tape = locked(&self.0);
        // Nobody will ask for it any more.
        tape.torn |= Arc::strong_count(&self.0) == 1;
        let frame = match (tape.first.pop_front(), &mut tape.body) {
            (Some(data), _) => Frame::data(data),
            (None, None) => return Poll::Ready(Some(Err(Status::cancelled("the call is made again")))),
            (None, Some(body)) => match ready!(Pin::new(body).poll_frame(task)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            },
        };
        tape.remember(&frame);
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        let tape = locked(&self.0);
        tape.first.is_empty() && tape.body.as_ref().is_some_and(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let tape = locked(&self.0);
        match &tape.body {
            Some(body) if tape.first.is_empty() => body.size_hint(),
            _ => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http_body::Body as _;

    use super::*;

    /// Frames in a row, and a pause where one is missing.
    #[derive(Clone)]
    struct Frames(VecDeque<Option<&'static [u8]>>);

    impl http_body::Body for Frames {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            match self.0.pop_front() {
                None => Poll::Ready(None),
                Some(None) => Poll::Pending,
                Some(Some(data)) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(data))))),
            }
        }
    }

    fn kept(frames: &[Option<&'static [u8]>]) -> (Body, Resend<Body>) {
        Recorded.keep(Body::new(Frames(frames.iter().copied().collect())))
    }

    /// What comes until the body ends, fails or pauses.
    fn read(body: &mut Body) -> (Vec<u8>, Option<Result<(), Status>>) {
        let mut got = vec![];
        loop {
            match Pin::new(&mut *body).poll_frame(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => return (got, None),
                Poll::Ready(None) => return (got, Some(Ok(()))),
                Poll::Ready(Some(Err(status))) => return (got, Some(Err(status))),
                Poll::Ready(Some(Ok(frame))) => got.extend_from_slice(&frame.into_data().unwrap()),
            }
        }
    }

    #[test]
    fn a_body_is_had_again_from_its_beginning_as_often_as_wanted() {
        let (mut body, resend) = kept(&[Some(b"one "), Some(b"two")]);
        for _ in 0..3 {
            let (got, end) = read(&mut body);
            assert_eq!((got.as_slice(), end.unwrap().is_ok()), (&b"one two"[..], true));
            body = resend().unwrap();
        }
    }

    #[test]
    fn what_was_not_sent_yet_is_sent_by_the_one_who_sends_again() {
        let (mut first, resend) = kept(&[Some(b"one "), None, Some(b"two")]);
        assert_eq!(read(&mut first).0, b"one ");
        let mut second = resend().unwrap();
        let (got, end) = read(&mut first);
        assert!(got.is_empty() && end.unwrap().unwrap_err().code() == tonic::Code::Cancelled);
        assert_eq!(read(&mut second).0, b"one two");
        let mut third = resend().unwrap();
        assert_eq!(read(&mut third).0, b"one two");
    }

    #[test]
    fn more_than_is_remembered_is_not_had_again() {
        static LARGE: [u8; MOST] = [7; MOST];
        let (mut body, resend) = kept(&[Some(&LARGE)]);
        assert_eq!(read(&mut body).0.len(), MOST);
        assert!(resend().is_some());
        let (mut body, resend) = kept(&[Some(&LARGE), Some(b"x")]);
        assert_eq!(read(&mut body).0.len(), MOST + 1);
        assert!(resend().is_none());
    }

    #[test]
    fn nothing_is_remembered_once_nobody_can_ask() {
        let (recorder, tape) = Recorder::new(Tape {
            body: Some(Body::new(Frames(VecDeque::from([Some(&b"one"[..]), Some(b"two")])))),
            ..Tape::default()
        });
        let weak = Arc::downgrade(&tape);
        let mut body = Body::new(recorder);
        drop(tape);
        assert_eq!(read(&mut body).0, b"onetwo");
        assert!(locked(&weak.upgrade().unwrap()).sent.is_empty());
    }
}
