//! The KDCs that live, and the records of DNS by which clients find them.

use std::net::SocketAddr;

use super::realm::wait;
use crate::admin::{Kdcs, now};
use crate::config::Config;
use crate::core::store::Members;
use crate::error::{Error, Result};
use crate::house;
use crate::manage::say;
use crate::store::etcd::{self, Living};

/// How long resolvers may keep a record: clients are to hear of a new KDC soon.
const TTL: u32 = 300;

/// `kdc status --realm`.
pub fn living(config: &Config, as_json: bool) -> Result<()> {
    let options = house::options(config)?;
    let living = wait(etcd::living(&options))?;
    let kdcs = Kdcs::from(Members::from(living));
    match as_json {
        true => say(&format!("{}\n", serde_json::to_string_pretty(&kdcs).unwrap_or_default())),
        false => say(&kdcs.table(&config.realm, now())),
    }
}

/// `kdc dns`.
pub fn zone(config: &Config) -> Result<()> {
    let options = house::options(config)?;
    let living = wait(etcd::living(&options))?;
    let text = records(&config.realm, &living);
    match text.is_empty() {
        true => Err(Error::Other("no KDC of the realm lives".into())),
        false => say(&text),
    }
}

/// SRV and URI records (RFC 4120 7.2.3, RFC 7553), each once.
fn records(realm: &str, living: &Living) -> String {
    let domain = realm.to_lowercase();
    let mut lines: Vec<String> = vec![];
    for (_, kdc) in &living.kdcs {
        let host = kdc.host.trim_end_matches('.');
        for (service, addresses) in [("kerberos", &kdc.addresses), ("kpasswd", &kdc.passwords)] {
            for port in addresses.iter().filter_map(|text| Some(text.parse::<SocketAddr>().ok()?.port())) {
                for transport in ["udp", "tcp"] {
                    lines.push(format!("_{service}._{transport}.{domain}. {TTL} IN SRV 0 0 {port} {host}."));
                    lines.push(format!("_{service}.{domain}. {TTL} IN URI 0 0 \"krb5srv::{transport}:{host}:{port}\""));
                }
            }
        }
    }
    lines.sort();
    lines.dedup();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::etcd::Presence;

    fn kdc(host: &str, revision: i64, now: i64) -> (String, Presence) {
        let (addresses, passwords) = (vec!["192.0.2.1:88".into(), "[::1]:88".into()], vec!["192.0.2.1:464".into()]);
        let known = Presence { host: host.into(), version: "0.1.0".into(), revision, now, ..Presence::default() };
        (host.to_owned(), Presence { addresses, passwords, master: vec![1, 2], ..known })
    }

    #[test]
    fn a_zone_names_every_kdc_once_for_each_service() {
        let living = Living { newest: 1, at: 1, kdcs: vec![kdc("a.example.org", 1, 0), kdc("a.example.org", 1, 0)] };
        let text = records("EXAMPLE.ORG", &living);
        assert_eq!(text.lines().count(), 8, "{text}");
        assert!(text.contains("_kerberos._udp.example.org. 300 IN SRV 0 0 88 a.example.org.\n"), "{text}");
        assert!(text.contains("_kpasswd.example.org. 300 IN URI 0 0 \"krb5srv::tcp:a.example.org:464\"\n"), "{text}");
    }
}
