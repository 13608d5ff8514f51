//! The pseudo-random function and what RFC 6113 5.1 builds of it. Not here: each enctype's own.

use zeroize::Zeroizing;

use super::Key;
use super::mac::copy;
use crate::error::{Error, Result};

/// The longest PRF output of any enctype.
const PRF_MAX: usize = 48;

/// RFC 3961 3.
pub(super) fn prf(key: &Key, data: &[u8], out: &mut [u8]) {
    (key.profile().prf)(key.expose())(data, out);
}

/// How much PRF+ can give: its counter is one octet and starts at 1.
pub(super) fn longest(key: &Key) -> usize {
    255 * key.profile().prf_len
}

/// PRF+ (RFC 6113 5.1): PRF of 1 | data, then of 2 | data, and so on, cut to the length of `out`.
pub(super) fn prf_plus(key: &Key, data: &[u8], out: &mut [u8]) -> Result<()> {
    if out.len() > longest(key) {
        return Err(Error::Malformed("more asked of PRF+ than its counter can count"));
    }
    let length = key.profile().prf_len;
    let mut input = Zeroizing::new(Vec::with_capacity(1 + data.len()));
    let mut block = Zeroizing::new([0; PRF_MAX]);
    let (block, _) = block.split_at_mut(length);
    let prf = (key.profile().prf)(key.expose());
    for (number, piece) in (1u8..=255).zip(out.chunks_mut(length)) {
        input.clear();
        input.push(number);
        input.extend_from_slice(data);
        prf(&input, block);
        copy(block, piece);
    }
    Ok(())
}

/// KRB-FX-CF2 (RFC 6113 5.1): the PRF+ of each key and its pepper, added bit by bit.
pub(super) fn cf2(keys: [(&Key, &[u8]); 2], out: &mut [u8]) -> Result<()> {
    out.fill(0);
    for (key, pepper) in keys {
        let mut stream = Zeroizing::new(vec![0; out.len()]);
        prf_plus(key, pepper, &mut stream)?;
        for (to, from) in out.iter_mut().zip(stream.iter()) {
            *to ^= from;
        }
    }
    Ok(())
}
