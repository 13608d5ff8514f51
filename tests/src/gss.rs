//! Contexts of libkrb in the test's own process, whose other end is a peer: opened by the tokens
//! that go to and fro. Not here: what is said when they are open.

use std::net::TcpStream;
use std::sync::Arc;

use libkrb::ccache::Credential;
use libkrb::crypto::OsRandom;
use libkrb::gss::{
    AcceptStep, AcceptorContext, AcceptorOptions, Caller, Context, ContextFlags, InitiatorContext, InitiatorOptions,
    InitiatorStep, Mechanism, Refusal,
};
use libkrb::service::Acceptor;
use libkrb::time::Instant;

use crate::call::{receive, send};
use crate::library::now;

/// A way for tokens to the other end and back.
pub trait Post {
    /// Sends a token.
    fn send(&mut self, token: &[u8]);
    /// Receives one.
    fn receive(&mut self) -> Vec<u8>;
}

/// Each token behind its length.
impl Post for TcpStream {
    fn send(&mut self, token: &[u8]) {
        send(self, token);
    }

    fn receive(&mut self) -> Vec<u8> {
        receive(self)
    }
}

/// What an initiator of the Kerberos mechanism wants.
pub fn kerberos(flags: ContextFlags) -> InitiatorOptions {
    InitiatorOptions { mechanism: Mechanism::Kerberos, flags, ..InitiatorOptions::default() }
}

/// What an initiator wants that negotiates.
pub fn spnego(flags: ContextFlags) -> InitiatorOptions {
    InitiatorOptions { mechanism: Mechanism::Spnego, ..kerberos(flags) }
}

/// A context that an initiator opened with us, and who that is.
pub struct Accepted {
    /// Our end.
    pub context: Context,
    /// The initiator.
    pub caller: Caller,
    /// What is still to be sent.
    pub token: Option<Vec<u8>>,
}

/// Takes the one token of the Kerberos mechanism, alone or as the favourite of an offer. Whose clock decides is the caller's choice.
pub fn accept_at(acceptor: &Arc<Acceptor>, now: Instant, token: &[u8]) -> Result<Accepted, Refusal> {
    let mut context = AcceptorContext::new(acceptor.clone(), AcceptorOptions::default());
    match context.step(now, &mut OsRandom::new(), token, None)? {
        AcceptStep::Done(context, caller, token) => Ok(Accepted { context: *context, caller: *caller, token }),
        AcceptStep::Continue(_) => panic!("one token opens a context"),
    }
}

/// The same, by the system's clock.
pub fn accept_token(acceptor: &Arc<Acceptor>, token: &[u8]) -> Result<Accepted, Refusal> {
    accept_at(acceptor, now(), token)
}

/// Accepts the context that the other end opens.
pub fn accept(acceptor: &Arc<Acceptor>, post: &mut impl Post) -> Accepted {
    let accepted = accept_token(acceptor, &post.receive()).expect("a token that opens a context");
    if let Some(token) = &accepted.token {
        post.send(token);
    }
    accepted
}

/// Opens a context with the service of a ticket.
pub fn initiate(ticket: &Credential, options: InitiatorOptions, post: &mut impl Post) -> Context {
    let mut initiator = InitiatorContext::new(ticket, options).expect("an initiator");
    let mut heard = None;
    loop {
        let step = initiator.step(now(), &mut OsRandom::new(), heard.as_deref()).expect("a context that opens");
        match step {
            InitiatorStep::Continue(token) => post.send(&token),
            InitiatorStep::Done(context, token) => {
                if let Some(token) = token {
                    post.send(&token);
                }
                return *context;
            }
        }
        heard = Some(post.receive());
    }
}
