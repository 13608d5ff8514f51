//! What can be asked for in a TGS exchange (RFC 4120 3.3, 5.4.1).

use super::kdc_req::{Wishes, nonce};
use super::s4u::Behalf;
use crate::ccache::{Address, AuthData, Credential};
use crate::codes::EncryptionType;
use crate::crypto::{Random, SUPPORTED};
use crate::flags::{KdcOptions, TicketFlags};
use crate::name::Principal;
use crate::time::Time;

/// What a TGS exchange asks for: a ticket in exchange for another one.
#[derive(Clone, Debug)]
pub struct TgsRequest {
    /// The ticket to show: a ticket-granting one, or any that is to be renewed or validated.
    pub tgt: Credential,
    /// For which service. An empty realm leaves it to the KDCs which realm the service is of.
    pub server: Principal,
    /// What is wanted. With CANONICALIZE a KDC may refer to another realm (RFC 6806 8).
    pub options: KdcOptions,
    /// What the ticket shall inherit of the shown one, as far as that has it: of FORWARDABLE,
    /// PROXIABLE, MAY-POSTDATE and RENEWABLE.
    pub inherit: TicketFlags,
    /// The encryption types to offer for the session key, most wanted first.
    pub etypes: Vec<EncryptionType>,
    /// When a postdated ticket shall become good.
    pub from: Option<Time>,
    /// When it shall end; `None`: when the shown ticket does.
    pub till: Option<Time>,
    /// Until when it shall be renewable.
    pub renew_till: Option<Time>,
    /// From where it may be used, if that differs from the shown ticket.
    pub addresses: Vec<Address>,
    /// In whose name.
    pub behalf: Behalf,
    /// The ticket-granting ticket of a user who is the service (RFC 4120 3.7), or the ticket of the user
    /// in whose name it is, in DER.
    pub second_ticket: Option<Vec<u8>>,
    /// Restrictions that shall stand in the ticket.
    pub authdata: Vec<AuthData>,
    /// The realms from the client's to the service's ([`crate::config::Config::realm_path`]), to be
    /// gone through if the service's realm is not a neighbour.
    pub path: Vec<String>,
    /// Whether to ask in FAST (RFC 6113 5.4.2): where the KDC that issued the shown ticket said that it
    /// knows it (`fast_avail` in a credential cache).
    pub armored: bool,
    /// Whether to follow the KDC's clock when it finds ours wrong.
    pub follow_clock: bool,
}

/// What a ticket can inherit. These have the same bits in flags and options.
const HEIRLOOMS: TicketFlags = TicketFlags(
    TicketFlags::FORWARDABLE.0 | TicketFlags::PROXIABLE.0 | TicketFlags::MAY_POSTDATE.0 | TicketFlags::RENEWABLE.0,
);

impl TgsRequest {
    /// A ticket for a service, wherever it may be.
    pub fn new(tgt: Credential, server: Principal) -> TgsRequest {
        TgsRequest {
            options: KdcOptions::CANONICALIZE,
            inherit: HEIRLOOMS,
            server,
            etypes: SUPPORTED.to_vec(),
            from: None,
            till: None,
            renew_till: None,
            addresses: vec![],
            behalf: Behalf::Own,
            second_ticket: None,
            authdata: vec![],
            path: vec![],
            armored: false,
            follow_clock: true,
            tgt,
        }
    }

    /// The same ticket with other options, from the KDC that issued it.
    fn again(ticket: Credential, options: KdcOptions) -> TgsRequest {
        // Its life is that of the old one: the KDC decides (RFC 4120 3.3.3).
        TgsRequest { options, till: Some(Time::EPOCH), ..TgsRequest::new(ticket.clone(), ticket.server) }
    }

    /// The ticket with a new life (RFC 4120 2.3).
    pub fn renew(ticket: Credential) -> TgsRequest {
        Self::again(ticket, KdcOptions::RENEW)
    }

    /// The postdated ticket made good (RFC 4120 2.4).
    pub fn validate(ticket: Credential) -> TgsRequest {
        Self::again(ticket, KdcOptions::VALIDATE)
    }

    /// A ticket-granting ticket for use elsewhere (RFC 4120 2.6); no address: anywhere.
    pub fn forward(tgt: Credential, addresses: Vec<Address>) -> TgsRequest {
        let options = KdcOptions::FORWARDED;
        TgsRequest { options, addresses, ..TgsRequest::new(tgt.clone(), tgt.server) }
    }

    /// A service ticket for use elsewhere (RFC 4120 2.5); no address: anywhere.
    pub fn proxy(tgt: Credential, server: Principal, addresses: Vec<Address>) -> TgsRequest {
        let options = KdcOptions::PROXY;
        TgsRequest { options, addresses, ..TgsRequest::new(tgt, server) }
    }

    /// A ticket that becomes good at `from`, once validated (RFC 4120 2.4).
    pub fn postdated(tgt: Credential, server: Principal, from: Time) -> TgsRequest {
        let options = KdcOptions::POSTDATED;
        TgsRequest { options, from: Some(from), ..TgsRequest::new(tgt, server) }
    }

    /// A ticket for a user, in the session key of that user's ticket-granting ticket (RFC 4120 3.7).
    pub fn user_to_user(tgt: Credential, server: Principal, second_ticket: Vec<u8>) -> TgsRequest {
        let mut request = TgsRequest::new(tgt, server);
        request.options |= KdcOptions::ENC_TKT_IN_SKEY;
        request.second_ticket = Some(second_ticket);
        request
    }

    /// Whether the shown ticket goes back to the KDC that issued it.
    pub(super) fn goes_back(&self) -> bool {
        self.options.any(KdcOptions::RENEW | KdcOptions::VALIDATE)
    }

    /// The wishes of a message for the service itself.
    pub(super) fn wishes(&self, server: Principal, canonicalize: bool, random: &mut dyn Random) -> Wishes {
        Wishes {
            options: self.options.with(KdcOptions::CANONICALIZE, canonicalize) | self.inherited(),
            server,
            from: self.from,
            till: self.till.unwrap_or(self.tgt.end_time),
            renew_till: self.renew_till,
            nonce: nonce(random),
            etypes: self.etypes.clone(),
            addresses: self.addresses.clone(),
        }
    }

    /// The wishes of a message for a ticket-granting ticket on the way there.
    pub(super) fn wishes_on_the_way(&self, server: Principal, random: &mut dyn Random) -> Wishes {
        Wishes {
            options: self.inherited(),
            from: None,
            till: self.tgt.end_time,
            renew_till: None,
            addresses: vec![],
            ..self.wishes(server, false, random)
        }
    }

    fn inherited(&self) -> KdcOptions {
        KdcOptions((self.tgt.flags & self.inherit & HEIRLOOMS).0)
    }

    /// Flags that this request, and no other one, can bring about.
    pub(super) fn expected_flags(&self) -> TicketFlags {
        let inherited = TicketFlags::FORWARDED | TicketFlags::PROXY | TicketFlags::ANONYMOUS;
        let asked = |flag, option| TicketFlags::NONE.with(flag, self.options.has(option));
        (self.tgt.flags & inherited)
            | asked(TicketFlags::FORWARDED, KdcOptions::FORWARDED)
            | asked(TicketFlags::PROXY, KdcOptions::PROXY)
            | asked(TicketFlags::INVALID, KdcOptions::POSTDATED)
    }
}
