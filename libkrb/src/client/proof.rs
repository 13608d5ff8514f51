//! How a client proves itself in an AS exchange, as far as that is known: the method at work, what the
//! KDC last said to it, and the long-term key once it is made (RFC 6113 2). Each realm begins anew.
//! Not here: what a method computes ([`crate::preauth`]), and which refusal leads to what.

use super::as_request::AsRequest;
use super::kdc_req::Wishes;
use super::refusal::Refusal;
use super::secret::Secret;
use crate::codes::{EncryptionType, PaType};
use crate::crypto::{Key, Random};
use crate::error::{Error, ErrorCode, Result};
use crate::name::Principal;
use crate::preauth::etype_info::{Advice, advice};
use crate::preauth::{Armored, ClientMethod, ClientProof, Elements, KeyHint, Means, MethodContext, MethodReply};
use crate::time::Instant;
use crate::wire::{List, MethodData, PaData};

/// The state of a client's proof.
#[derive(Debug, Default)]
pub(super) struct Proof {
    method: Option<(PaType, Box<dyn ClientProof>)>,
    /// The methods that the KDC offers after this one.
    others: Vec<&'static ClientMethod>,
    turn: Turn,
    /// Whether the KDC has not asked for the proof yet.
    optimistic: bool,
    hint: Option<KeyHint>,
    key: Option<Key>,
    /// The KDC's state, to be given back (RFC 6113 5.2).
    cookie: Option<Vec<u8>>,
    /// What the KDC said last.
    offers: Elements,
}

/// What the method has to do for the next message.
#[derive(Clone, Copy, Debug, Default)]
enum Turn {
    /// Answer the KDC's offer; the next method may take its place.
    #[default]
    Begin,
    /// Answer what the KDC wants besides.
    More,
    /// Try again after a refusal.
    Refused(ErrorCode),
    /// Leave it to the next.
    Pass,
}

/// The message that a proof is for, and who makes it.
pub(super) struct Asking<'a> {
    pub client: &'a Principal,
    pub secret: &'a mut Secret,
    pub means: &'a mut Means,
    pub armor: Option<&'a Key>,
    pub wishes: &'a Wishes,
    /// The encoded KDC-REQ-BODY.
    pub body: &'a [u8],
    pub now: Instant,
    pub random: &'a mut dyn Random,
}

impl Asking<'_> {
    fn armored(&self) -> Armored {
        if self.armor.is_some() { Armored::Yes } else { Armored::No }
    }
}

impl Proof {
    /// Before the KDC has said anything. Who knows how the key is made shows an encrypted timestamp
    /// with the first message.
    pub fn begin(request: &AsRequest, means: &Means) -> Proof {
        let armored = request.armor_state();
        let hint = request.key_hint.as_ref().filter(|hint| request.etypes.contains(&hint.etype));
        let kind = if armored == Armored::Yes { PaType::ENCRYPTED_CHALLENGE } else { PaType::ENC_TIMESTAMP };
        let method = ClientMethod::of(kind).filter(|_| hint.is_some() && means.only.is_none_or(|only| only == kind));
        match method.and_then(|method| (method.begin)(means, armored)) {
            Some(state) => {
                Proof { method: Some((kind, state)), optimistic: true, hint: hint.cloned(), ..Proof::default() }
            }
            None => Proof::default(),
        }
    }

    /// After KDC_ERR_PREAUTH_REQUIRED: the methods that are known here, in the KDC's order but for
    /// those that are preferred, and words for a trace.
    ///
    /// # Errors
    /// PREAUTH_REQUIRED when the KDC offers nothing that can be done.
    pub fn offered(
        methods: MethodData<'_>,
        etypes: &[EncryptionType],
        means: &Means,
        armored: Armored,
    ) -> Result<(Proof, Vec<String>)> {
        let hint = match advice(methods, etypes)? {
            Advice::Hint(hint) => Some(hint),
            Advice::None => etypes.first().copied().map(KeyHint::plain),
            Advice::Unusable => None,
        };
        let wanted = |method: &&ClientMethod| means.only.is_none_or(|only| only == method.kind);
        let mut others: Vec<_> = methods.iter().filter_map(|offer| ClientMethod::of(offer.kind)).collect();
        others.retain(wanted);
        let rank = |kind| means.preferred.iter().position(|preferred| *preferred == kind).unwrap_or(usize::MAX);
        others.sort_by_key(|method| rank(method.kind));
        let mut proof = Proof { others, hint, ..Proof::default() };
        proof.hear(methods);
        proof.next_method(means, armored)?;
        let offered: Vec<_> = methods.iter().map(|offer| offer.kind.to_string()).collect();
        let chosen = proof.kind().unwrap_or_default();
        let mut words = vec![format!("The KDC offers: {}; chosen: {chosen}", offered.join(", "))];
        words.extend(proof.hint.as_ref().map(KeyHint::description));
        Ok((proof, words))
    }

    /// Remembers what the KDC said, and its cookie.
    fn hear(&mut self, said: MethodData<'_>) {
        self.offers = said.iter().map(|element| (element.kind, element.value.to_vec())).collect();
        let cookie = said.iter().find(|element| element.kind == PaType::FX_COOKIE);
        self.cookie = cookie.map(|cookie| cookie.value.to_vec());
    }

    /// Goes on to the next method that is of use.
    fn next_method(&mut self, means: &Means, armored: Armored) -> Result<()> {
        let mut others = std::mem::take(&mut self.others).into_iter();
        let found = others.find_map(|method| Some((method.kind, (method.begin)(means, armored)?)));
        self.others = others.collect();
        self.turn = Turn::Begin;
        self.method = found;
        match self.method {
            Some(_) => Ok(()),
            None => Err(Error::protocol(ErrorCode::PREAUTH_REQUIRED, "by no method that is known here")),
        }
    }

    /// The method at work.
    pub fn kind(&self) -> Option<PaType> {
        self.method.as_ref().map(|(kind, _)| *kind)
    }

    /// Whether the KDC has asked for the proof that it was given.
    pub fn given(&self) -> bool {
        self.method.is_some() && !self.optimistic
    }

    /// Whether the KDC's advice is another than what was guessed of the key.
    pub fn guessed_wrong(&self, told: Result<Advice>) -> bool {
        let same = matches!((told, &self.hint), (Ok(Advice::Hint(told)), Some(guess)) if told == *guess);
        self.optimistic && !same
    }

    /// Whether the long-term key was used: a refusal then means that it is wrong.
    pub fn used_key(&self) -> bool {
        self.key.is_some()
    }

    /// What the method agreed upon, in words for a trace.
    pub fn agreed(&self) -> Option<String> {
        self.method.as_ref().and_then(|(_, state)| state.agreed())
    }

    /// The choices of the method, for a credential cache.
    pub fn choices(&self) -> Vec<(String, String)> {
        self.method.as_ref().map(|(_, state)| state.choices()).unwrap_or_default()
    }

    /// Whether the method takes this refusal for another round.
    pub fn goes_on(&self, refusal: &Refusal<'_>) -> bool {
        let said = |kind| refusal.methods.iter().find(|element| element.kind == kind);
        self.method.as_ref().is_some_and(|(kind, state)| said(*kind).is_some_and(|said| state.goes_on(said.value)))
    }

    /// KDC_ERR_MORE_PREAUTH_DATA_REQUIRED: the method has another round.
    ///
    /// # Errors
    /// [`Error::ReplyMismatch`] if no method was at work, or nothing is said to it.
    pub fn more(&mut self, refusal: &Refusal<'_>) -> Result<()> {
        let said = |kind| refusal.methods.iter().any(|element| element.kind == kind);
        if !self.kind().is_some_and(said) {
            return Err(Error::ReplyMismatch("the KDC wants more of a proof that it was not given"));
        }
        self.turn = Turn::More;
        self.hear(refusal.methods);
        Ok(())
    }

    /// Whether there is another method, after the KDC has refused this one before the long-term key was
    /// used (RFC 6113 2): nothing was guessed then, and there is nothing to guess at.
    pub fn pass(&mut self, refusal: &Refusal<'_>) -> bool {
        if self.method.is_none() || self.used_key() || self.optimistic || self.others.is_empty() {
            return false;
        }
        self.turn = Turn::Pass;
        self.hear(refusal.methods);
        true
    }

    /// Whether a refusal is left to the method, which says with the next message whether it has another
    /// try.
    pub fn retry(&mut self, refusal: &Refusal<'_>) -> bool {
        let left = self.method.is_some() && METHODS_OWN.contains(&refusal.code);
        // A second refusal of the same kind is the end.
        if !left || matches!(self.turn, Turn::Refused(_)) {
            return false;
        }
        self.turn = Turn::Refused(refusal.code);
        self.hear(refusal.methods);
        if self.offers.is_empty() {
            self.offers = refusal.typed();
        }
        true
    }

    /// What goes into the next message.
    ///
    /// # Errors
    /// What ends the exchange.
    pub fn elements(&mut self, mut asking: Asking<'_>) -> Result<Elements> {
        if matches!(self.turn, Turn::Pass) {
            self.next_method(asking.means, asking.armored())?;
        }
        while self.method.is_some() {
            let turn = self.turn;
            let answer = self.with_method(&mut asking, |state, context, offer| match turn {
                Turn::Begin | Turn::More | Turn::Pass => state.answer(context, offer),
                Turn::Refused(code) => state.refused(context, code),
            })?;
            match (answer, turn) {
                (answer, _) if !answer.is_empty() => return Ok(self.cookied(answer)),
                (_, Turn::Begin | Turn::Pass) => self.next_method(asking.means, asking.armored())?,
                (_, Turn::Refused(code)) => return Err(Error::code(code)),
                (_, Turn::More) => return Err(Error::ReplyMismatch("the KDC wants what the method does not have")),
            }
        }
        Ok(self.cookied(vec![]))
    }

    fn cookied(&self, answer: Elements) -> Elements {
        let cookie = self.cookie.iter().map(|cookie| (PaType::FX_COOKIE, cookie.clone()));
        cookie.chain(answer).collect()
    }

    /// Lets the method work. There must be one.
    fn with_method<T>(
        &mut self,
        asking: &mut Asking<'_>,
        work: impl FnOnce(&mut dyn ClientProof, &mut MethodContext<'_>, &[u8]) -> Result<T>,
    ) -> Result<T> {
        let Proof { method, hint, key, offers, .. } = self;
        let Asking { client, secret, means, armor, wishes, body, now, random } = asking;
        let (kind, state) = method.as_mut().ok_or(Error::ReplyMismatch("no method is at work"))?;
        let offers: Vec<_> = offers.iter().map(|(kind, value)| PaData { kind: *kind, value }).collect();
        let offer = offers.iter().find(|element| element.kind == *kind).map_or(&[][..], |element| element.value);
        let client_key = &mut || match (&mut *key, &*hint) {
            (Some(key), _) => Ok(key.clone()),
            (None, Some(hint)) => Ok(key.insert(secret.key(client, hint, None)?).clone()),
            (None, None) => Err(Error::code(ErrorCode::ETYPE_NOSUPP)),
        };
        let mut context = MethodContext {
            client,
            server: &wishes.server,
            client_key,
            hint: hint.as_ref(),
            armor: *armor,
            body,
            nonce: wishes.nonce,
            offers: List::Items(&offers),
            means,
            now: *now,
            random: *random,
        };
        work(state.as_mut(), &mut context, offer)
    }

    /// The key of the reply: the method's; else the long-term one of the proof, unless the KDC's choice
    /// is another. `client` is the name in the reply.
    ///
    /// # Errors
    /// What makes the reply no answer.
    pub fn reply_key(
        &mut self,
        mut asking: Asking<'_>,
        reply: &MethodReply<'_>,
        client: &Principal,
        kvno: Option<u32>,
    ) -> Result<Key> {
        if self.method.is_some() {
            let own = self.with_method(&mut asking, |state, context, _| state.reply_key(context, reply))?;
            if let Some(key) = own {
                return Ok(key);
            }
        }
        let etype = reply.etype;
        if let Some(key) = self.key.as_ref().filter(|key| key.etype() == etype) {
            return Ok(key.clone());
        }
        let hint = match advice(reply.padata, &[etype])? {
            Advice::Hint(hint) => hint,
            _ => self.hint.clone().filter(|hint| hint.etype == etype).unwrap_or(KeyHint::plain(etype)),
        };
        // Without a salt the default one of the canonical name holds. That this name is not
        // authenticated yet does no harm: a wrong one makes a wrong key.
        let hint = KeyHint { salt: hint.salt.or_else(|| Some(client.salt().into_bytes())), ..hint };
        asking.secret.key(asking.client, &hint, kvno)
    }
}

/// Refusals that a method may know a way around (RFC 4556 3.1.3).
const METHODS_OWN: [ErrorCode; 3] =
    [ErrorCode::DH_KEY_PARAMETERS_NOT_ACCEPTED, ErrorCode::CANT_VERIFY_CERTIFICATE, ErrorCode::INVALID_CERTIFICATE];
