//! Pre-authentication data (RFC 4120 5.2.7).

use super::der::sequence;
use super::list::List;
use crate::codes::{EncryptionType, PaType};
use crate::time::Time;

/// METHOD-DATA (RFC 4120 5.9.1): what KDC_ERR_PREAUTH_REQUIRED carries in e-data.
pub type MethodData<'a> = List<'a, PaData<'a>>;

sequence! {
    /// PA-DATA (RFC 4120 5.2.7).
    PaData<'a> {
        /// What `value` is.
        1 required kind: PaType,
        /// The data, often DER again.
        2 required value: &'a [u8],
    }
}

sequence! {
    /// PA-ENC-TS-ENC (RFC 4120 5.2.7.2), the plain text of PA-ENC-TIMESTAMP.
    PaEncTsEnc {
        /// The client's clock.
        0 required time: Time,
        /// Its microseconds.
        1 optional micros: u32,
    }
}

sequence! {
    /// ETYPE-INFO-ENTRY (RFC 4120 5.2.7.4).
    EtypeInfoEntry<'a> {
        /// An enctype the client may use.
        0 required etype: EncryptionType,
        /// The salt; absent: the default one.
        1 optional salt: &'a [u8],
    }
}

sequence! {
    /// ETYPE-INFO2-ENTRY (RFC 4120 5.2.7.5).
    EtypeInfo2Entry<'a> {
        /// An enctype the client may use.
        0 required etype: EncryptionType,
        /// The salt; absent: the default one.
        1 optional salt: &'a str,
        /// String-to-key parameters; absent: the enctype's default.
        2 optional s2kparams: &'a [u8],
    }
}

sequence! {
    /// KERB-PA-PAC-REQUEST (MS-KILE 2.2.3).
    PaPacRequest {
        /// Whether the ticket shall carry a PAC.
        0 required include_pac: bool,
    }
}
