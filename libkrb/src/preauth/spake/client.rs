//! The client's side of an exchange (RFC 9588 4.2, 4.3): which groups it knows, and its answer to a
//! KDC's challenge.

use super::factor::Factor;
use super::group::{Group, Mask};
use super::keys::{Initial, Keys, factor};
use super::transcript::Transcript;
use crate::crypto::{Key, Random};
use crate::error::{Error, Result};
use crate::wire::{self, EncryptedData, List, PaSpake, SpakeChallenge, SpakeResponse, SpakeSupport};

/// The message that names the groups, the favourite first.
pub fn support(groups: &[&'static Group]) -> Vec<u8> {
    let numbers: Vec<_> = groups.iter().map(|group| group.number).collect();
    wire::encode(&PaSpake::Support(SpakeSupport { groups: List::Items(&numbers) }))
}

/// What a KDC says in its element.
#[derive(Debug)]
pub enum Said<'a> {
    /// That it knows SPAKE.
    Known,
    /// A challenge in a group that is known here.
    Challenge(Challenge<'a>),
    /// A challenge in another group.
    Elsewhere,
    /// A challenge that only a second factor can answer that is not known here.
    Beyond,
}

/// A challenge that can be answered.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    message: &'a [u8],
    group: &'static Group,
    public: &'a [u8],
    factor: &'static Factor,
    data: Option<&'a [u8]>,
}

/// Reads a KDC's element.
///
/// # Errors
/// [`Error::Malformed`] for what no KDC says.
pub fn read<'a>(value: &'a [u8], groups: &[&'static Group]) -> Result<Said<'a>> {
    if value.is_empty() {
        return Ok(Said::Known);
    }
    let PaSpake::Challenge(SpakeChallenge { group, public, factors }) = wire::decode(value)? else {
        return Err(Error::Malformed("PA-SPAKE: a challenge was expected"));
    };
    let Some(group) = groups.iter().find(|known| known.number == group).copied() else {
        return Ok(Said::Elsewhere);
    };
    let known = factors.iter().find_map(|offered| Some((Factor::of(offered.kind)?, offered.data)));
    let Some((factor, data)) = known else { return Ok(Said::Beyond) };
    Ok(Said::Challenge(Challenge { message: value, group, public, factor, data }))
}

impl Challenge<'_> {
    /// The response, and the keys. `support` is the message that was sent before the challenge came, if
    /// one was; `body` the KDC-REQ-BODY that the response goes with, and within FAST the inner one.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the KDC's public key is none.
    pub fn respond(
        &self,
        initial: &Key,
        support: Option<&[u8]>,
        body: &[u8],
        random: &mut dyn Random,
    ) -> Result<(Vec<u8>, Keys)> {
        const NOT_PUBLIC: Error = Error::Malformed("PA-SPAKE: no public key of the group");
        let arithmetic = self.group.arithmetic;
        let initial = Initial::new(initial, self.group)?;
        let private = arithmetic.private(random);
        let shared = arithmetic.shared(&private, self.public, initial.hidden(Mask::M)).ok_or(NOT_PUBLIC)?;
        let public = arithmetic.public(&private, initial.hidden(Mask::N)).ok_or(NOT_PUBLIC)?;
        let transcript = Transcript::begin(self.group, support, self.message).end(self.group, &public);
        let keys = Keys::new(&initial, &shared, &transcript, body);
        let data = (self.factor.answer)(self.data);
        let cipher = keys.seal(1, random, &factor(self.factor.kind, data.as_deref()))?;
        let factor = EncryptedData { etype: initial.etype(), kvno: None, cipher: &cipher };
        Ok((wire::encode(&PaSpake::Response(SpakeResponse { public: &public, factor })), keys))
    }

    /// The KDC's group.
    pub fn group(&self) -> &'static Group {
        self.group
    }
}
