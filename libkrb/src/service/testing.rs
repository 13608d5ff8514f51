//! What the tests of the AP exchange share: recorded exchanges, and randomness that can be foretold.

use std::path::PathBuf;

use serde_json::Value;

use crate::codes::{AuthDataType, ChecksumType, EncryptionType};
use crate::crypto::{Key, KeyUsage, Random};
use crate::flags::{ApOptions, TicketFlags};
use crate::name::Principal;
use crate::session::Address;
use crate::time::{Instant, Time};
use crate::wire::{
    self, ApReq, AuthData, Authenticator, Checksum, EncTicketPart, EncryptedData, Fixed, List, Raw, Ticket,
    TransitedEncoding,
};

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
    Key::new(EncryptionType(step["enctype"].as_i64().unwrap() as i32), &hex(step["key"].as_str().unwrap())).unwrap()
}

/// The client's clock in a recorded authenticator.
pub(crate) fn step_time(step: &Value) -> Instant {
    let plain = hex(step["plaintext"].as_str().unwrap());
    let authenticator: Authenticator<'_> = wire::decode(&plain).unwrap();
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

/// An AP-REQ in the making: every part can be made wrong.
pub(crate) struct Draft {
    pub asked: Principal,
    pub kvno: Option<u32>,
    pub service_key: Key,
    pub session_key: Key,
    pub client: Principal,
    pub flags: TicketFlags,
    pub transited: Vec<u8>,
    pub auth_time: Time,
    pub start_time: Option<Time>,
    pub end_time: Time,
    pub addresses: Vec<Address>,
    pub ticket_authz: Vec<(AuthDataType, Vec<u8>)>,
    pub claimed: Principal,
    pub time: Instant,
    pub checksum: Option<(ChecksumType, Vec<u8>)>,
    pub subkey: Option<Key>,
    pub sequence: Option<u32>,
    pub authz: Vec<(AuthDataType, Vec<u8>)>,
    pub options: ApOptions,
    pub usage: KeyUsage,
}

pub(crate) const NOW: Instant = Instant { time: Time(1_800_000_000), micros: 123_456 };

pub(crate) fn key(byte: u8) -> Key {
    Key::new(EncryptionType::AES256_SHA1, &[byte; 32]).unwrap()
}

pub(crate) fn principal(name: &str) -> Principal {
    Principal::parse(name, Some("EXAMPLE.ORG")).unwrap()
}

impl Default for Draft {
    /// alice to host/a, kvno 3, now, with everything in order.
    fn default() -> Self {
        Draft {
            asked: principal("host/a"),
            kvno: Some(3),
            service_key: key(1),
            session_key: key(2),
            client: principal("alice"),
            flags: TicketFlags::PRE_AUTHENT | TicketFlags::TRANSITED_POLICY_CHECKED,
            transited: vec![],
            auth_time: NOW.time - 3600,
            start_time: Some(NOW.time - 1800),
            end_time: NOW.time + 3600,
            addresses: vec![],
            ticket_authz: vec![],
            claimed: principal("alice"),
            time: NOW,
            checksum: None,
            subkey: Some(key(4)),
            sequence: Some(77),
            authz: vec![],
            options: ApOptions::MUTUAL_REQUIRED,
            usage: KeyUsage::AP_REQ_AUTHENTICATOR,
        }
    }
}

impl Draft {
    pub(crate) fn with(change: impl FnOnce(&mut Draft)) -> Vec<u8> {
        let mut draft = Draft::default();
        change(&mut draft);
        draft.ap_req()
    }

    pub(crate) fn ap_req(&self) -> Vec<u8> {
        let mut random = Counter(0);
        let ticket = self.service_key.encrypt(KeyUsage::TICKET, &mut random, &self.ticket());
        let authenticator = self.session_key.encrypt(self.usage, &mut random, &self.authenticator());
        let enc_part = EncryptedData { etype: self.service_key.etype(), kvno: self.kvno, cipher: &ticket };
        let value = Ticket { version: Fixed, realm: self.asked.realm(), server: (&self.asked).into(), enc_part };
        let der = wire::encode(&value);
        wire::encode(&ApReq {
            version: Fixed,
            kind: Fixed,
            options: self.options,
            ticket: Raw { der: &der, value },
            authenticator: EncryptedData { etype: self.session_key.etype(), kvno: None, cipher: &authenticator },
        })
    }

    fn ticket(&self) -> Vec<u8> {
        let addresses: Vec<_> = self.addresses.iter().map(Address::view).collect();
        let authz = elements(&self.ticket_authz);
        wire::encode(&EncTicketPart {
            flags: self.flags,
            key: (&self.session_key).into(),
            client_realm: self.client.realm(),
            client: (&self.client).into(),
            transited: TransitedEncoding { contents: &self.transited, ..TransitedEncoding::NONE },
            auth_time: self.auth_time,
            start_time: self.start_time,
            end_time: self.end_time,
            renew_till: None,
            addresses: Some(List::Items(&addresses)).filter(|list| !list.is_empty()),
            authorization_data: Some(List::Items(&authz)).filter(|list| !list.is_empty()),
        })
    }

    fn authenticator(&self) -> Vec<u8> {
        let authz = elements(&self.authz);
        wire::encode(&Authenticator {
            version: Fixed,
            client_realm: self.claimed.realm(),
            client: (&self.claimed).into(),
            checksum: self.checksum.as_ref().map(|(kind, checksum)| Checksum { kind: *kind, checksum }),
            micros: self.time.micros,
            time: self.time.time,
            subkey: self.subkey.as_ref().map(Into::into),
            sequence: self.sequence,
            authorization_data: Some(List::Items(&authz)).filter(|list| !list.is_empty()),
        })
    }
}

fn elements(authz: &[(AuthDataType, Vec<u8>)]) -> Vec<AuthData<'_>> {
    authz.iter().map(|(kind, data)| AuthData { kind: *kind, data }).collect()
}

/// The DER of authorization data: the content of AD-IF-RELEVANT.
pub(crate) fn authz(authz: &[(AuthDataType, Vec<u8>)]) -> Vec<u8> {
    let elements = elements(authz);
    wire::encode(&List::Items(&elements))
}
