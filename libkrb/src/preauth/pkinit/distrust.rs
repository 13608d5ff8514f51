//! Why a certificate, a signature or a key agreement is not accepted, in the codes of RFC 4556 3.1.3.

use std::fmt;

use crate::error::{Error, ErrorCode};

/// A refusal: the code for the wire, and constant words for whoever reads a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distrust {
    /// The code.
    pub code: ErrorCode,
    /// What was wrong.
    pub cause: &'static str,
}

impl Distrust {
    /// A refusal.
    pub const fn new(code: ErrorCode, cause: &'static str) -> Self {
        Distrust { code, cause }
    }

    /// Replaces an error of decoding or computing by this refusal.
    pub(crate) fn because(code: ErrorCode, cause: &'static str) -> impl Fn(Error) -> Distrust {
        move |_| Distrust { code, cause }
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.cause)
    }
}

impl std::error::Error for Distrust {}

/// What a client says of a KDC that it does not believe.
impl From<Distrust> for Error {
    fn from(distrust: Distrust) -> Error {
        Error::protocol(ErrorCode::KDC_NOT_TRUSTED, distrust.cause)
    }
}
