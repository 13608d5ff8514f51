//! What the KDC knows of a principal, opened and ready for use. How it is kept is the store's matter.

mod token;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage, PreparedChecksum, PreparedKey, PreparedPrf};
use libkrb::preauth::spake::{GROUPS, Group, Initial};
use libkrb::{Principal, Time};

pub use token::{Token, TokenKind};

/// The string attribute with which a principal that has tokens may do without: `true`.
pub const OTP_OPTIONAL: &str = "otp_optional";
/// The string attribute that says whether a principal's password is proven in FAST only: `true` or `false`.
pub const REQUIRE_ARMOR: &str = "require_armor";

/// One principal of the realm.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its canonical name.
    pub principal: Principal,
    /// Other names that find this entry.
    pub aliases: Vec<Principal>,
    /// Random and never reused: tells an account from a later one of the same name.
    pub id: [u8; 16],
    /// Keys by version, newest first. Empty: no key at all (`-nokey`).
    pub keys: Vec<KeySet>,
    /// What it may and must do.
    pub attributes: Attributes,
    /// From then on the account is no longer valid.
    pub expires: Option<Time>,
    /// From then on only a password change is possible.
    pub password_expires: Option<Time>,
    /// Bound on the life of its tickets, in seconds; `None`: the realm's.
    pub max_life: Option<i64>,
    /// Bound on the renewable life of its tickets, in seconds; `None`: the realm's.
    pub max_renewable_life: Option<i64>,
    /// When its keys were last changed.
    pub password_changed: Option<Time>,
    /// When the entry was last changed.
    pub modified: Time,
    /// Who changed it.
    pub modified_by: String,
    /// The password policy it is under; one that does not exist has no rules.
    pub policy: Option<String>,
    /// Keys of former passwords, newest first: not to be used again, and good for nothing else.
    pub history: Vec<KeySet>,
    /// Its one-time password tokens.
    pub tokens: Vec<Token>,
    /// String attributes (`setstr`).
    pub strings: BTreeMap<String, String>,
    /// Set by the store at every commit; 0 for an entry that was never stored.
    pub revision: u64,
    /// What only a newer version knows of its record, as it stands there: it is kept when this one changes the entry.
    pub newer: Vec<u8>,
}

/// The keys of one version.
#[derive(Clone, Debug)]
pub struct KeySet {
    /// Key version number.
    pub kvno: u32,
    /// One key an enctype, in order of preference.
    pub keys: Vec<LongTermKey>,
    /// When they were made; [`Time::EPOCH`]: nobody wrote it down.
    pub created: Time,
    /// Announced: before this time nothing is sealed in them, so that whoever must know them can
    /// fetch them first. [`Time::EPOCH`]: they were in use at once.
    pub from: Time,
    /// From this time on they are good for nothing; `None`: until they are purged.
    pub until: Option<Time>,
}

impl KeySet {
    /// Keys that are in use at once, until they are purged.
    pub fn new(kvno: u32, keys: Vec<LongTermKey>) -> Self {
        KeySet { kvno, keys, created: Time::EPOCH, from: Time::EPOCH, until: None }
    }

    /// The same, made at this time.
    #[must_use]
    pub fn made(self, created: Time) -> Self {
        KeySet { created, ..self }
    }

    /// Whether they are good for anything still.
    pub fn living(&self, now: Time) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether they were announced before they came into use.
    pub fn announced(&self) -> bool {
        self.from != Time::EPOCH
    }

    /// When they came, or come, into use; `None` if nobody wrote it down.
    pub fn start(&self) -> Option<Time> {
        Some(self.created.max(self.from)).filter(|start| *start != Time::EPOCH)
    }

    /// Whether any of them was made from a password.
    pub fn is_of_password(&self) -> bool {
        self.keys.iter().any(|key| key.salt.is_some())
    }

    /// Its key of an enctype.
    pub fn key(&self, etype: EncryptionType) -> Option<&LongTermKey> {
        self.keys.iter().find(|key| key.etype() == etype)
    }
}

/// A long-term key, with what a client needs to make it from a password.
#[derive(Clone, Debug)]
pub struct LongTermKey {
    /// The key.
    pub key: Key,
    /// The salt of a password key; `None` for a random key.
    pub salt: Option<String>,
    /// PBKDF2 rounds of a password key when they are not the enctype's default: clients must be
    /// told them in s2kparams (RFC 4120 5.2.7.5).
    pub iterations: Option<u32>,
    /// The one element of ETYPE-INFO2 for it, encoded.
    info: Kept<OnceLock<Box<[u8]>>>,
    /// The one place where prepared keys live; of the keys of a principal one or two are ever used.
    prepared: Kept<OnceLock<Arc<Prepared>>>,
}

/// What is made of a key and what stands beside it, at first use, and kept as long as the entry is. Of a
/// copy nothing is kept: it is made to be changed.
#[derive(Default, Debug)]
struct Kept<T>(T);

impl<T: Default> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Kept::default()
    }
}

/// A key made ready for its usages, each at its first.
#[derive(Default, Debug)]
struct Prepared {
    timestamp: OnceLock<PreparedKey>,
    ticket: OnceLock<PreparedKey>,
    reply: OnceLock<PreparedKey>,
    pac: OnceLock<PreparedChecksum>,
    cammac: OnceLock<PreparedChecksum>,
    prf: OnceLock<PreparedPrf>,
    spake: [OnceLock<Option<Box<Initial>>>; GROUPS.len()],
}

impl LongTermKey {
    /// A key; `salt` only if it was made from a password.
    pub fn new(key: Key, salt: Option<String>) -> Self {
        LongTermKey { key, salt, iterations: None, info: Kept::default(), prepared: Kept::default() }
    }

    /// The same key with another salt, and what is prepared of it: for those that are many and have one
    /// and the same key.
    pub(super) fn salted(&self, salt: String) -> Self {
        let prepared = Kept(OnceLock::from(Arc::clone(self.prepared())));
        LongTermKey { prepared, ..LongTermKey::new(self.key.clone(), Some(salt)) }
    }

    /// The same key, said to be made with so many PBKDF2 rounds.
    #[must_use]
    pub fn with_iterations(self, iterations: Option<u32>) -> Self {
        LongTermKey { iterations, ..self }
    }

    /// The encryption type.
    pub fn etype(&self) -> EncryptionType {
        self.key.etype()
    }

    fn prepared(&self) -> &Arc<Prepared> {
        self.prepared.0.get_or_init(Arc::default)
    }

    /// Ready to open PA-ENC-TIMESTAMP (key usage 1).
    pub fn timestamp(&self) -> &PreparedKey {
        self.prepared().timestamp.get_or_init(|| self.key.prepare(KeyUsage::AS_REQ_ENC_TIMESTAMP))
    }

    /// Ready to seal and open tickets (key usage 2).
    pub fn ticket(&self) -> &PreparedKey {
        self.prepared().ticket.get_or_init(|| self.key.prepare(KeyUsage::TICKET))
    }

    /// Ready to seal AS replies (key usage 3).
    pub fn reply(&self) -> &PreparedKey {
        self.prepared().reply.get_or_init(|| self.key.prepare(KeyUsage::AS_REP_ENC_PART))
    }

    /// Ready to sign PACs (key usage 17).
    pub fn pac(&self) -> &PreparedChecksum {
        self.prepared().pac.get_or_init(|| self.key.prepare_checksum(KeyUsage::NON_KERB_CHECKSUM))
    }

    /// Ready to vouch for claims (key usage 64).
    pub fn cammac(&self) -> &PreparedChecksum {
        self.prepared().cammac.get_or_init(|| self.key.prepare_checksum(KeyUsage::CAMMAC))
    }

    /// Ready to have a part in other keys (RFC 6113 5.1).
    pub fn prf(&self) -> &PreparedPrf {
        self.prepared().prf.get_or_init(|| self.key.prepare_prf())
    }

    /// The one element of ETYPE-INFO2 for this key, encoded; made at first use by `encode`, from what the
    /// entry has.
    pub fn info(&self, encode: impl FnOnce() -> Vec<u8>) -> &[u8] {
        self.info.0.get_or_init(|| encode().into())
    }

    /// Ready for SPAKE in a group; `None` for a group that is none of the library's.
    pub fn spake(&self, group: &'static Group) -> Option<&Initial> {
        let place = GROUPS.iter().position(|known| known == group)?;
        let made = self.prepared().spake.get(place)?;
        made.get_or_init(|| Initial::new(&self.key, group).ok().map(Box::new)).as_deref()
    }
}

impl Entry {
    /// A principal without keys or limits, under a fresh random `id`.
    pub fn new(principal: Principal, id: [u8; 16], modified: Time, modified_by: &str) -> Self {
        Entry {
            principal,
            aliases: vec![],
            id,
            keys: vec![],
            attributes: Attributes::default(),
            expires: None,
            password_expires: None,
            max_life: None,
            max_renewable_life: None,
            password_changed: None,
            modified,
            modified_by: modified_by.to_owned(),
            policy: None,
            history: vec![],
            tokens: vec![],
            strings: BTreeMap::new(),
            revision: 0,
            newer: vec![],
        }
    }

    /// Whether it must prove itself with a one-time password: its password alone is not enough.
    pub fn needs_token(&self) -> bool {
        self.has_token() && self.strings.get(OTP_OPTIONAL).is_none_or(|value| value != "true")
    }

    /// Whether it may prove itself with a one-time password.
    pub fn has_token(&self) -> bool {
        !self.tokens.is_empty() || self.strings.contains_key(super::second::OTP)
    }

    /// The keys of the highest version, in use or not yet; `None` for a principal without any.
    pub fn newest(&self) -> Option<&KeySet> {
        self.keys.first()
    }

    /// The keys that are good for something, newest first.
    pub fn living(&self, now: Time) -> impl Iterator<Item = &KeySet> {
        self.keys.iter().filter(move |set| set.living(now))
    }

    /// The keys that seal: the newest that are in use. Where all are still to come, the oldest.
    pub fn current(&self, now: Time) -> Option<&KeySet> {
        self.living(now).find(|set| set.from <= now).or_else(|| self.living(now).last())
    }

    /// When the keys that seal were made; where nobody wrote that down, when they or the entry were changed.
    pub fn keys_made(&self, now: Time) -> Option<Time> {
        let made = self.current(now)?.created;
        Some(if made == Time::EPOCH { self.password_changed.unwrap_or(self.modified) } else { made })
    }

    /// The same of a service, whose keys are random and seal tickets; `None` for anyone else.
    pub fn keys_of_service_made(&self, now: Time, is_of_password: impl Fn(&KeySet) -> bool) -> Option<Time> {
        let random = self.current(now).is_some_and(|set| !is_of_password(set));
        self.keys_made(now).filter(|_| random && !self.attributes.has(Attributes::DISALLOW_SVR))
    }

    /// The key of an enctype that seals.
    pub fn key(&self, etype: EncryptionType, now: Time) -> Option<&LongTermKey> {
        self.current(now)?.key(etype)
    }

    /// The keys that its owner may prove himself with. Those that are announced, for he may have
    /// fetched them; those in use; and older ones where their successor was announced: such keys turn
    /// over by the clock and their owner may be late. A change at once says that they are not trusted.
    pub fn proving(&self, now: Time) -> impl Iterator<Item = &KeySet> {
        let mut open = true;
        let until_a_change_at_once = self.keys.iter().take_while(move |set| {
            let taken = open;
            open = open && set.announced();
            taken
        });
        until_a_change_at_once.filter(move |set| set.living(now))
    }

    /// When keys came into use that are newer than those at `index`: the latest time at which a ticket
    /// was sealed in these. `None`: they are the newest, or nobody wrote it down.
    pub fn replaced(&self, index: usize) -> Option<Time> {
        let newer = self.keys.get(..index)?;
        let of_newest = self.newest().filter(|set| set.start().is_none()).and(self.password_changed);
        newer.iter().filter_map(KeySet::start).chain(of_newest.filter(|_| index > 0)).min()
    }

    /// The keys of one version.
    pub fn version(&self, kvno: u32) -> Option<&KeySet> {
        self.keys.iter().find(|set| set.kvno == kvno)
    }
}

macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $query:literal, $positive:literal;)*) => {
        /// Attribute bits of an entry, numbered and named as in MIT krb5.
        #[derive(Clone, Copy, Default, PartialEq, Eq)]
        pub struct Attributes(pub u32);

        impl Attributes {
            $($(#[$doc])* pub const $name: Attributes = Attributes($value);)*

            /// Bit, name in MIT's output ("DISALLOW_POSTDATED"), flag of kadmin's query language
            /// ("allow_postdated"), and whether `+flag` sets the bit (else it clears it).
            pub const TABLE: &'static [(Attributes, &'static str, &'static str, bool)] =
                &[$((Attributes::$name, stringify!($name), $query, $positive)),*];

            /// Whether every bit of `other` is set.
            pub const fn has(self, other: Attributes) -> bool {
                self.0 & other.0 == other.0
            }

            /// This set with `other` added when `on`, else without it.
            #[must_use]
            pub const fn with(self, other: Attributes, on: bool) -> Attributes {
                Attributes(if on { self.0 | other.0 } else { self.0 & !other.0 })
            }
        }
    };
}

attributes! {
    /// No postdated tickets.
    DISALLOW_POSTDATED = 0x1, "allow_postdated", false;
    /// No forwardable tickets.
    DISALLOW_FORWARDABLE = 0x2, "allow_forwardable", false;
    /// As a service: only tickets from an AS exchange.
    DISALLOW_TGT_BASED = 0x4, "allow_tgs_req", false;
    /// No renewable tickets.
    DISALLOW_RENEWABLE = 0x8, "allow_renewable", false;
    /// No proxiable tickets.
    DISALLOW_PROXIABLE = 0x10, "allow_proxiable", false;
    /// No user-to-user tickets.
    DISALLOW_DUP_SKEY = 0x20, "allow_dup_skey", false;
    /// No tickets at all: the principal is locked out.
    DISALLOW_ALL_TIX = 0x40, "allow_tix", false;
    /// The client must prove itself before it gets a ticket; as a service: so must its clients.
    REQUIRES_PRE_AUTH = 0x80, "requires_preauth", true;
    /// The same, with hardware.
    REQUIRES_HW_AUTH = 0x100, "requires_hwauth", true;
    /// The password must be changed first.
    REQUIRES_PWCHANGE = 0x200, "needchange", true;
    /// No tickets for this principal as a service.
    DISALLOW_SVR = 0x1000, "allow_svr", false;
    /// As a service: usable with an expired password.
    PWCHANGE_SERVICE = 0x2000, "password_changing_service", true;
    /// Tickets carry ok-as-delegate.
    OK_AS_DELEGATE = 0x10_0000, "ok_as_delegate", true;
    /// May get forwardable tickets to itself for any user (S4U2Self).
    OK_TO_AUTH_AS_DELEGATE = 0x20_0000, "ok_to_auth_as_delegate", true;
    /// No authorization data in tickets for this service.
    NO_AUTH_DATA_REQUIRED = 0x40_0000, "no_auth_data_required", true;
    /// Its keys leave the KDC for nobody.
    LOCKDOWN_KEYS = 0x80_0000, "lockdown_keys", true;
}

impl std::fmt::Debug for Attributes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = Self::TABLE.iter().filter(|(bit, ..)| self.has(*bit)).map(|(_, name, ..)| *name);
        f.debug_set().entries(names).finish()
    }
}

#[cfg(test)]
mod tests;
