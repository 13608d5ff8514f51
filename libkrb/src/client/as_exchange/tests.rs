use zeroize::Zeroizing;

use super::super::testing::*;
use super::*;
use crate::ccache::Address;
use crate::codes::{AddressType, NameType};
use crate::crypto::{OsRandom, SUPPORTED};
use crate::preauth::{KeyHint, enc_timestamp, etype_info};
use crate::wire::{EncryptedData, EtypeInfo2Entry};

#[cfg(feature = "spake")]
mod spake;
mod transcripts;

const AES256: EncryptionType = EncryptionType::AES256_SHA1;
const AES128: EncryptionType = EncryptionType::AES128_SHA1;
/// A method that nobody knows.
const UNKNOWN: PaType = PaType(1_000_000);

fn user() -> Principal {
    principal("user@KRBTEST.COM")
}

/// The key of `user` for the password "userpw".
fn user_key(etype: EncryptionType) -> Key {
    KeyHint::plain(etype).key(&user(), "userpw").unwrap()
}

fn exchange(change: impl FnOnce(&mut AsRequest)) -> AsExchange {
    let mut request = AsRequest::new(user());
    change(&mut request);
    AsExchange::new(request, Secret::password("userpw"))
}

fn info2(etype: EncryptionType, salt: Option<&str>) -> Vec<u8> {
    etype_info::make(&[EtypeInfo2Entry { etype, salt, s2kparams: None }])
}

/// What a KDC says that wants an encrypted timestamp.
fn wanted() -> Vec<(PaType, Vec<u8>)> {
    vec![
        (PaType::FX_FAST, vec![]),
        (PaType::ETYPE_INFO2, info2(AES256, Some("KRBTEST.COMuser"))),
        (UNKNOWN, vec![]),
        (PaType::ENC_TIMESTAMP, vec![]),
        (PaType::FX_COOKIE, b"cookie".to_vec()),
    ]
}

/// The clock in a request's encrypted timestamp.
fn timestamp(request: &[u8], key: &Key) -> Result<Instant> {
    let request = read(request);
    let value = request.padata(PaType::ENC_TIMESTAMP).expect("an encrypted timestamp").value;
    let sealed: EncryptedData<'_> = wire::decode(value).unwrap();
    enc_timestamp::open(&key.prepare(enc_timestamp::USAGE), &sealed)
}

/// A KDC that wants an encrypted timestamp under `key`, and how many messages it got.
fn strict<'a>(key: &'a Key, count: &'a mut u32) -> impl FnMut(&str, &[u8]) -> Vec<u8> + 'a {
    move |_, request| {
        *count += 1;
        if read(request).padata(PaType::ENC_TIMESTAMP).is_none() {
            return Refuse::preauth(&wanted()).encode();
        }
        match timestamp(request, key) {
            Ok(_) => Draft::as_rep(request, key).seal(),
            Err(_) => Refuse { code: ErrorCode::PREAUTH_FAILED, ..Refuse::preauth(&wanted()) }.encode(),
        }
    }
}

/// The exchange with a KDC that wants no proof and whose good answer is bent.
fn bent(change: impl FnOnce(&mut AsRequest), bend: impl Fn(&mut Draft)) -> Result<Outcome> {
    drive(&mut exchange(change), |_, request| {
        let mut draft = Draft::as_rep(request, &user_key(AES256));
        bend(&mut draft);
        draft.seal()
    })
}

fn mismatch(result: Result<Outcome>) -> &'static str {
    match result {
        Err(Error::ReplyMismatch(what)) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_password_opens_the_ticket_of_a_kdc_that_wants_no_proof() {
    let outcome = bent(|_| (), |_| ()).unwrap();
    assert_eq!(outcome.credential.client, user());
    assert_eq!(outcome.credential.server, Principal::tgs("KRBTEST.COM"));
    assert_eq!(*outcome.credential.key.bytes, key(AES256, 0x5e).expose());
    assert_eq!(outcome.credential.ticket, ticket(&Principal::tgs("KRBTEST.COM")));
    assert_eq!(outcome.credential.start_time, NOW.time);
    assert_eq!(outcome.credential.renew_till, Time::EPOCH);
    assert_eq!(outcome.preauth, None);
    assert!(outcome.fast_available);
}

#[test]
fn the_client_proves_itself_when_the_kdc_asks_and_gives_its_cookie_back() {
    let key = user_key(AES256);
    let mut seen = vec![];
    let outcome = drive(&mut exchange(|_| ()), |realm, request| {
        assert_eq!(realm, "KRBTEST.COM");
        seen.push(read(request).padata.iter().map(|element| element.kind).collect::<Vec<_>>());
        if let Some(cookie) = read(request).padata(PaType::FX_COOKIE) {
            assert_eq!(cookie.value, b"cookie");
        }
        strict(&key, &mut 0)(realm, request)
    });
    assert_eq!(outcome.unwrap().preauth, Some(PaType::ENC_TIMESTAMP));
    let (first, second) =
        (vec![PaType::REQ_ENC_PA_REP], vec![PaType::FX_COOKIE, PaType::ENC_TIMESTAMP, PaType::REQ_ENC_PA_REP]);
    assert_eq!(seen, [first, second]);
}

#[test]
fn the_kdcs_salt_and_parameters_make_the_key() {
    let hint = KeyHint { etype: AES128, salt: Some(b"NaCl".to_vec()), s2kparams: Some(vec![0, 0, 0x20, 0]) };
    let key = hint.key(&user(), "userpw").unwrap();
    let entry = EtypeInfo2Entry { etype: AES128, salt: Some("NaCl"), s2kparams: Some(&[0, 0, 0x20, 0]) };
    let info = [(PaType::ETYPE_INFO2, etype_info::make(&[entry])), (PaType::ENC_TIMESTAMP, vec![])];
    let outcome = drive(&mut exchange(|_| ()), |_, request| {
        if read(request).padata(PaType::ENC_TIMESTAMP).is_none() {
            return Refuse::preauth(&info).encode();
        }
        assert_eq!(timestamp(request, &key), Ok(NOW));
        Draft::as_rep(request, &key).seal()
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[test]
fn the_salt_of_a_reply_without_proof_makes_the_key_too() {
    let salted = KeyHint { salt: Some(b"NaCl".to_vec()), ..KeyHint::plain(AES128) }.key(&user(), "userpw").unwrap();
    let outcome = drive(&mut exchange(|_| ()), |_, request| {
        let mut draft = Draft::as_rep(request, &salted);
        draft.padata = vec![(PaType::ETYPE_INFO2, info2(AES128, Some("NaCl")))];
        draft.seal()
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[test]
fn with_what_is_known_from_before_the_first_message_is_already_the_proof() {
    let (key, mut count) = (user_key(AES256), 0);
    let outcome = drive(&mut exchange(|r| r.key_hint = Some(KeyHint::plain(AES256))), strict(&key, &mut count));
    assert_eq!((outcome.unwrap().preauth, count), (Some(PaType::ENC_TIMESTAMP), 1));
}

#[test]
fn what_was_known_from_before_and_holds_no_more_is_asked_anew() {
    let (key, mut count) = (user_key(AES256), 0);
    let old = KeyHint { salt: Some(b"old".to_vec()), ..KeyHint::plain(AES256) };
    let outcome = drive(&mut exchange(|r| r.key_hint = Some(old)), strict(&key, &mut count));
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(count, 3);
}

#[test]
fn a_wrong_password_is_told_as_such_and_tried_once() {
    let right = any_key(9);
    for (hint, messages) in
        [(None, 2), (Some(KeyHint { salt: Some(b"KRBTEST.COMuser".to_vec()), ..KeyHint::plain(AES256) }), 1)]
    {
        let mut count = 0;
        let outcome = drive(&mut exchange(|r| r.key_hint = hint), strict(&right, &mut count));
        assert_eq!(outcome.unwrap_err(), Error::PasswordIncorrect);
        assert_eq!(count, messages);
    }
}

#[test]
fn a_wrong_password_is_told_as_such_by_the_reply_of_a_kdc_that_wants_no_proof() {
    assert_eq!(bent(|_| (), |draft| draft.reply_key = any_key(9)).unwrap_err(), Error::PasswordIncorrect);
}

#[test]
fn a_wrong_key_of_a_keytab_is_no_wrong_password() {
    let keys = || Secret::Keys(vec![(1, any_key(1))]);
    let (right, mut count) = (any_key(9), 0);
    let outcome = drive(&mut AsExchange::new(AsRequest::new(user()), keys()), strict(&right, &mut count));
    assert_eq!(outcome.unwrap_err(), Error::code(ErrorCode::PREAUTH_FAILED));
    let outcome =
        drive(&mut AsExchange::new(AsRequest::new(user()), keys()), |_, request| Draft::as_rep(request, &right).seal());
    assert_eq!(outcome.unwrap_err(), Error::code(ErrorCode::BAD_INTEGRITY));
}

#[test]
fn a_keytab_offers_only_the_enctypes_that_it_has_in_the_callers_order() {
    let keys = vec![(1, key(AES128, 1)), (1, key(AES256, 1)), (1, key(EncryptionType::CAMELLIA128, 1))];
    let mut request = AsRequest::new(user());
    request.etypes = vec![EncryptionType::AES256_SHA384, AES256, AES128];
    let mut exchange = AsExchange::new(request, Secret::Keys(keys));
    let outcome = drive(&mut exchange, |_, request| {
        assert_eq!(read(request).body.etypes.iter().collect::<Vec<_>>(), [AES256, AES128]);
        Draft::as_rep(request, &key(AES128, 1)).seal()
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[test]
fn a_keytab_without_a_usable_key_says_so() {
    let mut exchange = AsExchange::new(AsRequest::new(user()), Secret::Keys(vec![]));
    let outcome = drive(&mut exchange, |_, _| panic!("nothing to send"));
    assert_eq!(outcome.unwrap_err().to_string(), "Keytab contains no suitable keys for user@KRBTEST.COM");
}

#[test]
fn a_keytab_gives_the_key_of_the_version_that_the_reply_names_else_the_newest() {
    let keys = || Secret::Keys(vec![(3, any_key(3)), (2, any_key(2)), (7, any_key(7))]);
    for (kvno, octet) in [(Some(2), 2), (Some(3), 3), (Some(9), 7), (None, 7)] {
        let outcome = drive(&mut AsExchange::new(AsRequest::new(user()), keys()), |_, request| {
            Draft { kvno, ..Draft::as_rep(request, &any_key(octet)) }.seal()
        });
        assert!(outcome.is_ok(), "{kvno:?}: {outcome:?}");
    }
}

#[test]
fn a_password_is_asked_for_once_and_not_before_the_kdc_knows_the_client() {
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let count = || asked.load(std::sync::atomic::Ordering::Relaxed);
    let prompt = || {
        let asked = asked.clone();
        Secret::Prompt(Box::new(move |client| {
            assert_eq!(*client, user());
            asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(Zeroizing::new("userpw".to_owned()))
        }))
    };
    let mut exchange = AsExchange::new(AsRequest::new(user()), prompt());
    let refused = drive(&mut exchange, |_, _| Refuse::with(ErrorCode::C_PRINCIPAL_UNKNOWN).encode());
    assert_eq!((refused.unwrap_err(), count()), (Error::code(ErrorCode::C_PRINCIPAL_UNKNOWN), 0));
    let key = user_key(AES256);
    let mut exchange = AsExchange::new(AsRequest::new(user()), prompt());
    drive(&mut exchange, strict(&key, &mut 0)).unwrap();
    assert_eq!(count(), 1);
    assert!(matches!(exchange.into_parts().0, Secret::Password(_)));
}

#[test]
fn every_wish_stands_in_the_request() {
    let base = KdcOptions::RENEWABLE_OK;
    let postdated = KdcOptions::ALLOW_POSTDATE | KdcOptions::POSTDATED;
    type Wish = (fn(&mut AsRequest), KdcOptions, Option<i64>, i64, Option<i64>);
    let wishes: [Wish; 8] = [
        (|_| (), base, None, 86_400, None),
        (|r| r.lifetime = Some(60), base, None, 60, None),
        (|r| r.renewable_for = Some(172_800), KdcOptions::RENEWABLE, None, 86_400, Some(172_800)),
        (|r| r.renewable_for = Some(60), KdcOptions::RENEWABLE, None, 86_400, Some(86_400)),
        (|r| r.start_in = Some(3600), base | postdated, Some(3600), 3600 + 86_400, None),
        (|r| r.options |= KdcOptions::FORWARDABLE, base | KdcOptions::FORWARDABLE, None, 86_400, None),
        (|r| r.options = KdcOptions::PROXIABLE, KdcOptions::PROXIABLE, None, 86_400, None),
        (
            |r| r.client = r.client.clone().with_kind(NameType::ENTERPRISE),
            base | KdcOptions::CANONICALIZE,
            None,
            86_400,
            None,
        ),
    ];
    for (number, (wish, options, from, till, renew_till)) in wishes.into_iter().enumerate() {
        drive(&mut exchange(wish), |_, request| {
            let body = *read(request).body;
            assert_eq!(body.options, options, "{number}");
            assert_eq!(body.from, from.map(|span| NOW.time + span), "{number}");
            assert_eq!(body.till, NOW.time + till, "{number}");
            assert_eq!(body.renew_till, renew_till.map(|span| NOW.time + span), "{number}");
            assert_eq!(body.etypes.iter().collect::<Vec<_>>(), SUPPORTED, "{number}");
            Draft::as_rep(request, &user_key(AES256)).seal()
        })
        .unwrap();
    }
}

#[test]
fn as_long_as_possible_is_1970_on_the_wire() {
    let outcome = drive(&mut exchange(|r| r.lifetime = None), |_, request| {
        assert_eq!(read(request).body.till, Time::EPOCH);
        Draft::as_rep(request, &user_key(AES256)).seal()
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[test]
fn a_pac_is_asked_for_or_declined_or_not_mentioned() {
    for wish in [None, Some(true), Some(false)] {
        drive(&mut exchange(|r| r.include_pac = wish), |_, request| {
            let told = read(request)
                .padata(PaType::PAC_REQUEST)
                .map(|element| wire::decode::<PaPacRequest>(element.value).unwrap().include_pac);
            assert_eq!(told, wish);
            Draft::as_rep(request, &user_key(AES256)).seal()
        })
        .unwrap();
    }
}

#[test]
fn a_broken_enctype_is_never_offered() {
    let outcome = drive(&mut exchange(|r| r.etypes = vec![EncryptionType::RC4_HMAC, AES128]), |_, request| {
        assert_eq!(read(request).body.etypes.iter().collect::<Vec<_>>(), [AES128]);
        Draft::as_rep(request, &user_key(AES128)).seal()
    });
    assert!(outcome.is_ok(), "{outcome:?}");
    let outcome = drive(&mut exchange(|r| r.etypes = vec![EncryptionType::DES_CBC_CRC]), |_, _| panic!());
    assert_eq!(outcome.unwrap_err().wire_code(), ErrorCode::ETYPE_NOSUPP);
}

#[test]
fn another_service_is_asked_for_in_the_clients_realm() {
    let outcome = bent(|r| r.server = Some(Principal::changepw("ELSEWHERE")), |_| ()).unwrap();
    assert_eq!(outcome.credential.server, Principal::changepw("KRBTEST.COM"));
}

#[test]
fn each_bent_field_of_a_reply_is_noticed() {
    type Bend = (fn(&mut Draft), &'static str);
    let address = |d: &mut Draft| d.addresses = vec![Address { kind: AddressType::IPV4, bytes: vec![10, 0, 0, 1] }];
    let bends: [Bend; 17] = [
        (|d| d.nonce ^= 1, "another nonce"),
        (|d| d.kind = MessageType::TGS_REP, "another message type"),
        (|d| d.label = EncryptionType::RC4_HMAC, "an encryption type that was not offered"),
        (|d| d.client = principal("root@KRBTEST.COM"), "another client"),
        (|d| d.client = principal("user@ELSEWHERE"), "another client"),
        (|d| (d.server, d.ticket_server) = twice("krbtgt/ELSEWHERE@KRBTEST.COM"), "another server"),
        (|d| (d.server, d.ticket_server) = twice("krbtgt/KRBTEST.COM@ELSEWHERE"), "another server"),
        (
            |d| d.ticket_server = principal("host/x@KRBTEST.COM"),
            "a ticket for another server than the encrypted part says",
        ),
        (|d| d.end_time = NOW.time + 86_401, "a later end time than was asked for"),
        (|d| d.end_time = NOW.time - 1, "a ticket that ends before it starts"),
        (|d| (d.start_time, d.end_time) = (Some(NOW.time - 9), NOW.time - 1), "a ticket that has ended already"),
        (
            |d| (d.flags, d.renew_till) = (d.flags | TicketFlags::RENEWABLE, Some(NOW.time + 86_401)),
            "a later end of renewals than was asked for",
        ),
        (|d| d.flags |= TicketFlags::INVALID, "a ticket flag that was not asked for"),
        (|d| d.flags |= TicketFlags::FORWARDED, "a ticket flag that was not asked for"),
        (|d| d.flags |= TicketFlags::ANONYMOUS, "a ticket flag that was not asked for"),
        (address, "an address that was not asked for"),
        (|d| d.encrypted_padata.clear(), "no checksum of the request"),
    ];
    for (bend, what) in bends {
        assert_eq!(mismatch(bent(|_| (), bend)), what);
    }
}

fn twice(name: &str) -> (Principal, Principal) {
    (principal(name), principal(name))
}

#[test]
fn a_session_key_of_an_enctype_that_was_not_offered_is_refused() {
    let what = mismatch(bent(|r| r.etypes = vec![AES256], |d| d.session = key(AES128, 1)));
    assert_eq!(what, "a session key of an encryption type that was not offered");
}

#[test]
fn a_postdated_ticket_starts_when_it_was_asked_to() {
    let late = |r: &mut AsRequest| r.start_in = Some(3600);
    let outcome = bent(late, |_| ()).unwrap();
    assert_eq!(outcome.credential.start_time, NOW.time + 3600);
    assert!(outcome.credential.flags.has(TicketFlags::INVALID));
    assert_eq!(mismatch(bent(late, |d| d.start_time = Some(NOW.time))), "another start time");
    assert_eq!(mismatch(bent(late, |d| d.start_time = None)), "another start time");
}

#[test]
fn a_renewable_ticket_is_renewable_no_longer_than_was_asked_for() {
    let renewable = |r: &mut AsRequest| r.renewable_for = Some(172_800);
    let outcome = bent(renewable, |_| ()).unwrap();
    assert_eq!(outcome.credential.renew_till, NOW.time + 172_800);
    let longer = |d: &mut Draft| d.renew_till = Some(NOW.time + 172_801);
    assert_eq!(mismatch(bent(renewable, longer)), "a later end of renewals than was asked for");
}

#[test]
fn the_addresses_that_were_asked_for_come_back() {
    let home = Address { kind: AddressType::IPV4, bytes: vec![127, 0, 0, 1] };
    let outcome = bent(|r| r.addresses = vec![home.clone()], |_| ()).unwrap();
    assert_eq!(outcome.credential.addresses, [home]);
}

#[test]
fn d1_the_servers_name_in_the_clear_counts_for_nothing() {
    // Orpheus' Lyre: the clear-text ticket names what was asked for, the encrypted part another one.
    let what = mismatch(bent(
        |r| r.server = Some(principal("host/good@KRBTEST.COM")),
        |d| d.server = principal("host/evil@KRBTEST.COM"),
    ));
    assert_eq!(what, "a ticket for another server than the encrypted part says");
    let what = mismatch(bent(
        |r| r.server = Some(principal("host/good@KRBTEST.COM")),
        |d| (d.server, d.ticket_server) = twice("host/evil@KRBTEST.COM"),
    ));
    assert_eq!(what, "another server");
}

#[test]
fn a_request_that_was_changed_on_the_way_is_noticed() {
    let what = mismatch(drive(&mut exchange(|_| ()), |_, request| {
        let key = user_key(AES256);
        let mut draft = Draft::as_rep(request, &key);
        draft.encrypted_padata[0].1 = req_enc_pa_rep::make(&key, b"another request");
        draft.seal()
    }));
    assert_eq!(what, "the KDC saw another request");
}

#[test]
fn a_kdc_of_old_that_does_not_vouch_for_the_request_will_do() {
    let outcome = bent(|_| (), unvouched).unwrap();
    assert!(!outcome.fast_available);
}

fn unvouched(draft: &mut Draft) {
    draft.flags = draft.flags.with(TicketFlags::ENC_PA_REP, false);
    draft.encrypted_padata.clear();
}

#[test]
fn names_change_only_when_canonicalization_was_asked_for_and_the_request_is_vouched_for() {
    let ask = |r: &mut AsRequest| r.options |= KdcOptions::CANONICALIZE;
    let rename = |d: &mut Draft| {
        // The alias has the key of its canonical name, and that name's salt.
        d.client = principal("canonical@KRBTEST.COM");
        d.padata = vec![(PaType::ETYPE_INFO2, info2(AES256, Some("KRBTEST.COMuser")))];
        (d.server, d.ticket_server) = twice("krbtgt/CANON.TEST@CANON.TEST");
    };
    let outcome = bent(ask, rename).unwrap();
    assert_eq!(outcome.credential.client, principal("canonical@KRBTEST.COM"));
    assert_eq!(outcome.credential.server, Principal::tgs("CANON.TEST"));
    assert_eq!(mismatch(bent(|_| (), rename)), "another client");
    assert_eq!(mismatch(bent(ask, |d| (rename(d), unvouched(d)).1)), "another client");
    let elsewhere = |d: &mut Draft| (d.server, d.ticket_server) = twice("krbtgt/CANON.TEST@KRBTEST.COM");
    assert_eq!(mismatch(bent(ask, elsewhere)), "another server");
}

#[test]
fn the_default_salt_is_that_of_the_canonical_name() {
    let canonical = principal("canonical@KRBTEST.COM");
    let key = KeyHint::plain(AES256).key(&canonical, "userpw").unwrap();
    let outcome = drive(&mut exchange(|r| r.options |= KdcOptions::CANONICALIZE), |_, request| {
        Draft { client: canonical.clone(), ..Draft::as_rep(request, &key) }.seal()
    });
    assert_eq!(outcome.unwrap().credential.client, canonical);
}

#[test]
fn a_clients_realm_is_followed_when_names_may_change() {
    let mut asked = vec![];
    let enterprise = Principal::parse_enterprise("user@mail.example", Some("KRBTEST.COM")).unwrap();
    let mut exchange = AsExchange::new(AsRequest::new(enterprise.clone()), Secret::password("userpw"));
    let there = principal("user@B.TEST");
    let outcome = drive(&mut exchange, |realm, request| {
        asked.push(realm.to_owned());
        assert_eq!(asked_server(&read(request)), Principal::tgs(realm));
        assert!(read(request).body.client.unwrap().names(&enterprise));
        if realm == "KRBTEST.COM" {
            return Refuse { client_realm: Some("B.TEST"), ..Refuse::with(ErrorCode::WRONG_REALM) }.encode();
        }
        let key = KeyHint::plain(AES256).key(&there, "userpw").unwrap();
        Draft { client: there.clone(), ..Draft::as_rep(request, &key) }.seal()
    });
    assert_eq!(outcome.unwrap().credential.client, there);
    assert_eq!(asked, ["KRBTEST.COM", "B.TEST"]);
}

#[test]
fn a_clients_realm_is_not_followed_when_names_may_not_change() {
    let outcome = drive(&mut exchange(|_| ()), |_, _| {
        Refuse { client_realm: Some("B.TEST"), ..Refuse::with(ErrorCode::WRONG_REALM) }.encode()
    });
    assert_eq!(outcome.unwrap_err(), Error::code(ErrorCode::WRONG_REALM));
}

#[test]
fn referrals_of_clients_end() {
    let ask = |r: &mut AsRequest| r.options |= KdcOptions::CANONICALIZE;
    let refer = |realm: &str| Refuse { client_realm: Some(realm), ..Refuse::with(ErrorCode::WRONG_REALM) }.encode();
    let circle = drive(&mut exchange(ask), |realm, _| refer(if realm == "A" { "KRBTEST.COM" } else { "A" }));
    assert_eq!(mismatch(circle), "the realms refer the client to one another");
    let endless = drive(&mut exchange(ask), |realm, _| refer(&format!("{realm}X")));
    assert_eq!(mismatch(endless), "too many referrals");
    let nowhere = drive(&mut exchange(ask), |_, _| refer(""));
    assert_eq!(nowhere.unwrap_err(), Error::code(ErrorCode::WRONG_REALM));
}

#[test]
fn a_kdc_that_asks_for_ever_gets_an_end() {
    let outcome = drive(&mut exchange(|_| ()), |_, _| Refuse::preauth(&wanted()).encode());
    assert_eq!(mismatch(outcome), "the KDC asks for the proof that it was given");
}

#[test]
fn a_clock_that_is_off_is_followed_once() {
    let theirs = Instant { time: NOW.time + 4000, micros: 5 };
    let key = user_key(AES256);
    let mut count = 0;
    let mut exchange = exchange(|r| r.key_hint = Some(KeyHint::plain(AES256)));
    let outcome = drive(&mut exchange, |_, request| {
        count += 1;
        if timestamp(request, &key).unwrap().time.distance(theirs.time) > 300 {
            return Refuse { clock: theirs, ..Refuse::with(ErrorCode::SKEW) }.encode();
        }
        assert_eq!(timestamp(request, &key), Ok(theirs));
        assert_eq!(read(request).body.till, theirs.time + 86_400);
        let mut draft = Draft::as_rep(request, &key);
        (draft.auth_time, draft.end_time) = (theirs.time, theirs.time + 36_000);
        draft.seal()
    });
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(count, 2);
    assert_eq!(exchange.clock_offset().and_then(ClockOffset::parts), Some((4000, 0)));
}

#[test]
fn a_clock_that_stays_off_is_an_error() {
    let outcome = drive(&mut exchange(|_| ()), |_, _| Refuse::with(ErrorCode::SKEW).encode());
    assert_eq!(outcome.unwrap_err(), Error::code(ErrorCode::SKEW));
}

#[test]
fn the_timestamp_follows_the_clock_of_the_kdc_that_asks_for_it() {
    let theirs = Instant { time: NOW.time - 100_000, micros: 9 };
    let key = user_key(AES256);
    let outcome = drive(&mut exchange(|_| ()), |_, request| {
        if read(request).padata(PaType::ENC_TIMESTAMP).is_none() {
            return Refuse { clock: theirs, ..Refuse::preauth(&wanted()) }.encode();
        }
        assert_eq!(timestamp(request, &key), Ok(theirs));
        let mut draft = Draft::as_rep(request, &key);
        (draft.auth_time, draft.end_time) = (theirs.time, theirs.time + 36_000);
        draft.seal()
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[test]
fn a_clock_that_shall_not_be_followed_must_be_right() {
    let strict = |r: &mut AsRequest| r.follow_clock = false;
    let refused = drive(&mut exchange(strict), |_, _| Refuse::with(ErrorCode::SKEW).encode());
    assert_eq!(refused.unwrap_err(), Error::code(ErrorCode::SKEW));
    assert!(bent(strict, |d| d.auth_time = NOW.time - 300).is_ok());
    let off = bent(strict, |d| d.auth_time = NOW.time - 301);
    assert_eq!(off.unwrap_err().wire_code(), ErrorCode::SKEW);
    let mut exchange = exchange(strict);
    drive(&mut exchange, |_, request| Draft::as_rep(request, &user_key(AES256)).seal()).unwrap();
    assert_eq!(exchange.clock_offset(), None);
}

#[test]
fn refusals_keep_their_code_and_lose_their_text() {
    for code in [ErrorCode::KEY_EXPIRED, ErrorCode::CLIENT_REVOKED, ErrorCode::POLICY, ErrorCode(4711)] {
        let outcome = drive(&mut exchange(|_| ()), |_, _| Refuse::with(code).encode());
        assert_eq!(outcome.unwrap_err(), Error::code(code));
    }
    assert_eq!(Error::code(ErrorCode::KEY_EXPIRED).to_string(), "Password has expired");
}

#[test]
fn no_method_known_here_and_no_enctype_known_here_are_told_apart() {
    let unknown = [(PaType::PK_AS_REQ, vec![])];
    let outcome = drive(&mut exchange(|_| ()), |_, _| Refuse::preauth(&unknown).encode());
    assert_eq!(outcome.unwrap_err().wire_code(), ErrorCode::PREAUTH_REQUIRED);
    let rc4 = [(PaType::ETYPE_INFO2, info2(EncryptionType::RC4_HMAC, None)), (PaType::ENC_TIMESTAMP, vec![])];
    let outcome = drive(&mut exchange(|_| ()), |_, _| Refuse::preauth(&rc4).encode());
    assert_eq!(outcome.unwrap_err(), Error::code(ErrorCode::ETYPE_NOSUPP));
}

#[test]
fn the_expiry_of_the_password_is_told() {
    let soon = NOW.time + 1000;
    let told = bent(|_| (), |d| d.key_expiration = Some(soon)).unwrap();
    assert_eq!(told.password_expires, Some(soon));
    let told =
        bent(|_| (), |d| d.last_req.push(wire::LastReq { kind: LastReqType::PASSWORD_EXPIRES, time: soon })).unwrap();
    assert_eq!(told.password_expires, Some(soon));
    assert_eq!(bent(|_| (), |_| ()).unwrap().password_expires, None);
}

#[test]
fn the_last_message_is_given_again_when_no_reply_came() {
    let mut exchange = exchange(|_| ());
    let mut send = || match exchange.step(NOW, &mut OsRandom::new(), None) {
        Ok(Step::Send { message, .. }) => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(send(), send());
}

#[test]
fn no_cut_or_flipped_reply_is_accepted_or_does_harm() {
    let key = user_key(AES256);
    let exchange = |reply: &dyn Fn(&[u8]) -> Vec<u8>| {
        let mut exchange = AsExchange::new(AsRequest::new(user()), Secret::Keys(vec![(1, key.clone())]));
        drive(&mut exchange, |_, request| reply(request))
    };
    let length = exchange(&|request| Draft::as_rep(request, &key).seal()).map(|_| 700).unwrap();
    for at in 0..length {
        let cut = exchange(&|request| {
            let reply = Draft::as_rep(request, &key).seal();
            reply[..at.min(reply.len() - 1)].to_vec()
        });
        assert!(cut.is_err(), "{at}");
        // A flipped bit may fall on what nobody checks: the ticket, or a version number.
        let _ = exchange(&|request| {
            let mut reply = Draft::as_rep(request, &key).seal();
            let at = at % reply.len();
            reply[at] ^= 1 << (at % 8);
            reply
        });
    }
}
