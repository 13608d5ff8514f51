//! FAST: pre-authentication inside an envelope (RFC 6113 5.4). The envelope's key comes from a ticket
//! that the client has already, so that who listens learns nothing to guess a password by, and who
//! stands between cannot change a word. Not here: whose ticket it is, and what is in the envelope.

use zeroize::Zeroizing;

use crate::codes::PaType;
use crate::crypto::{Key, KeyUsage, PreparedPrf, Random};
use crate::error::{Error, Result};
use crate::flags::FastOptions;
use crate::time::Instant;
use crate::wire::{
    self, Checksum, EncryptedData, KrbFastArmor, KrbFastArmoredRep, KrbFastArmoredReq, KrbFastFinished, KrbFastReq,
    KrbFastResponse, List, PaData, PaFxFastReply, PaFxFastRequest, PrincipalName, Raw,
};

/// The armor key of a ticket and the subkey of the authenticator that it is shown with: of an armor
/// ticket in an AS-REQ, of the ticket itself in a TGS-REQ (RFC 6113 5.4.1.1, 5.4.2).
///
/// # Errors
/// None for keys of this library's enctypes.
pub fn armor_key(subkey: &Key, session: &Key) -> Result<Key> {
    Key::cf2(subkey, b"subkeyarmor", session, b"ticketarmor")
}

/// The armor key of a TGS-REQ that brings an armor ticket besides (MS-KILE 3.3.5.7.4): of that
/// ticket's armor key and the subkey of the request's authenticator.
///
/// # Errors
/// None for keys of this library's enctypes.
pub fn explicit_armor_key(armor: &Key, subkey: &Key) -> Result<Key> {
    Key::cf2(armor, b"explicitarmor", subkey, b"tgsarmor")
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
    strengthen_key.prepare_prf().cf2(b"strengthenkey", reply_key, b"replykey")
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
pub struct Opened(Zeroizing<Vec<u8>>);

/// Opens the envelope of a request; `outer` as in [`Request`].
///
/// # Errors
/// [`Error::Integrity`] if it was sealed with another key, or belongs to another message.
pub fn open_request(armor: &Key, request: &KrbFastArmoredReq<'_>, outer: &[u8]) -> Result<Opened> {
    let Checksum { kind, checksum } = request.checksum;
    armor.verify_checksum(KeyUsage::FAST_REQ_CHECKSUM, kind, outer, checksum)?;
    open(armor, KeyUsage::FAST_ENC, &request.sealed)
}

fn open(armor: &Key, usage: KeyUsage, sealed: &EncryptedData<'_>) -> Result<Opened> {
    if sealed.etype != armor.etype() {
        return Err(Error::Integrity);
    }
    armor.decrypt(usage, sealed.cipher).map(Opened)
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

/// The value of PA-FX-FAST in a reply or in METHOD-DATA (RFC 6113 5.4.3).
pub fn seal_response(armor: &Key, random: &mut dyn Random, response: &KrbFastResponse<'_>) -> Vec<u8> {
    let cipher = armor.encrypt(KeyUsage::FAST_REP, random, &wire::encode_secret(response));
    let sealed = EncryptedData { etype: armor.etype(), kvno: None, cipher: &cipher };
    wire::encode(&PaFxFastReply(KrbFastArmoredRep { sealed }))
}

/// Opens the envelope of a reply, if there is one among its padata.
///
/// # Errors
/// [`Error::Integrity`] if it was sealed with another key, [`Error::Malformed`] for what is none.
pub fn open_response(armor: &Key, padata: wire::MethodData<'_>) -> Result<Option<Opened>> {
    let Some(element) = padata.iter().find(|element| element.kind == PaType::FX_FAST) else { return Ok(None) };
    let PaFxFastReply(reply) = wire::decode(element.value)?;
    open(armor, KeyUsage::FAST_REP, &reply.sealed).map(Some)
}

/// The checksum of a ticket in KrbFastFinished (RFC 6113 5.4.3).
pub fn ticket_checksum(armor: &Key, ticket: &[u8]) -> Vec<u8> {
    armor.checksum(KeyUsage::FAST_FINISHED, ticket)
}

/// KrbFastFinished for a ticket; `checksum` is its [`ticket_checksum`].
pub fn finished<'a>(
    armor: &Key,
    now: Instant,
    (client_realm, client): (&'a str, PrincipalName<'a>),
    checksum: &'a [u8],
) -> KrbFastFinished<'a> {
    let ticket_checksum = Checksum { kind: armor.checksum_type(), checksum };
    KrbFastFinished { time: now.time, micros: now.micros, client_realm, client, ticket_checksum }
}

/// Refuses a ticket that is not the one that the KDC sealed in the envelope.
///
/// # Errors
/// [`Error::Integrity`], [`Error::ChecksumNotSupported`].
pub fn verify_ticket(armor: &Key, finished: &KrbFastFinished<'_>, ticket: &[u8]) -> Result<()> {
    let Checksum { kind, checksum } = finished.ticket_checksum;
    armor.verify_checksum(KeyUsage::FAST_FINISHED, kind, ticket, checksum)
}
