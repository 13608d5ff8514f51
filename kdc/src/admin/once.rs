//! Changes that are made once, however often they are asked for: what was answered is committed with the change,
//! and who asks again, over whichever KDC, is answered the same. Not here: how it is kept (the stores).

use std::io::{self, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::caller::Caller;
use super::operation::{Answer, Operation, Reason, Refusal};
use super::registry::{Registry, Step, now};
use super::transaction::Transaction;
use crate::core::store::Answered;
use crate::core::{Store, StoreError};

/// Characters of a request's id.
const LONGEST: usize = 128;
/// Each attempt makes the keys of all passwords anew.
const ATTEMPTS: usize = 10;

/// What is kept of an answer.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// What tells the operation.
    operation: [u8; 32],
    answer: Answer,
}

impl Operation {
    /// Whether it has an id of its own.
    pub(super) fn is_once(&self) -> bool {
        matches!(self, Operation::Once { .. })
    }

    /// Whether it changes what is in the store and nothing else: such can be made once. What is read beside it would
    /// be kept with the answer, and that is no place for what any reader can make as long as he likes.
    pub(super) fn is_change(&self) -> bool {
        match self {
            Operation::Batch { operations } => operations.iter().all(Operation::is_change),
            // Failures are not in the store.
            Operation::Modify { settings, .. } if settings.unlock => false,
            Operation::Guarded { operation, .. } => operation.is_change(),
            Operation::Create { .. } | Operation::Ensure { .. } | Operation::CreatePolicy { .. } => true,
            Operation::Extract { fresh: None, .. } => false,
            operation => operation.guarded_by().is_some(),
        }
    }
}

impl Registry {
    /// The change, unless it was made at this request before.
    pub(super) fn once(&self, caller: &Caller, request: &str, operation: Operation) -> Step<Answer> {
        if !is_request(request) {
            let rule = format!("a request's id has 1 to {LONGEST} visible characters of ASCII");
            return Err(Refusal::invalid(rule).at("request"));
        }
        if !operation.is_change() {
            let rule =
                "only what changes the store, and reads and unlocks nothing, has an id; ask for this without one";
            return Err(Refusal::invalid(rule));
        }
        let (name, what) = (caller.name.to_string(), Sha256::digest(&*encoded(&operation)?).into());
        let id: [u8; 32] = Sha256::digest([name.as_bytes(), b"\0", request.as_bytes()].concat()).into();
        for _ in 0..ATTEMPTS {
            let transaction = Arc::new(Transaction::over(Arc::clone(&self.store)));
            let registry = self.over(Arc::clone(&transaction) as Arc<dyn Store>);
            let performed = registry.decide(caller, operation.clone());
            // Who may not any more hears nothing of what was answered, and keeps no other store busy.
            if let Err(refusal) = &performed
                && refusal.reason == Reason::Denied
            {
                return Err(refusal.clone());
            }
            // Not before: what is made after this look, of what was read before it, is a conflict.
            if let Some(kept) = self.store.answered(&id)? {
                return again(&kept, what);
            }
            let answer = performed?;
            let octets = encoded(&Kept { operation: what, answer: answer.clone() })?;
            let answered = Answered { request: id, at: now(), octets };
            match transaction.commit_answered(answered) {
                // Somebody was quicker: perhaps with this very request.
                Err(
                    StoreError::Conflict(_)
                    | StoreError::PolicyConflict(_)
                    | StoreError::Exists(_)
                    | StoreError::Missing(_)
                    | StoreError::PolicyExists(_)
                    | StoreError::PolicyMissing(_),
                ) => {}
                done => {
                    done?;
                    self.has_committed(&registry);
                    return Ok(answer);
                }
            }
        }
        Err(Refusal::new(Reason::Failed, "others keep changing this; try again"))
    }
}

/// Whether a text can tell a request from others.
pub(super) fn is_request(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_graphic())
}

/// The text of what may have secrets in it, in room that was made at once: growing leaves copies behind.
fn encoded(value: &impl Serialize) -> Step<Zeroizing<Vec<u8>>> {
    let failed = |_| Refusal::new(Reason::Failed, "the operation has no text");
    let mut length = Length(0);
    serde_json::to_writer(&mut length, value).map_err(failed)?;
    let mut octets = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *octets, value).map_err(failed)?;
    Ok(octets)
}

/// Counts what would be written.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0 += octets.len();
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn again(kept: &[u8], what: [u8; 32]) -> Step<Answer> {
    let kept: Kept = serde_json::from_slice(kept)
        .map_err(|_| Refusal::new(Reason::Failed, "what was answered to this request is of another version of kdc"))?;
    match kept.operation == what {
        true => Ok(kept.answer),
        false => Err(Refusal::invalid("this id was another request's; every request needs its own").at("request")),
    }
}
