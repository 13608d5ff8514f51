//! What is made of the tickets that a caller has handed on: kept as long as these are, in a session
//! or for a request, so that it need not be made again and is nobody else's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use libkrb::session::ReceivedCred;

/// How many may have gone before somebody looks for them.
const SLACK: usize = 64;

/// One `T` for each caller's tickets. Clones are the same.
pub struct Acting<T, K = ReceivedCred>(Arc<Mutex<Kept<T, K>>>);

struct Kept<T, K> {
    /// By the tickets' place in memory, which no others take while a weak reference is left.
    all: HashMap<usize, (Weak<K>, T)>,
    /// At so many, those that have gone are looked for.
    full: usize,
}

impl<T, K> Clone for Acting<T, K> {
    fn clone(&self) -> Self {
        Acting(Arc::clone(&self.0))
    }
}

impl<T, K> Default for Acting<T, K> {
    fn default() -> Self {
        Acting(Arc::new(Mutex::new(Kept { all: HashMap::new(), full: SLACK })))
    }
}

impl<T: Clone, K> Acting<T, K> {
    /// What was made of these tickets, or is made of them now.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn find<E>(&self, tickets: &Arc<K>, make: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Arc::as_ptr(tickets).addr();
        if let Some((_, made)) = kept.all.get(&place) {
            return Ok(made.clone());
        }
        let made = make()?;
        if kept.all.len() >= kept.full {
            kept.all.retain(|_, (tickets, _)| tickets.strong_count() > 0);
            kept.full = 2 * kept.all.len() + SLACK;
        }
        kept.all.insert(place, (Arc::downgrade(tickets), made.clone()));
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn the_same_tickets_give_the_same_and_others_do_not() {
        let acting = Acting::<u32, u8>::default();
        let (alices, bobs) = (Arc::new(1), Arc::new(1));
        assert_eq!(acting.find(&alices, || Ok::<_, Infallible>(1)), Ok(1));
        assert_eq!(acting.find(&bobs, || Ok::<_, Infallible>(2)), Ok(2));
        assert_eq!(acting.find(&alices, || Ok::<_, Infallible>(3)), Ok(1));
        assert_eq!(acting.find(&Arc::new(0), || Err("no")), Err("no"));
    }

    #[test]
    fn what_was_made_goes_with_the_tickets() {
        let acting = Acting::<usize, usize>::default();
        let held = Arc::new(0);
        for number in 0..10 * SLACK {
            let tickets = if number == 0 { Arc::clone(&held) } else { Arc::new(number) };
            assert_eq!(acting.find(&tickets, || Ok::<_, Infallible>(number)), Ok(number));
        }
        assert!(acting.0.lock().expect("a lock").all.len() <= SLACK + 2);
        assert_eq!(acting.find(&held, || Err("made anew")), Ok(0));
    }
}
