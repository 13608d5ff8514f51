//! How a service gets tickets in its users' names (MS-SFU): to itself for whoever it says
//! (S4U2Self), and from there to other services (S4U2Proxy). The KDC's rules say where.

use std::sync::Arc;

use super::client::{Client, Source};
use super::held::Want;
use super::requests::{as_request, request_in_a_name};
use super::transport::Transport;
use crate::ccache::{Ccache, Credential};
use crate::client::{TgsRequest, User};
use crate::error::Result;
use crate::name::Principal;

/// A service, and what it has of a user.
#[derive(Clone)]
pub struct Acting {
    /// The service's own tickets.
    pub service: Client,
    /// Who the user is.
    pub evidence: Evidence,
}

/// How a service shows the KDC in whose name it acts.
#[derive(Clone)]
pub enum Evidence {
    /// By its own word: it has let the user in by other means.
    Said(User),
    /// By the ticket that the user has shown to it.
    Shown(Arc<Credential>),
}

impl Acting {
    /// The user, as far as the name is known beforehand.
    pub fn user(&self) -> Principal {
        match &self.evidence {
            Evidence::Said(user) => user.into(),
            Evidence::Shown(ticket) => ticket.client.clone(),
        }
    }
}

/// The configuration entry of a cache that is a user's but holds a service's tickets: which service's.
/// MIT krb5 writes such caches for credentials in a user's name.
const IMPERSONATOR: &str = "proxy_impersonator";

impl Acting {
    /// Of a cache of that kind; `None`: it is an ordinary one.
    pub(super) fn of_cache(transport: &Transport, cache: &Ccache) -> Option<Acting> {
        let service = std::str::from_utf8(cache.config(IMPERSONATOR, None)?).ok()?;
        let service = Principal::parse(service, Some(cache.principal.realm())).ok()?;
        let shown = cache.tickets().find(|ticket| ticket.client == cache.principal && ticket.server == service)?;
        let evidence = Evidence::Shown(Arc::new(shown.clone()));
        let own = cache.tickets().filter(|ticket| ticket.client == service).cloned().collect();
        let own = Ccache { principal: service.clone(), credentials: own, ..cache.clone() };
        let request = as_request(transport.config(), service);
        let service = Client::new(transport.clone(), request, Source::Given, None);
        service.adopt(&own);
        Some(Acting { service, evidence })
    }

    /// A cache of that kind, for other programs of the service's: whoever has it acts for the user as
    /// the service may. `tgt` is the service's.
    pub fn cache(tgt: &Credential, evidence: &Credential) -> Ccache {
        let mut cache = Ccache::new(evidence.client.clone());
        cache.credentials = vec![tgt.clone(), evidence.clone()];
        cache.set_config(IMPERSONATOR, None, tgt.client.to_string().as_bytes());
        cache
    }
}

impl Client {
    /// A ticket in the user's name.
    pub(super) async fn ticket_in_a_name(&self, acting: &Acting, server: &Principal) -> Result<Arc<Credential>> {
        let evidence = self.evidence(acting).await?;
        if *server == evidence.server {
            return Ok(evidence);
        }
        let tgt = acting.service.tgt().await?;
        let asked = TgsRequest::on_behalf((*tgt).clone(), server.clone(), &evidence);
        self.asked(server, asked).await
    }

    /// The user's ticket to the service itself.
    async fn evidence(&self, acting: &Acting) -> Result<Arc<Credential>> {
        let user = match &acting.evidence {
            Evidence::Shown(ticket) => return Ok(ticket.clone()),
            Evidence::Said(user) => user,
        };
        let own = acting.service.principal();
        if let Some(ticket) = self.held(own) {
            return Ok(ticket);
        }
        let tgt = acting.service.tgt().await?;
        let offset = self.state().offset;
        let user = self.transport().identify(user, offset).await?;
        let asked = TgsRequest::for_user((*tgt).clone(), user);
        self.asked(own, asked).await
    }

    /// As the configuration has it, asks for what is wanted in another's name.
    async fn asked(&self, server: &Principal, asked: TgsRequest) -> Result<Arc<Credential>> {
        let request = request_in_a_name(self.transport().config(), asked);
        let ticket = self.exchange(request).await?.credential;
        let now = self.kdc_time();
        let mut state = self.state();
        state.hold(Want::from(&ticket.server), ticket.clone(), now);
        state.hold(Want::from(server), ticket.clone(), now);
        Ok(Arc::new(ticket))
    }

    /// Whom it acts for, if for another.
    pub(super) fn acting(&self) -> Option<&Acting> {
        match &self.0.source {
            Source::Acting(acting) => Some(acting),
            _ => None,
        }
    }
}
