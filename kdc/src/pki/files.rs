//! The files of an authority's folder: made once, keys for their owner alone, nothing overwritten.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A folder for keys; made if it is not there.
pub fn folder(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| Error::file(path, error))
}

/// Refuses if one of these exists.
pub fn absent(paths: &[&Path]) -> Result<()> {
    match paths.iter().find(|path| std::fs::symlink_metadata(path).is_ok()) {
        Some(path) => Err(Error::file(path, "exists; nothing is overwritten, so move it away or choose another name")),
        None => Ok(()),
    }
}

/// Writes a certificate and its key, and takes the first back if the other can't be written.
pub fn pair(certificate: (&Path, &str), key: (&Path, &str)) -> Result<()> {
    write(key.0, 0o600, key.1)?;
    write(certificate.0, 0o644, certificate.1).inspect_err(|_| {
        let _ = std::fs::remove_file(key.0);
    })
}

fn write(path: &Path, mode: u32, text: &str) -> Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => Error::file(path, "exists; nothing is overwritten"),
        _ => Error::file(path, error),
    })
}

/// The text of a file.
pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::file(path, "No such file or directory; `kdc pki init` makes an authority"),
        _ => Error::file(path, error),
    })
}

/// The certificate's and the key's file of a name in a folder.
pub fn names(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    // A name with slashes is one file all the same, and never one elsewhere.
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
    let name = name.trim_start_matches('.');
    (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")))
}
