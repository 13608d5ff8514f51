//! When to do what: renewal before the end, retries after failures, each with jitter, so that the
//! replicas of a service do not all ask at once. Pure.

use std::time::Duration;

use crate::crypto::Random;
use crate::time::Instant;

/// How often things are done. The defaults suit a service with a few replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How often the keytab or the credential cache on disk is looked at; between a second and an
    /// hour. A ticket under an unknown key has the keytab looked at at once.
    pub poll: Duration,
    /// How long to wait after a first failure to get a ticket; it doubles with each further one.
    pub first_retry: Duration,
    /// Where that ends.
    pub last_retry: Duration,
    /// For how long a refusal of the KDC counts before it is asked again: that it does not know a
    /// service, or does not take our proof.
    pub refusals: Duration,
    /// For how long keys that vanished from the keytab go on to open tickets: at least the longest
    /// life of a ticket in the realm. Zero after a key was stolen.
    pub keep_keys: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            poll: Duration::from_secs(15),
            first_retry: Duration::from_secs(1),
            last_retry: Duration::from_secs(60),
            refusals: Duration::from_secs(10),
            keep_keys: Duration::from_secs(25 * 3600),
        }
    }
}

/// The keytab is not looked at more often than this, whatever tickets a stranger sends.
pub(super) const LEAST_POLL: Duration = Duration::from_secs(1);

const LONGEST_POLL: Duration = Duration::from_secs(3600);

const LONGEST_RETRY: Duration = Duration::from_secs(24 * 3600);

/// Nothing is renewed sooner than this, however short tickets live.
const LEAST_LIFE: Duration = Duration::from_secs(1);

impl Pace {
    /// When the file is looked at next.
    pub(super) fn next_look(&self, now: Instant) -> Instant {
        after(now, self.poll.clamp(LEAST_POLL, LONGEST_POLL))
    }

    /// When keys are fetched from the KDC again, who shall do so every `every`: up to a tenth sooner, and
    /// soon after a failure.
    pub(super) fn next_fetch(&self, now: Instant, every: Duration, failed: bool, random: &mut dyn Random) -> Instant {
        const AFTER_FAILURE: Duration = Duration::from_secs(300);
        let every = every.clamp(LEAST_POLL, LONGEST_RETRY);
        let every = if failed { every.min(AFTER_FAILURE) } else { every };
        after(now, every.mul_f64(0.9 + 0.1 * fraction(random)))
    }

    /// When to get the next ticket while one is good for `left`: between six and eight tenths of that.
    pub(super) fn renewal(&self, now: Instant, left: Duration, random: &mut dyn Random) -> Instant {
        after(now, left.mul_f64(0.6 + 0.2 * fraction(random)).max(LEAST_LIFE))
    }

    /// When to try again after so many failures: the doubled time, or up to half less. Who was refused
    /// waits at least for as long as a refusal counts.
    pub(super) fn retry(&self, now: Instant, failures: u32, refused: bool, random: &mut dyn Random) -> Instant {
        let first = if refused { self.first_retry.max(self.refusals) } else { self.first_retry };
        let doubled = first.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1)));
        let longest = self.last_retry.max(first).clamp(LEAST_POLL, LONGEST_RETRY);
        after(now, doubled.clamp(LEAST_POLL, longest).mul_f64(1.0 - 0.5 * fraction(random)))
    }
}

/// Between 0 and 1.
fn fraction(random: &mut dyn Random) -> f64 {
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

fn after(now: Instant, delay: Duration) -> Instant {
    let micros = i64::try_from(delay.as_micros()).unwrap_or(i64::MAX);
    Instant::from_micros(now.as_micros().saturating_add(micros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::OsRandom;
    use crate::time::Time;

    /// The same byte again and again.
    struct Always(u8);

    impl Random for Always {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    const NOW: Instant = Instant { time: Time(1_800_000_000), micros: 0 };

    fn seconds(at: Instant) -> f64 {
        (at.as_micros() - NOW.as_micros()) as f64 / 1e6
    }

    #[test]
    fn a_ticket_is_renewed_between_six_and_eight_tenths_of_what_is_left() {
        let (pace, hour) = (Pace::default(), Duration::from_secs(3600));
        assert_eq!(seconds(pace.renewal(NOW, hour, &mut Always(0))), 2160.0);
        assert_eq!(seconds(pace.renewal(NOW, hour, &mut Always(255))), 2880.0);
        assert_eq!(seconds(pace.renewal(NOW, Duration::ZERO, &mut Always(0))), 1.0);
        let mut random = OsRandom::new();
        let times: Vec<_> = (0..100).map(|_| pace.renewal(NOW, hour, &mut random)).collect();
        assert!(times.iter().any(|time| *time != times[0]), "replicas do not ask at once");
    }

    #[test]
    fn retries_come_at_doubled_times_up_to_the_last() {
        let pace = Pace::default();
        for (failures, latest) in [(1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (4_000_000_000, 60.0)] {
            assert_eq!(seconds(pace.retry(NOW, failures, false, &mut Always(0))), latest);
            assert_eq!(seconds(pace.retry(NOW, failures, false, &mut Always(255))), latest / 2.0);
        }
        for (failures, latest) in [(1, 10.0), (2, 20.0), (10, 60.0)] {
            assert_eq!(seconds(pace.retry(NOW, failures, true, &mut Always(0))), latest);
        }
    }

    #[test]
    fn no_setting_makes_a_busy_loop() {
        let zero = Duration::ZERO;
        let pace = Pace { poll: zero, first_retry: zero, last_retry: zero, refusals: zero, keep_keys: zero };
        assert_eq!(seconds(pace.next_look(NOW)), 1.0);
        assert!(seconds(pace.retry(NOW, 1, false, &mut Always(255))) >= 0.5);
        let pace = Pace { poll: Duration::MAX, last_retry: Duration::MAX, first_retry: Duration::MAX, ..pace };
        assert_eq!(seconds(pace.next_look(NOW)), 3600.0);
        assert!(pace.retry(NOW, 9, false, &mut Always(0)) > NOW);
    }
}
