//! KerberosTime, and the texts of times that are written again and again.

use std::cell::Cell;

use super::basic::whole;
use super::der::{Decode, Encode, Reader, Writer, short};
use crate::error::{Error, Result};
use crate::time::Time;

const GENERALIZED_TIME: u8 = 0x18;

/// The digits of four numbers below 100, first to last from the lowest octet on, made all at once in lanes of 16 bits:
/// tickets have many times.
fn digits(numbers: [u8; 4]) -> u64 {
    let [a, b, c, d] = numbers.map(u64::from);
    let numbers = a | b << 16 | c << 32 | d << 48;
    // A tenth, rounded down: exact for so small numbers.
    let tens = (numbers * 103) >> 10 & 0x000f_000f_000f_000f;
    let ones = numbers - tens * 10;
    0x3030_3030_3030_3030 | tens | ones << 8
}

/// The octets of a KerberosTime and before them their number, which never changes.
type CountedText = [u8; 16];

/// How many times a thread knows the texts of.
const KNOWN: usize = 8;

thread_local! {
    /// The texts of times that were written lately: a ticket and the reply that it comes in have the same few, and so have
    /// those after them. One stands where its [`place`] is.
    static TEXTS: [Cell<(Time, CountedText)>; KNOWN] =
        const { [const { Cell::new((Time::EPOCH, *b"\x0f19700101000000Z")) }; KNOWN] };
}

/// Where the text of a time stands, if it is known.
fn place(time: Time) -> usize {
    // A ticket's times are often whole hours apart: all of their bits have a say (D. Knuth, multiplicative hashing).
    (time.0.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - KNOWN.ilog2())) as usize
}

fn counted_text(time: Time) -> CountedText {
    TEXTS.with(|texts| {
        let known = texts.get(place(time));
        match known.map(Cell::get) {
            Some((of, text)) if of == time => text,
            _ => {
                let text = made_text(time);
                known.inspect(|known| known.set((time, text)));
                text
            }
        }
    })
}

fn made_text(time: Time) -> CountedText {
    const YEAR_0: Time = Time(-62_167_219_200);
    const LENGTH: u128 = 15;
    let (year, month, day, hour, minute, second) = time.clamp(YEAR_0, Time::MAX).civil();
    let year = year as u32;
    let date = digits([(year / 100) as u8, (year % 100) as u8, month, day]);
    // What would follow the seconds' digits is cut off.
    let of_day = digits([hour, minute, second, 0]) << 16 >> 16;
    let text = u128::from(date) | u128::from(of_day) << 64 | u128::from(b'Z') << 112;
    (LENGTH | text << 8).to_le_bytes()
}

/// KerberosTime (RFC 4120 5.2.3): `YYYYMMDDhhmmssZ`, nothing else.
impl<'a> Decode<'a> for Time {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        civil(reader.expect(GENERALIZED_TIME, "KerberosTime expected")?)
    }

    fn decode_whole(contents: &'a [u8]) -> Result<Self> {
        short(contents, GENERALIZED_TIME).map_or_else(|| whole(contents), civil)
    }
}

fn civil(text: &[u8]) -> Result<Time> {
    const WRONG: Error = Error::Malformed("KerberosTime is not YYYYMMDDhhmmssZ");
    let &[y1, y2, y3, y4, m1, m2, d1, d2, h1, h2, i1, i2, s1, s2, b'Z'] = text else { return Err(WRONG) };
    let pair = |high: u8, low: u8| match (high, low) {
        (b'0'..=b'9', b'0'..=b'9') => Ok((high - b'0') * 10 + (low - b'0')),
        _ => Err(WRONG),
    };
    let year = i64::from(pair(y1, y2)?) * 100 + i64::from(pair(y3, y4)?);
    let (month, day, hour) = (pair(m1, m2)?, pair(d1, d2)?, pair(h1, h2)?);
    match Time::from_civil(year, month, day, hour, pair(i1, i2)?, pair(s1, s2)?) {
        Some(time) => Ok(time),
        None => Err(WRONG),
    }
}

impl Encode for Time {
    fn encode(&self, writer: &mut Writer) {
        writer.prepend_few(counted_text(*self));
        writer.prepend_few([GENERALIZED_TIME]);
    }

    fn encode_within(&self, tag: u8, writer: &mut Writer) {
        writer.prepend_few(counted_text(*self));
        writer.prepend_few([tag, 17, GENERALIZED_TIME]);
    }
}
