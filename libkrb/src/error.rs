//! What can go wrong, once for callers ([`Error`]) and once for the wire ([`ErrorCode`]).
//!
//! Texts are lower case without a full stop; the tools add the next step. Neither secrets nor a
//! peer's bytes ever stand in an error. The exception in case: [`ErrorCode`] texts are those of
//! MIT krb5, because scripts match them.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use crate::codes::{ChecksumType, EncryptionType, KpasswdCode};

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can fail in libkrb.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes are not the message they should be (RFC 4120 5); the text says what was wrong.
    #[error("malformed message: {0}")]
    Malformed(&'static str),
    /// A principal or realm name that cannot be one.
    #[error("malformed principal name: {0}")]
    Name(&'static str),
    /// No implementation, or not allowed, for this encryption type.
    #[error("encryption type {0} is not supported")]
    EtypeNotSupported(EncryptionType),
    /// No implementation, or not allowed, for this checksum type.
    #[error("checksum type {0} is not supported")]
    ChecksumNotSupported(ChecksumType),
    /// A key of the wrong length for its encryption type.
    #[error("wrong key length for encryption type {0}")]
    KeyLength(EncryptionType),
    /// Ciphertext or checksum does not verify under this key.
    #[error("Decrypt integrity check failed")]
    Integrity,
    /// String-to-key parameters that are malformed or ask for too much work.
    #[error("string-to-key parameters refused: {0}")]
    S2kParams(&'static str),
    /// The system's random number generator failed.
    #[error("the system's random number generator failed")]
    Random,
    /// A file could not be read, written or understood.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        problem: String,
    },
    /// There is no credential cache of this name.
    #[error("No credentials cache found (filename: {0})")]
    NoCache(String),
    /// There is no keytab file of this name.
    #[error("Key table file '{0}' not found")]
    NoKeytab(String),
    /// A credential cache or keytab that cannot be used.
    #[error("{problem}{}{}", named(name), detailed(detail))]
    Storage {
        /// What is wrong, in MIT's words where it has them.
        problem: Cow<'static, str>,
        /// The file or the cache; empty while only its bytes are known.
        name: String,
        /// Where it is wrong and what was expected; may be empty.
        detail: String,
    },
    /// A configuration file is wrong at one place.
    #[error("{}:{line}: {problem}", file.display())]
    Config {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What was found and what was expected.
        problem: String,
    },
    /// A setting is missing or cannot be used.
    #[error("{0}")]
    Setting(String),
    /// A peer answered with KRB-ERROR, or a check of ours maps to one.
    #[error("{code}{}", text.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
    Protocol {
        /// The code of RFC 4120 7.5.9.
        code: ErrorCode,
        /// Our words for it; never the peer's.
        text: Option<String>,
    },
    /// A peer speaks through another channel than the one it is bound to (RFC 2743 1.1.6).
    #[error("channel bindings refused: {0}")]
    ChannelBindings(&'static str),
    /// The ends of a context do not come to terms about its mechanism (RFC 4178).
    #[error("{0}")]
    Negotiation(&'static str),
    /// A reply is not the answer to our request (RFC 4120 3.1.5, 3.3.4).
    #[error("KDC reply did not match expectations: {0}")]
    ReplyMismatch(&'static str),
    /// The password or key does not open the KDC's reply.
    #[error("Password incorrect")]
    PasswordIncorrect,
    /// A credential is not in the cache.
    #[error("Matching credential not found")]
    NoCredential,
    /// A key is not in the keytab.
    #[error("{0}")]
    NoKey(String),
    /// No service name can be made of a URL or a host, or a rule for it is wrong.
    #[error("no service name: {0}")]
    Spn(String),
    /// The realm's server does not take a new password (RFC 3244 2). Its own words are for whoever
    /// typed the password, and in no log.
    #[error("{}", code.name().unwrap_or("Password change failed"))]
    PasswordRefused {
        /// Why.
        code: KpasswdCode,
        /// The server's words, where it has proven itself.
        text: Option<String>,
    },
    /// A client in FAST is referred to a realm whose KDC does not open its armor.
    #[error("no armor for realm {0:?}, to which the client is referred")]
    NoArmor(String),
    /// No KDC is known for a realm.
    #[error("Cannot find KDC for realm \"{0}\"")]
    NoKdc(String),
    /// No KDC of a realm answered.
    #[error("Cannot contact any KDC for realm '{0}'")]
    Unreachable(String),
}

fn named(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" (filename: {name})") }
}

fn detailed(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

/// The system's words without its number for them: who reads them has no table of numbers.
fn without_number(mut text: String) -> String {
    if let Some(number) = text.rfind(" (os error ").filter(|_| text.ends_with(')')) {
        text.truncate(number);
    }
    text
}

impl Error {
    /// A KRB-ERROR code without further words.
    pub const fn code(code: ErrorCode) -> Error {
        Error::Protocol { code, text: None }
    }

    /// A KRB-ERROR code with our words for the cause.
    pub fn protocol(code: ErrorCode, text: impl Into<String>) -> Error {
        Error::Protocol { code, text: Some(text.into()) }
    }

    /// A file and what is wrong with it.
    pub fn file(path: impl Into<PathBuf>, problem: impl fmt::Display) -> Error {
        Error::File { path: path.into(), problem: without_number(problem.to_string()) }
    }

    /// A credential cache or keytab, what is wrong with it, and where.
    pub(crate) fn storage(
        problem: impl Into<Cow<'static, str>>,
        name: impl Into<String>,
        detail: impl Into<String>,
    ) -> Error {
        let problem = match problem.into() {
            Cow::Owned(words) => Cow::Owned(without_number(words)),
            words => words,
        };
        Error::Storage { problem, name: name.into(), detail: without_number(detail.into()) }
    }

    /// The same error, now that it is known which file the bytes came from.
    pub(crate) fn in_file(self, file: &std::path::Path) -> Error {
        match self {
            Error::Storage { problem, detail, .. } => Error::storage(problem, file.display().to_string(), detail),
            other => other,
        }
    }

    /// The one place where an error becomes a code for the wire (RFC 4120 7.5.9).
    pub fn wire_code(&self) -> ErrorCode {
        match self {
            Error::Protocol { code, .. } => *code,
            Error::EtypeNotSupported(_) => ErrorCode::ETYPE_NOSUPP,
            Error::ChecksumNotSupported(_) => ErrorCode::INAPP_CKSUM,
            Error::Integrity | Error::PasswordIncorrect => ErrorCode::BAD_INTEGRITY,
            Error::NoKey(_) => ErrorCode::NOKEY,
            _ => ErrorCode::GENERIC,
        }
    }
}

macro_rules! error_codes {
    ($($name:ident = $value:literal, $rfc:literal, $text:literal;)*) => {
        /// Error codes of KRB-ERROR (RFC 4120 7.5.9 and its successors); unknown ones survive.
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct ErrorCode(pub i32);

        impl ErrorCode {
            $(#[doc = concat!($rfc, ": ", $text, ".")] pub const $name: ErrorCode = ErrorCode($value);)*

            const TABLE: &'static [(i32, &'static str, &'static str)] = &[$(($value, $rfc, $text)),*];

            fn row(self) -> Option<&'static (i32, &'static str, &'static str)> {
                Self::TABLE.iter().find(|(value, ..)| *value == self.0)
            }

            /// The RFC's name for the code, for logs ("KDC_ERR_POLICY").
            pub fn name(self) -> &'static str {
                self.row().map_or("UNKNOWN", |(_, name, _)| name)
            }

            /// The text that people and scripts know from MIT krb5.
            pub fn text(self) -> &'static str {
                self.row().map_or("Unknown error", |(.., text)| text)
            }
        }
    };
}

error_codes! {
    NONE = 0, "KDC_ERR_NONE", "No error";
    NAME_EXP = 1, "KDC_ERR_NAME_EXP", "Client's entry in database has expired";
    SERVICE_EXP = 2, "KDC_ERR_SERVICE_EXP", "Server's entry in database has expired";
    BAD_PVNO = 3, "KDC_ERR_BAD_PVNO", "Requested protocol version not supported";
    C_OLD_MAST_KVNO = 4, "KDC_ERR_C_OLD_MAST_KVNO", "Client's key is encrypted in an old master key";
    S_OLD_MAST_KVNO = 5, "KDC_ERR_S_OLD_MAST_KVNO", "Server's key is encrypted in an old master key";
    C_PRINCIPAL_UNKNOWN = 6, "KDC_ERR_C_PRINCIPAL_UNKNOWN", "Client not found in Kerberos database";
    S_PRINCIPAL_UNKNOWN = 7, "KDC_ERR_S_PRINCIPAL_UNKNOWN", "Server not found in Kerberos database";
    PRINCIPAL_NOT_UNIQUE = 8, "KDC_ERR_PRINCIPAL_NOT_UNIQUE", "Principal has multiple entries in Kerberos database";
    NULL_KEY = 9, "KDC_ERR_NULL_KEY", "Client or server has a null key";
    CANNOT_POSTDATE = 10, "KDC_ERR_CANNOT_POSTDATE", "Ticket is ineligible for postdating";
    NEVER_VALID = 11, "KDC_ERR_NEVER_VALID", "Requested effective lifetime is negative or too short";
    POLICY = 12, "KDC_ERR_POLICY", "KDC policy rejects request";
    BADOPTION = 13, "KDC_ERR_BADOPTION", "KDC can't fulfill requested option";
    ETYPE_NOSUPP = 14, "KDC_ERR_ETYPE_NOSUPP", "KDC has no support for encryption type";
    SUMTYPE_NOSUPP = 15, "KDC_ERR_SUMTYPE_NOSUPP", "KDC has no support for checksum type";
    PADATA_TYPE_NOSUPP = 16, "KDC_ERR_PADATA_TYPE_NOSUPP", "KDC has no support for padata type";
    TRTYPE_NOSUPP = 17, "KDC_ERR_TRTYPE_NOSUPP", "KDC has no support for transited type";
    CLIENT_REVOKED = 18, "KDC_ERR_CLIENT_REVOKED", "Client's credentials have been revoked";
    SERVICE_REVOKED = 19, "KDC_ERR_SERVICE_REVOKED", "Credentials for server have been revoked";
    TGT_REVOKED = 20, "KDC_ERR_TGT_REVOKED", "TGT has been revoked";
    CLIENT_NOTYET = 21, "KDC_ERR_CLIENT_NOTYET", "Client not yet valid - try again later";
    SERVICE_NOTYET = 22, "KDC_ERR_SERVICE_NOTYET", "Server not yet valid - try again later";
    KEY_EXPIRED = 23, "KDC_ERR_KEY_EXPIRED", "Password has expired";
    PREAUTH_FAILED = 24, "KDC_ERR_PREAUTH_FAILED", "Preauthentication failed";
    PREAUTH_REQUIRED = 25, "KDC_ERR_PREAUTH_REQUIRED", "Additional pre-authentication required";
    SERVER_NOMATCH = 26, "KDC_ERR_SERVER_NOMATCH", "Requested server and ticket don't match";
    MUST_USE_USER2USER = 27, "KDC_ERR_MUST_USE_USER2USER", "Server principal valid for user2user only";
    PATH_NOT_ACCEPTED = 28, "KDC_ERR_PATH_NOT_ACCEPTED", "KDC policy rejects transited path";
    SVC_UNAVAILABLE = 29, "KDC_ERR_SVC_UNAVAILABLE", "A service is not available that is required to process the request";
    BAD_INTEGRITY = 31, "KRB_AP_ERR_BAD_INTEGRITY", "Decrypt integrity check failed";
    TKT_EXPIRED = 32, "KRB_AP_ERR_TKT_EXPIRED", "Ticket expired";
    TKT_NYV = 33, "KRB_AP_ERR_TKT_NYV", "Ticket not yet valid";
    REPEAT = 34, "KRB_AP_ERR_REPEAT", "Request is a replay";
    NOT_US = 35, "KRB_AP_ERR_NOT_US", "The ticket isn't for us";
    BADMATCH = 36, "KRB_AP_ERR_BADMATCH", "Ticket/authenticator don't match";
    SKEW = 37, "KRB_AP_ERR_SKEW", "Clock skew too great";
    BADADDR = 38, "KRB_AP_ERR_BADADDR", "Incorrect net address";
    AP_BADVERSION = 39, "KRB_AP_ERR_BADVERSION", "Protocol version mismatch";
    MSG_TYPE = 40, "KRB_AP_ERR_MSG_TYPE", "Invalid message type";
    MODIFIED = 41, "KRB_AP_ERR_MODIFIED", "Message stream modified";
    BADORDER = 42, "KRB_AP_ERR_BADORDER", "Message out of order";
    ILL_CR_TKT = 43, "KRB_AP_ERR_ILL_CR_TKT", "Illegal cross-realm ticket";
    BADKEYVER = 44, "KRB_AP_ERR_BADKEYVER", "Key version is not available";
    NOKEY = 45, "KRB_AP_ERR_NOKEY", "Service key not available";
    MUT_FAIL = 46, "KRB_AP_ERR_MUT_FAIL", "Mutual authentication failed";
    BADDIRECTION = 47, "KRB_AP_ERR_BADDIRECTION", "Incorrect message direction";
    METHOD = 48, "KRB_AP_ERR_METHOD", "Alternative authentication method required";
    BADSEQ = 49, "KRB_AP_ERR_BADSEQ", "Incorrect sequence number in message";
    INAPP_CKSUM = 50, "KRB_AP_ERR_INAPP_CKSUM", "Inappropriate type of checksum in message";
    AP_PATH_NOT_ACCEPTED = 51, "KRB_AP_PATH_NOT_ACCEPTED", "Policy rejects transited path";
    RESPONSE_TOO_BIG = 52, "KRB_ERR_RESPONSE_TOO_BIG", "Response too big for UDP, retry with TCP";
    GENERIC = 60, "KRB_ERR_GENERIC", "Generic error (see e-text)";
    FIELD_TOOLONG = 61, "KRB_ERR_FIELD_TOOLONG", "Field is too long for this implementation";
    CLIENT_NOT_TRUSTED = 62, "KDC_ERR_CLIENT_NOT_TRUSTED", "Client not trusted";
    KDC_NOT_TRUSTED = 63, "KDC_ERR_KDC_NOT_TRUSTED", "KDC not trusted";
    INVALID_SIG = 64, "KDC_ERR_INVALID_SIG", "Invalid signature";
    DH_KEY_PARAMETERS_NOT_ACCEPTED = 65, "KDC_ERR_DH_KEY_PARAMETERS_NOT_ACCEPTED", "Key parameters not accepted";
    CERTIFICATE_MISMATCH = 66, "KDC_ERR_CERTIFICATE_MISMATCH", "Certificate mismatch";
    NO_TGT = 67, "KRB_AP_ERR_NO_TGT", "No ticket granting ticket";
    WRONG_REALM = 68, "KDC_ERR_WRONG_REALM", "Realm not local to KDC";
    USER_TO_USER_REQUIRED = 69, "KRB_AP_ERR_USER_TO_USER_REQUIRED", "User to user required";
    CANT_VERIFY_CERTIFICATE = 70, "KDC_ERR_CANT_VERIFY_CERTIFICATE", "Can't verify certificate";
    INVALID_CERTIFICATE = 71, "KDC_ERR_INVALID_CERTIFICATE", "Invalid certificate";
    REVOKED_CERTIFICATE = 72, "KDC_ERR_REVOKED_CERTIFICATE", "Revoked certificate";
    REVOCATION_STATUS_UNKNOWN = 73, "KDC_ERR_REVOCATION_STATUS_UNKNOWN", "Revocation status unknown";
    REVOCATION_STATUS_UNAVAILABLE = 74, "KDC_ERR_REVOCATION_STATUS_UNAVAILABLE", "Revocation status unavailable";
    CLIENT_NAME_MISMATCH = 75, "KDC_ERR_CLIENT_NAME_MISMATCH", "Client name mismatch";
    KDC_NAME_MISMATCH = 76, "KDC_ERR_KDC_NAME_MISMATCH", "KDC name mismatch";
    INCONSISTENT_KEY_PURPOSE = 77, "KDC_ERR_INCONSISTENT_KEY_PURPOSE", "Inconsistent key purpose";
    DIGEST_IN_CERT_NOT_ACCEPTED = 78, "KDC_ERR_DIGEST_IN_CERT_NOT_ACCEPTED", "Digest in certificate not accepted";
    PA_CHECKSUM_MUST_BE_INCLUDED = 79, "KDC_ERR_PA_CHECKSUM_MUST_BE_INCLUDED", "Checksum must be included";
    DIGEST_IN_SIGNED_DATA_NOT_ACCEPTED = 80, "KDC_ERR_DIGEST_IN_SIGNED_DATA_NOT_ACCEPTED", "Digest in signed-data not accepted";
    PUBLIC_KEY_ENCRYPTION_NOT_SUPPORTED = 81, "KDC_ERR_PUBLIC_KEY_ENCRYPTION_NOT_SUPPORTED", "Public key encryption not supported";
    IAKERB_KDC_NOT_FOUND = 85, "KRB_AP_ERR_IAKERB_KDC_NOT_FOUND", "The IAKERB proxy could not find a KDC";
    IAKERB_KDC_NO_RESPONSE = 86, "KRB_AP_ERR_IAKERB_KDC_NO_RESPONSE", "The KDC did not respond to the IAKERB proxy";
    PREAUTH_EXPIRED = 90, "KDC_ERR_PREAUTH_EXPIRED", "Pre-authentication has expired";
    MORE_PREAUTH_DATA_REQUIRED = 91, "KDC_ERR_MORE_PREAUTH_DATA_REQUIRED", "More preauthentication data is required";
    UNKNOWN_CRITICAL_FAST_OPTIONS = 93, "KDC_ERR_UNKNOWN_CRITICAL_FAST_OPTIONS", "An unsupported critical FAST option was requested";
    INVALID_HASH_ALG = 94, "KDC_ERR_INVALID_HASH_ALG", "Invalid OTP hash algorithm";
    INVALID_ITERATION_COUNT = 95, "KDC_ERR_INVALID_ITERATION_COUNT", "Invalid OTP iteration count";
    PIN_EXPIRED = 96, "KDC_ERR_PIN_EXPIRED", "The OTP PIN has expired";
    PIN_REQUIRED = 97, "KDC_ERR_PIN_REQUIRED", "An OTP PIN is required";
    NO_ACCEPTABLE_KDF = 100, "KDC_ERR_NO_ACCEPTABLE_KDF", "No acceptable KDF offered";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some((.., text)) => f.write_str(text),
            None => write!(f, "Unknown error code {}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_words_are_told_without_its_number() {
        let error = || std::io::Error::from_raw_os_error(2);
        assert_eq!(Error::file("/x", error()).to_string(), "/x: No such file or directory");
        let error = Error::storage(error().to_string(), "/x", error().to_string()).to_string();
        assert_eq!(error, "No such file or directory (filename: /x): No such file or directory");
        assert_eq!(Error::file("/x", "odd (os error 2) name").to_string(), "/x: odd (os error 2) name");
    }
}
