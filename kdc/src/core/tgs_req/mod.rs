//! TGS-REQ: a client with a ticket-granting ticket asks for another ticket (RFC 4120 3.3).

mod authdata;
mod check;
mod foreign;
mod gather;
mod header;
mod s4u;

pub(super) use gather::check_addresses;
pub use header::KnownTgts;
pub(super) use header::{Opened, Session, open_ticket, recall};

use libkrb::crypto::Random;
use libkrb::wire::{Authenticator, KdcReq};

use super::event::{Event, Exchange};
use super::fast::{self, Armor};
use super::refuse::Refusal;
use super::{Arrival, Kdc, issue};

/// Answers a TGS-REQ.
pub fn answer(
    kdc: &Kdc<'_>,
    at: Arrival,
    random: &mut dyn Random,
    (bytes, request): (&[u8], &KdcReq<'_>),
    event: &mut Event,
) -> Result<Vec<u8>, Refusal> {
    event.exchange = Exchange::Tgs;
    event.offered = request.body.etypes.iter().take(16).collect();
    let presented = header::open(kdc, at.now.time, request)?;
    let header = presented.header(kdc, at.now.time)?;
    let said = &header.said()?;
    let header = &header;
    let mut envelope = None;
    let Some(opened) = fast::of_tgs(kdc, at, request, (header.session, said.subkey), &mut envelope)? else {
        authdata::no_fast(&header.ticket, said)?;
        return inside(kdc, at, random, &Message { bytes, outer: request, request, armor: None, header, said }, event);
    };
    event.armor = opened.armor.of;
    let answer = opened.request().and_then(|within| {
        event.offered = within.body.etypes.iter().take(16).collect();
        let armor = Some(&opened.armor);
        inside(kdc, at, random, &Message { bytes, outer: request, request: &within, armor, header, said }, event)
    });
    answer.or_else(|refusal| Ok(opened.refuse(kdc, (at, random), request, &refusal, event)))
}

/// A request and what it came with.
struct Message<'a> {
    /// The message as it came.
    bytes: &'a [u8],
    /// The same decoded, which the authenticator's checksum is over.
    outer: &'a KdcReq<'a>,
    /// The request that counts: the one in the envelope if there is one (RFC 6113 5.4.2).
    request: &'a KdcReq<'a>,
    /// The envelope.
    armor: Option<&'a Armor>,
    /// The presented ticket.
    header: &'a header::Header<'a>,
    /// What its authenticator says.
    said: &'a Authenticator<'a>,
}

fn inside(
    kdc: &Kdc<'_>,
    at: Arrival,
    random: &mut dyn Random,
    message: &Message<'_>,
    event: &mut Event,
) -> Result<Vec<u8>, Refusal> {
    let gathered = gather::gather(kdc, at, message, event)?;
    let grant = check::check(kdc, at, random, &gathered)?;
    Ok(issue::seal(&grant, random, event))
}
