//! All that can be known of a running KDC, as one value: `/metrics`, `kdc status` and `kdc top` are its
//! readers. Counts run from the start of the process. Not here: who gathers it (`manage`).

use serde::{Deserialize, Serialize};

macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
            #[serde(default)]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $kind,)*
            }
        )*
    };
}

facts! {
    /// All of it.
    Facts {
        /// The version of the program.
        version: String,
        /// The realm.
        realm: String,
        /// The process.
        pid: u32,
        /// The KDC's clock, in seconds since 1970.
        now: i64,
        /// When it was started, in seconds since 1970.
        started: i64,
        /// How long it has run, in microseconds of a clock that nobody sets.
        uptime_micros: u64,
        /// What it is ready for, and what not.
        parts: Vec<Part>,
        /// Requests and their outcomes.
        traffic: Traffic,
        /// Requests a second.
        rates: Rates,
        /// Sockets and connections.
        net: Net,
        /// Principals.
        store: Stored,
        /// How old keys are.
        keys: Vec<KeyAge>,
        /// Where the audit goes.
        audit: Vec<Sink>,
        /// The process, as the system sees it.
        process: Process,
        /// Those who ask most, within the last minute or two.
        busiest: Vec<Asker>,
        /// The last refusals, the newest first.
        refused: Vec<Refused>,
        /// Accounts that are locked, of those that failed most often.
        locked: Vec<Locked>,
    }
    /// A part that is ready, or is not.
    Part {
        /// Its name.
        name: String,
        /// What is wrong; `None`: nothing.
        problem: Option<String>,
        /// Whether tickets go on without it.
        degraded: bool,
    }
    /// Requests and their outcomes.
    Traffic {
        /// By exchange and outcome.
        requests: Vec<OutcomeCount>,
        /// By what they came over.
        transports: Vec<Named>,
        /// Requests that came again and got the same answer again.
        answered_again: u64,
        /// Refusals by cause.
        refusals: Vec<Named>,
        /// Tickets of AS exchanges by how the client proved itself.
        proofs: Vec<Named>,
        /// Requests for tickets by whose ticket armored them (FAST).
        armors: Vec<Named>,
        /// Enctypes of what was issued.
        etypes: Vec<EtypeCount>,
        /// How long requests took.
        latency: Vec<Latency>,
        /// What was turned away without a look at what it asks.
        dropped: Vec<Named>,
        /// Calls of administrators.
        calls: Vec<CallCount>,
        /// Tickets of AS exchanges by what they say of the proof.
        indicators: Vec<Named>,
    }
    /// A count by a name.
    Named {
        /// The name.
        name: String,
        /// How often.
        count: u64,
    }
    /// Requests of a kind with an outcome.
    OutcomeCount {
        /// "AS", "TGS", or "other".
        exchange: String,
        /// "issued", or the RFC's name of the error code.
        outcome: String,
        /// How often.
        count: u64,
    }
    /// An enctype of what was issued.
    EtypeCount {
        /// "ticket", "session" or "reply".
        used_for: String,
        /// The enctype.
        etype: String,
        /// How often.
        count: u64,
    }
    /// An operation of administration.
    CallCount {
        /// Its name.
        operation: String,
        /// "done", or why not.
        outcome: String,
        /// How often.
        count: u64,
    }
    /// How long the requests of an exchange took.
    Latency {
        /// The exchange.
        exchange: String,
        /// How many in each bucket, not added up.
        buckets: Vec<u64>,
        /// All together, in nanoseconds.
        nanos: u64,
    }
    /// Requests a second, and the refused ones of these ("prove yourself first" is none).
    Rates {
        /// Within the last minute.
        minute: f64,
        /// Within the last five minutes.
        five_minutes: f64,
        /// Refused within the last minute.
        refused_minute: f64,
    }
    /// Sockets and connections.
    Net {
        /// What is served.
        sockets: Vec<Socket>,
        /// Threads and tasks that serve.
        serving: u64,
        /// Of these, how many have ended by a bug.
        fallen: u64,
        /// Open TCP connections.
        connections: u64,
        /// As many as there may be.
        connections_limit: u64,
        /// Bytes of requests over TCP that are being received, of those that are longer than a page.
        request_memory: u64,
        /// As many as there may be.
        request_memory_limit: u64,
        /// Authenticators that are remembered.
        replays: u64,
        /// As many as there may be.
        replays_limit: u64,
        /// Answers that are remembered.
        lookaside: u64,
        /// Their bytes.
        lookaside_bytes: u64,
        /// As many as there may be.
        lookaside_limit: u64,
        /// Costly requests that wait for a thread.
        heavy_queue: u64,
        /// As many as there may be.
        heavy_queue_limit: u64,
    }
    /// What the system knows of an address.
    Socket {
        /// The address.
        address: String,
        /// Bytes of datagrams that wait.
        udp_queue: u64,
        /// Datagrams that found no room.
        udp_dropped: u64,
        /// Connections that wait to be accepted.
        tcp_backlog: u64,
    }
    /// Principals.
    Stored {
        /// How many.
        principals: u64,
        /// Password policies.
        policies: u64,
        /// The bytes of the file.
        bytes: u64,
        /// Commits since it was made.
        changes: u64,
        /// How far it is behind where changes are made; this store is where they are made.
        lag_seconds: f64,
    }
    /// How old a key is.
    KeyAge {
        /// "krbtgt", "master", or "oldest_service".
        key: String,
        /// Whose, for a service.
        principal: Option<String>,
        /// When it was made, in seconds since 1970.
        changed: i64,
        /// Seconds since.
        age: i64,
    }
    /// Where the audit goes.
    Sink {
        /// "file", "journald" or "syslog".
        name: String,
        /// Where that is.
        place: String,
        /// The number of the last line.
        seq: u64,
        /// The hash of the last line.
        hash: String,
        /// Lines since the start.
        lines: u64,
        /// Lines that could not be written, since the start.
        lost: u64,
        /// What is wrong now.
        problem: Option<String>,
    }
    /// The process, as the system sees it.
    Process {
        /// Processor time in seconds.
        cpu_seconds: f64,
        /// Memory in use, in bytes.
        resident_bytes: u64,
        /// Open file descriptors.
        fds: u64,
        /// As many as there may be.
        fds_limit: u64,
    }
    /// Somebody who asks.
    Asker {
        /// The client's name.
        principal: String,
        /// Requests.
        requests: u64,
        /// Of these, refused ones ("prove yourself first" is none).
        refused: u64,
    }
    /// A refusal.
    Refused {
        /// When, in microseconds since 1970.
        at: i64,
        /// The exchange.
        exchange: String,
        /// The client.
        client: Option<String>,
        /// The server.
        server: Option<String>,
        /// From where.
        from: String,
        /// The error code's name.
        outcome: String,
        /// Why.
        cause: String,
    }
    /// A locked account.
    Locked {
        /// Whose.
        principal: String,
        /// Failures in a row.
        failures: u32,
        /// When the last was, in seconds since 1970.
        last_failure: i64,
    }
}
