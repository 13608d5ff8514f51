//! Passwords to keys: parameters and their bounds. Not here: each enctype's derivation.

use super::etype::{Profile, StringToKey};
use crate::error::{Error, Result};

/// The fewest PBKDF2 rounds that are accepted. Before the client has a reply it can trust, whoever
/// answers chooses the count (RFC 4120 5.2.7.5): fewer rounds would make guessing cheap for them.
pub const MIN_ITERATIONS: u32 = 4096;

/// The most PBKDF2 rounds that are accepted, about half a second of work: the same stranger could
/// otherwise keep the client busy for hours (RFC 3962 8).
pub const MAX_ITERATIONS: u32 = 1 << 20;

/// The number of rounds that `params` ask for, within bounds; 0 where the enctype has none.
pub(super) fn rounds(profile: &Profile, params: Option<&[u8]>) -> Result<u32> {
    match (&profile.string_to_key, params) {
        (StringToKey::Pbkdf2 { rounds, .. }, None) => Ok(*rounds),
        (StringToKey::Pbkdf2 { .. }, Some(params)) => {
            let octets = params.try_into().map_err(|_| Error::S2kParams("not four octets"))?;
            match u32::from_be_bytes(octets) {
                // Zero stands for 2^32 (RFC 3962 4).
                0 => Err(Error::S2kParams("too many iterations")),
                few if few < MIN_ITERATIONS => Err(Error::S2kParams("too few iterations")),
                many if many > MAX_ITERATIONS => Err(Error::S2kParams("too many iterations")),
                rounds => Ok(rounds),
            }
        }
        #[cfg(feature = "danger-rc4")]
        (StringToKey::Plain(_), None | Some([])) => Ok(0),
        #[cfg(feature = "danger-rc4")]
        (StringToKey::Plain(_), Some(_)) => Err(Error::S2kParams("this encryption type has none")),
    }
}

/// string-to-key (RFC 3961 3) with a number of rounds that was checked.
pub(super) fn string_to_key(
    profile: &Profile,
    password: &[u8],
    salt: &[u8],
    rounds: u32,
    out: &mut [u8],
) -> Result<()> {
    match &profile.string_to_key {
        StringToKey::Pbkdf2 { prefix, derive, .. } => {
            let salt = [prefix, salt].concat();
            derive(password, &salt, rounds, out);
            Ok(())
        }
        #[cfg(feature = "danger-rc4")]
        StringToKey::Plain(derive) => derive(password, out),
    }
}
