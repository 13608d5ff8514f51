//! FAST by hand (RFC 6113 5.4): envelopes around requests that no honest client would make, and what a
//! KDC sealed in answer. What honest ones do, `libkrb`'s exchanges do.

use libkrb::codes::{MessageType, PaType};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::FastOptions;
use libkrb::preauth::enc_challenge::{self, Speaker};
use libkrb::preauth::fast;
use libkrb::wire::{
    self, ApReq, Authenticator, EncryptedData, EncryptionKey, Fixed, KdcRep, KdcReq, KrbError, MethodData, PaData, Raw,
};
use libkrb::{ErrorCode, Principal, Time};

use crate::joined::{Asking, Bend, Credential, Joined, request};

/// The key of an envelope, and what a KDC gets it from.
#[derive(Clone)]
pub struct Armor {
    /// The armor key.
    pub key: Key,
    /// The AP-REQ; `None` in a TGS-REQ, whose own it is.
    pub ap_req: Option<Vec<u8>>,
}

/// What goes into an envelope besides a body.
#[derive(Clone, Default)]
pub struct Inside {
    /// The options of FAST.
    pub options: FastOptions,
    /// The padata.
    pub padata: Vec<(PaType, Vec<u8>)>,
    /// Another body outside than in the envelope.
    pub outer: Option<Vec<u8>>,
    /// Padata outside of the envelope.
    pub beside: Vec<(PaType, Vec<u8>)>,
}

impl Inside {
    /// Padata and nothing unusual.
    pub fn of(padata: Vec<(PaType, Vec<u8>)>) -> Inside {
        Inside { padata, ..Inside::default() }
    }
}

/// What a KDC sealed in an envelope.
#[derive(Debug)]
pub struct Told {
    /// The code in the envelope; `None` with a ticket.
    pub code: Option<ErrorCode>,
    /// The padata, without the error.
    pub padata: Vec<(PaType, Vec<u8>)>,
    /// What makes the reply key stronger.
    pub strengthen: Option<Key>,
    /// The KDC's clock and the client it vouches for, with a ticket that it vouches for too.
    pub finished: Option<(Time, Principal)>,
}

impl Told {
    /// The value of an element.
    pub fn value(&self, kind: PaType) -> Option<&[u8]> {
        self.padata.iter().find(|(of, _)| *of == kind).map(|(_, value)| value.as_slice())
    }
}

impl Armor {
    /// Armor of a ticket-granting ticket.
    pub fn new(realm: &mut Joined, ticket: &Credential) -> Armor {
        Armor::bent(realm, ticket, |_| ())
    }

    /// Armor whose authenticator departs from an honest one.
    pub fn bent(realm: &mut Joined, ticket: &Credential, bend: impl for<'a> FnOnce(&mut Authenticator<'a>)) -> Armor {
        realm.tick();
        let subkey = Key::random(ticket.key.etype(), &mut realm.random).expect("a key");
        let mut authenticator = Authenticator {
            version: Fixed,
            client_realm: ticket.client.realm(),
            client: (&ticket.client).into(),
            checksum: None,
            micros: realm.now.micros,
            time: realm.now.time,
            subkey: Some(EncryptionKey::from(&subkey)),
            sequence: None,
            authorization_data: None,
        };
        bend(&mut authenticator);
        let plain = wire::encode(&authenticator);
        let cipher = ticket.key.encrypt(KeyUsage::AP_REQ_AUTHENTICATOR, &mut realm.random, &plain);
        let ap_req = wire::encode(&ApReq {
            version: Fixed,
            kind: Fixed,
            options: Default::default(),
            ticket: Raw::parse(&ticket.ticket).expect("a ticket"),
            authenticator: EncryptedData { etype: ticket.key.etype(), kvno: None, cipher: &cipher },
        });
        Armor { key: fast::armor_key(&subkey, &ticket.key).expect("a key"), ap_req: Some(ap_req) }
    }

    /// PA-ENCRYPTED-CHALLENGE under a client's key.
    pub fn challenge(&self, realm: &mut Joined, key: &Key) -> (PaType, Vec<u8>) {
        realm.tick();
        let value = enc_challenge::make(
            Speaker::Client,
            &self.key.prepare_prf(),
            &key.prepare_prf(),
            realm.now,
            &mut realm.random,
        );
        (PaType::ENCRYPTED_CHALLENGE, value.expect("a challenge"))
    }

    /// The value of PA-FX-FAST around a body; `outer` is what the envelope belongs to.
    pub fn seal(&self, realm: &mut Joined, inside: &Inside, outer: &[u8], body: &[u8]) -> Vec<u8> {
        let padata = inside.padata.iter().map(|(kind, value)| PaData { kind: *kind, value }).collect::<Vec<_>>();
        let (ap_req, options) = (self.ap_req.as_deref(), inside.options);
        let sealed = fast::Request { ap_req, outer, options, padata: &padata, body };
        fast::seal_request(&self.key, &mut realm.random, &sealed).expect("an envelope")
    }

    /// An AS-REQ in an envelope.
    pub fn as_req(&self, realm: &mut Joined, asking: &Asking, inside: &Inside) -> Vec<u8> {
        let body = asking.body(true, None, &[]);
        let outer = inside.outer.clone().unwrap_or(body.clone());
        let mut padata = vec![(PaType::FX_FAST, self.seal(realm, inside, &outer, &body))];
        padata.extend(inside.beside.clone());
        request(MessageType::AS_REQ, &padata, &outer)
    }

    /// What a KDC sealed in its answer; `None`: it answered outside of the envelope.
    pub fn open(&self, reply: &[u8], nonce: u32) -> Option<Told> {
        let (padata, ticket) = match wire::decode::<KrbError<'_>>(reply) {
            Ok(error) => (wire::decode::<MethodData<'_>>(error.data?).ok()?, None),
            Err(_) => {
                let rep = wire::decode::<KdcRep<'_>>(reply).expect("a reply");
                (rep.padata, Some(rep.ticket.der))
            }
        };
        let kinds = padata.iter().map(|element| element.kind).collect::<Vec<_>>();
        let opened = fast::open_response(&self.key, padata).expect("our envelope")?;
        assert_eq!(kinds, [PaType::FX_FAST], "nothing else stands outside of the envelope (RFC 6113 5.4.5)");
        let response = opened.response(nonce).expect("our nonce");
        let finished = response.finished.map(|finished| {
            fast::verify_ticket(&self.key, &finished, ticket.expect("a ticket")).expect("the same ticket");
            (finished.time, finished.client.principal(finished.client_realm).expect("a name"))
        });
        let error = response.padata.iter().find(|element| element.kind == PaType::FX_ERROR).map(|element| {
            let error = wire::decode::<KrbError<'_>>(element.value).expect("KRB-ERROR");
            assert!(error.data.is_none(), "no e-data in the envelope's error (RFC 6113 5.4.4)");
            error.code
        });
        let others = response.padata.iter().filter(|element| element.kind != PaType::FX_ERROR);
        Some(Told {
            code: error,
            padata: others.map(|element| (element.kind, element.value.to_vec())).collect(),
            strengthen: response.strengthen_key.map(|key| key.key().expect("a key")),
            finished,
        })
    }

    /// A login in this armor, with the key of the client's password.
    pub fn login(&self, realm: &mut Joined, asking: &Asking) -> Result<(Credential, Told), ErrorCode> {
        let key = realm.key(&asking.client.to_string(), asking.etypes[0]);
        let challenge = self.challenge(realm, &key);
        let request = self.as_req(realm, asking, &Inside::of(vec![challenge]));
        let reply = realm.send(&request).reply.expect("an answer");
        let told = self.open(&reply, asking.nonce).expect("an envelope");
        if let Some(code) = told.code {
            return Err(code);
        }
        let key = fast::strengthened(told.strengthen.as_ref().expect("a key"), &key).expect("a key");
        Ok((Credential::open(&reply, &key, KeyUsage::AS_REP_ENC_PART)?, told))
    }
}

/// A TGS-REQ in an envelope, and the envelope: `within` asks inside of it, `asking` outside. With
/// `explicit` armor the envelope's key comes of that too (MS-KILE 3.3.5.7.4).
pub fn tgs_req(
    realm: &mut Joined,
    ticket: &Credential,
    (asking, within): (&Asking, &Asking),
    explicit: Option<&Armor>,
) -> (Vec<u8>, Armor, Key) {
    let subkey = Key::random(ticket.key.etype(), &mut realm.random).expect("a key");
    let outer = realm.tgs_req_with(ticket, asking, &Bend { subkey: Some(subkey.clone()), ..Bend::default() });
    let decoded = wire::decode::<KdcReq<'_>>(&outer).expect("a request");
    let ap_req = decoded.padata(PaType::TGS_REQ).expect("an AP-REQ").value;
    let key = match explicit {
        Some(armor) => fast::explicit_armor_key(&armor.key, &subkey.prepare_prf()),
        None => fast::armor_key(&subkey, &ticket.key),
    };
    let armor = Armor { key: key.expect("a key"), ap_req: explicit.and_then(|armor| armor.ap_req.clone()) };
    let body = within.body(false, None, &[]);
    let value = armor.seal(realm, &Inside::default(), ap_req, &body);
    let padata = [(PaType::TGS_REQ, ap_req.to_vec()), (PaType::FX_FAST, value)];
    let message = request(MessageType::TGS_REQ, &padata, decoded.body.der);
    (message, armor, subkey)
}
