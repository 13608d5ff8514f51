//! Questions to DNS: addresses of hosts, and the SRV, URI and TXT records that lead to KDCs.
//! Behind the trait [`Resolve`], so that a program or a test can answer them itself. Not here:
//! what the answers mean ([`super::locate`]). DNS is a hint only: that a server is the right one
//! is proved by the protocol.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::sync::OnceCell;

/// A future as trait objects need it.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The record type URI (RFC 7553), which the DNS library does not know by name.
const URI: u16 = 256;

/// A SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// Lower ones go first.
    pub priority: u16,
    /// The share among those of one priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host, without the last dot; empty when the service is not offered.
    pub target: String,
}

/// A URI record (RFC 7553).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// Lower ones go first.
    pub priority: u16,
    /// The share among those of one priority.
    pub weight: u16,
    /// The URI.
    pub target: String,
}

/// Who answers questions about names. No answer and no such name are the same: nothing.
pub trait Resolve: Send + Sync {
    /// The addresses of a host.
    ///
    /// # Errors
    /// Why there are none.
    fn addresses<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a, io::Result<Vec<SocketAddr>>>;
    /// The SRV records of a name, which is fully qualified.
    fn srv<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<Srv>>;
    /// The URI records of a name, which is fully qualified.
    fn uri<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<Uri>>;
    /// The TXT records of a name, which is fully qualified.
    fn txt<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<String>>;
}

/// The system's own way: addresses as the C library finds them, records from the name servers of
/// `/etc/resolv.conf`.
#[derive(Default)]
pub struct SystemResolver {
    name_server: Option<SocketAddr>,
    dns: OnceCell<Option<TokioResolver>>,
}

impl SystemResolver {
    /// A resolver that reads `/etc/resolv.conf` when it is first asked for a record.
    pub fn new() -> SystemResolver {
        SystemResolver::default()
    }

    /// A resolver that asks this name server for records.
    pub fn with_name_server(address: SocketAddr) -> SystemResolver {
        SystemResolver { name_server: Some(address), dns: OnceCell::new() }
    }

    async fn records(&self, name: &str, kind: RecordType) -> Vec<RData> {
        let Some(dns) = self.dns.get_or_init(|| async { self.build() }).await else { return vec![] };
        match dns.lookup(name, kind).await {
            Ok(lookup) => lookup.answers().iter().map(|record| record.data.clone()).collect(),
            Err(_) => vec![],
        }
    }

    fn build(&self) -> Option<TokioResolver> {
        let builder = match self.name_server {
            Some(address) => {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
                    .map(|mut connection| {
                        connection.port = address.port();
                        connection
                    })
                    .to_vec();
                let mut server = NameServerConfig::udp_and_tcp(address.ip());
                server.connections = connections;
                let config = ResolverConfig::from_parts(None, vec![], vec![server]);
                TokioResolver::builder_with_config(config, Default::default())
            }
            None => TokioResolver::builder_tokio().ok()?,
        };
        builder.build().ok()
    }
}

impl Resolve for SystemResolver {
    fn addresses<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            if let Ok(address) = host.parse::<IpAddr>() {
                return Ok(vec![SocketAddr::new(address, port)]);
            }
            Ok(tokio::net::lookup_host((host, port)).await?.collect())
        })
    }

    fn srv<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<Srv>> {
        Box::pin(async move {
            let records = self.records(name, RecordType::SRV).await.into_iter();
            let srv = records.filter_map(|data| match data {
                RData::SRV(srv) => Some(Srv {
                    priority: srv.priority,
                    weight: srv.weight,
                    port: srv.port,
                    target: srv.target.to_utf8().trim_end_matches('.').to_owned(),
                }),
                _ => None,
            });
            srv.collect()
        })
    }

    fn uri<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<Uri>> {
        Box::pin(async move {
            let records = self.records(name, RecordType::Unknown(URI)).await.into_iter();
            let uri = records.filter_map(|data| match data {
                RData::Unknown { code: RecordType::Unknown(URI), rdata } => uri_record(&rdata.anything),
                _ => None,
            });
            uri.collect()
        })
    }

    fn txt<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            let records = self.records(name, RecordType::TXT).await.into_iter();
            let txt = records.filter_map(|data| match data {
                RData::TXT(txt) => {
                    let bytes: Vec<u8> = txt.txt_data.iter().flat_map(|part| part.iter().copied()).collect();
                    String::from_utf8(bytes).ok()
                }
                _ => None,
            });
            txt.collect()
        })
    }
}

/// Priority, weight, and the rest is the target (RFC 7553 4.5).
fn uri_record(data: &[u8]) -> Option<Uri> {
    let (priority, rest) = data.split_first_chunk::<2>()?;
    let (weight, target) = rest.split_first_chunk::<2>()?;
    let target = str::from_utf8(target).ok().filter(|target| !target.is_empty())?.to_owned();
    Some(Uri { priority: u16::from_be_bytes(*priority), weight: u16::from_be_bytes(*weight), target })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_record_is_two_numbers_and_a_text() {
        let record = uri_record(b"\0\x0a\0\x01krb5srv:m:tcp:kdc").unwrap();
        assert_eq!(record, Uri { priority: 10, weight: 1, target: "krb5srv:m:tcp:kdc".into() });
        for bad in [&b""[..], b"\0\x0a\0", b"\0\x0a\0\x01", b"\0\x0a\0\x01\xff"] {
            assert_eq!(uri_record(bad), None);
        }
    }
}
