//! What was answered to requests that may come again, over another KDC too: put in the transaction that it is
//! of, under a lease, so that etcd forgets it by itself. Not here: what such an answer is (`admin`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use zeroize::Zeroizing;

use super::Etcd;
use super::client::{Client, Trouble, refused};
use super::layout::Layout;
use super::wire::{Op, PutRequest, RangeRequest, Step};
use crate::core::StoreError;
use crate::core::store::Answered;
use crate::store::MasterKey;
use crate::store::seal::{answer_context, answer_is_shut};

/// How long etcd is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Seconds for which an answer is kept at most; the lease is another one after half of it.
const KEPT: u64 = 1200;

/// The lease under which answers are put at present.
#[derive(Default)]
pub struct Answers {
    lease: Mutex<Option<(i64, Instant)>>,
}

impl Answers {
    /// The rows of answers.
    ///
    /// # Errors
    /// When an answer can't be sealed.
    pub fn rows(&self, layout: &Layout, answers: &[&Answered], master: &MasterKey) -> Result<Vec<Op>, StoreError> {
        let Some(lease) = self.lease().map(|(lease, _)| lease).or(answers.is_empty().then_some(0)) else {
            return Err(StoreError::ReadOnly("read-only: etcd has given no lease for an answer yet; try again".into()));
        };
        let row = |answered: &&Answered| {
            let (version, sealed) = master.seal(&answered.octets, &answer_context(&answered.request))?;
            let value = [&version.to_be_bytes()[..], &sealed].concat();
            Ok(Step::Put(PutRequest { key: layout.answer(&answered.request)?, value, lease }).into())
        };
        answers.iter().map(row).collect()
    }

    /// Sees to it that there is a lease.
    pub async fn prepare(&self, client: &Client) -> Result<(), Trouble> {
        let young = |(_, made): &(i64, Instant)| made.elapsed() < Duration::from_secs(KEPT / 2);
        if self.lease().filter(young).is_none() {
            let made = Instant::now();
            let lease = client.lease(KEPT as i64, PATIENCE).await?;
            *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = Some((lease, made));
        }
        Ok(())
    }

    /// The lease may be gone, as after a restore.
    pub fn forget(&self) {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The lease, and when it was made. One that grows old while a commit waits is good for that commit still.
    fn lease(&self) -> Option<(i64, Instant)> {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Etcd {
    /// What was answered to a request by now, over whichever KDC it came.
    pub(super) fn remembered(&self, request: &[u8; 32]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let (client, key) = (Arc::clone(&self.changer.client), self.changer.layout.answer(request)?);
        let ask = RangeRequest { key, ..RangeRequest::default() };
        let found = self.wait_for(async move { client.range(ask, PATIENCE).await });
        let found = found.ok_or_else(super::ending)?.map_err(refused)?;
        let Some((version, sealed)) = found.kvs.first().and_then(|kv| kv.value.split_first_chunk()) else {
            return Ok(None);
        };
        let master = self.copy().master.load();
        let opened = master.open(u32::from_be_bytes(*version), sealed, &answer_context(request));
        opened.map(Some).ok_or_else(answer_is_shut)
    }
}

#[cfg(test)]
mod tests {
    use libkrb::Time;

    use super::*;

    #[test]
    fn no_answer_is_put_for_ever_though_its_lease_grows_old_while_it_waits() {
        let master = MasterKey::ephemeral().expect("random");
        let answered = Answered { request: [7; 32], at: Time(1), octets: Zeroizing::new(b"the keys".to_vec()) };
        let rows = |answers: &Answers| answers.rows(&Layout::below("/kdc/R"), &[&answered], &master);
        let made = Instant::now().checked_sub(Duration::from_secs(KEPT / 2 + 1)).expect("a machine that runs a while");
        let old = Answers { lease: Mutex::new(Some((5, made))) };
        let rows_of_old = rows(&old).expect("sealed");
        let [Op { step: Some(Step::Put(put)) }] = &rows_of_old[..] else { panic!("one row") };
        assert_eq!(put.lease, 5);
        assert!(rows(&Answers::default()).is_err(), "nor where there is none");
    }
}
