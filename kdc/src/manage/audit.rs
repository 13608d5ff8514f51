//! The audit that the settings ask for, and `kdc audit verify`.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "files that the operator names")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::config::{AuditSettings, Config};
use crate::error::{Error, Result};
use crate::observe::{Audit, ChainKey, Head, Observer, Plan, Rotation, usable, verify};

/// Opens what the settings ask for; `None` if that is nothing.
///
/// # Errors
/// The file that can't be used, and why.
pub fn audit(settings: &AuditSettings) -> Result<Option<Audit>> {
    if settings.file.is_none() && settings.journald.is_none() && settings.syslog.is_none() {
        return Ok(None);
    }
    let rotation = Rotation {
        size: settings.rotate_at as u64,
        keep: settings.keep,
        keep_for: settings.keep_for.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or_default())),
    };
    let plan = Plan {
        file: settings.file.clone().map(|path| (path, rotation)),
        journald: settings.journald.clone(),
        syslog: settings.syslog.clone(),
        key: settings.key.as_deref().map(key).transpose()?,
        sync: settings.sync,
    };
    let place = settings.file.clone().unwrap_or_else(|| PathBuf::from("the audit's sockets"));
    Audit::start(plan).map(Some).map_err(|error| Error::file(&place, error))
}

/// Whether the audit's key can be read; its file is another process's while the KDC runs.
///
/// # Errors
/// What is wrong with the key.
pub fn check_key(settings: &AuditSettings) -> Result<()> {
    settings.key.as_deref().map_or(Ok(()), |path| key(path).map(drop))
}

/// Whether a file that no process of ours writes yet could be the audit's; it is made.
///
/// # Errors
/// Why not.
pub fn check_file(path: &Path) -> Result<()> {
    usable(path).map_err(|error| Error::file(path, error))
}

/// The observer that the settings ask for.
///
/// # Errors
/// A file or a URL that can't be used, and why.
pub fn observer(config: &Config) -> Result<Observer> {
    #[allow(unused_mut, reason = "with OpenTelemetry it changes")]
    let mut observer = Observer::new(audit(&config.audit)?);
    #[cfg(feature = "otel")]
    if let Some(url) = &config.telemetry.otlp {
        let traces = crate::observe::Traces::start(url, &config.realm);
        observer.trace(traces.map_err(|error| Error::Other(format!("[telemetry] otlp = {url:?}: {error}")))?);
    }
    Ok(observer)
}

fn key(path: &Path) -> Result<ChainKey> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::metadata(path).map_err(|error| Error::file(path, error))?;
    if metadata.permissions().mode() & 0o007 != 0 {
        return Err(Error::file(path, format!("everybody can read the audit's key; chmod 600 {}", path.display())));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| Error::file(path, error))?);
    let short = "an audit key has at least 32 random characters; make one with: openssl rand -hex 32";
    ChainKey::new(&text).ok_or_else(|| Error::file(path, short))
}

/// Verifies files, in the order of their lines whatever the order in which they are named; what was found.
///
/// # Errors
/// The first line that is wrong, and a file that can't be read.
pub fn audit_verify(
    files: &[PathBuf],
    key_file: Option<&Path>,
    known: Option<&str>,
    new_chains: bool,
) -> Result<String> {
    let key = key_file.map(key).transpose()?;
    let malformed = || {
        Error::Other("--head: a number and a hash such as 4711:0f3a… were expected, as kdc status tells them".into())
    };
    let known = known.map(|text| Head::parse(text).ok_or_else(malformed)).transpose()?;
    let mut ordered = vec![];
    for path in files {
        let file = File::open(path).map_err(|error| Error::file(path, error))?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let start = reader.fill_buf().map_err(|error| Error::file(path, error))?;
        ordered.push((first_number(start), path.display().to_string(), reader));
    }
    ordered.sort_by_key(|(first, ..)| *first);
    let readers = ordered.into_iter().map(|(_, name, reader)| (name, reader)).collect();
    let found = verify(readers, key.as_ref(), known.as_ref(), new_chains);
    match found.map_err(|error| Error::Other(error.to_string()))? {
        Ok(verified) => Ok(verified.to_string()),
        Err(broken) => Err(Error::Other(broken.to_string())),
    }
}

/// The number of the first line of a file that begins so; a file that begins with none comes first.
fn first_number(start: &[u8]) -> u64 {
    let line = start.split(|octet| *octet == b'\n').next().unwrap_or_default();
    let text = std::str::from_utf8(line).unwrap_or_default();
    let number = text.strip_prefix("{\"seq\":").and_then(|rest| rest.split(',').next());
    number.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
