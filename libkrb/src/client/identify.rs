//! Which realm a user is of who is known by an enterprise name or by a certificate only: an AS-REQ that brings
//! no proof, and where its answer comes from (MS-SFU 3.1.5.1.1.1, RFC 6806 7). Not here: a ticket.

use super::as_request::AsRequest;
use super::kdc_req::MAX_REFERRALS;
use super::refusal::Refusal;
use super::s4u::User;
use crate::codes::{MessageType, NameType, PaType};
use crate::crypto::Random;
use crate::error::{Error, ErrorCode, Result};
use crate::flags::KdcOptions;
use crate::name::Principal;
use crate::time::Instant;
use crate::wire::{self, KdcReq, KdcReqBody, List, PaData, PrincipalName, Raw};

/// Asks one KDC after the other.
#[derive(Debug)]
pub struct Identification {
    user: User,
    realms: Vec<String>,
}

impl Identification {
    /// `None` for a user whose realm is known.
    pub fn new(user: &User) -> Option<Identification> {
        let open = |name: &Principal| {
            name.kind() == NameType::ENTERPRISE && name.components().iter().any(|part| part.contains('@'))
        };
        let realm = match user {
            User::Named(name) => Some(name.realm()).filter(|_| open(name))?,
            User::Certified(_, realm) => realm,
        };
        Some(Identification { user: user.clone(), realms: vec![realm.to_owned()] })
    }

    /// The realm whose KDC is to be asked now.
    pub fn realm(&self) -> &str {
        self.realms.last().map_or("", String::as_str)
    }

    /// What to ask it.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a realm that is none.
    pub fn message(&self, now: Instant, random: &mut dyn Random) -> Result<Vec<u8>> {
        const LIFE: i64 = 15;
        let (client, certificate) = match &self.user {
            User::Named(name) => (name.in_realm(self.realm()), None),
            User::Certified(certificate, _) => {
                (Principal::new(NameType::X500_PRINCIPAL, self.realm(), [""])?, Some(certificate.as_slice()))
            }
        };
        let request = AsRequest { lifetime: Some(LIFE), ..AsRequest::new(client.clone()) };
        let wishes = request.wishes(&client, &request.etypes, now.time, random);
        let body = wishes.body(&[]);
        let options = KdcOptions::CANONICALIZE;
        let body = KdcReqBody { client: Some(PrincipalName::from(&client)), options, ..body };
        let certificate = certificate.map(|value| PaData { kind: PaType::FOR_X509_USER, value });
        let padata: Vec<_> = certificate.into_iter().collect();
        let body = Raw { der: &wire::encode(&body), value: body };
        Ok(wire::encode(&KdcReq { kind: MessageType::AS_REQ, padata: List::Items(&padata).into(), body }))
    }

    /// The user in the realm that has it; `None`: another realm's KDC is to be asked. What it says nobody has
    /// signed: whoever is found there the KDC vouches for when it gives a ticket.
    ///
    /// # Errors
    /// The refusal of a KDC that knows nobody by this name; realms that refer to one another.
    pub fn answered(&mut self, reply: &[u8]) -> Result<Option<User>> {
        if wire::application_tag(reply) != Some(MessageType::ERROR.0 as u8) {
            return Ok(Some(self.found()));
        }
        let refusal = Refusal::read(reply)?;
        match refusal.code {
            ErrorCode::PREAUTH_REQUIRED | ErrorCode::KEY_EXPIRED => Ok(Some(self.found())),
            ErrorCode::WRONG_REALM => self.refer(&refusal).map(|()| None),
            _ => Err(refusal.error()),
        }
    }

    fn refer(&mut self, refusal: &Refusal<'_>) -> Result<()> {
        let Some(realm) = refusal.client_realm.filter(|realm| !realm.is_empty()) else { return Err(refusal.error()) };
        if self.realms.len() > MAX_REFERRALS || self.realms.iter().any(|asked| asked == realm) {
            return Err(Error::ReplyMismatch("the realms refer the user to one another"));
        }
        self.realms.push(realm.to_owned());
        Ok(())
    }

    fn found(&self) -> User {
        match &self.user {
            User::Named(name) => User::Named(name.in_realm(self.realm())),
            User::Certified(certificate, _) => User::Certified(certificate.clone(), self.realm().to_owned()),
        }
    }
}
