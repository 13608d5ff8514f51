//! Who may hold a connection. There is a bound for all and one for each peer; a newcomer beyond it
//! takes the place of the connection that has been idle for longest, and never of a busy one.
//!
//! Idle is every connection whose request is not all there: one that dribbles bytes is as idle as
//! one that sends none.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::accept::peer;

/// All connections.
pub struct Connections {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    max: usize,
    max_per_peer: usize,
    open: usize,
    /// Idle ones in the order in which they fell idle.
    idle: BTreeMap<Turn, (Peer, Dismissal)>,
    peers: HashMap<Peer, OfPeer>,
    next: Turn,
}

#[derive(Default)]
struct OfPeer {
    open: usize,
    idle: BTreeSet<Turn>,
}

/// Counts the times that any connection fell idle.
type Turn = u64;
/// An IPv4 address, or the network that one IPv6 customer has whole.
type Peer = IpAddr;
/// Dismisses a connection when dropped.
type Dismissal = oneshot::Sender<()>;

/// The place of one connection; free again when dropped.
pub struct Place {
    connections: Arc<Connections>,
    peer: Peer,
    activity: Activity,
    dismissed: oneshot::Receiver<()>,
}

enum Activity {
    Idle(Turn),
    Busy(Dismissal),
    Dismissed,
}

impl Connections {
    /// Bounds for all connections and for those of one peer.
    pub fn new(max: usize, max_per_peer: usize) -> Arc<Self> {
        Arc::new(Connections { state: Mutex::new(State { max, max_per_peer, ..State::default() }) })
    }

    /// Other bounds from now on. Nobody has to go who is there.
    pub fn resize(&self, max: usize, max_per_peer: usize) {
        let mut state = self.lock();
        (state.max, state.max_per_peer) = (max, max_per_peer);
    }

    /// A place for a new connection, idle; none when all that could make room are busy.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let peer = peer(address);
        let mut state = self.lock();
        let of_peer = state.peers.get(&peer);
        if of_peer.is_some_and(|of_peer| of_peer.open >= state.max_per_peer) {
            let longest = of_peer.and_then(|of_peer| of_peer.idle.first().copied())?;
            state.dismiss(longest);
        } else if state.open >= state.max {
            state.dismiss_longest_idle().then_some(())?;
        }
        state.open += 1;
        state.peers.entry(peer).or_default().open += 1;
        let (dismissal, dismissed) = oneshot::channel();
        let turn = state.rest(peer, dismissal);
        drop(state);
        Some(Place { connections: Arc::clone(self), peer, activity: Activity::Idle(turn), dismissed })
    }

    /// How many there may be.
    pub fn limit(&self) -> usize {
        self.lock().max
    }

    /// Makes room where the bounds are not the problem, but the system's are.
    pub fn make_room(&self) -> bool {
        self.lock().dismiss_longest_idle()
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.lock().open
    }

    /// Whoever panicked while holding the lock did so between whole steps.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn rest(&mut self, peer: Peer, dismissal: Dismissal) -> Turn {
        let turn = self.next;
        self.next += 1;
        self.idle.insert(turn, (peer, dismissal));
        self.peers.entry(peer).or_default().idle.insert(turn);
        turn
    }

    fn rise(&mut self, turn: Turn) -> Option<Dismissal> {
        let (peer, dismissal) = self.idle.remove(&turn)?;
        if let Some(of_peer) = self.peers.get_mut(&peer) {
            of_peer.idle.remove(&turn);
        }
        Some(dismissal)
    }

    fn leave(&mut self, peer: Peer) {
        self.open -= 1;
        let Some(of_peer) = self.peers.get_mut(&peer) else { return };
        of_peer.open -= 1;
        if of_peer.open == 0 {
            self.peers.remove(&peer);
        }
    }

    /// Counts as gone at once, though its task has yet to hear of it.
    fn dismiss(&mut self, turn: Turn) {
        let peer = self.idle.get(&turn).map(|(peer, _)| *peer);
        if let (Some(_), Some(peer)) = (self.rise(turn), peer) {
            self.leave(peer);
        }
    }

    fn dismiss_longest_idle(&mut self) -> bool {
        let longest = self.idle.first_key_value().map(|(turn, _)| *turn);
        longest.map(|turn| self.dismiss(turn)).is_some()
    }
}

impl Place {
    /// Ends when the connection has to make room for another; pending while it is busy.
    pub async fn dismissed(&mut self) {
        let _ = (&mut self.dismissed).await;
    }

    /// A request is all there. `false`: too late, the connection was dismissed.
    #[must_use]
    pub fn busy(&mut self) -> bool {
        if let Activity::Idle(turn) = self.activity {
            let dismissal = self.connections.lock().rise(turn);
            self.activity = dismissal.map_or(Activity::Dismissed, Activity::Busy);
        }
        matches!(self.activity, Activity::Busy(_))
    }

    /// The request is answered.
    pub fn idle(&mut self) {
        self.activity = match mem::replace(&mut self.activity, Activity::Dismissed) {
            Activity::Busy(dismissal) => Activity::Idle(self.connections.lock().rest(self.peer, dismissal)),
            other => other,
        };
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.connections.lock();
        match self.activity {
            Activity::Idle(turn) => state.dismiss(turn),
            Activity::Busy(_) => state.leave(self.peer),
            Activity::Dismissed => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [127, 0, 0, last].into()
    }

    fn is_dismissed(place: &mut Place) -> bool {
        place.dismissed.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn a_newcomer_takes_the_place_of_the_longest_idle() {
        let connections = Connections::new(3, 3);
        let mut places = [1, 2, 3].map(|last| connections.admit(address(last)).expect("there is room"));
        assert!(places[0].busy());
        places[0].idle();
        let _newcomer = connections.admit(address(4)).expect("there is room");
        assert!(is_dismissed(&mut places[1]) && !places[1].busy());
        assert!(!is_dismissed(&mut places[0]) && !is_dismissed(&mut places[2]));
        assert_eq!(connections.open(), 3);
    }

    #[test]
    fn the_busy_stay_and_a_newcomer_is_turned_away_when_all_are() {
        let connections = Connections::new(2, 2);
        let mut places = [1, 2].map(|last| connections.admit(address(last)).expect("there is room"));
        assert!(places.iter_mut().all(Place::busy));
        assert!(connections.admit(address(3)).is_none());
        places[1].idle();
        assert!(connections.admit(address(3)).is_some());
        assert!(!is_dismissed(&mut places[0]));
    }

    #[test]
    fn a_peer_with_too_many_connections_loses_its_own_and_nobody_elses() {
        let connections = Connections::new(10, 2);
        let mut other = connections.admit(address(1)).expect("there is room");
        let mut greedy = [(); 2].map(|()| connections.admit(address(2)).expect("there is room"));
        let _third = connections.admit(address(2)).expect("there is room");
        assert!(is_dismissed(&mut greedy[0]));
        assert!(!is_dismissed(&mut greedy[1]) && !is_dismissed(&mut other));
    }

    #[test]
    fn a_place_is_free_again_however_its_connection_ended() {
        let connections = Connections::new(2, 2);
        let idle = connections.admit(address(1)).expect("there is room");
        let mut busy = connections.admit(address(1)).expect("there is room");
        assert!(busy.busy());
        drop((idle, busy));
        let dismissed = connections.admit(address(1)).expect("there is room");
        assert!(connections.make_room());
        drop(dismissed);
        assert_eq!(connections.open(), 0);
        let state = connections.lock();
        assert!(state.idle.is_empty() && state.peers.is_empty());
    }
}
