//! The section `[passwords]`: what new passwords are measured by, besides the policies in the store.

use std::path::PathBuf;
use std::sync::Arc;

use libkrb::Result;
use serde::Deserialize;

use super::Config;
use crate::admin::passwords::Dictionary;

/// The section `[passwords]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PasswordSettings {
    /// A file of words that are no passwords, one a line. From the folder of kdc.toml.
    pub dictionary: Option<PathBuf>,
}

impl Config {
    /// The words that are no passwords.
    ///
    /// # Errors
    /// When their file can't be read.
    pub fn dictionary(&self) -> Result<Arc<Dictionary>> {
        let words = self.passwords.dictionary.as_deref().map(Dictionary::load).transpose()?;
        Ok(Arc::new(words.unwrap_or_default()))
    }
}
