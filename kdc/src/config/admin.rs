//! The section `[admin]`: who else than root administers the realm. Not here: what a row of the
//! access list means ([`crate::admin::acl`]).

use std::path::PathBuf;

use libkrb::{Error, Result};
use serde::Deserialize;

use super::Config;
use crate::admin::Acl;
use crate::admin::acl::Rule;

/// The section `[admin]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminSettings {
    /// The rows of the access list; the first that is about caller and target decides.
    pub acl: Vec<Rule>,
    /// A kadm5.acl of MIT krb5, whose lines follow these rows.
    pub acl_file: Option<PathBuf>,
}

impl Config {
    /// The access list.
    ///
    /// # Errors
    /// When the kadm5.acl can't be read: its file, its line and what is wrong there.
    pub fn acl(&self) -> Result<Acl> {
        let own = Acl::new(&self.realm, self.admin.acl.clone());
        let Some(file) = &self.admin.acl_file else { return Ok(own) };
        let text = std::fs::read_to_string(file).map_err(|error| Error::file(file, error))?;
        let more = Acl::parse_kadm5(&self.realm, &text);
        let more = more.map_err(|(line, problem)| Error::Config { file: file.clone(), line, problem })?;
        Ok(own.followed_by(more))
    }
}
