//! The difference between a KDC's clock and the caller's (RFC 4120 3.1.5, MIT's `kdc_timesync`).

use crate::time::Instant;

/// How far a KDC's clock is ahead of ours; negative if it is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockOffset {
    micros: i64,
}

impl ClockOffset {
    /// The offset of seconds and microseconds, as a credential cache keeps it.
    pub fn new(seconds: i32, micros: i32) -> ClockOffset {
        ClockOffset { micros: i64::from(seconds) * 1_000_000 + i64::from(micros) }
    }

    /// The offset of a clock that shows `theirs` when ours shows `ours`.
    pub fn between(theirs: Instant, ours: Instant) -> ClockOffset {
        ClockOffset { micros: theirs.as_micros().saturating_sub(ours.as_micros()) }
    }

    /// What the KDC's clock shows when ours shows `ours`.
    #[must_use]
    pub fn apply(self, ours: Instant) -> Instant {
        Instant::from_micros(ours.as_micros().saturating_add(self.micros))
    }

    /// Seconds and microseconds, as a credential cache keeps them; `None` beyond 68 years.
    pub fn parts(self) -> Option<(i32, i32)> {
        let seconds = i32::try_from(self.micros / 1_000_000).ok()?;
        Some((seconds, (self.micros % 1_000_000) as i32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    #[test]
    fn an_offset_survives_the_credential_cache() {
        for micros in [-1_500_000, -1, 0, 7, 300_000_001] {
            let offset = ClockOffset { micros };
            let (seconds, rest) = offset.parts().unwrap();
            assert_eq!(ClockOffset::new(seconds, rest), offset);
        }
    }

    #[test]
    fn an_offset_applied_to_our_clock_is_the_kdcs() {
        let ours = Instant { time: Time(1000), micros: 900_000 };
        let theirs = Instant { time: Time(702), micros: 100_000 };
        assert_eq!(ClockOffset::between(theirs, ours).apply(ours), theirs);
    }

    #[test]
    fn a_clock_at_the_end_of_time_overflows_nothing() {
        let end = Instant { time: Time(i64::MAX), micros: 999_999 };
        let offset = ClockOffset::between(end, Instant { time: Time(i64::MIN), micros: 0 });
        assert_eq!(offset.parts(), None);
        assert!(offset.apply(end) >= Instant::default());
    }
}
