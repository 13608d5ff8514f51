//! The pseudo-random function and what RFC 6113 5.1 builds of it. Not here: each enctype's own.

use std::fmt;
use std::sync::{Arc, OnceLock};

use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use super::Key;
use super::etype::{KEY_MAX, Profile};
use super::mac::copy;
use crate::codes::EncryptionType;
use crate::error::{Error, Result};

/// The longest PRF output of any enctype.
const PRF_MAX: usize = 48;

/// The pseudo-random function under one key (RFC 3961 3).
pub(super) trait PseudoRandom: Send + Sync {
    /// Of two pieces, one after the other. `out` is as long as the profile says.
    fn prf(&self, data: [&[u8]; 2], out: &mut [u8]);

    /// PRF+ (RFC 6113 5.1): PRF of 1 | pepper, then of 2 | pepper, and so on, cut to the length of `out`.
    fn stream(&self, pepper: &Pepper<'_>, out: &mut [u8]);
}

/// PRF+ block by block, each of so many octets.
pub(super) fn blocks(prf: &impl PseudoRandom, pepper: &Pepper<'_>, length: usize, out: &mut [u8]) {
    let mut block = Zeroizing::new([0; PRF_MAX]);
    let (block, _) = block.split_at_mut(length);
    for (counter, piece) in (1u8..=255).zip(out.chunks_mut(length)) {
        prf.prf([&[counter], pepper.octets], block);
        copy(block, piece);
    }
}

/// Blocks of PRF+ that make a key, where the function hashes its input.
const HASHED: usize = 2;

/// Octets that keys are combined with (RFC 6113 5.1), the same for all keys: so is what a hash makes of
/// them.
pub struct Pepper<'a> {
    octets: &'a [u8],
    sha1: OnceLock<[[u8; 20]; HASHED]>,
}

impl<'a> Pepper<'a> {
    /// Of these octets. One that stays in a `static` is hashed once.
    pub const fn new(octets: &'a [u8]) -> Self {
        Pepper { octets, sha1: OnceLock::new() }
    }

    /// The hashes of counter and pepper, for the first blocks.
    pub(super) fn sha1(&self) -> &[[u8; 20]; HASHED] {
        let hash = |counter| Sha1::new().chain_update([counter]).chain_update(self.octets).finalize().into();
        self.sha1.get_or_init(|| [hash(1), hash(2)])
    }
}

/// A key prepared for its pseudo-random function (RFC 3961 3). Cloning is cheap.
#[derive(Clone)]
pub struct PreparedPrf {
    pub(super) profile: &'static Profile,
    pub(super) prf: Arc<dyn PseudoRandom>,
}

impl PreparedPrf {
    /// The enctype of the key.
    pub fn etype(&self) -> EncryptionType {
        self.profile.etype
    }

    /// RFC 3961 3: `out` is as long as the profile says.
    pub(super) fn prf(&self, data: &[u8], out: &mut [u8]) {
        self.prf.prf([data, &[]], out);
    }

    /// How much PRF+ can give: its counter is one octet and starts at 1.
    pub(super) fn longest(&self) -> usize {
        255 * self.profile.prf_len
    }

    /// PRF+ (RFC 6113 5.1): PRF of 1 | pepper, then of 2 | pepper, and so on, cut to the length of `out`.
    ///
    /// # Errors
    /// [`Error::Malformed`] for more than 255 times the length of the PRF.
    pub fn prf_plus(&self, pepper: &Pepper<'_>, out: &mut [u8]) -> Result<()> {
        if out.len() > self.longest() {
            return Err(Error::Malformed("more asked of PRF+ than its counter can count"));
        }
        self.prf.stream(pepper, out);
        Ok(())
    }

    /// KRB-FX-CF2 (RFC 6113 5.1): one key of two, of this one's enctype: the PRF+ of each with its
    /// pepper, added bit by bit.
    ///
    /// # Errors
    /// None for the enctypes of this library.
    pub fn cf2(&self, pepper: &Pepper<'_>, other: &PreparedPrf, other_pepper: &Pepper<'_>) -> Result<Key> {
        Key::made(self.profile, |out| {
            self.prf_plus(pepper, out)?;
            let mut stream = Zeroizing::new([0; KEY_MAX]);
            let (stream, _) = stream.split_at_mut(out.len());
            other.prf_plus(other_pepper, stream)?;
            for (to, from) in out.iter_mut().zip(stream) {
                *to ^= *from;
            }
            Ok(())
        })
    }
}

impl fmt::Debug for Pepper<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pepper").field(&self.octets.escape_ascii().to_string()).finish()
    }
}

impl fmt::Debug for PreparedPrf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreparedPrf({}, redacted)", self.profile.etype)
    }
}
