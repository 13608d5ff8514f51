//! The background tasks: one sees to the next ticket-granting ticket, one looks after the file. They
//! end with the last clone of the credentials.

use std::sync::Arc;

use super::Inner;
use super::origin::Looker;
use super::pace::LEAST_POLL;
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
