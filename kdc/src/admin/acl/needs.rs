//! Which rights an operation needs, a row each. Not here: who has them.

use super::Right;
use crate::admin::operation::{Keep, Name, Operation};

/// A right that an operation needs.
pub(in crate::admin) struct Need<'a> {
    pub right: Right,
    pub over: Over<'a>,
}

/// Over what: the principal that is named, and the one that this is an alias of.
pub(in crate::admin) enum Over<'a> {
    /// A principal whose settings are brought into the rule's bounds.
    Settings(&'a Name),
    /// A principal; bounds do not matter.
    Principal(&'a Name),
    /// A principal that would get around a rule's bounds, so that only one without them will do.
    Unbounded(&'a Name),
    /// A password policy, which no pattern of the list is about.
    Policy(&'a str),
    /// Nothing of its own.
    Nothing,
}

/// The rights that `operation` needs.
pub(in crate::admin) fn needs(operation: &Operation) -> Vec<Need<'_>> {
    use Operation as Op;
    let need = |right, over| Need { right, over };
    match operation {
        Op::Create { principal, .. } | Op::Ensure { principal, .. } => {
            vec![need(Right::Add, Over::Settings(principal))]
        }
        Op::Modify { principal, .. } => vec![need(Right::Modify, Over::Settings(principal))],
        Op::ChangeKeys { principal, .. } | Op::Rotate { principal, .. } | Op::Extract { principal, fresh: Some(_) } => {
            vec![need(Right::ChangePassword, Over::Principal(principal))]
        }
        // Who has a token logs in with it, as with a password.
        Op::AddToken { principal, .. } | Op::DeleteToken { principal, .. } => {
            vec![need(Right::ChangePassword, Over::Principal(principal))]
        }
        Op::Delete { principal } => vec![need(Right::Delete, Over::Principal(principal))],
        Op::Rename { principal, to } => {
            vec![need(Right::Delete, Over::Principal(principal)), need(Right::Add, Over::Unbounded(to))]
        }
        Op::Alias { alias, principal } => {
            vec![need(Right::Alias, Over::Unbounded(alias)), need(Right::Modify, Over::Unbounded(principal))]
        }
        Op::Describe { principal } | Op::Strings { principal } => {
            vec![need(Right::Inquire, Over::Principal(principal))]
        }
        Op::List { .. } | Op::Kdcs | Op::Status | Op::Reload | Op::Restart => vec![need(Right::List, Over::Nothing)],
        Op::MasterKey | Op::RotateMasterKey { .. } => vec![need(Right::Manage, Over::Nothing)],
        // And nobody whom the list lets in: the registry sees to that.
        Op::Dump { .. } => vec![need(Right::Extract, Over::Nothing)],
        Op::Extract { principal, fresh: None } => vec![need(Right::Extract, Over::Principal(principal))],
        // Without keys an account is gone: that is more than clearing up.
        Op::PurgeKeys { principal, keep: Keep::Nothing } => vec![
            need(Right::PurgeKeys, Over::Principal(principal)),
            need(Right::ChangePassword, Over::Principal(principal)),
        ],
        Op::PurgeKeys { principal, .. } => vec![need(Right::PurgeKeys, Over::Principal(principal))],
        Op::CreatePolicy { .. } => vec![need(Right::AddPolicy, Over::Nothing)],
        Op::ModifyPolicy { .. } => vec![need(Right::ModifyPolicy, Over::Nothing)],
        Op::DeletePolicy { .. } => vec![need(Right::DeletePolicy, Over::Nothing)],
        Op::DescribePolicy { name } => vec![need(Right::InquirePolicy, Over::Policy(name))],
        Op::ListPolicies { .. } => vec![need(Right::ListPolicies, Over::Nothing)],
        Op::SetString { principal, .. } => vec![need(Right::Strings, Over::Principal(principal))],
        Op::Privileges => vec![],
        // What is in them is held against the list one by one, each as those before it leave the store.
        Op::Batch { .. } | Op::Guarded { .. } | Op::Once { .. } => vec![],
    }
}
