//! A key and everything that is done with it. Not here: where keys come from (keytab, store, wire).

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::base::BaseKey;
use super::etype::{KEY_MAX, Profile, profile};
use super::mac::copy;
use super::prepared::{PreparedChecksum, PreparedKey};
use super::prf::{Pepper, PreparedPrf};
use super::{KeyUsage, Random, s2k};
use crate::codes::{ChecksumType, EncryptionType};
use crate::error::{Error, Result};

/// A protocol key with its encryption type (RFC 3961 3). Zeroized on drop, redacted in Debug,
/// compared in constant time ([`Key::same_as`]; there is no `==`).
#[derive(Clone, ZeroizeOnDrop)]
pub struct Key {
    #[zeroize(skip)]
    profile: &'static Profile,
    bytes: [u8; KEY_MAX],
}

impl Key {
    /// A key of the given octets; their number must be the enctype's.
    pub fn new(etype: EncryptionType, bytes: &[u8]) -> Result<Key> {
        let profile = profile(etype)?;
        if bytes.len() != profile.key_len {
            return Err(Error::KeyLength(etype));
        }
        let mut key = Key { profile, bytes: [0; KEY_MAX] };
        copy(bytes, &mut key.bytes);
        Ok(key)
    }

    /// random-to-key (RFC 3961 3): the identity for every enctype here. `bytes` must be as many as
    /// [`super::key_len`] says.
    pub fn random_to_key(etype: EncryptionType, bytes: &[u8]) -> Result<Key> {
        Key::new(etype, bytes)
    }

    /// A fresh random key.
    pub fn random(etype: EncryptionType, random: &mut dyn Random) -> Result<Key> {
        Key::made(profile(etype)?, |bytes| {
            random.fill(bytes);
            Ok(())
        })
    }

    /// string-to-key (RFC 3961 3). `params` are the octets of ETYPE-INFO2's s2kparams; without them
    /// the enctype's default holds. Counts outside [`super::MIN_ITERATIONS`] and
    /// [`super::MAX_ITERATIONS`] are refused.
    pub fn from_password(etype: EncryptionType, password: &[u8], salt: &[u8], params: Option<&[u8]>) -> Result<Key> {
        let profile = profile(etype)?;
        let rounds = s2k::rounds(profile, params)?;
        Key::made(profile, |bytes| s2k::string_to_key(profile, password, salt, rounds, bytes))
    }

    /// KRB-FX-CF2 (RFC 6113 5.1): one key of two, of the first one's enctype.
    pub fn cf2(k1: &Key, pepper1: &[u8], k2: &Key, pepper2: &[u8]) -> Result<Key> {
        k1.prepare_prf().cf2(&Pepper::new(pepper1), &k2.prepare_prf(), &Pepper::new(pepper2))
    }

    /// A key whose octets `make` writes.
    pub(super) fn made(profile: &'static Profile, make: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<Key> {
        let mut key = Key { profile, bytes: [0; KEY_MAX] };
        let (bytes, _) = key.bytes.split_at_mut(profile.key_len);
        make(bytes)?;
        Ok(key)
    }

    /// The encryption type.
    pub fn etype(&self) -> EncryptionType {
        self.profile.etype
    }

    /// The checksum type that goes with the encryption type (RFC 3961 3, "required checksum").
    pub fn checksum_type(&self) -> ChecksumType {
        self.profile.checksum
    }

    /// How many octets a ciphertext has before and after those of the plaintext.
    pub fn cipher_room(&self) -> (usize, usize) {
        (self.profile.prefix, self.profile.suffix)
    }

    /// How many octets a checksum has.
    pub fn mac_len(&self) -> usize {
        self.profile.checksum_len
    }

    /// The octets of the key: for a keytab, a sealed record or an encrypted part, and nowhere else.
    pub fn expose(&self) -> &[u8] {
        self.bytes.split_at(self.profile.key_len).0
    }

    /// Whether both are the same key, in time that does not depend on the octets.
    pub fn same_as(&self, other: &Key) -> bool {
        self.etype() == other.etype() && self.bytes.ct_eq(&other.bytes).into()
    }

    /// What `work` derives of the key: where several usages are prepared at once, they share what is the
    /// same for all of them.
    pub fn derive<T>(&self, work: impl FnOnce(&BaseKey<'_>) -> T) -> T {
        let (mut work, mut derived) = (Some(work), None);
        (self.profile.start)(self.expose(), &mut |base| {
            derived = work.take().map(|work| work(&BaseKey { profile: self.profile, base }));
        });
        derived.unwrap_or_else(|| unreachable!("every row of the table works once with its base key"))
    }

    /// The key made ready to encrypt and decrypt for one usage.
    pub fn prepare(&self, usage: KeyUsage) -> PreparedKey {
        self.derive(|base| base.prepare(usage))
    }

    /// The key made ready for the checksums of one usage.
    pub fn prepare_checksum(&self, usage: KeyUsage) -> PreparedChecksum {
        self.derive(|base| base.prepare_checksum(usage))
    }

    /// The key made ready for its pseudo-random function.
    pub fn prepare_prf(&self) -> PreparedPrf {
        self.derive(|base| base.prepare_prf())
    }

    /// [`PreparedKey::encrypt`] for one message.
    pub fn encrypt(&self, usage: KeyUsage, random: &mut dyn Random, plain: &[u8]) -> Vec<u8> {
        let mut out = vec![];
        self.encrypt_into(usage, random, plain, &mut out);
        out
    }

    /// [`PreparedKey::encrypt_into`] for one message.
    pub fn encrypt_into(&self, usage: KeyUsage, random: &mut dyn Random, plain: &[u8], out: &mut Vec<u8>) {
        self.derive(|base| base.encrypt_into(usage, random, plain, out));
    }

    /// [`PreparedKey::decrypt`] for one message.
    pub fn decrypt(&self, usage: KeyUsage, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.derive(|base| base.decrypt(usage, cipher))
    }

    /// [`PreparedKey::decrypt_in_place`] for one message.
    pub fn decrypt_in_place<'a>(&self, usage: KeyUsage, buffer: &'a mut [u8]) -> Result<&'a [u8]> {
        self.derive(|base| base.decrypt_in_place(usage, buffer))
    }

    /// [`PreparedChecksum::checksum`] for one message, of the type [`Key::checksum_type`].
    pub fn checksum(&self, usage: KeyUsage, data: &[u8]) -> Vec<u8> {
        self.derive(|base| base.checksum(usage, data))
    }

    /// [`PreparedChecksum::verify`] for one message: the only type accepted is
    /// [`Key::checksum_type`], so never an unkeyed one.
    pub fn verify_checksum(&self, usage: KeyUsage, kind: ChecksumType, data: &[u8], mac: &[u8]) -> Result<()> {
        self.derive(|base| base.verify_checksum(usage, kind, data, mac))
    }

    /// The pseudo-random function (RFC 3961 3); its output length is the enctype's own.
    pub fn prf(&self, data: &[u8]) -> Result<Vec<u8>> {
        let mut out = vec![0; self.profile.prf_len];
        self.prepare_prf().prf(data, &mut out);
        Ok(out)
    }

    /// PRF+ (RFC 6113 5.1): `len` octets; refused beyond 255 times the length of [`Key::prf`].
    pub fn prf_plus(&self, data: &[u8], len: usize) -> Result<Vec<u8>> {
        let prf = self.prepare_prf();
        let mut out = vec![0; len.min(prf.longest() + 1)];
        prf.prf_plus(&Pepper::new(data), &mut out)?;
        Ok(out)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, redacted)", self.etype())
    }
}
