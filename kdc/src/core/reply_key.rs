//! The key that seals an AS-REP: the client's own, one that the proof brought, and what FAST makes of
//! either. Not here: what it seals.

use libkrb::codes::PaType;
use libkrb::crypto::{Key, KeyUsage, Random};
use libkrb::preauth::pkinit::{joint_session_key, seal_contribution};
use libkrb::{ErrorCode, Time};
use smallvec::SmallVec;

use super::as_req::Gathered;
use super::entry::LongTermKey;
use super::fast::{Armor, Sealing};
use super::grant::{Element, SealingKey};
use super::preauth::{self, Proof};
use super::refuse::{Refusal, because};
use super::{Arrival, etypes};

/// What seals the reply.
pub enum ReplyKey<'a> {
    /// The client's own key.
    LongTerm(&'a LongTermKey, u32),
    /// One that the proof brought, or FAST made stronger; with the version of the client's own that it
    /// was made of.
    Agreed(Key, Option<u32>),
}

impl<'a> ReplyKey<'a> {
    /// Who proved himself has the keys that he did it with, and perhaps no others.
    pub fn of(gathered: &'a Gathered<'_>, proof: Option<&Proof>, now: Time) -> Result<Self, Refusal> {
        if let Some(agreed) = proof.and_then(|proof| proof.reply_key.clone()) {
            return Ok(ReplyKey::Agreed(agreed, None));
        }
        let client = &gathered.client;
        let known = match proof.and_then(|proof| proof.kvno) {
            Some(kvno) => client.version(kvno),
            None => client.current(now),
        };
        let (key, kvno) = etypes::reply_key(known, &gathered.offered)?;
        Ok(ReplyKey::LongTerm(key, kvno))
    }

    /// The key itself.
    pub fn key(&self) -> &Key {
        match self {
            ReplyKey::LongTerm(key, _) => &key.key,
            ReplyKey::Agreed(key, _) => key,
        }
    }

    /// A session key that this key has a part in, and what tells the client the other part (RFC 8062 7).
    pub fn join(&self, other: Key, random: &mut dyn Random) -> Result<(Key, Option<Element>), Refusal> {
        let session = joint_session_key(&other, self.key());
        let session = session.map_err(because(ErrorCode::ETYPE_NOSUPP, "no joint session key can be made"))?;
        Ok((session, Some((PaType::PKINIT_KX, seal_contribution(&other, self.key(), random).into()))))
    }

    /// How the client makes it, if it is made from a password.
    pub fn hint(&self, gathered: &Gathered<'_>) -> Option<Element> {
        match self {
            ReplyKey::LongTerm(key, _) => {
                let info = key.info(|| preauth::etype_info2(gathered, [*key].into_iter()));
                Some((PaType::ETYPE_INFO2, SmallVec::from_slice(info)))
            }
            ReplyKey::Agreed(..) => None,
        }
    }

    /// The key as it is in the request's envelope, if it came in one: made stronger, so that nobody who
    /// listens can guess by the reply. Heimdal's clients, which alone send timestamps in FAST, don't know
    /// how to open such a reply; `as_it_was` is for them.
    pub fn enveloped<'b>(
        self,
        armor: Option<&'b Armor>,
        as_it_was: bool,
        at: Arrival,
        random: &mut dyn Random,
    ) -> Result<(Self, Option<Sealing<'b>>), Refusal> {
        let Some(armor) = armor else { return Ok((self, None)) };
        if as_it_was {
            return Ok((self, Some(armor.plain(at.now))));
        }
        let kvno = match self {
            ReplyKey::LongTerm(_, kvno) => Some(kvno),
            ReplyKey::Agreed(_, kvno) => kvno,
        };
        let (key, sealing) = match &self {
            ReplyKey::LongTerm(key, _) => armor.strengthen(at.now, random, key.prf())?,
            ReplyKey::Agreed(key, _) => armor.strengthen(at.now, random, &key.prepare_prf())?,
        };
        Ok((ReplyKey::Agreed(key, kvno), Some(sealing)))
    }

    /// The key, ready to seal the reply.
    pub fn sealing(self) -> SealingKey<'a> {
        match self {
            ReplyKey::LongTerm(key, kvno) => SealingKey::long_term(key, kvno, LongTermKey::reply),
            ReplyKey::Agreed(key, kvno) => {
                SealingKey { kvno, ..SealingKey::session(key.prepare(KeyUsage::AS_REP_ENC_PART)) }
            }
        }
    }
}
