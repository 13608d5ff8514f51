//! What this realm knows of others: the ways between them, the hosts that are theirs, and what whoever
//! comes from there may get. Rules as values, which `config` makes. Not here: tickets that come from
//! there ([`super::tgs_req`]'s foreign part) and requests that go there ([`super::referral`]).

use std::collections::{BTreeMap, BTreeSet};

use libkrb::Principal;
use libkrb::access::Glob;
use libkrb::transited::Paths;

/// Other realms, as this one sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abroad {
    /// Which realms lie between which (RFC 4120 1.2): what is not written down follows the names.
    pub paths: Paths,
    /// Refuse who came through other realms than these. Off: such tickets only lack the flag
    /// TRANSITED-POLICY-CHECKED, and services look themselves (RFC 4120 2.7).
    pub reject_bad_transit: bool,
    /// What whoever comes from or through a realm may get. Every row about a realm on the way counts;
    /// a realm without a row gives no less than its trust principal does.
    pub trusts: Vec<Trust>,
    /// Who is to be looked for elsewhere.
    pub referrals: Referrals,
}

impl Default for Abroad {
    fn default() -> Self {
        Abroad { paths: Paths::default(), reject_bad_transit: true, trusts: vec![], referrals: Referrals::default() }
    }
}

/// What whoever comes from or through a realm may get here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The realm: the client's own, or one between it and ours.
    pub realm: String,
    /// Which of its clients; `None`: all.
    pub clients: Option<Vec<Glob>>,
    /// Which of our services, by their canonical names; `None`: all.
    pub services: Option<Vec<Glob>>,
    /// Bound on the life of their tickets, in seconds.
    pub max_life: Option<i64>,
    /// What its tickets may say of how clients proved themselves: indicators (RFC 8129) that count here as
    /// our own do. Each realm on the way needs a rule for it.
    pub indicators: BTreeSet<String>,
}

impl Trust {
    /// Whether a client may have tickets for a service.
    pub fn allows(&self, client: &Principal, service: &Principal) -> bool {
        let named = |globs: &Option<Vec<Glob>>, name| globs.as_ref().is_none_or(|globs| any(globs, name));
        named(&self.clients, client) && named(&self.services, service)
    }
}

fn any(globs: &[Glob], name: &Principal) -> bool {
    globs.iter().any(|glob| glob.names(name))
}

/// Where to look for whom this realm does not have (RFC 6806).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Referrals {
    /// The realms of hosts, as in `[domain_realm]` of krb5.conf: keys in lower case.
    pub hosts: BTreeMap<String, String>,
    /// First components that are host-based services also where the client does not say so (NT-UNKNOWN);
    /// `*`: all.
    pub host_based_services: BTreeSet<String>,
    /// First components that are referred nowhere; `*`: none is.
    pub no_host_referral: BTreeSet<String>,
    /// The realms of enterprise names, by what stands after their `@`: keys in lower case.
    pub clients: BTreeMap<String, String>,
}
