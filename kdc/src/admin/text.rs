//! What stands in operations as text: names, enctypes, secrets, and how the API describes them. Not here:
//! the operations ([`super::operation`]).

use std::fmt;

use libkrb::Principal;
use libkrb::codes::EncryptionType;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use zeroize::Zeroizing;

use crate::observe::facts::Facts;

/// A principal as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(pub Principal);

impl TryFrom<String> for Name {
    type Error = libkrb::Error;
    fn try_from(text: String) -> Result<Self, libkrb::Error> {
        Principal::parse(&text, None).map(Name)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0.to_string()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An enctype by its registered name, or its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Etype(pub EncryptionType);

impl TryFrom<String> for Etype {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let number = || text.parse().ok().map(EncryptionType);
        EncryptionType::parse(&text).or_else(number).map(Etype).ok_or_else(|| format!("{text:?} is no encryption type"))
    }
}

impl From<Etype> for String {
    fn from(etype: Etype) -> String {
        etype.0.to_string()
    }
}

/// A password or a key: erased after use, and shown nowhere.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// What must be kept secret from here on.
    pub fn new(secret: String) -> Self {
        Secret(Zeroizing::new(secret))
    }

    /// Octets, in hexadecimal.
    pub fn hex(octets: &[u8]) -> Self {
        let mut text = String::with_capacity(2 * octets.len());
        for octet in octets {
            text.extend([octet >> 4, octet & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
        }
        Secret::new(text)
    }

    /// The secret.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The octets that were made [`Secret::hex`]; `None` if it was not.
    pub fn octets(&self) -> Option<Zeroizing<Vec<u8>>> {
        let digits = self.0.as_bytes().chunks(2);
        let mut octets = Zeroizing::new(Vec::with_capacity(digits.len()));
        for pair in digits {
            let [high, low] = pair else { return None };
            let digit = |digit: u8| char::from(digit).to_digit(16);
            octets.push((digit(*high)? << 4 | digit(*low)?) as u8);
        }
        Some(octets)
    }
}

impl PartialEq for Secret {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        String::deserialize(input).map(Secret::new)
    }
}

/// Types that are texts in JSON, as the OpenAPI document describes them.
macro_rules! texts {
    ($($type:ident: $about:literal, $example:literal, $pattern:expr;)*) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String).description(Some($about));
                text.examples([$example]).min_length(Some(1)).pattern($pattern).build().into()
            }
        }

        impl ToSchema for $type {}
    )*};
}

/// An enctype of which keys can be made.
pub(super) enum Supported {}

impl PartialSchema for Supported {
    fn schema() -> RefOr<Schema> {
        let names = libkrb::crypto::SUPPORTED.iter().map(ToString::to_string);
        let text = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
        text.description(Some("An encryption type of which keys can be made")).build().into()
    }
}

impl ToSchema for Supported {}

impl PartialSchema for Facts {
    /// As much as a reader may rely on: more is added when there is more to know.
    fn schema() -> RefOr<Schema> {
        let facts = ObjectBuilder::new().schema_type(Type::Object);
        facts.description(Some("What is known of the running KDC; GET it to see")).build().into()
    }
}

impl ToSchema for Facts {}

texts! {
    Name: "A principal; without a realm, one of this realm", "alice@EXAMPLE.ORG", Some(NAME_PATTERN);
    Etype: "An encryption type, by name or number", "aes256-cts-hmac-sha1-96", Some("^([a-z0-9-]+|-?[0-9]{1,10})$");
    Secret: "A password, or a key's octets in hexadecimal", "correct horse battery staple", None::<&str>;
}

/// What a principal is as text, with its realm or without.
pub(super) const NAME_PATTERN: &str = r"^([^\\@\u0000]|\\[^\u0000])+(@([^\\@/\u0000]|\\[^\u0000])+)?$";
