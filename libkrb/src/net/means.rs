//! What krb5.conf says of the ways in which a client may prove itself.

use crate::codes::PaType;
use crate::config::Config;
use crate::error::Result;
use crate::preauth::Means;

/// The means with what krb5.conf says of a realm, where the caller has not said otherwise.
///
/// # Errors
/// [`crate::Error::Config`] for a setting that is none.
pub(super) fn configured(means: Means, config: &Config, realm: &str) -> Result<Means> {
    let no_timestamp = means.no_timestamp || config.realm_flag(realm, "disable_encrypted_timestamp")?.unwrap_or(false);
    let mut means = Means { no_timestamp, ..means };
    if means.preferred.is_empty() {
        means.preferred = config.preferred_preauth_types().into_iter().map(PaType).collect();
    }
    #[cfg(feature = "spake")]
    if means.spake_groups.is_none() {
        means.spake_groups = config.spake_preauth_groups().map(crate::preauth::spake::Group::list);
    }
    Ok(means)
}
