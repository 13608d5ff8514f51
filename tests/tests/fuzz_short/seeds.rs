//! What the seeds are made of: recorded messages, files, and requests to the realm of the targets.

use std::collections::BTreeSet;

use kdc::core::{Attributes, Entry, KeySet, LongTermKey};
use kdc::store::{MasterKey, encode_record};
use libkrb::ccache::Credential;
use libkrb::ccache::kcm::protocol::{Request, Tag};
use libkrb::codes::{AuthDataType, EncryptionType};
use libkrb::crypto::{Key, KeyUsage, Random};
use libkrb::flags::{KdcOptions, TicketFlags};
use libkrb::gss::Mechanism;
use libkrb::session::{Address, CredTicket, Role, Session, make_cred};
use libkrb::time::Instant;
use libkrb::wire::{self, IakerbHeader, IakerbRealm, InitialToken, KdcProxyMessage, List, Oid};
use libkrb::{Principal, Time};
use serde_json::Value;
use tests::joined::{Asking, Joined, NOW, REALM, Sequence, name};

type Seed = (&'static str, String, Vec<u8>);

/// Every seed: target, name, bytes.
pub fn all() -> Vec<Seed> {
    let mut seeds = vec![];
    recorded(&mut seeds);
    requests(&mut seeds);
    written(&mut seeds);
    files(&mut seeds);
    records(&mut seeds);
    texts(&mut seeds);
    doors(&mut seeds);
    // Each kind of request twice in a row, a place of it bent.
    for kind in 0..21_u8 {
        let mut bytes = vec![0; 96];
        Sequence(u64::from(kind)).fill(&mut bytes);
        (bytes[0], bytes[1], bytes[2]) = (0, kind, 1);
        seeds.push(("kdc_inside", format!("kind{kind}"), bytes));
    }
    for target in [
        "kdc_structured",
        "kdc_inside",
        "acceptor_structured",
        "client_reply",
        "gss_acceptor_structured",
        "gss_initiator",
        "gss_message",
        "gss_negotiation",
        "kpasswd_request",
        "spake",
    ] {
        seeds.push((target, "nothing".to_owned(), vec![]));
        for number in 0..8_u64 {
            let mut bytes = vec![0; 16 << (number % 4)];
            Sequence(number).fill(&mut bytes);
            seeds.push((target, format!("some{number}"), bytes));
        }
    }
    seeds
}

/// What comes through proxies, to the daemon for caches, and to a service that asks the KDC for its client.
fn doors(seeds: &mut Vec<Seed>) {
    let message = b"\x6a\x03abc";
    let whole = KdcProxyMessage::wrap(message, Some(REALM)).expect("short");
    seeds.push(("kkdcp_message", "whole".to_owned(), whole));
    let framed = &[&[0, 0, 0, 5], &message[..]].concat();
    let hint = wire::encode(&KdcProxyMessage { framed, realm: Some(REALM), locator_hint: Some(5) });
    seeds.push(("kkdcp_message", "hint".to_owned(), hint));
    let ticket = || Credential { ticket: b"ticket".to_vec(), ..Credential::config(&name("alice"), "key", None, b"") };
    let cache = || "x".to_owned();
    let requests = [
        Request::Initialize(cache(), name("alice")),
        Request::Store(cache(), Box::new(ticket())),
        Request::Owner(cache()),
        Request::CredentialIds(cache()),
        Request::Remove(cache(), Tag { client: Some(name("alice")), ..Tag::default() }),
        Request::Move(cache(), "y".to_owned()),
        Request::CacheById([7; 16]),
        Request::Primary,
        Request::Credentials(cache()),
        Request::SetOffset(cache(), 5),
        Request::Replace(cache(), 0, name("alice"), vec![ticket()]),
    ];
    for (number, request) in requests.iter().enumerate() {
        seeds.push(("kcm", format!("request{number}"), [&[1], &request.encode()[..]].concat()));
    }
    let later = [&[5, 1], &IakerbHeader { realm: IakerbRealm::Text(REALM), cookie: None }.before(message)[..]].concat();
    let first = wire::encode(&InitialToken { mechanism: Oid::IAKERB, inner: &later });
    for (name, token) in [("first", first), ("later", later)] {
        // At most 255 bytes, behind their count.
        let counted = [&[token.len() as u8], &token[..]].concat();
        seeds.push(("iakerb_token", name.to_owned(), counted.repeat(2)));
    }
}

fn vectors(name: &str) -> Value {
    let path = format!("{}/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).expect("vectors")).expect("JSON")
}

fn hex(value: &Value) -> Option<Vec<u8>> {
    let text = value.as_str()?;
    (0..text.len() / 2).map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()).collect()
}

/// The value of an element of pre-authentication data of an AS-REQ or AS-REP.
fn element(message: &[u8], kind: i32) -> Option<Vec<u8>> {
    let request = wire::decode::<wire::KdcReq<'_>>(message).map(|request| request.padata);
    let padata =
        request.or_else(|_| wire::decode::<wire::KdcRep<'_>>(message).map(|reply| reply.padata.into())).ok()?;
    padata.iter().find(|element| element.kind.0 == kind).map(|element| element.value.to_vec())
}

/// One message of each kind and shape: later ones that look alike add nothing.
fn recorded(seeds: &mut Vec<Seed>) {
    let mut seen = BTreeSet::new();
    for kdc in ["mit", "heimdal"] {
        let file = vectors(&format!("transcripts_{kdc}"));
        for exchange in file["exchanges"].as_array().expect("exchanges") {
            let name = format!("{kdc}-{}", exchange["n"]);
            let shape = |what: &str| format!("{what} {} {}", exchange["request_padata_types"], exchange["error_code"]);
            if exchange["service"] == "kdc" && seen.insert(shape("request")) {
                let bytes = hex(&exchange["request"]).expect("a request");
                seeds.push(("kdc_request", name.clone(), bytes.clone()));
                seeds.push(("wire", format!("{name}-request"), bytes));
            }
            for (padata, message) in [(16, &exchange["request"]), (17, &exchange["reply"])] {
                let value = hex(message).and_then(|message| element(&message, padata));
                seeds.extend(value.map(|value| ("pkinit", format!("{name}-{padata}"), value)));
            }
            if exchange["service"] == "kdc" && seen.insert(shape("reply")) {
                seeds.push(("wire", format!("{name}-reply"), hex(&exchange["reply"]).expect("a reply")));
            }
            for step in exchange["steps"].as_array().expect("steps") {
                let Some(bytes) = hex(&step["plaintext"]) else { continue };
                let usage = step["usage"].to_string();
                if seen.insert(usage.clone()) {
                    seeds.push(("wire", format!("{name}-usage-{usage}"), bytes));
                }
            }
        }
    }
}

/// Requests that the realm of the targets understands, down to their keys.
fn requests(seeds: &mut Vec<Seed>) {
    let mut realm = Joined::new();
    let key = realm.key("alice", EncryptionType::AES256_SHA1);
    let first = realm.as_req(&Asking::login("alice"), None);
    seeds.push(("kdc_request", "joined-first".to_owned(), first));
    let options = KdcOptions::FORWARDABLE | KdcOptions::PROXIABLE | KdcOptions::RENEWABLE;
    let login = realm.as_req(&Asking::login("alice").with(options), Some(&key));
    seeds.push(("kdc_request", "joined-login".to_owned(), login.clone()));
    let tgt = realm.credential(&login, &key, KeyUsage::AS_REP_ENC_PART).expect("a TGT");
    let host = Asking::service("host/a.example.org");
    for (name, asking) in [
        ("service", host.clone()),
        ("renew", Asking::login("alice").with(KdcOptions::RENEW)),
        ("forward", Asking::login("alice").with(KdcOptions::FORWARDED)),
        (
            "user-to-user",
            Asking { additional: vec![tgt.ticket.clone()], ..Asking::service("alice") }
                .with(KdcOptions::ENC_TKT_IN_SKEY),
        ),
        ("restricted", Asking { authorization_data: Some(vec![(AuthDataType(-9), vec![1, 2])]), ..host }),
    ] {
        let request = realm.tgs_req(&tgt, &asking);
        seeds.push(("kdc_request", format!("joined-{name}"), request));
    }
    let ap_req = |exchange: &Value| {
        let bytes = hex(&exchange["request"])?;
        let length = usize::from(u16::from_be_bytes([*bytes.get(4)?, *bytes.get(5)?]));
        Some(bytes.get(6..6 + length)?.to_vec())
    };
    let file = vectors("transcripts_mit");
    let changes = file["exchanges"].as_array().expect("exchanges").iter().filter(|one| one["service"] == "kpasswd");
    for bytes in changes.filter_map(ap_req) {
        seeds.push(("acceptor", "mit-ap-req".to_owned(), bytes));
    }
    seeds.push(("acceptor", "joined-ap-req".to_owned(), tests::fuzz::honest_ap_req()));
    for (name, mechanism) in [("kerberos", Mechanism::Kerberos), ("spnego", Mechanism::Spnego)] {
        seeds.push(("gss_acceptor", format!("joined-{name}"), tests::fuzz::honest_token(mechanism)));
    }
    for dialogue in file["gss"].as_array().expect("dialogues") {
        let tokens = dialogue["tokens"].as_array().expect("tokens").iter().filter_map(|token| hex(&token["token"]));
        let name = dialogue["scenario"].as_str().expect("a name");
        for (number, token) in tokens.enumerate().filter(|(_, token)| !token.is_empty()) {
            let message = token.first() != Some(&0x60) && token.first() != Some(&0xa1);
            let (target, decisions) = match token.as_slice() {
                _ if message => ("gss_message", &[0, 2][..]),
                [0xa1, ..] | [0x60, _, _, 6, 9, ..] => ("gss_initiator", &[1, 1][..]),
                _ => ("gss_acceptor", &[][..]),
            };
            seeds.push((target, format!("mit-{name}-{number}"), [decisions, &token].concat()));
        }
    }
}

/// Messages of kinds that no recording has.
fn written(seeds: &mut Vec<Seed>) {
    let key = Key::new(EncryptionType::AES256_SHA1, &[7; 32]).expect("a key");
    let mut session = Session::new(&key, Role::Initiator, 5, 6);
    let at = Instant::from(NOW);
    let priv_message = session.make_priv(at, &mut Sequence(1), b"private").expect("a message");
    let safe_message = session.make_safe(at, b"safe").expect("a message");
    let ticket = CredTicket {
        client: name("alice"),
        server: Principal::tgs(REALM),
        key: key.clone(),
        flags: TicketFlags::FORWARDED,
        auth_time: Some(NOW),
        start_time: Some(NOW),
        end_time: Some(NOW),
        renew_till: Some(NOW),
        addresses: vec![Address::ip([10, 0, 0, 1].into())],
        ticket: Joined::new()
            .login(&Asking::login("bob").with(KdcOptions::FORWARDABLE))
            .map_or(vec![], |got| got.ticket),
    };
    let cred = make_cred(&key, at, &mut Sequence(2), &[ticket]).expect("a message");
    let sealed = wire::decode::<wire::KrbCred<'_>>(&cred).expect("KRB-CRED").enc_part;
    let cred_part = key.decrypt(KeyUsage::KRB_CRED, sealed.cipher).expect("readable").to_vec();
    let mut realm = Joined::new();
    let alice = realm.key("alice", EncryptionType::AES256_SHA1);
    let request = realm.as_req(&Asking::login("alice"), Some(&alice));
    let reply = realm.send(&request).reply.expect("an answer");
    let reply = wire::decode::<wire::KdcRep<'_>>(&reply).expect("AS-REP");
    let reply_part = alice.decrypt(KeyUsage::AS_REP_ENC_PART, reply.enc_part.cipher).expect("readable").to_vec();
    let request = wire::decode::<wire::KdcReq<'_>>(&request).expect("AS-REQ");
    let ap_rep = wire::ApRep { version: wire::Fixed, kind: wire::Fixed, enc_part: reply.enc_part };
    let elements = [wire::AuthData { kind: AuthDataType(-9), data: b"mine" }];
    let elements = List::Items(&elements);
    let server = name("host/a");
    let checksum = wire::Checksum { kind: key.checksum_type(), checksum: &[1; 12] };
    let issued = wire::AdKdcIssued { checksum, realm: Some(REALM), server: Some((&server).into()), elements };
    let info = [wire::EtypeInfo2Entry { etype: EncryptionType(18), salt: Some("s"), s2kparams: Some(&[0, 0, 16, 0]) }];
    let old_info = [wire::EtypeInfoEntry { etype: EncryptionType(-128), salt: Some(b"s") }];
    let typed = [wire::TypedData { kind: -5, value: Some(b"v") }, wire::TypedData { kind: 101, value: None }];
    let list = wire::encode(&List::Items(&[Oid::KERBEROS_MICROSOFT, Oid::KERBEROS, Oid::NTLM]));
    let hints = wire::NegHints { name: Some("not_defined_in_RFC4178@please_ignore"), address: None };
    let offer = |hints, mic| {
        let mechanisms = wire::Raw::parse(&list).expect("a list");
        wire::encode(&wire::NegotiationToken::Init(wire::NegTokenInit { mechanisms, token: Some(b"t"), hints, mic }))
    };
    let answer = wire::NegTokenResp {
        state: Some(wire::NegState::RequestMic),
        mechanism: Some(Oid::KERBEROS),
        token: Some(b"token"),
        mic: Some(b"mic"),
    };
    let frame = InitialToken { mechanism: Oid::SPNEGO, inner: &offer(None, None) };
    for (what, bytes) in [
        ("initial-token", wire::encode(&frame)),
        ("offer", offer(None, Some(b"mic"))),
        ("offer-with-hints", offer(Some(hints), Some(b"mic"))),
        ("answer", wire::encode(&wire::NegotiationToken::Resp(answer))),
        ("as-rep-part", reply_part),
        ("ticket", reply.ticket.der.to_vec()),
        ("body", request.body.der.to_vec()),
        ("method-data", wire::encode(&request.padata)),
        ("encrypted-data", wire::encode(&reply.enc_part)),
        ("ap-rep", wire::encode(&ap_rep)),
        ("ap-req", tests::fuzz::honest_ap_req()),
        ("priv", priv_message),
        ("safe", safe_message),
        ("cred", cred),
        ("cred-part", cred_part),
        ("kdc-issued", wire::encode(&issued)),
        ("and-or", wire::encode(&wire::AdAndOr { count: 2, elements })),
        ("authorization-data", wire::encode(&elements)),
        ("etype-info2", wire::encode(&List::Items(&info))),
        ("etype-info", wire::encode(&List::Items(&old_info))),
        ("typed-data", wire::encode(&List::Items(&typed))),
        ("name", wire::encode(&wire::PrincipalName::from(&server))),
        ("key", wire::encode(&wire::EncryptionKey::from(&key))),
        ("checksum", wire::encode(&checksum)),
        ("address", wire::encode(&Address::acceptor().view())),
    ] {
        seeds.push(("wire", format!("ours-{what}"), bytes));
    }
}

fn files(seeds: &mut Vec<Seed>) {
    for (target, field) in [("ccache", "ccache"), ("keytab", "keytab")] {
        let mut shortest = vec![];
        for (number, vector) in vectors(target)["vectors"].as_array().expect("vectors").iter().enumerate() {
            let found = [format!("{field}_hex"), "file_hex".into(), "hex".into()]
                .iter()
                .find_map(|key| hex(&vector[key.as_str()]));
            if let Some(bytes) = found {
                shortest.push((bytes.len(), format!("open{number}"), bytes));
            }
        }
        shortest.sort();
        assert!(!shortest.is_empty(), "{target}: no files among the vectors");
        seeds.extend(shortest.into_iter().take(8).map(|(_, name, bytes)| (target, name, bytes)));
    }
}

fn records(seeds: &mut Vec<Seed>) {
    let master = tests::fuzz::master();
    let mut entry = Entry::new(name("alice"), [7; 16], NOW, "root/admin@EXAMPLE.ORG");
    let push = |seeds: &mut Vec<Seed>, what: &str, entry: &Entry, master: &MasterKey| {
        seeds.push(("store_record", what.to_owned(), encode_record(entry, 3, master).expect("a record")));
    };
    push(seeds, "bare", &entry, &master);
    let key = |etype| Key::random(etype, &mut Sequence(3)).expect("a key");
    let keys =
        [EncryptionType::AES256_SHA1, EncryptionType::AES128_SHA1].map(|etype| LongTermKey::new(key(etype), None));
    entry.keys = vec![KeySet::new(2, keys.to_vec()), KeySet::new(1, keys[..1].to_vec())];
    push(seeds, "keys", &entry, &master);
    entry.keys[0].keys[0] =
        LongTermKey::new(key(EncryptionType::AES256_SHA1), Some("salt".into())).with_iterations(Some(9));
    entry.aliases = vec![name("al"), Principal::parse("x/y@OTHER.ORG", None).expect("a name")];
    entry.attributes = Attributes::REQUIRES_PRE_AUTH;
    (entry.expires, entry.password_expires, entry.password_changed) = (Some(NOW), Some(Time(-1)), Some(NOW));
    (entry.max_life, entry.max_renewable_life) = (Some(60), Some(i64::MAX));
    entry.strings.insert("session_enctypes".into(), "aes256-cts".into());
    push(seeds, "all", &entry, &master);
}

fn texts(seeds: &mut Vec<Seed>) {
    let mut bytes = |target, name: &str, bytes: &[u8]| seeds.push((target, name.to_owned(), bytes.to_vec()));
    for (number, operation) in include_str!("texts/operations").lines().enumerate() {
        let frame = [&(operation.len() as u32).to_be_bytes(), operation.as_bytes()].concat();
        bytes("admin_operation", &format!("operation{number}"), operation.as_bytes());
        bytes("admin_frame", &format!("frame{number}"), &frame);
    }
    let mut text = |target, name: &str, text: &str| bytes(target, name, text.as_bytes());
    text("krb5_conf", "ordinary", include_str!("texts/krb5.conf"));
    text("krb5_conf", "odd", include_str!("texts/odd.conf"));
    let [kdc, kpasswd] = ["127.0.0.1:88", "127.0.0.1:464"].map(|text| text.parse().expect("an address"));
    // A principal or two beside MIT's own, so that bending them is likely to bend what counts.
    text("mit_dump", "whole", include_str!("texts/mit.dump"));
    for (number, line) in include_str!("texts/mit.dump").lines().enumerate().skip(1) {
        let own = |line: &&str| line.contains("\tK/M@") || line.contains("\tkadmin/history@");
        let own: Vec<_> = include_str!("texts/mit.dump").lines().filter(own).collect();
        text(
            "mit_dump",
            &format!("line{number}"),
            &["kdb5_util load_dump version 7", own[0], own[1], line, ""].join("\n"),
        );
    }
    text("heimdal_dump", "whole", include_str!("texts/heimdal.dump"));
    for (number, line) in include_str!("texts/heimdal.dump").lines().enumerate() {
        text("heimdal_dump", &format!("line{number}"), line);
    }
    text("kdc_toml", "sample", &kdc::config::sample(REALM, &[kdc], &[kpasswd]));
    text("kdc_toml", "every-setting", include_str!("texts/kdc.toml"));
    text("master_key", "one", &format!("kdc-master-key 1\n1 {}\n", "2a".repeat(32)));
    text(
        "master_key",
        "two",
        &format!("# old and new\nkdc-master-key 1\n\n1 {}\n2 {}\n", "2a".repeat(32), "0F".repeat(32)),
    );
    let fields = [
        "ATHENA.MIT.EDU\nHACK.FOOBAR.COM\n,EDU,BLORT.COM,COM,",
        "A.B.C\nX.B.C\n,",
        "A\nB\n/COM,/HP,/APOLLO, /COM/DEC",
        "A\nB\nEDU,MIT.,ATHENA.,WASHINGTON.EDU,CS.",
        "A\nB\nA\\,B,\\ C,D\\.,\\\\",
        "ATHENA.MIT.EDU\n/COM/HP/APOLLO\n,EDU, /COM,",
    ];
    for (number, field) in fields.into_iter().enumerate() {
        text("transited", &format!("field{number}"), field);
    }
    for (number, principal) in include_str!("texts/principals").lines().enumerate() {
        text("principal", &format!("name{number}"), principal);
    }
    for (number, query) in include_str!("texts/queries").lines().enumerate() {
        text("kadmin_query", &format!("query{number}"), query);
    }
}
