//! Tokens enrolled in the terminal: the secret is made here, shown once, as the URI that apps read and as
//! a picture of it, and known to nobody afterwards but the token and the KDC.

use libkrb::{Principal, Time};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use zeroize::Zeroizing;

use super::{Console, Done, Talk, say, show, unexpected};
use crate::admin::operation::{Answer, Name, Operation, Secret};
use crate::admin::query::TokenWish;
use crate::admin::tokens::{NewToken, OtpAlgorithm};

impl Console<'_> {
    pub(super) fn add_token(&self, name: &Principal, wish: TokenWish, talk: &mut dyn Talk) -> Done {
        let mut secret = Zeroizing::new(vec![0; octets(wish.algorithm)]);
        getrandom::fill(&mut secret).map_err(|_| "otp: the system gives no random bytes".to_owned())?;
        let uri = uri(name, &wish, &secret);
        let plain = wish.plain;
        let token = NewToken {
            name: wish.name.clone(),
            secret: Secret::hex(&secret),
            period: wish.period,
            algorithm: wish.algorithm,
            digits: wish.digits,
            with_password: wish.with_password,
            indicators: wish.indicators,
        };
        let add = Operation::AddToken { principal: Name(name.clone()), token };
        self.ask(add, "otp", || format!("while enrolling a token for \"{name}\"."))?;
        talk.out(&format!("{}\n", *uri));
        if let (false, Ok(code)) = (plain, QrCode::new(uri.as_bytes())) {
            // Dark on light, also where the terminal is dark.
            let picture = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
            talk.out(&format!("{picture}\n"));
        }
        self.inform(talk, format!("Token \"{}\" of \"{name}\" enrolled. The secret is not shown again.\n", wish.name))
    }

    pub(super) fn tokens(&self, name: &Principal, talk: &mut dyn Talk) -> Done {
        let describe = Operation::Describe { principal: Name(name.clone()) };
        let found = self.ask(describe, "otp", || format!("while retrieving \"{name}\"."))?;
        let Answer::Principal(found) = found else { return Err(unexpected()) };
        if found.tokens.is_empty() {
            return say(talk, "(No tokens.)\n");
        }
        for token in &found.tokens {
            let kind = if token.period == 0 { "counting".to_owned() } else { format!("every {} s", token.period) };
            let password = if token.with_password { ", with the password" } else { "" };
            let says = token.indicators.iter().map(|indicator| format!(", says {indicator}")).collect::<String>();
            let since = show::date(Time(token.created), self.zone);
            let (name, digits) = (&token.name, token.digits);
            talk.out(&format!("{name}: {digits} digits, {kind}{password}{says}, since {since}\n"));
        }
        Ok(())
    }

    pub(super) fn delete_token(&self, name: &Principal, token: String, talk: &mut dyn Talk) -> Done {
        let delete = Operation::DeleteToken { principal: Name(name.clone()), name: token.clone() };
        self.ask(delete, "otp", || format!("while removing a token of \"{name}\"."))?;
        self.inform(talk, format!("Token \"{token}\" of \"{name}\" removed.\n"))
    }
}

/// As many as the hash function gives (RFC 4226 4, R6; RFC 6238 5.1).
fn octets(algorithm: OtpAlgorithm) -> usize {
    match algorithm {
        OtpAlgorithm::Sha1 => 20,
        OtpAlgorithm::Sha256 => 32,
        OtpAlgorithm::Sha512 => 64,
    }
}

/// The URI that authenticator apps read.
fn uri(name: &Principal, wish: &TokenWish, secret: &[u8]) -> Zeroizing<String> {
    let (issuer, account) = (escaped(name.realm()), escaped(&name.components().join("/")));
    let (kind, count) = match wish.period {
        0 => ("hotp", "counter=0".to_owned()),
        period => ("totp", format!("period={period}")),
    };
    let algorithm = match wish.algorithm {
        OtpAlgorithm::Sha1 => "SHA1",
        OtpAlgorithm::Sha256 => "SHA256",
        OtpAlgorithm::Sha512 => "SHA512",
    };
    let secret = base32(secret);
    Zeroizing::new(format!(
        "otpauth://{kind}/{issuer}:{account}?secret={}&issuer={issuer}&algorithm={algorithm}&digits={}&{count}",
        *secret, wish.digits
    ))
}

/// RFC 4648 6, without padding.
fn base32(octets: &[u8]) -> Zeroizing<String> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = Zeroizing::new(String::with_capacity(octets.len() * 8 / 5 + 1));
    for group in octets.chunks(5) {
        let mut word = [0; 8];
        word[3..3 + group.len()].copy_from_slice(group);
        let word = u64::from_be_bytes(word);
        let letters = (group.len() * 8).div_ceil(5);
        text.extend((0..letters).map(|at| char::from(LETTERS[(word >> (35 - 5 * at) & 31) as usize])));
    }
    text
}

/// A part of a path (RFC 3986 2).
fn escaped(text: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~".contains(&octet);
    text.bytes()
        .map(|octet| if plain(octet) { char::from(octet).to_string() } else { format!("%{octet:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_written_as_apps_read_them() {
        // RFC 4648 10, without padding.
        for (octets, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(*base32(octets.as_bytes()), text);
        }
        let name = Principal::parse("alice/a b@R", None).expect("a name");
        let wish = TokenWish { period: 0, digits: 8, ..TokenWish::default() };
        let expected = "otpauth://hotp/R:alice%2Fa%20b?secret=MZXW6&issuer=R&algorithm=SHA1&digits=8&counter=0";
        assert_eq!(*uri(&name, &wish, b"foo"), expected);
        assert!(uri(&name, &TokenWish::default(), b"foo").ends_with("&digits=6&period=30"));
    }
}
