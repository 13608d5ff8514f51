//! What the KDC vouches for in a ticket beside the client's name: how the client proved itself
//! (indicators, RFC 8129) and its roles. Where each comes from, what servers demand of it and how it
//! bounds tickets. Not here: how it is sealed ([`super::issue`]).

use std::collections::{BTreeMap, BTreeSet};

use libkrb::access::Glob;
use libkrb::authz::{cammac, indicators, roles};
use libkrb::codes::NameType;
use libkrb::wire::EncTicketPart;
use libkrb::{ErrorCode, Principal, Time};

use super::entry::{Attributes, Entry, LongTermKey, OTP_OPTIONAL, REQUIRE_ARMOR};
use super::preauth::Proof;
use super::refuse::Refusal;
use super::{Kdc, Policy, second};

/// The string attribute of a server with the indicators of which a client needs one, as MIT krb5 has it.
pub const REQUIRE_AUTH: &str = "require_auth";
/// The string attribute with the groups of a principal; `group/NAME` is a group's principal.
pub const MEMBER_OF: &str = "memberof";
/// What string attributes begin with that release roles; the pattern of services follows.
pub const ROLE: &str = "role:";
/// In how many groups a principal may be.
const MOST_GROUPS: usize = 32;

/// What the KDC says of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// How it proved itself.
    pub indicators: Vec<String>,
    /// Its roles at the server that the ticket is for.
    pub roles: Vec<String>,
}

/// What a realm calls its proofs in tickets, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndicatorRules {
    /// The indicators of each method, by the name that events have for it.
    pub of_proof: BTreeMap<String, Vec<String>>,
    /// A bound on the life of tickets that bear an indicator, in seconds.
    pub max_life: BTreeMap<String, i64>,
}

impl Default for IndicatorRules {
    fn default() -> Self {
        let rows: [(&str, &[&str]); 3] =
            [("otp", &["otp"]), ("pkinit", &["pkinit"]), ("spake", &["spake", "hardened"])];
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let of_proof = rows.into_iter().map(|(proof, texts)| (proof.to_owned(), owned(texts))).collect();
        IndicatorRules { of_proof, max_life: BTreeMap::new() }
    }
}

impl IndicatorRules {
    /// What is said of a proof: what the realm calls it, and what the method itself has to add.
    pub fn of(&self, proof: Option<&Proof>) -> Vec<String> {
        let Some(proof) = proof else { return vec![] };
        let named = self.of_proof.get(proof.name).into_iter().flatten();
        let mut all: Vec<_> = named.chain(&proof.indicators).cloned().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The shortest of the bounds that the indicators bring.
    pub fn life(&self, indicators: &[String]) -> Option<i64> {
        indicators.iter().filter_map(|indicator| self.max_life.get(indicator)).min().copied()
    }
}

/// The indicators that this realm itself put into a presented ticket. Whoever knows the key of the
/// ticket can write there what he likes: only the TGS's own checksum counts (RFC 7751 7).
pub fn presented(policy: &Policy, tgs: &Entry, ticket: &EncTicketPart<'_>, now: Time) -> Vec<String> {
    let keys = |kvno: Option<u32>| {
        let sets = tgs.living(now).filter(|set| kvno.is_none_or(|kvno| kvno == set.kvno));
        let keys = sets.flat_map(|set| &set.keys).filter(|key| policy.etypes.contains(&key.etype()));
        keys.map(LongTermKey::cammac).collect()
    };
    let containers = cammac::find(ticket.authorization_data.as_ref());
    let said = containers.iter().filter_map(|container| cammac::vouched_by_kdc(container, ticket, keys).ok());
    said.flat_map(|elements| indicators::read(&elements)).collect::<BTreeSet<_>>().into_iter().collect()
}

/// A server may demand that its clients have proven themselves in one of some ways (`require_auth`).
///
/// # Errors
/// POLICY.
pub fn required(server: &Entry, indicators: &[String]) -> Result<(), Refusal> {
    let Some(wanted) = server.strings.get(REQUIRE_AUTH) else { return Ok(()) };
    let met = indicators::split(wanted).any(|wanted| indicators.iter().any(|indicator| indicator == wanted));
    Refusal::unless(met, ErrorCode::POLICY, "the server wants another proof of its clients (require_auth)")
}

/// The roles of a client that are released to a server: its own and those of its groups.
///
/// # Errors
/// When the groups can't be read.
pub fn roles(kdc: &Kdc<'_>, client: &Entry, server: &Entry, now: Time) -> Result<Vec<String>, Refusal> {
    let bare = server.attributes.has(Attributes::NO_AUTH_DATA_REQUIRED);
    if bare || server.principal.tgs_target().is_some() {
        return Ok(vec![]);
    }
    let mut found = BTreeSet::new();
    released(client, server, &mut found);
    let groups = client.strings.get(MEMBER_OF).map(String::as_str).unwrap_or_default();
    for name in roles::split(groups).take(MOST_GROUPS) {
        let Some(group) = group(name, &kdc.policy.realm) else { continue };
        let Some(group) = kdc.store.lookup(&group)? else { continue };
        let open = !group.attributes.has(Attributes::DISALLOW_ALL_TIX);
        if open && group.expires.is_none_or(|expires| now < expires) {
            released(&group, server, &mut found);
        }
    }
    Ok(found.into_iter().take(roles::MOST).collect())
}

/// The principal that stands for a group.
fn group(name: &str, realm: &str) -> Option<Principal> {
    Principal::new(NameType::PRINCIPAL, realm, ["group", name]).ok()
}

fn released(entry: &Entry, server: &Entry, found: &mut BTreeSet<String>) {
    if entry.strings.is_empty() {
        return;
    }
    let rows = entry.strings.range(ROLE.to_owned()..).take_while(|(key, _)| key.starts_with(ROLE));
    for (key, value) in rows {
        let services = key.strip_prefix(ROLE).and_then(|pattern| services(pattern, server.principal.realm()).ok());
        if services.is_some_and(|services| services.names(&server.principal)) {
            found.extend(roles::split(value).filter(|role| roles::check(role).is_ok()).map(str::to_owned));
        }
    }
}

/// The services of a pattern; without a realm, of this one.
fn services(pattern: &str, realm: &str) -> Result<Glob, String> {
    Glob::parse(pattern).or_else(|problem| Glob::parse(&format!("{pattern}@{realm}")).map_err(|_| problem))
}

/// Whether a string attribute is one of those here and well written, so that nobody believes in a rule
/// that does not hold.
///
/// # Errors
/// What is wrong, and the way out.
pub fn check_string(name: &str, value: &str) -> Result<(), String> {
    let some = |count| if count > 0 { Ok(()) } else { Err(format!("{name} names nothing: use delstr to remove it")) };
    match (name, name.strip_prefix(ROLE)) {
        (second::OTP, _) => second::check_string(value),
        (OTP_OPTIONAL | REQUIRE_ARMOR, _) => match value {
            "true" | "false" => Ok(()),
            _ => Err(format!("{name} is true or false")),
        },
        (REQUIRE_AUTH, _) => some(each(indicators::check, indicators::split(value))?),
        (MEMBER_OF, _) => match roles::split(value).count() {
            count if count > MOST_GROUPS => Err(format!("a principal is in at most {MOST_GROUPS} groups")),
            count => some(count),
        },
        (_, Some(pattern)) => {
            services(pattern, "REALM")?;
            match each(roles::check, roles::split(value))? {
                count if count > roles::MOST => Err(format!("a ticket has at most {} roles", roles::MOST)),
                count => some(count),
            }
        }
        _ => Ok(()),
    }
}

/// How many words there are, each of which passes a check.
fn each<'a>(check: fn(&str) -> Result<(), String>, words: impl Iterator<Item = &'a str>) -> Result<usize, String> {
    let checked = words.map(check).collect::<Result<Vec<_>, _>>()?;
    Ok(checked.len())
}

#[cfg(test)]
mod tests;
