//! The commands for a realm with several KDCs: its store put into etcd and compared with the copies, who
//! lives, and what DNS should say of them. Not here: the store itself (`store::etcd`).

mod command;
#[cfg(feature = "etcd")]
mod living;
#[cfg(feature = "etcd")]
mod realm;

pub use command::{StoreCommand, dns, status};
