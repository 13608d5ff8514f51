//! A KDC in memory, spoken to without sockets and with the clock in hand: for tests that must see
//! and bend every byte. The client here is made by hand from `libkrb::wire`, so that it can do what
//! no honest client does.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;

use kdc::attempts::Counted;
use kdc::core::{
    Arrival, Attributes, Change, Entry, Kdc, KeySet, KnownTgts, LongTermKey, Outcome, PasswordPolicy, Policy, Store,
};
use kdc::store::{Cached, Memory};
use libkrb::authz::pac;
use libkrb::ccache;
use libkrb::codes::{AuthDataType, EncryptionType, MessageType, PaType};
use libkrb::crypto::{Key, KeyUsage, Random};
use libkrb::flags::{KdcOptions, TicketFlags};
use libkrb::keytab::{Keytab, KeytabEntry, RawKey};
use libkrb::replay::MemoryReplayCache;
use libkrb::time::Instant;
use libkrb::wire::{
    self, ApReq, AuthData, Authenticator, Checksum, EncKdcRepPart, EncTicketPart, EncryptedData, EncryptionKey, Fixed,
    HostAddress, KdcRep, KdcReq, KdcReqBody, KrbError, List, PaData, PaEncTsEnc, Raw, Ticket,
};
use libkrb::{ErrorCode, Principal, Time};

/// The realm of these tests.
pub const REALM: &str = "EXAMPLE.ORG";
/// When these tests happen.
pub const NOW: Time = Time(1_800_000_000);
/// What password principals have for a password.
pub const PASSWORD: &[u8] = b"correct horse";

/// Reproducible "randomness": every run of a test sees the same bytes.
#[derive(Clone, Debug)]
pub struct Sequence(pub u64);

impl Random for Sequence {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

/// A KDC without a socket.
pub struct Joined {
    /// The realm's rules, to be bent by a test.
    pub policy: Policy,
    /// Its principals, behind the cache that the daemon has too.
    pub store: Cached<Memory>,
    /// The authenticators it has seen.
    pub replays: MemoryReplayCache,
    /// The proofs that failed.
    pub attempts: Counted,
    /// The ticket-granting tickets that came more than once.
    pub tickets: KnownTgts,
    /// The clock of both sides.
    pub now: Instant,
    /// Where requests come from.
    pub from: Option<IpAddr>,
    /// What both sides take for random.
    pub random: Sequence,
}

impl Default for Joined {
    fn default() -> Self {
        Joined::new()
    }
}

/// The name `text` in the realm of these tests.
pub fn name(text: &str) -> Principal {
    Principal::parse(text, Some(REALM)).expect("a principal name")
}

impl Joined {
    /// A realm with the users alice and bob, the services host/a and host/b, and its own two.
    pub fn new() -> Self {
        let joined = Joined::of(REALM);
        joined.add(Principal::changepw(REALM), |entry| {
            entry.attributes =
                entry.attributes.with(Attributes::PWCHANGE_SERVICE, true).with(Attributes::DISALLOW_TGT_BASED, true);
        });
        joined.add(Principal::fetch(REALM), |entry| {
            entry.attributes = Attributes::LOCKDOWN_KEYS.with(Attributes::DISALLOW_TGT_BASED, true);
        });
        for service in ["host/a.example.org", "host/b.example.org"] {
            joined.add(name(service), |_| {});
        }
        for user in ["alice", "bob"] {
            joined.add_user(user, |_| {});
        }
        joined
    }

    /// A realm of another name, with nobody but its ticket-granting service.
    pub fn of(realm: &str) -> Self {
        let joined = Joined {
            policy: Policy::new(realm),
            store: Cached::new(Memory::new(), 1000),
            replays: MemoryReplayCache::new(300, 1_000_000),
            attempts: Counted::default(),
            tickets: KnownTgts::new(1000, 300),
            now: Instant::from(NOW),
            from: None,
            random: Sequence(1),
        };
        joined.add(Principal::tgs(realm), |_| {});
        joined
    }

    /// Makes everything but the principals as it was at first: the same requests get the same answers.
    pub fn reset(&mut self) {
        self.policy = Policy::new(REALM);
        self.replays = MemoryReplayCache::new(300, 1_000_000);
        self.attempts = Counted::default();
        self.tickets = KnownTgts::new(1000, 300);
        self.now = Instant::from(NOW);
        self.from = None;
        self.random = Sequence(1);
    }

    /// Adds a principal with random keys of two enctypes.
    pub fn add(&self, principal: Principal, change: impl FnOnce(&mut Entry)) {
        let mut random = Sequence(principal.salt().bytes().map(u64::from).sum());
        let keys = [EncryptionType::AES256_SHA1, EncryptionType::AES128_SHA1]
            .map(|etype| LongTermKey::new(Key::random(etype, &mut random).expect("a key"), None));
        self.add_with(principal, keys.into(), change);
    }

    /// Adds a user whose keys are made from [`PASSWORD`].
    pub fn add_user(&self, user: &str, change: impl FnOnce(&mut Entry)) {
        let principal = name(user);
        let salt = principal.salt();
        let keys = [EncryptionType::AES256_SHA1, EncryptionType::AES128_SHA1]
            .map(|etype| LongTermKey::new(password_key(etype, &salt), Some(salt.clone())));
        self.add_with(principal, keys.into(), |entry| {
            entry.attributes = Attributes::REQUIRES_PRE_AUTH.with(Attributes::DISALLOW_SVR, true);
            change(entry);
        });
    }

    fn add_with(&self, principal: Principal, keys: Vec<LongTermKey>, change: impl FnOnce(&mut Entry)) {
        let mut id = [0; 16];
        Sequence(principal.salt().len() as u64).fill(&mut id);
        let mut entry = Entry::new(principal, id, NOW, "test");
        entry.keys = vec![KeySet::new(1, keys)];
        change(&mut entry);
        self.store.commit(&[Change::Create(entry)]).expect("a new principal");
    }

    /// Changes a principal.
    pub fn change(&self, who: &str, change: impl FnOnce(&mut Entry)) {
        let mut entry = (*self.entry(who)).clone();
        change(&mut entry);
        self.store.commit(&[Change::Replace(entry)]).expect("a changed principal");
    }

    /// Announces new keys for a principal, in use after so many seconds; the old ones end so many later.
    pub fn announce(&self, who: &str, after: i64, overlap: i64) {
        let now = self.now.time;
        self.change(who, |entry| {
            let kvno = entry.keys[0].kvno + 1;
            let fresh = |key: &LongTermKey| {
                let key = Key::random(key.etype(), &mut Sequence(u64::from(kvno) << 20 | who.len() as u64));
                LongTermKey::new(key.expect("a key"), None)
            };
            let keys = entry.keys[0].keys.iter().map(fresh).collect();
            entry.keys.iter_mut().for_each(|set| set.until = Some(now + after + overlap));
            entry.keys.insert(0, KeySet { from: now + after, ..KeySet::new(kvno, keys).made(now) });
        });
    }

    /// Adds a password policy.
    pub fn add_policy(&self, policy: PasswordPolicy) {
        self.store.commit(&[Change::PutPolicy(policy)]).expect("a new policy");
    }

    /// What the store has of a principal.
    pub fn entry(&self, who: &str) -> std::sync::Arc<Entry> {
        self.store.lookup(&name(who)).expect("a store").expect("a principal")
    }

    /// What is remembered of a principal's proofs.
    pub fn attempts_of(&self, who: &str) -> kdc::core::attempts::Record {
        kdc::core::Attempts::record(&self.attempts, &self.entry(who).id)
    }

    /// A principal's key of an enctype that is in use.
    pub fn key(&self, who: &str, etype: EncryptionType) -> Key {
        self.entry(who).key(etype, self.now.time).expect("a key").key.clone()
    }

    /// The keytab of some principals, from the store.
    pub fn keytab(&self, principals: &[&str]) -> Keytab {
        let entries = principals.iter().flat_map(|who| {
            let entry = self.entry(who);
            let keys = entry.keys.iter().flat_map(|set| set.keys.iter().map(|key| (set.kvno, RawKey::from(&key.key))));
            let keys: Vec<_> = keys.collect();
            keys.into_iter().map(|(kvno, key)| KeytabEntry { principal: name(who), timestamp: NOW, kvno, key })
        });
        Keytab { entries: entries.collect() }
    }

    /// Sends bytes to the KDC.
    pub fn send(&mut self, bytes: &[u8]) -> Outcome {
        let Joined { policy, store, replays, attempts, tickets, .. } = self;
        let kdc = Kdc { policy, store, replays, attempts, tickets };
        kdc::core::handle(&kdc, Arrival { now: self.now, from: self.from }, &mut self.random, bytes)
    }

    /// Lets a microsecond pass, so that two authenticators differ.
    pub fn tick(&mut self) {
        self.now = Instant::from_micros(self.now.as_micros() + 1);
    }

    /// Lets seconds pass.
    pub fn wait(&mut self, seconds: i64) {
        self.now.time = self.now.time + seconds;
    }

    /// An AS exchange of `asking.client` with its password.
    pub fn login(&mut self, asking: &Asking) -> Result<Credential, ErrorCode> {
        let key = self.key(&asking.client.to_string(), asking.etypes[0]);
        let request = self.as_req(asking, Some(&key));
        self.credential(&request, &key, KeyUsage::AS_REP_ENC_PART)
    }

    /// The bytes of an AS-REQ, with an encrypted timestamp if there is a key.
    pub fn as_req(&mut self, asking: &Asking, key: Option<&Key>) -> Vec<u8> {
        self.tick();
        let stamp = key.map(|key| self.timestamp(key, self.now));
        let mut padata = asking.padata.clone();
        padata.extend(stamp.map(|stamp| (PaType::ENC_TIMESTAMP, stamp)));
        let body = asking.body(true, None, &[]);
        request(MessageType::AS_REQ, &padata, &body)
    }

    /// The value of PA-ENC-TIMESTAMP.
    pub fn timestamp(&mut self, key: &Key, at: Instant) -> Vec<u8> {
        let plain = wire::encode(&PaEncTsEnc { time: at.time, micros: Some(at.micros) });
        let cipher = key.encrypt(KeyUsage::AS_REQ_ENC_TIMESTAMP, &mut self.random, &plain);
        wire::encode(&EncryptedData { etype: key.etype(), kvno: None, cipher: &cipher })
    }

    /// A TGS exchange with a ticket.
    pub fn tgs(&mut self, with: &Credential, asking: &Asking) -> Result<Credential, ErrorCode> {
        let request = self.tgs_req(with, asking);
        self.credential(&request, &with.key, KeyUsage::TGS_REP_SESSION)
    }

    /// The bytes of a TGS-REQ without a subkey.
    pub fn tgs_req(&mut self, with: &Credential, asking: &Asking) -> Vec<u8> {
        self.tgs_req_with(with, asking, &Bend::default())
    }

    /// The bytes of a TGS-REQ, bent.
    pub fn tgs_req_with(&mut self, with: &Credential, asking: &Asking, bend: &Bend) -> Vec<u8> {
        self.tick();
        let data = asking.authorization_data.as_ref().map(|elements| {
            let elements = elements.iter().map(|(kind, data)| AuthData { kind: *kind, data }).collect::<Vec<_>>();
            let plain = wire::encode(&List::Items(&elements));
            with.key.encrypt(KeyUsage::TGS_REQ_AUTHZ_SESSION, &mut self.random, &plain)
        });
        let tickets = asking.additional.iter().map(|ticket| Raw::parse(ticket).expect("a ticket")).collect::<Vec<_>>();
        let body = asking.body(false, data.as_deref().map(|cipher| (with.key.etype(), cipher)), &tickets);
        let over = bend.checksum_over.as_deref().unwrap_or(&body);
        let checksum = with.key.checksum(KeyUsage::TGS_REQ_CHECKSUM, over);
        let kind = bend.checksum_kind.unwrap_or(with.key.checksum_type());
        let client = bend.client.clone().unwrap_or(with.client.clone());
        let at = bend.time.unwrap_or(self.now);
        let armor = [AuthData { kind: bend.armor.unwrap_or_default(), data: &[] }];
        let authenticator = Authenticator {
            version: Fixed,
            client_realm: client.realm(),
            client: (&client).into(),
            checksum: (!bend.no_checksum).then_some(Checksum { kind, checksum: &checksum }),
            micros: at.micros,
            time: at.time,
            subkey: bend.subkey.as_ref().map(EncryptionKey::from),
            sequence: None,
            authorization_data: bend.armor.map(|_| List::Items(&armor[..])),
        };
        let seal = bend.authenticator_key.as_ref().unwrap_or(&with.key);
        let cipher = seal.encrypt(KeyUsage::TGS_REQ_AUTHENTICATOR, &mut self.random, &wire::encode(&authenticator));
        let ap_req = wire::encode(&ApReq {
            version: Fixed,
            kind: Fixed,
            options: Default::default(),
            ticket: Raw::parse(&with.ticket).expect("a ticket"),
            authenticator: EncryptedData { etype: seal.etype(), kvno: None, cipher: &cipher },
        });
        let mut padata = vec![(PaType::TGS_REQ, ap_req)];
        padata.extend(asking.padata.clone());
        request(MessageType::TGS_REQ, &padata, &body)
    }

    /// Sends a request and opens the reply.
    pub fn credential(&mut self, request: &[u8], key: &Key, usage: KeyUsage) -> Result<Credential, ErrorCode> {
        let outcome = self.send(request);
        Credential::open(&outcome.reply.expect("an answer"), key, usage)
    }

    /// Opens a ticket with its server's key and hands its contents to `read`.
    pub fn open<T>(&self, ticket: &[u8], read: impl FnOnce(&EncTicketPart<'_>) -> T) -> T {
        let ticket = wire::decode::<Ticket<'_>>(ticket).expect("a ticket");
        let server = ticket.server.principal(ticket.realm).expect("a name");
        let key = self.key(&server.to_string(), ticket.enc_part.etype);
        let plain = key.decrypt(KeyUsage::TICKET, ticket.enc_part.cipher).expect("the server's ticket");
        read(&wire::decode(&plain).expect("EncTicketPart"))
    }

    /// Makes a ticket that the KDC never issued, sealed with a principal's real key.
    pub fn forge<'a>(
        &mut self,
        credential: &'a Credential,
        sealed_by: &str,
        bend: impl FnOnce(&mut EncTicketPart<'a>),
    ) -> Credential {
        let server = name(sealed_by);
        let key = self.key(sealed_by, EncryptionType::AES256_SHA1);
        let client = &credential.client;
        let mut part = EncTicketPart {
            flags: credential.flags,
            key: EncryptionKey::from(&credential.key),
            client_realm: client.realm(),
            client: client.into(),
            transited: wire::TransitedEncoding::NONE,
            auth_time: credential.auth_time,
            start_time: Some(credential.start_time),
            end_time: credential.end_time,
            renew_till: credential.renew_till,
            addresses: None,
            authorization_data: None,
        };
        bend(&mut part);
        let cipher = key.encrypt(KeyUsage::TICKET, &mut self.random, &wire::encode(&part));
        let enc_part = EncryptedData { etype: key.etype(), kvno: Some(1), cipher: &cipher };
        let ticket =
            wire::encode(&Ticket { version: Fixed, realm: server.realm(), server: (&server).into(), enc_part });
        Credential { ticket, server, ..credential.clone() }
    }
}

/// The key of [`PASSWORD`]; made once in a process, because many tests want the same few.
fn password_key(etype: EncryptionType, salt: &str) -> Key {
    static MADE: Mutex<BTreeMap<(EncryptionType, String), Key>> = Mutex::new(BTreeMap::new());
    let make = || Key::from_password(etype, PASSWORD, salt.as_bytes(), None).expect("a key");
    MADE.lock().expect("no panic").entry((etype, salt.to_owned())).or_insert_with(make).clone()
}

/// A ticket's authorization data but for the PAC.
pub fn besides_pac(part: &EncTicketPart<'_>) -> Vec<(AuthDataType, Vec<u8>)> {
    let data = part.authorization_data.into_iter().flat_map(|data| data.iter());
    data.filter(|element| !pac::holds_pac(element)).map(|element| (element.kind, element.data.to_vec())).collect()
}

/// The error code of a reply, if it is a KRB-ERROR.
pub fn as_error(reply: &[u8]) -> Option<ErrorCode> {
    (wire::application_tag(reply) == Some(30))
        .then(|| wire::decode::<KrbError<'_>>(reply).expect("a well-formed KRB-ERROR").code)
}

/// The bytes of a request with this padata and this body.
pub fn request(kind: MessageType, padata: &[(PaType, Vec<u8>)], body: &[u8]) -> Vec<u8> {
    let padata = padata.iter().map(|(kind, value)| PaData { kind: *kind, value }).collect::<Vec<_>>();
    wire::encode(&KdcReq { kind, padata: List::Items(&padata).into(), body: Raw::parse(body).expect("a body") })
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The client; only sent in AS-REQ.
    pub client: Principal,
    /// The server; `None` leaves it out.
    pub server: Option<Principal>,
    /// The realm of the body.
    pub realm: String,
    /// KDC options.
    pub options: KdcOptions,
    /// Start.
    pub from: Option<Time>,
    /// End.
    pub till: Time,
    /// End of renewals.
    pub renew_till: Option<Time>,
    /// The nonce.
    pub nonce: u32,
    /// Enctypes.
    pub etypes: Vec<EncryptionType>,
    /// Addresses.
    pub addresses: Vec<(libkrb::codes::AddressType, Vec<u8>)>,
    /// Further padata.
    pub padata: Vec<(PaType, Vec<u8>)>,
    /// Additional tickets.
    pub additional: Vec<Vec<u8>>,
    /// Authorization data to add.
    pub authorization_data: Option<Vec<(AuthDataType, Vec<u8>)>>,
    /// Leaves the client out of an AS-REQ.
    pub nameless: bool,
}

impl Asking {
    /// A user wants a ticket-granting ticket.
    pub fn login(user: &str) -> Self {
        Asking {
            client: name(user),
            server: Some(Principal::tgs(REALM)),
            realm: REALM.to_owned(),
            options: KdcOptions::NONE,
            from: None,
            till: Time::EPOCH,
            renew_till: None,
            nonce: 4711,
            etypes: vec![EncryptionType::AES256_SHA1],
            addresses: vec![],
            padata: vec![],
            additional: vec![],
            authorization_data: None,
            nameless: false,
        }
    }

    /// Somebody with a TGT wants a ticket for a service.
    pub fn service(server: &str) -> Self {
        Asking { server: Some(name(server)), ..Asking::login("alice") }
    }

    /// The same with options.
    pub fn with(self, options: KdcOptions) -> Self {
        Asking { options: self.options | options, ..self }
    }

    /// The bytes of the body: of an AS-REQ if `initial`.
    pub fn body(
        &self,
        initial: bool,
        data: Option<(EncryptionType, &[u8])>,
        tickets: &[Raw<'_, Ticket<'_>>],
    ) -> Vec<u8> {
        let addresses =
            self.addresses.iter().map(|(kind, address)| HostAddress { kind: *kind, address }).collect::<Vec<_>>();
        wire::encode(&KdcReqBody {
            options: self.options,
            client: (initial && !self.nameless).then_some((&self.client).into()),
            realm: &self.realm,
            server: self.server.as_ref().map(Into::into),
            from: self.from,
            till: self.till,
            renew_till: self.renew_till,
            nonce: self.nonce,
            etypes: List::Items(&self.etypes),
            addresses: (!addresses.is_empty()).then_some(List::Items(&addresses)),
            authorization_data: data.map(|(etype, cipher)| EncryptedData { etype, kvno: None, cipher }),
            additional_tickets: (!tickets.is_empty()).then_some(List::Items(tickets)),
        })
    }
}

/// How a TGS-REQ departs from an honest one.
#[derive(Clone, Default)]
pub struct Bend {
    /// Another client in the authenticator.
    pub client: Option<Principal>,
    /// Another time in the authenticator.
    pub time: Option<Instant>,
    /// Another key around the authenticator.
    pub authenticator_key: Option<Key>,
    /// A checksum over something else.
    pub checksum_over: Option<Vec<u8>>,
    /// A checksum that claims another type.
    pub checksum_kind: Option<libkrb::codes::ChecksumType>,
    /// No checksum.
    pub no_checksum: bool,
    /// An authenticator that says of itself what it was made for.
    pub armor: Option<AuthDataType>,
    /// A subkey.
    pub subkey: Option<Key>,
}

/// What a client gets.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields of EncKDCRepPart")]
pub struct Credential {
    pub client: Principal,
    pub server: Principal,
    pub key: Key,
    pub ticket: Vec<u8>,
    pub flags: TicketFlags,
    pub auth_time: Time,
    pub start_time: Time,
    pub end_time: Time,
    pub renew_till: Option<Time>,
    pub nonce: u32,
}

impl Credential {
    /// The same as a cache keeps it.
    pub fn cached(&self) -> ccache::Credential {
        ccache::Credential {
            client: self.client.clone(),
            server: self.server.clone(),
            key: RawKey::from(&self.key),
            auth_time: self.auth_time,
            start_time: self.start_time,
            end_time: self.end_time,
            renew_till: self.renew_till.unwrap_or(Time::EPOCH),
            is_skey: false,
            flags: self.flags,
            addresses: vec![],
            authdata: vec![],
            ticket: self.ticket.clone(),
            second_ticket: vec![],
        }
    }

    /// Opens a KDC's reply.
    pub fn open(reply: &[u8], key: &Key, usage: KeyUsage) -> Result<Self, ErrorCode> {
        if let Some(error) = as_error(reply) {
            return Err(error);
        }
        let reply = wire::decode::<KdcRep<'_>>(reply).expect("a reply");
        let plain = key.decrypt(usage, reply.enc_part.cipher).expect("a reply for us");
        let part = wire::decode::<EncKdcRepPart<'_>>(&plain).expect("EncKDCRepPart");
        let client = reply.client.principal(reply.client_realm).expect("a name");
        Ok(Credential {
            client,
            server: part.server.principal(part.server_realm).expect("a name"),
            key: part.key.key().expect("a key"),
            ticket: reply.ticket.der.to_vec(),
            flags: part.flags,
            auth_time: part.auth_time,
            start_time: part.start_time.unwrap_or(part.auth_time),
            end_time: part.end_time,
            renew_till: part.renew_till,
            nonce: part.nonce,
        })
    }
}
