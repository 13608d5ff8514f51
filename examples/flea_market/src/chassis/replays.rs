//! Where authenticators are remembered, so that none is taken twice: in memory, for a service of one
//! process; in a file, over restarts and for processes of one host; in Redis, for replicas.

use std::sync::Arc;

use libkrb::Time;
use libkrb::replay::{Event, FileOptions, FileReplayCache, MemoryReplayCache, Observer, ReplayCache};
use libkrb::time::Seconds;
use tracing::warn;

use super::Error;
use super::settings::Settings;

/// How many are remembered at a time: as many as come within twice the clock skew.
const MOST: u32 = 1_000_000;

/// The cache that the settings name.
///
/// # Errors
/// A file or a Redis that cannot be used.
pub async fn open(settings: &Settings, clock_skew: Seconds, now: Time) -> Result<Arc<dyn ReplayCache>, Error> {
    let observer = Observer::new(|event: &Event| warn!(%event, "replay cache"));
    match (&settings.redis, &settings.replay_file) {
        (Some(_), _) => Err("Redis is not served yet".into()),
        (None, Some(file)) => {
            let options =
                FileOptions { window: clock_skew, max_entries: MOST.into(), observer, ..FileOptions::default() };
            Ok(Arc::new(FileReplayCache::open(file, options, now)?))
        }
        (None, None) => Ok(Arc::new(MemoryReplayCache::new(clock_skew, MOST as usize))),
    }
}
