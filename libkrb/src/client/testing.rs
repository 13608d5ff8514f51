//! A KDC of a few lines: it answers well, so that a test can bend one thing. For tests only.

use super::{Exchange, Outcome, Step};
use crate::ccache::{Address, Credential, RawKey};
use crate::codes::{EncryptionType, LastReqType, MessageType, PaType};
use crate::crypto::{Key, KeyUsage, OsRandom, Random, SUPPORTED};
use crate::error::{ErrorCode, Result};
use crate::flags::{KdcOptions, TicketFlags};
use crate::name::Principal;
use crate::preauth::req_enc_pa_rep;
use crate::time::{Instant, Time};
use crate::wire::{
    self, ApReq, Authenticator, EncKdcRepPart, EncryptedData, EncryptionKey, Fixed, HostAddress, KdcRep, KdcReq,
    KrbError, LastReq, List, PaData, PrincipalName, Raw, Ticket,
};

/// What every clock of the tests shows, unless it is about clocks.
pub(super) const NOW: Instant = Instant { time: Time(1_795_300_000), micros: 123_456 };

pub(super) fn principal(name: &str) -> Principal {
    Principal::parse(name, None).unwrap()
}

pub(super) fn key(etype: EncryptionType, octet: u8) -> Key {
    Key::new(etype, &vec![octet; crate::crypto::key_len(etype).unwrap()]).unwrap()
}

/// A key of the first supported enctype.
pub(super) fn any_key(octet: u8) -> Key {
    key(SUPPORTED[0], octet)
}

/// Gives out the bytes it was given, then random ones.
pub(super) struct Script(pub Vec<u8>);

impl Random for Script {
    fn fill(&mut self, out: &mut [u8]) {
        let told = out.len().min(self.0.len());
        out[..told].copy_from_slice(&self.0[..told]);
        self.0.drain(..told);
        OsRandom::new().fill(&mut out[told..]);
    }
}

/// Drives an exchange whose messages `kdc` answers, at [`NOW`].
pub(super) fn drive(exchange: &mut dyn Exchange, mut kdc: impl FnMut(&str, &[u8]) -> Vec<u8>) -> Result<Outcome> {
    let mut reply: Option<Vec<u8>> = None;
    for _ in 0..100 {
        match exchange.step(NOW, &mut OsRandom::new(), reply.as_deref())? {
            Step::Send { realm, message } => reply = Some(kdc(&realm, &message)),
            Step::Done(outcome) => return Ok(*outcome),
        }
    }
    panic!("a hundred messages and no end");
}

/// A request, decoded; and what can be asked of it.
pub(super) fn read(request: &[u8]) -> KdcReq<'_> {
    wire::decode(request).expect("a request")
}

pub(super) fn asked_server(request: &KdcReq<'_>) -> Principal {
    request.body.server.expect("sname").principal(request.body.realm).unwrap()
}

/// A reply before it is sealed.
#[derive(Clone)]
pub(super) struct Draft {
    pub kind: MessageType,
    pub client: Principal,
    pub ticket_server: Principal,
    pub server: Principal,
    pub session: Key,
    pub nonce: u32,
    pub flags: TicketFlags,
    pub auth_time: Time,
    pub start_time: Option<Time>,
    pub end_time: Time,
    pub renew_till: Option<Time>,
    pub addresses: Vec<Address>,
    pub padata: Vec<(PaType, Vec<u8>)>,
    pub encrypted_padata: Vec<(PaType, Vec<u8>)>,
    pub last_req: Vec<LastReq>,
    pub key_expiration: Option<Time>,
    pub reply_key: Key,
    pub usage: KeyUsage,
    pub label: EncryptionType,
    pub kvno: Option<u32>,
}

impl Draft {
    /// A good answer to any request, under `reply_key`, by a KDC whose clock shows [`NOW`].
    fn to(request: &KdcReq<'_>, client: Principal, reply_key: Key, usage: KeyUsage) -> Draft {
        let body = *request.body;
        let server = asked_server(request);
        let flag = |flag, option| TicketFlags::NONE.with(flag, body.options.has(option));
        let start_time = body.from;
        let limit = start_time.unwrap_or(NOW.time) + 36_000;
        Draft {
            kind: MessageType(request.kind.0 + 1),
            client,
            ticket_server: server.clone(),
            server,
            session: key(body.etypes.iter().next().expect("an etype"), 0x5e),
            nonce: body.nonce,
            flags: flag(TicketFlags::FORWARDABLE, KdcOptions::FORWARDABLE)
                | flag(TicketFlags::PROXIABLE, KdcOptions::PROXIABLE)
                | flag(TicketFlags::RENEWABLE, KdcOptions::RENEWABLE)
                | flag(TicketFlags::INVALID, KdcOptions::POSTDATED)
                | flag(TicketFlags::FORWARDED, KdcOptions::FORWARDED)
                | flag(TicketFlags::PROXY, KdcOptions::PROXY),
            auth_time: NOW.time,
            start_time,
            end_time: if body.till == Time::EPOCH { limit } else { body.till.min(limit) },
            renew_till: body.renew_till.filter(|_| body.options.has(KdcOptions::RENEWABLE)),
            addresses: body.addresses.map(|list| list.iter().map(own).collect()).unwrap_or_default(),
            padata: vec![],
            encrypted_padata: vec![],
            last_req: vec![LastReq { kind: LastReqType::NONE, time: Time::EPOCH }],
            key_expiration: None,
            label: reply_key.etype(),
            reply_key,
            usage,
            kvno: Some(1),
        }
    }

    /// A good AS-REP, with the checksum of RFC 6806 11.
    pub fn as_rep(request: &[u8], reply_key: &Key) -> Draft {
        let decoded = read(request);
        let client = decoded.body.client.expect("cname").principal(decoded.body.realm).unwrap();
        let mut draft = Draft::to(&decoded, client, reply_key.clone(), KeyUsage::AS_REP_ENC_PART);
        draft.flags |= TicketFlags::INITIAL | TicketFlags::ENC_PA_REP;
        draft.encrypted_padata =
            vec![(PaType::REQ_ENC_PA_REP, req_enc_pa_rep::make(reply_key, request)), (PaType::FX_FAST, vec![])];
        draft
    }

    /// The reply.
    pub fn seal(&self) -> Vec<u8> {
        let addresses: Vec<_> =
            self.addresses.iter().map(|a| HostAddress { kind: a.kind, address: &a.bytes }).collect();
        let (padata, encrypted) = (elements(&self.padata), elements(&self.encrypted_padata));
        let part = EncKdcRepPart {
            kind: self.kind,
            key: EncryptionKey::from(&self.session),
            last_req: List::Items(&self.last_req),
            nonce: self.nonce,
            key_expiration: self.key_expiration,
            flags: self.flags,
            auth_time: self.auth_time,
            start_time: self.start_time,
            end_time: self.end_time,
            renew_till: self.renew_till,
            server_realm: self.server.realm(),
            server: PrincipalName::from(&self.server),
            addresses: (!addresses.is_empty()).then_some(List::Items(&addresses)),
            encrypted_padata: (!encrypted.is_empty()).then_some(List::Items(&encrypted)),
        };
        let cipher = self.reply_key.encrypt(self.usage, &mut OsRandom::new(), &wire::encode(&part));
        let ticket = ticket(&self.ticket_server);
        wire::encode(&KdcRep {
            kind: self.kind,
            padata: List::Items(&padata),
            client_realm: self.client.realm(),
            client: PrincipalName::from(&self.client),
            ticket: Raw::parse(&ticket).unwrap(),
            enc_part: EncryptedData { etype: self.label, kvno: self.kvno, cipher: &cipher },
        })
    }
}

fn own(address: HostAddress<'_>) -> Address {
    Address { kind: address.kind, bytes: address.address.to_vec() }
}

pub(super) fn elements(padata: &[(PaType, Vec<u8>)]) -> Vec<PaData<'_>> {
    padata.iter().map(|(kind, value)| PaData { kind: *kind, value }).collect()
}

/// A ticket that nobody can open.
pub(super) fn ticket(server: &Principal) -> Vec<u8> {
    let enc_part = EncryptedData { etype: EncryptionType::AES256_SHA1, kvno: Some(1), cipher: b"sealed" };
    wire::encode(&Ticket { version: Fixed, realm: server.realm(), server: PrincipalName::from(server), enc_part })
}

/// A KRB-ERROR.
pub(super) struct Refuse<'a> {
    pub code: ErrorCode,
    pub clock: Instant,
    pub client_realm: Option<&'a str>,
    pub data: Option<Vec<u8>>,
}

impl Refuse<'_> {
    pub fn with(code: ErrorCode) -> Refuse<'static> {
        Refuse { code, clock: NOW, client_realm: None, data: None }
    }

    /// KDC_ERR_PREAUTH_REQUIRED.
    pub fn preauth(methods: &[(PaType, Vec<u8>)]) -> Refuse<'static> {
        let data = wire::encode(&List::Items(&elements(methods)));
        Refuse { data: Some(data), ..Refuse::with(ErrorCode::PREAUTH_REQUIRED) }
    }

    pub fn encode(&self) -> Vec<u8> {
        wire::encode(&KrbError {
            version: Fixed,
            kind: Fixed,
            client_time: None,
            client_micros: None,
            server_time: self.clock.time,
            server_micros: self.clock.micros,
            code: self.code,
            client_realm: self.client_realm,
            client: None,
            realm: "KRBTEST.COM",
            server: PrincipalName::from(&Principal::tgs("KRBTEST.COM")),
            text: Some("words of a stranger"),
            data: self.data.as_deref(),
        })
    }
}

/// A file of recorded exchanges.
pub(super) fn transcripts(name: &str) -> serde_json::Value {
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let text = std::fs::read(folder.join(format!("transcripts_{name}.json"))).expect("part of the project");
    serde_json::from_slice(&text).expect("JSON")
}

/// The bytes of a hexadecimal value.
pub(super) fn hex(value: &serde_json::Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_else(|| panic!("no hexadecimal text: {value}"));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The exchanges of a file, in order.
pub(super) fn exchanges(file: &serde_json::Value) -> &[serde_json::Value] {
    file["exchanges"].as_array().expect("exchanges")
}

/// A step of an exchange that begins with these words.
pub(super) fn step<'a>(exchange: &'a serde_json::Value, what: &str) -> Option<&'a serde_json::Value> {
    exchange["steps"].as_array()?.iter().find(|step| step["what"].as_str().is_some_and(|text| text.starts_with(what)))
}

/// The key that a step names.
pub(super) fn step_key(step: &serde_json::Value) -> Key {
    Key::new(EncryptionType(step["enctype"].as_i64().unwrap() as i32), &hex(&step["key"])).unwrap()
}

/// A ticket-granting ticket of `user@KRBTEST.COM`, with the session key of every [`Draft`].
pub(super) fn tgt(server: Principal) -> Credential {
    Credential {
        client: principal("user@KRBTEST.COM"),
        key: RawKey::from(&any_key(0x5e)),
        auth_time: NOW.time,
        start_time: NOW.time,
        end_time: NOW.time + 36_000,
        renew_till: Time::EPOCH,
        is_skey: false,
        flags: TicketFlags::INITIAL,
        addresses: vec![],
        authdata: vec![],
        ticket: ticket(&server),
        second_ticket: vec![],
        server,
    }
}

/// What a KDC finds in the header of a TGS-REQ.
pub(super) struct Header {
    pub ticket_server: Principal,
    pub client: Principal,
    pub clock: Instant,
    pub subkey: Key,
}

/// Opens the header, whose ticket has `session` as its key, and verifies the checksum of the body.
pub(super) fn header(request: &[u8], session: &Key) -> Header {
    let request = read(request);
    let ap_req: ApReq<'_> = wire::decode(request.padata(PaType::TGS_REQ).expect("PA-TGS-REQ").value).unwrap();
    let plain = session.decrypt(KeyUsage::TGS_REQ_AUTHENTICATOR, ap_req.authenticator.cipher).unwrap();
    let authenticator: Authenticator<'_> = wire::decode(&plain).unwrap();
    let sum = authenticator.checksum.expect("a checksum");
    session.verify_checksum(KeyUsage::TGS_REQ_CHECKSUM, sum.kind, request.body.der, sum.checksum).unwrap();
    Header {
        ticket_server: ap_req.ticket.server.principal(ap_req.ticket.realm).unwrap(),
        client: authenticator.client.principal(authenticator.client_realm).unwrap(),
        clock: Instant { time: authenticator.time, micros: authenticator.micros },
        subkey: authenticator.subkey.expect("a subkey").key().unwrap(),
    }
}

impl Draft {
    /// A good TGS-REP.
    pub fn tgs_rep(request: &[u8]) -> Draft {
        let Header { client, subkey, .. } = header(request, &any_key(0x5e));
        Draft { kvno: None, ..Draft::to(&read(request), client, subkey, KeyUsage::TGS_REP_SUBKEY) }
    }

    /// The same for another server.
    pub fn of(self, name: &str) -> Draft {
        Draft { server: principal(name), ticket_server: principal(name), ..self }
    }
}
