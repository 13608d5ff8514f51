//! A JSON Web Token signed and verified, as a call between services would have it.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize};
use serde::{Deserialize, Serialize};

use crate::{Cost, micros};

/// What such a token says.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    iat: u64,
    jti: String,
}

pub fn costs(rounds: usize) -> Vec<(&'static str, Cost)> {
    let made = |algorithm| KeyPair::generate_for(algorithm).expect("a key");
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
    let private = |key: &KeyPair| key.serialize_pem().into_bytes();
    let public = |key: &KeyPair| key.subject_public_key_info_pem().into_bytes();
    let (ec, ed) = (made(&PKCS_ECDSA_P256_SHA256), made(&PKCS_ED25519));
    let keys = |encoding: jsonwebtoken::errors::Result<EncodingKey>, decoding: jsonwebtoken::errors::Result<_>| {
        (encoding.expect("a private key"), decoding.expect("a public key"))
    };
    let ec = keys(EncodingKey::from_ec_pem(&private(&ec)), DecodingKey::from_ec_pem(&public(&ec)));
    let ed = keys(EncodingKey::from_ed_pem(&private(&ed)), DecodingKey::from_ed_pem(&public(&ed)));
    let rsa = keys(EncodingKey::from_rsa_pem(&private(&rsa)), DecodingKey::from_rsa_pem(&public(&rsa)));
    vec![
        ("JWT, ES256", cost(Algorithm::ES256, &ec, rounds)),
        ("JWT, EdDSA", cost(Algorithm::EdDSA, &ed, rounds)),
        ("JWT, RS256", cost(Algorithm::RS256, &rsa, rounds)),
    ]
}

trait Pem {
    fn subject_public_key_info_pem(&self) -> String;
}

impl Pem for KeyPair {
    fn subject_public_key_info_pem(&self) -> String {
        use base64::Engine;
        let der = self.subject_public_key_info();
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }
}

fn cost(algorithm: Algorithm, (sign, verify): &(EncodingKey, DecodingKey), rounds: usize) -> Cost {
    let now = u64::try_from(tests::library::now().time.seconds()).expect("after 1970");
    let mut tokens = Vec::with_capacity(rounds);
    let client = micros(rounds, || {
        tokens.extend((0..rounds).map(|round| {
            let claims = Claims {
                iss: "HTTP/gateway.shop".to_owned(),
                sub: "alice@EXAMPLE.ORG".to_owned(),
                aud: "HTTP/ads.shop".to_owned(),
                exp: now + 300,
                iat: now,
                jti: format!("{round:032x}"),
            };
            encode(&Header::new(algorithm), &claims, sign).expect("a token")
        }));
    });
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&["HTTP/ads.shop"]);
    let server = micros(rounds, || {
        for token in &tokens {
            decode::<Claims>(token, verify, &validation).expect("a good token");
        }
    });
    Cost { client, server }
}
