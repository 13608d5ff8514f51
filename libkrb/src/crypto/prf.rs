//! The pseudo-random function and what RFC 6113 5.1 builds of it. Not here: each enctype's own.

use std::fmt;

use zeroize::Zeroizing;

use super::Key;
use super::etype::{KEY_MAX, Prf, Profile};
use super::mac::copy;
use crate::codes::EncryptionType;
use crate::error::{Error, Result};

/// The longest PRF output of any enctype.
const PRF_MAX: usize = 48;

/// The longest input of PRF+ that needs no allocation: every pepper of FAST is shorter.
const SHORT: usize = 64;

/// A key prepared for its pseudo-random function (RFC 3961 3). Cloning is cheap.
#[derive(Clone)]
pub struct PreparedPrf {
    pub(super) profile: &'static Profile,
    pub(super) prf: Prf,
}

impl PreparedPrf {
    /// The enctype of the key.
    pub fn etype(&self) -> EncryptionType {
        self.profile.etype
    }

    /// RFC 3961 3: `out` is as long as the profile says.
    pub(super) fn prf(&self, data: &[u8], out: &mut [u8]) {
        (self.prf)(data, out);
    }

    /// How much PRF+ can give: its counter is one octet and starts at 1.
    pub(super) fn longest(&self) -> usize {
        255 * self.profile.prf_len
    }

    /// PRF+ (RFC 6113 5.1): PRF of 1 | data, then of 2 | data, and so on, cut to the length of `out`.
    ///
    /// # Errors
    /// [`Error::Malformed`] for more than 255 times the length of the PRF.
    pub fn prf_plus(&self, data: &[u8], out: &mut [u8]) -> Result<()> {
        if out.len() > self.longest() {
            return Err(Error::Malformed("more asked of PRF+ than its counter can count"));
        }
        let (mut short, mut long) = (Zeroizing::new([0; SHORT]), Zeroizing::new(vec![]));
        let input = match short.get_mut(..=data.len()) {
            Some(short) => short,
            None => {
                long.resize(1 + data.len(), 0);
                &mut *long
            }
        };
        let Some((counter, rest)) = input.split_first_mut() else { return Ok(()) };
        copy(data, rest);
        *counter = 0;
        let length = self.profile.prf_len;
        let mut block = Zeroizing::new([0; PRF_MAX]);
        let (block, _) = block.split_at_mut(length);
        for piece in out.chunks_mut(length) {
            if let Some(counter) = input.first_mut() {
                *counter += 1;
            }
            self.prf(input, block);
            copy(block, piece);
        }
        Ok(())
    }

    /// KRB-FX-CF2 (RFC 6113 5.1): one key of two, of this one's enctype: the PRF+ of each with its
    /// pepper, added bit by bit.
    ///
    /// # Errors
    /// None for the enctypes of this library.
    pub fn cf2(&self, pepper: &[u8], other: &PreparedPrf, other_pepper: &[u8]) -> Result<Key> {
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

impl fmt::Debug for PreparedPrf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreparedPrf({}, redacted)", self.profile.etype)
    }
}
