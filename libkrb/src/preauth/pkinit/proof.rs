//! PKINIT as a client's method of proof: its row, and its rounds with a KDC (RFC 4556, RFC 8062).

use std::sync::Arc;

use super::client::{Ask, Asked, KdcRules, other_group};
use super::{Binding, Group, Identity, Kdf, Trust};
use crate::codes::PaType;
use crate::crypto::Key;
use crate::error::{Error, ErrorCode, Result};
use crate::preauth::{Armored, ClientProof, Elements, Means, MethodContext, MethodReply};

/// What a client proves itself with by PKINIT, and whom it believes.
#[derive(Clone, Debug)]
pub struct PkinitMeans {
    /// The client's certificate and key; `None`: it wants to be nobody in particular (RFC 8062).
    pub identity: Option<Arc<Identity>>,
    /// Where it lies, for a credential cache to remember (`X509_user_identity`).
    pub place: Option<String>,
    /// Whose certificates make a KDC believed.
    pub trust: Arc<Trust>,
    /// What is asked of a KDC's certificate.
    pub rules: KdcRules,
    /// The weakest group that a secret may be agreed upon in.
    pub least_group: Group,
    /// Leave out the token by which the KDC sees that the request is recent (`disable_freshness`).
    pub without_freshness: bool,
}

impl PkinitMeans {
    /// A client's means, with MIT's defaults for the rest.
    pub fn new(identity: Option<Arc<Identity>>, trust: Arc<Trust>) -> PkinitMeans {
        let rules = KdcRules::default();
        PkinitMeans { identity, place: None, trust, rules, least_group: Group::Modp2048, without_freshness: false }
    }
}

/// The client's row.
pub(in crate::preauth) fn begin(means: &Means, _: Armored) -> Option<Box<dyn ClientProof>> {
    let pkinit = means.pkinit.clone()?;
    Some(Box::new(Client { pkinit, tried: vec![], freshness: None, old: false, asked: None, agreed: None }))
}

/// The client's side.
#[derive(Debug)]
struct Client {
    pkinit: Arc<PkinitMeans>,
    /// The groups that were tried, the present one last.
    tried: Vec<Group>,
    /// What the KDC sent to show that the request is recent.
    freshness: Option<Vec<u8>>,
    /// Whether the KDC also offers the draft of Windows 2000, and so knows no later additions.
    old: bool,
    asked: Option<Asked>,
    agreed: Option<String>,
}

impl Client {
    fn ask(&mut self, context: &mut MethodContext<'_>) -> Result<Elements> {
        let group = self.tried.last().copied().unwrap_or(self.pkinit.least_group);
        let ask = Ask {
            identity: self.pkinit.identity.as_deref().filter(|_| !context.client.is_anonymous()),
            trust: &self.pkinit.trust,
            group,
            now: context.now,
            body: context.body,
            nonce: context.nonce,
            freshness: self.freshness.as_deref(),
            plain: self.old,
        };
        let (value, asked) = ask.request(context.random)?;
        self.asked = Some(asked);
        Ok(vec![(PaType::PK_AS_REQ, value)])
    }
}

impl ClientProof for Client {
    fn answer(&mut self, context: &mut MethodContext<'_>, _offer: &[u8]) -> Result<Elements> {
        if self.pkinit.identity.is_none() && !context.client.is_anonymous() {
            return Ok(vec![]);
        }
        self.freshness = context.offer(PaType::AS_FRESHNESS).filter(|_| !self.pkinit.without_freshness);
        self.old = context.offer(PaType::PK_AS_REP_OLD).is_some();
        // A curve is quicker for both sides, and a KDC without one says what it has: but for the old ones,
        // which then send a key that they made themselves.
        let least = self.pkinit.least_group;
        self.tried = vec![if self.old { least } else { least.max(Group::P256) }];
        self.ask(context)
    }

    /// The KDC does not take the group, and says which ones it takes.
    fn refused(&mut self, context: &mut MethodContext<'_>, code: ErrorCode) -> Result<Elements> {
        if code != ErrorCode::DH_KEY_PARAMETERS_NOT_ACCEPTED {
            return Ok(vec![]);
        }
        let told = context.offer(PaType(super::TD_DH_PARAMETERS)).unwrap_or_default();
        match other_group(&told, self.pkinit.least_group, &self.tried) {
            Some(group) => {
                self.tried.push(group);
                self.ask(context)
            }
            None => Ok(vec![]),
        }
    }

    fn reply_key(&mut self, context: &mut MethodContext<'_>, reply: &MethodReply<'_>) -> Result<Option<Key>> {
        let unproven = Error::ReplyMismatch("the KDC answers a proof by certificate without one of its own");
        let (Some(asked), Some(value)) = (&self.asked, reply.padata(PaType::PK_AS_REP)) else { return Err(unproven) };
        let binding = Binding {
            etype: reply.etype,
            client: context.client,
            server: context.server,
            request: reply.request,
            reply: value,
        };
        let (key, kdf) = asked.reply_key(&binding, &self.pkinit.trust, &self.pkinit.rules, context.now.time)?;
        let way = kdf.map_or("as RFC 4556 has it", Kdf::name);
        self.agreed = Some(format!("The KDC has shown its certificate; the key is derived {way}"));
        Ok(Some(key))
    }

    fn agreed(&self) -> Option<String> {
        self.agreed.clone()
    }

    fn choices(&self) -> Vec<(String, String)> {
        let place = self.pkinit.place.iter();
        place.map(|place| (super::IDENTITY_CHOICE.to_owned(), place.clone())).collect()
    }
}
