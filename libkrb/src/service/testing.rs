//! What the tests of the AP exchange share: recorded exchanges, and randomness that can be foretold.

use std::path::PathBuf;

use serde_json::Value;

use crate::crypto::{Key, Random};
use crate::time::Instant;
use crate::wire;

pub(crate) fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Exchanges recorded with MIT krb5 1.20.1.
pub(crate) fn transcripts() -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/transcripts_mit.json");
    serde_json::from_slice(&std::fs::read(path).expect("the vectors are part of the project")).unwrap()
}

/// The key with which a recorded step was decrypted.
pub(crate) fn step_key(step: &Value) -> Key {
    Key::new(
        crate::codes::EncryptionType(step["enctype"].as_i64().unwrap() as i32),
        &hex(step["key"].as_str().unwrap()),
    )
    .unwrap()
}

/// The client's clock in a recorded authenticator.
pub(crate) fn step_time(step: &Value) -> Instant {
    let plain = hex(step["plaintext"].as_str().unwrap());
    let authenticator: wire::Authenticator<'_> = wire::decode(&plain).unwrap();
    Instant { time: authenticator.time, micros: authenticator.micros }
}

/// Counts: each byte is one more than the last.
pub(crate) struct Counter(pub u8);

impl Random for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}
