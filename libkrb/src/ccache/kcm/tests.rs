use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;

use super::protocol::{Fields, Tag, Uuid};
use super::*;
use crate::ccache::AuthData;
use crate::codes::{AuthDataType, EncryptionType};
use crate::flags::TicketFlags;
use crate::storage::RawKey;
use crate::time::Time;

fn alice() -> Principal {
    Principal::parse("alice@R", None).expect("a name")
}

fn ticket(service: &str) -> Credential {
    let server = Principal::parse(service, Some("R")).expect("a name");
    Credential {
        server,
        key: RawKey::new(EncryptionType::AES256_SHA1, vec![7; 32]),
        auth_time: Time(1),
        end_time: Time(2),
        flags: TicketFlags(0x40),
        ticket: b"a ticket".to_vec(),
        ..Credential::config(&alice(), "", None, b"")
    }
}

fn requests() -> Vec<Request> {
    let name = || "1000:1".to_owned();
    let data = AuthData { kind: AuthDataType(-5), bytes: b"data".to_vec() };
    let whole = Credential { authdata: vec![data], second_ticket: b"second".to_vec(), ..ticket("host/x") };
    let tag = Tag::of(&whole);
    vec![
        Request::Nothing,
        Request::NewName,
        Request::Initialize(name(), alice()),
        Request::Destroy(name()),
        Request::Store(name(), Box::new(ticket("krbtgt/R"))),
        Request::Owner(name()),
        Request::CredentialIds(name()),
        Request::CredentialById(name(), [5; 16]),
        Request::Remove(name(), tag),
        Request::Remove(name(), Tag::default()),
        Request::Move(name(), "other".into()),
        Request::CacheIds,
        Request::CacheById([6; 16]),
        Request::Primary,
        Request::SetPrimary(name()),
        Request::Offset(name()),
        Request::SetOffset(name(), -7),
        Request::Credentials(name()),
        Request::Replace(name(), 3, alice(), vec![ticket("krbtgt/R"), ticket("host/x")]),
    ]
}

#[test]
fn every_request_is_read_as_it_was_written_and_no_part_of_one_is_taken_for_a_whole() {
    for request in requests() {
        let bytes = request.encode();
        assert_eq!(Request::decode(&bytes), Ok(request.clone()));
        for end in 0..bytes.len() {
            assert!(Request::decode(&bytes[..end]).is_err(), "{request:?} cut at {end}");
        }
        assert_eq!(Request::decode(&[&bytes[..], b"x"].concat()), Err(Status::MALFORMED), "{request:?}");
    }
}

#[test]
fn operations_and_versions_that_are_not_known_are_said_to_be_so() {
    assert_eq!(Request::decode(b"\x02\x00\x00\x10"), Err(Status::UNSUPPORTED), "tickets are not got here");
    assert_eq!(Request::decode(b"\x02\x00\xff\xff"), Err(Status::UNSUPPORTED));
    assert_eq!(Request::decode(b"\x03\x00\x00\x00"), Err(Status::UNSUPPORTED));
    assert_eq!(Request::decode(b"\x02\x07\x00\x00"), Ok(Request::Nothing), "minor versions are alike");
}

#[test]
fn a_count_is_believed_only_as_far_as_there_are_bytes() {
    let mut bytes = Request::Replace("x".into(), 0, alice(), vec![]).encode().to_vec();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(Request::decode(&bytes), Err(Status::MALFORMED));
    assert!(Reply::decode(&Request::Credentials("x".into()), &u32::MAX.to_be_bytes()).is_err());
}

#[test]
fn replies_are_read_as_they_were_written() {
    for (request, reply) in [
        (Request::Primary, Reply::Name("1000".into())),
        (Request::Owner("x".into()), Reply::Principal(alice())),
        (Request::CredentialById("x".into(), [0; 16]), Reply::Credential(Box::new(ticket("krbtgt/R")))),
        (Request::CacheIds, Reply::Ids(vec![[1; 16], [2; 16]])),
        (Request::Offset("x".into()), Reply::Offset(-3)),
        (Request::Credentials("x".into()), Reply::Credentials(vec![ticket("host/x")])),
        (Request::Nothing, Reply::Done),
    ] {
        assert_eq!(Reply::decode(&request, &reply.encode()), Ok(reply));
    }
    assert!(Reply::decode(&Request::CacheIds, &[0; 17]).is_err(), "a part of an identifier");
}

#[test]
fn a_tag_fits_what_it_names_and_what_its_fields_say_and_nothing_else() {
    let one = ticket("krbtgt/R");
    let names = Tag { client: Some(alice()), server: Some(one.server.clone()), ..Tag::default() };
    assert!(names.fits(&one) && !names.fits(&ticket("host/x")) && Tag::default().fits(&one));
    let elsewhere = Credential { server: one.server.in_realm("S"), ..one.clone() };
    let stranger = Credential { client: alice().in_realm("S"), ..elsewhere.clone() };
    let with = |fields| Tag { fields, ..names.clone() };
    for (fields, fit) in [
        (Fields::NONE, [true, false, false]),
        (Fields::ANY_SERVER_REALM, [true, true, false]),
        (Fields::ANY_REALM, [true, true, true]),
    ] {
        assert_eq!([&one, &elsewhere, &stranger].map(|it| with(fields).fits(it)), fit, "{fields:?}");
    }

    // Each field counts when the flag word says so, and only then.
    let data = AuthData { kind: AuthDataType(1), bytes: vec![] };
    let key = RawKey::new(EncryptionType::AES128_SHA1, vec![7; 16]);
    for (field, other) in [
        (Fields::ETYPE, Credential { key, ..one.clone() }),
        (Fields::FLAGS_EXACT, Credential { flags: TicketFlags(0x41), ..one.clone() }),
        (Fields::FLAGS, Credential { flags: TicketFlags(0x01), ..one.clone() }),
        (Fields::TIMES_EXACT, Credential { start_time: Time(1), ..one.clone() }),
        (Fields::TIMES, Credential { end_time: Time(1), ..one.clone() }),
        (Fields::AUTHDATA, Credential { authdata: vec![data], ..one.clone() }),
        (Fields::SECOND_TICKET, Credential { second_ticket: vec![1], ..one.clone() }),
        (Fields::IS_SKEY, Credential { is_skey: true, ..one.clone() }),
    ] {
        let tag = Tag { fields: Fields::NONE, ..Tag::of(&one) };
        assert!(tag.fits(&other), "{field:?}");
        let tag = Tag { fields: field, ..tag };
        assert!(tag.fits(&one) && !tag.fits(&other), "{field:?}");
    }
    let longer = Credential { flags: TicketFlags(0x41), end_time: Time(3), ..one.clone() };
    let at_least = Tag { fields: Fields(Fields::FLAGS.0 | Fields::TIMES.0), ..Tag::of(&one) };
    assert!(at_least.fits(&longer) && !Tag::of(&one).fits(&longer));
    // Bits that mean nothing here, those of a search among them.
    assert!(with(Fields(0x003f_ffff)).fits(&one));
}

#[test]
fn a_tag_reads_what_mit_sends_and_says_no_secret() {
    // k5_marshal_mcred of a credential that has all its parts.
    let mut bytes = vec![2, 0, 0, 11, b'x', 0];
    bytes.extend(Fields::AUTHDATA.0.to_be_bytes());
    bytes.extend(0x7f_u32.to_be_bytes());
    let mut writer = crate::storage::Writer::new();
    for name in [alice(), ticket("host/x").server] {
        crate::ccache::format::write_principal(&mut writer, &name);
    }
    bytes.extend_from_slice(&writer.finish());
    bytes.extend([0, 18, 0, 0, 0, 2, 7, 7]);
    bytes.extend([1, 2, 3, 4_u32].iter().flat_map(|time| time.to_be_bytes()));
    bytes.extend([1, 0, 0, 0, 0x40]);
    bytes.extend([0, 0, 0, 1, 0, 2, 0, 0, 0, 4, 127, 0, 0, 1]);
    bytes.extend([0, 0, 0, 1, 0, 1, 0, 0, 0, 1, b'a']);
    bytes.extend([0, 0, 0, 1, b't', 0, 0, 0, 1, b's']);
    let tag = Tag {
        fields: Fields::AUTHDATA,
        client: Some(alice()),
        server: Some(ticket("host/x").server),
        etype: EncryptionType::AES256_SHA1,
        times: [Time(1), Time(2), Time(3), Time(4)],
        is_skey: true,
        flags: TicketFlags(0x40),
        authdata: vec![AuthData { kind: AuthDataType(1), bytes: b"a".to_vec() }],
        second_ticket: b"s".to_vec(),
    };
    assert_eq!(Request::decode(&bytes), Ok(Request::Remove("x".into(), tag)));
    let said = Request::Remove("x".into(), Tag::of(&ticket("host/x"))).encode();
    assert!(!said.windows(4).any(|it| it == [7; 4]), "the session key");
}

/// A daemon that answers as it is told, for one connection.
fn daemon(
    folder: &Path,
    answer: impl Fn(Request) -> Result<Reply, Status> + Send + 'static,
) -> (KcmName, JoinHandle<Vec<Request>>) {
    let path = folder.join("kcm");
    let listener = UnixListener::bind(&path).expect("a socket");
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        converse(stream, |request| answer(request.clone()))
    });
    (KcmName::new("x").at(&path), thread)
}

/// What is said on a connection until it ends.
fn converse(mut stream: UnixStream, answer: impl Fn(&Request) -> Result<Reply, Status>) -> Vec<Request> {
    let mut heard = vec![];
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut bytes).expect("a whole request");
        let request = Request::decode(&bytes).expect("a request");
        let (status, body) = match answer(&request) {
            Ok(reply) => (Status::OK, reply.encode().to_vec()),
            Err(status) => (status, vec![]),
        };
        heard.push(request);
        let length = (body.len() as u32 + 4).to_be_bytes();
        let frame = [&length[..], &[0; 4], &status.0.to_be_bytes(), &body].concat();
        stream.write_all(&frame).expect("a client that listens");
    }
    heard
}

#[test]
fn an_older_daemon_is_asked_for_credentials_one_by_one_and_told_so_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let id = |number: u8| -> Uuid { [number; 16] };
    let (name, thread) = daemon(folder.path(), move |request| match request {
        Request::Credentials(_) | Request::Replace(..) => Err(Status::UNSUPPORTED),
        Request::Owner(_) => Ok(Reply::Principal(alice())),
        Request::CredentialIds(_) => Ok(Reply::Ids(vec![id(1), id(2), id(3)])),
        Request::CredentialById(_, number) if number == id(2) => Err(Status::END),
        Request::CredentialById(_, number) => {
            let service = if number == id(1) { "krbtgt/R" } else { "host/x" };
            Ok(Reply::Credential(Box::new(ticket(service))))
        }
        _ => Ok(Reply::Done),
    });
    let mut link = name.link().expect("a daemon");
    assert_eq!(name.owner(&mut link), Ok(alice()));
    let Ok(credentials) = name.credentials(&mut link) else { panic!("not read") };
    assert_eq!(credentials, [ticket("krbtgt/R"), ticket("host/x")], "what vanished meanwhile is left out");
    drop(link);
    thread.join().expect("a daemon that ends");

    let folder = tempfile::tempdir().expect("a folder");
    let (name, thread) = daemon(folder.path(), |request| match request {
        Request::Replace(..) => Err(Status::UNSUPPORTED),
        _ => Ok(Reply::Done),
    });
    let mut cache = Ccache::new(alice());
    cache.credentials = credentials;
    cache.kdc_offset = Some((5, 0));
    name.replace(&cache).expect("taken");
    let heard = thread.join().expect("a daemon that ends");
    let (first, last) = (Request::Initialize("x".into(), alice()), Request::SetOffset("x".into(), 5));
    assert_eq!((heard.len(), &heard[1], &heard[4]), (5, &first, &last));
}

#[test]
fn what_is_removed_is_asked_for_one_by_one_and_where_that_is_not_known_the_rest_is_kept() {
    let held = || vec![ticket("krbtgt/R"), ticket("host/x"), ticket("host/y"), ticket("host/z")];
    let hosts = |credential: &Credential| *credential.server.components()[0] == *"host";
    let folder = tempfile::tempdir().expect("a folder");
    let (name, thread) = daemon(folder.path(), move |request| match request {
        Request::Owner(_) => Ok(Reply::Principal(alice())),
        Request::Credentials(_) => Ok(Reply::Credentials(held())),
        Request::Remove(_, tag) if tag.fits(&ticket("host/y")) => Err(Status::NOT_FOUND),
        _ => Ok(Reply::Done),
    });
    assert_eq!(name.remove(hosts), Ok(2), "somebody else removed one of them");
    let heard = thread.join().expect("a daemon that ends");
    let last = Request::Remove("x".into(), Tag::of(&ticket("host/z")));
    assert_eq!((heard.len(), heard.last()), (5, Some(&last)));

    // sssd's.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kcm");
    let listener = UnixListener::bind(&path).expect("a socket");
    let thread = std::thread::spawn(move || {
        let answer = |request: &Request| match request {
            Request::Owner(_) => Ok(Reply::Principal(alice())),
            Request::Credentials(_) => Ok(Reply::Credentials(held())),
            Request::Remove(..) => Err(Status::UNSUPPORTED),
            _ => Ok(Reply::Done),
        };
        let mut heard = vec![];
        while !heard.iter().any(|request| matches!(request, Request::Replace(..))) {
            let (stream, _) = listener.accept().expect("a client");
            heard.extend(converse(stream, answer));
        }
        heard
    });
    assert_eq!(KcmName::new("x").at(&path).remove(hosts), Ok(3));
    let heard = thread.join().expect("a daemon that ends");
    let Some(Request::Replace(_, _, _, kept)) = heard.last() else { panic!("{heard:?}") };
    assert_eq!(*kept, [ticket("krbtgt/R")]);
}

#[test]
fn a_daemon_that_is_not_there_is_named_with_the_way_out() {
    let name = KcmName::new("x").at(Path::new("/nowhere/kcm"));
    let error = name.load().expect_err("nobody").to_string();
    assert!(
        error.starts_with("No KCM server found: start kcmd")
            && error.ends_with("/nowhere/kcm: No such file or directory"),
        "{error}"
    );
    let off = KcmName::new("x").at(Path::new("-")).load().expect_err("nobody").to_string();
    assert!(off.contains("kcm_socket"), "{off}");
}
