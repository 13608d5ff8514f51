//! New keys of those whose tickets KDCs open themselves: first they are announced, and on all KDCs that live;
//! then they are used. So no client brings a ticket to a KDC that lacks its key. Who is silent for as long as
//! a lease does not live, and says itself what it lacks. Not here: keys that turn over by the clock, which
//! are announced for hours (`rotation`).

use std::time::Duration;

use libkrb::Time;
use tokio::time::{Instant, timeout_at};

use super::Changer;
use super::client::{Client, Trouble, refused};
use super::layout::{Kind, Layout, Presence, put};
use super::pulse::{LEASE, living};
use crate::core::{Change, Entry, KeySet, Store, StoreError};

/// Seconds after which announced keys come into use although nobody said so: whoever was to do that is gone. More
/// than clocks may differ, or a KDC whose clock is fast would use them before others have them.
const HOLD: i64 = 360;
/// How long all KDCs are waited for: until who is gone counts as gone, and a little more.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 3 } else { LEASE as u64 + 5 });

impl Changer {
    /// What is to be announced before these changes are made: the entries as they are, with new keys that
    /// are not in use yet.
    pub(super) fn ahead(&self, changes: &[Change]) -> Result<Vec<Entry>, StoreError> {
        let mut ahead = vec![];
        for change in changes {
            if let Change::Replace(new) = change
                && is_opened_here(new)
                && let Some(old) = self.copy.lookup(&new.principal)?
            {
                ahead.extend(announced(&old, new, (self.clock)()));
            }
        }
        Ok(ahead)
    }

    /// Announces, waits until all that live have heard, and makes the changes onto that.
    pub(super) async fn one_after_the_other(
        &self,
        mut changes: Vec<Change>,
        ahead: Vec<Entry>,
    ) -> Result<(), StoreError> {
        let names: Vec<_> = ahead.iter().map(|entry| entry.principal.clone()).collect();
        let waits = put(self.layout.key(&Kind::Announced), vec![]);
        let revision = self.submit(ahead.into_iter().map(Change::Replace).collect(), vec![waits]).await?;
        self.all_have("the new keys", move |kdc| kdc.revision >= revision).await?;
        for change in &mut changes {
            if let Change::Replace(new) = change
                && names.contains(&new.principal)
            {
                // Whoever changed it in between is not to be lost.
                new.revision = u64::try_from(revision).unwrap_or_default();
            }
        }
        self.submit(changes, vec![]).await.map(drop)
    }

    /// Waits until every KDC that lives says so of itself.
    pub(super) async fn all_have(
        &self,
        what: &str,
        says: impl Fn(&Presence) -> bool + Send + Sync,
    ) -> Result<(), StoreError> {
        let laggards = laggards(&self.client, &self.layout, says).await.map_err(refused)?;
        if laggards.is_empty() {
            return Ok(());
        }
        let next = "see `kdc status --realm`, mend or end it, and try again";
        Err(StoreError::Storage(format!("not in use yet: {} has not taken over {what}; {next}", laggards.join(", "))))
    }
}

/// Those that live and have not said so in time.
async fn laggards(client: &Client, layout: &Layout, says: impl Fn(&Presence) -> bool) -> Result<Vec<String>, Trouble> {
    let deadline = Instant::now() + PATIENCE;
    let mut watch = None;
    loop {
        let now = living(client, layout).await?;
        let late: Vec<_> = now.kdcs.iter().map(|(_, kdc)| kdc).filter(|kdc| !says(kdc)).collect();
        if late.is_empty() || Instant::now() >= deadline {
            return Ok(late.iter().map(|kdc| format!("{} (process {})", kdc.host, kdc.pid)).collect());
        }
        let mut news = match watch.take() {
            Some(news) => news,
            None => client.watch(layout.lives(now.at.saturating_add(1))).await?,
        };
        // What it says, or that it ended, is looked at above.
        watch = match timeout_at(deadline, news.next()).await {
            Ok(Ok(_)) => Some(news),
            _ => None,
        };
    }
}

/// Whether KDCs open tickets for it: the realm's ticket-granting service, and what is asked of KDCs beside.
fn is_opened_here(entry: &Entry) -> bool {
    let first = entry.principal.components().first().map(|part| &**part);
    entry.principal.is_local_tgs() || first == Some("kadmin")
}

/// The old entry with the keys that the new one seals with, in use later; `None` where it has these.
fn announced(old: &Entry, new: &Entry, now: Time) -> Option<Entry> {
    let seals = new.current(now)?;
    let newest = old.newest()?;
    if seals.kvno <= newest.kvno {
        return None;
    }
    let mut entry = Entry { revision: new.revision, ..old.clone() };
    entry.keys.insert(0, KeySet { from: now + HOLD, until: None, ..seals.clone() });
    Some(entry)
}

#[cfg(test)]
mod tests {
    use libkrb::Principal;

    use super::*;

    const NOW: Time = Time(1_000_000);

    fn krbtgt(sets: &[(u32, Time)]) -> Entry {
        let mut entry = Entry::new(Principal::tgs("R"), [0; 16], NOW, "");
        entry.keys = sets.iter().map(|(kvno, from)| KeySet { from: *from, ..KeySet::new(*kvno, vec![]) }).collect();
        entry
    }

    #[test]
    fn keys_that_would_be_used_at_once_are_announced_first_and_those_that_are_known_are_not() {
        let (old, at_once) = (krbtgt(&[(1, Time::EPOCH)]), krbtgt(&[(2, Time::EPOCH)]));
        let entry = announced(&old, &at_once, NOW).expect("new keys");
        let kvnos: Vec<_> = entry.keys.iter().map(|set| (set.kvno, set.from)).collect();
        assert_eq!(kvnos, [(2, NOW + HOLD), (1, Time::EPOCH)]);
        assert_eq!(entry.current(NOW).map(|set| set.kvno), Some(1), "the old ones seal, and are there still");
        assert_eq!(entry.current(NOW + HOLD).map(|set| set.kvno), Some(2));
        assert!(announced(&entry, &at_once, NOW).is_none(), "they are known");
        let later = krbtgt(&[(2, NOW + 3600), (1, Time::EPOCH)]);
        assert!(announced(&old, &later, NOW).is_none(), "the clock puts them in use");
        let users = Entry::new(Principal::parse("alice@R", None).expect("a name"), [0; 16], NOW, "");
        assert!(is_opened_here(&old) && !is_opened_here(&users));
    }
}
