//! The operations on the master key. Not here: what a roll-over does to a store ([`crate::store`]).

use std::sync::Arc;

use super::operation::{Answer, Name, Reason, Refusal};
use super::registry::{Registry, Step};
use crate::store::{Resealed, Vault};

impl Registry {
    /// The same, with the master key of its store at hand.
    #[must_use]
    pub fn with_vault(mut self, vault: Arc<dyn Vault>) -> Self {
        self.vault = Some(vault);
        self
    }

    fn vault(&self) -> Step<&dyn Vault> {
        self.vault.as_deref().ok_or_else(|| Refusal::new(Reason::Failed, "this store has no master key"))
    }

    pub(super) fn master_key(&self) -> Step<Answer> {
        let (source, versions) = self.vault()?.master_key()?;
        Ok(Answer::MasterKey { source, versions })
    }

    pub(super) fn rotate_master_key(&self, after: Option<&Name>) -> Step<Answer> {
        let Resealed { version, seen, total, next, removed, left } = self.vault()?.reseal(after.map(|name| &name.0))?;
        if next.is_none() {
            tracing::info!(version, ?removed, "the master key is rolled over");
        }
        Ok(Answer::Resealed { version, seen, total, next: next.map(Name), removed, left })
    }
}
