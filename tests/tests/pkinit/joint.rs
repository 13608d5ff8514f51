//! `kinit -n` between MIT's programs and ours with somebody in the middle: the session key of a ticket without a
//! name is made of parts of both sides (PA-PKINIT-KX, RFC 8062 7), and who takes the KDC's part away or changes it
//! gets no ticket accepted.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use libkrb::codes::PaType;
use libkrb::wire::{self, KdcRep, List, PaData};
use tests::{Pair, Realm, Said, Secret, suite};

use crate::peers::{file, realm};

suite! {
    mit_tools_our_kdc: Mit, Ours;
    our_tools_our_kdc: Ours, Ours;
    our_tools_mit_kdc: Ours, Mit;
    => {
        d2_the_session_key_of_a_ticket_without_a_name_is_checked_by_the_client;
    }
}

/// What the one in the middle does with the KDC's part of the session key.
#[derive(Clone, Copy, PartialEq)]
enum Bend {
    Nothing,
    Away,
    Another,
}

fn frame(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u32::from_be_bytes(length).min(1 << 20) as usize];
    stream.read_exact(&mut message).map(|()| message)
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message");
    [&length.to_be_bytes()[..], message].concat()
}

/// The same reply with another part of the KDC's; counts those that had one.
fn bent(reply: Vec<u8>, bend: Bend, seen: &AtomicUsize) -> Vec<u8> {
    let Ok(rep) = wire::decode::<KdcRep<'_>>(&reply) else { return reply };
    let mut elements: Vec<_> = rep.padata.iter().map(|element| (element.kind, element.value.to_vec())).collect();
    let parts = elements.iter().filter(|(kind, _)| *kind == PaType::PKINIT_KX).count();
    seen.fetch_add(parts, Ordering::SeqCst);
    match bend {
        Bend::Nothing => {}
        Bend::Away => elements.retain(|(kind, _)| *kind != PaType::PKINIT_KX),
        Bend::Another => elements.iter_mut().filter(|(kind, _)| *kind == PaType::PKINIT_KX).for_each(|(_, value)| {
            *value.last_mut().expect("octets") ^= 1;
        }),
    }
    let elements: Vec<_> = elements.iter().map(|(kind, value)| PaData { kind: *kind, value }).collect();
    wire::encode(&KdcRep { padata: List::Items(&elements), ..rep })
}

fn carry(mut client: TcpStream, kdc: SocketAddr, bend: Bend, seen: &AtomicUsize) -> std::io::Result<()> {
    loop {
        let request = frame(&mut client)?;
        let mut server = TcpStream::connect(kdc)?;
        server.write_all(&framed(&request))?;
        let reply = bent(frame(&mut server)?, bend, seen);
        client.write_all(&framed(&reply))?;
    }
}

/// Somebody between a client and the KDC, and how many parts of session keys have come by.
fn in_the_middle(kdc: SocketAddr, bend: Bend) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            // Whoever hangs up has heard enough.
            let _ = carry(client, kdc, bend, &counted);
        }
    });
    (address, seen)
}

fn login(pair: Pair, realm: &Realm, bend: Bend) -> (Said, usize, bool) {
    let (address, seen) = in_the_middle(realm.address(), bend);
    let seat = pair.seat(realm);
    seat.set(&format!("pkinit_anchors = FILE:{}", file("ca.crt"))).set("udp_preference_limit = 1");
    seat.reach(&address.to_string(), &address.to_string(), "");
    let said = seat.tool("kinit").args(["-n", "@EXAMPLE.ORG"]).run();
    (said, seen.load(Ordering::SeqCst), seat.ccache().exists())
}

fn d2_the_session_key_of_a_ticket_without_a_name_is_checked_by_the_client(pair: Pair) {
    let realm = realm(pair);
    realm.add("WELLKNOWN/ANONYMOUS", Secret::Random, &[]);
    let (said, parts, cached) = login(pair, &realm, Bend::Nothing);
    said.succeeds();
    assert_eq!((parts, cached), (1, true), "the KDC says its part");
    for bend in [Bend::Away, Bend::Another] {
        let (said, parts, cached) = login(pair, &realm, bend);
        said.fails();
        assert_eq!((parts, cached), (1, false), "the reply came, and was refused");
    }
}
