//! The section `[admin]`: who else than root administers the realm, and where from afar. Not here: what a row of the
//! access list means ([`crate::admin::acl`]).

use std::net::SocketAddr;
use std::path::PathBuf;

use libkrb::{Error, Principal, Result};
use serde::Deserialize;

use super::Config;
use crate::admin::acl::Rule;
use crate::admin::{Acl, ClientRow};

/// The section `[admin]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminSettings {
    /// The rows of the access list; the first that is about caller and target decides.
    pub acl: Vec<Rule>,
    /// A kadm5.acl of MIT krb5, whose lines follow these rows.
    pub acl_file: Option<PathBuf>,
    /// Where the admin API is served over TLS; nowhere unless said.
    pub listen: Vec<SocketAddr>,
    /// The certificate for that, with its chain, in PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, in PEM.
    pub key: Option<PathBuf>,
    /// The principals as which the API is called: `HTTP/host`, `kadmin/host`. Their keys are taken from
    /// the realm's store.
    pub services: Vec<String>,
    /// Refuses tickets that are not bound to the TLS connection.
    pub require_channel_bindings: bool,
    /// The authority of clients' certificates, in PEM. Without it nobody is asked for one.
    pub client_ca: Option<PathBuf>,
    /// What that authority has revoked, in PEM.
    pub client_crl: Option<PathBuf>,
    /// Which principals clients with certificates are.
    pub clients: Vec<ClientRow>,
}

impl Default for AdminSettings {
    fn default() -> Self {
        AdminSettings {
            acl: vec![],
            acl_file: None,
            listen: vec![],
            certificate: None,
            key: None,
            services: vec![],
            require_channel_bindings: true,
            client_ca: None,
            client_crl: None,
            clients: vec![],
        }
    }
}

impl AdminSettings {
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let tls = [&mut self.certificate, &mut self.key, &mut self.client_ca, &mut self.client_crl];
        [&mut self.acl_file].into_iter().chain(tls).flatten()
    }
}

impl Config {
    /// The access list.
    ///
    /// # Errors
    /// When the kadm5.acl can't be read: its file, its line and what is wrong there.
    pub fn acl(&self) -> Result<Acl> {
        let services = self.admin.services.iter().filter_map(|name| Principal::parse(name, Some(&self.realm)).ok());
        let own = Acl::new(&self.realm, self.admin.acl.clone()).guarding(services.collect());
        let Some(file) = &self.admin.acl_file else { return Ok(own) };
        let text = std::fs::read_to_string(file).map_err(|error| Error::file(file, error))?;
        let more = Acl::parse_kadm5(&self.realm, &text);
        let more = more.map_err(|(line, problem)| Error::Config { file: file.clone(), line, problem })?;
        Ok(own.followed_by(more))
    }
}
