//! Recorded exchanges of MIT and Heimdal, with all long-term keys.

use libkrb::codes::EncryptionType;
use libkrb::crypto::Key;
use libkrb::keytab::Keytab;
use libkrb::{Principal, Time};
use serde_json::Value;

/// A file of exchanges with one KDC.
pub struct Recording {
    file: Value,
    pub realm: String,
    pub keytab: Keytab,
}

/// A request and its reply.
pub struct Exchange<'a> {
    value: &'a Value,
    pub scenario: &'a str,
    pub request: Vec<u8>,
    pub reply: Vec<u8>,
}

/// A decryption, or a check, that whoever recorded the exchange made.
pub struct Step<'a> {
    value: &'a Value,
    pub what: &'a str,
}

pub fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hexadecimal");
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal")).collect()
}

impl Recording {
    /// The exchanges with the KDC of "mit" or "heimdal".
    pub fn of(kdc: &str) -> Self {
        let path = format!("{}/vectors/transcripts_{kdc}.json", env!("CARGO_MANIFEST_DIR"));
        let file: Value = serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON");
        let realm = file["realm"].as_str().expect("a realm").to_owned();
        let keytab = Keytab::parse(&hex(&file["keytab_hex"])).expect("a keytab");
        Recording { file, realm, keytab }
    }

    pub fn exchanges(&self) -> impl Iterator<Item = Exchange<'_>> {
        let exchanges = self.file["exchanges"].as_array().expect("exchanges");
        exchanges.iter().map(|value| Exchange {
            value,
            scenario: value["scenario"].as_str().expect("a scenario"),
            request: hex(&value["request"]),
            reply: hex(&value["reply"]),
        })
    }

    pub fn password(&self, client: &Principal) -> Option<&str> {
        let name = client.without_realm().to_string();
        self.file["passwords"][&name].as_str()
    }

    /// The long-term key of a principal; every one has version 1.
    pub fn key(&self, principal: &Principal, etype: EncryptionType) -> Option<Key> {
        let mut entries = self.keytab.entries.iter();
        let entry = entries.find(|entry| entry.principal == *principal && entry.key.etype == etype)?;
        Some(Key::new(etype, &entry.key.bytes).expect("a key"))
    }
}

impl<'a> Exchange<'a> {
    pub fn number(&self) -> u64 {
        self.value["n"].as_u64().expect("a number")
    }

    pub fn is(&self, kind: &str) -> bool {
        self.value["request_type"] == kind
    }

    pub fn steps(&self) -> impl Iterator<Item = Step<'a>> {
        let steps = self.value["steps"].as_array().expect("steps");
        steps.iter().map(|value| Step { value, what: value["what"].as_str().expect("what") })
    }

    /// The first step of this name.
    pub fn step(&self, what: &str) -> Option<Step<'a>> {
        self.steps().find(|step| step.what.starts_with(what))
    }

    /// Whether the request has padata of this kind.
    pub fn brings(&self, kind: i64) -> bool {
        self.value["request_padata_types"].as_array().is_some_and(|kinds| kinds.contains(&kind.into()))
    }
}

impl<'a> Step<'a> {
    pub fn usage(&self) -> Option<i32> {
        self.value["usage"].as_i64().map(|usage| usage as i32)
    }

    pub fn plaintext(&self) -> Option<Vec<u8>> {
        self.value["plaintext"].is_string().then(|| hex(&self.value["plaintext"]))
    }

    pub fn checked(&self) -> bool {
        self.value["check"] == true
    }

    pub fn key(&self) -> Key {
        let etype = EncryptionType(self.value["enctype"].as_i64().expect("an enctype") as i32);
        Key::new(etype, &hex(&self.value["key"])).expect("a key")
    }

    pub fn decoded(&self) -> &'a Value {
        &self.value["decoded"]
    }
}

/// A time as these files have it ("20261121220140Z").
pub fn time(value: &Value) -> Option<Time> {
    let text = value.as_str()?;
    let part = |from: usize, to: usize| text[from..to].parse::<u8>().expect("digits");
    let year = text[..4].parse().expect("a year");
    Time::from_civil(year, part(4, 6), part(6, 8), part(8, 10), part(10, 12), part(12, 14))
}
