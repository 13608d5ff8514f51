//! Everything that watches the running KDC, started and ended together.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::gather::{BEAT, Gatherer, Sources};
use super::listener;
use crate::config::ManagementSettings;
use crate::error::{Error, Result};

/// How often the store is looked through for old keys.
const LOOK: Duration = Duration::from_secs(3600);

/// What watches; gone when dropped.
pub struct Station {
    gatherer: Arc<Gatherer>,
    addresses: Vec<SocketAddr>,
    tasks: Vec<AbortHandle>,
}

impl Station {
    /// Starts it on the tokio runtime that this is called in.
    ///
    /// # Errors
    /// An address that can't be served.
    pub fn start(sources: Sources, settings: &ManagementSettings) -> Result<Station> {
        let gatherer = Arc::new(Gatherer::new(sources));
        let (mut addresses, mut tasks) = (vec![], vec![]);
        for address in &settings.listen {
            let listener = bind(*address).map_err(|error| {
                Error::Other(format!("cannot listen on {address} for [management] listen in kdc.toml: {error}"))
            })?;
            addresses.push(listener.local_addr().unwrap_or(*address));
            tasks.push(tokio::spawn(listener::serve(listener, Arc::clone(&gatherer))).abort_handle());
        }
        for address in &addresses {
            tracing::info!(%address, "metrics and health are served over HTTP");
        }
        tasks.push(tokio::spawn(beat(Arc::clone(&gatherer))).abort_handle());
        tasks.push(tokio::spawn(look(Arc::clone(&gatherer))).abort_handle());
        Ok(Station { gatherer, addresses, tasks })
    }

    /// Where facts are.
    pub fn gatherer(&self) -> Arc<Gatherer> {
        Arc::clone(&self.gatherer)
    }

    /// Where metrics and health are served.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

fn bind(address: SocketAddr) -> std::io::Result<tokio::net::TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
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
