//! How a running KDC is watched: its facts gathered and told over HTTP, on one screen, or live; and what can be
//! read of its audit. Not here: what happened and how often (`observe`).

mod audit;
mod command;
mod gather;
mod keys;
mod listener;
mod station;
mod status;
mod system;
mod top;

pub use audit::{audit, audit_verify, check_file, check_key, observer};
pub use command::Watching;
#[cfg(feature = "etcd")]
pub(crate) use command::say;
pub use gather::{Gatherer, Sources};
pub use station::Station;
