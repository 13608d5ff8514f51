//! What an accepted AP-REQ gives: who the client is, the keys of the conversation, and the AP-REP
//! (RFC 4120 3.2.4).

use std::sync::Arc;

use super::authz::AuthzElement;
use super::check::Claim;
use super::opened::Opened;
use super::vouched::Vouched;
use crate::ccache::{Credential, RawKey};
use crate::codes::{ChecksumType, TransitedType};
use crate::crypto::{Key, KeyUsage, PreparedKey, Random};
use crate::flags::{ApOptions, TicketFlags};
use crate::name::Principal;
use crate::session::{Role, Session};
use crate::time::{Instant, Time};
use crate::wire::{self, ApRep, EncApRepPart, Encode, EncryptedData, Fixed, Writer};

/// An authenticated client. It exists only where every check has passed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Accepted {
    /// Who sent the AP-REQ.
    pub client: Principal,
    /// Whose key opened the ticket; not what stands clear on it.
    pub server: Principal,
    /// The ticket's flags.
    pub flags: TicketFlags,
    /// The ticket's times.
    pub times: TicketTimes,
    /// The realms that the client came through, and how they are written (RFC 4120 3.3.3.2).
    pub transited: (TransitedType, Vec<u8>),
    /// Restrictions and claims.
    pub authz: Arc<[AuthzElement]>,
    /// The options of the AP-REQ.
    pub options: ApOptions,
    /// The client's clock.
    pub client_time: Instant,
    /// The checksum of the authenticator, over whatever the application has agreed; unverified.
    pub checksum: Option<(ChecksumType, Vec<u8>)>,
    /// The session key of the ticket.
    pub session_key: Key,
    /// The key that the client chose.
    pub client_subkey: Option<Key>,
    /// The key that the AP-REP tells the client.
    pub acceptor_subkey: Option<Key>,
    /// The number of the client's first message.
    pub client_sequence: Option<u32>,
    /// The number of our first message; 0 without an AP-REP.
    pub acceptor_sequence: u32,
    /// The AP-REP to send back; only where the client wants one.
    pub reply: Option<Vec<u8>>,
    /// The ticket, in DER, where it is kept ([`super::Options::keep_tickets`]).
    pub ticket: Option<Vec<u8>>,
    vouched: Arc<Vouched>,
}

/// The times of a ticket (RFC 4120 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicketTimes {
    /// When the client was authenticated.
    pub auth: Time,
    /// When the ticket became valid.
    pub start: Time,
    /// When it ends: what was granted under it should end then too.
    pub end: Time,
    /// Until when it may be renewed.
    pub renew_till: Option<Time>,
}

impl Accepted {
    /// Of a claim that was checked.
    pub(super) fn new(
        Claim { opened, authenticator }: &Claim<'_>,
        options: ApOptions,
        client_subkey: Option<Key>,
        authz: Arc<[AuthzElement]>,
    ) -> Accepted {
        Accepted {
            client: opened.client.clone(),
            server: (*opened.server).clone(),
            flags: opened.flags,
            times: opened.times,
            transited: opened.transited.clone(),
            authz,
            vouched: opened.vouched.clone(),
            options,
            client_time: Instant { time: authenticator.time, micros: authenticator.micros },
            checksum: authenticator.checksum.map(|checksum| (checksum.kind, checksum.checksum.to_vec())),
            session_key: opened.session_key.clone(),
            client_subkey,
            acceptor_subkey: None,
            client_sequence: authenticator.sequence,
            acceptor_sequence: 0,
            reply: None,
            ticket: None,
        }
    }

    /// With the AP-REP, if the client wants one.
    pub(super) fn answered(self, opened: &Opened, random: &mut dyn Random, with_subkey: bool) -> Accepted {
        match self.options.has(ApOptions::MUTUAL_REQUIRED) {
            true => self.proving(opened.reply_key(), random, with_subkey),
            false => self,
        }
    }

    /// With an AP-REP also for a client that has not asked for one, without a subkey of ours: there
    /// are protocols in which it is always sent (RFC 3244 2).
    #[must_use]
    pub fn replying(self, random: &mut dyn Random) -> Accepted {
        let key = self.session_key.prepare(KeyUsage::AP_REP);
        if self.reply.is_some() { self } else { self.proving(&key, random, false) }
    }

    fn proving(mut self, key: &PreparedKey, random: &mut dyn Random, with_subkey: bool) -> Accepted {
        if with_subkey {
            self.acceptor_subkey = Key::random(self.key().etype(), random).ok();
        }
        self.acceptor_sequence = first_sequence(random);
        let part = EncApRepPart {
            time: self.client_time.time,
            micros: self.client_time.micros,
            subkey: self.acceptor_subkey.as_ref().map(Into::into),
            sequence: Some(self.acceptor_sequence),
        };
        let mut cipher = Writer::new();
        cipher.encrypted(key, random, |writer| part.encode(writer));
        let enc_part = EncryptedData { etype: self.session_key.etype(), kvno: None, cipher: cipher.bytes() };
        self.reply = Some(wire::encode(&ApRep { version: Fixed, kind: Fixed, enc_part }));
        self
    }

    /// The ticket that the client has shown, as evidence for going on in its name
    /// ([`crate::client::TgsRequest::on_behalf`]). `None`: tickets are not kept.
    pub fn shown(&self) -> Option<Credential> {
        Some(Credential {
            client: self.client.clone(),
            server: self.server.clone(),
            key: RawKey::from(&self.session_key),
            auth_time: self.times.auth,
            start_time: self.times.start,
            end_time: self.times.end,
            renew_till: self.times.renew_till.unwrap_or(Time::EPOCH),
            is_skey: false,
            flags: self.flags,
            addresses: vec![],
            authdata: vec![],
            ticket: self.ticket.clone()?,
            second_ticket: vec![],
        })
    }

    /// How the client proved itself when it logged in, as the KDC vouches for it (RFC 8129). The realm's
    /// own words: those of another realm may mean something else. Verified when it is first asked.
    pub fn indicators(&self) -> &[String] {
        self.vouched.indicators()
    }

    /// The client's roles here, as the KDC vouches for them ([`crate::authz::roles`]).
    pub fn roles(&self) -> &[String] {
        self.vouched.roles()
    }

    /// The key of the conversation: the last one that was negotiated (RFC 4120 3.2.6).
    pub fn key(&self) -> &Key {
        self.acceptor_subkey.as_ref().or(self.client_subkey.as_ref()).unwrap_or(&self.session_key)
    }

    /// The conversation that follows, with sequence numbers.
    pub fn session(&self) -> Session {
        Session::new(self.key(), Role::Acceptor, self.acceptor_sequence, self.client_sequence.unwrap_or(0))
    }
}

/// A random number (RFC 4120 3.2.4), of 30 bits: some peers take a greater one for a negative one.
fn first_sequence(random: &mut dyn Random) -> u32 {
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    u32::from_be_bytes(bytes) & 0x3fff_ffff
}
