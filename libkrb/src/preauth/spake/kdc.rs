//! The KDC's side of an exchange (RFC 9588 4.2, 4.3): a challenge goes out, a response comes in, and in
//! between there is a state, which the KDC keeps or has its client carry for it.

use std::fmt;

use zeroize::Zeroizing;

use super::factor::{FACTORS, Factor};
use super::group::{Group, Mask, Secret};
use super::keys::{Initial, Keys};
use super::transcript::Transcript;
use crate::crypto::Random;
use crate::error::{Error, Result};
use crate::wire::{self, List, PaSpake, SpakeChallenge, SpakeResponse, SpakeSecondFactor};

/// What a KDC keeps from the challenge to the response. Who has it and listened can guess passwords.
pub struct State {
    group: &'static Group,
    private: Secret,
    transcript: Transcript,
}

/// The group for a client that sent this list of groups: the first of its own that is `allowed`.
pub fn choose(support: List<'_, i32>, allowed: &[&'static Group]) -> Option<&'static Group> {
    // Whoever sends a long list does not make long work of it.
    support.iter().take(32).find_map(|number| allowed.iter().find(|group| group.number == number).copied())
}

/// A challenge, and what to keep of it. `support` is the client's message as it came; without it the
/// challenge is an optimistic one (RFC 9588 4.6).
///
/// # Errors
/// None for the enctypes of this library.
pub fn challenge(initial: &Initial, support: Option<&[u8]>, random: &mut dyn Random) -> Result<(Vec<u8>, State)> {
    let group = initial.group();
    let private = group.arithmetic.private(random);
    let public = group.arithmetic.public(&private, initial.hidden(Mask::M)).ok_or(Error::Integrity)?;
    let data: Vec<_> = FACTORS.iter().map(|factor| (factor.kind, (factor.challenge)())).collect();
    let factors: Vec<_> =
        data.iter().map(|(kind, data)| SpakeSecondFactor { kind: *kind, data: data.as_deref() }).collect();
    let message =
        PaSpake::Challenge(SpakeChallenge { group: group.number, public: &public, factors: List::Items(&factors) });
    let message = wire::encode(&message);
    let transcript = Transcript::begin(group, support, &message);
    Ok((message, State { group, private, transcript }))
}

impl State {
    /// Opens a client's response to the challenge; `initial` is of the same group. `body` is the KDC-REQ-BODY that came with it, and
    /// within FAST the inner one (RFC 9588 7).
    ///
    /// # Errors
    /// [`Error::Integrity`] if the client has another key, or anything was changed on the way;
    /// [`Error::Malformed`] for what is no public key or no second factor.
    pub fn open(&self, initial: &Initial, response: &SpakeResponse<'_>, body: &[u8]) -> Result<Keys> {
        const NOT_PUBLIC: Error = Error::Malformed("no public key of the group");
        let group = self.group;
        let hidden = initial.hidden(Mask::N);
        let shared = group.arithmetic.shared(&self.private, response.public, hidden).ok_or(NOT_PUBLIC)?;
        let transcript = self.transcript.end(group, response.public);
        let keys = Keys::new(initial, &shared, &transcript, body);
        let plain = keys.open(1, &response.factor)?;
        let factor: SpakeSecondFactor<'_> = wire::decode(&plain)?;
        match Factor::of(factor.kind) {
            Some(row) if (row.holds)(factor.data) => Ok(keys),
            _ => Err(Error::Malformed("a second factor that was not asked for")),
        }
    }

    /// The group that was chosen.
    pub fn group(&self) -> &'static Group {
        self.group
    }

    /// The state as octets, to be sealed.
    pub fn octets(&self) -> Zeroizing<Vec<u8>> {
        let number = self.group.number.to_be_bytes();
        let parts: [&[u8]; 3] = [&number, &self.private, self.transcript.octets()];
        let mut octets = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
        parts.iter().for_each(|part| octets.extend_from_slice(part));
        octets
    }

    /// The state that [`State::octets`] wrote.
    ///
    /// # Errors
    /// [`Error::Malformed`] for anything else.
    pub fn parse(octets: &[u8]) -> Result<State> {
        let parts = || {
            let (number, rest) = octets.split_first_chunk::<4>()?;
            let group = Group::of(i32::from_be_bytes(*number))?;
            // Private keys are as long as multipliers, for both are numbers up to the order.
            let (private, transcript) = rest.split_at_checked(group.multiplier_len)?;
            Some((group, private, transcript))
        };
        let (group, private, transcript) = parts().ok_or(Error::Malformed("no state of a SPAKE exchange"))?;
        State::resume(group, private, transcript)
    }

    /// The state of these parts: the private key in the group's serialization and the transcript hash
    /// after the challenge.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a hash of another length than the group's.
    pub fn resume(group: &'static Group, private: &[u8], transcript: &[u8]) -> Result<State> {
        let transcript = Transcript::resume(group, transcript).ok_or(Error::Malformed("no hash of the group's"))?;
        Ok(State { group, private: Zeroizing::new(private.to_vec()), transcript })
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({:?}, redacted)", self.group)
    }
}
