//! Contexts with other services: the ticket, the delegated one where policy allows it, and what can
//! be done when the service refuses.

use super::Credentials;
use crate::ccache::Credential;
use crate::client::ClockOffset;
use crate::error::{Error, ErrorCode, Result};
use crate::flags::TicketFlags;
use crate::gss::{ChannelBindings, ContextFlags, InitiatorContext, InitiatorOptions, Mechanism};
use crate::session::{Address, CredTicket};
use crate::spn::Spn;
use crate::time::{Instant, Time};

/// Whether a service gets a ticket-granting ticket to act as this principal with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delegation {
    /// No.
    #[default]
    Never,
    /// If the KDC trusts the service with it: `ok-as-delegate` on its ticket (RFC 4120 2.8). One that
    /// is not trusted gets none, and neither does any where the own ticket is not forwardable;
    /// [`ContextFlags::DELEGATE`] of the context tells.
    IfTrusted,
    /// Whoever it is. It is an error if the own ticket is not forwardable.
    Always,
}

/// What is wanted of a context.
#[derive(Clone, Debug)]
pub struct Initiation {
    /// What the context shall offer. DELEGATE follows from `delegation`.
    pub flags: ContextFlags,
    /// The channel to bind to.
    pub bindings: Option<ChannelBindings>,
    /// What the tokens speak.
    pub mechanism: Mechanism,
    /// Whether the service may act as this principal.
    pub delegation: Delegation,
}

impl Default for Initiation {
    fn default() -> Initiation {
        Initiation {
            flags: ContextFlags::DEFAULT,
            bindings: None,
            mechanism: Mechanism::default(),
            delegation: Delegation::default(),
        }
    }
}

impl Initiation {
    /// The same, with delegation to services that the KDC trusts.
    #[must_use]
    pub fn delegating(self) -> Initiation {
        Initiation { delegation: Delegation::IfTrusted, ..self }
    }
}

/// Who may have made a refusal that came over a channel: a KRB-ERROR bears no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The service alone: TLS, verified.
    Authenticated,
    /// Anybody on the way.
    Open,
}

/// What can make a second try succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The ticket was dropped: a new [`Credentials::initiator`] takes a new one.
    NewTicket,
    /// The service's clock differs: a new initiator, stepped with
    /// [`ClockOffset::apply`]`(credentials.clock())`.
    Clock(ClockOffset),
}

/// Refusals that a ticket explains which the service's key, or time, has outlived.
const STALE: [ErrorCode; 5] =
    [ErrorCode::BAD_INTEGRITY, ErrorCode::TKT_EXPIRED, ErrorCode::MODIFIED, ErrorCode::BADKEYVER, ErrorCode::NOKEY];

impl Credentials {
    /// A context with a service, with its ticket and, where that is wanted and allowed, with a
    /// forwarded ticket-granting ticket for it.
    ///
    /// # Errors
    /// As [`Credentials::ticket`]; where the KDC does not know the service, the error says how its name
    /// was made and what to do. KDC_ERR_BADOPTION for [`Delegation::Always`] with a ticket that is not
    /// forwardable.
    pub async fn initiator(&self, spn: &Spn, wanted: Initiation) -> Result<InitiatorContext> {
        let ticket = self.ticket(&spn.principal).await.map_err(|error| spn.explain(error))?;
        let delegated = self.delegation(&ticket, wanted.delegation).await?;
        let Initiation { flags, bindings, mechanism, .. } = wanted;
        let options = InitiatorOptions { flags, bindings, mechanism, delegated };
        InitiatorContext::new(&ticket, options)
    }

    /// The ticket to hand over, if it may be.
    async fn delegation(&self, ticket: &Credential, wanted: Delegation) -> Result<Option<CredTicket>> {
        let trusted = ticket.flags.has(TicketFlags::OK_AS_DELEGATE);
        match wanted {
            Delegation::Never => return Ok(None),
            Delegation::IfTrusted if !trusted => {
                self.trace(format_args!("{} is not trusted with delegation", ticket.server));
                return Ok(None);
            }
            Delegation::IfTrusted | Delegation::Always => {}
        }
        let tgt = self.inner().client.tgt().await?;
        match (wanted, tgt.flags.has(TicketFlags::FORWARDABLE)) {
            (_, true) => handed_over(&*self.inner().client.forwarded(&ticket.server).await?).map(Some),
            (Delegation::Always, false) => Err(Error::protocol(ErrorCode::BADOPTION, NOT_FORWARDABLE)),
            (_, false) => {
                self.trace(format_args!("Nothing is delegated to {}: {NOT_FORWARDABLE}", ticket.server));
                Ok(None)
            }
        }
    }

    /// What can make a second try with the service succeed, if anything can. Ask for it once: a
    /// service that refuses again has other reasons. `refusal` is what ended the context, `theirs`
    /// is what the service's clock shows: [`InitiatorContext::clock_offset`], applied to ours.
    ///
    /// After KRB_AP_ERR_MODIFIED, BADKEYVER and their like the service's key may be another one since
    /// the ticket was issued: the ticket is dropped.
    ///
    /// After KRB_AP_ERR_SKEW the service's clock may be followed for the second try. A false clock
    /// would lead to a request that somebody could keep and use when its time has come, so one that is
    /// ahead is followed only where [`Channel::Authenticated`] says whose it is, and none beyond the
    /// times of the ticket.
    pub fn remedy(&self, spn: &Spn, refusal: &Error, theirs: Option<Instant>, channel: Channel) -> Option<Remedy> {
        let Error::Protocol { code, .. } = refusal else { return None };
        if STALE.contains(code) {
            self.forget(&spn.principal);
            return Some(Remedy::NewTicket);
        }
        if *code != ErrorCode::SKEW {
            return None;
        }
        let (ours, theirs) = (self.clock(), theirs?);
        let ticket = self.inner().client.held(&spn.principal)?;
        let start = if ticket.start_time == Time::EPOCH { ticket.auth_time } else { ticket.start_time };
        let within = start <= theirs.time && theirs.time < ticket.end_time;
        let safe = theirs < ours || channel == Channel::Authenticated;
        (within && safe).then(|| Remedy::Clock(ClockOffset::between(theirs, ours)))
    }

    fn trace(&self, text: std::fmt::Arguments<'_>) {
        self.inner().client.transport().trace().line(text);
    }
}

const NOT_FORWARDABLE: &str = "the ticket-granting ticket is not forwardable (forwardable = true in krb5.conf, or \
    Builder::forwardable, asks for one that is)";

/// A ticket as a KRB-CRED carries it.
fn handed_over(ticket: &Credential) -> Result<CredTicket> {
    let time = |time: Time| Some(time).filter(|time| *time != Time::EPOCH);
    let address = |address: &crate::ccache::Address| Address { kind: address.kind, bytes: address.bytes.clone() };
    Ok(CredTicket {
        client: ticket.client.clone(),
        server: ticket.server.clone(),
        key: ticket.key.key()?,
        flags: ticket.flags,
        auth_time: time(ticket.auth_time),
        start_time: time(ticket.start_time),
        end_time: time(ticket.end_time),
        renew_till: time(ticket.renew_till),
        addresses: ticket.addresses.iter().map(address).collect(),
        ticket: ticket.ticket.clone(),
    })
}
