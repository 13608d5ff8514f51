//! The curves of NIST (SEC 2 2.4.2, 2.5.1, 2.6.1), elements compressed as SEC 1 2.3.3 has it. Their
//! order is prime, so every element of the curve but the neutral one will do.

use std::sync::OnceLock;

use p256::elliptic_curve::ff::{Field, PrimeField};
use p256::elliptic_curve::group::{Curve, Group};
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use p256::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytes, FieldBytesSize, ProjectivePoint, Scalar};
use zeroize::Zeroizing;

use super::{Arithmetic, Hidden, Mask, Secret};
use crate::crypto::Random;

/// A group with its constants.
pub(super) struct Weierstrass<C: CurveArithmetic> {
    constants: [&'static [u8]; 2],
    /// The constants as points, made at the first use.
    masks: OnceLock<Option<[ProjectivePoint<C>; 2]>>,
}

impl<C> Weierstrass<C>
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    pub const fn new(m: &'static [u8], n: &'static [u8]) -> Self {
        Weierstrass { constants: [m, n], masks: OnceLock::new() }
    }
}

impl<C> Arithmetic for Weierstrass<C>
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    fn private(&self, random: &mut dyn Random) -> Secret {
        // Of twice as many octets as the order has, the remainder is uniform for all that anybody sees.
        let mut wide = Zeroizing::new(vec![0; 2 * FieldBytes::<C>::default().len()]);
        random.fill(&mut wide);
        Zeroizing::new(scalar::<C>(&wide).to_repr().to_vec())
    }

    /// w is reduced by the order (RFC 9588 10.3).
    fn hidden(&self, w: &[u8], mask: Mask) -> Option<Hidden> {
        let masks = self.masks.get_or_init(|| {
            let [m, n] = self.constants;
            Some([element::<C>(m)?, element::<C>(n)?])
        });
        Some(Hidden::new(*masks.as_ref()?.get(mask as usize)? * *scalar::<C>(w)))
    }

    fn public(&self, private: &[u8], hidden: &Hidden) -> Option<Vec<u8>> {
        let own = Zeroizing::new(ProjectivePoint::<C>::mul_by_generator(&*known::<C>(private)?));
        Some(octets::<C>(&(*own + *hidden.point::<ProjectivePoint<C>>()?)).to_vec())
    }

    fn shared(&self, private: &[u8], theirs: &[u8], hidden: &Hidden) -> Option<Secret> {
        let bare = Zeroizing::new(element::<C>(theirs)? - *hidden.point::<ProjectivePoint<C>>()?);
        let shared = Zeroizing::new(*bare * *known::<C>(private)?);
        (!bool::from(shared.is_identity())).then(|| octets::<C>(&shared))
    }
}

/// An element of the curve, compressed, and not the neutral one.
fn element<C>(octets: &[u8]) -> Option<ProjectivePoint<C>>
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C>,
{
    let compressed = octets.len() == 1 + FieldBytes::<C>::default().len() && matches!(octets.first(), Some(2 | 3));
    let point = AffinePoint::<C>::from_sec1_bytes(octets).ok().filter(|_| compressed)?;
    Some(point.into())
}

fn octets<C>(point: &ProjectivePoint<C>) -> Secret
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: ToSec1Point<C>,
{
    Zeroizing::new(point.to_affine().to_sec1_point(true).as_bytes().to_vec())
}

/// A private key of [`Arithmetic::private`].
fn known<C: CurveArithmetic>(private: &[u8]) -> Option<Zeroizing<Scalar<C>>> {
    let repr = FieldBytes::<C>::try_from(private).ok()?;
    Option::<Scalar<C>>::from(Scalar::<C>::from_repr(repr)).map(Zeroizing::new)
}

/// A number of any length, reduced by the order: half as many octets at a time as the order has, since
/// those are below it whatever they are. The time depends on the length alone.
fn scalar<C: CurveArithmetic>(octets: &[u8]) -> Zeroizing<Scalar<C>> {
    let length = FieldBytes::<C>::default().len();
    let half = length / 2;
    let digit = |octets: &[u8]| {
        let mut digit = Zeroizing::new(FieldBytes::<C>::default());
        for (to, from) in digit.iter_mut().rev().zip(octets.iter().rev()) {
            *to = *from;
        }
        Scalar::<C>::reduce(&*digit)
    };
    let mut base = vec![0; half + 1];
    if let Some(first) = base.first_mut() {
        *first = 1;
    }
    let base = digit(&base);
    Zeroizing::new(octets.rchunks(half).rev().fold(Scalar::<C>::ZERO, |number, next| number * base + digit(next)))
}
