//! What this process may do to the file system once it knows its settings: write in the folders of
//! the realm, read what programs read, and nothing else (Landlock). Whoever takes the process over
//! finds no home folders and leaves nothing behind. It holds for every thread and for every process
//! that is started from here on, so it must be called before there are threads.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, path_beneath_rules,
};

use crate::config::Config;

/// What the newest kernel that the rules are written for can hold; an older one holds less.
const NEWEST: ABI = ABI::V5;
/// What programs and libraries are made of, and where a system says what it is.
const SYSTEM: [&str; 11] =
    ["/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt", "/nix/store", "/proc", "/sys", "/run"];
/// Devices that a program may write to.
const DEVICES: [&str; 2] = ["/dev/null", "/dev/tty"];
const SOURCES: [&str; 3] = ["/dev/urandom", "/dev/random", "/dev/zero"];

/// The folders that settings name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folders {
    /// Where files are made and changed.
    pub written: BTreeSet<PathBuf>,
    /// Where files are only read.
    pub read: BTreeSet<PathBuf>,
}

impl Folders {
    /// Those of the settings in the file `path`.
    pub fn of(path: &Path, config: &Config) -> Self {
        let folder = |file: &Path| match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let written = config.files_written().into_iter().map(folder).collect();
        let read = config.files_read().into_iter().chain([path]).map(folder).collect();
        Folders { written, read }
    }

    /// The first folder of `wanted` that is not open to who is confined to these.
    pub fn lacks(&self, wanted: &Folders) -> Option<PathBuf> {
        let real = |folder: &PathBuf| folder.canonicalize().unwrap_or_else(|_| folder.clone());
        let written: Vec<_> = self.written.iter().map(real).collect();
        let system = SYSTEM.iter().map(PathBuf::from);
        let read: Vec<_> = written.iter().cloned().chain(self.read.iter().map(real)).chain(system).collect();
        let lacking = |open: &[PathBuf], folder: &&PathBuf| !open.iter().any(|open| real(folder).starts_with(open));
        let first = wanted.written.iter().find(|folder| lacking(&written, folder));
        first.or_else(|| wanted.read.iter().find(|folder| lacking(&read, folder))).cloned()
    }
}

/// How much of a confinement a kernel enforces.
#[derive(Debug)]
pub struct Enforced(RulesetStatus);

impl Enforced {
    /// Whether any of it.
    pub fn at_all(&self) -> bool {
        self.0 != RulesetStatus::NotEnforced
    }

    /// In words for the log.
    pub fn words(&self) -> &'static str {
        match self.0 {
            RulesetStatus::FullyEnforced => "enforced",
            RulesetStatus::PartiallyEnforced => "enforced as far as this kernel can",
            RulesetStatus::NotEnforced => "not enforced: this kernel has no Landlock",
        }
    }
}

/// Confines this process; how much of that the kernel enforces.
pub fn confine(folders: &Folders) -> Result<Enforced, RulesetError> {
    let (all, reading) = (AccessFs::from_all(NEWEST), AccessFs::from_read(NEWEST));
    // The program itself may be started anew, and another version of it in its place.
    let program = std::env::current_exe().ok().and_then(|program| program.parent().map(Path::to_owned));
    let looking = AccessFs::ReadFile | AccessFs::ReadDir;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .create()?
        .add_rules(path_beneath_rules(&folders.written, all & !AccessFs::Execute))?
        .add_rules(path_beneath_rules(&folders.read, looking))?
        .add_rules(path_beneath_rules(SYSTEM.iter().map(Path::new).chain(program.as_deref()), reading))?
        .add_rules(path_beneath_rules(SOURCES, AccessFs::ReadFile))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::ReadFile | AccessFs::WriteFile))?
        .restrict_self()?;
    Ok(Enforced(status.ruleset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_an_open_folder_is_open_and_what_is_beside_it_is_not() {
        let folders = |written: &[&str], read: &[&str]| {
            let set = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
            Folders { written: set(written), read: set(read) }
        };
        let open = folders(&["/realm"], &["/keys"]);
        assert_eq!(open.lacks(&folders(&["/realm", "/realm/logs"], &["/keys", "/realm/x", "/etc/kdc"])), None);
        assert_eq!(open.lacks(&folders(&["/realm2"], &[])), Some("/realm2".into()));
        assert_eq!(open.lacks(&folders(&["/keys"], &[])), Some("/keys".into()), "it may be read only");
        assert_eq!(open.lacks(&folders(&[], &["/secrets"])), Some("/secrets".into()));
    }
}
