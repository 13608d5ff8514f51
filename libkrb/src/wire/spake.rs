//! PA-SPAKE (RFC 9588 4, appendix A). Not here: what is computed (`crate::preauth::spake`).

use super::basic::EncryptedData;
use super::der::{Decode, Encode, Reader, Writer, sequence};
use super::list::List;
use crate::error::{Error, Result};

const SUPPORT: u8 = 0xa0;
const CHALLENGE: u8 = 0xa1;
const RESPONSE: u8 = 0xa2;
const DATA: u8 = 0xa3;

/// PA-SPAKE (RFC 9588 4): every message of the mechanism.
#[derive(Clone, Copy, Debug)]
pub enum PaSpake<'a> {
    /// The groups that a client knows.
    Support(SpakeSupport<'a>),
    /// The KDC's group and public key.
    Challenge(SpakeChallenge<'a>),
    /// The client's public key and second factor.
    Response(SpakeResponse<'a>),
    /// Whatever else a second factor has to say.
    Data(EncryptedData<'a>),
}

sequence! {
    /// SPAKESupport (RFC 9588 4.2).
    SpakeSupport<'a> {
        /// Groups by their number, the favourite first.
        0 required groups: List<'a, i32>,
    }
}

sequence! {
    /// SPAKEChallenge (RFC 9588 4.2).
    SpakeChallenge<'a> {
        /// The group that the KDC chose.
        0 required group: i32,
        /// Its public key.
        1 required public: &'a [u8],
        /// Second factors, one of which completes the proof.
        2 required factors: List<'a, SpakeSecondFactor<'a>>,
    }
}

sequence! {
    /// SPAKESecondFactor (RFC 9588 4.2).
    SpakeSecondFactor<'a> {
        /// Its type by its number.
        0 required kind: i32,
        /// What the type says.
        1 optional data: &'a [u8],
    }
}

sequence! {
    /// SPAKEResponse (RFC 9588 4.3).
    SpakeResponse<'a> {
        /// The client's public key.
        0 required public: &'a [u8],
        /// A [`SpakeSecondFactor`], encrypted.
        1 required factor: EncryptedData<'a>,
    }
}

impl<'a> Decode<'a> for PaSpake<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let (tag, contents) = reader.element()?;
        let mut inner = Reader::new(contents);
        let message = match tag {
            SUPPORT => PaSpake::Support(SpakeSupport::decode(&mut inner)?),
            CHALLENGE => PaSpake::Challenge(SpakeChallenge::decode(&mut inner)?),
            RESPONSE => PaSpake::Response(SpakeResponse::decode(&mut inner)?),
            DATA => PaSpake::Data(EncryptedData::decode(&mut inner)?),
            _ => return Err(Error::Malformed("PA-SPAKE: no choice that is known")),
        };
        inner.end()?;
        Ok(message)
    }
}

impl Encode for PaSpake<'_> {
    fn encode(&self, writer: &mut Writer) {
        match self {
            PaSpake::Support(support) => writer.element(SUPPORT, |writer| support.encode(writer)),
            PaSpake::Challenge(challenge) => writer.element(CHALLENGE, |writer| challenge.encode(writer)),
            PaSpake::Response(response) => writer.element(RESPONSE, |writer| response.encode(writer)),
            PaSpake::Data(data) => writer.element(DATA, |writer| data.encode(writer)),
        }
    }
}
