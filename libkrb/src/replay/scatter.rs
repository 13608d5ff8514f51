//! Where a digest is filed, in a way that nobody outside can foretell: who has a session key may
//! search for authenticators whose digests look alike. Not here: what makes two digests equal.

use super::ReplayKey;

/// A secret function from digests to evenly spread numbers: both halves of a digest, each masked by
/// half of the secret, multiplied, and the product folded.
#[derive(Clone, Copy)]
pub(super) struct Scatter {
    secret: [u64; 2],
}

impl Scatter {
    pub(super) const fn new(secret: [u64; 2]) -> Scatter {
        Scatter { secret }
    }

    pub(super) fn of(self, key: u128) -> u64 {
        let [low, high] = halves(key);
        let product = u128::from(low ^ self.secret[0]) * u128::from(high ^ self.secret[1]);
        let [low, high] = halves(product);
        low ^ high
    }
}

fn halves(number: u128) -> [u64; 2] {
    [number as u64, (number >> 64) as u64]
}

/// Spreads numbers over `places` by their upper bits, so that their lower ones stay free for another choice.
pub(super) fn place(scattered: u64, places: usize) -> usize {
    ((u128::from(scattered) * places as u128) >> 64) as usize
}

impl ReplayKey {
    /// The digest as a number.
    pub(super) fn number(self) -> u128 {
        u128::from_le_bytes(self.0)
    }
}
