//! The client's end: a login, a ticket and a context, all through the service.

use super::{Conversation, Read, proxy_token, read, reframed};
use crate::ccache::Credential;
use crate::client::{AsExchange, AsRequest, ClockOffset, Exchange, Outcome, Secret, Step, TgsExchange, TgsRequest};
use crate::crypto::Random;
use crate::error::{Error, Result};
use crate::gss::{InitiatorOptions, InitiatorStep, krb5};
use crate::name::Principal;
use crate::time::Instant;
use crate::wire::IakerbRealm;

/// Who logs in, and for which service.
#[derive(Debug)]
pub struct Login {
    /// The first ticket.
    pub request: AsRequest,
    /// What the client proves itself with.
    pub secret: Secret,
    /// The service that is talked to, and that the ticket is for.
    pub service: Principal,
    /// Whether realms are written as the draft has it, which MIT krb5 reads from 1.22 on, and not as MIT before that.
    pub as_drafted: bool,
}

impl Login {
    /// A login that every MIT krb5 up to 1.21 understands, and we.
    pub fn new(request: AsRequest, secret: Secret, service: Principal) -> Login {
        Login { request, secret, service, as_drafted: false }
    }
}

/// An initiator's part of the conversation.
pub(in crate::gss) struct Initiator {
    state: State,
    service: Principal,
    as_drafted: bool,
    options: Option<InitiatorOptions>,
    conversation: Conversation,
    offset: ClockOffset,
    got: Vec<Credential>,
}

enum State {
    First(Box<AsExchange>),
    Ticket(Box<TgsExchange>),
    Context(Box<krb5::Initiator>),
    Over,
}

impl Initiator {
    pub fn new(login: Login, options: InitiatorOptions) -> Initiator {
        Initiator {
            state: State::First(Box::new(AsExchange::new(login.request, login.secret))),
            service: login.service,
            as_drafted: login.as_drafted,
            options: Some(options),
            conversation: Conversation::default(),
            offset: ClockOffset::default(),
            got: vec![],
        }
    }

    pub fn clock_offset(&self) -> Option<ClockOffset> {
        match &self.state {
            State::Context(context) => context.clock_offset(),
            _ => Some(self.offset),
        }
    }

    /// The tickets that were got, the first one first.
    pub fn tickets(&self) -> &[Credential] {
        &self.got
    }

    /// As [`crate::gss::InitiatorContext::step`].
    pub fn step(&mut self, now: Instant, random: &mut dyn Random, token: Option<&[u8]>) -> Result<InitiatorStep> {
        let mut reply = None;
        if let Some(token) = token {
            match (read(token)?, &mut self.state) {
                // An answer of the KDC, who is authenticated by what it says.
                (Read::Proxy { message, .. }, State::First(_) | State::Ticket(_)) => {
                    self.conversation.add(token)?;
                    reply = Some(message);
                }
                (Read::Kerberos(token), State::Context(context)) => {
                    return framed(context.step(self.offset.apply(now), random, Some(&token))?);
                }
                // The service refuses before it knows who we are.
                (Read::Kerberos(token), _) => return Err(krb5::refusal_of(&token)),
                _ => return Err(Error::Malformed("IAKERB: a token that is not the next one")),
            }
        }
        self.advance(now, random, reply)
    }

    /// Goes on with a message of a KDC until there is something to say to the service.
    fn advance(&mut self, now: Instant, random: &mut dyn Random, mut reply: Option<&[u8]>) -> Result<InitiatorStep> {
        loop {
            let (step, offset) = match &mut self.state {
                State::First(exchange) => (exchange.step(now, random, reply.take())?, exchange.clock_offset()),
                State::Ticket(exchange) => {
                    let step = exchange.step(self.offset.apply(now), random, reply.take())?;
                    (step, None)
                }
                State::Context(context) => return framed(context.step(self.offset.apply(now), random, None)?),
                State::Over => return Err(Error::Malformed("IAKERB: a token after the last one")),
            };
            match step {
                Step::Send { realm, message } => {
                    self.conversation.count()?;
                    let realm = if self.as_drafted { IakerbRealm::Text(&realm) } else { IakerbRealm::Octets(&realm) };
                    let token = proxy_token(self.conversation.bytes.is_empty(), realm, &message);
                    self.conversation.add(&token)?;
                    return Ok(InitiatorStep::Continue(token));
                }
                Step::Done(outcome) => {
                    self.offset = offset.unwrap_or(self.offset);
                    self.state = self.next(*outcome)?;
                }
            }
        }
    }

    /// What follows a ticket: another one, or the context.
    fn next(&mut self, outcome: Outcome) -> Result<State> {
        let ticket = outcome.credential;
        self.got.extend(outcome.hops);
        self.got.push(ticket.clone());
        match std::mem::replace(&mut self.state, State::Over) {
            State::First(_) if ticket.server != self.service => {
                let request = TgsRequest::new(ticket, self.service.clone());
                TgsExchange::new(request).map(Box::new).map(State::Ticket)
            }
            _ => {
                let options = self.options.take().ok_or(Error::Malformed("IAKERB: a ticket after the last one"))?;
                let conversation = std::mem::take(&mut self.conversation.bytes);
                let context = krb5::Initiator::new(&ticket, options)?.finishing(conversation);
                Ok(State::Context(Box::new(context)))
            }
        }
    }
}

fn framed(step: InitiatorStep) -> Result<InitiatorStep> {
    Ok(match step {
        InitiatorStep::Continue(token) => InitiatorStep::Continue(reframed(token)),
        InitiatorStep::Done(context, token) => InitiatorStep::Done(context, token.map(reframed)),
    })
}
