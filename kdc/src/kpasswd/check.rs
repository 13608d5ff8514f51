//! What must be true before the registry is asked for a change, and what it says to it.

use std::sync::Arc;

use libkrb::flags::TicketFlags;
use libkrb::service::Accepted;
use libkrb::wire::{self, ChangePasswdData, KpasswdRequest, NewPassword};
use libkrb::{Principal, Time};

use super::refuse::Refusal;
use super::{Arrival, Kpasswd};
use crate::admin::{Caller, Door, Name, NewKeys, Operation, Secret};
use crate::core::attempts::Lockout;
use crate::core::{Attributes, Entry, Event};

impl Kpasswd {
    /// Makes the change that an opened request asks for.
    pub(super) fn change(
        &self,
        at: &Arrival,
        accepted: &Accepted,
        version: u16,
        data: &[u8],
        event: &mut Event,
    ) -> Result<(), Refusal> {
        if !accepted.flags.has(TicketFlags::INITIAL) {
            return Err(Refusal::not_initial());
        }
        let client = self.client(accepted, at.now.time)?;
        let (password, target) = wish(version, data, accepted.client.realm())?;
        let target = target.map_or_else(|| Ok(client.principal.clone()), |name| self.target(name))?;
        event.server = Some(target.clone());
        let caller = Caller::principal(client.principal.clone(), Door::Kpasswd(at.from), true);
        let keys = NewKeys::Password { password, kinds: vec![] };
        let operation = Operation::ChangeKeys { principal: Name(target), keys, keep_old: false };
        self.registry.perform(&caller, operation).map(drop).map_err(Refusal::of_registry)
    }

    /// The client's entry, if it may still act: its ticket can be as old as five minutes.
    fn client(&self, accepted: &Accepted, now: Time) -> Result<Arc<Entry>, Refusal> {
        let ours = accepted.client.realm() == self.policy.load().realm;
        let entry = self.store.lookup(&accepted.client).map_err(|_| Refusal::failed())?;
        let entry = entry.filter(|_| ours).ok_or_else(|| Refusal::denied("There is no such principal any more"))?;
        let open = !entry.attributes.has(Attributes::DISALLOW_ALL_TIX);
        if !open || entry.expires.is_some_and(|expires| now >= expires) {
            return Err(Refusal::denied("The account is disabled or has expired"));
        }
        if self.locked(&entry, now)? {
            return Err(Refusal::denied("The account is locked after too many failures"));
        }
        // Who has stolen a ticket can't use it once the owner has changed the password, nor the next
        // owner of the name.
        if entry.password_changed.is_some_and(|changed| accepted.times.auth < changed) {
            return Err(Refusal::denied("The password was changed since this ticket was issued; log in anew"));
        }
        Ok(entry)
    }

    /// Whether too many failures have locked an account since its ticket was issued: a change would open
    /// it again.
    fn locked(&self, entry: &Entry, now: Time) -> Result<bool, Refusal> {
        let Some(name) = entry.policy.as_deref() else { return Ok(false) };
        let policy = self.store.policy(name).map_err(|_| Refusal::failed())?;
        let lockout = policy.as_deref().and_then(Lockout::of);
        Ok(lockout.is_some_and(|rule| rule.locks(&self.attempts.record(&entry.id), now)))
    }

    /// The canonical name of the principal that was named.
    fn target(&self, name: Principal) -> Result<Principal, Refusal> {
        let entry = self.store.lookup(&name).map_err(|_| Refusal::failed())?;
        Ok(entry.map_or(name, |entry| entry.principal.clone()))
    }
}

/// What the opened message asks for: the password, and whose it shall be if not the client's own.
fn wish(version: u16, data: &[u8], realm: &str) -> Result<(Secret, Option<Principal>), Refusal> {
    if version == KpasswdRequest::CHANGE {
        return Ok((password(data)?, None));
    }
    let malformed = |_| Refusal::malformed("The data is no ChangePasswdData");
    let ChangePasswdData { new_password: NewPassword(new), target, realm: named } =
        wire::decode(data).map_err(malformed)?;
    let target = match (target, named) {
        (Some(name), named) => Some(name.principal(named.unwrap_or(realm)).map_err(malformed)?),
        (None, None) => None,
        (None, Some(_)) => return Err(Refusal::malformed("A realm is named without a principal")),
    };
    Ok((password(new)?, target))
}

fn password(octets: &[u8]) -> Result<Secret, Refusal> {
    match std::str::from_utf8(octets) {
        // What ends at a NUL for one program does not for another.
        Ok(text) if !text.contains('\0') => Ok(Secret::new(text.to_owned())),
        _ => Err(Refusal::rejected("The password must be text in UTF-8")),
    }
}
