//! Guessers at the passwords of a realm under way: one guess at a time, and many at once at every KDC. Not here: how
//! failures are counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use libkrb::ErrorCode;
use tests::joined::{Asking, as_error};

use crate::kdc::Alive;
use crate::realm::{Realm, book, key};

/// Users at whose passwords is guessed.
pub const GUESSED: usize = 6;
/// Failures that lock.
pub const MOST: usize = 5;
/// Guesses at each KDC in the same moment.
const AT_ONCE: usize = 3;

/// What was guessed at a user.
#[derive(Default)]
pub struct Guesses {
    /// At KDCs that count together.
    pub together: usize,
    /// By KDCs that could not ask the others, by life.
    alone: BTreeMap<(usize, u32), usize>,
    /// Lives that ended since.
    pub crashes: usize,
}

impl Realm {
    /// Somebody guesses.
    pub fn guess(&mut self) {
        let Some(alive) = self.anybody() else { return };
        let whom = self.dice.below(GUESSED);
        self.guess_at(&alive, whom);
    }

    /// Somebody guesses at all KDCs in the same moment, several times.
    pub fn assault(&mut self) {
        let whom = self.dice.below(GUESSED);
        let all: Vec<Arc<Alive>> = self.seats.iter().filter_map(|seat| seat.alive()).collect();
        for alive in all.iter().flat_map(|alive| [alive; AT_ONCE]) {
            self.guess_at(alive, whom);
        }
    }

    fn guess_at(&mut self, alive: &Alive, whom: usize) {
        self.moment();
        let request = self.client.as_req(&Asking::login(&format!("guessed{whom}")), Some(&key(999)));
        let reached = alive.together.is_reached();
        let reply = alive.answer(&request).reply.expect("an answer");
        match as_error(&reply) {
            Some(ErrorCode::PREAUTH_FAILED) => {}
            // Locked, or to be tried again.
            Some(ErrorCode::CLIENT_REVOKED | ErrorCode::SVC_UNAVAILABLE) => return,
            other => return self.trace.wrong(format!("a guess comes to {other:?}")),
        }
        self.trace.say(format!("kdc {}: a guess at {whom}, together: {reached}", alive.number));
        let mut book = book(&self.book);
        let guesses = &mut book.guesses[whom];
        let (count, most) = match reached {
            true => {
                guesses.together += 1;
                (guesses.together, MOST + self.seats.len() + guesses.crashes)
            }
            false => {
                let alone = guesses.alone.entry((alive.number, alive.life)).or_default();
                *alone += 1;
                (*alone, MOST)
            }
        };
        if count > most {
            self.trace.wrong(format!("{count} guesses at {whom}, of {most}, together: {reached}"));
        }
    }
}
