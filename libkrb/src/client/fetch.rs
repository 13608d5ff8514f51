//! A service fetches its own keys from the KDC that made them: an AP-REQ for `kadmin/fetch` goes out, a
//! KRB-PRIV with a keytab in it comes back. Our own KDC has this door. Not here: how the ticket is got
//! ([`super::AsExchange`]; it must be one from an AS exchange) and where the keys go
//! ([`crate::keytab`]).

use super::ap_exchange::{ApExchange, ApRequest};
use super::refusal::Refusal;
use crate::ccache::Credential;
use crate::codes::MessageType;
use crate::crypto::Random;
use crate::error::{Error, Result};
use crate::keytab::Keytab;
use crate::name::Principal;
use crate::session::Session;
use crate::time::Instant;
use crate::wire;

/// A request for keys that was made, and awaits its reply.
#[derive(Debug)]
pub struct FetchExchange {
    session: Session,
    client: Principal,
}

impl FetchExchange {
    /// The exchange and its request. `now` is the KDC's clock, as far as it is known.
    ///
    /// # Errors
    /// As [`ApExchange::new`].
    pub fn new(ticket: &Credential, now: Instant, random: &mut dyn Random) -> Result<(FetchExchange, Vec<u8>)> {
        // Who can answer under the subkey has opened the ticket.
        let request = ApRequest { mutual: false, ..ApRequest::default() };
        let (exchange, message) = ApExchange::new(ticket, &request, now, random)?;
        let session = exchange.without_reply()?.session();
        Ok((FetchExchange { session, client: ticket.client.clone() }, message))
    }

    /// The keys.
    ///
    /// # Errors
    /// The code of a KRB-ERROR in their place; what is wrong with a reply that is none.
    pub fn finish(mut self, now: Instant, reply: &[u8]) -> Result<Keytab> {
        if wire::application_tag(reply) == Some(MessageType::ERROR.0 as u8) {
            return Err(Refusal::read(reply)?.error());
        }
        let keytab = Keytab::parse(&self.session.read_priv(now, reply)?)?;
        match keytab.entries.iter().all(|entry| entry.principal == self.client) {
            true => Ok(keytab),
            false => Err(Error::ReplyMismatch("somebody else's keys")),
        }
    }
}
