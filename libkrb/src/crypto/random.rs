//! Where unpredictable bytes come from. Not here: what they are used for.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A source of unpredictable bytes. The core is given one; tests give it a script.
pub trait Random {
    /// Fills `out`.
    fn fill(&mut self, out: &mut [u8]);
}

/// How much is asked of the system at once: a call costs more than its bytes.
const BATCH: usize = 256;

/// The operating system's generator (RFC 4086), read in batches; a byte handed out is erased here.
///
/// Not to be carried over a `fork`: both processes would hand out the same bytes.
#[derive(ZeroizeOnDrop)]
pub struct OsRandom {
    batch: [u8; BATCH],
    left: usize,
}

impl OsRandom {
    /// A generator with nothing read yet.
    pub fn new() -> OsRandom {
        OsRandom { batch: [0; BATCH], left: 0 }
    }
}

impl Default for OsRandom {
    fn default() -> OsRandom {
        OsRandom::new()
    }
}

impl std::fmt::Debug for OsRandom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OsRandom")
    }
}

impl Random for OsRandom {
    /// # Panics
    /// When the system's generator fails. Keys and confounders from anywhere else would be worse
    /// than no process, and no caller could do better.
    fn fill(&mut self, out: &mut [u8]) {
        if out.len() > BATCH {
            return system(out);
        }
        if self.left < out.len() {
            system(&mut self.batch);
            self.left = BATCH;
        }
        let (rest, mine) = self.batch.split_at_mut(self.left - out.len());
        for (to, from) in out.iter_mut().zip(mine) {
            *to = *from;
            from.zeroize();
        }
        self.left = rest.len();
    }
}

#[allow(clippy::panic, reason = "see OsRandom::fill: there is no safe way to go on")]
fn system(out: &mut [u8]) {
    if getrandom::fill(out).is_err() {
        panic!("the system's random number generator failed");
    }
}
