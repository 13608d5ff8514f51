//! KDC-REQ and KDC-REP: the AS and TGS exchanges (RFC 4120 5.4).

use super::basic::{EncryptedData, EncryptionKey, Fixed, HostAddress, Raw};
use super::der::{Decode, Encode, Reader, Writer, sequence};
use super::list::List;
use super::name::PrincipalName;
use super::padata::{MethodData, PaData, Padata};
use super::ticket::Ticket;
use crate::codes::{EncryptionType, LastReqType, MessageType};
use crate::error::{Error, Result};
use crate::flags::{KdcOptions, TicketFlags};
use crate::time::Time;

sequence! {
    /// The fields of KDC-REQ.
    ReqFields<'a> {
        /// pvno
        1 required version: Fixed<5>,
        /// msg-type
        2 required kind: MessageType,
        /// padata
        3 optional padata: Padata<'a>,
        /// req-body
        4 required body: Raw<'a, KdcReqBody<'a>>,
    }
}

/// AS-REQ or TGS-REQ (RFC 4120 5.4.1).
#[derive(Clone, Copy, Debug)]
pub struct KdcReq<'a> {
    /// [`MessageType::AS_REQ`] or [`MessageType::TGS_REQ`].
    pub kind: MessageType,
    /// Pre-authentication data.
    pub padata: Padata<'a>,
    /// The request, with its bytes: the TGS authenticator's checksum is over them.
    pub body: Raw<'a, KdcReqBody<'a>>,
}

impl<'a> KdcReq<'a> {
    /// The first pre-authentication element of a kind.
    pub fn padata(&self, kind: crate::codes::PaType) -> Option<PaData<'a>> {
        self.padata.get(kind)
    }
}

/// Enters one of two APPLICATION tags; the tag's number must be the message type inside.
fn either<'a>(reader: &mut Reader<'a>, numbers: [u8; 2], what: &'static str) -> Result<(MessageType, Reader<'a>)> {
    let number = reader.tag().map(|tag| tag & 0x1f).filter(|number| numbers.contains(number));
    let Some(number) = number else { return Err(Error::Malformed(what)) };
    Ok((MessageType(i32::from(number)), reader.application(number, what)?))
}

impl<'a> Decode<'a> for KdcReq<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let (kind, mut inner) = either(reader, [10, 12], "neither AS-REQ nor TGS-REQ")?;
        let fields = ReqFields::decode(&mut inner)?;
        inner.end()?;
        if fields.kind != kind {
            return Err(Error::Malformed("msg-type differs from the APPLICATION tag"));
        }
        Ok(KdcReq { kind, padata: fields.padata.unwrap_or_default(), body: fields.body })
    }
}

impl Encode for KdcReq<'_> {
    fn encode(&self, writer: &mut Writer) {
        let padata = (!self.padata.is_empty()).then_some(self.padata);
        let fields = ReqFields { version: Fixed, kind: self.kind, padata, body: self.body };
        writer.application(self.kind.0 as u8, |writer| fields.encode(writer));
    }
}

sequence! {
    /// KDC-REQ-BODY (RFC 4120 5.4.1).
    KdcReqBody<'a> {
        /// What is wanted.
        0 required options: KdcOptions,
        /// The client; only in AS-REQ.
        1 optional client: PrincipalName<'a>,
        /// The server's realm; in AS-REQ also the client's.
        2 required realm: &'a str,
        /// The server.
        3 optional server: PrincipalName<'a>,
        /// Wanted start; absent: now.
        4 optional from: Time,
        /// Wanted end.
        5 required till: Time,
        /// Wanted end of renewals.
        6 optional renew_till: Time,
        /// Comes back encrypted in the reply.
        7 required nonce: u32,
        /// Enctypes the client can use, most wanted first.
        8 required etypes: List<'a, EncryptionType>,
        /// Addresses for the ticket.
        9 optional addresses: List<'a, HostAddress<'a>>,
        /// AuthorizationData under subkey (usage 5) or session key (usage 4); only in TGS-REQ.
        10 optional authorization_data: EncryptedData<'a>,
        /// Further tickets for user-to-user and delegation; only in TGS-REQ.
        11 optional additional_tickets: List<'a, Raw<'a, Ticket<'a>>>,
    }
}

sequence! {
    /// The fields of KDC-REP.
    RepFields<'a> {
        /// pvno
        0 required version: Fixed<5>,
        /// msg-type
        1 required kind: MessageType,
        /// padata
        2 optional padata: MethodData<'a>,
        /// crealm
        3 required client_realm: &'a str,
        /// cname
        4 required client: PrincipalName<'a>,
        /// ticket
        5 required ticket: Raw<'a, Ticket<'a>>,
        /// enc-part
        6 required enc_part: EncryptedData<'a>,
    }
}

/// AS-REP or TGS-REP (RFC 4120 5.4.2).
#[derive(Clone, Copy, Debug)]
pub struct KdcRep<'a> {
    /// [`MessageType::AS_REP`] or [`MessageType::TGS_REP`].
    pub kind: MessageType,
    /// Pre-authentication data of the reply.
    pub padata: MethodData<'a>,
    /// The client's realm; clear text, not to be trusted.
    pub client_realm: &'a str,
    /// The client; clear text, not to be trusted.
    pub client: PrincipalName<'a>,
    /// The ticket, with its bytes.
    pub ticket: Raw<'a, Ticket<'a>>,
    /// EncKDCRepPart, key usage 3 (AS), 8 or 9 (TGS).
    pub enc_part: EncryptedData<'a>,
}

impl<'a> Decode<'a> for KdcRep<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let (kind, mut inner) = either(reader, [11, 13], "neither AS-REP nor TGS-REP")?;
        let fields = RepFields::decode(&mut inner)?;
        inner.end()?;
        if fields.kind != kind {
            return Err(Error::Malformed("msg-type differs from the APPLICATION tag"));
        }
        let RepFields { padata, client_realm, client, ticket, enc_part, .. } = fields;
        Ok(KdcRep { kind, padata: padata.unwrap_or_default(), client_realm, client, ticket, enc_part })
    }
}

impl Encode for KdcRep<'_> {
    fn encode(&self, writer: &mut Writer) {
        let KdcRep { kind, client_realm, client, ticket, enc_part, .. } = *self;
        let padata = (!self.padata.is_empty()).then_some(self.padata);
        let fields = RepFields { version: Fixed, kind, padata, client_realm, client, ticket, enc_part };
        writer.application(self.kind.0 as u8, |writer| fields.encode(writer));
    }
}

sequence! {
    /// The fields of EncKDCRepPart.
    EncRepFields<'a> {
        /// key
        0 required key: EncryptionKey<'a>,
        /// last-req
        1 required last_req: List<'a, LastReq>,
        /// nonce
        2 required nonce: u32,
        /// key-expiration
        3 optional key_expiration: Time,
        /// flags
        4 required flags: TicketFlags,
        /// authtime
        5 required auth_time: Time,
        /// starttime
        6 optional start_time: Time,
        /// endtime
        7 required end_time: Time,
        /// renew-till
        8 optional renew_till: Time,
        /// srealm
        9 required server_realm: &'a str,
        /// sname
        10 required server: PrincipalName<'a>,
        /// caddr
        11 optional addresses: List<'a, HostAddress<'a>>,
        /// encrypted-pa-data
        12 optional encrypted_padata: MethodData<'a>,
    }
}

/// EncASRepPart or EncTGSRepPart (RFC 4120 5.4.2, RFC 6806 11).
#[derive(Clone, Copy, Debug)]
pub struct EncKdcRepPart<'a> {
    /// [`MessageType::AS_REP`] or [`MessageType::TGS_REP`]: which tag to write. Either is accepted,
    /// because KDCs have always confused them.
    pub kind: MessageType,
    /// The session key.
    pub key: EncryptionKey<'a>,
    /// When the client was last here.
    pub last_req: List<'a, LastReq>,
    /// The request's nonce.
    pub nonce: u32,
    /// When the client's key expires.
    pub key_expiration: Option<Time>,
    /// The ticket's flags.
    pub flags: TicketFlags,
    /// When the client was authenticated.
    pub auth_time: Time,
    /// When the ticket becomes valid; absent: at `auth_time`.
    pub start_time: Option<Time>,
    /// When it ends.
    pub end_time: Time,
    /// Until when it may be renewed.
    pub renew_till: Option<Time>,
    /// The server's realm.
    pub server_realm: &'a str,
    /// The server.
    pub server: PrincipalName<'a>,
    /// From where the ticket may be used.
    pub addresses: Option<List<'a, HostAddress<'a>>>,
    /// Pre-authentication data that is authenticated.
    pub encrypted_padata: Option<MethodData<'a>>,
}

macro_rules! same_fields {
    ($from:expr => $to:ident { $($extra:ident: $value:expr),* }) => {{
        let from = $from;
        $to {
            $($extra: $value,)*
            key: from.key, last_req: from.last_req, nonce: from.nonce, key_expiration: from.key_expiration,
            flags: from.flags, auth_time: from.auth_time, start_time: from.start_time, end_time: from.end_time,
            renew_till: from.renew_till, server_realm: from.server_realm, server: from.server,
            addresses: from.addresses, encrypted_padata: from.encrypted_padata,
        }
    }};
}

impl<'a> Decode<'a> for EncKdcRepPart<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let (tag, mut inner) = either(reader, [25, 26], "EncKDCRepPart expected")?;
        let fields = EncRepFields::decode(&mut inner)?;
        inner.end()?;
        let kind = if tag.0 == 25 { MessageType::AS_REP } else { MessageType::TGS_REP };
        Ok(same_fields!(fields => EncKdcRepPart { kind: kind }))
    }
}

impl Encode for EncKdcRepPart<'_> {
    fn encode(&self, writer: &mut Writer) {
        let fields = same_fields!(self => EncRepFields {});
        let tag = if self.kind == MessageType::AS_REP { 25 } else { 26 };
        writer.application(tag, |writer| fields.encode(writer));
    }
}

sequence! {
    /// One element of LastReq (RFC 4120 5.4.2).
    LastReq {
        /// What happened then; negative: at this KDC only.
        0 required kind: LastReqType,
        /// When.
        1 required time: Time,
    }
}
