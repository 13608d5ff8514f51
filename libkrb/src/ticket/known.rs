//! Open tickets that are remembered, for a client shows the same one for hours. Not here: whether one
//! is still good. Every check is made again for each request, the replay cache's among them.
//!
//! What is remembered is found again by all octets of the sealed ticket, and belongs to the keys that
//! opened it: who has others begins anew, or sees for himself that they are the same.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::time::{Seconds, Time};
use crate::wire::{Raw, Ticket};

/// A ticket of more octets is opened each time: what a stranger makes large is not to be kept.
const LONGEST: usize = 8 * 1024;

/// How many tickets share a place, and of how many more it is known that they came once.
const WAYS: usize = 4;
const ONCE: usize = 8;

/// How much of the end of a ciphertext says where its ticket is kept: its checksum, for most.
const TAIL: usize = 16;

/// What an open ticket is remembered as.
pub trait Remembered {
    /// When the ticket ends.
    fn end(&self) -> Time;
}

/// The tickets that are remembered: those that came twice, lest others that never come again take
/// their room. Where a ticket may be kept is told by its ciphertext and a secret: who shows one ticket
/// in many ways, by what stands clear beside the ciphertext, displaces himself.
pub struct KnownTickets<T> {
    places: Box<[Mutex<Place<T>>]>,
    /// How long after its end a ticket is taken.
    skew: Seconds,
    secret: RandomState,
    /// The place that is looked through next for what has ended.
    next: AtomicUsize,
}

/// What says where a ticket may be kept.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

struct Place<T> {
    /// The last one that was used stands first.
    kept: Vec<(Box<[u8]>, Arc<T>)>,
    /// Of those that came once, the last one first.
    once: [u64; ONCE],
}

impl<T: Remembered> KnownTickets<T> {
    /// Room for so many tickets, rounded up, each until so many seconds after its end; 0 remembers none.
    pub fn new(max: usize, skew: Seconds) -> Self {
        let place = || Mutex::new(Place { kept: vec![], once: [0; ONCE] });
        let places = (0..max.div_ceil(WAYS)).map(|_| place()).collect();
        KnownTickets { places, skew, secret: RandomState::new(), next: AtomicUsize::new(0) }
    }

    /// The ticket with just these octets, if it is remembered and has not ended.
    pub fn find(&self, mark: Mark, sealed: &Raw<'_, Ticket<'_>>, now: Time) -> Option<Arc<T>> {
        let mut place = lock(self.place(mark)?);
        let at = place.kept.iter().position(|(octets, _)| **octets == *sealed.der)?;
        let opened = place.kept.get(at).map(|(_, opened)| opened.clone())?;
        if self.has_ended(&opened, now) {
            place.kept.remove(at);
            return None;
        }
        place.kept.get_mut(..=at)?.rotate_right(1);
        Some(opened)
    }

    /// Remembers a ticket whose owner has proven to have its session key: the first time only that it
    /// came; then in the place of the one that was not used for longest.
    pub fn remember(&self, mark: Mark, sealed: &Raw<'_, Ticket<'_>>, opened: &Arc<T>, now: Time) {
        let Some(place) = self.place(mark).filter(|_| sealed.der.len() <= LONGEST) else { return };
        self.drop_ended(now);
        let mut place = lock(place);
        if !place.once.contains(&mark.0) {
            place.once.rotate_right(1);
            place.once[0] = mark.0;
            return;
        }
        // Somebody else may have been quicker.
        place.kept.retain(|(octets, other)| **octets != *sealed.der && !self.has_ended(other, now));
        place.kept.truncate(WAYS - 1);
        place.kept.insert(0, (sealed.der.into(), opened.clone()));
    }

    /// A number that strangers cannot foretell.
    pub fn mark(&self, sealed: &Raw<'_, Ticket<'_>>) -> Mark {
        let cipher = sealed.value.enc_part.cipher;
        let tail = cipher.last_chunk::<TAIL>().map(|tail| u128::from_le_bytes(*tail));
        Mark(self.secret.hash_one(tail))
    }

    fn place(&self, Mark(mark): Mark) -> Option<&Mutex<Place<T>>> {
        self.places.get((mark as usize).checked_rem(self.places.len())?)
    }

    /// Forgets what has ended in one place after the other, so that keys do not stay for longer than
    /// they are good for.
    fn drop_ended(&self, now: Time) {
        let next = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(self.places.len());
        if let Some(place) = next.and_then(|next| self.places.get(next)) {
            lock(place).kept.retain(|(_, opened)| !self.has_ended(opened, now));
        }
    }

    fn has_ended(&self, opened: &T, now: Time) -> bool {
        now > opened.end() + self.skew
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.places.iter().map(|place| lock(place).kept.len()).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> fmt::Debug for KnownTickets<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownTickets")
    }
}

/// A thread that panicked while it held the lock left a place that is whole.
fn lock<T>(place: &Mutex<Place<T>>) -> MutexGuard<'_, Place<T>> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}
