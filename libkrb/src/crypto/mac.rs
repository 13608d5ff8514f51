//! What the profiles share: keyed primitives, tags cut to length, comparison in constant time.

use cbc::cipher::Array;
use hmac::Mac;
use hmac::digest::KeyInit;
use subtle::ConstantTimeEq;

use super::prepared::Checker;
use crate::error::{Error, Result};

/// A cipher or HMAC under `key`, which must be a whole key for a cipher; HMAC fills up with zeros
/// by itself (RFC 2104), so that a short key costs nothing here.
pub(super) fn keyed<T: KeyInit>(key: &[u8]) -> T {
    debug_assert!(key.len() <= T::key_size());
    let mut whole = Array::default();
    copy(key, &mut whole);
    let keyed = T::new(&whole);
    wipe(&mut whole);
    keyed
}

/// Copies as much of `from` as `to` holds; truncation is what RFC 3961 calls k-truncate.
pub(super) fn copy(from: &[u8], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// As `zeroize()`, which wipes octet by octet: for what is long.
pub(crate) fn wipe(secret: &mut [u8]) {
    secret.fill(0);
    zeroize::optimization_barrier(secret);
}

/// Secrets of octets that are wiped when they are dropped, as [`wipe`] does it.
pub(super) struct Wiped<K: AsMut<[u8]>, const N: usize>(pub(super) [K; N]);

impl<K: AsMut<[u8]>, const N: usize> Drop for Wiped<K, N> {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|secret| wipe(secret.as_mut()));
    }
}

/// The tag of `parts`, one after the other, cut to the length of `out`.
pub(super) fn tag<M: Mac + Clone>(mac: &M, parts: &[&[u8]], out: &mut [u8]) {
    let mut mac = mac.clone();
    for part in parts {
        mac.update(part);
    }
    copy(&mac.finalize().into_bytes(), out);
}

/// Refuses unless the tags are equal, in time that depends on the lengths alone.
pub(super) fn same(computed: &[u8], given: &[u8]) -> Result<()> {
    if bool::from(computed.ct_eq(given)) { Ok(()) } else { Err(Error::Integrity) }
}

impl<M: Mac + Clone + Send + Sync> Checker for M {
    fn tag(&self, parts: &[&[u8]], out: &mut [u8]) {
        tag(self, parts, out);
    }
}
