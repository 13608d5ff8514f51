//! What credentials show of themselves: to health checks, to metrics, to who waits for a change.

use crate::error::Error;
use crate::name::Principal;
use crate::time::Time;

/// How credentials are. Times are those of the own clock, but for the ends of tickets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct State {
    /// Whose they are.
    pub principal: Principal,
    /// When the ticket-granting ticket ends; `None` before there is one.
    pub tgt_end: Option<Time>,
    /// When a ticket-granting ticket was got last.
    pub last_success: Option<Time>,
    /// When and why none could be got, the last time that happened. It is over where
    /// [`State::attempts`] is 0.
    pub last_error: Option<Failure>,
    /// How many attempts have failed since the last success.
    pub attempts: u32,
    /// When the next ticket-granting ticket is asked for.
    pub next_attempt: Option<Time>,
    /// How often the KDC was asked.
    pub kdc_requests: KdcRequests,
    /// What became of the keytab or credential cache that they are from.
    pub origin: Origin,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When.
    pub at: Time,
    /// What.
    pub error: Error,
}

/// How often the KDC was asked: exchanges, each of which may take several messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KdcRequests {
    /// For first tickets.
    pub as_exchanges: u64,
    /// For tickets of services, renewed and forwarded ones.
    pub tgs_exchanges: u64,
}

/// The keytab or credential cache on disk, as it was found last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// When its content was taken over last.
    pub read: Option<Time>,
    /// How often a change was taken over.
    pub reloads: u64,
    /// Why its present content is not: what was read before goes on to hold.
    pub problem: Option<Failure>,
    /// The version numbers of the principal's keys in the keytab, newest first.
    pub kvnos: Vec<u32>,
    /// When keys were fetched from the KDC last.
    pub fetched: Option<Time>,
    /// Why they could not be; it is tried again.
    pub fetch_problem: Option<Failure>,
    /// How many keys are kept for tickets that were issued before they vanished from the keytab.
    pub kept_keys: usize,
}

impl State {
    pub(super) fn new(principal: Principal) -> State {
        State {
            principal,
            tgt_end: None,
            last_success: None,
            last_error: None,
            attempts: 0,
            next_attempt: None,
            kdc_requests: KdcRequests::default(),
            origin: Origin::default(),
        }
    }

    /// Names and numbers for metrics. The names are constant, times are seconds since 1970, and what
    /// is not there is 0.
    pub fn numbers(&self) -> [(&'static str, u64); 9] {
        let time = |time: Option<Time>| time.and_then(|time| u64::try_from(time.seconds()).ok()).unwrap_or(0);
        [
            ("krb_credentials_tgt_end_seconds", time(self.tgt_end)),
            ("krb_credentials_last_success_seconds", time(self.last_success)),
            ("krb_credentials_next_attempt_seconds", time(self.next_attempt)),
            ("krb_credentials_failed_attempts", self.attempts.into()),
            ("krb_credentials_as_exchanges_total", self.kdc_requests.as_exchanges),
            ("krb_credentials_tgs_exchanges_total", self.kdc_requests.tgs_exchanges),
            ("krb_credentials_reloads_total", self.origin.reloads),
            ("krb_credentials_origin_broken", self.origin.problem.is_some().into()),
            ("krb_credentials_kept_keys", u64::try_from(self.origin.kept_keys).unwrap_or(u64::MAX)),
        ]
    }
}
