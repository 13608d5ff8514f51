//! Logins by certificate: the section `[pkinit]`. Not here: what the settings do ([`Pkinit`]).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use libkrb::preauth::pkinit::identity::file::{Source, pem};
use libkrb::preauth::pkinit::{Group, Purpose, Trust};
use libkrb::{Error, Result};
use serde::{Deserialize, Deserializer, de};

use super::Config;
use crate::core::{Pkinit, SpiffeRule};

/// The section `[pkinit]`. Without an identity there are no logins by certificate.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PkinitSettings {
    /// The KDC's certificate with its chain, and its key: `FILE:cert,key` or `PKCS12:file` (without a
    /// password).
    #[serde(deserialize_with = "identity")]
    pub identity: Option<Source>,
    /// Certificates of the authorities that are believed.
    pub anchors: Vec<PathBuf>,
    /// Certificates that may lead from a client's to an anchor.
    pub intermediates: Vec<PathBuf>,
    /// Certificate revocation lists; read again with the settings.
    pub crls: Vec<PathBuf>,
    /// Take no certificate whose authority has no current revocation list here.
    pub require_crl: bool,
    /// What clients' certificates must be meant for: one of these. `[]`: nothing is asked.
    #[serde(deserialize_with = "purposes")]
    pub purposes: Vec<Purpose>,
    /// The weakest group in which a secret is agreed upon.
    #[serde(deserialize_with = "group")]
    pub least_group: Group,
    /// Refuse requests that were not made for a token of this realm (RFC 8070).
    pub require_freshness: bool,
    /// Whether a user principal name in a certificate names its principal.
    pub allow_upn: bool,
    /// Give nobody in particular (WELLKNOWN/ANONYMOUS) only ticket-granting tickets.
    pub restrict_anonymous_to_tgt: bool,
    /// Which principals SPIFFE identifiers stand for; the first row that matches counts.
    pub spiffe: Vec<SpiffeRow>,
}

/// A row of `[[pkinit.spiffe]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpiffeRow {
    /// Such as `spiffe://example.org/ns/{ns}/sa/{sa}`.
    pub id: String,
    /// Such as `{sa}/{ns}`.
    pub principal: String,
}

impl Default for PkinitSettings {
    fn default() -> Self {
        PkinitSettings {
            identity: None,
            anchors: vec![],
            intermediates: vec![],
            crls: vec![],
            require_crl: false,
            purposes: vec![Purpose::PkinitClient, Purpose::SmartcardLogon],
            least_group: Group::Modp2048,
            require_freshness: false,
            allow_upn: false,
            restrict_anonymous_to_tgt: false,
            spiffe: vec![],
        }
    }
}

impl PkinitSettings {
    /// Takes relative paths from the folder of kdc.toml.
    pub(super) fn in_folder(&mut self, folder: &Path) {
        let own = match &mut self.identity {
            Some(Source::Pem { chain, key }) => vec![chain, key],
            Some(Source::Pkcs12(path)) => vec![path],
            None => vec![],
        };
        let lists = [&mut self.anchors, &mut self.intermediates, &mut self.crls];
        for path in lists.into_iter().flatten().chain(own) {
            *path = folder.join(&*path);
        }
    }

    /// The files that it names.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let own = match &self.identity {
            Some(Source::Pem { chain, key }) => vec![chain, key],
            Some(Source::Pkcs12(path)) => vec![path],
            None => vec![],
        };
        let lists = [&self.anchors, &self.intermediates, &self.crls];
        lists.into_iter().flatten().chain(own).map(PathBuf::as_path)
    }
}

impl Config {
    /// Reads the files of `[pkinit]`.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Setting`] with what is wrong.
    pub fn pkinit(&self) -> Result<Option<Arc<Pkinit>>> {
        let settings = &self.pkinit;
        let Some(source) = &settings.identity else { return Ok(None) };
        let sealed = "[pkinit] identity: a KDC asks nobody for a password, so its key must not be sealed with one";
        let no_password = &mut |_: &str| Err(Error::Setting(sealed.to_owned()));
        let texts = |paths: &[PathBuf]| {
            // A path with a colon in it is no `FILE:`.
            pem(&paths.iter().map(|path| format!("FILE:{}", path.display())).collect::<Vec<_>>())
        };
        let (anchors, between) = (texts(&settings.anchors)?, texts(&settings.intermediates)?);
        let trust = Trust::from_pem(&anchors, &between, &texts(&settings.crls)?);
        let trust = trust.map_err(|error| Error::Setting(format!("[pkinit]: {error}")))?;
        let rule = |row: &SpiffeRow| SpiffeRule::new(&row.id, &row.principal, &self.realm);
        Ok(Some(Arc::new(Pkinit {
            identity: source.read(no_password)?,
            trust: trust.requiring_revocation(settings.require_crl),
            purposes: settings.purposes.clone(),
            least_group: settings.least_group,
            require_freshness: settings.require_freshness,
            allow_upn: settings.allow_upn,
            spiffe: settings.spiffe.iter().map(rule).collect::<Result<_>>()?,
        })))
    }
}

fn identity<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Source>, D::Error> {
    let text = String::deserialize(input)?;
    Source::parse(&text).map(Some).map_err(de::Error::custom)
}

fn purposes<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<Purpose>, D::Error> {
    let names = Vec::<String>::deserialize(input)?;
    let known = "pkinit, msScLogin, clientAuth, serverAuth or emailProtection was expected";
    let purpose =
        |name: &String| Purpose::parse(name).ok_or_else(|| de::Error::custom(format!("{known}, not {name:?}")));
    names.iter().map(purpose).collect()
}

fn group<'de, D: Deserializer<'de>>(input: D) -> Result<Group, D::Error> {
    let name = String::deserialize(input)?;
    let known = "one of \"2048\", \"P-256\", \"4096\", \"P-384\" and \"P-521\" was expected";
    Group::parse(&name).ok_or_else(|| de::Error::custom(known))
}
