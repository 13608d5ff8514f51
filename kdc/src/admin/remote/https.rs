//! The API over TLS: a ticket straight from the password, keytab or cache, bound to the server's
//! certificate, with every request, and the server's proof checked in every answer. Not here: what
//! is asked.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use libkrb::ccache::{CacheName, Credential};
use libkrb::client::{AsRequest, ClockOffset, Secret};
use libkrb::config::Config;
use libkrb::crypto::OsRandom;
use libkrb::gss::{ChannelBindings, InitiatorContext, InitiatorOptions, InitiatorStep, Mechanism};
use libkrb::keytab::KeytabName;
use libkrb::net::{Client as Tickets, Transport, as_request};
use libkrb::time::Instant;
use libkrb::{Error, Principal, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::MAX_ANSWER;
use crate::admin::api::Call;

/// How long a connection may take, and how long an answer: a batch of passwords takes long.
const CONNECT: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(300);

/// Where the API is.
#[derive(Clone, Debug)]
pub struct Server {
    /// The host, by the name that its certificate and its principal have.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The authority of its certificate, in PEM; the system's, if none.
    pub ca: Option<PathBuf>,
    /// The principal that it is, if not `HTTP/host` of the caller's realm.
    pub service: Option<Principal>,
}

/// How a caller proves who it is.
pub enum Proof {
    /// By a password, typed when the KDC asks for it.
    Password(Principal, Secret),
    /// By the key in a keytab.
    Keytab(Principal, KeytabName),
    /// By the tickets in a cache.
    Cache(CacheName),
}

/// A caller of an API.
pub(super) struct Client {
    server: Server,
    name: ServerName<'static>,
    tls: TlsConnector,
    ticket: Arc<Credential>,
    offset: ClockOffset,
    runtime: Runtime,
}

impl Client {
    /// Gets the ticket that every request shows.
    pub(super) fn log_in(server: Server, proof: Proof) -> Result<Client> {
        let setting = |text: String| Error::Setting(text);
        let name = ServerName::try_from(server.host.clone());
        let name = name.map_err(|_| setting(format!("{:?} is no name of a host", server.host)))?;
        let tls = TlsConnector::from(Arc::new(trusting(server.ca.as_ref())?));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| setting(format!("no way to wait for the network: {error}")))?;
        let environment = libkrb::config::Environment::from_process();
        let transport = Transport::new(Arc::new(Config::load(&environment)?));
        let (ticket, offset) = runtime.block_on(ticket(&transport, &server, proof))?;
        Ok(Client { server, name, tls, ticket, offset, runtime })
    }

    /// The status and the body of the response to a call.
    pub(super) fn ask(&self, call: &Call) -> Result<(u16, Zeroizing<Vec<u8>>), String> {
        let asked = self.runtime.block_on(async {
            let stream = tokio::time::timeout(CONNECT, self.connect()).await;
            let stream = stream.map_err(|_| "the connection takes too long".to_owned())??;
            let asked = tokio::time::timeout(PATIENCE, self.exchange(stream, call)).await;
            asked.map_err(|_| "the answer takes too long".to_owned())?
        });
        asked.map_err(|error| format!("https://{}:{}: {error}", self.server.host, self.server.port))
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, String> {
        let stream =
            TcpStream::connect((&*self.server.host, self.server.port)).await.map_err(|error| error.to_string())?;
        let _ = stream.set_nodelay(true);
        self.tls.connect(self.name.clone(), stream).await.map_err(|error| format!("{error}; --ca names the authority"))
    }

    async fn exchange(&self, stream: TlsStream<TcpStream>, call: &Call) -> Result<(u16, Zeroizing<Vec<u8>>), String> {
        let words = |error: Error| error.to_string();
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        // A certificate whose signature has no hash of its own binds nothing.
        let bindings = certificate.and_then(|certificate| ChannelBindings::of_certificate(certificate).ok());
        let options = InitiatorOptions { bindings, mechanism: Mechanism::Spnego, ..InitiatorOptions::default() };
        let mut context = InitiatorContext::new(&self.ticket, options).map_err(words)?;
        let first = context.step(self.now(), &mut OsRandom::new(), None).map_err(words)?;
        let (InitiatorStep::Continue(token) | InitiatorStep::Done(_, Some(token))) = first else {
            return Err("there is no token to send".into());
        };
        let request = self.request(call, &token)?;
        let broken = |error: hyper::Error| error.to_string();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let driven = tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let proof = response.headers().get(header::WWW_AUTHENTICATE).and_then(|proof| proof.to_str().ok());
        let proof = proof.and_then(|proof| STANDARD.decode(proof.strip_prefix("Negotiate ")?.trim()).ok());
        let proven = match proof {
            Some(proof) => context.step(self.now(), &mut OsRandom::new(), Some(&proof)).map(|_| ()),
            None => Err(Error::Setting("the server did not prove itself".into())),
        };
        if status == StatusCode::UNAUTHORIZED {
            let why = proven.err().map(|error| format!(": {error}")).unwrap_or_default();
            return Err(format!("the server does not take the ticket for {}{why}", self.ticket.server));
        }
        // Statuses of 500 and more come from gateways too, which prove nothing and are no answer.
        if !status.is_server_error() {
            proven.map_err(words)?;
        }
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
        driven.abort();
        Ok((status.as_u16(), Zeroizing::new(body.to_bytes().to_vec())))
    }

    fn request(&self, call: &Call, token: &[u8]) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::builder()
            .method(call.route.method())
            .uri(&call.target)
            .header(header::HOST, format!("{}:{}", self.server.host, self.server.port))
            .header(header::CONNECTION, "close")
            .header(header::AUTHORIZATION, format!("Negotiate {}", STANDARD.encode(token)));
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        if call.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = call.body.as_deref().cloned().unwrap_or_default();
        request.body(Full::new(Bytes::from(body))).map_err(|error| error.to_string())
    }

    fn now(&self) -> Instant {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.offset.apply(Instant::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// What lies at a path of the API for whoever asks, without a proof of either side but the certificate.
///
/// # Errors
/// Why there is no answer.
pub fn fetch(server: &Server, path: &str) -> Result<(u16, Vec<u8>), String> {
    let Server { host, port, ca, .. } = server;
    let name = ServerName::try_from(host.clone()).map_err(|_| format!("{host:?} is no name of a host"))?;
    let tls = TlsConnector::from(Arc::new(trusting(ca.as_ref()).map_err(|error| error.to_string())?));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no way to wait for the network: {error}"))?;
    let request = Request::get(path).header(header::HOST, format!("{host}:{port}")).body(Full::new(Bytes::new()));
    let request = request.map_err(|error| error.to_string())?;
    let exchange = async {
        let stream = TcpStream::connect((&**host, *port)).await.map_err(|error| error.to_string())?;
        let stream = tls.connect(name, stream).await.map_err(|error| format!("{error}; --ca names the authority"))?;
        let broken = |error: hyper::Error| error.to_string();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let driven = tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
        driven.abort();
        Ok::<_, String>((status, body.to_bytes().to_vec()))
    };
    let asked = runtime.block_on(async { tokio::time::timeout(CONNECT, exchange).await });
    let asked = asked.unwrap_or_else(|_| Err("the answer takes too long".into()));
    asked.map_err(|error| format!("https://{host}:{port}: {error}"))
}

/// The ticket for the API, from the KDC itself where there is a key: it is initial then, as changing
/// the own password demands.
async fn ticket(transport: &Transport, server: &Server, proof: Proof) -> Result<(Arc<Credential>, ClockOffset)> {
    let service = |realm: &str| {
        let host = server.host.to_ascii_lowercase();
        server.service.clone().unwrap_or_else(|| Principal::service("HTTP", &host, realm))
    };
    let (client, secret) = match proof {
        Proof::Cache(name) => {
            let tickets = Tickets::with_cache(transport.clone(), name).await?;
            let realm = tickets.principal().realm().to_owned();
            return Ok((tickets.ticket(&service(&realm)).await?, ClockOffset::default()));
        }
        Proof::Password(client, secret) => (client, secret),
        Proof::Keytab(client, name) => {
            let keytab = name.load()?;
            let own = keytab.entries.iter().filter(|entry| entry.principal == client);
            let keys = own.filter_map(|entry| Some((entry.kvno, entry.key.key().ok()?))).collect();
            (client, Secret::Keys(keys))
        }
    };
    let server = Some(service(client.realm()));
    let request = AsRequest { server, renewable_for: None, ..as_request(transport.config(), client) };
    let login = transport.login(request, secret).await?;
    Ok((Arc::new(login.outcome.credential), login.offset.unwrap_or_default()))
}

fn trusting(ca: Option<&PathBuf>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(file) => {
            let wrong = |error: &dyn std::fmt::Display| Error::file(file, format!("no certificates in PEM: {error}"));
            for root in CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))? {
                roots.add(root.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
            }
        }
        // What can't be read among the system's is not believed.
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::Setting(error.to_string()))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
