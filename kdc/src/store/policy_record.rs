//! The bytes of a password policy: a prost message. It holds no secret. Fields are only ever added; those that
//! a version does not know it keeps when it changes the policy.

use libkrb::Time;
use prost::Message;

use super::record::beyond;
use crate::core::{PasswordPolicy, StoreError};

/// The last field that this code knows.
const LAST: u64 = 19;

/// The field with the commit that wrote the record.
#[cfg(feature = "etcd")]
pub(super) const REVISION: u32 = 19;

#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(sint64, tag = "2")]
    min_life: i64,
    #[prost(sint64, tag = "3")]
    max_life: i64,
    #[prost(uint32, tag = "4")]
    min_length: u32,
    #[prost(uint32, tag = "5")]
    min_classes: u32,
    #[prost(uint32, tag = "6")]
    history: u32,
    #[prost(uint32, tag = "7")]
    min_strength: u32,
    #[prost(bool, tag = "8")]
    dictionary: bool,
    #[prost(uint32, tag = "9")]
    max_failures: u32,
    #[prost(sint64, tag = "10")]
    failure_interval: i64,
    #[prost(sint64, tag = "11")]
    lockout_duration: i64,
    #[prost(sint64, tag = "12")]
    max_ticket_life: i64,
    #[prost(sint64, tag = "13")]
    max_renewable_life: i64,
    #[prost(sint64, tag = "14")]
    rotate_keys_after: i64,
    #[prost(sint64, tag = "15")]
    keep_old_keys: i64,
    #[prost(string, tag = "16")]
    allowed_key_salts: String,
    #[prost(sint64, tag = "17")]
    modified: i64,
    #[prost(string, tag = "18")]
    modified_by: String,
    #[prost(uint64, tag = "19")]
    revision: u64,
}

/// Copies the fields that both types have.
macro_rules! same {
    ($to:ident, $from:expr, { $($other:ident: $value:expr),* $(,)? }) => {
        $to {
            name: $from.name.clone(),
            min_life: $from.min_life,
            max_life: $from.max_life,
            min_length: $from.min_length,
            min_classes: $from.min_classes,
            history: $from.history,
            min_strength: $from.min_strength,
            dictionary: $from.dictionary,
            max_failures: $from.max_failures,
            failure_interval: $from.failure_interval,
            lockout_duration: $from.lockout_duration,
            max_ticket_life: $from.max_ticket_life,
            max_renewable_life: $from.max_renewable_life,
            rotate_keys_after: $from.rotate_keys_after,
            keep_old_keys: $from.keep_old_keys,
            allowed_key_salts: $from.allowed_key_salts.clone(),
            modified_by: $from.modified_by.clone(),
            $($other: $value),*
        }
    };
}

/// The bytes of a policy, committed as `revision`.
pub fn encode(policy: &PasswordPolicy, revision: u64) -> Vec<u8> {
    let record = same!(Record, policy, { modified: policy.modified.seconds(), revision: revision });
    [record.encode_to_vec().as_slice(), &policy.newer].concat()
}

/// The policy whose record is kept under `name`.
///
/// # Errors
/// [`StoreError::Storage`] for what is not its record.
pub fn decode(name: &str, bytes: &[u8]) -> Result<PasswordPolicy, StoreError> {
    let damaged = || StoreError::Storage(format!("policy {name}: its record is damaged; restore the store"));
    let record = Record::decode(bytes).ok().filter(|record| record.name == name).ok_or_else(damaged)?;
    let newer = beyond(bytes, LAST).map_err(|_| damaged())?;
    Ok(same!(PasswordPolicy, record, { modified: Time(record.modified), revision: record.revision, newer: newer }))
}
