//! The messages of RFC 4120 section 5 and their DER: the only room that knows an encoding.
//!
//! Decoded messages are views that borrow from the bytes they came from; encoding goes backwards
//! into one buffer, so that no length has to be computed first. Lenient in: unknown trailing
//! fields, negative 32-bit nonces, kvnos and sequence numbers, bit strings longer than 32 bits,
//! either tag on EncKDCRepPart. Strict out. No recursion: nesting is bounded by the types.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod ap;
mod authdata;
mod basic;
mod cms;
mod cred;
mod der;
mod error;
mod fast;
mod gss;
mod iakerb;
mod kdc;
mod kkdcp;
mod kpasswd;
mod list;
mod name;
mod otp;
mod padata;
mod pkinit;
mod s4u;
mod safe_priv;
mod spake;
mod spnego;
mod ticket;
mod time;
mod utf8;
mod writer;
mod x509;

pub use ap::{ApRep, ApReq, Authenticator, EncApRepPart};
pub use authdata::{AdAndOr, AdCammac, AdKdcIssued, AuthData, AuthorizationData, VerifierMac};
pub use basic::{Checksum, EncryptedData, EncryptionKey, Fixed, HostAddress, Raw, TransitedEncoding};
pub use cms::{SignedAttributes, SignedData, SignerId, SignerInfo};
pub use cred::{EncKrbCredPart, KrbCred, KrbCredInfo};
pub use der::{Decode, Encode, Reader, Writer};
pub use error::{KrbError, TypedData};
pub use fast::{
    KrbFastArmor, KrbFastArmoredRep, KrbFastArmoredReq, KrbFastFinished, KrbFastReq, KrbFastResponse, PaFxFastReply,
    PaFxFastRequest,
};
pub use gss::{InitialToken, Oid};
pub use iakerb::{IakerbFinished, IakerbHeader, IakerbRealm};
pub use kdc::{EncKdcRepPart, KdcRep, KdcReq, KdcReqBody, LastReq};
pub use kkdcp::{KdcProxyMessage, is_for_kdc};
pub use kpasswd::{AdPasswordRules, ChangePasswdData, KpasswdReply, KpasswdRequest, KpasswdResult, NewPassword};
pub use list::List;
pub use name::{Components, PrincipalName};
pub use otp::{Algorithm, OtpTokenInfo, PaOtpChallenge, PaOtpEncRequest, PaOtpPinChange, PaOtpRequest};
pub use padata::{EtypeInfo2Entry, EtypeInfoEntry, MethodData, PaData, PaEncTsEnc, PaPacRequest, Padata};
pub use pkinit::{
    AuthPack, DhRepInfo, ExternalPrincipalIdentifier, KdcDhKeyInfo, KdfAlgorithmId, Krb5PrincipalName, OtherInfo,
    PaChecksum2, PaPkAsRep, PaPkAsReq, PkAuthenticator, PkinitSuppPubInfo, TdCertDigestAlgorithms,
};
pub use s4u::{PaForUser, PaPacOptions, PaS4uX509User, S4uUserId};
pub use safe_priv::{EncKrbPrivPart, KrbPriv, KrbSafe, KrbSafeBody};
pub use spake::{PaSpake, SpakeChallenge, SpakeResponse, SpakeSecondFactor, SpakeSupport};
pub use spnego::{MechTypeList, NegHints, NegState, NegTokenInit, NegTokenResp, NegotiationToken};
pub use ticket::{EncTicketPart, Ticket, TicketFields};
pub use utf8::Utf8;
pub use x509::{AlgorithmIdentifier, Any, BitString, DomainParameters, SubjectPublicKeyInfo, Unsigned};

use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Decodes one whole message.
///
/// # Errors
/// [`Error::Malformed`] when the bytes are not this message, or more follows it.
pub fn decode<'a, T: Decode<'a>>(bytes: &'a [u8]) -> Result<T> {
    let mut reader = Reader::new(bytes);
    let message = T::decode(&mut reader)?;
    if !reader.is_empty() {
        return Err(Error::Malformed("bytes after the end of the message"));
    }
    Ok(message)
}

/// Encodes one message as DER.
pub fn encode(message: &impl Encode) -> Vec<u8> {
    let mut writer = Writer::new();
    message.encode(&mut writer);
    writer.bytes().to_vec()
}

/// Encodes one message that holds secrets; the bytes are wiped when dropped.
pub fn encode_secret(message: &impl Encode) -> Zeroizing<Vec<u8>> {
    let mut writer = Writer::secret();
    message.encode(&mut writer);
    Zeroizing::new(writer.bytes().to_vec())
}

/// The APPLICATION tag number of a message, from its first byte: tells AS-REQ (10) from TGS-REQ
/// (12) before anything is decoded. `None` for what is no Kerberos message.
pub fn application_tag(bytes: &[u8]) -> Option<u8> {
    let first = *bytes.first()?;
    (first & 0xe0 == 0x60 && first & 0x1f != 0x1f).then_some(first & 0x1f)
}

#[cfg(test)]
mod tests;
