//! The newest commit, held open for reading: a lookup begins no transaction of its own. Not here: what
//! is looked up.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use redb::{Database, ReadOnlyTable, ReadableDatabase, TableError};

use super::ledger::ATTEMPTS;
use super::{NAMES, PRINCIPALS, Redb, failed};
use crate::core::StoreError;

/// The tables of a lookup, as a commit left them.
pub(super) struct View {
    pub principals: ReadOnlyTable<&'static str, &'static [u8]>,
    pub names: ReadOnlyTable<(&'static str, &'static str), &'static str>,
    /// Stores made before there were any have no such table.
    pub attempts: Option<ReadOnlyTable<&'static [u8], &'static [u8]>>,
}

/// The view of the newest commit; none until somebody looks.
#[derive(Default)]
pub(super) struct Newest {
    view: ArcSwapOption<View>,
    /// Held while one is made or taken away: what was begun before a commit ended does not stay after it.
    making: Mutex<()>,
}

impl Newest {
    /// There is a newer one, or the file is to be closed.
    pub fn pass(&self) {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        self.view.store(None);
    }
}

impl Redb {
    /// Looks into what was committed last.
    pub(super) fn look<T>(&self, look: impl Fn(&Self, &View) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.read(|store, database| match &*store.newest.view.load() {
            Some(view) => look(store, view),
            None => look(store, &*store.view(database)?),
        })
    }

    fn view(&self, database: &Database) -> Result<Arc<View>, StoreError> {
        let _making = self.newest.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = self.newest.view.load_full() {
            return Ok(view);
        }
        let transaction = self.sound(database.begin_read())?;
        let attempts = match transaction.open_table(ATTEMPTS) {
            Ok(table) => Some(table),
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(failed(&self.file, error.into())),
        };
        let view = Arc::new(View {
            principals: self.sound(transaction.open_table(PRINCIPALS))?,
            names: self.sound(transaction.open_table(NAMES))?,
            attempts,
        });
        self.newest.view.store(Some(Arc::clone(&view)));
        Ok(view)
    }
}
