//! One-time passwords (RFC 6560): what a client answers to the tokens that a KDC names, and how a KDC
//! reads it. In FAST only: the password itself is sent, and the armor key is what seals the reply, so
//! that it is the armor that proves the KDC. Not here: whether a password is the right one.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::{Armored, ClientProof, Elements, Means, MethodContext, MethodReply};
use crate::codes::PaType;
use crate::crypto::{Key, KeyUsage, Random};
use crate::error::{Error, ErrorCode, Result};
use crate::flags::OtpFlags;
use crate::wire::{self, EncryptedData, OtpTokenInfo, PaEncTsEnc, PaOtpChallenge, PaOtpEncRequest, PaOtpRequest};

/// How many tokens of a challenge are looked at.
const MOST_TOKENS: usize = 16;

/// How much of a challenge is shown.
const LONGEST_CHALLENGE: usize = 512;

/// What the encrypted part of a request shows to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answers {
    /// The challenge with this nonce.
    Nonce(Vec<u8>),
    /// None: it shows the client's clock.
    Clock(crate::time::Instant),
}

/// Opens the encrypted part of a request with the armor key.
///
/// # Errors
/// [`Error::Integrity`] for another key, [`Error::Malformed`] for neither of both.
pub fn open(armor: &Key, sealed: &EncryptedData<'_>) -> Result<Answers> {
    if sealed.etype != armor.etype() {
        return Err(Error::Integrity);
    }
    let plain = armor.decrypt(KeyUsage::OTP_REQUEST, sealed.cipher)?;
    if let Ok(request) = wire::decode::<PaOtpEncRequest<'_>>(&plain) {
        return Ok(Answers::Nonce(request.nonce.to_vec()));
    }
    let stamp: PaEncTsEnc = wire::decode(&plain)?;
    Ok(Answers::Clock(crate::time::Instant { time: stamp.time, micros: stamp.micros.unwrap_or(0) }))
}

/// The client's row.
pub(super) fn begin(means: &Means, armored: Armored) -> Option<Box<dyn ClientProof>> {
    (armored == Armored::Yes && means.ask.is_some()).then(|| Box::new(Client::default()) as Box<dyn ClientProof>)
}

/// The client's side: asks for the token, if there are several, for its PIN and for its value.
#[derive(Debug, Default)]
struct Client {
    answered: bool,
    /// What tells the token that was chosen from others.
    chosen: Vec<(String, String)>,
}

impl ClientProof for Client {
    fn answer(&mut self, context: &mut MethodContext<'_>, offer: &[u8]) -> Result<Elements> {
        let Some(armor) = context.armor else { return Ok(vec![]) };
        let challenge: PaOtpChallenge<'_> = wire::decode(offer)?;
        let tokens: Vec<_> = challenge.tokens.iter().filter(usable).take(MOST_TOKENS).collect();
        let Means { ask: Some(ask), choices, .. } = &mut *context.means else { return Ok(vec![]) };
        let Some(token) = choose(&remembered(tokens, choices), ask)? else { return Ok(vec![]) };
        self.chosen = marks(&token).map(|(name, value)| (name.to_owned(), value)).collect();
        let (value, pin) = typed(&token, ask)?;
        let request = made(armor, &challenge, &token, (&value, pin.as_deref().map(String::as_str)), context.random);
        self.answered = true;
        Ok(vec![(PaType::OTP_REQUEST, request)])
    }

    /// The value was right, or would be, and the KDC has lost count: it wants the next one (RFC 6560 2.4). Or who knows the
    /// values wants to know more, and says what.
    fn goes_on(&self, offer: &[u8]) -> bool {
        let next = |token: OtpTokenInfo<'_>| token.flags.has(OtpFlags::NEXT_OTP) || token.challenge.is_some();
        self.answered && wire::decode::<PaOtpChallenge<'_>>(offer).is_ok_and(|asked| asked.tokens.iter().any(next))
    }

    fn reply_key(&mut self, context: &mut MethodContext<'_>, _reply: &MethodReply<'_>) -> Result<Option<Key>> {
        // The value was sent, so keys are not made of it (RFC 6560 3.6).
        Ok(context.armor.filter(|_| self.answered).cloned())
    }

    fn choices(&self) -> Vec<(String, String)> {
        self.chosen.clone()
    }
}

/// What tells a token from others, by the names under which MIT's caches remember it.
fn marks<'a>(token: &OtpTokenInfo<'a>) -> impl Iterator<Item = (&'static str, String)> + use<'a> {
    let id = token.token_id.and_then(|id| std::str::from_utf8(id).ok());
    let marks = [
        ("vendor", token.vendor.map(|vendor| vendor.0)),
        ("algID", token.algorithm.map(|algorithm| algorithm.0)),
        ("tokenID", id),
    ];
    marks.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned())))
}

/// The one token that was chosen in a former exchange, if it is there; else all of them.
fn remembered<'a>(tokens: Vec<OtpTokenInfo<'a>>, choices: &BTreeMap<String, String>) -> Vec<OtpTokenInfo<'a>> {
    let same = |token: &&OtpTokenInfo<'_>| {
        marks(token).all(|(name, value)| choices.get(name).is_none_or(|chosen| *chosen == value))
    };
    let mut matching = tokens.iter().filter(same);
    match (matching.next(), matching.next()) {
        (Some(only), None) => vec![*only],
        _ => tokens,
    }
}

/// Whether a token's value can be typed and sent as it is.
fn usable(token: &OtpTokenInfo<'_>) -> bool {
    let known = OtpFlags::COLLECT_PIN
        | OtpFlags::DO_NOT_COLLECT_PIN
        | OtpFlags::SEPARATE_PIN_REQUIRED
        | OtpFlags::NEXT_OTP
        | OtpFlags::CHECK_DIGIT;
    let both = OtpFlags::COLLECT_PIN | OtpFlags::DO_NOT_COLLECT_PIN;
    let plain = token.hashes.is_none() && token.iterations.is_none();
    plain && (token.flags & !known).is_empty() && !token.flags.has(both)
}

type Asker<'a> = dyn FnMut(&str) -> Result<Zeroizing<String>> + Send + 'a;

/// The token that somebody chooses; the only one without asking.
fn choose<'a>(tokens: &[OtpTokenInfo<'a>], ask: &mut Asker<'_>) -> Result<Option<OtpTokenInfo<'a>>> {
    let [_, _, ..] = tokens else { return Ok(tokens.first().copied()) };
    let named = |(number, token): (usize, &OtpTokenInfo<'_>)| format!("{number}. {}", name(token));
    let list: Vec<_> = (1..).zip(tokens).map(named).collect();
    let answer = ask(&format!("Please choose from the following:\n{}\nEnter #", list.join("\n")))?;
    let chosen = answer.trim().parse::<usize>().ok().and_then(|number| tokens.get(number.checked_sub(1)?));
    chosen.copied().map(Some).ok_or_else(|| Error::protocol(ErrorCode::PREAUTH_FAILED, "no token was chosen"))
}

/// What a token is called, without what could harm a terminal.
fn name(token: &OtpTokenInfo<'_>) -> String {
    let id = token.token_id.and_then(|id| std::str::from_utf8(id).ok());
    let name = token.vendor.map(|vendor| vendor.0).or(id).unwrap_or("one-time password");
    name.chars().filter(|letter| !letter.is_control()).take(64).collect()
}

/// A challenge, likewise.
fn shown(challenge: &[u8]) -> String {
    let text = String::from_utf8_lossy(challenge);
    text.chars().filter(|letter| !letter.is_control()).take(LONGEST_CHALLENGE).collect()
}

/// The value and the PIN, if it is sent apart.
fn typed(token: &OtpTokenInfo<'_>, ask: &mut Asker<'_>) -> Result<(Zeroizing<String>, Option<Zeroizing<String>>)> {
    let prompt =
        if token.flags.has(OtpFlags::NEXT_OTP) { "Enter next OTP Token Value" } else { "Enter OTP Token Value" };
    let challenge = token.challenge.map(|challenge| format!("OTP Challenge: {}\n", shown(challenge)));
    // In MIT's order, for scripts that type both.
    let value = ask(&(challenge.unwrap_or_default() + prompt))?;
    let pin = token.flags.has(OtpFlags::COLLECT_PIN).then(|| ask("OTP Token PIN")).transpose()?;
    match pin {
        Some(pin) if !token.flags.has(OtpFlags::SEPARATE_PIN_REQUIRED) => {
            // RFC 6560 3.3: the PIN first, then the value.
            let mut joined = Zeroizing::new(String::with_capacity(pin.len() + value.len()));
            joined.push_str(&pin);
            joined.push_str(&value);
            Ok((joined, None))
        }
        pin => Ok((value, pin)),
    }
}

fn made(
    armor: &Key,
    challenge: &PaOtpChallenge<'_>,
    token: &OtpTokenInfo<'_>,
    (value, pin): (&str, Option<&str>),
    random: &mut dyn Random,
) -> Vec<u8> {
    let plain = wire::encode(&PaOtpEncRequest { nonce: challenge.nonce });
    let cipher = armor.encrypt(KeyUsage::OTP_REQUEST, random, &plain);
    let request = wire::encode_secret(&PaOtpRequest {
        flags: token.flags & OtpFlags::NEXT_OTP,
        nonce: None,
        enc_data: EncryptedData { etype: armor.etype(), kvno: None, cipher: &cipher },
        hash: None,
        iterations: None,
        value: Some(value.as_bytes()),
        pin: pin.map(wire::Utf8),
        challenge: None,
        time: None,
        counter: None,
        format: token.format,
        token_id: token.token_id,
        algorithm: token.algorithm,
        vendor: token.vendor,
    });
    request.to_vec()
}

#[cfg(test)]
mod tests;
