//! FAST: pre-authentication inside an envelope (RFC 6113 5.4). The envelope's key comes from a ticket
//! that the client has already, so that who listens learns nothing to guess a password by, and who
//! stands between cannot change a word. Not here: whose ticket it is, and what is in the envelope.

use crate::codes::PaType;
use crate::crypto::{BaseKey, Key, KeyUsage, Pepper, Plain, PreparedChecksum, PreparedKey, PreparedPrf, Random};
use crate::error::{Error, Result};
use crate::flags::FastOptions;
use crate::time::Instant;
use crate::wire::{
    self, Checksum, Encode, EncryptedData, KrbFastArmor, KrbFastArmoredRep, KrbFastArmoredReq, KrbFastFinished,
    KrbFastReq, KrbFastResponse, List, PaData, PaFxFastReply, PaFxFastRequest, PrincipalName, Raw, Writer,
};

/// The armor key of a ticket and the subkey of the authenticator that it is shown with: of an armor
/// ticket in an AS-REQ, of the ticket itself in a TGS-REQ (RFC 6113 5.4.1.1, 5.4.2).
///
/// # Errors
/// None for keys of this library's enctypes.
pub fn armor_key(subkey: &Key, session: &Key) -> Result<Key> {
    armor_key_of(&subkey.prepare_prf(), &session.prepare_prf())
}

/// The same, of keys that are prepared.
///
/// # Errors
/// As [`armor_key`].
pub fn armor_key_of(subkey: &PreparedPrf, session: &PreparedPrf) -> Result<Key> {
    static SUBKEY: Pepper<'_> = Pepper::new(b"subkeyarmor");
    static TICKET: Pepper<'_> = Pepper::new(b"ticketarmor");
    subkey.cf2(&SUBKEY, session, &TICKET)
}

/// The armor key of a TGS-REQ that brings an armor ticket besides (MS-KILE 3.3.5.7.4): of that
/// ticket's armor key and the subkey of the request's authenticator.
///
/// # Errors
/// None for keys of this library's enctypes.
pub fn explicit_armor_key(armor: &Key, subkey: &PreparedPrf) -> Result<Key> {
    static ARMOR: Pepper<'_> = Pepper::new(b"explicitarmor");
    static SUBKEY: Pepper<'_> = Pepper::new(b"tgsarmor");
    armor.prepare_prf().cf2(&ARMOR, subkey, &SUBKEY)
}

/// The reply key of an answer in FAST (RFC 6113 5.4.3).
///
/// # Errors
/// None for keys of this library's enctypes.
pub fn strengthened(strengthen_key: &Key, reply_key: &Key) -> Result<Key> {
    strengthened_by(strengthen_key, &reply_key.prepare_prf())
}

/// The same, of a reply key that is prepared.
///
/// # Errors
/// As [`strengthened`].
pub fn strengthened_by(strengthen_key: &Key, reply_key: &PreparedPrf) -> Result<Key> {
    static STRENGTHEN: Pepper<'_> = Pepper::new(b"strengthenkey");
    static REPLY: Pepper<'_> = Pepper::new(b"replykey");
    strengthen_key.prepare_prf().cf2(&STRENGTHEN, reply_key, &REPLY)
}

/// What goes into an envelope to a KDC.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The AP-REQ that the armor key comes from; `None`: the one of the TGS-REQ itself.
    pub ap_req: Option<&'a [u8]>,
    /// What of the outer message the envelope belongs to: the encoded KDC-REQ-BODY of an AS-REQ, the
    /// AP-REQ of a TGS-REQ.
    pub outer: &'a [u8],
    /// How the KDC shall behave.
    pub options: FastOptions,
    /// The request's padata.
    pub padata: &'a [PaData<'a>],
    /// The request's body, encoded.
    pub body: &'a [u8],
}

/// The value of PA-FX-FAST in a request (RFC 6113 5.4.2).
///
/// # Errors
/// [`Error::Malformed`] for a body that is none.
pub fn seal_request(armor: &Key, random: &mut dyn Random, request: &Request<'_>) -> Result<Vec<u8>> {
    let Request { ap_req, outer, options, padata, body } = *request;
    let inner = KrbFastReq { options, padata: List::Items(padata), body: Raw::parse(body)? };
    let cipher = armor.encrypt(KeyUsage::FAST_ENC, random, &wire::encode_secret(&inner));
    let checksum = armor.checksum(KeyUsage::FAST_REQ_CHECKSUM, outer);
    Ok(wire::encode(&PaFxFastRequest(KrbFastArmoredReq {
        armor: ap_req.map(|value| KrbFastArmor { kind: KrbFastArmor::AP_REQUEST, value }),
        checksum: Checksum { kind: armor.checksum_type(), checksum: &checksum },
        sealed: EncryptedData { etype: armor.etype(), kvno: None, cipher: &cipher },
    })))
}

/// What an envelope held, decrypted.
pub struct Opened(Plain);

/// Opens the envelope of a request; `outer` as in [`Request`].
///
/// # Errors
/// [`Error::Integrity`] if it was sealed with another key, or belongs to another message.
pub fn open_request(armor: &Key, request: &KrbFastArmoredReq<'_>, outer: &[u8]) -> Result<Opened> {
    let Checksum { kind, checksum } = request.checksum;
    armor.derive(|armor| {
        armor.verify_checksum(KeyUsage::FAST_REQ_CHECKSUM, kind, outer, checksum)?;
        open(armor, KeyUsage::FAST_ENC, &request.sealed)
    })
}

fn open(armor: &BaseKey<'_>, usage: KeyUsage, sealed: &EncryptedData<'_>) -> Result<Opened> {
    if sealed.etype != armor.etype() {
        return Err(Error::Integrity);
    }
    armor.open(usage, sealed.cipher).map(Opened)
}

impl Opened {
    /// The request that was in it.
    ///
    /// # Errors
    /// [`Error::Malformed`] when something else was.
    pub fn request(&self) -> Result<KrbFastReq<'_>> {
        wire::decode(&self.0)
    }

    /// The reply that was in it, which must be to the message with this nonce.
    ///
    /// # Errors
    /// [`Error::Malformed`] when something else was, [`Error::ReplyMismatch`] for another nonce.
    pub fn response(&self, nonce: u32) -> Result<KrbFastResponse<'_>> {
        let response: KrbFastResponse<'_> = wire::decode(&self.0)?;
        if response.nonce != nonce {
            return Err(Error::ReplyMismatch("another nonce in the envelope"));
        }
        Ok(response)
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened")
    }
}

/// An armor key made ready for all that the KDC does with it once a request is open.
#[derive(Debug)]
pub struct Replying {
    /// For the envelope of the answer.
    envelope: PreparedKey,
    /// For the ticket in it.
    finished: PreparedChecksum,
    prf: PreparedPrf,
}

impl Replying {
    /// Of an armor key.
    pub fn new(armor: &Key) -> Replying {
        armor.derive(|armor| Replying {
            envelope: armor.prepare(KeyUsage::FAST_REP),
            finished: armor.prepare_checksum(KeyUsage::FAST_FINISHED),
            prf: armor.prepare_prf(),
        })
    }

    /// The armor key, ready to have a part in other keys.
    pub fn prf(&self) -> &PreparedPrf {
        &self.prf
    }

    /// The value of PA-FX-FAST in a reply or in METHOD-DATA (RFC 6113 5.4.3).
    pub fn seal(&self, random: &mut dyn Random, response: &KrbFastResponse<'_>) -> Vec<u8> {
        let mut cipher = Writer::new();
        cipher.encrypted(&self.envelope, random, |writer| response.encode(writer));
        let sealed = EncryptedData { etype: self.envelope.etype(), kvno: None, cipher: cipher.bytes() };
        wire::encode(&PaFxFastReply(KrbFastArmoredRep { sealed }))
    }

    /// The checksum of a ticket in KrbFastFinished (RFC 6113 5.4.3).
    pub fn checksum(&self, ticket: &[u8]) -> Vec<u8> {
        self.finished.checksum(ticket)
    }

    /// KrbFastFinished for a ticket; `checksum` is its [`Replying::checksum`].
    pub fn finished<'a>(
        &self,
        now: Instant,
        (client_realm, client): (&'a str, PrincipalName<'a>),
        checksum: &'a [u8],
    ) -> KrbFastFinished<'a> {
        let ticket_checksum = Checksum { kind: self.finished.checksum_type(), checksum };
        KrbFastFinished { time: now.time, micros: now.micros, client_realm, client, ticket_checksum }
    }
}

/// Opens the envelope of a reply, if there is one among its padata.
///
/// # Errors
/// [`Error::Integrity`] if it was sealed with another key, [`Error::Malformed`] for what is none.
pub fn open_response(armor: &Key, padata: wire::MethodData<'_>) -> Result<Option<Opened>> {
    let Some(element) = padata.iter().find(|element| element.kind == PaType::FX_FAST) else { return Ok(None) };
    let PaFxFastReply(reply) = wire::decode(element.value)?;
    armor.derive(|armor| open(armor, KeyUsage::FAST_REP, &reply.sealed)).map(Some)
}

/// Refuses a ticket that is not the one that the KDC sealed in the envelope.
///
/// # Errors
/// [`Error::Integrity`], [`Error::ChecksumNotSupported`].
pub fn verify_ticket(armor: &Key, finished: &KrbFastFinished<'_>, ticket: &[u8]) -> Result<()> {
    let Checksum { kind, checksum } = finished.ticket_checksum;
    armor.verify_checksum(KeyUsage::FAST_FINISHED, kind, ticket, checksum)
}
