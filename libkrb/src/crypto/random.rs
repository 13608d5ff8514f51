//! Where unpredictable bytes come from. Not here: what they are used for.

use std::fmt;

use aes::Aes256Enc;
use cbc::cipher::BlockCipherEncrypt;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::cts::Block;
use super::mac::{copy, keyed};

/// A source of unpredictable bytes. The core is given one; tests give it a script.
pub trait Random {
    /// Fills `out`.
    fn fill(&mut self, out: &mut [u8]);
}

/// Octets of the key that makes the next batch.
const KEY: usize = 32;

/// Octets made at once, the next key among them.
const BATCH: usize = 512;

/// Batches made of one seed: a stolen state is worth little for long.
const BATCHES: u32 = 128;

/// Bytes grown from the operating system's (RFC 4086), for a confounder costs less than the call
/// into the kernel that would fetch it: AES-256 in counter mode under a key that is replaced by the
/// first octets of each batch, so that what was handed out cannot be computed again, and seeded
/// afresh after 64 KiB.
///
/// Not to be carried over a `fork`: both processes would hand out the same bytes.
#[derive(ZeroizeOnDrop)]
pub struct OsRandom {
    batch: [u8; BATCH],
    /// How much of the end of the batch has not been handed out.
    left: usize,
    /// How many batches the seed is still good for.
    batches: u32,
}

impl OsRandom {
    /// A generator that will ask for its seed when it is first used.
    pub fn new() -> OsRandom {
        OsRandom { batch: [0; BATCH], left: 0, batches: 0 }
    }

    /// Makes the next batch of the key that the last one began with.
    fn refill(&mut self) {
        let (key, _) = self.batch.split_at_mut(KEY);
        if self.batches == 0 {
            seed(key);
            self.batches = BATCHES;
        }
        let cipher: Aes256Enc = keyed(key);
        for (number, block) in (0u128..).zip(self.batch.as_chunks_mut::<16>().0) {
            *block = number.to_be_bytes();
        }
        cipher.encrypt_blocks(Block::slice_as_chunks_mut(&mut self.batch).0);
        self.batches -= 1;
        self.left = BATCH - KEY;
    }
}

impl Random for OsRandom {
    /// # Panics
    /// When the system's generator fails. Keys and confounders from anywhere else would be worse
    /// than no process, and no caller could do better.
    fn fill(&mut self, out: &mut [u8]) {
        for piece in out.chunks_mut(BATCH - KEY) {
            if self.left < piece.len() {
                self.refill();
            }
            let (_, left) = self.batch.split_at_mut(BATCH - self.left);
            let (mine, _) = left.split_at_mut(piece.len());
            copy(mine, piece);
            mine.zeroize();
            self.left -= piece.len();
        }
    }
}

impl Default for OsRandom {
    fn default() -> OsRandom {
        OsRandom::new()
    }
}

impl fmt::Debug for OsRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OsRandom")
    }
}

#[allow(clippy::panic, reason = "see OsRandom::fill: there is no safe way to go on")]
fn seed(out: &mut [u8]) {
    if getrandom::fill(out).is_err() {
        panic!("the system's random number generator failed");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn bytes_do_not_come_twice() {
        let mut random = OsRandom::new();
        let mut other = OsRandom::default();
        let mut seen = HashSet::new();
        for length in (16..2000).chain([0, 1 << 20]) {
            for random in [&mut random, &mut other] {
                let mut out = vec![0; length];
                random.fill(&mut out);
                assert!(out.as_chunks::<16>().0.iter().all(|piece| seen.insert(*piece)), "{length}");
            }
        }
    }

    #[test]
    fn every_bit_is_as_often_set_as_not() {
        let mut out = vec![0; 1 << 16];
        OsRandom::new().fill(&mut out);
        for bit in 0..8 {
            let set = out.iter().filter(|octet| **octet >> bit & 1 == 1).count();
            // 20 standard deviations: never by chance, always by a mistake.
            assert!(set.abs_diff(1 << 15) < 20 * 128, "{set} of bit {bit}");
        }
    }

    #[test]
    fn what_was_handed_out_is_erased_and_its_key_is_gone() {
        let mut random = OsRandom::new();
        let mut out = [0; 40];
        random.fill(&mut out);
        assert_eq!(random.batch[KEY..KEY + 40], [0; 40]);
        let key: [u8; KEY] = random.batch[..KEY].try_into().unwrap();
        random.fill(&mut [0; BATCH - KEY]);
        assert_ne!(random.batch[..KEY], key);
    }

    #[test]
    fn the_seed_is_renewed() {
        let mut random = OsRandom::new();
        random.fill(&mut [1]);
        random.batches = 0;
        random.left = 0;
        let mut twin = OsRandom { batch: random.batch, left: 0, batches: 0 };
        let (mut one, mut two) = ([0; 16], [0; 16]);
        random.fill(&mut one);
        twin.fill(&mut two);
        assert_ne!(one, two, "the same state, a new seed each");
    }
}
