//! The KDCs of the realm that live, as `kadmin kdcs` and `kdc status --realm` show them. Not here: how they are
//! known (the stores).

use std::fmt::Write;

use libkrb::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::operation::{Answer, Refusal};
use super::registry::{Registry, Step};
use crate::core::store::{Member, Members};

/// Seconds by which clocks may differ before it is said.
const SKEW: i64 = 5;

/// The KDCs of the realm that live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Kdcs {
    /// The revision of the realm's last change.
    pub newest_revision: i64,
    /// Who they are.
    pub kdcs: Vec<KdcLine>,
}

/// A KDC that lives, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KdcLine {
    /// A name of its own.
    pub id: String,
    /// The machine's name.
    pub host: String,
    /// The version of the program.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it was started, in seconds since 1970.
    pub started: i64,
    /// Where it serves tickets.
    pub addresses: Vec<String>,
    /// Where it changes passwords.
    pub kpasswd: Vec<String>,
    /// How far its copy has come.
    pub revision: i64,
    /// Whether that is all there is.
    pub whole: bool,
    /// The versions of the master key that it has.
    pub master_key_versions: Vec<u32>,
    /// The version of the ticket-granting service's key that it seals with, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tgs_kvno: Option<u32>,
    /// When that was made, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tgs_made: Option<i64>,
    /// When it said this, by its own clock, in seconds since 1970.
    pub clock: i64,
}

impl From<Members> for Kdcs {
    fn from(members: Members) -> Self {
        let Members { newest, kdcs } = members;
        let line = |kdc: Member| KdcLine {
            whole: kdc.revision >= newest,
            id: kdc.id,
            host: kdc.host,
            version: kdc.version,
            pid: kdc.pid,
            started: kdc.started.seconds(),
            addresses: kdc.addresses,
            kpasswd: kdc.passwords,
            revision: kdc.revision,
            master_key_versions: kdc.master,
            tgs_kvno: kdc.tgs_key.map(|(kvno, _)| kvno),
            tgs_made: kdc.tgs_key.map(|(_, made)| made.seconds()),
            clock: kdc.now.seconds(),
        };
        Kdcs { newest_revision: newest, kdcs: kdcs.into_iter().map(line).collect() }
    }
}

impl Kdcs {
    /// As text: who lags, whose clock is off from `now`, and which keys they use.
    pub fn table(&self, realm: &str, now: Time) -> String {
        let (count, newest) = (self.kdcs.len(), self.newest_revision);
        let mut text = format!("{realm}: {count} KDCs live, the last change is revision {newest}\n");
        for kdc in &self.kdcs {
            let copy = match kdc.whole {
                true => "up to date".to_owned(),
                false => format!("at revision {}", kdc.revision),
            };
            let versions = kdc.master_key_versions.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
            let skew = kdc.clock.saturating_sub(now.seconds());
            let clock = if skew.abs() > SKEW { format!(", CLOCK OFF by {skew} s") } else { String::new() };
            let (host, addresses) = (&kdc.host, kdc.addresses.join(", "));
            let KdcLine { version, pid, .. } = kdc;
            let since = Time(kdc.started);
            let own = kdc.tgs_kvno.zip(kdc.tgs_made);
            let own = own.map(|(kvno, made)| format!(", krbtgt key {kvno} made {}", Time(made)));
            let own = own.unwrap_or_default();
            let _ = writeln!(
                text,
                "{host:<24} kdc {version}, process {pid}, since {since}, {copy}{clock}\n\
                 {:<24} {addresses}, master key {versions}{own}",
                ""
            );
        }
        text
    }
}

impl Registry {
    pub(super) fn kdcs(&self) -> Step<Answer> {
        let alone = || Refusal::invalid("one KDC serves this realm: its store is a file of its own, not etcd");
        Ok(Answer::Kdcs(self.store.members()?.ok_or_else(alone)?.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_who_lags_and_whose_clock_is_off() {
        let kdc = |host: &str, revision, now| Member {
            host: host.into(),
            version: "0.1.0".into(),
            revision,
            master: vec![1, 2],
            tgs_key: Some((3, Time(100))),
            now: Time(now),
            ..Member::default()
        };
        let kdcs = Kdcs::from(Members { newest: 7, kdcs: vec![kdc("a", 7, 1000), kdc("b", 5, 1060)] });
        let text = kdcs.table("R", Time(1001));
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].contains("2 KDCs") && lines[0].contains("revision 7"), "{text}");
        assert!(lines[1].ends_with("up to date") && lines[2].contains("master key 1, 2"), "{text}");
        assert!(lines[2].ends_with("krbtgt key 3 made 1970-01-01T00:01:40Z"), "{text}");
        assert!(lines[3].contains("at revision 5") && lines[3].contains("CLOCK OFF by 59 s"), "{text}");
        assert!(!kdcs.kdcs[1].whole);
    }
}
