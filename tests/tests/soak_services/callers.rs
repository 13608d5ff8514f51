//! Those who call: users of all kinds, and some who try what must not go.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libkrb::Principal;
use libkrb::config::Config;
use libkrb::credentials::{Credentials, Delegation, Initiation};
use libkrb::crypto::{OsRandom, Random};
use libkrb::gss::InitiatorStep;
use libkrb::http::client::{Hosts, Negotiator};
use libkrb::spn::Spn;
use reqwest::StatusCode;
use reqwest::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::market::{ADS, GATEWAY, HOST, Market, REALM};
use crate::tally::Tally;

/// Before the next try.
pub const PAUSE: Duration = Duration::from_millis(1500);
/// After so many without success a request is refused for good.
pub const TRIES: usize = 5;

/// For an answer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many tokens that were taken are kept, to be sent again later.
const OVERHEARD: usize = 500;

/// How a caller goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A ticket with each request.
    Tickets,
    /// A ticket now and then, else a session.
    Sessions,
    /// With tickets handed on, for what is the user's alone.
    HandingOn,
    /// Sends tokens, and sends them again to both gateways.
    Replaying,
    /// Comes without a ticket, with one for another service, or with nonsense.
    Trespassing,
}

impl Kind {
    /// Of every eight callers.
    const SHARES: [Kind; 8] = [
        Kind::Tickets,
        Kind::Sessions,
        Kind::HandingOn,
        Kind::Replaying,
        Kind::Tickets,
        Kind::Sessions,
        Kind::HandingOn,
        Kind::Trespassing,
    ];

    /// Of the caller of this number.
    pub fn of(index: usize) -> Kind {
        Kind::SHARES[index % Kind::SHARES.len()]
    }
}

/// One caller.
pub struct Visitor {
    kind: Kind,
    user: String,
    tally: Arc<Tally>,
    credentials: Credentials,
    /// The gateway that it calls, and the other one.
    gateways: [SocketAddr; 2],
    plain: reqwest::Client,
    negotiating: ClientWithMiddleware,
    overheard: VecDeque<String>,
}

/// Logs a user in, whose password is the user's name.
pub async fn login(market: &Market, user: &str) -> Credentials {
    let text = std::fs::read_to_string(market.configuration()).expect("the clients' krb5.conf");
    let config = Arc::new(Config::parse("krb5.conf", &text).expect("a krb5.conf"));
    let credentials = Credentials::from_password(user, user).config(config).forwardable().start();
    let credentials = credentials.await.expect("credentials");
    credentials.ready().await.expect("a login");
    credentials
}

/// What came of a try.
enum Outcome {
    /// What was to come.
    Good,
    /// Nothing, or an answer that says to come again.
    NotNow(String),
    /// What must not come, however often one tries.
    Wrong(String),
}

impl Visitor {
    /// The caller of this number.
    pub fn new(market: &Market, tally: &Arc<Tally>, index: usize, users: &[(String, Credentials)]) -> Visitor {
        let kind = Kind::of(index);
        let mut gateways = market.gateways();
        gateways.rotate_left(index / Kind::SHARES.len() % 2);
        let (user, credentials) = users[index % users.len()].clone();
        // The name is looked up nowhere; the port stands in the URL.
        let plain = reqwest::Client::builder().redirect(Policy::none()).no_proxy().timeout(PATIENCE);
        let plain = plain.resolve(HOST, gateways[0]).build().expect("a client");
        let hosts = Hosts::default().plain_http([format!("{HOST}:*").as_str()]).expect("hosts");
        let negotiator = Negotiator::new(credentials.clone(), hosts);
        let negotiator = match kind {
            Kind::Sessions => negotiator.sessions_over_plain_http(),
            Kind::HandingOn => negotiator.delegate(Delegation::IfTrusted),
            _ => negotiator,
        };
        let negotiating = ClientBuilder::new(plain.clone()).with(negotiator.middleware()).build();
        let (tally, overheard) = (Arc::clone(tally), VecDeque::new());
        Visitor { kind, user, tally, credentials, gateways, plain, negotiating, overheard }
    }

    /// Calls, one call after the other.
    pub async fn visit_until(mut self, end: Instant) {
        let mut turn = 0;
        while Instant::now() < end {
            match self.kind {
                Kind::Tickets | Kind::Sessions | Kind::HandingOn => self.persist().await,
                Kind::Replaying => self.replay().await,
                Kind::Trespassing => self.trespass(turn).await,
            }
            turn += 1;
        }
    }

    /// Tries until it is answered as it must be, or was refused for good.
    async fn persist(&self) {
        let mut refused = vec![];
        for attempt in 0..TRIES {
            match self.ask().await {
                Outcome::Good => {
                    let counter = if attempt == 0 { &self.tally.at_once } else { &self.tally.after_a_while };
                    counter.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Outcome::NotNow(why) => {
                    self.tally.tried(&why);
                    refused.push(why);
                }
                Outcome::Wrong(what) => return self.tally.wrong(what),
            }
            sleep(PAUSE).await;
        }
        self.tally.wrong(format!("{} with {:?} was refused for good: {refused:?}", self.user, self.kind));
    }

    /// One try of an honest caller.
    async fn ask(&self) -> Outcome {
        let path = if self.kind == Kind::HandingOn { "/ads/mine" } else { "/ads" };
        let answer = match self.negotiating.get(self.url(0, path)).send().await {
            Ok(answer) => answer,
            Err(error) => return Outcome::NotNow(root(&error)),
        };
        let status = answer.status();
        let body = match answer.bytes().await {
            Ok(body) => serde_json::from_slice::<Value>(&body).unwrap_or_default(),
            Err(error) => return Outcome::NotNow(root(&error)),
        };
        self.judge(status, &body)
    }

    fn judge(&self, status: StatusCode, body: &Value) -> Outcome {
        match status {
            StatusCode::OK if self.is_mine(body) => Outcome::Good,
            StatusCode::UNAUTHORIZED | StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => {
                let words = ["title", "detail"].map(|key| body[key].as_str().unwrap_or_default());
                Outcome::NotNow(format!("{status} {}", words.join(" ")))
            }
            _ => Outcome::Wrong(format!("{} with {:?} was answered {status}: {body}", self.user, self.kind)),
        }
    }

    /// Every service has to have seen the one before it, or this user where tickets were handed on.
    fn is_mine(&self, body: &Value) -> bool {
        let me = format!("{}@{REALM}", self.user);
        let seen: Vec<_> = body["seen"].as_array().into_iter().flatten().map(|seen| &seen["caller"]).collect();
        match self.kind {
            Kind::HandingOn => seen.iter().all(|caller| **caller == *me) && body["profile"]["name"] == *self.user,
            _ => seen == [&format!("{ADS}@{REALM}"), &format!("{GATEWAY}@{REALM}"), &me],
        }
    }

    fn url(&self, gateway: usize, path: &str) -> String {
        format!("http://{HOST}:{}{path}", self.gateways[gateway].port())
    }

    /// Brings a token to a gateway; once it was taken, it and an older one are taken by neither.
    async fn replay(&mut self) {
        let Ok(token) = self.token(GATEWAY).await else { return sleep(PAUSE).await };
        match self.present(0, &token).await {
            Ok(StatusCode::OK) => self.tally.at_once.fetch_add(1, Ordering::Relaxed),
            // It was not taken, so there is nothing to send again.
            outcome => {
                let why = outcome.map_or_else(|error| error, |status| format!("{status} for a token that is new"));
                self.tally.tried(&why);
                return sleep(PAUSE).await;
            }
        };
        let older = self.any_overheard();
        for token in [Some(&token), older.as_ref()].into_iter().flatten() {
            for gateway in [0, 1] {
                self.must_not_get_in(gateway, token, "a token that was taken before").await;
            }
        }
        self.overheard.push_back(token);
        if self.overheard.len() > OVERHEARD {
            self.overheard.pop_front();
        }
    }

    fn any_overheard(&self) -> Option<String> {
        let mut random = [0; 4];
        OsRandom::new().fill(&mut random);
        let index = (u32::from_be_bytes(random) as usize).checked_rem(self.overheard.len())?;
        self.overheard.get(index).cloned()
    }

    /// What must not go, in turn.
    async fn trespass(&self, turn: usize) {
        let token = match turn % 3 {
            0 => self.token(ADS).await,
            1 => self.token(GATEWAY).await.map(|token| changed(&token)),
            _ => Ok("YIIDnothing".to_owned()),
        };
        let Ok(token) = token else { return sleep(PAUSE).await };
        self.must_not_get_in(turn % 2, &token, "a token that is none for it").await;
        self.must_not_get_in(turn % 2, "", "nothing").await;
    }

    async fn must_not_get_in(&self, gateway: usize, token: &str, what: &str) {
        match self.present(gateway, token).await {
            Ok(StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST) => {
                self.tally.kept_out.fetch_add(1, Ordering::Relaxed);
            }
            Ok(StatusCode::SERVICE_UNAVAILABLE) => self.tally.tried("503 for what must not get in anyway"),
            Ok(status) => self.tally.wrong(format!("{what} was answered {status}")),
            Err(error) => self.tally.tried(&error),
        }
    }

    /// A token for a service, in base64.
    async fn token(&self, service: &str) -> libkrb::Result<String> {
        let service = Principal::parse(service, Some(REALM))?;
        let mut context = self.credentials.initiator(&Spn::from(service), Initiation::default()).await?;
        match context.step(self.credentials.clock(), &mut OsRandom::new(), None)? {
            InitiatorStep::Continue(token) | InitiatorStep::Done(_, Some(token)) => Ok(STANDARD.encode(token)),
            InitiatorStep::Done(_, None) => panic!("a context without a token"),
        }
    }

    /// Sends a token as it is; none if it is empty.
    async fn present(&self, gateway: usize, token: &str) -> Result<StatusCode, String> {
        let request = self.plain.get(self.url(gateway, "/ads"));
        let request =
            if token.is_empty() { request } else { request.header(AUTHORIZATION, format!("Negotiate {token}")) };
        request.send().await.map(|answer| answer.status()).map_err(|error| root(&error))
    }
}

/// With other octets where the ticket is encrypted.
fn changed(token: &str) -> String {
    let mut octets = STANDARD.decode(token).expect("a token in base64");
    octets[250] ^= 1;
    STANDARD.encode(octets)
}

/// The last of the causes is the one that says something.
fn root(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error).to_string()
}
