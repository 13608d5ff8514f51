//! Keys that turn over by themselves: a background task of the daemon looks whose are due, announces
//! the next ones and takes away those that are over. What is due follows from the times that the keys
//! bear, so nothing is remembered between looks: a look can be repeated, and one that a crash cut short
//! is made good by the next. Not here: what turning over does to an entry ([`crate::admin`]), who fetches
//! the new keys ([`crate::core`]).

mod rules;
mod task;

pub use rules::{ANNOUNCE, Row, Rule, row};
pub use task::{Looked, Rotation, Task};

#[cfg(test)]
mod tests;
