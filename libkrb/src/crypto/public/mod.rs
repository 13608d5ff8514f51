//! Public keys, for logins by certificate: agreements on a secret, and signatures. Not here:
//! certificates, and what is signed (`crate::preauth::pkinit`).

mod agreement;
mod modp;
mod signature;

pub use agreement::{Group, Secret};
pub use signature::{SigningKey, accepted, key_is_strong, named, verify};
