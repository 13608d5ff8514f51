//! Roles in a ticket: what its service is told of the client beside the name, as others tell it in a
//! JWT. An element of a number of our own, within a [`super::cammac`]; `docs/guide/roles.md` has the
//! format. Not here: who has which role for which service, which the KDC knows.

use super::strings::{self, Bounds};
use crate::codes::AuthDataType;
use crate::wire::AuthorizationData;

/// Roles of one ticket, at most.
pub const MOST: usize = 32;
/// Octets of one role, at most.
pub const LONGEST: usize = 64;

const BOUNDS: Bounds = Bounds { most: MOST, longest: LONGEST };

/// The content of the element.
pub fn encode(roles: &[String]) -> Vec<u8> {
    BOUNDS.encode(roles.iter().map(String::as_str))
}

/// The roles among elements that a KDC vouches for.
pub fn read(elements: &AuthorizationData<'_>) -> Vec<String> {
    BOUNDS.read(AuthDataType::ROLES, elements)
}

/// The roles of a setting, with commas or blanks between.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    strings::split(text)
}

/// Whether this can be a role.
///
/// # Errors
/// What is wrong, and the way out.
pub fn check(text: &str) -> Result<(), String> {
    BOUNDS.check("role", text)
}
