//! Why a request is not let in: in full for the own log, by name for counters, and in words without
//! detail for the one who asked.

use std::fmt;

#[cfg(feature = "grpc")]
use http::HeaderValue;
use http::{Extensions, StatusCode};

use super::gate::Looked;
use crate::error::{Error, ErrorCode};

/// Why a request was refused.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reason {
    /// It brought nothing; the first request of most clients.
    NoCredentials,
    /// It brought credentials of another scheme.
    OtherScheme,
    /// It has more than one Authorization header.
    SeveralHeaders,
    /// Its header or token cannot be read; the text says where.
    Malformed(&'static str),
    /// Its token is larger than the layer takes.
    TooLarge,
    /// Its negotiation needs a further leg, which cannot be had; the text says why.
    Legs(&'static str),
    /// Its negotiation goes on: the answer bears our token. No refusal yet.
    Continue,
    /// Its session is over or was never ours; the text says which.
    Session(&'static str),
    /// Its token was refused.
    Token(Error),
    /// It is known who sent it, but that one may not do this; the text says by which rule.
    Denied(String),
    /// Its ticket is the anonymous principal's.
    Anonymous,
    /// No layer has looked who sent it: the service is put together wrongly.
    NoLayer,
}

/// What the one who asked is told.
pub(super) struct Row {
    name: &'static str,
    pub(super) status: StatusCode,
    /// The status of gRPC.
    pub(super) grpc: u8,
    pub(super) words: &'static str,
}

const UNAUTHENTICATED: u8 = 16;
const PERMISSION_DENIED: u8 = 7;
const INTERNAL: u8 = 13;
const UNAVAILABLE: u8 = 14;

macro_rules! rows {
    ($($row:ident = $name:literal, $status:ident, $grpc:ident, $words:literal;)*) => {
        $(const $row: &Row = &Row { name: $name, status: StatusCode::$status, grpc: $grpc, words: $words };)*
    };
}

rows! {
    NO_CREDENTIALS = "no-credentials", UNAUTHORIZED, UNAUTHENTICATED,
        "This service wants a Kerberos ticket: get one with kinit, and call with a client that speaks Negotiate.";
    OTHER_SCHEME = "other-scheme", UNAUTHORIZED, UNAUTHENTICATED,
        "This service takes no other credentials than Kerberos tickets: get one with kinit, and call with Negotiate.";
    SEVERAL_HEADERS = "several-headers", BAD_REQUEST, UNAUTHENTICATED,
        "The request has more than one Authorization header; send one.";
    MALFORMED = "malformed", BAD_REQUEST, UNAUTHENTICATED,
        "The Authorization header cannot be read: it has to be Negotiate, a blank, and a token in base64.";
    TOO_LARGE = "too-large", BAD_REQUEST, UNAUTHENTICATED,
        "The Negotiate token is larger than this service takes.";
    LEGS = "legs", UNAUTHORIZED, UNAUTHENTICATED,
        "The negotiation cannot go on over this connection: begin anew, with a Kerberos token at once.";
    CONTINUE = "continue", UNAUTHORIZED, UNAUTHENTICATED,
        "The negotiation goes on.";
    SESSION = "session", UNAUTHORIZED, UNAUTHENTICATED,
        "The session is over: authenticate again with Negotiate.";
    DENIED = "denied", FORBIDDEN, PERMISSION_DENIED,
        "It is known who you are, but you may not do this.";
    ANONYMOUS = "anonymous", FORBIDDEN, PERMISSION_DENIED,
        "This service wants to know who you are: call with a ticket that bears your name.";
    NO_LAYER = "no-layer", INTERNAL_SERVER_ERROR, INTERNAL,
        "The service is not set up to find out who calls; its log says more.";
    TOKEN_TIME = "token", UNAUTHORIZED, UNAUTHENTICATED,
        "The ticket is not valid now: check the clock of your machine, and get a new ticket with kinit.";
    TOKEN_REPEAT = "token", UNAUTHORIZED, UNAUTHENTICATED,
        "This token was used before: every request needs a new one, or a session.";
    TOKEN_UNAVAILABLE = "token", SERVICE_UNAVAILABLE, UNAVAILABLE,
        "The service cannot check tokens at the moment: try again a little later.";
    TOKEN = "token", UNAUTHORIZED, UNAUTHENTICATED,
        "The token was not accepted: get a new ticket with kinit. If that does not help, the service's log says why.";
}

impl Reason {
    pub(super) fn row(&self) -> &'static Row {
        match self {
            Reason::NoCredentials => NO_CREDENTIALS,
            Reason::OtherScheme => OTHER_SCHEME,
            Reason::SeveralHeaders => SEVERAL_HEADERS,
            Reason::Malformed(_) => MALFORMED,
            Reason::TooLarge => TOO_LARGE,
            Reason::Legs(_) => LEGS,
            Reason::Continue => CONTINUE,
            Reason::Session(_) => SESSION,
            Reason::Token(error) => token_row(error.wire_code()),
            Reason::Denied(_) => DENIED,
            Reason::Anonymous => ANONYMOUS,
            Reason::NoLayer => NO_LAYER,
        }
    }

    /// A name that does not change, for counters and logs.
    pub fn name(&self) -> &'static str {
        self.row().name
    }

    /// The code of the refusal, if a token was refused.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Reason::Token(error) => Some(error.wire_code()),
            _ => None,
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.row().status
    }

    /// Why nobody is known to call: the layer has let the request pass without, or there is no layer.
    pub(in crate::http) fn of_missing(extensions: &Extensions) -> Reason {
        if extensions.get::<Looked>().is_some() { Reason::NoCredentials } else { Reason::NoLayer }
    }

    /// The code of gRPC and the words for the one who asked.
    #[cfg(feature = "grpc")]
    pub(in crate::http) fn grpc(&self) -> (u8, &'static str) {
        (self.row().grpc, self.row().words)
    }

    /// The value of WWW-Authenticate where there is something to answer to it.
    #[cfg(feature = "grpc")]
    pub(in crate::http) fn challenge(&self) -> Option<HeaderValue> {
        (self.status() == StatusCode::UNAUTHORIZED).then(|| super::header::challenge(None))
    }

    /// Whether an honest client hears it too, on its way in.
    pub(super) fn is_challenge(&self) -> bool {
        matches!(self, Reason::NoCredentials | Reason::Continue)
    }
}

/// The KRB-ERROR in the answer's token bears the code anyway; the words say what its owner can do.
fn token_row(code: ErrorCode) -> &'static Row {
    match code {
        ErrorCode::SKEW | ErrorCode::TKT_EXPIRED | ErrorCode::TKT_NYV => TOKEN_TIME,
        ErrorCode::REPEAT => TOKEN_REPEAT,
        ErrorCode::SVC_UNAVAILABLE => TOKEN_UNAVAILABLE,
        _ => TOKEN,
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Malformed(text) | Reason::Legs(text) | Reason::Session(text) => {
                write!(f, "{}: {text}", self.name())
            }
            Reason::Token(error) => write!(f, "token refused: {error}"),
            Reason::Denied(text) => write!(f, "denied: {text}"),
            _ => f.write_str(self.name()),
        }
    }
}
