//! Who is turned away at the door because too much came from there before: failures, which may be
//! guesses, and requests that are much work. Rules are rows; each has its own buckets (`table`).
//!
//! A source is an IPv4 address or an IPv6 /64 network, apart for UDP and TCP: anybody can send a
//! datagram in somebody else's name, so a source that is over its limit for datagrams is sent to
//! TCP, where its address is its own. A principal is the name that an AS-REQ asks for, however it is
//! spelled and whether there is such a one or not: being limited tells nobody which names exist.
//!
//! Only what fails or is much work leaves a trace, so whoever logs in as people do costs nothing.
//! The counts are approximate by as many requests as are being answered at once; the lockout of
//! password policies (`core::attempts`) is exact.

mod table;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

pub use table::Rate;
use table::{Charged, Table};

use crate::accept::peer;
use crate::core::{Asked, Cost, Event};
use crate::observe::Transport;
use libkrb::ErrorCode;
use libkrb::wire::PrincipalName;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Failures of a source.
    SourceFailures,
    /// Much work for a source.
    SourceWork,
    /// Failures of a principal.
    PrincipalFailures,
    /// Much work for a principal.
    PrincipalWork,
}

impl Rule {
    /// All of them.
    pub const ALL: [Rule; 4] = [Rule::SourceFailures, Rule::SourceWork, Rule::PrincipalFailures, Rule::PrincipalWork];

    /// Its name in kdc.toml, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Rule::SourceFailures => "source_failures",
            Rule::SourceWork => "source_work",
            Rule::PrincipalFailures => "principal_failures",
            Rule::PrincipalWork => "principal_work",
        }
    }

    /// Whether it is a source that is limited.
    pub fn of_source(self) -> bool {
        matches!(self, Rule::SourceFailures | Rule::SourceWork)
    }
}

/// What one who is over a limit hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// KDC_ERR_POLICY; over UDP, where it is a source, that it come over TCP.
    #[default]
    Error,
    /// Nothing.
    Drop,
}

/// The limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// In the order of [`Rule::ALL`]; `None`: no limit.
    pub rates: [Option<Rate>; 4],
    /// What one who is over a limit hears.
    pub answer: Answer,
    /// Who is never limited.
    pub exempt: Vec<Network>,
    /// Bytes for all buckets.
    pub memory: usize,
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// One of them.
    pub address: IpAddr,
    /// How many bits they share.
    pub length: u8,
}

impl Network {
    /// Whether an address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.leading_zeros() >= u32::from(self.length.min(32))
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.leading_zeros() >= u32::from(self.length.min(128))
            }
            _ => false,
        }
    }
}

/// How often what was turned away, since the start.
#[derive(Debug, Default)]
pub struct Turned {
    away: [AtomicU64; 4],
    unnoted: AtomicU64,
}

impl Turned {
    /// Requests turned away by a rule.
    pub fn away(&self, rule: Rule) -> u64 {
        self.away[rule as usize].load(Ordering::Relaxed)
    }

    /// Failures and work that could not be noted, since every place was taken by a bucket that is used up.
    pub fn unnoted(&self) -> u64 {
        self.unnoted.load(Ordering::Relaxed)
    }
}

/// The door.
pub struct Guard {
    rates: Rates,
    tables: [Option<Table>; 4],
    names: RandomState,
    turned: Arc<Turned>,
}

impl Guard {
    /// A door with these limits, which counts on where `turned` stands.
    pub fn new(rates: Rates, turned: Arc<Turned>) -> Self {
        let tables = rates.rates.map(|rate| rate.map(|rate| Table::new(rate, rates.memory / Rule::ALL.len())));
        Guard { rates, tables, names: RandomState::new(), turned }
    }

    /// Its limits.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// What was turned away.
    pub fn turned(&self) -> &Arc<Turned> {
        &self.turned
    }

    /// How many sources or principals a rule has in mind, and how many it can have.
    pub fn tracked(&self, rule: Rule) -> (usize, usize) {
        let table = self.tables[rule as usize].as_ref();
        table.map_or((0, 0), |table| (table.tracked(Instant::now()), table.capacity()))
    }

    /// Looks at one request from its arrival to its end; `None`: whoever sent it is not limited.
    pub(super) fn watch(&self, from: IpAddr, transport: Transport, now: Instant) -> Option<Watch<'_>> {
        let limited = self.tables.iter().any(Option::is_some) && !self.rates.exempt.iter().any(|it| it.contains(from));
        limited.then(|| Watch {
            guard: self,
            source: (u8::from(transport != Transport::Udp), peer(from)),
            client: None,
            now,
        })
    }

    fn table(&self, rule: Rule) -> Option<&Table> {
        self.tables[rule as usize].as_ref()
    }

    fn limits_principals(&self) -> bool {
        [Rule::PrincipalFailures, Rule::PrincipalWork].into_iter().any(|rule| self.table(rule).is_some())
    }

    /// One number for every spelling that the store takes for the same name.
    fn name(&self, name: &PrincipalName<'_>) -> u64 {
        let mut hasher = self.names.build_hasher();
        let letters = name.components.iter().flat_map(|part| ['/'].into_iter().chain(part.chars()));
        let letters = letters.filter(|letter| *letter != '\\').take_while(|letter| *letter != '@');
        for letter in letters.flat_map(char::to_lowercase) {
            hasher.write_u32(letter.into());
        }
        hasher.finish()
    }
}

/// A request being looked at.
pub(super) struct Watch<'a> {
    guard: &'a Guard,
    source: (u8, IpAddr),
    client: Option<u64>,
    now: Instant,
}

impl Watch<'_> {
    /// Before anything is read: the rule by which its source is turned away.
    pub fn turns_away(&self) -> Option<Rule> {
        let table = self.guard.table(Rule::SourceFailures)?;
        (!table.allows(&self.source, self.now)).then(|| self.turned(Rule::SourceFailures))
    }

    /// Once it is known what is asked for, by one who was let in before.
    pub fn sees(&mut self, asked: &Asked<'_>) {
        let client = asked.client.as_ref().filter(|_| self.guard.limits_principals());
        self.client = client.map(|client| self.guard.name(client));
    }

    /// Once it is known what is asked for: the rule by which it is turned away.
    pub fn refuses(&mut self, asked: &Asked<'_>) -> Option<Rule> {
        self.sees(asked);
        if let (Some(client), Some(table)) = (self.client, self.guard.table(Rule::PrincipalFailures))
            && !table.allows(&client, self.now)
        {
            return Some(self.turned(Rule::PrincipalFailures));
        }
        if asked.cost == Cost::Light { None } else { self.works() }
    }

    /// Charged before much work is done, so that so many at once are no way around it: the rule by which
    /// it is not done.
    pub fn works(&self) -> Option<Rule> {
        [Rule::SourceWork, Rule::PrincipalWork]
            .into_iter()
            .find(|rule| self.charge(*rule) == Some(Charged::Over))
            .map(|rule| self.turned(rule))
    }

    /// Once it is decided: notes a failure. The rule whose last token that took, of which the log should tell.
    pub fn ended(&self, event: &Event) -> Option<Rule> {
        // That a proof is needed is how every login begins, and some go on with that it is not whole yet.
        let (code, _) = event.refusal?;
        if matches!(code, ErrorCode::PREAUTH_REQUIRED | ErrorCode::MORE_PREAUTH_DATA_REQUIRED) {
            return None;
        }
        let rules = [Rule::SourceFailures, Rule::PrincipalFailures];
        // Both are charged, whatever comes of the first.
        let last = rules.map(|rule| (self.charge(rule) == Some(Charged::Last)).then_some(rule));
        last.into_iter().flatten().next()
    }

    fn charge(&self, rule: Rule) -> Option<Charged> {
        let table = self.guard.table(rule)?;
        let charged = match rule.of_source() {
            true => table.charge(&self.source, self.now),
            false => table.charge(&self.client?, self.now),
        };
        if charged == Charged::Crowded {
            self.guard.turned.unnoted.fetch_add(1, Ordering::Relaxed);
        }
        Some(charged)
    }

    fn turned(&self, rule: Rule) -> Rule {
        self.guard.turned.away[rule as usize].fetch_add(1, Ordering::Relaxed);
        rule
    }
}

#[cfg(test)]
mod tests;
