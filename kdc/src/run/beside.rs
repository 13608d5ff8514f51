//! The doors beside UDP and TCP: HTTPS (MS-KKDCP) and sockets in the file system, each for tickets and passwords. Opens
//! them, and follows the settings when these are read again. Not here: what is said there ([`crate::net`]).

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;

use super::unserved;
use crate::config::Config;
use crate::error::Result;
use crate::net::{At, Both, Door, Https, Inherited, Limits, Streams};
use crate::observe::Observer;
use crate::tls;

/// What the settings name, opened.
pub struct Doors {
    https: Vec<Door>,
    unix: Vec<Door>,
    tls: Option<Arc<ServerConfig>>,
}

/// The doors being served.
pub struct Beside {
    both: Arc<Both>,
    tls: Arc<ArcSwapOption<ServerConfig>>,
    https: Streams,
    unix: Streams,
}

impl Doors {
    /// Opens them, with sockets that were handed over where there are some.
    pub fn take(config: &Config, inherited: &mut Inherited) -> Result<Doors> {
        Doors::open(config, https(config), unix(config), inherited)
    }

    fn open(config: &Config, https: Vec<At>, unix: Vec<At>, inherited: &mut Inherited) -> Result<Doors> {
        let tls = read(config)?;
        let mut take = |places: Vec<At>, setting| {
            let doors = places.into_iter().map(|at| Door::take(at, inherited, setting));
            doors.collect::<libkrb::Result<Vec<_>>>()
        };
        Ok(Doors { https: take(https, "[kkdcp] listen")?, unix: take(unix, "unix_listen")?, tls })
    }
}

impl Doors {
    /// Their sockets, for another process.
    pub fn into_files(self) -> impl Iterator<Item = OwnedFd> {
        self.https.into_iter().chain(self.unix).map(OwnedFd::from)
    }
}

impl Beside {
    /// Serves them, on the tokio runtime that this is called in.
    pub fn start(
        doors: Doors,
        config: &Config,
        both: Both,
        observer: Arc<Observer>,
        limits: &Limits,
    ) -> Result<Beside> {
        let (both, tls) = (Arc::new(both), Arc::new(ArcSwapOption::from(doors.tls)));
        let realm = (config.realm.clone(), Arc::clone(&both));
        let https = Https::start(doors.https, realm, Arc::clone(&tls), observer, limits).map_err(unserved)?;
        let unix = Streams::start(doors.unix, Arc::clone(&both), limits).map_err(unserved)?;
        Ok(Beside { both, tls, https, unix })
    }

    /// Whether it could be served, but for its places.
    pub fn check(config: &Config) -> Result<()> {
        read(config).map(drop)
    }

    /// Where it is served, in words; empty where nowhere.
    pub fn status(&self) -> String {
        let list = |before: &str, streams: &Streams| {
            let places = streams.places().map(|at| format!("{before}{at}"));
            places.collect::<String>()
        };
        list(", over HTTPS at ", &self.https) + &list(", at ", &self.unix)
    }

    /// The sockets in the file system.
    pub fn sockets(&self) -> Vec<PathBuf> {
        let path = |at: &At| if let At::Unix(path) = at { Some(path.clone()) } else { None };
        self.unix.places().filter_map(path).collect()
    }

    /// Opens what these settings name and is not open yet.
    pub fn missing(&self, config: &Config) -> Result<Doors> {
        let (https, unix) = (self.https.missing(&https(config)), self.unix.missing(&unix(config)));
        Doors::open(config, https, unix, &mut Inherited::default())
    }

    /// Goes on as these settings say, with `new` for what was missing: also with another certificate, for those that
    /// come from now on.
    pub async fn follow(&mut self, config: &Config, new: Doors, limits: &Limits) -> Result<()> {
        if new.tls.is_some() {
            self.tls.store(new.tls);
        }
        self.https.rearrange(&https(config), new.https).await.map_err(unserved)?;
        self.unix.rearrange(&unix(config), new.unix).await.map_err(unserved)?;
        self.https.limit(limits);
        self.unix.limit(limits);
        self.both.change_passwords(changing(config));
        Ok(())
    }

    /// Lets nobody in any more, and answers those who have asked.
    pub async fn drain(self, patience: Duration) {
        tokio::join!(self.https.drain(patience), self.unix.drain(patience));
    }

    /// The same, but leaves those who wait to be let in to the next process.
    pub async fn hand_over(self, patience: Duration) -> Vec<OwnedFd> {
        let (https, unix) = tokio::join!(self.https.hand_over(patience), self.unix.hand_over(patience));
        [https, unix].into_iter().flatten().collect()
    }
}

/// Whether passwords are changed over the network at all.
pub fn changing(config: &Config) -> bool {
    config.kpasswd_listen.as_ref().is_none_or(|places| !places.is_empty())
}

fn https(config: &Config) -> Vec<At> {
    config.kkdcp.listen.iter().copied().map(At::Tcp).collect()
}

fn unix(config: &Config) -> Vec<At> {
    config.unix_listen.iter().cloned().map(At::Unix).collect()
}

fn read(config: &Config) -> Result<Option<Arc<ServerConfig>>> {
    let identity = config.kkdcp_identity()?;
    Ok(identity.map(|(certificate, key)| tls::server(certificate, key)).transpose()?)
}
