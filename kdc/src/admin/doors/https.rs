//! The API over TLS, for callers with a ticket, bound to the connection, or with a certificate. What
//! strangers may hold is bounded: connections, of one address and in all, the time of a handshake
//! and of a head, and the octets of both. Not here: what callers may do (the access list).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use libkrb::flags::TicketFlags;
use libkrb::http::server::{Connection, NegotiateLayer};
use libkrb::http::session::{SessionKeys, Sessions};
use libkrb::{Error, Principal, Result, Time};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use super::clients::Clients;
use super::converse;
use super::invitations::Invitations;
use super::keys::ServiceKeys;
use super::tls::Tls;
use crate::accept::{self, Guest, Host};
use crate::admin::api::{self, Problem};
use crate::admin::caller::{Caller, Door};
use crate::admin::registry::{Registry, now};
use crate::config::Config;
use crate::core::{Attributes, Store};

/// Connections at a time; a newcomer beyond that is turned away.
const CONNECTIONS: usize = 256;
/// Of these, connections of one peer: an IPv4 address or an IPv6 /64 network.
const OF_ONE_PEER: usize = 32;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Octets of a request's head, with a ticket in it.
const MAX_HEAD: usize = 128 * 1024;
/// Seconds that a session lasts: as long as a password that was just typed counts as just typed.
const SESSION: i64 = 300;

/// The API, served until dropped.
#[derive(Default)]
pub struct Https {
    open: Vec<Open>,
    shared: Option<Arc<Shared>>,
    host: Host,
}

/// A listener that is served.
struct Open {
    address: SocketAddr,
    socket: std::net::TcpListener,
    task: AbortHandle,
}

/// By what the door is known, and knows others: certificates, and whose they are.
pub struct Identity {
    tls: TlsAcceptor,
    connection: Connection,
    clients: Clients,
}

/// What connections share.
struct Shared {
    identity: ArcSwap<Identity>,
    /// Behind a proof by ticket.
    negotiated: Router,
    /// For who has proven itself.
    open: Router,
    places: Arc<Places>,
}

impl Identity {
    /// Reads what the settings name; `None` when this door is not wanted.
    ///
    /// # Errors
    /// What is missing or wrong, and what to do.
    pub fn read(config: &Config) -> Result<Option<Identity>> {
        let settings = &config.admin;
        if settings.listen.is_empty() {
            return Ok(None);
        }
        let certificate = settings.certificate.as_ref().ok_or_else(|| missing("certificate"))?;
        let key = settings.key.as_ref().ok_or_else(|| missing("key"))?;
        if settings.client_crl.is_some() && settings.client_ca.is_none() {
            return Err(Error::Setting("[admin] client_crl needs [admin] client_ca too".to_owned()));
        }
        let tls = Tls::load(certificate, key, settings.client_ca.as_deref(), settings.client_crl.as_deref())?;
        let clients = Clients::new(&settings.clients, &config.realm).map_err(Error::Setting)?;
        let connection = Connection::new().with_bindings(tls.bindings);
        Ok(Some(Identity { tls: TlsAcceptor::from(tls.config), connection, clients }))
    }
}

fn missing(name: &str) -> Error {
    Error::Setting(format!("[admin] listen needs [admin] {name} too"))
}

/// The principals as which the API is called; sessions are in the name of the first.
fn services(config: &Config) -> Result<(Principal, Vec<Principal>)> {
    let names = config.admin.services.iter().map(|name| Principal::parse(name, Some(&config.realm)));
    let services = names.collect::<Result<Vec<_>>>()?;
    let first = services.first().ok_or_else(|| missing("services"))?.clone();
    Ok((first, services))
}

impl Https {
    /// Serves `registry` at these sockets, which are those that the settings name; nowhere unless they
    /// name some. On the tokio runtime that this is called in.
    ///
    /// # Errors
    /// What is missing or wrong, and what to do.
    pub fn start(
        config: &Config,
        sockets: Vec<std::net::TcpListener>,
        registry: Arc<Registry>,
        store: Arc<dyn Store>,
    ) -> Result<Https> {
        let Some(identity) = Identity::read(config)? else { return Ok(Https::default()) };
        let (first, services) = services(config)?;
        let keys = ServiceKeys::of(Arc::clone(&store), services, config.policy.clock_skew)?;
        let sessions = Sessions::bearer(SessionKeys::random()?, &first).max_life(SESSION);
        let mut layer = NegotiateLayer::new(keys.acceptor()).sessions(sessions);
        if config.admin.require_channel_bindings {
            layer = layer.require_bindings();
        }
        let home: Arc<str> = config.realm.as_str().into();
        let invitations = Invitations::router(Invitations::folder(config));
        let open = api::router(registry);
        let open =
            open.layer(from_fn(move |request, next| standing(Arc::clone(&store), Arc::clone(&home), request, next)));
        let shared = Arc::new(Shared {
            identity: ArcSwap::from_pointee(identity),
            negotiated: negotiated(open.clone(), layer, Arc::new(keys)).merge(invitations),
            open,
            places: Arc::default(),
        });
        let mut https = Https { open: vec![], shared: Some(Arc::clone(&shared)), host: Host::default() };
        for socket in sockets {
            let wrong = |error| Error::Setting(format!("[admin] listen: {error}"));
            let address = socket.local_addr().map_err(wrong)?;
            let listener = socket.try_clone().and_then(TcpListener::from_std).map_err(wrong)?;
            let task = tokio::spawn(serve(listener, Arc::clone(&shared), https.host.guest())).abort_handle();
            https.open.push(Open { address, socket, task });
        }
        Ok(https)
    }

    /// Whether this door could be served, but for its addresses.
    ///
    /// # Errors
    /// What is missing or wrong, and what to do.
    pub fn check(config: &Config) -> Result<()> {
        let identity = Identity::read(config)?;
        identity.map_or(Ok(()), |_| services(config).map(drop))
    }

    /// Shows these certificates from now on, to whoever connects.
    pub fn renew(&self, identity: Identity) {
        if let Some(shared) = &self.shared {
            shared.identity.store(Arc::new(identity));
        }
    }

    /// Where it is served.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.open.iter().map(|open| open.address).collect()
    }

    /// Accepts nobody any more, answers what was asked, and gives its sockets back: whoever connects
    /// meanwhile waits in them.
    pub async fn close(mut self, patience: Duration) -> Vec<OwnedFd> {
        let (open, host) = (std::mem::take(&mut self.open), std::mem::take(&mut self.host));
        // It holds a guest of its own.
        open.iter().for_each(|open| open.task.abort());
        host.empty(patience).await;
        open.into_iter().map(|open| open.socket.into()).collect()
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        self.open.iter().for_each(|open| open.task.abort());
    }
}

/// The API behind a proof by ticket.
fn negotiated(open: Router, layer: NegotiateLayer, keys: Arc<ServiceKeys>) -> Router {
    let fresh = move |request: Request, next: Next| {
        let keys = Arc::clone(&keys);
        async move {
            match keys.refresh() {
                Ok(()) => next.run(request).await,
                Err(error) => {
                    tracing::error!(%error, "the admin API has no key to know callers by");
                    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the service has no key; see its log").into_response()
                }
            }
        }
    };
    open.layer(from_fn(known)).layer(layer).layer(from_fn(fresh))
}

/// Tells the API of whom the layer has let in.
async fn known(from: Option<Extension<SocketAddr>>, mut request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<libkrb::http::Caller>();
    if let (Some(caller), Some(Extension(from))) = (caller, from) {
        let proven = caller.times().auth;
        // A ticket that lives for hours is no sign of who sits there now.
        let initial = caller.flags().has(TicketFlags::INITIAL) && now() <= proven + SESSION;
        let caller = Caller::principal(caller.principal().clone(), Door::Https(from), initial);
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(Proven(proven));
    }
    next.run(request).await
}

/// When a caller showed that the key is theirs.
#[derive(Clone, Copy)]
struct Proven(Time);

/// Lets in whom the KDC would give a ticket still, under the canonical name: who is locked out is so at
/// once, and so is who stole a key that was changed since. Foreign realms keep their own order.
async fn standing(store: Arc<dyn Store>, home: Arc<str>, mut request: Request, next: Next) -> Response {
    let proven = request.extensions().get().map_or(Time(i64::MIN), |Proven(time)| *time);
    if let Some(caller) = request.extensions_mut().get_mut::<Caller>() {
        let entry = match store.lookup(&caller.name) {
            Ok(entry) => entry,
            Err(_) => return refused(StatusCode::SERVICE_UNAVAILABLE, "the store can't be read; see the KDC's log"),
        };
        match entry {
            Some(entry) => {
                let open = !entry.attributes.has(Attributes::DISALLOW_ALL_TIX);
                let alive = entry.expires.is_none_or(|expires| now() < expires);
                if !open || !alive {
                    return refused(StatusCode::FORBIDDEN, "the caller is locked or has expired");
                }
                if entry.password_changed.is_some_and(|changed| proven < changed) {
                    return refused(StatusCode::FORBIDDEN, "the caller's keys were changed since; log in anew");
                }
                caller.name = entry.principal.clone();
            }
            None if caller.name.realm() == &*home => {
                return refused(StatusCode::FORBIDDEN, "there is no such principal any more");
            }
            None => {}
        }
    }
    next.run(request).await
}

fn refused(status: StatusCode, why: &'static str) -> Response {
    Problem::new(status, why).into_response()
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, guest: Guest) {
    loop {
        let (stream, from) = accept::next(|| listener.accept()).await;
        if let Some(place) = Places::take(&shared.places, from.ip()) {
            tokio::spawn(connection(stream, from, Arc::clone(&shared), guest.clone(), place));
        }
    }
}

async fn connection(stream: TcpStream, from: SocketAddr, shared: Arc<Shared>, guest: Guest, _place: Place) {
    let _ = stream.set_nodelay(true);
    let identity = shared.identity.load_full();
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, identity.tls.accept(stream)).await else { return };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let router = match certificate.and_then(|certificate| identity.clients.principal(certificate)) {
        // Who has the certificate's key has just shown it.
        Some(name) => {
            let caller = Caller::principal(name.clone(), Door::Https(from), true);
            shared.open.clone().layer(Extension(caller)).layer(Extension(Proven(now())))
        }
        None => {
            let connection = identity.connection.clone().with_peer(from.ip());
            shared.negotiated.clone().layer(Extension(from)).layer(Extension(connection))
        }
    };
    converse(stream, MAX_HEAD, router, guest).await;
}

/// Which peer has how many connections.
#[derive(Default)]
struct Places(Mutex<HashMap<IpAddr, usize>>);

/// One of them, given back when dropped.
struct Place(Arc<Places>, IpAddr);

impl Places {
    fn take(places: &Arc<Places>, address: IpAddr) -> Option<Place> {
        let address = accept::peer(address);
        let mut taken = places.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(&address).copied().unwrap_or(0);
        if own >= OF_ONE_PEER || taken.values().sum::<usize>() >= CONNECTIONS {
            return None;
        }
        taken.insert(address, own + 1);
        Some(Place(Arc::clone(places), address))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.1) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.remove(&self.1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_of_ipv6_has_as_many_places_as_one_address_of_ipv4() {
        let places = Arc::default();
        let of = |text: &str| Places::take(&places, text.parse().expect(text));
        let mut taken: Vec<_> = (0..OF_ONE_PEER).filter_map(|last| of(&format!("2001:db8:1:2::{last:x}"))).collect();
        assert_eq!(taken.len(), OF_ONE_PEER);
        assert!(of("2001:db8:1:2:ffff::1").is_none());
        taken.extend(of("2001:db8:1:3::1"));
        assert_eq!(taken.len(), OF_ONE_PEER + 1);
        taken.clear();
        assert!(of("2001:db8:1:2:ffff::1").is_some(), "places are given back");
    }
}
