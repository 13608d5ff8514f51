//! A grant: what the checks allowed and [`super::issue`] seals. Nothing else makes one.

use std::borrow::Cow;

use libkrb::codes::{EncryptionType, MessageType, PaType};
use libkrb::crypto::{Key, KeyUsage, PreparedKey};
use libkrb::flags::TicketFlags;
use libkrb::wire::{AuthData, HostAddress, LastReq, List, TransitedEncoding};
use libkrb::{Principal, Time};
use smallvec::SmallVec;

use super::claims::Claims;
use super::entry::LongTermKey;
use super::fast::Sealing;
use super::pac;

/// An element of padata.
pub type Element = (PaType, SmallVec<[u8; 48]>);

/// Few and short as they mostly are, they take no memory of their own.
pub type Elements = SmallVec<[Element; 2]>;

/// A ticket and reply to be sealed.
pub struct Grant<'a> {
    /// [`MessageType::AS_REP`] or [`MessageType::TGS_REP`].
    pub kind: MessageType,
    /// The client, as ticket and reply name it.
    pub client: &'a Principal,
    /// The server, as ticket and reply name it.
    pub server: &'a Principal,
    /// The ticket's flags.
    pub flags: TicketFlags,
    /// The ticket's times.
    pub times: Times,
    /// Where the ticket may be used from.
    pub addresses: Option<List<'a, HostAddress<'a>>>,
    /// The realms on the way.
    pub transited: TransitedEncoding<'a>,
    /// What the ticket carries on.
    pub authorization_data: Vec<AuthData<'a>>,
    /// What the KDC itself says of the client.
    pub claims: Claims,
    /// The PAC to be made.
    pub pac: Option<pac::Plan<'a>>,
    /// The key of the ticket-granting service and its version: the KDC vouches with it to itself.
    pub tgs_key: Option<(&'a LongTermKey, u32)>,
    /// The new session key.
    pub session: Key,
    /// Seals the ticket.
    pub ticket_key: SealingKey<'a>,
    /// Seals the reply.
    pub reply_key: SealingKey<'a>,
    /// The request's nonce.
    pub nonce: u32,
    /// What the client should know of earlier logins and of expirations.
    pub last_req: SmallVec<[LastReq; 2]>,
    /// When the client's key or account expires.
    pub key_expiration: Option<Time>,
    /// The envelope that the reply goes back in (RFC 6113 5.4).
    pub envelope: Option<Sealing<'a>>,
    /// padata of the reply, in the clear but for an envelope.
    pub padata: Elements,
    /// padata of the reply, encrypted (RFC 6806 11).
    pub encrypted_padata: Elements,
}

/// The times of a ticket (RFC 4120 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When the client was authenticated.
    pub auth: Time,
    /// When the ticket becomes valid.
    pub start: Time,
    /// When it ends.
    pub end: Time,
    /// Until when it may be renewed.
    pub renew_till: Option<Time>,
}

/// A key with what EncryptedData says of it.
pub struct SealingKey<'a> {
    /// The key, ready for the usage at hand.
    pub key: Cow<'a, PreparedKey>,
    /// Its version; none for session keys.
    pub kvno: Option<u32>,
    /// The key itself, for what is signed with it; only of a key that seals tickets.
    pub signs: Option<pac::Sealer<'a>>,
}

impl<'a> SealingKey<'a> {
    /// A long-term key, by what prepares it.
    pub fn long_term(key: &'a LongTermKey, kvno: u32, prepared: fn(&LongTermKey) -> &PreparedKey) -> Self {
        SealingKey { key: Cow::Borrowed(prepared(key)), kvno: Some(kvno), signs: Some(pac::Sealer::LongTerm(key)) }
    }

    /// A session key or subkey.
    pub fn session(key: PreparedKey) -> Self {
        SealingKey { key: Cow::Owned(key), kvno: None, signs: None }
    }

    /// The session key of a server's own ticket, which seals tickets for user-to-user (RFC 4120 3.7).
    pub fn user_to_user(key: Key) -> Self {
        SealingKey {
            signs: Some(pac::Sealer::Session(key.clone())),
            ..SealingKey::session(key.prepare(KeyUsage::TICKET))
        }
    }

    /// The key's enctype.
    pub fn etype(&self) -> EncryptionType {
        self.key.etype()
    }
}
