use super::*;
use crate::codes::EncryptionType;
use crate::crypto::{Key, KeyUsage};
use crate::flags::TicketFlags;
use crate::name::Principal;
use crate::time::Time;
use crate::wire::TransitedEncoding;

fn key(byte: u8) -> Key {
    Key::new(EncryptionType::AES256_SHA1, &[byte; 32]).expect("a key")
}

fn prepared(byte: u8) -> PreparedChecksum {
    key(byte).prepare_checksum(KeyUsage::CAMMAC)
}

fn ticket<'a>(session: &'a Key, client: &'a Principal, data: Option<AuthorizationData<'a>>) -> EncTicketPart<'a> {
    EncTicketPart {
        flags: TicketFlags::INITIAL,
        key: session.into(),
        client_realm: client.realm(),
        client: client.into(),
        transited: TransitedEncoding::NONE,
        auth_time: Time(5),
        start_time: Some(Time(5)),
        end_time: Time(6),
        renew_till: None,
        addresses: None,
        authorization_data: data,
    }
}

/// A container that says "otp", for alice's ticket.
fn sealed(session: &Key, client: &Principal) -> (AuthDataType, Vec<u8>) {
    let said = super::super::indicators::encode(&["otp".to_owned()]);
    let elements = [AuthData { kind: AuthDataType::AUTH_INDICATOR, data: &said }];
    let (tgs, service) = (prepared(1), prepared(2));
    let signer = |key, kvno| Signer { key, kvno };
    let fields = ticket(session, client, None).fields();
    seal(&elements, &fields, signer(&tgs, Some(7)), Some(signer(&service, None)))
}

#[test]
fn both_verifiers_hold_in_the_ticket_they_were_made_for() {
    let (session, alice) = (key(3), Principal::parse("alice@R", None).unwrap());
    let (kind, data) = sealed(&session, &alice);
    let elements = [AuthData { kind, data: &data }];
    let part = ticket(&session, &alice, Some(List::Items(&elements)));
    let found = find(part.authorization_data.as_ref());
    let [cammac] = &found[..] else { panic!("one container") };
    let (of_tgs, of_service) = (prepared(1), prepared(2));
    let mut asked = None;
    let said = vouched_by_kdc(cammac, &part, |kvno| {
        asked = kvno;
        vec![&of_service, &of_tgs]
    });
    assert_eq!(asked, Some(7), "the verifier says which of the TGS's keys it was");
    assert_eq!(super::super::indicators::read(&said.unwrap()), ["otp"]);
    let said = vouched_by_service(cammac, &of_service).unwrap();
    assert_eq!(super::super::indicators::read(&said), ["otp"]);
}

#[test]
fn a_verifier_is_good_for_no_other_ticket_and_no_other_key() {
    let (session, alice) = (key(3), Principal::parse("alice@R", None).unwrap());
    let (kind, data) = sealed(&session, &alice);
    let elements = [AuthData { kind, data: &data }];
    let mallory = Principal::parse("mallory@R", None).unwrap();
    let of_tgs = prepared(1);
    for (who, flags) in [(&mallory, TicketFlags::INITIAL), (&alice, TicketFlags::NONE)] {
        let part = EncTicketPart { flags, ..ticket(&session, who, Some(List::Items(&elements))) };
        let found = find(part.authorization_data.as_ref());
        assert!(vouched_by_kdc(&found[0], &part, |_| vec![&of_tgs]).is_err(), "moved to {flags:?} of {who}");
    }
    let part = ticket(&session, &alice, Some(List::Items(&elements)));
    let cammac = find(part.authorization_data.as_ref())[0];
    let of_session = session.prepare_checksum(KeyUsage::CAMMAC);
    assert!(vouched_by_kdc(&cammac, &part, |_| vec![&of_session]).is_err());
    assert!(vouched_by_service(&cammac, &of_tgs).is_err());
    let bare = AdCammac { kdc_verifier: None, service_verifier: None, ..cammac };
    assert!(vouched_by_kdc(&bare, &part, |_| vec![&of_tgs]).is_err(), "no verifier vouches for nothing");
    assert!(vouched_by_service(&bare, &prepared(2)).is_err());
}

#[test]
fn what_stands_outside_of_a_container_or_is_malformed_is_not_found() {
    let said = super::super::indicators::encode(&["otp".to_owned()]);
    let junk = [
        AuthData { kind: AuthDataType::AUTH_INDICATOR, data: &said },
        AuthData { kind: AuthDataType::CAMMAC, data: b"\x30\x80" },
        AuthData { kind: AuthDataType::IF_RELEVANT, data: b"junk" },
    ];
    assert!(find(Some(&List::Items(&junk))).is_empty());
    assert!(find(None).is_empty());
    let (_, data) = sealed(&key(3), &Principal::parse("alice@R", None).unwrap());
    let many = [AuthData { kind: AuthDataType::IF_RELEVANT, data: &data }; 20];
    assert_eq!(find(Some(&List::Items(&many))).len(), MOST, "a stranger can't make it long");
}

#[test]
fn texts_are_bounded_and_malformed_lists_say_nothing() {
    let roles: Vec<_> = (0..100).map(|number| format!("role{number:03}")).chain(["x".repeat(65)]).collect();
    let data = super::super::roles::encode(&roles);
    let elements = [
        AuthData { kind: AuthDataType::ROLES, data: b"junk" },
        AuthData { kind: AuthDataType::ROLES, data: &data },
        AuthData { kind: AuthDataType::ROLES, data: &data },
    ];
    let read = super::super::roles::read(&List::Items(&elements));
    assert_eq!(read.len(), super::super::roles::MOST);
    assert!(super::super::roles::check("a seller").is_err());
    assert!(super::super::roles::check("").is_err());
    assert!(super::super::roles::check("seller").is_ok());
}
