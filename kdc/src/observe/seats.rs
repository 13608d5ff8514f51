//! A number for each thread that counts, so that most have counts to themselves: no two living threads have the same,
//! and who ends gives its number back. Not here: what is counted.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Which numbers are taken.
static TAKEN: Mutex<Vec<bool>> = Mutex::new(vec![]);

thread_local!(static OWN: Seat = Seat::take());

/// A number, for as long as its thread lives.
struct Seat(usize);

impl Seat {
    /// The lowest that nobody has.
    fn take() -> Seat {
        let mut taken = lock();
        let number = taken.iter().position(|taken| !taken).unwrap_or(taken.len());
        match taken.get_mut(number) {
            Some(taken) => *taken = true,
            None => taken.push(true),
        }
        Seat(number)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(taken) = lock().get_mut(self.0) {
            *taken = false;
        }
    }
}

/// Whoever panicked while holding the lock left whole truths.
fn lock() -> MutexGuard<'static, Vec<bool>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of this thread: all that a former holder did is seen by whoever has it now. None while the thread ends.
pub fn of_this_thread() -> Option<usize> {
    OWN.try_with(|seat| seat.0).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn no_two_living_threads_have_the_same_number() {
        const THREADS: usize = 20;
        let barrier = Barrier::new(THREADS);
        let number = || {
            let number = of_this_thread().expect("a living thread");
            // Nobody ends before all have theirs.
            barrier.wait();
            assert_eq!(of_this_thread(), Some(number), "and keeps it");
            number
        };
        let numbers = thread::scope(|scope| {
            let threads = [(); THREADS].map(|()| scope.spawn(number));
            threads.map(|thread| thread.join().expect("a number"))
        });
        let mut different = numbers.to_vec();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), THREADS, "{numbers:?}");
    }

    #[test]
    fn numbers_are_given_back() {
        let number = || thread::spawn(of_this_thread).join().expect("an end").expect("a number");
        // Other tests have threads too, but never as many.
        assert!((0..2000).map(|_| number()).max() < Some(1000));
    }
}
