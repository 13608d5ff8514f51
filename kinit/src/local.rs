//! The time of day, and times as MIT prints them: local time, in a format of the locale.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{Local, TimeZone};
use libkrb::Time;

/// Now.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// The local date and time of day, as if it were UTC.
pub(crate) fn wall() -> Time {
    Time(Local::now().naive_local().and_utc().timestamp())
}

/// The time at which a clock on the wall here shows `wall`; none where the hour was skipped.
pub(crate) fn from_wall(wall: Time) -> Option<Time> {
    let shown = chrono::DateTime::from_timestamp(wall.seconds(), 0)?.naive_utc();
    Local.from_local_datetime(&shown).earliest().map(|time| Time(time.timestamp()))
}

/// How times are printed. MIT takes the first of its formats that fits into its columns: in the C
/// locale a year of two digits, elsewhere one of four (`en_US`).
#[derive(Clone, Copy)]
pub(crate) struct Format {
    pattern: &'static str,
    /// How many columns a time fills.
    pub(crate) width: usize,
}

/// The columns of klist.
pub(crate) fn long() -> Format {
    match locale_is_c() {
        true => Format { pattern: "%m/%d/%y %H:%M:%S", width: 17 },
        false => Format { pattern: "%m/%d/%Y %H:%M:%S", width: 19 },
    }
}

/// The columns of ktutil, which has room for 17.
pub(crate) fn short() -> Format {
    match locale_is_c() {
        true => long(),
        false => Format { pattern: "%m/%d/%Y %H:%M", width: 17 },
    }
}

impl Format {
    /// The time in its columns.
    pub(crate) fn show(self, time: Time) -> String {
        let mut text = String::new();
        if let Some(local) = Local.timestamp_opt(time.seconds(), 0).earliest() {
            let _ = write!(text, "{}", local.format(self.pattern));
        }
        format!("{text:<width$}", width = self.width)
    }
}

fn locale_is_c() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_TIME", "LANG"].into_iter().find_map(set).unwrap_or_default();
    matches!(locale.split(['.', '@']).next(), None | Some("" | "C" | "POSIX"))
}
