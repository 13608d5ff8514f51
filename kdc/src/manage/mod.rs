//! How a running KDC is watched, and what can be read of its audit. Not here: what happened and how often
//! (`observe`).

mod audit;
mod command;

pub use audit::{audit, audit_verify};
pub use command::Watching;
