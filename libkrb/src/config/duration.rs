//! Durations and absolute times as people write them: in krb5.conf, and after the tools' `-l`,
//! `-r` and `-s`. Not here: clocks and time zones.

use crate::error::{Error, Result};
use crate::time::{Seconds, Time};

/// Parses a duration: `3600`, `10h`, `1d2h3m4s`, `1d 2h`, `10:30` (hours and minutes), `10:30:15`,
/// `2-10:30:15` (days first). Units may be words (`7days`, `1 hour`), numbers may be negative.
///
/// # Errors
/// [`Error::Setting`] for anything else and for more than 2147483647 seconds.
pub fn parse_duration(text: &str) -> Result<Seconds> {
    duration(text).ok_or_else(|| Error::Setting(format!("\"{text}\" is not a duration such as 10h, 1d2h or 10:30:00")))
}

/// A point in time as the tools' `-s` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So much later than now.
    In(Seconds),
    /// At this time of the wall clock (see [`parse_time`]).
    At(Time),
}

/// Parses a duration or, if it is none, an absolute time as [`parse_time`] does.
///
/// # Errors
/// [`Error::Setting`] if it is neither.
pub fn parse_when(text: &str, wall: Time) -> Result<When> {
    match duration(text) {
        Some(seconds) => Ok(When::In(seconds)),
        None => parse_time(text, wall).map(When::At),
    }
}

/// Parses an absolute time: `yyyymmddhhmmss`, `yyyy.mm.dd.hh.mm.ss`, the same with two digits for
/// the year, `yymmddhhmm`, `hhmmss`, `hhmm`, `hh:mm:ss`, `hh:mm`, `dd-month-yyyy:hh:mm:ss`,
/// `dd-month-yyyy:hh:mm`. A time of day is today's.
///
/// Such times are read off a wall: `wall` is the local date and time as if it were UTC, and so is
/// the result. Who knows the time zone turns one into the other.
///
/// # Errors
/// [`Error::Setting`] for anything else.
pub fn parse_time(text: &str, wall: Time) -> Result<Time> {
    absolute(text.trim(), wall).ok_or_else(|| {
        Error::Setting(format!("\"{text}\" is not a time such as 20261231235959 or 31-Dec-2026:23:59:59"))
    })
}

/// The units from the largest to the smallest, with their names.
const UNITS: [(Seconds, &[&str]); 4] = [
    (86_400, &["d", "day", "days"]),
    (3_600, &["h", "hour", "hours"]),
    (60, &["m", "min", "minute", "minutes"]),
    (1, &["s", "sec", "second", "seconds"]),
];

fn duration(text: &str) -> Option<Seconds> {
    let text = text.trim_ascii();
    let total = match text.contains(':') {
        true => clock(text)?,
        false => units(text)?,
    };
    i32::try_from(total).is_ok().then_some(total)
}

/// `1d 2h 3m 4s`, or a bare number of seconds.
fn units(text: &str) -> Option<Seconds> {
    let mut total: Seconds = 0;
    let mut left = &UNITS[..];
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = number(rest)?;
        let after = after.trim_ascii_start();
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (word, after) = after.split_at(end);
        if word.is_empty() {
            // A bare number stands alone.
            return (left.len() == UNITS.len() && after.is_empty()).then_some(number);
        }
        let word = word.to_ascii_lowercase();
        let index = left.iter().position(|(_, names)| names.contains(&&*word))?;
        let ((size, _), smaller) = left.get(index..)?.split_first()?;
        total = total.checked_add(number.checked_mul(*size)?)?;
        left = smaller;
        rest = after.trim_ascii_start();
    }
    (left.len() < UNITS.len()).then_some(total)
}

/// `h:m`, `h:m:s` or `d-h:m:s`; all but the first number have one or two digits.
fn clock(text: &str) -> Option<Seconds> {
    let (first, rest) = number(text)?;
    let short = |part: &str| {
        let digits = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<Seconds>().ok()).flatten()
    };
    let (days, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest.strip_prefix(':')?),
    };
    let parts: Vec<Seconds> = rest.split(':').map(short).collect::<Option<_>>()?;
    match (days, &parts[..]) {
        (false, [minutes]) => Some(first * 3_600 + minutes * 60),
        (false, [minutes, seconds]) => Some(first * 3_600 + minutes * 60 + seconds),
        (true, [hours, minutes, seconds]) => Some(first * 86_400 + hours * 3_600 + minutes * 60 + seconds),
        _ => None,
    }
}

/// A number of at most 31 bits, perhaps negative, and what follows it.
fn number(text: &str) -> Option<(Seconds, &str)> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    let number: i32 = digits.parse().ok()?;
    Some((sign * Seconds::from(number), rest))
}

/// The shapes of an absolute time: `Y` is a year of four digits, `y` one of two, `M D h m s` two
/// digits each, `b` the name of a month; anything else is itself.
const SHAPES: [&str; 13] = [
    "YMDhms",
    "Y.M.D.h.m.s",
    "yMDhms",
    "y.M.D.h.m.s",
    "yMDhm",
    "hms",
    "hm",
    "h:m:s",
    "h:m",
    "D-b-Y:h:m:s",
    "D-b-Y:h:m",
    "M/D/y:h:m:s",
    "Y-M-D h:m:s",
];

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

fn absolute(text: &str, wall: Time) -> Option<Time> {
    SHAPES.iter().find_map(|shape| shaped(text, shape, wall))
}

fn shaped(text: &str, shape: &str, wall: Time) -> Option<Time> {
    let (mut year, mut month, mut day, ..) = wall.civil();
    let (mut hour, mut minute, mut second) = (0, 0, 0);
    let mut rest = text;
    for c in shape.chars() {
        match c {
            'Y' => (year, rest) = digits(rest, 4)?,
            'y' => {
                let (short, after) = digits(rest, 2)?;
                // As POSIX reads two digits: 69 to 99 are in the twentieth century.
                (year, rest) = (short + if short < 69 { 2000 } else { 1900 }, after);
            }
            'b' => (month, rest) = month_name(rest)?,
            'M' => (month, rest) = pair(rest)?,
            'D' => (day, rest) = pair(rest)?,
            'h' => (hour, rest) = pair(rest)?,
            'm' => (minute, rest) = pair(rest)?,
            's' => (second, rest) = pair(rest)?,
            c => rest = rest.strip_prefix(c)?,
        }
    }
    rest.is_empty().then(|| Time::from_civil(year, month, day, hour, minute, second)).flatten()
}

fn digits(text: &str, count: usize) -> Option<(i64, &str)> {
    let (digits, rest) = text.split_at_checked(count)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| Some((digits.parse().ok()?, rest))).flatten()
}

fn pair(text: &str) -> Option<(u8, &str)> {
    let (number, rest) = digits(text, 2)?;
    Some((u8::try_from(number).ok()?, rest))
}

/// An English month, whole or by its first three letters.
fn month_name(text: &str) -> Option<(u8, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let word = word.to_ascii_lowercase();
    let fits = |month: &&str| **month == word || (word.len() == 3 && month.starts_with(&word));
    let index = MONTHS.iter().position(fits)?;
    Some((u8::try_from(index + 1).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21, a quarter past noon.
    fn wall() -> Time {
        Time::from_civil(2026, 11, 21, 12, 15, 0).unwrap()
    }

    #[test]
    fn every_form_of_a_duration_is_understood() {
        for (text, seconds) in [
            ("0", 0),
            ("36000", 36_000),
            ("10h", 36_000),
            ("1d2h3m4s", 93_784),
            ("10d 0h 0m 0s", 864_000),
            ("10:30", 37_800),
            ("10:30:15", 37_815),
            ("1-10:30:15", 124_215),
            ("36:00", 129_600),
            ("8h30s", 28_830),
            (" 3d \n\t 0m  ", 259_200),
            ("7days", 604_800),
            ("1 Day", 86_400),
            ("1 hour 5 minutes", 3_900),
            ("-1h", -3_600),
        ] {
            assert_eq!(parse_duration(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            " ",
            "h",
            "3dd",
            "3m4h",
            "1-2",
            "1 2",
            "10:",
            "1:2:3:4",
            "2147483648",
            "1e3",
            "3h 5",
            "5 3h",
            "½h",
            "--1",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        let error = parse_duration("soon").unwrap_err();
        assert_eq!(error.to_string(), "\"soon\" is not a duration such as 10h, 1d2h or 10:30:00");
    }

    #[test]
    fn every_form_of_an_absolute_time_is_understood() {
        let end_of_year = Time::from_civil(2026, 12, 31, 23, 59, 59);
        let whole_minute = Time::from_civil(2026, 12, 31, 23, 59, 0);
        for (text, time) in [
            ("20261231235959", end_of_year),
            ("2026.12.31.23.59.59", end_of_year),
            ("261231235959", end_of_year),
            ("26.12.31.23.59.59", end_of_year),
            ("31-Dec-2026:23:59:59", end_of_year),
            ("31-december-2026:23:59:59", end_of_year),
            ("12/31/26:23:59:59", end_of_year),
            ("2026-12-31 23:59:59", end_of_year),
            ("2612312359", whole_minute),
            ("31-Dec-2026:23:59", whole_minute),
            ("235959", Time::from_civil(2026, 11, 21, 23, 59, 59)),
            ("2359", Time::from_civil(2026, 11, 21, 23, 59, 0)),
            ("23:59:59", Time::from_civil(2026, 11, 21, 23, 59, 59)),
            ("23:59", Time::from_civil(2026, 11, 21, 23, 59, 0)),
            ("700101000000", Time::from_civil(1970, 1, 1, 0, 0, 0)),
        ] {
            assert_eq!(parse_time(text, wall()).ok(), time, "{text}");
        }
        for text in ["20260230000000", "24:00", "31-Foo-2026:23:59", "", "20261231235959Z", "äö"] {
            assert!(parse_time(text, wall()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_start_time_is_a_duration_first_and_an_absolute_time_else() {
        assert_eq!(parse_when("2h", wall()), Ok(When::In(7_200)));
        assert_eq!(parse_when("20:00:00", wall()), Ok(When::In(72_000)));
        let time = Time::from_civil(2026, 12, 31, 23, 59, 59).unwrap();
        assert_eq!(parse_when("20261231235959", wall()), Ok(When::At(time)));
        assert!(parse_when("tomorrow", wall()).is_err());
    }
}
