//! Which enctype for which key (RFC 4120 3.1.3): the client's wishes, the server's abilities, the
//! realm's policy.

use libkrb::codes::EncryptionType;
use libkrb::wire::List;
use libkrb::{ErrorCode, Time};
use smallvec::SmallVec;

use super::entry::{Entry, KeySet, LongTermKey};
use super::policy::Policy;
use super::refuse::Refusal;

/// How many offered enctypes are looked at; more than that are none of any use.
const MOST_OFFERED: usize = 64;

/// Enctypes that a client offers and this realm allows: of both there are few.
pub type Offered = SmallVec<[EncryptionType; 8]>;

/// The enctypes that a client offers and this realm allows, in the client's order and each once: a
/// hint for every repetition would make a long answer to a short question.
pub fn offered(policy: &Policy, etypes: &List<'_, EncryptionType>) -> Offered {
    let mut offered = Offered::new();
    for etype in etypes.iter().take(MOST_OFFERED).filter(|etype| policy.etypes.contains(etype)) {
        if !offered.contains(&etype) {
            offered.push(etype);
        }
    }
    offered
}

/// The enctype of a session key: the first offered one that the server states, or else has a key of.
/// One without a statement may get AES256 with SHA-1 too, which everybody must have (RFC 4120 8.1),
/// and one without any key, as can be in user-to-user, whatever is offered.
///
/// # Errors
/// ETYPE_NOSUPP when nothing offered is allowed and usable by the server.
pub fn session(
    policy: &Policy,
    server: &Entry,
    offered: &[EncryptionType],
    now: Time,
) -> Result<EncryptionType, Refusal> {
    let stated = server
        .strings
        .get("session_enctypes")
        .map(|list| list.split([',', ' ']).filter_map(|name| EncryptionType::parse(name.trim())).collect::<Vec<_>>());
    let able = |etype: &&EncryptionType| match &stated {
        Some(list) => list.contains(etype),
        // The TGS is this KDC, which can do all that the policy lists.
        None => server.principal.is_local_tgs() && policy.etypes.contains(etype) || server.key(**etype, now).is_some(),
    };
    let keyless = server.current(now).is_none_or(|set| set.keys.is_empty());
    let presumed = |etype: &&EncryptionType| stated.is_none() && (keyless || **etype == EncryptionType::AES256_SHA1);
    let chosen = offered.iter().find(able).or_else(|| offered.iter().find(presumed));
    let cause = "no offered encryption type is allowed in this realm and known to the server";
    chosen.copied().ok_or(Refusal::new(ErrorCode::ETYPE_NOSUPP, cause))
}

/// The key that seals tickets for a server: of those in use, the server's first choice.
///
/// # Errors
/// ETYPE_NOSUPP when the server has no key that the realm allows.
pub fn ticket_key<'a>(policy: &Policy, server: &'a Entry, now: Time) -> Result<(&'a LongTermKey, u32), Refusal> {
    let set = server.current(now);
    set.and_then(|set| set.keys.iter().find(|key| policy.etypes.contains(&key.etype())).map(|key| (key, set.kvno)))
        .ok_or(Refusal::new(ErrorCode::ETYPE_NOSUPP, "the server has no key of an allowed encryption type"))
}

/// The key that seals the AS reply: of those that the client knows, the one of the first offered
/// enctype.
///
/// # Errors
/// ETYPE_NOSUPP when there is none.
pub fn reply_key<'a>(known: Option<&'a KeySet>, offered: &[EncryptionType]) -> Result<(&'a LongTermKey, u32), Refusal> {
    let key = known.and_then(|set| offered.iter().find_map(|etype| Some((set.key(*etype)?, set.kvno))));
    key.ok_or(Refusal::new(ErrorCode::ETYPE_NOSUPP, "the client has no key of an offered encryption type"))
}
