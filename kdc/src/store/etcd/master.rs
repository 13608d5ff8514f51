//! The master key of a realm with several KDCs, rolled over while they serve: its next version is put into
//! etcd, sealed under the present one; every KDC that hears of it adds it to its own file; when all that
//! live have it, the realm says that it seals from now on, and records are sealed anew; when none is under
//! the old version any more, each KDC takes that out of its file. How far it has come follows from what
//! stands in etcd, so each step can be cut short and repeated. Not here: files (`seal`).

use std::sync::Arc;
use std::time::Duration;

use libkrb::Principal;
use prost::Message;

use super::client::{Client, Trouble, refused};
use super::layout::{Kind, Layout, Realm, put};
use super::wire::{Compare, DeleteRequest, RangeRequest, TxnRequest};
use super::{Etcd, look};
use crate::core::{Change, Store, StoreError};
use crate::store::redb::CHECK;
use crate::store::{MasterKey, Redb, Resealed};

/// How long etcd is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Records that are sealed anew in one commit.
const PAGE: usize = 50;
/// How often somebody else may be quicker.
const TRIES: usize = 20;

/// What a version of the master key is bound to while another one seals it.
fn context(version: u32) -> Vec<u8> {
    [b"master key ".as_slice(), &version.to_be_bytes()].concat()
}

/// The version that sealed these octets, which stands before them.
pub fn sealed_by(octets: &[u8]) -> Option<u32> {
    octets.first_chunk().map(|version| u32::from_be_bytes(*version))
}

/// The master key with the versions that the realm has and its file has not yet, where they open.
///
/// # Errors
/// When etcd does not answer.
pub async fn completed(client: &Client, layout: &Layout, mut master: MasterKey) -> Result<MasterKey, Trouble> {
    for (version, octets) in announced(client, layout).await? {
        match added(&master, version, &octets) {
            Ok(more) => master = more.unwrap_or(master),
            Err(error) => tracing::error!(%error, version, "a version of the master key can't be kept"),
        }
    }
    Ok(master)
}

/// The versions that are being handed round.
pub async fn announced(client: &Client, layout: &Layout) -> Result<Vec<(u32, Vec<u8>)>, Trouble> {
    let (key, end) = layout.master_keys();
    let answer = client.range(RangeRequest { key, end, ..RangeRequest::default() }, PATIENCE).await?;
    let version = |key: &[u8]| match layout.kind(key) {
        Some(Kind::Master(version)) => Some(version),
        _ => None,
    };
    Ok(answer.kvs.into_iter().filter_map(|kv| Some((version(&kv.key)?, kv.value))).collect())
}

/// The key with a version more, which stands in its file first; `None` where it has it.
fn added(master: &MasterKey, version: u32, octets: &[u8]) -> Result<Option<MasterKey>, StoreError> {
    if master.versions().contains(&version) {
        return Ok(None);
    }
    let opened = octets.split_first_chunk().and_then(|(by, sealed)| {
        let row = master.open(u32::from_be_bytes(*by), sealed, &context(version))?;
        String::from_utf8(row.to_vec()).ok().map(zeroize::Zeroizing::new)
    });
    let row = opened.ok_or_else(|| {
        StoreError::Storage("it does not open with the version here; copy the file from a KDC that has it".into())
    })?;
    master.with_row(&row).map(Some)
}

/// A KDC hears of a version that is handed round, or that all have it and the old ones are over.
pub fn hear(copy: &Redb, version: u32, octets: Option<&[u8]>) {
    let master = copy.master.load_full();
    let done = match octets {
        Some(octets) => added(&master, version, octets).map(|more| {
            if let Some(more) = more {
                tracing::info!(version, "a new version of the master key is in its file");
                copy.master.store(Arc::new(more));
            }
        }),
        // One that was put there by hand, and is not in use yet, is none of these.
        None if seals_alone(&master, version) => copy.finish().map(|(removed, left)| {
            tracing::info!(version, ?removed, ?left, "the master key is rolled over");
        }),
        None => Ok(()),
    };
    if let Err(error) = done {
        tracing::error!(%error, version, "this KDC does not follow the master key's roll-over");
    }
}

/// Whether a version seals, and all others are older.
fn seals_alone(master: &MasterKey, version: u32) -> bool {
    let versions = master.versions();
    master.version() == version && versions.len() > 1 && versions.last() == Some(&version)
}

/// The realm says under which version it seals.
pub fn seal_as(copy: &Redb, realm: &Realm) -> Result<(), StoreError> {
    let master = copy.master.load_full();
    let Some(version) = sealed_by(&realm.master) else { return Ok(()) };
    if copy.master_check()? == realm.master && master.version() == version {
        return Ok(());
    }
    copy.sealed_as(&realm.master)?;
    copy.master.store(Arc::new(master.sealing(version)?));
    Ok(())
}

impl Etcd {
    /// The next step of a roll-over: as [`crate::store::Vault::reseal`].
    pub(super) fn roll_over(&self, after: Option<&Principal>) -> Result<Resealed, StoreError> {
        let version = match after {
            None => self.begin_roll_over()?,
            Some(_) => self.changer.copy.inner().master.load().version(),
        };
        let names = self.changer.copy.list(after, PAGE)?;
        self.seal_anew(&names)?;
        let next = names.last().filter(|_| names.len() == PAGE).cloned();
        let (seen, total) = (names.len() as u64, self.changer.copy.size()?.principals);
        let mut step = Resealed { version, seen, total, next, removed: vec![], left: vec![] };
        if step.next.is_none() {
            (step.removed, step.left) = self.changer.copy.inner().finish()?;
            let (client, key) = (Arc::clone(&self.changer.client), self.changer.layout.key(&Kind::Master(version)));
            let delete = async move { client.delete(DeleteRequest { key, end: vec![] }, PATIENCE).await };
            self.wait_for(delete).ok_or_else(super::ending)?.map_err(refused)?;
        }
        Ok(step)
    }

    /// Hands the next version round, waits until all that live have it, and has the realm seal under it.
    fn begin_roll_over(&self) -> Result<u32, StoreError> {
        let master = self.changer.copy.inner().master.load_full();
        let (newest, row) = match master.versions().as_slice() {
            [.., sealing, newest] if *sealing >= master.version() => (*newest, None),
            _ => master.next_row().map(|(version, row)| (version, Some(row)))?,
        };
        if let Some(row) = row {
            let (by, sealed) = master.seal(row.as_bytes(), &context(newest))?;
            let key = self.changer.layout.key(&Kind::Master(newest));
            let request = TxnRequest {
                // Who was quicker has made the version.
                compare: vec![Compare::absent(key.clone())],
                success: vec![put(key, [&by.to_be_bytes(), &*sealed].concat())],
                failure: vec![],
            };
            let client = Arc::clone(&self.changer.client);
            let told = self.wait_for(async move { client.txn(request, PATIENCE).await });
            told.ok_or_else(super::ending)?.map_err(refused)?;
        }
        let (changer, what) = (self.changer.clone(), format!("version {newest} of the master key"));
        let all = async move { changer.all_have(&what, |kdc| kdc.master.contains(&newest)).await };
        self.wait_for(all).unwrap_or_else(|| Err(super::ending()))?;
        self.has_here(newest)?;
        let (client, layout) = (Arc::clone(&self.changer.client), self.changer.layout.clone());
        let realm = self.wait_for(async move { look(&client, &layout).await }).ok_or_else(super::ending)?;
        let realm = realm.map_err(refused)?.ok_or_else(|| StoreError::Storage("there is no realm any more".into()))?;
        realm.can_be_read(&self.changer.layout)?;
        if sealed_by(&realm.master) != Some(newest) {
            let master = self.changer.copy.inner().master.load().sealing(newest)?;
            let (version, sealed) = master.seal(CHECK, CHECK)?;
            let names = realm.names_anew(&master)?;
            let realm = Realm { master: [&version.to_be_bytes(), &*sealed].concat(), names, ..realm };
            self.submit_rows(vec![], vec![put(self.changer.layout.key(&Kind::Realm), realm.encode_to_vec())])?;
        }
        Ok(newest)
    }

    /// Waits until this KDC has a version, which it hears of like all others.
    fn has_here(&self, version: u32) -> Result<(), StoreError> {
        let (copy, mut applied) = (Arc::clone(&self.changer.copy), self.changer.progress.applied());
        let has = move || copy.inner().master.load().versions().contains(&version);
        let heard = async move {
            let comes = applied.wait_for(|_| has());
            tokio::time::timeout(PATIENCE, comes).await.is_ok()
        };
        match self.wait_for(heard) {
            Some(true) => Ok(()),
            _ => Err(StoreError::Storage(
                "this KDC can't keep the new version of the master key; its log says why".into(),
            )),
        }
    }

    /// Makes records as they are once more, which seals them under the present version.
    fn seal_anew(&self, names: &[Principal]) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let mut changes = vec![];
            for name in names {
                // Of one that is gone, nothing is left to be sealed.
                let entry = self.changer.copy.lookup(name)?;
                changes.extend(entry.map(|entry| Change::Replace((*entry).clone())));
            }
            match self.submit_rows(changes, vec![]) {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict(_) | StoreError::Missing(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::ReadOnly("others keep changing the realm; rotate again, it goes on where it was".into()))
    }
}
