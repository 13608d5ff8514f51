//! What every service is told, by flags or by its environment, as containers like it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::callers::SessionKind;
use super::replays::RedisAway;

/// Settings of a service.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Where to listen; port 0 takes one that is free
    #[arg(long, env = "LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Where operators ask how it is: /livez, /readyz and /metrics, which are nobody else's business
    #[arg(long, env = "OPERATIONS", value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    pub operations: SocketAddr,
    /// The folder of the database
    #[arg(long, env = "DATA", value_name = "DIR", default_value = ".")]
    pub data: PathBuf,
    /// Who this service is, such as HTTP/ad-service.shop
    #[arg(long, env = "PRINCIPAL")]
    pub principal: String,
    /// The keys that prove it; may be changed while the service runs
    #[arg(long, env = "KEYTAB", value_name = "FILE")]
    pub keytab: PathBuf,
    /// What a called address is called by, such as '10.0.0.7:8080 -> HTTP/ad-service.shop'; may be
    /// given several times
    #[arg(long = "spn-rule", env = "SPN_RULES", value_name = "RULE", value_delimiter = ';')]
    pub spn_rules: Vec<String>,
    /// Remember authenticators in this Redis, with all replicas of this service
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "URL", conflicts_with = "replay_file")]
    pub redis: Option<String>,
    /// What to do while that Redis does not answer
    #[arg(long, env = "WHEN_REDIS_IS_AWAY", value_name = "WHAT", value_enum, default_value_t = RedisAway::Refuse)]
    pub when_redis_is_away: RedisAway,
    /// Remember authenticators in this file, over restarts and with other processes of this host
    #[arg(long, env = "REPLAY_FILE", value_name = "FILE")]
    pub replay_file: Option<PathBuf>,
    /// How callers are known again after their first request [default: what the service prefers]
    #[arg(long, env = "SESSION", value_name = "KIND")]
    pub session: Option<SessionKind>,
    /// Seconds until a caller has to show a ticket again
    #[arg(long, env = "SESSION_LIFE", value_name = "SECONDS", default_value_t = 900)]
    pub session_life: i64,
    /// The secrets of sessions, shared by the replicas of a service [default: one of this process]
    #[arg(long, env = "SESSION_KEYS", value_name = "FILE")]
    pub session_keys: Option<PathBuf>,
    /// Let sessions go over plain HTTP: nowhere but on a developer's machine
    #[arg(long, env = "PLAIN_HTTP")]
    pub plain_http: bool,
    /// Seconds that a request may take
    #[arg(long, env = "REQUEST_TIMEOUT", value_name = "SECONDS", value_parser = seconds, default_value = "10")]
    pub request_timeout: Duration,
    /// Bytes of the longest body
    #[arg(long, env = "BODY_LIMIT", value_name = "BYTES", default_value_t = 16 * 1024)]
    pub body_limit: usize,
    /// Connections at a time; one more has to wait
    #[arg(long, env = "CONNECTIONS", value_name = "NUMBER", default_value_t = 1024)]
    pub connections: usize,
    /// How much is logged: error, warn, info, debug or trace
    #[arg(long, env = "LOG", value_name = "LEVEL", default_value = "info")]
    pub log: String,
    /// End when the standard input does: nobody is left behind when who started it dies
    #[arg(long, env = "END_WITH_STDIN")]
    pub end_with_stdin: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| "a number of seconds was expected".to_owned())
}
