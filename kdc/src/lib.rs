//! The KDC daemon, room by room: `core` is its mind (no I/O, no clock), the others are its senses.
#![forbid(unsafe_code)]

pub mod config;
pub mod core;
pub mod store;
