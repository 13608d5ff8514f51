//! How a request says which credentials it means: two names, and fields with flags that say which of them count. The flags
//! have Heimdal's values, which MIT's client sends too. Not here: what is done with those that fit.

use super::super::{AuthData, Credential, format};
use crate::codes::{AuthDataType, EncryptionType};
use crate::error::Result;
use crate::flags::TicketFlags;
use crate::name::Principal;
use crate::storage::{Reader, Writer, seconds32};
use crate::time::Time;

/// The fields of a [`Tag`] that count beside its names: a flag word of Heimdal's. What else stands in it counts for nothing,
/// as Heimdal's daemon has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub u32);

impl Fields {
    /// No other fields.
    pub const NONE: Fields = Fields(0);
    /// Both names in whatever realm.
    pub const ANY_REALM: Fields = Fields(1 << 31);
    /// The encryption type of the session key.
    pub const ETYPE: Fields = Fields(1 << 30);
    /// The service in whatever realm.
    pub const ANY_SERVER_REALM: Fields = Fields(1 << 29);
    /// These flags and no others.
    pub const FLAGS_EXACT: Fields = Fields(1 << 28);
    /// At least these flags.
    pub const FLAGS: Fields = Fields(1 << 27);
    /// All four times.
    pub const TIMES_EXACT: Fields = Fields(1 << 26);
    /// Good, and to be renewed, for at least so long.
    pub const TIMES: Fields = Fields(1 << 25);
    /// The authorization data that was asked for.
    pub const AUTHDATA: Fields = Fields(1 << 24);
    /// The second ticket.
    pub const SECOND_TICKET: Fields = Fields(1 << 23);
    /// Whether it is a ticket in a session key.
    pub const IS_SKEY: Fields = Fields(1 << 22);
    /// All that a daemon compares: means one credential alone.
    pub const ALL: Fields = Fields(
        Self::ETYPE.0
            | Self::FLAGS_EXACT.0
            | Self::TIMES_EXACT.0
            | Self::AUTHDATA.0
            | Self::SECOND_TICKET.0
            | Self::IS_SKEY.0,
    );

    fn has(self, field: Fields) -> bool {
        self.0 & field.0 != 0
    }
}

/// What is known of a credential: a name that is not known fits any, and of the rest what `fields` says has to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    /// What counts.
    pub fields: Fields,
    /// Whose.
    pub client: Option<Principal>,
    /// For which service.
    pub server: Option<Principal>,
    /// The encryption type of the session key.
    pub etype: EncryptionType,
    /// When the client proved who it is, from when it is good, until when, until when it can be renewed.
    pub times: [Time; 4],
    /// Whether the ticket is in a session key.
    pub is_skey: bool,
    /// Flags of the ticket.
    pub flags: TicketFlags,
    /// The authorization data that was asked for.
    pub authdata: Vec<AuthData>,
    /// The second ticket.
    pub second_ticket: Vec<u8>,
}

const CLIENT: u32 = 0x01;
const SERVER: u32 = 0x02;
const KEY: u32 = 0x04;
const TICKET: u32 = 0x08;
const SECOND_TICKET: u32 = 0x10;
const AUTHDATA: u32 = 0x20;
const ADDRESSES: u32 = 0x40;

impl Tag {
    /// The one that this credential alone fits. It has no secret in it.
    pub fn of(credential: &Credential) -> Tag {
        Tag {
            fields: Fields::ALL,
            client: Some(credential.client.clone()),
            server: Some(credential.server.clone()),
            etype: credential.key.etype,
            times: times(credential),
            is_skey: credential.is_skey,
            flags: credential.flags,
            authdata: credential.authdata.clone(),
            second_ticket: credential.second_ticket.clone(),
        }
    }

    /// Whether a credential is meant.
    pub fn fits(&self, credential: &Credential) -> bool {
        let (fields, times) = (self.fields, times(credential));
        let [.., end, renew] = self.times;
        let any_client = fields.has(Fields::ANY_REALM);
        let any_server = any_client || fields.has(Fields::ANY_SERVER_REALM);
        let or_not = |field, fits: bool| fits || !fields.has(field);
        same(self.client.as_ref(), &credential.client, any_client)
            && same(self.server.as_ref(), &credential.server, any_server)
            && or_not(Fields::ETYPE, self.etype == credential.key.etype)
            && or_not(Fields::FLAGS_EXACT, self.flags == credential.flags)
            && or_not(Fields::FLAGS, self.flags.0 & credential.flags.0 == self.flags.0)
            && or_not(Fields::TIMES_EXACT, self.times == times)
            && or_not(Fields::TIMES, end <= credential.end_time && renew <= credential.renew_till)
            && or_not(Fields::AUTHDATA, self.authdata == credential.authdata)
            && or_not(Fields::SECOND_TICKET, self.second_ticket == credential.second_ticket)
            && or_not(Fields::IS_SKEY, self.is_skey == credential.is_skey)
    }

    /// The flag word and what follows it.
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.u32(self.fields.0);
        let has = |there: bool, bit| if there { bit } else { 0 };
        let Tag { client, server, authdata, .. } = self;
        let key = self.etype != EncryptionType::default();
        writer.u32(
            has(client.is_some(), CLIENT)
                | has(server.is_some(), SERVER)
                | has(key, KEY)
                | has(!authdata.is_empty(), AUTHDATA)
                | has(!self.second_ticket.is_empty(), SECOND_TICKET),
        );
        [client, server].into_iter().flatten().for_each(|name| format::write_principal(writer, name));
        if key {
            format::write_type(writer, self.etype.0);
            writer.counted32(&[]);
        }
        self.times.iter().for_each(|time| writer.u32(seconds32(*time)));
        writer.u8(self.is_skey.into());
        writer.u32(self.flags.0);
        if !authdata.is_empty() {
            format::write_authdata(writer, authdata);
        }
        if !self.second_ticket.is_empty() {
            writer.counted32(&self.second_ticket);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Tag> {
        let fields = Fields(reader.u32("flags")?);
        let header = reader.u32("header")?;
        let has = |bit| header & bit != 0;
        let client = has(CLIENT).then(|| format::principal(reader, 4)).transpose()?;
        let server = has(SERVER).then(|| format::principal(reader, 4)).transpose()?;
        let mut etype = EncryptionType::default();
        if has(KEY) {
            etype = EncryptionType(reader.i16("encryption type")?.into());
            // The key itself never counts, nor do addresses and the ticket.
            reader.counted32("session key")?;
        }
        let mut times = [Time::EPOCH; 4];
        for time in &mut times {
            *time = Time(reader.u32("time")?.into());
        }
        let is_skey = reader.u8("is_skey")? != 0;
        let flags = TicketFlags(reader.u32("ticket flags")?);
        let [addresses, authdata] = [ADDRESSES, AUTHDATA].map(has);
        if addresses {
            elements(reader)?;
        }
        let authdata = if authdata { elements(reader)? } else { vec![] };
        if has(TICKET) {
            reader.counted32("ticket")?;
        }
        let second = has(SECOND_TICKET).then(|| reader.counted32("second ticket").map(<[u8]>::to_vec)).transpose()?;
        let second_ticket = second.unwrap_or_default();
        Ok(Tag { fields, client, server, etype, times, is_skey, flags, authdata, second_ticket })
    }
}

fn times(credential: &Credential) -> [Time; 4] {
    [credential.auth_time, credential.start_time, credential.end_time, credential.renew_till]
}

fn same(wanted: Option<&Principal>, name: &Principal, any_realm: bool) -> bool {
    wanted.is_none_or(|wanted| if any_realm { wanted.components() == name.components() } else { wanted == name })
}

/// A counted list of types with bytes. The count is believed only as far as there are bytes.
fn elements(reader: &mut Reader<'_>) -> Result<Vec<AuthData>> {
    let count = reader.u32("count")?;
    let mut elements = vec![];
    for _ in 0..count {
        let kind = AuthDataType(reader.i16("type")?.into());
        elements.push(AuthData { kind, bytes: reader.counted32("element")?.to_vec() });
    }
    Ok(elements)
}
