//! A handler or a requirement wants a caller and there is none.

use http::Response;
use http::request::Parts;

use super::answer::Refused;
use super::asked::Asked;
use super::body::Body;
use super::{Reason, log};

/// Nobody is known to call: because the layer let the request pass without, or because there is no
/// layer.
#[derive(Debug)]
pub struct Missing {
    asked: Asked,
    refused: Refused,
}

impl Missing {
    /// What is missing in a request.
    pub fn of(parts: &Parts) -> Missing {
        let reason = Reason::of_missing(&parts.extensions);
        Missing { asked: Asked::of(&parts.method, &parts.uri, &parts.headers), refused: reason.into() }
    }

    /// Why there is no caller.
    pub fn reason(&self) -> &Reason {
        &self.refused.reason
    }

    /// A challenge where a layer would hear the answer to it, else an error of the server.
    pub fn answer(&self) -> Response<Body<String>> {
        log::refused(&self.asked, self.reason());
        self.refused.answer(&self.asked)
    }
}
