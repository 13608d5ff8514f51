//! New keys: random, or of a password; and lists of their kinds. Not here: whose they become.

use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, OsRandom, default_s2kparams, is_weak, supported};
use libkrb::{Principal, Result};
use zeroize::Zeroizing;

use super::operation::{Etype, KeyKind, NewKeys, Refusal, Salt};
use crate::core::{LongTermKey, PasswordPolicy};

const SALTS: [(&str, Salt); 4] =
    [("normal", Salt::Normal), ("norealm", Salt::NoRealm), ("onlyrealm", Salt::OnlyRealm), ("special", Salt::Special)];

/// What new keys are made of unless said otherwise.
#[derive(Clone, Debug)]
pub struct KeyRules {
    /// Enctypes, one key each.
    pub etypes: Vec<EncryptionType>,
    /// PBKDF2 rounds for passwords; `None`: each enctype's own.
    pub iterations: Option<u32>,
}

impl Default for KeyRules {
    fn default() -> Self {
        KeyRules { etypes: libkrb::crypto::SUPPORTED.to_vec(), iterations: None }
    }
}

impl KeyRules {
    /// The keys that `wanted` means for `principal`.
    pub(super) fn make(&self, principal: &Principal, wanted: &NewKeys) -> Result<Vec<LongTermKey>> {
        match wanted {
            NewKeys::Keyless => Ok(vec![]),
            NewKeys::Random(kinds) => random_keys(self.kinds(kinds).into_iter().map(|kind| kind.etype.0)),
            NewKeys::Password { password, kinds } => {
                let make = |kind| self.of_password(principal, password.expose(), kind);
                self.kinds(kinds).into_iter().map(make).collect()
            }
        }
    }

    /// The kinds that were asked for, or else the realm's; one of an enctype.
    pub(super) fn kinds(&self, asked: &[KeyKind]) -> Vec<KeyKind> {
        let own = self.etypes.iter().map(|etype| KeyKind { etype: Etype(*etype), salt: Salt::Normal });
        let all: Vec<_> = if asked.is_empty() { own.collect() } else { asked.to_vec() };
        let mut kinds: Vec<KeyKind> = vec![];
        for kind in all {
            if kinds.iter().all(|known| known.etype != kind.etype) {
                kinds.push(kind);
            }
        }
        kinds
    }

    fn of_password(&self, principal: &Principal, password: &str, kind: KeyKind) -> Result<LongTermKey> {
        let etype = kind.etype.0;
        let salt = salt(principal, kind.salt)?;
        let default = default_s2kparams(etype).map(u32::from_be_bytes);
        // Another realm's KDC makes the key of a trust of the same password and does not know our rounds;
        // an enctype without rounds has no use for a number of them.
        let own = self.iterations.filter(|_| principal.tgs_target().is_none());
        let iterations = own.filter(|rounds| default.is_some_and(|default| default != *rounds));
        let params = iterations.map(u32::to_be_bytes);
        let params = params.as_ref().map(|octets| &octets[..]);
        let key = Key::from_password(etype, password.as_bytes(), salt.as_bytes(), params)?;
        Ok(LongTermKey::new(key, Some(salt)).with_iterations(iterations))
    }
}

/// A random key of each enctype.
///
/// # Errors
/// For an enctype that is not supported.
pub fn random_keys(etypes: impl IntoIterator<Item = EncryptionType>) -> Result<Vec<LongTermKey>> {
    let mut random = OsRandom::new();
    etypes.into_iter().map(|etype| Ok(LongTermKey::new(Key::random(etype, &mut random)?, None))).collect()
}

fn salt(principal: &Principal, kind: Salt) -> Result<String> {
    Ok(match kind {
        Salt::Normal => principal.salt(),
        Salt::NoRealm => principal.components().concat(),
        Salt::OnlyRealm => principal.realm().to_owned(),
        Salt::Special => {
            let mut octets = Zeroizing::new([0; 16]);
            getrandom::fill(&mut *octets).map_err(|_| libkrb::Error::Random)?;
            octets.iter().map(|octet| format!("{octet:02x}")).collect()
        }
    })
}

/// Reads `enctype:salt,...`; the salt may be left out, blanks do as commas.
///
/// # Errors
/// What is wrong with it.
pub fn key_kinds(list: &str) -> std::result::Result<Vec<KeyKind>, String> {
    let kinds: Vec<_> = items(list)
        .map(key_kind)
        .collect::<std::result::Result<_, _>>()
        .map_err(|problem| format!("{problem} while parsing keysalts {list}"))?;
    match kinds.is_empty() {
        true => Err(format!("Invalid key/salt tuples while parsing keysalts {list}")),
        false => Ok(kinds),
    }
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', ' ', '\t']).filter(|item| !item.is_empty())
}

fn key_kind(item: &str) -> std::result::Result<KeyKind, String> {
    let (name, salt) = item.split_once(':').unwrap_or((item, "normal"));
    let etype = EncryptionType::parse(name).ok_or_else(|| format!("{name} is no encryption type"))?;
    if !supported(etype) {
        let why = if is_weak(etype) { "is broken and therefore not in this build" } else { "is not supported" };
        return Err(format!("{name} {why}"));
    }
    let salt = SALTS.iter().find(|(known, _)| salt.eq_ignore_ascii_case(known));
    let (_, salt) = salt.ok_or_else(|| format!("the salt of {item} is none of normal, norealm, onlyrealm, special"))?;
    Ok(KeyKind { etype: Etype(etype), salt: *salt })
}

/// `wanted` as a policy allows it: of the kinds that it names, in its order.
pub(super) fn allowed(policy: Option<&PasswordPolicy>, wanted: &NewKeys) -> std::result::Result<NewKeys, Refusal> {
    let Some(policy) = policy.filter(|policy| !policy.allowed_key_salts.is_empty()) else { return Ok(wanted.clone()) };
    // A policy that came from elsewhere may name kinds that can't be made here.
    let known: Vec<_> = items(&policy.allowed_key_salts).filter_map(|item| key_kind(item).ok()).collect();
    let within = |asked: &[KeyKind]| {
        let only = asked.iter().all(|kind| known.contains(kind)) && !known.is_empty();
        let kinds = known.iter().filter(|kind| asked.is_empty() || asked.contains(kind)).copied().collect();
        only.then_some(kinds).ok_or_else(|| {
            let PasswordPolicy { name, allowed_key_salts: list, .. } = policy;
            Refusal::invalid("Invalid key/salt tuples")
                .advising(format!("policy {name} allows {list}; ask for some of them"))
        })
    };
    Ok(match wanted {
        NewKeys::Keyless => NewKeys::Keyless,
        NewKeys::Random(kinds) => NewKeys::Random(within(kinds)?),
        NewKeys::Password { password, kinds } => {
            NewKeys::Password { password: password.clone(), kinds: within(kinds)? }
        }
    })
}
