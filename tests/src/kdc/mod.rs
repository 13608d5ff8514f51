//! How each family's KDC is made, asked and run. One file a family; a test sees [`crate::Realm`] only.

mod heimdal;
mod mit;
mod ours;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::realm::Plan;
use crate::{Family, Tool};

/// What a principal's keys are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// A password.
    Password(String),
    /// Random keys.
    Random,
}

impl From<&str> for Secret {
    fn from(password: &str) -> Secret {
        Secret::Password(password.to_owned())
    }
}

/// Where a realm lives.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub plan: Plan,
    pub folder: PathBuf,
    pub address: SocketAddr,
    /// Where passwords are changed, for UDP and TCP.
    pub kpasswd: SocketAddr,
}

impl Site {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file of the realm");
        path
    }
}

/// A family's KDC with its administration.
pub(crate) trait Kdc {
    fn create(&self, site: &Site);
    fn daemon(&self, site: &Site) -> Tool;
    /// What the daemon prints once its sockets are bound.
    fn ready(&self) -> &'static str;
    fn add(&self, site: &Site, principal: &str, secret: &Secret, options: &[&str]);
    fn modify(&self, site: &Site, principal: &str, options: &[&str]);
    fn change(&self, site: &Site, principal: &str, secret: &Secret);
    /// The daemon that changes passwords where the KDC does not, and what it prints once it is ready.
    fn password_daemon(&self, _site: &Site) -> Option<(Tool, &'static str)> {
        None
    }
    fn delete(&self, site: &Site, principal: &str);
    fn extract(&self, site: &Site, principal: &str, keytab: &Path);
    /// Puts a query of MIT's language, for those who speak it.
    fn ask(&self, _site: &Site, words: &[&str]) {
        panic!("it has no word for {words:?}");
    }
}

pub(crate) fn kdc_of(family: Family) -> Box<dyn Kdc> {
    match family {
        Family::Ours => Box::new(ours::Ours),
        Family::Mit => Box::new(mit::Mit),
        Family::Heimdal => Box::new(heimdal::Heimdal),
    }
}

/// MIT's query language, which our `kadmin` speaks too: one query, one run of the program.
trait Queries {
    fn admin(&self, site: &Site) -> Tool;

    fn query<'a>(&self, site: &Site, words: impl IntoIterator<Item = &'a str>) {
        self.admin(site).args(words).run().succeeds();
    }

    fn keys(site: &Site, secret: &Secret) -> Vec<String> {
        let mut words = match secret {
            Secret::Password(password) => vec!["-pw".to_owned(), password.clone()],
            Secret::Random => vec!["-randkey".to_owned()],
        };
        if !site.plan.etypes.is_empty() {
            let names: Vec<_> = site.plan.etypes.iter().map(|etype| format!("{}:normal", etype.name)).collect();
            words.extend(["-e".to_owned(), names.join(",")]);
        }
        words
    }
}

/// Everything but making and running the KDC, for those that speak MIT's query language.
macro_rules! by_queries {
    () => {
        fn add(&self, site: &Site, principal: &str, secret: &Secret, options: &[&str]) {
            let keys = Self::keys(site, secret);
            let keys = keys.iter().map(String::as_str);
            let words = std::iter::once("addprinc").chain(keys).chain(options.iter().copied()).chain([principal]);
            self.query(site, words);
        }

        fn modify(&self, site: &Site, principal: &str, options: &[&str]) {
            self.query(site, std::iter::once("modprinc").chain(options.iter().copied()).chain([principal]));
        }

        fn change(&self, site: &Site, principal: &str, secret: &Secret) {
            let keys = Self::keys(site, secret);
            self.query(site, std::iter::once("cpw").chain(keys.iter().map(String::as_str)).chain([principal]));
        }

        fn delete(&self, site: &Site, principal: &str) {
            self.query(site, ["delprinc", "-force", principal]);
        }

        fn ask(&self, site: &Site, words: &[&str]) {
            self.query(site, words.iter().copied());
        }

        fn extract(&self, site: &Site, principal: &str, keytab: &Path) {
            self.query(site, ["ktadd", "-k", &keytab.to_string_lossy(), "-norandkey", principal]);
        }
    };
}
use by_queries;
