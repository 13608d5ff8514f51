//! One-time password tokens as administrators see them: enrolled with their secret, shown without it.
//! Not here: what a token does ([`crate::core::entry`]).

use libkrb::Time;
use libkrb::authz::indicators;
use libkrb::crypto::{OTP_DIGITS, OtpHash};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::operation::{Reason, Refusal, Secret};
use crate::core::Entry;
use crate::core::entry::{Token, TokenKind};

/// Tokens of a principal, at most: each is some values that would be right.
const MOST_TOKENS: usize = 4;
/// Letters of a token's name.
const LONGEST_NAME: usize = 64;
/// Octets of a secret (RFC 4226 4, R6: 16 at least).
const SECRET: std::ops::RangeInclusive<usize> = 16..=128;
/// Seconds of a step.
const PERIOD: std::ops::RangeInclusive<u32> = 15..=300;

/// A token to be enrolled.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is called; the principal has no other of this name.
    #[schema(pattern = "^[A-Za-z0-9 ._-]{1,64}$")]
    pub name: String,
    /// What it shares with the KDC, in hexadecimal: 16 octets at least.
    #[schema(value_type = String, pattern = "^([0-9A-Fa-f]{2}){16,128}$")]
    pub secret: Secret,
    /// Seconds of a step of its clock; 0 for a token that counts instead (HOTP).
    #[serde(default = "period")]
    #[schema(maximum = 300)]
    pub period: u32,
    /// The hash function.
    #[serde(default)]
    pub algorithm: OtpAlgorithm,
    /// The digits of a value, 6 to 8.
    #[serde(default = "digits")]
    #[schema(minimum = 6, maximum = 8)]
    pub digits: u32,
    /// Whether the password is asked for beside the value.
    #[serde(default)]
    pub with_password: bool,
    /// What tickets say of it beside `otp` (RFC 8129).
    #[serde(default)]
    pub indicators: Vec<String>,
}

/// The hash function of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OtpAlgorithm {
    /// What every app and token knows.
    #[default]
    Sha1,
    /// Known to some.
    Sha256,
    /// Known to some.
    Sha512,
}

/// A token as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenLine {
    /// What it is called.
    pub name: String,
    /// Seconds of a step of its clock; 0: it counts.
    pub period: u32,
    /// The hash function.
    pub algorithm: OtpAlgorithm,
    /// The digits of a value.
    pub digits: u32,
    /// Whether the password is asked for beside the value.
    pub with_password: bool,
    /// What tickets say of it beside `otp`.
    pub indicators: Vec<String>,
    /// When it was enrolled, in seconds since 1970.
    pub created: i64,
}

const ALGORITHMS: [(OtpAlgorithm, OtpHash); 3] = [
    (OtpAlgorithm::Sha1, OtpHash::Sha1),
    (OtpAlgorithm::Sha256, OtpHash::Sha256),
    (OtpAlgorithm::Sha512, OtpHash::Sha512),
];

impl NewToken {
    /// The token, enrolled now.
    pub(super) fn token(&self, now: Time) -> Result<Token, Refusal> {
        let plain = |c: char| c.is_ascii_alphanumeric() || " ._-".contains(c);
        if self.name.is_empty() || self.name.len() > LONGEST_NAME || !self.name.chars().all(plain) {
            let rule = "letters, digits, blanks, dots, dashes and underscores";
            return Err(Refusal::invalid(format!("a token has a name of at most {LONGEST_NAME} {rule}")));
        }
        let secret = self.secret.octets().filter(|secret| SECRET.contains(&secret.len()));
        let secret = secret.ok_or_else(|| {
            let (least, most) = SECRET.into_inner();
            Refusal::invalid(format!("the secret of a token is {least} to {most} octets, in hexadecimal"))
        })?;
        if !OTP_DIGITS.contains(&self.digits) {
            return Err(Refusal::invalid("a one-time password has 6 to 8 digits"));
        }
        if self.period != 0 && !PERIOD.contains(&self.period) {
            return Err(Refusal::invalid("a step is 15 to 300 seconds; 0 for a token that counts"));
        }
        self.indicators.iter().try_for_each(|indicator| indicators::check(indicator)).map_err(Refusal::invalid)?;
        let hash = ALGORITHMS.iter().find(|(algorithm, _)| *algorithm == self.algorithm);
        Ok(Token {
            name: self.name.clone(),
            kind: if self.period == 0 { TokenKind::Counting } else { TokenKind::Timed { period: self.period } },
            hash: hash.map(|(_, hash)| *hash).unwrap_or_default(),
            digits: self.digits,
            secret,
            next: 0,
            with_password: self.with_password,
            indicators: self.indicators.clone(),
            created: now,
        })
    }
}

impl From<&Token> for TokenLine {
    fn from(token: &Token) -> Self {
        let algorithm = ALGORITHMS.iter().find(|(_, hash)| *hash == token.hash);
        TokenLine {
            name: token.name.clone(),
            period: match token.kind {
                TokenKind::Counting => 0,
                TokenKind::Timed { period } => period,
            },
            algorithm: algorithm.map(|(algorithm, _)| *algorithm).unwrap_or_default(),
            digits: token.digits,
            with_password: token.with_password,
            indicators: token.indicators.clone(),
            created: token.created.seconds(),
        }
    }
}

/// One more token.
pub(super) fn add_token(entry: &mut Entry, token: &Token) -> Result<(), Refusal> {
    if entry.tokens.iter().any(|known| known.name == token.name) {
        return Err(Refusal::new(Reason::Exists, format!("there is a token {} already; remove it first", token.name)));
    }
    if entry.tokens.len() >= MOST_TOKENS {
        return Err(Refusal::invalid(format!("a principal has at most {MOST_TOKENS} tokens")));
    }
    // What nobody can type would lock the principal out.
    let typed = entry.newest().is_some_and(|set| set.keys.iter().any(|key| key.salt.is_some()));
    if token.with_password && !typed {
        return Err(Refusal::invalid("the principal has no password to be asked for beside the token"));
    }
    entry.tokens.push(token.clone());
    Ok(())
}

/// One token less.
pub(super) fn delete_token(entry: &mut Entry, name: &str) -> Result<(), Refusal> {
    let before = entry.tokens.len();
    entry.tokens.retain(|token| token.name != name);
    if entry.tokens.len() < before {
        Ok(())
    } else {
        Err(Refusal::new(Reason::Missing, format!("there is no token {name}")))
    }
}

fn period() -> u32 {
    30
}

fn digits() -> u32 {
    6
}
