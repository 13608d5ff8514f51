//! The TGS exchange (RFC 4120 3.3, RFC 6806 8): a ticket-granting ticket becomes a ticket for a
//! service. If the service is of another realm, tickets for the realms on the way are got first:
//! those that the KDCs refer to, or those of a path.

use zeroize::Zeroizing;

use super::ap_message::ApMessage;
use super::armor::{Envelope, Told};
use super::clock::ClockOffset;
use super::kdc_req::{MAX_REFERRALS, MAX_ROUNDS, Wishes, offered, on_wire};
use super::refusal::Refusal;
use super::reply::{self, Answer};
use super::s4u::{Behalf, User};
use super::tgs_request::TgsRequest;
use super::{Exchange, Outcome, Step};
use crate::ccache::{AuthData, Credential};
use crate::codes::{AuthDataType, MessageType, NameType, PaType};
use crate::crypto::{Key, KeyUsage, Random};
use crate::error::{Error, ErrorCode, Result};
use crate::flags::{ApOptions, FastOptions, KdcOptions, TicketFlags};
use crate::name::Principal;
use crate::preauth::fast;
use crate::session::DEFAULT_SKEW;
use crate::time::Instant;
use crate::wire::{
    self, Checksum, EncKdcRepPart, EncryptedData, KdcRep, KdcReq, KdcReqBody, List, PaData, Raw, Ticket,
};

/// Gets a ticket in exchange for another one.
#[derive(Debug)]
pub struct TgsExchange {
    /// What is asked for, with the ticket to show now.
    request: TgsRequest,
    /// The key of that ticket, and the realm whose KDC takes it.
    session: Key,
    realm: String,
    aim: Aim,
    hops: Vec<Credential>,
    /// Whether all tickets for other realms on the way have OK-AS-DELEGATE.
    ways_trusted: bool,
    /// The realms whose KDCs were asked.
    realms: Vec<String>,
    offset: Option<ClockOffset>,
    clock_corrected: bool,
    /// Whether the last answer was in FAST.
    fast: bool,
    rounds: u32,
    sent: Option<Sent>,
    decisions: Vec<String>,
}

/// What the current KDC is asked for.
#[derive(Debug)]
enum Aim {
    /// A way to one of these realms, the farthest first; and why no farther one could be reached.
    Realm { candidates: Vec<String>, refused: Option<Error> },
    /// The service itself, maybe with leave to name another one.
    Service { canonicalize: bool },
}

impl Aim {
    fn is_realm(&self) -> bool {
        matches!(self, Aim::Realm { .. })
    }
}

/// The message that is out.
#[derive(Debug)]
struct Sent {
    message: Vec<u8>,
    wishes: Wishes,
    subkey: Key,
    /// The envelope that the answer must come in.
    envelope: Option<Envelope>,
}

impl Sent {
    /// Opens the encrypted part of a reply.
    fn open(&self, session: &Key, told: &Told<'_>, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        if told.enveloped() && !told.is_stronger() {
            return Err(Error::ReplyMismatch("a reply key that is not made stronger"));
        }
        match told.reply_key(&self.subkey)?.decrypt(KeyUsage::TGS_REP_SUBKEY, cipher) {
            // Old KDCs know no subkey (RFC 4120 3.3.3).
            Err(_) if !told.enveloped() => session.decrypt(KeyUsage::TGS_REP_SESSION, cipher),
            opened => opened,
        }
    }
}

impl TgsExchange {
    /// An exchange that has not begun.
    ///
    /// # Errors
    /// KRB_AP_ERR_NO_TGT if the ticket is no ticket-granting one and nothing is to be done with
    /// itself; [`Error::EtypeNotSupported`] if its key cannot be used.
    pub fn new(mut request: TgsRequest) -> Result<TgsExchange> {
        request.etypes = offered(&request.etypes)?;
        let tgt = &request.tgt;
        let granting = tgt.server.tgs_target().filter(|_| !request.goes_back());
        let issuer = Some(tgt.server.realm()).filter(|_| request.goes_back());
        let realm = granting.or(issuer).ok_or(Error::code(ErrorCode::NO_TGT))?.to_owned();
        let abroad = ![realm.as_str(), ""].contains(&request.server.realm());
        if abroad && request.behalf != Behalf::Own {
            return Err(Error::protocol(ErrorCode::BADOPTION, "delegation does not lead into other realms"));
        }
        let mut exchange = TgsExchange {
            aim: Aim::Service { canonicalize: false },
            session: tgt.key.key()?,
            hops: vec![],
            ways_trusted: {
                let own = tgt.server.realm() == tgt.client.realm();
                let abroad = granting.is_some_and(|target| !own || target != tgt.client.realm());
                !abroad || tgt.flags.has(TicketFlags::OK_AS_DELEGATE)
            },
            realms: vec![realm.clone()],
            realm,
            offset: None,
            clock_corrected: false,
            fast: false,
            rounds: 0,
            sent: None,
            decisions: vec![],
            request,
        };
        exchange.aim = exchange.next_aim();
        Ok(exchange)
    }

    /// The realm to go to: the service's, or that of a user whom only its own realm can vouch for.
    fn goal(&self) -> &str {
        let server = self.request.server.realm();
        self.request.behalf.abroad(server).unwrap_or(server)
    }

    /// Whether the KDC that is asked now is to lead the service back to its own realm, with a ticket in
    /// whose name the user's realm vouches (MS-SFU 3.1.5.1.1.2).
    fn leads_back(&self) -> bool {
        let service = self.request.server.realm();
        matches!(self.aim, Aim::Service { .. })
            && self.realm != service
            && self.request.behalf.abroad(service).is_some()
    }

    /// The service, as the KDC that is asked now is to call it.
    fn server(&self) -> Result<Principal> {
        let server = &self.request.server;
        if !self.leads_back() {
            return Ok(server.in_realm(&self.realm));
        }
        Principal::new(NameType::ENTERPRISE, &self.realm, [server.to_string()])
    }

    /// What to ask the KDC of [`Self::realm`] for: the service, unless its realm is known to be
    /// another one.
    fn next_aim(&self) -> Aim {
        let target = self.goal();
        if target.is_empty() || target == self.realm {
            return Aim::Service { canonicalize: self.request.options.has(KdcOptions::CANONICALIZE) };
        }
        let path = &self.request.path;
        let behind = path.iter().position(|realm| *realm == self.realm).map_or(0, |here| here + 1);
        let unseen = |realm: &&String| *realm != target && !self.realms.contains(realm);
        let nearer = path.iter().skip(behind).filter(unseen).cloned();
        // From the end: what is nearest to the service is asked for first.
        Aim::Realm { candidates: nearer.chain([target.to_owned()]).collect(), refused: None }
    }

    fn send(&mut self, now: Instant, random: &mut dyn Random) -> Result<Step> {
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS {
            return Err(Error::ReplyMismatch("the KDCs do not come to an end"));
        }
        let now = self.offset.unwrap_or_default().apply(now);
        if self.request.tgt.end_time < now.time {
            return Err(Error::code(ErrorCode::TKT_EXPIRED));
        }
        let wishes = match &self.aim {
            Aim::Realm { candidates, .. } => {
                let next = candidates.last().map_or(self.goal(), String::as_str);
                self.request.wishes_on_the_way(Principal::cross_tgs(next, &self.realm), random)
            }
            Aim::Service { canonicalize } => {
                self.request.wishes(self.server()?, *canonicalize || self.leads_back(), random)
            }
        };
        let subkey = Key::random(self.session.etype(), random)?;
        let key = self.request.armored.then(|| fast::armor_key(&subkey, &self.session)).transpose()?;
        self.decisions.extend(key.as_ref().map(|_| format!("Asking for {} in FAST", wishes.server)));
        let envelope = key.map(|key| Envelope { key, nonce: wishes.nonce });
        let message = self.message(&wishes, (&subkey, envelope.as_ref()), now, random)?;
        self.sent = Some(Sent { message: message.clone(), wishes, subkey, envelope });
        Ok(Step::Send { realm: self.realm.clone(), message })
    }

    fn message(
        &self,
        wishes: &Wishes,
        (subkey, envelope): (&Key, Option<&Envelope>),
        now: Instant,
        random: &mut dyn Random,
    ) -> Result<Vec<u8>> {
        let service = matches!(self.aim, Aim::Service { .. });
        let authdata = Some(&self.request.authdata).filter(|authdata| service && !authdata.is_empty());
        let authdata = authdata.map(|authdata| seal_authdata(authdata, subkey, random));
        let second = self.request.second_ticket.as_deref().filter(|_| service);
        let second: Vec<Raw<'_, Ticket<'_>>> = second.map(Raw::parse).transpose()?.into_iter().collect();
        let addresses = on_wire(&wishes.addresses);
        let etype = subkey.etype();
        let body = KdcReqBody {
            authorization_data: authdata.as_deref().map(|cipher| EncryptedData { etype, kvno: None, cipher }),
            additional_tickets: (!second.is_empty()).then_some(List::Items(&second)),
            ..wishes.body(&addresses)
        };
        let body = Raw { der: &wire::encode(&body), value: body };
        let checksum = self.session.checksum(KeyUsage::TGS_REQ_CHECKSUM, body.der);
        let header = ApMessage {
            credential: &self.request.tgt,
            session: &self.session,
            usage: KeyUsage::TGS_REQ_AUTHENTICATOR,
            options: ApOptions::NONE,
            checksum: Some(Checksum { kind: self.session.checksum_type(), checksum: &checksum }),
            subkey: Some(subkey),
            sequence: None,
            now,
            authdata: if envelope.is_some() { &FAST_USED } else { &[] },
        };
        let shown = header.seal(random)?;
        let own = if service { self.request.behalf.padata(&self.session, subkey, wishes.nonce) } else { vec![] };
        let own: Vec<_> = own.iter().map(|(kind, value)| PaData { kind: *kind, value }).collect();
        let enveloped = envelope.map(|envelope| {
            let (ap_req, outer, options) = (None, &shown[..], FastOptions::NONE);
            let request = fast::Request { ap_req, outer, options, padata: &own, body: body.der };
            fast::seal_request(&envelope.key, random, &request)
        });
        let enveloped = enveloped.transpose()?;
        let mut padata = vec![PaData { kind: PaType::TGS_REQ, value: &shown }];
        match &enveloped {
            Some(value) => padata.push(PaData { kind: PaType::FX_FAST, value }),
            None => padata.extend(own),
        }
        Ok(wire::encode(&KdcReq { kind: MessageType::TGS_REQ, padata: List::Items(&padata).into(), body }))
    }

    /// A refusal leads to another try, or it is the end.
    fn refused(&mut self, refusal: Refusal<'_>, now: Instant) -> Result<()> {
        if refusal.code == ErrorCode::SKEW && self.request.follow_clock && !self.clock_corrected {
            self.clock_corrected = true;
            self.decisions.push(format!("Taking over the KDC's clock: {}", refusal.clock.time));
            self.offset = Some(ClockOffset::between(refusal.clock, now));
            return Ok(());
        }
        match &mut self.aim {
            // No way there: try for a realm that is nearer.
            Aim::Realm { candidates, refused } => {
                let dropped = candidates.pop();
                self.decisions.push(format!("No way to realm {:?} from here", dropped.unwrap_or_default()));
                let first = refused.get_or_insert(refusal.error());
                if candidates.is_empty() { Err(first.clone()) } else { Ok(()) }
            }
            // A KDC from before RFC 6806.
            Aim::Service { canonicalize } if *canonicalize && refusal.code == ErrorCode::BADOPTION => {
                *canonicalize = false;
                self.decisions.push("Asking again without leave to change names".to_owned());
                Ok(())
            }
            Aim::Service { .. } => Err(refusal.error()),
        }
    }

    /// The ticket that was wanted, or `None` when it was one on the way.
    fn accept(&mut self, bytes: &[u8], sent: &Sent, now: Instant) -> Result<Option<Outcome>> {
        let rep: KdcRep<'_> = wire::decode(bytes)?;
        if rep.kind != MessageType::TGS_REP {
            return Err(Error::ReplyMismatch("another message type"));
        }
        // Heimdal 7.8 advertises FAST and its TGS knows nothing of it. Nobody else can answer so: the key
        // of an answer in an envelope is another one, and a KDC that knows FAST misses the envelope.
        let opened = sent.envelope.as_ref().map(|envelope| envelope.open_reply(&rep)).transpose()?.flatten();
        let told = Told::of(sent.envelope.as_ref(), opened.as_ref(), &rep)?;
        let behalf = &self.request.behalf;
        let user = behalf.signed(told.padata, &sent.subkey, sent.wishes.nonce)?;
        let on_the_way = self.aim.is_realm() || self.leads_back();
        let named = (&told.client, user.as_ref());
        let client = behalf.client(&self.request.tgt.client, named, sent.wishes.options, on_the_way)?;
        if rep.enc_part.etype != self.session.etype() {
            return Err(Error::ReplyMismatch("an encryption type that was not offered"));
        }
        let plain = sent.open(&self.session, &told, rep.enc_part.cipher)?;
        let part: EncKdcRepPart<'_> = wire::decode(&plain)?;
        reply::same_server(&rep, &part)?;
        let expected = self.request.expected_flags();
        let earliest = self.offset.unwrap_or_default().apply(now).time - DEFAULT_SKEW;
        let inherited = &self.request.tgt.addresses;
        Answer { wishes: &sent.wishes, part: &part, expected, inherited, now: earliest }.check()?;
        let server = part.server.principal(part.server_realm)?;
        let mut ticket = reply::credential(&client, server, &rep, &part);
        // MIT's and Heimdal's KDCs do not repeat addresses that the new ticket has from the shown one.
        let elsewhere = sent.wishes.options.any(KdcOptions::FORWARDED | KdcOptions::PROXY);
        if part.addresses.is_none() && !elsewhere {
            ticket.addresses.clone_from(inherited);
        }
        self.fast = told.enveloped();
        self.vouched(user)?;
        self.judge(ticket, &sent.wishes)
    }

    /// Takes over the name that the user's realm has for the user: it stands by it from there on.
    fn vouched(&mut self, user: Option<Principal>) -> Result<()> {
        let Some(user) = user.filter(|_| self.leads_back()) else { return Ok(()) };
        let first = self.request.behalf.abroad(self.request.server.realm()) == Some(&self.realm);
        let same = self.request.behalf == Behalf::ToSelf(User::Named(user.clone()));
        if !same && (!first || user.realm() != self.realm) {
            return Err(Error::ReplyMismatch("another user"));
        }
        self.request.behalf = Behalf::ToSelf(User::Named(user));
        Ok(())
    }

    /// Whether a ticket is the one that was asked for, or one on the way to it.
    fn judge(&mut self, ticket: Credential, wishes: &Wishes) -> Result<Option<Outcome>> {
        let back = self.leads_back();
        let as_asked = ticket.server == wishes.server && !back;
        let referral = ticket.server.tgs_target().filter(|_| ticket.server.realm() == self.realm).map(str::to_owned);
        let may_refer = wishes.options.has(KdcOptions::CANONICALIZE) || wishes.server.tgs_target().is_some();
        match (&mut self.aim, referral) {
            (Aim::Service { .. }, _) if as_asked => Ok(Some(self.outcome(ticket))),
            (aim, Some(realm)) if may_refer && (self.request.behalf == Behalf::Own || back || aim.is_realm()) => {
                self.hop(realm, ticket)?;
                Ok(None)
            }
            // An old KDC that names the service otherwise instead of referring to it (RFC 6806 6).
            (Aim::Service { canonicalize }, _) if *canonicalize && !back => {
                *canonicalize = false;
                Ok(None)
            }
            _ => Err(Error::ReplyMismatch("another server")),
        }
    }

    /// Goes on at the KDC of a realm that this ticket leads to.
    fn hop(&mut self, realm: String, ticket: Credential) -> Result<()> {
        if self.realms.contains(&realm) {
            return Err(Error::ReplyMismatch("the realms refer to one another"));
        }
        if self.realms.len() > MAX_REFERRALS {
            return Err(Error::ReplyMismatch("too many referrals"));
        }
        self.decisions.push(format!("Going on at the KDC of realm {realm:?} with {}", ticket.server));
        self.session = ticket.key.key()?;
        self.ways_trusted &= ticket.flags.has(TicketFlags::OK_AS_DELEGATE);
        // What leads back is good for this user only.
        if !self.leads_back() {
            self.hops.push(ticket.clone());
        }
        self.request.tgt = ticket;
        // What the next KDC knows is not said.
        self.request.armored = false;
        self.realms.push(realm.clone());
        self.realm = realm;
        self.clock_corrected = false;
        if self.aim.is_realm() {
            self.aim = self.next_aim();
        }
        if self.leads_back() && self.realm == self.goal() {
            // The way back may lead through the same realms.
            self.realms = vec![self.realm.clone()];
        }
        Ok(())
    }

    fn outcome(&mut self, ticket: Credential) -> Outcome {
        // Another realm's service is trusted with forwarded tickets where the own realm says so of the way
        // there; what that realm says of its services alone is its own opinion (RFC 4120 2.8).
        let trusted = self.ways_trusted;
        let flags =
            ticket.flags.with(TicketFlags::OK_AS_DELEGATE, trusted && ticket.flags.has(TicketFlags::OK_AS_DELEGATE));
        let second_ticket = self.request.second_ticket.take().filter(|_| self.request.behalf == Behalf::Own);
        let credential = Credential {
            is_skey: second_ticket.is_some(),
            second_ticket: second_ticket.unwrap_or_default(),
            authdata: std::mem::take(&mut self.request.authdata),
            flags,
            ..ticket
        };
        let hops = std::mem::take(&mut self.hops);
        Outcome { credential, hops, preauth: None, choices: vec![], fast_available: self.fast, password_expires: None }
    }
}

impl Exchange for TgsExchange {
    fn step(&mut self, now: Instant, random: &mut dyn Random, reply: Option<&[u8]>) -> Result<Step> {
        let (bytes, sent) = match (reply, self.sent.take()) {
            (None, None) => return self.send(now, random),
            (None, Some(sent)) => {
                let message = sent.message.clone();
                self.sent = Some(sent);
                return Ok(Step::Send { realm: self.realm.clone(), message });
            }
            (Some(_), None) => return Err(Error::ReplyMismatch("no reply is awaited")),
            (Some(bytes), Some(sent)) => (bytes, sent),
        };
        if wire::application_tag(bytes) == Some(MessageType::ERROR.0 as u8) {
            let opened = sent.envelope.as_ref().map(|envelope| envelope.open_error(bytes)).transpose()?.flatten();
            let refusal = match (&sent.envelope, &opened) {
                (Some(envelope), Some(opened)) => envelope.refusal(opened)?,
                _ => Refusal::read(bytes)?,
            };
            self.refused(refusal, now)?;
        } else if let Some(outcome) = self.accept(bytes, &sent, now)? {
            return Ok(Step::Done(Box::new(outcome)));
        }
        self.send(now, random)
    }

    fn clock_offset(&self) -> Option<ClockOffset> {
        self.offset
    }

    fn decisions(&mut self) -> Vec<String> {
        std::mem::take(&mut self.decisions)
    }
}

/// Says that the request is in FAST, so that nobody can take the envelope away (RFC 6113 5.4.2).
const FAST_USED: [wire::AuthData<'static>; 1] = [wire::AuthData { kind: AuthDataType::FX_FAST_USED, data: &[] }];

fn seal_authdata(authdata: &[AuthData], subkey: &Key, random: &mut dyn Random) -> Vec<u8> {
    let elements: Vec<_> =
        authdata.iter().map(|element| wire::AuthData { kind: element.kind, data: &element.bytes }).collect();
    subkey.encrypt(KeyUsage::TGS_REQ_AUTHZ_SUBKEY, random, &wire::encode(&List::Items(&elements)))
}

#[cfg(test)]
mod tests;
