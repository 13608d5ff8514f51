//! Pages of a copy of the store. The copy lies ready between the pages, so that all are of one
//! moment; there is one at a time, and none that nobody asks on for. Not here: the lines of the file.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Registry, Step, fresh_id, now};
use crate::admin::caller::Caller;
use crate::admin::operation::{Answer, Reason, Refusal, Secret};
use crate::core::StoreError;
use crate::store::dump_lines;

/// Characters of a page, about: a frame holds several.
const PAGE: usize = 512 << 10;
/// A copy that nobody asks on for keeps old pages of the store's file from being used again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the copy lies.
#[derive(Default)]
pub(super) struct Place(Mutex<Option<Snapshot>>);

struct Snapshot {
    token: String,
    lines: Box<dyn Iterator<Item = Result<String, StoreError>> + Send>,
    asked: Instant,
}

impl Place {
    /// Drops a copy whose reader has gone away.
    pub fn forget_stale(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take_if(|copy| copy.asked.elapsed() > PATIENCE);
    }
}

impl Registry {
    pub(super) fn dump(&self, caller: &Caller, next: Option<String>) -> Step<Answer> {
        if !caller.is_mighty() {
            let text = "A copy of the store is for root and the owner of its file only";
            return Err(Refusal::new(Reason::Denied, text));
        }
        let mut place = self.copy.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut copy = match next {
            None => Snapshot {
                token: Secret::hex(&fresh_id()?).expose().to_owned(),
                lines: Box::new(dump_lines(self.store.export()?, now())),
                asked: Instant::now(),
            },
            Some(token) => place.take_if(|copy| copy.token == token).ok_or_else(|| {
                Refusal::new(Reason::Failed, "another dump was begun, or this one waited too long; begin again")
            })?,
        };
        let mut lines = vec![];
        let mut size = 0;
        let mut over = false;
        while size < PAGE && !over {
            match copy.lines.next() {
                Some(line) => {
                    let line = line?;
                    size += line.len();
                    lines.push(line);
                }
                None => over = true,
            }
        }
        copy.asked = Instant::now();
        let next = (!over).then(|| copy.token.clone());
        if !over {
            *place = Some(copy);
        }
        Ok(Answer::Dump { lines, next })
    }
}
