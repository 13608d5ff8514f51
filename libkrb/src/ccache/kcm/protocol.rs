//! What a client of KCM and its daemon say to each other, as bytes: Heimdal's protocol 2.0 with MIT's extensions. There
//! is no RFC; the layout is that of MIT's client. Pure: no socket is opened here, and no cache kept.

use zeroize::Zeroizing;

pub use super::tag::{Fields, Tag};

use super::super::{Credential, format};
use crate::error::{Error, Result};
use crate::name::Principal;
use crate::storage::{Reader, Writer};

/// The version of the protocol: major and minor.
const VERSION: [u8; 2] = [2, 0];
const PROBLEM: &str = "Malformed KCM message";

/// What names a cache or a credential besides its name.
pub type Uuid = [u8; 16];

/// How an operation went: 0, or a number of MIT's table of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub i32);

impl Status {
    /// It is done.
    pub const OK: Status = Status(0);
    /// KRB5_CC_NOTFOUND: there is no such credential.
    pub const NOT_FOUND: Status = Status(-1_765_328_243);
    /// KRB5_CC_END: there is no such thing any more.
    pub const END: Status = Status(-1_765_328_242);
    /// KRB5_CC_IO: what older daemons of sssd say of an operation that they do not have.
    pub const IO: Status = Status(-1_765_328_191);
    /// KRB5_FCC_PERM: this caller is not served.
    pub const PERMISSION: Status = Status(-1_765_328_190);
    /// KRB5_FCC_NOFILE: there is no such cache.
    pub const NO_CACHE: Status = Status(-1_765_328_189);
    /// KRB5_FCC_INTERNAL: what Heimdal's daemon says of an operation that it does not have.
    pub const INTERNAL: Status = Status(-1_765_328_188);
    /// KRB5_CC_NOMEM: a bound is reached.
    pub const NO_ROOM: Status = Status(-1_765_328_186);
    /// KRB5_CC_FORMAT: the request can't be read.
    pub const MALFORMED: Status = Status(-1_765_328_185);
    /// KRB5_CC_NOSUPP: there is no such operation.
    pub const UNSUPPORTED: Status = Status(-1_765_328_137);
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Nothing.
    Nothing,
    /// A name that no cache has: answered by [`Reply::Name`].
    NewName,
    /// Makes a cache anew, empty.
    Initialize(String, Principal),
    /// Removes a cache.
    Destroy(String),
    /// Adds a credential.
    Store(String, Box<Credential>),
    /// Whose a cache is: [`Reply::Principal`].
    Owner(String),
    /// The credentials of a cache: [`Reply::Ids`].
    CredentialIds(String),
    /// One of them: [`Reply::Credential`].
    CredentialById(String, Uuid),
    /// Removes the credentials that fit; [`Status::NOT_FOUND`] if none does.
    Remove(String, Tag),
    /// Gives the second cache the content of the first, which is gone then.
    Move(String, String),
    /// The caches: [`Reply::Ids`].
    CacheIds,
    /// The name of one of them: [`Reply::Name`].
    CacheById(Uuid),
    /// The name of the primary cache: [`Reply::Name`].
    Primary,
    /// Makes a cache the primary one.
    SetPrimary(String),
    /// How far the KDC's clock is ahead: [`Reply::Offset`].
    Offset(String),
    /// Notes how far that is.
    SetOffset(String, i32),
    /// MIT's: the credentials of a cache in one answer: [`Reply::Credentials`].
    Credentials(String),
    /// MIT's: gives a cache another owner, clock and content, all at once.
    Replace(String, i32, Principal, Vec<Credential>),
}

/// What a request that went well is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing.
    Done,
    /// A name.
    Name(String),
    /// A principal.
    Principal(Principal),
    /// A credential.
    Credential(Box<Credential>),
    /// Names of another kind.
    Ids(Vec<Uuid>),
    /// Seconds.
    Offset(i32),
    /// Credentials.
    Credentials(Vec<Credential>),
}

impl Request {
    fn opcode(&self) -> u16 {
        match self {
            Request::Nothing => 0,
            Request::NewName => 3,
            Request::Initialize(..) => 4,
            Request::Destroy(_) => 5,
            Request::Store(..) => 6,
            Request::Owner(_) => 8,
            Request::CredentialIds(_) => 9,
            Request::CredentialById(..) => 10,
            Request::Remove(..) => 11,
            Request::Move(..) => 17,
            Request::CacheIds => 18,
            Request::CacheById(_) => 19,
            Request::Primary => 20,
            Request::SetPrimary(_) => 21,
            Request::Offset(_) => 22,
            Request::SetOffset(..) => 23,
            Request::Credentials(_) => 13001,
            Request::Replace(..) => 13002,
        }
    }

    /// The bytes of the request, without the length before them.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = Writer::new();
        writer.put(&VERSION);
        writer.u16(self.opcode());
        match self {
            Request::Nothing | Request::NewName | Request::CacheIds | Request::Primary => {}
            Request::Destroy(name)
            | Request::Owner(name)
            | Request::CredentialIds(name)
            | Request::SetPrimary(name)
            | Request::Offset(name)
            | Request::Credentials(name) => put_name(&mut writer, name),
            Request::Initialize(name, owner) => {
                put_name(&mut writer, name);
                format::write_principal(&mut writer, owner);
            }
            Request::Store(name, credential) => {
                put_name(&mut writer, name);
                format::write_credential(&mut writer, credential);
            }
            Request::CredentialById(name, id) => {
                put_name(&mut writer, name);
                writer.put(id);
            }
            Request::Remove(name, tag) => {
                put_name(&mut writer, name);
                tag.write(&mut writer);
            }
            Request::Move(from, to) => [from, to].into_iter().for_each(|name| put_name(&mut writer, name)),
            Request::CacheById(id) => writer.put(id),
            Request::SetOffset(name, offset) => {
                put_name(&mut writer, name);
                writer.put(&offset.to_be_bytes());
            }
            Request::Replace(name, offset, owner, credentials) => {
                put_name(&mut writer, name);
                writer.put(&offset.to_be_bytes());
                format::write_principal(&mut writer, owner);
                put_credentials(&mut writer, credentials);
            }
        }
        writer.finish()
    }

    /// Reads a request.
    ///
    /// # Errors
    /// [`Status::UNSUPPORTED`] for an operation or a version that is not known, [`Status::MALFORMED`] for what is none.
    pub fn decode(bytes: &[u8]) -> Result<Request, Status> {
        let mut reader = Reader::new(bytes, PROBLEM);
        let malformed = |_: Error| Status::MALFORMED;
        let [major, _] = *reader.take(2, "version").map_err(malformed)? else { return Err(Status::MALFORMED) };
        if major != VERSION[0] {
            return Err(Status::UNSUPPORTED);
        }
        let opcode = reader.u16("operation").map_err(malformed)?;
        let request = Request::parameters(opcode, &mut reader).map_err(malformed)?.ok_or(Status::UNSUPPORTED)?;
        if reader.left() == 0 { Ok(request) } else { Err(Status::MALFORMED) }
    }

    fn parameters(opcode: u16, reader: &mut Reader<'_>) -> Result<Option<Request>> {
        let cache = |reader: &mut Reader<'_>| reader.terminated("name").map(str::to_owned);
        Ok(Some(match opcode {
            0 => Request::Nothing,
            3 => Request::NewName,
            4 => Request::Initialize(cache(reader)?, format::principal(reader, 4)?),
            5 => Request::Destroy(cache(reader)?),
            6 => Request::Store(cache(reader)?, Box::new(format::credential(reader, 4)?)),
            8 => Request::Owner(cache(reader)?),
            9 => Request::CredentialIds(cache(reader)?),
            10 => Request::CredentialById(cache(reader)?, uuid(reader)?),
            11 => Request::Remove(cache(reader)?, Tag::read(reader)?),
            17 => Request::Move(cache(reader)?, cache(reader)?),
            18 => Request::CacheIds,
            19 => Request::CacheById(uuid(reader)?),
            20 => Request::Primary,
            21 => Request::SetPrimary(cache(reader)?),
            22 => Request::Offset(cache(reader)?),
            23 => Request::SetOffset(cache(reader)?, reader.i32("clock offset")?),
            13001 => Request::Credentials(cache(reader)?),
            13002 => Request::Replace(
                cache(reader)?,
                reader.i32("clock offset")?,
                format::principal(reader, 4)?,
                credentials(reader)?,
            ),
            _ => return Ok(None),
        }))
    }
}

impl Reply {
    /// The bytes of the reply, after its length and status.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = Writer::new();
        match self {
            Reply::Done => {}
            Reply::Name(name) => put_name(&mut writer, name),
            Reply::Principal(principal) => format::write_principal(&mut writer, principal),
            Reply::Credential(credential) => format::write_credential(&mut writer, credential),
            Reply::Ids(ids) => ids.iter().for_each(|id| writer.put(id)),
            Reply::Offset(offset) => writer.put(&offset.to_be_bytes()),
            Reply::Credentials(credentials) => put_credentials(&mut writer, credentials),
        }
        writer.finish()
    }

    /// Reads the reply to a request.
    ///
    /// # Errors
    /// [`Error::Storage`] when it is none.
    pub fn decode(request: &Request, bytes: &[u8]) -> Result<Reply> {
        let mut reader = Reader::new(bytes, PROBLEM);
        let reader = &mut reader;
        Ok(match request {
            Request::NewName | Request::CacheById(_) | Request::Primary => {
                Reply::Name(reader.terminated("name")?.to_owned())
            }
            Request::Owner(_) => Reply::Principal(format::principal(reader, 4)?),
            Request::CredentialById(..) => Reply::Credential(Box::new(format::credential(reader, 4)?)),
            Request::CredentialIds(_) | Request::CacheIds => {
                let mut ids = vec![];
                while reader.left() > 0 {
                    ids.push(uuid(reader)?);
                }
                Reply::Ids(ids)
            }
            Request::Offset(_) => Reply::Offset(reader.i32("clock offset")?),
            Request::Credentials(_) => Reply::Credentials(credentials(reader)?),
            // What follows says nothing.
            _ => Reply::Done,
        })
    }
}

fn put_name(writer: &mut Writer, name: &str) {
    // A name ends at its first NUL, whatever somebody may have put behind it.
    writer.put(name.split('\0').next().unwrap_or_default().as_bytes());
    writer.u8(0);
}

fn uuid(reader: &mut Reader<'_>) -> Result<Uuid> {
    let mut id = [0; 16];
    id.copy_from_slice(reader.take(16, "identifier")?);
    Ok(id)
}

fn put_credentials(writer: &mut Writer, credentials: &[Credential]) {
    writer.u32(u32::try_from(credentials.len()).unwrap_or(u32::MAX));
    for credential in credentials {
        writer.counted32(&format::encode_credential(credential));
    }
}

/// The count is believed only as far as there are bytes.
fn credentials(reader: &mut Reader<'_>) -> Result<Vec<Credential>> {
    let count = reader.u32("count")?;
    let mut credentials = vec![];
    for _ in 0..count {
        let length = reader.u32("length")?;
        let mut part = reader.part(usize::try_from(length).unwrap_or(usize::MAX), "credential")?;
        credentials.push(format::credential(&mut part, 4)?);
    }
    Ok(credentials)
}
