//! Finds a KDC and talks to it, on tokio: [`Transport`] gets a message to a realm and an answer
//! back, [`Trace`] says what happened on the way, [`Resolve`] is where names are looked up.
//! Not here: what the messages say ([`crate::client`]).
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod candidate;
mod dns;
mod locate;
mod search;
#[cfg(test)]
mod testing;
mod trace;
mod transport;

pub use dns::{Answer, Resolve, Srv, SystemResolver, Uri};
pub use locate::Service;
pub use trace::{Trace, TraceSink};
pub use transport::Transport;
