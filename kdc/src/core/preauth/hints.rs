//! METHOD-DATA: how a client may prove itself, or go on with it (RFC 4120 5.9.1, RFC 6113 5.2). What
//! the KDC must remember until the client's next message travels with it in a sealed cookie.

use libkrb::codes::PaType;
use libkrb::wire::{self, EtypeInfo2Entry, List, PaData};

use super::super::cookie;
use super::super::entry::LongTermKey;
use super::{Gathered, Try};

/// The elements of METHOD-DATA and the state of the conversation.
#[derive(Debug, Default)]
pub struct Hints {
    elements: Vec<(PaType, Vec<u8>)>,
    state: Vec<(PaType, Vec<u8>)>,
    offers: bool,
}

impl Hints {
    /// Tells something that is no method, such as how keys are made.
    pub fn tell(&mut self, kind: PaType, value: Vec<u8>) {
        self.elements.push((kind, value));
    }

    /// Tells what there is, if there is something.
    pub fn tell_all(&mut self, elements: impl IntoIterator<Item = (PaType, Vec<u8>)>) {
        self.elements.extend(elements);
    }

    /// Offers a method, or its next step.
    pub fn offer(&mut self, kind: PaType, value: Vec<u8>) {
        self.offers = true;
        self.tell(kind, value);
    }

    /// Remembers a method's state: the client brings it back, sealed ([`Gathered::remembered`]).
    pub fn keep(&mut self, kind: PaType, state: Vec<u8>) {
        self.state.push((kind, state));
    }

    /// Whether any method is offered.
    pub fn offers(&self) -> bool {
        self.offers
    }

    /// METHOD-DATA, always with a cookie: where there is none the conversation is over (RFC 6113 5.2).
    pub(super) fn encode(mut self, work: &mut Try<'_>, gathered: &Gathered<'_>) -> Vec<u8> {
        // Without a cookie the client's next message fails: the realm has lost its own key.
        let sealed = cookie::seal(work.kdc, work.at, work.random, &gathered.client_name, &self.state);
        self.elements.extend(sealed.map(|sealed| (PaType::FX_COOKIE, sealed)));
        let elements = self.elements.iter().map(|(kind, value)| PaData { kind: *kind, value }).collect::<Vec<_>>();
        wire::encode(&List::Items(&elements))
    }
}

/// ETYPE-INFO2: how to make keys from the password (RFC 4120 5.2.7.5).
pub fn etype_info2<'a>(gathered: &Gathered<'_>, keys: impl Iterator<Item = &'a LongTermKey>) -> Vec<u8> {
    let default_salt = gathered.client.principal.salt();
    let keys = keys.map(|key| (key, key.iterations.map(u32::to_be_bytes))).collect::<Vec<_>>();
    let entries = keys.iter().map(|(key, s2kparams)| EtypeInfo2Entry {
        etype: key.etype(),
        salt: Some(key.salt.as_deref().unwrap_or(&default_salt)),
        s2kparams: s2kparams.as_ref().map(|params| params.as_slice()),
    });
    wire::encode(&List::Items(&entries.collect::<Vec<_>>()))
}
