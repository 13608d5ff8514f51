//! What a request asks for, told before anything is looked up or opened: for those who decide
//! whether to serve it at all. Not here: that decision.

use libkrb::codes::MessageType;
use libkrb::wire::{KdcReq, PrincipalName};

use super::event::Exchange;
use super::policy::Policy;
use super::preauth;

/// How much work an answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// Microseconds: symmetric cryptography.
    #[default]
    Light,
    /// A hundred times as much and more: public keys (SPAKE, PKINIT).
    Heavy,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The kind of request.
    pub exchange: Exchange,
    /// The client that an AS-REQ names, whether there is such a one or not; who sends a TGS-REQ is
    /// known when its ticket is opened.
    pub client: Option<PrincipalName<'a>>,
    /// How much work it would be.
    pub cost: Cost,
}

impl<'a> Asked<'a> {
    pub(super) fn of(policy: &Policy, request: &KdcReq<'a>) -> Self {
        match request.kind {
            MessageType::AS_REQ => {
                Asked { exchange: Exchange::As, client: request.body.client, cost: preauth::cost(policy, request) }
            }
            _ => Asked { exchange: Exchange::Tgs, client: None, cost: Cost::Light },
        }
    }
}
