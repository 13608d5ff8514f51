//! Remembering authenticators, so that none is accepted twice (RFC 4120 3.2.3, 3.3.3). Not here: the
//! KDC's lookaside, which answers the same bytes with the same answer.

mod event;
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
mod file;
mod memory;
#[cfg(feature = "redis")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
mod redis;
mod scatter;
mod table;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use sha2::{Digest, Sha256};

pub use event::{Event, Observer};
pub use file::{Durability, FileOptions, FileReplayCache};
pub use memory::MemoryReplayCache;
#[cfg(feature = "redis")]
pub use redis::{RedisOptions, RedisReplayCache, WhenAway};

use crate::codes::EncryptionType;
use crate::error::{Error, ErrorCode, Result};
use crate::time::Time;
use crate::wire::{EncryptedData, EncryptionKey};

/// What is remembered of an authenticator: a digest of decrypted data and of nothing else.
///
/// RFC 4120 3.2.3 names server, client, time and microseconds. The decrypted authenticator has the
/// last three, and the session key stands for the server: it comes from inside the ticket, while
/// the server name beside the ticket is anyone's to change, and two names may share one key. The
/// further contents tell apart two authenticators that clients of one principal made in the same
/// microsecond; they cannot be changed without the session key either.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplayKey([u8; 16]);

impl ReplayKey {
    /// The key of a decrypted authenticator, and of the session key that its ticket holds.
    pub fn of_authenticator(session: EncryptionKey<'_>, authenticator: &[u8]) -> ReplayKey {
        ReplayKey::new([session.value, authenticator])
    }

    /// The key of a ciphertext, told without a hash where it ends in an HMAC that was verified: nobody makes another
    /// that ends alike, not even one who has a key (with a CMAC he could). Not for caches that are kept: there it is
    /// not what [`ReplayKey::of_authenticator`] says. MIT krb5 does so since 1.18. To be asked for when it was opened:
    /// before, the end of it is anyone's to choose.
    pub fn of_opened(sealed: &EncryptedData<'_>) -> ReplayKey {
        const WITH_HMAC: [EncryptionType; 4] = [
            EncryptionType::AES256_SHA1,
            EncryptionType::AES128_SHA1,
            EncryptionType::AES256_SHA384,
            EncryptionType::AES128_SHA256,
        ];
        let end = sealed.cipher.last_chunk().filter(|_| WITH_HMAC.contains(&sealed.etype));
        end.map_or_else(|| ReplayKey::new([sealed.cipher]), |end| ReplayKey(*end))
    }

    /// The key of other decrypted data, such as an encrypted timestamp.
    pub fn new<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> ReplayKey {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let mut key = [0; 16];
        key.iter_mut().zip(digest.finalize()).for_each(|(to, from)| *to = from);
        ReplayKey(key)
    }

    /// The digest, for a cache that is kept elsewhere.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for ReplayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplayKey")
    }
}

/// What a replay cache says of an authenticator.
#[must_use = "only a fresh authenticator may be accepted"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Never seen, and from now on known.
    Fresh,
    /// Seen before, or so old that it may have been seen and forgotten: KRB_AP_ERR_REPEAT.
    Replay,
    /// No room to remember it, so it must be refused.
    Full,
    /// Nobody knows: the cache is kept elsewhere and cannot be asked. It must be refused.
    Unavailable,
}

impl Verdict {
    /// The verdict as a service has to take it: only what is fresh goes on.
    ///
    /// # Errors
    /// KRB_AP_ERR_REPEAT for a replay. The others tell the client nothing of our cache but that it
    /// may come again later: their texts are for our own log.
    pub fn admit(self) -> Result<()> {
        let (code, text) = match self {
            Verdict::Fresh => return Ok(()),
            Verdict::Replay => return Err(Error::code(ErrorCode::REPEAT)),
            Verdict::Full => (ErrorCode::GENERIC, "the replay cache is full"),
            Verdict::Unavailable => (ErrorCode::SVC_UNAVAILABLE, "the replay cache cannot be asked"),
        };
        Err(Error::protocol(code, text))
    }
}

/// A verdict that is still to come.
pub type Pending<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// A memory of authenticators, shared by all that serve with the same key.
pub trait ReplayCache: Send + Sync {
    /// Looks for an authenticator of that time, and remembers it: one step, so that of many who
    /// bring the same one at once a single one hears [`Verdict::Fresh`].
    ///
    /// To be asked last, when every other check has passed: what is refused need not be remembered.
    fn insert(&self, key: ReplayKey, time: Time, now: Time) -> Verdict;

    /// The same for a task, which must not wait on its thread: a cache that is asked over a network
    /// awaits the answer here. Dropping the future may leave the authenticator remembered.
    fn insert_async<'a>(&'a self, key: ReplayKey, time: Time, now: Time) -> Pending<'a> {
        Box::pin(async move { self.insert(key, time, now) })
    }
}

#[cfg(test)]
mod tests;
