//! Which key opens a ticket: by name, version number and encryption type, each key made ready once.
//! The texts are those of MIT krb5, because people search for them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Options;
use super::known::Known;
use crate::codes::EncryptionType;
use crate::crypto::{Key, KeyUsage, PreparedKey};
use crate::error::{Error, ErrorCode, Result};
use crate::flags::ApOptions;
use crate::keytab::Keytab;
use crate::name::Principal;
use crate::ticket::{self, OpenTicket};
use crate::wire::{ApReq, EncryptionKey, Ticket};

/// How many keys are tried on a ticket for a name that is not in the keytab. A stranger chooses that
/// name, and each trial costs us a decryption.
const MAX_TRIALS: usize = 32;

/// The keys of a service, each prepared for tickets.
pub(super) struct KeyRing {
    keys: Vec<ServiceKey>,
    by_name: HashMap<Principal, Vec<usize>>,
    /// The one key is the session key of a TGT.
    user_to_user: bool,
    /// The tickets that these keys have opened lately.
    pub(super) known: Known,
}

struct ServiceKey {
    principal: Arc<Principal>,
    kvno: u32,
    key: PreparedKey,
    /// The key itself, for what is signed with it in tickets.
    signs: Key,
    /// Another name has the same key and number, and stands before this one.
    twin: bool,
}

/// A ticket that was opened.
pub(super) struct Unsealed<'k> {
    /// Whose key did it.
    pub(super) server: Arc<Principal>,
    pub(super) ticket: OpenTicket,
    /// The key that did it.
    pub(super) key: &'k Key,
}

impl KeyRing {
    pub(super) fn from_keytab(keytab: &Keytab, options: &Options) -> Result<KeyRing> {
        let mut ring = KeyRing::empty(options, false);
        let mut prepared: HashMap<(EncryptionType, &[u8]), PreparedKey> = HashMap::new();
        let mut seen = HashSet::new();
        let wanted = |principal: &Principal| options.service.as_ref().is_none_or(|service| service == principal);
        for entry in keytab.entries.iter().filter(|entry| wanted(&entry.principal)) {
            // Keys that we cannot use may lie beside those that we can.
            let Ok(key) = entry.key.key() else { continue };
            if permitted(options, key.etype()).is_err() {
                continue;
            }
            let same = (entry.key.etype, entry.key.bytes.as_slice());
            let ready = prepared.entry(same).or_insert_with(|| key.prepare(KeyUsage::TICKET)).clone();
            let twin = !seen.insert((same, entry.kvno));
            ring.add(&entry.principal, entry.kvno, (ready, key), twin);
        }
        match &options.service {
            _ if !ring.keys.is_empty() => Ok(ring),
            Some(service) => Err(Error::NoKey(format!("No key table entry found for {service}"))),
            None => Err(Error::NoKey("the keytab has no key that can be used".to_owned())),
        }
    }

    fn empty(options: &Options, user_to_user: bool) -> KeyRing {
        let known = Known::new(options.known_tickets, options.clock_skew);
        KeyRing { keys: vec![], by_name: HashMap::new(), user_to_user, known }
    }

    pub(super) fn user_to_user(server: Principal, tgt: &Key, options: &Options) -> KeyRing {
        let mut ring = KeyRing::empty(options, true);
        ring.add(&server, 0, (tgt.prepare(KeyUsage::TICKET), tgt.clone()), false);
        ring
    }

    fn add(&mut self, principal: &Principal, kvno: u32, (key, signs): (PreparedKey, Key), twin: bool) {
        let places = self.by_name.entry(principal.clone()).or_default();
        let known = places.first().and_then(|place| self.keys.get(*place)).map(|key| key.principal.clone());
        places.push(self.keys.len());
        let principal = known.unwrap_or_else(|| Arc::new(principal.clone()));
        self.keys.push(ServiceKey { principal, kvno, key, signs, twin });
    }

    /// Some name of ours, for an answer to what names nobody. There is always one.
    pub(super) fn first_principal(&self) -> Arc<Principal> {
        self.keys.first().map_or_else(|| Arc::new(Principal::anonymous()), |key| key.principal.clone())
    }

    /// Refuses a request with another kind of ticket than these keys are for.
    pub(super) fn wants(&self, options: &Options, request: &ApReq<'_>) -> Result<()> {
        permitted(options, request.ticket.value.enc_part.etype)?;
        match (self.user_to_user, request.options.has(ApOptions::USE_SESSION_KEY)) {
            (false, true) => Err(Error::code(ErrorCode::NO_TGT)),
            (true, false) => Err(Error::code(ErrorCode::USER_TO_USER_REQUIRED)),
            _ => Ok(()),
        }
    }

    /// Opens a ticket, and says whose key did.
    pub(super) fn open(&self, options: &Options, ticket: &Ticket<'_>) -> Result<Unsealed<'_>> {
        let asked = ticket.server.principal(ticket.realm)?;
        let ours =
            if self.user_to_user { self.keys.first().map(|key| &*key.principal) } else { options.service.as_ref() };
        match self.by_name.get(ours.unwrap_or(&asked)) {
            Some(places) => self.open_with(places, ours.unwrap_or(&asked), &asked, ticket),
            None => self.open_with_any(&asked, ticket),
        }
    }

    /// With the keys of one principal.
    fn open_with(
        &self,
        places: &[usize],
        ours: &Principal,
        asked: &Principal,
        ticket: &Ticket<'_>,
    ) -> Result<Unsealed<'_>> {
        let keys = || places.iter().filter_map(|place| self.keys.get(*place));
        let of_kvno = |key: &&ServiceKey| self.user_to_user || same_kvno(key.kvno, ticket.enc_part.kvno);
        let fits = |key: &&ServiceKey| key.key.etype() == ticket.enc_part.etype && of_kvno(key);
        if let Some(opened) = keys().filter(fits).find_map(|key| key.open(ticket)) {
            return Ok(opened);
        }
        if keys().any(|key| fits(&key)) {
            let text = format!("Cannot decrypt ticket for {} using keytab key for {ours}", asked.in_brief());
            return Err(Error::protocol(ErrorCode::BAD_INTEGRITY, text));
        }
        let kvno = ticket.enc_part.kvno.unwrap_or(0);
        if keys().any(|key| of_kvno(&key)) {
            let etype = ticket.enc_part.etype;
            let asked = asked.in_brief();
            let text =
                format!("Request ticket server {asked} kvno {kvno} found in keytab but not with enctype {etype}");
            return Err(Error::protocol(ErrorCode::NOKEY, text));
        }
        let asked = asked.in_brief();
        let text = format!("Cannot find key for {ours} kvno {kvno} in keytab (request ticket server {asked})");
        Err(Error::protocol(ErrorCode::BADKEYVER, text))
    }

    /// For a name that is not in the keytab: an alias that the KDC knows, perhaps.
    fn open_with_any(&self, asked: &Principal, ticket: &Ticket<'_>) -> Result<Unsealed<'_>> {
        let kvno = ticket.enc_part.kvno;
        let fits =
            |key: &&ServiceKey| !key.twin && key.key.etype() == ticket.enc_part.etype && same_kvno(key.kvno, kvno);
        self.keys.iter().filter(fits).take(MAX_TRIALS).find_map(|key| key.open(ticket)).ok_or_else(|| {
            let kvno = kvno.unwrap_or(0);
            let asked = asked.in_brief();
            let text = format!("Request ticket server {asked} not found in keytab (ticket kvno {kvno})");
            Error::protocol(ErrorCode::NOKEY, text)
        })
    }
}

impl ServiceKey {
    fn open(&self, ticket: &Ticket<'_>) -> Option<Unsealed<'_>> {
        let opened = ticket::open_ticket(ticket, &self.key).ok()?;
        Some(Unsealed { server: self.principal.clone(), ticket: opened, key: &self.signs })
    }
}

/// Whether an entry of this number is meant. 0 is no number on either side; old keytabs keep the
/// last 8 bits only.
fn same_kvno(entry: u32, ticket: Option<u32>) -> bool {
    let asked = ticket.unwrap_or(0);
    entry == 0 || asked == 0 || entry == asked || entry == asked & 0xff
}

/// Refuses an encryption type that is not allowed.
pub(super) fn permitted(options: &Options, etype: EncryptionType) -> Result<()> {
    if options.etypes.contains(&etype) { Ok(()) } else { Err(Error::EtypeNotSupported(etype)) }
}

/// A session key or subkey of an encryption type that is allowed.
pub(super) fn permitted_key(options: &Options, key: EncryptionKey<'_>) -> Result<Key> {
    permitted(options, key.etype)?;
    key.key()
}
