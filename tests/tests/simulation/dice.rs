//! Everything that is left to chance, from one seed. Not here: what is done with it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Numbers that are the same for the same seed (SplitMix64).
pub struct Dice(Mutex<u64>);

impl Dice {
    /// Those of a seed, for one of several who throw: what one does changes nothing for another.
    pub fn of(seed: u64, who: u64) -> Dice {
        Dice(Mutex::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(who.wrapping_mul(0xd1b5_4a32_d192_ed03))))
    }

    fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below another.
    pub fn below(&self, most: usize) -> usize {
        (self.next() % most.max(1) as u64) as usize
    }

    /// Whether something happens that does in so many cases of a hundred.
    pub fn chance(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Some milliseconds.
    pub fn millis(&self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.next() % (most - least + 1))
    }
}
