//! edwards25519 (RFC 7748 4.1), elements as RFC 8032 3.1 serializes them.
//!
//! A private key is eight times a number below the order of the prime subgroup, so that whatever a
//! stranger adds of small order is gone after the multiplication (RFC 9588 10.1). Internally that
//! number is used, and the product multiplied by eight.

use std::sync::OnceLock;

use curve25519_dalek::constants::ED25519_BASEPOINT_TABLE;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsBasepointTable, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::BasepointTable;
use zeroize::Zeroizing;

use super::{Arithmetic, Hidden, Mask, Secret};
use crate::crypto::Random;

/// The group with its constants.
pub(super) struct Edwards25519 {
    constants: [[u8; 32]; 2],
    /// Multiples of the constants, made at the first use: a multiplication costs a quarter then.
    masks: OnceLock<Option<[EdwardsBasepointTable; 2]>>,
}

impl Edwards25519 {
    pub const fn new(m: [u8; 32], n: [u8; 32]) -> Self {
        Edwards25519 { constants: [m, n], masks: OnceLock::new() }
    }
}

#[allow(clippy::op_ref, reason = "values would leave copies of secrets behind")]
impl Arithmetic for Edwards25519 {
    fn private(&self, random: &mut dyn Random) -> Secret {
        let mut wide = Zeroizing::new([0; 64]);
        random.fill(&mut *wide);
        let eighth = Zeroizing::new(Scalar::from_bytes_mod_order_wide(&wide));
        eight_times(&eighth)
    }

    /// w is reduced by the order (RFC 9588 10.3).
    fn hidden(&self, w: &[u8], mask: Mask) -> Option<Hidden> {
        let w = Zeroizing::new(Scalar::from_bytes_mod_order(w.try_into().ok()?));
        let table = |octets: &[u8; 32]| Some(EdwardsBasepointTable::create(&element(octets)?));
        let masks = self.masks.get_or_init(|| {
            let [m, n] = &self.constants;
            Some([table(m)?, table(n)?])
        });
        Some(Hidden::new(masks.as_ref()?.get(mask as usize)? * &*w))
    }

    fn public(&self, private: &[u8], hidden: &Hidden) -> Option<Vec<u8>> {
        let eighth = eighth(private)?;
        let own = Zeroizing::new(ED25519_BASEPOINT_TABLE * &*eighth);
        let own = Zeroizing::new(own.mul_by_cofactor());
        Some((&*own + hidden.point::<EdwardsPoint>()?).compress().0.to_vec())
    }

    fn shared(&self, private: &[u8], theirs: &[u8], hidden: &Hidden) -> Option<Secret> {
        let eighth = eighth(private)?;
        let theirs = element(theirs.try_into().ok()?).filter(|theirs| !theirs.is_small_order())?;
        let bare = Zeroizing::new(&theirs - hidden.point::<EdwardsPoint>()?);
        let shared = Zeroizing::new(&*bare * &*eighth);
        let shared = Zeroizing::new(shared.mul_by_cofactor());
        (!shared.is_small_order()).then(|| Zeroizing::new(shared.compress().0.to_vec()))
    }
}

/// An element of the curve, in its one serialization.
fn element(octets: &[u8; 32]) -> Option<EdwardsPoint> {
    canonical(octets).then(|| CompressedEdwardsY(*octets).decompress())?
}

/// Whether the coordinate is below the field's prime, 2^255 - 19. The only other octets that mean a
/// point twice (a sign of zero) are of small order.
fn canonical(octets: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = octets;
    *low < 0xed || high & 0x7f != 0x7f || middle.iter().any(|octet| *octet != 0xff)
}

/// The octets of eight times a number.
fn eight_times(number: &Scalar) -> Secret {
    let octets = Zeroizing::new(number.to_bytes());
    let lower = [0].iter().chain(octets.iter());
    Zeroizing::new(octets.iter().zip(lower).map(|(octet, lower)| octet << 3 | lower >> 5).collect())
}

/// The eighth of a number in octets; `None` if it has none, or is no multiple below the order.
fn eighth(octets: &[u8]) -> Option<Zeroizing<Scalar>> {
    let octets: &[u8; 32] = octets.try_into().ok()?;
    let [low, ..] = octets;
    let mut eighth = Zeroizing::new([0; 32]);
    let higher = octets.iter().skip(1).chain(&[0]);
    for (to, (octet, higher)) in eighth.iter_mut().zip(octets.iter().zip(higher)) {
        *to = octet >> 3 | higher << 5;
    }
    let eighth = Option::<Scalar>::from(Scalar::from_canonical_bytes(*eighth)).map(Zeroizing::new);
    eighth.filter(|_| low & 7 == 0)
}
