//! The PAC (MS-PAC) of tickets: who gets one, whose keys sign it, and whether that of a presented
//! ticket holds. It ties a ticket to the account that it was issued for. Not here: making its octets
//! ([`super::issue`]).

use std::borrow::Cow;

use libkrb::authz::pac::{self, Attributes as Wish, Pac, Requestor};
use libkrb::codes::{EncryptionType, PaType, PacType};
use libkrb::crypto::{Key, KeyUsage, PreparedChecksum, key_len};
use libkrb::flags::TicketFlags;
use libkrb::ticket::OpenTicket;
use libkrb::wire::{self, EncTicketPart, KdcReq, PaPacRequest};
use libkrb::{Error, ErrorCode, Principal, Time};
use smallvec::{SmallVec, smallvec};

use super::entry::{Attributes, Entry, LongTermKey};
use super::refuse::{Refusal, because};
use super::{Kdc, etypes};

/// The string attribute of a service whose acceptors can't read the KDC's signatures in the enctype
/// that the ticket-granting service's key has; named as MIT krb5 has it.
pub const KDC_ENCTYPE: &str = "pac_privsvr_enctype";

/// What a PAC holds: mostly a few octets that say which account it is, which take no memory of their own.
pub type Buffers = SmallVec<[(PacType, SmallVec<[u8; 32]>); 2]>;

/// A PAC to be made.
pub struct Plan<'a> {
    /// What it holds besides the client's name and the signatures.
    pub buffers: Buffers,
    /// Whom it speaks of, if not of the ticket's client.
    pub user: Option<&'a Principal>,
    /// Signs for the service.
    pub server: Cow<'a, PreparedChecksum>,
    /// Signs for the KDC.
    pub kdc: Cow<'a, PreparedChecksum>,
    /// Whether the ticket and the whole PAC are signed too: for a service, which has the key to change
    /// its tickets and may bring them back as evidence.
    pub for_service: bool,
}

/// What seals the ticket.
pub enum Sealer<'a> {
    /// A long-term key of the server.
    LongTerm(&'a LongTermKey),
    /// The session key of the server's own ticket: user-to-user.
    Session(Key),
}

impl Sealer<'_> {
    /// Ready to vouch for claims.
    pub fn cammac(&self) -> Cow<'_, PreparedChecksum> {
        match self {
            Sealer::LongTerm(key) => Cow::Borrowed(key.cammac()),
            Sealer::Session(key) => Cow::Owned(key.prepare_checksum(KeyUsage::CAMMAC)),
        }
    }
}

/// A ticket to be issued, as far as it matters here.
pub struct Occasion<'a> {
    /// The ticket-granting service's entry.
    pub tgs: &'a Entry,
    /// The server's entry.
    pub server: &'a Entry,
    /// What seals the ticket.
    pub sealer: Sealer<'a>,
    /// The ticket's flags.
    pub flags: TicketFlags,
    /// Whom it speaks of, if not of the ticket's client.
    pub user: Option<&'a Principal>,
}

impl<'a> Occasion<'a> {
    /// A PAC with these buffers; `None` where the realm, the service or the client's anonymity forbid it.
    pub fn plan(self, kdc: &Kdc<'_>, now: Time, buffers: Buffers) -> Option<Plan<'a>> {
        let Occasion { tgs, server, sealer, flags, user } = self;
        let bare = server.attributes.has(Attributes::NO_AUTH_DATA_REQUIRED);
        if kdc.policy.disable_pac || bare || flags.has(TicketFlags::ANONYMOUS) {
            return None;
        }
        let (key, _) = etypes::ticket_key(kdc.policy, tgs, now).ok()?;
        let server_key = match sealer {
            Sealer::LongTerm(key) => Cow::Borrowed(key.pac()),
            Sealer::Session(key) => Cow::Owned(key.prepare_checksum(KeyUsage::NON_KERB_CHECKSUM)),
        };
        let kdc_key = kdc_key(kdc, key, server);
        Some(Plan { buffers, user, server: server_key, kdc: kdc_key, for_service: for_service(&server.principal) })
    }
}

/// Whether tickets for this server can be evidence: not those that only KDCs open, nor those for a
/// change of the password (MS-PAC 2.8.3).
fn for_service(server: &Principal) -> bool {
    server.tgs_target().is_none() && !server.is_changepw()
}

/// A key of the ticket-granting service, or for a service that needs another enctype one made of it.
fn kdc_key<'a>(kdc: &Kdc<'_>, key: &'a LongTermKey, server: &Entry) -> Cow<'a, PreparedChecksum> {
    let wanted = server.strings.get(KDC_ENCTYPE).and_then(|name| EncryptionType::parse(name));
    let wanted = wanted.filter(|etype| *etype != key.etype() && kdc.policy.etypes.contains(etype));
    let made = wanted.and_then(|etype| {
        let octets = key.key.prf_plus(b"pac_privsvr", key_len(etype).ok()?).ok()?;
        Some(Key::random_to_key(etype, &octets).ok()?.prepare_checksum(KeyUsage::NON_KERB_CHECKSUM))
    });
    made.map_or(Cow::Borrowed(key.pac()), Cow::Owned)
}

/// Whether the client wants a PAC, if it says (MS-KILE 2.2.3).
pub fn wish(request: &KdcReq<'_>) -> Option<bool> {
    let padata = request.padata(PaType::PAC_REQUEST)?;
    wire::decode::<PaPacRequest>(padata.value).ok().map(|request| request.include_pac)
}

/// What the PAC of a first ticket holds. A ticket-granting ticket has one even where the client wants
/// none: it says there which account it is for, and that services are to get no PAC.
pub fn first(client: &Entry, server: &Entry, wish: Option<bool>) -> Option<Buffers> {
    let requestor = (PacType::REQUESTOR, SmallVec::from_slice(&Requestor::of_account(&client.id)));
    let wish = Wish::of_wish(wish);
    if server.principal.is_local_tgs() {
        return Some(smallvec![(PacType::ATTRIBUTES, SmallVec::from_slice(&wish.encode())), requestor]);
    }
    wish.wanted().then(|| smallvec![requestor])
}

/// Signatures, and what is written anew for every ticket.
const OWN: [PacType; 5] = [
    PacType::CLIENT_INFO,
    PacType::SERVER_CHECKSUM,
    PacType::KDC_CHECKSUM,
    PacType::TICKET_CHECKSUM,
    PacType::FULL_CHECKSUM,
];

/// What a ticket's PAC holds of that of the ticket it comes from; `None`: its client wants no PAC.
pub fn carried(presented: &Presented<'_>, server: &Principal) -> Option<Buffers> {
    let granting = server.is_local_tgs();
    let abroad = server.tgs_target().is_some() && !granting;
    let dropped = |kind: PacType| {
        OWN.contains(&kind)
            || kind == PacType::ATTRIBUTES && !granting
            // Who an account is here means nothing elsewhere.
            || kind == PacType::REQUESTOR && abroad
    };
    // Another realm's word about its clients is its own: nothing of it is signed here.
    let buffers = presented.pac.buffers().filter(|(kind, _)| presented.ours && !dropped(*kind));
    let wanted = granting || presented.wanted;
    wanted.then(|| buffers.map(|(kind, octets)| (kind, SmallVec::from_slice(octets))).collect())
}

/// The PAC of a presented ticket, whose signatures hold.
pub struct Presented<'a> {
    pac: Pac<'a>,
    /// Whether this realm signed it.
    ours: bool,
    wanted: bool,
}

impl<'a> Presented<'a> {
    /// The PAC.
    pub fn pac(&self) -> &Pac<'a> {
        &self.pac
    }

    /// Refuses a ticket of an account that is gone, though there is one of its name (MS-PAC 2.15).
    ///
    /// # Errors
    /// TGT_REVOKED, and MODIFIED for what is no account's identifier.
    pub fn same_account(&self, entry: &Entry) -> Result<(), Refusal> {
        let requestor = self.pac.requestor().map_err(because(ErrorCode::MODIFIED, MALFORMED))?;
        let same = !self.ours || requestor.is_none_or(|requestor| requestor.is_account(&entry.id));
        Refusal::unless(same, ErrorCode::TGT_REVOKED, "the ticket is of an earlier account of this name")
    }
}

const MALFORMED: &str = "the PAC in the ticket is malformed";

/// Verifies the PAC of a ticket that a key of `server` opened; `None` where it has none. It is to speak of
/// the ticket's client, or of this user.
///
/// # Errors
/// INAPP_CKSUM for signatures that need no key, or are of another key's type; MODIFIED for those that
/// are missing or wrong, and for a PAC of another client or login.
pub fn verify<'a>(
    kdc: &Kdc<'_>,
    now: Time,
    tgs: &Entry,
    ticket: &EncTicketPart<'a>,
    (server, key): (&Entry, &LongTermKey),
    user: Option<&Principal>,
) -> Result<Option<Presented<'a>>, Refusal> {
    let malformed = because(ErrorCode::MODIFIED, MALFORMED);
    let Some(octets) = pac::find(ticket).map_err(&malformed)? else { return Ok(None) };
    let presented = parse(kdc, octets, server)?;
    let pac = &presented.pac;
    let client = ticket.client.principal(ticket.client_realm).map_err(&malformed)?;
    let own = pac.verify_client(&client, ticket.auth_time);
    let same = match user {
        None => own,
        // Who has an @ in its name can't make its own PAC that of a user.
        Some(_) if own.is_ok() => Err(Error::Integrity),
        Some(user) => pac.verify_user(user, ticket.auth_time),
    };
    same.map_err(because(ErrorCode::MODIFIED, "the PAC in the ticket is of another client or login"))?;
    pac.verify_server(key.pac()).map_err(|error| unsigned(&error))?;
    if presented.ours {
        verify_kdc(kdc, now, (tgs, server), pac, ticket)?;
    }
    Ok(Some(presented))
}

/// The same where it was verified before.
///
/// # Errors
/// MODIFIED for what is no PAC.
pub fn read<'a>(kdc: &Kdc<'_>, ticket: &'a OpenTicket, server: &Entry) -> Result<Option<Presented<'a>>, Refusal> {
    let octets = ticket.pac().map_err(because(ErrorCode::MODIFIED, MALFORMED))?;
    octets.map(|octets| parse(kdc, octets, server)).transpose()
}

fn parse<'a>(kdc: &Kdc<'_>, octets: &'a [u8], server: &Entry) -> Result<Presented<'a>, Refusal> {
    let malformed = because(ErrorCode::MODIFIED, MALFORMED);
    let pac = Pac::parse(octets).map_err(&malformed)?;
    let wish = pac.attributes().map_err(&malformed)?;
    let ours = server.principal.realm() == kdc.policy.realm;
    Ok(Presented { pac, ours, wanted: wish.is_none_or(Wish::wanted) })
}

/// The KDC's own signatures. Nothing says which version of its key made them, so all are tried.
fn verify_kdc(
    kdc: &Kdc<'_>,
    now: Time,
    (tgs, server): (&Entry, &Entry),
    pac: &Pac<'_>,
    ticket: &EncTicketPart<'_>,
) -> Result<(), Refusal> {
    let signature = pac.signature(PacType::KDC_CHECKSUM).map_err(|error| unsigned(&error))?;
    let keys = tgs.living(now).flat_map(|set| &set.keys).filter(|key| kdc.policy.etypes.contains(&key.etype()));
    let keys = keys.map(|key| kdc_key(kdc, key, server)).filter(|key| key.checksum_type() == signature.kind);
    let mut failed = Error::ChecksumNotSupported(signature.kind);
    for key in keys {
        match pac.verify_kdc(&key).and_then(|()| verify_evidence(server, pac, ticket, &key)) {
            Ok(()) => return Ok(()),
            Err(error) => failed = error,
        }
    }
    Err(unsigned(&failed))
}

/// The signatures that keep a service from changing its own tickets.
fn verify_evidence(
    server: &Entry,
    pac: &Pac<'_>,
    ticket: &EncTicketPart<'_>,
    key: &PreparedChecksum,
) -> libkrb::Result<()> {
    if !for_service(&server.principal) {
        return Ok(());
    }
    pac.verify_full(key)?;
    pac.verify_ticket(key, &pac::signed_part(ticket))
}

fn unsigned(error: &Error) -> Refusal {
    match error {
        Error::ChecksumNotSupported(_) => {
            Refusal::new(ErrorCode::INAPP_CKSUM, "a signature of the PAC is not of its key's type")
        }
        _ => Refusal::new(ErrorCode::MODIFIED, "a signature of the PAC is missing or wrong"),
    }
}
