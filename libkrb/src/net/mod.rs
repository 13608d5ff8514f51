//! Finds a KDC and talks to it, on tokio: [`Transport`] gets a message to a realm and an answer
//! back, [`Client`] holds a
//! principal's tickets for the life of a program, [`Trace`] says what happened on the way, [`Resolve`] is where names are looked up.
//! Not here: what the messages say ([`crate::client`]).
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod acting;
mod candidate;
#[cfg(feature = "pkinit")]
mod certificates;
mod client;
mod dns;
mod drive;
mod fetch;
mod getting;
mod held;
#[cfg(feature = "kkdcp")]
mod https;
mod kpasswd;
mod locate;
mod means;
mod requests;
mod search;
#[cfg(test)]
mod testing;
mod trace;
mod transport;

pub use acting::{Acting, Evidence};
#[cfg(feature = "pkinit")]
pub use certificates::{CertificateWishes, FilePrompt, pkinit_means};
pub(crate) use client::{Care, Report, blocking};
pub use client::{Client, Source};
pub use dns::{Answer, Resolve, Srv, SystemResolver, Uri};
pub use drive::Login;
pub use locate::Service;
pub use requests::{as_request, changepw_request, request_in_a_name, tgs_request};
pub use trace::{Trace, TraceSink};
pub use transport::Transport;
pub(crate) use transport::system_clock;
