//! The door to the disk: [`Config::load`] and nothing else.
#![allow(clippy::disallowed_types, reason = "this is the door")]

use std::io::{self, Read};
use std::path::Path;

use super::{Config, Environment, Files};
use crate::error::Result;

/// A configuration file larger than this is none.
const MAX_FILE: u64 = 1 << 20;

/// The files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = vec![];
        std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than 1 MiB"));
        }
        Ok(bytes)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(io::Result::transpose).collect()
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.is_dir()
    }
}

impl Config {
    /// Reads the files that the environment names, by default `/etc/krb5.conf`.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn load(environment: &Environment) -> Result<Config> {
        Config::read(&environment.config_files(), &Disk)
    }
}
