//! The bytes of a cache file: versions 1 to 4 in, version 4 out.

use std::ops::Range;

use zeroize::Zeroizing;

use super::{Address, AuthData, Ccache, Credential};
use crate::codes::{AddressType, AuthDataType, EncryptionType, NameType};
use crate::error::{Error, Result};
use crate::flags::TicketFlags;
use crate::name::{MAX_COMPONENTS, Principal};
use crate::storage::{Order, RawKey, Reader, Writer, seconds32};
use crate::time::Time;

/// What MIT says of a cache that it cannot read.
pub(super) const BAD_FORMAT: &str = "Bad format in credentials cache";
const BAD_VERSION: &str = "Unsupported credentials cache format version number";

/// The tag of the header field with the offset of the KDC's clock.
const KDC_OFFSET: u16 = 1;

/// A cache file with the places of its entries, removed ones included.
pub(super) struct Parsed {
    pub(super) version: u8,
    pub(super) principal: Principal,
    pub(super) kdc_offset: Option<(i32, i32)>,
    pub(super) entries: Vec<(Range<usize>, Credential)>,
}

impl Parsed {
    pub(super) fn into_ccache(self) -> Ccache {
        let credentials = self.entries.into_iter().map(|(_, credential)| credential);
        Ccache {
            principal: self.principal,
            kdc_offset: self.kdc_offset,
            credentials: credentials.filter(|credential| !credential.is_removed()).collect(),
        }
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed> {
    let mut reader = Reader::new(bytes, BAD_FORMAT);
    let version = match *reader.take(2, "format version")? {
        [5, version @ 1..=4] => version,
        [5, version] => return Err(Error::storage(BAD_VERSION, "", format!("version {version}, 1 to 4 can be read"))),
        _ => return Err(Error::storage(BAD_VERSION, "", "byte 0: expected 5, this is no credential cache")),
    };
    if version < 3 {
        reader.set_order(writers_order(bytes, version));
    }
    let kdc_offset = if version == 4 { header(&mut reader)? } else { None };
    let principal = principal(&mut reader, version)?;
    let mut entries = vec![];
    while reader.left() > 0 {
        let start = reader.position();
        let credential = credential(&mut reader, version)?;
        entries.push((start..reader.position(), credential));
    }
    Ok(Parsed { version, principal, kdc_offset, entries })
}

/// Versions 1 and 2 have the byte order of the machine that wrote them and do not say which. The
/// number of name components tells: in the wrong order it is more than sixteen million.
fn writers_order(bytes: &[u8], version: u8) -> Order {
    let at = if version == 1 { 2 } else { 6 };
    match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(count) if u32::from_le_bytes(*count) < u32::from_be_bytes(*count) => Order::Little,
        _ => Order::Big,
    }
}

fn header(reader: &mut Reader<'_>) -> Result<Option<(i32, i32)>> {
    let length = reader.u16("header")?;
    let mut fields = reader.part(usize::from(length), "header")?;
    let mut kdc_offset = None;
    while fields.left() > 0 {
        let tag = fields.u16("header tag")?;
        let length = fields.u16("header field")?;
        let mut field = fields.part(usize::from(length), "header field")?;
        if tag == KDC_OFFSET {
            kdc_offset = Some((field.i32("clock offset")?, field.i32("clock offset")?));
        }
    }
    Ok(kdc_offset)
}

pub(super) fn principal(reader: &mut Reader<'_>, version: u8) -> Result<Principal> {
    let kind = if version == 1 { NameType::UNKNOWN } else { NameType(reader.i32("name type")?) };
    let start = reader.position();
    let count = reader.u32("component count")?;
    let count = if version == 1 { count.checked_sub(1) } else { Some(count) };
    let count = count.and_then(|count| usize::try_from(count).ok()).filter(|count| *count <= MAX_COMPONENTS);
    let Some(count) = count else {
        return Err(reader.fault_at(start, format_args!("expected 0 to {MAX_COMPONENTS} name components")));
    };
    let realm = text(reader, "realm")?;
    if count == 0 {
        return Ok(Principal::nameless(kind, realm));
    }
    let components = (0..count).map(|_| text(reader, "name component")).collect::<Result<Vec<_>>>()?;
    Principal::new(kind, realm, components).map_err(|error| reader.fault_at(start, error))
}

fn text<'a>(reader: &mut Reader<'a>, what: &str) -> Result<&'a str> {
    let bytes = reader.counted32(what)?;
    reader.text(bytes, what)
}

pub(super) fn credential(reader: &mut Reader<'_>, version: u8) -> Result<Credential> {
    let client = principal(reader, version)?;
    let server = principal(reader, version)?;
    let etype = EncryptionType(reader.i16("encryption type")?.into());
    if version == 3 {
        reader.u16("encryption type")?;
    }
    let key = RawKey::new(etype, reader.counted32("session key")?);
    Ok(Credential {
        client,
        server,
        key,
        auth_time: time(reader)?,
        start_time: time(reader)?,
        end_time: time(reader)?,
        renew_till: time(reader)?,
        is_skey: reader.u8("is_skey")? != 0,
        flags: TicketFlags(reader.u32("ticket flags")?),
        addresses: list(reader, "address", |reader| {
            let kind = AddressType(reader.u16("address type")?.into());
            Ok(Address { kind, bytes: reader.counted32("address")?.to_vec() })
        })?,
        authdata: list(reader, "authorization data", |reader| {
            let kind = AuthDataType(reader.i16("authorization data type")?.into());
            Ok(AuthData { kind, bytes: reader.counted32("authorization data")?.to_vec() })
        })?,
        ticket: reader.counted32("ticket")?.to_vec(),
        second_ticket: reader.counted32("second ticket")?.to_vec(),
    })
}

fn time(reader: &mut Reader<'_>) -> Result<Time> {
    Ok(Time(reader.u32("time")?.into()))
}

/// A counted list. The count is believed only as far as there are bytes.
fn list<'a, T>(
    reader: &mut Reader<'a>,
    what: &str,
    mut element: impl FnMut(&mut Reader<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = reader.u32(what)?;
    let mut elements = vec![];
    for _ in 0..count {
        elements.push(element(reader)?);
    }
    Ok(elements)
}

pub(super) fn encode(cache: &Ccache) -> Zeroizing<Vec<u8>> {
    let mut writer = Writer::new();
    writer.put(&[5, 4]);
    match cache.kdc_offset {
        None => writer.u16(0),
        Some((seconds, microseconds)) => {
            writer.u16(12);
            writer.u16(KDC_OFFSET);
            writer.u16(8);
            writer.put(&seconds.to_be_bytes());
            writer.put(&microseconds.to_be_bytes());
        }
    }
    write_principal(&mut writer, &cache.principal);
    cache.credentials.iter().for_each(|credential| write_credential(&mut writer, credential));
    writer.finish()
}

/// The bytes that one more credential adds to a file of version 4.
pub(super) fn encode_credential(credential: &Credential) -> Zeroizing<Vec<u8>> {
    let mut writer = Writer::new();
    write_credential(&mut writer, credential);
    writer.finish()
}

pub(super) fn write_principal(writer: &mut Writer, principal: &Principal) {
    writer.put(&principal.kind().0.to_be_bytes());
    write_count(writer, principal.components().len());
    writer.counted32(principal.realm().as_bytes());
    principal.components().iter().for_each(|part| writer.counted32(part.as_bytes()));
}

pub(super) fn write_credential(writer: &mut Writer, credential: &Credential) {
    write_principal(writer, &credential.client);
    write_principal(writer, &credential.server);
    write_type(writer, credential.key.etype.0);
    writer.counted32(&credential.key.bytes);
    for time in [credential.auth_time, credential.start_time, credential.end_time, credential.renew_till] {
        writer.u32(seconds32(time));
    }
    writer.u8(credential.is_skey.into());
    writer.u32(credential.flags.0);
    write_count(writer, credential.addresses.len());
    for address in &credential.addresses {
        write_type(writer, address.kind.0);
        writer.counted32(&address.bytes);
    }
    write_authdata(writer, &credential.authdata);
    writer.counted32(&credential.ticket);
    writer.counted32(&credential.second_ticket);
}

pub(super) fn write_authdata(writer: &mut Writer, authdata: &[AuthData]) {
    write_count(writer, authdata.len());
    for data in authdata {
        write_type(writer, data.kind.0);
        writer.counted32(&data.bytes);
    }
}

/// The file has 16 bits for types; those in use fit.
pub(super) fn write_type(writer: &mut Writer, kind: i32) {
    writer.u16(kind as u16);
}

fn write_count(writer: &mut Writer, count: usize) {
    writer.u32(u32::try_from(count).unwrap_or(u32::MAX));
}
