//! What a commit reads of the tables that it is about to write.

use redb::ReadableTable;

use super::Redb;
use crate::core::StoreError;
use crate::store::plan::{Base, Stored};
use crate::store::{policy_record, record};

/// The tables of a commit, as its plan reads them.
pub(super) struct Tables<'a, P, N> {
    pub store: &'a Redb,
    pub principals: &'a P,
    pub names: &'a N,
    pub policies: &'a P,
}

impl<P, N> Base for Tables<'_, P, N>
where
    P: ReadableTable<&'static str, &'static [u8]>,
    N: ReadableTable<(&'static str, &'static str), &'static str>,
{
    fn stored(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        let bytes = self.store.sound(self.principals.get(key))?;
        bytes.map(|bytes| record::stored(key, bytes.value())).transpose()
    }

    fn names(&self, folded: &str) -> Result<Vec<(String, String)>, StoreError> {
        let mut group = vec![];
        for row in self.store.sound(self.names.range((folded, "")..))? {
            let (name, owner) = self.store.sound(row)?;
            match name.value() {
                (fold, key) if fold == folded => group.push((key.to_owned(), owner.value().to_owned())),
                _ => break,
            }
        }
        Ok(group)
    }

    fn policy_revision(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let bytes = self.store.sound(self.policies.get(name))?;
        bytes.map(|bytes| Ok(policy_record::decode(name, bytes.value())?.revision)).transpose()
    }

    fn policy_user(&self, name: &str, except: &dyn Fn(&str) -> bool) -> Result<Option<String>, StoreError> {
        for row in self.store.sound(self.principals.iter())? {
            let (owner, bytes) = self.store.sound(row)?;
            let owner = owner.value();
            if !except(owner) && record::policy(owner, bytes.value())?.as_deref() == Some(name) {
                return Ok(Some(owner.to_owned()));
            }
        }
        Ok(None)
    }
}
