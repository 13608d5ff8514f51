//! What is read from the store before anybody asks for it, while the KDC serves: at its start, and again when the store
//! has forgotten much of it, as after its disk was full.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::store::{Ahead, House};

/// How often it is asked for whether something was forgotten.
const LOOK: Duration = Duration::from_secs(60);

/// The reading; it ends when this is dropped, but for a part that takes a millisecond.
pub struct Warming(AbortHandle);

impl Warming {
    /// Begins, on the tokio runtime that this is called in.
    pub fn start(house: Arc<dyn House>) -> Warming {
        Warming(tokio::spawn(run(house)).abort_handle())
    }
}

impl Drop for Warming {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(house: Arc<dyn House>) {
    loop {
        if house.forgot() {
            read(&house).await;
        }
        sleep(LOOK).await;
    }
}

async fn read(house: &Arc<dyn House>) {
    let mut after = None;
    loop {
        let (house, begun) = (Arc::clone(house), Instant::now());
        let read = tokio::task::spawn_blocking(move || house.read_ahead(after.as_deref())).await;
        match read {
            Ok(Ok(Ahead::At(last))) => after = Some(last),
            Ok(Ok(Ahead::Whole)) => return tracing::info!("all records are in memory"),
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
