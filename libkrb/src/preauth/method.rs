//! The methods by which a client can prove itself before a ticket is issued: one row each.
//! Not here: which of them a KDC offers, and the rounds of asking.

use super::enc_timestamp;
use crate::codes::PaType;
use crate::crypto::{Key, Random};
use crate::error::Result;
use crate::time::Instant;

/// What a method may use to answer a KDC.
pub struct MethodContext<'a> {
    /// The client's long-term key, made when first asked for: a password may have to be typed.
    pub client_key: &'a mut dyn FnMut() -> Result<Key>,
    /// The KDC's clock, as far as it is known.
    pub now: Instant,
    /// For confounders and keys.
    pub random: &'a mut dyn Random,
}

/// A method that a client knows.
#[derive(Debug)]
pub struct ClientMethod {
    /// The element by which a KDC offers it and in which the answer goes.
    pub kind: PaType,
    /// The answer to the value of the KDC's element.
    pub answer: fn(&mut MethodContext<'_>, &[u8]) -> Result<Vec<u8>>,
}

/// Every method that a client knows. A KDC's order decides between them (RFC 6113 2.3).
pub const CLIENT_METHODS: &[ClientMethod] =
    &[ClientMethod { kind: PaType::ENC_TIMESTAMP, answer: enc_timestamp::answer }];

impl ClientMethod {
    /// The method of a kind, if there is one.
    pub fn of(kind: PaType) -> Option<&'static ClientMethod> {
        CLIENT_METHODS.iter().find(|method| method.kind == kind)
    }
}

impl std::fmt::Debug for MethodContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MethodContext").field("now", &self.now).finish_non_exhaustive()
    }
}
