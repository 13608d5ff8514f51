//! The mind of the KDC: bytes, store, policy, time and randomness in; a reply and an event out.
//! Imports libkrb's rooms 1 to 3 only: no tokio, files, sockets, clock or environment.

pub mod entry;
pub mod event;
pub mod policy;
pub mod store;

pub use entry::{Attributes, Entry, KeySet, LongTermKey};
pub use event::{Event, Exchange};
pub use policy::Policy;
pub use store::{Change, Store, StoreError};
