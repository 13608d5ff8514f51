//! Numbers, times, addresses and names as text, added to a line that is being made: the same as the formatters of the
//! standard library say, in a fraction of their time, for each request waits until it is told. Not here: what a line
//! says.

use std::fmt::{Display, Write};
use std::net::SocketAddr;

use libkrb::{Principal, Time};

use super::record::{LONGEST_NAME, clipped};

/// The two digits of each octet.
const HEX: [[u8; 2]; 256] = {
    let (digits, mut pairs, mut octet) = (b"0123456789abcdef", [[0; 2]; 256], 0);
    while octet < 256 {
        pairs[octet] = [digits[octet >> 4], digits[octet & 15]];
        octet += 1;
    }
    pairs
};

/// A number in decimal.
pub fn decimal(number: u64, text: &mut String) {
    let (mut digits, mut rest, mut start) = ([0; 20], number, 20);
    while start == 20 || rest > 0 {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    add(&digits[start..], text);
}

/// The same of one that may be below zero.
pub fn signed(number: i32, text: &mut String) {
    if number < 0 {
        text.push('-');
    }
    decimal(number.unsigned_abs().into(), text);
}

/// Octets in hexadecimal.
pub fn hexadecimal(octets: &[u8; 32], text: &mut String) {
    let mut digits = [0; 64];
    for (pair, octet) in digits.chunks_exact_mut(2).zip(octets) {
        pair.copy_from_slice(&HEX[usize::from(*octet)]);
    }
    add(&digits, text);
}

/// A time: `2026-11-21T23:40:11Z`.
pub fn time(time: Time, text: &mut String) {
    match seconds(time) {
        Some(digits) => add(&digits, text),
        None => formatted(&time, text),
    }
}

/// The part of a second behind its point, with as many digits as it needs but at least six.
pub fn micros(micros: u32, text: &mut String) {
    let mut digits = *b"000042";
    let parts = [micros / 10_000, micros / 100 % 100, micros % 100];
    if micros >= 1_000_000 {
        return decimal(micros.into(), text);
    }
    for (place, part) in [0, 2, 4].into_iter().zip(parts) {
        two(&mut digits, place, part as u8);
    }
    add(&digits, text);
}

/// `None` for years of more or less than four digits.
fn seconds(time: Time) -> Option<[u8; 20]> {
    let (year, month, day, hour, minute, second) = time.civil();
    let year = u16::try_from(year).ok().filter(|year| *year < 10_000)?;
    let mut digits = *b"2026-11-21T23:40:11Z";
    let parts = [(year / 100) as u8, (year % 100) as u8, month, day, hour, minute, second];
    for (place, part) in [0, 2, 5, 8, 11, 14, 17].into_iter().zip(parts) {
        two(&mut digits, place, part);
    }
    Some(digits)
}

/// Two digits at a place.
fn two<const N: usize>(digits: &mut [u8; N], place: usize, value: u8) {
    digits[place] = b'0' + value / 10;
    digits[place + 1] = b'0' + value % 10;
}

/// An address with its port.
pub fn address(address: SocketAddr, text: &mut String) {
    let SocketAddr::V4(four) = address else { return formatted(&address, text) };
    for (place, octet) in four.ip().octets().into_iter().enumerate() {
        if place > 0 {
            text.push('.');
        }
        decimal(octet.into(), text);
    }
    text.push(':');
    decimal(four.port().into(), text);
}

/// A string of JSON.
pub fn quoted(value: &str, text: &mut String) {
    if value.bytes().fold(true, |plain, octet| plain & (octet >= b' ' && octet != b'"' && octet != b'\\')) {
        text.push('"');
        text.push_str(value);
        text.push('"');
    } else {
        // A string can always be written.
        text.push_str(&serde_json::to_string(value).unwrap_or_default());
    }
}

/// A name as a string of JSON, not longer than anybody needs.
pub fn name(principal: &Principal, text: &mut String) {
    let (realm, components) = (principal.realm(), principal.components());
    let parts = || components.iter().map(|part| &**part).chain([realm]);
    let plain = parts().all(is_plain) && parts().map(|part| part.len() + 1).sum::<usize>() <= LONGEST_NAME;
    if !plain {
        return quoted(&clipped(principal.to_string()), text);
    }
    text.push('"');
    for (place, part) in components.iter().enumerate() {
        if place > 0 {
            text.push('/');
        }
        text.push_str(part);
    }
    text.push('@');
    text.push_str(realm);
    text.push('"');
}

/// Whether neither a name nor a string of JSON has to say a part in another way.
fn is_plain(part: &str) -> bool {
    let odd = |octet: u8| matches!(octet, b'/' | b'@' | b'\\' | b'"');
    part.bytes().fold(true, |plain, octet| plain & (matches!(octet, b' '..=b'~') && !odd(octet)))
}

/// What is seldom need not be quick.
fn formatted(value: &impl Display, text: &mut String) {
    // A text takes everything.
    let _ = write!(text, "{value}");
}

fn add(digits: &[u8], text: &mut String) {
    // Digits are ASCII.
    text.push_str(str::from_utf8(digits).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a function adds to a text.
    fn added(add: impl FnOnce(&mut String)) -> String {
        let mut text = "<".to_owned();
        add(&mut text);
        text.split_off(1)
    }

    proptest! {
        #[test]
        fn numbers_and_times_are_what_the_formatters_say(number: u64, seconds in -99_999_999_999..999_999_999_999_i64, micros in 0..2_000_000_u32) {
            let at = Time(seconds);
            prop_assert_eq!(added(|text| decimal(number, text)), number.to_string());
            prop_assert_eq!(added(|text| decimal(number % 1000, text)), (number % 1000).to_string());
            prop_assert_eq!(added(|text| signed(number as i32, text)), (number as i32).to_string());
            prop_assert_eq!(added(|text| time(at, text)), at.to_string());
            prop_assert_eq!(added(|text| self::micros(micros, text)), format!("{micros:06}"));
        }

        #[test]
        fn addresses_and_octets_are_what_the_formatters_say(ip: std::net::IpAddr, port: u16, octets: [u8; 32]) {
            let from = SocketAddr::new(ip, port);
            prop_assert_eq!(added(|text| address(from, text)), from.to_string());
            let expected: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
            prop_assert_eq!(added(|text| hexadecimal(&octets, text)), expected);
        }

        #[test]
        fn strings_and_names_are_what_serde_says(
            value in r#"([a-z"\\]{0,8}|\PC{0,4}|[\x00-\x7f]{0,3}){0,4}"#,
            parts in prop::collection::vec(r#"([a-z/@ ]{0,300}|.{0,4}|[\x00-\x7f]{0,3}){0,3}"#, 1..4),
        ) {
            prop_assert_eq!(added(|text| quoted(&value, text)), serde_json::to_string(&value).expect("JSON"));
            let principal = Principal::new(Default::default(), &value, &parts);
            if let Ok(principal) = principal {
                let expected = serde_json::to_string(&clipped(principal.to_string())).expect("JSON");
                prop_assert_eq!(added(|text| name(&principal, text)), expected);
            }
        }
    }
}
