//! SPAKE as a client's method: which message comes when (RFC 9588 4). Not here: what is in them.

use super::client::{self, Said};
use super::{Group, Keys};
use crate::codes::PaType;
use crate::crypto::Key;
use crate::error::{Error, Result};
use crate::preauth::Means;
use crate::preauth::method::{Armored, ClientProof, Elements, MethodContext, MethodReply};

/// One login.
#[derive(Debug)]
struct Login {
    groups: Vec<&'static Group>,
    /// The message with the groups, once it was sent.
    support: Option<Vec<u8>>,
    /// What the response agreed on, once it was sent.
    keys: Option<Keys>,
}

/// The state of a login; `None` where every group is forbidden (`spake_preauth_groups`).
pub(crate) fn begin(means: &Means, _armored: Armored) -> Option<Box<dyn ClientProof>> {
    let groups = means.spake_groups.clone().unwrap_or_else(|| Group::of(1).into_iter().collect());
    (!groups.is_empty()).then(|| Box::new(Login { groups, support: None, keys: None }) as Box<dyn ClientProof>)
}

impl ClientProof for Login {
    fn answer(&mut self, context: &mut MethodContext<'_>, offer: &[u8]) -> Result<Elements> {
        if self.keys.is_some() {
            // RFC 9588 4.4: no second factor that is known here has another round.
            return Err(Error::ReplyMismatch("the KDC wants more than SPAKE has"));
        }
        let message = match (client::read(offer, &self.groups)?, &self.support) {
            (Said::Challenge(challenge), support) => {
                let key = (context.client_key)()?;
                let (response, keys) = challenge.respond(&key, support.as_deref(), context.body, context.random)?;
                self.keys = Some(keys);
                response
            }
            (Said::Known | Said::Elsewhere, None) => self.support.insert(client::support(&self.groups)).clone(),
            (Said::Beyond, None) => return Ok(vec![]),
            (_, Some(_)) => return Err(Error::ReplyMismatch("the KDC chose what was not offered")),
        };
        Ok(vec![(PaType::SPAKE, message)])
    }

    fn reply_key(&mut self, _context: &mut MethodContext<'_>, _reply: &MethodReply<'_>) -> Result<Option<Key>> {
        // A ticket without a proof is under the client's own key, and its key alone opens it.
        self.keys.as_ref().map(Keys::reply).transpose()
    }
}
