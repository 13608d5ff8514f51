//! The body of an answer: the service's own, or a few words of ours.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of an answer that came through a layer.
    #[derive(Debug)]
    pub struct Body<B> {
        #[pin]
        inner: Inner<B>,
    }
}

pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum Inner<B> {
        Theirs { #[pin] body: B },
        Ours { words: Option<Bytes> },
    }
}

impl<B> Body<B> {
    /// The service's.
    pub(super) fn theirs(body: B) -> Body<B> {
        Body { inner: Inner::Theirs { body } }
    }

    /// Ours.
    pub(super) fn ours(words: String) -> Body<B> {
        Body { inner: Inner::Ours { words: Some(Bytes::from(words)).filter(|words| !words.is_empty()) } }
    }
}

impl<B: http_body::Body<Data = Bytes>> http_body::Body for Body<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().inner.project() {
            Projected::Theirs { body } => body.poll_frame(context),
            Projected::Ours { words } => Poll::Ready(words.take().map(|words| Ok(Frame::data(words)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Theirs { body } => body.is_end_stream(),
            Inner::Ours { words } => words.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Theirs { body } => body.size_hint(),
            Inner::Ours { words } => SizeHint::with_exact(words.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}
