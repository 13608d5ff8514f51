//! The time zone in which an administrator reads and writes dates. Wall time is the local date and
//! time as if it were UTC.

use chrono::{DateTime, Local, NaiveDateTime, Offset, TimeZone};
use libkrb::Time;

/// A time zone.
pub trait Zone {
    /// What the clock on the wall shows at `time`.
    fn wall(&self, time: Time) -> Time;
    /// When the clock on the wall shows `wall`; the first time, if it does so twice. `None` for an
    /// hour that is left out.
    fn time(&self, wall: Time) -> Option<Time>;
    /// The zone's name at `time` ("UTC", "+02:00").
    fn name(&self, time: Time) -> String;
}

/// The zone of the system, or of the variable `TZ`.
pub struct LocalZone;

impl Zone for LocalZone {
    fn wall(&self, time: Time) -> Time {
        offset(time).map_or(time, |offset| time + offset)
    }

    fn time(&self, wall: Time) -> Option<Time> {
        let naive = DateTime::from_timestamp(wall.seconds(), 0)?.naive_utc();
        Some(Time(local(&naive)?.timestamp()))
    }

    fn name(&self, time: Time) -> String {
        match offset(time).unwrap_or(0) {
            0 => "UTC".into(),
            seconds => format!(
                "{}{:02}:{:02}",
                if seconds < 0 { '-' } else { '+' },
                seconds.abs() / 3600,
                seconds.abs() / 60 % 60
            ),
        }
    }
}

fn offset(time: Time) -> Option<i64> {
    let naive = DateTime::from_timestamp(time.seconds(), 0)?.naive_utc();
    Some(Local.offset_from_utc_datetime(&naive).fix().local_minus_utc().into())
}

fn local(naive: &NaiveDateTime) -> Option<DateTime<Local>> {
    Local.from_local_datetime(naive).earliest()
}
