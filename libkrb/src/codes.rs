//! Numbers of the protocol as types that keep unknown values: a peer may know more than we do.
//! Not here: error codes ([`crate::error`]) and key usages ([`crate::crypto`]).

use std::fmt;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($const:ident = $value:literal, $label:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub i32);

        #[allow(missing_docs, reason = "the names are the RFCs' own; the table says what they are")]
        impl $name {
            $(pub const $const: $name = $name($value);)*

            /// Every known value with its name.
            pub const TABLE: &'static [($name, &'static str)] = &[$(($name::$const, $label)),*];

            /// The registered name, if this value is known.
            pub fn name(self) -> Option<&'static str> {
                Self::TABLE.iter().find(|(value, _)| *value == self).map(|(_, name)| *name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}", self.0),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

codes! {
    /// Encryption types (RFC 3961 8, and the IANA registry).
    EncryptionType {
        DES_CBC_CRC = 1, "des-cbc-crc";
        DES_CBC_MD4 = 2, "des-cbc-md4";
        DES_CBC_MD5 = 3, "des-cbc-md5";
        DES3_CBC_SHA1 = 16, "des3-cbc-sha1";
        AES128_SHA1 = 17, "aes128-cts-hmac-sha1-96";
        AES256_SHA1 = 18, "aes256-cts-hmac-sha1-96";
        AES128_SHA256 = 19, "aes128-cts-hmac-sha256-128";
        AES256_SHA384 = 20, "aes256-cts-hmac-sha384-192";
        RC4_HMAC = 23, "arcfour-hmac";
        RC4_HMAC_EXP = 24, "arcfour-hmac-exp";
        CAMELLIA128 = 25, "camellia128-cts-cmac";
        CAMELLIA256 = 26, "camellia256-cts-cmac";
    }
}

codes! {
    /// Checksum types (RFC 3961 8, and the IANA registry).
    ChecksumType {
        CRC32 = 1, "crc32";
        RSA_MD4 = 2, "rsa-md4";
        RSA_MD5 = 7, "rsa-md5";
        HMAC_SHA1_DES3 = 12, "hmac-sha1-des3";
        SHA1 = 14, "sha1";
        HMAC_SHA1_96_AES128 = 15, "hmac-sha1-96-aes128";
        HMAC_SHA1_96_AES256 = 16, "hmac-sha1-96-aes256";
        CMAC_CAMELLIA128 = 17, "cmac-camellia128";
        CMAC_CAMELLIA256 = 18, "cmac-camellia256";
        HMAC_SHA256_128_AES128 = 19, "hmac-sha256-128-aes128";
        HMAC_SHA384_192_AES256 = 20, "hmac-sha384-192-aes256";
        GSSAPI = 0x8003, "gssapi";
        HMAC_MD5 = -138, "hmac-md5-rc4";
    }
}

codes! {
    /// Name types (RFC 4120 6.2, RFC 6806 5, RFC 6111).
    NameType {
        UNKNOWN = 0, "unknown";
        PRINCIPAL = 1, "principal";
        SRV_INST = 2, "srv-inst";
        SRV_HST = 3, "srv-hst";
        SRV_XHST = 4, "srv-xhst";
        UID = 5, "uid";
        X500_PRINCIPAL = 6, "x500-principal";
        SMTP_NAME = 7, "smtp-name";
        ENTERPRISE = 10, "enterprise";
        WELLKNOWN = 11, "wellknown";
        MS_PRINCIPAL = -128, "ms-principal";
    }
}

codes! {
    /// Pre-authentication data types (RFC 4120 7.5.2 and its successors).
    PaType {
        TGS_REQ = 1, "tgs-req";
        ENC_TIMESTAMP = 2, "enc-timestamp";
        PW_SALT = 3, "pw-salt";
        ETYPE_INFO = 11, "etype-info";
        PK_AS_REP_OLD = 15, "pk-as-rep-old";
        PK_AS_REQ = 16, "pk-as-req";
        PK_AS_REP = 17, "pk-as-rep";
        ETYPE_INFO2 = 19, "etype-info2";
        PAC_REQUEST = 128, "pac-request";
        FOR_USER = 129, "for-user";
        FOR_X509_USER = 130, "for-x509-user";
        FX_COOKIE = 133, "fx-cookie";
        FX_FAST = 136, "fx-fast";
        FX_ERROR = 137, "fx-error";
        ENCRYPTED_CHALLENGE = 138, "encrypted-challenge";
        OTP_CHALLENGE = 141, "otp-challenge";
        OTP_REQUEST = 142, "otp-request";
        OTP_PIN_CHANGE = 144, "otp-pin-change";
        PKINIT_KX = 147, "pkinit-kx";
        REQ_ENC_PA_REP = 149, "req-enc-pa-rep";
        AS_FRESHNESS = 150, "as-freshness";
        SPAKE = 151, "spake";
        SUPPORTED_ENCTYPES = 165, "supported-enctypes";
        PAC_OPTIONS = 167, "pac-options";
    }
}

codes! {
    /// Results of a password change (RFC 3244 2), in MIT's words.
    KpasswdCode {
        SUCCESS = 0, "Password changed";
        MALFORMED = 1, "Malformed request error";
        HARDERROR = 2, "Server error";
        AUTHERROR = 3, "Authentication error";
        SOFTERROR = 4, "Password change rejected";
        ACCESSDENIED = 5, "Access denied";
        BAD_VERSION = 6, "Wrong protocol version";
        INITIAL_FLAG_NEEDED = 7, "Initial password required";
    }
}

codes! {
    /// Authorization data types (RFC 4120 7.5.4).
    AuthDataType {
        IF_RELEVANT = 1, "if-relevant";
        KDC_ISSUED = 4, "kdc-issued";
        AND_OR = 5, "and-or";
        MANDATORY_FOR_KDC = 8, "mandatory-for-kdc";
        INITIAL_VERIFIED_CAS = 9, "initial-verified-cas";
        FX_ARMOR = 71, "fx-armor";
        FX_FAST_USED = 72, "fx-fast-used";
        AUTH_INDICATOR = 97, "authentication-indicator";
        CAMMAC = 96, "cammac";
        WIN2K_PAC = 128, "win2k-pac";
        ETYPE_NEGOTIATION = 129, "etype-negotiation";
        AP_OPTIONS = 143, "ap-options";
        // A number of our own, after RFC 7519: what others carry in a JWT.
        ROLES = -7519, "roles";
    }
}

codes! {
    /// Buffers of a privilege attribute certificate (MS-PAC 2.4).
    PacType {
        LOGON_INFO = 1, "logon-info";
        CREDENTIALS = 2, "credentials";
        SERVER_CHECKSUM = 6, "server-checksum";
        KDC_CHECKSUM = 7, "kdc-checksum";
        CLIENT_INFO = 10, "client-info";
        DELEGATION_INFO = 11, "delegation-info";
        UPN_DNS_INFO = 12, "upn-dns-info";
        TICKET_CHECKSUM = 16, "ticket-checksum";
        ATTRIBUTES = 17, "attributes";
        REQUESTOR = 18, "requestor";
        FULL_CHECKSUM = 19, "full-checksum";
    }
}

codes! {
    /// Address types (RFC 4120 7.5.3).
    AddressType {
        IPV4 = 2, "ipv4";
        DIRECTIONAL = 3, "directional";
        NETBIOS = 20, "netbios";
        IPV6 = 24, "ipv6";
        ADDRPORT = 256, "addrport";
        IPPORT = 257, "ipport";
    }
}

codes! {
    /// Last request types (RFC 4120 5.4.2). Negative: this KDC only.
    LastReqType {
        NONE = 0, "none";
        LAST_TGT = 1, "last initial TGT request";
        LAST_INITIAL = 2, "last initial request";
        TGT_ISSUED = 3, "TGT issued";
        LAST_RENEWAL = 4, "last renewal";
        LAST_REQ = 5, "last request";
        PASSWORD_EXPIRES = 6, "password expires";
        ACCOUNT_EXPIRES = 7, "account expires";
    }
}

codes! {
    /// Transited encodings (RFC 4120 3.3.3.2).
    TransitedType {
        DOMAIN_X500_COMPRESS = 1, "domain-x500-compress";
    }
}

codes! {
    /// Message types; equal to the APPLICATION tags (RFC 4120 7.5.7).
    MessageType {
        AS_REQ = 10, "AS-REQ";
        AS_REP = 11, "AS-REP";
        TGS_REQ = 12, "TGS-REQ";
        TGS_REP = 13, "TGS-REP";
        AP_REQ = 14, "AP-REQ";
        AP_REP = 15, "AP-REP";
        SAFE = 20, "KRB-SAFE";
        PRIV = 21, "KRB-PRIV";
        CRED = 22, "KRB-CRED";
        ERROR = 30, "KRB-ERROR";
    }
}

impl EncryptionType {
    /// The names and aliases of krb5.conf's enctype lists ("aes256-cts", "aes256-sha1", ...).
    pub fn parse(name: &str) -> Option<EncryptionType> {
        const ALIASES: [(&str, EncryptionType); 17] = [
            ("aes128-cts", EncryptionType::AES128_SHA1),
            ("aes128-sha1", EncryptionType::AES128_SHA1),
            ("aes256-cts", EncryptionType::AES256_SHA1),
            ("aes256-sha1", EncryptionType::AES256_SHA1),
            ("aes128-sha2", EncryptionType::AES128_SHA256),
            ("aes256-sha2", EncryptionType::AES256_SHA384),
            ("camellia128-cts", EncryptionType::CAMELLIA128),
            ("camellia256-cts", EncryptionType::CAMELLIA256),
            ("rc4-hmac", EncryptionType::RC4_HMAC),
            ("arcfour-hmac-md5", EncryptionType::RC4_HMAC),
            ("rc4-hmac-exp", EncryptionType::RC4_HMAC_EXP),
            ("arcfour-hmac-md5-exp", EncryptionType::RC4_HMAC_EXP),
            ("des3-hmac-sha1", EncryptionType::DES3_CBC_SHA1),
            ("des3-cbc-sha1-kd", EncryptionType::DES3_CBC_SHA1),
            ("des-crc", EncryptionType::DES_CBC_CRC),
            ("des-md4", EncryptionType::DES_CBC_MD4),
            ("des-md5", EncryptionType::DES_CBC_MD5),
        ];
        let name = name.to_ascii_lowercase();
        Self::TABLE
            .iter()
            .map(|(etype, known)| (*known, *etype))
            .chain(ALIASES)
            .find(|(known, _)| *known == name)
            .map(|(_, etype)| etype)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_values_survive_and_print_as_numbers() {
        assert_eq!(EncryptionType(4711).to_string(), "4711");
        assert_eq!(EncryptionType::AES256_SHA1.to_string(), "aes256-cts-hmac-sha1-96");
    }

    #[test]
    fn enctype_names_are_case_insensitive_and_have_aliases() {
        assert_eq!(EncryptionType::parse("AES256-CTS"), Some(EncryptionType::AES256_SHA1));
        assert_eq!(EncryptionType::parse("aes256-sha2"), Some(EncryptionType::AES256_SHA384));
        assert_eq!(EncryptionType::parse("rot13"), None);
    }
}
