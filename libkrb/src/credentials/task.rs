//! The background tasks: one sees to the next ticket-granting ticket, one looks after the file. They
//! end with the last clone of the credentials.

use std::sync::Arc;

use super::Inner;
use super::origin::{Backing, Looker};
use super::pace::LEAST_POLL;
use super::state::Failure;
use crate::crypto::OsRandom;
use crate::time::Instant;

/// Gets ticket-granting tickets when they are due.
pub(super) async fn renew(inner: Arc<Inner>) {
    loop {
        let due = async {
            match inner.board.next() {
                Some(next) => inner.alarm.at(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            // Somebody who wanted a ticket was faster, or a new keytab is a reason to try again.
            () = inner.board.rescheduled.notified() => continue,
        }
        let reloads = || inner.board.state().origin.reloads;
        let before = reloads();
        // What it comes to is written on the board, and with it when to try again.
        if inner.client.refresh().await.is_err() && reloads() != before {
            // It was made with the keys of before.
            inner.client.forgive();
            inner.board.hurry();
        }
    }
}

/// Looks after the file now and then, and at once when there is a reason. It was read at `last`.
pub(super) async fn watch(inner: Arc<Inner>, mut last: Instant) {
    let Some(wish) = inner.origin.wish() else { return };
    let looker = Looker { client: &inner.client, board: &inner.board };
    loop {
        let closely = tokio::select! {
            () = inner.alarm.at(inner.pace.next_look(last)) => false,
            () = wish.notified() => {
                // Strangers can make us look by tickets that are none.
                let least = i64::try_from(LEAST_POLL.as_micros()).unwrap_or(i64::MAX);
                inner.alarm.at(Instant::from_micros(last.as_micros().saturating_add(least))).await;
                true
            }
        };
        last = inner.client.transport().now();
        inner.origin.look(&looker, closely).await;
    }
}

/// Keeps the keytab up with the keys that the KDC announces.
pub(super) async fn fetch(inner: Arc<Inner>) {
    let (Some(every), Backing::Keytab(keytab)) = (inner.fetching, &*inner.origin) else { return };
    let transport = inner.client.transport();
    loop {
        let (mut added, mut problem) = (0, None);
        let principals = keytab.keys().current().principals();
        for principal in principals {
            match transport.renew_keytab(keytab.name(), &principal).await {
                Ok(new) => added += new,
                Err(error) => problem = Some(Failure { at: transport.now().time, error }),
            }
        }
        if added > 0 {
            keytab.look.notify_one();
        }
        let (now, failed) = (transport.now(), problem.is_some());
        inner.board.origin(|origin| {
            origin.fetched = if problem.is_none() { Some(now.time) } else { origin.fetched };
            origin.fetch_problem = problem;
        });
        let next = inner.pace.next_fetch(now, every, failed, &mut OsRandom::new());
        inner.alarm.at(next).await;
    }
}
