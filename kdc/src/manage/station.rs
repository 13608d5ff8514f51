//! Everything that watches the running KDC, started and ended together.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::gather::{BEAT, Gatherer, Sources};
use super::listener::{self, Pages};
use crate::accept::Host;
use crate::config::ManagementSettings;
use crate::error::{Error, Result};

/// How often the store is looked through for old keys.
const LOOK: Duration = Duration::from_secs(3600);

/// What watches; gone when dropped.
pub struct Station {
    gatherer: Arc<Gatherer>,
    sockets: Vec<TcpListener>,
    tasks: Vec<AbortHandle>,
    host: Host,
}

impl Station {
    /// Starts it, and serves at these sockets, which are those that the settings name. On the tokio
    /// runtime that this is called in.
    ///
    /// # Errors
    /// A socket that can't be served.
    pub fn start(sources: Sources, settings: &ManagementSettings, sockets: Vec<TcpListener>) -> Result<Station> {
        let gatherer = Arc::new(Gatherer::new(sources));
        let pages = Arc::new(Pages::new(Arc::clone(&gatherer), settings.hosts.clone()));
        let mut station = Station { gatherer, sockets, tasks: vec![], host: Host::default() };
        for socket in &station.sockets {
            let listener = socket.try_clone().and_then(tokio::net::TcpListener::from_std);
            let listener = listener.map_err(|error| Error::Other(format!("[management] listen: {error}")))?;
            let serving = listener::serve(listener, Arc::clone(&pages), station.host.guest());
            station.tasks.push(tokio::spawn(serving).abort_handle());
        }
        for address in station.addresses() {
            tracing::info!(%address, "metrics and health are served over HTTP");
        }
        station.tasks.push(tokio::spawn(beat(station.gatherer())).abort_handle());
        station.tasks.push(tokio::spawn(look(station.gatherer())).abort_handle());
        Ok(station)
    }

    /// Where facts are.
    pub fn gatherer(&self) -> Arc<Gatherer> {
        Arc::clone(&self.gatherer)
    }

    /// Where metrics and health are served.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// Accepts nobody any more, answers what was asked, and gives its sockets back.
    pub async fn close(mut self, patience: Duration) -> Vec<OwnedFd> {
        self.tasks.iter().for_each(AbortHandle::abort);
        std::mem::take(&mut self.host).empty(patience).await;
        std::mem::take(&mut self.sockets).into_iter().map(OwnedFd::from).collect()
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn beat(gatherer: Arc<Gatherer>) {
    let mut beats = tokio::time::interval(Duration::from_secs(BEAT));
    loop {
        beats.tick().await;
        gatherer.beat();
    }
}

async fn look(gatherer: Arc<Gatherer>) {
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        let gatherer = Arc::clone(&gatherer);
        let _ = tokio::task::spawn_blocking(move || gatherer.look_for_oldest_service()).await;
    }
}
