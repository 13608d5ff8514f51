//! MIT's GSS sample programs with us on the other side of the call: `gss-client` is accepted by our
//! acceptor, and `gss-server` accepts our initiator. What GSS-API wraps around the AP exchange is
//! made by hand here ([`gss`]).

use std::io::{Read, Write};
use std::net::TcpStream;

use libkrb::client::{ApExchange, ApRequest};
use libkrb::crypto::OsRandom;
use libkrb::flags::TicketFlags;
use libkrb::service::Accepted;
use libkrb::session::{Role, open_cred};
use tests::call::{called, receive, send};
use tests::gss::{self, TokenId, flags};
use tests::library::{acceptor, now, ticket};
use tests::{
    AES128_SHA1, AES128_SHA2, AES256_SHA1, AES256_SHA2, CAMELLIA256, Daemon, Etype, Family, PATIENCE, Pair, Plan, Port,
    Realm, Said, suite,
};

const SERVICE: &str = "host/localhost";
const MESSAGE: &str = "a message";

suite! {
    our_kdc: Mit, Ours;
    => {
        its_client_and_our_acceptor_agree_under_aes128_sha1;
        its_client_and_our_acceptor_agree_under_aes256_sha1;
        its_client_and_our_acceptor_agree_under_aes128_sha2;
        its_client_and_our_acceptor_agree_under_aes256_sha2;
        its_client_and_our_acceptor_agree_under_camellia256;
        its_client_hands_us_its_ticket;
        our_initiator_and_its_server_agree_under_aes128_sha1;
        our_initiator_and_its_server_agree_under_aes256_sha1;
        our_initiator_and_its_server_agree_under_aes128_sha2;
        our_initiator_and_its_server_agree_under_aes256_sha2;
        our_initiator_and_its_server_agree_under_camellia256;
    }
}

/// alice's `gss-client` calls our acceptor, which signs the message that it sends.
fn call_us(pair: Pair, realm: &Realm, options: &[&str]) -> (Said, Accepted) {
    let acceptor = acceptor(&realm.add_service(SERVICE));
    let seat = pair.seat(realm);
    seat.kinit(&["-f", "alice"], "secret").succeeds();
    let client = seat.program(Family::Mit.program("gss-client"));
    let (said, talk) = called(
        |address| {
            // The first form of its protocol is a length before each token; the message is not wrapped.
            let client = client.args(["-port", &address.port().to_string(), "-v1", "-nw", "-nx"]).args(options);
            client.args(["127.0.0.1", "host@localhost", MESSAGE])
        },
        |mut stream| {
            let token = receive(&mut stream);
            let request = gss::unframe(TokenId::ApReq, &token);
            let accepted = acceptor.accept(now(), &mut OsRandom::new(), request, None).unwrap();
            send(&mut stream, &gss::frame(TokenId::ApRep, accepted.reply.as_ref().expect("it asks who we are")));
            let message = receive(&mut stream);
            let context = gss::Context { key: accepted.key(), acceptor_subkey: true };
            send(&mut stream, &context.mic(Role::Acceptor, accepted.acceptor_sequence, &message));
            accepted
        },
    );
    (said, talk.expect("a call"))
}

fn its_client_and_our_acceptor_agree(pair: Pair, etype: Etype) {
    let realm = pair.realm_of(Plan::default().with_etypes(&[etype]));
    let (said, accepted) = call_us(pair, &realm, &[]);
    said.succeeds().saying("Signature verified.");
    assert_eq!(accepted.client.to_string(), "alice@EXAMPLE.ORG");
    let (set, cred) = gss::read_checksum(&accepted.checksum);
    assert!(set & flags::MUTUAL != 0 && set & flags::DELEGATE == 0 && cred.is_none());
}

fn its_client_and_our_acceptor_agree_under_aes128_sha1(pair: Pair) {
    its_client_and_our_acceptor_agree(pair, AES128_SHA1);
}

fn its_client_and_our_acceptor_agree_under_aes256_sha1(pair: Pair) {
    its_client_and_our_acceptor_agree(pair, AES256_SHA1);
}

fn its_client_and_our_acceptor_agree_under_aes128_sha2(pair: Pair) {
    its_client_and_our_acceptor_agree(pair, AES128_SHA2);
}

fn its_client_and_our_acceptor_agree_under_aes256_sha2(pair: Pair) {
    its_client_and_our_acceptor_agree(pair, AES256_SHA2);
}

fn its_client_and_our_acceptor_agree_under_camellia256(pair: Pair) {
    // Heimdal has no Camellia.
    if pair.kdc != Family::Heimdal {
        its_client_and_our_acceptor_agree(pair, CAMELLIA256);
    }
}

fn its_client_hands_us_its_ticket(pair: Pair) {
    let (said, accepted) = call_us(pair, &pair.realm(), &["-d"]);
    said.succeeds().saying("Signature verified.");
    let (set, cred) = gss::read_checksum(&accepted.checksum);
    assert_ne!(set & flags::DELEGATE, 0);
    let received = open_cred(&accepted.session_key, cred.expect("a KRB-CRED")).unwrap();
    let [handed] = received.tickets.as_slice() else { panic!("one ticket: {received:?}") };
    assert_eq!(handed.client, accepted.client);
    assert!(handed.flags.has(TicketFlags::FORWARDED));
}

/// What a token of `gss-server` is about, in the octet before its length.
mod about {
    pub const NOTHING: u8 = 1;
    pub const CONTEXT: u8 = 2;
    pub const DATA: u8 = 4;
    pub const SIGNATURE: u8 = 8;
    pub const CONTEXT_FOLLOWS: u8 = 16;
    pub const SIGNATURE_WANTED: u8 = 128;
}

fn tell(stream: &mut TcpStream, about: u8, token: &[u8]) {
    stream.write_all(&[about]).expect("an octet sent");
    send(stream, token);
}

#[track_caller]
fn hear(stream: &mut TcpStream, about: u8) -> Vec<u8> {
    let mut found = [0];
    stream.read_exact(&mut found).expect("an octet");
    assert_eq!(found, [about]);
    receive(stream)
}

fn our_initiator_and_its_server_agree(pair: Pair, etype: Etype) {
    let realm = pair.realm_of(Plan::default().with_etypes(&[etype]));
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    let port = Port::claim();
    let server = seat.program(Family::Mit.program("gss-server")).env("KRB5_KTNAME", &keytab);
    let server = server.args(["-port", &port.number().to_string(), "-verbose", "host@localhost"]);
    let _server = Daemon::start(server.command(), "starting...");

    let ticket = ticket(&seat, "alice", "secret", SERVICE);
    let checksum = Some(gss::checksum(flags::MUTUAL | flags::INTEGRITY));
    let request = ApRequest { checksum, ..ApRequest::default() };
    let (exchange, message) = ApExchange::new(&ticket, &request, now(), &mut OsRandom::new()).unwrap();
    let mut stream = TcpStream::connect(port.address()).expect("a server");
    stream.set_read_timeout(Some(PATIENCE)).expect("a connection with a timeout");
    tell(&mut stream, about::NOTHING | about::CONTEXT_FOLLOWS, &[]);
    tell(&mut stream, about::CONTEXT, &gss::frame(TokenId::ApReq, &message));
    let reply = hear(&mut stream, about::CONTEXT);
    let session = exchange.finish(gss::unframe(TokenId::ApRep, &reply)).unwrap();

    let context = gss::Context { key: session.key(), acceptor_subkey: session.acceptor_subkey.is_some() };
    tell(&mut stream, about::DATA | about::SIGNATURE_WANTED, MESSAGE.as_bytes());
    context.assert_mic(Role::Acceptor, session.recv_seq, MESSAGE.as_bytes(), &hear(&mut stream, about::SIGNATURE));
}

fn our_initiator_and_its_server_agree_under_aes128_sha1(pair: Pair) {
    our_initiator_and_its_server_agree(pair, AES128_SHA1);
}

fn our_initiator_and_its_server_agree_under_aes256_sha1(pair: Pair) {
    our_initiator_and_its_server_agree(pair, AES256_SHA1);
}

fn our_initiator_and_its_server_agree_under_aes128_sha2(pair: Pair) {
    our_initiator_and_its_server_agree(pair, AES128_SHA2);
}

fn our_initiator_and_its_server_agree_under_aes256_sha2(pair: Pair) {
    our_initiator_and_its_server_agree(pair, AES256_SHA2);
}

fn our_initiator_and_its_server_agree_under_camellia256(pair: Pair) {
    // Heimdal has no Camellia.
    if pair.kdc != Family::Heimdal {
        our_initiator_and_its_server_agree(pair, CAMELLIA256);
    }
}
