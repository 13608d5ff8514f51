//! Requests in envelopes of FAST whose cryptography is right, and whose contents are anything.

use libkrb::codes::{EncryptionType, PaType};
use libkrb::flags::FastOptions;

use super::script::Script;
use crate::armored::{self, Armor, Inside};
use crate::joined::{Asking, Credential, Joined};

/// A request in the armor of one of the held tickets: a login, or for a further ticket.
pub(super) fn enveloped(
    realm: &mut Joined,
    script: &mut Script<'_>,
    held: &[Credential],
    (within, outside): (&Asking, &Asking),
) -> Vec<u8> {
    let with = held[usize::from(script.byte()) % held.len()].clone();
    if script.seldom(2) {
        let explicit = script.seldom(4).then(|| Armor::new(realm, &with));
        return armored::tgs_req(realm, &with, (outside, within), explicit.as_ref()).0;
    }
    let armor = Armor::new(realm, &with);
    let mut padata = script.list(3, |script| {
        let kind = script.choose(&[2, 133, 136, 138, 149, 150, 151, 141, 142, 16, 128, -1]);
        (PaType(kind), script.bytes().to_vec())
    });
    if script.seldom(2) {
        let key = realm.key("alice", EncryptionType::AES256_SHA1);
        padata.push(armor.challenge(realm, &key));
    }
    let options = match script.byte() % 4 {
        0 => FastOptions::HIDE_CLIENT_NAMES,
        1 => FastOptions(script.number()),
        _ => FastOptions::NONE,
    };
    let beside = script.list(2, |script| (PaType(script.choose(&[2, 138, 133])), script.bytes().to_vec()));
    let outer = script.seldom(2).then(|| outside.body(true, None, &[]));
    armor.as_req(realm, within, &Inside { options, padata, outer, beside })
}
