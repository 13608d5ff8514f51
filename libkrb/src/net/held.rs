//! The tickets that a [`super::Client`] holds, those that are on their way, and those that the KDC
//! has refused just now. Not here: waiting.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::ccache::Credential;
use crate::client::ClockOffset;
use crate::error::{Error, ErrorCode, Result};
use crate::flags::TicketFlags;
use crate::name::Principal;
use crate::time::{Seconds, Time};

/// More tickets than this are not kept: a program that asks for so many does not come back to all.
const MAX_TICKETS: usize = 10_000;

/// How long to leave the KDC alone after a ticket could not be got anew.
const REST: Seconds = 30;

/// More refusals than this are not remembered: the names may be a stranger's choice.
const MAX_REFUSED: usize = 1000;

/// How long to leave KDCs alone that did not answer.
const OUTAGE: Seconds = 1;

/// What the KDC will say again for a while: of the service, of the client, of its proof.
const LASTING: [ErrorCode; 19] = [
    ErrorCode::S_PRINCIPAL_UNKNOWN,
    ErrorCode::SERVICE_EXP,
    ErrorCode::SERVICE_REVOKED,
    ErrorCode::SERVICE_NOTYET,
    ErrorCode::SERVER_NOMATCH,
    ErrorCode::MUST_USE_USER2USER,
    ErrorCode::PATH_NOT_ACCEPTED,
    ErrorCode::NULL_KEY,
    ErrorCode::POLICY,
    ErrorCode::BADOPTION,
    ErrorCode::ETYPE_NOSUPP,
    ErrorCode::C_PRINCIPAL_UNKNOWN,
    ErrorCode::NAME_EXP,
    ErrorCode::CLIENT_REVOKED,
    ErrorCode::CLIENT_NOTYET,
    ErrorCode::KEY_EXPIRED,
    ErrorCode::PREAUTH_FAILED,
    ErrorCode::BAD_INTEGRITY,
    ErrorCode::WRONG_REALM,
];

/// How much the start of a ticket may lie ahead: clocks differ.
const SKEW: Seconds = 300;

/// A ticket that is on its way, and all who wait for it.
pub(super) type Flight = Arc<OnceCell<Result<Arc<Credential>>>>;

struct Held {
    ticket: Arc<Credential>,
    /// When it may be asked for anew.
    renew_at: Time,
}

/// What can be wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Want {
    /// A ticket for a service.
    Ticket(Principal),
    /// A forwarded ticket-granting ticket, to be handed to this service and to no other one.
    Forwarded(Principal),
}

impl From<&Principal> for Want {
    fn from(server: &Principal) -> Want {
        Want::Ticket(server.clone())
    }
}

/// What is to be done for a ticket.
pub(super) enum Sought {
    /// It is here.
    Here(Arc<Credential>),
    /// It is here, but somebody should get it anew.
    Ending(Arc<Credential>, Flight),
    /// It is not here.
    Awaited(Flight),
    /// The KDC has just refused it.
    Refused(Error),
}

/// What a client knows.
#[derive(Default)]
pub(super) struct State {
    tickets: HashMap<Want, Held>,
    flights: HashMap<Want, Flight>,
    /// What was refused, until when that counts, by our own clock.
    refused: HashMap<Want, (Time, Error)>,
    /// How far the KDC's clock is ahead of ours.
    pub(super) offset: ClockOffset,
    /// Whether the own realm's KDC knows FAST, so that it can be asked in it.
    pub(super) fast: bool,
    /// Whether the last login was refused.
    pub(super) login_refused: bool,
}

impl State {
    /// The ticket of this name, if it is good.
    pub(super) fn held(&self, name: &Want, now: Time) -> Option<Arc<Credential>> {
        let ticket = &self.tickets.get(name)?.ticket;
        is_good(ticket, now).then(|| ticket.clone())
    }

    /// Whether a ticket of this name was held, good or not.
    pub(super) fn knows(&self, name: &Want) -> bool {
        self.tickets.contains_key(name)
    }

    /// Holds a ticket by this name.
    pub(super) fn hold(&mut self, name: Want, ticket: Credential, now: Time) {
        self.refused.remove(&name);
        if self.tickets.len() >= MAX_TICKETS {
            self.tickets.retain(|_, held| is_good(&held.ticket, now));
        }
        if self.tickets.len() >= MAX_TICKETS {
            let leads = |held: &Held| held.ticket.server.tgs_target().is_some();
            self.tickets.retain(|want, held| matches!(want, Want::Ticket(_)) && leads(held));
        }
        // The last sixth of its life is when to look for the next one.
        let life = ticket.end_time - ticket.start_time.max(ticket.auth_time);
        let renew_at = (ticket.end_time - life / 6).max(now + REST);
        self.tickets.insert(name, Held { ticket: Arc::new(ticket), renew_at });
    }

    /// Drops a ticket, and what was refused of it.
    pub(super) fn forget(&mut self, name: &Want) {
        self.tickets.remove(name);
        self.refused.remove(name);
    }

    /// Drops all tickets.
    pub(super) fn forget_all(&mut self) {
        self.tickets.clear();
        self.refused.clear();
    }

    /// Drops what was refused: the client has proven itself anew.
    pub(super) fn forgive(&mut self) {
        self.refused.clear();
    }

    /// Remembers an answer that would be the same again, for so long.
    pub(super) fn refuse(&mut self, name: &Want, error: &Error, rest: Seconds, now: Time) {
        let rest = match error {
            Error::Protocol { code, .. } if LASTING.contains(code) => rest,
            Error::PasswordIncorrect => rest,
            Error::Unreachable(_) | Error::NoKdc(_) | Error::Protocol { code: ErrorCode::SVC_UNAVAILABLE, .. } => {
                rest.min(OUTAGE)
            }
            _ => return,
        };
        if self.refused.len() >= MAX_REFUSED {
            self.refused.retain(|_, (until, _)| now < *until);
        }
        if rest > 0 && self.refused.len() < MAX_REFUSED {
            self.refused.insert(name.clone(), (now + rest, error.clone()));
        }
    }

    /// What was refused just now. `now` is our own clock.
    pub(super) fn refusal(&self, name: &Want, now: Time) -> Option<Error> {
        let (until, error) = self.refused.get(name)?;
        (now < *until).then(|| error.clone())
    }

    /// Drops this very ticket, unless it was replaced already.
    pub(super) fn forget_this(&mut self, name: &Want, ticket: &Arc<Credential>) {
        if self.tickets.get(name).is_some_and(|held| held.ticket == *ticket) {
            self.tickets.remove(name);
        }
    }

    /// The ticket-granting ticket of a realm, if one is held from an earlier way there.
    pub(super) fn tgt_for(&self, realm: &str, now: Time) -> Option<Arc<Credential>> {
        let ours = self.tickets.iter().filter(|(want, _)| matches!(want, Want::Ticket(_)));
        let mut tickets = ours.map(|(_, held)| &held.ticket);
        let leads = |ticket: &&Arc<Credential>| ticket.server.tgs_target() == Some(realm) && is_good(ticket, now);
        tickets.find(leads).cloned()
    }

    /// What there is to do for one who wants the ticket of this name: nothing but to take it, to wait
    /// for it, or to take it while it is got anew. `tgt` is what it is got with: a ticket that ends
    /// no earlier cannot be had for longer. `ours` is our own clock, `now` the KDC's.
    pub(super) fn seek(&mut self, name: &Want, tgt: Option<&Want>, now: Time, ours: Time) -> Sought {
        let Some(ticket) = self.held(name, now) else {
            return match self.refusal(name, ours) {
                Some(error) => Sought::Refused(error),
                None => Sought::Awaited(self.flight(name)),
            };
        };
        let limit = tgt.map(|tgt| self.tickets.get(tgt).map_or(Time::EPOCH, |held| held.ticket.end_time));
        let could_be_longer = limit.is_none_or(|limit| limit > ticket.end_time);
        match self.tickets.get_mut(name) {
            Some(held) if could_be_longer && now >= held.renew_at && !self.flights.contains_key(name) => {
                held.renew_at = now + REST;
                Sought::Ending(ticket, self.flight(name))
            }
            _ => Sought::Here(ticket),
        }
    }

    /// The flight for a ticket, whether one is held or not.
    pub(super) fn flight(&mut self, name: &Want) -> Flight {
        self.flights.entry(name.clone()).or_default().clone()
    }

    /// Whether a ticket is held that should be got anew by now.
    pub(super) fn is_ending(&self, name: &Want, now: Time) -> bool {
        let ending = |held: &Held| is_good(&held.ticket, now) && now >= held.renew_at;
        self.tickets.get(name).is_some_and(ending) && !self.flights.contains_key(name)
    }

    /// Ends a flight that has come to its end, or that nobody waits for any more but the caller.
    pub(super) fn landed(&mut self, name: &Want, flight: &Flight) {
        let over = flight.initialized() || Arc::strong_count(flight) <= 2;
        if over && self.flights.get(name).is_some_and(|known| Arc::ptr_eq(known, flight)) {
            self.flights.remove(name);
        }
    }
}

fn is_good(ticket: &Credential, now: Time) -> bool {
    !ticket.flags.has(TicketFlags::INVALID) && ticket.start_time - SKEW <= now && ticket.end_time > now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ccache::RawKey;

    const START: Time = Time(1_800_000_000);

    fn ticket(want: &Want, life: Seconds) -> Credential {
        let Want::Ticket(server) = want else { panic!("forwarded") };
        let client = Principal::parse("alice@R", None).unwrap();
        Credential {
            key: RawKey::none(),
            server: server.clone(),
            auth_time: START,
            start_time: START,
            end_time: START + life,
            ..Credential::config(&client, "key", None, b"ticket")
        }
    }

    fn service(index: usize) -> Want {
        Want::from(&principal(index))
    }

    fn principal(index: usize) -> Principal {
        Principal::service("host", &index.to_string(), "R")
    }

    fn tgs() -> Want {
        Want::from(&Principal::tgs("R"))
    }

    #[test]
    fn more_tickets_than_anybody_comes_back_to_are_not_kept() {
        let mut state = State::default();
        state.hold(tgs(), ticket(&tgs(), 36_000), START);
        for index in 0..MAX_TICKETS + 10 {
            state.hold(service(index), ticket(&service(index), 36_000), START);
        }
        assert!(state.tickets.len() <= MAX_TICKETS);
        assert!(state.held(&tgs(), START).is_some());
    }

    #[test]
    fn a_ticket_is_good_from_its_start_to_its_end_unless_it_must_be_validated() {
        let mut state = State::default();
        let name = service(1);
        state.hold(name.clone(), ticket(&name, 3600), START);
        for (time, good) in [(START - 301, false), (START - 300, true), (START + 3599, true), (START + 3600, false)] {
            assert_eq!(state.held(&name, time).is_some(), good, "{time}");
        }
        let postdated = Credential { flags: TicketFlags::INVALID, ..ticket(&name, 3600) };
        state.hold(name.clone(), postdated, START);
        assert_eq!(state.held(&name, START), None);
    }

    #[test]
    fn a_ticket_is_got_anew_in_its_last_sixth_by_one_and_not_again_at_once() {
        let mut state = State::default();
        let name = tgs();
        state.hold(name.clone(), ticket(&name, 36_000), START);
        assert!(matches!(state.seek(&name, None, START + 29_999, START), Sought::Here(_)));
        let Sought::Ending(_, flight) = state.seek(&name, None, START + 30_000, START) else { panic!("not ending") };
        assert!(matches!(state.seek(&name, None, START + 30_001, START), Sought::Here(_)));
        state.landed(&name, &flight);
        assert!(matches!(state.seek(&name, None, START + 30_002, START), Sought::Here(_)));
        assert!(matches!(state.seek(&name, None, START + 30_000 + REST, START), Sought::Ending(..)));
    }

    #[test]
    fn a_ticket_that_ends_with_its_first_ticket_is_not_got_anew() {
        let mut state = State::default();
        let (tgt, name) = (tgs(), service(1));
        state.hold(tgt.clone(), ticket(&tgt, 36_000), START);
        state.hold(name.clone(), ticket(&name, 36_000), START);
        assert!(matches!(state.seek(&name, Some(&tgt), START + 35_000, START), Sought::Here(_)));
        assert!(state.is_ending(&tgt, START + 35_000));
        state.hold(tgt.clone(), ticket(&tgt, 72_000), START);
        assert!(matches!(state.seek(&name, Some(&tgt), START + 35_000, START), Sought::Ending(..)));
    }

    #[test]
    fn all_who_want_a_missing_ticket_join_one_flight() {
        let mut state = State::default();
        let name = service(1);
        let Sought::Awaited(first) = state.seek(&name, None, START, START) else { panic!("not awaited") };
        let Sought::Awaited(second) = state.seek(&name, None, START, START) else { panic!("not awaited") };
        assert!(Arc::ptr_eq(&first, &second));
        // One who gives up leaves it to the others.
        state.landed(&name, &first);
        drop(first);
        let Sought::Awaited(first) = state.seek(&name, None, START, START) else { panic!("not awaited") };
        assert!(Arc::ptr_eq(&first, &second));
        first.set(Err(Error::NoCredential)).unwrap();
        state.landed(&name, &first);
        let Sought::Awaited(third) = state.seek(&name, None, START, START) else { panic!("not awaited") };
        assert!(!Arc::ptr_eq(&first, &third));
    }

    #[test]
    fn a_refusal_counts_for_its_time_and_no_longer_and_only_if_it_would_come_again() {
        let mut state = State::default();
        let (name, unknown) = (service(1), Error::code(ErrorCode::S_PRINCIPAL_UNKNOWN));
        let refused = |state: &mut State, at| matches!(state.seek(&name, None, START, at), Sought::Refused(_));
        for (error, rest) in [
            (unknown.clone(), 10),
            (Error::PasswordIncorrect, 10),
            (Error::Unreachable("R".into()), 1),
            (Error::code(ErrorCode::SVC_UNAVAILABLE), 1),
            (Error::code(ErrorCode::TKT_EXPIRED), 0),
            (Error::NoCredential, 0),
        ] {
            state.refuse(&name, &error, 10, START);
            assert_eq!(refused(&mut state, START), rest > 0, "{error}");
            assert_eq!(refused(&mut state, START + rest - 1), rest > 0, "{error}");
            assert!(!refused(&mut state, START + rest), "{error}");
            state.forget(&name);
        }
        state.refuse(&name, &unknown, 0, START);
        assert!(!refused(&mut state, START), "not remembered at all");
        // A ticket that came another way counts more.
        state.refuse(&name, &unknown, 10, START);
        state.hold(name.clone(), ticket(&name, 3600), START);
        assert!(matches!(state.seek(&name, None, START, START), Sought::Here(_)));
        state.forget(&name);
        state.refuse(&name, &unknown, 10, START);
        state.forgive();
        assert!(!refused(&mut state, START), "forgiven");
    }

    #[test]
    fn no_more_refusals_are_remembered_than_there_is_room_for() {
        let mut state = State::default();
        let error = Error::code(ErrorCode::S_PRINCIPAL_UNKNOWN);
        for index in 0..MAX_REFUSED + 10 {
            state.refuse(&service(index), &error, 10, START);
        }
        assert_eq!(state.refused.len(), MAX_REFUSED);
        assert_eq!(state.refusal(&service(MAX_REFUSED), START), None);
        // Those that are over make room.
        state.refuse(&service(MAX_REFUSED), &error, 10, START + 10);
        assert_eq!(state.refusal(&service(MAX_REFUSED), START + 10), Some(error));
        assert_eq!(state.refused.len(), 1);
    }

    #[test]
    fn a_ticket_to_hand_over_is_another_one_than_the_ticket_for_the_service() {
        let mut state = State::default();
        state.hold(service(1), ticket(&service(1), 3600), START);
        state.hold(Want::Forwarded(principal(1)), ticket(&tgs(), 3600), START);
        assert_eq!(state.held(&service(1), START).map(|ticket| ticket.server.clone()), Some(principal(1)));
        let forwarded = state.held(&Want::Forwarded(principal(1)), START).map(|ticket| ticket.server.clone());
        assert_eq!(forwarded, Some(Principal::tgs("R")));
        // And it is no way to the realm: it is another's.
        assert_eq!(state.tgt_for("R", START), None);
    }

    #[test]
    fn a_flight_that_nobody_waits_for_any_more_is_over() {
        let mut state = State::default();
        let name = service(1);
        let Sought::Awaited(flight) = state.seek(&name, None, START, START) else { panic!("not awaited") };
        state.landed(&name, &flight);
        assert!(state.flights.is_empty());
    }
}
