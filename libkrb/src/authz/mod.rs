//! Authorization data that means something to both sides, KDC and service: what is computed over it
//! and what stands in it. Not here: who gets which (the KDC), and what it allows ([`crate::access`]).
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod cammac;
pub mod indicators;
pub mod pac;
pub mod roles;
mod strings;
