//! Where unpredictable bytes come from. Not here: what they are used for.

use std::cell::RefCell;
use std::fmt;
use std::process;

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

thread_local! {
    /// Generators that nobody uses just now, and the process that they belong to.
    #[allow(clippy::vec_box, reason = "moved, they would leave copies behind that nobody wipes")]
    static KEPT: RefCell<(u32, Vec<Box<OsRandom>>)> = const { RefCell::new((0, Vec::new())) };
}

/// How many generators a thread keeps.
const MOST_KEPT: usize = 8;

/// An [`OsRandom`] for one piece of work: taken from the thread's former ones, for its seed costs more
/// than what most work asks of it, and given back when it is dropped, to whatever thread that is. None
/// is ever in two hands, and after a `fork` the new process leaves those of the old one alone.
#[derive(Debug)]
pub struct KeptRandom(Option<Box<OsRandom>>);

impl KeptRandom {
    /// A generator of this thread's; a new one where it has none.
    pub fn take() -> KeptRandom {
        let kept = KEPT.try_with(|kept| {
            let (owner, kept) = &mut *kept.borrow_mut();
            if *owner != process::id() {
                *owner = process::id();
                kept.clear();
            }
            kept.pop()
        });
        KeptRandom(kept.ok().flatten())
    }
}

impl Random for KeptRandom {
    /// # Panics
    /// As [`OsRandom::fill`].
    fn fill(&mut self, out: &mut [u8]) {
        self.0.get_or_insert_default().fill(out);
    }
}

impl Drop for KeptRandom {
    fn drop(&mut self) {
        let Some(random) = self.0.take() else { return };
        // A thread that ends keeps nothing more.
        let _ = KEPT.try_with(|kept| {
            let (owner, kept) = &mut *kept.borrow_mut();
            if *owner == process::id() && kept.len() < MOST_KEPT {
                kept.push(random);
            }
        });
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
    fn a_kept_generator_goes_on_where_it_was_and_is_in_one_hand_only() {
        let next = |random: &mut KeptRandom| {
            let mut out = [0; 16];
            random.fill(&mut out);
            (out, random.0.as_ref().map(|random| random.left))
        };
        let (mut one, mut other) = (KeptRandom::take(), KeptRandom::take());
        let mut seen = HashSet::from([next(&mut one).0, next(&mut other).0]);
        drop((one, other));
        let (mut one, mut other) = (KeptRandom::take(), KeptRandom::take());
        for random in [&mut one, &mut other] {
            let (octets, left) = next(random);
            assert!(seen.insert(octets), "the same again");
            assert_eq!(left, Some(BATCH - KEY - 32), "it was seeded anew");
        }
        let away = std::thread::spawn(move || drop(one));
        away.join().unwrap();
        drop(other);
        assert_eq!(KEPT.with_borrow(|(_, kept)| kept.len()), 1, "the other thread has the first one");
    }

    #[test]
    fn generators_of_another_process_are_left_alone() {
        KeptRandom::take().fill(&mut [0; 16]);
        assert_eq!(KEPT.with_borrow(|(_, kept)| kept.len()), 1);
        // As after a fork: the memory is that of the parent.
        KEPT.with_borrow_mut(|(owner, _)| *owner ^= 1);
        assert!(KeptRandom::take().0.is_none());
        let mut of_parent = KeptRandom::take();
        of_parent.fill(&mut [0; 16]);
        KEPT.with_borrow_mut(|(owner, _)| *owner ^= 1);
        drop(of_parent);
        assert_eq!(KEPT.with_borrow(|(_, kept)| kept.len()), 0, "given back where it does not belong");
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
