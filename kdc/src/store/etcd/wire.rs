//! The messages of etcd's API, version 3, of which this store makes use, by hand: the numbers of fields
//! are for ever, so a build needs no compiler of such descriptions. Fields that nobody asks for here are
//! left out, and skipped when they come. Not here: who sends them.

use prost::{Message, Oneof};

/// What every answer begins with.
#[derive(Clone, PartialEq, Message)]
pub struct Header {
    #[prost(uint64, tag = "1")]
    pub cluster: u64,
    #[prost(int64, tag = "3")]
    pub revision: i64,
}

/// A key as it is at a revision.
#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub modified: i64,
    #[prost(bytes = "vec", tag = "5")]
    pub value: Vec<u8>,
    #[prost(int64, tag = "6")]
    pub lease: i64,
}

/// Keys from `key` up to and without `end`; one key without it.
#[derive(Clone, PartialEq, Message)]
pub struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub end: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub limit: i64,
    #[prost(int64, tag = "4")]
    pub revision: i64,
    #[prost(bool, tag = "9")]
    pub count_only: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct RangeResponse {
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    #[prost(message, repeated, tag = "2")]
    pub kvs: Vec<KeyValue>,
    #[prost(bool, tag = "3")]
    pub more: bool,
    #[prost(int64, tag = "4")]
    pub count: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub lease: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct DeleteRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub end: Vec<u8>,
}

/// What is said when nothing but the header counts.
#[derive(Clone, PartialEq, Message)]
pub struct Done {
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
}

/// A step of a transaction.
#[derive(Clone, PartialEq, Message)]
pub struct Op {
    #[prost(oneof = "Step", tags = "1, 2, 3, 4")]
    pub step: Option<Step>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Step {
    #[prost(message, tag = "1")]
    Range(RangeRequest),
    #[prost(message, tag = "2")]
    Put(PutRequest),
    #[prost(message, tag = "3")]
    Delete(DeleteRequest),
    #[prost(message, tag = "4")]
    Txn(TxnRequest),
}

/// What a transaction demands of a key.
#[derive(Clone, PartialEq, Message)]
pub struct Compare {
    /// 0: equal.
    #[prost(int32, tag = "1")]
    pub result: i32,
    /// 1: when it was made, 2: when it was last changed, 3: its value.
    #[prost(int32, tag = "2")]
    pub target: i32,
    #[prost(bytes = "vec", tag = "3")]
    pub key: Vec<u8>,
    #[prost(oneof = "Demanded", tags = "5, 6, 7")]
    pub demanded: Option<Demanded>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Demanded {
    #[prost(int64, tag = "5")]
    Created(i64),
    #[prost(int64, tag = "6")]
    Modified(i64),
    #[prost(bytes = "vec", tag = "7")]
    Value(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
pub struct TxnRequest {
    #[prost(message, repeated, tag = "1")]
    pub compare: Vec<Compare>,
    #[prost(message, repeated, tag = "2")]
    pub success: Vec<Op>,
    #[prost(message, repeated, tag = "3")]
    pub failure: Vec<Op>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TxnResponse {
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    #[prost(bool, tag = "2")]
    pub succeeded: bool,
    #[prost(message, repeated, tag = "3")]
    pub responses: Vec<OpResponse>,
}

#[derive(Clone, PartialEq, Message)]
pub struct OpResponse {
    #[prost(message, optional, tag = "1")]
    pub range: Option<RangeResponse>,
    #[prost(message, optional, tag = "4")]
    pub txn: Option<TxnResponse>,
}

#[derive(Clone, PartialEq, Message)]
pub struct WatchRequest {
    #[prost(message, optional, tag = "1")]
    pub create: Option<WatchCreate>,
}

#[derive(Clone, PartialEq, Message)]
pub struct WatchCreate {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub end: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub from: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct WatchResponse {
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    #[prost(bool, tag = "4")]
    pub canceled: bool,
    /// What was before this is gone.
    #[prost(int64, tag = "5")]
    pub compacted: i64,
    #[prost(string, tag = "6")]
    pub reason: String,
    #[prost(message, repeated, tag = "11")]
    pub events: Vec<Event>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// 0: put, 1: deleted.
    #[prost(int32, tag = "1")]
    pub kind: i32,
    #[prost(message, optional, tag = "2")]
    pub kv: Option<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct LeaseGrant {
    #[prost(int64, tag = "1")]
    pub ttl: i64,
}

/// A lease that is there, and for how many seconds; also what asks for that.
#[derive(Clone, PartialEq, Message)]
pub struct Lease {
    #[prost(int64, tag = "2")]
    pub id: i64,
    #[prost(int64, tag = "3")]
    pub ttl: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct LeaseId {
    #[prost(int64, tag = "1")]
    pub id: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Authenticate {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub password: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Authenticated {
    #[prost(string, tag = "2")]
    pub token: String,
}

impl From<Step> for Op {
    fn from(step: Step) -> Self {
        Op { step: Some(step) }
    }
}

impl Compare {
    /// The key has this value.
    pub fn value(key: Vec<u8>, value: Vec<u8>) -> Self {
        Compare { result: 0, target: 3, key, demanded: Some(Demanded::Value(value)) }
    }

    /// The key was last changed in this revision; 0: there is no such key.
    pub fn unchanged(key: Vec<u8>, revision: i64) -> Self {
        Compare { result: 0, target: 2, key, demanded: Some(Demanded::Modified(revision)) }
    }

    /// There is no such key.
    pub fn absent(key: Vec<u8>) -> Self {
        Compare { result: 0, target: 1, key, demanded: Some(Demanded::Created(0)) }
    }
}
