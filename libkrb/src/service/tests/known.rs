//! Tickets that come again: nothing is different but the work.

use super::*;

/// Alice's request number `n` with the same ticket.
fn request(n: u32, change: impl FnOnce(&mut Draft)) -> Vec<u8> {
    Draft::with(|draft| {
        draft.sequence = Some(n);
        change(draft);
    })
}

/// A client shows a ticket twice: its first request.
fn come_twice(acceptor: &Acceptor, ticket: impl Fn(&mut Draft)) -> Vec<u8> {
    let here = Some("10.0.0.1".parse().unwrap());
    let requests = [1000, 1001].map(|n| request(n, &ticket));
    for request in &requests {
        acceptor.accept(NOW, &mut Counter(0), request, here).unwrap();
    }
    let [first, _] = requests;
    first
}

fn remembered(acceptor: &Acceptor) -> usize {
    acceptor.keys.read().unwrap().known.len()
}

/// What an acceptor remembers of the ticket of a request.
fn found(acceptor: &Acceptor, ap_req: &[u8], now: Time) -> Option<Arc<Opened>> {
    let request: ApReq<'_> = wire::decode(ap_req).unwrap();
    let keys = acceptor.keys.read().unwrap();
    keys.known.find(keys.known.mark(&request.ticket), &request.ticket, now)
}

#[test]
fn a_ticket_that_comes_again_is_not_opened_again() {
    let acceptor = acceptor(Options::default());
    for n in 0..2 {
        assert!(found(&acceptor, &request(n, |_| ()), NOW.time).is_none());
        accept(&acceptor, &request(n, |_| ())).unwrap();
    }
    let opened = found(&acceptor, &request(2, |_| ()), NOW.time).expect("it came twice");
    for n in 2..10 {
        assert_eq!(accept(&acceptor, &request(n, |_| ())).unwrap().client, principal("alice"));
    }
    assert!(Arc::ptr_eq(&opened, &found(&acceptor, &request(10, |_| ()), NOW.time).unwrap()));
    assert_eq!(remembered(&acceptor), 1);
}

#[test]
fn what_is_accepted_of_a_known_ticket_is_what_is_accepted_of_a_new_one() {
    type Change = fn(&mut Draft);
    let changes: [Change; 6] = [
        |_| (),
        |draft| draft.options = ApOptions::NONE,
        |draft| draft.subkey = None,
        |draft| draft.authz = vec![if_relevant(&[(UNKNOWN, b"?".to_vec())])],
        |draft| draft.checksum = Some((crate::codes::ChecksumType::GSSAPI, vec![7; 24])),
        |draft| draft.time.micros = 9,
    ];
    let (knows, forgets) = (acceptor(Options::default()), acceptor(Options { known_tickets: 0, ..Options::default() }));
    let ticket = |draft: &mut Draft| {
        draft.ticket_authz = vec![if_relevant(&[(PAC, b"pac".to_vec())])];
        draft.transited = b"OTHER.ORG".to_vec();
    };
    come_twice(&knows, ticket);
    for (n, change) in (1..).zip(changes) {
        let request = request(n, |draft| {
            ticket(draft);
            change(draft);
        });
        let [known, new] = [&knows, &forgets].map(|acceptor| accept(acceptor, &request).unwrap());
        assert_eq!(format!("{known:?}"), format!("{new:?}"));
        assert!(known.session_key.same_as(&new.session_key) && known.key().same_as(new.key()));
    }
    assert_eq!((remembered(&knows), remembered(&forgets)), (1, 0));
}

/// Attacks D1 to D9 on one who has been here before.
#[test]
fn every_check_is_made_of_a_known_ticket_too() {
    let here: IpAddr = "10.0.0.1".parse().unwrap();
    let bound = |draft: &mut Draft| draft.addresses = vec![Address::ip(here)];
    let acceptor = acceptor(Options::default());
    let accept = |now: Instant, peer: &str, request: &[u8]| {
        acceptor.accept(now, &mut Counter(0), request, Some(peer.parse().unwrap()))
    };
    let first = come_twice(&acceptor, bound);
    let refused = |change: fn(&mut Draft)| {
        let request = request(1, |draft| {
            bound(draft);
            change(draft);
        });
        assert!(found(&acceptor, &request, NOW.time).is_some(), "the same ticket");
        code(accept(NOW, "10.0.0.1", &request))
    };
    assert_eq!(code(accept(NOW, "10.0.0.1", &first)), ErrorCode::REPEAT);
    assert_eq!(code(accept(NOW, "10.0.0.2", &request(1, bound))), ErrorCode::BADADDR);
    assert_eq!(refused(|draft| draft.time.time = NOW.time - DEFAULT_SKEW - 1), ErrorCode::SKEW);
    assert_eq!(refused(|draft| draft.claimed = principal("mallory")), ErrorCode::BADMATCH);
    assert_eq!(refused(|draft| draft.usage = KeyUsage::TGS_REQ_AUTHENTICATOR), ErrorCode::BAD_INTEGRITY);
    assert_eq!(refused(|draft| draft.options = ApOptions::USE_SESSION_KEY), ErrorCode::NO_TGT);
    assert_eq!(refused(|draft| draft.authz = vec![(UNKNOWN, vec![])]), ErrorCode::POLICY);
    let late = Instant { time: NOW.time + 3600 + DEFAULT_SKEW + 1, ..NOW };
    let expired = request(1, |draft| {
        bound(draft);
        draft.time = late;
    });
    assert_eq!(code(accept(late, "10.0.0.1", &expired)), ErrorCode::TKT_EXPIRED);
    assert_eq!(remembered(&acceptor), 0, "it has ended");
}

#[test]
fn other_keys_of_the_service_know_no_tickets() {
    let acceptor = acceptor(Options::default());
    come_twice(&acceptor, |_| ());
    assert_eq!(remembered(&acceptor), 1);
    acceptor.reload(&keytab(&[("host/a", 4, key(9))])).unwrap();
    assert_eq!(remembered(&acceptor), 0);
    assert_eq!(code(accept(&acceptor, &request(1, |_| ()))), ErrorCode::BADKEYVER);
}

#[test]
fn a_ticket_is_remembered_of_those_only_who_have_its_session_key() {
    let acceptor = acceptor(Options::default());
    let mut stolen = Draft::default();
    let honest = stolen.ap_req();
    stolen.session_key = key(9);
    let forged = stolen.ap_req();
    let (honest, forged): (ApReq<'_>, ApReq<'_>) = (wire::decode(&honest).unwrap(), wire::decode(&forged).unwrap());
    let mixed = wire::encode(&ApReq { authenticator: forged.authenticator, ..honest });
    for _ in 0..3 {
        assert_eq!(code(accept(&acceptor, &mixed)), ErrorCode::BAD_INTEGRITY);
        let other = request(0, |draft| draft.claimed = principal("bob"));
        assert_eq!(code(accept(&acceptor, &other)), ErrorCode::BADMATCH);
    }
    assert_eq!(remembered(&acceptor), 0);
}

#[test]
fn who_shows_one_ticket_in_many_ways_displaces_himself() {
    let acceptor = acceptor(Options::default());
    for n in 0..100 {
        accept(&acceptor, &request(n, |draft| draft.asked = principal(&format!("no/such{n}")))).unwrap();
    }
    assert_eq!(remembered(&acceptor), 4);
}

#[test]
fn no_more_is_remembered_than_there_is_room_for() {
    let acceptor = acceptor(Options { known_tickets: 8, ..Options::default() });
    for n in 0..100 {
        come_twice(&acceptor, |draft| draft.session_key = key(n + 10));
    }
    assert!((4..=8).contains(&remembered(&acceptor)), "{}", remembered(&acceptor));
    let large = come_twice(&acceptor, |draft| draft.ticket_authz = vec![if_relevant(&[(PAC, vec![7; 8 * 1024])])]);
    assert!(found(&acceptor, &large, NOW.time).is_none());
}

#[test]
fn what_comes_once_takes_nobodys_room() {
    let acceptor = acceptor(Options { known_tickets: 4, ..Options::default() });
    let often = come_twice(&acceptor, |_| ());
    for n in 0..100 {
        accept(&acceptor, &request(n, |draft| draft.session_key = key(n as u8 + 10))).unwrap();
    }
    assert!(found(&acceptor, &often, NOW.time).is_some());
    assert_eq!(remembered(&acceptor), 1);
}

#[test]
fn keys_do_not_stay_for_longer_than_their_tickets() {
    let acceptor = acceptor(Options { known_tickets: 64, ..Options::default() });
    let later = Instant { time: NOW.time + 2 * 3600, ..NOW };
    let old: Vec<_> = (0..8).map(|n| come_twice(&acceptor, |draft| draft.session_key = key(n + 10))).collect();
    // Each new ticket has one place in turn looked through, and there are 16.
    for n in 0..16 {
        let request = request(n, |draft| {
            (draft.session_key, draft.time, draft.end_time) = (key(n as u8 + 40), later, later.time + 3600);
        });
        acceptor.accept(later, &mut Counter(0), &request, None).unwrap();
    }
    assert_eq!(remembered(&acceptor), 0);
    assert!(old.iter().all(|request| found(&acceptor, request, NOW.time).is_none()));
}
