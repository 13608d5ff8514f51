use super::client::{self, Said};
use super::group::{Hidden, Mask, Secret};
use super::keys::multiplier;
use super::transcript::Transcript;
use super::*;
use crate::codes::EncryptionType;
use crate::crypto::testing::{Script, Vector, hex, open};
use crate::crypto::{Hash, Key, KeyUsage, OsRandom, supported};
use crate::error::Error;
use crate::wire::{self, EncryptedData, List, PaSpake, SpakeChallenge, SpakeResponse, SpakeSecondFactor};

const BODY: &[u8] = b"KDC-REQ-BODY";

fn key(octet: u8) -> Key {
    Key::new(EncryptionType::AES256_SHA1, &[octet; 32]).unwrap()
}

fn hidden(group: &Group, w: &[u8], mask: Mask) -> Hidden {
    group.arithmetic.hidden(w, mask).unwrap()
}

fn initial(key: &Key, group: &'static Group) -> Initial {
    Initial::new(key, group).unwrap()
}

fn response(bytes: &[u8]) -> SpakeResponse<'_> {
    match wire::decode(bytes) {
        Ok(PaSpake::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

fn challenge<'a>(bytes: &'a [u8], groups: &[&'static Group]) -> client::Challenge<'a> {
    match client::read(bytes, groups) {
        Ok(Said::Challenge(challenge)) => challenge,
        other => panic!("{other:?}"),
    }
}

/// An exchange in memory: the KDC's state, and the client's response with its keys.
struct Talk {
    state: kdc::State,
    response: Vec<u8>,
    keys: Keys,
}

fn talk(group: &'static Group, of_kdc: &Key, of_client: &Key, support: Option<&[u8]>) -> Talk {
    let mut random = OsRandom::new();
    let (message, state) = kdc::challenge(&initial(of_kdc, group), support, &mut random).unwrap();
    let (response, keys) = challenge(&message, &[group]).respond(of_client, support, BODY, &mut random).unwrap();
    Talk { state, response, keys }
}

/// The group of a vector. One has a copy of the first under a hash that makes several blocks needful.
fn group_of(vector: &Vector) -> &'static Group {
    let number = vector.maybe_number("group").unwrap() as i32;
    let invented = || Group { number, name: "-1", hash: Hash::Sha1, multiplier_len: 32, ..*Group::of(1).unwrap() };
    Group::of(number).unwrap_or_else(|| Box::leak(Box::new(invented())))
}

/// K'\[n\] as the RFC's vector of several blocks has it: its block counter stands still, though the text
/// (RFC 9588 7) counts it up. No enctype needs a second block, so nobody ever sees the difference.
fn first_block_twice(vector: &Vector, n: u32) -> Key {
    let initial = vector.key("initial_key");
    let fields = ["w_prfplus", "K", "thash_final", "kdc_req_body_der"].map(|field| vector.bytes(field)).concat();
    let number = |number: i32| number.to_be_bytes().to_vec();
    let input = [b"SPAKEkey".to_vec(), number(-1), number(initial.etype().0), fields, number(n as i32), vec![1]];
    let block = Hash::Sha1.of(&input.concat());
    let between = Key::new(initial.etype(), &[&block[..], &block].concat()[..32]).unwrap();
    Key::cf2(&initial, b"SPAKE", &between, b"keyderiv").unwrap()
}

#[test]
fn the_vectors_of_rfc_9588_come_out_in_every_group() {
    let mut seen = vec![];
    for vector in open("spake").iter().filter(|vector| supported(vector.etype())) {
        let group = group_of(vector);
        let key = vector.key("initial_key");
        let w = multiplier(&key.prepare_prf(), group).unwrap();
        assert_eq!(*w, vector.bytes("w_prfplus"), "{vector:?}");
        let (x, y) = (vector.bytes("x"), vector.bytes("y"));
        let public =
            |private: &[u8], w: &[u8], mask| group.arithmetic.public(private, &hidden(group, w, mask)).unwrap();
        let nothing = vec![0; group.multiplier_len];
        assert_eq!(public(&x, &nothing, Mask::M), vector.bytes("X"));
        assert_eq!(public(&y, &nothing, Mask::N), vector.bytes("Y"));
        assert_eq!(public(&x, &w, Mask::M), vector.bytes("T"));
        assert_eq!(public(&y, &w, Mask::N), vector.bytes("S"));
        let reduced = vector.bytes("w_reduced");
        assert_eq!(public(&x, &reduced, Mask::M), vector.bytes("T"), "the same number");
        let of_kdc = group.arithmetic.shared(&x, &vector.bytes("S"), &hidden(group, &w, Mask::N)).unwrap();
        let of_client = group.arithmetic.shared(&y, &vector.bytes("T"), &hidden(group, &w, Mask::M)).unwrap();
        assert_eq!((&*of_kdc, &*of_client), (&vector.bytes("K"), &vector.bytes("K")));
        let support = vector.maybe_bytes("support_der");
        let begun = Transcript::begin(group, support.as_deref(), &vector.bytes("challenge_der"));
        assert_eq!(begun.octets(), vector.bytes("thash_after_challenge"));
        let ended = begun.end(group, &vector.bytes("S"));
        assert_eq!(ended.octets(), vector.bytes("thash_final"));
        let keys = Keys::new(&initial(&key, group), &of_kdc, &ended, &vector.bytes("kdc_req_body_der"));
        for n in 0..4 {
            let expected = vector.bytes(&format!("Kprime_{n}"));
            let made =
                if group.number == -1 { first_block_twice(vector, n as u32) } else { keys.key(n as u32).unwrap() };
            assert_eq!(made.expose(), expected, "K'[{n}] of {vector:?}");
        }
        seen.push(group.number);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [-1, 1, 2, 3, 4]);
}

#[test]
fn who_has_the_same_key_agrees_on_the_same_keys_in_every_group_and_enctype() {
    for group in &GROUPS {
        for etype in crate::crypto::SUPPORTED {
            let key = Key::random(*etype, &mut OsRandom::new()).unwrap();
            let support = client::support(&[group]);
            for support in [Some(&*support), None] {
                let Talk { state, response: bytes, keys } = talk(group, &key, &key, support);
                let state = kdc::State::parse(&state.octets()).unwrap();
                let opened = state.open(&initial(&key, state.group()), &response(&bytes), BODY).unwrap();
                assert!(opened.reply().unwrap().same_as(&keys.reply().unwrap()), "{group:?} {etype}");
                assert!(!opened.key(1).unwrap().same_as(&keys.reply().unwrap()));
            }
        }
    }
}

#[test]
fn another_key_opens_nothing() {
    for group in &GROUPS {
        let Talk { state, response: bytes, .. } = talk(group, &key(1), &key(2), None);
        assert_eq!(
            state.open(&initial(&key(1), state.group()), &response(&bytes), BODY).unwrap_err(),
            Error::Integrity,
            "{group:?}"
        );
        let other = Key::new(EncryptionType::AES128_SHA1, &[1; 16]).unwrap();
        assert_eq!(state.open(&initial(&other, state.group()), &response(&bytes), BODY).unwrap_err(), Error::Integrity);
    }
}

#[test]
fn what_was_said_in_the_clear_cannot_be_changed() {
    let (group, key, mut random) = (&GROUPS[0], key(1), OsRandom::new());
    let (said, heard) = (client::support(&[&GROUPS[0], &GROUPS[1]]), client::support(&[&GROUPS[0]]));
    let (message, state) = kdc::challenge(&initial(&key, group), Some(&heard), &mut random).unwrap();
    let offer = challenge(&message, &[group]);
    let (bytes, _) = offer.respond(&key, Some(&said), BODY, &mut random).unwrap();
    assert_eq!(
        state.open(&initial(&key, state.group()), &response(&bytes), BODY).unwrap_err(),
        Error::Integrity,
        "groups taken away"
    );
    let (bytes, _) = offer.respond(&key, None, BODY, &mut random).unwrap();
    assert_eq!(
        state.open(&initial(&key, state.group()), &response(&bytes), BODY).unwrap_err(),
        Error::Integrity,
        "no support sent"
    );
    let (bytes, _) = offer.respond(&key, Some(&heard), BODY, &mut random).unwrap();
    assert_eq!(
        state.open(&initial(&key, state.group()), &response(&bytes), b"another body").unwrap_err(),
        Error::Integrity,
        "the body"
    );
    assert!(state.open(&initial(&key, state.group()), &response(&bytes), BODY).is_ok());
}

/// What is no element that anybody may use: as many as each group has kinds of.
fn wrong_points(group: &Group) -> Vec<(&'static str, Vec<u8>)> {
    let length = group.multiplier_len;
    let mut wrong = vec![("nothing", vec![]), ("too long", vec![2; length + 2]), ("all ones", vec![0xff; length + 1])];
    if group.number == 1 {
        wrong.extend([
            ("neutral", hex("0100000000000000000000000000000000000000000000000000000000000000")),
            ("neutral with a sign", hex("0100000000000000000000000000000000000000000000000000000000000080")),
            ("neutral, not reduced", hex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")),
            ("of order two", hex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")),
            ("of order four", hex("0000000000000000000000000000000000000000000000000000000000000000")),
            ("of order eight", hex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")),
            ("on no curve", hex("0200000000000000000000000000000000000000000000000000000000000000")),
        ]);
    } else {
        let first = |tag| [vec![tag], vec![0; length]].concat();
        let off = (1..40).map(|x| [vec![2; 1], vec![0; length - 1], vec![x]].concat());
        let off = off.filter(|point| on_no_curve(group, point));
        wrong.extend(off.map(|point| ("on no curve", point)));
        wrong.extend([("neutral", vec![0]), ("neutral, long", first(0)), ("with no such tag", first(5))]);
        wrong.push(("uncompressed", [vec![4], vec![1; 2 * length]].concat()));
        wrong.push(("a coordinate that is none", [vec![2], vec![0xff; length]].concat()));
    }
    wrong
}

/// By the curve's own crate, so that the test says what it means by it.
fn on_no_curve(group: &Group, point: &[u8]) -> bool {
    use p256::elliptic_curve::sec1::FromSec1Point;
    match group.number {
        2 => p256::AffinePoint::from_sec1_bytes(point).is_err(),
        3 => p384::AffinePoint::from_sec1_bytes(point).is_err(),
        _ => p521::AffinePoint::from_sec1_bytes(point).is_err(),
    }
}

#[test]
fn points_that_are_none_or_everybodys_are_refused_by_both_sides() {
    for group in &GROUPS {
        let key = key(1);
        let Talk { state, response: bytes, .. } = talk(group, &key, &key, None);
        let sent = response(&bytes);
        let points = wrong_points(group);
        assert!(points.iter().filter(|(what, _)| *what == "on no curve").count() > 0, "{group:?}");
        for (what, point) in &points {
            let sent = SpakeResponse { public: point, ..sent };
            let refused = state.open(&initial(&key, state.group()), &sent, BODY).unwrap_err();
            assert!(matches!(refused, Error::Malformed(_)), "{group:?}: {what}: {refused:?}");
            let none = SpakeSecondFactor { kind: factor::NONE, data: None };
            let factors = List::Items(std::slice::from_ref(&none));
            let message = PaSpake::Challenge(SpakeChallenge { group: group.number, public: point, factors });
            let message = wire::encode(&message);
            let refused = challenge(&message, &[group]).respond(&key, None, BODY, &mut OsRandom::new()).unwrap_err();
            assert!(matches!(refused, Error::Malformed(_)), "{group:?}: {what}: {refused:?}");
        }
    }
}

#[test]
fn a_shared_element_that_needs_no_secret_is_refused() {
    // Who has the key can send its mask bare; who has not, cannot.
    for group in &GROUPS {
        let w = multiplier(&key(1).prepare_prf(), group).unwrap();
        let zero = group.arithmetic.private(&mut Script(vec![]));
        let bare = group.arithmetic.public(&zero, &hidden(group, &w, Mask::N)).unwrap();
        let x = group.arithmetic.private(&mut OsRandom::new());
        assert!(group.arithmetic.shared(&x, &bare, &hidden(group, &w, Mask::N)).is_none(), "{group:?}");
    }
}

#[test]
fn what_a_stranger_adds_of_small_order_is_gone() {
    use curve25519_dalek::edwards::CompressedEdwardsY;
    let group = &GROUPS[0];
    let point = |octets: &[u8]| CompressedEdwardsY(octets.try_into().unwrap()).decompress().unwrap();
    let small = point(&hex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"));
    let w = multiplier(&key(1).prepare_prf(), group).unwrap();
    let mut random = OsRandom::new();
    let (x, y) = (group.arithmetic.private(&mut random), group.arithmetic.private(&mut random));
    let honest = group.arithmetic.public(&y, &hidden(group, &w, Mask::N)).unwrap();
    let twisted = (point(&honest) + small).compress().0;
    let shared = |theirs: &[u8]| group.arithmetic.shared(&x, theirs, &hidden(group, &w, Mask::N)).unwrap();
    assert_eq!(shared(&honest), shared(&twisted));
}

#[test]
fn private_keys_differ_and_those_of_edwards25519_are_multiples_of_its_cofactor() {
    let mut random = OsRandom::new();
    for group in &GROUPS {
        let keys: Vec<Secret> = (0..20).map(|_| group.arithmetic.private(&mut random)).collect();
        assert!(keys.iter().enumerate().all(|(at, key)| !keys[..at].contains(key)));
        assert!(keys.iter().all(|key| key.len() == group.multiplier_len));
        assert!(group.number != 1 || keys.iter().all(|key| key[0] % 8 == 0));
    }
    let mut odd = GROUPS[0].arithmetic.private(&mut random);
    odd[0] |= 1;
    assert!(GROUPS[0].arithmetic.public(&odd, &hidden(&GROUPS[0], &[0; 32], Mask::M)).is_none());
}

#[test]
fn the_kdc_takes_the_clients_first_group_that_it_allows() {
    let all: Vec<_> = GROUPS.iter().collect();
    let choose = |numbers: &[i32], allowed: &[&'static Group]| {
        kdc::choose(List::Items(numbers), allowed).map(|group| group.number)
    };
    assert_eq!(choose(&[77, 3, 1], &all), Some(3));
    assert_eq!(choose(&[77, 3, 1], &all[..1]), Some(1));
    assert_eq!(choose(&[2, 3], &all[..1]), None);
    assert_eq!(choose(&[], &all), None);
}

#[test]
fn a_client_reads_what_kdcs_say_and_nothing_else() {
    let groups = [&GROUPS[0]];
    assert!(matches!(client::read(&[], &groups), Ok(Said::Known)));
    let (message, _) = kdc::challenge(&initial(&key(1), &GROUPS[1]), None, &mut OsRandom::new()).unwrap();
    assert!(matches!(client::read(&message, &groups), Ok(Said::Elsewhere)));
    assert!(client::read(&client::support(&groups), &groups).is_err(), "a client's own message");
    let factors = List::Items(&[SpakeSecondFactor { kind: 2, data: None }]);
    let message = PaSpake::Challenge(SpakeChallenge { group: 1, public: &[1; 32], factors });
    let beyond = wire::encode(&message);
    assert!(matches!(client::read(&beyond, &groups), Ok(Said::Beyond)), "a second factor that nobody knows");
    assert!(client::read(b"\x30\x00", &groups).is_err());
}

#[test]
fn a_second_factor_that_was_not_asked_for_proves_nothing() {
    let key = key(1);
    let Talk { state, response: bytes, keys } = talk(&GROUPS[0], &key, &key, None);
    let sent = response(&bytes);
    for (kind, data) in [(2, None), (factor::NONE, Some(&b"data"[..]))] {
        let plain = wire::encode(&SpakeSecondFactor { kind, data });
        let cipher = keys.key(1).unwrap().encrypt(KeyUsage::SPAKE, &mut OsRandom::new(), &plain);
        let factor = EncryptedData { etype: key.etype(), kvno: None, cipher: &cipher };
        let refused = state.open(&initial(&key, state.group()), &SpakeResponse { factor, ..sent }, BODY).unwrap_err();
        assert!(matches!(refused, Error::Malformed(_)), "{kind} {refused:?}");
    }
}

#[test]
fn groups_are_listed_by_name() {
    let named = |names| Group::list(names).iter().map(|group| group.number).collect::<Vec<_>>();
    assert_eq!(named("edwards25519"), [1]);
    assert_eq!(named("p-521, Edwards25519  P-256"), [4, 1, 2]);
    assert_eq!(named(""), [0; 0]);
    assert_eq!(named("curve25519 P-384"), [3], "unknown ones are passed over");
}

#[test]
fn a_state_is_read_back_and_nothing_else_is_one() {
    let Talk { state, .. } = talk(&GROUPS[2], &key(1), &key(1), None);
    let octets = state.octets();
    assert_eq!(*kdc::State::parse(&octets).unwrap().octets(), *octets);
    assert!(kdc::State::parse(&octets[1..]).is_err());
    assert!(kdc::State::parse(&octets[..octets.len() - 1]).is_err());
    assert!(kdc::State::parse(&[]).is_err());
    assert!(!format!("{state:?}").contains("private"));
}
