//! A service's own database, embedded: things of one kind, each under a name, in a file that redb
//! keeps whole whatever happens. Not here: what the things are.

use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;

const THINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("things");

/// Things of one kind. Clones are the same.
pub struct Shelf<T> {
    database: Arc<Database>,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Shelf { database: Arc::clone(&self.database), of: PhantomData }
    }
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Shelf<T> {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// What is wrong with it; above all another process that has it.
    pub fn open(file: &Path) -> Result<Shelf<T>, Error> {
        let open = || -> Result<Database, redb::Error> {
            let database = Database::create(file)?;
            let transaction = database.begin_write()?;
            transaction.open_table(THINGS)?;
            transaction.commit()?;
            Ok(database)
        };
        let database = open().map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Shelf { database: Arc::new(database), of: PhantomData })
    }

    /// Whether it can be read.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<String, redb::Error> {
        self.database.begin_read()?.open_table(THINGS)?;
        Ok("open".to_owned())
    }

    /// The thing of this name.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&self, name: &str) -> Result<Option<T>, Error> {
        let (shelf, name) = (self.clone(), name.to_owned());
        blocking(move || {
            let things = shelf.database.begin_read()?.open_table(THINGS)?;
            Ok(things.get(name.as_str())?.map(|thing| serde_json::from_slice(thing.value())).transpose()?)
        })
        .await
    }

    /// The last `most` things, by name, of those that are wanted, the last one first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn last(&self, most: usize, wanted: impl Fn(&T) -> bool + Send + 'static) -> Result<Vec<T>, Error> {
        let shelf = self.clone();
        blocking(move || {
            let things = shelf.database.begin_read()?.open_table(THINGS)?;
            let mut found = vec![];
            for thing in things.iter()?.rev() {
                let thing = serde_json::from_slice(thing?.1.value())?;
                if found.len() < most && wanted(&thing) {
                    found.push(thing);
                }
            }
            Ok(found)
        })
        .await
    }

    /// Puts in the place of the thing of this name what `change` makes of it, if anything, in one
    /// step that nobody comes between; and passes on what else it has to say.
    ///
    /// # Errors
    /// Those of the database; then nothing has changed.
    pub async fn change<R: Send + 'static>(
        &self,
        name: &str,
        change: impl FnOnce(Option<T>) -> (Option<T>, R) + Send + 'static,
    ) -> Result<R, Error> {
        let (shelf, name) = (self.clone(), name.to_owned());
        blocking(move || {
            let transaction = shelf.database.begin_write()?;
            let said = {
                let mut things = transaction.open_table(THINGS)?;
                let old = things.get(name.as_str())?.map(|thing| serde_json::from_slice(thing.value())).transpose()?;
                let (new, said) = change(old);
                match new {
                    Some(thing) => things.insert(name.as_str(), serde_json::to_vec(&thing)?.as_slice())?,
                    None => things.remove(name.as_str())?,
                };
                said
            };
            transaction.commit()?;
            Ok(said)
        })
        .await
    }
}

/// The database waits for the disk: that is no work for a thread that answers others.
async fn blocking<R: Send + 'static>(work: impl FnOnce() -> Result<R, Error> + Send + 'static) -> Result<R, Error> {
    tokio::task::spawn_blocking(work).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> (tempfile::TempDir, Shelf<u32>) {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = Shelf::open(&folder.path().join("numbers.redb")).expect("a database");
        (folder, shelf)
    }

    #[tokio::test]
    async fn what_was_put_is_there_when_the_file_is_opened_again() {
        let (folder, shelf) = shelf();
        let old = shelf.change("one", |old| (Some(1), old)).await.expect("written");
        assert_eq!(old, None);
        drop(shelf);
        let shelf = Shelf::<u32>::open(&folder.path().join("numbers.redb")).expect("a database");
        assert_eq!(shelf.find("one").await.expect("read"), Some(1));
        assert_eq!(shelf.find("two").await.expect("read"), None);
    }

    #[tokio::test]
    async fn the_last_come_first_and_no_more_than_wanted() {
        let (_folder, shelf) = shelf();
        for number in 0..10_u32 {
            shelf.change(&number.to_string(), move |_| (Some(number), ())).await.expect("written");
        }
        assert_eq!(shelf.last(3, |number| number % 2 == 0).await.expect("read"), [8, 6, 4]);
    }

    #[tokio::test]
    async fn what_is_changed_into_nothing_is_gone() {
        let (_folder, shelf) = shelf();
        shelf.change("one", |_| (Some(1), ())).await.expect("written");
        shelf.change("one", |_| (None, ())).await.expect("written");
        assert_eq!(shelf.find("one").await.expect("read"), None);
    }
}
