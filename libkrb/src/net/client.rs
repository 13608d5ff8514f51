//! A principal's tickets, held by a program for its life: got when they are wanted, anew before
//! they end, asked for once however many tasks want them. Not here: how a ticket is got
//! ([`super::drive`]), and caches on disk ([`crate::ccache`]), one of which can stand behind it.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use super::acting::Acting;
use super::held::{Flight, Sought, State, Want};
use super::requests::as_request;
use super::transport::Transport;
use crate::ccache::{CacheName, Ccache, Credential};
use crate::client::{AsRequest, ClockOffset, Secret};
use crate::error::{Error, ErrorCode, Result};
use crate::keytab::{Keytab, KeytabName};
use crate::name::Principal;
use crate::time::{Instant, Seconds, Time};

/// Where a client's first tickets come from.
#[derive(Clone)]
pub enum Source {
    /// A password.
    Password(Zeroizing<String>),
    /// A keytab, which is read again for every login.
    Keytab(KeytabName),
    /// A keytab that the program holds, and gives anew for every login.
    Keys(Arc<dyn Fn() -> Arc<Keytab> + Send + Sync>),
    /// A certificate, whose files are read again for every login: who issues it replaces it while the
    /// program runs.
    #[cfg(feature = "pkinit")]
    Certificate(Arc<super::CertificateWishes>),
    /// Somebody else puts them into the credential cache; here they are only renewed.
    Cache,
    /// Somebody else's, handed over: they are used while they are good, and not renewed.
    Given,
    /// A service gets them in a user's name.
    Acting(Box<Acting>),
}

/// What a long-lived program wants of its client besides.
#[derive(Clone, Default)]
pub(crate) struct Care {
    /// For how long the KDC's refusals count; 0: it is asked again each time.
    pub(crate) refusals: Seconds,
    /// Who hears what the client does.
    pub(crate) listener: Option<Listener>,
}

/// Who hears what a client does.
pub(crate) type Listener = Arc<dyn Fn(Report<'_>) + Send + Sync>;

/// What a client does.
pub(crate) enum Report<'a> {
    /// It begins an AS exchange.
    AsExchange,
    /// It begins a TGS exchange.
    TgsExchange,
    /// It has, or has not, got a ticket-granting ticket, when the KDC's clock showed this.
    First { outcome: &'a Result<Arc<Credential>>, kdc_now: Instant },
}

/// A principal's tickets. Clones share them.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) transport: Transport,
    pub(super) request: AsRequest,
    pub(super) source: Source,
    pub(super) cache: Option<CacheName>,
    care: Care,
    /// The name that the first ticket is held by, whatever the KDC called it.
    tgt: Principal,
    state: Mutex<State>,
}

impl Client {
    /// A client that logs in as `request` says and keeps its tickets in memory and, if there is
    /// one, in a credential cache. No message is sent before a ticket is wanted.
    pub fn new(transport: Transport, request: AsRequest, source: Source, cache: Option<CacheName>) -> Client {
        Client::of(transport, request, source, cache, Care::default())
    }

    fn of(t: Transport, r: AsRequest, source: Source, cache: Option<CacheName>, care: Care) -> Client {
        // The first ticket is always for the ticket-granting service.
        let (transport, request) = (t, AsRequest { server: None, ..r });
        let tgt = Principal::tgs(request.client.realm());
        Client(Arc::new(Inner { transport, request, source, cache, care, tgt, state: Mutex::default() }))
    }

    /// A client for a program that takes care of it; no credential cache is written.
    pub(crate) fn cared_for(transport: Transport, request: AsRequest, source: Source, care: Care) -> Client {
        Client::of(transport, request, source, None, care)
    }

    /// A client with a password, with the requests that krb5.conf describes.
    pub fn with_password(transport: Transport, principal: Principal, password: &str) -> Client {
        let request = as_request(transport.config(), principal);
        Client::new(transport, request, Source::Password(Zeroizing::new(password.to_owned())), None)
    }

    /// A client with a keytab, with the requests that krb5.conf describes.
    pub fn with_keytab(transport: Transport, principal: Principal, keytab: KeytabName) -> Client {
        let request = as_request(transport.config(), principal);
        Client::new(transport, request, Source::Keytab(keytab), None)
    }

    /// A client with the tickets of a credential cache, into which it puts those that it gets. From a cache
    /// with a service's tickets and a user's name on it ([`Acting::cache`]) it gets tickets in that name, and
    /// writes nothing there.
    ///
    /// # Errors
    /// As [`CacheName::load`]: there must be a cache, to say whose it is.
    pub async fn with_cache(transport: Transport, cache: CacheName) -> Result<Client> {
        let name = cache.clone();
        let content = blocking(move || name.load()).await?;
        let request = as_request(transport.config(), content.principal.clone());
        if let Some(acting) = Acting::of_cache(&transport, &content) {
            return Ok(Client::new(transport, request, Source::Acting(Box::new(acting)), None));
        }
        Ok(Client::new(transport, request, Source::Cache, Some(cache)))
    }

    /// Changes the principal's password (RFC 3244). The client that is returned has the new one; this
    /// one can use the tickets that it holds, and log in no more.
    ///
    /// ```
    /// # use libkrb::{Principal, net::{Client, Transport}};
    /// # async fn example(transport: Transport) -> libkrb::Result<()> {
    /// let alice = Principal::parse("alice@EXAMPLE.ORG", None)?;
    /// let client = Client::with_password(transport, alice, "old");
    /// let client = client.change_password("new").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::PasswordRefused`] when the realm does not take it, [`Error::Setting`] for a client
    /// without a password, and the errors of [`Transport::change_password`].
    pub async fn change_password(&self, new: &str) -> Result<Client> {
        let Inner { transport, request, source, cache, .. } = &*self.0;
        let Source::Password(old) = source else {
            return Err(Error::Setting("only a client that has the password can change it".to_owned()));
        };
        transport.change_password(request.client.clone(), Secret::Password(old.clone()), new).await?;
        let source = Source::Password(Zeroizing::new(new.to_owned()));
        Ok(Client::new(transport.clone(), request.clone(), source, cache.clone()))
    }

    /// Whose tickets these are.
    pub fn principal(&self) -> &Principal {
        &self.0.request.client
    }

    /// The ticket-granting ticket of the own realm.
    ///
    /// # Errors
    /// What ends the AS exchange, or the failure to reach a KDC; with [`Source::Cache`]
    /// [`Error::NoCredential`] or KRB_AP_ERR_TKT_EXPIRED.
    pub async fn tgt(&self) -> Result<Arc<Credential>> {
        self.wanted(&self.tgt_want(), None, |client| async move { client.first_ticket().await }).await
    }

    /// A new ticket-granting ticket, though one may be held still. Who asks at the same time shares it.
    pub(crate) async fn refresh(&self) -> Result<Arc<Credential>> {
        let name = self.tgt_want();
        let flight = self.state().flight(&name);
        self.fly(&name, flight, |client| async move { client.first_ticket().await }).await
    }

    /// A forwarded ticket-granting ticket (RFC 4120 2.6) for this service to hold, which nobody else
    /// gets: whoever holds it acts as this principal.
    ///
    /// # Errors
    /// As [`Client::ticket`]; KDC_ERR_BADOPTION where the first ticket is not forwardable.
    pub(crate) async fn forwarded(&self, service: &Principal) -> Result<Arc<Credential>> {
        let (want, tgt) = (Want::Forwarded(service.clone()), self.tgt_want());
        let service = service.clone();
        self.wanted(&want, Some(&tgt), |client| async move { client.forwarded_ticket(&service).await }).await
    }

    /// Takes the tickets of a cache in the place of those that are held: they are of another login.
    pub(crate) fn adopt(&self, cache: &Ccache) {
        let mut state = self.state();
        state.forget_all();
        if let Some((seconds, micros)) = cache.kdc_offset {
            state.offset = ClockOffset::new(seconds, micros);
        }
        let now = state.offset.apply(self.0.transport.now()).time;
        for ticket in cache.tickets().filter(|ticket| !ticket.is_skey && ticket.client == cache.principal) {
            state.hold(Want::from(&ticket.server), ticket.clone(), now);
        }
        if let Some(tgt) = cache.tgt(now) {
            state.fast = cache.fast_known(tgt);
            state.hold(self.tgt_want(), tgt.clone(), now);
        }
    }

    /// A ticket for a service. An empty realm leaves it to the KDCs which realm it is of.
    ///
    /// # Errors
    /// As [`Client::tgt`], and what ends the TGS exchange.
    pub async fn ticket(&self, server: &Principal) -> Result<Arc<Credential>> {
        let (want, tgt) = (Want::from(server), self.tgt_want());
        if want == tgt {
            return self.tgt().await;
        }
        let wanted = server.clone();
        let outcome =
            self.wanted(&want, Some(&tgt), |client| async move { client.further_ticket(&wanted).await }).await;
        let now = self.kdc_time();
        if self.state().is_ending(&tgt, now) {
            // Nobody may ask for it by name. It is held, so this begins its renewal and no more.
            self.tgt().await.ok();
        }
        outcome
    }

    /// A ticket for a service on a host. Its realm is that of `[domain_realm]`, or what the KDCs
    /// refer to, or at last the host's domain in upper case.
    ///
    /// # Errors
    /// As [`Client::ticket`].
    pub async fn service_ticket(&self, service: &str, host: &str) -> Result<Arc<Credential>> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let named = self.0.transport.realm_of_host(&host).await;
        let found = self.ticket(&Principal::service(service, &host, named.as_deref().unwrap_or(""))).await;
        let unknown = matches!(&found, Err(Error::Protocol { code: ErrorCode::S_PRINCIPAL_UNKNOWN, .. }));
        match self.0.transport.config().guessed_realm_of_host(&host) {
            Some(guess) if unknown && named.is_none() && guess != self.principal().realm() => {
                // If the guess leads nowhere the first answer was the better one.
                self.ticket(&Principal::service(service, &host, &guess)).await.or(found)
            }
            _ => found,
        }
    }

    /// Drops a ticket, so that the next one that is wanted is got anew: a service whose key changed
    /// does not take the old one.
    pub fn forget(&self, server: &Principal) {
        let mut state = self.state();
        state.forget(&Want::from(server));
        state.forget(&Want::Forwarded(server.clone()));
    }

    /// Asks the KDC again where it has refused: there is a reason to.
    pub(crate) fn forgive(&self) {
        self.state().forgive();
    }

    /// What the KDC's clock shows, as far as it is known.
    pub fn kdc_time(&self) -> Time {
        self.kdc_clock().time
    }

    /// As [`Client::kdc_time`], to the microsecond.
    pub(crate) fn kdc_clock(&self) -> Instant {
        let offset = self.state().offset;
        offset.apply(self.0.transport.now())
    }

    /// Takes over what another client knows of the KDC's clock.
    pub(crate) fn take_clock_of(&self, other: &Client) {
        let offset = other.state().offset;
        self.state().offset = offset;
    }

    /// The ticket for a service, if it is held.
    pub(crate) fn held(&self, server: &Principal) -> Option<Arc<Credential>> {
        let now = self.kdc_time();
        self.state().held(&Want::from(server), now)
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.0.transport
    }

    /// Tells the listener, if there is one.
    pub(super) fn report(&self, report: Report<'_>) {
        if let Some(listener) = &self.0.care.listener {
            listener(report);
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tgt_name(&self) -> Principal {
        self.0.tgt.clone()
    }

    pub(super) fn tgt_want(&self) -> Want {
        Want::Ticket(self.tgt_name())
    }

    /// The ticket if it is held, else what `get` brings, once for all who want it. One that is held
    /// but ends soon is got anew behind the caller's back.
    async fn wanted<F>(
        &self,
        name: &Want,
        tgt: Option<&Want>,
        get: impl FnOnce(Client) -> F + Send + 'static,
    ) -> Result<Arc<Credential>>
    where
        F: Future<Output = Result<Arc<Credential>>> + Send + 'static,
    {
        let (now, ours) = (self.kdc_time(), self.0.transport.now().time);
        let sought = self.state().seek(name, tgt, now, ours);
        match sought {
            Sought::Here(ticket) => Ok(ticket),
            Sought::Refused(error) => Err(error),
            Sought::Awaited(flight) => self.fly(name, flight, get).await,
            Sought::Ending(ticket, flight) => {
                let (client, name) = (self.clone(), name.clone());
                tokio::spawn(async move {
                    if let Err(error) = client.fly(&name, flight, get).await {
                        let (Want::Ticket(server) | Want::Forwarded(server)) = &name;
                        client.0.transport.trace().line(format_args!("No new ticket for {server} yet: {error}"));
                    }
                });
                Ok(ticket)
            }
        }
    }

    /// Waits for a flight, or makes it if nobody does. When the one who makes it gives up, another
    /// one who waits takes it over.
    async fn fly<F>(&self, name: &Want, flight: Flight, get: impl FnOnce(Client) -> F) -> Result<Arc<Credential>>
    where
        F: Future<Output = Result<Arc<Credential>>>,
    {
        let landing = Landing { client: self, name, flight };
        let make = || async {
            let outcome = get(self.clone()).await;
            if let Err(error) = &outcome {
                self.state().refuse(name, error, self.0.care.refusals, self.0.transport.now().time);
            }
            outcome
        };
        landing.flight.get_or_init(make).await.clone()
    }
}

/// Ends a flight for one who waits, also when it waits no longer.
struct Landing<'a> {
    client: &'a Client,
    name: &'a Want,
    flight: Flight,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.client.state().landed(self.name, &self.flight);
    }
}

/// Does what may wait for a disk on a thread that may wait.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|_| Err(Error::Setting("the program is ending".to_owned())))
}
