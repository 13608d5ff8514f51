//! krb5.conf: MIT's grammar ([`Config::parse`], [`Config::read`]), typed settings, and the names,
//! realms and paths that follow from them. Pure but for [`Config::load`] and
//! [`Environment::from_process`].
//!
//! A file that cannot be read gives [`Error::Config`] with the line, what was
//! found and what was expected. Unknown keys are read past, as in MIT krb5; [`Config::unknown_keys`]
//! lists them.
#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod anchors;
mod defaults;
mod duration;
mod enctypes;
mod environment;
mod file;
mod known;
mod line;
mod local_name;
mod parse;
mod paths;
mod realms;
mod server;
mod settings;
mod tree;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

pub use anchors::HttpAnchor;
pub use duration::{When, parse_duration, parse_time, parse_when};
pub use enctypes::{EnctypeList, parse_enctypes};
pub use environment::Environment;
pub use file::Disk;
pub use local_name::LocalNames;
pub use parse::Files;
pub use realms::realm_of_host;
pub use server::{KADMIN_PORT, KDC_PORT, KPASSWD_PORT, Server, Transport};
pub use settings::Canonicalize;
pub use tree::{Notice, Place, Value};

use crate::error::{Error, Result};
use defaults::Defaults;
use parse::Parser;
use tree::{Profile, Section};

/// The configuration: what the files say, with defaults for what they do not say.
#[derive(Clone, Debug, Default)]
pub struct Config {
    profile: Profile,
    notices: Vec<Notice>,
    defaults: Defaults,
    /// The subsections of `[libdefaults]`, which go before the section itself for their realm.
    realm_defaults: BTreeMap<String, Defaults>,
}

impl Config {
    /// The configuration of one text, whose include lines read from nowhere. `name` stands in
    /// errors.
    ///
    /// # Errors
    /// [`Error::Config`] for text that is not a configuration file.
    pub fn parse(name: &str, text: &str) -> Result<Config> {
        let mut parser = Parser::new(&Nowhere);
        parser.text(Path::new(name), text)?;
        let (tree, notices) = parser.finish();
        Config::of(vec![tree], notices)
    }

    /// The configuration of several files and directories, of which an earlier one goes before a
    /// later one. Missing files are skipped; without any the defaults hold.
    ///
    /// # Errors
    /// [`Error::Config`] for a file that is none, [`Error::File`] for files none of which may be
    /// read.
    pub fn read(sources: &[PathBuf], files: &dyn Files) -> Result<Config> {
        let mut trees = vec![];
        let mut notices = vec![];
        let mut refused = None;
        for source in sources {
            let place = Place { file: source.as_path().into(), line: 0 };
            let mut parser = Parser::new(files);
            if files.is_directory(source) {
                parser.directory(source, &place)?;
            } else {
                match parser.file(source) {
                    Ok(outcome) => outcome?,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                        notices.push(Notice { place, text: format!("the file is skipped: {error}") });
                        refused.get_or_insert_with(|| Error::file(source, error));
                        continue;
                    }
                    Err(error) => return Err(Error::file(source, error)),
                }
            }
            let (tree, more) = parser.finish();
            trees.push(tree);
            notices.extend(more);
        }
        match refused {
            Some(error) if trees.is_empty() => Err(error),
            _ => Config::of(trees, notices),
        }
    }

    fn of(trees: Vec<Section>, mut notices: Vec<Notice>) -> Result<Config> {
        let profile = Profile { trees };
        let (defaults, more) = Defaults::read(&profile, &["libdefaults"])?;
        notices.extend(more);
        let mut realm_defaults = BTreeMap::new();
        for realm in profile.sections(&["libdefaults"]) {
            let (defaults, more) = Defaults::read(&profile, &["libdefaults", realm])?;
            notices.extend(more);
            realm_defaults.insert(realm.to_owned(), defaults);
        }
        Ok(Config { profile, notices, defaults, realm_defaults })
    }

    /// The value that counts at a path of section, subsections and name, for settings that have no
    /// method here.
    pub fn value(&self, path: &[&str]) -> Option<&Value> {
        self.profile.value(path)
    }

    /// Every value at a path.
    pub fn values(&self, path: &[&str]) -> Vec<&Value> {
        self.profile.values(path)
    }

    /// What was read past but that the files' owner should know: text before the first section,
    /// braces never closed, enctypes that do not exist.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The keys and sections that nobody reads, with a guess at what was meant.
    pub fn unknown_keys(&self) -> Vec<Notice> {
        known::unknown(&self.profile)
    }
}

/// No files at all.
struct Nowhere;

impl Files for Nowhere {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "no files are read here"))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.read(directory).map(|_| vec![])
    }

    fn is_directory(&self, _: &Path) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
