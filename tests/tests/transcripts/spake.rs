//! The recorded logins by SPAKE (RFC 9588), step by step: MIT's cookie opened, its challenge made again,
//! its client's response opened in our KDC's way, and its reply with the key that comes of it. And our
//! client in the place of theirs.

use libkrb::codes::{EncryptionType, PaType};
use libkrb::crypto::{Key, KeyUsage, OsRandom, Random};
use libkrb::preauth::fast;
use libkrb::preauth::spake::client::{self, Said};
use libkrb::preauth::spake::kdc::{self, State};
use libkrb::preauth::spake::{GROUPS, Group, Initial};
use libkrb::wire::{self, EncKdcRepPart, KdcRep, KdcReq, KdcReqBody, KrbError, MethodData, PaSpake, Padata, Reader};
use libkrb::{Error, Principal};

use super::envelope::{self, Envelope};
use super::recording::{Exchange, Recording};

/// MIT's usage for its cookies.
const COOKIE: KeyUsage = KeyUsage(513);

/// A challenge and its response, each with the KDC's answer.
struct Login<'a> {
    recording: &'a Recording,
    first: &'a Exchange<'a>,
    second: &'a Exchange<'a>,
}

/// What MIT's KDC wrote into its cookie.
struct Remembered {
    group: &'static Group,
    private: Vec<u8>,
    transcript: Vec<u8>,
}

/// Goes through every recorded login by SPAKE; how many there are.
pub fn open_all(recording: &Recording) -> usize {
    let exchanges: Vec<_> = recording.exchanges().filter(|exchange| exchange.is("AS-REQ")).collect();
    let logins = exchanges.windows(2).filter_map(|pair| match pair {
        [first, second] => Some(Login { recording, first, second }).filter(Login::is_one),
        _ => None,
    });
    logins.map(|login| login.open()).count()
}

/// What counts of a request: in FAST what stands in the envelope.
struct Asked {
    padata: Vec<(PaType, Vec<u8>)>,
    body: Vec<u8>,
    /// The key of the envelope.
    armor: Option<Key>,
}

impl Asked {
    fn of(recording: &Recording, exchange: &Exchange<'_>) -> Asked {
        let request = wire::decode::<KdcReq<'_>>(&exchange.request).expect("a request");
        let own = |padata: Padata<'_>| padata.iter().map(|it| (it.kind, it.value.to_vec())).collect();
        match envelope::of(recording, exchange) {
            None => Asked { padata: own(request.padata), body: request.body.der.to_vec(), armor: None },
            Some(Envelope { key, inside, .. }) => {
                let read = inside.request().expect("a request in the envelope");
                Asked { padata: own(read.padata.into()), body: read.body.der.to_vec(), armor: Some(key) }
            }
        }
    }

    fn value(&self, kind: PaType) -> Option<&[u8]> {
        self.padata.iter().find(|(of, _)| *of == kind).map(|(_, value)| value.as_slice())
    }

    fn client(&self) -> Principal {
        let body = wire::decode::<KdcReqBody<'_>>(&self.body).expect("a body");
        body.client.expect("a client").principal(body.realm).expect("a name")
    }
}

impl Login<'_> {
    /// Whether the one message names groups and the other brings a cookie with a response.
    fn is_one(&self) -> bool {
        let message = |exchange: &Exchange<'_>| {
            let asked = Asked::of(self.recording, exchange);
            asked.value(PaType::SPAKE).and_then(|value| value.first().copied())
        };
        (message(self.first), message(self.second)) == (Some(0xa0), Some(0xa2))
    }

    fn open(&self) {
        println!("mit {} {}", self.second.number(), self.second.scenario);
        let asked = Asked::of(self.recording, self.first);
        let support = asked.value(PaType::SPAKE).expect("a list of groups");
        let challenge = self.challenge(asked.armor.as_ref());
        let answered = Asked::of(self.recording, self.second);
        let client = answered.client();
        let initial = self.recording.key(&client, EncryptionType::AES256_SHA1).expect("a key");
        let sealed = answered.value(PaType::FX_COOKIE).expect("a cookie");
        let Remembered { group, private, transcript } = self.cookie(&client, sealed);

        // The same private key makes the same challenge, and the same state.
        let mut script = Script::of(group, &private);
        let (made, state) = kdc::challenge(&Initial::new(&initial, group).expect("a key"), Some(support), &mut script)
            .expect("a challenge");
        assert_eq!(made, challenge);
        let state_of = |state: &State| state.octets().to_vec();
        let theirs = State::resume(group, &private, &transcript).expect("a state");
        assert_eq!(state_of(&state), state_of(&theirs), "private key and transcript hash");

        self.judge(&theirs, &initial, &answered);
        self.in_their_place(&theirs, &initial, support, &answered.body, &challenge);
    }

    /// Opens the response, and what MIT's KDC answered to it.
    fn judge(&self, state: &State, initial: &Key, answered: &Asked) {
        let response = answered.value(PaType::SPAKE).expect("a response");
        let Ok(PaSpake::Response(response)) = wire::decode(response) else { panic!("a response") };
        let initial = Initial::new(initial, state.group()).expect("a key");
        let opened = state.open(&initial, &response, &answered.body);
        if self.second.scenario == "err-bad-password-spake" {
            assert_eq!(opened.expect_err("a wrong password"), Error::Integrity);
            return;
        }
        let keys = opened.expect("the right password");
        let factor = self.second.step("SPAKE factor").expect("a factor");
        assert!(keys.key(1).expect("a key").same_as(&factor.key()), "K'[1]");
        assert_eq!(keys.open(1, &response.factor).expect("readable").to_vec(), factor.plaintext().expect("plain"));
        let reply = wire::decode::<KdcRep<'_>>(&self.second.reply).expect("a reply");
        let mut key = keys.reply().expect("a key");
        if let Some(armor) = &answered.armor {
            let opened = envelope::of_reply(armor, &self.second.reply).expect("an envelope");
            let nonce = wire::decode::<KdcReqBody<'_>>(&answered.body).expect("a body").nonce;
            let strengthen = opened.response(nonce).expect("a response").strengthen_key.expect("a key");
            key = fast::strengthened(&strengthen.key().expect("a key"), &key).expect("a key");
        }
        let plain = key.decrypt(KeyUsage::AS_REP_ENC_PART, reply.enc_part.cipher).expect("under K'[0]");
        assert_eq!(plain.to_vec(), self.second.step("AS-REP enc-part").expect("a part").plaintext().expect("plain"));
        wire::decode::<EncKdcRepPart<'_>>(&plain).expect("a part");
    }

    /// Our client answers the recorded challenge, and MIT's state opens that.
    fn in_their_place(&self, state: &State, initial: &Key, support: &[u8], body: &[u8], challenge: &[u8]) {
        let groups: Vec<_> = GROUPS.iter().collect();
        let Ok(Said::Challenge(offer)) = client::read(challenge, &groups) else { panic!("a challenge") };
        let (ours, keys) = offer.respond(initial, Some(support), body, &mut OsRandom::new()).expect("a response");
        let Ok(PaSpake::Response(ours)) = wire::decode(&ours) else { panic!("a response") };
        let initial = Initial::new(initial, state.group()).expect("a key");
        let opened = state.open(&initial, &ours, body).expect("the right key");
        assert!(opened.reply().expect("a key").same_as(&keys.reply().expect("a key")));
    }

    /// The challenge in MIT's answer.
    fn challenge(&self, armor: Option<&Key>) -> Vec<u8> {
        let value = |methods: MethodData<'_>| {
            methods.iter().find(|method| method.kind == PaType::SPAKE).expect("a challenge").value.to_vec()
        };
        if let Some(armor) = armor {
            let nonce =
                wire::decode::<KdcReqBody<'_>>(&Asked::of(self.recording, self.first).body).expect("a body").nonce;
            let opened = envelope::of_reply(armor, &self.first.reply).expect("an envelope");
            return value(opened.response(nonce).expect("a response").padata);
        }
        let error = wire::decode::<KrbError<'_>>(&self.first.reply).expect("KRB-ERROR");
        value(wire::decode::<MethodData<'_>>(error.data.expect("e-data")).expect("METHOD-DATA"))
    }

    /// formats.md, 4: a magic word and the version of the realm's key, then a ciphertext.
    fn cookie(&self, client: &Principal, sealed: &[u8]) -> Remembered {
        let sealed = sealed.strip_prefix(b"MIT1\0\0\0\x01").expect("a cookie of MIT's");
        let realm = Principal::tgs(&self.recording.realm);
        let own = self.recording.key(&realm, EncryptionType::AES256_SHA1).expect("the realm's key");
        let name = [b"COOKIE".as_slice(), client.to_string().as_bytes()].concat();
        let key = Key::random_to_key(own.etype(), &own.prf_plus(&name, 32).expect("octets")).expect("a key");
        let plain = key.decrypt(COOKIE, sealed).expect("a cookie of this client");
        let (_, contents) = Reader::new(&plain).element().expect("SecureCookie");
        let mut fields = Reader::new(contents);
        fields.element().expect("a time");
        let data = wire::decode::<MethodData<'_>>(fields.rest()).expect("the data");
        let state = data.iter().find(|data| data.kind == PaType::SPAKE).expect("a state").value;
        let (head, rest) = state.split_at(8);
        assert_eq!(head[..4], [0, 1, 0, 0], "the version, and the stage after a challenge");
        let number = i32::from_be_bytes(head[4..].try_into().expect("four octets"));
        let (private, rest) = counted(rest);
        let (transcript, _) = counted(rest);
        Remembered { group: Group::of(number).expect("a group"), private, transcript }
    }
}

/// Octets after their number, and the rest.
fn counted(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let (count, rest) = bytes.split_at(4);
    let (octets, rest) = rest.split_at(u32::from_be_bytes(count.try_into().expect("four octets")) as usize);
    (octets.to_vec(), rest)
}

/// "Randomness" that makes a private key that is known.
struct Script(Vec<u8>);

impl Script {
    fn of(group: &Group, private: &[u8]) -> Script {
        let zeros = vec![0; private.len()];
        if group.number != 1 {
            return Script([zeros, private.to_vec()].concat());
        }
        // Of edwards25519 an eighth is drawn, its lowest octet first.
        let higher = private.iter().skip(1).chain(&[0]);
        let eighth = private.iter().zip(higher).map(|(octet, higher)| octet >> 3 | higher << 5).collect();
        Script([eighth, zeros].concat())
    }
}

impl Random for Script {
    fn fill(&mut self, out: &mut [u8]) {
        assert_eq!(out.len(), self.0.len(), "twice as many octets as a private key has");
        out.copy_from_slice(&self.0);
    }
}
