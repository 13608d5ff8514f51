//! The client's side of FAST (RFC 6113 5.4): the armor of an AS exchange, and the envelopes of
//! messages and their answers in both exchanges. Not here: whose ticket becomes armor.

use super::ap_message::ApMessage;
use super::refusal::Refusal;
use crate::ccache::Credential;
use crate::codes::PaType;
use crate::crypto::{Key, KeyUsage, Random};
use crate::error::{Error, ErrorCode, Result};
use crate::flags::ApOptions;
use crate::name::Principal;
use crate::preauth::fast::{self, Opened};
use crate::time::Instant;
use crate::wire::{self, KdcRep, KrbError, KrbFastResponse, MethodData};

/// The armor of one conversation: a ticket, and once it is used the key and the AP-REQ that are shown
/// with every message.
#[derive(Debug)]
pub(super) struct Armor {
    ticket: Credential,
    session: Key,
    made: Option<(Key, Vec<u8>)>,
}

impl Armor {
    /// Armor of a ticket-granting ticket.
    ///
    /// # Errors
    /// KRB_AP_ERR_NO_TGT for another ticket, [`Error::EtypeNotSupported`] if its key cannot be used.
    pub fn new(ticket: Credential) -> Result<Armor> {
        if ticket.server.tgs_target().is_none() {
            return Err(Error::protocol(ErrorCode::NO_TGT, "to be armor"));
        }
        Ok(Armor { session: ticket.key.key()?, ticket, made: None })
    }

    /// Whether the KDC of this realm can open it.
    pub fn serves(&self, realm: &str) -> bool {
        self.ticket.server.tgs_target() == Some(realm)
    }

    /// The armor key and the AP-REQ that the KDC gets it from.
    pub fn key(&mut self, now: Instant, random: &mut dyn Random) -> Result<&(Key, Vec<u8>)> {
        if self.made.is_none() {
            if self.ticket.end_time < now.time {
                return Err(Error::protocol(ErrorCode::TKT_EXPIRED, "that was to be armor"));
            }
            let subkey = Key::random(self.session.etype(), random)?;
            let message = ApMessage {
                credential: &self.ticket,
                session: &self.session,
                usage: KeyUsage::AP_REQ_AUTHENTICATOR,
                options: ApOptions::NONE,
                checksum: None,
                subkey: Some(&subkey),
                sequence: None,
                now,
                authdata: &[],
            };
            self.made = Some((fast::armor_key(&subkey, &self.session)?, message.seal(random)?));
        }
        self.made.as_ref().ok_or(Error::Integrity)
    }

    /// Makes the next message a new conversation, as after a change of the clock.
    pub fn renew(&mut self) {
        self.made = None;
    }
}

/// The envelope of a message that is out: its answer must come back in it.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    pub key: Key,
    pub nonce: u32,
}

impl Envelope {
    /// What the KDC sealed with a KRB-ERROR; `None`: anybody may have sent it.
    ///
    /// # Errors
    /// As [`fast::open_response`].
    pub fn open_error(&self, bytes: &[u8]) -> Result<Option<Opened>> {
        let error: KrbError<'_> = wire::decode(bytes)?;
        let padata: MethodData<'_> = error.data.and_then(|data| wire::decode(data).ok()).unwrap_or_default();
        fast::open_response(&self.key, padata)
    }

    /// The refusal in an envelope; the one outside does not count.
    ///
    /// # Errors
    /// [`Error::ReplyMismatch`] if there is none.
    pub fn refusal<'a>(&self, opened: &'a Opened) -> Result<Refusal<'a>> {
        let response = opened.response(self.nonce)?;
        let error = response.padata.iter().find(|element| element.kind == PaType::FX_ERROR);
        let error = error.ok_or(Error::ReplyMismatch("an envelope without the error that it is around"))?;
        Ok(Refusal { methods: response.padata, ..Refusal::read(error.value)? })
    }

    /// What the KDC sealed with a reply; `None`: nothing.
    ///
    /// # Errors
    /// [`Error::ReplyMismatch`] for an envelope of somebody else.
    pub fn open_reply(&self, rep: &KdcRep<'_>) -> Result<Option<Opened>> {
        fast::open_response(&self.key, rep.padata)
            .map_err(|_| Error::ReplyMismatch("an envelope that does not open with the armor key"))
    }

    /// The contents of a reply's envelope, which must vouch for the ticket; and the client it is for.
    ///
    /// # Errors
    /// [`Error::ReplyMismatch`] if it does not.
    pub fn reply<'a>(&self, opened: &'a Opened, rep: &KdcRep<'_>) -> Result<(KrbFastResponse<'a>, Principal)> {
        let response = opened.response(self.nonce)?;
        let finished = response.finished.ok_or(Error::ReplyMismatch("an envelope that vouches for no ticket"))?;
        fast::verify_ticket(&self.key, &finished, rep.ticket.der)
            .map_err(|_| Error::ReplyMismatch("another ticket than the envelope vouches for"))?;
        Ok((response, finished.client.principal(finished.client_realm)?))
    }
}

/// What a reply says, in its envelope if it came in one.
pub(super) struct Told<'a> {
    /// Whom the ticket is for: the name outside of an envelope may be nobody's.
    pub client: Principal,
    /// What counts of its padata.
    pub padata: MethodData<'a>,
    response: Option<KrbFastResponse<'a>>,
}

impl<'a> Told<'a> {
    /// `opened` is what [`Envelope::open_reply`] gave.
    ///
    /// # Errors
    /// As [`Envelope::reply`].
    pub fn of(envelope: Option<&Envelope>, opened: Option<&'a Opened>, rep: &KdcRep<'a>) -> Result<Told<'a>> {
        if let (Some(envelope), Some(opened)) = (envelope, opened) {
            let (response, client) = envelope.reply(opened, rep)?;
            return Ok(Told { client, padata: response.padata, response: Some(response) });
        }
        Ok(Told { client: rep.client.principal(rep.client_realm)?, padata: rep.padata, response: None })
    }

    /// Whether it came in an envelope.
    pub fn enveloped(&self) -> bool {
        self.response.is_some()
    }

    /// Whether its key was made stronger.
    pub fn is_stronger(&self) -> bool {
        self.response.is_some_and(|response| response.strengthen_key.is_some())
    }

    /// The reply key, made stronger as the envelope says.
    pub fn reply_key(&self, key: &Key) -> Result<Key> {
        match self.response.and_then(|response| response.strengthen_key) {
            Some(strengthen) => fast::strengthened(&strengthen.key()?, key),
            None => Ok(key.clone()),
        }
    }
}
