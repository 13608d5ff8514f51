//! The flea market under load while things break: callers by the dozen, and meanwhile services get new
//! keys, the KDC is killed and Redis is restarted. Nobody may be refused for good who has a right to
//! an answer, and nothing may be taken that was taken before.
//!
//! A caller who gets no answer, or one that says "not now" or "not with this", tries again after
//! [`callers::PAUSE`], [`callers::TRIES`] times in all. That is what clients of such a market have to
//! do, and it counts as success.
//!
//! `KRB_SOAK_SECONDS` and `KRB_SOAK_CALLERS` make it longer and harder: `just soak-services`.

mod callers;
mod disturbances;
mod market;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use callers::{Visitor, login};
use disturbances::Disturbances;
use market::Market;
use tally::Tally;
use tokio::task::JoinSet;
use tokio::time::Instant;

const SECONDS: u64 = 20;
const CALLERS: u64 = 64;
/// Who they are; the callers share their names.
const USERS: usize = 16;

#[test]
fn under_load_and_disturbances_nobody_is_refused_for_good_and_nothing_is_taken_twice() {
    let Some(market) = Market::open(&users()) else { return };
    let market = Arc::new(market);
    let tally = Arc::new(Tally::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(soak(&market, &tally));
    tests::tell(&format!("{tally}{}", market.memory()));
    market.assert_alive();
    tally.assert_good();
}

async fn soak(market: &Arc<Market>, tally: &Arc<Tally>) {
    let length = Duration::from_secs(number("KRB_SOAK_SECONDS", SECONDS));
    let count = usize::try_from(number("KRB_SOAK_CALLERS", CALLERS)).expect("a number of callers");
    let mut logged_in = vec![];
    for user in users() {
        let credentials = login(market, &user).await;
        logged_in.push((user, credentials));
    }
    let end = Instant::now() + length;
    let mut visitors = JoinSet::new();
    for index in 0..count {
        visitors.spawn(Visitor::new(market, tally, index, &logged_in).visit_until(end));
    }
    let disturbances = Disturbances { market: Arc::clone(market), tally: Arc::clone(tally) };
    let disturbing = tokio::spawn(disturbances.spread_until(end));
    while let Some(visited) = visitors.join_next().await {
        visited.expect("a visitor");
    }
    disturbing.await.expect("the disturbances");
}

fn users() -> Vec<String> {
    (0..USERS).map(|number| format!("user{number}")).collect()
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}
