//! KRB-SAFE and KRB-PRIV (RFC 4120 5.6, 5.7).

use super::basic::{Checksum, EncryptedData, Fixed, HostAddress, Raw};
use super::der::sequence;
use crate::time::Time;

sequence! {
    /// KRB-SAFE (RFC 4120 5.6.1).
    KrbSafe<'a> application 20 {
        /// pvno
        0 required version: Fixed<5>,
        /// msg-type
        1 required kind: Fixed<20>,
        /// What is protected, with its bytes.
        2 required body: Raw<'a, KrbSafeBody<'a>>,
        /// Over the bytes of `body`, key usage 15.
        3 required checksum: Checksum<'a>,
    }
}

sequence! {
    /// KRB-SAFE-BODY (RFC 4120 5.6.1).
    KrbSafeBody<'a> {
        /// The application's data.
        0 required user_data: &'a [u8],
        /// The sender's clock.
        1 optional time: Time,
        /// Its microseconds.
        2 optional micros: u32,
        /// The sender's sequence number.
        3 optional sequence: u32,
        /// The sender's address.
        4 required sender: HostAddress<'a>,
        /// The receiver's address.
        5 optional receiver: HostAddress<'a>,
    }
}

sequence! {
    /// KRB-PRIV (RFC 4120 5.7.1).
    KrbPriv<'a> application 21 {
        /// pvno
        0 required version: Fixed<5>,
        /// msg-type
        1 required kind: Fixed<21>,
        /// EncKrbPrivPart, key usage 13.
        3 required enc_part: EncryptedData<'a>,
    }
}

sequence! {
    /// EncKrbPrivPart (RFC 4120 5.7.1).
    EncKrbPrivPart<'a> application 28 {
        /// The application's data.
        0 required user_data: &'a [u8],
        /// The sender's clock.
        1 optional time: Time,
        /// Its microseconds.
        2 optional micros: u32,
        /// The sender's sequence number.
        3 optional sequence: u32,
        /// The sender's address.
        4 required sender: HostAddress<'a>,
        /// The receiver's address.
        5 optional receiver: HostAddress<'a>,
    }
}
