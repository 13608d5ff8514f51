//! Carries the messages of an exchange to KDCs and their replies back, until a ticket stands at
//! the end. Not here: what the messages say ([`crate::client`]).

use super::locate::Service;
use super::means;
use super::requests::tgs_request;
use super::transport::Transport;
use crate::ccache::{Ccache, Credential};
use crate::client::{
    AsExchange, AsRequest, ClockOffset, Exchange, Identification, Outcome, Secret, Step, TgsExchange, User,
};
use crate::crypto::OsRandom;
use crate::error::{Error, ErrorCode, Result};
use crate::name::Principal;
use crate::preauth::Means;
use crate::time::Instant;

/// What an initial exchange brought.
#[derive(Debug)]
pub struct Login {
    /// The ticket and what the KDC told besides.
    pub outcome: Outcome,
    /// How far the KDC's clock is ahead of ours, if the request followed it.
    pub offset: Option<ClockOffset>,
}

impl Login {
    /// The credential cache that a login makes: the ticket, and what MIT notes beside it.
    pub fn into_ccache(self) -> Ccache {
        let ticket = self.outcome.credential;
        let mut cache = Ccache::new(ticket.client.clone());
        cache.kdc_offset = self.offset.and_then(ClockOffset::parts);
        if self.outcome.fast_available {
            cache.set_config("fast_avail", Some(&ticket.server), b"yes");
        }
        if let Some(method) = self.outcome.preauth {
            cache.set_config("pa_type", Some(&ticket.server), method.0.to_string().as_bytes());
        }
        if !self.outcome.choices.is_empty() {
            cache.set_config("pa_config_data", Some(&ticket.server), json(&self.outcome.choices).as_bytes());
        }
        if ticket.server.tgs_target().is_some_and(|realm| realm != ticket.client.realm()) {
            cache.set_config("start_realm", None, ticket.server.realm().as_bytes());
        }
        cache.credentials.push(ticket);
        cache
    }
}

/// An object of texts, as MIT writes it.
fn json(pairs: &[(String, String)]) -> String {
    let escaped = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    let quoted = |text: &str| format!("\"{}\"", text.chars().map(escaped).collect::<String>());
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{}:{}", quoted(name), quoted(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

impl Transport {
    /// Drives an exchange to its end. `offset` is what is known of the KDCs' clock already.
    ///
    /// # Errors
    /// As [`Transport::send`], and whatever ends the exchange.
    pub async fn drive(&self, exchange: &mut (dyn Exchange + Send), offset: ClockOffset) -> Result<Outcome> {
        self.drive_with(Service::Kdc, exchange, offset).await
    }

    /// The user in whose name a service wants a ticket, in the user's own realm as far as KDCs tell.
    ///
    /// # Errors
    /// As [`Transport::send`], and the refusal of a KDC that knows nobody by this name.
    pub async fn identify(&self, user: &User, offset: ClockOffset) -> Result<User> {
        let Some(mut identification) = Identification::new(user) else { return Ok(user.clone()) };
        let mut random = OsRandom::new();
        loop {
            let realm = identification.realm().to_owned();
            self.trace().line(format_args!("Asking a KDC of {realm} where the user is"));
            let message = identification.message(offset.apply(self.now()), &mut random)?;
            if let Some(user) = identification.answered(&self.send(&realm, &message).await?)? {
                return Ok(user);
            }
        }
    }

    async fn drive_with(
        &self,
        service: Service,
        exchange: &mut (dyn Exchange + Send),
        offset: ClockOffset,
    ) -> Result<Outcome> {
        let mut random = OsRandom::new();
        let mut reply: Option<Vec<u8>> = None;
        loop {
            let step = exchange.step(offset.apply(self.now()), &mut random, reply.as_deref());
            exchange.decisions().iter().for_each(|words| self.trace().line(format_args!("{words}")));
            match step {
                Ok(Step::Send { realm, message }) => reply = Some(self.send_to(service, &realm, &message).await?),
                Ok(Step::Done(outcome)) => {
                    let ticket = &outcome.credential;
                    self.trace().line(format_args!("Received creds for desired service {}", ticket.server));
                    return Ok(*outcome);
                }
                Err(error) => {
                    self.trace().line(format_args!("The exchange ends: {error}"));
                    return Err(error);
                }
            }
        }
    }

    /// Gets a first ticket. After a refusal that a password just changed can explain, a primary
    /// KDC is asked as well, if the realm has one apart from the others.
    ///
    /// # Errors
    /// As [`Transport::drive`].
    pub async fn login(&self, request: AsRequest, secret: Secret) -> Result<Login> {
        self.login_with(request, secret, Means::default()).await
    }

    /// As [`Transport::login`], for a client that has more than its long-term key.
    ///
    /// # Errors
    /// As [`Transport::drive`].
    pub async fn login_with(&self, request: AsRequest, secret: Secret, means: Means) -> Result<Login> {
        self.trace().line(format_args!("Getting initial credentials for {}", request.client));
        let means = means::configured(means, self.config(), request.client.realm())?;
        let mut exchange = AsExchange::with_means(request.clone(), secret, means);
        let refused = match self.drive_armored(Service::Kdc, &mut exchange).await {
            Ok(outcome) => return Ok(Login { outcome, offset: exchange.clock_offset() }),
            Err(error) => error,
        };
        if !may_be_old_news(&refused) || !self.has_replicas(request.client.realm()).await {
            return Err(refused);
        }
        self.trace().line(format_args!("Retrying AS request with primary KDC"));
        let (secret, means) = exchange.into_parts();
        let mut exchange = AsExchange::with_means(request, secret, means);
        match self.drive_armored(Service::PrimaryKdc, &mut exchange).await {
            Ok(outcome) => Ok(Login { outcome, offset: exchange.clock_offset() }),
            Err(Error::NoKdc(_) | Error::Unreachable(_)) => Err(refused),
            Err(error) => Err(error),
        }
    }

    /// Drives a login. Where the client is referred to another realm, armor for that is got with the
    /// one that was.
    async fn drive_armored(&self, service: Service, exchange: &mut AsExchange) -> Result<Outcome> {
        loop {
            let outcome = self.drive_with(service, exchange, ClockOffset::default()).await;
            let (Err(Error::NoArmor(_)), Some((realm, ticket))) = (&outcome, exchange.outworn_armor()) else {
                return outcome;
            };
            let got = self.armor(ticket.clone(), realm).await;
            if let Err(error) = &got {
                self.trace().line(format_args!("No armor for realm {realm:?}: {error}"));
            }
            let Ok(ticket) = got else { return outcome };
            exchange.armored_anew(ticket)?;
        }
    }

    /// A ticket that the KDC of this realm opens as armor (RFC 6113 5.4.1.1): this one if it is of that
    /// realm, else one that is got with it.
    ///
    /// # Errors
    /// As [`Transport::drive`].
    pub async fn armor(&self, ticket: Credential, realm: &str) -> Result<Credential> {
        if ticket.server.tgs_target() == Some(realm) {
            return Ok(ticket);
        }
        let mut exchange = TgsExchange::new(tgs_request(self.config(), ticket, Principal::tgs(realm)))?;
        Ok(self.drive(&mut exchange, ClockOffset::default()).await?.credential)
    }

    /// Whether some KDC of the realm is no primary one. Where krb5.conf names the KDCs it must
    /// name the primary ones too: a wrong password is no reason to wait for DNS.
    async fn has_replicas(&self, realm: &str) -> bool {
        let named = self.config().kdcs(realm).is_ok_and(|kdcs| !kdcs.is_empty());
        let primaries = match self.config().primary_kdcs(realm) {
            Ok(primaries) if named => primaries,
            _ => self.servers(Service::PrimaryKdc, realm).await.unwrap_or_default(),
        };
        let kdcs =
            if primaries.is_empty() { vec![] } else { self.servers(Service::Kdc, realm).await.unwrap_or_default() };
        kdcs.iter().any(|kdc| !primaries.contains(kdc))
    }

    /// The clock, in the form the exchanges take it.
    pub(crate) fn now(&self) -> Instant {
        (self.clock)()
    }
}

/// Whether a KDC may refuse so because it has not heard of a change yet.
fn may_be_old_news(error: &Error) -> bool {
    let codes = [
        ErrorCode::PREAUTH_FAILED,
        ErrorCode::BAD_INTEGRITY,
        ErrorCode::KEY_EXPIRED,
        ErrorCode::C_PRINCIPAL_UNKNOWN,
        ErrorCode::CLIENT_REVOKED,
    ];
    match error {
        Error::PasswordIncorrect => true,
        Error::Protocol { code, .. } => codes.contains(code),
        _ => false,
    }
}
