//! TGS-REQ: a client with a ticket-granting ticket asks for another ticket (RFC 4120 3.3).

mod authdata;
mod check;
mod foreign;
mod gather;
mod header;
mod s4u;

pub(super) use gather::check_addresses;
pub(super) use header::{Opened, open_ticket};

use libkrb::crypto::Random;
use libkrb::wire::KdcReq;

use super::event::{Event, Exchange};
use super::refuse::Refusal;
use super::{Arrival, Kdc, issue};

/// Answers a TGS-REQ.
pub fn answer(
    kdc: &Kdc<'_>,
    at: Arrival,
    random: &mut dyn Random,
    request: &KdcReq<'_>,
    event: &mut Event,
) -> Result<Vec<u8>, Refusal> {
    event.exchange = Exchange::Tgs;
    event.offered = request.body.etypes.iter().take(16).collect();
    let presented = header::open(kdc, at.now.time, request)?;
    let header = presented.header()?;
    let gathered = gather::gather(kdc, at, request, &header, event)?;
    let grant = check::check(kdc, at, random, &gathered)?;
    Ok(issue::seal(&grant, random, event))
}
