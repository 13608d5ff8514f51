//! A middleware of reqwest's clients. It follows redirects itself: reqwest would take a token along
//! to where it is a replay. Not here: what a request bears ([`super::exchange`]).

use std::future::Future;
use std::pin::Pin;

use http::{Extensions, Uri};
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error, Middleware, Next};

use super::exchange::{Exchange, Verdict, note_foreign};
use super::{Negotiator, redirect};
use crate::gss::ChannelBindings;

/// As many redirects as reqwest follows.
const REDIRECTS: usize = 10;

/// Speaks Negotiate within a client of reqwest, whose own redirects have to be off:
/// [`Negotiator::reqwest`] builds such a client.
#[derive(Clone, Debug)]
pub struct NegotiateMiddleware {
    negotiator: Negotiator,
    redirects: usize,
}

impl Negotiator {
    /// A client of reqwest that speaks Negotiate. It follows ten redirects, each as a request of its
    /// own: to another origin goes no header that is secret, and a token only where one may go.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use libkrb::credentials::Credentials;
    /// use libkrb::http::client::{Hosts, Negotiator};
    ///
    /// let credentials = Credentials::from_keytab("FILE:/etc/krb5.keytab").start().await?;
    /// let negotiator = Negotiator::new(credentials, Hosts::https(["*.example.org"])?);
    /// let client = negotiator.reqwest(reqwest::Client::builder())?;
    /// let ads = client.get("https://ads.example.org/list").send().await?.text().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of reqwest, for instance for certificates that cannot be read.
    pub fn reqwest(&self, builder: reqwest::ClientBuilder) -> reqwest::Result<ClientWithMiddleware> {
        let client = builder.redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(ClientBuilder::new(client).with(self.middleware()).build())
    }

    /// The middleware alone, for a stack of several. The client below has to be built with
    /// `redirect(Policy::none())`: a request that was redirected there is an error here.
    pub fn middleware(&self) -> NegotiateMiddleware {
        NegotiateMiddleware { negotiator: self.clone(), redirects: REDIRECTS }
    }
}

impl NegotiateMiddleware {
    /// How many redirects are followed. An answer that would be one more is an error; with 0 every
    /// redirect is an answer as others are.
    #[must_use]
    pub fn redirects(self, most: usize) -> NegotiateMiddleware {
        NegotiateMiddleware { redirects: most, ..self }
    }

    async fn run(&self, mut request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response, Error> {
        for _ in 0..=self.redirects {
            // What has no body that can be had again is followed only where none is needed.
            let copy = request.try_clone();
            let head = copy.as_ref().map_or_else(|| bodiless(&request), bodiless);
            let answer = self.send(request, extensions, &next).await?;
            let followed = match self.redirects {
                0 => None,
                _ => redirect::follow(&head, || copy, answer.status(), answer.headers()),
            };
            match followed {
                Some(following) => request = following,
                None => return Ok(answer),
            }
        }
        Err(failed(crate::Error::Setting(format!("more than {} redirects", self.redirects))))
    }

    /// Sends a request without following where its answer leads.
    async fn send(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: &Next<'_>,
    ) -> Result<Response, Error> {
        let url: Uri = request.url().as_str().parse().map_err(Error::middleware)?;
        let bindings = extensions.get::<ChannelBindings>().cloned();
        let begun = Exchange::begin(&self.negotiator, &url, request.headers(), bindings.as_ref()).await;
        let Some(mut exchange) = begun.map_err(failed)? else {
            let answer = next.clone().run(request, extensions).await?;
            note_foreign(&url, answer.status(), answer.headers());
            return Ok(answer);
        };
        let spare = request.try_clone();
        loop {
            exchange.dress(request.headers_mut());
            let asked = request.url().clone();
            let mut answer = next.clone().run(request, extensions).await?;
            if answer.url() != &asked {
                let problem = "the client follows redirects by itself: build it with redirect(Policy::none())";
                return Err(failed(crate::Error::Setting(problem.to_owned())));
            }
            let judged = exchange.answered(answer.status(), answer.headers()).map_err(failed)?;
            let (standing, copy) = match judged {
                Verdict::Pass(standing) => (standing, None),
                Verdict::Again(standing) => (standing, spare.as_ref().and_then(Request::try_clone)),
            };
            let Some(copy) = copy else {
                answer.extensions_mut().insert(standing);
                return Ok(answer);
            };
            request = copy;
            exchange.again().await.map_err(failed)?;
        }
    }
}

/// A request's head, to make others of.
fn bodiless(request: &Request) -> Request {
    let mut head = Request::new(request.method().clone(), request.url().clone());
    *head.headers_mut() = request.headers().clone();
    *head.timeout_mut() = request.timeout().copied();
    head
}

fn failed(error: crate::Error) -> Error {
    Error::middleware(error)
}

impl Middleware for NegotiateMiddleware {
    // What async_trait makes of an async fn.
    fn handle<'a, 'b, 'c, 'd>(
        &'a self,
        request: Request,
        extensions: &'b mut Extensions,
        next: Next<'c>,
    ) -> Pin<Box<dyn Future<Output = Result<Response, Error>> + Send + 'd>>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
        Self: 'd,
    {
        Box::pin(self.run(request, extensions, next))
    }
}
