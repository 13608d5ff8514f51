//! A client that logs in by SPAKE (RFC 9588) step by step, so that every message can be bent.

use libkrb::ErrorCode;
use libkrb::codes::PaType;
use libkrb::crypto::{Key, KeyUsage, OsRandom};
use libkrb::preauth::spake::client::{self, Said};
use libkrb::preauth::spake::{GROUPS, Group};
use libkrb::wire::{self, KdcReq, KrbError, List, MethodData};

use crate::joined::{Asking, Credential, Joined};

/// METHOD-DATA of a refusal.
#[derive(Clone, Debug)]
pub struct Told {
    /// The code.
    pub code: ErrorCode,
    /// The elements.
    pub methods: Vec<(PaType, Vec<u8>)>,
}

impl Told {
    /// Reads a KRB-ERROR.
    pub fn read(reply: &[u8]) -> Told {
        let error = wire::decode::<KrbError<'_>>(reply).expect("a refusal");
        let methods = error.data.map(|data| wire::decode::<MethodData<'_>>(data).expect("METHOD-DATA"));
        let methods = methods.iter().flat_map(List::iter).map(|it| (it.kind, it.value.to_vec())).collect();
        Told { code: error.code, methods }
    }

    /// The value of the element of a kind.
    pub fn value(&self, kind: PaType) -> Option<Vec<u8>> {
        self.methods.iter().find(|(of, _)| *of == kind).map(|(_, value)| value.clone())
    }

    /// Where an element is in the order.
    pub fn place(&self, kind: PaType) -> Option<usize> {
        self.methods.iter().position(|(of, _)| *of == kind)
    }
}

/// What a KDC says instead of a ticket.
pub fn told(joined: &mut Joined, request: &[u8]) -> Told {
    Told::read(&joined.send(request).reply.expect("an answer"))
}

/// A client that has asked, and what it was told.
#[derive(Clone, Debug)]
pub struct Talk {
    /// What it asks for.
    pub asking: Asking,
    /// The message with its groups, if it sent one.
    pub support: Option<Vec<u8>>,
    /// The KDC's challenge.
    pub challenge: Vec<u8>,
    /// The KDC's cookie.
    pub cookie: Vec<u8>,
}

impl Talk {
    /// Names groups, and gets a challenge.
    pub fn begin(joined: &mut Joined, asking: &Asking, groups: &[&'static Group]) -> Talk {
        let support = client::support(groups);
        let asked = Asking { padata: vec![(PaType::SPAKE, support.clone())], ..asking.clone() };
        let request = joined.as_req(&asked, None);
        let told = told(joined, &request);
        assert_eq!(told.code, ErrorCode::MORE_PREAUTH_DATA_REQUIRED);
        assert!(told.value(PaType::ETYPE_INFO2).is_some(), "RFC 9588 4.6: how the key is made");
        Talk::from(asking, Some(support), &told)
    }

    /// A talk that begins with a challenge.
    pub fn from(asking: &Asking, support: Option<Vec<u8>>, told: &Told) -> Talk {
        let challenge = told.value(PaType::SPAKE).expect("a challenge");
        let cookie = told.value(PaType::FX_COOKIE).expect("a cookie");
        Talk { asking: asking.clone(), support, challenge, cookie }
    }

    /// The response, and the key of the reply.
    pub fn respond(&self, joined: &mut Joined, key: &Key) -> (Vec<u8>, Key) {
        let groups: Vec<_> = GROUPS.iter().collect();
        let Ok(Said::Challenge(challenge)) = client::read(&self.challenge, &groups) else { panic!("no challenge") };
        let bare = joined.as_req(&self.asking, None);
        let bare = wire::decode::<KdcReq<'_>>(&bare).expect("a request");
        let (response, keys) =
            challenge.respond(key, self.support.as_deref(), bare.body.der, &mut OsRandom::new()).expect("a response");
        (response, keys.reply().expect("a key"))
    }

    /// The request with a response.
    pub fn request(&self, joined: &mut Joined, response: &[u8]) -> Vec<u8> {
        let padata = vec![(PaType::FX_COOKIE, self.cookie.clone()), (PaType::SPAKE, response.to_vec())];
        joined.as_req(&Asking { padata, ..self.asking.clone() }, None)
    }

    /// What comes of a response with this key.
    pub fn end(&self, joined: &mut Joined, key: &Key) -> Result<Credential, ErrorCode> {
        let (response, reply_key) = self.respond(joined, key);
        let request = self.request(joined, &response);
        joined.credential(&request, &reply_key, KeyUsage::AS_REP_ENC_PART)
    }
}
