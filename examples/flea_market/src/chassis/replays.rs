//! Where authenticators are remembered, so that none is taken twice: in memory, for a service of one
//! process; in a file, over restarts and for processes of one host; in Redis, for replicas.

use std::sync::Arc;

use clap::ValueEnum;
use libkrb::Time;
use libkrb::replay::{
    Event, FileOptions, FileReplayCache, MemoryReplayCache, Observer, RedisOptions, RedisReplayCache, ReplayCache,
    WhenAway,
};
use libkrb::time::Seconds;
use metrics::counter;
use tracing::warn;

use super::Error;
use super::settings::Settings;

/// How many are remembered at a time: as many as come within twice the clock skew.
const MOST: u32 = 1_000_000;

/// What to do while Redis does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RedisAway {
    /// Take no tickets; sessions go on
    Refuse,
    /// Go on with what this process remembers, and let one replica take what another has taken
    Local,
}

impl From<RedisAway> for WhenAway {
    fn from(away: RedisAway) -> WhenAway {
        match away {
            RedisAway::Refuse => WhenAway::Refuse,
            RedisAway::Local => WhenAway::Local,
        }
    }
}

/// The memory of this process alone. What was sent before it started may have been taken by the one
/// before it: the caller is to send something new, as those do whose clock is a little behind.
fn in_memory(window: Seconds, now: Time) -> MemoryReplayCache {
    MemoryReplayCache::new(window, MOST as usize).refusing_before(now)
}

/// The memory that the settings name.
pub enum Replays {
    /// Of this process or this host.
    Here(Arc<dyn ReplayCache>),
    /// Of all replicas.
    Redis(Arc<RedisReplayCache>, RedisAway),
}

impl Replays {
    /// Opens it.
    ///
    /// # Errors
    /// A file that cannot be used, a URL that is none.
    pub async fn open(settings: &Settings, window: Seconds, now: Time) -> Result<Replays, Error> {
        let observer = Observer::new(|event: &Event| {
            counter!("replay_cache_events_total").increment(1);
            warn!(%event, "replay cache");
        });
        if let Some(url) = &settings.redis {
            let away = settings.when_redis_is_away;
            let mut options = RedisOptions::new(url);
            (options.prefix, options.window) = (format!("replay:{}", settings.principal), window);
            (options.when_away, options.observer) = (away.into(), observer);
            return Ok(Replays::Redis(Arc::new(RedisReplayCache::connect(options).await?), away));
        }
        Ok(Replays::Here(match &settings.replay_file {
            Some(file) => {
                let options = FileOptions { window, max_entries: MOST.into(), observer, ..FileOptions::default() };
                Arc::new(FileReplayCache::open(file, options, now)?)
            }
            None => Arc::new(in_memory(window, now)),
        }))
    }

    /// For an acceptor.
    pub fn cache(&self) -> Arc<dyn ReplayCache> {
        match self {
            Replays::Here(cache) => Arc::clone(cache),
            Replays::Redis(cache, _) => Arc::clone(cache) as Arc<dyn ReplayCache>,
        }
    }

    /// How it is.
    ///
    /// # Errors
    /// That nobody who brings a ticket is let in.
    pub fn check(&self) -> Result<String, &'static str> {
        match self {
            Replays::Here(_) => Ok("here".to_owned()),
            Replays::Redis(cache, _) if !cache.is_away() => Ok("in Redis".to_owned()),
            Replays::Redis(_, RedisAway::Local) => Ok("here, for Redis does not answer".to_owned()),
            Replays::Redis(_, RedisAway::Refuse) => Err("Redis does not answer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use libkrb::replay::{ReplayKey, Verdict};

    use super::*;

    #[test]
    fn what_the_process_before_may_have_taken_is_not_taken_again() {
        let now = Time(1_800_000_000);
        let (before, after) = (in_memory(300, now - 10), in_memory(300, now));
        let key = |name: &str| ReplayKey::new([name.as_bytes()]);
        assert_eq!(before.insert(key("a"), now - 1, now - 1), Verdict::Fresh);
        assert_eq!(after.insert(key("a"), now - 1, now), Verdict::Replay);
        assert_eq!(after.insert(key("b"), now, now), Verdict::Fresh);
    }
}
