//! One-time password tokens of a principal: HOTP (RFC 4226) and TOTP (RFC 6238). A value is good once:
//! the count after the last one that was used is kept with the token. Not here: the protocol
//! (`core::preauth::otp`).

use std::fmt;

use libkrb::Time;
use libkrb::crypto::{OtpHash, hotp};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// How many steps a token's clock may be off, either way (RFC 6238 5.2).
const DRIFT: u64 = 1;
/// How many values of a counting token may have been made without being used (RFC 4226 7.4).
const AHEAD: u64 = 20;
/// How far ahead two values in a row may be, of which the first alone would be too far (RFC 4226 7.4).
const FAR: u64 = 200;

/// A token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is called; one name is one token of the principal.
    pub name: String,
    /// What its values are counted by.
    pub kind: TokenKind,
    /// The hash function.
    pub hash: OtpHash,
    /// The digits of a value.
    pub digits: u32,
    /// What it shares with the KDC.
    pub secret: Zeroizing<Vec<u8>>,
    /// The first count that was not used yet.
    pub next: u64,
    /// Whether the password is asked for beside the value.
    pub with_password: bool,
    /// What tickets say beside what the realm says of one-time passwords.
    pub indicators: Vec<String>,
    /// When it was enrolled.
    pub created: Time,
}

/// What the values of a token are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// By itself, each time it is asked.
    Counting,
    /// By the clock, in steps of so many seconds.
    Timed {
        /// Seconds.
        period: u32,
    },
}

impl Token {
    /// The count whose value this is, if that is near and was not used yet.
    pub fn count_of(&self, value: &[u8], now: Time) -> Option<u64> {
        let (first, last) = match self.kind {
            TokenKind::Counting => (self.next, self.next.saturating_add(AHEAD)),
            TokenKind::Timed { period } => {
                let step = u64::try_from(now.seconds()).unwrap_or(0) / u64::from(period.max(1));
                (step.saturating_sub(DRIFT).max(self.next), step.saturating_add(DRIFT))
            }
        };
        // All of them, whichever it is: how long it takes says nothing.
        (first..=last).fold(None, |found, count| {
            let ours = hotp(self.hash, &self.secret, count, self.digits);
            let same = bool::from(ours.as_bytes().ct_eq(value));
            found.or(same.then_some(count))
        })
    }

    /// The count of the second of two values that a counting token made one after the other, though it may
    /// be further ahead than a single one may.
    pub fn count_of_two(&self, first: &[u8], second: &[u8]) -> Option<u64> {
        let far = (self.kind == TokenKind::Counting).then(|| self.next.saturating_add(FAR))?;
        let (mut found, mut follows) = (None, false);
        for count in self.next..=far {
            let ours = hotp(self.hash, &self.secret, count, self.digits);
            let [before, now] = [first, second].map(|value| bool::from(ours.as_bytes().ct_eq(value)));
            found = found.or((now && follows).then_some(count));
            follows = before;
        }
        found
    }

    /// The token after this count was used.
    #[must_use]
    pub fn used(&self, count: u64) -> Token {
        Token { next: count.saturating_add(1), ..self.clone() }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(kind: TokenKind) -> Token {
        Token {
            name: "phone".into(),
            kind,
            hash: OtpHash::Sha1,
            digits: 6,
            secret: Zeroizing::new(b"12345678901234567890".to_vec()),
            next: 0,
            with_password: false,
            indicators: vec![],
            created: Time::EPOCH,
        }
    }

    #[test]
    fn a_counting_token_may_be_ahead_and_is_never_asked_for_what_was_used() {
        // RFC 4226, appendix D.
        let token = token(TokenKind::Counting);
        assert_eq!(token.count_of(b"755224", Time::EPOCH), Some(0));
        assert_eq!(token.count_of(b"520489", Time::EPOCH), Some(9), "nine values were made and not used");
        let used = token.used(9);
        for old in [&b"755224"[..], b"520489", b"399871"] {
            assert_eq!(used.count_of(old, Time::EPOCH), None);
        }
        let far = hotp(OtpHash::Sha1, &token.secret, AHEAD + 1, 6);
        assert_eq!(token.count_of(far.as_bytes(), Time::EPOCH), None);
        assert_eq!(token.used(0).count_of(far.as_bytes(), Time::EPOCH), Some(AHEAD + 1));
    }

    #[test]
    fn two_values_in_a_row_may_be_further_ahead_than_one() {
        let token = token(TokenKind::Counting).used(4);
        let value = |count: u64| hotp(token.hash, &token.secret, count, 6);
        let two = |first: u64, second: u64| token.count_of_two(value(first).as_bytes(), value(second).as_bytes());
        assert_eq!(two(100, 101), Some(101));
        assert_eq!(two(5, 6), Some(6));
        for (first, second) in [(100, 102), (101, 100), (100, 100), (3, 4), (4, 5), (FAR + 5, FAR + 6)] {
            assert_eq!(two(first, second), None, "{first}, {second}");
        }
        let clock = Token { kind: TokenKind::Timed { period: 30 }, ..token.clone() };
        assert_eq!(clock.count_of_two(value(100).as_bytes(), value(101).as_bytes()), None);
    }

    #[test]
    fn a_clock_may_be_a_step_off_and_a_value_is_good_once() {
        let token = token(TokenKind::Timed { period: 30 });
        // RFC 6238, appendix B: the six last digits.
        let (time, value) = (Time(1_111_111_109), &b"081804"[..]);
        let step = 1_111_111_109 / 30;
        for off in [-30, 0, 30] {
            assert_eq!(token.count_of(value, time + off), Some(step), "{off}");
        }
        assert_eq!(token.count_of(value, time + 60), None);
        assert_eq!(token.count_of(value, time - 60), None);
        assert_eq!(token.used(step).count_of(value, time), None);
    }

    #[test]
    fn values_of_another_length_and_none_are_wrong() {
        let token = token(TokenKind::Counting);
        for value in [&b""[..], b"75522", b"7552240", b"755224\0"] {
            assert_eq!(token.count_of(value, Time::EPOCH), None);
        }
        assert!(!format!("{token:?}").contains("1234"));
    }
}
