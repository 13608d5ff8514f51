//! Service for user and the PAC under attack (B2 to B9, B11, B14), and as they are meant. Joined in
//! memory.

use kdc::core::{Attributes, Change, Store};
use libkrb::authz::pac::{self, Pac, Requestor};
use libkrb::codes::{AuthDataType, ChecksumType, EncryptionType, NameType, PaType, PacType};
use libkrb::crypto::{Key, KeyUsage, PreparedChecksum};
use libkrb::flags::{KdcOptions as O, PacOptions, TicketFlags as F};
use libkrb::preauth::s4u;
use libkrb::wire::{
    self, AuthData, EncTicketPart, EncryptedData, KdcRep, List, PaForUser, PaPacOptions, PaPacRequest, PaS4uX509User,
    Ticket,
};
use libkrb::{ErrorCode, Principal, Time};
use tests::certificates;
use tests::joined::{Asking, Credential, Joined, REALM, Sequence, as_error, name};

const GATEWAY: &str = "HTTP/gateway.example.org";
const USERS: &str = "HTTP/users.example.org";
const ADS: &str = "HTTP/ads.example.org";

/// A realm whose gateway may act for users at one service.
fn realm() -> Joined {
    let realm = Joined::new();
    realm.add(name(GATEWAY), |entry| {
        entry.attributes = Attributes::OK_TO_AUTH_AS_DELEGATE;
        entry.strings.insert("allowed_to_delegate_to".into(), "HTTP/users.*".into());
    });
    realm.add(name(USERS), |_| {});
    realm.add(name(ADS), |_| {});
    realm
}

fn gateway(realm: &mut Joined) -> Credential {
    realm.login(&Asking::login(GATEWAY).with(O::FORWARDABLE)).expect("the gateway's TGT")
}

/// The gateway asks for a ticket to itself in a user's name.
fn to_self(tgt: &Credential, user: &Principal) -> Asking {
    let padata = vec![(PaType::FOR_USER, s4u::for_user(&tgt.key, user))];
    Asking { padata, ..Asking::service(GATEWAY) }.with(O::FORWARDABLE)
}

/// With a user's ticket the gateway asks for one to another service.
fn through(evidence: &Credential, target: &str) -> Asking {
    Asking { additional: vec![evidence.ticket.clone()], ..Asking::service(target) }.with(O::CNAME_IN_ADDL_TKT)
}

fn evidence(realm: &mut Joined, tgt: &Credential, user: &str) -> Credential {
    realm.tgs(tgt, &to_self(tgt, &name(user))).expect("a ticket in the user's name")
}

/// The octets of a ticket's PAC.
fn pac_of(realm: &Joined, ticket: &Credential) -> Option<Vec<u8>> {
    realm.open(&ticket.ticket, |part| pac::find(part).expect("at most one PAC").map(<[u8]>::to_vec))
}

fn signing(realm: &Joined, who: &str) -> PreparedChecksum {
    realm.key(who, EncryptionType::AES256_SHA1).prepare_checksum(KeyUsage::NON_KERB_CHECKSUM)
}

/// A ticket whose service changed it, with the key that it has; its PAC as `bend` makes it.
fn resealed(
    realm: &Joined,
    ticket: &Credential,
    flags: F,
    bend: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>,
) -> Credential {
    let sealed = wire::decode::<Ticket<'_>>(&ticket.ticket).expect("a ticket");
    let server = sealed.server.principal(sealed.realm).expect("a name");
    let key = realm.key(&server.to_string(), sealed.enc_part.etype);
    let plain = key.decrypt(KeyUsage::TICKET, sealed.enc_part.cipher).expect("its server's ticket");
    let part = wire::decode::<EncTicketPart<'_>>(&plain).expect("a ticket's contents");
    let octets = pac::find(&part).expect("one PAC").expect("a PAC").to_vec();
    let wrapped = bend(octets).map(|octets| pac::wrapped(&octets));
    let elements: Vec<_> =
        wrapped.iter().map(|data| AuthData { kind: AuthDataType::IF_RELEVANT, data: data.bytes() }).collect();
    let authorization_data = (!elements.is_empty()).then_some(List::Items(&elements));
    let part = EncTicketPart { flags: part.flags | flags, authorization_data, ..part };
    let cipher = key.encrypt(KeyUsage::TICKET, &mut Sequence(7), &wire::encode(&part));
    let enc_part = EncryptedData { cipher: &cipher, ..sealed.enc_part };
    Credential { ticket: wire::encode(&Ticket { enc_part, ..sealed }), flags: part.flags, ..ticket.clone() }
}

/// Where a buffer's contents begin.
fn at(octets: &[u8], kind: PacType) -> usize {
    let count = octets[0] as usize;
    let rows = octets[8..8 + 16 * count].chunks(16);
    let row = rows.into_iter().find(|row| row[..4] == kind.0.to_le_bytes()).expect("a buffer of this kind");
    u64::from_le_bytes(row[8..].try_into().expect("eight")) as usize
}

/// The server's signature made anew, as a service can that changes its own ticket.
fn signed_by_service(realm: &Joined, service: &str, mut octets: Vec<u8>) -> Vec<u8> {
    let (server, kdc) = (at(&octets, PacType::SERVER_CHECKSUM) + 4, at(&octets, PacType::KDC_CHECKSUM) + 4);
    let mut zeroed = octets.clone();
    zeroed[server..server + 12].fill(0);
    zeroed[kdc..kdc + 12].fill(0);
    let mac = signing(realm, service).checksum(&zeroed);
    octets[server..server + 12].copy_from_slice(&mac);
    octets
}

#[test]
fn a_service_acts_for_a_user_where_its_list_says_so() {
    let mut realm = realm();
    let tgt = gateway(&mut realm);
    let evidence = evidence(&mut realm, &tgt, "alice");
    assert_eq!((evidence.client.clone(), evidence.server.clone()), (name("alice"), name(GATEWAY)));
    assert!(evidence.flags.has(F::FORWARDABLE));
    let ticket = realm.tgs(&tgt, &through(&evidence, USERS)).expect("a ticket in alice's name");
    assert_eq!((ticket.client.clone(), ticket.server.clone()), (name("alice"), name(USERS)));
    realm.open(&ticket.ticket, |part| assert!(part.client.names(&name("alice"))));
    let octets = pac_of(&realm, &ticket).expect("a PAC");
    let pac = Pac::parse(&octets).expect("a PAC");
    let way = pac.delegation_info().expect("NDR").expect("delegation info");
    assert_eq!((&*way.target, way.transited.len()), (USERS, 1));
    assert_eq!(way.transited[0], format!("{GATEWAY}@{REALM}"));
    assert!(pac.requestor().expect("an id").expect("an id").is_account(&realm.entry("alice").id));
    pac.verify_server(&signing(&realm, USERS)).expect("the service's signature");
}

#[test]
fn a_users_own_ticket_is_evidence_too_and_the_target_may_keep_the_list() {
    let mut realm = realm();
    let alice = realm.login(&Asking::login("alice").with(O::FORWARDABLE)).expect("alice's TGT");
    let shown = realm.tgs(&alice, &Asking::service(GATEWAY).with(O::FORWARDABLE)).expect("alice's ticket");
    let tgt = gateway(&mut realm);
    realm.tgs(&tgt, &through(&shown, USERS)).expect("a ticket in alice's name");
    let resource_based = |target: &str| {
        let flags = PacOptions::RESOURCE_BASED_DELEGATION;
        let padata = vec![(PaType::PAC_OPTIONS, wire::encode(&PaPacOptions { flags }))];
        Asking { padata, ..through(&shown, target) }
    };
    assert_eq!(realm.tgs(&tgt, &resource_based(ADS)).expect_err("no list"), ErrorCode::BADOPTION);
    realm.change(ADS, |entry| {
        entry.strings.insert("allowed_to_delegate_from".into(), "HTTP/gateway.example.org@EXAMPLE.ORG".into());
    });
    realm.tgs(&tgt, &resource_based(ADS)).expect("the target's list");
    assert_eq!(realm.tgs(&tgt, &through(&shown, ADS)).expect_err("not asked for"), ErrorCode::BADOPTION);
}

#[test]
fn the_reply_says_signed_for_whom_it_is() {
    let mut realm = realm();
    let tgt = gateway(&mut realm);
    let asking = to_self(&tgt, &name("alice"));
    let enterprise = Principal::parse_enterprise("alice", Some(REALM)).expect("a name");
    let padata = vec![(PaType::FOR_X509_USER, s4u::x509_user(&tgt.key, asking.nonce, s4u::User::Named(&enterprise)))];
    let request = realm.tgs_req(&tgt, &Asking { padata, ..asking });
    let outcome = realm.send(&request);
    assert_eq!(outcome.event.on_behalf_of, Some(name("alice")), "the log tells in whose name");
    let reply = outcome.reply.expect("an answer");
    let reply = wire::decode::<KdcRep<'_>>(&reply).expect("a ticket");
    assert!(reply.client.names(&name("alice")) && reply.client.kind == NameType::PRINCIPAL, "the realm's name");
    let said = reply.padata.iter().find(|padata| padata.kind == PaType::FOR_X509_USER).expect("PA-S4U-X509-USER");
    let said = wire::decode::<PaS4uX509User<'_>>(said.value).expect("PA-S4U-X509-USER");
    s4u::verify_x509_user(&tgt.key, KeyUsage::S4U_X509_USER_REPLY, 4711, &said).expect("signed for this request");
}

#[test]
fn b2_a_user_named_under_an_unkeyed_checksum_is_nobody() {
    let mut realm = realm();
    let tgt = gateway(&mut realm);
    let honest = s4u::for_user(&tgt.key, &name("alice"));
    let padata = wire::decode::<PaForUser<'_>>(&honest).expect("PA-FOR-USER");
    let mut ask = |padata: Vec<u8>, kind: PaType| {
        let asking = Asking { padata: vec![(kind, padata)], ..Asking::service(GATEWAY) };
        realm.tgs(&tgt, &asking).map(drop)
    };
    for (kind, length) in [(ChecksumType::CRC32, 4), (ChecksumType::RSA_MD5, 16), (ChecksumType::SHA1, 20)] {
        let mac = vec![0; length];
        let checksum = wire::Checksum { kind, checksum: &mac };
        let bent = wire::encode(&PaForUser { checksum, ..padata });
        assert_eq!(ask(bent, PaType::FOR_USER), Err(ErrorCode::INAPP_CKSUM), "{kind}");
        let signed = s4u::x509_user(&tgt.key, 4711, s4u::User::Named(&name("alice")));
        let signed = wire::decode::<PaS4uX509User<'_>>(&signed).expect("PA-S4U-X509-USER");
        let bent = wire::encode(&PaS4uX509User { checksum, ..signed });
        assert_eq!(ask(bent, PaType::FOR_X509_USER), Err(ErrorCode::INAPP_CKSUM), "{kind}");
    }
    let bob = name("bob");
    let bob = PaForUser { user: (&bob).into(), ..padata };
    assert_eq!(ask(wire::encode(&bob), PaType::FOR_USER), Err(ErrorCode::MODIFIED));
    let other_request = s4u::x509_user(&tgt.key, 4712, s4u::User::Named(&name("alice")));
    assert_eq!(ask(other_request, PaType::FOR_X509_USER), Err(ErrorCode::MODIFIED));
    let other_key = Key::new(EncryptionType::AES256_SHA1, &[9; 32]).expect("a key");
    assert_eq!(ask(s4u::for_user(&other_key, &name("alice")), PaType::FOR_USER), Err(ErrorCode::MODIFIED));
    assert_eq!(ask(honest.clone(), PaType::FOR_USER), Ok(()));
}

#[test]
fn b3_malformed_padata_about_users_and_options_beside_it_are_refused() {
    let mut realm = realm();
    let tgt = gateway(&mut realm);
    let honest = [
        (PaType::FOR_USER, s4u::for_user(&tgt.key, &name("alice"))),
        (PaType::FOR_X509_USER, s4u::x509_user(&tgt.key, 4711, s4u::User::Named(&name("alice")))),
    ];
    for (kind, value) in &honest {
        for length in 0..value.len() {
            let padata = vec![(*kind, value[..length].to_vec())];
            let asking = Asking { padata, ..Asking::service(GATEWAY) };
            assert_eq!(realm.tgs(&tgt, &asking).expect_err("malformed"), ErrorCode::GENERIC, "{kind} {length}");
        }
    }
    let evidence = evidence(&mut realm, &tgt, "alice");
    for option in [O::FORWARDED, O::POSTDATED, O::REQUEST_ANONYMOUS, O::CNAME_IN_ADDL_TKT, O::ENC_TKT_IN_SKEY] {
        let additional = vec![evidence.ticket.clone()];
        let asking = Asking { additional, ..to_self(&tgt, &name("alice")) }.with(option);
        realm.tgs(&tgt, &asking).expect_err("makes no sense");
        let asking = through(&evidence, USERS).with(option);
        assert_eq!(realm.tgs(&tgt, &asking).is_ok(), option == O::CNAME_IN_ADDL_TKT, "{option}");
    }
    let bare = Asking::service(USERS).with(O::CNAME_IN_ADDL_TKT);
    assert_eq!(realm.tgs(&tgt, &bare).expect_err("no ticket to show"), ErrorCode::BADOPTION);
}

#[test]
fn b3_nobody_acts_for_the_anonymous_the_kdc_or_the_nameless() {
    let mut realm = realm();
    realm.add(name("WELLKNOWN/ANONYMOUS"), |_| {});
    let tgt = gateway(&mut realm);
    let anonymous = name("WELLKNOWN/ANONYMOUS");
    let disguised = Principal::new(NameType::PRINCIPAL, REALM, ["WELLKNOWN/ANONYMOUS"]).expect("a name");
    for user in [anonymous.clone(), anonymous.with_kind(NameType::PRINCIPAL), disguised, Principal::tgs(REALM)] {
        let refused = realm.tgs(&tgt, &to_self(&tgt, &user)).expect_err("nobody");
        assert_eq!(refused, ErrorCode::C_PRINCIPAL_UNKNOWN, "{user}");
    }
    let certified = s4u::x509_user(&tgt.key, 4711, s4u::User::Certified(&[0x30, 0], REALM));
    let asking = Asking { padata: vec![(PaType::FOR_X509_USER, certified)], ..Asking::service(GATEWAY) };
    assert_eq!(realm.tgs(&tgt, &asking).expect_err("nobody"), ErrorCode::C_PRINCIPAL_UNKNOWN);
}

#[test]
fn b4_a_service_that_makes_its_evidence_forwardable_is_found_out() {
    let mut realm = realm();
    realm.change(GATEWAY, |entry| entry.attributes = Attributes::default());
    let tgt = gateway(&mut realm);
    let evidence = evidence(&mut realm, &tgt, "alice");
    assert!(!evidence.flags.has(F::FORWARDABLE));
    assert_eq!(realm.tgs(&tgt, &through(&evidence, USERS)).expect_err("plain"), ErrorCode::BADOPTION);
    let bronze = resealed(&realm, &evidence, F::FORWARDABLE, Some);
    assert_eq!(realm.tgs(&tgt, &through(&bronze, USERS)).expect_err("bronze bit"), ErrorCode::MODIFIED);
    let signed = resealed(&realm, &evidence, F::FORWARDABLE, |pac| Some(signed_by_service(&realm, GATEWAY, pac)));
    assert_eq!(realm.tgs(&tgt, &through(&signed, USERS)).expect_err("signed anew"), ErrorCode::MODIFIED);
}

#[test]
fn b5_evidence_whose_signatures_are_missing_zeroed_or_unkeyed_is_none() {
    const SIGNATURES: [PacType; 4] =
        [PacType::SERVER_CHECKSUM, PacType::KDC_CHECKSUM, PacType::FULL_CHECKSUM, PacType::TICKET_CHECKSUM];
    let mut realm = realm();
    let tgt = gateway(&mut realm);
    let evidence = evidence(&mut realm, &tgt, "alice");
    let none = resealed(&realm, &evidence, F::NONE, |_| None);
    assert_eq!(realm.tgs(&tgt, &through(&none, USERS)).expect_err("no PAC"), ErrorCode::MODIFIED);
    for kind in SIGNATURES {
        // The service signs what it changed, where that is not its own signature.
        let sign = |realm: &Joined, pac| {
            if kind == PacType::SERVER_CHECKSUM { pac } else { signed_by_service(realm, GATEWAY, pac) }
        };
        let zeroed = resealed(&realm, &evidence, F::NONE, |mut pac| {
            let start = at(&pac, kind) + 4;
            pac[start..start + 12].fill(0);
            Some(sign(&realm, pac))
        });
        assert_eq!(realm.tgs(&tgt, &through(&zeroed, USERS)).expect_err("zeroed"), ErrorCode::MODIFIED, "{kind}");
        for unkeyed in [ChecksumType::CRC32, ChecksumType::RSA_MD5, ChecksumType::SHA1] {
            let bent = resealed(&realm, &evidence, F::NONE, |mut pac| {
                let start = at(&pac, kind);
                pac[start..start + 4].copy_from_slice(&unkeyed.0.to_le_bytes());
                Some(sign(&realm, pac))
            });
            let code = realm.tgs(&tgt, &through(&bent, USERS)).expect_err("unkeyed");
            assert!([ErrorCode::INAPP_CKSUM, ErrorCode::MODIFIED].contains(&code), "{kind} {unkeyed}: {code}");
        }
        let missing = resealed(&realm, &evidence, F::NONE, |mut pac| {
            let row = (8..).step_by(16).find(|row| pac[*row..*row + 4] == kind.0.to_le_bytes()).expect("a row");
            pac[row..row + 4].copy_from_slice(&99_u32.to_le_bytes());
            Some(pac)
        });
        assert_eq!(realm.tgs(&tgt, &through(&missing, USERS)).expect_err("missing"), ErrorCode::MODIFIED, "{kind}");
    }
    realm.tgs(&tgt, &through(&evidence, USERS)).expect("the honest one");
}

#[test]
fn b5_a_ticket_granting_ticket_with_a_wrong_pac_gets_nothing() {
    let mut realm = realm();
    let tgt = realm.login(&Asking::login("alice")).expect("alice's TGT");
    let asking = Asking::service(USERS);
    for kind in [PacType::SERVER_CHECKSUM, PacType::KDC_CHECKSUM] {
        let bent = resealed(&realm, &tgt, F::NONE, |mut pac| {
            let start = at(&pac, kind);
            pac[start + 4] ^= 1;
            Some(pac)
        });
        assert_eq!(realm.tgs(&bent, &asking).expect_err("changed"), ErrorCode::MODIFIED, "{kind}");
        let unkeyed = resealed(&realm, &tgt, F::NONE, |mut pac| {
            let start = at(&pac, kind);
            pac[start..start + 4].copy_from_slice(&ChecksumType::RSA_MD5.0.to_le_bytes());
            Some(pac)
        });
        assert_eq!(realm.tgs(&unkeyed, &asking).expect_err("unkeyed"), ErrorCode::INAPP_CKSUM, "{kind}");
    }
    let of_bob = {
        let bob = realm.login(&Asking::login("bob")).expect("bob's TGT");
        let octets = pac_of(&realm, &bob);
        resealed(&realm, &tgt, F::NONE, |_| octets)
    };
    assert_eq!(realm.tgs(&of_bob, &asking).expect_err("bob's PAC"), ErrorCode::MODIFIED);
}

#[test]
fn b6_pacs_of_impossible_counts_lengths_and_offsets_are_refused() {
    let mut realm = realm();
    let tgt = gateway(&mut realm);
    let evidence = evidence(&mut realm, &tgt, "alice");
    let length = pac_of(&realm, &evidence).expect("a PAC").len();
    for place in (0..length).step_by(4) {
        for number in [0xffff_ffff_u32, 0x7fff_ffff, 0x8000_0000] {
            let bent = resealed(&realm, &evidence, F::NONE, |mut pac| {
                pac[place..place + 4].copy_from_slice(&number.to_le_bytes());
                Some(pac)
            });
            let code = realm.tgs(&tgt, &through(&bent, USERS)).expect_err("bent");
            assert!([ErrorCode::INAPP_CKSUM, ErrorCode::MODIFIED].contains(&code), "{place}: {code}");
        }
    }
}

#[test]
fn b7_without_a_rule_nobody_acts_for_users_and_never_at_the_kdc() {
    let mut realm = realm();
    let tgt = gateway(&mut realm);
    let evidence = evidence(&mut realm, &tgt, "alice");
    assert_eq!(realm.tgs(&tgt, &through(&evidence, ADS)).expect_err("not listed"), ErrorCode::BADOPTION);
    realm.change(GATEWAY, |entry| drop(entry.strings.insert("allowed_to_delegate_to".into(), "* */*".into())));
    let tgs = Asking { server: Some(Principal::tgs(REALM)), ..through(&evidence, ADS) };
    assert_eq!(realm.tgs(&tgt, &tgs).expect_err("a TGT for alice"), ErrorCode::BADOPTION);
    realm.tgs(&tgt, &through(&evidence, ADS)).expect("listed by a pattern");
    realm.change(GATEWAY, |entry| entry.strings.clear());
    assert_eq!(realm.tgs(&tgt, &through(&evidence, USERS)).expect_err("no list"), ErrorCode::BADOPTION);
}

#[test]
fn b8_who_may_not_be_delegated_is_not() {
    let mut realm = realm();
    let tgt = gateway(&mut realm);
    let before = evidence(&mut realm, &tgt, "alice");
    realm.change("alice", |entry| entry.attributes = entry.attributes.with(Attributes::DISALLOW_FORWARDABLE, true));
    let after = evidence(&mut realm, &tgt, "alice");
    assert!(!after.flags.has(F::FORWARDABLE));
    for ticket in [before, after] {
        assert_eq!(realm.tgs(&tgt, &through(&ticket, USERS)).expect_err("kept back"), ErrorCode::BADOPTION);
    }
    let bob = evidence(&mut realm, &tgt, "bob");
    realm.change("bob", |entry| entry.attributes = Attributes::DISALLOW_ALL_TIX);
    assert_eq!(realm.tgs(&tgt, &through(&bob, USERS)).expect_err("locked"), ErrorCode::CLIENT_REVOKED);
    let refused = |realm: &mut Joined, user: &str| realm.tgs(&tgt, &to_self(&tgt, &name(user))).expect_err("refused");
    assert_eq!(refused(&mut realm, "bob"), ErrorCode::CLIENT_REVOKED);
    assert_eq!(refused(&mut realm, "nobody"), ErrorCode::C_PRINCIPAL_UNKNOWN);
    realm.add_user("late", |entry| entry.expires = Some(Time(1)));
    assert_eq!(refused(&mut realm, "late"), ErrorCode::NAME_EXP);
    realm.add_user("forgetful", |entry| entry.password_expires = Some(Time(1)));
    evidence(&mut realm, &tgt, "forgetful");
}

#[test]
fn b8_a_ticket_in_a_users_name_is_for_the_asking_service_and_its_evidence_too() {
    let mut realm = realm();
    let tgt = gateway(&mut realm);
    let elsewhere = Asking { server: Some(name(USERS)), ..to_self(&tgt, &name("alice")) };
    assert_eq!(realm.tgs(&tgt, &elsewhere).expect_err("for another"), ErrorCode::BADMATCH);
    let alice = realm.login(&Asking::login("alice").with(O::FORWARDABLE)).expect("alice's TGT");
    let to_ads = realm.tgs(&alice, &Asking::service(ADS).with(O::FORWARDABLE)).expect("alice's ticket");
    assert_eq!(realm.tgs(&tgt, &through(&to_ads, USERS)).expect_err("another's"), ErrorCode::SERVER_NOMATCH);
    assert_eq!(realm.tgs(&tgt, &through(&alice, USERS)).expect_err("a TGT"), ErrorCode::SERVER_NOMATCH);
}

/// Deletes an account and makes one anew under its name.
fn recreate(realm: &Joined, user: &str) {
    realm.store.commit(&[Change::Delete(name(user))]).expect("a deleted principal");
    realm.add_user(user, |entry| entry.id = *b"another account!");
}

#[test]
fn b9_a_ticket_of_an_earlier_account_is_none_of_its_successors() {
    let mut realm = realm();
    let alice = realm.login(&Asking::login("alice").with(O::FORWARDABLE | O::RENEWABLE)).expect("alice's TGT");
    let none = PaPacRequest { include_pac: false };
    let padata = vec![(PaType::PAC_REQUEST, wire::encode(&none))];
    let sly = realm.login(&Asking { padata, ..Asking::login("alice") }).expect("a TGT without wish for a PAC");
    let shown = realm.tgs(&alice, &Asking::service(GATEWAY).with(O::FORWARDABLE)).expect("alice's ticket");
    let tgt = gateway(&mut realm);
    recreate(&realm, "alice");
    for ticket in [&alice, &sly] {
        assert_eq!(realm.tgs(ticket, &Asking::service(ADS)).expect_err("gone"), ErrorCode::TGT_REVOKED);
    }
    let again = Asking { server: Some(Principal::tgs(REALM)), ..Asking::login("alice") };
    assert_eq!(realm.tgs(&alice, &again.with(O::RENEW)).expect_err("gone"), ErrorCode::TGT_REVOKED);
    assert_eq!(realm.tgs(&tgt, &through(&shown, USERS)).expect_err("gone"), ErrorCode::TGT_REVOKED);
    let to_alice = Asking { additional: vec![alice.ticket.clone()], ..Asking::service("alice") };
    let bob = realm.login(&Asking::login("bob")).expect("bob's TGT");
    assert_eq!(realm.tgs(&bob, &to_alice.with(O::ENC_TKT_IN_SKEY)).expect_err("gone"), ErrorCode::TGT_REVOKED);
    let new = realm.login(&Asking::login("alice")).expect("the new alice's TGT");
    realm.tgs(&new, &Asking::service(ADS)).expect("the new alice's ticket");
}

#[test]
fn b9_no_suffix_is_guessed_for_an_account_that_is_gone() {
    let mut realm = realm();
    realm.add(name("dc$"), |_| {});
    realm.add(name("dc"), |entry| entry.attributes = Attributes::OK_TO_AUTH_AS_DELEGATE);
    let tgt = realm.login(&Asking::login("dc")).expect("a TGT");
    realm.store.commit(&[Change::Delete(name("dc"))]).expect("a deleted principal");
    let padata = vec![(PaType::FOR_USER, s4u::for_user(&tgt.key, &name("alice")))];
    for server in ["dc", "dc$"] {
        let asking = Asking { padata: padata.clone(), ..Asking::service(server) };
        let code = realm.tgs(&tgt, &asking).expect_err("gone");
        assert!([ErrorCode::TGT_REVOKED, ErrorCode::S_PRINCIPAL_UNKNOWN].contains(&code), "{server}: {code}");
    }
    let gateway = gateway(&mut realm);
    let refused = realm.tgs(&gateway, &to_self(&gateway, &name("dc"))).expect_err("gone");
    assert_eq!(refused, ErrorCode::C_PRINCIPAL_UNKNOWN);
}

#[test]
fn b11_user_to_user_wants_the_ticket_granting_ticket_of_that_user_in_this_realm() {
    let mut realm = realm();
    realm.add(Principal::cross_tgs(REALM, "OTHER.ORG"), |_| {});
    let (alice, bob) = (realm.login(&Asking::login("alice")), realm.login(&Asking::login("bob")));
    let (alice, bob) = (alice.expect("alice's TGT"), bob.expect("bob's TGT"));
    let ask = |ticket: &Credential| {
        Asking { additional: vec![ticket.ticket.clone()], ..Asking::service("bob") }.with(O::ENC_TKT_IN_SKEY)
    };
    realm.tgs(&alice, &ask(&bob)).expect("a ticket for bob");
    assert_eq!(realm.tgs(&alice, &ask(&alice)).expect_err("not bob's"), ErrorCode::SERVER_NOMATCH);
    let changepw = Asking { server: Some(Principal::changepw(REALM)), ..Asking::login("bob") };
    let changepw = realm.login(&changepw).expect("a ticket to change a password");
    assert_eq!(realm.tgs(&alice, &ask(&changepw)).expect_err("no TGT"), ErrorCode::POLICY);
    let service = realm.tgs(&bob, &Asking::service(ADS)).expect("a ticket");
    assert_eq!(realm.tgs(&alice, &ask(&service)).expect_err("no TGT"), ErrorCode::POLICY);
    let foreign = wire::decode::<Ticket<'_>>(&bob.ticket).expect("a ticket");
    let foreign = Credential { ticket: wire::encode(&Ticket { realm: "OTHER.ORG", ..foreign }), ..bob.clone() };
    realm.tgs(&alice, &ask(&foreign)).expect_err("another realm's");
}

#[test]
fn b14_a_ticket_with_a_bad_pac_is_not_renewed_and_a_good_one_keeps_it() {
    let mut realm = realm();
    let tgt = realm.login(&Asking::login("alice").with(O::RENEWABLE)).expect("alice's TGT");
    let renew = || Asking { server: Some(Principal::tgs(REALM)), ..Asking::login("alice") }.with(O::RENEW);
    for bend in
        [|pac: &mut Vec<u8>| pac.truncate(3), |pac: &mut Vec<u8>| pac[0] = 0xff, |pac: &mut Vec<u8>| pac.clear()]
    {
        let bent = resealed(&realm, &tgt, F::NONE, |mut pac| {
            bend(&mut pac);
            Some(pac)
        });
        assert_eq!(realm.tgs(&bent, &renew()).expect_err("bent"), ErrorCode::MODIFIED);
    }
    let renewed = realm.tgs(&tgt, &renew()).expect("a renewed TGT");
    let octets = pac_of(&realm, &renewed).expect("a PAC");
    let requestor = Pac::parse(&octets).expect("a PAC").requestor().expect("an id").expect("an id");
    assert!(requestor.is_account(&realm.entry("alice").id));
    let ticket = realm.tgs(&renewed, &Asking::service(ADS).with(O::RENEWABLE)).expect("a ticket");
    let renewed = realm.tgs(&ticket, &Asking::service(ADS).with(O::RENEW)).expect("a renewed ticket");
    let octets = pac_of(&realm, &renewed).expect("a PAC");
    let pac = Pac::parse(&octets).expect("a PAC");
    pac.verify_full(&signing(&realm, "krbtgt/EXAMPLE.ORG")).expect("signed anew");
}

fn kinds(realm: &Joined, ticket: &Credential) -> Vec<PacType> {
    let Some(octets) = pac_of(realm, ticket) else { return vec![] };
    let mut kinds: Vec<_> = Pac::parse(&octets).expect("a PAC").buffers().map(|(kind, _)| kind).collect();
    kinds.sort();
    kinds
}

#[test]
fn tickets_have_the_buffers_and_signatures_that_mit_gives_them_and_the_account() {
    use PacType as P;
    let mut realm = realm();
    let tgt = realm.login(&Asking::login("alice")).expect("alice's TGT");
    let granting = [P::SERVER_CHECKSUM, P::KDC_CHECKSUM, P::CLIENT_INFO, P::ATTRIBUTES, P::REQUESTOR];
    assert_eq!(kinds(&realm, &tgt), granting, "no ticket signature on a TGT");
    let ticket = realm.tgs(&tgt, &Asking::service(ADS)).expect("a ticket");
    let service =
        [P::SERVER_CHECKSUM, P::KDC_CHECKSUM, P::CLIENT_INFO, P::TICKET_CHECKSUM, P::REQUESTOR, P::FULL_CHECKSUM];
    assert_eq!(kinds(&realm, &ticket), service);
    let octets = pac_of(&realm, &ticket).expect("a PAC");
    let pac = Pac::parse(&octets).expect("a PAC");
    let kdc = signing(&realm, "krbtgt/EXAMPLE.ORG");
    pac.verify_server(&signing(&realm, ADS)).expect("the service's");
    pac.verify_kdc(&kdc).expect("the KDC's");
    pac.verify_full(&kdc).expect("the full one");
    realm.open(&ticket.ticket, |part| pac.verify_ticket(&kdc, &pac::signed_part(part)).expect("the ticket's"));
    pac.verify_client(&name("alice"), ticket.auth_time).expect("alice's");
    assert_eq!(Requestor::of_account(&realm.entry("alice").id), pac.buffer(P::REQUESTOR).expect("an id"));
    let changepw = Asking { server: Some(Principal::changepw(REALM)), ..Asking::login("alice") };
    let changepw = realm.login(&changepw).expect("a ticket to change a password");
    assert!(!kinds(&realm, &changepw).contains(&P::TICKET_CHECKSUM));
}

#[test]
fn a_pac_is_left_out_where_client_service_or_realm_want_none() {
    let mut realm = realm();
    let wish = |include_pac| vec![(PaType::PAC_REQUEST, wire::encode(&PaPacRequest { include_pac }))];
    for (padata, expected) in [(wish(false), false), (wish(true), true), (vec![], true)] {
        let tgt = realm.login(&Asking { padata, ..Asking::login("alice") }).expect("alice's TGT");
        let ticket = realm.tgs(&tgt, &Asking::service(ADS)).expect("a ticket");
        assert_eq!(pac_of(&realm, &ticket).is_some(), expected);
    }
    realm.change(ADS, |entry| entry.attributes = Attributes::NO_AUTH_DATA_REQUIRED);
    let tgt = realm.login(&Asking::login("alice")).expect("alice's TGT");
    let ticket = realm.tgs(&tgt, &Asking::service(ADS)).expect("a ticket");
    assert_eq!(pac_of(&realm, &ticket), None);
    realm.policy.disable_pac = true;
    let ticket = realm.tgs(&tgt, &Asking::service(USERS)).expect("a ticket");
    assert_eq!(pac_of(&realm, &ticket), None);
    let tgt = realm.login(&Asking::login("alice")).expect("alice's TGT");
    assert_eq!(pac_of(&realm, &tgt), None);
}

#[test]
fn the_kdc_signs_in_the_enctype_that_a_service_asks_for() {
    let mut realm = realm();
    realm.change(GATEWAY, |entry| {
        entry.strings.insert("pac_privsvr_enctype".into(), "aes256-sha2".into());
    });
    let tgt = gateway(&mut realm);
    let evidence = evidence(&mut realm, &tgt, "alice");
    let octets = pac_of(&realm, &evidence).expect("a PAC");
    let signature = Pac::parse(&octets).expect("a PAC").signature(PacType::KDC_CHECKSUM).expect("a signature").kind;
    assert_eq!(signature, ChecksumType::HMAC_SHA384_192_AES256);
    realm.tgs(&tgt, &through(&evidence, USERS)).expect("verified by the same key");
}

#[test]
fn evidence_outlives_a_turn_of_the_kdcs_keys_as_long_as_they_live() {
    let mut realm = realm();
    let tgt = gateway(&mut realm);
    let evidence = evidence(&mut realm, &tgt, "alice");
    realm.announce("krbtgt/EXAMPLE.ORG", 0, 3600);
    realm.wait(10);
    realm.tgs(&tgt, &through(&evidence, USERS)).expect("signed with the key before");
    realm.wait(4000);
    let tgt = gateway(&mut realm);
    realm.tgs(&tgt, &through(&evidence, USERS)).expect_err("signed with a key that is gone");
}

/// The gateway shows a certificate that a user showed it.
fn by_certificate(realm: &mut Joined, tgt: &Credential, certificate: &[u8]) -> Result<Credential, ErrorCode> {
    let user = s4u::x509_user(&tgt.key, 4711, s4u::User::Certified(certificate, REALM));
    realm.tgs(tgt, &Asking { padata: vec![(PaType::FOR_X509_USER, user)], ..Asking::service(GATEWAY) })
}

#[test]
fn a_service_may_name_a_user_by_the_certificate_that_it_was_shown() {
    let mut realm = certificates::realm();
    realm.add(name(GATEWAY), |entry| entry.attributes = Attributes::OK_TO_AUTH_AS_DELEGATE);
    let tgt = gateway(&mut realm);
    let shown = |who: &str| certificates::identity(who).chain()[0].to_vec();
    assert_eq!(by_certificate(&mut realm, &tgt, &shown("alice")).expect("alice's ticket").client, name("alice"));
    assert_eq!(by_certificate(&mut realm, &tgt, &shown("bob")).expect("bob's ticket").client, name("bob"));
    let unknown = ErrorCode::C_PRINCIPAL_UNKNOWN;
    for who in ["alice-unknown-ca", "alice-expired", "alice-revoked", "alice-elsewhere", "alice-nameless", "alice-sha1"]
    {
        assert_eq!(by_certificate(&mut realm, &tgt, &shown(who)).expect_err(who), unknown, "{who}");
    }
    for junk in [&b""[..], b"0\0", &[0x30, 0x80], &shown("alice")[..200]] {
        assert_eq!(by_certificate(&mut realm, &tgt, junk).expect_err("junk"), unknown);
    }
    let svid = by_certificate(&mut realm, &tgt, &shown("svid")).expect("by a rule of the settings");
    assert_eq!(svid.client, name("orders/shop"));
    // What the realm wrote beside a principal binds here as it does in a login.
    realm.change("alice", |entry| drop(entry.strings.insert("pkinit_cert".into(), "sha256:00".into())));
    assert_eq!(by_certificate(&mut realm, &tgt, &shown("alice")).expect_err("another's"), unknown);
    let mut without = self::realm();
    let tgt = gateway(&mut without);
    assert_eq!(by_certificate(&mut without, &tgt, &shown("alice")).expect_err("no PKINIT"), unknown);
}

#[test]
fn b2_who_asks_whose_a_certificate_is_learns_where_and_gets_no_ticket() {
    let mut realm = certificates::realm();
    realm.change("alice", |entry| entry.attributes = entry.attributes.with(Attributes::REQUIRES_PRE_AUTH, false));
    let nobody = Principal::new(NameType::X500_PRINCIPAL, REALM, [""]).expect("a name");
    let mut ask = |client: &Principal, certificate: &[u8]| {
        let padata = vec![(PaType::FOR_X509_USER, certificate.to_vec())];
        let request = realm.as_req(&Asking { client: client.clone(), padata, ..Asking::login("alice") }, None);
        let outcome = realm.send(&request);
        (as_error(&outcome.reply.expect("a reply")), outcome.event.client)
    };
    let shown = |who: &str| certificates::identity(who).chain()[0].to_vec();
    // Even where alice would need no proof.
    assert_eq!(ask(&nobody, &shown("alice")), (Some(ErrorCode::PREAUTH_REQUIRED), Some(name("alice"))));
    for who in ["alice-unknown-ca", "alice-expired", "alice-revoked", "alice-nameless", "alice-sha1"] {
        assert_eq!(ask(&nobody, &shown(who)).0, Some(ErrorCode::C_PRINCIPAL_UNKNOWN), "{who}");
    }
    for junk in [&b"0\0"[..], &[0x30, 0x80], &shown("alice")[..200]] {
        assert_eq!(ask(&nobody, junk).0, Some(ErrorCode::C_PRINCIPAL_UNKNOWN));
    }
    assert_eq!(ask(&nobody, b"").0, Some(ErrorCode::C_PRINCIPAL_UNKNOWN), "no certificate");
    // Beside a name it says nothing.
    assert_eq!(ask(&name("bob"), &shown("alice")), (Some(ErrorCode::PREAUTH_REQUIRED), Some(name("bob"))));
}
