//! kdc.toml as types: every setting parsed into what it means when the file is read, unknown ones
//! refused, all but the realm defaulted. Not here: what the settings do.

mod abroad;
mod admin;
mod doors;
mod files;
mod indicators;
mod kpasswd;
mod otp;
mod passwords;
mod pkinit;
mod rate;
mod rotation;
mod sample;
mod spake;
mod store;
mod values;
mod watching;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use libkrb::codes::EncryptionType;
use libkrb::{Error, Principal, Result};
use serde::Deserialize;

pub use abroad::{Capaths, ReferralSettings, TrustRow};
pub use admin::AdminSettings;
pub use doors::KkdcpSettings;
pub use indicators::IndicatorSettings;
pub use kpasswd::kpasswd_addresses;
pub use otp::{OtpSettings, RadiusRow};
pub use passwords::PasswordSettings;
pub use pkinit::{PkinitSettings, SpiffeRow};
pub use rate::RateSettings;
pub use rotation::RotationRow;
pub use sample::sample;
pub use spake::SpakeSettings;
pub use store::{EtcdSettings, StoreSettings};
pub(crate) use values::duration;
pub use values::{Level, LogFormat, check_realm};
pub use watching::{AuditSettings, ManagementSettings, TelemetrySettings};

use crate::core::Policy;
use crate::source::Source;
use crate::store::Kept;

/// The settings of a KDC.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The realm.
    #[serde(deserialize_with = "values::realm")]
    pub realm: String,
    /// Where UDP and TCP are served.
    #[serde(default = "listen", deserialize_with = "values::addresses")]
    pub listen: Vec<SocketAddr>,
    /// Where passwords are changed ([`Config::kpasswd_addresses`]); `[]`: nowhere.
    #[serde(default, deserialize_with = "values::some_addresses")]
    pub kpasswd_listen: Option<Vec<SocketAddr>>,
    /// Sockets in the file system where both are served too.
    #[serde(default)]
    pub unix_listen: Vec<PathBuf>,
    /// Where both are served over HTTPS.
    #[serde(default)]
    pub kkdcp: KkdcpSettings,
    /// Where principals are kept. Paths, here and below, are taken from the folder of kdc.toml.
    #[serde(default)]
    pub store: StoreSettings,
    /// Where the master key comes from.
    #[serde(default = "master_key")]
    pub master_key: Source,
    /// The socket through which kadmin reaches a running KDC.
    #[serde(default = "admin_socket")]
    pub admin_socket: PathBuf,
    /// Where the audit goes.
    #[serde(default)]
    pub audit: AuditSettings,
    /// Where metrics and health are served.
    #[serde(default)]
    pub management: ManagementSettings,
    /// Where traces go.
    #[serde(default)]
    pub telemetry: TelemetrySettings,
    /// How much is logged.
    #[serde(default)]
    pub log: Level,
    /// How a line of the log looks.
    #[serde(default)]
    pub log_format: LogFormat,
    /// Whether the process is confined to the folders of its files, where the kernel can do that.
    #[serde(default = "landlock")]
    pub landlock: bool,
    /// The realm's rules.
    #[serde(default)]
    pub policy: PolicySettings,
    /// What tickets say of how clients proved themselves.
    #[serde(default)]
    pub indicators: IndicatorSettings,
    /// Who knows one-time passwords that the KDC doesn't know itself.
    #[serde(default)]
    pub otp: OtpSettings,
    /// What new keys are made of.
    #[serde(default)]
    pub keys: KeySettings,
    /// Logins by SPAKE.
    #[serde(default)]
    pub spake: SpakeSettings,
    /// What new passwords are measured by.
    #[serde(default)]
    pub passwords: PasswordSettings,
    /// Logins by certificate.
    #[serde(default)]
    pub pkinit: PkinitSettings,
    /// What strangers may use up.
    #[serde(default)]
    pub limits: Limits,
    /// Who administers the realm.
    #[serde(default)]
    pub admin: AdminSettings,
    /// Whose keys turn over by themselves; the first row that matches counts.
    #[serde(default)]
    pub rotation: Vec<RotationRow>,
    /// Which realms lie between which others.
    #[serde(default)]
    pub capaths: Capaths,
    /// Who is to be looked for in other realms.
    #[serde(default)]
    pub referrals: ReferralSettings,
    /// What whoever comes from other realms may get.
    #[serde(default)]
    pub trust: Vec<TrustRow>,
}

/// The section `[policy]`; [`Policy`] says what each setting does.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "named and explained in core::Policy")]
pub struct PolicySettings {
    #[serde(deserialize_with = "values::duration")]
    pub max_life: i64,
    #[serde(deserialize_with = "values::duration")]
    pub max_renewable_life: i64,
    #[serde(deserialize_with = "values::duration")]
    pub clock_skew: i64,
    #[serde(deserialize_with = "values::etypes")]
    pub etypes: Vec<EncryptionType>,
    pub require_preauth: bool,
    pub require_armor: bool,
    pub hide_unknown_clients: bool,
    pub check_addresses: bool,
    pub allow_disable_transited_check: bool,
    pub reject_bad_transit: bool,
    pub disable_pac: bool,
    pub disable_last_success: bool,
}

/// The section `[keys]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeySettings {
    /// Enctypes of new keys, one key each.
    #[serde(deserialize_with = "values::etypes")]
    pub etypes: Vec<EncryptionType>,
    /// PBKDF2 rounds for new password keys; `None`: each enctype's own.
    #[serde(deserialize_with = "values::iterations")]
    pub iterations: Option<u32>,
}

/// The section `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// TCP connections at a time; one more and the longest idle is closed.
    #[serde(deserialize_with = "values::count")]
    pub tcp_connections: usize,
    /// Of these, connections of one IPv4 address or IPv6 /64 network.
    #[serde(deserialize_with = "values::count")]
    pub tcp_connections_per_peer: usize,
    /// Seconds that a TCP connection may stay silent between requests.
    #[serde(deserialize_with = "values::duration")]
    pub idle_timeout: i64,
    /// Seconds from a request's first byte to its last.
    #[serde(deserialize_with = "values::duration")]
    pub request_timeout: i64,
    /// Bytes of the longest reply over UDP; a client that needs a longer one is sent to TCP.
    #[serde(deserialize_with = "values::count")]
    pub udp_reply: usize,
    /// Bytes for remembering authenticators that were seen.
    #[serde(deserialize_with = "values::size")]
    pub replay_memory: usize,
    /// Bytes for remembering requests with their answers.
    #[serde(deserialize_with = "values::size")]
    pub lookaside_memory: usize,
    /// Ticket-granting tickets that came more than once and are kept open; 0 keeps none.
    pub known_tickets: usize,
    /// Bytes for keeping records of the store in memory, as they are on disk; 0 keeps none.
    #[serde(deserialize_with = "values::size_or_none")]
    pub records_memory: usize,
    /// Principals kept opened in memory.
    #[serde(deserialize_with = "values::count")]
    pub principals_in_memory: usize,
    /// Threads for requests that are much work, such as SPAKE's; `None`: half of the processors.
    #[serde(deserialize_with = "values::threads")]
    pub heavy_threads: Option<usize>,
    /// Requests that may wait for these threads.
    #[serde(deserialize_with = "values::count")]
    pub heavy_queue: usize,
    /// How often one may fail.
    pub rate: RateSettings,
}

impl Default for PolicySettings {
    fn default() -> Self {
        let policy = Policy::new("");
        PolicySettings {
            max_life: policy.max_life,
            max_renewable_life: policy.max_renewable_life,
            clock_skew: policy.clock_skew,
            etypes: policy.etypes,
            require_preauth: policy.require_preauth,
            require_armor: policy.require_armor,
            hide_unknown_clients: policy.hide_unknown_clients,
            check_addresses: policy.check_addresses,
            allow_disable_transited_check: policy.allow_disable_transited_check,
            reject_bad_transit: policy.abroad.reject_bad_transit,
            disable_pac: policy.disable_pac,
            disable_last_success: false,
        }
    }
}

impl Default for KeySettings {
    fn default() -> Self {
        KeySettings { etypes: libkrb::crypto::SUPPORTED.to_vec(), iterations: None }
    }
}

impl Limits {
    /// How much of the store is kept in memory.
    pub fn kept(&self) -> Kept {
        Kept { entries: self.principals_in_memory, records: self.records_memory }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            tcp_connections: 10_000,
            tcp_connections_per_peer: 2_500,
            idle_timeout: 60,
            request_timeout: 10,
            udp_reply: 4096,
            replay_memory: 64 << 20,
            lookaside_memory: 64 << 20,
            known_tickets: 8192,
            records_memory: 192 << 20,
            principals_in_memory: 20_000,
            heavy_threads: None,
            heavy_queue: 256,
            rate: RateSettings::default(),
        }
    }
}

/// Reads a kdc.toml.
///
/// # Errors
/// [`Error::File`] when it can't be read; [`Error::Config`] with the line, what was found and what
/// was expected.
pub fn load(path: &Path) -> Result<Config> {
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            Error::file(path, "No such file or directory; `kdc init` makes a realm with its settings")
        }
        ErrorKind::IsADirectory => Error::file(path, "Is a directory; name the kdc.toml in it"),
        ErrorKind::PermissionDenied => Error::file(path, "Permission denied; be root or the user that the KDC runs as"),
        _ => Error::file(path, error),
    })?;
    parse(path, &text)
}

/// Reads the text of a kdc.toml that lies at `path`.
///
/// # Errors
/// As [`load`].
pub fn parse(path: &Path, text: &str) -> Result<Config> {
    let wrong = |at: usize, problem: String| {
        let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        Error::Config { file: path.to_owned(), line, problem }
    };
    let mut config: Config = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        wrong(at, problem_of(&error, text, at))
    })?;
    if config.listen.is_empty() && config.unix_listen.is_empty() {
        let problem = "at least one address such as \"127.0.0.1:88\" was expected, or a socket in `unix_listen`";
        return Err(wrong(text.find("listen").unwrap_or(0), problem.into()));
    }
    config.check_otp().map_err(|problem| wrong(0, problem))?;
    config.check_rotation().map_err(|(at, problem)| wrong(at, problem))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    config.pkinit.in_folder(folder);
    config.master_key.in_folder(folder);
    config.otp.radius.iter_mut().for_each(|row| row.secret.in_folder(folder));
    config.store.in_folder(folder);
    let paths = [&mut config.admin_socket];
    let others = config.audit.paths().chain(config.admin.paths()).chain(config.kkdcp.paths());
    let others = others.chain(&mut config.unix_listen);
    for file in paths.into_iter().chain(others).chain(config.passwords.dictionary.as_mut()) {
        *file = folder.join(&*file);
    }
    Ok(config)
}

/// What is wrong at a place of the text. A table that stands there twice has mostly been pasted below one that
/// `kdc init` wrote.
fn problem_of(error: &toml::de::Error, text: &str, at: usize) -> String {
    let problem = error.message().replace('\n', "; ");
    let (before, from) = text.split_at_checked(at).unwrap_or((text, ""));
    let start = before.rsplit('\n').next().unwrap_or_default();
    let line = format!("{start}{}", from.lines().next().unwrap_or_default());
    let table = line.trim();
    let first = text.lines().position(|line| line.trim() == table).filter(|_| table.starts_with('['));
    match first {
        Some(first) if problem.contains("duplicate key") => {
            format!("{problem}: {table} is in line {} already; write what belongs to it below that", first + 1)
        }
        _ => problem,
    }
}

impl Config {
    /// The realm's rules, for the core.
    pub fn policy(&self) -> Policy {
        Policy {
            realm: self.realm.clone(),
            tgs: Principal::tgs(&self.realm),
            max_life: self.policy.max_life,
            max_renewable_life: self.policy.max_renewable_life,
            clock_skew: self.policy.clock_skew,
            etypes: self.policy.etypes.clone(),
            require_preauth: self.policy.require_preauth,
            require_armor: self.policy.require_armor,
            hide_unknown_clients: self.policy.hide_unknown_clients,
            key_etypes: self.keys.etypes.clone(),
            key_iterations: self.keys.iterations,
            check_addresses: self.policy.check_addresses,
            allow_disable_transited_check: self.policy.allow_disable_transited_check,
            disable_pac: self.policy.disable_pac,
            indicators: self.indicators.rules(),
            pkinit: None,
            restrict_anonymous_to_tgt: self.pkinit.restrict_anonymous_to_tgt,
            abroad: self.abroad(),
            spake: self.spake.rules(),
            otp_types: self.otp_types(),
            otp_next_value: self.otp.next_value,
        }
    }

    /// The same with what lies in files.
    ///
    /// # Errors
    /// Those of [`Config::pkinit`].
    pub fn whole_policy(&self) -> Result<Policy> {
        Ok(Policy { pkinit: self.pkinit()?, ..self.policy() })
    }
}

fn listen() -> Vec<SocketAddr> {
    use std::net::{Ipv4Addr, Ipv6Addr};
    vec![(Ipv4Addr::LOCALHOST, 88).into(), (Ipv6Addr::LOCALHOST, 88).into()]
}

fn landlock() -> bool {
    true
}

fn master_key() -> Source {
    Source::File("master.key".into())
}

fn admin_socket() -> PathBuf {
    "admin.sock".into()
}

#[cfg(test)]
mod tests;
