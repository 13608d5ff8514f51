//! Whether the session key of an AS-REP is one that the client had a part in (RFC 8062 7): else whoever
//! stands in the middle of an anonymous exchange could give both sides keys of his choice.

use crate::codes::PaType;
use crate::crypto::Key;
use crate::error::{Error, Result};
use crate::wire::{EncKdcRepPart, MethodData};

/// Refuses a session key that is not made of the KDC's part and the reply key where the KDC says so,
/// and an anonymous client's where it does not.
pub(super) fn check(
    reply_key: &Key,
    padata: MethodData<'_>,
    part: &EncKdcRepPart<'_>,
    method: Option<PaType>,
    anonymous: bool,
) -> Result<()> {
    const OTHER: Error = Error::ReplyMismatch("a session key that the client had no part in");
    if method != Some(PaType::PK_AS_REQ) {
        // Nothing else proves a KDC to a client without a name.
        return if anonymous { Err(OTHER) } else { Ok(()) };
    }
    match padata.iter().find(|element| element.kind == PaType::PKINIT_KX) {
        Some(element) => same(reply_key, element.value, part).filter(|same| *same).map(drop).ok_or(OTHER),
        None if anonymous => Err(OTHER),
        None => Ok(()),
    }
}

#[cfg(feature = "pkinit")]
fn same(reply_key: &Key, value: &[u8], part: &EncKdcRepPart<'_>) -> Option<bool> {
    use crate::preauth::pkinit::{joint_session_key, open_contribution};
    let contribution = open_contribution(value, reply_key).ok()?;
    let joint = joint_session_key(&contribution, reply_key).ok()?;
    Some(joint.same_as(&part.key.key().ok()?))
}

#[cfg(not(feature = "pkinit"))]
fn same(_: &Key, _: &[u8], _: &EncKdcRepPart<'_>) -> Option<bool> {
    None
}
