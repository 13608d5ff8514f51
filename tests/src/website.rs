//! A small server behind libkrb's HTTP layer, in the test's own process, for browsers and other
//! clients of HTTP to call. Its page says who called and how.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::http::header::WWW_AUTHENTICATE;
use axum::middleware::map_response;
use axum::response::{Html, Response};
use axum::routing::get;
use libkrb::gss::ContextFlags;
use libkrb::http::Caller;
use libkrb::http::server::{Counters, EachConnection, NegotiateLayer};
use tokio::runtime::Runtime;

use crate::library::acceptor;
use crate::{Port, Realm};

/// The principal of a website that is called by the name localhost.
pub const SERVICE: &str = "HTTP/localhost";

/// A running website. Gone when dropped.
pub struct Website {
    port: Port,
    counters: Arc<Counters>,
    // Dropped with the site, and its connections with it.
    _runtime: Runtime,
}

impl Website {
    /// The website of a realm at localhost.
    pub fn of(realm: &Realm) -> Website {
        Website::with(&realm.add_service(SERVICE), |layer| layer)
    }

    /// A website with the keys of a keytab, and a layer that is told more.
    pub fn with(keytab: &Path, more: impl Fn(NegotiateLayer) -> NegotiateLayer) -> Website {
        let (router, counters) = pages(keytab, more);
        Website::serve(router, counters)
    }

    fn serve(router: Router, counters: Arc<Counters>) -> Website {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime for the website");
        let port = Port::claim();
        // Bound when this returns: a client need not wait.
        let listener = runtime.block_on(tokio::net::TcpListener::bind(port.address())).expect("the website's port");
        runtime.spawn(async move { axum::serve(listener, EachConnection::new(router.into_make_service())).await });
        Website { port, counters, _runtime: runtime }
    }

    /// Its page, called by this name.
    pub fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/", self.port.number())
    }

    /// The same page without the server's proof.
    pub fn silent_url(&self, host: &str) -> String {
        format!("{}silent", self.url(host))
    }

    /// A page that lets a browser fetch the page once more and shows both.
    pub fn twice_url(&self, host: &str) -> String {
        format!("{}twice", self.url(host))
    }

    /// The number of its port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// What became of the requests so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// The pages of a website, for those who serve them in another way, and what is counted of them.
pub fn pages(keytab: &Path, more: impl Fn(NegotiateLayer) -> NegotiateLayer) -> (Router, Arc<Counters>) {
    let counters = Arc::new(Counters::default());
    let layer = more(NegotiateLayer::new(Arc::new(acceptor(keytab))).observer(counters.clone()));
    // A page on which the server's proof gets lost, as behind a proxy that drops it.
    let silent = Router::new().route("/silent", get(page)).layer(layer.clone()).layer(map_response(without_proof));
    let router = Router::new().route("/", get(page)).route("/twice", get(twice)).layer(layer);
    (router.merge(silent), counters)
}

async fn without_proof(mut answer: Response) -> Response {
    if answer.status().is_success() {
        answer.headers_mut().remove(WWW_AUTHENTICATE);
    }
    answer
}

async fn twice(caller: Caller) -> Html<String> {
    let again = "let again = new XMLHttpRequest(); again.open('GET', '/', false); again.send(); \
                 document.write('then ' + again.responseText);";
    Html(format!("first {}<script>{again}</script>", page(caller).await))
}

/// What is known of a caller, a word each.
async fn page(caller: Caller) -> String {
    let mutual = caller.context_flags().has(ContextFlags::MUTUAL);
    let delegated = caller.delegated().and_then(|cred| cred.tickets.first());
    let delegated = delegated.map_or("nothing".to_owned(), |ticket| format!("{} of {}", ticket.server, ticket.client));
    format!("caller {caller} how {:?} mutual {mutual} delegated {delegated}\n", caller.how())
}
