//! The AP exchange as a client sees it (RFC 4120 3.2): a ticket is shown to a service, which may
//! have to prove in turn that it could read it. Not here: the service's side ([`crate::service`])
//! and what is said afterwards ([`crate::session`]).

use super::ap_message::ApMessage;
use super::refusal::Refusal;
use crate::ccache::Credential;
use crate::codes::{ChecksumType, MessageType};
use crate::crypto::{Key, KeyUsage, Random};
use crate::error::{Error, ErrorCode, Result};
use crate::flags::ApOptions;
use crate::session::{Role, Session};
use crate::time::Instant;
use crate::wire::{self, ApRep, Checksum, EncApRepPart};

/// What an AP-REQ carries besides the ticket.
#[derive(Clone, Debug)]
pub struct ApRequest {
    /// Whether the service shall prove itself with an AP-REP.
    pub mutual: bool,
    /// Whether to propose a key for this conversation alone.
    pub subkey: bool,
    /// Whether to begin a count of messages.
    pub sequence: bool,
    /// The authenticator's checksum: over the application's data in key usage 10, or what the
    /// application defines.
    pub checksum: Option<(ChecksumType, Vec<u8>)>,
}

impl Default for ApRequest {
    /// Mutual authentication, a subkey and a sequence number.
    fn default() -> ApRequest {
        ApRequest { mutual: true, subkey: true, sequence: true, checksum: None }
    }
}

/// A ticket that was shown to a service.
#[derive(Debug)]
pub struct ApExchange {
    mutual: bool,
    clock: Instant,
    session: ApSession,
}

/// What client and service share after the exchange.
#[derive(Clone, Debug)]
pub struct ApSession {
    /// The key of the ticket.
    pub session_key: Key,
    /// The client's proposal.
    pub client_subkey: Option<Key>,
    /// The service's answer to it, or its own proposal.
    pub acceptor_subkey: Option<Key>,
    /// The number of the client's first message; 0 if none was sent.
    pub send_seq: u32,
    /// The number of the service's first message; 0 if none was sent.
    pub recv_seq: u32,
}

impl ApExchange {
    /// The exchange and its AP-REQ. A ticket that is encrypted in a session key (user-to-user) is
    /// marked as such. `now` is the service's clock, as far as it is known.
    ///
    /// # Errors
    /// [`Error::EtypeNotSupported`] if the ticket's key cannot be used, [`Error::Malformed`] if the
    /// credential holds no ticket.
    pub fn new(
        credential: &Credential,
        request: &ApRequest,
        now: Instant,
        random: &mut dyn Random,
    ) -> Result<(ApExchange, Vec<u8>)> {
        let etype = credential.key.key()?.etype();
        let subkey = request.subkey.then(|| Key::random(etype, random)).transpose()?;
        ApExchange::with_subkey(credential, request, subkey, now, random)
    }

    /// The same with a subkey of the caller's, who has used it already: in the checksum.
    ///
    /// # Errors
    /// As [`ApExchange::new`].
    pub(crate) fn with_subkey(
        credential: &Credential,
        request: &ApRequest,
        subkey: Option<Key>,
        now: Instant,
        random: &mut dyn Random,
    ) -> Result<(ApExchange, Vec<u8>)> {
        let session = credential.key.key()?;
        let sequence = request.sequence.then(|| sequence(random));
        let checksum = request.checksum.as_ref();
        let message = ApMessage {
            credential,
            session: &session,
            usage: KeyUsage::AP_REQ_AUTHENTICATOR,
            options: ApOptions::NONE
                .with(ApOptions::MUTUAL_REQUIRED, request.mutual)
                .with(ApOptions::USE_SESSION_KEY, credential.is_skey),
            checksum: checksum.map(|(kind, checksum)| Checksum { kind: *kind, checksum }),
            subkey: subkey.as_ref(),
            sequence,
            now,
            authdata: &[],
        };
        let message = message.seal(random)?;
        let session = ApSession {
            session_key: session,
            client_subkey: subkey,
            acceptor_subkey: None,
            send_seq: sequence.unwrap_or(0),
            recv_seq: 0,
        };
        Ok((ApExchange { mutual: request.mutual, clock: now, session }, message))
    }

    /// Checks the AP-REP: only who could read the ticket knows what the authenticator said.
    ///
    /// # Errors
    /// KRB_AP_ERR_MUT_FAIL if the reply proves nothing; the code of a KRB-ERROR in its place;
    /// [`Error::Malformed`] if it is neither.
    pub fn finish(self, reply: &[u8]) -> Result<ApSession> {
        const UNPROVEN: Error = Error::code(ErrorCode::MUT_FAIL);
        if wire::application_tag(reply) == Some(MessageType::ERROR.0 as u8) {
            return Err(Refusal::read(reply)?.error());
        }
        let rep: ApRep<'_> = wire::decode(reply)?;
        let key = &self.session.session_key;
        if rep.enc_part.etype != key.etype() {
            return Err(UNPROVEN);
        }
        let plain = key.decrypt(KeyUsage::AP_REP, rep.enc_part.cipher).map_err(|_| UNPROVEN)?;
        let part: EncApRepPart<'_> = wire::decode(&plain)?;
        // Both in any case: how long it takes must not tell which of them was wrong.
        let differences =
            (part.time.seconds() ^ self.clock.time.seconds()) | i64::from(part.micros ^ self.clock.micros);
        if differences != 0 {
            return Err(UNPROVEN);
        }
        let acceptor_subkey = part.subkey.map(|subkey| subkey.key()).transpose()?;
        Ok(ApSession { acceptor_subkey, recv_seq: part.sequence.unwrap_or(0), ..self.session })
    }

    /// What is shared already before the service has answered.
    pub(super) fn begun(&self) -> &ApSession {
        &self.session
    }

    /// What is shared when no AP-REP was wanted.
    ///
    /// # Errors
    /// KRB_AP_ERR_MUT_FAIL if one was.
    pub fn without_reply(self) -> Result<ApSession> {
        if self.mutual { Err(Error::code(ErrorCode::MUT_FAIL)) } else { Ok(self.session) }
    }
}

impl ApSession {
    /// The key of the conversation: the last one proposed (RFC 4120 3.2.6).
    pub fn key(&self) -> &Key {
        self.acceptor_subkey.as_ref().or(self.client_subkey.as_ref()).unwrap_or(&self.session_key)
    }

    /// The client's end of a conversation in which no message is lost.
    pub fn session(&self) -> Session {
        Session::new(self.key(), Role::Initiator, self.send_seq, self.recv_seq)
    }
}

/// A first sequence number. Of 30 bits: old peers count with a sign and may not wrap around.
fn sequence(random: &mut dyn Random) -> u32 {
    let mut octets = [0; 4];
    random.fill(&mut octets);
    u32::from_be_bytes(octets) & 0x3fff_ffff
}

#[cfg(test)]
mod tests;
