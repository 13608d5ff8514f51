//! AES of either key size under one key: each direction's schedule is made when it is first needed, and
//! wiped at once. Not here: modes.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::{LazyLock, OnceLock};

use aes::{Aes128, Aes128Dec, Aes128Enc, Aes256, Aes256Dec, Aes256Enc};
use cbc::cipher::consts::U16;
use cbc::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit, KeySizeUser};

use super::mac::keyed;

/// AES of one key size.
pub(super) trait Aes: 'static {
    /// Encrypts, and derives keys.
    type Forward: BlockCipherEncrypt<BlockSize = U16> + KeyInit + Blank;
    /// Decrypts.
    type Backward: BlockCipherDecrypt<BlockSize = U16> + for<'a> From<&'a Self::Forward> + Blank;
}

impl Aes for Aes128 {
    type Forward = Aes128Enc;
    type Backward = Aes128Dec;
}

impl Aes for Aes256 {
    type Forward = Aes256Enc;
    type Backward = Aes256Dec;
}

/// What can be overwritten with the schedule of no key.
pub(super) trait Blank: Clone + Send + Sync + 'static {
    /// That schedule.
    fn blank() -> &'static Self;
}

macro_rules! blank {
    ($($schedule:ty),*) => {$(
        impl Blank for $schedule {
            fn blank() -> &'static Self {
                static BLANK: LazyLock<$schedule> = LazyLock::new(|| KeyInit::new(&Array::default()));
                &BLANK
            }
        }
    )*};
}

blank!(Aes128Enc, Aes128Dec, Aes256Enc, Aes256Dec);

/// A schedule that is wiped when it is dropped. The crate's own wiping goes octet by octet: for keys
/// that are used once it took longer than the cipher did.
pub(super) struct Schedule<S: Blank>(ManuallyDrop<S>);

impl<S: Blank> Schedule<S> {
    fn of(schedule: S) -> Self {
        Schedule(ManuallyDrop::new(schedule))
    }
}

impl<S: Blank + KeyInit + KeySizeUser> Schedule<S> {
    /// Of a key.
    pub(super) fn new(key: &[u8]) -> Self {
        Schedule::of(keyed(key))
    }
}

impl<S: Blank> Deref for Schedule<S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.0
    }
}

impl<S: Blank> Drop for Schedule<S> {
    fn drop(&mut self) {
        self.0 = ManuallyDrop::new(S::blank().clone());
        zeroize::optimization_barrier(&self.0);
    }
}

/// A cipher under one key. Most keys are used in one direction only, and the schedule for the other
/// costs as much again.
pub(super) struct Cipher<A: Aes> {
    forward: Schedule<A::Forward>,
    backward: OnceLock<Schedule<A::Backward>>,
}

impl<A: Aes> Cipher<A> {
    pub(super) fn new(key: &[u8]) -> Self {
        Cipher { forward: Schedule::new(key), backward: OnceLock::new() }
    }

    pub(super) fn forward(&self) -> &A::Forward {
        &self.forward
    }

    pub(super) fn backward(&self) -> &A::Backward {
        self.backward.get_or_init(|| Schedule::of(A::Backward::from(&*self.forward)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_the_place_of_a_schedule_is_that_of_a_key_of_zeros() {
        let mut block = Array::from([7; 16]);
        Aes256Enc::blank().encrypt_block(&mut block);
        Aes256Dec::blank().decrypt_block(&mut block);
        assert_eq!(block.0, [7; 16]);
        Schedule::<Aes256Enc>::new(&[0; 32]).encrypt_block(&mut block);
        Aes256Dec::blank().decrypt_block(&mut block);
        assert_eq!(block.0, [7; 16]);
    }
}
