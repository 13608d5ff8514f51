//! What follows the AP exchange: messages that cannot be changed (KRB-SAFE) or read (KRB-PRIV), and
//! tickets on their way to another host (KRB-CRED), under the key that both sides now share
//! (RFC 4120 3.4 to 3.6). Not here: how the key came about ([`crate::client`], [`crate::service`]).
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod address;
mod cred;
mod message;

use std::fmt;
use std::sync::Arc;

pub use address::Address;
pub(crate) use cred::open_enclosed_cred;
pub use cred::{CredTicket, ReceivedCred, make_cred, open_cred};

use crate::crypto::{Key, KeyUsage, PreparedChecksum, PreparedKey};
use crate::replay::ReplayCache;
use crate::time::{Instant, Seconds};

/// How far the clocks may differ where nothing else was said (RFC 4120 3.2.3, "e.g., 5 minutes").
pub const DEFAULT_SKEW: Seconds = 300;

/// Which side of the AP exchange this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that sent the AP-REQ.
    Initiator,
    /// The one that received it.
    Acceptor,
}

/// One end of a conversation.
///
/// The key is the last one that was negotiated: the acceptor's subkey, else the initiator's, else
/// the session key (RFC 4120 3.2.6). Each message bears a sequence number, a time, or both; what
/// arrives is refused unless it is the next one, or new and current.
pub struct Session {
    key: Key,
    privacy: PreparedKey,
    integrity: PreparedChecksum,
    role: Role,
    local: Address,
    remote: Option<Address>,
    sequence: Option<Sequence>,
    /// Where times are on every message: which were seen.
    replay: Option<Arc<dyn ReplayCache>>,
    skew: Seconds,
    /// When the last message was sent: no two bear the same time.
    last_sent: Instant,
}

/// The numbers of the next messages.
struct Sequence {
    send: u32,
    receive: u32,
}

impl Session {
    /// A conversation in which no message is lost: each bears the next sequence number. The first
    /// ones are those of the authenticator and the AP-REP; one that was not sent is 0.
    ///
    /// Messages bear directional addresses (RFC 4120 7.1), which pass through address translation.
    pub fn new(key: &Key, role: Role, send: u32, receive: u32) -> Session {
        let (local, remote) = match role {
            Role::Initiator => (Address::initiator(), Address::acceptor()),
            Role::Acceptor => (Address::acceptor(), Address::initiator()),
        };
        Session {
            privacy: key.prepare(KeyUsage::KRB_PRIV),
            integrity: key.prepare_checksum(KeyUsage::KRB_SAFE),
            key: key.clone(),
            role,
            local,
            remote: Some(remote),
            sequence: Some(Sequence { send, receive }),
            replay: None,
            skew: DEFAULT_SKEW,
            last_sent: Instant::default(),
        }
    }

    /// A conversation in which messages may be lost or overtake each other: each bears a time, and
    /// `replay` remembers those of the last `skew` seconds.
    pub fn unordered(key: &Key, role: Role, skew: Seconds, replay: Arc<dyn ReplayCache>) -> Session {
        Session { sequence: None, ..Session::new(key, role, 0, 0).with_times(skew, replay) }
    }

    /// The same with a time on each message, also on those that are expected.
    #[must_use]
    pub fn with_times(self, skew: Seconds, replay: Arc<dyn ReplayCache>) -> Session {
        Session { replay: Some(replay), skew, ..self }
    }

    /// The same with these addresses in place of directional ones. Without `remote` the sender's
    /// address is not checked, but that a message is not our own.
    #[must_use]
    pub fn with_addresses(self, local: Address, remote: Option<Address>) -> Session {
        Session { local, remote, ..self }
    }

    /// The key of the conversation.
    pub fn key(&self) -> &Key {
        &self.key
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({:?}, {:?})", self.role, self.key)
    }
}

#[cfg(test)]
mod tests;
