//! New keys: random, or of a password. Not here: whose they become.

use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, OsRandom, default_s2kparams};
use libkrb::{Principal, Result};
use zeroize::Zeroizing;

use super::operation::{Etype, KeyKind, NewKeys, Salt};
use crate::core::LongTermKey;

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
    fn kinds(&self, asked: &[KeyKind]) -> Vec<KeyKind> {
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
        // An enctype without rounds has no use for a number of them.
        let iterations = self.iterations.filter(|rounds| default.is_some_and(|default| default != *rounds));
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
