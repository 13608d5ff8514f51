//! The self-check: what a newcomer would try, tried in a second or two as users of this machine would
//! do it, and what the services say of it found in their logs. Not here: how services do it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, StatusCode};
use libkrb::config::Config;
use libkrb::credentials::{Credentials, Delegation, Initiation};
use libkrb::crypto::OsRandom;
use libkrb::gss::InitiatorStep;
use libkrb::http::client::{Hosts, Negotiator};
use libkrb::spn::Spn;
use libkrb::{ErrorCode, Principal};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::{Value, json};

use super::process::Process;
use super::realm::{ADS, GATEWAY, Realm};
use super::screen::Screen;
use crate::chassis::Error;
use crate::chassis::trace::{TRACEPARENT, TraceContext};

/// Tries everything; fails at the first thing that does not go as it must.
///
/// # Errors
/// What did not.
pub async fn check(screen: &mut Screen, realm: &Realm, services: &[Process]) -> Result<(), Error> {
    screen.title("What is tried, and what comes of it")?;
    let visit = Visit::prepare(realm, services)?;
    visit.without_a_ticket(screen).await?;
    visit.with_a_ticket(screen).await?;
    visit.with_tickets_handed_on(screen).await?;
    visit.by_session(screen).await?;
    visit.with_a_ticket_for_another(screen).await?;
    visit.again(screen).await?;
    visit.locked_out(screen).await
}

struct Visit<'a> {
    realm: &'a Realm,
    services: &'a [Process],
    gateway: &'a Process,
    config: Arc<Config>,
    /// Where users find the market: the name is the one that tickets are for.
    host: String,
    connections: reqwest::Client,
}

/// What came back.
struct Answer {
    status: StatusCode,
    trace: String,
    body: Value,
}

impl Answer {
    async fn of(response: reqwest::Response) -> Result<Answer, Error> {
        let status = response.status();
        let trace = TraceContext::from_headers(response.headers()).ok_or("an answer without a trace id")?.trace_id();
        let body = serde_json::from_slice(&response.bytes().await?).unwrap_or_default();
        Ok(Answer { status, trace, body })
    }

    fn is(self, status: StatusCode) -> Result<Answer, Error> {
        match self.status {
            found if found == status => Ok(self),
            found => Err(format!("{status} was expected, and {found} came: {}", self.body).into()),
        }
    }

    /// Whom each service saw, the last one first.
    fn seen(&self) -> Vec<String> {
        let seen = self.body["seen"].as_array().into_iter().flatten();
        seen.map(|seen| format!("{} {}", without_realm(&seen["service"]), without_realm(&seen["caller"]))).collect()
    }
}

fn without_realm(name: &Value) -> &str {
    name.as_str().unwrap_or_default().split('@').next().unwrap_or_default()
}

impl<'a> Visit<'a> {
    fn prepare(realm: &'a Realm, services: &'a [Process]) -> Result<Visit<'a>, Error> {
        let gateway = services.last().ok_or("there is no gateway")?;
        let file = realm.client_config();
        let config = Arc::new(Config::parse(&file.to_string_lossy(), &std::fs::read_to_string(file)?)?);
        let name = GATEWAY.principal.trim_start_matches("HTTP/");
        let connections = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        let connections = connections.resolve(name, gateway.address()).build()?;
        let host = format!("{name}:{}", gateway.address().port());
        Ok(Visit { realm, services, gateway, config, host, connections })
    }

    /// What kinit does.
    async fn login(&self, user: &str) -> Result<Credentials, Error> {
        let password = self.realm.password_of(user)?;
        let credentials = Credentials::from_password(user, &password).config(Arc::clone(&self.config)).start().await?;
        credentials.ready().await?;
        Ok(credentials)
    }

    fn negotiator(&self, credentials: Credentials) -> Result<Negotiator, Error> {
        Ok(Negotiator::new(credentials, Hosts::default().plain_http([self.host.as_str()])?))
    }

    fn client(&self, negotiator: &Negotiator) -> ClientWithMiddleware {
        ClientBuilder::new(self.connections.clone()).with(negotiator.middleware()).build()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    async fn without_a_ticket(&self, screen: &mut Screen) -> Result<(), Error> {
        let answer = self.connections.get(self.url("/ads")).send().await?;
        let answer = Answer::of(answer).await?.is(StatusCode::UNAUTHORIZED)?;
        self.gateway.says(&[&answer.trace, "no-credentials"]).await?;
        screen.tried("somebody without a ticket", "401, and the log says why")
    }

    async fn with_a_ticket(&self, screen: &mut Screen) -> Result<(), Error> {
        let client = self.client(&self.negotiator(self.login("alice").await?)?);
        let answer = Answer::of(client.get(self.url("/ads")).send().await?).await?.is(StatusCode::OK)?;
        expect(
            &answer.seen(),
            &["user_service HTTP/ad-service.shop", "ad_service HTTP/gateway.localhost", "gateway alice"],
        )?;
        screen.tried("alice, with a ticket", "each service sees the one before it")?;
        Answer::of(client.get(self.url("/ads/mine")).send().await?).await?.is(StatusCode::FORBIDDEN)?;
        screen.tried("the same, for what is hers alone", "403, and what to do")
    }

    async fn with_tickets_handed_on(&self, screen: &mut Screen) -> Result<(), Error> {
        for (user, thing) in [("alice", "Teapot"), ("bob", "Bicycle")] {
            let credentials = self.login(user).await?;
            let client = self.client(&self.negotiator(credentials)?.delegate(Delegation::IfTrusted));
            let new = json!({ "title": thing, "price": 12 });
            Answer::of(client.post(self.url("/ads")).json(&new).send().await?).await?.is(StatusCode::CREATED)?;
            let trace = TraceContext::start();
            let headers = HeaderMap::from_iter([(HeaderName::from_static(TRACEPARENT), trace.to_string().parse()?)]);
            let mine = client.get(self.url("/ads/mine")).headers(headers).send().await?;
            let mine = Answer::of(mine).await?.is(StatusCode::OK)?;
            let seen = ["user_service", "ad_service", "gateway"].map(|service| format!("{service} {user}"));
            expect(&mine.seen(), &seen.each_ref().map(String::as_str))?;
            let titles: Vec<_> = mine.body["ads"].as_array().into_iter().flatten().map(|ad| &ad["title"]).collect();
            if mine.body["profile"]["name"] != user || titles.iter().any(|title| **title != thing) {
                return Err(format!("{user} got what is somebody else's: {}", mine.body).into());
            }
            for service in self.services {
                service.says(&[&trace.trace_id(), user]).await?;
            }
            screen.tried(&format!("{user}, with tickets handed on"), "sells, and each service sees who it is")?;
        }
        screen.tried("one trace id", "is in the logs of all three")
    }

    async fn by_session(&self, screen: &mut Screen) -> Result<(), Error> {
        let client = self.client(&self.negotiator(self.login("alice").await?)?.sessions_over_plain_http());
        for by in ["ticket", "session"] {
            let answer = Answer::of(client.get(self.url("/ads")).send().await?).await?.is(StatusCode::OK)?;
            self.gateway.says(&[&answer.trace, &format!("\"by\":\"{by}\"")]).await?;
        }
        screen.tried("alice again, with the cookie she got", "is known, without a ticket")
    }

    async fn with_a_ticket_for_another(&self, screen: &mut Screen) -> Result<(), Error> {
        let token = token(&self.login("alice").await?, ADS.principal).await?;
        let answer = self.present(&token).await?.is(StatusCode::UNAUTHORIZED)?;
        self.gateway.says(&[&answer.trace, "refused", "KRB_AP_ERR"]).await?;
        screen.tried("a ticket for another service", "401, and the log says why")
    }

    async fn again(&self, screen: &mut Screen) -> Result<(), Error> {
        let token = token(&self.login("alice").await?, GATEWAY.principal).await?;
        self.present(&token).await?.is(StatusCode::OK)?;
        let answer = self.present(&token).await?.is(StatusCode::UNAUTHORIZED)?;
        self.gateway.says(&[&answer.trace, ErrorCode::REPEAT.name()]).await?;
        screen.tried("the same token twice", "401, and the log says why")
    }

    /// Sends a token as anybody could who has listened.
    async fn present(&self, token: &str) -> Result<Answer, Error> {
        let request = self.connections.get(self.url("/ads")).header(AUTHORIZATION, format!("Negotiate {token}"));
        Answer::of(request.send().await?).await
    }

    async fn locked_out(&self, screen: &mut Screen) -> Result<(), Error> {
        let early = self.login("bob").await?;
        self.realm.set_locked("bob", true)?;
        let late = self.login("bob").await;
        let ticket = early.ticket(&Principal::parse(GATEWAY.principal, Some(early.principal().realm()))?).await;
        self.realm.set_locked("bob", false)?;
        match (late.err(), ticket.err()) {
            (Some(late), Some(libkrb::Error::Protocol { code: ErrorCode::CLIENT_REVOKED, .. })) => {
                screen.tried("bob, locked out", &format!("no ticket: {late}"))
            }
            outcome => Err(format!("bob is locked out, and yet: {outcome:?}").into()),
        }
    }
}

/// A token for a service, as it stands in the Authorization header.
async fn token(credentials: &Credentials, service: &str) -> Result<String, Error> {
    let principal = Principal::parse(service, Some(credentials.principal().realm()))?;
    let mut context = credentials.initiator(&Spn::from(principal), Initiation::default()).await?;
    match context.step(credentials.clock(), &mut OsRandom::new(), None)? {
        InitiatorStep::Continue(token) | InitiatorStep::Done(_, Some(token)) => Ok(STANDARD.encode(token)),
        InitiatorStep::Done(_, None) => Err("a context without a token".into()),
    }
}

fn expect(found: &[String], expected: &[&str]) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(format!("{expected:?} was expected, and {found:?} came").into()) }
}
