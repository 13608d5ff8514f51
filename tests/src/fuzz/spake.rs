//! A login by SPAKE between a client and a KDC, with somebody on the way who changes any of it.

use libkrb::codes::EncryptionType;
use libkrb::crypto::Key;
use libkrb::preauth::spake::client::{self, Said};
use libkrb::preauth::spake::kdc::{self, State};
use libkrb::preauth::spake::{GROUPS, Group, Initial, Keys};
use libkrb::wire::{self, List, PaSpake};

use super::script::Script;
use crate::joined::Sequence;

const BODY: &[u8] = b"KDC-REQ-BODY";

/// What both sides do with what they are told: no panic, and keys in common only if nothing was changed.
pub fn spake(data: &[u8]) {
    let mut script = Script::new(data);
    let key = Key::new(EncryptionType::AES128_SHA1, &[7; 16]).expect("a key");
    // The others are ten times the work, and most of their code is the same.
    let group = if script.seldom(32) { script.choose(&[1, 2, 3]) } else { 0 };
    let group = &GROUPS[group];
    let groups = [group, &GROUPS[0]];
    let support = client::support(&groups);
    let mut heard = support.clone();
    let changed = tamper(&mut script, &mut heard);
    let chosen = match wire::decode(&heard) {
        Ok(PaSpake::Support(support)) => kdc::choose(support.groups, &groups).unwrap_or(group),
        _ => group,
    };
    let optimistic = script.seldom(4);
    let heard = (!optimistic).then_some(&*heard);
    let (mut challenge, state) = kdc::challenge(&initial(&key, chosen), heard, &mut Sequence(1)).expect("a challenge");
    let kept = state.octets().to_vec();
    let state = State::parse(&kept).expect("what was written");
    // Where the challenge came unasked nobody has heard the groups.
    let changed = (changed && !optimistic) | tamper(&mut script, &mut challenge);
    let said = (!optimistic).then_some(&*support);
    let Some((mut response, ours)) = answered(&challenge, &groups, &key, said) else { return };
    let changed = changed | tamper(&mut script, &mut response);
    if let Some(theirs) = opened(&state, &key, &response) {
        let same = theirs.reply().expect("a key").same_as(&ours.reply().expect("a key"));
        assert!(same, "the KDC took a response for one that is not the client's");
    } else {
        assert!(changed, "an honest response was refused");
    }
    let _ = State::parse(script.bytes());
    let _ = kdc::choose(List::Items(&[script.number() as i32]), &groups);
}

fn initial(key: &Key, group: &'static Group) -> Initial {
    Initial::new(key, group).expect("a key of ours")
}

/// Changes a message, sometimes.
fn tamper(script: &mut Script<'_>, message: &mut Vec<u8>) -> bool {
    let before = message.clone();
    match script.byte() % 4 {
        2 => script.bend(message),
        3 => *message = script.bytes().to_vec(),
        _ => (),
    }
    *message != before
}

fn answered(challenge: &[u8], groups: &[&'static Group], key: &Key, support: Option<&[u8]>) -> Option<(Vec<u8>, Keys)> {
    let Ok(Said::Challenge(offer)) = client::read(challenge, groups) else { return None };
    offer.respond(key, support, BODY, &mut Sequence(2)).ok()
}

fn opened(state: &State, key: &Key, response: &[u8]) -> Option<Keys> {
    let Ok(PaSpake::Response(response)) = wire::decode(response) else { return None };
    state.open(&initial(key, state.group()), &response, BODY).ok()
}
