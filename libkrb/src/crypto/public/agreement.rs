//! Agreeing on a secret over a listened-to line: Diffie-Hellman in the groups of RFC 3526 and on the
//! curves of NIST (RFC 4556 3.2.1, RFC 5349 4). Not here: what becomes of the secret.

use std::fmt;

use aws_lc_rs::agreement::{self, Algorithm, PrivateKey, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::super::Random;
use super::modp::{Exponent, GROUP_14, GROUP_16};
use crate::error::{Error, Result};
use crate::wire::{self, AlgorithmIdentifier, Any, DomainParameters, Oid, SubjectPublicKeyInfo, Unsigned};

/// 1.2.840.10046.2.1: dhpublicnumber (RFC 3279 2.3.3).
const DH_PUBLIC_NUMBER: Oid<'static> = Oid(&[0x2a, 0x86, 0x48, 0xce, 0x3e, 2, 1]);
/// 1.2.840.10045.2.1: id-ecPublicKey (RFC 3279 2.3.5).
const EC_PUBLIC_KEY: Oid<'static> = Oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]);

/// A group in which a secret is agreed upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Group 14 of RFC 3526: 2048 bits.
    Modp2048,
    /// NIST's curve P-256.
    P256,
    /// Group 16 of RFC 3526: 4096 bits.
    Modp4096,
    /// NIST's curve P-384.
    P384,
    /// NIST's curve P-521.
    P521,
}

/// A curve: its group, its identifier, what computes on it and how long its points are.
type Curve = (Group, &'static [u8], &'static Algorithm, usize);

const CURVES: [Curve; 3] = [
    (Group::P256, &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7], &agreement::ECDH_P256, 65),
    (Group::P384, &[6, 5, 0x2b, 0x81, 4, 0, 0x22], &agreement::ECDH_P384, 97),
    (Group::P521, &[6, 5, 0x2b, 0x81, 4, 0, 0x23], &agreement::ECDH_P521, 133),
];

impl Group {
    /// All of them, the weakest first.
    pub const ALL: [Group; 5] = [Group::Modp2048, Group::P256, Group::Modp4096, Group::P384, Group::P521];

    /// The name in MIT's `pkinit_dh_min_bits`.
    pub fn name(self) -> &'static str {
        match self {
            Group::Modp2048 => "2048",
            Group::P256 => "P-256",
            Group::Modp4096 => "4096",
            Group::P384 => "P-384",
            Group::P521 => "P-521",
        }
    }

    /// The group of a name; a number of bits is that of the weakest group that has so many.
    pub fn parse(name: &str) -> Option<Group> {
        match name.parse::<u32>() {
            Ok(..=2048) => Some(Group::Modp2048),
            Ok(..=4096) => Some(Group::Modp4096),
            Ok(_) => None,
            Err(_) => Group::ALL.into_iter().find(|group| group.name().eq_ignore_ascii_case(name)),
        }
    }

    /// The group that an algorithm identifier's parameters describe, if it is one of these.
    pub fn of(algorithm: &AlgorithmIdentifier<'_>) -> Option<Group> {
        let parameters = algorithm.parameters?.0;
        if algorithm.algorithm == EC_PUBLIC_KEY {
            return CURVES.iter().find(|(_, oid, ..)| *oid == parameters).map(|(group, ..)| *group);
        }
        let DomainParameters { p, g, .. } =
            wire::decode(parameters).ok().filter(|_| algorithm.algorithm == DH_PUBLIC_NUMBER)?;
        let known = [(Group::Modp2048, GROUP_14.prime()), (Group::Modp4096, GROUP_16.prime())];
        known.into_iter().find(|(_, prime)| g.0 == [2] && p.0 == *prime).map(|(group, _)| group)
    }

    /// Its AlgorithmIdentifier, encoded (RFC 3279 2.3.3, 2.3.5).
    pub fn algorithm(self) -> Vec<u8> {
        let prime = |prime: &[u8], order: &[u8]| {
            let (p, q) = (Unsigned(prime), Some(Unsigned(order)));
            let parameters = wire::encode(&DomainParameters { p, g: Unsigned(&[2]), q });
            wire::encode(&AlgorithmIdentifier { algorithm: DH_PUBLIC_NUMBER, parameters: Some(Any(&parameters)) })
        };
        match self.curve() {
            Some((_, oid, ..)) => {
                wire::encode(&AlgorithmIdentifier { algorithm: EC_PUBLIC_KEY, parameters: Some(Any(oid)) })
            }
            None if self == Group::Modp4096 => prime(GROUP_16.prime(), &GROUP_16.order()),
            None => prime(GROUP_14.prime(), &GROUP_14.order()),
        }
    }

    fn curve(self) -> Option<&'static Curve> {
        CURVES.iter().find(|(group, ..)| *group == self)
    }

    /// A fresh secret. On a curve it is drawn from the library's own generator, which takes no other.
    ///
    /// # Errors
    /// [`Error::Random`] when that generator fails.
    pub fn generate(self, random: &mut dyn Random) -> Result<Secret> {
        let half = match self.curve() {
            Some((_, _, algorithm, _)) => Half::Point(PrivateKey::generate(algorithm).map_err(|_| Error::Random)?),
            None => Half::Exponent(Exponent::random(random)),
        };
        Ok(Secret { group: self, half })
    }
}

/// One side's secret half of an agreement.
pub struct Secret {
    group: Group,
    half: Half,
}

enum Half {
    Exponent(Exponent),
    Point(PrivateKey),
}

impl Secret {
    /// The public half, as it stands in a BIT STRING (RFC 3279 2.3.3, 2.3.5).
    ///
    /// # Errors
    /// [`Error::Random`] when the library fails.
    pub fn public_key(&self) -> Result<Vec<u8>> {
        let number = match &self.half {
            Half::Point(key) => {
                return key.compute_public_key().map(|key| key.as_ref().to_vec()).map_err(|_| Error::Random);
            }
            Half::Exponent(exponent) if self.group == Group::Modp4096 => GROUP_16.public_key(exponent),
            Half::Exponent(exponent) => GROUP_14.public_key(exponent),
        };
        Ok(wire::encode(&Unsigned(&number)))
    }

    /// The public half as a SubjectPublicKeyInfo, encoded.
    ///
    /// # Errors
    /// As [`Secret::public_key`].
    pub fn public_key_info(&self) -> Result<Vec<u8>> {
        let (algorithm, key) = (self.group.algorithm(), self.public_key()?);
        let algorithm = wire::decode(&algorithm)?;
        Ok(wire::encode(&SubjectPublicKeyInfo { algorithm, key: wire::BitString(&key) }))
    }

    /// The secret that is shared with who has this public half (RFC 4556 3.2.3.1, RFC 5349 4).
    ///
    /// # Errors
    /// [`Error::Malformed`] for what is no public key of this group.
    pub fn agree(&self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        const NONE: Error = Error::Malformed("a public key that is none on its curve");
        match (&self.half, self.group.curve()) {
            (Half::Point(key), Some((_, _, algorithm, length))) => {
                // Only uncompressed points: what the library would take besides is not PKINIT's.
                if peer.len() != *length || peer.first() != Some(&4) {
                    return Err(NONE);
                }
                let peer = UnparsedPublicKey::new(algorithm, peer);
                agreement::agree(key, peer, NONE, |secret| Ok(Zeroizing::new(secret.to_vec())))
            }
            (Half::Exponent(exponent), None) => {
                let Unsigned(number) = wire::decode(peer)?;
                if self.group == Group::Modp4096 {
                    GROUP_16.agree(exponent, number)
                } else {
                    GROUP_14.agree(exponent, number)
                }
            }
            _ => Err(NONE),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}, redacted)", self.group.name())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::OsRandom;
    use super::*;

    #[test]
    fn both_sides_have_the_same_secret_in_every_group() {
        let mut random = OsRandom::new();
        for (group, length) in Group::ALL.into_iter().zip([256, 32, 512, 48, 66]) {
            let (ours, theirs) = (group.generate(&mut random).unwrap(), group.generate(&mut random).unwrap());
            let secret = ours.agree(&theirs.public_key().unwrap()).unwrap();
            assert_eq!(secret.len(), length, "{group:?}");
            assert_eq!(*secret, *theirs.agree(&ours.public_key().unwrap()).unwrap(), "{group:?}");
        }
    }

    #[test]
    fn a_group_is_known_by_its_parameters_and_by_nothing_else() {
        for group in Group::ALL {
            let der = group.algorithm();
            assert_eq!(Group::of(&wire::decode(&der).unwrap()), Some(group));
        }
        let mut der = Group::Modp2048.algorithm();
        let last = der.iter().rposition(|octet| *octet == 2).unwrap();
        der[last] = 2;
        let mut other = der.clone();
        let at = other.len() / 2 - 20;
        other[at] ^= 1;
        assert_ne!(Group::of(&wire::decode(&other).unwrap()), Some(Group::Modp4096));
    }

    #[test]
    fn public_keys_that_give_the_secret_away_are_refused() {
        let secret = Group::Modp2048.generate(&mut OsRandom::new()).unwrap();
        let mut last = GROUP_14.prime().to_vec();
        *last.last_mut().unwrap() -= 1;
        let longer = [&[1], GROUP_14.prime()].concat();
        for number in [&[0][..], &[1], &last, GROUP_14.prime(), &longer] {
            assert!(secret.agree(&wire::encode(&Unsigned(number))).is_err());
        }
        let secret = Group::P256.generate(&mut OsRandom::new()).unwrap();
        for point in [vec![], vec![0], vec![4; 65], vec![2; 33]] {
            assert!(secret.agree(&point).is_err());
        }
    }

    #[test]
    fn bits_and_names_say_the_same_groups_as_mits() {
        for (name, group) in [
            ("1024", Some(Group::Modp2048)),
            ("2048", Some(Group::Modp2048)),
            ("4096", Some(Group::Modp4096)),
            ("p-256", Some(Group::P256)),
            ("P-521", Some(Group::P521)),
            ("8192", None),
            ("", None),
        ] {
            assert_eq!(Group::parse(name), group, "{name}");
        }
    }
}
