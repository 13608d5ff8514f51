//! The two programs as processes, with a ticket that no KDC issued: whoever knows the service's key
//! can forge one.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use examples::{now, receive, send};
use libkrb::ccache::{CacheName, Ccache, Credential};
use libkrb::client::{ApExchange, ApRequest};
use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage, OsRandom};
use libkrb::flags::TicketFlags;
use libkrb::keytab::{Keytab, KeytabEntry, KeytabName, RawKey};
use libkrb::wire::{self, ApRep, EncTicketPart, EncryptedData, Fixed, KrbError, Ticket, TransitedEncoding};
use libkrb::{ErrorCode, Principal, Time};

const ETYPE: EncryptionType = EncryptionType::AES256_SHA1;

struct Service {
    process: Child,
    address: String,
    ticket: Credential,
    folder: tempfile::TempDir,
}

impl Service {
    fn start() -> Service {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::random(ETYPE, &mut OsRandom::new()).unwrap();
        let principal = Principal::parse("host/a.example.org@EXAMPLE.ORG", None).unwrap();
        let entry =
            KeytabEntry { principal: principal.clone(), timestamp: now().time, kvno: 1, key: RawKey::from(&key) };
        let keytab = KeytabName::File(folder.path().join("keytab"));
        keytab.replace(&Keytab { entries: vec![entry] }).unwrap();

        let mut command = Command::new(env!("CARGO_BIN_EXE_smallest_service"));
        command.args(["127.0.0.1:0", &keytab.to_string()]).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
        Service { process, address, ticket: forged(&key, principal), folder }
    }

    fn client(&self, words: &str) -> Output {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let cache = CacheName::parse(&at("ccache")).unwrap();
        let mut content = Ccache::new(self.ticket.client.clone());
        content.credentials.push(self.ticket.clone());
        cache.replace(&content).unwrap();
        std::fs::write(at("krb5.conf"), "[libdefaults]\n  dns_lookup_kdc = false\n").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_smallest_client"));
        command.args([&self.address, "host/a.example.org", words]);
        command.env("KRB5_CONFIG", at("krb5.conf")).env("KRB5CCNAME", at("ccache"));
        command.output().unwrap()
    }

    /// What the service answers to the first message.
    fn ask(&self, message: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        send(&mut stream, message).unwrap();
        receive(&mut stream).unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// alice's ticket for a service whose key is known.
fn forged(key: &Key, server: Principal) -> Credential {
    let client = Principal::parse("alice@EXAMPLE.ORG", None).unwrap();
    let mut random = OsRandom::new();
    let session_key = Key::random(ETYPE, &mut random).unwrap();
    let (auth_time, end_time) = (now().time, now().time + 3600);
    let plain = wire::encode(&EncTicketPart {
        flags: TicketFlags::PRE_AUTHENT,
        key: (&session_key).into(),
        client_realm: client.realm(),
        client: (&client).into(),
        transited: TransitedEncoding::NONE,
        auth_time,
        start_time: None,
        end_time,
        renew_till: None,
        addresses: None,
        authorization_data: None,
    });
    let cipher = key.encrypt(KeyUsage::TICKET, &mut random, &plain);
    let enc_part = EncryptedData { etype: ETYPE, kvno: Some(1), cipher: &cipher };
    let ticket = wire::encode(&Ticket { version: Fixed, realm: server.realm(), server: (&server).into(), enc_part });
    Credential {
        client,
        server,
        key: RawKey::from(&session_key),
        auth_time,
        start_time: Time::EPOCH,
        end_time,
        renew_till: Time::EPOCH,
        is_skey: false,
        flags: TicketFlags::PRE_AUTHENT,
        addresses: vec![],
        authdata: vec![],
        ticket,
        second_ticket: vec![],
    }
}

#[test]
fn client_and_service_know_each_other_and_speak_in_private() {
    let service = Service::start();
    let output = service.client("good morning");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "hello alice@EXAMPLE.ORG, you said: good morning\n");
}

#[test]
fn a_ticket_under_a_key_that_is_not_the_services_is_refused() {
    let mut service = Service::start();
    let other = Key::random(ETYPE, &mut OsRandom::new()).unwrap();
    service.ticket = forged(&other, service.ticket.server.clone());
    let output = service.client("good morning");
    assert!(!output.status.success() && output.stdout.is_empty());
}

#[test]
fn the_client_tells_nothing_to_a_service_that_cannot_prove_itself() {
    let mut service = Service::start();
    let impostor = TcpListener::bind("127.0.0.1:0").unwrap();
    service.address = impostor.local_addr().unwrap().to_string();
    let heard = thread::spawn(move || {
        let (mut stream, _) = impostor.accept().unwrap();
        receive(&mut stream).unwrap();
        let key = Key::random(ETYPE, &mut OsRandom::new()).unwrap();
        let cipher = key.encrypt(KeyUsage::AP_REP, &mut OsRandom::new(), b"trust me");
        let enc_part = EncryptedData { etype: ETYPE, kvno: None, cipher: &cipher };
        send(&mut stream, &wire::encode(&ApRep { version: Fixed, kind: Fixed, enc_part })).unwrap();
        receive(&mut stream).is_ok()
    });
    let output = service.client("a secret");
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(!heard.join().unwrap());
}

#[test]
fn the_service_refuses_a_replay_and_goes_on_serving() {
    let service = Service::start();
    let request = || ApExchange::new(&service.ticket, &ApRequest::default(), now(), &mut OsRandom::new()).unwrap().1;
    let seen = request();
    assert!(wire::decode::<ApRep<'_>>(&service.ask(&seen)).is_ok());
    for (message, code) in [(seen.as_slice(), ErrorCode::REPEAT), (b"junk", ErrorCode::MSG_TYPE)] {
        assert_eq!(wire::decode::<KrbError<'_>>(&service.ask(message)).unwrap().code, code);
    }
    assert!(wire::decode::<ApRep<'_>>(&service.ask(&request())).is_ok());
}
