//! Our own KDC, used as an administrator would: `kdc init`, `kdc run`, `kadmin`.

use std::path::Path;

use super::{Kdc, Queries, Secret, Site, by_queries};
use crate::{Family, Tool};

pub(super) struct Ours;

/// The realm's own folder: `kdc init` makes it and wants it to be new.
const FOLDER: &str = "kdc";

impl Kdc for Ours {
    fn create(&self, site: &Site) {
        Tool::new(Family::Ours.program("kdc"))
            .args(["init", "--realm", &site.plan.realm, "--listen", &site.address.to_string()])
            .args(["--kpasswd-listen", &site.kpasswd.to_string(), "--dir"])
            .args([site.path(FOLDER)])
            .run()
            .succeeds();
        if !site.plan.etypes.is_empty() {
            self.change(site, &format!("krbtgt/{}", site.plan.realm), &Secret::Random);
        }
    }

    fn daemon(&self, site: &Site) -> Tool {
        Tool::new(Family::Ours.program("kdc")).args(["run", "--config"]).args([site.path(FOLDER).join("kdc.toml")])
    }

    fn ready(&self) -> &'static str {
        "ready"
    }

    by_queries!();
}

impl Queries for Ours {
    fn admin(&self, site: &Site) -> Tool {
        Tool::new(Family::Ours.program("kadmin")).args(["--config"]).args([site.path(FOLDER).join("kdc.toml")])
    }
}
