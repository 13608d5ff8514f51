//! Changes that are made once, however often they are asked for: what was answered is committed with the change,
//! and who asks again, over whichever KDC, is answered the same. Not here: how it is kept (the stores).

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

    /// Whether it changes what is in the store: such can be made once.
    pub(super) fn is_change(&self) -> bool {
        match self {
            Operation::Batch { .. } => true,
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
            return Err(Refusal::invalid("this is no change, and can be asked for as often as one likes"));
        }
        let failed = |_| Refusal::new(Reason::Failed, "the operation has no text");
        let text = Zeroizing::new(serde_json::to_vec(&operation).map_err(failed)?);
        let (name, what) = (caller.name.to_string(), Sha256::digest(&*text).into());
        let id: [u8; 32] = Sha256::digest([name.as_bytes(), b"\0", request.as_bytes()].concat()).into();
        for _ in 0..ATTEMPTS {
            let transaction = Arc::new(Transaction::over(Arc::clone(&self.store)));
            let registry = self.over(Arc::clone(&transaction) as Arc<dyn Store>);
            let performed = registry.decide(caller, operation.clone());
            // Not before: what is made after this look, of what was read before it, is a conflict.
            if let Some(kept) = self.store.answered(&id)? {
                return again(&kept, what);
            }
            let answer = performed?;
            let kept = serde_json::to_vec(&Kept { operation: what, answer: answer.clone() }).map_err(failed)?;
            let answered = Answered { request: id, at: now(), octets: Zeroizing::new(kept) };
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
                    registry.committed();
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

fn again(kept: &[u8], what: [u8; 32]) -> Step<Answer> {
    let kept: Kept = serde_json::from_slice(kept)
        .map_err(|_| Refusal::new(Reason::Failed, "what was answered to this request is of another version of kdc"))?;
    match kept.operation == what {
        true => Ok(kept.answer),
        false => Err(Refusal::invalid("this id was another request's; every request needs its own").at("request")),
    }
}
