//! The groups of SPAKE (RFC 9588 12.2): a row and its arithmetic each. Whatever depends on a secret
//! takes the same time for every secret. Not here: what the shared element is used for.

mod edwards25519;
mod weierstrass;

use std::any::Any;
use std::fmt;

use p256::NistP256;
use p384::NistP384;
use p521::NistP521;
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::{Hash, Random};
use edwards25519::Edwards25519;
use weierstrass::Weierstrass;

/// A group of the registry (RFC 9588 12.2).
pub struct Group {
    /// Its number on the wire.
    pub number: i32,
    /// Its name in krb5.conf and kdc.toml.
    pub name: &'static str,
    /// The hash function that goes with it.
    pub(super) hash: Hash,
    /// How many octets of PRF+ make the multiplier w.
    pub(super) multiplier_len: usize,
    pub(super) arithmetic: &'static dyn Arithmetic,
}

/// Which of the two constants hides a public key: M the KDC's, N the client's (RFC 9588 4.2, 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mask {
    M = 0,
    N = 1,
}

/// Octets that must not stay in memory.
pub(super) type Secret = Zeroizing<Vec<u8>>;

/// What is computed in a group. Private keys and elements are octets as the registry serializes them.
pub(super) trait Arithmetic: Sync {
    /// A private key: uniform, and divisible by the cofactor (RFC 9588 10.1).
    fn private(&self, random: &mut dyn Random) -> Secret;
    /// What hides public keys: w*mask. The same for every exchange with one long-term key.
    fn hidden(&self, w: &[u8], mask: Mask) -> Option<Hidden>;
    /// The public key of a private one, hidden: x*P + w*mask. `None` for what is no private key.
    fn public(&self, private: &[u8], hidden: &Hidden) -> Option<Vec<u8>>;
    /// The shared element: x*(theirs - w*mask). `None` for what is no private key or no element of the
    /// group, and for one that the other side could know without a secret.
    fn shared(&self, private: &[u8], theirs: &[u8], hidden: &Hidden) -> Option<Secret>;
}

/// An element of a group as its own arithmetic has it. Zeroized on drop.
pub(super) struct Hidden(Box<dyn Any + Send + Sync>);

impl Hidden {
    fn new<P: Zeroize + Send + Sync + 'static>(point: P) -> Hidden {
        Hidden(Box::new(Zeroizing::new(point)))
    }

    /// `None` for an element of another group.
    fn point<P: Zeroize + 'static>(&self) -> Option<&P> {
        self.0.downcast_ref::<Zeroizing<P>>().map(|point| &**point)
    }
}

static EDWARDS25519: Edwards25519 = Edwards25519::new(
    octets("d048032c6ea0b6d697ddc2e86bda85a33adac920f1bf18e1b0c6d166a5cecdaf"),
    octets("d3bfb518f44f3430f29d0c92af503865a1ed3281dc69b35dd868ba85f886c4ab"),
);

static P256: Weierstrass<NistP256> = Weierstrass::new(
    &octets::<33>("02886e2f97ace46e55ba9dd7242579f2993b64e16ef3dcab95afd497333d8fa12f"),
    &octets::<33>("03d8bbd6c639c62937b04d997f38c3770719c629d7014d49a24b4f98baa1292b49"),
);

static P384: Weierstrass<NistP384> = Weierstrass::new(
    &octets::<49>("030ff0895ae5ebf6187080a82d82b42e2765e3b2f8749c7e05eba366434b363d3dc36f15314739074d2eb8613fceec2853"),
    &octets::<49>("02c72cf2e390853a1c1c4ad816a62fd15824f56078918f43f922ca21518f9c543bb252c5490214cf9aa3f0baab4b665c10"),
);

static P521: Weierstrass<NistP521> = Weierstrass::new(
    &octets::<67>(
        "02003f06f38131b2ba2600791e82488e8d20ab889af753a41806c5db18d37d85608cfae06b82e4a72cd744c719193562a653ea1f119\
         eef9356907edc9b56979962d7aa",
    ),
    &octets::<67>(
        "0200c7924b9ec017f3094562894336a53c50167ba8c5963876880542bc669e494b2532d76c5b53dfb349fdf69154b9e0048c58a42e8\
         ed04cef052a3bc349d95575cd25",
    ),
);

/// Every group, the one that costs a KDC least first.
pub static GROUPS: [Group; 4] = [
    Group { number: 1, name: "edwards25519", hash: Hash::Sha256, multiplier_len: 32, arithmetic: &EDWARDS25519 },
    Group { number: 2, name: "P-256", hash: Hash::Sha256, multiplier_len: 32, arithmetic: &P256 },
    Group { number: 3, name: "P-384", hash: Hash::Sha384, multiplier_len: 48, arithmetic: &P384 },
    // The registry says 48 octets; its own test vectors and every peer have 66.
    Group { number: 4, name: "P-521", hash: Hash::Sha512, multiplier_len: 66, arithmetic: &P521 },
];

impl Group {
    /// The group of a number.
    pub fn of(number: i32) -> Option<&'static Group> {
        GROUPS.iter().find(|group| group.number == number)
    }

    /// The group of a name, in either case.
    pub fn named(name: &str) -> Option<&'static Group> {
        GROUPS.iter().find(|group| group.name.eq_ignore_ascii_case(name))
    }

    /// The groups of a list as krb5.conf has it: names, between commas or spaces. Those that nobody
    /// here knows are passed over, for the file may be made for others too.
    pub fn list(names: &str) -> Vec<&'static Group> {
        names.split([',', ' ', '\t']).filter_map(Group::named).collect()
    }
}

impl PartialEq for Group {
    fn eq(&self, other: &Group) -> bool {
        self.number == other.number
    }
}

impl Eq for Group {}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The octets of a constant; what is no hexadecimal does not compile.
#[allow(clippy::indexing_slicing, clippy::panic, reason = "at compile time")]
const fn octets<const N: usize>(text: &str) -> [u8; N] {
    const fn digit(letter: u8) -> u8 {
        match letter {
            b'0'..=b'9' => letter - b'0',
            b'a'..=b'f' => letter - b'a' + 10,
            _ => panic!("no hexadecimal digit"),
        }
    }
    let text = text.as_bytes();
    assert!(text.len() == 2 * N, "as many octets as the constant has");
    let mut octets = [0; N];
    let mut at = 0;
    while at < N {
        octets[at] = digit(text[2 * at]) << 4 | digit(text[2 * at + 1]);
        at += 1;
    }
    octets
}
