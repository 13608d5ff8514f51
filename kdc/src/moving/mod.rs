//! Realms that move: in from MIT krb5 and Heimdal, out into a file of our own and back. Not here: the
//! store (`store`), what administrators change day by day (`admin`).

mod args;
mod carry;
mod dump;
pub mod heimdal;
mod item;
mod load;
pub mod mit;
mod pipeline;
mod place;
mod progress;
mod report;

pub use args::{Dump, Import, Load, import};
pub use carry::{Wishes, bring};
#[cfg(feature = "etcd")]
pub(crate) use dump::asked;
pub use dump::dump;
pub use load::load;

#[cfg(test)]
mod tests;
