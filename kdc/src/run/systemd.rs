//! What the service manager is told (`sd_notify`): ready, reloading, ending, alive. Without one,
//! nothing happens here.

use std::future::Future;
use std::time::Duration;

use sd_notify::NotifyState;

/// It serves.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// It reads its settings again, or lets a new process take over; [`ready`] ends that.
pub fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// It ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says that the process lives, as often as the manager wants to hear it, for as long as `lives` says
/// so. Pending for ever when it does not want to.
pub async fn watchdog<F: Future<Output = bool>>(lives: impl Fn() -> F) {
    let Some(period) = sd_notify::watchdog_enabled().filter(|period| !period.is_zero()) else {
        return std::future::pending().await;
    };
    beat(period, lives, || tell(&[NotifyState::Watchdog])).await
}

async fn beat<F: Future<Output = bool>>(period: Duration, lives: impl Fn() -> F, tell: impl Fn()) {
    let mut beats = tokio::time::interval(period / 2);
    loop {
        beats.tick().await;
        if lives().await {
            tell();
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager can't be told");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn the_dog_hears_of_life_and_nothing_of_death() {
        let (told, checked, over) = (AtomicU32::new(0), AtomicU32::new(0), tokio::sync::Notify::new());
        let lives = || async {
            let before = checked.fetch_add(1, Ordering::Relaxed);
            if before == 9 {
                over.notify_one();
            }
            before < 5
        };
        let tell = || {
            told.fetch_add(1, Ordering::Relaxed);
        };
        tokio::select! {
            () = beat(Duration::from_millis(2), lives, tell) => {}
            () = over.notified() => {}
        }
        assert_eq!(told.into_inner(), 5);
    }
}
