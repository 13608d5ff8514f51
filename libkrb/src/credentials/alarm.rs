//! Waiting for a time of the clock.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::net::Transport;
use crate::time::Instant;

/// Wakes the background task. The system's is used unless a program brings its own, as tests do that
/// hold the clock in hand ([`Transport::with_clock`]).
pub trait Alarm: Send + Sync {
    /// Returns when the clock shows this time, or soon after.
    fn at<'a>(&'a self, time: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// The clock is looked at this often while one waits: it may be set, and a machine may sleep.
const LOOK: Duration = Duration::from_secs(30);

/// Tokio's timer, by the transport's clock.
pub(super) struct Timer(pub(super) Transport);

impl Alarm for Timer {
    fn at<'a>(&'a self, time: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            loop {
                let left = time.as_micros().saturating_sub(self.0.now().as_micros());
                match u64::try_from(left) {
                    Ok(left @ 1..) => tokio::time::sleep(Duration::from_micros(left).min(LOOK)).await,
                    _ => return,
                }
            }
        })
    }
}
