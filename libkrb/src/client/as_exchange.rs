//! The AS exchange (RFC 4120 3.1, RFC 6806): a password or a keytab becomes a ticket. Each reply is
//! either a refusal that leads to the next try, or the ticket.

use super::armor::{Armor, Envelope, Told};
use super::as_request::AsRequest;
use super::clock::ClockOffset;
use super::joint;
use super::kdc_req::{MAX_REFERRALS, MAX_ROUNDS, Wishes, offered, on_wire};
use super::proof::{Asking, Proof};
use super::refusal::Refusal;
use super::reply::{self, Answer};
use super::secret::Secret;
use super::{Exchange, Outcome, Step};
use crate::ccache::Credential;
use crate::codes::{EncryptionType, LastReqType, MessageType, PaType};
use crate::crypto::{Key, KeyUsage, Random};
use crate::error::{Error, ErrorCode, Result};
use crate::flags::{FastOptions, KdcOptions, TicketFlags};
use crate::name::Principal;
use crate::preauth::etype_info::advice;
use crate::preauth::{Elements, Means, MethodReply, fast, req_enc_pa_rep};
use crate::time::{Instant, Time};
use crate::wire::{self, EncKdcRepPart, KdcRep, KdcReq, KdcReqBody, List, PaData, PaPacRequest, PrincipalName, Raw};

/// Gets a first ticket for a client.
#[derive(Debug)]
pub struct AsExchange {
    request: AsRequest,
    secret: Secret,
    means: Means,
    armor: Option<Armor>,
    /// The client in the realm that is asked now.
    client: Principal,
    /// The realms that were asked.
    realms: Vec<String>,
    offset: Option<ClockOffset>,
    clock_corrected: bool,
    /// Whether the KDC forgot the conversation and it was begun again.
    restarted: bool,
    rounds: u32,
    proof: Proof,
    sent: Option<Sent>,
    decisions: Vec<String>,
}

/// The message that is out.
#[derive(Debug)]
struct Sent {
    message: Vec<u8>,
    /// The KDC-REQ-BODY that counts.
    body: Vec<u8>,
    wishes: Wishes,
    /// The envelope that the answer must come in.
    envelope: Option<Envelope>,
}

/// A message before its padata.
#[derive(Clone, Copy)]
struct Unsent<'a> {
    wishes: &'a Wishes,
    body: &'a [u8],
    envelope: Option<&'a Envelope>,
}

impl AsExchange {
    /// An exchange that has not begun.
    pub fn new(request: AsRequest, secret: Secret) -> AsExchange {
        AsExchange::with_means(request, secret, Means::default())
    }

    /// An exchange that has not begun, of a client that has more than its long-term key.
    pub fn with_means(request: AsRequest, secret: Secret, means: Means) -> AsExchange {
        AsExchange {
            client: request.client.clone(),
            realms: vec![request.client.realm().to_owned()],
            offset: None,
            clock_corrected: false,
            restarted: false,
            rounds: 0,
            proof: Proof::begin(&request, &means),
            sent: None,
            decisions: vec![],
            request,
            secret,
            means,
            armor: None,
        }
    }

    /// The same exchange in FAST, as [`AsRequest::armored`] has it.
    ///
    /// # Errors
    /// KRB_AP_ERR_NO_TGT if it is no ticket-granting ticket, [`Error::EtypeNotSupported`] if its key
    /// cannot be used.
    pub fn armored(mut self, ticket: Credential) -> Result<AsExchange> {
        Armor::new(ticket.clone())?;
        self.request.armor = Some(ticket);
        self.proof = Proof::begin(&self.request, &self.means);
        Ok(self)
    }

    /// The secret, maybe typed by now, and the means, for another exchange.
    pub fn into_parts(self) -> (Secret, Means) {
        (self.secret, self.means)
    }

    /// Where the client was referred to a realm whose KDC does not open the armor
    /// ([`Error::NoArmor`]): the armor so far, with which a ticket of that realm may be had.
    pub fn outworn_armor(&self) -> Option<(&str, &Credential)> {
        let ticket = self.request.armor.as_ref()?;
        let realm = self.client.realm();
        (ticket.server.tgs_target() != Some(realm)).then_some((realm, ticket))
    }

    /// Goes on in armor for the realm that the client was referred to.
    ///
    /// # Errors
    /// As [`AsExchange::armored`]; [`Error::NoArmor`] for a ticket of another realm.
    pub fn armored_anew(&mut self, ticket: Credential) -> Result<()> {
        let armor = Armor::new(ticket.clone())?;
        if !armor.serves(self.client.realm()) {
            return Err(Error::NoArmor(self.client.realm().to_owned()));
        }
        (self.armor, self.request.armor) = (Some(armor), Some(ticket));
        Ok(())
    }

    fn kdc_clock(&self, now: Instant) -> Instant {
        self.offset.unwrap_or_default().apply(now)
    }

    fn etypes(&self) -> Result<Vec<EncryptionType>> {
        self.secret.usable(offered(&self.request.etypes)?, &self.request.client)
    }

    fn send(&mut self, now: Instant, random: &mut dyn Random) -> Result<Step> {
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS {
            return Err(Error::ReplyMismatch("the KDC does not come to an end"));
        }
        let now = self.kdc_clock(now);
        let wishes = self.request.wishes(&self.client, &self.etypes()?, now.time, random);
        let addresses = on_wire(&wishes.addresses);
        let client = self.client.clone();
        let body = KdcReqBody { client: Some(PrincipalName::from(&client)), ..wishes.body(&addresses) };
        let inside = wire::encode(&body);
        let armor = self.armor_for(client.realm(), now, random)?;
        let envelope = armor.as_ref().map(|(key, _)| Envelope { key: key.clone(), nonce: wishes.nonce });
        let padata =
            self.padata(Unsent { wishes: &wishes, body: &inside, envelope: envelope.as_ref() }, now, random)?;
        let mut padata: Vec<_> = padata.iter().map(|(kind, value)| PaData { kind: *kind, value }).collect();
        let named = if self.hides() { Principal::anonymous() } else { &client };
        let body = KdcReqBody { client: Some(PrincipalName::from(named)), ..body };
        let outside = wire::encode(&body);
        let enveloped = armor.map(|(key, ap_req)| {
            let options = FastOptions::NONE.with(FastOptions::HIDE_CLIENT_NAMES, self.hides());
            let (ap_req, outer) = (Some(&ap_req[..]), &outside[..]);
            fast::seal_request(&key, random, &fast::Request { ap_req, outer, options, padata: &padata, body: &inside })
        });
        let enveloped = enveloped.transpose()?;
        if let Some(value) = &enveloped {
            padata = vec![PaData { kind: PaType::FX_FAST, value }];
        }
        let body = Raw { der: &outside, value: body };
        let message = wire::encode(&KdcReq { kind: MessageType::AS_REQ, padata: List::Items(&padata).into(), body });
        self.sent = Some(Sent { message: message.clone(), body: inside, wishes, envelope });
        Ok(Step::Send { realm: client.realm().to_owned(), message })
    }

    /// Whether the client's name is to be seen by nobody else, which takes an envelope.
    fn hides(&self) -> bool {
        self.request.hide_client && self.request.armor.is_some()
    }

    /// The armor key for the KDC of a realm, and the AP-REQ that it gets it from.
    fn armor_for(&mut self, realm: &str, now: Instant, random: &mut dyn Random) -> Result<Option<(Key, Vec<u8>)>> {
        let Some(ticket) = &self.request.armor else { return Ok(None) };
        let armor = match &mut self.armor {
            Some(armor) => armor,
            none => {
                self.decisions.push(format!("Asking in FAST, in the armor of {}", ticket.client));
                none.insert(Armor::new(ticket.clone())?)
            }
        };
        if !armor.serves(realm) {
            return Err(Error::NoArmor(realm.to_owned()));
        }
        Ok(Some(armor.key(now, random)?.clone()))
    }

    /// The proof, and the part of this exchange that it needs for a message.
    fn asking<'a>(
        &'a mut self,
        Unsent { wishes, body, envelope }: Unsent<'a>,
        now: Instant,
        random: &'a mut dyn Random,
    ) -> (&'a mut Proof, Asking<'a>) {
        let Self { proof, client, secret, means, .. } = self;
        let armor = envelope.map(|envelope| &envelope.key);
        (proof, Asking { client, secret, means, armor, wishes, body, now, random })
    }

    fn padata(&mut self, draft: Unsent<'_>, now: Instant, random: &mut dyn Random) -> Result<Elements> {
        let (proof, asking) = self.asking(draft, now, random);
        let mut padata = proof.elements(asking)?;
        padata.push((PaType::REQ_ENC_PA_REP, vec![]));
        if self.means.wants_freshness() {
            padata.push((PaType::AS_FRESHNESS, vec![]));
        }
        if let Some(include_pac) = self.request.include_pac {
            padata.push((PaType::PAC_REQUEST, wire::encode(&PaPacRequest { include_pac })));
        }
        Ok(padata)
    }

    /// A refusal leads to another try, or it is the end.
    fn refused(&mut self, refusal: Refusal<'_>, now: Instant) -> Result<()> {
        let proved = self.proof.kind().is_some();
        match refusal.code {
            ErrorCode::MORE_PREAUTH_DATA_REQUIRED => self.proof.more(&refusal),
            ErrorCode::PREAUTH_REQUIRED | ErrorCode::PREAUTH_FAILED if self.proof.goes_on(&refusal) => {
                self.proof.more(&refusal)
            }
            ErrorCode::PREAUTH_REQUIRED => self.prove(refusal, now),
            ErrorCode::PREAUTH_EXPIRED if self.proof.given() && !self.restarted => {
                self.restarted = true;
                self.decisions.push("The KDC has forgotten the conversation: beginning again".to_owned());
                self.proof = Proof::default();
                Ok(())
            }
            _ if self.proof.retry(&refusal) => Ok(()),
            ErrorCode::PREAUTH_FAILED if self.guessed_wrong(refusal) => {
                self.decisions.push("The key is made otherwise than was known: asking the KDC how".to_owned());
                self.proof = Proof::default();
                Ok(())
            }
            ErrorCode::PREAUTH_FAILED | ErrorCode::BAD_INTEGRITY if proved && self.proof.used_key() => {
                Err(self.secret.refused(refusal.code))
            }
            ErrorCode::PREAUTH_FAILED if self.proof.pass(&refusal) => {
                self.decisions.push("The KDC does not take this method: trying the next that it offers".to_owned());
                Ok(())
            }
            ErrorCode::SKEW if self.request.follow_clock && !self.clock_corrected => {
                self.clock_corrected = true;
                self.decisions.push(format!("Taking over the KDC's clock: {}", refusal.clock.time));
                self.offset = Some(ClockOffset::between(refusal.clock, now));
                self.armor.iter_mut().for_each(Armor::renew);
                Ok(())
            }
            ErrorCode::WRONG_REALM | ErrorCode::C_PRINCIPAL_UNKNOWN if self.canonicalize() => self.refer(refusal),
            _ => Err(refusal.error()),
        }
    }

    /// Whether the KDC was not asked first, and says now that the key is made otherwise than guessed.
    fn guessed_wrong(&self, refusal: Refusal<'_>) -> bool {
        self.proof.guessed_wrong(self.etypes().and_then(|etypes| advice(refusal.methods, &etypes)))
    }

    /// KDC_ERR_PREAUTH_REQUIRED: takes the first method of the KDC's that can be done here.
    fn prove(&mut self, refusal: Refusal<'_>, now: Instant) -> Result<()> {
        if self.proof.given() {
            return Err(Error::ReplyMismatch("the KDC asks for the proof that it was given"));
        }
        if self.request.follow_clock {
            // An attacker may choose this time. All it gets is a timestamp for then, as with MIT.
            self.offset = Some(ClockOffset::between(refusal.clock, now));
        }
        let (proof, words) = Proof::offered(refusal.methods, &self.etypes()?, &self.means, self.request.armor_state())?;
        self.decisions.extend(words);
        self.proof = proof;
        Ok(())
    }

    fn canonicalize(&self) -> bool {
        self.request.all_options().has(KdcOptions::CANONICALIZE)
    }

    /// A client referral (RFC 6806 7): the same name is asked for in another realm.
    fn refer(&mut self, refusal: Refusal<'_>) -> Result<()> {
        let elsewhere = refusal.client_realm.filter(|realm| !realm.is_empty() && *realm != self.client.realm());
        let Some(realm) = elsewhere else { return Err(refusal.error()) };
        if self.realms.iter().any(|asked| asked == realm) {
            return Err(Error::ReplyMismatch("the realms refer the client to one another"));
        }
        if self.realms.len() > MAX_REFERRALS {
            return Err(Error::ReplyMismatch("too many referrals"));
        }
        self.decisions.push(format!("Following the referral of the client to realm {realm:?}"));
        self.realms.push(realm.to_owned());
        self.client = self.client.in_realm(realm);
        self.proof = Proof::begin(&self.request, &self.means);
        self.offset = None;
        Ok(())
    }

    /// The ticket, if the reply brings the one that was asked for. Names may change only if that was
    /// asked for and the KDC vouches for having seen the request as it was sent (RFC 6806 6, 11). The
    /// client's name stands in the clear even so: a false one fails at the first use of the ticket.
    fn accept(&mut self, bytes: &[u8], sent: &Sent, now: Instant, random: &mut dyn Random) -> Result<Outcome> {
        let rep: KdcRep<'_> = wire::decode(bytes)?;
        if rep.kind != MessageType::AS_REP {
            return Err(Error::ReplyMismatch("another message type"));
        }
        if !sent.wishes.etypes.contains(&rep.enc_part.etype) {
            return Err(Error::ReplyMismatch("an encryption type that was not offered"));
        }
        let opened = sent.envelope.as_ref().map(|envelope| envelope.open_reply(&rep)).transpose()?.flatten();
        if sent.envelope.is_some() && opened.is_none() {
            return Err(Error::ReplyMismatch("an answer outside of FAST to a request in it"));
        }
        let told = Told::of(sent.envelope.as_ref(), opened.as_ref(), &rep)?;
        let client = told.client.clone();
        let nobody = self.client.is_anonymous() && client == *Principal::anonymous();
        if client != self.client && !nobody && !self.canonicalize() {
            return Err(Error::ReplyMismatch("another client"));
        }
        let reply = MethodReply { padata: told.padata, etype: rep.enc_part.etype, request: &sent.message };
        let draft = Unsent { wishes: &sent.wishes, body: &sent.body, envelope: sent.envelope.as_ref() };
        let (proof, asking) = self.asking(draft, now, random);
        let key = proof.reply_key(asking, &reply, &client, rep.enc_part.kvno)?;
        let proof_by = self.proof.kind();
        self.decisions.extend(self.proof.agreed());
        let (weaker, key) = (&key, told.reply_key(&key)?);
        let plain = key.decrypt(KeyUsage::AS_REP_ENC_PART, rep.enc_part.cipher);
        let plain = plain.map_err(|_| self.secret.refused(ErrorCode::BAD_INTEGRITY))?;
        let part: EncKdcRepPart<'_> = wire::decode(&plain)?;
        let vouched = vouched(&key, &sent.message, &part)?;
        joint::check(weaker, told.padata, &part, proof_by, nobody)?;
        // The envelope vouches for the name that is in it.
        if client != self.client && !nobody && !vouched && !told.enveloped() {
            return Err(Error::ReplyMismatch("another client"));
        }
        let server = server(&rep, &part, &sent.wishes, vouched)?;
        let kdc_now = if self.request.follow_clock { part.auth_time } else { now.time };
        let expected = TicketFlags::NONE.with(TicketFlags::INVALID, sent.wishes.from.is_some());
        let expected = expected.with(TicketFlags::ANONYMOUS, nobody);
        Answer { wishes: &sent.wishes, part: &part, expected, inherited: &[], now: kdc_now }.check()?;
        self.take_time(&part, sent, now)?;
        let vouches = if vouched { "; the KDC vouches for the request" } else { "" };
        self.decisions.push(format!("The reply opens with the client's key ({}){vouches}", key.etype()));
        Ok(Outcome {
            credential: reply::credential(&client, server, &rep, &part),
            hops: vec![],
            preauth: self.proof.kind(),
            choices: self.proof.choices(),
            fast_available: vouched && encrypted_padata(&part, PaType::FX_FAST).is_some(),
            password_expires: password_expires(&part),
        })
    }

    /// Learns the KDC's time, which is authenticated now; or refuses one that is too far away.
    fn take_time(&mut self, part: &EncKdcRepPart<'_>, sent: &Sent, now: Instant) -> Result<()> {
        if self.request.follow_clock {
            let ours = Instant::from(now.time);
            self.offset = Some(ClockOffset::between(Instant::from(part.auth_time), ours));
            return Ok(());
        }
        let start = part.start_time.unwrap_or(part.auth_time);
        if sent.wishes.from.is_none() && start.distance(now.time) > self.request.clock_skew {
            return Err(Error::protocol(ErrorCode::SKEW, "in the KDC's reply"));
        }
        Ok(())
    }
}

impl Exchange for AsExchange {
    fn step(&mut self, now: Instant, random: &mut dyn Random, reply: Option<&[u8]>) -> Result<Step> {
        let (bytes, sent) = match (reply, self.sent.take()) {
            (None, None) => return self.send(now, random),
            (None, Some(sent)) => {
                let message = sent.message.clone();
                self.sent = Some(sent);
                return Ok(Step::Send { realm: self.client.realm().to_owned(), message });
            }
            (Some(_), None) => return Err(Error::ReplyMismatch("no reply is awaited")),
            (Some(bytes), Some(sent)) => (bytes, sent),
        };
        if wire::application_tag(bytes) != Some(MessageType::ERROR.0 as u8) {
            return Ok(Step::Done(Box::new(self.accept(bytes, &sent, now, random)?)));
        }
        let opened = sent.envelope.as_ref().map(|envelope| envelope.open_error(bytes)).transpose()?.flatten();
        let refusal = match (&sent.envelope, &opened) {
            (Some(envelope), Some(opened)) => envelope.refusal(opened)?,
            (Some(_), None) => unprotected(Refusal::read(bytes)?)?,
            _ => Refusal::read(bytes)?,
        };
        self.refused(refusal, now)?;
        self.send(now, random)
    }

    fn clock_offset(&self) -> Option<ClockOffset> {
        self.offset
    }

    fn decisions(&mut self) -> Vec<String> {
        std::mem::take(&mut self.decisions)
    }
}

/// What a KDC may say outside of the envelope: that it could not open the armor, for a clock is wrong.
fn unprotected(refusal: Refusal<'_>) -> Result<Refusal<'_>> {
    match refusal.code {
        ErrorCode::SKEW => Ok(Refusal { methods: List::default(), ..refusal }),
        code => Err(Error::protocol(code, "the KDC did not take the armor")),
    }
}

fn encrypted_padata<'a>(part: &EncKdcRepPart<'a>, kind: PaType) -> Option<&'a [u8]> {
    part.encrypted_padata?.iter().find(|element| element.kind == kind).map(|element| element.value)
}

/// The server: as asked for, or the name of the same ticket-granting service that a KDC prefers.
fn server(rep: &KdcRep<'_>, part: &EncKdcRepPart<'_>, wishes: &Wishes, vouched: bool) -> Result<Principal> {
    reply::same_server(rep, part)?;
    let server = part.server.principal(part.server_realm)?;
    let canonical = vouched && wishes.options.has(KdcOptions::CANONICALIZE);
    if server == wishes.server || (canonical && wishes.server.is_local_tgs() && server.is_local_tgs()) {
        return Ok(server);
    }
    Err(Error::ReplyMismatch("another server"))
}

/// Whether the KDC vouches for the request that it saw, which must then be ours (RFC 6806 11).
fn vouched(key: &Key, message: &[u8], part: &EncKdcRepPart<'_>) -> Result<bool> {
    if !part.flags.has(TicketFlags::ENC_PA_REP) {
        return Ok(false);
    }
    let changed = |_| Error::ReplyMismatch("the KDC saw another request");
    let value = encrypted_padata(part, PaType::REQ_ENC_PA_REP);
    let value = value.ok_or(Error::ReplyMismatch("no checksum of the request"))?;
    req_enc_pa_rep::verify(key, message, value).map_err(changed)?;
    Ok(true)
}

fn password_expires(part: &EncKdcRepPart<'_>) -> Option<Time> {
    let told = part.last_req.iter().find(|entry| entry.kind.0.abs() == LastReqType::PASSWORD_EXPIRES.0);
    told.map(|entry| entry.time).or(part.key_expiration).filter(|time| *time != Time::EPOCH)
}

#[cfg(test)]
mod tests;
