//! Who calls, as a handler sees it. It is made where a token or a session was accepted, and nowhere
//! else but in the tests of those who write handlers.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::credentials::Credentials;
use crate::error::Result;
use crate::flags::TicketFlags;
use crate::gss::{self, ContextFlags};
use crate::name::Principal;
use crate::service::TicketTimes;
use crate::session::ReceivedCred;
use crate::time::Time;

/// How a caller has proven itself for this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By a ticket, just now (RFC 4559).
    Negotiate,
    /// By the session that such an exchange began.
    Session,
}

/// An authenticated caller. Clones share what is known of it.
#[derive(Clone)]
pub struct Caller(Arc<Facts>);

/// What is known of a caller.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) principal: Principal,
    pub(super) local_name: Option<String>,
    pub(super) times: TicketTimes,
    pub(super) flags: TicketFlags,
    pub(super) context_flags: ContextFlags,
    pub(super) bound: bool,
    pub(super) roles: Vec<String>,
    pub(super) indicators: Vec<String>,
    pub(super) delegated: Option<Arc<Delegated>>,
    pub(super) how: How,
}

/// Tickets that a caller handed over, and what was made of them: once for all requests of a session,
/// so that the tickets for the next hop are got once too.
#[derive(Debug)]
pub(super) struct Delegated {
    received: Arc<ReceivedCred>,
    credentials: OnceLock<Credentials>,
}

impl Delegated {
    pub(super) fn new(received: ReceivedCred) -> Delegated {
        Delegated { received: Arc::new(received), credentials: OnceLock::new() }
    }

    /// How many octets the tickets take.
    pub(super) fn octets(&self) -> usize {
        self.received.tickets.iter().map(|ticket| size_of_val(ticket) + ticket.ticket.len()).sum()
    }
}

impl Caller {
    pub(super) fn new(facts: Facts) -> Caller {
        Caller(Arc::new(facts))
    }

    /// Of a context that has just been opened.
    pub(super) fn negotiated(
        caller: gss::Caller,
        context_flags: ContextFlags,
        local_name: Option<String>,
        roles: Vec<String>,
    ) -> Caller {
        let gss::Caller { accepted, delegated, bound } = caller;
        let indicators = accepted.indicators().to_vec();
        Caller::new(Facts {
            principal: accepted.client,
            local_name,
            times: accepted.times,
            flags: accepted.flags,
            context_flags,
            bound,
            roles,
            indicators,
            delegated: delegated.map(|received| Arc::new(Delegated::new(received))),
            how: How::Negotiate,
        })
    }

    /// Somebody whom nobody has authenticated: for the tests of handlers, which put it into a
    /// request's extensions.
    pub fn assumed(principal: Principal, roles: &[&str]) -> Caller {
        let times = TicketTimes { auth: Time::EPOCH, start: Time::EPOCH, end: Time::MAX, renew_till: None };
        Caller::new(Facts {
            principal,
            local_name: None,
            times,
            flags: TicketFlags::NONE,
            context_flags: ContextFlags::NONE,
            bound: false,
            roles: roles.iter().map(ToString::to_string).collect(),
            indicators: vec![],
            delegated: None,
            how: How::Negotiate,
        })
    }

    /// The same with the tickets that it handed over.
    pub(super) fn with_delegated(self, tickets: Arc<Delegated>) -> Caller {
        Caller::new(Facts { delegated: Some(tickets), ..Arc::unwrap_or_clone(self.0) })
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.0
    }

    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.0.principal
    }

    /// Its realm.
    pub fn realm(&self) -> &str {
        self.0.principal.realm()
    }

    /// The account that a line of krb5.conf gives it (`auth_to_local`, `auth_to_local_names`); there
    /// is none without such a line.
    pub fn local_name(&self) -> Option<&str> {
        self.0.local_name.as_deref()
    }

    /// When it was authenticated, and when its ticket ends. What goes on for long, as a stream does,
    /// should end then too.
    pub fn times(&self) -> TicketTimes {
        self.0.times
    }

    /// The flags of its ticket.
    pub fn flags(&self) -> TicketFlags {
        self.0.flags
    }

    /// What the exchange offered: whether the caller was shown who serves it, and so on.
    pub fn context_flags(&self) -> ContextFlags {
        self.0.context_flags
    }

    /// Whether its token was bound to the TLS connection that it came over (RFC 5929); of a session:
    /// whether the token that began it was.
    pub fn is_bound(&self) -> bool {
        self.0.bound
    }

    /// Its roles: those that its ticket brings from the KDC, and those that the layer's table or hook gave.
    pub fn roles(&self) -> &[String] {
        &self.0.roles
    }

    /// Whether it has a role.
    pub fn has_role(&self, role: &str) -> bool {
        self.0.roles.iter().any(|known| known == role)
    }

    /// How it proved itself when it logged in, in the words of its realm (RFC 8129), as the KDC vouches
    /// for it: `otp`, `pkinit`.
    pub fn indicators(&self) -> &[String] {
        &self.0.indicators
    }

    /// Whether it proved itself in this way.
    pub fn has_indicator(&self, indicator: &str) -> bool {
        self.0.indicators.iter().any(|known| known == indicator)
    }

    /// The tickets that it handed over: the same ones in all requests of a session, and gone with it,
    /// so that what is made of them can be kept beside a weak reference.
    pub fn delegated(&self) -> Option<&Arc<ReceivedCred>> {
        self.0.delegated.as_ref().map(|delegated| &delegated.received)
    }

    /// Credentials to act for the caller at the next service, if it handed tickets over. `service` are
    /// our own, whose rules and way to the KDCs they take. All requests of a session get the same
    /// ones, with the tickets that they hold.
    ///
    /// # Errors
    /// As [`Credentials::delegated`].
    pub fn credentials(&self, service: &Credentials) -> Result<Option<Credentials>> {
        let Some(delegated) = &self.0.delegated else { return Ok(None) };
        if let Some(credentials) = delegated.credentials.get() {
            return Ok(Some(credentials.clone()));
        }
        let made = service.delegated(&delegated.received, self.principal())?;
        Ok(Some(delegated.credentials.get_or_init(|| made).clone()))
    }

    /// The tickets that it handed over, to be kept for its session.
    pub(super) fn kept(&self) -> Option<Arc<Delegated>> {
        self.0.delegated.clone()
    }

    /// How it has proven itself for this request.
    pub fn how(&self) -> How {
        self.0.how
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caller({}, {:?})", self.principal(), self.how())
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.principal().fmt(f)
    }
}
