//! ETYPE-INFO2, ETYPE-INFO and PW-SALT: how the client's password becomes its key (RFC 4120
//! 5.2.7.3 to 5.2.7.5). Not here: string-to-key itself ([`crate::crypto`]).

use crate::codes::{EncryptionType, PaType};
use crate::crypto::Key;
use crate::error::Result;
use crate::name::Principal;
use crate::wire::{self, EtypeInfo2Entry, EtypeInfoEntry, List, MethodData};

/// What a client must know besides its password to make its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHint {
    /// The encryption type of the key.
    pub etype: EncryptionType,
    /// The salt; `None` for the default one ([`Principal::salt`]).
    pub salt: Option<Vec<u8>>,
    /// The parameters of string-to-key; `None` for the enctype's own.
    pub s2kparams: Option<Vec<u8>>,
}

impl KeyHint {
    /// In words for a trace. A salt is no secret: the KDC tells it to everybody who asks.
    pub fn description(&self) -> String {
        let salt = self.salt.as_deref().map_or("default".into(), |salt| format!("{:?}", String::from_utf8_lossy(salt)));
        let rounds = self.s2kparams.as_deref().and_then(|params| params.try_into().ok()).map(u32::from_be_bytes);
        let rounds = rounds.map_or("default".to_owned(), |rounds| rounds.to_string());
        format!("Selected etype info: etype {}, salt {salt}, rounds {rounds}", self.etype)
    }

    /// Default salt and parameters.
    pub fn plain(etype: EncryptionType) -> KeyHint {
        KeyHint { etype, salt: None, s2kparams: None }
    }

    /// The key of `client` with this password.
    ///
    /// # Errors
    /// [`crate::Error::EtypeNotSupported`], and [`crate::Error::S2kParams`] for parameters that are
    /// malformed or ask for too little or too much work.
    pub fn key(&self, client: &Principal, password: &str) -> Result<Key> {
        let default = client.salt();
        let salt = self.salt.as_deref().unwrap_or(default.as_bytes());
        Key::from_password(self.etype, password.as_bytes(), salt, self.s2kparams.as_deref())
    }
}

/// What a KDC says of the client's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing.
    None,
    /// Only enctypes that were not offered.
    Unusable,
    /// This.
    Hint(KeyHint),
}

/// Reads a KDC's advice: ETYPE-INFO2 before ETYPE-INFO before PW-SALT; of several entries the one
/// whose enctype comes first in `offered`, the client's own order.
///
/// # Errors
/// [`crate::Error::Malformed`] if the element that counts cannot be read.
pub fn advice(padata: MethodData<'_>, offered: &[EncryptionType]) -> Result<Advice> {
    let value = |kind| padata.iter().find(|element| element.kind == kind).map(|element| element.value);
    if let Some(info) = value(PaType::ETYPE_INFO2) {
        let entries: List<'_, EtypeInfo2Entry<'_>> = wire::decode(info)?;
        return Ok(first(offered, || entries.iter().map(hint2)));
    }
    if let Some(info) = value(PaType::ETYPE_INFO) {
        let entries: List<'_, EtypeInfoEntry<'_>> = wire::decode(info)?;
        return Ok(first(offered, || entries.iter().map(hint)));
    }
    Ok(match (value(PaType::PW_SALT), offered.first()) {
        (Some(salt), Some(etype)) => Advice::Hint(KeyHint { salt: Some(salt.to_vec()), ..KeyHint::plain(*etype) }),
        _ => Advice::None,
    })
}

fn first<I: Iterator<Item = KeyHint>>(offered: &[EncryptionType], hints: impl Fn() -> I) -> Advice {
    let best = offered.iter().find_map(|etype| hints().find(|hint| hint.etype == *etype));
    best.map_or(Advice::Unusable, Advice::Hint)
}

fn hint2(entry: EtypeInfo2Entry<'_>) -> KeyHint {
    let salt = entry.salt.map(|salt| salt.as_bytes().to_vec());
    KeyHint { etype: entry.etype, salt, s2kparams: entry.s2kparams.map(<[u8]>::to_vec) }
}

fn hint(entry: EtypeInfoEntry<'_>) -> KeyHint {
    KeyHint { salt: entry.salt.map(<[u8]>::to_vec), ..KeyHint::plain(entry.etype) }
}

/// The value of a PA-ETYPE-INFO2 element, for a KDC. ETYPE-INFO is for clients that know no enctype
/// of this library's (RFC 4120 5.2.7.5), so it is never made.
pub fn make(entries: &[EtypeInfo2Entry<'_>]) -> Vec<u8> {
    wire::encode(&List::Items(entries))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::PaData;

    const AES256: EncryptionType = EncryptionType::AES256_SHA1;
    const AES128: EncryptionType = EncryptionType::AES128_SHA1;
    const RC4: EncryptionType = EncryptionType::RC4_HMAC;

    fn info2(entries: &[(EncryptionType, &str)]) -> Vec<u8> {
        let entries: Vec<_> = entries
            .iter()
            .map(|(etype, salt)| EtypeInfo2Entry { etype: *etype, salt: Some(salt), s2kparams: None })
            .collect();
        make(&entries)
    }

    fn info(etype: EncryptionType, salt: &[u8]) -> Vec<u8> {
        wire::encode(&List::Items(&[EtypeInfoEntry { etype, salt: Some(salt) }]))
    }

    fn read(elements: &[(PaType, &[u8])], offered: &[EncryptionType]) -> Result<Advice> {
        let elements: Vec<_> = elements.iter().map(|(kind, value)| PaData { kind: *kind, value }).collect();
        advice(List::Items(&elements), offered)
    }

    fn salted(etype: EncryptionType, salt: &str) -> Advice {
        Advice::Hint(KeyHint { salt: Some(salt.as_bytes().to_vec()), ..KeyHint::plain(etype) })
    }

    #[test]
    fn the_clients_order_of_enctypes_decides_not_the_kdcs() {
        let value = info2(&[(AES128, "a"), (AES256, "b")]);
        assert_eq!(read(&[(PaType::ETYPE_INFO2, &value)], &[AES256, AES128]), Ok(salted(AES256, "b")));
        assert_eq!(read(&[(PaType::ETYPE_INFO2, &value)], &[AES128]), Ok(salted(AES128, "a")));
    }

    #[test]
    fn etype_info2_counts_before_etype_info_before_pw_salt() {
        let (two, one) = (info2(&[(AES256, "two")]), info(AES256, b"one"));
        let all = [(PaType::PW_SALT, &b"salt"[..]), (PaType::ETYPE_INFO, &one), (PaType::ETYPE_INFO2, &two)];
        assert_eq!(read(&all, &[AES256]), Ok(salted(AES256, "two")));
        assert_eq!(read(&all[..2], &[AES256]), Ok(salted(AES256, "one")));
        assert_eq!(read(&all[..1], &[AES128]), Ok(salted(AES128, "salt")));
        assert_eq!(read(&[], &[AES256]), Ok(Advice::None));
    }

    #[test]
    fn an_enctype_that_was_not_offered_is_never_chosen() {
        let value = info2(&[(RC4, "")]);
        assert_eq!(read(&[(PaType::ETYPE_INFO2, &value)], &[AES256]), Ok(Advice::Unusable));
    }

    #[test]
    fn garbage_is_malformed() {
        assert!(read(&[(PaType::ETYPE_INFO2, b"\x30\x02\x30\x05")], &[AES256]).is_err());
    }

    #[test]
    fn the_salt_of_the_kdc_counts_and_the_default_one_without_it() {
        let client = Principal::parse("user@KRBTEST.COM", None).unwrap();
        let plain = KeyHint::plain(AES256);
        let told = KeyHint { salt: Some(b"KRBTEST.COMuser".to_vec()), ..plain.clone() };
        let other = KeyHint { salt: Some(b"other".to_vec()), ..plain.clone() };
        let key = plain.key(&client, "userpw").unwrap();
        assert!(key.same_as(&told.key(&client, "userpw").unwrap()));
        assert!(!key.same_as(&other.key(&client, "userpw").unwrap()));
    }
}
