//! What can be asked for in an AS exchange (RFC 4120 3.1, 5.4.1).

use super::kdc_req::{Wishes, nonce};
use crate::ccache::{Address, Credential};
use crate::codes::{EncryptionType, NameType};
use crate::crypto::{Random, SUPPORTED};
use crate::flags::KdcOptions;
use crate::name::Principal;
use crate::preauth::{Armored, KeyHint};
use crate::time::{Seconds, Time};

/// What an AS exchange asks for. Spans of time count from the KDC's clock, as far as it is known.
#[derive(Clone, Debug)]
pub struct AsRequest {
    /// Who wants the ticket.
    pub client: Principal,
    /// For which service, always of the client's realm; `None`: its ticket-granting service.
    pub server: Option<Principal>,
    /// FORWARDABLE, PROXIABLE, CANONICALIZE and RENEWABLE-OK as wanted. RENEWABLE and the options of
    /// postdating follow from the fields below, CANONICALIZE from an enterprise name.
    pub options: KdcOptions,
    /// How long the ticket shall be good; `None`: as long as the KDC lets it.
    pub lifetime: Option<Seconds>,
    /// For how long it shall be renewable.
    pub renewable_for: Option<Seconds>,
    /// How much later it shall become good: a postdated ticket (RFC 4120 2.4).
    pub start_in: Option<Seconds>,
    /// The encryption types to offer, most wanted first. Broken ones are never offered, and with a
    /// keytab only those that it has.
    pub etypes: Vec<EncryptionType>,
    /// From where the ticket may be used; none: from anywhere.
    pub addresses: Vec<Address>,
    /// Whether to ask for a PAC, or for none (MS-KILE 2.2.3).
    pub include_pac: Option<bool>,
    /// A ticket-granting ticket of the client's realm to ask in FAST with: whoever listens can then
    /// neither read nor guess, and no answer outside of FAST is taken (RFC 6113 5.4).
    pub armor: Option<Credential>,
    /// Whether nobody but the KDC shall learn who asks: in FAST only (RFC 6113 5.4.2).
    pub hide_client: bool,
    /// How the password becomes the key, if that is known from before: then the first message
    /// already carries an encrypted timestamp.
    pub key_hint: Option<KeyHint>,
    /// Whether to follow the KDC's clock; else a ticket that does not start now is refused.
    pub follow_clock: bool,
    /// By how much clocks may differ where they are not followed.
    pub clock_skew: Seconds,
}

impl AsRequest {
    /// A ticket-granting ticket for `client`, with MIT's defaults.
    pub fn new(client: Principal) -> AsRequest {
        AsRequest {
            client,
            server: None,
            options: KdcOptions::RENEWABLE_OK,
            lifetime: Some(24 * 3600),
            renewable_for: None,
            start_in: None,
            etypes: SUPPORTED.to_vec(),
            addresses: vec![],
            include_pac: None,
            armor: None,
            hide_client: false,
            key_hint: None,
            follow_clock: true,
            clock_skew: 300,
        }
    }

    /// The same in FAST, with this ticket for armor.
    #[must_use]
    pub fn armored(self, ticket: Credential) -> AsRequest {
        AsRequest { armor: Some(ticket), ..self }
    }

    /// Whether the exchange is in FAST.
    pub(super) fn armor_state(&self) -> Armored {
        if self.armor.is_some() { Armored::Yes } else { Armored::No }
    }

    /// The options of the message.
    pub(super) fn all_options(&self) -> KdcOptions {
        let postdated = KdcOptions::ALLOW_POSTDATE | KdcOptions::POSTDATED;
        let mut options = self.options;
        if self.renewable_for.is_some() {
            options = options.with(KdcOptions::RENEWABLE, true).with(KdcOptions::RENEWABLE_OK, false);
        }
        if self.start_in.is_some() {
            options |= postdated;
        }
        if self.client.is_anonymous() {
            options |= KdcOptions::REQUEST_ANONYMOUS;
        }
        if self.client.kind() == NameType::ENTERPRISE {
            options |= KdcOptions::CANONICALIZE;
        }
        options
    }

    /// The wishes of one message, for `client` and at the KDC's time `now`.
    pub(super) fn wishes(
        &self,
        client: &Principal,
        etypes: &[EncryptionType],
        now: Time,
        random: &mut dyn Random,
    ) -> Wishes {
        let from = self.start_in.map(|delay| now + delay);
        let begin = from.unwrap_or(now);
        let till = self.lifetime.map_or(Time::EPOCH, |lifetime| (begin + lifetime).min(Time::MAX));
        // Nobody asks for a renewable life that is shorter than the life.
        let renew_till = self.renewable_for.map(|life| (begin + life).max(till).min(Time::MAX));
        let server = self.server.as_ref();
        Wishes {
            options: self.all_options(),
            server: server.map_or_else(|| Principal::tgs(client.realm()), |server| server.in_realm(client.realm())),
            from,
            till,
            renew_till,
            nonce: nonce(random),
            etypes: etypes.to_vec(),
            addresses: self.addresses.clone(),
        }
    }
}
