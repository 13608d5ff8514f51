//! How a body is had again when a request has to be sent twice. Not here: when that is
//! ([`super::exchange`]).

use http_body::Body;

/// The same body once more, if it can be had.
pub type Resend<B> = Box<dyn Fn() -> Option<B> + Send>;

/// A way to have a body again.
pub trait Replay<B> {
    /// The body to send, and how to have it again.
    fn keep(&self, body: B) -> (B, Resend<B>);
}

/// Requests with a body are sent once; those without can be sent again.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptyBody;

impl<B: Body + Default> Replay<B> for EmptyBody {
    fn keep(&self, body: B) -> (B, Resend<B>) {
        let empty = body.is_end_stream();
        (body, Box::new(move || empty.then(B::default)))
    }
}

/// Bodies are cloned, as is cheap for those that stand in memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClonedBody;

impl<B: Clone + Send + 'static> Replay<B> for ClonedBody {
    fn keep(&self, body: B) -> (B, Resend<B>) {
        let copy = body.clone();
        (body, Box::new(move || Some(copy.clone())))
    }
}

/// Nothing is sent twice.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoReplay;

impl<B> Replay<B> for NoReplay {
    fn keep(&self, body: B) -> (B, Resend<B>) {
        (body, Box::new(|| None))
    }
}
