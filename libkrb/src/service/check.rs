//! The checks of RFC 4120 3.2.3 on a ticket and an authenticator that were opened. Not here: the
//! replay cache, which is asked when all of these have passed.

use std::net::IpAddr;

use super::Options;
use super::opened::Opened;
use crate::codes::AddressType;
use crate::error::{Error, ErrorCode, Result};
use crate::flags::TicketFlags;
use crate::session::Address;
use crate::time::Time;
use crate::transited;
use crate::wire::{Authenticator, TransitedEncoding};

/// What a client claims: decrypted, not yet believed.
pub(super) struct Claim<'a> {
    pub(super) opened: &'a Opened,
    pub(super) authenticator: &'a Authenticator<'a>,
}

pub(super) fn check(options: &Options, now: Time, peer: Option<IpAddr>, claim: &Claim<'_>) -> Result<()> {
    same_client(claim)?;
    from_its_address(options, peer, claim)?;
    current(options, now, claim)?;
    valid(options, now, claim)?;
    trusted_path(options, claim)?;
    initial(options, claim)
}

/// Ticket and authenticator name the same client.
fn same_client(Claim { opened, authenticator }: &Claim<'_>) -> Result<()> {
    let client = &opened.client;
    let same = client.realm() == authenticator.client_realm && authenticator.client.names(client);
    if same { Ok(()) } else { Err(Error::code(ErrorCode::BADMATCH)) }
}

/// The peer is at one of the ticket's addresses, if it has any. NetBIOS names, which Windows puts
/// there, bind to nothing.
fn from_its_address(options: &Options, peer: Option<IpAddr>, Claim { opened, .. }: &Claim<'_>) -> Result<()> {
    let bound = opened.addresses.iter().any(|address| address.kind != AddressType::NETBIOS);
    let good = match peer.map(Address::ip) {
        _ if !bound => !options.require_addresses,
        None => true,
        Some(peer) => opened.addresses.contains(&peer),
    };
    if good { Ok(()) } else { Err(Error::code(ErrorCode::BADADDR)) }
}

/// The authenticator was made just now.
fn current(options: &Options, now: Time, Claim { authenticator, .. }: &Claim<'_>) -> Result<()> {
    if authenticator.time.distance(now) <= options.clock_skew { Ok(()) } else { Err(Error::code(ErrorCode::SKEW)) }
}

/// The ticket has begun and not ended.
fn valid(options: &Options, now: Time, Claim { opened, .. }: &Claim<'_>) -> Result<()> {
    if opened.times.start > now + options.clock_skew || opened.flags.has(TicketFlags::INVALID) {
        return Err(Error::code(ErrorCode::TKT_NYV));
    }
    if now > opened.times.end + options.clock_skew {
        return Err(Error::code(ErrorCode::TKT_EXPIRED));
    }
    Ok(())
}

/// The realms that the client came through were looked at, if there are any: by a KDC, else here (RFC
/// 4120 2.7).
fn trusted_path(options: &Options, Claim { opened, .. }: &Claim<'_>) -> Result<()> {
    if opened.flags.has(TicketFlags::TRANSITED_POLICY_CHECKED) || options.accept_unchecked_path {
        return Ok(());
    }
    let (client, server) = (opened.client.realm(), opened.server.realm());
    let field = TransitedEncoding { kind: opened.transited.0, contents: &opened.transited.1 };
    let transited = transited::expand(field, client, server);
    let trusted = transited.is_ok_and(|transited| options.paths.accept(client, server, &transited));
    if trusted { Ok(()) } else { Err(Error::code(ErrorCode::AP_PATH_NOT_ACCEPTED)) }
}

/// The ticket comes from an AS exchange, where that is asked for.
fn initial(options: &Options, Claim { opened, .. }: &Claim<'_>) -> Result<()> {
    if opened.flags.has(TicketFlags::INITIAL) || !options.require_initial {
        return Ok(());
    }
    Err(Error::protocol(ErrorCode::POLICY, "an initial ticket is required"))
}
