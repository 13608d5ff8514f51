//! The tickets that callers handed over, for as long as their sessions: they have no place in a
//! cookie, where they would be as large as they are precious. Not shared between replicas: one that
//! does not know them asks for Negotiate again.
//!
//! Nobody's tickets give way to another principal's: where there is no room a session is not begun,
//! and its caller goes on with a token for each request.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::http::caller::Delegated;
use crate::name::Principal;
use crate::time::Time;

type Id = [u8; 16];

/// How many sessions of one principal have their tickets kept; its own older ones give way.
const EACH: usize = 8;

/// How many octets of tickets there may be for each principal that there may be: far more than most
/// have, and together a bound on what a few can take.
const OCTETS_EACH: usize = 16 * 1024;

/// Tickets by principal and session.
pub(super) struct Delegations {
    /// The most principals.
    max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    owners: HashMap<Principal, VecDeque<Kept>>,
    /// Of all tickets that are kept.
    octets: usize,
    /// When those that had ended were last looked for.
    swept: Time,
}

struct Kept {
    id: Id,
    tickets: Arc<Delegated>,
    end: Time,
}

impl Delegations {
    pub(super) fn new(max: usize) -> Delegations {
        Delegations { max, state: Mutex::default() }
    }

    /// Keeps tickets for a session, if there is room.
    pub(super) fn keep(&self, owner: &Principal, id: Id, tickets: Arc<Delegated>, end: Time, now: Time) -> bool {
        let size = tickets.octets();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.has_room(&state, owner, size) && state.swept != now {
            state.swept = now;
            state.sweep(now);
        }
        state.make_room(owner, now);
        if !self.has_room(&state, owner, size) {
            return false;
        }
        state.octets += size;
        state.owners.entry(owner.clone()).or_default().push_back(Kept { id, tickets, end });
        true
    }

    fn has_room(&self, state: &State, owner: &Principal, size: usize) -> bool {
        let octets = state.octets.saturating_add(size);
        let known = state.owners.len() < self.max || state.owners.contains_key(owner);
        known && octets <= self.max.saturating_mul(OCTETS_EACH)
    }

    pub(super) fn find(&self, owner: &Principal, id: &Id, now: Time) -> Option<Arc<Delegated>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut mine = state.owners.get(owner)?.iter();
        mine.find(|kept| kept.id == *id && kept.end > now).map(|kept| kept.tickets.clone())
    }
}

impl State {
    /// Forgets what has ended.
    fn sweep(&mut self, now: Time) {
        let State { owners, octets, .. } = self;
        owners.retain(|_, kept| {
            drop_ended(kept, octets, now);
            !kept.is_empty()
        });
    }

    /// Lets the owner's older sessions give way to one more.
    fn make_room(&mut self, owner: &Principal, now: Time) {
        let Some(mine) = self.owners.get_mut(owner) else { return };
        drop_ended(mine, &mut self.octets, now);
        while mine.len() >= EACH
            && let Some(old) = mine.pop_front()
        {
            self.octets -= old.tickets.octets();
        }
        if mine.is_empty() {
            self.owners.remove(owner);
        }
    }
}

fn drop_ended(kept: &mut VecDeque<Kept>, octets: &mut usize, now: Time) {
    kept.retain(|kept| {
        let lives = kept.end > now;
        *octets -= if lives { 0 } else { kept.tickets.octets() };
        lives
    });
}

impl fmt::Debug for Delegations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delegations(max {})", self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{CredTicket, ReceivedCred};

    const NOW: Time = Time(1000);

    fn tickets() -> Arc<Delegated> {
        of_size(0)
    }

    fn of_size(octets: usize) -> Arc<Delegated> {
        let ticket = CredTicket {
            client: who("alice"),
            server: Principal::tgs("R"),
            key: crate::crypto::Key::new(crate::codes::EncryptionType::AES128_SHA1, &[1; 16]).unwrap(),
            flags: crate::flags::TicketFlags::FORWARDED,
            auth_time: None,
            start_time: None,
            end_time: None,
            renew_till: None,
            addresses: vec![],
            ticket: vec![0; octets],
        };
        Arc::new(Delegated::new(ReceivedCred { tickets: vec![ticket], time: None, nonce: None }))
    }

    fn who(name: &str) -> Principal {
        Principal::parse(name, Some("R")).unwrap()
    }

    #[test]
    fn a_principals_older_sessions_give_way_to_its_own_newer_ones() {
        let all = Delegations::new(3);
        assert!(all.keep(&who("bob"), [99; 16], tickets(), NOW + 100, NOW));
        for id in 0..10 {
            assert!(all.keep(&who("alice"), [id; 16], tickets(), NOW + 100, NOW));
        }
        let known: Vec<_> = (0..10).filter(|id| all.find(&who("alice"), &[*id; 16], NOW).is_some()).collect();
        assert_eq!(known, [2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(all.find(&who("bob"), &[99; 16], NOW).is_some());
        assert!(all.find(&who("bob"), &[5; 16], NOW).is_none(), "another's");
    }

    #[test]
    fn nobody_gives_way_to_another_principal() {
        let all = Delegations::new(2);
        for name in ["alice", "bob"] {
            assert!(all.keep(&who(name), [1; 16], tickets(), NOW + 100, NOW));
        }
        assert!(!all.keep(&who("mallory"), [1; 16], tickets(), NOW + 100, NOW));
        assert!(all.keep(&who("bob"), [2; 16], tickets(), NOW + 200, NOW));
        assert!(all.find(&who("alice"), &[1; 16], NOW).is_some());
        assert!(all.keep(&who("mallory"), [1; 16], tickets(), NOW + 200, NOW + 100), "alice's have ended");
        assert!(all.find(&who("bob"), &[2; 16], NOW + 100).is_some());
        assert!(!Delegations::new(0).keep(&who("alice"), [1; 16], tickets(), NOW + 100, NOW));
    }

    #[test]
    fn tickets_are_gone_when_their_session_is_over() {
        let all = Delegations::new(3);
        all.keep(&who("alice"), [1; 16], tickets(), NOW + 100, NOW);
        assert!(all.find(&who("alice"), &[1; 16], NOW + 99).is_some());
        assert!(all.find(&who("alice"), &[1; 16], NOW + 100).is_none());
    }
    #[test]
    fn tickets_are_bounded_in_octets_too() {
        let all = Delegations::new(4);
        for id in 0..3 {
            assert!(all.keep(&who("alice"), [id; 16], of_size(20_000), NOW + 100 + i64::from(id), NOW));
        }
        assert!(!all.keep(&who("mallory"), [9; 16], of_size(20_000), NOW + 100, NOW));
        assert!(all.keep(&who("bob"), [9; 16], of_size(2_000), NOW + 100, NOW), "there is room for most");
        assert!(all.keep(&who("mallory"), [9; 16], of_size(20_000), NOW + 300, NOW + 100), "one of alice's has ended");
        assert!(all.find(&who("alice"), &[1; 16], NOW + 100).is_some());
        for id in 0..100 {
            let kept = all.keep(&who("carol"), [id; 16], of_size(100), NOW + 300, NOW + 100);
            assert!(kept, "what gives way gives its octets back: {id}");
        }
        assert!(!all.keep(&who("dora"), [0; 16], of_size(usize::from(u16::MAX)), NOW + 300, NOW + 100));
    }
}
