//! The families of programs that have to understand each other: where their programs are, and what
//! happens when they are not there.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::tool::tell;

/// Whose programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// This project's.
    Ours,
    /// MIT krb5's, as Debian packages them.
    Mit,
    /// Heimdal's, as Debian packages them, unpacked beside MIT's by `tests/run`.
    Heimdal,
}

/// A program to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its full path: no search finds another one of the same name.
    pub path: PathBuf,
    /// Arguments that come before all others.
    pub arguments: Vec<&'static str>,
    /// The folder of its own shared libraries.
    pub libraries: Option<PathBuf>,
}

impl Family {
    /// The family under test: `KRB_SUBJECT`, by default ours.
    pub fn subject() -> Family {
        match std::env::var("KRB_SUBJECT").as_deref() {
            Err(_) | Ok("" | "ours") => Family::Ours,
            Ok("mit") => Family::Mit,
            Ok("heimdal") => Family::Heimdal,
            Ok(other) => panic!("KRB_SUBJECT is ours, mit or heimdal, not {other}"),
        }
    }

    /// This family, or the subject in its place when it is ours.
    #[must_use]
    pub fn or_subject(self) -> Family {
        if self == Family::Ours { Family::subject() } else { self }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Family::Ours => "ours",
            Family::Mit => "mit",
            Family::Heimdal => "heimdal",
        }
    }

    /// Its program of this name, for example `kinit`.
    pub fn program(self, name: &'static str) -> Program {
        match self {
            Family::Ours => plain(built().join(name)),
            Family::Mit => plain(mit_path(name)),
            Family::Heimdal => heimdal_program(name),
        }
    }

    /// Whether its KDC and client programs are there. Where not, says so loudly, or panics where
    /// peers are required.
    pub fn present(self) -> bool {
        self.has_kdc() && self.has_clients()
    }

    /// As [`Family::present`], for what changes passwords besides.
    pub fn has_passwords(self) -> bool {
        self.has(match self {
            Family::Ours => &["kpasswd"],
            Family::Mit => &["kadmind", "kpasswd"],
            Family::Heimdal => &["kpasswdd", "kpasswd"],
        })
    }

    /// As [`Family::present`], for its KDC and administration alone.
    pub fn has_kdc(self) -> bool {
        self.has(match self {
            Family::Ours => &["kdc", "kadmin"],
            Family::Mit => &["krb5kdc", "kdb5_util", "kadmin.local"],
            Family::Heimdal => &["kdc", "kstash", "kadmin"],
        })
    }

    /// As [`Family::present`], for its client programs alone.
    pub fn has_clients(self) -> bool {
        self.has(match self {
            Family::Ours | Family::Mit => &["kinit", "klist", "kvno"],
            Family::Heimdal => &["kinit", "klist", "kgetcred"],
        })
    }

    fn has(self, needed: &[&'static str]) -> bool {
        let missing = needed.iter().map(|name| self.program(name).path).find(|path| !path.exists());
        match (self, missing) {
            (Family::Ours, Some(path)) => {
                panic!("no {}: run `cargo build --workspace --bins` first (tests/run does)", path.display())
            }
            (_, missing) => report(self.name(), missing.as_deref()),
        }
    }
}

/// The Java launcher, when a JDK is there; absence is treated as for [`Family::present`].
pub fn java() -> Option<Program> {
    optional_peer("java", "/usr/bin/javac")?;
    optional_peer("java", "/usr/bin/java")
}

/// A single program of others, by full path; absence is treated as for [`Family::present`].
pub fn optional_peer(peer: &str, path: &str) -> Option<Program> {
    let path = PathBuf::from(path);
    let missing = (!path.exists()).then_some(path.as_path());
    report(peer, missing).then(|| plain(path))
}

/// Whether this test is root, which some peers want to be; where not, its absence is said loudly.
pub fn is_root() -> bool {
    let root = rustix::process::getuid().is_root();
    if !root {
        skip("the peer wants to be started by root");
    }
    root
}

fn plain(path: PathBuf) -> Program {
    Program { path, arguments: Vec::new(), libraries: None }
}

/// The folder into which cargo built this test, and our programs with it.
fn built() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    test.ancestors().nth(2).expect("the folder of the build").to_owned()
}

fn mit_path(name: &str) -> PathBuf {
    let folder = match name {
        "krb5kdc" | "kdb5_util" | "kadmin.local" | "kadmind" | "kprop" | "kpropd" => "/usr/sbin",
        _ => "/usr/bin",
    };
    Path::new(folder).join(name)
}

fn heimdal_program(name: &'static str) -> Program {
    let usr = peers_home().join("heimdal/usr");
    let (path, arguments) = match name {
        "kdc" | "kadmind" | "kpasswdd" => (format!("lib/heimdal-servers/{name}"), vec![]),
        "kcm" | "kstash" | "kimpersonate" | "hprop" | "hpropd" => (format!("sbin/{name}"), vec![]),
        "klist" => ("bin/heimtools".to_owned(), vec![name]),
        "kgetcred" => ("bin/kgetcred".to_owned(), vec![]),
        _ => (format!("bin/{name}.heimdal"), vec![]),
    };
    Program { path: usr.join(path), arguments, libraries: libraries(&usr.join("lib")) }
}

/// The folder of the shared libraries of a peer that `tests/peers` has unpacked under this name.
pub(crate) fn unpacked(peer: &str) -> Option<PathBuf> {
    libraries(&peers_home().join(peer).join("usr/lib"))
}

/// Where `tests/peers` puts what is not installed on the machine.
pub fn peers_home() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    cache.unwrap_or_default().join("krb-peers")
}

/// Debian names the folder after the machine: `x86_64-linux-gnu`.
fn libraries(folder: &Path) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    entries.find(|path| path.to_string_lossy().ends_with("-linux-gnu"))
}

fn report(peer: &str, missing: Option<&Path>) -> bool {
    let Some(path) = missing else { return true };
    let required = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    assert!(
        !required("CI", "true") && !required("KRB_REQUIRE_PEERS", "1"),
        "the peer {peer} is required and not here: no {} (tests/run installs it)",
        path.display()
    );
    skip(&format!("the peer {peer} is not here: no {}", path.display()));
    false
}

/// Says that this test shows nothing here; `tests/run` gathers these lines and shows them at its end.
fn skip(why: &str) {
    let thread = std::thread::current();
    let line = format!("SKIPPED {}: {why}", thread.name().unwrap_or("a test"));
    tell(&line);
    if let Some(path) = std::env::var_os("KRB_SKIPPED") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes())).expect("a line in KRB_SKIPPED");
    }
}
