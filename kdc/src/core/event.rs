//! One event a request: what was asked, what was decided and why. Logs, metrics and audit read it.

use libkrb::codes::EncryptionType;
use libkrb::flags::TicketFlags;
use libkrb::{ErrorCode, Principal, Time};
use smallvec::SmallVec;

/// What kind of request it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Exchange {
    /// AS-REQ.
    As,
    /// TGS-REQ.
    Tgs,
    /// A change of a password (RFC 3244).
    Kpasswd,
    /// AP-REQ for `kadmin/fetch`: a service fetches its keys.
    Fetch,
    /// None of these: nothing that a KDC answers with a ticket.
    #[default]
    Other,
}

/// The facts of one request.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// The kind of request.
    pub exchange: Exchange,
    /// The client as asked (AS) or proven (TGS).
    pub client: Option<Principal>,
    /// The server as asked; the principal whose password was to be changed.
    pub server: Option<Principal>,
    /// The enctypes offered, as sent, at most 16 of them.
    pub offered: SmallVec<[EncryptionType; 16]>,
    /// In whose name the client asks, if in another's (MS-SFU).
    pub on_behalf_of: Option<Principal>,
    /// What was refused and why; `None` for an issued ticket.
    pub refusal: Option<(ErrorCode, &'static str)>,
    /// What was issued; `None` for a refusal.
    pub issued: Option<Issued>,
    /// How the client proved itself ("encrypted-timestamp"; empty: not at all).
    pub proof: &'static str,
    /// Whose ticket armored the request (RFC 6113 5.4: "ticket", "anonymous"; in a TGS-REQ "implicit", its
    /// own, or "explicit", another besides); empty: it did not come in FAST.
    pub armor: &'static str,
    /// What the ticket says of how the client proved itself, or what the presented one said.
    pub indicators: Vec<String>,
}

/// The facts of an issued ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued {
    /// When the client was authenticated.
    pub auth_time: Time,
    /// When the ticket becomes valid.
    pub start_time: Time,
    /// When it ends.
    pub end_time: Time,
    /// Until when it may be renewed.
    pub renew_till: Option<Time>,
    /// Its flags.
    pub flags: TicketFlags,
    /// Enctype of the ticket's encryption.
    pub ticket_etype: EncryptionType,
    /// Enctype of the session key.
    pub session_etype: EncryptionType,
    /// Enctype of the reply's encryption.
    pub reply_etype: EncryptionType,
}
