//! The tickets that a [`super::Client`] holds and those that are on their way. Not here: waiting.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::ccache::Credential;
use crate::client::ClockOffset;
use crate::error::Result;
use crate::flags::TicketFlags;
use crate::name::Principal;
use crate::time::{Seconds, Time};

/// More tickets than this are not kept: a program that asks for so many does not come back to all.
const MAX_TICKETS: usize = 10_000;

/// How long to leave the KDC alone after a ticket could not be got anew.
const REST: Seconds = 30;

/// How much the start of a ticket may lie ahead: clocks differ.
const SKEW: Seconds = 300;

/// A ticket that is on its way, and all who wait for it.
pub(super) type Flight = Arc<OnceCell<Result<Arc<Credential>>>>;

struct Held {
    ticket: Arc<Credential>,
    /// When it may be asked for anew.
    renew_at: Time,
}

/// What is to be done for a ticket.
pub(super) enum Sought {
    /// It is here.
    Here(Arc<Credential>),
    /// It is here, but somebody should get it anew.
    Ending(Arc<Credential>, Flight),
    /// It is not here.
    Awaited(Flight),
}

/// What a client knows.
#[derive(Default)]
pub(super) struct State {
    tickets: HashMap<Principal, Held>,
    flights: HashMap<Principal, Flight>,
    /// How far the KDC's clock is ahead of ours.
    pub(super) offset: ClockOffset,
}

impl State {
    /// The ticket of this name, if it is good.
    pub(super) fn held(&self, name: &Principal, now: Time) -> Option<Arc<Credential>> {
        let ticket = &self.tickets.get(name)?.ticket;
        is_good(ticket, now).then(|| ticket.clone())
    }

    /// Holds a ticket by this name.
    pub(super) fn hold(&mut self, name: Principal, ticket: Credential, now: Time) {
        if self.tickets.len() >= MAX_TICKETS {
            self.tickets.retain(|_, held| is_good(&held.ticket, now));
        }
        if self.tickets.len() >= MAX_TICKETS {
            self.tickets.retain(|_, held| held.ticket.server.tgs_target().is_some());
        }
        // The last sixth of its life is when to look for the next one.
        let life = ticket.end_time - ticket.start_time.max(ticket.auth_time);
        let renew_at = (ticket.end_time - life / 6).max(now + REST);
        self.tickets.insert(name, Held { ticket: Arc::new(ticket), renew_at });
    }

    /// Drops a ticket.
    pub(super) fn forget(&mut self, name: &Principal) {
        self.tickets.remove(name);
    }

    /// Drops this very ticket, unless it was replaced already.
    pub(super) fn forget_this(&mut self, name: &Principal, ticket: &Arc<Credential>) {
        if self.tickets.get(name).is_some_and(|held| held.ticket == *ticket) {
            self.tickets.remove(name);
        }
    }

    /// The ticket-granting ticket of a realm, if one is held from an earlier way there.
    pub(super) fn tgt_for(&self, realm: &str, now: Time) -> Option<Arc<Credential>> {
        let mut tickets = self.tickets.values().map(|held| &held.ticket);
        let leads = |ticket: &&Arc<Credential>| ticket.server.tgs_target() == Some(realm) && is_good(ticket, now);
        tickets.find(leads).cloned()
    }

    /// What there is to do for one who wants the ticket of this name: nothing but to take it, to wait
    /// for it, or to take it while it is got anew. `tgt` is what it is got with: a ticket that ends
    /// no earlier cannot be had for longer.
    pub(super) fn seek(&mut self, name: &Principal, tgt: Option<&Principal>, now: Time) -> Sought {
        let Some(ticket) = self.held(name, now) else {
            return Sought::Awaited(self.flights.entry(name.clone()).or_default().clone());
        };
        let limit = tgt.map(|tgt| self.tickets.get(tgt).map_or(Time::EPOCH, |held| held.ticket.end_time));
        let could_be_longer = limit.is_none_or(|limit| limit > ticket.end_time);
        match self.tickets.get_mut(name) {
            Some(held) if could_be_longer && now >= held.renew_at && !self.flights.contains_key(name) => {
                held.renew_at = now + REST;
                Sought::Ending(ticket, self.flights.entry(name.clone()).or_default().clone())
            }
            _ => Sought::Here(ticket),
        }
    }

    /// Whether a ticket is held that should be got anew by now.
    pub(super) fn is_ending(&self, name: &Principal, now: Time) -> bool {
        let ending = |held: &Held| is_good(&held.ticket, now) && now >= held.renew_at;
        self.tickets.get(name).is_some_and(ending) && !self.flights.contains_key(name)
    }

    /// Ends a flight.
    pub(super) fn landed(&mut self, name: &Principal, flight: &Flight) {
        if self.flights.get(name).is_some_and(|known| Arc::ptr_eq(known, flight)) {
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

    fn ticket(server: &Principal, life: Seconds) -> Credential {
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

    fn service(index: usize) -> Principal {
        Principal::service("host", &index.to_string(), "R")
    }

    #[test]
    fn more_tickets_than_anybody_comes_back_to_are_not_kept() {
        let mut state = State::default();
        state.hold(Principal::tgs("R"), ticket(&Principal::tgs("R"), 36_000), START);
        for index in 0..MAX_TICKETS + 10 {
            state.hold(service(index), ticket(&service(index), 36_000), START);
        }
        assert!(state.tickets.len() <= MAX_TICKETS);
        assert!(state.held(&Principal::tgs("R"), START).is_some());
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
        let name = Principal::tgs("R");
        state.hold(name.clone(), ticket(&name, 36_000), START);
        assert!(matches!(state.seek(&name, None, START + 29_999), Sought::Here(_)));
        let Sought::Ending(_, flight) = state.seek(&name, None, START + 30_000) else { panic!("not ending") };
        assert!(matches!(state.seek(&name, None, START + 30_001), Sought::Here(_)));
        state.landed(&name, &flight);
        assert!(matches!(state.seek(&name, None, START + 30_002), Sought::Here(_)));
        assert!(matches!(state.seek(&name, None, START + 30_000 + REST), Sought::Ending(..)));
    }

    #[test]
    fn a_ticket_that_ends_with_its_first_ticket_is_not_got_anew() {
        let mut state = State::default();
        let (tgt, name) = (Principal::tgs("R"), service(1));
        state.hold(tgt.clone(), ticket(&tgt, 36_000), START);
        state.hold(name.clone(), ticket(&name, 36_000), START);
        assert!(matches!(state.seek(&name, Some(&tgt), START + 35_000), Sought::Here(_)));
        assert!(state.is_ending(&tgt, START + 35_000));
        state.hold(tgt.clone(), ticket(&tgt, 72_000), START);
        assert!(matches!(state.seek(&name, Some(&tgt), START + 35_000), Sought::Ending(..)));
    }

    #[test]
    fn all_who_want_a_missing_ticket_join_one_flight() {
        let mut state = State::default();
        let name = service(1);
        let Sought::Awaited(first) = state.seek(&name, None, START) else { panic!("not awaited") };
        let Sought::Awaited(second) = state.seek(&name, None, START) else { panic!("not awaited") };
        assert!(Arc::ptr_eq(&first, &second));
        state.landed(&name, &first);
        let Sought::Awaited(third) = state.seek(&name, None, START) else { panic!("not awaited") };
        assert!(!Arc::ptr_eq(&first, &third));
    }
}
