//! A realm served by somebody's KDC on loopback, with what a test asks of an administrator.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tempfile::TempDir;

use crate::kdc::{Kdc, Secret, Site, kdc_of};
use crate::{Daemon, Etype, Family, Port, Seat};

/// What a realm is to be like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name.
    pub realm: String,
    /// The encryption types of its keys, best first; empty for the KDC's own default.
    pub etypes: Vec<Etype>,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { realm: "EXAMPLE.ORG".to_owned(), etypes: Vec::new() }
    }
}

impl Plan {
    /// A realm of another name.
    #[must_use]
    pub fn named(mut self, realm: &str) -> Plan {
        self.realm = realm.to_owned();
        self
    }

    /// A realm with keys of these encryption types only.
    #[must_use]
    pub fn with_etypes(mut self, etypes: &[Etype]) -> Plan {
        self.etypes = etypes.to_vec();
        self
    }

    /// Makes the realm and starts its KDC.
    pub fn start(self, family: Family) -> Realm {
        let folder = tempfile::Builder::new().prefix("krb-realm-").tempdir().expect("a temporary folder");
        let [port, kpasswd] = [(); 2].map(|()| Port::claim());
        let (address, kpasswd_address) = (port.address(), kpasswd.address());
        let site = Site { plan: self, folder: folder.path().to_owned(), address, kpasswd: kpasswd_address };
        let kdc = kdc_of(family);
        kdc.create(&site);
        let daemon = Daemon::start(kdc.daemon(&site).command(), kdc.ready());
        Realm {
            daemon,
            kdc,
            site,
            family,
            seats: Cell::new(0),
            passwords: None,
            _ports: [port, kpasswd],
            _folder: folder,
        }
    }
}

/// A realm and its running KDC, both gone when dropped.
pub struct Realm {
    // Dropped first: the daemon ends before its files go.
    daemon: Daemon,
    passwords: Option<Daemon>,
    kdc: Box<dyn Kdc>,
    site: Site,
    family: Family,
    seats: Cell<u32>,
    _ports: [Port; 2],
    _folder: TempDir,
}

impl Realm {
    /// A realm EXAMPLE.ORG with the family's own defaults.
    pub fn start(family: Family) -> Realm {
        Plan::default().start(family)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.site.plan.realm
    }

    /// Whose KDC serves it.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Where its KDC listens, for UDP and TCP.
    pub fn address(&self) -> std::net::SocketAddr {
        self.site.address
    }

    /// Where passwords are changed, for UDP and TCP.
    pub fn kpasswd_address(&self) -> std::net::SocketAddr {
        self.site.kpasswd
    }

    /// Lets passwords be changed, where that takes a daemon beside the KDC.
    pub fn serve_passwords(&mut self) {
        let daemon = self.kdc.password_daemon(&self.site);
        self.passwords = daemon.map(|(tool, ready)| Daemon::start(tool.command(), ready));
    }

    /// Stops the daemon that changes passwords; the KDC goes on.
    pub fn keep_passwords(&mut self) {
        self.passwords = None;
    }

    /// The folder with the KDC's files.
    pub fn folder(&self) -> &Path {
        &self.site.folder
    }

    /// Adds a principal. The options are those of MIT's `addprinc`, for example `-maxlife 1h` or
    /// `-allow_tix`, one word each.
    pub fn add(&self, principal: &str, secret: impl Into<Secret>, options: &[&str]) {
        self.kdc.add(&self.site, principal, &secret.into(), options);
    }

    /// Adds a service with a random key and writes its keytab.
    pub fn add_service(&self, principal: &str) -> PathBuf {
        self.add(principal, Secret::Random, &[]);
        self.keytab(principal)
    }

    /// Changes a principal, with the options of MIT's `modprinc`.
    pub fn modify(&self, principal: &str, options: &[&str]) {
        self.kdc.modify(&self.site, principal, options);
    }

    /// Gives a principal a new key; the old ones are forgotten.
    pub fn change(&self, principal: &str, secret: impl Into<Secret>) {
        self.kdc.change(&self.site, principal, &secret.into());
    }

    /// Puts a query of MIT's `kadmin`, one word each, to a KDC of MIT or ours.
    pub fn query(&self, words: &[&str]) {
        self.kdc.ask(&self.site, words);
    }

    /// Deletes a principal.
    pub fn delete(&self, principal: &str) {
        self.kdc.delete(&self.site, principal);
    }

    /// Writes a new keytab with the keys that the principal has now.
    pub fn keytab(&self, principal: &str) -> PathBuf {
        let name: String = principal.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let path = self.site.folder.join(format!("{name}.keytab"));
        // Extracting adds to a keytab; this one is to hold the present keys only.
        let _ = std::fs::remove_file(&path);
        self.kdc.extract(&self.site, principal, &path);
        path
    }

    /// A place for a client of this realm with programs of one family: a configuration and a credential cache of its own.
    pub fn seat(&self, client: Family) -> Seat<'_> {
        self.seats.set(self.seats.get() + 1);
        Seat::new(self, client, &self.site.folder.join(format!("seat{}", self.seats.get())))
    }

    /// Waits until the KDC has printed this.
    #[track_caller]
    pub fn says(&self, text: &str) {
        self.daemon.says(text);
    }

    /// What the KDC has printed so far.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// The running daemon's process id.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Stops the KDC in good order; [`Realm::restart`] brings it back.
    pub fn stop(&mut self) -> ExitStatus {
        self.daemon.stop()
    }

    /// Kills the KDC as a crash would; [`Realm::restart`] brings it back.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Starts the KDC again, on the same port and files.
    pub fn restart(&mut self) {
        self.daemon.stop();
        self.daemon = Daemon::start(self.kdc.daemon(&self.site).command(), self.kdc.ready());
    }
}
