//! The methods by which a client can prove itself before a ticket is issued: one row each, and the
//! state that one makes for an exchange (RFC 6113 2). Not here: which of them a KDC offers, and the
//! rounds of asking ([`crate::client`]).

use std::fmt;

use super::{KeyHint, Means, enc_challenge, enc_timestamp, otp};
use crate::codes::{EncryptionType, PaType};
use crate::crypto::{Key, Random};
use crate::error::{ErrorCode, Result};
use crate::name::Principal;
use crate::time::Instant;
use crate::wire::MethodData;

/// Elements of pre-authentication data on their way to a KDC.
pub type Elements = Vec<(PaType, Vec<u8>)>;

/// What a method may use to answer a KDC.
pub struct MethodContext<'a> {
    /// The client, as the request names it.
    pub client: &'a Principal,
    /// The service that the ticket is for.
    pub server: &'a Principal,
    /// The client's long-term key, made when first asked for: a password may have to be typed.
    pub client_key: &'a mut dyn FnMut() -> Result<Key>,
    /// How the KDC says that this key is made; `None`: it has not said.
    pub hint: Option<&'a KeyHint>,
    /// The armor key, if the exchange is in FAST (RFC 6113 5.4).
    pub armor: Option<&'a Key>,
    /// The KDC-REQ-BODY of the message that the answer goes into, as it is encoded: in FAST the inner
    /// one.
    pub body: &'a [u8],
    /// The nonce in that body.
    pub nonce: u32,
    /// All that the KDC last said: METHOD-DATA, or what came with a refusal.
    pub offers: MethodData<'a>,
    /// What the client has besides its long-term key.
    pub means: &'a mut Means,
    /// The KDC's clock, as far as it is known.
    pub now: Instant,
    /// For confounders and keys.
    pub random: &'a mut dyn Random,
}

impl MethodContext<'_> {
    /// The value of the KDC's element of a kind.
    pub fn offer(&self, kind: PaType) -> Option<Vec<u8>> {
        self.offers.iter().find(|element| element.kind == kind).map(|element| element.value.to_vec())
    }
}

/// The AS-REP, as far as a method has a word in it.
#[derive(Clone, Copy, Debug)]
pub struct MethodReply<'a> {
    /// Its padata: in FAST those inside the envelope.
    pub padata: MethodData<'a>,
    /// The encryption type of its encrypted part, so of the key that is wanted.
    pub etype: EncryptionType,
    /// The AS-REQ that it answers, as it was sent: the whole message.
    pub request: &'a [u8],
}

impl<'a> MethodReply<'a> {
    /// The value of the reply's element of a kind.
    pub fn padata(&self, kind: PaType) -> Option<&'a [u8]> {
        self.padata.iter().find(|element| element.kind == kind).map(|element| element.value)
    }
}

/// A method at work in one exchange: made when a KDC offers it, and kept through all its rounds until
/// the ticket is there.
pub trait ClientProof: fmt::Debug + Send {
    /// The elements that answer the value of the KDC's element: of the one in METHOD-DATA first, and
    /// later of each that comes with KDC_ERR_MORE_PREAUTH_DATA_REQUIRED. None: this method can't go
    /// on here, and before the KDC has seen anything of it the next one that it offers is tried.
    ///
    /// # Errors
    /// What ends the exchange.
    fn answer(&mut self, context: &mut MethodContext<'_>, offer: &[u8]) -> Result<Elements>;

    /// Whether a refusal with this value of the KDC's element is no end, but asks for more.
    fn goes_on(&self, _offer: &[u8]) -> bool {
        false
    }

    /// Another try after a refusal that is the method's own matter, such as
    /// KDC_ERR_DH_KEY_PARAMETERS_NOT_ACCEPTED; what came with it is in `context.offers`, of TYPED-DATA
    /// too. None: there is none.
    ///
    /// # Errors
    /// What ends the exchange.
    fn refused(&mut self, _context: &mut MethodContext<'_>, _code: ErrorCode) -> Result<Elements> {
        Ok(vec![])
    }

    /// The key of the reply, before FAST strengthens it; `None`: the client's long-term key. This is
    /// also where a method has the KDC prove itself.
    ///
    /// # Errors
    /// What makes the reply no answer, whoever sent it.
    fn reply_key(&mut self, _context: &mut MethodContext<'_>, _reply: &MethodReply<'_>) -> Result<Option<Key>> {
        Ok(None)
    }

    /// What a credential cache shall remember of the choices made (`pa_config_data`): names and values,
    /// which another exchange finds in [`Means::choices`].
    fn choices(&self) -> Vec<(String, String)> {
        vec![]
    }

    /// What both sides agreed upon, in words for a trace.
    fn agreed(&self) -> Option<String> {
        None
    }
}

/// A method that a client knows.
#[derive(Debug)]
pub struct ClientMethod {
    /// The element by which a KDC offers it.
    pub kind: PaType,
    /// Its state for an exchange; `None` where it is of no use: for want of means or of armor.
    pub begin: fn(&Means, Armored) -> Option<Box<dyn ClientProof>>,
}

/// Whether an exchange is in FAST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Armored {
    /// It is.
    Yes,
    /// It is not: whoever listens may guess passwords.
    No,
}

/// Every method that a client knows. A KDC's order decides between them (RFC 6113 2.3), unless the
/// caller prefers some.
pub const CLIENT_METHODS: &[ClientMethod] = &[
    #[cfg(feature = "pkinit")]
    ClientMethod { kind: PaType::PK_AS_REQ, begin: super::pkinit::begin },
    #[cfg(feature = "spake")]
    ClientMethod { kind: PaType::SPAKE, begin: super::spake::begin },
    ClientMethod { kind: PaType::OTP_CHALLENGE, begin: otp::begin },
    ClientMethod { kind: PaType::ENCRYPTED_CHALLENGE, begin: enc_challenge::begin },
    ClientMethod { kind: PaType::ENC_TIMESTAMP, begin: enc_timestamp::begin },
];

impl ClientMethod {
    /// The method of a kind, if there is one.
    pub fn of(kind: PaType) -> Option<&'static ClientMethod> {
        CLIENT_METHODS.iter().find(|method| method.kind == kind)
    }
}

impl fmt::Debug for MethodContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodContext").field("client", self.client).field("now", &self.now).finish_non_exhaustive()
    }
}
