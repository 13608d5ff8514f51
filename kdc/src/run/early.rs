//! What is read from the store before anybody asks for it, while the KDC serves: at its start, and again after the store
//! has forgotten it, as while its disk was full.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::store::{Ahead, House};

/// How often it is asked whether it was forgotten.
const LOOK: Duration = Duration::from_secs(60);

/// The reading; it ends when this is dropped, but for the page that is being read.
pub struct Early(AbortHandle);

impl Early {
    /// Begins, on the tokio runtime that this is called in.
    pub fn start(house: Arc<dyn House>) -> Early {
        Early::every(LOOK, house)
    }

    fn every(look: Duration, house: Arc<dyn House>) -> Early {
        Early(tokio::spawn(run(look, house)).abort_handle())
    }
}

impl Drop for Early {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(look: Duration, house: Arc<dyn House>) {
    house.forgot();
    loop {
        read(&house).await;
        sleep(look).await;
        while !house.forgot() {
            sleep(look).await;
        }
        // Not while it goes on: a disk that is full makes every write that fails forget all.
        sleep(look).await;
        while house.forgot() {
            sleep(look).await;
        }
    }
}

async fn read(house: &Arc<dyn House>) {
    let mut after = None;
    loop {
        let (house, begun) = (Arc::clone(house), Instant::now());
        let read = tokio::task::spawn_blocking(move || house.read_ahead(after.as_deref())).await;
        match read {
            Ok(Ok(Ahead::At(last))) => after = Some(last),
            Ok(Ok(Ahead::Whole)) => return tracing::info!("records are read ahead"),
            Ok(Ok(Ahead::TooMany)) => {
                return tracing::info!(
                    "more records than [limits] records_memory holds: those asked for first are kept"
                );
            }
            Ok(Err(error)) => return tracing::warn!(%error, "records can't be read ahead"),
            Err(_) => return,
        }
        // Half of the time is for those who ask.
        sleep(begun.elapsed()).await;
    }
}

#[cfg(test)]
mod tests {
    use libkrb::{Principal, Time};

    use super::*;
    use crate::core::{Change, Entry, Store};
    use crate::store::{MasterKey, Redb};

    #[tokio::test]
    async fn records_are_read_when_it_starts_and_again_after_they_were_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let master = MasterKey::ephemeral().expect("random");
        let store = Redb::create(&folder.path().join("store"), "R", master).expect("a store").keeping(1 << 20);
        let entry = |number: u32| {
            Entry::new(Principal::parse(&format!("user{number}"), Some("R")).expect("a name"), [0; 16], Time(1), "")
        };
        store.commit(&(0..1500).map(|number| Change::Create(entry(number))).collect::<Vec<_>>()).expect("committed");
        let store = Arc::new(store);
        let all = async || {
            while store.records_in_memory() < 1500 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let early = Early::every(Duration::from_millis(1), Arc::clone(&store) as Arc<dyn House>);
        all().await;
        // Opened anew, as it were: nobody knows what is the same still.
        let revision = store.next_revision().expect("a revision");
        store.bulk(revision, |_| Ok::<_, crate::core::StoreError>(())).expect("filled");
        all().await;
        drop(early);
    }
}
