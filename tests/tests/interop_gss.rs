//! MIT's GSS sample programs with us on the other side of the call: `gss-client` is accepted by our
//! acceptor, and `gss-server` accepts our initiator, with every flag that they know.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use libkrb::ErrorCode;
use libkrb::crypto::OsRandom;
use libkrb::flags::TicketFlags;
use libkrb::gss::{Caller, Context, ContextFlags as F, InitiatorContext, InitiatorStep};
use libkrb::service::Acceptor;
use libkrb::time::Instant;
use tests::call::{called, receive, send};
use tests::gss::{self, Post};
use tests::library::{acceptor, now, ticket};
use tests::{
    AES128_SHA1, AES128_SHA2, AES256_SHA1, AES256_SHA2, CAMELLIA256, Daemon, Etype, Family, PATIENCE, Pair, Plan, Port,
    Realm, Said, Seat, suite,
};

#[path = "interop_gss/iakerb.rs"]
mod iakerb;

use iakerb::*;

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
        its_client_gets_the_flags_that_it_asks_for;
        its_client_says_its_message_in_every_way;
        its_client_hands_us_its_ticket;
        its_client_understands_our_refusal;
        its_client_speaks_the_old_protocol;
        its_client_calls_again_and_again;
        its_client_wants_what_we_do_not_have;
        our_initiator_and_its_server_agree_under_aes128_sha1;
        our_initiator_and_its_server_agree_under_aes256_sha1;
        our_initiator_and_its_server_agree_under_aes128_sha2;
        our_initiator_and_its_server_agree_under_aes256_sha2;
        our_initiator_and_its_server_agree_under_camellia256;
        our_initiator_gets_the_flags_that_it_asks_for;
        our_initiator_understands_its_refusal;
        its_client_logs_in_through_our_acceptor;
        its_client_with_a_wrong_password_gets_nowhere_through_our_acceptor;
        our_initiator_logs_in_through_its_library;
        our_initiator_logs_in_through_our_acceptor_and_nobody_in_between_changes_a_word;
    }
}

/// What a token of the samples is about, in the octet before its length.
mod about {
    pub const NOTHING: u8 = 1;
    pub const CONTEXT: u8 = 2;
    pub const DATA: u8 = 4;
    pub const SIGNATURE: u8 = 8;
    pub const CONTEXT_FOLLOWS: u8 = 16;
    pub const WRAPPED: u8 = 32;
    pub const ENCRYPTED: u8 = 64;
    pub const SIGNATURE_WANTED: u8 = 128;
}

/// A conversation in the samples' protocol.
struct Sample(TcpStream);

impl Sample {
    fn tell(&mut self, about: u8, token: &[u8]) {
        self.0.write_all(&[about]).expect("an octet sent");
        send(&mut self.0, token);
    }

    fn hear(&mut self) -> (u8, Vec<u8>) {
        let mut about = [0];
        self.0.read_exact(&mut about).expect("an octet");
        (about[0], receive(&mut self.0))
    }
}

impl Post for Sample {
    fn send(&mut self, token: &[u8]) {
        self.tell(about::CONTEXT, token);
    }

    fn receive(&mut self) -> Vec<u8> {
        let (found, token) = self.hear();
        assert_eq!(found, about::CONTEXT, "a token that opens a context");
        token
    }
}

/// What our server heard.
struct Heard {
    context: Context,
    caller: Caller,
    /// Each message, whether it was in a Wrap token, and whether that was sealed.
    messages: Vec<(Vec<u8>, bool, bool)>,
}

/// What `gss-server` does, with our acceptor.
fn serve(acceptor: &Arc<Acceptor>, stream: TcpStream) -> Heard {
    let mut sample = Sample(stream);
    assert_eq!(sample.hear(), (about::NOTHING | about::CONTEXT_FOLLOWS, vec![]));
    let gss::Accepted { context, caller, .. } = gss::accept(acceptor, &mut sample);
    listen(sample, context, caller)
}

/// Answers the messages of an open context.
fn listen(mut sample: Sample, mut context: Context, caller: Caller) -> Heard {
    let mut messages = vec![];
    loop {
        let (about, token) = sample.hear();
        if about & about::NOTHING != 0 {
            return Heard { context, caller, messages };
        }
        let wrapped = about & about::WRAPPED != 0;
        let (message, confidential) = if wrapped {
            let opened = context.unwrap(&token).expect("a Wrap token");
            (opened.message.to_vec(), opened.confidential)
        } else {
            (token, false)
        };
        if about & about::SIGNATURE_WANTED != 0 {
            let signature = context.mic(&message).expect("a signature");
            sample.tell(about::SIGNATURE, &signature);
        } else {
            sample.tell(about::NOTHING, &[]);
        }
        messages.push((message, wrapped, confidential));
    }
}

/// alice's `gss-client` calls `answer`.
fn call<T: Send>(seat: &Seat<'_>, options: &[&str], answer: impl FnOnce(TcpStream) -> T + Send) -> (Said, T) {
    let client = seat.program(Family::Mit.program("gss-client"));
    let (said, talk) = called(
        |address| {
            let client = client.args(["-port", &address.port().to_string()]).args(options);
            client.args(["127.0.0.1", "host@localhost", MESSAGE])
        },
        answer,
    );
    let Ok(talk) = talk else { panic!("the call failed; the client says {said:?}") };
    (said, talk)
}

/// A seat at which alice is logged in.
fn alice<'a>(pair: Pair, realm: &'a Realm) -> Seat<'a> {
    let seat = pair.seat(realm);
    seat.kinit(&["-f", "alice"], "secret").succeeds();
    seat
}

/// No session key of another kind: MIT's KDC takes it that every service knows its favourites.
fn permit(seat: &Seat<'_>, etype: Etype) {
    seat.set(&format!("permitted_enctypes = {}", etype.name));
}

fn its_client_and_our_acceptor_agree(pair: Pair, etype: Etype) {
    let realm = pair.realm_of(Plan::default().with_etypes(&[etype]));
    let acceptor = Arc::new(acceptor(&realm.add_service(SERVICE)));
    let seat = pair.seat(&realm);
    permit(&seat, etype);
    seat.kinit(&["alice"], "secret").succeeds();
    let (said, heard) = call(&seat, &["-mcount", "3"], |stream| serve(&acceptor, stream));
    said.succeeds().saying("Signature verified.");
    assert_eq!(heard.caller.accepted.client.to_string(), "alice@EXAMPLE.ORG");
    assert_eq!(heard.context.key().etype().0, etype.number);
    assert_eq!(heard.messages, vec![(MESSAGE.as_bytes().to_vec(), true, true); 3]);
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

fn its_client_gets_the_flags_that_it_asks_for(pair: Pair) {
    let realm = pair.realm();
    let acceptor = Arc::new(acceptor(&realm.add_service(SERVICE)));
    let seat = alice(pair, &realm);
    let protected = F::CONFIDENTIALITY | F::INTEGRITY;
    let table: [(&[&str], F); 6] = [
        (&[], F::MUTUAL | F::REPLAY | protected),
        (&["-seq"], F::MUTUAL | F::REPLAY | F::SEQUENCE | protected),
        (&["-noreplay"], F::MUTUAL | protected),
        (&["-noreplay", "-seq"], F::MUTUAL | F::SEQUENCE | protected),
        (&["-nomutual"], F::REPLAY | protected),
        (&["-d"], F::DELEGATE | F::MUTUAL | F::REPLAY | protected),
    ];
    for (mechanism, (options, flags)) in ["-krb5", "-spnego"].into_iter().flat_map(|one| table.map(|row| (one, row))) {
        let options = [options, &[mechanism, "-mcount", "2"]].concat();
        let (said, heard) = call(&seat, &options, |stream| serve(&acceptor, stream));
        said.succeeds().saying("Signature verified.");
        assert_eq!((heard.context.flags(), heard.messages.len()), (flags, 2), "{options:?}");
    }
}

fn its_client_says_its_message_in_every_way(pair: Pair) {
    let realm = pair.realm();
    let acceptor = Arc::new(acceptor(&realm.add_service(SERVICE)));
    let seat = alice(pair, &realm);
    let table: [(&[&str], (bool, bool), &str); 4] = [
        (&[], (true, true), "Signature verified."),
        (&["-nx"], (true, false), "Signature verified."),
        (&["-nx", "-nw"], (false, false), "Signature verified."),
        (&["-nm"], (true, true), "Response received."),
    ];
    for (mechanism, (options, (wrapped, confidential), answer)) in
        ["-krb5", "-spnego"].into_iter().flat_map(|one| table.map(|row| (one, row)))
    {
        let (said, heard) = call(&seat, &[options, &[mechanism]].concat(), |stream| serve(&acceptor, stream));
        said.succeeds().saying(answer);
        assert_eq!(heard.messages, [(MESSAGE.as_bytes().to_vec(), wrapped, confidential)], "{options:?}");
    }
}

fn its_client_hands_us_its_ticket(pair: Pair) {
    let realm = pair.realm();
    let acceptor = Arc::new(acceptor(&realm.add_service(SERVICE)));
    let (said, heard) = call(&alice(pair, &realm), &["-d"], |stream| serve(&acceptor, stream));
    said.succeeds().saying("Signature verified.");
    let received = heard.caller.delegated.expect("a KRB-CRED");
    let [handed] = received.tickets.as_slice() else { panic!("one ticket: {received:?}") };
    assert_eq!(handed.client, heard.caller.accepted.client);
    assert!(handed.flags.has(TicketFlags::FORWARDED));
}

fn its_client_speaks_the_old_protocol(pair: Pair) {
    let realm = pair.realm();
    let acceptor = Arc::new(acceptor(&realm.add_service(SERVICE)));
    let seat = alice(pair, &realm);
    for mechanism in ["-krb5", "-spnego"] {
        // A length before each token and nothing else, so the message is not wrapped.
        let (said, message) = call(&seat, &["-v1", "-nw", "-nx", mechanism], |mut stream| {
            let mut accepted = gss::accept(&acceptor, &mut stream);
            let message = receive(&mut stream);
            send(&mut stream, &accepted.context.mic(&message).expect("a signature"));
            message
        });
        said.succeeds().saying("Signature verified.");
        assert_eq!(message, MESSAGE.as_bytes());
    }
}

fn its_client_calls_again_and_again(pair: Pair) {
    let realm = pair.realm();
    let acceptor = Arc::new(acceptor(&realm.add_service(SERVICE)));
    let seat = alice(pair, &realm);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port().to_string();
    let client = seat.program(Family::Mit.program("gss-client"));
    let client = client.args(["-port", &port, "-spnego", "-q", "-ccount", "3", "-mcount", "4"]);
    let client = client.args(["127.0.0.1", "host@localhost", MESSAGE]);
    let said = thread::scope(|scope| {
        scope.spawn(|| {
            for stream in listener.incoming().take(3) {
                assert_eq!(serve(&acceptor, stream.expect("a call")).messages.len(), 4);
            }
        });
        client.run()
    });
    said.succeeds();
}

fn its_client_wants_what_we_do_not_have(pair: Pair) {
    let realm = pair.realm();
    let acceptor = Arc::new(acceptor(&realm.add_service(SERVICE)));
    let seat = alice(pair, &realm);
    for (options, why) in
        [(&["-dce"][..], "a context in the style of DCE"), (&["-iakerb"], "another mechanism than Kerberos")]
    {
        let (said, refusal) = call(&seat, options, |stream| {
            let mut sample = Sample(stream);
            sample.hear();
            let refusal = gss::accept_token(&acceptor, &sample.receive()).err().expect("a refusal");
            sample.send(refusal.token.as_ref().expect("a token"));
            refusal
        });
        said.fails();
        assert!(refusal.cause.to_string().contains(why), "{options:?} {}", refusal.cause);
    }
}

/// A clock that is an hour ahead.
fn later() -> Instant {
    Instant { time: now().time + 3600, ..now() }
}

fn its_client_understands_our_refusal(pair: Pair) {
    let realm = pair.realm();
    let acceptor = Arc::new(acceptor(&realm.add_service(SERVICE)));
    // Not with -spnego: any rejection kills this program, also that of gss-server.
    let (said, refusal) = call(&alice(pair, &realm), &["-krb5"], |stream| {
        let mut sample = Sample(stream);
        sample.hear();
        let token = sample.receive();
        let refusal = gss::accept_at(&acceptor, later(), &token).err().expect("a clock too far off");
        sample.send(refusal.token.as_ref().expect("a token that says so"));
        refusal
    });
    said.fails().saying("Clock skew too great");
    assert_eq!(refusal.cause.wire_code(), ErrorCode::SKEW);
}

/// A running `gss-server`.
struct Server {
    port: Port,
    _daemon: Daemon,
}

impl Server {
    fn start(seat: &Seat<'_>, keytab: &std::path::Path) -> Server {
        let port = Port::claim();
        let server = seat.program(Family::Mit.program("gss-server")).env("KRB5_KTNAME", keytab);
        let server = server.args(["-port", &port.number().to_string(), "-verbose", "host@localhost"]);
        let daemon = Daemon::start(server.command(), "starting...");
        Server { port, _daemon: daemon }
    }

    /// A call in which a context is to be opened next.
    fn call(&self) -> Sample {
        let stream = TcpStream::connect(self.port.address()).expect("a server");
        stream.set_read_timeout(Some(PATIENCE)).expect("a connection with a timeout");
        let mut sample = Sample(stream);
        sample.tell(about::NOTHING | about::CONTEXT_FOLLOWS, &[]);
        sample
    }
}

/// Says the message in every way, each of which the server signs.
fn say_everything(sample: &mut Sample, context: &mut Context) {
    let message = MESSAGE.as_bytes();
    let random = &mut OsRandom::new();
    let sealed = context.wrap(random, true, message).expect("a sealed message");
    let signed = context.wrap(random, false, message).expect("a signed message");
    let ways = [(about::WRAPPED | about::ENCRYPTED, sealed), (about::WRAPPED, signed), (0, message.to_vec())];
    for (way, token) in ways {
        sample.tell(about::DATA | about::SIGNATURE_WANTED | way, &token);
        let (found, signature) = sample.hear();
        assert_eq!(found, about::SIGNATURE);
        context.verify_mic(message, &signature).expect("the server's signature");
    }
    sample.tell(about::NOTHING, &[]);
}

fn our_initiator_and_its_server_agree(pair: Pair, etype: Etype) {
    let realm = pair.realm_of(Plan::default().with_etypes(&[etype]));
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    permit(&seat, etype);
    let server = Server::start(&seat, &keytab);
    let ticket = ticket(&seat, "alice", "secret", SERVICE);
    let mut sample = server.call();
    let mut context = gss::initiate(&ticket, gss::kerberos(F::DEFAULT), &mut sample);
    assert_eq!(context.key().etype().0, etype.number);
    say_everything(&mut sample, &mut context);
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

fn our_initiator_gets_the_flags_that_it_asks_for(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    let server = Server::start(&seat, &keytab);
    let ticket = ticket(&seat, "alice", "secret", SERVICE);
    let protected = F::CONFIDENTIALITY | F::INTEGRITY;
    for flags in [F::NONE, F::MUTUAL, F::REPLAY, F::SEQUENCE, F::MUTUAL | F::SEQUENCE, F::REPLAY | F::SEQUENCE] {
        for options in [gss::kerberos(flags | protected), gss::spnego(flags | protected)] {
            let mut sample = server.call();
            let mut context = gss::initiate(&ticket, options, &mut sample);
            say_everything(&mut sample, &mut context);
        }
    }
}

fn our_initiator_understands_its_refusal(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    let server = Server::start(&seat, &keytab);
    let ticket = ticket(&seat, "alice", "secret", SERVICE);
    let mut sample = server.call();
    let mut initiator = InitiatorContext::new(&ticket, gss::kerberos(F::DEFAULT)).expect("an initiator");
    let Ok(InitiatorStep::Continue(token)) = initiator.step(later(), &mut OsRandom::new(), None) else {
        panic!("a first token")
    };
    sample.send(&token);
    let refused = initiator.step(later(), &mut OsRandom::new(), Some(&sample.receive())).expect_err("a wrong clock");
    assert_eq!(refused.wire_code(), ErrorCode::SKEW);
    assert!(refused.to_string().contains("seconds behind ours"), "{refused}");
    let offset = initiator.clock_offset().expect("the server's clock").apply(later());
    assert!(offset.time.distance(now().time) < 60, "close to the clock of this machine");
}
