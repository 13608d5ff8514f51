//! The reference files of caches and keytabs, for the tests of both rooms. Those that must not be
//! copied into the project are read in place; without them their tests have nothing to do.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A file of vectors: our own copy, then the outside one if it is there.
pub(crate) fn load(file: &str) -> Vec<Value> {
    let own = std::fs::read(root().join("tests/vectors").join(file)).expect("the project's own vectors");
    let own = serde_json::from_slice(&own).expect("JSON");
    std::iter::once(own).chain(outside(file)).collect()
}

/// The outside file of vectors, if it is there.
pub(crate) fn outside(file: &str) -> Option<Value> {
    let folder = std::env::var_os("KRB_VECTORS_OUTSIDE");
    let folder: PathBuf = folder.map_or(root().join("../shared/reference/vectors/outside"), Into::into);
    let bytes = std::fs::read(folder.join(file)).ok()?;
    Some(serde_json::from_slice(&bytes).expect("JSON"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The vectors of a file, named.
pub(crate) fn named(file: &str) -> Vec<(String, Vec<u8>, Value)> {
    let vectors = load(file).into_iter().flat_map(|file| file["vectors"].as_array().cloned().unwrap_or_default());
    vectors.map(|vector| (text(&vector["name"]), hex(&vector["hex"]), vector["expected"].clone())).collect()
}

/// A string of the JSON.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

/// A number of the JSON.
pub(crate) fn number(value: &Value) -> i64 {
    value.as_i64().expect("a number")
}

/// A list of the JSON.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// Bytes that the JSON has in hexadecimal.
pub(crate) fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().expect("hexadecimal");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal")).collect()
}

/// Whether this is the name that the JSON describes.
pub(crate) fn check_name(name: &crate::Principal, expected: &Value) {
    assert_eq!(name.realm(), text(&expected["realm"]));
    let components: Vec<String> = list(&expected["components"]).iter().map(text).collect();
    assert_eq!(name.components().iter().map(|part| part.to_string()).collect::<Vec<_>>(), components);
    assert_eq!(i64::from(name.kind().0), expected["name_type"].as_i64().unwrap_or(0));
}

/// Every way to break a file at one place: cut off, or numbers overwritten by those that hurt.
pub(crate) fn broken(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    const HURTING: [&[u8]; 6] =
        [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\x00\x00\x00\x00", b"\xff\xff", b"\x01"];
    let cut = (0..bytes.len()).map(|length| bytes[..length].to_vec());
    let overwritten = (0..bytes.len()).flat_map(move |at| {
        HURTING.iter().filter(move |number| at + number.len() <= bytes.len()).map(move |number| {
            let mut copy = bytes.to_vec();
            copy[at..at + number.len()].copy_from_slice(number);
            copy
        })
    });
    cut.chain(overwritten)
}
