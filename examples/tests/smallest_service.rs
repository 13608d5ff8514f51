//! The smallest service as a process of its own, called by a client that has forged its own ticket:
//! whoever knows the service's key can.
#![allow(clippy::disallowed_types)]

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use examples::{now, receive, send};
use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage, OsRandom};
use libkrb::flags::{ApOptions, TicketFlags};
use libkrb::keytab::{Keytab, KeytabEntry, KeytabName, RawKey};
use libkrb::session::{Role, Session};
use libkrb::time::Instant;
use libkrb::wire::{
    self, ApRep, ApReq, Authenticator, EncApRepPart, EncTicketPart, EncryptedData, Fixed, KrbError, Raw, Ticket,
    TransitedEncoding,
};
use libkrb::{ErrorCode, Principal};

const ETYPE: EncryptionType = EncryptionType::AES256_SHA1;

struct Service {
    process: Child,
    address: String,
    key: Key,
    session_key: Key,
    name: Principal,
    _folder: tempfile::TempDir,
}

impl Service {
    fn start() -> Service {
        let key = Key::random(ETYPE, &mut OsRandom::new()).unwrap();
        let name = Principal::parse("host/a.example.org@EXAMPLE.ORG", None).unwrap();
        let entry = KeytabEntry { principal: name.clone(), timestamp: now().time, kvno: 1, key: RawKey::from(&key) };
        let folder = tempfile::tempdir().unwrap();
        let keytab = KeytabName::File(folder.path().join("keytab"));
        keytab.replace(&Keytab { entries: vec![entry] }).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_smallest_service"));
        command.args(["127.0.0.1:0", &keytab.to_string()]).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
        let session_key = Key::random(ETYPE, &mut OsRandom::new()).unwrap();
        Service { process, address, key, session_key, name, _folder: folder }
    }

    /// Sends an AP-REQ of this time, and returns the connection with the answer.
    fn ask(&self, ap_req: &[u8]) -> (TcpStream, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        send(&mut stream, ap_req).unwrap();
        let answer = receive(&mut stream).unwrap();
        (stream, answer)
    }

    fn ap_req(&self, time: Instant) -> Vec<u8> {
        let alice = Principal::parse("alice@EXAMPLE.ORG", None).unwrap();
        let mut random = OsRandom::new();
        let ticket = wire::encode(&EncTicketPart {
            flags: TicketFlags::PRE_AUTHENT,
            key: (&self.session_key).into(),
            client_realm: alice.realm(),
            client: (&alice).into(),
            transited: TransitedEncoding::NONE,
            auth_time: time.time,
            start_time: None,
            end_time: time.time + 60,
            renew_till: None,
            addresses: None,
            authorization_data: None,
        });
        let authenticator = wire::encode(&Authenticator {
            version: Fixed,
            client_realm: alice.realm(),
            client: (&alice).into(),
            checksum: None,
            micros: time.micros,
            time: time.time,
            subkey: None,
            sequence: Some(1),
            authorization_data: None,
        });
        let ticket = self.key.encrypt(KeyUsage::TICKET, &mut random, &ticket);
        let authenticator = self.session_key.encrypt(KeyUsage::AP_REQ_AUTHENTICATOR, &mut random, &authenticator);
        let enc_part = EncryptedData { etype: ETYPE, kvno: Some(1), cipher: &ticket };
        let value = Ticket { version: Fixed, realm: "EXAMPLE.ORG", server: (&self.name).into(), enc_part };
        let der = wire::encode(&value);
        wire::encode(&ApReq {
            version: Fixed,
            kind: Fixed,
            options: ApOptions::MUTUAL_REQUIRED,
            ticket: Raw { der: &der, value },
            authenticator: EncryptedData { etype: ETYPE, kvno: None, cipher: &authenticator },
        })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn it_proves_itself_and_answers_in_private() {
    let service = Service::start();
    let time = now();
    let (mut stream, answer) = service.ask(&service.ap_req(time));
    let reply: ApRep<'_> = wire::decode(&answer).unwrap();
    let plain = service.session_key.decrypt(KeyUsage::AP_REP, reply.enc_part.cipher).unwrap();
    let part: EncApRepPart<'_> = wire::decode(&plain).unwrap();
    assert_eq!((part.time, part.micros), (time.time, time.micros), "only the real service knows our clock");
    let key = part.subkey.unwrap().key().unwrap();
    let mut session = Session::new(&key, Role::Initiator, 1, part.sequence.unwrap());
    send(&mut stream, &session.make_priv(now(), &mut OsRandom::new(), b"good morning").unwrap()).unwrap();
    let answer = session.read_priv(now(), &receive(&mut stream).unwrap()).unwrap();
    assert_eq!(std::str::from_utf8(&answer).unwrap(), "hello alice@EXAMPLE.ORG, you said: good morning");
}

#[test]
fn it_refuses_a_replay_and_goes_on_serving() {
    let service = Service::start();
    let request = service.ap_req(now());
    let (_stream, first) = service.ask(&request);
    assert!(wire::decode::<ApRep<'_>>(&first).is_ok());
    let (_stream, second) = service.ask(&request);
    assert_eq!(wire::decode::<KrbError<'_>>(&second).unwrap().code, ErrorCode::REPEAT);
    let (_stream, junk) = service.ask(b"junk");
    assert_eq!(wire::decode::<KrbError<'_>>(&junk).unwrap().code, ErrorCode::MSG_TYPE);
    let (_stream, third) = service.ask(&service.ap_req(now()));
    assert!(wire::decode::<ApRep<'_>>(&third).is_ok());
}
