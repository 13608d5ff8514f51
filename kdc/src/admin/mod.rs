//! What an administrator does to the principals of a realm, as typed operations: [`Registry`]
//! performs them on a store, [`serve`] does so for others over a socket, [`query`] reads them in
//! MIT's language and [`console`] says how they went in MIT's words. Not here: who keeps the
//! principals (`store`), and the command line of kadmin.
//!
//! Passwords become keys where the store is (in the daemon while it runs): it knows the realm's
//! enctypes, rounds and salts, and its rules for passwords. The socket is the owner's and
//! root's only, so nothing is gained by keeping a password from it.

pub mod acl;
mod answer;
pub mod api;
mod authorize;
mod caller;
pub mod console;
pub mod doors;
mod ensure;
pub(crate) mod glob;
mod helm;
mod kdcs;
mod keys;
mod master_key;
mod once;
mod operation;
pub mod passwords;
mod policies;
pub mod query;
mod registry;
mod remote;
mod rotate;
mod text;
pub mod tokens;
mod trail;
mod transaction;
mod zone;

pub use acl::Acl;
pub use caller::{Authority, Caller, Door};
pub use doors::{ClientRow, Https, Identity, Invitations, bind, serve};
pub use helm::Helm;
pub use kdcs::{KdcLine, Kdcs};
pub use keys::{KeyRules, random_keys};
pub use operation::{
    Answer, Description, Etype, ExtractedKey, Keep, KeyKind, KeyLine, Name, NewKeys, Operation, Reason, Refusal, Salt,
    Secret, Settings,
};
pub use policies::{PolicyDescription, PolicyRules};
pub use registry::{Perform, Registry, fresh_id, now};
pub use remote::{Local, Proof, Remote, Server, fetch};
pub use rotate::{can_turn, least_overlap};
pub use zone::{LocalZone, Zone};

#[cfg(test)]
mod tests;
