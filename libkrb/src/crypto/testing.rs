//! Reads test vectors, and randomness from a script. For tests only.

use std::path::PathBuf;

use serde_json::Value;

use super::{Key, Random};
use crate::codes::EncryptionType;

/// One vector: an object whose binary values are hexadecimal strings.
#[derive(Debug)]
pub(crate) struct Vector(Value);

impl Vector {
    pub fn bytes(&self, field: &str) -> Vec<u8> {
        let text = self.0[field].as_str().unwrap_or_else(|| panic!("no {field} in {self:?}"));
        hex(text)
    }

    pub fn maybe_bytes(&self, field: &str) -> Option<Vec<u8>> {
        self.0[field].as_str().map(hex)
    }

    pub fn value(&self, field: &str) -> &Value {
        &self.0[field]
    }

    pub fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_else(|| panic!("no {field} in {self:?}"))
    }

    pub fn number(&self, field: &str) -> usize {
        self.0[field].as_u64().unwrap_or_else(|| panic!("no {field} in {self:?}")) as usize
    }

    pub fn maybe_number(&self, field: &str) -> Option<i64> {
        self.0[field].as_i64()
    }

    pub fn is(&self, field: &str, value: &str) -> bool {
        self.0[field] == value
    }

    pub fn etype(&self) -> EncryptionType {
        EncryptionType(self.number("etype") as i32)
    }

    pub fn key(&self, field: &str) -> Key {
        Key::new(self.etype(), &self.bytes(field)).unwrap()
    }
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The vectors of the project's own tests.
pub(crate) fn open(name: &str) -> Vec<Vector> {
    read(workspace().join("tests/vectors").join(format!("{name}.json"))).expect("the vectors are part of the project")
}

/// Vectors that stay where they are; none where the folder is absent.
pub(crate) fn outside(name: &str) -> Vec<Vector> {
    let folder = std::env::var_os("KRB_VECTORS_OUTSIDE")
        .map_or_else(|| workspace().join("../shared/reference/vectors/outside"), PathBuf::from);
    read(folder.join(format!("{name}.json"))).unwrap_or_default()
}

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: PathBuf) -> Option<Vec<Vector>> {
    let file: Value = serde_json::from_slice(&std::fs::read(path).ok()?).unwrap();
    Some(file["vectors"].as_array().unwrap().iter().cloned().map(Vector).collect())
}

/// Gives out the bytes it was given, then zeros.
pub(crate) struct Script(pub Vec<u8>);

impl Random for Script {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            *byte = if self.0.is_empty() { 0 } else { self.0.remove(0) };
        }
    }
}
