//! Logins by certificate: the attributes of `-X`, and the password of a PKCS #12 file.

use std::sync::Arc;

use libkrb::Principal;
use libkrb::net::{CertificateWishes, pkinit_means};
use libkrb::preauth::Means;

use crate::report::{During, Failure, Result};
use crate::secret;
use crate::settings::Settings;

/// What the attributes of `-X` say.
///
/// # Errors
/// For an attribute that is none of MIT's, or has no value.
pub(super) fn wishes(attributes: &[String], client: &Principal) -> Result<CertificateWishes> {
    let mut wishes = CertificateWishes { anonymous: client.is_anonymous(), ..CertificateWishes::default() };
    for attribute in attributes {
        match attribute.split_once('=') {
            Some(("X509_user_identity", place)) => wishes.identity = Some(place.to_owned()),
            Some(("X509_anchors", place)) => wishes.anchors.push(place.to_owned()),
            Some(("disable_freshness", value)) => wishes.without_freshness = value == "yes",
            _ => {
                let name = attribute.split('=').next().unwrap_or_default();
                let known =
                    "X509_user_identity=FILE:cert,key, X509_anchors=FILE:file and disable_freshness=yes are known.";
                return Err(Failure::new(format!("-X {name}: no such attribute, or no value")).next(known));
            }
        }
    }
    Ok(wishes)
}

/// Adds what the client has by certificate to its means.
///
/// # Errors
/// What was asked for and can't be had.
pub(super) fn add(means: &mut Means, settings: &Settings, client: &Principal, attributes: &[String]) -> Result<()> {
    let wishes = wishes(attributes, client)?;
    let ask = &mut |question: &str| secret::asked(&format!("{question}: "));
    let found = pkinit_means(settings.config(), client.realm(), &wishes, ask);
    means.pkinit = found.during("while reading certificates")?.map(Arc::new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(attributes: &[&str]) -> Result<CertificateWishes> {
        let attributes: Vec<_> = attributes.iter().map(ToString::to_string).collect();
        wishes(&attributes, &Principal::tgs("R"))
    }

    #[test]
    fn mits_attributes_are_known() {
        let wishes =
            read(&["X509_user_identity=FILE:a,b", "X509_anchors=c", "X509_anchors=d", "disable_freshness=yes"]);
        let Ok(wishes) = wishes else { panic!("not known") };
        assert_eq!(wishes.identity.as_deref(), Some("FILE:a,b"));
        assert_eq!(wishes.anchors, ["c", "d"]);
        assert!(wishes.without_freshness && !wishes.anonymous);
    }

    #[test]
    fn others_are_refused() {
        for attribute in ["X509_user_identity", "what=ever", ""] {
            assert!(read(&[attribute]).is_err(), "{attribute}");
        }
    }
}
