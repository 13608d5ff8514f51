//! `add_entry`: a key from a password or from its bytes.

use std::io::BufRead;

use libkrb::codes::EncryptionType;
use libkrb::crypto::Key;
use libkrb::keytab::{KeytabEntry, RawKey};
use libkrb::{Error, Principal};

use super::{Session, Then};
use crate::report::{During, Failure, Result};
use crate::{local, secret};

const DOING: &str = "while adding new entry";

/// What the arguments say.
#[derive(Default)]
struct Wanted {
    principal: Option<String>,
    kvno: Option<u32>,
    etype: Option<String>,
    salt: Option<String>,
    from_password: bool,
    from_key: bool,
    fetch_salt: bool,
}

/// Adds an entry to the list.
pub(super) fn add(session: &mut Session, name: &str, arguments: &[String], input: &mut dyn BufRead) -> Result<Then> {
    let wanted = Wanted::parse(arguments).unwrap_or_default();
    let (Some(principal), Some(kvno)) = (&wanted.principal, wanted.kvno) else { return Err(usage(name)) };
    if wanted.from_password == wanted.from_key || (wanted.fetch_salt && wanted.salt.is_some()) {
        return Err(usage(name));
    }
    if wanted.fetch_salt {
        let failure = Failure::new(format!("the salt cannot be fetched from a KDC yet {DOING}"));
        return Err(failure.next("Leave -f out for the usual salt, or give another with -s."));
    }
    let Some(etype) = &wanted.etype else {
        let failure = Failure::new("enctype must be specified if not using -f").bare();
        return Err(failure.next("As in -e aes256-cts."));
    };
    let principal = session.settings.principal(principal).briefly_during(DOING)?;
    let Some(etype) = EncryptionType::parse(etype) else {
        let failure = Failure::new(format!("Bad encryption type {DOING}"));
        return Err(
            failure.next("Use aes256-cts, aes128-cts, aes256-sha2, aes128-sha2, camellia256-cts or camellia128-cts.")
        );
    };
    let key = if wanted.from_password {
        key_of_password(&principal, etype, wanted.salt, input)?
    } else {
        key_of_digits(&principal, etype, input)?
    };
    session.list.entries.push(KeytabEntry { principal, timestamp: local::now(), kvno, key });
    Ok(Then::GoOn)
}

fn usage(name: &str) -> Failure {
    let words = "(-key | -password) -p principal -k kvno [-e enctype] [-f|-s salt]";
    Failure::new(format!("usage: {name} {words}")).bare()
}

impl Wanted {
    fn parse(arguments: &[String]) -> Option<Wanted> {
        let mut wanted = Wanted::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match &**argument {
                "-p" => wanted.principal = Some(arguments.next()?.clone()),
                "-k" => wanted.kvno = Some(arguments.next()?.parse().ok()?),
                "-e" => wanted.etype = Some(arguments.next()?.clone()),
                "-s" => wanted.salt = Some(arguments.next()?.clone()),
                "-password" => wanted.from_password = true,
                "-key" => wanted.from_key = true,
                "-f" => wanted.fetch_salt = true,
                _ => return None,
            }
        }
        Some(wanted)
    }
}

fn key_of_password(
    principal: &Principal,
    etype: EncryptionType,
    salt: Option<String>,
    mut input: &mut dyn BufRead,
) -> Result<RawKey> {
    let password = secret::hidden_line(&format!("Password for {principal}: "), &mut input)?;
    let Some(password) = password else {
        return Err(Failure::new(format!("Cannot read password {DOING}")).next("It is the line after the command."));
    };
    let salt = salt.unwrap_or_else(|| principal.salt());
    let key = Key::from_password(etype, password.as_bytes(), salt.as_bytes(), None).briefly_during(DOING)?;
    Ok(RawKey::from(&key))
}

fn key_of_digits(principal: &Principal, etype: EncryptionType, mut input: &mut dyn BufRead) -> Result<RawKey> {
    let digits = secret::hidden_line(&format!("Key for {principal} (hex): "), &mut input)?.unwrap_or_default();
    if digits.is_empty() {
        return Err(Failure::new("Error reading key.").next("It is the line after the command, in hexadecimal."));
    }
    let Some(key) = key_of(etype, digits.as_bytes()) else {
        return Err(Failure::new("Illegal character in key.").next("Two hexadecimal digits make a byte."));
    };
    match key.key() {
        Err(error @ Error::KeyLength(_)) => Err(error).briefly_during(DOING),
        // A type that we cannot use is somebody else's, who knows how long its keys are.
        _ => Ok(key),
    }
}

fn key_of(etype: EncryptionType, digits: &[u8]) -> Option<RawKey> {
    let mut key = RawKey::new(etype, Vec::with_capacity(digits.len()));
    for pair in digits.chunks(2) {
        let [high, low] = pair else { return None };
        let byte = char::from(*high).to_digit(16)? * 16 + char::from(*low).to_digit(16)?;
        key.bytes.push(u8::try_from(byte).ok()?);
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_whole_bytes_in_hexadecimal() {
        let key = |digits: &str| key_of(EncryptionType::AES128_SHA1, digits.as_bytes()).map(|key| key.bytes.to_vec());
        assert_eq!(key("00fFa0"), Some(vec![0, 0xff, 0xa0]));
        assert_eq!(key("00f"), None);
        assert_eq!(key("0x00"), None);
        assert_eq!(key("+1"), None);
    }
}
