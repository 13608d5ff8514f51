use std::iter;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

/// A socket at an address that is ours, and one that it is asked from.
fn sockets(address: impl Into<IpAddr>) -> (UdpSocket, UdpSocket) {
    let address = address.into();
    let here: IpAddr = if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    (UdpSocket::bind((address, 0)).unwrap(), UdpSocket::bind((here, 0)).unwrap())
}

fn at(socket: &UdpSocket, address: IpAddr) -> SocketAddr {
    SocketAddr::new(address, socket.local_addr().unwrap().port())
}

#[test]
fn a_batch_comes_whole_and_in_order_and_no_more_than_asked_for() {
    let (server, client) = sockets(Ipv4Addr::LOCALHOST);
    let (to, from) = (server.local_addr().unwrap(), client.local_addr().unwrap());
    let texts: Vec<Vec<u8>> = (0..40).map(|number| vec![number; usize::from(number) * 100]).collect();
    let outgoing = || texts.iter().map(|bytes| Outgoing { to, from: None, bytes });
    assert_eq!(send(&client, outgoing()).unwrap(), BATCH);
    assert_eq!(send(&client, outgoing().skip(BATCH)).unwrap(), 8);
    let mut inbox = Inbox::new(65_507);
    let mut received = vec![];
    for (most, expected) in [(5, 5), (100, BATCH), (BATCH, 3)] {
        assert_eq!(inbox.receive(&server, most).unwrap(), expected);
        let datagrams = (0..expected).map(|place| inbox.get(place).unwrap());
        assert!(datagrams.clone().all(|it| it.from == from && it.to.is_none()));
        received.extend(datagrams.map(|it| it.bytes.to_vec()));
        assert!(inbox.get(expected).is_none());
    }
    assert_eq!(received, texts);
    assert_eq!(send(&client, outgoing()).unwrap(), BATCH);
    let counts = [inbox.receive(&server, 5), inbox.receive_more(&server, 2), inbox.receive_more(&server, 100)];
    assert_eq!(counts.map(Result::unwrap), [5, 2, BATCH - 7]);
    assert_eq!(inbox.receive_more(&server, 1).unwrap(), 0, "there is no room");
    assert!((0..BATCH).all(|place| inbox.get(place).unwrap().bytes == texts[place]));
    server.set_nonblocking(true).unwrap();
    assert_eq!(inbox.receive(&server, BATCH).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(inbox.get(0).is_none(), "nothing is left of the batch before");
}

#[test]
fn the_longest_datagram_fits_into_each_place() {
    let (server, client) = sockets(Ipv4Addr::LOCALHOST);
    let (to, longest) = (server.local_addr().unwrap(), vec![7; 65_507]);
    let mut inbox = Inbox::new(65_507);
    for bytes in [&longest[..1], &longest] {
        // As many as a socket's buffer holds for sure.
        assert_eq!(send(&client, iter::repeat_n(Outgoing { to, from: None, bytes }, 2)).unwrap(), 2);
        assert_eq!(inbox.receive(&server, BATCH).unwrap(), 2);
        assert!((0..2).all(|place| inbox.get(place).unwrap().bytes == bytes));
    }
}

#[test]
fn what_is_too_long_is_cut_and_told_so_and_its_neighbours_are_whole() {
    let (server, client) = sockets(Ipv4Addr::LOCALHOST);
    let to = server.local_addr().unwrap();
    let texts = [vec![1; 99], vec![2; 100], vec![3; 101], vec![4; 5000], vec![5; 7]];
    assert_eq!(send(&client, texts.iter().map(|bytes| Outgoing { to, from: None, bytes })).unwrap(), 5);
    let mut inbox = Inbox::new(100);
    assert_eq!(inbox.receive(&server, BATCH).unwrap(), 5);
    for (place, text) in texts.iter().enumerate() {
        let datagram = inbox.get(place).unwrap();
        assert_eq!((datagram.bytes, datagram.cut), (&text[..text.len().min(100)], text.len() > 100));
    }
}

#[test]
fn a_reply_comes_from_the_address_that_was_asked() {
    let several: [(IpAddr, &[IpAddr]); 2] = [
        (Ipv4Addr::UNSPECIFIED.into(), &[Ipv4Addr::new(127, 0, 0, 1).into(), Ipv4Addr::new(127, 0, 0, 2).into()]),
        (Ipv6Addr::UNSPECIFIED.into(), &[Ipv6Addr::LOCALHOST.into()]),
    ];
    for (wildcard, ours) in several {
        let (server, client) = sockets(wildcard);
        tell_own_address(&server).unwrap();
        let mut inbox = Inbox::new(65_507);
        for own in ours {
            client.send_to(b"asked", at(&server, *own)).unwrap();
            assert_eq!(inbox.receive(&server, BATCH).unwrap(), 1);
            let Datagram { from, to, .. } = inbox.get(0).unwrap();
            assert_eq!(to, Some(*own));
            assert_eq!(send(&server, iter::once(Outgoing { to: from, from: to, bytes: b"answered" })).unwrap(), 1);
            assert_eq!(client.recv_from(&mut [0; 16]).unwrap(), (8, at(&server, *own)));
        }
    }
}

#[test]
fn what_can_not_be_sent_is_told_and_what_comes_before_it_goes() {
    let (server, client) = sockets(Ipv4Addr::LOCALHOST);
    let to = server.local_addr().unwrap();
    let long = vec![0; 70_000];
    let outgoing = [b"first".as_slice(), &long, b"last"].map(|bytes| Outgoing { to, from: None, bytes });
    assert_eq!(send(&client, outgoing.into_iter()).unwrap(), 1);
    let error = send(&client, outgoing.into_iter().skip(1)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    assert_eq!(send(&client, outgoing.into_iter().skip(2)).unwrap(), 1);
    assert_eq!(send(&client, iter::empty()).unwrap(), 0);
}
