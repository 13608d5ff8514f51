//! Fetches a service's own keys from its KDC: a ticket for `kadmin/fetch` with a key that it has, then
//! one request to the same KDCs. Not here: what the messages say ([`crate::client::FetchExchange`]).

use super::client::blocking;
use super::requests::fetch_request;
use super::transport::Transport;
use crate::client::{FetchExchange, Secret};
use crate::crypto::OsRandom;
use crate::error::{Error, Result};
use crate::keytab::{Keytab, KeytabName};
use crate::name::Principal;

impl Transport {
    /// All keys that the KDC has for `principal`, who proves itself with its newest ones in `keytab`:
    /// those in use, those that are announced, and old ones that are still good.
    ///
    /// # Errors
    /// [`Error::NoKey`] when the keytab has no key of it, and those of [`Transport::login`] and
    /// [`Transport::send`]; S_PRINCIPAL_UNKNOWN from a KDC without such a door.
    pub async fn fetch_keys(&self, principal: &Principal, keytab: &Keytab) -> Result<Keytab> {
        let ours = keytab.entries.iter().filter(|entry| entry.principal == *principal);
        let keys: Vec<_> = ours.filter_map(|entry| Some((entry.kvno, entry.key.key().ok()?))).collect();
        if keys.is_empty() {
            return Err(Error::NoKey(format!("Keytab contains no suitable keys for {principal}")));
        }
        let login = self.login(fetch_request(self.config(), principal.clone()), Secret::Keys(keys)).await?;
        let offset = login.offset.unwrap_or_default();
        let ticket = &login.outcome.credential;
        let (exchange, message) = FetchExchange::new(ticket, offset.apply(self.now()), &mut OsRandom::new())?;
        let reply = self.send(ticket.server.realm(), &message).await?;
        exchange.finish(offset.apply(self.now()), &reply)
    }

    /// Puts what [`Transport::fetch_keys`] gets into that keytab, all at once; old keys stay. How many
    /// keys are new.
    ///
    /// # Errors
    /// As [`Transport::fetch_keys`]; [`Error::Storage`] for a keytab that cannot be read or written.
    pub async fn renew_keytab(&self, name: &KeytabName, principal: &Principal) -> Result<usize> {
        let (source, target) = (name.clone(), name.clone());
        let keytab = blocking(move || source.load()).await?;
        let fetched = self.fetch_keys(principal, &keytab).await?;
        let added = blocking(move || target.merge(&fetched.entries)).await?;
        self.trace().line(format_args!("Fetched keys of {principal}: {added} new in {name}"));
        Ok(added)
    }
}
