use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

use super::protocol::{Tag, Uuid};
use super::*;
use crate::codes::EncryptionType;
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
    let tag = Tag { client: Some(alice()), server: Some(alice()), ticket: Some(b"t".to_vec()) };
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
fn a_tag_fits_what_it_names_and_nothing_else() {
    let one = ticket("krbtgt/R");
    let tag = Tag { client: Some(alice()), server: Some(one.server.clone()), ticket: None };
    assert!(tag.fits(&one) && !tag.fits(&ticket("host/x")) && Tag::default().fits(&one));
    assert!(!Tag { ticket: Some(b"another".to_vec()), ..tag }.fits(&one));
}

/// A daemon that answers as it is told, for one connection.
fn daemon(
    folder: &Path,
    mut answer: impl FnMut(Request) -> Result<Reply, Status> + Send + 'static,
) -> (KcmName, JoinHandle<Vec<Request>>) {
    let path = folder.join("kcm");
    let listener = UnixListener::bind(&path).expect("a socket");
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut heard = vec![];
        let mut length = [0; 4];
        while stream.read_exact(&mut length).is_ok() {
            let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut bytes).expect("a whole request");
            let request = Request::decode(&bytes).expect("a request");
            heard.push(request.clone());
            let (status, body) = match answer(request) {
                Ok(reply) => (Status::OK, reply.encode().to_vec()),
                Err(status) => (status, vec![]),
            };
            let length = (body.len() as u32 + 4).to_be_bytes();
            let frame = [&length[..], &[0; 4], &status.0.to_be_bytes(), &body].concat();
            stream.write_all(&frame).expect("a client that listens");
        }
        heard
    });
    (KcmName::new("x").at(&path), thread)
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
