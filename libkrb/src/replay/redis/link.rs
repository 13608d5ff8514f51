//! The connection to a Redis server and the two things it is asked. Not here: what is done when it
//! does not answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, Value};
use tokio::time::timeout;

use super::RedisOptions;
use crate::time::Time;

/// Makes the store ours: a marker says which run of which server it is in, and since when it has
/// remembered. Where there is none, or one of another run, the store may have forgotten what it was
/// told; and where we ask for it, it was not told of everything. Then the marker is made anew, and
/// what was made up to now is refused from then on. All this is one step, so that many replicas that
/// do it at once find the same marker.
///
/// Its answer is the marker, the microseconds until the second that it names, and whether the server
/// may throw away keys before their time.
const OPEN: &str = "
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local memory = redis.call('INFO', 'memory')
local bound = string.match(memory, 'maxmemory:(%d+)')
local policy = string.match(memory, 'maxmemory_policy:([%w-]+)')
local now = redis.call('TIME')
local marker = redis.call('GET', KEYS[1])
if not marker or string.sub(marker, 1, #run) ~= run or ARGV[1] == 'anew' then
    marker = run .. ' ' .. string.format('%d', now[1] + 1)
    redis.call('SET', KEYS[1], marker)
end
local since = tonumber(string.match(marker, ' (%d+)$'))
local left = math.max(0, (since - now[1]) * 1000000 - now[2])
return {marker, left, (bound == '0' or policy == 'noeviction') and 0 or 1}
";

/// Why a server cannot be used. The server's own words are not among them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The store is full.
    Full,
    /// No answer in time.
    Late,
    /// Something else.
    Other(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Trouble::Full => "its memory is full",
            Trouble::Late => "no answer in time",
            Trouble::Other(cause) => cause,
        })
    }
}

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        match (error.kind(), error.code()) {
            (_, Some("OOM")) => Trouble::Full,
            (ErrorKind::Io, _) if error.is_timeout() => Trouble::Late,
            (ErrorKind::Io, _) if error.is_connection_refusal() => Trouble::Other("connection refused".to_owned()),
            (ErrorKind::Server(kind), _) => Trouble::Other(format!("the server refuses ({kind:?})")),
            _ => Trouble::Other(error.category().to_owned()),
        }
    }
}

fn odd() -> Trouble {
    Trouble::Other("the server's answer is none".to_owned())
}

/// Since when a store remembers, and how to see that it still does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Epoch {
    marker: Arc<[u8]>,
    /// What was made before is refused.
    pub(super) since: Time,
}

/// A connection. Its clones share it.
#[derive(Clone)]
pub(super) struct Link {
    connection: MultiplexedConnection,
    /// Tells it from those before.
    pub(super) number: u64,
}

/// What came of adding a key.
pub(super) struct Added {
    /// It was not there.
    pub(super) new: bool,
    /// The store is of the epoch that it was taken for.
    pub(super) same: bool,
}

impl Link {
    pub(super) async fn connect(client: &Client, options: &RedisOptions, number: u64) -> Result<Link, Trouble> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            // Those who ask bring their own patience.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(options.max_in_flight.max(1));
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Link { connection, number })
    }

    /// Opens the store ([`OPEN`]), and says how long it is until the epoch's second.
    pub(super) async fn open(&mut self, options: &RedisOptions, anew: bool) -> Result<(Epoch, Duration), Trouble> {
        let mut script = Cmd::new();
        script.arg("EVAL").arg(OPEN).arg(1).arg(marker(options)).arg(if anew { "anew" } else { "" });
        let answer = timeout(options.connect_timeout, script.query_async(&mut self.connection));
        let (marker, left, evicts): (Vec<u8>, u64, bool) = answer.await.map_err(|_| Trouble::Late)??;
        if evicts && !options.may_evict {
            return Err(Trouble::Other("it may evict keys: its maxmemory-policy has to be noeviction".to_owned()));
        }
        let since = std::str::from_utf8(&marker).ok().and_then(|text| text.rsplit_once(' ')?.1.parse().ok());
        let epoch = Epoch { since: Time(since.ok_or_else(odd)?), marker: marker.into() };
        Ok((epoch, Duration::from_micros(left)))
    }

    /// Adds a key that is kept for so long, if it is not there. The marker is read after the key was
    /// written: if the store forgets in between, it is noticed.
    pub(super) async fn add(
        &mut self,
        options: &RedisOptions,
        epoch: &Epoch,
        key: &str,
        millis: u64,
    ) -> Result<Added, Trouble> {
        let mut both = Pipeline::with_capacity(2);
        both.cmd("SET").arg(key).arg("").arg("NX").arg("PX").arg(millis);
        both.cmd("GET").arg(marker(options));
        let answers = self.connection.send_packed_commands(&both, 0, 2).await?;
        let [set, marker] = <[Value; 2]>::try_from(answers).map_err(|_| odd())?;
        let new = match set.extract_error()? {
            Value::Okay => true,
            Value::Nil => false,
            _ => return Err(odd()),
        };
        let same = matches!(marker.extract_error()?, Value::BulkString(marker) if *marker == *epoch.marker);
        Ok(Added { new, same })
    }
}

fn marker(options: &RedisOptions) -> String {
    format!("{}:epoch", options.prefix)
}
