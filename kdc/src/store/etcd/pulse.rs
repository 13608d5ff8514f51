//! Asks etcd, again and again, which commit is the last, in a way that only a majority can answer: so a
//! KDC knows from when its copy is, even where a watch has silently died, and that changes could be
//! made. And says that this KDC lives, for as long as its lease. Not here: what is changed.

use std::sync::Arc;
use std::time::Duration;

use libkrb::Time;
use prost::Message;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::client::{Client, Trouble};
use super::layout::{Head, Kind, Layout, Presence, plain};
use super::standing::{Applied, Progress};
use super::wire::{Op, PutRequest, RangeRequest, Step, TxnRequest};
use crate::core::store::{Member, Members};

/// How often.
const BEAT: Duration = Duration::from_millis(500);
/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the watch may lag behind what etcd says.
const LAGS: Duration = Duration::from_secs(2);
/// Seconds after which a KDC that is silent counts as gone.
pub const LEASE: i64 = 10;
/// Beats after which it says anew how far it is. In tests none comes: they would not notice that it did not say
/// so at once.
const SAYS: u32 = if cfg!(test) { 120 } else { 4 };

/// Measures how old the copy is.
pub struct Pulse {
    pub client: Arc<Client>,
    pub layout: Layout,
    pub progress: Arc<Progress>,
}

impl Pulse {
    /// Asks for ever.
    pub async fn beat(self) {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            if let Err(trouble) = self.once().await {
                self.progress.away(trouble.to_string());
            }
        }
    }

    async fn once(&self) -> Result<(), Trouble> {
        let mut applied = self.progress.applied();
        // At first all there is has to be read.
        let _ = timeout(PATIENCE, applied.wait_for(|applied| applied.revision > 0)).await;
        let (begun, before) = (Instant::now(), *applied.borrow_and_update());
        let answer = self.client.range(self.layout.one(&Kind::Head), PATIENCE).await?;
        let header = answer.header.unwrap_or_default();
        let Some(last) = answer.kvs.into_iter().next() else {
            return Err(Trouble::Refused(format!("there is no realm at {}", self.layout.prefix())));
        };
        if before.revision == 0 {
            return Ok(());
        }
        let seen = timeout(LAGS, applied.wait_for(|applied| applied.revision >= last.modified)).await;
        let of_this = |now: &Applied| now.cluster == header.cluster && now.revision >= before.revision;
        let seen = matches!(seen, Ok(Ok(now)) if of_this(&now));
        // If it has gone on since, what it was then was heard of when it was taken over.
        let onwards = Head::read(&last.value).is_some_and(|head| self.progress.is_onwards(&before.head, &head));
        match seen && onwards && header.revision >= before.revision {
            // Nothing was committed between the last commit and that answer.
            true => self.progress.whole(begun, header.revision),
            false => self.progress.again.notify_one(),
        }
        Ok(())
    }
}

/// Says that this KDC lives.
pub struct Lives {
    pub client: Arc<Client>,
    pub layout: Layout,
    pub progress: Arc<Progress>,
    /// Its own key below the prefix.
    pub id: String,
    /// What it says of itself, whenever it does.
    pub says: Box<dyn Fn() -> Presence + Send + Sync>,
}

impl Lives {
    /// Says so for ever: again and again, and at once when others wait for it.
    pub async fn say(self) {
        let mut beats = interval(BEAT * SAYS);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut lease, mut said, mut unsure) = (0, Vec::new(), false);
        loop {
            let beat = tokio::select! {
                biased;
                _ = beats.tick() => true,
                () = self.progress.tell.notified() => false,
            };
            let done = self.once(&mut lease, &mut said, beat || unsure).await;
            unsure = done.is_err();
            if let Err(trouble) = &done {
                tracing::debug!(%trouble, "the cluster is not told that this KDC lives");
            }
            // What is said bears the time, so that something is put each time.
            match done {
                Ok(()) => self.progress.takes(None),
                // What was said before stands there for as long as its lease is kept.
                Err(trouble @ Trouble::Refused(_)) => self.progress.takes(Some(format!("read-only: {trouble}"))),
                // Whoever measures the copy's age finds that out.
                Err(_) => lease = 0,
            }
        }
    }

    async fn once(&self, lease: &mut i64, said: &mut Vec<u8>, beat: bool) -> Result<(), Trouble> {
        if *lease == 0 || (beat && !self.client.keep(*lease).await?) {
            *lease = self.client.lease(LEASE, PATIENCE).await?;
            said.clear();
        }
        let revision = self.progress.applied().borrow().revision;
        let new = Presence { revision, ..(self.says)() }.encode_to_vec();
        if new != *said {
            let put = Step::Put(PutRequest { key: self.layout.kdc(&self.id), value: new.clone(), lease: *lease });
            let success = vec![Op::from(put)];
            self.client.txn(TxnRequest { success, ..TxnRequest::default() }, PATIENCE).await?;
            *said = new;
        }
        Ok(())
    }
}

/// The KDCs that live.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Living {
    /// The revision of the realm's last change.
    pub newest: i64,
    /// The revision at which they were looked at.
    pub at: i64,
    /// Who they are, by a name of their own.
    pub kdcs: Vec<(String, Presence)>,
}

impl From<Living> for Members {
    fn from(living: Living) -> Self {
        let member = |(id, kdc): (String, Presence)| {
            let Presence { host, version, revision, started, pid, addresses, master, now, passwords, .. } = kdc;
            let (started, now) = (Time(started), Time(now));
            let tgs_key = (kdc.tgs_kvno > 0).then_some((kdc.tgs_kvno, Time(kdc.tgs_made)));
            Member { id, host, version, pid, started, addresses, passwords, revision, master, tgs_key, now }
        };
        Members { newest: living.newest, kdcs: living.kdcs.into_iter().map(member).collect() }
    }
}

/// The KDCs that live.
pub async fn living(client: &Client, layout: &Layout) -> Result<Living, Trouble> {
    let head = client.range(layout.one(&Kind::Head), PATIENCE).await?;
    let newest = head.kvs.first().map_or(0, |kv| kv.modified);
    let (key, end) = layout.kdcs();
    let skip = key.len();
    let answer = client.range(RangeRequest { key, end, ..RangeRequest::default() }, PATIENCE).await?;
    let at = answer.header.as_ref().map_or(0, |header| header.revision);
    let kdcs = answer.kvs.into_iter().filter_map(|kv| {
        let id = plain(std::str::from_utf8(kv.key.get(skip..)?).ok()?);
        Some((id, Presence::read(&kv.value)?))
    });
    Ok(Living { newest, at, kdcs: kdcs.collect() })
}
