//! The realm's rules as values. `config` builds it; the core reads it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use libkrb::Principal;
use libkrb::codes::EncryptionType;
use libkrb::wire::PrincipalName;

use super::Pkinit;
use super::SpakeRules;
use super::abroad::Abroad;
use super::claims::IndicatorRules;
use super::second::OtpType;

/// The rules of a realm.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The realm.
    pub realm: String,
    /// Its ticket-granting service.
    pub tgs: Principal,
    /// Bound on ticket life, in seconds.
    pub max_life: i64,
    /// Bound on renewable life, in seconds.
    pub max_renewable_life: i64,
    /// How far a client's clock may be off, in seconds (RFC 4120 3.2.3: typically five minutes).
    pub clock_skew: i64,
    /// Enctypes for session keys and replies, most wanted first. Weak ones only by explicit wish.
    pub etypes: Vec<EncryptionType>,
    /// Ask every client to prove itself, also those whose entry does not. Entries ask for it by
    /// default (`requires_preauth`), so this is for realms that allow no exception.
    pub require_preauth: bool,
    /// Take proofs of passwords in FAST only, where who listens can't guess (RFC 6113 5.4). Entries have
    /// their own word in the string `require_armor`.
    pub require_armor: bool,
    /// Answer an unknown client like a known one that must prove itself, with the same work.
    pub hide_unknown_clients: bool,
    /// Enctypes of the keys that new principals get: unknown clients look as if they had these.
    pub key_etypes: Vec<EncryptionType>,
    /// PBKDF2 rounds of their password keys; `None`: each enctype's own.
    pub key_iterations: Option<u32>,
    /// Refuse a TGT with addresses that comes from another one (RFC 4120 3.2.3). Tickets
    /// have addresses only where clients ask for them.
    pub check_addresses: bool,
    /// Accept disable-transited-check (RFC 4120 3.3.3.2). Off: the check is always made.
    pub allow_disable_transited_check: bool,
    /// Put no PAC into tickets (MIT's `disable_pac`). Then no service can act for users with their
    /// tickets, and a ticket-granting ticket of a deleted account is good for a new one of its name.
    pub disable_pac: bool,
    /// What tickets say of proofs, and what follows from it.
    pub indicators: IndicatorRules,
    /// Logins by certificate, where the realm has them.
    pub pkinit: Option<Arc<Pkinit>>,
    /// Give nobody in particular only ticket-granting tickets: good for armor, and for no service.
    pub restrict_anonymous_to_tgt: bool,
    /// Other realms.
    pub abroad: Abroad,
    /// Logins by SPAKE.
    pub spake: SpakeRules,
    /// Types of one-time password tokens that others know, by name.
    pub otp_types: BTreeMap<String, OtpType>,
    /// Ask for the next value of a counting token after a wrong one.
    pub otp_next_value: bool,
}

thread_local! {
    /// The ticket-granting service of the realm in which this thread has named somebody last. Names share their realm with
    /// it: were it one for all threads, its memory would go from processor to processor with every request.
    static OWN_TGS: RefCell<Option<Principal>> = const { RefCell::new(None) };
}

impl Policy {
    /// The defaults for a realm.
    pub fn new(realm: &str) -> Self {
        Policy {
            realm: realm.to_owned(),
            tgs: Principal::tgs(realm),
            max_life: 24 * 3600,
            max_renewable_life: 7 * 24 * 3600,
            clock_skew: 300,
            etypes: libkrb::crypto::SUPPORTED.to_vec(),
            require_preauth: false,
            require_armor: false,
            hide_unknown_clients: false,
            key_etypes: libkrb::crypto::SUPPORTED.to_vec(),
            key_iterations: None,
            check_addresses: true,
            allow_disable_transited_check: false,
            disable_pac: false,
            indicators: IndicatorRules::default(),
            pkinit: None,
            restrict_anonymous_to_tgt: false,
            abroad: Abroad::default(),
            spake: SpakeRules::default(),
            otp_types: BTreeMap::new(),
            otp_next_value: false,
        }
    }

    /// The principal of a name in a realm, which mostly is this one, and the ticket-granting service.
    ///
    /// # Errors
    /// As [`PrincipalName::principal`].
    pub fn principal(&self, name: &PrincipalName<'_>, realm: &str) -> libkrb::Result<Principal> {
        if realm != self.tgs.realm() {
            return name.principal(realm);
        }
        OWN_TGS.with_borrow_mut(|own| match own {
            Some(own) if *own == self.tgs => name.principal_beside(own),
            _ => name.principal_beside(own.insert(Principal::tgs(self.tgs.realm()))),
        })
    }
}
