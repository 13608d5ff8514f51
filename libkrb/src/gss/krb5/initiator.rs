//! The initiator of the Kerberos mechanism (RFC 4121 4.1).

use super::checksum::{Checksum, with_extension};
use super::{TokenId, frame, unframe};
use crate::ccache::Credential;
use crate::client::{ApExchange, ApRequest, ApSession, ClockOffset, Refusal};
use crate::codes::ChecksumType;
use crate::crypto::{Key, Random};
use crate::error::{Error, ErrorCode, Result};
use crate::gss::context::Opening;
use crate::gss::iakerb;
use crate::gss::{ChannelBindings, Context, ContextFlags, InitiatorOptions, InitiatorStep};
use crate::session::{CredTicket, Role, make_cred};
use crate::time::Instant;

/// An initiator's part of the exchange.
pub(in crate::gss) struct Initiator {
    flags: ContextFlags,
    state: State,
    /// When the AP-REQ was sent, by our clock.
    sent: Option<Instant>,
    /// How far the service's clock is ahead, where it refused ours.
    offset: Option<ClockOffset>,
}

enum State {
    Start(Box<Start>),
    /// The AP-REQ was sent.
    Sent(Box<ApExchange>),
    Over,
}

struct Start {
    ticket: Credential,
    bindings: Option<ChannelBindings>,
    delegated: Option<CredTicket>,
    /// What was said before, and has to be signed (IAKERB).
    conversation: Option<Vec<u8>>,
}

impl Initiator {
    pub fn new(ticket: &Credential, options: InitiatorOptions) -> Result<Initiator> {
        if options.flags.any(ContextFlags::DCE_STYLE) {
            return Err(Error::Setting("contexts in the style of DCE are not supported".to_owned()));
        }
        ticket.key.key()?;
        // Flags that nobody knows are not to be sent (RFC 4121 4.1.1.1).
        let flags = (options.flags & ContextFlags::KNOWN).with(ContextFlags::DELEGATE, options.delegated.is_some());
        let InitiatorOptions { bindings, delegated, .. } = options;
        let start = Start { ticket: ticket.clone(), bindings, delegated, conversation: None };
        Ok(Initiator { flags, state: State::Start(Box::new(start)), sent: None, offset: None })
    }

    /// The same, signing a conversation that went before.
    pub fn finishing(mut self, conversation: Vec<u8>) -> Initiator {
        if let State::Start(start) = &mut self.state {
            start.conversation = Some(conversation);
        }
        self
    }

    pub fn clock_offset(&self) -> Option<ClockOffset> {
        self.offset
    }

    /// As [`crate::gss::InitiatorContext::step`]. It ends with this, unless it goes on.
    pub fn step(&mut self, now: Instant, random: &mut dyn Random, token: Option<&[u8]>) -> Result<InitiatorStep> {
        match (std::mem::replace(&mut self.state, State::Over), token) {
            (State::Start(start), None) => self.start(&start, now, random),
            (State::Sent(exchange), Some(token)) => self.finish(*exchange, token),
            (State::Start(_), Some(_)) => Err(Error::Malformed("a token before the first one was sent")),
            (State::Sent(_), None) => Err(Error::Malformed("no answer to the first token")),
            (State::Over, _) => Err(Error::Malformed("a token after the last one")),
        }
    }

    fn start(&mut self, start: &Start, now: Instant, random: &mut dyn Random) -> Result<InitiatorStep> {
        let session_key = start.ticket.key.key()?;
        let handed = start.delegated.as_ref().map(std::slice::from_ref);
        let cred = handed.map(|handed| make_cred(&session_key, now, random, handed)).transpose()?;
        let checksum = Checksum {
            bindings: start.bindings.as_ref().map(ChannelBindings::hash).unwrap_or_default(),
            flags: self.flags,
            delegation: cred.as_deref(),
        };
        let mutual = self.flags.has(ContextFlags::MUTUAL);
        let subkey = Key::random(session_key.etype(), random)?;
        let mut content = checksum.encode()?;
        if let Some(conversation) = &start.conversation {
            content = with_extension(content, iakerb::FINISHED, &iakerb::sign(conversation, &subkey));
        }
        let checksum = Some((ChecksumType::GSSAPI, content));
        let request = ApRequest { mutual, subkey: true, sequence: true, checksum };
        let (exchange, message) = ApExchange::with_subkey(&start.ticket, &request, Some(subkey), now, random)?;
        let token = frame(TokenId::ApReq, &message);
        self.sent = Some(now);
        if mutual {
            self.state = State::Sent(Box::new(exchange));
            return Ok(InitiatorStep::Continue(token));
        }
        let session = exchange.without_reply()?;
        // Nobody told the acceptor's first number: all take the initiator's.
        let context = self.open(ApSession { recv_seq: session.send_seq, ..session });
        Ok(InitiatorStep::Done(Box::new(context), Some(token)))
    }

    fn finish(&mut self, exchange: ApExchange, token: &[u8]) -> Result<InitiatorStep> {
        match unframe(token)? {
            (TokenId::ApRep, reply) => {
                let session = exchange.finish(reply)?;
                Ok(InitiatorStep::Done(Box::new(self.open(session)), None))
            }
            (TokenId::Error, error) => Err(self.refused(error)),
            (TokenId::ApReq, _) => Err(Error::code(ErrorCode::MSG_TYPE)),
        }
    }

    /// Why a token of the peer's refuses us; `None` if it does not.
    pub fn refusal(&mut self, token: &[u8]) -> Option<Error> {
        match unframe(token) {
            Ok((TokenId::Error, error)) => Some(self.refused(error)),
            _ => None,
        }
    }

    /// The peer's words go nowhere; its clock is only what it says.
    fn refused(&mut self, error: &[u8]) -> Error {
        let error = match Refusal::read(error) {
            Ok(error) => error,
            Err(malformed) => return malformed,
        };
        let Some(sent) = self.sent.filter(|_| error.code == ErrorCode::SKEW) else { return error.error() };
        let offset = ClockOffset::between(error.clock, sent);
        self.offset = Some(offset);
        let seconds = error.clock.time.distance(sent.time);
        let side = if error.clock.time < sent.time { "behind" } else { "ahead of" };
        Error::protocol(error.code, format!("the service says its clock is {seconds} seconds {side} ours"))
    }

    fn open(&self, session: ApSession) -> Context {
        let ApSession { session_key, client_subkey, acceptor_subkey, send_seq, recv_seq } = session;
        Context::open(Opening {
            flags: self.flags,
            role: Role::Initiator,
            initiator_key: client_subkey.unwrap_or(session_key),
            acceptor_subkey,
            send: send_seq,
            receive: recv_seq,
        })
    }
}
