//! What a certificate says of its owner (RFC 5280 4, RFC 4556 3.2.2), read without judging it. Not
//! here: whether it is to be believed ([`super::Trust`]).

use std::str::FromStr;

use der::Decode as _;
use x509_cert::name::Name;

use super::distrust::Distrust;
use crate::codes::NameType;
use crate::error::{Error, ErrorCode, Result};
use crate::name::Principal;
use crate::time::Time;
use crate::wire::{self, Any, Decode, Encode, Krb5PrincipalName, Oid, Reader, SignerId, SubjectPublicKeyInfo, Writer};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BOOLEAN: u8 = 0x01;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const OTHER_NAME: u8 = 0xa0;
const EXPLICIT: u8 = 0xa0;
const MAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;

/// id-ce (RFC 5280 4.2.1): the last octet says which extension.
const EXTENSION: &[u8] = &[0x55, 0x1d];
const KEY_IDENTIFIER: u8 = 14;
const KEY_USAGE: u8 = 15;
const ALTERNATIVE_NAME: u8 = 17;
const EXTENDED_KEY_USAGE: u8 = 37;

/// 1.3.6.1.5.2.2: id-pkinit-san (RFC 4556 3.2.2).
const PKINIT_SAN: Oid<'static> = Oid(&[0x2b, 6, 1, 5, 2, 2]);
/// 1.3.6.1.4.1.311.20.2.3: the user principal name of Windows (MS-WCCE 2.2.2.7.5).
const UPN: Oid<'static> = Oid(&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x14, 2, 3]);

/// What a key may be used for (RFC 5280 4.2.1.12, RFC 4556 3.2.2, 3.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// id-pkinit-KPClientAuth
    PkinitClient,
    /// id-pkinit-KPKdc
    PkinitKdc,
    /// id-ms-kp-sc-logon
    SmartcardLogon,
    /// id-kp-clientAuth: a client of TLS
    ClientAuth,
    /// id-kp-serverAuth: a server of TLS
    ServerAuth,
    /// id-kp-emailProtection
    EmailProtection,
}

impl Purpose {
    /// Each with its name in MIT's matching rules and its identifier.
    const TABLE: [(Purpose, &'static str, &'static [u8]); 6] = [
        (Purpose::PkinitClient, "pkinit", &[0x2b, 6, 1, 5, 2, 3, 4]),
        (Purpose::PkinitKdc, "pkinitKdc", &[0x2b, 6, 1, 5, 2, 3, 5]),
        (Purpose::SmartcardLogon, "msScLogin", &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x14, 2, 2]),
        (Purpose::ClientAuth, "clientAuth", &[0x2b, 6, 1, 5, 5, 7, 3, 2]),
        (Purpose::ServerAuth, "serverAuth", &[0x2b, 6, 1, 5, 5, 7, 3, 1]),
        (Purpose::EmailProtection, "emailProtection", &[0x2b, 6, 1, 5, 5, 7, 3, 4]),
    ];

    /// The purpose of a name in matching rules.
    pub fn parse(name: &str) -> Option<Purpose> {
        Self::TABLE.iter().find(|(_, known, _)| *known == name).map(|(purpose, ..)| *purpose)
    }

    /// Its object identifier, as text.
    pub fn identifier(self) -> &'static str {
        match self {
            Purpose::PkinitClient => "1.3.6.1.5.2.3.4",
            Purpose::PkinitKdc => "1.3.6.1.5.2.3.5",
            Purpose::SmartcardLogon => "1.3.6.1.4.1.311.20.2.2",
            Purpose::ClientAuth => "1.3.6.1.5.5.7.3.2",
            Purpose::ServerAuth => "1.3.6.1.5.5.7.3.1",
            Purpose::EmailProtection => "1.3.6.1.5.5.7.3.4",
        }
    }

    fn of(oid: Oid<'_>) -> Option<Purpose> {
        Self::TABLE.iter().find(|(.., octets)| *octets == oid.0).map(|(purpose, ..)| *purpose)
    }
}

/// Bits of the key usage extension (RFC 5280 4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUses(pub u8);

impl KeyUses {
    /// digitalSignature
    pub const DIGITAL_SIGNATURE: KeyUses = KeyUses(0x80);
    /// keyEncipherment
    pub const KEY_ENCIPHERMENT: KeyUses = KeyUses(0x20);

    /// Whether every bit of `other` is set.
    pub fn has(self, other: KeyUses) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A certificate.
#[derive(Clone, Copy, Debug)]
pub struct Certificate<'a> {
    /// All of it.
    pub der: &'a [u8],
    /// Its serial number, as the octets of an INTEGER.
    pub serial: &'a [u8],
    /// Who issued it: a Name with its tag.
    pub issuer: &'a [u8],
    /// Whose it is: a Name with its tag.
    pub subject: &'a [u8],
    /// Until when it is valid.
    pub not_after: Time,
    /// Its public key.
    pub key: SubjectPublicKeyInfo<'a>,
    /// The same, encoded.
    pub key_der: &'a [u8],
    extensions: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads a certificate.
    ///
    /// # Errors
    /// [`Error::Malformed`] for what is none.
    pub fn parse(der: &'a [u8]) -> Result<Self> {
        let mut outer = Reader::new(der);
        let mut certificate = Reader::new(outer.expect(SEQUENCE, "not a certificate")?);
        if !outer.is_empty() {
            return Err(Error::Malformed("bytes after a certificate"));
        }
        let mut fields = Reader::new(certificate.expect(SEQUENCE, "not a certificate")?);
        if fields.tag() == Some(VERSION) {
            fields.element()?;
        }
        let serial = fields.expect(INTEGER, "certificate: serial number missing")?;
        fields.expect(SEQUENCE, "certificate: signature algorithm missing")?;
        let Any(issuer) = Any::decode(&mut fields)?;
        let mut validity = Reader::new(fields.expect(SEQUENCE, "certificate: validity missing")?);
        validity.element()?;
        let not_after = time(&mut validity)?;
        let Any(subject) = Any::decode(&mut fields)?;
        let Any(key_der) = Any::decode(&mut fields)?;
        let key = wire::decode(key_der)?;
        let mut extensions: &[u8] = &[];
        while let Some(tag) = fields.tag() {
            let (_, contents) = fields.element()?;
            if tag == EXTENSIONS {
                extensions = Reader::new(contents).expect(SEQUENCE, "certificate: extensions malformed")?;
            }
        }
        Ok(Certificate { der, serial, issuer, subject, not_after, key, key_der, extensions })
    }

    /// The value of an extension; `None` if it is not there, or twice, or the list is malformed.
    fn extension(&self, kind: u8) -> Option<&'a [u8]> {
        let mut found = None;
        let mut list = Reader::new(self.extensions);
        while !list.is_empty() {
            let mut fields = Reader::new(list.expect(SEQUENCE, "an extension").ok()?);
            let oid = Oid::decode(&mut fields).ok()?;
            if fields.tag() == Some(BOOLEAN) {
                fields.element().ok()?;
            }
            if oid.0.strip_prefix(EXTENSION) != Some(&[kind]) {
                continue;
            }
            if found.is_some() {
                return None;
            }
            found = Some(fields.expect(OCTET_STRING, "an extension's value").ok()?);
        }
        found
    }

    /// Whether a SignerIdentifier means this certificate.
    pub fn is(&self, id: SignerId<'_>) -> bool {
        match id {
            SignerId::IssuerAndSerial(issuer, serial) => self.issuer == issuer && self.serial == serial,
            SignerId::KeyIdentifier(identifier) => self.key_identifier() == Some(identifier),
        }
    }

    /// The key identifier, if the certificate has one (RFC 5280 4.2.1.2).
    pub fn key_identifier(&self) -> Option<&'a [u8]> {
        Reader::new(self.extension(KEY_IDENTIFIER)?).expect(OCTET_STRING, "a key identifier").ok()
    }

    /// What the key may be used for; `None`: the certificate does not say.
    pub fn purposes(&self) -> Option<Vec<Purpose>> {
        let mut outer = Reader::new(self.extension(EXTENDED_KEY_USAGE)?);
        let mut list = Reader::new(outer.expect(SEQUENCE, "key purposes").ok()?);
        let mut purposes = vec![];
        while !list.is_empty() {
            purposes.extend(Purpose::of(Oid::decode(&mut list).ok()?));
        }
        Some(purposes)
    }

    /// The bits of the key usage extension; `None`: the certificate does not say.
    pub fn key_uses(&self) -> Option<KeyUses> {
        match Reader::new(self.extension(KEY_USAGE)?).expect(BIT_STRING, "key usage").ok()? {
            [_, first, ..] => Some(KeyUses(*first)),
            _ => Some(KeyUses(0)),
        }
    }

    /// The subject as text in the manner of RFC 4514; empty if it can't be read.
    pub fn subject_text(&self) -> String {
        text(self.subject)
    }

    /// The issuer as text in the manner of RFC 4514; empty if it can't be read.
    pub fn issuer_text(&self) -> String {
        text(self.issuer)
    }

    /// Under which names the certificate knows its owner besides the subject. One that can't be read
    /// is left out.
    pub fn names(&self) -> AlternativeNames {
        let mut names = AlternativeNames::default();
        let list = self.extension(ALTERNATIVE_NAME).map(Reader::new);
        let list = list.and_then(|mut outer| outer.expect(SEQUENCE, "alternative names").ok());
        let mut list = Reader::new(list.unwrap_or_default());
        while let Ok((tag, contents)) = list.element() {
            let ascii = || std::str::from_utf8(contents).ok().filter(|text| text.is_ascii()).map(str::to_owned);
            match tag {
                OTHER_NAME => names.add_other(contents),
                MAIL => names.mail.extend(ascii()),
                DNS => names.dns.extend(ascii()),
                URI => names.uris.extend(ascii()),
                _ => {}
            }
        }
        names
    }

    /// Refuses a certificate that is restricted to other purposes than these, or whose key may not
    /// sign (RFC 4556 3.2.2).
    ///
    /// # Errors
    /// INCONSISTENT_KEY_PURPOSE.
    pub fn check_purpose(&self, accepted: &[Purpose]) -> Result<(), Distrust> {
        let purposes = self.purposes().unwrap_or_default();
        let wrong = |cause| Err(Distrust::new(ErrorCode::INCONSISTENT_KEY_PURPOSE, cause));
        if !purposes.iter().any(|purpose| accepted.contains(purpose)) {
            return wrong("the certificate is not meant for this: its extended key usage does not say so");
        }
        self.check_signs()
    }

    /// Refuses a certificate whose key may not sign.
    ///
    /// # Errors
    /// INCONSISTENT_KEY_PURPOSE.
    pub fn check_signs(&self) -> Result<(), Distrust> {
        if self.key_uses().is_none_or(|uses| uses.has(KeyUses::DIGITAL_SIGNATURE)) {
            return Ok(());
        }
        Err(Distrust::new(ErrorCode::INCONSISTENT_KEY_PURPOSE, "the certificate's key may not make signatures"))
    }
}

/// Subject alternative names (RFC 5280 4.2.1.6), by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlternativeNames {
    /// id-pkinit-san: Kerberos principals.
    pub principals: Vec<Principal>,
    /// User principal names of Windows.
    pub upns: Vec<String>,
    /// Addresses of mail.
    pub mail: Vec<String>,
    /// Names of hosts.
    pub dns: Vec<String>,
    /// URIs, such as SPIFFE's identifiers.
    pub uris: Vec<String>,
}

impl AlternativeNames {
    /// The value of the extension with these names (RFC 5280 4.2.1.6), for who issues certificates.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.element(SEQUENCE, |writer| {
            let texts = [(URI, &self.uris), (DNS, &self.dns), (MAIL, &self.mail)];
            for (tag, texts) in texts {
                texts.iter().rev().for_each(|text| writer.primitive(tag, text.as_bytes()));
            }
            for upn in self.upns.iter().rev() {
                other(writer, UPN, |writer| writer.primitive(UTF8_STRING, upn.as_bytes()));
            }
            for name in self.principals.iter().rev() {
                let value = Krb5PrincipalName { realm: name.realm(), name: name.into() };
                other(writer, PKINIT_SAN, |writer| value.encode(writer));
            }
        });
        writer.bytes().to_vec()
    }

    fn add_other(&mut self, contents: &[u8]) {
        let mut fields = Reader::new(contents);
        let (Ok(kind), Ok(value)) = (Oid::decode(&mut fields), fields.expect(EXPLICIT, "a name's value")) else {
            return;
        };
        if kind == PKINIT_SAN {
            let name = wire::decode::<Krb5PrincipalName<'_>>(value);
            self.principals.extend(name.and_then(|name| name.name.principal(name.realm)));
        } else if kind == UPN {
            let text = Reader::new(value).expect(UTF8_STRING, "a user principal name");
            self.upns.extend(text.ok().and_then(|text| std::str::from_utf8(text).ok()).map(str::to_owned));
        }
    }

    /// All of them as texts, for matching rules; but for addresses of mail, which read like principals,
    /// and which authorities give out that vouch for nothing else.
    pub fn texts(&self) -> Vec<String> {
        let principals = self.principals.iter().map(Principal::to_string);
        principals.chain([&self.upns, &self.dns, &self.uris].into_iter().flatten().cloned()).collect()
    }

    /// The principals that user principal names stand for (RFC 6806 5): those of this realm.
    pub fn upn_principals(&self, realm: &str) -> Vec<Principal> {
        let parse = |upn: &String| Principal::parse(upn, Some(realm)).ok();
        let named = self.upns.iter().filter_map(parse).map(|name| name.with_kind(NameType::PRINCIPAL));
        let ours = named.filter(|name| name.realm().eq_ignore_ascii_case(realm));
        ours.map(|name| name.in_realm(realm)).collect()
    }
}

fn other(writer: &mut Writer, kind: Oid<'_>, value: impl FnOnce(&mut Writer)) {
    writer.element(OTHER_NAME, |writer| {
        writer.element(EXPLICIT, value);
        kind.encode(writer);
    });
}

fn text(name: &[u8]) -> String {
    Name::from_der(name).map(|name| name.to_string()).unwrap_or_default()
}

/// UTCTime or GeneralizedTime (RFC 5280 4.1.2.5).
fn time(reader: &mut Reader<'_>) -> Result<Time> {
    if reader.tag() != Some(UTC_TIME) {
        return Time::decode(reader);
    }
    let short = reader.expect(UTC_TIME, "certificate: time missing")?;
    let wrong = Error::Malformed("certificate: not a time");
    let years = std::str::from_utf8(short.get(..2).unwrap_or_default()).ok();
    let years = years.and_then(|digits| u8::from_str(digits).ok()).ok_or(wrong)?;
    let century: &[u8] = if years < 50 { b"20" } else { b"19" };
    let long = [&[0x18, 15], century, short].concat();
    wire::decode(&long)
}
