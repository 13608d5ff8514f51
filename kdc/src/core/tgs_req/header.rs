//! Opening what a TGS-REQ presents: the ticket in PA-TGS-REQ and its authenticator (RFC 4120 3.3.2).
//! Nothing is believed here yet but what decrypts.

use std::sync::{Arc, OnceLock};

use libkrb::codes::{EncryptionType, PaType};
use libkrb::crypto::{Key, KeyUsage, PreparedChecksum, PreparedKey, PreparedPrf};
use libkrb::replay::ReplayKey;
use libkrb::ticket::{self, KnownTickets, Mark, OpenAuthenticator, OpenTicket, Remembered};
use libkrb::wire::{self, ApReq, Authenticator, EncTicketPart, EncryptedData, KdcReq, Raw, Ticket};
use libkrb::{Error, ErrorCode, Principal, Time};

use super::super::Kdc;
use super::super::entry::{Entry, LongTermKey};
use super::super::refuse::{Refusal, because};
use super::foreign;

/// A longer ticket is opened each time: by how much clients may add to theirs, they choose what is kept.
const LONGEST: usize = 2048;

/// The ticket-granting tickets that came more than once.
pub type KnownTgts = KnownTickets<Opened>;

/// A ticket of this realm, decrypted, and what was made of it. It follows from the octets of the ticket, from
/// the keys of its server that were living, and from the realm's rules: while these are the same, so is all
/// of it.
pub struct Opened {
    /// Whom it is for, as it says in the clear.
    pub server_name: Principal,
    /// That server's entry.
    pub server: Arc<Entry>,
    /// The ticket.
    pub ticket: OpenTicket,
    /// Which key opened it.
    key: (u32, EncryptionType),
    /// When the first of the server's keys dies.
    until: Option<Time>,
    session: OnceLock<Session>,
    /// Its client.
    client: OnceLock<Principal>,
    /// Whether its PAC was verified, and found to speak of its client.
    pub vouched: OnceLock<()>,
    /// How the client proved itself, as this realm says there.
    pub indicators: OnceLock<Vec<String>>,
}

/// The session key of a ticket, ready for what clients do with it.
pub struct Session {
    /// The key.
    pub key: Key,
    end: Time,
    request: OnceLock<(PreparedKey, PreparedChecksum)>,
    armor: OnceLock<(PreparedKey, PreparedPrf)>,
}

impl Session {
    /// For the authenticator of a TGS-REQ and its checksum.
    pub fn request(&self) -> &(PreparedKey, PreparedChecksum) {
        self.request.get_or_init(|| {
            self.key.derive(|base| {
                (base.prepare(KeyUsage::TGS_REQ_AUTHENTICATOR), base.prepare_checksum(KeyUsage::TGS_REQ_CHECKSUM))
            })
        })
    }

    /// For the authenticator of armor, and to have a part in an armor key.
    pub fn armor(&self) -> &(PreparedKey, PreparedPrf) {
        self.armor
            .get_or_init(|| self.key.derive(|base| (base.prepare(KeyUsage::AP_REQ_AUTHENTICATOR), base.prepare_prf())))
    }
}

impl Remembered for Opened {
    fn end(&self) -> Time {
        self.session.get().map_or(Time::EPOCH, |session| session.end)
    }
}

impl Opened {
    /// The session key of the ticket.
    ///
    /// # Errors
    /// For a key that can't be used, and for what is no ticket.
    pub fn session(&self) -> libkrb::Result<&Session> {
        if let Some(session) = self.session.get() {
            return Ok(session);
        }
        let part = self.ticket.read()?;
        let (key, end) = (part.key.key()?, part.end_time);
        let session = Session { key, end, request: OnceLock::new(), armor: OnceLock::new() };
        Ok(self.session.get_or_init(|| session))
    }

    /// Its client, as `ticket` says, which is what this ticket says.
    ///
    /// # Errors
    /// For what is no name.
    pub fn client(&self, kdc: &Kdc<'_>, ticket: &EncTicketPart<'_>) -> libkrb::Result<Principal> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let client = kdc.policy.principal(&ticket.client, ticket.client_realm)?;
        Ok(self.client.get_or_init(|| client).clone())
    }

    /// Whether all that was made of it still holds.
    fn holds(&self, kdc: &Kdc<'_>, server: &Arc<Entry>, now: Time) -> bool {
        let same = Arc::ptr_eq(&self.server, server) && self.until.is_none_or(|until| now < until);
        same && kdc.policy.etypes.contains(&self.key.1)
    }

    /// The server, and the key of it that opened the ticket.
    pub fn sealed_by(&self) -> Option<(&Entry, &LongTermKey)> {
        let (kvno, etype) = self.key;
        Some((&*self.server, self.server.version(kvno)?.key(etype)?))
    }
}

/// A ticket as it was shown, and open.
pub struct Shown<'a> {
    /// Its contents.
    pub opened: Arc<Opened>,
    sealed: Raw<'a, Ticket<'a>>,
    /// Where to remember it, if that is not done yet.
    new: Option<Mark>,
}

impl Shown<'_> {
    /// To be called when its bearer has proven to have its session key: nothing else is remembered.
    pub fn is_proven(&self, kdc: &Kdc<'_>, now: Time) {
        if let Some(mark) = self.new {
            kdc.tickets.remember(mark, &self.sealed, &self.opened, now);
        }
    }
}

/// The presented ticket, decrypted, and its authenticator, still sealed.
pub struct Presented<'a> {
    shown: Shown<'a>,
    authenticator: EncryptedData<'a>,
}

/// The presented ticket and authenticator, decrypted.
pub struct Header<'a> {
    /// Whom the presented ticket is for.
    pub server_name: &'a Principal,
    /// That server's entry.
    pub server: &'a Arc<Entry>,
    /// The server, and the key of it that opened the ticket.
    pub sealed_by: Option<(&'a Entry, &'a LongTermKey)>,
    /// The ticket, with what was made of it.
    pub opened: &'a Opened,
    /// What it says.
    pub ticket: EncTicketPart<'a>,
    /// Its session key.
    pub session: &'a Session,
    /// The authenticator.
    pub authenticator: OpenAuthenticator,
    /// What a replay cache knows the authenticator by.
    pub seen: ReplayKey,
}

/// Finds and opens the presented ticket.
pub fn open<'a>(kdc: &Kdc<'_>, now: Time, request: &KdcReq<'a>) -> Result<Presented<'a>, Refusal> {
    let padata = request
        .padata(PaType::TGS_REQ)
        .ok_or(Refusal::new(ErrorCode::PADATA_TYPE_NOSUPP, "the request presents no ticket"))?;
    let malformed = because(ErrorCode::GENERIC, "malformed AP-REQ in the request");
    let ap_req = wire::decode::<ApReq<'_>>(padata.value).map_err(&malformed)?;
    let shown = if ap_req.ticket.realm == kdc.policy.realm {
        recall(kdc, now, ap_req.ticket)?
    } else {
        let (name, server) = foreign::trust(kdc, now, &ap_req.ticket)?;
        let opened = Arc::new(open_with(kdc, now, &ap_req.ticket, (name, server))?);
        Shown { opened, sealed: ap_req.ticket, new: None }
    };
    Ok(Presented { shown, authenticator: ap_req.authenticator })
}

impl Presented<'_> {
    /// Reads the ticket and opens the authenticator with its session key.
    pub fn header(&self, kdc: &Kdc<'_>, now: Time) -> Result<Header<'_>, Refusal> {
        let unreadable = because(ErrorCode::GENERIC, "malformed ticket or authenticator");
        let opened = &*self.shown.opened;
        let ticket = opened.ticket.read().map_err(unreadable)?;
        let unusable = because(ErrorCode::ETYPE_NOSUPP, "the presented ticket's session key can't be used");
        let session = opened.session().map_err(unusable)?;
        let shut = because(ErrorCode::BAD_INTEGRITY, "the authenticator does not open with the ticket's session key");
        let (key, _) = session.request();
        let authenticator = ticket::open_authenticator(&self.authenticator, key).map_err(shut)?;
        self.shown.is_proven(kdc, now);
        let Opened { server_name, server, .. } = opened;
        let sealed_by = opened.sealed_by();
        let seen = ReplayKey::of_opened(&self.authenticator);
        Ok(Header { server_name, server, sealed_by, opened, ticket, session, authenticator, seen })
    }
}

impl Header<'_> {
    /// What the authenticator says.
    pub fn said(&self) -> Result<Authenticator<'_>, Refusal> {
        let unreadable = because(ErrorCode::GENERIC, "malformed ticket or authenticator");
        self.authenticator.read().map_err(unreadable)
    }
}

/// The open ticket, if it is one that is remembered and all that is remembered of it holds; else opens it.
pub fn recall<'a>(kdc: &Kdc<'_>, now: Time, sealed: Raw<'a, Ticket<'a>>) -> Result<Shown<'a>, Refusal> {
    let mark = kdc.tickets.mark(&sealed);
    if let Some(opened) = kdc.tickets.find(mark, &sealed, now) {
        let server = kdc.store.lookup(&opened.server_name)?;
        if server.is_some_and(|server| opened.holds(kdc, &server, now)) {
            return Ok(Shown { opened, sealed, new: None });
        }
    }
    let opened = Arc::new(open_ticket(kdc, now, &sealed)?);
    // Of others none comes again and again, and their server's PAC is no word of this realm.
    let new = (opened.server.principal.is_local_tgs() && sealed.der.len() <= LONGEST).then_some(mark);
    Ok(Shown { opened, sealed, new })
}

/// Opens a ticket that this realm issued, with the key version that it names.
pub fn open_ticket(kdc: &Kdc<'_>, now: Time, ticket: &Ticket<'_>) -> Result<Opened, Refusal> {
    let ours = ticket.realm == kdc.policy.realm;
    Refusal::unless(ours, ErrorCode::NOT_US, "the presented ticket was not issued by this realm")?;
    let name = ticket.server.principal(ticket.realm).map_err(because(ErrorCode::NOT_US, "not a principal name"))?;
    let server = kdc.store.lookup(&name)?;
    let server = server.ok_or(Refusal::new(ErrorCode::NOT_US, "the presented ticket's server is not in this realm"))?;
    open_with(kdc, now, ticket, (name, server))
}

fn open_with(
    kdc: &Kdc<'_>,
    now: Time,
    ticket: &Ticket<'_>,
    (server_name, server): (Principal, Arc<Entry>),
) -> Result<Opened, Refusal> {
    let opened = unsealed(kdc, now, ticket, &server)?;
    let integrity = because(ErrorCode::BAD_INTEGRITY, "the presented ticket does not open with its server's key");
    let (ticket, key) = opened.unwrap_or(Err(Error::Integrity)).map_err(integrity)?;
    let until = server.keys.iter().filter_map(|set| set.until).filter(|until| now < *until).min();
    let (session, client, vouched, indicators) = Default::default();
    Ok(Opened { server_name, server, ticket, key, until, session, client, vouched, indicators })
}

type Unsealed = libkrb::Result<(OpenTicket, (u32, EncryptionType))>;

/// Tries the server's keys of the version and enctype that the ticket names.
fn unsealed(kdc: &Kdc<'_>, now: Time, ticket: &Ticket<'_>, server: &Entry) -> Result<Option<Unsealed>, Refusal> {
    let sealed = &ticket.enc_part;
    let mut keys = server
        .living(now)
        .filter(|set| sealed.kvno.is_none_or(|kvno| kvno == set.kvno))
        .flat_map(|set| set.keys.iter().map(|key| (set.kvno, key)))
        .filter(|(_, key)| key.etype() == sealed.etype && kdc.policy.etypes.contains(&key.etype()))
        .peekable();
    let known = keys.peek().is_some();
    if !known && sealed.kvno > server.newest().map(|set| set.kvno) && kdc.store.standing().lag.is_some() {
        let cause = "the presented ticket's key is newer than this KDC's copy of the realm";
        return Err(Refusal::new(ErrorCode::SVC_UNAVAILABLE, cause));
    }
    Refusal::unless(known, ErrorCode::BADKEYVER, "the presented ticket's key version is not known any more")?;
    Ok(keys.find_map(|(kvno, key)| match ticket::open_ticket(ticket, key.ticket()) {
        Ok(opened) => Some(Ok((opened, (kvno, key.etype())))),
        Err(Error::Integrity) => None,
        Err(other) => Some(Err(other)),
    }))
}
