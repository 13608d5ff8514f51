//! A principal's tickets, held by a program for its life: got when they are wanted, anew before
//! they end, asked for once however many tasks want them. Not here: how a ticket is got
//! ([`super::drive`]), and caches on disk ([`crate::ccache`]), one of which can stand behind it.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use super::held::{Flight, Sought, State};
use super::requests::{as_request, tgs_request};
use super::transport::Transport;
use crate::ccache::{CacheName, Ccache, Credential};
use crate::client::{AsRequest, ClockOffset, Exchange, Secret, TgsExchange, TgsRequest};
use crate::crypto::Key;
use crate::error::{Error, ErrorCode, Result};
use crate::flags::TicketFlags;
use crate::keytab::KeytabName;
use crate::name::Principal;
use crate::time::Time;

/// Where a client's first tickets come from.
#[derive(Clone)]
pub enum Source {
    /// A password.
    Password(Zeroizing<String>),
    /// A keytab, which is read again for every login.
    Keytab(KeytabName),
    /// Somebody else puts them into the credential cache; here they are only renewed.
    Cache,
}

/// A principal's tickets. Clones share them.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    transport: Transport,
    request: AsRequest,
    source: Source,
    cache: Option<CacheName>,
    state: Mutex<State>,
}

impl Client {
    /// A client that logs in as `request` says and keeps its tickets in memory and, if there is
    /// one, in a credential cache. No message is sent before a ticket is wanted.
    pub fn new(transport: Transport, request: AsRequest, source: Source, cache: Option<CacheName>) -> Client {
        // The first ticket is always for the ticket-granting service.
        let request = AsRequest { server: None, ..request };
        Client(Arc::new(Inner { transport, request, source, cache, state: Mutex::default() }))
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

    /// A client with the tickets of a credential cache, into which it puts those that it gets.
    ///
    /// # Errors
    /// As [`CacheName::load`]: there must be a cache, to say whose it is.
    pub async fn with_cache(transport: Transport, cache: CacheName) -> Result<Client> {
        let name = cache.clone();
        let principal = blocking(move || name.load()).await?.principal;
        let request = as_request(transport.config(), principal);
        Ok(Client::new(transport, request, Source::Cache, Some(cache)))
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
        let name = self.tgt_name();
        self.wanted(&name, None, |client| async move { client.first_ticket().await }).await
    }

    /// A ticket for a service. An empty realm leaves it to the KDCs which realm it is of.
    ///
    /// # Errors
    /// As [`Client::tgt`], and what ends the TGS exchange.
    pub async fn ticket(&self, server: &Principal) -> Result<Arc<Credential>> {
        let tgt = self.tgt_name();
        if *server == tgt {
            return self.tgt().await;
        }
        let wanted = server.clone();
        let outcome =
            self.wanted(server, Some(&tgt), |client| async move { client.further_ticket(&wanted).await }).await;
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
        self.state().forget(server);
    }

    /// What the KDC's clock shows, as far as it is known.
    pub fn kdc_time(&self) -> Time {
        let offset = self.state().offset;
        offset.apply(self.0.transport.now()).time
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name that the first ticket is held by, whatever the KDC called it.
    fn tgt_name(&self) -> Principal {
        Principal::tgs(self.principal().realm())
    }

    /// The ticket if it is held, else what `get` brings, once for all who want it. One that is held
    /// but ends soon is got anew behind the caller's back.
    async fn wanted<F>(
        &self,
        name: &Principal,
        tgt: Option<&Principal>,
        get: impl FnOnce(Client) -> F + Send + 'static,
    ) -> Result<Arc<Credential>>
    where
        F: Future<Output = Result<Arc<Credential>>> + Send + 'static,
    {
        let now = self.kdc_time();
        let sought = self.state().seek(name, tgt, now);
        match sought {
            Sought::Here(ticket) => Ok(ticket),
            Sought::Awaited(flight) => self.fly(name, flight, get).await,
            Sought::Ending(ticket, flight) => {
                let (client, name) = (self.clone(), name.clone());
                tokio::spawn(async move {
                    if let Err(error) = client.fly(&name, flight, get).await {
                        client.0.transport.trace().line(format_args!("No new ticket for {name} yet: {error}"));
                    }
                });
                Ok(ticket)
            }
        }
    }

    /// Waits for a flight, or makes it if nobody does. When the one who makes it gives up, another
    /// one who waits takes it over.
    async fn fly<F>(&self, name: &Principal, flight: Flight, get: impl FnOnce(Client) -> F) -> Result<Arc<Credential>>
    where
        F: Future<Output = Result<Arc<Credential>>>,
    {
        let outcome = flight.get_or_init(|| get(self.clone())).await.clone();
        self.state().landed(name, &flight);
        outcome
    }

    /// Adds tickets to the cache on disk and keeps them in memory. `name` is what was asked for.
    async fn keep(&self, name: &Principal, tickets: Vec<Credential>) {
        if let Some(cache) = self.0.cache.clone() {
            let tickets = tickets.clone();
            self.written(blocking(move || tickets.iter().try_for_each(|ticket| cache.store(ticket))).await);
        }
        let now = self.kdc_time();
        let mut state = self.state();
        tickets.iter().for_each(|ticket| state.hold(ticket.server.clone(), ticket.clone(), now));
        tickets.last().into_iter().for_each(|ticket| state.hold(name.clone(), ticket.clone(), now));
    }

    /// A cache that cannot be written is no reason to withhold a ticket.
    fn written(&self, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.0.transport.trace().line(format_args!("Could not store tickets in the cache: {error}"));
        }
    }

    /// The cache on disk, if there is one and it is this principal's.
    async fn on_disk(&self) -> Option<Ccache> {
        let cache = self.0.cache.clone()?;
        let content = blocking(move || cache.load()).await.ok()?;
        let ours = content.principal == *self.principal() || matches!(self.0.source, Source::Cache);
        ours.then_some(content)
    }

    /// A ticket-granting ticket: from the cache if it is newer than ours, else by a login.
    async fn first_ticket(self) -> Result<Arc<Credential>> {
        let name = self.tgt_name();
        let now = self.kdc_time();
        let ours = self.state().held(&name, now);
        let end = |ticket: &Option<Arc<Credential>>| ticket.as_ref().map(|ticket| ticket.end_time);
        let disk = self.on_disk().await;
        if let Some((seconds, micros)) = disk.as_ref().and_then(|disk| disk.kdc_offset) {
            self.state().offset = ClockOffset::new(seconds, micros);
        }
        let found = disk.as_ref().and_then(|disk| disk.tgt(now)).cloned().map(Arc::new);
        if let Some(ticket) = found.clone().filter(|_| end(&found) > end(&ours)) {
            self.state().hold(name, (*ticket).clone(), now);
            return Ok(ticket);
        }
        let secret = match &self.0.source {
            Source::Password(password) => Secret::Password(password.clone()),
            Source::Keytab(keytab) => self.keys(keytab.clone()).await?,
            Source::Cache => {
                let expired = || disk.is_some_and(|disk| disk.tickets().any(|ticket| ticket.server == name));
                return match found.or(ours) {
                    Some(ticket) => self.renewed(ticket, now).await,
                    None if expired() => Err(Error::code(ErrorCode::TKT_EXPIRED)),
                    None => Err(Error::NoCredential),
                };
            }
        };
        let login = self.0.transport.login(self.0.request.clone(), secret).await?;
        let (ticket, offset) = (login.outcome.credential.clone(), login.offset.unwrap_or_default());
        if let Some(cache) = self.0.cache.clone() {
            self.written(blocking(move || cache.replace(&login.into_ccache())).await);
        }
        let now = offset.apply(self.0.transport.now()).time;
        let mut state = self.state();
        state.offset = offset;
        state.hold(name, ticket.clone(), now);
        Ok(Arc::new(ticket))
    }

    /// The keys of this principal in a keytab.
    async fn keys(&self, keytab: KeytabName) -> Result<Secret> {
        let keytab = blocking(move || keytab.load()).await?;
        let ours = keytab.entries.iter().filter(|entry| entry.principal == *self.principal());
        let usable = ours.filter_map(|entry| Some((entry.kvno, entry.key.key().ok()?)));
        Ok(Secret::Keys(usable.collect::<Vec<(u32, Key)>>()))
    }

    /// A renewed ticket, or the same while it is good.
    async fn renewed(&self, ticket: Arc<Credential>, now: Time) -> Result<Arc<Credential>> {
        if !ticket.flags.has(TicketFlags::RENEWABLE) || ticket.renew_till <= now {
            return Ok(ticket);
        }
        let request = TgsRequest { follow_clock: self.0.request.follow_clock, ..TgsRequest::renew((*ticket).clone()) };
        let mut exchange = TgsExchange::new(request)?;
        let offset = self.state().offset;
        let outcome = self.0.transport.drive(&mut exchange, offset).await?;
        let ticket = outcome.credential.clone();
        self.keep(&self.tgt_name(), vec![outcome.credential]).await;
        Ok(Arc::new(ticket))
    }

    /// A ticket by a TGS exchange; after a login if the KDC does not take the first ticket any more.
    async fn further_ticket(self, server: &Principal) -> Result<Arc<Credential>> {
        let now = self.kdc_time();
        if let Some(ticket) = self.on_disk().await.and_then(|disk| disk.find(server, now).cloned()) {
            self.state().hold(server.clone(), ticket.clone(), now);
            return Ok(Arc::new(ticket));
        }
        let tgt = self.tgt().await?;
        match self.tgs(&tgt, server).await {
            Err(error) if is_spent(&error) && !matches!(self.0.source, Source::Cache) => {
                self.state().forget_this(&self.tgt_name(), &tgt);
                let tgt = self.tgt().await?;
                self.tgs(&tgt, server).await
            }
            outcome => outcome,
        }
    }

    async fn tgs(&self, tgt: &Arc<Credential>, server: &Principal) -> Result<Arc<Credential>> {
        let (nearest, offset) = {
            let now = self.kdc_time();
            let state = self.state();
            (state.tgt_for(server.realm(), now).unwrap_or_else(|| tgt.clone()), state.offset)
        };
        let request = tgs_request(self.0.transport.config(), (*nearest).clone(), server.clone());
        let mut exchange = TgsExchange::new(request)?;
        let outcome = self.0.transport.drive(&mut exchange, offset).await?;
        if let Some(more) = exchange.clock_offset() {
            let now = self.0.transport.now();
            self.state().offset = ClockOffset::between(more.apply(offset.apply(now)), now);
        }
        let ticket = Arc::new(outcome.credential.clone());
        let mut tickets = outcome.hops;
        tickets.push(outcome.credential);
        self.keep(server, tickets).await;
        Ok(ticket)
    }
}

/// Whether a KDC says so of a ticket-granting ticket that it does not take any more.
fn is_spent(error: &Error) -> bool {
    let codes = [
        ErrorCode::TKT_EXPIRED,
        ErrorCode::TGT_REVOKED,
        ErrorCode::BAD_INTEGRITY,
        ErrorCode::MODIFIED,
        ErrorCode::BADKEYVER,
        ErrorCode::NOKEY,
    ];
    matches!(error, Error::Protocol { code, .. } if codes.contains(code))
}

/// Does what may wait for a disk on a thread that may wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|_| Err(Error::Setting("the program is ending".to_owned())))
}
