//! The service that changes passwords, joined in memory with the KDC of [`crate::joined`]: for tests
//! that must see and bend every byte.

use std::net::IpAddr;
use std::sync::Arc;

use kdc::admin::acl::Acl;
use kdc::admin::{KeyRules, Registry};
use kdc::attempts::Counted;
use kdc::core::{Attempts, Change, Entry, Outcome, PasswordPolicy, Policy, Store};
use kdc::kpasswd::{Arrival, Kpasswd};
use kdc::store::Memory;
use libkrb::Principal;
use libkrb::client::{NewSecret, PasswordExchange};
use libkrb::codes::{EncryptionType, KpasswdCode};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::replay::MemoryReplayCache;
use libkrb::session::{Address, Role, Session};
use libkrb::time::Instant;
use libkrb::wire::{
    self, ApReq, Authenticator, EncryptedData, EncryptionKey, Fixed, KpasswdReply, KpasswdRequest, KpasswdResult,
    KrbError, Raw,
};

use crate::joined::{Asking, Credential, Joined, REALM, Sequence, name};

/// Where the clients of these tests are.
pub const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
/// Where the service is.
pub const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// A realm whose passwords can be changed.
pub struct Changing {
    /// The KDC and its clock. Its store is as it was before the first change.
    pub realm: Joined,
    /// The store that changes are made in.
    pub store: Arc<Memory>,
    /// Failures as the realm counts them.
    pub attempts: Arc<Counted>,
    service: Kpasswd,
    random: Sequence,
}

impl Changing {
    /// Alice and bob, the realm's own services, and a service for changing passwords.
    pub fn new() -> Changing {
        Changing::of(Joined::new())
    }

    /// The same over a realm that was bent.
    pub fn of(realm: Joined) -> Changing {
        Changing::under(realm, "")
    }

    /// The same with an access list, in the words of a kadm5.acl.
    pub fn under(realm: Joined, acl: &str) -> Changing {
        let acl = Acl::parse_kadm5(REALM, acl).expect("an access list");
        let store = Arc::new(Memory::new());
        for principal in realm.store.list(None, 1000).expect("a list") {
            let entry = Entry { revision: 0, ..(*realm.entry(&principal.to_string())).clone() };
            store.commit(&[Change::Create(entry)]).expect("a copy");
        }
        for policy in realm.store.policies().expect("a list") {
            let policy = (*realm.store.policy(&policy).expect("a store").expect("a policy")).clone();
            store.commit(&[Change::PutPolicy(PasswordPolicy { revision: 0, ..policy })]).expect("a copy");
        }
        let etypes = vec![EncryptionType::AES256_SHA1, EncryptionType::AES128_SHA1];
        let shared = Arc::clone(&store) as Arc<dyn Store>;
        let registry = Registry::new(Arc::clone(&shared), realm.policy.clone(), KeyRules { etypes, iterations: None });
        let registry = registry.with_acl(acl);
        let replays = Arc::new(MemoryReplayCache::new(300, 1_000_000));
        let attempts = Arc::new(Counted::default());
        let counted = Arc::clone(&attempts) as Arc<dyn Attempts>;
        let service = Kpasswd::new(realm.policy.clone(), shared, Arc::new(registry), replays, counted);
        Changing { realm, store, attempts, service, random: Sequence(3) }
    }

    /// Has the service answer by other rules.
    pub fn govern(&self, policy: Policy) {
        self.service.govern(policy);
    }

    /// A ticket to change passwords with.
    pub fn ticket(&mut self, user: &str) -> Credential {
        let asking = Asking { server: Some(Principal::changepw(REALM)), ..Asking::login(user) };
        self.realm.login(&asking).expect("a ticket for changing passwords")
    }

    /// Sends bytes to the service.
    pub fn send(&mut self, bytes: &[u8]) -> Outcome {
        let at = Arrival { now: self.realm.now, from: (CLIENT, 1234).into(), to: Some(SERVER) };
        self.service.handle(&at, &mut self.random, bytes)
    }

    /// The exchange of an honest client and its request.
    pub fn request(&mut self, with: &Credential, new: &NewSecret<'_>) -> (PasswordExchange, Vec<u8>) {
        self.realm.tick();
        let (ticket, local) = (with.cached(), Address::ip(CLIENT));
        PasswordExchange::new(&ticket, new, local, self.realm.now, &mut self.random).expect("a request")
    }

    /// What an honest client comes to; the texts too of what nobody has proven.
    pub fn change(&mut self, with: &Credential, password: &str) -> libkrb::Result<()> {
        self.set(with, &NewSecret { password, target: None })
    }

    /// The same, maybe for another.
    pub fn set(&mut self, with: &Credential, new: &NewSecret<'_>) -> libkrb::Result<()> {
        let (exchange, request) = self.request(with, new);
        let reply = self.send(&request).reply.expect("a reply");
        exchange.finish(self.realm.now, &reply)
    }

    /// What the store of the service has of a principal.
    pub fn entry(&self, who: &str) -> Arc<Entry> {
        self.store.lookup(&name(who)).expect("a store").expect("a principal")
    }

    /// Changes a principal in the store of the service.
    pub fn bend(&self, who: &str, change: impl FnOnce(&mut Entry)) {
        let mut entry = (*self.entry(who)).clone();
        change(&mut entry);
        self.store.commit(&[Change::Replace(entry)]).expect("a changed principal");
    }
}

impl Default for Changing {
    fn default() -> Self {
        Changing::new()
    }
}

/// A request that is made by hand.
pub struct Draft<'a> {
    /// The ticket that it shows.
    pub with: &'a Credential,
    /// The version.
    pub version: u16,
    /// The user data.
    pub data: Vec<u8>,
    /// The subkey; none leaves it out.
    pub subkey: Option<Key>,
    /// Another key around the user data.
    pub sealed_with: Option<Key>,
    /// The number of the message; 5 is right.
    pub number: u32,
}

impl<'a> Draft<'a> {
    /// An honest one, with this data.
    pub fn new(with: &'a Credential, version: u16, data: &[u8]) -> Draft<'a> {
        let subkey = Key::random(with.key.etype(), &mut Sequence(77)).expect("a key");
        Draft { with, version, data: data.to_vec(), subkey: Some(subkey), sealed_with: None, number: 5 }
    }

    /// The request's bytes.
    pub fn request(&self, now: Instant) -> Vec<u8> {
        let mut random = Sequence(78);
        let authenticator = wire::encode(&Authenticator {
            version: Fixed,
            client_realm: self.with.client.realm(),
            client: (&self.with.client).into(),
            checksum: None,
            micros: now.micros,
            time: now.time,
            subkey: self.subkey.as_ref().map(EncryptionKey::from),
            sequence: Some(5),
            authorization_data: None,
        });
        let cipher = self.with.key.encrypt(KeyUsage::AP_REQ_AUTHENTICATOR, &mut random, &authenticator);
        let ap_req = wire::encode(&ApReq {
            version: Fixed,
            kind: Fixed,
            options: Default::default(),
            ticket: Raw::parse(&self.with.ticket).expect("a ticket"),
            authenticator: EncryptedData { etype: self.with.key.etype(), kvno: None, cipher: &cipher },
        });
        let key = self.sealed_with.as_ref().or(self.subkey.as_ref()).unwrap_or(&self.with.key);
        let mut session = Session::new(key, Role::Initiator, self.number, 0).with_addresses(Address::ip(CLIENT), None);
        let message = session.make_priv(now, &mut random, &self.data).expect("KRB-PRIV");
        KpasswdRequest { version: self.version, ap_req: &ap_req, message: &message }.encode().expect("a request")
    }
}

/// The result and the text of a KRB-ERROR.
pub fn krb_error(reply: &[u8]) -> (KpasswdCode, String) {
    let Ok(KpasswdReply::Error(error)) = KpasswdReply::decode(reply) else { panic!("no KRB-ERROR: {reply:02x?}") };
    let error: KrbError<'_> = wire::decode(error).expect("a KRB-ERROR");
    let result = KpasswdResult::decode(error.data.expect("e-data")).expect("a result");
    (result.code, String::from_utf8(result.text.to_vec()).expect("UTF-8"))
}
