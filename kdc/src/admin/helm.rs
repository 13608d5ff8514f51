//! Operations on the running KDC itself. Not here: how it performs them (`run`).

use super::caller::Caller;
use super::operation::{Answer, Operation, Reason, Refusal};

/// A running KDC that can be told what to do. Both wait for the outcome.
pub trait Helm: Send + Sync {
    /// Reads the settings again; they are in force when this returns.
    ///
    /// # Errors
    /// What is wrong with them, where, and that nothing was changed.
    fn reload(&self) -> Result<(), String>;

    /// Gives way to a new process, which has been found able to start when this returns.
    ///
    /// # Errors
    /// What keeps a new one from starting; then this one goes on.
    fn restart(&self) -> Result<(), String>;
}

pub(super) fn steer(helm: Option<&dyn Helm>, caller: &Caller, operation: &Operation) -> Result<Answer, Refusal> {
    if !caller.is_mighty() {
        return Err(Refusal::new(Reason::Denied, "only root and the user that the KDC runs as may steer it"));
    }
    let helm = helm.ok_or_else(|| Refusal::new(Reason::Invalid, "no KDC runs here; `kdc run` starts one"))?;
    let done = if matches!(operation, Operation::Reload) { helm.reload() } else { helm.restart() };
    done.map(|()| Answer::Done).map_err(|problem| Refusal::new(Reason::Invalid, problem))
}
