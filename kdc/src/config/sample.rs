//! The kdc.toml that a new realm starts with: its own settings, and every default as a comment.

use std::net::SocketAddr;

/// The text of a kdc.toml for `realm`, served at `listen`, with passwords changed at `kpasswd`.
pub fn sample(realm: &str, listen: &[SocketAddr], kpasswd: &[SocketAddr]) -> String {
    let list = |addresses: &[SocketAddr]| {
        let quoted: Vec<_> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
        quoted.join(", ")
    };
    SAMPLE.replace("{realm}", realm).replace("{listen}", &list(listen)).replace("{kpasswd}", &list(kpasswd))
}

/// Lines that begin with `#` and a key are the defaults.
const SAMPLE: &str = r#"# Settings of the KDC of {realm}. `kdc check --config` says whether they are sound.
# What stands in a comment below is the default. Each table ([pkinit], ...) is here once: write what belongs to it below
# its line, not at the end once more. Rows ([[trust]], ...) may stand at the end.

realm = "{realm}"

# Where UDP and TCP are served; [] for nowhere, where there is a socket in unix_listen.
listen = [{listen}]
# Where passwords are changed (RFC 3244), UDP and TCP; [] for nowhere. Default: the addresses of listen with port 464,
# or where the KDC's own port is not 88, one that is as far above it (8888: 9264).
kpasswd_listen = [{kpasswd}]
# Sockets in the file system where both are served as well, for clients on this machine or in this pod (krb5.conf:
# kdc = /run/kdc/kdc.sock). Everybody may ask there who can reach the file. Default: none.
#unix_listen = ["/run/kdc/kdc.sock"]

# Paths are taken from the folder of this file.
# Principals, their keys sealed under the master key. Back up both, apart from each other.
#store = "principals.redb"
# Or a table, for several KDCs of one realm (docs/guide/cluster.md): [store], kind = "etcd", endpoints = ["https://..."],
# file (of the copy), prefix, ca, certificate, key, user, password, max_staleness = "off", seal_names = false.
#master_key = "master.key"
# Or: "fd:3", a descriptor that is open already ("fd": the one that KDC_MASTER_KEY_FD names); "credential:NAME", one of
# systemd; { command = ["/usr/bin/kms", "get"], timeout = "10s" }, what a command prints.
# Through this socket kadmin reaches the running KDC.
#admin_socket = "admin.sock"
# error, warn, info, debug or trace.
#log = "info"
# text (key=value) or json.
#log_format = "text"
# Let the KDC write nowhere but in the folders of these files, and read nothing but them and the system's (Landlock).
#landlock = true

[policy]
# Bounds on every ticket; a principal may have narrower ones (kadmin: modprinc -maxlife).
#max_life = "24h"
#max_renewable_life = "7d"
# How far a client's clock may be off.
#clock_skew = "5m"
# For session keys and replies, most wanted first.
#etypes = ["aes256-cts-hmac-sha1-96", "aes128-cts-hmac-sha1-96", "aes256-cts-hmac-sha384-192", "aes128-cts-hmac-sha256-128", "camellia256-cts-cmac", "camellia128-cts-cmac"]
# Every client must prove itself, also a principal that was exempted with kadmin's -requires_preauth.
#require_preauth = false
# Take proofs of passwords in FAST only (kinit -T or --armor), where nobody who listens can guess them.
# A principal's string require_armor ("true" or "false") goes before this. Random keys need no armor.
#require_armor = false
# Ask unknown clients for a proof too, with the same work, so that nobody can find out names.
#hide_unknown_clients = false
# Refuse a TGT with addresses that comes from another one. Breaks behind address translation.
#check_addresses = true
# Let clients ask that the realms between theirs and ours are not checked (RFC 4120 3.3.3.2).
#allow_disable_transited_check = false
# Refuse clients that came through other realms than [capaths] or the names allow. Off: their tickets only lack the
# flag that says so, and services look themselves.
#reject_bad_transit = true
# Put no PAC into tickets. Then services can't act for users, and an old ticket outlives its account.
#disable_pac = false
# Don't note when principals logged in last (getprinc shows it): a login then writes nothing down at all. Failures are counted
# all the same.
#disable_last_success = false

[indicators]
# What tickets say of how the client proved itself (RFC 8129): services may ask for one of these (kadmin: setstr
# SERVICE require_auth "otp pkinit"), and see them.
#encrypted_timestamp = []
#encrypted_challenge = []
#spake = ["spake", "hardened"]
#pkinit = ["pkinit"]
#otp = ["otp"]
# Bounds on the life of tickets that bear one: max_life.otp = "10h".
#max_life = {}

[otp]
# After a wrong value of a token that counts ask for its next one (RFC 6560 2.4): two values in a row may be 200 ahead,
# where a single one may be 20. Who has mistyped is asked once more, too; MIT's kinit does not know the question.
#next_value = false
# One-time passwords that a RADIUS server knows (RFC 6560), a row each; principals have them by `setstr PRINCIPAL otp
# '[{"type": "DEFAULT"}]'`. The server must sign its answers with a Message-Authenticator. Tokens that the KDC knows
# itself need no setting: kadmin otp add.
#[[otp.radius]]
# The name of the type; DEFAULT unless given.
#name = "DEFAULT"
#server = "192.0.2.1:1812"
# A file with the shared secret on its first line; as with master_key other sources will do.
#secret = "radius.secret"
#timeout = "5s"
#tries = 3
# How many may wait for an answer at once.
#at_once = 16
# Ask for "alice", not "alice@EXAMPLE.ORG".
#strip_realm = true
# What tickets say of these tokens beside what [indicators] otp has.
#indicators = []
# Have clients ask for a PIN and send it before the value, or say that there is none. Unset: who types knows.
#collect_pin = true

[keys]
# New principals and passwords get one key of each.
#etypes = ["aes256-cts-hmac-sha1-96", "aes128-cts-hmac-sha1-96", "aes256-cts-hmac-sha384-192", "aes128-cts-hmac-sha256-128", "camellia256-cts-cmac", "camellia128-cts-cmac"]
# PBKDF2 rounds for new passwords. Default: 4096 for the sha1 types, 32768 for the others.
#iterations = 32768

[spake]
# Logins by password that nobody who listens can guess at (SPAKE, RFC 9588): the groups that clients may choose from,
# of edwards25519, P-256, P-384 and P-521; [] for none. The others cost several times as much as the first.
#groups = ["edwards25519"]
# A group in which a challenge is sent before the client asks for one: one message less, but the work of a challenge for
# whoever asks for a ticket. Or "off".
#challenge = "off"

[passwords]
# A file of words that are no passwords, one a line (policies say who is held to it). Default: none.
#dictionary = "words"

[limits]
# At a time; one more and the longest idle one is closed.
#tcp_connections = 10000
# Of these, as many from one IPv4 address or IPv6 /64 network.
#tcp_connections_per_peer = 2500
# How long a connection may stay silent, and how long a request may take to arrive.
#idle_timeout = "60s"
#request_timeout = "10s"
# Bytes of the longest reply over UDP; a client that needs a longer one is sent to TCP.
#udp_reply = 4096
# For authenticators seen, within the clock skew; and for answers, sent again to the same bytes.
#replay_memory = "64 MiB"
#lookaside_memory = "64 MiB"
# Ticket-granting tickets that came more than once and are kept open, some 3 KiB each and at most 6; 0 keeps none.
#known_tickets = 8192
# For records of principals as they are in the store, found there without reading: some 170 bytes for one key, 80
# more for each further one; 0 keeps none. A realm for which there is room is read into it at the start.
#records_memory = "192 MiB"
# Principals kept ready; each takes about 2 KiB, more when its keys are in use.
#principals_in_memory = 20000
# Requests that take a hundred times longer than most (public keys: SPAKE) have threads of their own, which give way to
# all others; so many may wait for them, of datagrams half as many. Default: half of the processors.
#heavy_threads = 2
#heavy_queue = 256

[admin]
# A kadm5.acl of MIT krb5, whose lines follow the rows of [[admin.acl]]. Default: none.
#acl_file = "kadm5.acl"
# Where the admin API is served over TLS, for kadmin -s and for programs; /v1/openapi.json describes it. Default: nowhere.
#listen = ["0.0.0.0:749"]
# Its certificate with the chain, and its key, in PEM.
#certificate = "admin.pem"
#key = "admin-key.pem"
# The principals as which it is called: HTTP/ and the host's name. Their keys are taken from the store.
#services = ["HTTP/kdc.example.org"]
# Refuse tickets that are not bound to the TLS connection. Older programs of others, as curl of 2023, don't bind.
#require_channel_bindings = true
# The authority of clients' certificates, in PEM, and which principals they are: dns:, email: or uri: and a name among
# the subjectAltName, or subject: and the whole subject. Default: nobody comes with a certificate.
#client_ca = "clients.pem"
# What that authority has revoked, in PEM: a list for every authority of a chain, and none out of date. Default: not looked at.
#client_crl = "revoked.pem"
# [[admin.clients]]
# certificate = "dns:ci.example.org"
# principal = "ci/admin"
# Beside root and the owner of this file, nobody administers the realm but by a row of this list: who may do what,
# to whom, within which bounds. The first row that is about caller and target decides. *1 is what the first * in
# `who` stood for. "all" is everything but "extract", which shows keys. Everybody may change their own password.
# [[admin.acl]]
# who = "*/admin"
# may = ["add", "modify", "changepw", "inquire", "list"]
# on = "*1"
# restrict = { max_life = "8h", flags = ["-allow_svr"] }

[limits.rate]
# How often one source (IPv4 address or IPv6 /64 network) or principal may fail, or make work that takes a hundred
# times longer than most (public keys, passwords), before it is turned away: so many at once, and so many again in so long; or "off".
#source_failures = "1200/1m"
#source_work = "6000/1m"
# Whoever knows a name can use these up and keep its owner out.
#principal_failures = "off"
#principal_work = "off"
# error (over UDP, a source is sent to TCP, where its address is its own) or drop.
#answer = "error"
# Networks that are never turned away.
#exempt = ["127.0.0.0/8", "::1"]
#memory = "4 MiB"

[pkinit]
# Logins by certificate (RFC 4556); `kdc pki init` makes an authority and certificates for those who have none.
# The KDC's certificate with its chain, and its key: "FILE:kdc.crt,kdc.key" or "PKCS12:kdc.p12". Default: none, so there
# are no such logins. All these files are read again with the settings.
#identity = "FILE:pki/kdc.crt,pki/kdc.key"
# In PEM: authorities whose certificates are believed, others between these and clients', and revocation lists.
#anchors = []
#intermediates = []
#crls = []
# Take no certificate whose authority has no current list among these.
#require_crl = false
# What clients' certificates must be meant for, one of pkinit, msScLogin, clientAuth; [] for nothing.
#purposes = ["pkinit", "msScLogin"]
# The weakest key agreement: 2048, P-256, 4096, P-384 or P-521. For who shows no certificate (kinit -n) it is also the
# strongest, but for P-256, so that not anybody makes the KDC compute in the dearest one.
#least_group = "2048"
# Ask for a token in the request that this realm sent a moment ago (RFC 8070).
#require_freshness = false
# Let a certificate's user principal name (Windows) say whose it is.
#allow_upn = false
# Give WELLKNOWN/ANONYMOUS, if there is such a principal, tickets for no service.
#restrict_anonymous_to_tgt = false
# Whose SPIFFE identifiers stand for which principals.
# [[pkinit.spiffe]]
# id = "spiffe://example.org/ns/{ns}/sa/{sa}"
# principal = "{sa}/{ns}"

[kkdcp]
# Where clients ask that get through nothing but HTTPS (MS-KKDCP; krb5.conf: kdc = https://HOST/KdcProxy), for tickets and
# for new passwords, of this realm alone. Default: nowhere.
#listen = ["0.0.0.0:443"]
# The certificate with the chain, and its key, in PEM; read again by kdc reload.
#certificate = "kkdcp.pem"
#key = "kkdcp-key.pem"

[audit]
# A JSON line for every request and every call of administration: who asked for what, and what was
# decided or changed. Hashes chain the lines, and `kdc audit verify` finds what was altered.
# Where they go; default: nowhere.
#file = "audit.jsonl"
#journald = "/run/systemd/journal/socket"
#syslog = "/dev/log"
# Which lines are on the disk before what they tell of is answered: those of "changes" and of keys that leave, "everything"
# (a millisecond or more a ticket), or "nothing". Of the others a power failure may take the last seconds.
#sync = "changes"
# Another file is begun before one is longer than this; so many old ones stay, for at most so long
# (default: for ever).
#rotate_at = "100 MiB"
#keep = 30
#keep_for = "365d"
# A file with 32 or more random characters: only who knows them can make a chain. Default: anybody can.
#key = "audit.key"

[management]
# Where /metrics (for Prometheus), /livez and /readyz are served, over HTTP and to everybody who can
# connect. Default: nowhere. A kdc built with --features otel also knows a section [telemetry] with
# otlp = "http://127.0.0.1:4318": a collector that gets a span for every request.
#listen = ["127.0.0.1:9088"]
# They are asked for by an address, as localhost, or by one of these names: no page in a browser has another name here.
#hosts = ["kdc.example.org"]

# Whose random keys turn over by themselves: new ones can be fetched (`ktutil fetch`) for `announce` before tickets are
# sealed in them, and the old ones open tickets for `overlap` after that. The first row that matches counts, and a
# password policy with a period before all rows. Defaults: announce is a day, or a quarter of a shorter period; overlap
# is what the longest ticket needs, and never less.
# [[rotation]]
# principals = ["HTTP/*", "host/*"]
# period = "30d"
# announce = "1d"
# overlap = "2d"

# Other realms. A trust is a pair of principals, which `kdc trust add OTHER.ORG` makes: krbtgt/OTHER.ORG@{realm} lets our
# clients go there, krbtgt/{realm}@OTHER.ORG lets theirs come here; one alone is a one-way trust.
# The realms between a client's and a server's, as in [capaths] of krb5.conf: [] where the two share a key. Default: the
# parents that their names have in common.
# [capaths."A.OTHER.ORG"]
# "{realm}" = ["OTHER.ORG"]

[referrals]
# The realms of hosts, as in [domain_realm] of krb5.conf: who asks here for a service there is sent there.
#domain_realm = {}
# Services (http, ldap) that are host-based also where the client does not say so, and those that are never sent
# anywhere; "*" for all.
#host_based_services = []
#no_host_referral = []
# Where users log in whose enterprise name (kinit -E) ends so: { "mail.example" = "OTHER.ORG" }.
#client_realm = {}

# What whoever comes from or through a realm may get: which clients, which services (default: all), for how long, and
# which indicators its word is taken for. All rows that are about a client's way count; a realm without a row may do
# what its trust allows.
# [[trust]]
# realm = "OTHER.ORG"
# clients = ["*", "*/admin"]
# services = ["HTTP/*"]
# max_life = "1h"
# indicators = ["pkinit"]
"#;
