//! Sockets in the file system: made where none is, or in the place of one that a killed daemon left behind. Not here:
//! who may connect, and what is said.

use std::fs::{Permissions, remove_file, set_permissions, symlink_metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use libkrb::{Error, Result};

/// Binds a socket that these may connect to. `setting` is the one of kdc.toml that names it.
///
/// # Errors
/// [`Error::File`] when another daemon serves it, or it can't be made.
pub fn bind(path: &Path, mode: u32, setting: &str) -> Result<UnixListener> {
    let wrong = |error: std::io::Error| match error.kind() {
        ErrorKind::InvalidInput => {
            Error::file(path, format!("too long for a socket; set a shorter {setting} in kdc.toml"))
        }
        _ => Error::file(path, error),
    };
    if let Ok(kind) = symlink_metadata(path).map(|it| it.file_type()) {
        if !kind.is_socket() {
            return Err(Error::file(path, format!("there is another file where the socket of {setting} should be")));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(Error::file(path, "another KDC serves this realm"));
        }
        remove_file(path).map_err(wrong)?;
    }
    let listener = UnixListener::bind(path).map_err(wrong)?;
    set_permissions(path, Permissions::from_mode(mode)).map_err(wrong)?;
    listener.set_nonblocking(true).map_err(wrong)?;
    Ok(listener)
}
