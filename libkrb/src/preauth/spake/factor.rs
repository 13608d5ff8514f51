//! Second factors (RFC 9588 8, 12.1): what a login may need besides the password, a row each. The RFC
//! has but the one that needs nothing.

/// A second factor.
#[derive(Debug)]
pub struct Factor {
    /// Its number (RFC 9588 12.1).
    pub kind: i32,
    /// KDC: what the challenge says of it. `None`: it has no data.
    pub challenge: fn() -> Option<Vec<u8>>,
    /// Client: what answers the challenge's data.
    pub answer: fn(Option<&[u8]>) -> Option<Vec<u8>>,
    /// KDC: whether the answer will do.
    pub holds: fn(Option<&[u8]>) -> bool,
}

/// SF-NONE (RFC 9588 8): the password is enough. It never has data.
pub const NONE: i32 = 1;

/// Every second factor that is known, the one to be preferred first.
pub const FACTORS: &[Factor] =
    &[Factor { kind: NONE, challenge: || None, answer: |_| None, holds: |data| data.is_none() }];

impl Factor {
    /// The second factor of a number.
    pub fn of(kind: i32) -> Option<&'static Factor> {
        FACTORS.iter().find(|factor| factor.kind == kind)
    }
}
