//! Which key opens a ticket: by name, version number and encryption type, each key made ready once.
//! The texts are those of MIT krb5, because people search for them.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Options;
use super::opened::Opened;
use crate::codes::EncryptionType;
use crate::crypto::{Key, KeyUsage, PreparedChecksum, PreparedKey};
use crate::error::{Error, ErrorCode, Result};
use crate::flags::ApOptions;
use crate::keytab::Keytab;
use crate::name::Principal;
use crate::ticket::{self, KnownTickets, OpenTicket};
use crate::wire::{ApReq, EncryptionKey, PrincipalName, Ticket};

/// How many keys are tried on a ticket for a name that is not in the keytab. A stranger chooses that
/// name, and each trial costs us a decryption.
const MAX_TRIALS: usize = 32;

/// The keys of a service, each prepared for tickets.
pub(super) struct KeyRing {
    keys: Vec<ServiceKey>,
    /// In the order of realms and components, so that a name that came is looked up as it stands.
    by_name: Vec<Named>,
    /// The one key is the session key of a TGT.
    user_to_user: bool,
    /// The tickets that these keys have opened lately.
    pub(super) known: KnownTickets<Opened>,
}

/// A name of ours, and where its keys are.
struct Named {
    principal: Arc<Principal>,
    places: Vec<usize>,
}

/// A key made ready for tickets, and for what a KDC signs in them.
#[derive(Clone)]
struct Ready {
    opens: PreparedKey,
    signs: PreparedChecksum,
}

struct ServiceKey {
    principal: Arc<Principal>,
    kvno: u32,
    key: Ready,
    /// Another name has the same key and number, and stands before this one.
    twin: bool,
}

/// A ticket that was opened.
pub(super) struct Unsealed<'k> {
    /// Whose key did it.
    pub(super) server: Arc<Principal>,
    pub(super) ticket: OpenTicket,
    /// The key that did it, for what a KDC signs.
    pub(super) signs: &'k PreparedChecksum,
}

impl KeyRing {
    pub(super) fn from_keytab(keytab: &Keytab, options: &Options) -> Result<KeyRing> {
        let mut ring = KeyRing::empty(options, false);
        let mut prepared: HashMap<(EncryptionType, &[u8]), Ready> = HashMap::new();
        let mut seen = HashSet::new();
        let wanted = |principal: &Principal| options.service.as_ref().is_none_or(|service| service == principal);
        for entry in keytab.entries.iter().filter(|entry| wanted(&entry.principal)) {
            // Keys that we cannot use may lie beside those that we can.
            let Ok(key) = entry.key.key() else { continue };
            if permitted(options, key.etype()).is_err() {
                continue;
            }
            let same = (entry.key.etype, entry.key.bytes.as_slice());
            let ready = prepared.entry(same).or_insert_with(|| Ready::new(&key)).clone();
            let twin = !seen.insert((same, entry.kvno));
            ring.add(&entry.principal, entry.kvno, ready, twin);
        }
        match &options.service {
            _ if !ring.keys.is_empty() => Ok(ring),
            Some(service) => Err(Error::NoKey(format!("No key table entry found for {service}"))),
            None => Err(Error::NoKey("the keytab has no key that can be used".to_owned())),
        }
    }

    fn empty(options: &Options, user_to_user: bool) -> KeyRing {
        let known = KnownTickets::new(options.known_tickets, options.clock_skew);
        KeyRing { keys: vec![], by_name: vec![], user_to_user, known }
    }

    pub(super) fn user_to_user(server: Principal, tgt: &Key, options: &Options) -> KeyRing {
        let mut ring = KeyRing::empty(options, true);
        ring.add(&server, 0, Ready::new(tgt), false);
        ring
    }

    fn add(&mut self, principal: &Principal, kvno: u32, key: Ready, twin: bool) {
        let place = self.find(principal.realm(), principal.into()).unwrap_or_else(|new| {
            self.by_name.insert(new, Named { principal: Arc::new(principal.clone()), places: vec![] });
            new
        });
        let Some(named) = self.by_name.get_mut(place) else { return };
        named.places.push(self.keys.len());
        self.keys.push(ServiceKey { principal: named.principal.clone(), kvno, key, twin });
    }

    /// Where a name stands, or should.
    fn find(&self, realm: &str, name: PrincipalName<'_>) -> std::result::Result<usize, usize> {
        self.by_name.binary_search_by(|Named { principal, .. }| match principal.realm().cmp(realm) {
            Ordering::Equal => principal.components().iter().map(|part| part.as_bytes()).cmp(name.components.octets()),
            other => other,
        })
    }

    /// The keys of a name, if it is one of ours.
    fn named(&self, realm: &str, name: PrincipalName<'_>) -> Option<&Named> {
        self.by_name.get(self.find(realm, name).ok()?)
    }

    /// Some name of ours, for an answer to what names nobody. There is always one.
    pub(super) fn first_principal(&self) -> Arc<Principal> {
        self.keys.first().map_or_else(|| Arc::new(Principal::anonymous().clone()), |key| key.principal.clone())
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
        let ours =
            if self.user_to_user { self.keys.first().map(|key| &*key.principal) } else { options.service.as_ref() };
        let (realm, name) = ours.map_or((ticket.realm, ticket.server), |ours| (ours.realm(), ours.into()));
        match self.named(realm, name) {
            Some(named) => self.open_with(named, ticket),
            None => self.open_with_any(ticket),
        }
    }

    /// With the keys of one principal.
    fn open_with(&self, Named { principal: ours, places }: &Named, ticket: &Ticket<'_>) -> Result<Unsealed<'_>> {
        let keys = || places.iter().filter_map(|place| self.keys.get(*place));
        let of_kvno = |key: &&ServiceKey| self.user_to_user || same_kvno(key.kvno, ticket.enc_part.kvno);
        let fits = |key: &&ServiceKey| key.key.opens.etype() == ticket.enc_part.etype && of_kvno(key);
        if let Some(opened) = keys().filter(fits).find_map(|key| key.open(ticket)) {
            return Ok(opened);
        }
        let asked = ticket.server.principal(ticket.realm)?.in_brief();
        if keys().any(|key| fits(&key)) {
            let text = format!("Cannot decrypt ticket for {asked} using keytab key for {ours}");
            return Err(Error::protocol(ErrorCode::BAD_INTEGRITY, text));
        }
        let kvno = ticket.enc_part.kvno.unwrap_or(0);
        if keys().any(|key| of_kvno(&key)) {
            let etype = ticket.enc_part.etype;
            let text =
                format!("Request ticket server {asked} kvno {kvno} found in keytab but not with enctype {etype}");
            return Err(Error::protocol(ErrorCode::NOKEY, text));
        }
        let text = format!("Cannot find key for {ours} kvno {kvno} in keytab (request ticket server {asked})");
        Err(Error::protocol(ErrorCode::BADKEYVER, text))
    }

    /// For a name that is not in the keytab: an alias that the KDC knows, perhaps.
    fn open_with_any(&self, ticket: &Ticket<'_>) -> Result<Unsealed<'_>> {
        let asked = ticket.server.principal(ticket.realm)?;
        let kvno = ticket.enc_part.kvno;
        let fits = |key: &&ServiceKey| {
            !key.twin && key.key.opens.etype() == ticket.enc_part.etype && same_kvno(key.kvno, kvno)
        };
        self.keys.iter().filter(fits).take(MAX_TRIALS).find_map(|key| key.open(ticket)).ok_or_else(|| {
            let kvno = kvno.unwrap_or(0);
            let asked = asked.in_brief();
            let text = format!("Request ticket server {asked} not found in keytab (ticket kvno {kvno})");
            Error::protocol(ErrorCode::NOKEY, text)
        })
    }
}

impl Ready {
    fn new(key: &Key) -> Ready {
        Ready { opens: key.prepare(KeyUsage::TICKET), signs: key.prepare_checksum(KeyUsage::CAMMAC) }
    }
}

impl ServiceKey {
    fn open(&self, ticket: &Ticket<'_>) -> Option<Unsealed<'_>> {
        let opened = ticket::open_ticket(ticket, &self.key.opens).ok()?;
        Some(Unsealed { server: self.principal.clone(), ticket: opened, signs: &self.key.signs })
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
