//! The KDCs that live: a table of them, and the records of DNS by which clients find them.

use std::fmt::Write;
use std::net::SocketAddr;

use libkrb::Time;
use serde_json::json;

use super::realm::wait;
use crate::admin::now;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::house;
use crate::manage::say;
use crate::store::etcd::{self, Living};

/// Seconds by which clocks may differ before it is said.
const SKEW: i64 = 5;
/// How long resolvers may keep a record: clients are to hear of a new KDC soon.
const TTL: u32 = 300;

/// `kdc status --realm`.
pub fn living(config: &Config, as_json: bool) -> Result<()> {
    let options = house::options(config)?;
    let living = wait(etcd::living(&options))?;
    match as_json {
        true => say(&format!("{}\n", serde_json::to_string_pretty(&objects(&living)).unwrap_or_default())),
        false => say(&table(&config.realm, &living, now())),
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

fn objects(living: &Living) -> serde_json::Value {
    let kdcs = living.kdcs.iter().map(|(id, kdc)| {
        json!({
            "id": id, "host": kdc.host, "version": kdc.version, "pid": kdc.pid, "started": kdc.started,
            "addresses": kdc.addresses, "kpasswd": kdc.passwords, "revision": kdc.revision,
            "whole": kdc.revision >= living.newest, "master_key_versions": kdc.master, "clock": kdc.now,
        })
    });
    json!({ "newest_revision": living.newest, "kdcs": kdcs.collect::<Vec<_>>() })
}

fn table(realm: &str, living: &Living, now: Time) -> String {
    let mut text = format!("{realm}: {} KDCs live, the last change is revision {}\n", living.kdcs.len(), living.newest);
    for (_, kdc) in &living.kdcs {
        let copy = match kdc.revision >= living.newest {
            true => "up to date".to_owned(),
            false => format!("at revision {}", kdc.revision),
        };
        let versions = kdc.master.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let skew = kdc.now.saturating_sub(now.seconds());
        let clock = if skew.abs() > SKEW { format!(", CLOCK OFF by {skew} s") } else { String::new() };
        let _ = writeln!(
            text,
            "{:<24} kdc {}, process {}, since {}, {copy}, master key {versions}{clock}\n{:<24} {}",
            kdc.host,
            kdc.version,
            kdc.pid,
            Time(kdc.started),
            "",
            kdc.addresses.join(", ")
        );
    }
    text
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
    fn the_table_says_who_lags_and_whose_clock_is_off() {
        let living = Living { newest: 7, at: 7, kdcs: vec![kdc("a", 7, 1000), kdc("b", 5, 1060)] };
        let text = table("R", &living, Time(1001));
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].contains("2 KDCs") && lines[0].contains("revision 7"), "{text}");
        assert!(lines[1].contains("up to date, master key 1, 2") && !lines[1].contains("CLOCK"), "{text}");
        assert!(lines[3].contains("at revision 5") && lines[3].contains("CLOCK OFF by 59 s"), "{text}");
        assert_eq!(objects(&living)["kdcs"][1]["whole"], false);
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
