//! Visitors: clients of other realms who present a ticket-granting ticket that one of them issued for ours.

use libkrb::codes::TransitedType;
use libkrb::flags::KdcOptions as O;
use libkrb::wire::{EncTicketPart, TransitedEncoding};
use libkrb::{ErrorCode, Principal};
use tests::joined::{Asking, Credential, Joined, REALM};

/// What visitors ask for.
pub const SERVICE: &str = "host/a.example.org";

/// Our realm, which takes the word of these.
pub fn trusting(issuers: &[&str]) -> Joined {
    let realm = Joined::new();
    issuers.iter().for_each(|issuer| realm.add(Principal::cross_tgs(REALM, issuer), |_| {}));
    realm
}

/// A ticket-granting ticket for our realm that `issuer` made for a client.
pub fn visitor(realm: &mut Joined, client: &str, issuer: &str, transited: &'static str) -> Credential {
    bent(realm, client, issuer, |part| {
        part.transited =
            TransitedEncoding { kind: TransitedType::DOMAIN_X500_COMPRESS, contents: transited.as_bytes() };
    })
}

/// The same, bent.
pub fn bent(
    realm: &mut Joined,
    client: &str,
    issuer: &str,
    bend: impl for<'a> FnOnce(&mut EncTicketPart<'a>),
) -> Credential {
    let own = realm.login(&Asking::login("alice").with(O::FORWARDABLE | O::PROXIABLE)).expect("a TGT");
    let there = Credential { client: Principal::parse(client, None).expect("a name"), ..own };
    realm.forge(&there, &Principal::cross_tgs(REALM, issuer).to_string(), |part| bend(part))
}

/// What a visitor gets for [`SERVICE`]: the transited field, and whether the KDC has looked at it.
pub fn visit(realm: &mut Joined, tgt: &Credential) -> Result<(String, bool), ErrorCode> {
    let ticket = realm.tgs(tgt, &Asking::service(SERVICE))?;
    Ok(realm.open(&ticket.ticket, |part| {
        let checked = part.flags.has(libkrb::flags::TicketFlags::TRANSITED_POLICY_CHECKED);
        assert!(part.client.names(&tgt.client) && part.client_realm == tgt.client.realm());
        (String::from_utf8(part.transited.contents.to_vec()).expect("text"), checked)
    }))
}
