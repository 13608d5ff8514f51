//! The smallest client and the smallest service as the processes they are, with tickets from a
//! running KDC, and somebody on the wire between them who listens.

use std::net::{SocketAddr, TcpStream};

use libkrb::codes::MessageType;
use libkrb::wire::{self, ApRep, KrbError};
use libkrb::{ErrorCode, Time};
use tests::call::{called, connect, receive, send};
use tests::{Daemon, Family, PATIENCE, Pair, Realm, Said, Seat, Tool, suite};

const SERVICE: &str = "host/server.example.org";
const WORDS: &str = "good morning, this is between the two of us";

suite! {
    our_tools_our_kdc: Ours, Ours;
    mit_tools_our_kdc: Mit, Ours;
    our_tools_mit_kdc: Ours, Mit;
    our_tools_heimdal_kdc: Ours, Heimdal;
    => {
        client_and_service_know_each_other_and_speak_in_private;
        a_recorded_request_is_refused_and_the_service_goes_on;
        a_service_with_another_key_is_told_nothing;
        a_client_that_may_not_have_a_ticket_calls_nobody;
    }
}

/// A running service.
struct Service {
    daemon: Daemon,
    address: SocketAddr,
}

impl Service {
    /// With the keytab of `principal`, which has to be the service's for anyone to be served.
    fn start(realm: &Realm, principal: &str) -> Service {
        let keytab = format!("FILE:{}", realm.add_service(principal).display());
        let program = Tool::new(Family::Ours.program("smallest_service")).args(["127.0.0.1:0", &keytab]);
        let daemon = Daemon::start(program.command(), "listening on ");
        let log = daemon.log();
        let address = log.trim().strip_prefix("listening on ").expect("where it listens");
        Service { address: address.parse().expect("an address"), daemon }
    }

    fn call(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a service that answers calls");
        stream.set_read_timeout(Some(PATIENCE)).expect("a connection with a timeout");
        stream
    }

    /// Runs the client; gives what it said to us, and what it and the service said to each other.
    fn overheard(&self, seat: &Seat<'_>) -> (Said, (Vec<u8>, Vec<u8>)) {
        let client = seat.program(Family::Ours.program("smallest_client"));
        let (said, talk) = called(
            |address| client.args([&address.to_string(), SERVICE, WORDS]),
            |caller| connect(&caller, &self.call()),
        );
        (said, talk.expect("a line without noise"))
    }
}

/// A seat with alice's ticket-granting ticket.
fn seat(pair: Pair, realm: &Realm) -> Seat<'_> {
    let seat = pair.seat(realm);
    seat.kinit(&["alice"], "secret").succeeds();
    seat
}

fn contains(talk: &[u8], words: &str) -> bool {
    talk.windows(words.len()).any(|window| window == words.as_bytes())
}

fn client_and_service_know_each_other_and_speak_in_private(pair: Pair) {
    let realm = pair.realm();
    let service = Service::start(&realm, SERVICE);
    let seat = seat(pair, &realm);
    let (said, (asked, answered)) = service.overheard(&seat);
    let heard = said.succeeds();
    assert_eq!(heard.stdout(), format!("hello alice@EXAMPLE.ORG, you said: {WORDS}\n"));
    assert!(seat.ticket(SERVICE).end > Time::EPOCH, "the ticket is in the cache for the next time");

    // On the wire: AP-REQ and AP-REP, then a KRB-PRIV each, and nothing that anyone could read.
    for (talk, first) in [(&asked, MessageType::AP_REQ), (&answered, MessageType::AP_REP)] {
        let mut rest = talk.as_slice();
        for kind in [first, MessageType::PRIV] {
            assert_eq!(wire::application_tag(&receive(&mut rest)).map(i32::from), Some(kind.0));
        }
        assert!(rest.is_empty() && !contains(talk, WORDS) && !contains(talk, "hello"));
    }
}

fn a_recorded_request_is_refused_and_the_service_goes_on(pair: Pair) {
    let realm = pair.realm();
    let service = Service::start(&realm, SERVICE);
    let seat = seat(pair, &realm);
    let (said, (asked, _)) = service.overheard(&seat);
    said.succeeds();

    let mut thief = service.call();
    send(&mut thief, &receive(&mut asked.as_slice()));
    let answer = receive(&mut thief);
    let error: KrbError<'_> = wire::decode(&answer).expect("a KRB-ERROR");
    assert_eq!(error.code, ErrorCode::REPEAT);

    let (said, (_, answered)) = service.overheard(&seat);
    said.succeeds();
    assert!(wire::decode::<ApRep<'_>>(&receive(&mut answered.as_slice())).is_ok());
}

fn a_service_with_another_key_is_told_nothing(pair: Pair) {
    let realm = pair.realm();
    realm.add_service(SERVICE);
    let service = Service::start(&realm, "host/other.example.org");
    let (said, (asked, answered)) = service.overheard(&seat(pair, &realm));
    let heard = said.fails_with(1);
    assert_eq!(heard.stdout(), "");
    let (mut asked, mut answered) = (asked.as_slice(), answered.as_slice());
    receive(&mut asked);
    assert!(asked.is_empty(), "after the AP-REQ the client says nothing");
    let answer = receive(&mut answered);
    assert_eq!(wire::decode::<KrbError<'_>>(&answer).expect("a KRB-ERROR").code, ErrorCode::NOKEY);
}

fn a_client_that_may_not_have_a_ticket_calls_nobody(pair: Pair) {
    let realm = pair.realm();
    let service = Service::start(&realm, SERVICE);
    let seat = seat(pair, &realm);
    realm.delete(SERVICE);
    let client = seat.program(Family::Ours.program("smallest_client"));
    let refused = client.args([&service.address.to_string(), SERVICE, WORDS]).run().fails_with(1);
    assert_eq!((refused.stdout(), service.daemon.log().lines().count()), ("", 1));
}
