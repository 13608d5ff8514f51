//! The API at a Unix socket. Only root and the daemon's own user are heard, who may do everything.
//! Not here: what the requests mean.

use std::path::Path;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::{Extension, Router};
use libkrb::{Error, Result};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::{closed, converse};
use crate::accept::{self, Guest};
use crate::admin::api;
use crate::admin::caller::{Caller, Door};
use crate::admin::registry::Registry;
use crate::admin::remote::user_name;
use crate::unix;

/// Connections at a time; more wait.
const CONNECTIONS: usize = 64;
/// Octets of a request's head.
const MAX_HEAD: usize = 16 * 1024;

/// Binds the socket, for its owner only. One that a killed daemon left behind is replaced.
///
/// # Errors
/// [`Error::File`] when another daemon serves it, or it can't be made.
pub fn bind(path: &Path) -> Result<UnixListener> {
    let listener = unix::bind(path, 0o600, "admin_socket")?;
    UnixListener::from_std(listener).map_err(|error| Error::file(path, error))
}

/// Serves `registry` at `listener` until dropped; every connection holds a copy of `guest`. A commit that
/// has begun is finished also then.
pub async fn serve(listener: UnixListener, registry: Arc<Registry>, guest: Guest) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let realm = registry.realm().to_owned();
    let router = api::router(registry);
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, _) = accept::next(|| listener.accept()).await;
        let (router, guest) = (admitted(&stream, &realm, &router), guest.clone());
        tokio::spawn(async move {
            converse(stream, MAX_HEAD, router, guest).await;
            drop(place);
        });
    }
}

/// What is there for the peer of a connection.
fn admitted(stream: &UnixStream, realm: &str, router: &Router) -> Router {
    let peer = stream.peer_cred().map(|peer| peer.uid());
    let own = rustix::process::geteuid().as_raw();
    match peer.ok().filter(|user| *user == 0 || *user == own) {
        Some(user) => {
            let caller = Caller::login(&user_name(user), realm, Door::Socket);
            router.clone().layer(Extension(caller))
        }
        None => closed(StatusCode::FORBIDDEN, "only root and the user that the KDC runs as may administer the realm"),
    }
}
