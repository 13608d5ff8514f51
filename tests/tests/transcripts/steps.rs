//! Every encrypted part that needs no SPAKE or PKINIT, opened with the recorded long-term keys
//! and what they lead to; every message decoded and encoded to the same bytes.

use libkrb::codes::{MessageType, PaType};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::preauth::enc_challenge::Speaker;
use libkrb::preauth::fast;
use libkrb::wire::{
    self, ApRep, ApReq, Authenticator, Checksum, Decode, EncApRepPart, EncKdcRepPart, EncKrbPrivPart, EncTicketPart,
    Encode, EncryptedData, EncryptionKey, EtypeInfo2Entry, KdcRep, KdcReq, KrbError, KrbFastReq, KrbPriv, List,
    MethodData, PaEncTsEnc, PaFxFastRequest, Ticket,
};
use libkrb::{Principal, ticket};

use super::envelope::{self, Envelope};
use super::recording::{Exchange, Recording};

/// Decodes what must come back to the same bytes.
fn exact<'a, T: Decode<'a> + Encode>(bytes: &'a [u8]) -> T {
    let message = wire::decode::<T>(bytes).expect("a message");
    assert_eq!(wire::encode(&message), bytes, "encoded again");
    message
}

/// The same, but for a nonce of 32 bits, which Heimdal takes for a negative number and we do not
/// (RFC 4120 5.4.1 has UInt32).
fn reply_part(bytes: &[u8]) -> EncKdcRepPart<'_> {
    let part = wire::decode::<EncKdcRepPart<'_>>(bytes).expect("a part");
    let again = wire::encode(&part);
    if part.nonce > i32::MAX as u32 {
        assert_eq!(again.len(), bytes.len() + 1, "one octet more");
        let same = wire::decode::<EncKdcRepPart<'_>>(&again).expect("a part");
        assert_eq!(format!("{same:?}"), format!("{part:?}"));
    } else {
        assert_eq!(again, bytes, "encoded again");
    }
    part
}

/// What was opened: key usage and plain text, or key usage and nothing for a checksum.
#[derive(Default)]
struct Opened(Vec<(i32, Option<Vec<u8>>)>);

/// An exchange being opened.
struct Opener<'a> {
    recording: &'a Recording,
    exchange: &'a Exchange<'a>,
    opened: Opened,
}

impl Opener<'_> {
    fn decrypt(&mut self, key: &Key, usage: KeyUsage, sealed: &EncryptedData<'_>) -> Vec<u8> {
        assert_eq!(key.etype(), sealed.etype, "etype of the key");
        let plain = key.decrypt(usage, sealed.cipher).expect("the right key");
        self.opened.0.push((usage.0, Some(plain.to_vec())));
        plain.to_vec()
    }

    fn verify(&mut self, key: &Key, usage: KeyUsage, data: &[u8], checksum: &Checksum<'_>) {
        key.verify_checksum(usage, checksum.kind, data, checksum.checksum).expect("the right checksum");
        self.opened.0.push((usage.0, None));
    }

    /// Opens a ticket with its server's key; its session key and its client.
    fn ticket(&mut self, ticket: &Ticket<'_>) -> (Key, Principal) {
        let server = ticket.server.principal(ticket.realm).expect("a name");
        assert_eq!(ticket.enc_part.kvno, Some(1));
        let key = self.recording.key(&server, ticket.enc_part.etype).expect("a key");
        self.ticket_under(&key, ticket)
    }

    fn ticket_under(&mut self, key: &Key, ticket: &Ticket<'_>) -> (Key, Principal) {
        let plain = self.decrypt(key, KeyUsage::TICKET, &ticket.enc_part);
        let part: EncTicketPart<'_> = exact(&plain);
        let opened = ticket::open_ticket(ticket, &key.prepare(KeyUsage::TICKET)).expect("the same");
        assert_eq!(opened.read().expect("the same").key.value, part.key.value);
        (part.key.key().expect("a key"), part.client.principal(part.client_realm).expect("a name"))
    }

    fn as_exchange(&mut self) {
        let request: KdcReq<'_> = exact(&self.exchange.request);
        let name = request.body.client.expect("a client");
        let client = name.principal(request.body.realm).expect("a name");
        for padata in request.padata.iter().filter(|padata| padata.kind == PaType::ENC_TIMESTAMP) {
            let sealed: EncryptedData<'_> = exact(padata.value);
            let key = self.recording.key(&client, sealed.etype).expect("a key");
            if self.exchange.step("PA-ENC-TIMESTAMP made with a wrong password").is_some() {
                assert!(key.decrypt(KeyUsage::AS_REQ_ENC_TIMESTAMP, sealed.cipher).is_err());
                self.opened.0.push((1, None));
                continue;
            }
            let plain = self.decrypt(&key, KeyUsage::AS_REQ_ENC_TIMESTAMP, &sealed);
            exact::<PaEncTsEnc>(&plain);
        }
        if wire::application_tag(&self.exchange.reply) == Some(30) {
            let error: KrbError<'_> = exact(&self.exchange.reply);
            if let Some(data) = error.data {
                self.hints(&client, &exact(data));
            }
            return;
        }
        let reply: KdcRep<'_> = exact(&self.exchange.reply);
        assert_eq!(reply.kind, MessageType::AS_REP);
        self.hints(&client, &reply.padata);
        let (session, _) = self.ticket(&reply.ticket);
        let key = self.recording.key(&client, reply.enc_part.etype).expect("a key");
        let plain = self.decrypt(&key, KeyUsage::AS_REP_ENC_PART, &reply.enc_part);
        let part = reply_part(&plain);
        assert_eq!(part.nonce, request.body.nonce);
        self.same_session(&part.key, &session);
        for padata in part.encrypted_padata.iter().flat_map(|padata| padata.iter()) {
            if padata.kind == PaType::REQ_ENC_PA_REP {
                let checksum: Checksum<'_> = exact(padata.value);
                self.verify(&key, KeyUsage::AS_REQ_CHECKSUM, &self.exchange.request, &checksum);
            }
        }
    }

    fn same_session(&self, told: &EncryptionKey<'_>, inside: &Key) {
        assert!(told.key().expect("a key").same_as(inside), "the session key of reply and ticket");
    }

    /// What the KDC says of a password gives the key that it has.
    fn hints(&self, client: &Principal, hints: &MethodData<'_>) {
        for hint in hints.iter().filter(|hint| hint.kind == PaType::ETYPE_INFO2) {
            for entry in exact::<List<'_, EtypeInfo2Entry<'_>>>(hint.value).iter() {
                let key = self.recording.key(client, entry.etype);
                let password = self.recording.password(client).filter(|password| !password.contains("scenario"));
                let (Some(key), Some(password), Some(salt)) = (key, password, entry.salt) else { continue };
                let made = Key::from_password(entry.etype, password.as_bytes(), salt.as_bytes(), entry.s2kparams);
                assert!(made.expect("a key").same_as(&key), "{client}");
            }
        }
    }

    fn tgs_exchange(&mut self) {
        let request: KdcReq<'_> = exact(&self.exchange.request);
        let header: ApReq<'_> = exact(request.padata(PaType::TGS_REQ).expect("an AP-REQ").value);
        let (session, client) = self.ticket(&header.ticket);
        let plain = self.decrypt(&session, KeyUsage::TGS_REQ_AUTHENTICATOR, &header.authenticator);
        let authenticator: Authenticator<'_> = exact(&plain);
        assert!(authenticator.client.names(&client));
        let checksum = authenticator.checksum.expect("a checksum");
        self.verify(&session, KeyUsage::TGS_REQ_CHECKSUM, request.body.der, &checksum);
        let subkey = authenticator.subkey.expect("a subkey").key().expect("a key");
        if wire::application_tag(&self.exchange.reply) == Some(30) {
            exact::<KrbError<'_>>(&self.exchange.reply);
            return;
        }
        let reply: KdcRep<'_> = exact(&self.exchange.reply);
        assert_eq!(reply.kind, MessageType::TGS_REP);
        let second = request.body.additional_tickets.and_then(|tickets| tickets.iter().next());
        let second = second.map(|second| self.ticket(&second).0);
        let (inside, _) = match &second {
            Some(second) => self.ticket_under(second, &reply.ticket),
            None => self.ticket(&reply.ticket),
        };
        let key = self.strengthened(subkey);
        let plain = self.decrypt(&key, KeyUsage::TGS_REP_SUBKEY, &reply.enc_part);
        let part = reply_part(&plain);
        assert_eq!(part.nonce, request.body.nonce);
        self.same_session(&part.key, &inside);
    }

    /// What is sealed in the envelopes of question and answer, and what binds them.
    fn envelope(&mut self, envelope: &Envelope) {
        let Envelope { key, inside, parts } = envelope;
        let request: KdcReq<'_> = exact(&self.exchange.request);
        let element = request.padata(PaType::FX_FAST).expect("an envelope");
        let PaFxFastRequest(sealed): PaFxFastRequest<'_> = exact(element.value);
        let outer = request.padata(PaType::TGS_REQ).map_or(request.body.der, |header| header.value);
        self.verify(key, KeyUsage::FAST_REQ_CHECKSUM, outer, &sealed.checksum);
        let plain = self.decrypt(key, KeyUsage::FAST_ENC, &sealed.sealed);
        let nonce = exact::<KrbFastReq<'_>>(&plain).body.nonce;
        assert_eq!(inside.request().expect("the same").body.nonce, nonce);
        self.opened.0.push((KeyUsage::TICKET.0, Some(parts.0.clone())));
        self.opened.0.push((KeyUsage::AP_REQ_AUTHENTICATOR.0, Some(parts.1.clone())));
        let Some(answered) = envelope::of_reply(key, &self.exchange.reply) else { return };
        let response = answered.response(nonce).expect("a response");
        self.opened.0.push((KeyUsage::FAST_REP.0, Some(wire::encode(&response))));
        if let Some(finished) = response.finished {
            let reply: KdcRep<'_> = exact(&self.exchange.reply);
            self.verify(key, KeyUsage::FAST_FINISHED, reply.ticket.der, &finished.ticket_checksum);
        }
        if let Some(error) = response.padata.iter().find(|element| element.kind == PaType::FX_ERROR) {
            exact::<KrbError<'_>>(error.value);
        }
    }

    /// A login in FAST, by encrypted challenge or by timestamps, of which Heimdal's client sends several.
    fn armored_as_exchange(&mut self, envelope: &Envelope, inside: &KrbFastReq<'_>) {
        let client = inside.body.client.expect("a client").principal(inside.body.realm).expect("a name");
        let challenge = |who: Speaker, key: &Key| {
            let pepper: &[u8] = if who == Speaker::Client { b"clientchallengearmor" } else { b"kdcchallengearmor" };
            Key::cf2(&envelope.key, pepper, key, b"challengelongterm").expect("a key")
        };
        for element in inside.padata.iter() {
            let Ok(sealed) = wire::decode::<EncryptedData<'_>>(element.value) else { continue };
            if element.kind == PaType::ENC_TIMESTAMP {
                let key = self.recording.key(&client, sealed.etype);
                if let Some(key) = key.filter(|key| key.decrypt(KeyUsage::AS_REQ_ENC_TIMESTAMP, sealed.cipher).is_ok())
                {
                    self.decrypt(&key, KeyUsage::AS_REQ_ENC_TIMESTAMP, &sealed);
                }
            } else if element.kind == PaType::ENCRYPTED_CHALLENGE {
                let key = self.proving(&client, |key| {
                    challenge(Speaker::Client, key).decrypt(KeyUsage::ENC_CHALLENGE_CLIENT, sealed.cipher).is_ok()
                });
                self.decrypt(&challenge(Speaker::Client, &key), KeyUsage::ENC_CHALLENGE_CLIENT, &sealed);
            }
        }
        if wire::application_tag(&self.exchange.reply) == Some(30) {
            return;
        }
        let reply: KdcRep<'_> = exact(&self.exchange.reply);
        let answered = envelope::of_reply(&envelope.key, &self.exchange.reply).expect("an answer in an envelope");
        let response = answered.response(inside.body.nonce).expect("a response");
        self.ticket(&reply.ticket);
        let key = self.recording.key(&client, reply.enc_part.etype).expect("a key");
        for element in response.padata.iter().filter(|element| element.kind == PaType::ENCRYPTED_CHALLENGE) {
            let sealed: EncryptedData<'_> = exact(element.value);
            self.decrypt(&challenge(Speaker::Kdc, &key), KeyUsage::ENC_CHALLENGE_KDC, &sealed);
        }
        let key = self.strengthened(key);
        let plain = self.decrypt(&key, KeyUsage::AS_REP_ENC_PART, &reply.enc_part);
        let part = reply_part(&plain);
        let proof = part.encrypted_padata.and_then(|data| data.iter().find(|data| data.kind == PaType::REQ_ENC_PA_REP));
        self.verify(&key, KeyUsage::AS_REQ_CHECKSUM, &self.exchange.request, &exact(proof.expect("a checksum").value));
    }

    /// The key of a client that opens something.
    fn proving(&self, client: &Principal, opens: impl Fn(&Key) -> bool) -> Key {
        let entries = self.recording.keytab.entries.iter().filter(|entry| entry.principal == *client);
        let mut keys = entries.filter_map(|entry| entry.key.key().ok());
        keys.find(opens).expect("the client's key")
    }

    /// The reply key, which FAST makes of another one and a key in its response (RFC 6113 5.4.3).
    fn strengthened(&self, key: Key) -> Key {
        let Some(envelope) = envelope::of(self.recording, self.exchange) else { return key };
        let Some(answered) = envelope::of_reply(&envelope.key, &self.exchange.reply) else { return key };
        let nonce = envelope.inside.request().expect("a request").body.nonce;
        match answered.response(nonce).expect("a response").strengthen_key {
            Some(strengthen) => fast::strengthened(&strengthen.key().expect("a key"), &key).expect("a key"),
            None => key,
        }
    }

    /// formats.md, 7: AP-REQ and KRB-PRIV behind three lengths each.
    fn password_change(&mut self) {
        let split = |message: &[u8]| {
            let end = 6 + usize::from(u16::from_be_bytes([message[4], message[5]]));
            (message[6..end].to_vec(), message[end..].to_vec())
        };
        let ((ap_req, question), (ap_rep, answer)) = (split(&self.exchange.request), split(&self.exchange.reply));
        let ap_req: ApReq<'_> = exact(&ap_req);
        let (session, _) = self.ticket(&ap_req.ticket);
        let plain = self.decrypt(&session, KeyUsage::AP_REQ_AUTHENTICATOR, &ap_req.authenticator);
        let authenticator: Authenticator<'_> = exact(&plain);
        let ap_rep: ApRep<'_> = exact(&ap_rep);
        let plain = self.decrypt(&session, KeyUsage::AP_REP, &ap_rep.enc_part);
        let confirmed: EncApRepPart<'_> = exact(&plain);
        assert_eq!((confirmed.time, confirmed.micros), (authenticator.time, authenticator.micros));
        let subkey = authenticator.subkey.expect("a subkey").key().expect("a key");
        let mut said = |message: &[u8]| {
            let message: KrbPriv<'_> = exact(message);
            let plain = self.decrypt(&subkey, KeyUsage::KRB_PRIV, &message.enc_part);
            exact::<EncKrbPrivPart<'_>>(&plain).user_data.to_vec()
        };
        assert!(said(&question).is_ascii(), "a password");
        assert!(said(&answer).starts_with(&[0, 0]), "success");
    }

    /// All that was recorded to be opened, was; but what SPAKE, PKINIT and S4U add.
    fn finish(self) -> usize {
        const LATER: [i32; 2] = [17, 26];
        for step in self.exchange.steps().filter(|step| step.checked()) {
            let Some(usage) = step.usage().filter(|usage| !LATER.contains(usage)) else { continue };
            let plain = step.plaintext();
            let found = self.opened.0.iter().any(|(of, opened)| *of == usage && *opened == plain);
            assert!(found, "not opened: {}", step.what);
        }
        self.opened.0.len()
    }
}

/// Opens what one exchange has; the number of things opened.
pub fn open(recording: &Recording, exchange: &Exchange<'_>) -> usize {
    // SPAKE and PKINIT make the reply key of an AS exchange; the messages decode all the same.
    let beyond = exchange.is("AS-REQ") && ([16, 151].iter().any(|kind| exchange.brings(*kind)));
    if beyond {
        exact::<KdcReq<'_>>(&exchange.request);
        match wire::application_tag(&exchange.reply) {
            Some(30) => drop(exact::<KrbError<'_>>(&exchange.reply)),
            _ => drop(exact::<KdcRep<'_>>(&exchange.reply)),
        }
        return 0;
    }
    let mut opener = Opener { recording, exchange, opened: Opened::default() };
    let asks_for_ticket = exchange.is("AS-REQ") || exchange.is("TGS-REQ");
    let envelope = if asks_for_ticket { envelope::of(recording, exchange) } else { None };
    if let Some(envelope) = &envelope {
        opener.envelope(envelope);
    }
    if let (true, Some(envelope)) = (exchange.is("AS-REQ"), &envelope) {
        let inside = envelope.inside.request().expect("a request");
        if inside.padata.iter().any(|element| element.kind == PaType::SPAKE) {
            return opener.opened.0.len();
        }
        opener.armored_as_exchange(envelope, &inside);
    } else if exchange.is("AS-REQ") {
        opener.as_exchange();
    } else if exchange.is("TGS-REQ") {
        opener.tgs_exchange();
    } else {
        opener.password_change();
    }
    opener.finish()
}
