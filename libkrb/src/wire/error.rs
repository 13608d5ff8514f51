//! KRB-ERROR and TYPED-DATA (RFC 4120 5.9).

use super::basic::Fixed;
use super::der::sequence;
use super::name::PrincipalName;
use crate::error::ErrorCode;
use crate::time::Time;

sequence! {
    /// KRB-ERROR (RFC 4120 5.9.1). Not authenticated: a hint, never proof.
    KrbError<'a> application 30 {
        /// pvno
        0 required version: Fixed<5>,
        /// msg-type
        1 required kind: Fixed<30>,
        /// The client's clock, as it sent it.
        2 optional client_time: Time,
        /// Its microseconds.
        3 optional client_micros: u32,
        /// The server's clock.
        4 required server_time: Time,
        /// Its microseconds.
        5 required server_micros: u32,
        /// What went wrong.
        6 required code: ErrorCode,
        /// The client's realm.
        7 optional client_realm: &'a str,
        /// The client.
        8 optional client: PrincipalName<'a>,
        /// The server's realm.
        9 required realm: &'a str,
        /// The server.
        10 required server: PrincipalName<'a>,
        /// Words for people.
        11 optional text: &'a str,
        /// Data for programs; what it is depends on `code`.
        12 optional data: &'a [u8],
    }
}

sequence! {
    /// One element of TYPED-DATA (RFC 4120 5.9.1).
    TypedData<'a> {
        /// What `value` is; shares the numbers of PA-DATA.
        0 required kind: i32,
        /// The data.
        1 optional value: &'a [u8],
    }
}
