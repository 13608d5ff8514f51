//! Realms that move: in from MIT krb5 and Heimdal, out into a file of our own and back. Not here: the
//! store (`store`), what administrators change day by day (`admin`).

mod args;
mod carry;
mod item;
pub mod mit;
mod pipeline;
mod place;
mod progress;
mod report;

pub use args::{Import, import};
