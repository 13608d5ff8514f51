//! What breaks meanwhile, one thing after the other, evenly spread over the time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::market::{ADS, GATEWAY, Market, USERS};
use crate::tally::Tally;

type Disturb = fn(&Market);

/// One thing that breaks, a row.
const ALL: [(&str, Disturb); 5] = [
    ("the ad service gets a new key", |market| market.change_key("ad-service", ADS)),
    ("the KDC is killed, and back after a second", |market| market.restart_kdc(a_second)),
    ("the gateways get a new key", |market| market.change_key("gateway", GATEWAY)),
    ("Redis is restarted", |market| market.restart_redis(|| ())),
    ("the user service gets a new key", |market| market.change_key("user-service", USERS)),
];

/// How many kinds there are.
pub const KINDS: usize = ALL.len();

/// Between two of them in a long run; a short one has each once.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

fn a_second() {
    std::thread::sleep(Duration::from_secs(1));
}

pub struct Disturbances {
    pub market: Arc<Market>,
    pub tally: Arc<Tally>,
}

impl Disturbances {
    /// Disturbs until shortly before the end: the last one is to be got over.
    pub async fn spread_until(self, end: Instant) {
        let begin = Instant::now();
        let pause = (end.duration_since(begin) / (KINDS as u32 + 1)).min(LONGEST_PAUSE);
        let mut next = begin + pause;
        for (what, disturb) in ALL.iter().cycle() {
            if next + pause > end + Duration::from_millis(1) {
                return;
            }
            sleep_until(next).await;
            let market = Arc::clone(&self.market);
            tokio::task::spawn_blocking(move || disturb(&market)).await.expect("a disturbance");
            self.tally.disturbed(what);
            next += pause;
        }
    }
}
