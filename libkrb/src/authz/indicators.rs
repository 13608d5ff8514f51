//! AD-AUTHENTICATION-INDICATOR (RFC 8129): how the client proved itself when it logged in. Believed
//! only within a verified [`super::cammac`].

use super::strings::{self, Bounds};
use crate::codes::AuthDataType;
use crate::wire::AuthorizationData;

/// Indicators of one ticket, at most, and octets of one.
const BOUNDS: Bounds = Bounds { most: 32, longest: 128 };

/// The content of the element.
pub fn encode(indicators: &[String]) -> Vec<u8> {
    BOUNDS.encode(indicators.iter().map(String::as_str))
}

/// The indicators among elements that a KDC vouches for.
pub fn read(elements: &AuthorizationData<'_>) -> Vec<String> {
    BOUNDS.read(AuthDataType::AUTH_INDICATOR, elements)
}

/// The indicators of a setting: `require_auth` has them with blanks between.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    strings::split(text)
}

/// Whether this can be an indicator.
///
/// # Errors
/// What is wrong, and the way out.
pub fn check(text: &str) -> Result<(), String> {
    BOUNDS.check("indicator", text)
}
