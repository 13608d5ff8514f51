//! KRB-ERROR as a client reads it (RFC 4120 5.9.1). Anyone on the way can make one: it is a hint
//! for the next try and a reason to stop, never proof, and its text goes nowhere.

use crate::codes::PaType;
use crate::error::{Error, ErrorCode, Result};
use crate::preauth::Elements;
use crate::time::Instant;
use crate::wire::{self, KrbError, List, MethodData, TypedData};

/// What counts of a KRB-ERROR.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal<'a> {
    pub code: ErrorCode,
    /// What the KDC's clock shows, it says.
    pub clock: Instant,
    /// Which realm the client may be of, it says.
    pub client_realm: Option<&'a str>,
    /// METHOD-DATA, if there is any.
    pub methods: MethodData<'a>,
    /// e-data, whatever it is.
    pub data: &'a [u8],
}

impl<'a> Refusal<'a> {
    pub fn read(reply: &'a [u8]) -> Result<Refusal<'a>> {
        let error: KrbError<'_> = wire::decode(reply)?;
        let code = if error.code == ErrorCode::NONE { ErrorCode::GENERIC } else { error.code };
        let micros = if error.server_micros < 1_000_000 { error.server_micros } else { 0 };
        let data = error.data.unwrap_or_default();
        let methods = wire::decode(data).unwrap_or_default();
        let clock = Instant { time: error.server_time, micros };
        Ok(Refusal { code, clock, client_realm: error.client_realm, methods, data })
    }

    /// The elements of TYPED-DATA, whose numbers are those of pre-authentication data (RFC 6113 7).
    pub fn typed(&self) -> Elements {
        let typed: List<'_, TypedData<'_>> = wire::decode(self.data).unwrap_or_default();
        let element = |data: TypedData<'_>| (PaType(data.kind), data.value.unwrap_or_default().to_vec());
        typed.iter().map(element).collect()
    }

    /// The refusal as what ends an exchange.
    pub fn error(&self) -> Error {
        Error::code(self.code)
    }
}
