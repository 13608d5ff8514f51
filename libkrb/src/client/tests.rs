//! Recorded exchanges of MIT and Heimdal, opened with their keys.

use super::testing::*;
use crate::codes::PaType;
use crate::crypto::KeyUsage;
use crate::error::Error;
use crate::preauth::req_enc_pa_rep;
use crate::wire::{self, ApReq, Authenticator, Decode, EncKdcRepPart, EncryptedData, Reader};

/// Every ciphertext that stands somewhere in these bytes.
fn ciphers(bytes: &[u8]) -> impl Iterator<Item = EncryptedData<'_>> {
    (0..bytes.len()).filter_map(|at| EncryptedData::decode(&mut Reader::new(&bytes[at..])).ok())
}

#[test]
fn the_transcripts_are_decrypted_step_by_step() {
    let mut opened = 0;
    for file in [transcripts("mit"), transcripts("heimdal")] {
        for exchange in exchanges(&file) {
            let mut sources = vec![hex(&exchange["request"]), hex(&exchange["reply"])];
            for step in exchange["steps"].as_array().unwrap() {
                let what = format!("{} {}: {}", exchange["n"], exchange["scenario"], step["what"]);
                let Some(usage) = step["usage"].as_i64().map(|usage| KeyUsage(usage as i32)) else { continue };
                let sealed = step["plaintext"].is_string() && step["enctype"].as_i64() > Some(0);
                // The cookie of MIT's KDC has a form of its own, and is nobody else's business.
                if !sealed || what.contains("PA-FX-COOKIE") {
                    continue;
                }
                let (key, expected) = (step_key(step), hex(&step["plaintext"]));
                let opens =
                    |sealed: EncryptedData<'_>| key.decrypt(usage, sealed.cipher).is_ok_and(|plain| *plain == expected);
                assert!(sources.iter().flat_map(|bytes| ciphers(bytes)).any(opens), "{what}");
                sources.push(expected);
                opened += 1;
            }
        }
    }
    assert!(opened > 200, "{opened}");
}

#[test]
fn the_timestamps_that_a_wrong_password_made_do_not_open() {
    let mut refused = 0;
    for file in [transcripts("mit"), transcripts("heimdal")] {
        for exchange in exchanges(&file) {
            let Some(step) = step(exchange, "PA-ENC-TIMESTAMP made with a wrong password") else { continue };
            let request = hex(&exchange["request"]);
            let value = read(&request).padata(PaType::ENC_TIMESTAMP).unwrap().value;
            let opened = step_key(step)
                .decrypt(KeyUsage::AS_REQ_ENC_TIMESTAMP, wire::decode::<EncryptedData<'_>>(value).unwrap().cipher);
            assert_eq!(opened.unwrap_err(), Error::Integrity);
            refused += 1;
        }
    }
    assert_eq!(refused, 3);
}

#[test]
fn the_checksums_of_recorded_requests_verify() {
    let (mut bodies, mut requests) = (0, 0);
    for file in [transcripts("mit"), transcripts("heimdal")] {
        for exchange in exchanges(&file) {
            let request = hex(&exchange["request"]);
            if let Some(check) = step(exchange, "authenticator checksum over req-body") {
                let header = read(&request).padata(PaType::TGS_REQ).unwrap().value;
                wire::decode::<ApReq<'_>>(header).unwrap();
                let plain = hex(&step(exchange, "authenticator").unwrap()["plaintext"]);
                let sum = wire::decode::<Authenticator<'_>>(&plain).unwrap().checksum.unwrap();
                let body = read(&request).body.der;
                step_key(check).verify_checksum(KeyUsage::TGS_REQ_CHECKSUM, sum.kind, body, sum.checksum).unwrap();
                bodies += 1;
            }
            if let Some(check) = step(exchange, "PA-REQ-ENC-PA-REP checksum") {
                let plain = hex(&step(exchange, "AS-REP enc-part").unwrap()["plaintext"]);
                let part: EncKdcRepPart<'_> = wire::decode(&plain).unwrap();
                let told = part.encrypted_padata.unwrap().iter().find(|e| e.kind == PaType::REQ_ENC_PA_REP).unwrap();
                // Inside FAST the checksum is over the inner request, which these keys do not make.
                if exchange["fast_inner_padata_types"].is_null() {
                    req_enc_pa_rep::verify(&step_key(check), &request, told.value).unwrap();
                    requests += 1;
                }
            }
        }
    }
    assert!(bodies >= 14 && requests >= 20, "{bodies} {requests}");
}
