//! An operation held against the access list: refused, or allowed as it stands or within bounds.
//! Not here: the list ([`super::acl`]), and what nobody may do ([`super::registry`]).

use libkrb::Principal;

use super::acl::{Decision, Need, Over, Restrictions, Right, needs};
use super::caller::Caller;
use super::operation::{Keep, NewKeys, Operation, Reason, Refusal};
use super::registry::{Registry, Step, meant, now};
use crate::core::Attributes;

impl Registry {
    /// The operation as `caller` may have it performed.
    pub(super) fn authorize(&self, caller: &Caller, mut operation: Operation) -> Step<Operation> {
        if caller.is_mighty() {
            return Ok(operation);
        }
        let mut bounds = vec![];
        for need in needs(&operation) {
            bounds.extend(self.grant(caller, &need)?);
        }
        self.spare_vital(&operation)?;
        let of = match &mut operation {
            Operation::Create { settings, .. } | Operation::Ensure { settings, .. } => Some((settings, None)),
            Operation::Modify { principal, settings, .. } => Some((settings, Some(meant(principal)))),
            _ => None,
        };
        if let Some((settings, existing)) = of {
            bounds.into_iter().for_each(|bounds| bounds.impose(settings, now()));
            // Nobody gets around lockdown from afar, as in MIT krb5: only who has the realm's files lifts it.
            if settings.clear & Attributes::LOCKDOWN_KEYS.0 != 0
                && let Some(name) = existing
                && self.find(&name)?.attributes.has(Attributes::LOCKDOWN_KEYS)
            {
                return Err(Refusal::locked_down());
            }
            settings.clear &= !Attributes::LOCKDOWN_KEYS.0;
        }
        Ok(operation)
    }

    /// The bounds within which a need is met.
    fn grant(&self, caller: &Caller, need: &Need<'_>) -> Step<Vec<&Restrictions>> {
        let targets = match &need.over {
            Over::Settings(name) | Over::Principal(name) | Over::Unbounded(name) => {
                let names = self.names(meant(name))?;
                // Everybody is themselves under each of their names.
                let own = names.contains(&caller.name);
                if own { vec![caller.name.clone()] } else { names }
            }
            Over::Policy(_) | Over::Nothing => vec![],
        };
        let mut asked: Vec<_> = targets.iter().map(Some).collect();
        if asked.is_empty() {
            asked.push(None);
        }
        let mut bounds = vec![];
        for target in asked {
            match self.acl.allows(caller, need.right, target) {
                Decision::Allowed(within) if within.is_empty() => {}
                Decision::Allowed(within) => match need.over {
                    Over::Settings(_) => bounds.push(within),
                    Over::Unbounded(_) => return Err(denied(need.right)),
                    Over::Principal(_) | Over::Policy(_) | Over::Nothing => {}
                },
                Decision::NotInitial => {
                    return Err(Refusal::new(Reason::Denied, "Operation requires initial ticket"));
                }
                Decision::Refused if need.right == Right::InquirePolicy && self.is_under(caller, need)? => {}
                Decision::Refused => return Err(denied(need.right)),
            }
        }
        Ok(bounds)
    }

    /// Whether the caller is under the policy that is asked for: everybody may see the rules for their own.
    fn is_under(&self, caller: &Caller, need: &Need<'_>) -> Step<bool> {
        let Over::Policy(asked) = need.over else { return Ok(false) };
        let own = self.store.lookup(&caller.name)?.and_then(|entry| entry.policy.clone());
        Ok(own.as_deref() == Some(asked))
    }

    /// A name, and the others of the principal that has it: all must be within a caller's reach, for who
    /// has the key of one can log in under each.
    fn names(&self, name: Principal) -> Step<Vec<Principal>> {
        let Some(entry) = self.store.lookup(&name)? else { return Ok(vec![name]) };
        let mut names = vec![entry.principal.clone()];
        names.extend(entry.aliases.iter().cloned());
        if !names.contains(&name) {
            names.push(name);
        }
        Ok(names)
    }

    /// Who has the keys of the realm's own services can be anybody, whatever the attributes say: from afar
    /// nobody sees, sets or removes them.
    fn spare_vital(&self, operation: &Operation) -> Step<()> {
        let name = match operation {
            Operation::ChangeKeys { keys: NewKeys::Random(_), .. } => return Ok(()),
            Operation::ChangeKeys { principal, .. }
            | Operation::Extract { principal, .. }
            | Operation::AddToken { principal, .. }
            | Operation::Delete { principal }
            | Operation::Rename { principal, .. }
            | Operation::PurgeKeys { principal, keep: Keep::Nothing | Keep::From(_) } => principal,
            _ => return Ok(()),
        };
        match self.names(meant(name))?.iter().any(|name| self.acl.is_vital(name)) {
            true => Err(Refusal::locked_down()),
            false => Ok(()),
        }
    }
}

fn denied(right: Right) -> Refusal {
    Refusal::new(Reason::Denied, format!("Operation requires ``{}'' privilege", right.shown()))
}
