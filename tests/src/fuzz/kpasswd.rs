//! The service that changes passwords, and the client that reads its answer: bytes in, and requests
//! whose cryptography is right.

use std::cell::RefCell;

use libkrb::client::NewSecret;
use libkrb::wire::{KpasswdReply, KpasswdRequest};

use super::script::Script;
use crate::changing::{Changing, Draft};
use crate::joined::Credential;

thread_local! {
    static PLACE: RefCell<(Changing, Credential)> = RefCell::new({
        let mut realm = Changing::new();
        let ticket = realm.ticket("alice");
        (realm, ticket)
    });
}

/// Any bytes, or any data in an honest request; then anything as the answer to a client.
pub fn kpasswd_request(data: &[u8]) {
    PLACE.with_borrow_mut(|(realm, ticket)| {
        let mut script = Script::new(data);
        realm.realm.tick();
        let version = script.choose(&[KpasswdRequest::SET, KpasswdRequest::CHANGE, 2]);
        let bent = script.byte() % 4;
        let mut request = match bent {
            0 | 1 => Draft::new(ticket, version, script.bytes()).request(realm.realm.now),
            _ => script.remainder().to_vec(),
        };
        if bent == 1 {
            script.bend(&mut request);
        }
        let before = realm.entry("alice").keys[0].kvno;
        let outcome = realm.send(&request);
        let changed = realm.entry("alice").keys[0].kvno != before;
        assert_eq!(changed, outcome.reply.is_some() && outcome.event.refusal.is_none(), "{:?}", outcome.event);
        let mut reply = outcome.reply.unwrap_or_default();
        if !reply.is_empty() {
            KpasswdReply::decode(&reply).expect("a reply");
            assert!(realm.send(&reply).reply.is_none(), "a reply is answered");
        }
        script.bend(&mut reply);
        let (exchange, _) = realm.request(ticket, &NewSecret { password: "secret", target: None });
        assert!(exchange.finish(realm.realm.now, &reply).is_err(), "the answer to another request is believed");
    });
}
