//! Logins by certificate: the attributes of `-X`, and the password of a PKCS #12 file.

use std::sync::Arc;

use libkrb::net::{CertificateWishes, pkinit_means};
use libkrb::preauth::Means;
use libkrb::preauth::pkinit::{IDENTITY_CHOICE, PkinitMeans};
use libkrb::{Error, Principal};

use crate::report::{self, Failure, Result};
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
    let mut wishes = wishes(attributes, client)?;
    wishes.identity = wishes.identity.or_else(|| means.choices.get(IDENTITY_CHOICE).cloned());
    let ask = &mut |question: &str| secret::asked(&format!("{question}: "));
    let found = pkinit_means(settings.config(), client.realm(), &wishes, ask);
    means.pkinit = found.map_err(|error| unread(&error))?.map(Arc::new);
    Ok(())
}

/// What makes the KDC believed that gives a ticket to nobody in particular.
///
/// # Errors
/// Where nothing does.
pub(super) fn of_nobody(
    settings: &Settings,
    realm: &str,
    attributes: &[String],
) -> libkrb::Result<Option<Arc<PkinitMeans>>> {
    let anchors = attributes.iter().filter_map(|attribute| attribute.strip_prefix("X509_anchors="));
    let anchors = anchors.map(str::to_owned).collect();
    let wishes = CertificateWishes { anonymous: true, anchors, ..CertificateWishes::default() };
    let nobody = &mut |_: &str| Err(Error::Setting("no file with a password was named".to_owned()));
    Ok(pkinit_means(settings.config(), realm, &wishes, nobody)?.map(Arc::new))
}

/// A file of certificates is no configuration file, whatever other files are.
fn unread(error: &Error) -> Failure {
    let doing = "while reading certificates";
    match error {
        Error::File { .. } => Failure::new(format!("{error} {doing}")).next(
            "-X X509_user_identity and X509_anchors, or pkinit_identities and pkinit_anchors in krb5.conf, name the files: FILE:cert,key.",
        ),
        error => report::while_doing(error, doing),
    }
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
