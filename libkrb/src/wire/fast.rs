//! FAST: a request and a reply inside an envelope (RFC 6113 5.4). The two CHOICEs have one
//! alternative each. Not here: what is sealed with what ([`crate::preauth::fast`]).

use super::basic::{Checksum, EncryptedData, EncryptionKey, Raw};
use super::der::{Decode, Encode, Reader, Writer, sequence};
use super::kdc::KdcReqBody;
use super::name::PrincipalName;
use super::padata::MethodData;
use crate::error::Result;
use crate::flags::FastOptions;
use crate::time::Time;

/// The tag of the only alternative of PA-FX-FAST-REQUEST and of PA-FX-FAST-REPLY.
const ARMORED_DATA: u8 = 0xa0;

macro_rules! armored_data {
    ($(#[$doc:meta])* $name:ident of $inner:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a>(pub $inner<'a>);

        impl<'a> Decode<'a> for $name<'a> {
            fn decode(reader: &mut Reader<'a>) -> Result<Self> {
                let what = concat!(stringify!($name), ": armored-data expected");
                super::decode(reader.expect(ARMORED_DATA, what)?).map($name)
            }
        }

        impl Encode for $name<'_> {
            fn encode(&self, writer: &mut Writer) {
                writer.element(ARMORED_DATA, |writer| self.0.encode(writer));
            }
        }
    };
}

armored_data! {
    /// PA-FX-FAST-REQUEST (RFC 6113 5.4.2).
    PaFxFastRequest of KrbFastArmoredReq
}

armored_data! {
    /// PA-FX-FAST-REPLY (RFC 6113 5.4.3).
    PaFxFastReply of KrbFastArmoredRep
}

sequence! {
    /// KrbFastArmor (RFC 6113 5.4.1).
    KrbFastArmor<'a> {
        /// What `value` is; 1 is an AP-REQ.
        0 required kind: i32,
        /// What makes the armor key.
        1 required value: &'a [u8],
    }
}

impl KrbFastArmor<'_> {
    /// FX_FAST_ARMOR_AP_REQUEST (RFC 6113 5.4.1.1).
    pub const AP_REQUEST: i32 = 1;
}

sequence! {
    /// KrbFastArmoredReq (RFC 6113 5.4.2).
    KrbFastArmoredReq<'a> {
        /// What makes the armor key; in a TGS-REQ the ticket that it shows does.
        0 optional armor: KrbFastArmor<'a>,
        /// Over the KDC-REQ-BODY outside (AS) or the AP-REQ (TGS), key usage 50.
        1 required checksum: Checksum<'a>,
        /// KrbFastReq under the armor key, key usage 51.
        2 required sealed: EncryptedData<'a>,
    }
}

sequence! {
    /// KrbFastReq (RFC 6113 5.4.2).
    KrbFastReq<'a> {
        /// How the KDC shall behave.
        0 required options: FastOptions,
        /// What would else stand in the request's padata.
        1 required padata: MethodData<'a>,
        /// What counts in place of the request's body.
        2 required body: Raw<'a, KdcReqBody<'a>>,
    }
}

sequence! {
    /// KrbFastArmoredRep (RFC 6113 5.4.3).
    KrbFastArmoredRep<'a> {
        /// KrbFastResponse under the armor key, key usage 52.
        0 required sealed: EncryptedData<'a>,
    }
}

sequence! {
    /// KrbFastResponse (RFC 6113 5.4.3).
    KrbFastResponse<'a> {
        /// What would else stand in the reply's padata.
        0 required padata: MethodData<'a>,
        /// Makes the reply key stronger; must be there in a TGS-REP.
        1 optional strengthen_key: EncryptionKey<'a>,
        /// Only with a ticket.
        2 optional finished: KrbFastFinished<'a>,
        /// The request's nonce.
        3 required nonce: u32,
    }
}

sequence! {
    /// KrbFastFinished (RFC 6113 5.4.3).
    KrbFastFinished<'a> {
        /// The KDC's clock.
        0 required time: Time,
        /// Its microseconds.
        1 required micros: u32,
        /// The client's realm.
        2 required client_realm: &'a str,
        /// The client, also where the reply hides its name.
        3 required client: PrincipalName<'a>,
        /// Over the ticket, under the armor key, key usage 53.
        4 required ticket_checksum: Checksum<'a>,
    }
}
