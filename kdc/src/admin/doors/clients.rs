//! Which principal a client's certificate is, by rows of kdc.toml. Not here: whether the certificate
//! is genuine (`tls`).

use libkrb::Principal;
use serde::Deserialize;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// A row: what a certificate says, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientRow {
    /// `dns:NAME`, `email:ADDRESS`, `uri:URI` for a name among its subjectAltName, or `subject:DN` for
    /// its whole subject (RFC 4514).
    pub certificate: String,
    /// The principal, of this realm unless it says another.
    pub principal: String,
}

/// The table of a realm.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients(Vec<(String, Principal)>);

impl Clients {
    pub(super) fn new(rows: &[ClientRow], realm: &str) -> Result<Self, String> {
        let read = |row: &ClientRow| {
            let known = ["dns:", "email:", "uri:", "subject:"].iter().any(|kind| row.certificate.starts_with(kind));
            if !known {
                return Err(format!(
                    "{:?} names no certificate; expected dns:, email:, uri: or subject: and what it says there",
                    row.certificate
                ));
            }
            let principal = Principal::parse(&row.principal, Some(realm));
            Ok((row.certificate.clone(), principal.map_err(|error| format!("{:?}: {error}", row.principal))?))
        };
        rows.iter().map(read).collect::<Result<_, _>>().map(Clients)
    }

    /// Whose certificate this is, in DER; the first row that fits says it.
    pub(super) fn principal(&self, certificate: &[u8]) -> Option<&Principal> {
        let names = names(certificate)?;
        let same = |wanted: &str, name: &str| match wanted.strip_prefix("dns:") {
            Some(_) => wanted.eq_ignore_ascii_case(name),
            None => wanted == name,
        };
        let fits = |(wanted, _): &&(String, Principal)| names.iter().any(|name| same(wanted, name));
        self.0.iter().find(fits).map(|(_, principal)| principal)
    }
}

/// What a certificate says of its owner, as rows have it. Whole texts are compared, so nothing in a
/// name can pass for more of it.
fn names(certificate: &[u8]) -> Option<Vec<String>> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let of_owner = certificate.tbs_certificate();
    let mut names = vec![format!("subject:{}", of_owner.subject())];
    if let Some((_, SubjectAltName(others))) = of_owner.get_extension::<SubjectAltName>().ok()? {
        names.extend(others.iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(format!("dns:{}", name.as_str())),
            GeneralName::Rfc822Name(name) => Some(format!("email:{}", name.as_str())),
            GeneralName::UniformResourceIdentifier(name) => Some(format!("uri:{}", name.as_str())),
            _ => None,
        }));
    }
    Some(names)
}
