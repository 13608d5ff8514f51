//! The commands for a realm with several KDCs: its store put into etcd and compared with the copies, who
//! lives, and what DNS should say of them; how a further one joins, and one leaves. Not here: the store itself (`store::etcd`).

mod command;
#[cfg(feature = "etcd")]
mod invitation;
#[cfg(feature = "etcd")]
mod living;
#[cfg(feature = "etcd")]
mod realm;

pub use command::{Join, StoreCommand, dns, invite, join, leave, status};
