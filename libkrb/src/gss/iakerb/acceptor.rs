//! The service's end: messages for KDCs of the realms that it serves are handed out to be sent there, and what they
//! answer goes back; then a context is opened as ever, if what was said on the way is signed.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::layer::Layer;
use super::{Conversation, FINISHED, Read, proxy_token, read, reframed};
use crate::codes::{ChecksumType, MessageType};
use crate::crypto::Random;
use crate::error::{Error, ErrorCode, Result};
use crate::gss::acceptor::{AcceptStep, AcceptorContext, AcceptorOptions, Caller, Refusal};
use crate::gss::krb5;
use crate::name::Principal;
use crate::service::Acceptor;
use crate::time::Instant;
use crate::wire::{self, Fixed, IakerbRealm, KrbError, PrincipalName};

/// What the service does next.
#[derive(Debug)]
pub enum IakerbStep {
    /// Send this message to a KDC of the realm (`Transport::send`), and bring what came of it to
    /// [`IakerbAcceptor::answered`].
    Ask {
        /// The realm; one of those that were allowed.
        realm: String,
        /// The message.
        message: Vec<u8>,
    },
    /// As a context without IAKERB.
    Context(AcceptStep),
}

/// What came of asking a KDC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IakerbAnswer {
    /// This.
    Reply(Vec<u8>),
    /// None is known.
    NoKdc,
    /// None answered.
    Silence,
}

impl From<Result<Vec<u8>>> for IakerbAnswer {
    fn from(asked: Result<Vec<u8>>) -> Self {
        match asked {
            Ok(reply) => IakerbAnswer::Reply(reply),
            Err(Error::NoKdc(_)) => IakerbAnswer::NoKdc,
            Err(_) => IakerbAnswer::Silence,
        }
    }
}

/// A context that is being opened, maybe by a client that has no ticket yet.
pub struct IakerbAcceptor {
    context: AcceptorContext,
    realms: Vec<String>,
    conversation: Conversation,
    /// The realm that was asked last, and whether it was written as the draft has it.
    asked: Option<(String, bool)>,
    layer: Layer,
}

impl IakerbAcceptor {
    /// A context for an initiator of whom nothing is known yet. Messages go to KDCs of these realms and to no other: what
    /// a stranger names chooses no host.
    pub fn new(acceptor: Arc<Acceptor>, options: AcceptorOptions, realms: &[&str]) -> IakerbAcceptor {
        let realms = realms.iter().map(|realm| (*realm).to_owned()).collect();
        let context = AcceptorContext::new(acceptor, options);
        IakerbAcceptor { context, realms, conversation: Conversation::default(), asked: None, layer: Layer::default() }
    }

    /// Takes a token of the peer.
    ///
    /// # Errors
    /// [`Refusal`], which knows what to answer. The context cannot be used again.
    pub fn step(
        &mut self,
        now: Instant,
        random: &mut dyn Random,
        token: &[u8],
        peer: Option<IpAddr>,
    ) -> Result<IakerbStep, Refusal> {
        let token = &*self.layer.read(token).map_err(silent)?;
        match read(token) {
            Ok(Read::Proxy { realm, message }) => self.ask(token, realm, message).map_err(silent),
            Ok(Read::Kerberos(inner)) => {
                let stepped = self.context.step(now, random, &inner, peer);
                let step = stepped.map_err(|refusal| {
                    let token = self.layer.reject(refusal.token.map(reframed));
                    Refusal { token, ..refusal }
                })?;
                self.opened(step).map(IakerbStep::Context).map_err(silent)
            }
            Err(cause) => Err(silent(cause)),
        }
    }

    fn ask(&mut self, token: &[u8], realm: IakerbRealm<'_>, message: &[u8]) -> Result<IakerbStep> {
        if self.asked.is_some() {
            return Err(Error::Malformed("IAKERB: a message while another one is on its way"));
        }
        self.conversation.count()?;
        self.conversation.add(token)?;
        let kinds = [MessageType::AS_REQ, MessageType::TGS_REQ];
        if !wire::application_tag(message).is_some_and(|tag| kinds.contains(&MessageType(tag.into()))) {
            return Err(Error::protocol(ErrorCode::MSG_TYPE, "IAKERB: no request to a KDC"));
        }
        let (name, as_drafted) = (realm.name(), matches!(realm, IakerbRealm::Text(_)));
        if !self.realms.iter().any(|allowed| allowed == name) {
            return Err(Error::protocol(ErrorCode::WRONG_REALM, "IAKERB: a realm that nobody is asked for here"));
        }
        self.asked = Some((name.to_owned(), as_drafted));
        Ok(IakerbStep::Ask { realm: name.to_owned(), message: message.to_vec() })
    }

    /// The token with what came of asking a KDC.
    ///
    /// # Errors
    /// [`Error::Malformed`] when nobody was asked, or the answers have become too long.
    pub fn answered(&mut self, now: Instant, answer: &IakerbAnswer) -> Result<Vec<u8>> {
        let asked = self.asked.take().ok_or(Error::Malformed("IAKERB: an answer that nobody asked for"))?;
        let realm = match &asked {
            (realm, true) => IakerbRealm::Text(realm),
            (realm, false) => IakerbRealm::Octets(realm),
        };
        let token = match answer {
            IakerbAnswer::Reply(reply) => proxy_token(false, realm, reply),
            IakerbAnswer::NoKdc => proxy_token(false, realm, &failed(ErrorCode::IAKERB_KDC_NOT_FOUND, &asked.0, now)),
            IakerbAnswer::Silence => {
                proxy_token(false, realm, &failed(ErrorCode::IAKERB_KDC_NO_RESPONSE, &asked.0, now))
            }
        };
        self.conversation.add(&token)?;
        Ok(self.layer.write(token))
    }

    /// Nobody in between has said anything else than was said, or has asked in the client's place.
    fn opened(&mut self, step: AcceptStep) -> Result<AcceptStep> {
        let AcceptStep::Done(mut context, caller, token) = step else { return Ok(step) };
        if !self.conversation.bytes.is_empty() {
            let unsigned = Error::protocol(ErrorCode::MODIFIED, "IAKERB: what was said before is not signed");
            let (finished, subkey) = finished(&caller).ok_or(unsigned)?;
            self.conversation.verify(subkey, finished)?;
        }
        let token = self.layer.finish(&mut context, token.map(reframed))?;
        Ok(AcceptStep::Done(context, caller, token))
    }
}

/// The signature in an authenticator, and the key that it has to be made with.
fn finished(caller: &Caller) -> Option<(&[u8], &crate::crypto::Key)> {
    let (kind, content) = caller.accepted.checksum.as_ref()?;
    let subkey = caller.accepted.client_subkey.as_ref()?;
    let found = (*kind == ChecksumType::GSSAPI).then(|| krb5::extension(content, FINISHED)).flatten()?;
    Some((found, subkey))
}

/// A refusal of which the peer hears nothing: it has not said yet who it is.
fn silent(cause: Error) -> Refusal {
    Refusal { cause, token: None }
}

fn failed(code: ErrorCode, realm: &str, now: Instant) -> Vec<u8> {
    let server = Principal::tgs(realm);
    wire::encode(&KrbError {
        version: Fixed,
        kind: Fixed,
        client_time: None,
        client_micros: None,
        server_time: now.time,
        server_micros: now.micros,
        code,
        client_realm: None,
        client: None,
        realm,
        server: PrincipalName::from(&server),
        text: None,
        data: None,
    })
}

impl fmt::Debug for IakerbAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IakerbAcceptor")
    }
}
