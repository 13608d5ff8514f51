//! AES of either key size under one key: each direction's schedule is made when it is first needed.
//! Not here: modes.

use std::sync::OnceLock;

use aes::{Aes128, Aes128Dec, Aes128Enc, Aes256, Aes256Dec, Aes256Enc};
use cbc::cipher::consts::U16;
use cbc::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

/// AES of one key size.
pub(super) trait Aes: 'static {
    /// Encrypts, and derives keys.
    type Forward: BlockCipherEncrypt<BlockSize = U16> + KeyInit + Send + Sync;
    /// Decrypts.
    type Backward: BlockCipherDecrypt<BlockSize = U16> + for<'a> From<&'a Self::Forward> + Send + Sync;
}

impl Aes for Aes128 {
    type Forward = Aes128Enc;
    type Backward = Aes128Dec;
}

impl Aes for Aes256 {
    type Forward = Aes256Enc;
    type Backward = Aes256Dec;
}

/// A cipher under one key. Most keys are used in one direction only, and the schedule for the other
/// costs as much again.
pub(super) struct Cipher<A: Aes> {
    forward: A::Forward,
    backward: OnceLock<A::Backward>,
}

impl<A: Aes> Cipher<A> {
    pub(super) fn new(forward: A::Forward) -> Self {
        Cipher { forward, backward: OnceLock::new() }
    }

    pub(super) fn forward(&self) -> &A::Forward {
        &self.forward
    }

    pub(super) fn backward(&self) -> &A::Backward {
        self.backward.get_or_init(|| A::Backward::from(&self.forward))
    }
}
