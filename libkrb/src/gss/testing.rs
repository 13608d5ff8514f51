//! What the tests of contexts share: a service, a ticket for it, and both ends joined in memory.

use std::sync::Arc;

use super::{
    AcceptStep, AcceptorContext, AcceptorOptions, Caller, Context, InitiatorContext, InitiatorOptions, InitiatorStep,
    Mechanism,
};
use crate::ccache::Credential;
use crate::codes::EncryptionType;
pub(crate) use crate::crypto::testing::Script;
use crate::crypto::{self, Key};
use crate::flags::TicketFlags;
use crate::keytab::{Keytab, KeytabEntry, RawKey};
use crate::replay::MemoryReplayCache;
pub(crate) use crate::service::testing::{Counter, Draft, NOW, principal};
use crate::service::{Acceptor, Options};
use crate::session::{CredTicket, DEFAULT_SKEW};
use crate::time::Time;
use crate::wire::{self, ApReq};

pub(crate) const AES: EncryptionType = EncryptionType::AES256_SHA1;

pub(crate) fn key(etype: EncryptionType, byte: u8) -> Key {
    Key::new(etype, &vec![byte; crypto::key_len(etype).unwrap()]).unwrap()
}

/// alice's ticket for host/a.
pub(crate) fn ticket(etype: EncryptionType) -> Credential {
    let draft = Draft { service_key: key(etype, 1), session_key: key(etype, 2), ..Draft::default() };
    let ap_req = draft.ap_req();
    let ap_req: ApReq<'_> = wire::decode(&ap_req).unwrap();
    Credential {
        client: draft.client.clone(),
        server: draft.asked.clone(),
        key: RawKey::from(&draft.session_key),
        auth_time: draft.auth_time,
        start_time: draft.auth_time,
        end_time: draft.end_time,
        renew_till: Time::EPOCH,
        is_skey: false,
        flags: draft.flags,
        addresses: vec![],
        authdata: vec![],
        ticket: ap_req.ticket.der.to_vec(),
        second_ticket: vec![],
    }
}

/// A ticket-granting ticket to hand over.
pub(crate) fn forwarded() -> CredTicket {
    let like = ticket(AES);
    CredTicket {
        client: like.client,
        server: principal("krbtgt/EXAMPLE.ORG"),
        key: key(AES, 9),
        flags: TicketFlags::FORWARDED | TicketFlags::FORWARDABLE,
        auth_time: Some(like.auth_time),
        start_time: None,
        end_time: Some(like.end_time),
        renew_till: None,
        addresses: vec![],
        ticket: like.ticket,
    }
}

/// The service host/a.
pub(crate) fn acceptor_with(etype: EncryptionType, options: Options) -> Arc<Acceptor> {
    let key = RawKey::from(&key(etype, 1));
    let entry = KeytabEntry { principal: principal("host/a"), timestamp: NOW.time, kvno: 3, key };
    let replay = Arc::new(MemoryReplayCache::new(DEFAULT_SKEW, 1000));
    let etypes = [crypto::SUPPORTED, &[etype]].concat();
    Arc::new(Acceptor::new(&Keytab { entries: vec![entry] }, Options { etypes, ..options }, replay).unwrap())
}

pub(crate) fn acceptor(etype: EncryptionType) -> Arc<Acceptor> {
    acceptor_with(etype, Options::default())
}

/// What the Kerberos mechanism does by default.
pub(crate) fn kerberos() -> InitiatorOptions {
    InitiatorOptions { mechanism: Mechanism::Kerberos, ..InitiatorOptions::default() }
}

pub(crate) fn initiator(etype: EncryptionType, options: InitiatorOptions) -> InitiatorContext {
    InitiatorContext::new(&ticket(etype), options).unwrap()
}

/// Lets both ends speak until both are done.
pub(crate) fn join(mut initiator: InitiatorContext, mut acceptor: AcceptorContext) -> (Context, Context, Caller) {
    let random = &mut Counter(0);
    let (mut ours, mut theirs) = (None, None);
    let mut to_initiator = None;
    for _ in 0..8 {
        if ours.is_some() && theirs.is_some() {
            break;
        }
        let token = match initiator.step(NOW, random, to_initiator.as_deref()).unwrap() {
            InitiatorStep::Continue(token) => token,
            InitiatorStep::Done(context, token) => {
                ours = Some(*context);
                let Some(token) = token else { continue };
                token
            }
        };
        match acceptor.step(NOW, random, &token, None).unwrap() {
            AcceptStep::Continue(token) => to_initiator = Some(token),
            AcceptStep::Done(context, caller, token) => {
                theirs = Some((*context, *caller));
                to_initiator = token;
            }
        }
        if ours.is_some() {
            assert!(to_initiator.is_none(), "a token for an initiator that is done");
        }
    }
    let (theirs, caller) = theirs.expect("an acceptor that is done");
    (ours.expect("an initiator that is done"), theirs, caller)
}

/// Both ends of a context of the Kerberos mechanism.
pub(crate) fn opened(etype: EncryptionType, options: InitiatorOptions) -> (Context, Context, Caller) {
    join(initiator(etype, options), AcceptorContext::new(acceptor(etype), AcceptorOptions::default()))
}
