//! What AS-REQ and TGS-REQ have in common: the wishes of a request and its body (RFC 4120 5.4.1).

use crate::ccache::Address;
use crate::codes::EncryptionType;
use crate::crypto::{Random, is_weak, supported};
use crate::error::{Error, ErrorCode, Result};
use crate::flags::KdcOptions;
use crate::name::Principal;
use crate::time::Time;
use crate::wire::{HostAddress, KdcReqBody, List, PrincipalName};

/// The most messages of one exchange. A KDC that always wants another one gets no more.
pub(super) const MAX_ROUNDS: u32 = 32;

/// The most realms that an exchange is referred through (RFC 6806 8 suggests 5; MIT allows this).
pub(super) const MAX_REFERRALS: usize = 10;

/// What one message asks for. A reply is held against it.
#[derive(Clone, Debug)]
pub(super) struct Wishes {
    pub options: KdcOptions,
    pub server: Principal,
    pub from: Option<Time>,
    /// [`Time::EPOCH`]: as late as possible.
    pub till: Time,
    pub renew_till: Option<Time>,
    pub nonce: u32,
    pub etypes: Vec<EncryptionType>,
    pub addresses: Vec<Address>,
}

impl Wishes {
    /// The body of the request. `addresses` are [`Wishes::addresses`] in the wire's form.
    pub fn body<'a>(&'a self, addresses: &'a [HostAddress<'a>]) -> KdcReqBody<'a> {
        KdcReqBody {
            options: self.options,
            client: None,
            realm: self.server.realm(),
            server: Some(PrincipalName::from(&self.server)),
            from: self.from,
            till: self.till,
            renew_till: self.renew_till,
            nonce: self.nonce,
            etypes: List::Items(&self.etypes),
            addresses: (!addresses.is_empty()).then_some(List::Items(addresses)),
            authorization_data: None,
            additional_tickets: None,
        }
    }
}

/// Addresses in the wire's form.
pub(super) fn on_wire(addresses: &[Address]) -> Vec<HostAddress<'_>> {
    addresses.iter().map(|address| HostAddress { kind: address.kind, address: &address.bytes }).collect()
}

/// A nonce of 31 bits: of 32 some peers make a negative number.
pub(super) fn nonce(random: &mut dyn Random) -> u32 {
    let mut octets = [0; 4];
    random.fill(&mut octets);
    u32::from_be_bytes(octets) & 0x7fff_ffff
}

/// The enctypes of a caller that can be offered: none that is broken, none that is unknown here.
pub(super) fn offered(wanted: &[EncryptionType]) -> Result<Vec<EncryptionType>> {
    let offered: Vec<_> = wanted.iter().copied().filter(|etype| supported(*etype) && !is_weak(*etype)).collect();
    if offered.is_empty() {
        return Err(Error::protocol(ErrorCode::ETYPE_NOSUPP, "no usable encryption type is permitted"));
    }
    Ok(offered)
}
