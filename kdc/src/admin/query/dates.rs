//! Dates and intervals as administrators write them: the usual part of what MIT's getdate takes,
//! and the forms of krb5.conf. What is said without a zone is local time.
//!
//! Left out: "next" and "last", which mean this or the one after to different people.

use libkrb::Time;
use libkrb::config::{parse_duration, parse_time};

use super::{Context, Wrong};

const DAY: i64 = 86_400;

/// Units of a fixed length.
const UNITS: [(&str, i64); 9] = [
    ("second", 1),
    ("sec", 1),
    ("minute", 60),
    ("min", 60),
    ("hour", 3600),
    ("day", DAY),
    ("week", 7 * DAY),
    ("fortnight", 14 * DAY),
    ("wk", 7 * DAY),
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

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// A point in time; `Time(0)` for "never".
pub(super) fn date(context: &Context<'_>, text: &str) -> Result<Time, Wrong> {
    point(context, text).ok_or_else(|| Wrong::Option(format!("Invalid date specification \"{text}\".")))
}

/// A number of seconds; 0 for "never".
pub(super) fn interval(context: &Context<'_>, text: &str) -> Result<i64, Wrong> {
    let past = || Wrong::Option(format!("Interval specification \"{text}\" is in the past."));
    if let Ok(seconds) = parse_duration(text) {
        return if seconds < 0 { Err(past()) } else { Ok(seconds) };
    }
    match date(context, text)? {
        Time(0) => Ok(0),
        time if time < context.now => Err(past()),
        time => Ok(time - context.now),
    }
}

fn point(context: &Context<'_>, text: &str) -> Option<Time> {
    let text = text.trim().to_ascii_lowercase();
    if text == "never" {
        return Some(Time(0));
    }
    let wall = context.zone.wall(context.now);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    // "20261231235959" and its like; shorter ones are as well a time of day or a number of seconds.
    if digits >= 12
        && let Ok(wall) = parse_time(&text, wall)
    {
        return context.zone.time(wall);
    }
    let spoken = Spoken::read(&text).and_then(|spoken| spoken.time(context, wall));
    spoken.or_else(|| {
        let letters = text.bytes().any(|byte| byte.is_ascii_alphabetic());
        parse_duration(&text).ok().filter(|_| letters).map(|seconds| context.now + seconds)
    })
}

/// The parts of a date, as far as they were said.
#[derive(Default)]
struct Spoken {
    year: Option<i64>,
    month: Option<u8>,
    day: Option<u8>,
    clock: Option<i64>,
    /// Seconds east of Greenwich.
    offset: Option<i64>,
    months: i64,
    seconds: i64,
}

impl Spoken {
    fn read(text: &str) -> Option<Spoken> {
        let mut spoken = Spoken::default();
        let mut number = None;
        let mut said = false;
        for field in text.split([' ', '\t', ',']).filter(|field| !field.is_empty()) {
            said = true;
            match number.take() {
                Some(number) => spoken.after_number(number, field)?,
                None if spoken.whole(field)? => {}
                None => number = Some(spoken.number(field)?).flatten(),
            }
        }
        (said && number.is_none()).then_some(spoken)
    }

    /// Takes a field that means something by itself.
    fn whole(&mut self, field: &str) -> Option<bool> {
        match field {
            "now" | "today" => {}
            "tomorrow" => self.seconds += DAY,
            "yesterday" => self.seconds -= DAY,
            "utc" | "gmt" | "z" => self.offset = Some(0),
            "ago" if (self.months, self.seconds) != (0, 0) => {
                (self.months, self.seconds) = (-self.months, -self.seconds);
            }
            "am" | "pm" => self.clock = Some(half(self.clock?, field == "pm")?),
            _ => {
                let (date, clock) = field.split_once('t').filter(|(date, _)| date.contains('-')).unwrap_or((field, ""));
                if self.calendar(date).is_some() {
                    return if clock.is_empty() { Some(true) } else { self.time_of_day(clock).map(|()| true) };
                }
                if let Some(month) = named(&MONTHS, field) {
                    self.month = Some(month);
                } else if named(&WEEKDAYS, field).is_none() {
                    return Some(self.time_of_day(field).is_some() || self.zone(field).is_some());
                }
            }
        }
        Some(true)
    }

    /// `2026-12-31`, `2026/12/31`, `12/31/2026`, `12/31`, `31-dec-2026`.
    fn calendar(&mut self, field: &str) -> Option<()> {
        let parts: Vec<&str> = field.split(['-', '/']).collect();
        let (year, month, day) = match (&parts[..], field.contains('/')) {
            ([year, month, day], _) if year.len() == 4 => (Some(year.parse().ok()?), month.parse().ok()?, *day),
            ([month, day, year], true) if year.len() == 4 => (Some(year.parse().ok()?), month.parse().ok()?, *day),
            ([month, day], true) => (None, month.parse().ok()?, *day),
            ([day, month, year], false) if year.len() == 4 => (Some(year.parse().ok()?), named(&MONTHS, month)?, *day),
            _ => return None,
        };
        (self.year, self.month, self.day) = (year, Some(month), Some(day.parse().ok()?));
        Some(())
    }

    /// `23:59`, `23:59:58`, `11:59pm`, `11pm`, each perhaps with a zone: `12:00z`, `12:00+01:00`.
    fn time_of_day(&mut self, field: &str) -> Option<()> {
        let zone_at = field.find(['+', '-', 'z']).filter(|at| *at > 0);
        let (clock, zone) = field.split_at(zone_at.unwrap_or(field.len()));
        let (clock, afternoon) = match (clock.strip_suffix("am"), clock.strip_suffix("pm")) {
            (Some(clock), _) => (clock, Some(false)),
            (_, Some(clock)) => (clock, Some(true)),
            _ => (clock, None),
        };
        let parts: Vec<i64> = clock.split(':').map(two_digits).collect::<Option<_>>()?;
        let (hour, minute, second) = match parts[..] {
            [hour] if afternoon.is_some() => (hour, 0, 0),
            [hour, minute] => (hour, minute, 0),
            [hour, minute, second] => (hour, minute, second),
            _ => return None,
        };
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let clock = hour * 3600 + minute * 60 + second;
        self.clock = Some(match afternoon {
            Some(afternoon) => half(clock, afternoon)?,
            None => clock,
        });
        if zone.is_empty() { Some(()) } else { self.zone(zone) }
    }

    /// `z`, `+0100`, `+01:00` after a time of day.
    fn zone(&mut self, field: &str) -> Option<()> {
        self.clock?;
        if field == "z" {
            self.offset = Some(0);
            return Some(());
        }
        let (sign, digits) = match field.split_at_checked(1)? {
            ("+", digits) => (1, digits),
            ("-", digits) => (-1, digits),
            _ => return None,
        };
        let digits = digits.replace(':', "");
        let (hours, minutes) = digits.split_at_checked(2).filter(|_| digits.len() == 4)?;
        self.offset = Some(sign * (two_digits(hours)? * 3600 + two_digits(minutes)? * 60));
        Some(())
    }

    /// A number, perhaps with its unit; alone it waits for what it counts, unless a month came before.
    fn number(&mut self, field: &str) -> Option<Option<i64>> {
        let end = field.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(field.len());
        let (digits, unit) = field.split_at(end);
        let value: i64 = digits.parse::<i32>().ok()?.into();
        if !unit.is_empty() {
            return self.relative(value, unit).map(|()| None);
        }
        match (self.month, self.day, self.year) {
            (Some(_), None, _) => self.day = Some(value.try_into().ok()?),
            (Some(_), Some(_), None) if value >= 1000 => self.year = Some(value),
            _ => return Some(Some(value)),
        }
        Some(None)
    }

    /// What a number stands before: a month, whose day it is, or a unit.
    fn after_number(&mut self, number: i64, field: &str) -> Option<()> {
        match named(&MONTHS, field) {
            Some(month) => {
                (self.month, self.day) = (Some(month), Some(number.try_into().ok()?));
                Some(())
            }
            None => self.relative(number, field),
        }
    }

    fn relative(&mut self, count: i64, unit: &str) -> Option<()> {
        let singular = unit.strip_suffix('s').unwrap_or(unit);
        match singular {
            "month" => self.months += count,
            "year" => self.months += count.checked_mul(12)?,
            _ => {
                let (_, length) = UNITS.iter().find(|(name, _)| *name == singular)?;
                self.seconds = self.seconds.checked_add(count.checked_mul(*length)?)?;
            }
        }
        Some(())
    }

    fn time(self, context: &Context<'_>, wall: Time) -> Option<Time> {
        let (year, month, day, ..) = wall.civil();
        let clock = match (self.clock, self.day) {
            (Some(clock), _) => clock,
            (None, Some(_)) => 0,
            (None, None) => wall.seconds().rem_euclid(DAY),
        };
        let date = match (self.month, self.day) {
            (Some(month), Some(day)) => Time::from_civil(self.year.unwrap_or(year), month, day, 0, 0, 0)?,
            (None, None) => Time::from_civil(year, month, day, 0, 0, 0)?,
            _ => return None,
        };
        let wall = later(date, self.months)? + clock + self.seconds;
        match self.offset {
            Some(offset) => Some(wall - offset),
            None => context.zone.time(wall),
        }
    }
}

/// The same day so many months later, or the last one of that month.
fn later(date: Time, months: i64) -> Option<Time> {
    let (year, month, day, ..) = date.civil();
    let count = year.checked_mul(12)?.checked_add(i64::from(month) - 1)?.checked_add(months)?;
    let (year, month) = (count.div_euclid(12), u8::try_from(count.rem_euclid(12) + 1).ok()?);
    (28..=31).rev().map(|last| day.min(last)).find_map(|day| Time::from_civil(year, month, day, 0, 0, 0))
}

/// A time of a twelve-hour clock.
fn half(clock: i64, afternoon: bool) -> Option<i64> {
    let hour = clock / 3600;
    (1..=12).contains(&hour).then(|| clock - hour * 3600 + (hour % 12 + if afternoon { 12 } else { 0 }) * 3600)
}

/// The place of a name, or its first three letters, among `names`, counted from 1.
fn named(names: &[&str], word: &str) -> Option<u8> {
    let word = word.strip_suffix('.').unwrap_or(word);
    let index = names.iter().position(|name| *name == word || (word.len() == 3 && name.starts_with(word)))?;
    u8::try_from(index + 1).ok()
}

fn two_digits(text: &str) -> Option<i64> {
    ((1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}
