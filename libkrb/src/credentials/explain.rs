//! Why a file cannot be read, in words that help the one who runs a container: who we are, whose the
//! file is, and what to change.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::Error;

const CACHE_TYPES: &str = "KEYRING: lives in the kernel of the host, KCM: and API: in a daemon of it, and a container \
    has neither; let kinit or the sidecar write FILE:/path on a volume that both see, and name that one here";

/// The same error, if it is that the name of a cache is of a type that no container has, with what to
/// use instead.
pub(super) fn cache_type(name: &str, error: Error) -> Error {
    let kind = name.split_once(':').map_or("", |(kind, _)| kind);
    match error {
        Error::Storage { problem, .. } if ["KEYRING", "KCM", "API", "MSLSA"].contains(&kind) => {
            Error::storage(problem, name, CACHE_TYPES)
        }
        error => error,
    }
}

/// The same error with what is known of the file that could not be read.
pub(super) fn unreadable(path: Option<&Path>, error: Error) -> Error {
    let Some(path) = path else { return error };
    let (problem, name) = match &error {
        Error::Storage { problem, name, .. } if !name.is_empty() => (problem.clone(), name.clone()),
        Error::NoCache(name) => ("No credentials cache found".into(), name.clone()),
        Error::NoKeytab(name) => ("Key table file not found".into(), name.clone()),
        _ => return error,
    };
    let us = Ids { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() };
    match blocked(path, us) {
        Some(detail) => Error::storage(problem, name, detail),
        None => error,
    }
}

/// Whose a process or a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ids {
    uid: u32,
    gid: u32,
}

/// What is in the way to a file.
fn blocked(path: &Path, us: Ids) -> Option<String> {
    let refused = |kind| kind == ErrorKind::PermissionDenied;
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Some("it is a directory, expected a file".to_owned()),
        Ok(found) => match std::fs::OpenOptions::new().read(true).open(path) {
            Err(error) if refused(error.kind()) => {
                Some(denied("the file", us, Ids { uid: found.uid(), gid: found.gid() }, found.mode()))
            }
            _ => None,
        },
        Err(error) if refused(error.kind()) => {
            let above = path.ancestors().skip(1).find_map(|above| Some((above, std::fs::metadata(above).ok()?)));
            let (above, found) = above?;
            let what = format!("the directory {}", above.display());
            Some(denied(&what, us, Ids { uid: found.uid(), gid: found.gid() }, found.mode()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let there = path.parent().is_some_and(|parent| parent.as_os_str().is_empty() || parent.is_dir());
            Some(if there { NOT_YET.to_owned() } else { NO_DIRECTORY.to_owned() })
        }
        Err(_) => None,
    }
}

const NOT_YET: &str = "its directory is there and holds no such file: has the one who is to write it done so, and under \
    this name?";

const NO_DIRECTORY: &str = "its directory is not there: is the volume mounted into this container?";

fn denied(what: &str, us: Ids, theirs: Ids, mode: u32) -> String {
    let mode = mode & 0o7777;
    let fix = if us.uid == theirs.uid {
        "give its owner the right to read it (chmod u+r; u+rx for a directory)".to_owned()
    } else {
        format!(
            "run who writes it as uid {} too (runAsUser), or give both one group (fsGroup) and the file mode 0640",
            us.uid
        )
    };
    format!(
        "this process has uid {} and gid {}, {what} is of uid {} and gid {} with mode {mode:04o}: {fix}",
        us.uid, us.gid, theirs.uid, theirs.gid
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ccache::CacheName;

    #[test]
    fn a_refused_file_is_told_with_both_owners_its_mode_and_the_fix() {
        let (us, root) = (Ids { uid: 1000, gid: 1000 }, Ids { uid: 0, gid: 0 });
        assert_eq!(
            denied("the file", us, root, 0o100_600),
            "this process has uid 1000 and gid 1000, the file is of uid 0 and gid 0 with mode 0600: run who writes it \
             as uid 1000 too (runAsUser), or give both one group (fsGroup) and the file mode 0640"
        );
        assert!(
            denied("the file", us, us, 0)
                .ends_with("mode 0000: give its owner the right to read it (chmod u+r; u+rx for a directory)")
        );
    }

    #[test]
    fn a_missing_file_is_told_apart_from_a_missing_volume() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("krb5cc");
        let error =
            |path: &Path| unreadable(Some(path), CacheName::File(path.to_owned()).load().unwrap_err()).to_string();
        let text = error(&missing);
        assert!(text.starts_with("No credentials cache found (filename: ") && text.ends_with(NOT_YET), "{text}");
        assert!(error(&missing.join("x").join("y")).ends_with(NO_DIRECTORY));
        assert!(error(folder.path()).ends_with("it is a directory, expected a file"), "{}", error(folder.path()));
    }

    #[test]
    fn an_error_that_is_not_of_rights_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("krb5cc");
        std::fs::write(&path, "no cache").unwrap();
        let error = CacheName::File(path.clone()).load().unwrap_err();
        assert_eq!(unreadable(Some(&path), error.clone()), error);
        assert_eq!(unreadable(None, Error::NoCredential), Error::NoCredential);
    }

    #[test]
    fn a_cache_of_the_host_is_told_with_what_to_use_instead() {
        for name in ["MSLSA:", "API:1"] {
            let error = cache_type(name, CacheName::parse(name).unwrap_err()).to_string();
            let start = format!("Unknown credential cache type (filename: {name}): KEYRING: lives");
            assert!(error.starts_with(&start) && error.contains("FILE:/path on a volume"), "{error}");
        }
        let error = CacheName::parse("FILES:x").unwrap_err();
        assert_eq!(cache_type("FILES:x", error.clone()), error);
    }
}
