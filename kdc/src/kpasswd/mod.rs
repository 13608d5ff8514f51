//! The service that changes passwords (RFC 3244, and version 1 before it), without sockets: bytes
//! in, the registry asked, a reply and an event out.
//!
//! A request is opened with the key of `kadmin/changepw` and no other, must come straight from an
//! AS exchange, and is answered under the subkey that it brings. Not here: which passwords are good
//! and whose may be set by whom, which is the registry's to say.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod check;
mod refuse;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use libkrb::codes::KpasswdCode;
use libkrb::crypto::{Key, Random};
use libkrb::keytab::{Keytab, KeytabEntry};
use libkrb::replay::ReplayCache;
use libkrb::service::{AcceptError, Accepted, Acceptor, Options};
use libkrb::session::{Address, Role, Session};
use libkrb::time::Instant;
use libkrb::wire::{self, KpasswdReply, KpasswdRequest, KpasswdResult};
use libkrb::{Error, ErrorCode, Principal, Time};

use crate::admin::Registry;
use crate::core::{Attempts, Entry, Event, Exchange, Outcome, Policy, Store};
use refuse::Refusal;

/// The tag of an AP-REQ.
const AP_REQ: Option<u8> = Some(14);

/// The service of one realm.
pub struct Kpasswd {
    policy: ArcSwap<Policy>,
    store: Arc<dyn Store>,
    registry: Arc<Registry>,
    replays: Arc<dyn ReplayCache>,
    attempts: Arc<dyn Attempts>,
}

/// When a request came, and from where to where.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The KDC's clock.
    pub now: Instant,
    /// Who sent it.
    pub from: SocketAddr,
    /// Our address that it was sent to, where that is known: MIT's clients compare it.
    pub to: Option<IpAddr>,
}

/// A client that has proven itself, and what is needed to answer it.
struct Caller {
    accepted: Accepted,
    subkey: Key,
}

impl Kpasswd {
    /// The service of `policy`'s realm; `registry` makes the changes in `store`. Who has failed too often
    /// there, by `attempts`, changes nothing here.
    pub fn new(
        policy: Policy,
        store: Arc<dyn Store>,
        registry: Arc<Registry>,
        replays: Arc<dyn ReplayCache>,
        attempts: Arc<dyn Attempts>,
    ) -> Kpasswd {
        Kpasswd { policy: ArcSwap::from_pointee(policy), store, registry, replays, attempts }
    }

    /// Answers by other rules from now on, in the same realm.
    pub fn govern(&self, policy: Policy) {
        self.policy.store(Arc::new(policy));
    }

    /// Answers one request. Only one whose client has proven itself gives the event a client.
    pub fn handle(&self, at: &Arrival, random: &mut dyn Random, bytes: &[u8]) -> Outcome {
        let mut event = Event { exchange: Exchange::Kpasswd, ..Event::default() };
        let reply = self.answer(at, random, bytes, &mut event);
        Outcome { reply, event }
    }

    /// The answer to a message that is longer than any request.
    pub fn too_long(&self, now: Instant) -> Vec<u8> {
        let refusal = Refusal::malformed("The request is too long");
        refuse::krb_error(&self.name(), now, ErrorCode::FIELD_TOOLONG, &refusal)
    }

    /// The answer to one who is over a limit.
    pub fn limited(&self, now: Instant) -> Vec<u8> {
        let refusal = Refusal::denied("Too much came from there; try again later");
        refuse::krb_error(&self.name(), now, ErrorCode::POLICY, &refusal)
    }

    /// The principal as which it is asked.
    fn name(&self) -> Principal {
        Principal::changepw(&self.policy.load().realm)
    }

    /// No reply for what is itself a reply: two servers would talk to each other for ever.
    fn answer(&self, at: &Arrival, random: &mut dyn Random, bytes: &[u8], event: &mut Event) -> Option<Vec<u8>> {
        let request = match KpasswdRequest::decode(bytes) {
            Ok(request) => request,
            Err(_) if KpasswdReply::decode(bytes).is_ok() => return None,
            Err(_) => return Some(self.refuse(at, None, Refusal::malformed("The request's lengths are wrong"), event)),
        };
        if wire::application_tag(request.ap_req) != AP_REQ {
            event.refusal = Some((ErrorCode::MSG_TYPE, "a reply was sent as a request"));
            return None;
        }
        if !matches!(request.version, KpasswdRequest::CHANGE | KpasswdRequest::SET) {
            return Some(self.refuse(at, None, Refusal::bad_version(), event));
        }
        let caller = match self.accept(at, random, request.ap_req) {
            Ok(caller) => caller,
            Err((code, refusal)) => return Some(self.refuse(at, Some(code), refusal, event)),
        };
        event.client = Some(caller.accepted.client.clone());
        let accepted = &caller.accepted;
        let mut session = Session::new(
            &caller.subkey,
            Role::Acceptor,
            accepted.acceptor_sequence,
            accepted.client_sequence.unwrap_or(0),
        );
        // Where a client thinks that it is does not matter: there may be a translation in between.
        session = session.with_addresses(Address::acceptor(), None);
        let outcome = match session.read_priv(at.now, request.message) {
            Ok(data) => self.change(at, accepted, request.version, &data, event),
            Err(_) => Err(Refusal::unopened()),
        };
        let (code, text) = match &outcome {
            Ok(()) => (KpasswdCode::SUCCESS, ""),
            Err(refusal) => {
                event.refusal = Some(refusal.told());
                (refusal.code, &*refusal.text)
            }
        };
        let local = at.to.map_or_else(Address::acceptor, Address::ip);
        let result = KpasswdResult { code, text: text.as_bytes() }.encode();
        let message = session.with_addresses(local, None).make_priv(at.now, random, &result).ok()?;
        KpasswdReply::Answer { ap_rep: accepted.reply.as_deref()?, message: &message }.encode().ok()
    }

    /// Opens the ticket with the service's own keys, and makes the checks of RFC 4120 3.2.3.
    fn accept(&self, at: &Arrival, random: &mut dyn Random, ap_req: &[u8]) -> Result<Caller, (ErrorCode, Refusal)> {
        let (name, policy) = (self.name(), self.policy.load());
        let refused = |code| (code, Refusal::unproven(code));
        let entry = self.store.lookup(&name).map_err(|_| (ErrorCode::GENERIC, Refusal::failed()))?;
        let entry = entry.ok_or_else(|| refused(ErrorCode::NOKEY))?;
        let options = Options {
            service: Some(name.clone()),
            clock_skew: policy.clock_skew,
            etypes: policy.etypes.clone(),
            acceptor_subkey: false,
            known_tickets: 0,
            ..Options::default()
        };
        let acceptor = Acceptor::new(&keytab(&name, &entry, at.now.time), options, Arc::clone(&self.replays));
        let acceptor = acceptor.map_err(|error: Error| refused(error.wire_code()))?;
        let peer = Some(at.from.ip()).filter(|_| policy.check_addresses);
        let accepted = acceptor.accept(at.now, random, ap_req, peer);
        let accepted = accepted.map_err(|error: AcceptError| refused(error.code()))?;
        let subkey = accepted.client_subkey.clone().ok_or_else(|| (ErrorCode::GENERIC, Refusal::no_subkey()))?;
        // The reply always proves the server, whatever the client's options say.
        Ok(Caller { accepted: accepted.replying(random), subkey })
    }

    fn refuse(&self, at: &Arrival, code: Option<ErrorCode>, refusal: Refusal, event: &mut Event) -> Vec<u8> {
        let code = code.unwrap_or(ErrorCode::GENERIC);
        event.refusal = Some((code, refusal.told().1));
        refuse::krb_error(&self.name(), at.now, code, &refusal)
    }
}

/// All keys of the service that have not ended, old ones too: tickets live for minutes after a change.
fn keytab(name: &Principal, entry: &Entry, now: Time) -> Keytab {
    let entries = entry.living(now).flat_map(|set| {
        set.keys.iter().map(|key| KeytabEntry {
            principal: name.clone(),
            timestamp: Time::EPOCH,
            kvno: set.kvno,
            key: (&key.key).into(),
        })
    });
    Keytab { entries: entries.collect() }
}
