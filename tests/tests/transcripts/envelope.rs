//! The envelopes of recorded exchanges (RFC 6113 5.4), opened with the recorded long-term keys.

use libkrb::codes::PaType;
use libkrb::crypto::{Key, KeyUsage};
use libkrb::preauth::fast::{self, Opened};
use libkrb::wire::{self, ApReq, Authenticator, EncTicketPart, KdcReq, KrbFastArmoredReq, MethodData, PaFxFastRequest};

use super::recording::{Exchange, Recording};

/// The envelope of a recorded request.
pub struct Envelope {
    pub key: Key,
    pub inside: Opened,
    /// The octets of both keys that its key is made of: of the ticket and of the authenticator.
    pub parts: (Vec<u8>, Vec<u8>),
}

/// The envelope of a request, if it came in one.
pub fn of(recording: &Recording, exchange: &Exchange<'_>) -> Option<Envelope> {
    let request = wire::decode::<KdcReq<'_>>(&exchange.request).expect("a request");
    let element = request.padata(PaType::FX_FAST)?;
    let PaFxFastRequest(envelope): PaFxFastRequest<'_> = wire::decode(element.value).expect("an envelope");
    assert_eq!(wire::encode(&PaFxFastRequest(envelope)), element.value, "encoded again");
    let KrbFastArmoredReq { armor, .. } = envelope;
    let own = request.padata(PaType::TGS_REQ).map(|own| own.value);
    let shown = armor.map(|armor| armor.value).or(own).expect("an AP-REQ");
    let ap_req: ApReq<'_> = wire::decode(shown).expect("an AP-REQ");
    let server = ap_req.ticket.server.principal(ap_req.ticket.realm).expect("a name");
    let key = recording.key(&server, ap_req.ticket.enc_part.etype).expect("a key");
    let plain = key.decrypt(KeyUsage::TICKET, ap_req.ticket.enc_part.cipher).expect("a ticket");
    let session = wire::decode::<EncTicketPart<'_>>(&plain).expect("a ticket").key.key().expect("a key");
    let usage = if own.is_some() { KeyUsage::TGS_REQ_AUTHENTICATOR } else { KeyUsage::AP_REQ_AUTHENTICATOR };
    let authenticator = session.decrypt(usage, ap_req.authenticator.cipher).expect("readable");
    let said: Authenticator<'_> = wire::decode(&authenticator).expect("an authenticator");
    let subkey = said.subkey.expect("a subkey").key().expect("a key");
    let key = fast::armor_key(&subkey, &session).expect("a key");
    let told = exchange.step("FAST armor key").expect("an armor key");
    assert!(told.key().same_as(&key), "the armor key");
    let inside = fast::open_request(&key, &envelope, own.unwrap_or(request.body.der)).expect("our envelope");
    Some(Envelope { key, inside, parts: (plain.to_vec(), authenticator.to_vec()) })
}

/// The envelope of a reply, if it is in one.
pub fn of_reply(key: &Key, reply: &[u8]) -> Option<Opened> {
    let padata = match wire::decode::<wire::KrbError<'_>>(reply) {
        Ok(error) => wire::decode::<MethodData<'_>>(error.data?).ok()?,
        Err(_) => wire::decode::<wire::KdcRep<'_>>(reply).expect("a reply").padata,
    };
    fast::open_response(key, padata).expect("the envelope of this conversation")
}
