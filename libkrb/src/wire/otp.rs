//! One-time passwords (RFC 6560 4). Its module has IMPLICIT tags, unlike all others.

use super::basic::EncryptedData;
use super::der::{Decode, Encode, Reader, SEQUENCE, Writer, sequence};
use super::kdc::LastReq;
use super::list::List;
use super::utf8::Utf8;
use crate::error::Result;
use crate::flags::{OtpFlags, PinFlags};
use crate::time::Time;

sequence! {
    /// PA-OTP-CHALLENGE (RFC 6560 4.1).
    PaOtpChallenge<'a> {
        /// What the client encrypts to show that it answers this challenge.
        0 implicit nonce: &'a [u8],
        /// What the tokens are for, to help people choose.
        1 implicit_optional service: Utf8<'a>,
        /// The tokens that will do, one at least.
        2 implicit tokens: List<'a, OtpTokenInfo<'a>>,
        /// For keys that are made from the one-time password.
        3 implicit_optional salt: &'a str,
        /// The same.
        4 implicit_optional s2kparams: &'a [u8],
    }
}

sequence! {
    /// OTP-TOKENINFO (RFC 6560 4.1).
    OtpTokenInfo<'a> {
        /// How the value is made and sent.
        0 implicit flags: OtpFlags,
        /// Who made the token, or what it is called.
        1 implicit_optional vendor: Utf8<'a>,
        /// What the token makes its value of.
        2 implicit_optional challenge: &'a [u8],
        /// How long the value is.
        3 implicit_optional length: i32,
        /// What it is made of: 0 for digits.
        4 implicit_optional format: i32,
        /// Which token.
        5 implicit_optional token_id: &'a [u8],
        /// The algorithm, as a URI.
        6 implicit_optional algorithm: Utf8<'a>,
        /// Hash functions, for values that are sent as a hash.
        7 implicit_optional hashes: List<'a, Algorithm<'a>>,
        /// How often to hash.
        8 implicit_optional iterations: i32,
    }
}

sequence! {
    /// PA-OTP-REQUEST (RFC 6560 4.2).
    PaOtpRequest<'a> {
        /// As the chosen token has them.
        0 implicit flags: OtpFlags,
        /// Of the client, for values that are sent as a hash.
        1 implicit_optional nonce: &'a [u8],
        /// PA-OTP-ENC-REQUEST, or without a challenge PA-ENC-TS-ENC; key usage 45.
        2 implicit enc_data: EncryptedData<'a>,
        /// The hash function.
        3 implicit_optional hash: Algorithm<'a>,
        /// How often it was hashed.
        4 implicit_optional iterations: i32,
        /// The one-time password.
        5 implicit_optional value: &'a [u8],
        /// The PIN, where it is sent apart.
        6 implicit_optional pin: Utf8<'a>,
        /// What the value was made of, if the KDC has not chosen it.
        7 implicit_optional challenge: &'a [u8],
        /// When it was made.
        8 implicit_optional time: Time,
        /// With which count.
        9 implicit_optional counter: &'a [u8],
        /// What it is made of.
        10 implicit_optional format: i32,
        /// Which token.
        11 implicit_optional token_id: &'a [u8],
        /// The algorithm, as a URI.
        12 implicit_optional algorithm: Utf8<'a>,
        /// Who made the token, as the challenge had it.
        13 implicit_optional vendor: Utf8<'a>,
    }
}

sequence! {
    /// PA-OTP-ENC-REQUEST (RFC 6560 4.2).
    PaOtpEncRequest<'a> {
        /// That of the challenge.
        0 implicit nonce: &'a [u8],
    }
}

sequence! {
    /// PA-OTP-PIN-CHANGE (RFC 6560 4.3).
    PaOtpPinChange<'a> {
        /// Who chooses the PIN.
        0 implicit flags: PinFlags,
        /// The new PIN.
        1 implicit_optional pin: Utf8<'a>,
        /// How short one may be.
        2 implicit_optional min_length: i32,
        /// How long one may be.
        3 implicit_optional max_length: i32,
        /// When PIN and account expire.
        4 implicit_optional last_req: List<'a, LastReq>,
        /// What it is made of.
        5 implicit_optional format: i32,
    }
}

/// AlgorithmIdentifier (RFC 5280 4.1.1.2), as it came: nobody here hashes one-time passwords.
#[derive(Clone, Copy, Debug)]
pub struct Algorithm<'a>(pub &'a [u8]);

impl<'a> Decode<'a> for Algorithm<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        reader.expect(SEQUENCE, "AlgorithmIdentifier expected").map(Algorithm)
    }
}

impl Encode for Algorithm<'_> {
    fn encode(&self, writer: &mut Writer) {
        writer.primitive(SEQUENCE, self.0);
    }
}
