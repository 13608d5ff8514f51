//! arcfour-hmac (RFC 4757), behind the feature `danger-rc4`: broken (RFC 8429), here only to read
//! what cannot be migrated yet. Not here: the weaker export variant.

use hmac::Hmac;
use md4::Md4;
use md5::{Digest, Md5};
use rc4::{Rc4, StreamCipher};
use sha1::Sha1;
use zeroize::{Zeroize, Zeroizing};

use super::KeyUsage;
use super::base::Start;
use super::mac::{copy, keyed, same, tag};
use super::prepared::{Checker, Sealer};
use super::prf::{Pepper, PseudoRandom, blocks};
use crate::error::{Error, Result};

const TAG: usize = 16;

/// Octets of a block of the pseudo-random function.
const PRF: usize = 20;

/// HMAC under K1 (RFC 4757 4), which is also K2 in this variant.
pub(super) struct Sealing(Hmac<Md5>);

/// HMAC under Ksign and the usage that goes before the data (RFC 4757 3).
pub(super) struct Signing(Hmac<Md5>, [u8; 4]);

/// A protocol key, which others are derived from.
pub(super) struct Base(Hmac<Md5>, Hmac<Sha1>);

impl Start for Base {
    type Sealer = Sealing;
    type Checker = Signing;
    type Prf = HmacPrf;

    fn new(key: &[u8]) -> Self {
        Base(keyed(key), keyed(key))
    }

    fn sealer(&self, usage: KeyUsage) -> Sealing {
        let mut first = Zeroizing::new([0; 16]);
        tag(&self.0, &[&salt(usage)], &mut *first);
        Sealing(keyed(&*first))
    }

    fn checker(&self, usage: KeyUsage) -> Signing {
        let mut signing = Zeroizing::new([0; 16]);
        tag(&self.0, &[b"signaturekey\0"], &mut *signing);
        Signing(keyed(&*signing), salt(usage))
    }

    fn prf(&self) -> HmacPrf {
        HmacPrf(self.1.clone())
    }
}

/// The message type of RFC 4757 3: Microsoft numbered a few usages otherwise.
fn salt(usage: KeyUsage) -> [u8; 4] {
    match usage.0 {
        3 | 9 => 8,
        23 => 13,
        other => other,
    }
    .to_le_bytes()
}

impl Sealing {
    fn stream(&self, tag_sent: &[u8], body: &mut [u8]) {
        let mut third = Zeroizing::new([0; 32]);
        let (half, again) = third.split_at_mut(16);
        tag(&self.0, &[tag_sent], half);
        // RC4 repeats its key: twice 16 octets are the same key, of the size that cannot fail.
        copy(half, again);
        keyed::<Rc4>(&*third).apply_keystream(body);
    }
}

impl Sealer for Sealing {
    fn seal(&self, buffer: &mut [u8]) {
        let (mac, body) = buffer.split_at_mut(TAG);
        tag(&self.0, &[body], mac);
        self.stream(mac, body);
    }

    fn open(&self, buffer: &mut [u8]) -> Result<()> {
        let (mac, body) = buffer.split_at_mut(TAG);
        self.stream(mac, body);
        let mut computed = [0; TAG];
        tag(&self.0, &[body], &mut computed);
        same(&computed, mac)
    }
}

impl Checker for Signing {
    fn tag(&self, parts: &[&[u8]], out: &mut [u8]) {
        let digest = parts.iter().fold(Md5::new().chain_update(self.1), |digest, part| digest.chain_update(part));
        tag(&self.0, &[&digest.finalize()], out);
    }
}

/// MD4 of the password in UTF-16 (RFC 4757 2); there is neither salt nor work.
pub(super) fn string_to_key(password: &[u8], out: &mut [u8]) -> Result<()> {
    let password = std::str::from_utf8(password).map_err(|_| Error::S2kParams("the password is not UTF-8"))?;
    let mut wide: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::with_capacity(password.len() * 2));
    wide.extend(password.encode_utf16().flat_map(u16::to_le_bytes));
    let mut digest = Md4::digest(&*wide);
    copy(&digest, out);
    digest.zeroize();
    Ok(())
}

/// HMAC-SHA1, as MIT and Microsoft have it; no RFC says.
pub(super) struct HmacPrf(Hmac<Sha1>);

impl PseudoRandom for HmacPrf {
    fn prf(&self, data: [&[u8]; 2], out: &mut [u8]) {
        tag(&self.0, &data, out);
    }

    fn stream(&self, pepper: &Pepper<'_>, out: &mut [u8]) {
        blocks(self, pepper, PRF, out);
    }
}
