//! The messages that change passwords (RFC 3244, and version 1 before it): lengths around an AP-REQ
//! or AP-REP and a KRB-PRIV, and what the KRB-PRIV carries. Not here: who may change what.

use std::fmt;

use super::der::{Decode, Encode, Reader, Writer, sequence};
use super::name::PrincipalName;
use crate::codes::KpasswdCode;
use crate::error::{Error, Result};

/// What stands before the AP-REQ or AP-REP: three lengths or numbers of 16 bits.
const HEADER: usize = 6;
/// The first octet of a KRB-ERROR.
const KRB_ERROR: u8 = 0x7e;
/// Octets of the rules that Active Directory sends in place of text.
const AD_POLICY: usize = 30;

/// A request (RFC 3244 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KpasswdRequest<'a> {
    /// [`KpasswdRequest::CHANGE`] or [`KpasswdRequest::SET`]; others survive.
    pub version: u16,
    /// AP-REQ with a ticket for `kadmin/changepw` and a subkey.
    pub ap_req: &'a [u8],
    /// KRB-PRIV under that subkey: the new password, or [`ChangePasswdData`].
    pub message: &'a [u8],
}

/// A reply (RFC 3244 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KpasswdReply<'a> {
    /// The server has proven itself.
    Answer {
        /// AP-REP.
        ap_rep: &'a [u8],
        /// KRB-PRIV under the client's subkey: a [`KpasswdResult`].
        message: &'a [u8],
    },
    /// KRB-ERROR, maybe with a [`KpasswdResult`] as its data. Anybody can have made it.
    Error(&'a [u8]),
}

/// How a change went (RFC 3244 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KpasswdResult<'a> {
    /// The result.
    pub code: KpasswdCode,
    /// Text for people, in UTF-8; Active Directory sends its [`AdPasswordRules`] instead.
    pub text: &'a [u8],
}

impl<'a> KpasswdRequest<'a> {
    /// Version 1: the user data is the client's own new password.
    pub const CHANGE: u16 = 1;
    /// RFC 3244: the user data is a [`ChangePasswdData`].
    pub const SET: u16 = 0xff80;

    /// Reads a request.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the lengths do not agree with the bytes.
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        let (version, ap_req, message) = unframe(bytes)?;
        match ap_req {
            [] => Err(Error::Malformed("kpasswd request without an AP-REQ")),
            ap_req => Ok(KpasswdRequest { version, ap_req, message }),
        }
    }

    /// The request's bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] for more than 65535 of them.
    pub fn encode(&self) -> Result<Vec<u8>> {
        frame(self.version, self.ap_req, self.message)
    }
}

impl<'a> KpasswdReply<'a> {
    /// Reads a reply, in a frame or a KRB-ERROR without one.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is neither.
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        match unframe(bytes) {
            Ok((KpasswdRequest::CHANGE | KpasswdRequest::SET, [], message)) => Ok(KpasswdReply::Error(message)),
            Ok((KpasswdRequest::CHANGE | KpasswdRequest::SET, ap_rep, message)) => {
                Ok(KpasswdReply::Answer { ap_rep, message })
            }
            _ if bytes.first() == Some(&KRB_ERROR) => Ok(KpasswdReply::Error(bytes)),
            Ok(_) => Err(Error::Malformed("kpasswd reply of another version")),
            Err(error) => Err(error),
        }
    }

    /// The reply's bytes, always in a frame of version 1.
    ///
    /// # Errors
    /// [`Error::Malformed`] for more than 65535 of them.
    pub fn encode(&self) -> Result<Vec<u8>> {
        match self {
            KpasswdReply::Answer { ap_rep, message } => frame(KpasswdRequest::CHANGE, ap_rep, message),
            KpasswdReply::Error(message) => frame(KpasswdRequest::CHANGE, &[], message),
        }
    }
}

impl<'a> KpasswdResult<'a> {
    /// Reads a result.
    ///
    /// # Errors
    /// [`Error::Malformed`] without a code.
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        let (code, text) = bytes.split_first_chunk().ok_or(Error::Malformed("kpasswd result without a code"))?;
        Ok(KpasswdResult { code: KpasswdCode(u16::from_be_bytes(*code).into()), text })
    }

    /// The result's bytes. A code that does not fit is "any other failure".
    pub fn encode(&self) -> Vec<u8> {
        let code = u16::try_from(self.code.0).unwrap_or(u16::MAX);
        [&code.to_be_bytes(), self.text].concat()
    }
}

fn unframe(bytes: &[u8]) -> Result<(u16, &[u8], &[u8])> {
    let Some(([a, b, c, d, e, f], rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(Error::Malformed("kpasswd message truncated"));
    };
    let [whole, version, first] = [[*a, *b], [*c, *d], [*e, *f]].map(u16::from_be_bytes);
    if usize::from(whole) != bytes.len() {
        return Err(Error::Malformed("kpasswd message of another length than it says"));
    }
    let parts = rest.split_at_checked(first.into());
    let (first, second) = parts.ok_or(Error::Malformed("kpasswd message: its first part is truncated"))?;
    Ok((version, first, second))
}

fn frame(version: u16, first: &[u8], second: &[u8]) -> Result<Vec<u8>> {
    const TOO_LONG: Error = Error::Malformed("kpasswd message of more than 65535 bytes");
    let whole = u16::try_from(HEADER + first.len() + second.len()).map_err(|_| TOO_LONG)?;
    let length = u16::try_from(first.len()).map_err(|_| TOO_LONG)?;
    let header = [whole, version, length].map(u16::to_be_bytes).concat();
    Ok([&header, first, second].concat())
}

sequence! {
    /// ChangePasswdData (RFC 3244 2): a new password, and whose.
    ChangePasswdData<'a> {
        /// The new password, in UTF-8.
        0 required new_password: NewPassword<'a>,
        /// Whose; the client's own, if it is not there.
        1 optional target: PrincipalName<'a>,
        /// The realm of that principal.
        2 optional realm: &'a str,
    }
}

/// A password on its way; shown nowhere.
#[derive(Clone, Copy)]
pub struct NewPassword<'a>(pub &'a [u8]);

impl<'a> Decode<'a> for NewPassword<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        Decode::decode(reader).map(NewPassword)
    }
}

impl Encode for NewPassword<'_> {
    fn encode(&self, writer: &mut Writer) {
        self.0.encode(writer);
    }
}

impl fmt::Debug for NewPassword<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword(redacted)")
    }
}

/// What Active Directory asks of passwords, sent in place of a text (MS-SAMR 2.2.3.1's fields in the
/// order in which its KDC writes them).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdPasswordRules {
    /// Characters, at least.
    pub min_length: u32,
    /// How many former passwords may not be used again.
    pub history: u32,
    /// Bit 0: characters of several kinds, and no part of the name.
    pub properties: u32,
    /// How old a password may become, in units of 100 ns.
    pub max_age: u64,
    /// How old a password must be before it is changed again, in units of 100 ns.
    pub min_age: u64,
}

impl AdPasswordRules {
    /// The bit of `properties` that asks for characters of several kinds.
    pub const COMPLEX: u32 = 1;

    /// Reads the rules; `None` for what is text.
    pub fn decode(text: &[u8]) -> Option<Self> {
        let fields: &[u8; AD_POLICY] = text.try_into().ok()?;
        let (marker, fields) = fields.split_first_chunk()?;
        let (min_length, fields) = fields.split_first_chunk()?;
        let (history, fields) = fields.split_first_chunk()?;
        let (properties, fields) = fields.split_first_chunk()?;
        let (max_age, fields) = fields.split_first_chunk()?;
        let (min_age, _) = fields.split_first_chunk()?;
        (*marker == [0, 0]).then(|| AdPasswordRules {
            min_length: u32::from_be_bytes(*min_length),
            history: u32::from_be_bytes(*history),
            properties: u32::from_be_bytes(*properties),
            max_age: u64::from_be_bytes(*max_age),
            min_age: u64::from_be_bytes(*min_age),
        })
    }
}

#[cfg(test)]
mod tests;
