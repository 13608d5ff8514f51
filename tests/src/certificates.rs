//! A realm in memory that takes certificates, and clients that have some: those of
//! `tests/vectors/pkinit`, all of one authority unless their names say otherwise.

use std::sync::Arc;

use kdc::core::{Attributes, Pkinit, SpiffeRule};
use libkrb::client::{AsExchange, AsRequest, Exchange, Secret, Step};
use libkrb::preauth::Means;
use libkrb::preauth::pkinit::{Group, Identity, PkinitMeans, Purpose, Trust};
use libkrb::{Principal, Result};

use crate::joined::{Joined, REALM, Sequence, name};

/// A file of the folder.
pub fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/vectors/pkinit/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A certificate with its key.
pub fn identity(name: &str) -> Identity {
    let pem = file(&format!("{name}.pem"));
    Identity::from_pem(&pem, &pem).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Who believes the authority, and knows what it revoked.
pub fn trust() -> Trust {
    Trust::from_pem(&file("ca.crt"), b"", &file("ca.crl")).expect("an authority")
}

/// What a realm asks unless a test has it otherwise.
pub fn pkinit() -> Pkinit {
    let orders = SpiffeRule::new("spiffe://example.org/ns/{ns}/sa/{sa}", "{sa}/{ns}", REALM);
    Pkinit {
        identity: identity("kdc-p256"),
        trust: trust(),
        purposes: vec![Purpose::PkinitClient, Purpose::SmartcardLogon],
        least_group: Group::Modp2048,
        require_freshness: false,
        allow_upn: false,
        spiffe: vec![orders.expect("a rule")],
    }
}

/// A realm that takes certificates, and gives tickets to nobody in particular.
pub fn realm() -> Joined {
    realm_with(pkinit())
}

/// The same with other settings.
pub fn realm_with(pkinit: Pkinit) -> Joined {
    let mut realm = Joined::new();
    realm.policy.pkinit = Some(Arc::new(pkinit));
    realm.add(Principal::anonymous().in_realm(REALM), |_| {});
    realm.add(name("orders/shop"), |entry| entry.attributes = Attributes::REQUIRES_PRE_AUTH);
    realm
}

/// What a client has who has this certificate, or none.
pub fn means(who: Option<&str>) -> PkinitMeans {
    PkinitMeans::new(who.map(|who| Arc::new(identity(who))), Arc::new(trust()))
}

/// A client's exchange.
pub fn exchange(client: &Principal, means: PkinitMeans) -> AsExchange {
    let means = Means { pkinit: Some(Arc::new(means)), ..Means::default() };
    AsExchange::with_means(AsRequest::new(client.clone()), Secret::None, means)
}

/// So many logins of alice with this certificate, as a KDC of these settings is sent them.
///
/// # Errors
/// When the client gives up.
pub fn logins(who: &str, count: u64) -> Result<Vec<Vec<u8>>> {
    logins_in(&mut realm(), who, count)
}

/// The same in a realm that is there, by its clock.
///
/// # Errors
/// As [`logins`].
pub fn logins_in(realm: &mut Joined, who: &str, count: u64) -> Result<Vec<Vec<u8>>> {
    let means = means(Some(who));
    let mut login = |number| {
        let mut exchange = exchange(&name("alice"), means.clone());
        let (mut random, mut reply) = (Sequence(number), None);
        loop {
            realm.tick();
            let Step::Send { message, .. } = exchange.step(realm.now, &mut random, reply.as_deref())? else {
                return Err(libkrb::Error::ReplyMismatch("a ticket at once"));
            };
            if reply.is_some() {
                return Ok(message);
            }
            reply = realm.send(&message).reply;
        }
    };
    (0..count).map(&mut login).collect()
}
