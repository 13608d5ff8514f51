//! Where what is of a realm stands in etcd, and the small records that are kept nowhere else. Not here:
//! the records of principals and policies, which are those of every store.
//!
//! ```text
//! PREFIX/r/announced   put by a commit after which all KDCs are to say at once that they have it
//! PREFIX/r/head        the last commit and the one before it
//! PREFIX/r/m/VERSION   a version of the master key that is handed round, sealed under the one before it
//! PREFIX/r/o/POLICY    the record of a password policy
//! PREFIX/r/p/NAME      the record of a principal, keys sealed
//! PREFIX/r/x/HASH      either, sealed whole, where names are sealed (`names`)
//! PREFIX/r/gone        there, whom the last commit removed that removed anybody, sealed
//! PREFIX/r/realm       whose realm this is, and what tells its master key
//! PREFIX/k/KDC         a KDC that lives, for as long as its lease does
//! PREFIX/q/REQUEST     what was answered to a request that may come again, sealed, for some minutes
//! PREFIX/a/ACCOUNT     how often logins to an account have failed, if they have
//! ```

use prost::Message;

use super::Options;
use super::names::Names;
use super::wire::{PutRequest, RangeRequest, WatchCreate};
use crate::core::StoreError;
use crate::core::attempts::AccountId;

/// The newest that this code reads; what it writes is of the oldest that has all that is in it.
pub const SCHEMA: u32 = 2;

/// The keys below a prefix.
#[derive(Clone)]
pub struct Layout {
    prefix: String,
    names: Names,
}

/// What a key is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The last commit.
    Head,
    /// Something is waited for until all KDCs have it.
    Announced,
    /// Whose realm it is.
    Realm,
    /// A principal, by the text of its name.
    Principal(String),
    /// A password policy, by its name.
    Policy(String),
    /// A principal or a password policy whose name is sealed, by the hash of that.
    Sealed(String),
    /// Whom a commit removed, where names are sealed.
    Gone,
    /// A version of the master key.
    Master(u32),
}

impl Layout {
    /// That of a prefix, such as `/kdc/EXAMPLE.ORG`, below which names are in clear.
    pub fn below(prefix: &str) -> Self {
        Layout { prefix: prefix.trim_end_matches('/').to_owned(), names: Names::Clear }
    }

    /// As the settings have it.
    pub fn of(options: &Options) -> Self {
        Layout { names: Names::of(options), ..Layout::below(&options.prefix) }
    }

    /// How names stand there.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The prefix.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of something.
    pub fn key(&self, kind: &Kind) -> Vec<u8> {
        let prefix = &self.prefix;
        match kind {
            Kind::Head => format!("{prefix}/r/head"),
            Kind::Announced => format!("{prefix}/r/announced"),
            Kind::Realm => format!("{prefix}/r/realm"),
            Kind::Principal(name) => format!("{prefix}/r/p/{name}"),
            Kind::Policy(name) => format!("{prefix}/r/o/{name}"),
            Kind::Sealed(hash) => format!("{prefix}/r/x/{hash}"),
            Kind::Gone => format!("{prefix}/r/gone"),
            Kind::Master(version) => format!("{prefix}/r/m/{version}"),
        }
        .into_bytes()
    }

    /// What a key is of; `None` for what this version knows nothing of.
    pub fn kind(&self, key: &[u8]) -> Option<Kind> {
        let key = std::str::from_utf8(key).ok()?.strip_prefix(&*self.prefix)?.strip_prefix("/r/")?;
        match key.split_once('/') {
            Some(("p", name)) => Some(Kind::Principal(name.to_owned())),
            Some(("o", name)) => Some(Kind::Policy(name.to_owned())),
            Some(("x", hash)) => Some(Kind::Sealed(hash.to_owned())),
            Some(("m", version)) => version.parse().ok().map(Kind::Master),
            _ => match key {
                "gone" => Some(Kind::Gone),
                "head" => Some(Kind::Head),
                "announced" => Some(Kind::Announced),
                "realm" => Some(Kind::Realm),
                _ => None,
            },
        }
    }

    /// One key.
    pub fn one(&self, kind: &Kind) -> RangeRequest {
        RangeRequest { key: self.key(kind), ..RangeRequest::default() }
    }

    /// What is of the realm: from where, and where it ends.
    pub fn realm(&self) -> (Vec<u8>, Vec<u8>) {
        self.below_it("r")
    }

    /// The versions of the master key that are handed round.
    pub fn master_keys(&self) -> (Vec<u8>, Vec<u8>) {
        self.below_it("r/m")
    }

    /// The KDCs that live.
    pub fn kdcs(&self) -> (Vec<u8>, Vec<u8>) {
        self.below_it("k")
    }

    /// The key of a KDC that lives.
    pub fn kdc(&self, id: &str) -> Vec<u8> {
        format!("{}/k/{id}", self.prefix).into_bytes()
    }

    /// Who lives, from a revision on.
    pub fn lives(&self, from: i64) -> WatchCreate {
        let (key, end) = self.kdcs();
        WatchCreate { key, end, from }
    }

    /// The changes of the realm from a revision on.
    pub fn changes(&self, from: i64) -> WatchCreate {
        let (key, end) = self.realm();
        WatchCreate { key, end, from }
    }

    /// What is counted of accounts.
    pub fn counts(&self) -> (Vec<u8>, Vec<u8>) {
        self.below_it("a")
    }

    /// What is counted of an account.
    pub fn count(&self, who: &AccountId) -> Vec<u8> {
        format!("{}/a/{:032x}", self.prefix, u128::from_be_bytes(*who)).into_bytes()
    }

    /// Whose count a key is.
    pub fn account(&self, key: &[u8]) -> Option<AccountId> {
        let id = std::str::from_utf8(key).ok()?.strip_prefix(&*self.prefix)?.strip_prefix("/a/")?;
        (id.len() == 32).then(|| u128::from_str_radix(id, 16).ok().map(u128::to_be_bytes))?
    }

    /// What is counted from a revision on.
    pub fn counted(&self, from: i64) -> WatchCreate {
        let (key, end) = self.counts();
        WatchCreate { key, end, from }
    }

    fn below_it(&self, room: &str) -> (Vec<u8>, Vec<u8>) {
        // "0" is what follows "/".
        (format!("{}/{room}/", self.prefix).into_bytes(), format!("{}/{room}0", self.prefix).into_bytes())
    }
}

/// The last commit and the one before it: each names the one that it was made onto, so that whoever has
/// followed another history finds out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub id: [u8; 16],
    pub parent: [u8; 16],
}

impl Head {
    /// A commit onto this one.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn next(&self) -> Result<Head, StoreError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| StoreError::Storage("no random bytes".into()))?;
        Ok(Head { id, parent: self.id })
    }

    /// Its octets.
    pub fn bytes(&self) -> Vec<u8> {
        [self.id, self.parent].concat()
    }

    /// The one of these octets.
    pub fn read(bytes: &[u8]) -> Option<Head> {
        let (id, parent) = bytes.split_first_chunk()?;
        Some(Head { id: *id, parent: parent.try_into().ok()? })
    }
}

/// Whose realm stands below a prefix. Roll-overs and fences write it again, so a further field raises [`SCHEMA`]: who
/// is older leaves it alone.
#[derive(Clone, PartialEq, Message)]
pub struct Realm {
    #[prost(uint32, tag = "1")]
    pub schema: u32,
    #[prost(string, tag = "2")]
    pub name: String,
    /// What its master key must open, as every store has it.
    #[prost(bytes = "vec", tag = "3")]
    pub master: Vec<u8>,
    /// When the realm was last put there by hand, in seconds since 1970: who has seen a later epoch takes nothing
    /// of an earlier one.
    #[prost(uint64, tag = "4")]
    pub epoch: u64,
    /// The secret that names are sealed under, itself under the master key; empty: they are in clear.
    #[prost(bytes = "vec", tag = "5")]
    pub names: Vec<u8>,
}

impl Realm {
    /// The epoch of what is put in place now, later than `known`.
    pub fn next_epoch(known: u64) -> u64 {
        let now = u64::try_from(crate::admin::now().seconds()).unwrap_or_default();
        now.max(known.saturating_add(1))
    }
}

/// A KDC that lives.
#[derive(Clone, PartialEq, Message)]
pub struct Presence {
    /// The machine's name.
    #[prost(string, tag = "1")]
    pub host: String,
    /// The version of the program.
    #[prost(string, tag = "2")]
    pub version: String,
    /// How far its copy has come.
    #[prost(int64, tag = "3")]
    pub revision: i64,
    /// When it was started, in seconds since 1970.
    #[prost(sint64, tag = "4")]
    pub started: i64,
    /// Its process.
    #[prost(uint32, tag = "5")]
    pub pid: u32,
    /// Where it serves tickets.
    #[prost(string, repeated, tag = "6")]
    pub addresses: Vec<String>,
    /// The versions of the master key that it has.
    #[prost(uint32, repeated, tag = "7")]
    pub master: Vec<u32>,
    /// When it said this, by its own clock, in seconds since 1970.
    #[prost(sint64, tag = "8")]
    pub now: i64,
    /// Where it changes passwords.
    #[prost(string, repeated, tag = "9")]
    pub passwords: Vec<String>,
    /// The version of the ticket-granting service's key that it seals with; 0: it did not say.
    #[prost(uint32, tag = "10")]
    pub tgs_kvno: u32,
    /// When that was made, in seconds since 1970.
    #[prost(sint64, tag = "11")]
    pub tgs_made: i64,
}

impl Presence {
    /// As it stands in etcd, with nothing in it that a terminal or a zone's file would take for more than a name: who
    /// can write to etcd shall not write on an operator's screen.
    pub fn read(octets: &[u8]) -> Option<Presence> {
        let mut presence = Presence::decode(octets).ok()?;
        let Presence { host, version, addresses, passwords, .. } = &mut presence;
        for text in [host, version].into_iter().chain(addresses).chain(passwords) {
            *text = plain(text);
        }
        Some(presence)
    }
}

/// A name or an address, with a question mark for whatever is in none.
pub fn plain(text: &str) -> String {
    let in_names = |letter: &char| letter.is_ascii_alphanumeric() || "._-+:%[]".contains(*letter);
    text.chars().map(|letter| if in_names(&letter) { letter } else { '?' }).collect()
}

/// How often logins to an account have failed.
#[derive(Clone, PartialEq, Message)]
pub struct Counted {
    #[prost(uint32, tag = "1")]
    pub failures: u32,
    /// When the last one did, in seconds since 1970.
    #[prost(sint64, optional, tag = "2")]
    pub last_failure: Option<i64>,
    /// Which count this is.
    #[prost(fixed64, tag = "3")]
    pub count: u64,
    /// What wrote it.
    #[prost(fixed64, tag = "4")]
    pub mark: u64,
}

/// A key put, under no lease.
pub fn put(key: Vec<u8>, value: Vec<u8>) -> super::wire::Op {
    super::wire::Step::Put(PutRequest { key, value, lease: 0 }).into()
}

/// A record as a copy keeps it: that of etcd, where no revision stands in it, with the one that it was
/// written in behind. A field that comes twice counts as it came last, and fields that only a newer
/// version knows stay.
pub fn with_revision(mut record: Vec<u8>, tag: u32, revision: i64) -> Vec<u8> {
    let revision = u64::try_from(revision).unwrap_or_default();
    prost::encoding::uint64::encode(tag, &revision, &mut record);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presence_says_nothing_but_names_and_addresses() {
        let said =
            Presence { host: "a.example.org\n\u{1b}[2J\";".into(), version: "0.1.0+b".into(), ..Presence::default() };
        let said = Presence { addresses: vec!["[2001:db8::1%eth0]:88".into(), "a b".into()], ..said };
        let read = Presence::read(&said.encode_to_vec()).unwrap();
        assert_eq!((read.host.as_str(), read.version.as_str()), ("a.example.org??[2J??", "0.1.0+b"));
        assert_eq!(read.addresses, ["[2001:db8::1%eth0]:88", "a?b"]);
        assert_eq!(Presence::read(&[0xff]), None);
    }

    #[test]
    fn every_key_is_read_back_and_no_realm_reaches_into_another() {
        let layout = Layout::below("/kdc/R/");
        let kinds = [
            Kind::Head,
            Kind::Announced,
            Kind::Realm,
            Kind::Principal("a/b@R".into()),
            Kind::Principal("/@R".into()),
            Kind::Policy("p/o".into()),
            Kind::Sealed("0f".into()),
            Kind::Gone,
            Kind::Master(2),
        ];
        let (from, to) = layout.realm();
        for kind in kinds {
            let key = layout.key(&kind);
            assert!(key > from && key < to);
            assert_eq!(layout.kind(&key), Some(kind));
        }
        let other = Layout::below("/kdc/R2").key(&Kind::Head);
        assert!(other < from || other > to);
        assert_eq!(layout.kind(&other), None);
        assert_eq!(layout.kind(&layout.kdc("x")), None);
        let who = [7; 16];
        assert_eq!((layout.account(&layout.count(&who)), layout.kind(&layout.count(&who))), (Some(who), None));
        assert_eq!(Layout::below("/kdc/R2").account(&layout.count(&who)), None);
    }

    #[test]
    fn a_commit_names_the_one_before_it() {
        let first = Head::default().next().expect("random");
        let second = first.next().expect("random");
        assert_eq!((first.parent, second.parent), ([0; 16], first.id));
        assert_eq!(Head::read(&second.bytes()), Some(second));
        assert_eq!(Head::read(&[0; 31]), None);
    }
}
