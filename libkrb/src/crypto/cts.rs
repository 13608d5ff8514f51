//! CBC with ciphertext stealing, CBC-CS3 with an initial vector of zeros (RFC 3962 5, RFC 8009 5,
//! RFC 6803 6: none of them chains messages in practice). Not here: integrity.

use cbc::cipher::consts::U16;
use cbc::cipher::{
    Array, BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherDecrypt, BlockCipherEncBackend,
    BlockCipherEncClosure, BlockCipherEncrypt, BlockModeDecrypt, BlockSizeUser, InnerIvInit,
};

use super::mac::copy;

/// A cipher block.
pub(super) type Block = Array<u8, U16>;

/// Encrypts at least one block of `buffer` in place, keeping its length. The last two blocks change
/// places, even when the last is whole; a single block is encrypted as it is (RFC 3962 5).
/// `read` is given the plaintext, piece by piece: the processor hashes it while it encrypts.
pub(super) fn encrypt<C>(cipher: &C, buffer: &mut [u8], read: impl FnMut(&[u8]))
where
    C: BlockCipherEncrypt<BlockSize = U16>,
{
    debug_assert!(buffer.len() >= 16, "the confounder makes a whole block");
    let (blocks, rest) = Block::slice_as_chunks_mut(buffer);
    cipher.encrypt_with_backend(Encrypting { blocks, rest, read });
}

/// What [`encrypt`] does, once the cipher knows which processor it runs on.
struct Encrypting<'a, F> {
    blocks: &'a mut [Block],
    rest: &'a mut [u8],
    read: F,
}

impl<F> BlockSizeUser for Encrypting<'_, F> {
    type BlockSize = U16;
}

impl<F: FnMut(&[u8])> BlockCipherEncClosure for Encrypting<'_, F> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(mut self, backend: &B) {
        let mut before = Block::default();
        // Four blocks are one of the hash.
        for group in self.blocks.chunks_mut(4) {
            (self.read)(Block::slice_as_flattened(group));
            for block in group {
                add(&mut before, block);
                backend.encrypt_block((&mut before).into());
                *block = before;
            }
        }
        (self.read)(self.rest);
        match self.blocks {
            [.., before, last] if self.rest.is_empty() => std::mem::swap(before, last),
            [.., last] if !self.rest.is_empty() => {
                // The rest, padded with zeros, chained to the block before, which lends its head.
                add(&mut before, self.rest);
                backend.encrypt_block((&mut before).into());
                copy(last, self.rest);
                *last = before;
            }
            _ => {}
        }
    }
}

fn add(to: &mut Block, from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to ^= from;
    }
}

/// Undoes [`encrypt`].
pub(super) fn decrypt<C: BlockCipherDecrypt<BlockSize = U16>>(cipher: &C, buffer: &mut [u8]) {
    debug_assert!(buffer.len() >= 16, "the caller refuses what has no confounder");
    let (blocks, rest) = Block::slice_as_chunks_mut(buffer);
    cipher.decrypt_with_backend(Decrypting { blocks, rest });
}

/// What [`decrypt`] does, once the cipher knows which processor it runs on.
struct Decrypting<'a> {
    blocks: &'a mut [Block],
    rest: &'a mut [u8],
}

impl BlockSizeUser for Decrypting<'_> {
    type BlockSize = U16;
}

impl BlockCipherDecClosure for Decrypting<'_> {
    #[inline(always)]
    fn call<B: BlockCipherDecBackend<BlockSize = U16>>(self, backend: &B) {
        match self.blocks {
            [.., before, last] if self.rest.is_empty() => std::mem::swap(before, last),
            [.., last] if !self.rest.is_empty() => {
                // Decrypted, the block holds the padded rest chained to the block before: its tail is
                // that block's tail, its head gives the plaintext once that block's head is known.
                backend.decrypt_block(last.into());
                for (chained, stolen) in last.iter_mut().zip(self.rest) {
                    let plain = *chained ^ *stolen;
                    *chained = *stolen;
                    *stolen = plain;
                }
            }
            _ => {}
        }
        cbc::Decryptor::inner_iv_init(OnThis(backend), &Block::default()).decrypt_blocks(self.blocks);
    }
}

/// A cipher that knows its processor: to find out takes as long as several blocks.
struct OnThis<'a, B>(&'a B);

impl<B> BlockSizeUser for OnThis<'_, B> {
    type BlockSize = U16;
}

impl<B: BlockCipherDecBackend<BlockSize = U16>> BlockCipherDecrypt for OnThis<'_, B> {
    #[inline(always)]
    fn decrypt_with_backend(&self, work: impl BlockCipherDecClosure<BlockSize = U16>) {
        work.call(self.0);
    }
}

#[cfg(test)]
mod tests {
    use aes::Aes128;

    use super::super::mac::keyed;
    use super::super::testing::{open, outside};
    use super::*;

    #[test]
    fn the_vectors_of_rfc_3962_come_out_both_ways() {
        for vector in open("rfc3962").into_iter().chain(outside("rfc3962")).filter(|vector| vector.is("op", "cbc-cts"))
        {
            let cipher: Aes128 = keyed(&vector.bytes("key"));
            assert_eq!(vector.bytes("iv"), [0; 16]);
            let (input, output) = (vector.bytes("input"), vector.bytes("output"));
            let mut buffer = input.clone();
            encrypt(&cipher, &mut buffer, |_| {});
            assert_eq!(buffer, output, "{vector:?}");
            decrypt(&cipher, &mut buffer);
            assert_eq!(buffer, input, "{vector:?}");
        }
    }

    #[test]
    fn every_length_comes_back() {
        let cipher: Aes128 = keyed(b"0123456789abcdef");
        let message: Vec<u8> = (0..200).collect();
        for length in 16..message.len() {
            let mut buffer = message[..length].to_vec();
            encrypt(&cipher, &mut buffer, |_| {});
            assert_ne!(buffer, message[..length]);
            decrypt(&cipher, &mut buffer);
            assert_eq!(buffer, message[..length]);
        }
    }
}
