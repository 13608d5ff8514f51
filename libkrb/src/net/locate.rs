//! Which servers a realm has: krb5.conf, then URI records (RFC 7553), then SRV records (RFC 2782,
//! RFC 4120 7.2.3). Not here: talking to them ([`super::transport`]).

use super::dns::{Resolve, Srv, Uri};
use super::trace::Trace;
use crate::config::{Config, KADMIN_PORT, KDC_PORT, KPASSWD_PORT, Server, Transport};
use crate::crypto::{OsRandom, Random};
use crate::error::Result;

/// More servers than this are not tried.
const MAX_SERVERS: usize = 32;

/// What ICANN answers for names that collide with new top-level domains: no server at all.
const COLLISION: &str = "your-dns-needs-immediate-attention";

/// What a server is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Tickets, from any KDC.
    Kdc,
    /// Tickets, from a KDC that knows a password as soon as it is changed.
    PrimaryKdc,
    /// Password changes (RFC 3244).
    Kpasswd,
    /// Administration.
    Kadmin,
}

impl Service {
    /// The label of its SRV records, that of its URI records, and its port.
    fn names(self) -> (&'static str, &'static str, u16) {
        match self {
            Service::Kdc => ("_kerberos", "_kerberos", KDC_PORT),
            Service::PrimaryKdc => ("_kerberos-master", "_kerberos", KDC_PORT),
            Service::Kpasswd => ("_kpasswd", "_kpasswd", KPASSWD_PORT),
            Service::Kadmin => ("_kerberos-adm", "_kerberos-adm", KADMIN_PORT),
        }
    }

    fn configured(self, config: &Config, realm: &str) -> Result<Vec<Server>> {
        match self {
            Service::Kdc => config.kdcs(realm),
            Service::PrimaryKdc => config.primary_kdcs(realm),
            Service::Kpasswd => config.kpasswd_servers(realm),
            Service::Kadmin => config.admin_servers(realm),
        }
    }
}

/// Finds servers.
pub(super) struct Locator<'a> {
    pub(super) config: &'a Config,
    pub(super) resolver: &'a dyn Resolve,
    pub(super) trace: &'a Trace,
}

impl Locator<'_> {
    /// The servers of a realm for a service, best first; empty when none is known.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for an entry of krb5.conf that names no server.
    pub(super) async fn servers(&self, service: Service, realm: &str) -> Result<Vec<Server>> {
        let mut servers = service.configured(self.config, realm)?;
        if servers.is_empty() && self.config.dns_lookup_kdc() && !realm.is_empty() {
            servers = self.in_dns(service, realm).await;
        }
        if servers.is_empty() && service == Service::Kpasswd {
            servers = self.config.admin_servers(realm)?.into_iter().filter_map(at_kpasswd_port).collect();
        }
        servers.truncate(MAX_SERVERS);
        Ok(servers)
    }

    async fn in_dns(&self, service: Service, realm: &str) -> Vec<Server> {
        let domain = realm.trim_end_matches('.');
        let site = self.config.site_name(realm).map(|site| format!("{site}._sites.{domain}"));
        for domain in site.as_deref().into_iter().chain([domain]) {
            if self.config.dns_uri_lookup() {
                let servers = self.uri_records(service, domain).await;
                if !servers.is_empty() {
                    return servers;
                }
            }
            let servers = self.srv_records(service, domain).await;
            if !servers.is_empty() {
                return servers;
            }
        }
        vec![]
    }

    async fn uri_records(&self, service: Service, domain: &str) -> Vec<Server> {
        let (_, label, port) = service.names();
        let name = format!("{label}.{domain}.");
        self.trace.line(format_args!("Sending DNS URI query for {name}"));
        let records = self.resolver.uri(&name).await;
        if records.is_empty() {
            self.trace.line(format_args!("No URI records found"));
        }
        for Uri { priority, weight, target } in &records {
            self.trace.line(format_args!("URI answer: {priority} {weight} \"{target}\""));
        }
        let records = records.into_iter().map(|uri| (uri.priority, uri.weight, uri.target)).collect();
        by_weight(records, &mut OsRandom::new())
            .into_iter()
            .filter_map(|target| parse_uri(&target, port))
            .filter(|(_, primary)| *primary || service != Service::PrimaryKdc)
            .map(|(server, _)| server)
            .collect()
    }

    async fn srv_records(&self, service: Service, domain: &str) -> Vec<Server> {
        let (label, ..) = service.names();
        let udp = format!("{label}._udp.{domain}.");
        let tcp = format!("{label}._tcp.{domain}.");
        self.trace.line(format_args!("Sending DNS SRV query for {udp}"));
        self.trace.line(format_args!("Sending DNS SRV query for {tcp}"));
        let (over_udp, over_tcp) = tokio::join!(self.resolver.srv(&udp), self.resolver.srv(&tcp));
        let mut servers = self.srv_servers(over_udp, Transport::Udp);
        servers.extend(self.srv_servers(over_tcp, Transport::Tcp));
        if servers.is_empty() {
            self.trace.line(format_args!("No SRV records found"));
        }
        servers
    }

    fn srv_servers(&self, records: Vec<Srv>, transport: Transport) -> Vec<Server> {
        for Srv { priority, weight, port, target } in &records {
            self.trace.line(format_args!("SRV answer: {priority} {weight} {port} \"{target}\""));
        }
        let usable = |srv: &Srv| !srv.target.is_empty() && srv.port != 0 && !srv.target.starts_with(COLLISION);
        let records = records.into_iter().filter(usable).map(|srv| (srv.priority, srv.weight, (srv.target, srv.port)));
        by_weight(records.collect(), &mut OsRandom::new())
            .into_iter()
            .map(|(host, port)| Server::Host { transport, host, port })
            .collect()
    }

    /// The realm that DNS gives a host (`_kerberos` TXT records), if the configuration believes it.
    pub(super) async fn realm_of_host(&self, host: &str) -> Option<String> {
        if !self.config.dns_lookup_realm() {
            return None;
        }
        let mut domain = host.trim_end_matches('.');
        while !domain.is_empty() {
            let name = format!("_kerberos.{domain}.");
            self.trace.line(format_args!("Sending DNS TXT query for {name}"));
            let found = self.resolver.txt(&name).await.into_iter().next();
            if let Some(realm) = found.filter(|realm| !realm.is_empty()) {
                return Some(realm);
            }
            domain = domain.split_once('.').map_or("", |(_, parent)| parent);
        }
        None
    }
}

fn at_kpasswd_port(server: Server) -> Option<Server> {
    match server {
        Server::Host { transport, host, .. } => Some(Server::Host { transport, host, port: KPASSWD_PORT }),
        _ => None,
    }
}

/// The server of a `krb5srv:flags:transport:residual` URI and whether it is a primary one.
fn parse_uri(uri: &str, port: u16) -> Option<(Server, bool)> {
    let mut fields = uri.splitn(4, ':');
    let scheme = fields.next().filter(|scheme| scheme.eq_ignore_ascii_case("krb5srv"));
    let (_, flags, transport, residual) = (scheme?, fields.next()?, fields.next()?, fields.next()?);
    let primary = flags.contains(['m', 'M']);
    let server = match &*transport.to_ascii_lowercase() {
        kind @ ("udp" | "tcp") if !residual.contains('/') => Server::parse(&format!("{kind}/{residual}"), port)?,
        "kkdcp" if residual.starts_with("https://") => Server::parse(residual, port)?,
        _ => return None,
    };
    Some((server, primary))
}

/// Orders by priority, and by chance among equals: each next one is drawn with the share of its
/// weight (RFC 2782).
fn by_weight<T>(mut records: Vec<(u16, u16, T)>, random: &mut dyn Random) -> Vec<T> {
    // Those without weight stand first so that they are drawn only by the lowest number.
    records.sort_by_key(|(priority, weight, _)| (*priority, *weight));
    let mut ordered = vec![];
    while let Some((lowest, ..)) = records.first() {
        let equals = records.iter().take_while(|(priority, ..)| priority == lowest).map(|(_, weight, _)| *weight);
        let weights: Vec<u16> = equals.collect();
        let index = draw(&weights, random);
        if index >= records.len() {
            break;
        }
        ordered.push(records.remove(index).2);
    }
    ordered
}

fn draw(weights: &[u16], random: &mut dyn Random) -> usize {
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    let mut number = u64::from_be_bytes(bytes) % (sum + 1);
    weights
        .iter()
        .position(|weight| match number.checked_sub(u64::from(*weight)) {
            None | Some(0) => true,
            Some(rest) => {
                number = rest;
                false
            }
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests;
