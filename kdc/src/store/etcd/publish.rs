//! A whole realm at once: put into etcd from a store, and a copy compared with what is in etcd. Not here:
//! how a copy is kept (`follower`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Options;
use super::client::{Client, Trouble, refused};
use super::layout::{Head, Kind, Layout, Realm, put, with_revision};
use super::look;
use super::wire::{Compare, DeleteRequest, KeyValue, Op, RangeRequest, TxnRequest};
use crate::core::store::{Exported, Kind as Kept};
use crate::core::{Store, StoreError};
use crate::store::redb::{REVISION_OF_A_POLICY, REVISION_OF_A_PRINCIPAL, Row};
use crate::store::{MasterKey, Redb};

/// How long etcd is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Rows, and octets, that are put at once.
const ROWS: usize = 100;
const OCTETS: usize = 1 << 20;
/// Of these, how many at a time.
const AT_ONCE: usize = 8;
/// Rows that are read at once.
const PAGE: i64 = 2000;

/// Puts the realm of a store into etcd, where there must be none, and makes the store its first copy. How
/// many principals that are.
///
/// # Errors
/// When there is a realm, or etcd does not take it; then no KDC sees any of it.
pub async fn publish(options: &Options, store: &Redb) -> Result<u64, StoreError> {
    let layout = Layout::of(options);
    let client = Arc::new(Client::new(options)?);
    if store.position()?.is_some() {
        return Err(StoreError::Storage(format!("{}: a copy of what is in etcd already", store.file().display())));
    }
    if let Some(realm) = look(&client, &layout).await.map_err(refused)? {
        let problem = format!("there is a realm at {} in etcd already: {}", layout.prefix(), realm.name);
        return Err(StoreError::Storage(format!("{problem}; move {} away to get a copy", store.file().display())));
    }
    // What an earlier try left.
    let (key, end) = layout.realm();
    client.delete(DeleteRequest { key, end }, PATIENCE).await.map_err(refused)?;
    let names = layout.begin(&store.master.load())?;
    let export = store.export()?;
    let principals = export.head.principals;
    let mut sending = JoinSet::new();
    let (mut rows, mut octets) = (vec![], 0usize);
    let send = |sending: &mut JoinSet<Result<(), Trouble>>, rows: Vec<Op>| {
        let client = Arc::clone(&client);
        sending.spawn(async move {
            let request = TxnRequest { success: rows, ..TxnRequest::default() };
            client.txn(request, PATIENCE).await.map(drop)
        });
    };
    for record in export.records {
        let Some((row, record)) = kept(record?) else { continue };
        octets += record.len();
        rows.push(layout.put_row(row, record)?);
        if rows.len() >= ROWS || octets >= OCTETS {
            if sending.len() >= AT_ONCE {
                done(sending.join_next().await)?;
            }
            send(&mut sending, std::mem::take(&mut rows));
            octets = 0;
        }
    }
    send(&mut sending, rows);
    while let Some(sent) = sending.join_next().await {
        done(Some(sent))?;
    }
    // Last: from here on it is a realm.
    let (name, master) = (store.realm().to_owned(), store.master_check()?);
    let record = Realm { schema: Realm::schema_of(&names), name, master, epoch: Realm::next_epoch(0), names };
    let head = Head { parent: [0; 16], ..Head::default().next()? };
    let whole = TxnRequest {
        compare: vec![Compare::absent(layout.key(&Kind::Realm))],
        success: vec![
            put(layout.key(&Kind::Realm), record.encode_to_vec()),
            put(layout.key(&Kind::Head), head.bytes()),
        ],
        failure: vec![],
    };
    if !client.txn(whole, PATIENCE).await.map_err(refused)?.succeeded
        && look(&client, &layout).await.map_err(refused)? != Some(record)
    {
        return Err(StoreError::Storage(format!("somebody else put a realm at {} in etcd meanwhile", layout.prefix())));
    }
    store.become_copy(true)?;
    Ok(principals)
}

/// Begins another epoch of what is in etcd, after that was restored: every KDC reads all there is anew, and none
/// takes anything of an earlier epoch from then on, such as from a node that was not restored. `known`: the latest
/// epoch that was seen. Which one it is.
///
/// # Errors
/// When there is no realm, or etcd does not take it.
pub async fn fence(options: &Options, known: u64) -> Result<u64, StoreError> {
    let layout = Layout::below(&options.prefix);
    let client = Client::new(options)?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let nothing = || StoreError::Storage(format!("there is no realm at {} in etcd", layout.prefix()));
        let head = client.range(layout.one(&Kind::Head), PATIENCE).await.map_err(refused)?;
        let head = head.kvs.into_iter().next().ok_or_else(nothing)?;
        let realm = look(&client, &layout).await.map_err(refused)?.ok_or_else(nothing)?;
        realm.can_be_read(&layout)?;
        let epoch = Realm::next_epoch(realm.epoch.max(known));
        // A commit onto none: whoever follows finds that it is not onto the last one it has.
        let anew = Head { parent: [0; 16], ..Head::default().next()? };
        let request = TxnRequest {
            compare: vec![Compare::value(layout.key(&Kind::Head), head.value)],
            success: vec![
                put(layout.key(&Kind::Realm), Realm { epoch, ..realm }.encode_to_vec()),
                put(layout.key(&Kind::Head), anew.bytes()),
            ],
            failure: vec![],
        };
        if client.txn(request, PATIENCE).await.map_err(refused)?.succeeded {
            return Ok(epoch);
        }
    }
    Err(StoreError::ReadOnly("others keep changing the realm; try again".into()))
}

fn done(sent: Option<Result<Result<(), Trouble>, tokio::task::JoinError>>) -> Result<(), StoreError> {
    match sent {
        None => Ok(()),
        Some(Ok(sent)) => sent.map_err(refused),
        Some(Err(error)) => Err(StoreError::Storage(error.to_string())),
    }
}

fn kept(record: Exported) -> Option<(Row, Vec<u8>)> {
    match record.kind {
        Kept::Principal => Some((Row::Principal(record.name), record.record)),
        Kept::Policy => Some((Row::Policy(record.name), record.record)),
        // Each KDC has its own.
        Kept::Attempts => None,
    }
}

/// What stands at a key as the row of a copy that it is.
pub fn copied(layout: &Layout, kv: KeyValue) -> Option<(Row, Vec<u8>)> {
    let modified = kv.modified;
    let (row, record) = layout.row(kv)?;
    let tag = match row {
        Row::Principal(_) => REVISION_OF_A_PRINCIPAL,
        Row::Policy(_) => REVISION_OF_A_POLICY,
    };
    Some((row, with_revision(record, tag, modified)))
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// The revision at which both were looked at.
    pub revision: i64,
    /// How many records there are.
    pub records: u64,
    /// The names of those that differ, are missing, or should not be there: some of them, in words.
    pub differences: Vec<String>,
    /// Of all records, the same on every copy of this revision.
    pub digest: Vec<u8>,
}

/// How many differences are told.
const TOLD: usize = 20;

/// Compares a copy, record by record, with what etcd had at the revision that it has come to.
///
/// # Errors
/// When either can't be read; etcd may have thrown that revision away.
pub async fn compare(
    options: &Options,
    master: &MasterKey,
    revision: i64,
    copy: impl Iterator<Item = Result<Exported, StoreError>>,
) -> Result<Compared, StoreError> {
    let layout = Layout::of(options);
    let client = Client::new(options)?;
    if let Some(realm) = look(&client, &layout).await.map_err(refused)? {
        layout.agree(&realm, master)?;
    }
    let mut there = BTreeMap::new();
    let mut digest = Sha256::new();
    let (key, end) = layout.realm();
    let mut request = RangeRequest { key, end, limit: PAGE, revision, ..RangeRequest::default() };
    loop {
        let page = client.range(request.clone(), PATIENCE).await.map_err(refused)?;
        let Some(last) = page.kvs.last() else { break };
        request.key = [&*last.key, &[0]].concat();
        for kv in page.kvs {
            let key = kv.key.clone();
            let Some((row, record)) = copied(&layout, kv) else { continue };
            let sum = sum(&record);
            digest.update(&key);
            digest.update(sum);
            there.insert(key, (sum, row));
        }
        if !page.more {
            break;
        }
    }
    let mut found = Compared { revision, records: there.len() as u64, ..Compared::default() };
    let mut differ = |what: String| {
        if found.differences.len() < TOLD {
            found.differences.push(what);
        }
    };
    for record in copy {
        let Some((row, record)) = kept(record?) else { continue };
        match there.remove(&layout.place(&row)?) {
            Some((other, _)) if other == sum(&record) => {}
            Some(_) => differ(format!("{} is another in etcd", named(&row))),
            None => differ(format!("{} is not in etcd", named(&row))),
        }
    }
    for (_, row) in there.into_values() {
        differ(format!("{} is in etcd only", named(&row)));
    }
    found.digest = digest.finalize().to_vec();
    Ok(found)
}

fn sum(record: &[u8]) -> [u8; 32] {
    Sha256::digest(record).into()
}

fn named(row: &Row) -> String {
    match row {
        Row::Principal(name) => name.clone(),
        Row::Policy(name) => format!("the policy {name}"),
    }
}
