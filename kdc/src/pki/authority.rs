//! What an authority issues: the fields of its own certificate, of a KDC's and of a client's.

use libkrb::preauth::pkinit::{AlternativeNames, Purpose};
use libkrb::{Principal, Time};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize, SerialNumber,
};

use crate::admin::fresh_id;
use crate::error::{Error, Result};

/// subjectAltName
const ALTERNATIVE_NAME: [u64; 4] = [2, 5, 29, 17];
/// How much earlier a certificate is valid than it was made: clocks differ.
const BEFORE: i64 = 3600;

/// What a new key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum KeyKind {
    /// RSA with 2048 bits: understood by every client
    Rsa,
    /// P-256: quicker, for MIT krb5 from 1.22 on, Heimdal and ours
    P256,
}

/// Whose certificate it is.
#[derive(Clone, Debug)]
pub enum Profile {
    /// The realm's KDC, which may also be called by these hosts' names.
    Kdc(Vec<String>),
    /// A principal of the realm.
    Client(Principal),
}

/// An authority: its certificate's fields and its key.
pub struct Authority {
    realm: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority of a realm, with its certificate in PEM.
    ///
    /// # Errors
    /// [`Error::Other`] when the library fails.
    pub fn create(realm: &str, key: KeyKind, until: Time) -> Result<(Authority, String)> {
        let key = new_key(key)?;
        let certificate = dated(own_fields(realm), until)?.self_signed(&key).map_err(failed)?;
        let authority = Authority { realm: realm.to_owned(), issuer: Issuer::new(own_fields(realm), key) };
        Ok((authority, certificate.pem()))
    }

    /// The authority of a realm whose key this is. Its certificate's fields follow from the realm.
    ///
    /// # Errors
    /// [`Error::Other`] for what is no key.
    pub fn open(realm: &str, key: &str) -> Result<Authority> {
        let key = KeyPair::from_pem(key).map_err(failed)?;
        Ok(Authority { realm: realm.to_owned(), issuer: Issuer::new(own_fields(realm), key) })
    }

    /// The authority's key in PEM.
    pub fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A certificate and its key, both in PEM.
    ///
    /// # Errors
    /// [`Error::Other`] when the library fails.
    pub fn issue(&self, profile: &Profile, key: KeyKind, until: Time) -> Result<(String, String)> {
        let (names, purpose, called) = match profile {
            Profile::Kdc(hosts) => {
                let principals = vec![Principal::tgs(&self.realm)];
                let names = AlternativeNames { principals, dns: hosts.clone(), ..AlternativeNames::default() };
                (names, Purpose::PkinitKdc, format!("KDC of {}", self.realm))
            }
            Profile::Client(name) => {
                let names = AlternativeNames { principals: vec![name.clone()], ..AlternativeNames::default() };
                (names, Purpose::PkinitClient, name.without_realm().to_string())
            }
        };
        let purpose = purpose.identifier().split('.').filter_map(|number| number.parse().ok()).collect();
        let mut fields = CertificateParams::default();
        fields.distinguished_name = called_by(&self.realm, &called);
        fields.is_ca = IsCa::ExplicitNoCa;
        fields.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        fields.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(purpose)];
        fields.custom_extensions = vec![CustomExtension::from_oid_content(&ALTERNATIVE_NAME, names.encode())];
        fields.use_authority_key_identifier_extension = true;
        let key = new_key(key)?;
        let certificate = dated(fields, until)?.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

fn own_fields(realm: &str) -> CertificateParams {
    let mut fields = CertificateParams::default();
    fields.distinguished_name = called_by(realm, "Certificate authority");
    fields.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    fields.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    fields
}

fn called_by(realm: &str, name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::OrganizationName, realm);
    called.push(DnType::CommonName, name);
    called
}

/// The same, numbered and valid from now on.
fn dated(mut fields: CertificateParams, until: Time) -> Result<CertificateParams> {
    let from = crate::admin::now() - BEFORE;
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since = |time: Time| {
        let seconds = u64::try_from(time.seconds());
        seconds.map(std::time::Duration::from_secs).map_err(|_| Error::Other("a time before 1970".to_owned()))
    };
    fields.not_before = epoch + since(from)?;
    fields.not_after = epoch + since(until)?;
    fields.serial_number = Some(serial()?);
    Ok(fields)
}

/// Random, for two authorities of one name must not give two certificates one number.
fn serial() -> Result<SerialNumber> {
    let mut octets = fresh_id()?;
    octets[0] &= 0x7f;
    Ok(SerialNumber::from_slice(&octets))
}

fn new_key(kind: KeyKind) -> Result<KeyPair> {
    match kind {
        KeyKind::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyKind::Rsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
    }
    .map_err(failed)
}

fn failed(error: rcgen::Error) -> Error {
    Error::Other(format!("no certificate could be made: {error}"))
}
