//! What is read from the store before anybody asks for it, while the KDC serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::store::House;

/// The reading; it ends soon after this is dropped.
pub struct Warming(Arc<AtomicBool>);

impl Warming {
    /// Begins, on the tokio runtime that this is called in.
    pub fn start(house: Arc<dyn House>) -> Warming {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        tokio::task::spawn_blocking(move || {
            let mut after = None;
            while !stopped.load(Ordering::Relaxed) {
                match house.read_ahead(after.as_deref()) {
                    Ok(None) => break,
                    Ok(last) => after = last,
                    Err(error) => {
                        tracing::warn!(%error, "not all records were read ahead; each is read when it is asked for");
                        break;
                    }
                }
            }
        });
        Warming(stop)
    }
}

impl Drop for Warming {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
