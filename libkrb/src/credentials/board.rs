//! Where the client's doings become [`State`], and where the next attempt is appointed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::pace::Pace;
use super::state::{Failure, Origin, State};
use crate::ccache::Credential;
use crate::crypto::OsRandom;
use crate::error::{Error, ErrorCode};
use crate::flags::TicketFlags;
use crate::name::Principal;
use crate::net::{Report, Transport};
use crate::time::{Instant, Time};

/// Who sees to the next ticket-granting ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schedule {
    /// We do, by a login.
    Logins,
    /// We do while the ticket can be renewed; else the one who writes the cache.
    Renewals,
    /// Nobody, before somebody wants a ticket.
    Demand,
}

pub(super) struct Board {
    state: watch::Sender<State>,
    next: Mutex<Option<Instant>>,
    /// Wakes the one who waits for the next attempt: it is another one now.
    pub(super) rescheduled: Notify,
    schedule: Schedule,
    pace: Pace,
    transport: Transport,
}

impl Board {
    pub(super) fn new(principal: Principal, schedule: Schedule, pace: Pace, transport: Transport) -> Board {
        let (state, next) = (watch::Sender::new(State::new(principal)), Mutex::new(None));
        Board { state, next, rescheduled: Notify::new(), schedule, pace, transport }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// When the next attempt is due.
    pub(super) fn next(&self) -> Option<Instant> {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next attempt is due now, if attempts are made at all.
    pub(super) fn hurry(&self) {
        if self.schedule == Schedule::Logins {
            self.appoint(Some(self.transport.now()), |_| {});
        }
    }

    /// Writes down what the client does.
    pub(super) fn heard(&self, report: &Report<'_>) {
        match report {
            Report::AsExchange => self.state.send_modify(|state| state.kdc_requests.as_exchanges += 1),
            Report::TgsExchange => self.state.send_modify(|state| state.kdc_requests.tgs_exchanges += 1),
            Report::First { outcome: Ok(ticket), kdc_now } => self.succeeded(ticket, *kdc_now),
            Report::First { outcome: Err(error), kdc_now } => self.failed(error, *kdc_now),
        }
    }

    /// A ticket-granting ticket is here, ours or the one that somebody else got.
    pub(super) fn succeeded(&self, ticket: &Credential, kdc_now: Instant) {
        let now = self.transport.now();
        let extended = ticket.flags.has(TicketFlags::RENEWABLE) && ticket.renew_till > ticket.end_time;
        let next = match self.schedule {
            Schedule::Demand => None,
            Schedule::Renewals if !extended => None,
            _ => Some(self.pace.renewal(now, until(ticket.end_time, kdc_now), &mut OsRandom::new())),
        };
        self.appoint(next, |state| {
            state.tgt_end = Some(ticket.end_time);
            state.last_success = Some(now.time);
            state.attempts = 0;
        });
    }

    fn failed(&self, error: &Error, kdc_now: Instant) {
        let now = self.transport.now();
        let (attempts, end) = {
            let state = self.state.borrow();
            (state.attempts.saturating_add(1), state.tgt_end)
        };
        let alive = end.is_some_and(|end| end > kdc_now.time);
        let next = match self.schedule {
            Schedule::Demand => None,
            Schedule::Renewals if !alive => None,
            _ => Some(self.pace.retry(now, attempts, !is_outage(error), &mut OsRandom::new())),
        };
        self.appoint(next, |state| {
            state.last_error = Some(Failure { at: now.time, error: error.clone() });
            state.attempts = attempts;
        });
    }

    /// Writes down what became of the file.
    pub(super) fn origin(&self, change: impl FnOnce(&mut Origin)) {
        self.state.send_if_modified(|state| {
            let before = state.origin.clone();
            change(&mut state.origin);
            state.origin != before
        });
    }

    fn appoint(&self, next: Option<Instant>, change: impl FnOnce(&mut State)) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = next;
        self.state.send_modify(|state| {
            change(state);
            state.next_attempt = next.map(|next| next.time);
        });
        self.rescheduled.notify_one();
    }
}

/// Whether no KDC could be asked: nothing was refused.
pub(super) fn is_outage(error: &Error) -> bool {
    matches!(error, Error::Unreachable(_) | Error::NoKdc(_) | Error::Protocol { code: ErrorCode::SVC_UNAVAILABLE, .. })
}

fn until(end: Time, now: Instant) -> Duration {
    let micros = Instant::from(end).as_micros().saturating_sub(now.as_micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
