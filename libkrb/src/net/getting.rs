//! How a [`Client`] gets its tickets: from the cache on disk, by a login, by exchanges with the
//! ticket-granting services. Not here: who waits for them ([`super::client`]).

use std::sync::Arc;

use super::client::{Client, Report, Source, blocking};
use super::held::Want;
use super::requests::tgs_request;
use crate::ccache::{Ccache, Credential};
use crate::client::{ClockOffset, Exchange, Outcome, Secret, TgsExchange, TgsRequest};
use crate::codes::EncryptionType;
use crate::crypto::Key;
use crate::error::{Error, ErrorCode, Result};
use crate::flags::TicketFlags;
use crate::keytab::Keytab;
use crate::name::Principal;
#[cfg(feature = "pkinit")]
use crate::preauth::pkinit::PkinitMeans;
use crate::preauth::{KeyHint, Means};
use crate::time::Time;

impl Client {
    /// Adds tickets to the cache on disk and keeps them in memory. `name` is what was asked for.
    async fn keep(&self, name: &Principal, tickets: Vec<Credential>) {
        if let Some(cache) = self.0.cache.clone() {
            let tickets = tickets.clone();
            self.written(blocking(move || tickets.iter().try_for_each(|ticket| cache.store(ticket))).await);
        }
        let now = self.kdc_time();
        let mut state = self.state();
        tickets.iter().for_each(|ticket| state.hold(Want::from(&ticket.server), ticket.clone(), now));
        tickets.last().into_iter().for_each(|ticket| state.hold(Want::from(name), ticket.clone(), now));
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

    /// A ticket-granting ticket.
    pub(super) async fn first_ticket(self) -> Result<Arc<Credential>> {
        let outcome = self.cached_or_new().await;
        self.report(Report::First { outcome: &outcome, kdc_now: self.kdc_clock() });
        outcome
    }

    /// From the cache if it is newer than ours, else by a login.
    async fn cached_or_new(&self) -> Result<Arc<Credential>> {
        let (name, want) = (self.tgt_name(), self.tgt_want());
        let now = self.kdc_time();
        let ours = self.state().held(&want, now);
        let end = |ticket: &Option<Arc<Credential>>| ticket.as_ref().map(|ticket| ticket.end_time);
        let disk = self.on_disk().await;
        if let Some((seconds, micros)) = disk.as_ref().and_then(|disk| disk.kdc_offset) {
            self.state().offset = ClockOffset::new(seconds, micros);
        }
        let found = disk.as_ref().and_then(|disk| disk.tgt(now)).cloned().map(Arc::new);
        if let Some(ticket) = found.clone().filter(|_| end(&found) > end(&ours)) {
            let mut state = self.state();
            state.fast = disk.is_some_and(|disk| disk.fast_known(&ticket));
            state.hold(want, (*ticket).clone(), now);
            return Ok(ticket);
        }
        let mut request = self.0.request.clone();
        #[cfg_attr(not(feature = "pkinit"), allow(unused_mut))]
        let mut means = Means::default();
        let secret = match &self.0.source {
            Source::Password(password) => Secret::Password(password.clone()),
            Source::Keytab(keytab) => {
                let keytab = keytab.clone();
                self.keys(&blocking(move || keytab.load()).await?)
            }
            Source::Keys(keytab) => {
                let secret = self.keys(&keytab());
                // Keys need no salt: the proof can go with the first message. After a refusal the KDC is
                // asked first, or each try would count for two where failures are counted.
                let guess = || newest(&secret, &request.etypes).filter(|_| !self.state().login_refused);
                request.key_hint = request.key_hint.take().or_else(|| guess().map(KeyHint::plain));
                secret
            }
            // What is asked for in a user's name is asked for with the service's own first ticket.
            Source::Acting(_) => return Err(Error::NoCredential),
            #[cfg(feature = "pkinit")]
            Source::Certificate(wishes) => {
                means.pkinit = Some(self.certificate(wishes.clone()).await?);
                Secret::None
            }
            Source::Cache | Source::Given => {
                let known = |disk: Ccache| disk.tickets().any(|ticket| ticket.server == name);
                let expired = || disk.is_some_and(known) || self.state().knows(&want);
                return match found.or(ours) {
                    Some(ticket) => self.renewed(ticket, now).await,
                    None if expired() => Err(Error::code(ErrorCode::TKT_EXPIRED)),
                    None => Err(Error::NoCredential),
                };
            }
        };
        self.report(Report::AsExchange);
        let login = self.0.transport.login_with(request, secret, means).await;
        self.state().login_refused = matches!(&login, Err(Error::Protocol { .. }));
        let login = login?;
        let (ticket, offset) = (login.outcome.credential.clone(), login.offset.unwrap_or_default());
        let fast = login.outcome.fast_available;
        if let Some(cache) = self.0.cache.clone() {
            self.written(blocking(move || cache.replace(&login.into_ccache())).await);
        }
        let now = offset.apply(self.0.transport.now()).time;
        let mut state = self.state();
        state.offset = offset;
        state.fast = fast;
        state.forgive();
        state.hold(want, ticket.clone(), now);
        Ok(Arc::new(ticket))
    }

    /// What a certificate's files hold now.
    #[cfg(feature = "pkinit")]
    async fn certificate(&self, wishes: Arc<super::CertificateWishes>) -> Result<Arc<PkinitMeans>> {
        let (transport, realm) = (self.0.transport.clone(), self.principal().realm().to_owned());
        let nobody = |_: &str| Err(Error::Setting("nobody is there to type a password".to_owned()));
        let read = move || super::pkinit_means(transport.config(), &realm, &wishes, &mut { nobody });
        let none = || Error::Setting("no certificate to log in with".to_owned());
        blocking(read).await?.map(Arc::new).ok_or_else(none)
    }

    /// The keys of this principal in a keytab.
    fn keys(&self, keytab: &Keytab) -> Secret {
        let ours = keytab.entries.iter().filter(|entry| entry.principal == *self.principal());
        let usable = ours.filter_map(|entry| Some((entry.kvno, entry.key.key().ok()?)));
        Secret::Keys(usable.collect::<Vec<(u32, Key)>>())
    }

    /// A renewed ticket, or the same while it is good.
    async fn renewed(&self, ticket: Arc<Credential>, now: Time) -> Result<Arc<Credential>> {
        let given = matches!(self.0.source, Source::Given);
        if given || !ticket.flags.has(TicketFlags::RENEWABLE) || ticket.renew_till <= now {
            return Ok(ticket);
        }
        let request = TgsRequest { follow_clock: self.0.request.follow_clock, ..TgsRequest::renew((*ticket).clone()) };
        let outcome = self.exchange(request).await?;
        let ticket = outcome.credential.clone();
        self.keep(&self.tgt_name(), vec![outcome.credential]).await;
        Ok(Arc::new(ticket))
    }

    /// A ticket by a TGS exchange; after a login if the KDC does not take the first ticket any more.
    pub(super) async fn further_ticket(self, server: &Principal) -> Result<Arc<Credential>> {
        if let Some(acting) = self.acting() {
            return self.ticket_in_a_name(acting, server).await;
        }
        let now = self.kdc_time();
        if let Some(ticket) = self.on_disk().await.and_then(|disk| disk.find(server, now).cloned()) {
            self.state().hold(Want::from(server), ticket.clone(), now);
            return Ok(Arc::new(ticket));
        }
        let tgt = self.tgt().await?;
        match self.tgs(&tgt, server).await {
            Err(error) if is_spent(&error) && !matches!(self.0.source, Source::Cache | Source::Given) => {
                self.state().forget_this(&self.tgt_want(), &tgt);
                let tgt = self.tgt().await?;
                self.tgs(&tgt, server).await
            }
            outcome => outcome,
        }
    }

    async fn tgs(&self, tgt: &Arc<Credential>, server: &Principal) -> Result<Arc<Credential>> {
        let nearest = {
            let now = self.kdc_time();
            self.state().tgt_for(server.realm(), now).unwrap_or_else(|| tgt.clone())
        };
        let request = tgs_request(self.0.transport.config(), (*nearest).clone(), server.clone());
        let outcome = self.exchange(request).await?;
        let ticket = Arc::new(outcome.credential.clone());
        let mut tickets = outcome.hops;
        tickets.push(outcome.credential);
        self.keep(server, tickets).await;
        Ok(ticket)
    }

    /// A forwarded ticket for a service to hold. It is not stored on disk: it is the service's.
    pub(super) async fn forwarded_ticket(self, service: &Principal) -> Result<Arc<Credential>> {
        let tgt = self.tgt().await?;
        let etypes = self.0.transport.config().default_tgs_enctypes();
        let follow_clock = self.0.request.follow_clock;
        let request = TgsRequest { etypes, follow_clock, ..TgsRequest::forward((*tgt).clone(), vec![]) };
        let ticket = self.exchange(request).await?.credential;
        let now = self.kdc_time();
        self.state().hold(Want::Forwarded(service.clone()), ticket.clone(), now);
        Ok(Arc::new(ticket))
    }

    /// A TGS exchange, which may show that the KDC's clock differs more than was known.
    pub(super) async fn exchange(&self, request: TgsRequest) -> Result<Outcome> {
        // Of other realms' KDCs it is not known.
        let armored = self.state().fast && request.tgt.server.is_local_tgs();
        let request = TgsRequest { armored, ..request };
        let mut exchange = TgsExchange::new(request)?;
        let offset = self.state().offset;
        self.report(Report::TgsExchange);
        let outcome = self.0.transport.drive(&mut exchange, offset).await?;
        if let Some(more) = exchange.clock_offset() {
            let now = self.0.transport.now();
            self.state().offset = ClockOffset::between(more.apply(offset.apply(now)), now);
        }
        Ok(outcome)
    }
}

/// The encryption type of the newest keys that is wanted most.
fn newest(secret: &Secret, wanted: &[EncryptionType]) -> Option<EncryptionType> {
    let Secret::Keys(keys) = secret else { return None };
    let newest = keys.iter().map(|(kvno, _)| *kvno).max()?;
    let has = |etype: &&EncryptionType| keys.iter().any(|(kvno, key)| *kvno == newest && key.etype() == **etype);
    wanted.iter().find(has).copied()
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
