//! One search through the servers of a realm: who is asked when, and what an answer means for the
//! search. Not here: how one server is asked ([`super::candidate`]) and the deadline of the whole
//! ([`super::transport`]).

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::candidate::{Candidate, Question};
#[cfg(feature = "kkdcp")]
use super::https::Proxy;
use super::locate::Service;
use super::transport::Transport;
use crate::codes::MessageType;
use crate::config::{self, Server};
use crate::error::ErrorCode;
use crate::wire::{KpasswdReply, KrbError, application_tag, decode};

/// More addresses of one host than this are not tried.
const MAX_ADDRESSES: usize = 16;

/// Where the protocol's codes begin among MIT's error numbers, which people search for.
const MIT_ERRORS: i64 = -1_765_328_384;

/// What a request may travel over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    UdpFirst,
    TcpFirst,
    OnlyTcp,
}

/// How a search ends.
pub(super) enum Found {
    Answer(Vec<u8>),
    /// This address has an answer that no datagram can carry.
    TooBig(SocketAddr),
    /// Every candidate failed.
    Nothing,
}

/// What comes next in a search.
enum Step {
    Resolve(Server),
    Ask(Candidate),
}

/// What a task of the search came to.
enum Event {
    Resolved { server: Server, addresses: io::Result<Vec<SocketAddr>> },
    Asked { candidate: Candidate, answer: io::Result<Vec<u8>> },
}

/// One search through the servers of a realm.
pub(super) struct Search<'a> {
    transport: &'a Transport,
    service: Service,
    realm: Arc<str>,
    servers: Vec<Server>,
    message: Arc<[u8]>,
    strategy: Strategy,
    /// Where an answer waits that was too big for UDP.
    first: Option<SocketAddr>,
    /// Steps for now, then those that wait until every server had its turn.
    now: VecDeque<Step>,
    later: VecDeque<Step>,
    tasks: JoinSet<Event>,
    /// Whether a KDC said that it is unavailable.
    pub(super) unavailable: bool,
}

impl<'a> Search<'a> {
    /// A search for an answer of `realm`.
    pub(super) fn new(
        transport: &'a Transport,
        (service, realm): (Service, &str),
        servers: Vec<Server>,
        message: &[u8],
    ) -> Search<'a> {
        let (now, later, tasks, message) = (VecDeque::new(), VecDeque::new(), JoinSet::new(), message.into());
        let (realm, strategy, first, unavailable) = (realm.into(), Strategy::UdpFirst, None, false);
        Search { transport, service, realm, servers, message, strategy, first, now, later, tasks, unavailable }
    }

    /// Asks one candidate after the other, the next one as soon as one fails or after the time
    /// that the pace gives, and takes the first answer of any. `first` is asked before the others.
    pub(super) async fn run(&mut self, strategy: Strategy, first: Option<SocketAddr>) -> Found {
        self.tasks = JoinSet::new();
        (self.strategy, self.first) = (strategy, first);
        self.now = first.map(|address| Step::Ask(Candidate::Tcp(address))).into_iter().collect();
        self.now.extend(self.servers.iter().cloned().map(Step::Resolve));
        self.later.clear();
        let mut next = Instant::now();
        loop {
            let idle = self.now.is_empty() && self.later.is_empty();
            if idle && self.tasks.is_empty() {
                return Found::Nothing;
            }
            // At once: timers go in milliseconds, an exchange on one machine in tenths of one.
            if !idle && next <= Instant::now() {
                next = Instant::now() + self.transport.pace.next;
                self.step();
                continue;
            }
            tokio::select! {
                Some(event) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    // A task that was lost is a candidate that failed.
                    let Ok(event) = event else { next = Instant::now(); continue };
                    match event {
                        Event::Resolved { server, addresses } => self.resolved(server, addresses),
                        Event::Asked { candidate, answer } => {
                            if let Some(found) = self.judge(&candidate, answer) {
                                return found;
                            }
                        }
                    }
                    next = Instant::now();
                }
                () = sleep_until(next), if !idle => {
                    next = Instant::now() + self.transport.pace.next;
                    self.step();
                }
            }
        }
    }

    /// Begins the next step.
    fn step(&mut self) {
        let transport = self.transport.clone();
        match self.now.pop_front().or_else(|| self.later.pop_front()) {
            Some(Step::Resolve(server)) => {
                self.tasks.spawn(async move {
                    let addresses = transport.addresses(&server).await;
                    Event::Resolved { server, addresses }
                });
            }
            Some(Step::Ask(candidate)) => {
                let (message, realm) = (self.message.clone(), self.realm.clone());
                let plausible = match self.service {
                    Service::Kdc | Service::PrimaryKdc => is_kdc_answer,
                    Service::Kpasswd => |bytes: &[u8]| KpasswdReply::decode(bytes).is_ok(),
                    Service::Kadmin => |_: &[u8]| true,
                };
                self.tasks.spawn(async move {
                    let (trace, repeat) = (transport.trace(), transport.pace.repeat);
                    let question =
                        Question { realm: &realm, message: &message, repeat, plausible, trace, transport: &transport };
                    let answer = question.ask(&candidate).await;
                    Event::Asked { candidate, answer }
                });
            }
            None => {}
        }
    }

    /// Puts the addresses of a server in line: the ways that suit the message now, others later.
    fn resolved(&mut self, server: Server, addresses: io::Result<Vec<SocketAddr>>) {
        let addresses = match (&server, addresses) {
            (Server::Unix(path), _) => return self.now.push_front(Step::Ask(Candidate::Unix(path.clone()))),
            (_, Ok(addresses)) => addresses,
            (_, Err(error)) => return self.transport.trace().line(format_args!("No address for {server}: {error}")),
        };
        #[cfg(feature = "kkdcp")]
        if let Server::Https { host, port, path } = server {
            let proxy = Arc::new(Proxy { host, port, path });
            for address in addresses.into_iter().take(MAX_ADDRESSES).rev() {
                self.now.push_front(Step::Ask(Candidate::Https(Arc::clone(&proxy), address)));
            }
            return;
        }
        let (udp, tcp) = match server {
            Server::Host { transport: config::Transport::Udp, .. } => (true, false),
            Server::Host { transport: config::Transport::Tcp, .. } => (false, true),
            _ => (true, true),
        };
        let udp = udp && self.strategy != Strategy::OnlyTcp;
        let ways = |make: fn(SocketAddr) -> Candidate, wanted: bool| -> Vec<Step> {
            let fresh = addresses.iter().filter(|address| wanted && Some(**address) != self.first);
            fresh.take(MAX_ADDRESSES).map(|address| Step::Ask(make(*address))).collect()
        };
        let (udp, tcp) = (ways(Candidate::Udp, udp), ways(Candidate::Tcp, tcp));
        let (now, later) = if self.strategy == Strategy::UdpFirst { (udp, tcp) } else { (tcp, udp) };
        for step in now.into_iter().rev() {
            self.now.push_front(step);
        }
        self.later.extend(later);
    }

    /// What an answer, or none, means for the search: `None` to go on.
    fn judge(&mut self, candidate: &Candidate, answer: io::Result<Vec<u8>>) -> Option<Found> {
        let trace = self.transport.trace();
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                trace.line(format_args!("{} error with {candidate}: {error}", candidate.kind()));
                return None;
            }
        };
        let code = error_code(&answer);
        if let Some(code) = code {
            trace.line(format_args!("Received error from KDC: {}/{code}", i64::from(code.0) + MIT_ERRORS));
        }
        match (code, candidate) {
            (Some(ErrorCode::RESPONSE_TOO_BIG), Candidate::Udp(address)) => Some(Found::TooBig(*address)),
            (Some(ErrorCode::SVC_UNAVAILABLE), _) => {
                trace.line(format_args!("{candidate} is unavailable; trying the next KDC"));
                self.unavailable = true;
                None
            }
            _ => Some(Found::Answer(answer)),
        }
    }
}

/// AS-REP, TGS-REP or KRB-ERROR; KRB-PRIV with the keys of who fetches them.
fn is_kdc_answer(bytes: &[u8]) -> bool {
    let kinds = [MessageType::AS_REP, MessageType::TGS_REP, MessageType::PRIV, MessageType::ERROR];
    application_tag(bytes).is_some_and(|tag| kinds.contains(&MessageType(tag.into())))
}

fn error_code(answer: &[u8]) -> Option<ErrorCode> {
    if application_tag(answer) != Some(30) {
        return None;
    }
    decode::<KrbError<'_>>(answer).ok().map(|error| error.code)
}
