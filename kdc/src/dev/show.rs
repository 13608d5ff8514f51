//! The life of a ticket, in five acts: real messages between a client, the KDC and a service, with
//! the time that each answer took. Whatever does not go as it must ends the show with an error.

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use libkrb::ErrorCode;
use libkrb::ccache::Credential;
use libkrb::client::{ApExchange, ApRequest, AsExchange, AsRequest, Exchange, Secret, Step, TgsExchange, TgsRequest};
use libkrb::crypto::OsRandom;
use libkrb::keytab::KeytabName;
use libkrb::preauth::KeyHint;
use libkrb::wire::{self, KrbError};

use super::realm::Realm;
use super::screen::{Line, Screen};
use super::service::{self, Service, now};
use crate::error::{Error, Result};
use crate::init::Addresses;

/// How long anything on this machine may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Plays all acts.
pub fn show(screen: &mut Screen, realm: &Realm, kdc: &Addresses) -> Result<()> {
    let service = Service::start(&KeytabName::File(realm.keytab().to_owned()).load()?)?;
    let mut stage = Stage { screen, kdc: connect(kdc)?, service: service.address };
    stage.screen.title("The life of a ticket")?;
    let tgt = stage.login(realm)?;
    let ticket = stage.ticket(realm, tgt)?;
    let ap_req = stage.meeting(&service, ticket)?;
    stage.replay(&ap_req)?;
    stage.wrong_password(realm)
}

struct Stage<'a> {
    screen: &'a mut Screen,
    kdc: Way,
    service: SocketAddr,
}

impl Stage<'_> {
    fn login(&mut self, realm: &Realm) -> Result<Credential> {
        self.screen.act(1, "AS exchange", "alice proves to the KDC that she knows her password")?;
        let request = AsRequest::new(realm.user().clone());
        let mut exchange = AsExchange::new(request, Secret::password(realm.password()));
        let requests = ["who she is, and no proof yet", "the time, in the key of her password"];
        let tgt = self.drive(&mut exchange, &requests).map_err(|error| match error {
            Error::Krb(libkrb::Error::PasswordIncorrect) => {
                let problem = "not alice's password any more; remove this file, and she gets a new one";
                Error::file(realm.password_file(), problem)
            }
            other => other,
        })?;
        self.describe(&tgt)?;
        Ok(tgt)
    }

    fn ticket(&mut self, realm: &Realm, tgt: Credential) -> Result<Credential> {
        self.screen.act(2, "TGS exchange", "with that ticket she gets one for the service, without a password")?;
        let mut exchange = TgsExchange::new(TgsRequest::new(tgt, realm.service().clone()))?;
        let ticket = self.drive(&mut exchange, &["the ticket, and the time in its key"])?;
        self.describe(&ticket)?;
        Ok(ticket)
    }

    fn meeting(&mut self, service: &Service, ticket: Credential) -> Result<Vec<u8>> {
        self.screen.act(3, "AP exchange", "alice and the service prove themselves to each other, over TCP")?;
        let request = ApRequest::default();
        let (exchange, ap_req) = ApExchange::new(&ticket, &request, now(), &mut OsRandom::new())?;
        let reply = self.call(&ap_req, "the ticket, and the time in its key", "the same time, in the same key")?;
        exchange.finish(&reply)?;
        let caller = service.caller().ok_or(unexpected("the service heard nobody"))?;
        self.screen.thought("service", &format!("knows that this is {caller}"), None)?;
        self.screen.thought("alice", "knows that this is the service", None)?;
        Ok(ap_req)
    }

    fn replay(&mut self, ap_req: &[u8]) -> Result<()> {
        self.screen.act(4, "A replay", "somebody who listened sends the same AP-REQ again")?;
        let reply = self.call(ap_req, "the same bytes", "")?;
        expect(refusal(&reply), ErrorCode::REPEAT)
    }

    fn wrong_password(&mut self, realm: &Realm) -> Result<()> {
        self.screen.act(5, "A guess", "somebody tries a password")?;
        let first = realm.config().keys.etypes.first().copied();
        let mut request = AsRequest::new(realm.user().clone());
        request.key_hint = first.map(KeyHint::plain);
        let mut exchange = AsExchange::new(request, Secret::password("password"));
        match exchange.step(now(), &mut OsRandom::new(), None)? {
            Step::Send { message, .. } => {
                let answer = self.ask(&message, "the time, in the key of a wrong password")?;
                expect(refusal(&answer), ErrorCode::PREAUTH_FAILED)
            }
            Step::Done(_) => Err(unexpected("a ticket without a question")),
        }
    }

    /// Carries an exchange's messages to the KDC and back, each request with the words that go with
    /// it.
    fn drive(&mut self, exchange: &mut dyn Exchange, requests: &[&str]) -> Result<Credential> {
        let (mut random, mut reply) = (OsRandom::new(), None::<Vec<u8>>);
        let mut requests = requests.iter();
        loop {
            let started = Instant::now();
            let step = exchange.step(now(), &mut random, reply.as_deref())?;
            // Worth a word: what the client's own work costs.
            let took = Some(started.elapsed()).filter(|_| reply.is_some());
            let message = match step {
                Step::Send { message, .. } => message,
                Step::Done(outcome) => return Ok(outcome.credential),
            };
            if took.is_some() {
                self.screen.thought("alice", "makes the key of her password", took)?;
            }
            let says = requests.next().copied().unwrap_or("once more");
            reply = Some(self.ask(&message, says)?);
        }
    }

    /// Sends a message to the KDC and shows what it answers.
    fn ask(&mut self, message: &[u8], says: &str) -> Result<Vec<u8>> {
        self.screen.message(&line(message, "-> KDC", says))?;
        let started = Instant::now();
        let answer = self.kdc.ask(message);
        let took = Some(started.elapsed());
        let answer = answer.map_err(|error| Error::Other(format!("the KDC does not answer: {error}")))?;
        let says = said(&answer, "the ticket, and its key for alice alone");
        self.screen.message(&Line { took, ..line(&answer, "<- KDC", &says) })?;
        Ok(answer)
    }

    /// Sends a message to the service and shows what it answers.
    fn call(&mut self, message: &[u8], says: &str, answer_says: &str) -> Result<Vec<u8>> {
        self.screen.message(&line(message, "-> service", says))?;
        let started = Instant::now();
        let answer = TcpStream::connect(self.service).and_then(|mut stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_nodelay(true)?;
            service::send(&mut stream, message)?;
            service::receive(&mut stream)
        });
        let took = Some(started.elapsed());
        let answer = answer.map_err(|error| Error::Other(format!("the service does not answer: {error}")))?;
        let says = said(&answer, answer_says);
        self.screen.message(&Line { took, ..line(&answer, "<- service", &says) })?;
        Ok(answer)
    }

    fn describe(&mut self, ticket: &Credential) -> Result<()> {
        let Credential { server, end_time, flags, key, .. } = ticket;
        let hours = (*end_time - now().time + 1800) / 3600;
        self.screen.thought("alice", &format!("holds a ticket for {}", server.without_realm()), None)?;
        self.screen.thought("", &format!("good for {hours} h, flags {}, {}", flags.letters(), key.etype), None)
    }
}

/// The way to the KDC.
enum Way {
    Udp(UdpSocket),
    Socket(UnixStream),
}

impl Way {
    fn ask(&mut self, message: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Way::Udp(socket) => {
                let mut answer = vec![0; 65_536];
                socket.send(message)?;
                let length = socket.recv(&mut answer)?;
                answer.truncate(length);
                Ok(answer)
            }
            Way::Socket(stream) => {
                service::send(stream, message)?;
                service::receive(stream)
            }
        }
    }
}

fn connect(kdc: &Addresses) -> Result<Way> {
    let lost = |place: String| move |error| Error::Other(format!("no way to the KDC at {place}: {error}"));
    if let Some(address) = kdc.kdc.first() {
        let own = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(own).and_then(|socket| {
            socket.connect(address)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok(Way::Udp(socket))
        });
        return socket.map_err(lost(address.to_string()));
    }
    let path = kdc.sockets.first().ok_or(Error::Other("no address to serve at".into()))?;
    let stream = UnixStream::connect(path).and_then(|stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Way::Socket(stream))
    });
    stream.map_err(lost(path.display().to_string()))
}

fn line<'a>(message: &[u8], way: &'a str, says: &'a str) -> Line<'a> {
    let name = match wire::application_tag(message) {
        Some(10) => "AS-REQ",
        Some(11) => "AS-REP",
        Some(12) => "TGS-REQ",
        Some(13) => "TGS-REP",
        Some(14) => "AP-REQ",
        Some(15) => "AP-REP",
        Some(30) => "KRB-ERROR",
        _ => "?",
    };
    Line { message: name, way, says, bytes: message.len(), took: None }
}

/// What a reply says: the code of an error, else what it is known to say.
fn said(reply: &[u8], otherwise: &str) -> String {
    refusal(reply).map_or(otherwise.to_owned(), |code| code.name().to_owned())
}

fn refusal(reply: &[u8]) -> Option<ErrorCode> {
    wire::decode::<KrbError<'_>>(reply).ok().map(|error| error.code)
}

fn expect(code: Option<ErrorCode>, expected: ErrorCode) -> Result<()> {
    match code {
        Some(code) if code == expected => Ok(()),
        _ => Err(unexpected(&format!("{} was expected", expected.name()))),
    }
}

fn unexpected(what: &str) -> Error {
    Error::Other(format!("the show went wrong: {what}"))
}
