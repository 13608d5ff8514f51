//! Extensions of an entry of Heimdal's, which its dump has in DER (heimdal, lib/hdb/hdb.asn1). Only
//! what that file says is read; every function yields `None` for anything else.

use libkrb::Principal;
use libkrb::codes::NameType;

/// An extension that means something here, or what the others are called.
pub enum Extension {
    Aliases(Vec<Principal>),
    /// As it stands: `YYYYMMDDHHMMSSZ`.
    PasswordChanged(String),
    Former(Vec<FormerKeys>),
    Policy(String),
    /// One without content.
    Empty,
    Other(&'static str),
}

/// The keys of an earlier version.
pub struct FormerKeys {
    pub kvno: u32,
    pub keys: Vec<FormerKey>,
}

/// One of them: the version of the master key that seals it, if one does.
pub struct FormerKey {
    pub sealer: Option<u32>,
    pub etype: i32,
    pub octets: Vec<u8>,
    /// Type and octets.
    pub salt: Option<(u32, Vec<u8>)>,
}

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const UTF8: u8 = 0x0c;
const TIME: u8 = 0x18;
const GENERAL: u8 = 0x1b;
const SEQUENCE: u8 = 0x30;

/// The tag `[number]` around something.
const fn tagged(number: u8) -> u8 {
    0xa0 | number
}

/// Reads an `HDB-extension`.
pub fn extension(bytes: &[u8]) -> Option<Extension> {
    let mut fields = Der(bytes).whole(SEQUENCE)?;
    fields.next(tagged(0))?.next(BOOLEAN)?;
    let (tag, mut data) = fields.next(tagged(1))?.any()?;
    Some(match tag & 0x1f {
        0 => Extension::Other("names in certificates (pkinit-acl)"),
        1 => Extension::Other("hashes of certificates (pkinit-cert-hash)"),
        2 => Extension::Other("services that it may delegate to (allowed-to-delegate-to)"),
        4 => Extension::Other("a LAN manager key"),
        5 => Extension::Other("the password itself"),
        6 => Extension::Aliases(data.whole(SEQUENCE)?.aliases()?),
        7 => Extension::PasswordChanged(data.next(TIME)?.text()?),
        8 => Extension::Other("certificates (pkinit-cert)"),
        9 => Extension::Former(data.whole(SEQUENCE)?.all(SEQUENCE, Der::former)?),
        10 | 11 => Extension::Empty,
        12 => Extension::Policy(data.next(UTF8)?.text()?),
        13 => Extension::Other("the id that Heimdal gave it"),
        _ => Extension::Other("an extension of unknown meaning"),
    })
}

/// Octets still to be read.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn any(&mut self) -> Option<(u8, Der<'a>)> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, Der(content)))
    }

    fn next(&mut self, wanted: u8) -> Option<Der<'a>> {
        self.any().filter(|(tag, _)| *tag == wanted).map(|(_, content)| content)
    }

    /// The next, if it is this one.
    fn perhaps(&mut self, wanted: u8) -> Option<Der<'a>> {
        (self.0.first() == Some(&wanted)).then(|| self.next(wanted)).flatten()
    }

    /// The content of the only element.
    fn whole(mut self, wanted: u8) -> Option<Der<'a>> {
        let content = self.next(wanted)?;
        self.0.is_empty().then_some(content)
    }

    fn all<T>(mut self, tag: u8, read: impl Fn(Der<'a>) -> Option<T>) -> Option<Vec<T>> {
        let mut all = vec![];
        while !self.0.is_empty() {
            all.push(read(self.next(tag)?)?);
        }
        Some(all)
    }

    fn number(self) -> Option<i64> {
        let (first, _) = self.0.split_first()?;
        let start = if first & 0x80 == 0 { 0 } else { -1 };
        (self.0.len() <= 8).then(|| self.0.iter().fold(start, |number, octet| number << 8 | i64::from(*octet)))
    }

    fn text(self) -> Option<String> {
        String::from_utf8(self.0.to_vec()).ok()
    }

    fn aliases(mut self) -> Option<Vec<Principal>> {
        self.next(tagged(0))?.next(BOOLEAN)?;
        self.next(tagged(1))?.whole(SEQUENCE)?.all(SEQUENCE, Der::principal)
    }

    fn principal(mut self) -> Option<Principal> {
        let mut name = self.next(tagged(0))?.whole(SEQUENCE)?;
        let kind = name.next(tagged(0))?.next(INTEGER)?.number()?;
        let parts = name.next(tagged(1))?.whole(SEQUENCE)?.all(GENERAL, Der::text)?;
        let realm = self.next(tagged(1))?.next(GENERAL)?.text()?;
        Principal::new(NameType(i32::try_from(kind).ok()?), &realm, parts).ok()
    }

    fn former(mut self) -> Option<FormerKeys> {
        let kvno = u32::try_from(self.next(tagged(0))?.next(INTEGER)?.number()?).ok()?;
        let keys = self.next(tagged(1))?.whole(SEQUENCE)?.all(SEQUENCE, Der::key)?;
        Some(FormerKeys { kvno, keys })
    }

    fn key(mut self) -> Option<FormerKey> {
        let sealer = match self.perhaps(tagged(0)) {
            Some(mut version) => Some(u32::try_from(version.next(INTEGER)?.number()?).ok()?),
            None => None,
        };
        let mut key = self.next(tagged(1))?.whole(SEQUENCE)?;
        let etype = i32::try_from(key.next(tagged(0))?.next(INTEGER)?.number()?).ok()?;
        let octets = key.next(tagged(1))?.next(OCTETS)?.0.to_vec();
        let salt = match self.perhaps(tagged(2)) {
            Some(salt) => {
                let mut salt = salt.whole(SEQUENCE)?;
                let kind = u32::try_from(salt.next(tagged(0))?.next(INTEGER)?.number()?).ok()?;
                Some((kind, salt.next(tagged(1))?.next(OCTETS)?.0.to_vec()))
            }
            None => None,
        };
        Some(FormerKey { sealer, etype, octets, salt })
    }
}
