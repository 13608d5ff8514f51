//! The ticket that armors a login (FAST, RFC 6113 5.4.1.1): of a cache, of this host's keytab, or
//! nobody's. Not here: what it is used for.

use libkrb::ccache::{CacheName, Credential};
use libkrb::client::{AsRequest, Secret};
use libkrb::net::{Transport, as_request};
use libkrb::preauth::Means;
use libkrb::{Error, Principal};
use tokio::runtime::Runtime;

use super::certificate;
use crate::local;
use crate::report::{self, During, Failure, Result};
use crate::settings::Settings;

/// What is said instead of a cache's name to have the armor found.
const AUTO: &str = "auto";

/// The step that leads to armor.
const GET_ARMOR: &str = "Armor is somebody else's ticket: kinit -k -c CACHE gets this host's, kinit -n -c CACHE nobody's; then kinit -T CACHE.";

/// How long armor that is got for one login shall live, in seconds.
const LIFE: i64 = 10 * 60;

/// Who logs in, and how the KDCs are reached.
pub(super) struct Place<'a> {
    pub settings: &'a Settings,
    pub client: &'a Principal,
    /// What `-X` says: whose certificates make a KDC believed, too.
    pub attributes: &'a [String],
    pub runtime: &'a Runtime,
    pub transport: &'a Transport,
}

/// A way to come by armor; `None`: it does not lead anywhere here.
type Way = (&'static str, fn(&Place<'_>) -> libkrb::Result<Option<Credential>>);

/// The ways, the one that lets the KDC prove itself first.
const WAYS: [Way; 2] = [("this host's keytab", of_host), ("an anonymous ticket", of_nobody)];

impl Place<'_> {
    /// The armor that is asked for with `-T`, which must be there; else what krb5.conf's
    /// `auto_fast_armor` wants, if it can be had.
    pub(super) fn ticket(&self, asked: Option<&str>, doing: &str) -> Result<Option<Credential>> {
        match asked {
            Some(AUTO) => self.found().map(Some).map_err(|tried| {
                let what = format!("No armor can be had {doing}: {}", tried.join("; "));
                Failure::new(what).next(GET_ARMOR)
            }),
            Some(name) => self.of_cache(name, doing).map(Some),
            None => Ok(if self.is_wanted().during(doing)? { self.found().ok() } else { None }),
        }
    }

    /// Whether armor is found rather than named, so that more can be found for another realm.
    pub(super) fn finds(&self, asked: Option<&str>) -> bool {
        asked.map_or_else(|| self.is_wanted().unwrap_or(false), |asked| asked == AUTO)
    }

    fn is_wanted(&self) -> libkrb::Result<bool> {
        Ok(self.settings.config().realm_flag(self.client.realm(), "auto_fast_armor")?.unwrap_or(false))
    }

    /// The first armor that can be had; or why none can.
    fn found(&self) -> Result<Credential, Vec<String>> {
        let mut tried = vec![];
        for (what, way) in WAYS {
            match way(self).and_then(|found| found.map(|ticket| self.to_realm(ticket)).transpose()) {
                Ok(Some(ticket)) => return Ok(ticket),
                Ok(None) => tried.push(format!("{what}: there is none")),
                Err(error) => tried.push(format!("{what}: {error}")),
            }
        }
        Err(tried)
    }

    fn of_cache(&self, name: &str, doing: &str) -> Result<Credential> {
        let cache = CacheName::parse(name).during(&format!("resolving ccache {name}"))?;
        let content = match cache.load() {
            Err(Error::NoCache(path)) => {
                let what = format!("No credentials cache found (filename: {path}) {doing}");
                return Err(Failure::new(what).next(GET_ARMOR));
            }
            content => content.during(doing)?,
        };
        let now = self.settings.offset(&content).apply(local::now().into()).time;
        let right = Principal::tgs(self.client.realm());
        let ticket = content.find(&right, now).or_else(|| content.tgt(now)).cloned();
        let ticket = ticket.ok_or_else(|| {
            let what = format!("No ticket-granting ticket that is good in {name} {doing}");
            Failure::new(what).next(GET_ARMOR)
        })?;
        self.to_realm(ticket).map_err(|error| report::while_doing(&error, doing))
    }

    /// A ticket for this login alone.
    fn login(&self, client: Principal, secret: Secret, means: Means) -> libkrb::Result<Credential> {
        let request = as_request(self.settings.config(), client);
        let request = AsRequest { lifetime: Some(LIFE), renewable_for: None, addresses: vec![], ..request };
        let login = self.runtime.block_on(self.transport.login_with(request, secret, means))?;
        Ok(login.outcome.credential)
    }

    /// The ticket that the KDC of the client's realm opens.
    fn to_realm(&self, ticket: Credential) -> libkrb::Result<Credential> {
        self.runtime.block_on(self.transport.armor(ticket, self.client.realm()))
    }
}

/// A ticket of `host/NAME`, whose keys the default keytab has: of the client's realm if there are such.
fn of_host(place: &Place<'_>) -> libkrb::Result<Option<Credential>> {
    let keytab = match place.settings.keytab()?.load() {
        Err(Error::NoKeytab(_)) => return Ok(None),
        keytab => keytab?,
    };
    let is_host = |name: &Principal| matches!(name.components(), [service, _] if &**service == "host");
    let hosts = || keytab.entries.iter().map(|entry| &entry.principal).filter(|name| is_host(name));
    let here = hosts().find(|name| name.realm() == place.client.realm());
    let Some(host) = here.or_else(|| hosts().next()) else { return Ok(None) };
    let entries = keytab.entries.iter().filter(|entry| entry.principal == *host);
    let keys = entries.filter_map(|entry| Some((entry.kvno, entry.key.key().ok()?)));
    place.login(host.clone(), Secret::Keys(keys.collect()), Means::default()).map(Some)
}

/// A ticket of nobody, which takes a KDC with a certificate that is known here (RFC 8062).
fn of_nobody(place: &Place<'_>) -> libkrb::Result<Option<Credential>> {
    if place.client.is_anonymous() {
        return Ok(None);
    }
    let realm = place.client.realm();
    let means = Means { pkinit: certificate::of_nobody(place.settings, realm, place.attributes)?, ..Means::default() };
    place.login(Principal::anonymous().in_realm(realm), Secret::None, means).map(Some)
}
