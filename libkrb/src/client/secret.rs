//! What a client proves itself with: a password or the keys of a keytab.

use std::fmt;

use zeroize::Zeroizing;

use crate::codes::EncryptionType;
use crate::crypto::Key;
use crate::error::{Error, ErrorCode, Result};
use crate::name::Principal;
use crate::preauth::KeyHint;

/// Asks for the password of a principal.
pub type Prompt = Box<dyn FnMut(&Principal) -> Result<Zeroizing<String>> + Send>;

/// What a client proves itself with.
pub enum Secret {
    /// A password.
    Password(Zeroizing<String>),
    /// A password that somebody is asked for when it is needed, once: after the KDC has found the
    /// client, so that nobody types a password for a name that does not exist.
    Prompt(Prompt),
    /// Nothing: the client has other means ([`crate::preauth::Means`]).
    None,
    /// Long-term keys with their version numbers.
    Keys(Vec<(u32, Key)>),
}

impl Secret {
    /// A password.
    pub fn password(password: impl Into<String>) -> Secret {
        Secret::Password(Zeroizing::new(password.into()))
    }

    /// Of the enctypes that a caller wants, those that there is a key for.
    pub(super) fn usable(&self, wanted: Vec<EncryptionType>, client: &Principal) -> Result<Vec<EncryptionType>> {
        let Secret::Keys(keys) = self else { return Ok(wanted) };
        let usable = |etype: &EncryptionType| keys.iter().any(|(_, key)| key.etype() == *etype);
        let usable: Vec<_> = wanted.into_iter().filter(usable).collect();
        if usable.is_empty() {
            return Err(Error::NoKey(format!("Keytab contains no suitable keys for {client}")));
        }
        Ok(usable)
    }

    /// The client's key: of a keytab the one of that version, if it is there, else the newest.
    pub(super) fn key(&mut self, client: &Principal, hint: &KeyHint, version: Option<u32>) -> Result<Key> {
        if let Secret::Prompt(ask) = self {
            *self = Secret::Password(ask(client)?);
        }
        match self {
            Secret::Password(password) => hint.key(client, password),
            Secret::Keys(keys) => keys
                .iter()
                .filter(|(_, key)| key.etype() == hint.etype)
                .max_by_key(|(kvno, _)| (Some(*kvno) == version, *kvno))
                .map(|(_, key)| key.clone())
                .ok_or(Error::code(ErrorCode::ETYPE_NOSUPP)),
            Secret::Prompt(_) => Err(Error::PasswordIncorrect),
            Secret::None => Err(Error::protocol(ErrorCode::PREAUTH_FAILED, "there is neither a password nor a key")),
        }
    }

    /// What it means that the KDC does not take our proof.
    pub(super) fn refused(&self, code: ErrorCode) -> Error {
        match self {
            Secret::Keys(_) | Secret::None => Error::code(code),
            Secret::Password(_) | Secret::Prompt(_) => Error::PasswordIncorrect,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Password(_) => f.write_str("Password(redacted)"),
            Secret::Prompt(_) => f.write_str("Prompt"),
            Secret::None => f.write_str("None"),
            Secret::Keys(keys) => f.debug_tuple("Keys").field(keys).finish(),
        }
    }
}
