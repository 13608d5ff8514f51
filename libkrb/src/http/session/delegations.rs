//! The tickets that callers handed over, for as long as their sessions: they have no place in a
//! cookie, where they would be as large as they are precious. Not shared between replicas: one that
//! does not know them asks for Negotiate again.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::http::caller::Delegated;
use crate::time::Time;

type Id = [u8; 16];

/// Tickets by session. When there is no room the oldest give way, and their owners negotiate again.
pub(super) struct Delegations {
    max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<Id, (Arc<Delegated>, Time)>,
    /// In the order of their coming.
    order: VecDeque<Id>,
}

impl Delegations {
    pub(super) fn new(max: usize) -> Delegations {
        Delegations { max, state: Mutex::default() }
    }

    pub(super) fn keep(&self, id: Id, tickets: Arc<Delegated>, end: Time, now: Time) {
        if self.max == 0 {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(oldest) = state.order.front().copied() {
            let over = state.known.get(&oldest).is_none_or(|(_, end)| *end <= now);
            if !over && state.order.len() < self.max {
                break;
            }
            state.known.remove(&oldest);
            state.order.pop_front();
        }
        state.known.insert(id, (tickets, end));
        state.order.push_back(id);
    }

    pub(super) fn find(&self, id: &Id, now: Time) -> Option<Arc<Delegated>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.known.get(id).filter(|(_, end)| *end > now).map(|(tickets, _)| tickets.clone())
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(state.known.len(), state.order.len());
        state.known.len()
    }
}

impl fmt::Debug for Delegations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delegations(max {})", self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::ReceivedCred;

    fn tickets() -> Arc<Delegated> {
        Arc::new(Delegated::new(ReceivedCred { tickets: vec![], time: None, nonce: None }))
    }

    #[test]
    fn the_oldest_give_way_when_there_is_no_room() {
        let all = Delegations::new(3);
        for id in 0..5 {
            all.keep([id; 16], tickets(), Time(100), Time(0));
            assert!(all.len() <= 3);
        }
        let known: Vec<_> = (0..5).filter(|id| all.find(&[*id; 16], Time(1)).is_some()).collect();
        assert_eq!(known, [2, 3, 4]);
        assert!(Delegations::new(0).find(&[0; 16], Time(0)).is_none());
    }

    #[test]
    fn tickets_are_gone_when_their_session_is_over() {
        let all = Delegations::new(3);
        all.keep([1; 16], tickets(), Time(100), Time(0));
        assert!(all.find(&[1; 16], Time(99)).is_some());
        assert!(all.find(&[1; 16], Time(100)).is_none());
        all.keep([2; 16], tickets(), Time(200), Time(100));
        assert_eq!(all.len(), 1);
    }
}
