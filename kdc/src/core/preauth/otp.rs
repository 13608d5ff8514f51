//! One-time passwords (RFC 6560): the client answers a challenge with the value of one of its tokens, in
//! FAST only. The value is sent, so the armor key seals the reply, and it is the armor that proves the
//! KDC to the client. A value is good once: before the client is told anything it is written down that
//! it was used, so that of two who come at once with the same value one is refused.

use std::sync::Arc;

use libkrb::codes::PaType;
use libkrb::crypto::Key;
use libkrb::flags::OtpFlags;
use libkrb::preauth::otp::{self, Answers};
use libkrb::replay::{ReplayKey, Verdict};
use libkrb::wire::{self, List, OtpTokenInfo, PaData, PaOtpChallenge, PaOtpRequest, Utf8};
use libkrb::{Error, ErrorCode};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::super::cookie;
use super::super::entry::{Entry, Token, TokenKind};
use super::super::fast::Armor;
use super::super::policy::Policy;
use super::super::second::{self, Further, Held, More, OtpType, Question};
use super::super::store::{Change, StoreError};
use super::{Gathered, Hints, Proof, Refusal, Step, Try};

/// One text for a value and a password that are wrong: which it was is nobody's business.
const WRONG: &str = "the one-time password is wrong, or was used before";
/// How often a change by somebody else in between is met with another try.
const TRIES: usize = 3;
/// Octets of a nonce beyond those of the armor key (RFC 6560 3.2).
const NONCE: usize = 8;
/// In our cookies: a [`Further`] question.
const FURTHER: PaType = PaType::OTP_PIN_CHANGE;
/// A value is no longer; of a longer one no token has made the next.
const LONGEST_VALUE: usize = 16;

pub fn offer(work: &mut Try<'_>, who: &Gathered<'_>, hints: &mut Hints) {
    let Some(armor) = who.armor else { return };
    let held = second::held(&who.client);
    let elsewhere = held
        .iter()
        .filter_map(|token| Some((token, token.kind(work.kdc.policy)?)))
        .map(|(token, kind)| OtpTokenInfo { vendor: Some(Utf8(&token.kind)), flags: kind.pin(), ..BARE });
    let tokens: Vec<_> = who.client.tokens.iter().map(described).chain(elsewhere).collect();
    if !tokens.is_empty() {
        challenge(work, armor, &tokens, hints);
    }
}

/// A challenge with a nonce that must come back (RFC 6560 3.2).
fn challenge(work: &mut Try<'_>, armor: &Armor, tokens: &[OtpTokenInfo<'_>], hints: &mut Hints) {
    let mut nonce = vec![0; armor.key.expose().len() + NONCE];
    work.random.fill(&mut nonce);
    let challenge =
        PaOtpChallenge { nonce: &nonce, service: None, tokens: List::Items(tokens), salt: None, s2kparams: None };
    hints.offer(PaType::OTP_CHALLENGE, wire::encode(&challenge));
    hints.keep(PaType::OTP_REQUEST, nonce);
}

/// A token as the challenge has it.
fn described(token: &Token) -> OtpTokenInfo<'_> {
    let pin = if token.with_password {
        OtpFlags::COLLECT_PIN | OtpFlags::SEPARATE_PIN_REQUIRED
    } else {
        OtpFlags::DO_NOT_COLLECT_PIN
    };
    OtpTokenInfo {
        flags: pin,
        vendor: Some(Utf8(&token.name)),
        length: i32::try_from(token.digits).ok(),
        format: Some(0),
        token_id: Some(token.name.as_bytes()),
        algorithm: Some(Utf8(match token.kind {
            TokenKind::Counting => "urn:ietf:params:xml:ns:keyprov:pskc:hotp",
            TokenKind::Timed { .. } => "urn:ietf:params:xml:ns:keyprov:pskc:totp",
        })),
        ..BARE
    }
}

/// A token of which nothing is known, also not whether a PIN goes before its value.
const BARE: OtpTokenInfo<'_> = OtpTokenInfo {
    flags: OtpFlags::NONE,
    vendor: None,
    challenge: None,
    length: None,
    format: None,
    token_id: None,
    algorithm: None,
    hashes: None,
    iterations: None,
};

pub fn verify(work: &mut Try<'_>, who: &Gathered<'_>, padata: &PaData<'_>) -> Result<Step, Refusal> {
    let malformed = |_: Error| Refusal::new(ErrorCode::PREAUTH_FAILED, "malformed one-time password");
    let bare = Refusal::new(ErrorCode::PREAUTH_FAILED, "a one-time password outside of FAST");
    let armor = &who.armor.ok_or(bare)?.key;
    let request = wire::decode::<PaOtpRequest<'_>>(padata.value).map_err(malformed)?;
    answers(work, who, armor, &request)?;
    let missing = Refusal::new(ErrorCode::PREAUTH_FAILED, "the one-time password itself must be sent");
    let value = request.value.ok_or(missing)?;
    let proof = |indicators| Proof { reply_key: Some(armor.clone()), indicators, ..Proof::by("otp") };
    if let Some((token, kind)) = elsewhere(work.kdc.policy, who, &request) {
        let indicators = token.indicators.clone().unwrap_or_else(|| kind.indicators.clone());
        let other = Refusal::new(ErrorCode::PREAUTH_FAILED, "the answer is to the question of another token");
        let further = who.remembered(FURTHER).ok();
        let further = further.map(|bytes| Further::decode(bytes, &token.kind).ok_or(other)).transpose()?;
        once(work, &request)?;
        return Ok(Step::Ask(Question {
            server: Arc::clone(&kind.server),
            user: token.user(kind, &who.client.principal),
            password: Zeroizing::new(value.to_vec()),
            kind: token.kind,
            further,
            proof: proof(indicators),
        }));
    }
    let next = request.flags.has(OtpFlags::NEXT_OTP);
    let former = next.then(|| who.remembered(PaType::OTP_CHALLENGE)).transpose()?;
    let spent = match spend(work, who, &request, (former, value)) {
        Err(refusal) if !next && refusal.code == ErrorCode::PREAUTH_FAILED => {
            return next_value(work, who, &request, value).ok_or(refusal);
        }
        spent => spent?,
    };
    // It leaves a trace, so that who sends it again for want of an answer gets the same one.
    once(work, &request)?;
    Ok(Step::Proven(proof(spent.indicators)))
}

/// Asks for the value after one that is wrong, where the realm wants that: two in a row show that a token
/// has only counted on (RFC 6560 2.4). Whatever was wrong is asked about alike, so that nobody learns that
/// a value will be right some day, or that the password was.
fn next_value(work: &mut Try<'_>, who: &Gathered<'_>, request: &PaOtpRequest<'_>, value: &[u8]) -> Option<Step> {
    let armor = who.armor.filter(|_| work.kdc.policy.otp_next_value && value.len() <= LONGEST_VALUE)?;
    let mut named = who.client.tokens.iter().filter(|token| is_named(token, request));
    let (Some(token), None) = (named.next(), named.next()) else { return None };
    let plain = described(token);
    let asked = OtpTokenInfo { flags: plain.flags | OtpFlags::NEXT_OTP, ..plain };
    let mut hints = Hints::default();
    challenge(work, armor, &[asked], &mut hints);
    hints.keep(PaType::OTP_CHALLENGE, value.to_vec());
    (token.kind == TokenKind::Counting).then_some(Step::Again(hints))
}

/// A server's further question to the client, to be answered by another value.
pub fn ask_on(work: &mut Try<'_>, who: &Gathered<'_>, kind: &str, more: &More) -> Hints {
    let mut hints = Hints::default();
    if let Some(armor) = who.armor {
        let message = Some(more.message.as_bytes()).filter(|message| !message.is_empty());
        let flags = OtpFlags::DO_NOT_COLLECT_PIN;
        let asked = OtpTokenInfo { flags, vendor: Some(Utf8(kind)), challenge: message, ..BARE };
        challenge(work, armor, &[asked], &mut hints);
        hints.keep(FURTHER, Further::new(kind, more).encode());
    }
    hints
}

fn is_named(token: &Token, request: &PaOtpRequest<'_>) -> bool {
    request.token_id.is_none_or(|id| id == token.name.as_bytes())
}

/// Refuses an answer that was looked at before. Only of right ones, and of those that somebody else is
/// asked about: so nobody fills the memory with guesses.
fn once(work: &Try<'_>, request: &PaOtpRequest<'_>) -> Result<(), Refusal> {
    let now = work.at.now.time;
    let seen = ReplayKey::new([b"otp".as_slice(), request.enc_data.cipher]);
    // As long as the cookie lives that it goes with.
    let fresh = work.kdc.replays.insert(seen, now + cookie::LIFE, now) != Verdict::Replay;
    Refusal::unless(fresh, ErrorCode::REPEAT, "this one-time password was used before")
}

/// The token that somebody else knows, if the client has chosen such a one or has no other.
fn elsewhere<'a>(policy: &'a Policy, who: &Gathered<'_>, request: &PaOtpRequest<'_>) -> Option<(Held, &'a OtpType)> {
    let ours = |name: &str| who.client.tokens.iter().any(|token| token.name == name);
    let chosen = |kind: &str| match request.vendor {
        Some(Utf8(name)) => name == kind && !ours(name),
        None => who.client.tokens.is_empty(),
    };
    let held = second::held(&who.client).into_iter().filter(|token| chosen(&token.kind) && !who.decoy);
    held.filter_map(|token| token.kind(policy).map(|kind| (token.clone(), kind))).next()
}

/// Whether the client answers our challenge, or shows its clock where it has seen none.
fn answers(work: &Try<'_>, who: &Gathered<'_>, armor: &Key, request: &PaOtpRequest<'_>) -> Result<(), Refusal> {
    let now = work.at.now.time;
    let unopened = |_: Error| Refusal::new(ErrorCode::PREAUTH_FAILED, "the answer does not open with the armor key");
    match otp::open(armor, &request.enc_data).map_err(unopened)? {
        Answers::Nonce(nonce) => {
            let ours = who.remembered(PaType::OTP_REQUEST)?;
            let same = bool::from(ours.ct_eq(&nonce));
            Refusal::unless(same, ErrorCode::PREAUTH_FAILED, "the answer is to another challenge")
        }
        Answers::Clock(clock) => {
            let near = clock.time.distance(now) <= work.kdc.policy.clock_skew;
            Refusal::unless(near, ErrorCode::SKEW, "the client's clock differs too much from the KDC's")
        }
    }
}

/// Finds the token of a value, which may come after another one, and has it written down that it was used.
fn spend(
    work: &Try<'_>,
    who: &Gathered<'_>,
    request: &PaOtpRequest<'_>,
    (former, value): (Option<&[u8]>, &[u8]),
) -> Result<Token, Refusal> {
    let wrong = || Refusal::new(ErrorCode::PREAUTH_FAILED, WRONG);
    let (store, now) = (work.kdc.store, work.at.now.time);
    for _ in 0..TRIES {
        // As it is now, not as it was when the request came: somebody may have been quicker.
        let entry = store.lookup(&who.client.principal)?.filter(|_| !who.decoy).ok_or_else(wrong)?;
        let tokens: Vec<_> = entry.tokens.iter().filter(|token| is_named(token, request)).collect();
        // Before the value is looked at: the time that it takes must not tell that the value was right.
        let wanted = tokens.iter().any(|token| token.with_password);
        let typed = request.pin.filter(|_| wanted).map(|pin| is_password(&entry, pin.0, work));
        let there = typed.is_some() || !wanted;
        Refusal::unless(there, ErrorCode::PIN_REQUIRED, "the token wants the password too")?;
        let count_of = |token: &Token| match former {
            Some(first) => token.count_of_two(first, value),
            None => token.count_of(value, now),
        };
        let found = tokens.into_iter().find_map(|token| Some((token, count_of(token)?)));
        let (token, count) = found.ok_or_else(wrong)?;
        Refusal::unless(typed != Some(false) || !token.with_password, ErrorCode::PREAUTH_FAILED, WRONG)?;
        let used = token.used(count);
        let mut changed = (*entry).clone();
        changed.tokens.iter_mut().filter(|token| token.name == used.name).for_each(|token| *token = used.clone());
        match store.commit(&[Change::Replace(changed)]) {
            Ok(()) => return Ok(used),
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Refusal::new(ErrorCode::SVC_UNAVAILABLE, "others keep changing the principal; try again"))
}

/// Whether this is the client's password: by the first of its keys that is made from one.
fn is_password(entry: &Entry, password: &str, work: &Try<'_>) -> bool {
    let known = entry.current(work.at.now.time).into_iter().flat_map(|set| &set.keys);
    let made = known.filter_map(|key| Some((key, key.salt.as_deref()?))).next();
    made.is_some_and(|(key, salt)| {
        let params = key.iterations.map(u32::to_be_bytes);
        let params = params.as_ref().map(|params| params.as_slice());
        let password = Zeroizing::new(password.as_bytes().to_vec());
        let typed = Key::from_password(key.etype(), &password, salt.as_bytes(), params);
        typed.is_ok_and(|typed| typed.same_as(&key.key))
    })
}
