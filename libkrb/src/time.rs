//! Points in time as Kerberos knows them: whole seconds, UTC. Not a clock: callers bring the time.

use std::fmt;
use std::ops::{Add, Sub};

/// A `KerberosTime` (RFC 4120 5.2.3): seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// A span in whole seconds.
pub type Seconds = i64;

impl Time {
    /// 1970-01-01T00:00:00Z, which in requests means "as late as possible" (RFC 4120 3.1.3).
    pub const EPOCH: Time = Time(0);
    /// The last second that GeneralizedTime's four-digit year can name.
    pub const MAX: Time = Time(253_402_300_799);

    /// Seconds since 1970; negative before.
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// The absolute distance between two times, in seconds.
    pub fn distance(self, other: Time) -> Seconds {
        self.0.saturating_sub(other.0).saturating_abs()
    }

    /// Year, month, day, hour, minute, second in UTC.
    pub fn civil(self) -> (i64, u8, u8, u8, u8, u8) {
        let days = self.0.div_euclid(86_400);
        let second = self.0.rem_euclid(86_400) as u32;
        // Days to civil date in the proleptic Gregorian calendar, years starting in March.
        let shifted = days + 719_468;
        let (era, of_era) = match u32::try_from(shifted) {
            Ok(shifted) => (i64::from(shifted / 146_097), shifted % 146_097),
            Err(_) => (shifted.div_euclid(146_097), shifted.rem_euclid(146_097) as u32),
        };
        // From here on nothing is negative, nor larger than 32 bits hold, and what divides is a multiplication: tickets
        // have many times (C. Neri, L. Schneider, Euclidean affine functions, 2022).
        let (century, of_century) = ((4 * of_era + 3) / 146_097, (4 * of_era + 3) % 146_097 / 4);
        let year = u64::from(4 * of_century + 3) * 2_939_745;
        let of_year = year as u32 / 2_939_745 / 4;
        let month = 2_141 * of_year + 197_913;
        let (from_january, day) = (month >> 16, (month & 0xffff) / 2_141 + 1);
        let next = from_january > 12;
        let month = if next { from_january - 12 } else { from_january };
        let year = era * 400 + i64::from(100 * century) + (year >> 32) as i64 + i64::from(next);
        (year, month as u8, day as u8, (second / 3600) as u8, (second / 60 % 60) as u8, (second % 60) as u8)
    }

    /// The time of a UTC date; `None` when a part is out of its range.
    pub fn from_civil(year: i64, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> Option<Time> {
        const LENGTH: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let length = *LENGTH.get(usize::from(month).checked_sub(1)?)?;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = if month == 2 && !leap { 28 } else { length };
        // Second 60 is a leap second; POSIX time folds it into the next minute.
        if day == 0 || day > length || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let year = year - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let from_march = (i64::from(month) + 9) % 12;
        let of_year = (153 * from_march + 2) / 5 + i64::from(day) - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        let days = era * 146_097 + of_era - 719_468;
        Some(Time(days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)))
    }
}

impl Add<Seconds> for Time {
    type Output = Time;
    fn add(self, seconds: Seconds) -> Time {
        Time(self.0.saturating_add(seconds))
    }
}

impl Sub<Seconds> for Time {
    type Output = Time;
    fn sub(self, seconds: Seconds) -> Time {
        Time(self.0.saturating_sub(seconds))
    }
}

impl Sub for Time {
    type Output = Seconds;
    fn sub(self, other: Time) -> Seconds {
        self.0.saturating_sub(other.0)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day, hour, minute, second) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// A time with microseconds, as authenticators and KRB-ERROR carry it (`ctime` + `cusec`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    /// Whole seconds.
    pub time: Time,
    /// 0 to 999 999.
    pub micros: u32,
}

impl Instant {
    /// The instant `micros` microseconds after 1970.
    pub fn from_micros(micros: i64) -> Instant {
        Instant { time: Time(micros.div_euclid(1_000_000)), micros: micros.rem_euclid(1_000_000) as u32 }
    }

    /// Microseconds since 1970.
    pub fn as_micros(self) -> i64 {
        self.time.0.saturating_mul(1_000_000).saturating_add(i64::from(self.micros))
    }
}

impl From<Time> for Instant {
    fn from(time: Time) -> Instant {
        Instant { time, micros: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_dates_round_trip_from_long_before_the_year_0_to_long_after_the_last() {
        for days in (-1_000_000..3_000_000).step_by(379) {
            let time = Time(days * 86_400 + 12_345);
            let (y, mo, d, h, mi, s) = time.civil();
            assert_eq!(Time::from_civil(y, mo, d, h, mi, s), Some(time));
        }
    }

    #[test]
    fn impossible_dates_have_no_time() {
        assert_eq!(Time::from_civil(2026, 2, 29, 0, 0, 0), None);
        assert_eq!(Time::from_civil(2026, 13, 1, 0, 0, 0), None);
        assert_eq!(Time::from_civil(2026, 0, 1, 0, 0, 0), None);
        assert_eq!(Time::from_civil(2026, 1, 0, 0, 0, 0), None);
        assert_eq!(Time::from_civil(2026, 1, 1, 24, 0, 0), None);
    }

    #[test]
    fn times_print_as_iso_8601() {
        assert_eq!(Time(1_795_304_411).to_string(), "2026-11-21T23:40:11Z");
    }
}
