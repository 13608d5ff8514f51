//! What service for user signs (MS-SFU 2.2), for client and KDC: that the service itself, and nobody
//! on the way, says for whom it wants a ticket. The request's own checksum does not cover padata.

use crate::codes::{ChecksumType, NameType};
use crate::crypto::{Key, KeyUsage, hmac_md5, verify_hmac_md5};
use crate::error::{Error, Result};
use crate::flags::S4uOptions;
use crate::name::Principal;
use crate::wire::{self, Checksum, PaForUser, PaS4uX509User, PrincipalName, Raw, S4uUserId};

/// The only package there is.
const PACKAGE: &str = "Kerberos";

/// What the checksum of PA-FOR-USER is over.
fn for_user_octets(user: &PrincipalName<'_>, realm: &str, package: &str) -> Vec<u8> {
    let mut octets = user.kind.0.to_le_bytes().to_vec();
    user.components.iter().for_each(|part| octets.extend_from_slice(part.as_bytes()));
    octets.extend_from_slice(realm.as_bytes());
    octets.extend_from_slice(package.as_bytes());
    octets
}

/// The value of PA-FOR-USER, in the session key of the presented ticket.
pub fn for_user(session: &Key, user: &Principal) -> Vec<u8> {
    let name = PrincipalName::from(user);
    let octets = for_user_octets(&name, user.realm(), PACKAGE);
    let mac = hmac_md5(session, KeyUsage::NON_KERB_CHECKSUM, &octets);
    let checksum = Checksum { kind: ChecksumType::HMAC_MD5, checksum: &mac };
    wire::encode(&PaForUser { user: name, realm: user.realm(), checksum, package: PACKAGE })
}

/// Refuses a PA-FOR-USER that whoever has the session key did not make.
///
/// # Errors
/// [`Error::ChecksumNotSupported`] for a checksum that needs no key or is of another key's type;
/// [`Error::Integrity`] for a wrong one.
pub fn verify_for_user(session: &Key, padata: &PaForUser<'_>) -> Result<()> {
    let octets = for_user_octets(&padata.user, padata.realm, padata.package);
    let Checksum { kind, checksum } = padata.checksum;
    if kind == ChecksumType::HMAC_MD5 {
        return verify_hmac_md5(session, KeyUsage::NON_KERB_CHECKSUM, &octets, checksum);
    }
    session.verify_checksum(KeyUsage::NON_KERB_CHECKSUM, kind, &octets, checksum)
}

/// Whom a service wants a ticket for.
#[derive(Clone, Copy, Debug)]
pub enum User<'a> {
    /// A principal, maybe by an enterprise name.
    Named(&'a Principal),
    /// Whoever the certificate (in DER) is of, in a realm.
    Certified(&'a [u8], &'a str),
}

/// The value of PA-S4U-X509-USER in a request, in the subkey of its authenticator.
pub fn x509_user(subkey: &Key, nonce: u32, user: User<'_>) -> Vec<u8> {
    let options = Some(S4uOptions::USE_REPLY_KEY_USAGE);
    let (name, realm, certificate) = match user {
        User::Named(user) => (Some(user.into()), user.realm(), None),
        User::Certified(certificate, realm) => (None, realm, Some(certificate)),
    };
    signed_user(subkey, KeyUsage::S4U_X509_USER_REQUEST, S4uUserId { nonce, user: name, realm, certificate, options })
}

/// The value of PA-S4U-X509-USER around this user id.
pub fn signed_user(key: &Key, usage: KeyUsage, user: S4uUserId<'_>) -> Vec<u8> {
    let der = wire::encode(&user);
    let mac = key.checksum(usage, &der);
    let checksum = Checksum { kind: key.checksum_type(), checksum: &mac };
    wire::encode(&PaS4uX509User { user: Raw { der: &der, value: user }, checksum })
}

/// Refuses a PA-S4U-X509-USER that whoever has the key did not make, or made for another request.
///
/// # Errors
/// [`Error::ChecksumNotSupported`] for a checksum that is not of the key's own type;
/// [`Error::Integrity`] for a wrong one, or another nonce.
pub fn verify_x509_user(key: &Key, usage: KeyUsage, nonce: u32, padata: &PaS4uX509User<'_>) -> Result<()> {
    let Checksum { kind, checksum } = padata.checksum;
    key.verify_checksum(usage, kind, padata.user.der, checksum)?;
    if padata.user.nonce == nonce { Ok(()) } else { Err(Error::Integrity) }
}

/// Which usage the reply to such a user id is signed for.
pub fn reply_usage(user: &S4uUserId<'_>) -> KeyUsage {
    if user.options.is_some_and(|options| options.has(S4uOptions::USE_REPLY_KEY_USAGE)) {
        KeyUsage::S4U_X509_USER_REPLY
    } else {
        KeyUsage::S4U_X509_USER_REQUEST
    }
}

/// Whether a name can be that of a user who is impersonated: not of nobody, nor of the KDC.
pub fn may_be_user(user: &Principal) -> bool {
    let empty = user.components().iter().all(|part| part.is_empty());
    !empty && !user.is_anonymous() && user.tgs_target().is_none() && user.kind() != NameType::WELLKNOWN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::EncryptionType;

    fn key() -> Key {
        let bytes = (0..32).map(|at| at as u8).collect::<Vec<_>>();
        Key::new(EncryptionType::AES256_SHA1, &bytes).expect("a key")
    }

    /// Values of a live exchange with MIT krb5 1.20.
    #[test]
    fn the_checksum_of_for_user_is_mits() {
        let hex = |text: &str| {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
        };
        let session: Vec<u8> = hex("57008ee196fd86a4545e135668b2cd08660702f1f7b245173613c1a2447f9c60");
        let session = Key::new(EncryptionType::AES256_SHA1, &session).expect("a key");
        let user = Principal::parse_enterprise("target", Some("KRBTEST.COM")).expect("a name");
        let made = for_user(&session, &user);
        let padata = wire::decode::<PaForUser<'_>>(&made).expect("PA-FOR-USER");
        let mac: Vec<u8> = hex("def858dcac60c9de422a536b04985c3c");
        assert_eq!(padata.checksum.checksum, mac);
        verify_for_user(&session, &padata).expect("the same");
    }

    #[test]
    fn a_user_that_was_changed_on_the_way_is_refused() {
        let user = Principal::parse("alice@EXAMPLE.ORG", None).expect("a name");
        let made = for_user(&key(), &user);
        let padata = wire::decode::<PaForUser<'_>>(&made).expect("PA-FOR-USER");
        verify_for_user(&key(), &padata).expect("the same");
        let bent = PaForUser { realm: "EXAMPLE.COM", ..padata };
        assert_eq!(verify_for_user(&key(), &bent), Err(Error::Integrity));
        let made = x509_user(&key(), 7, User::Named(&user));
        let padata = wire::decode::<PaS4uX509User<'_>>(&made).expect("PA-S4U-X509-USER");
        let usage = KeyUsage::S4U_X509_USER_REQUEST;
        verify_x509_user(&key(), usage, 7, &padata).expect("the same");
        assert_eq!(verify_x509_user(&key(), usage, 8, &padata), Err(Error::Integrity));
        assert_eq!(verify_x509_user(&key(), KeyUsage::S4U_X509_USER_REPLY, 7, &padata), Err(Error::Integrity));
        assert_eq!(reply_usage(&padata.user), KeyUsage::S4U_X509_USER_REPLY);
    }

    #[test]
    fn nobody_and_the_kdc_are_no_users() {
        let of = |text: &str| may_be_user(&Principal::parse(text, Some("EXAMPLE.ORG")).expect("a name"));
        assert!(of("alice") && of("host/a.example.org"));
        assert!(!of("krbtgt/EXAMPLE.ORG") && !of("WELLKNOWN/ANONYMOUS"));
    }
}
