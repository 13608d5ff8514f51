//! Why an AP-REQ was refused: for the log, and as the KRB-ERROR to answer (RFC 4120 5.9.1).

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorCode};
use crate::name::Principal;
use crate::time::Instant;
use crate::wire::{self, Fixed, KrbError};

/// What is known of a request, for the answer.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) now: Instant,
    pub(super) server: Arc<Principal>,
    /// The client's clock, from a decrypted authenticator.
    pub(super) client: Option<Instant>,
}

/// An AP-REQ was refused.
#[derive(Clone, Debug)]
pub struct AcceptError {
    cause: Error,
    context: Box<Context>,
}

impl AcceptError {
    pub(super) fn new(cause: Error, context: Context) -> Self {
        AcceptError { cause, context: Box::new(context) }
    }

    /// What went wrong.
    pub fn cause(&self) -> &Error {
        &self.cause
    }

    /// The code for the client.
    pub fn code(&self) -> ErrorCode {
        self.cause.wire_code()
    }

    /// The KRB-ERROR to send back. It bears our clock, from which a client learns how far its own is
    /// off, and the code's text: what we know of the cause is for our own log.
    pub fn krb_error(&self) -> Vec<u8> {
        let Context { now, server, client } = &*self.context;
        wire::encode(&KrbError {
            version: Fixed,
            kind: Fixed,
            client_time: client.map(|client| client.time),
            client_micros: client.map(|client| client.micros),
            server_time: now.time,
            server_micros: now.micros,
            code: self.code(),
            client_realm: None,
            client: None,
            realm: server.realm(),
            server: (&**server).into(),
            text: Some(self.code().text()),
            data: None,
        })
    }
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl std::error::Error for AcceptError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

impl From<AcceptError> for Error {
    fn from(error: AcceptError) -> Error {
        error.cause
    }
}
