//! docs/guide/moving-from-mit.md as it stands there, with a living realm of MIT's: the lines that are to
//! be typed are taken from the guide, and what it says comes of them is looked at, the way back too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tests::{Daemon, Family, Port, Program, Realm, Said, Tool};

/// Principals that one of the two has and the other has not, as the guide says.
const MITS_OWN: [&str; 2] = ["K/M@EXAMPLE.ORG", "kadmin/history@EXAMPLE.ORG"];
const OURS_ALONE: [&str; 1] = ["kadmin/fetch@EXAMPLE.ORG"];

/// The lines of a section of the guide that are to be typed.
fn lines(heading: &str) -> Vec<String> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide/moving-from-mit.md");
    let guide = std::fs::read_to_string(guide).expect("the guide");
    let (_, section) = guide.split_once(heading).expect(heading);
    let section = section.split("\n## ").next().unwrap_or_default();
    let typed = section.lines().filter_map(|line| line.strip_prefix("       "));
    typed.map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// The machine of the old KDC and that of the new one, which are one.
struct Machine {
    old: Realm,
    folder: tempfile::TempDir,
    port: Port,
}

impl Machine {
    fn new() -> Machine {
        let machine = Machine {
            old: Realm::start(Family::Mit),
            folder: tempfile::tempdir().expect("a folder"),
            port: Port::claim(),
        };
        for (user, password) in [("alice", "first1"), ("bob", "second2")] {
            machine.old.add(user, password, &[]);
        }
        let stash = machine.old.folder().join("stash");
        std::fs::copy(stash, machine.path("stash")).expect("the stash, brought over");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Types a line of the guide, with the paths and addresses of this machine in the place of the guide's.
    fn types(&self, line: &str) -> Said {
        let own = format!("{}/", self.folder.path().display());
        let line = line.replace("/root/", &own).replace("/var/lib/", &own).replace("/var/kerberos/", &own);
        let address = self.port.address().to_string();
        let line = line.replace("192.0.2.2:88", &address).replace("--listen ...", &format!("--listen {address}"));
        let shell = Program { path: "/bin/sh".into(), arguments: vec!["-c"], libraries: None };
        let ours = Family::Ours.program("kdc").path;
        let programs = format!("{}:/usr/sbin:/usr/bin:/bin", ours.parent().expect("a folder").display());
        let tool = Tool::new(shell).args([line]).folder(self.folder.path()).env("PATH", programs);
        let tool = tool.env("KRB5_CONFIG", self.old.folder().join("kdc-krb5.conf"));
        tool.env("KRB5_KDC_PROFILE", self.old.folder().join("kdc.conf")).run()
    }

    /// Serves the new realm in this folder.
    fn serve(&self, folder: &str) -> Daemon {
        let config = self.path(folder).join("kdc.toml");
        let _ = self.types(&format!("kdc check --config {}", config.display())).succeeds();
        let kdc = Tool::new(Family::Ours.program("kdc")).args(["run", "--config"]).args([config]);
        Daemon::start(kdc.command(), "ready")
    }

    /// A client of MIT's at the new KDC.
    fn at_new(&self, program: &'static str, folder: &str, words: &[&str], input: &str) -> Said {
        let tool = Tool::new(Family::Mit.program(program)).args(words).stdin(input);
        let tool = tool.env("KRB5_CONFIG", self.path(folder).join("krb5.conf"));
        tool.env("KRB5CCNAME", self.path("cache")).run()
    }
}

fn names(listing: &str) -> BTreeSet<&str> {
    listing.lines().filter(|line| line.contains('@') && !line.contains(' ')).collect()
}

#[test]
fn the_guide_moves_a_living_realm_and_brings_it_back() {
    if !Family::Mit.present() || !Family::Mit.has_passwords() {
        return;
    }
    let mut machine = Machine::new();
    let keytab = machine.old.add_service("host/a.example.org");
    let keytab = keytab.to_str().expect("a path");
    let trying = lines("## Try it, while the old KDC serves");
    assert_eq!(trying.len(), 4, "{trying:?}");
    for line in &trying {
        // Which of the usual places there is, depends on the system.
        let line = if line.starts_with("ls ") { format!("{line}; true") } else { line.clone() };
        let _ = machine.types(&line).succeeds();
    }
    let dry = &trying[3];
    let _ = machine.types(dry.strip_suffix(" --dry-run").expect("a dry run")).succeeds();
    {
        let _new = machine.serve("kdc");
        let _ = machine.at_new("kinit", "kdc", &["alice"], "first1\n").succeeds();
        let _ = machine
            .at_new("kvno", "kdc", &["-k", keytab, "host/a.example.org"], "")
            .succeeds()
            .saying("keytab entry valid");
    }
    // Somebody changes a password at the old one before the move.
    machine.old.serve_passwords();
    let change = |machine: &Machine, user: &str, old: &str, new: &str| {
        machine.old.seat(Family::Mit).asked("kpasswd", &[user], &[old, new, new])
    };
    let _ = change(&machine, "alice", "first1", "third3").succeeds();
    machine.old.keep_passwords();
    let moving = lines("## The move");
    assert_eq!(moving.len(), 3, "{moving:?}");
    for line in &moving {
        let _ = machine.types(line).succeeds();
    }
    let settings = machine.path("kdc-new/kdc.toml");
    let text = std::fs::read_to_string(&settings).expect("settings");
    std::fs::write(settings, text.replace("#file = \"audit.jsonl\"", "file = \"audit.jsonl\"")).expect("written");
    let _new = machine.serve("kdc-new");
    let _ = machine.at_new("kinit", "kdc-new", &["alice"], "third3\n").succeeds();
    let _ = machine.at_new("kvno", "kdc-new", &["-k", keytab, "host/a.example.org"], "").succeeds();
    // A ticket of one is good for the other.
    let (cache, configuration) = {
        let seat = machine.old.seat(Family::Mit);
        let _ = seat.kinit(&["bob"], "second2").succeeds();
        (seat.ccache(), seat.configuration())
    };
    let there = Tool::new(Family::Mit.program("kvno")).args(["host/a.example.org"]);
    let there = there.env("KRB5_CONFIG", machine.path("kdc-new/krb5.conf")).env("KRB5CCNAME", cache);
    let _ = there.run().succeeds();
    let back = Tool::new(Family::Mit.program("kvno")).args(["host/a.example.org"]);
    let back = back.env("KRB5_CONFIG", configuration).env("KRB5CCNAME", machine.path("cache"));
    let _ = back.run().succeeds();
    // Both sides have the same principals but for those that the guide names.
    let theirs = machine.types("kadmin.local listprincs").succeeds();
    let ours =
        machine.types(&format!("kadmin --config {} listprincs", machine.path("kdc-new/kdc.toml").display())).succeeds();
    let (theirs, ours) = (names(theirs.stdout()), names(ours.stdout()));
    let gone: Vec<_> = theirs.difference(&ours).copied().collect();
    let added: Vec<_> = ours.difference(&theirs).copied().collect();
    assert!(gone.contains(&MITS_OWN[0]) && gone.iter().all(|name| MITS_OWN.contains(name)), "{gone:?}");
    assert_eq!(added, OURS_ALONE);

    // Back again: nobody has changed anything at the new one yet.
    let _ = machine.old.seat(Family::Mit).kinit(&["alice"], "third3").succeeds();
    // Then somebody has, and the audit says who.
    let _ = machine.at_new("kpasswd", "kdc-new", &["bob"], "second2\nfourth4\nfourth4\n").succeeds();
    let audit = std::fs::read_to_string(machine.path("kdc-new/audit.jsonl")).expect("the audit");
    let changed = lines("## Going back").into_iter().find(|line| line.starts_with("grep")).expect("how to list them");
    let listed = machine.types(&changed).succeeds();
    assert!(listed.stdout().contains("\"subject\":\"bob@EXAMPLE.ORG\""), "{}\n{audit}", listed.stdout());
    assert!(!listed.stdout().contains("alice@"), "{}", listed.stdout());
    machine.old.serve_passwords();
    let _ = machine.old.seat(Family::Mit).kinit(&["bob"], "fourth4").fails();
    let _ = change(&machine, "bob", "second2", "fourth4").succeeds();
    let _ = machine.old.seat(Family::Mit).kinit(&["bob"], "fourth4").succeeds();
}
