//! Ways around single checks of the KDC: other spellings of a name, authorization data in other
//! wrappings, requests that ask for the same thing many times. Joined in memory.

use kdc::core::{Attributes, KnownTgts, Outcome, Pkinit};
use libkrb::client::{Exchange, Step};
use libkrb::codes::{AddressType, AuthDataType, EncryptionType, NameType, PaType};
use libkrb::crypto::Key;
use libkrb::flags::{KdcOptions as O, TicketFlags as F};
use libkrb::preauth::pkinit::Trust;
use libkrb::preauth::s4u;
use libkrb::preauth::spake::{GROUPS, client};
use libkrb::replay::MemoryReplayCache;
use libkrb::wire::{self, AuthData, KdcRep, List, PaSpake, SpakeSupport};
use libkrb::{ErrorCode, Principal, Time};
use tests::armored::{Armor, Inside};
use tests::certificates;
use tests::joined::{Asking, Bend, Credential, Joined, NOW, REALM, Sequence, as_error, besides_pac, name};
use tests::spake::{Talk, Told};

fn code(outcome: &Outcome) -> ErrorCode {
    as_error(outcome.reply.as_deref().expect("an answer")).expect("KRB-ERROR")
}

fn alice(realm: &mut Joined, options: O) -> Credential {
    realm.login(&Asking::login("alice").with(options)).expect("a TGT")
}

/// `text` as the one component of a name.
fn spelled(text: &str) -> Principal {
    Principal::new(NameType::PRINCIPAL, REALM, [text]).expect("a name")
}

/// Every name by which the store finds the ticket-granting service.
fn names_of_the_tgs(realm: &Joined) -> Vec<Principal> {
    realm.change("krbtgt/EXAMPLE.ORG", |entry| entry.aliases.push(name("tgs")));
    vec![Principal::tgs(REALM), spelled("krbtgt/EXAMPLE.ORG@EXAMPLE.ORG"), name("tgs")]
}

#[test]
fn no_name_of_the_tgs_makes_a_proxy_or_a_postdated_ticket_a_ticket_granting_one() {
    let mut realm = Joined::new();
    let tgt = alice(&mut realm, O::PROXIABLE | O::ALLOW_POSTDATE);
    for server in names_of_the_tgs(&realm) {
        let asking = Asking { server: Some(server.clone()), ..Asking::login("alice") };
        let addresses = vec![(AddressType::IPV4, vec![192, 0, 2, 1])];
        let proxy = Asking { addresses, ..asking.clone().with(O::PROXY) };
        assert_eq!(realm.tgs(&tgt, &proxy).expect_err("no TGT is a proxy"), ErrorCode::BADOPTION, "{server}");
        let later = Asking { from: Some(NOW + 60), ..asking.with(O::POSTDATED) };
        assert_eq!(realm.tgs(&tgt, &later).expect_err("not postdated"), ErrorCode::CANNOT_POSTDATE, "{server}");
    }
}

#[test]
fn whoever_spells_a_client_otherwise_gets_a_ticket_in_its_one_name() {
    let mut realm = Joined::new();
    let key = realm.key("alice", EncryptionType::AES256_SHA1);
    for spelling in ["alice@EXAMPLE.ORG", "alice@example.org"] {
        let request = realm.as_req(&Asking { client: spelled(spelling), ..Asking::login("alice") }, Some(&key));
        let reply = realm.send(&request).reply.expect("an answer");
        let usage = libkrb::crypto::KeyUsage::AS_REP_ENC_PART;
        let tgt = Credential::open(&reply, &key, usage).expect("a TGT");
        assert_eq!(tgt.client, name("alice"), "{spelling}");
        realm.open(&tgt.ticket, |part| assert!(part.client.names(&name("alice")), "{spelling}"));
    }
}

fn wrapped(kind: AuthDataType, inner: &[(AuthDataType, &[u8])]) -> (AuthDataType, Vec<u8>) {
    let inner = inner.iter().map(|(kind, data)| AuthData { kind: *kind, data }).collect::<Vec<_>>();
    let data = match kind {
        AuthDataType::AND_OR => wire::encode(&wire::AdAndOr { count: 1, elements: List::Items(&inner) }),
        _ => wire::encode(&List::Items(&inner)),
    };
    (kind, data)
}

fn added(realm: &mut Joined, data: Vec<(AuthDataType, Vec<u8>)>) -> Result<Vec<AuthDataType>, ErrorCode> {
    let tgt = alice(realm, O::NONE);
    let asking = Asking { authorization_data: Some(data), ..Asking::service("host/a.example.org") };
    let ticket = realm.tgs(&tgt, &asking)?;
    Ok(realm.open(&ticket.ticket, |part| besides_pac(part).into_iter().map(|(kind, _)| kind).collect()))
}

#[test]
fn b18_and_or_hides_nothing_that_only_a_kdc_may_say() {
    use AuthDataType as A;
    let mut realm = Joined::new();
    let pac = || wrapped(A::AND_OR, &[(A::WIN2K_PAC, b"a PAC")]);
    assert_eq!(added(&mut realm, vec![pac()]), Ok(vec![]));
    let (kind, data) = pac();
    assert_eq!(added(&mut realm, vec![wrapped(A::IF_RELEVANT, &[(kind, &data)])]), Ok(vec![]));
    let (kind, data) = wrapped(A::IF_RELEVANT, &[(A::CAMMAC, b"a CAMMAC")]);
    assert_eq!(added(&mut realm, vec![wrapped(A::AND_OR, &[(kind, &data)])]), Ok(vec![]));
    let mandatory = wrapped(A::AND_OR, &[(A::MANDATORY_FOR_KDC, b"0\0")]);
    assert_eq!(added(&mut realm, vec![mandatory]), Err(ErrorCode::POLICY));
    assert_eq!(added(&mut realm, vec![(A::AND_OR, b"no AD-AND-OR".to_vec())]), Ok(vec![]));
    let harmless = wrapped(A::AND_OR, &[(A(-4711), b"a restriction")]);
    assert_eq!(added(&mut realm, vec![harmless]), Ok(vec![A::AND_OR]));
}

#[test]
fn b18_restrictions_are_carried_all_or_the_request_is_refused() {
    let mut realm = Joined::new();
    let restriction = |number: i32| (AuthDataType(-number), b"only this".to_vec());
    assert_eq!(added(&mut realm, (1..=64).map(restriction).collect()).map(|kinds| kinds.len()), Ok(64));
    assert_eq!(added(&mut realm, (1..=65).map(restriction).collect()), Err(ErrorCode::POLICY));
}

#[test]
fn b18_what_was_made_to_armor_a_request_gets_no_ticket() {
    let mut realm = Joined::new();
    realm.change("host/b.example.org", |entry| entry.attributes = Attributes::NO_AUTH_DATA_REQUIRED);
    let tgt = alice(&mut realm, O::NONE);
    const ARMOR: &[AuthData<'_>] = &[AuthData { kind: AuthDataType::FX_ARMOR, data: &[] }];
    let ticket = realm.forge(&tgt, "krbtgt/EXAMPLE.ORG", |part| part.authorization_data = Some(List::Items(ARMOR)));
    for service in ["host/a.example.org", "host/b.example.org"] {
        let asking = Asking::service(service);
        assert_eq!(realm.tgs(&ticket, &asking).expect_err("an armor ticket"), ErrorCode::POLICY);
        let request =
            realm.tgs_req_with(&tgt, &asking, &Bend { armor: Some(AuthDataType::FX_ARMOR), ..Bend::default() });
        assert_eq!(code(&realm.send(&request)), ErrorCode::POLICY);
    }
}

#[test]
fn an_enctype_offered_many_times_is_hinted_at_once() {
    let mut realm = Joined::new();
    let once = realm.as_req(&Asking::login("alice"), None);
    let once = realm.send(&once).reply.expect("an answer").len();
    let etypes = vec![EncryptionType::AES256_SHA1; 64];
    let many = realm.as_req(&Asking { etypes, ..Asking::login("alice") }, None);
    let outcome = realm.send(&many);
    assert_eq!(code(&outcome), ErrorCode::PREAUTH_REQUIRED);
    assert_eq!(outcome.reply.expect("an answer").len(), once);
}

/// The salt that a KDC tells of a client, and the enctypes.
fn hinted(realm: &mut Joined, client: Principal) -> Vec<(EncryptionType, String, Option<Vec<u8>>)> {
    let etypes = realm.policy.etypes.clone();
    let request = realm.as_req(&Asking { client, etypes, ..Asking::login("alice") }, None);
    let reply = realm.send(&request).reply.expect("an answer");
    let error = wire::decode::<wire::KrbError<'_>>(&reply).expect("KRB-ERROR");
    assert_eq!(error.code, ErrorCode::PREAUTH_REQUIRED);
    let hints = wire::decode::<wire::MethodData<'_>>(error.data.expect("hints")).expect("METHOD-DATA");
    let info = hints.iter().find(|hint| hint.kind == PaType::ETYPE_INFO2).expect("ETYPE-INFO2");
    let entries = wire::decode::<List<'_, wire::EtypeInfo2Entry<'_>>>(info.value).expect("entries");
    entries.iter().map(|e| (e.etype, e.salt.unwrap_or_default().to_owned(), e.s2kparams.map(<[u8]>::to_vec))).collect()
}

#[test]
fn a10_hidden_clients_have_the_salts_of_known_ones_under_every_spelling() {
    let mut realm = Joined::new();
    realm.policy.hide_unknown_clients = true;
    let enterprise = |text: &str| spelled(text).with_kind(NameType::ENTERPRISE);
    let spellings: [fn(&str) -> String; 3] =
        [|user| format!("{user}@EXAMPLE.ORG"), |user| format!("{user}@example.org"), str::to_owned];
    for spelling in spellings {
        for form in [spelled as fn(&str) -> Principal, enterprise] {
            let [known, unknown] = ["alice", "nobody"].map(|user| hinted(&mut realm, form(&spelling(user))));
            let salt = unknown[0].1.replace("nobody", "alice");
            assert_eq!(salt, known[0].1, "{}", spelling("alice"));
        }
    }
}

#[test]
fn a10_hidden_clients_have_the_keys_that_new_ones_get() {
    let mut realm = Joined::new();
    realm.policy.hide_unknown_clients = true;
    realm.policy.key_etypes = vec![EncryptionType::AES256_SHA1, EncryptionType::AES128_SHA1];
    realm.policy.key_iterations = Some(10_000);
    realm.change("alice", |entry| {
        let keys = entry.keys[0].keys.drain(..).map(|key| key.with_iterations(Some(10_000)));
        entry.keys[0].keys = keys.collect();
    });
    let [known, unknown] = ["alice", "wendy"].map(|user| hinted(&mut realm, name(user)));
    let told = |hints: Vec<(EncryptionType, String, Option<Vec<u8>>)>| {
        hints.into_iter().map(|(etype, _, s2kparams)| (etype, s2kparams)).collect::<Vec<_>>()
    };
    assert_eq!(told(known), told(unknown));
}

#[test]
fn a_ticket_bound_to_a_netbios_name_alone_is_bound_to_no_address() {
    let mut realm = Joined::new();
    realm.from = Some([192, 0, 2, 9].into());
    let netbios = (AddressType::NETBIOS, b"WORKSTATION     ".to_vec());
    let asking = Asking { addresses: vec![netbios.clone()], ..Asking::login("alice") };
    let tgt = realm.login(&asking).expect("a TGT");
    realm.tgs(&tgt, &Asking::service("host/a.example.org")).expect("as Windows asks");
    let addresses = vec![netbios, (AddressType::IPV4, vec![192, 0, 2, 1])];
    let tgt = realm.login(&Asking { addresses, ..Asking::login("alice") }).expect("a TGT");
    let elsewhere = realm.tgs(&tgt, &Asking::service("host/a.example.org"));
    assert_eq!(elsewhere.expect_err("bound"), ErrorCode::BADADDR);
}

#[test]
fn times_at_the_end_of_the_calendar_neither_overflow_nor_lengthen_a_ticket() {
    let mut realm = Joined::new();
    for time in [Time::MAX, Time(-62_167_219_200), Time::EPOCH] {
        for options in [O::NONE, O::POSTDATED, O::RENEWABLE, O::RENEWABLE_OK, O::POSTDATED | O::RENEWABLE] {
            let wish = |asking: Asking| Asking { from: Some(time), till: time, renew_till: Some(time), ..asking };
            if let Ok(tgt) = realm.login(&wish(Asking::login("alice")).with(options)) {
                assert!(tgt.end_time - tgt.start_time <= realm.policy.max_life);
                assert!(tgt.flags.has(F::INVALID) == options.has(O::POSTDATED));
            }
            let tgt = alice(&mut realm, O::ALLOW_POSTDATE | O::RENEWABLE);
            if let Ok(ticket) = realm.tgs(&tgt, &wish(Asking::service("host/a.example.org")).with(options)) {
                assert!(ticket.end_time <= tgt.end_time && ticket.renew_till <= tgt.renew_till);
            }
        }
    }
    let tgt = alice(&mut realm, O::NONE);
    for (start, end) in [(i64::MIN, i64::MAX), (-62_167_219_200, 253_402_300_799)] {
        let forged = realm.forge(&tgt, "host/a.example.org", |part| {
            part.flags = F::RENEWABLE;
            (part.start_time, part.end_time, part.renew_till) = (Some(Time(start)), Time(end), Some(Time(end)));
        });
        let _ = realm.tgs(&forged, &Asking::service("host/a.example.org").with(O::RENEW));
    }
}

#[test]
fn nobody_stops_the_realm_by_filling_its_replay_cache() {
    let mut realm = Joined::new();
    realm.replays = MemoryReplayCache::new(300, 2);
    let tgt = alice(&mut realm, O::NONE);
    let first = realm.tgs_req(&tgt, &Asking::service("host/a.example.org"));
    assert!(realm.send(&first).event.issued.is_some());
    realm.tgs(&tgt, &Asking::service("host/b.example.org")).expect("a ticket though nothing more can be remembered");
    realm.login(&Asking::login("bob")).expect("a TGT");
    assert_eq!(code(&realm.send(&first)), ErrorCode::REPEAT, "what is remembered stays so");
}

/// A realm with every way to log in, and an administrator whom nobody must become.
fn modern() -> Joined {
    let mut realm = certificates::realm();
    realm.policy.spake.groups = GROUPS.iter().collect();
    realm.add_user("admin", |entry| entry.aliases = vec![name("root"), name("alice-admin")]);
    realm.change("alice", |entry| entry.aliases = vec![name("al")]);
    realm
}

/// Names of alice, names that look like hers, and names of the administrator.
fn spellings() -> Vec<Principal> {
    let texts = [
        "alice",
        "al",
        "alice@EXAMPLE.ORG",
        "alice@example.org",
        "al@EXAMPLE.ORG",
        "ALICE",
        "Al",
        "alice@OTHER.ORG",
        "alice/admin",
        "alice ",
        "alice\0",
        "admin",
        "root",
        "admin@EXAMPLE.ORG",
        "ROOT",
        "alice-admin",
        "krbtgt",
        "alice@EXAMPLE.ORG@EXAMPLE.ORG",
        "@EXAMPLE.ORG",
        "",
    ];
    let kinds = [NameType::PRINCIPAL, NameType::ENTERPRISE, NameType::SRV_INST, NameType::WELLKNOWN];
    texts.iter().flat_map(|text| kinds.map(|kind| Principal::new(kind, REALM, [*text]).expect("a name"))).collect()
}

/// Who got a ticket.
fn winner(outcome: &Outcome) -> Option<Principal> {
    outcome.event.issued.as_ref()?;
    let reply = wire::decode::<KdcRep<'_>>(outcome.reply.as_deref().expect("an answer")).expect("a ticket");
    Some(reply.client.principal(reply.client_realm).expect("a name"))
}

type Way = fn(&mut Joined, &Asking) -> Option<Principal>;

fn alices_key(realm: &Joined) -> Key {
    realm.key("alice", EncryptionType::AES256_SHA1)
}

fn by_spake(realm: &mut Joined, asking: &Asking) -> Option<Principal> {
    let support = client::support(&[&GROUPS[0]]);
    let first = Asking { padata: vec![(PaType::SPAKE, support.clone())], ..asking.clone() };
    let request = realm.as_req(&first, None);
    let outcome = realm.send(&request);
    let told = Told::read(&outcome.reply.expect("an answer"));
    told.value(PaType::SPAKE)?;
    let talk = Talk::from(asking, Some(support), &told);
    let key = alices_key(realm);
    let (response, _) = talk.respond(realm, &key);
    let request = talk.request(realm, &response);
    winner(&realm.send(&request))
}

fn by_certificate(realm: &mut Joined, asking: &Asking) -> Option<Principal> {
    let mut exchange = certificates::exchange(&asking.client, certificates::means(Some("alice-p256")));
    let (mut random, mut reply) = (Sequence(u64::from(realm.now.micros)), None::<Vec<u8>>);
    // The client gives up where the KDC does, or where it got something else than it asked for.
    while let Ok(Step::Send { message, .. }) = exchange.step(realm.now, &mut random, reply.as_deref()) {
        realm.tick();
        let outcome = realm.send(&message);
        if let Some(winner) = winner(&outcome) {
            return Some(winner);
        }
        reply = outcome.reply;
    }
    None
}

fn in_fast(realm: &mut Joined, asking: &Asking) -> Option<Principal> {
    let host = realm.login(&Asking::login("host/b.example.org")).expect("a host's ticket");
    let armor = Armor::new(realm, &host);
    let key = alices_key(realm);
    let challenge = armor.challenge(realm, &key);
    let request = armor.as_req(realm, asking, &Inside::of(vec![challenge]));
    winner(&realm.send(&request))
}

#[test]
fn b10_no_spelling_of_a_name_makes_alice_somebody_else_by_spake_certificate_or_in_fast() {
    let ways: [Way; 3] = [by_spake, by_certificate, in_fast];
    for (number, way) in ways.into_iter().enumerate() {
        let mut realm = modern();
        let mut wins = 0;
        for client in spellings() {
            let asking = Asking { client: client.clone(), ..Asking::login("alice") };
            if let Some(winner) = way(&mut realm, &asking) {
                assert!(winner == name("alice") || winner == name("al"), "{number}: {client:?} is {winner}");
                wins += 1;
            }
        }
        assert!(wins >= 4, "{number}: her own names are good: {wins}");
    }
}

#[test]
fn b10_a_service_that_names_a_user_by_any_spelling_gets_a_ticket_of_that_user_or_none() {
    let mut realm = modern();
    realm.add(name("HTTP/gate"), |entry| entry.attributes = Attributes::OK_TO_AUTH_AS_DELEGATE);
    let gate = realm.login(&Asking::login("HTTP/gate").with(O::FORWARDABLE)).expect("a TGT");
    for user in spellings() {
        let text = user.components()[0].to_lowercase();
        let meant = if text.starts_with("admin") || text.starts_with("root") || text == "alice-admin" {
            "admin"
        } else {
            "alice"
        };
        let by_name = (PaType::FOR_USER, s4u::for_user(&gate.key, &user));
        let by_x509 = (PaType::FOR_X509_USER, s4u::x509_user(&gate.key, 4711, s4u::User::Named(&user)));
        for padata in [by_name, by_x509] {
            let asking = Asking { padata: vec![padata], ..Asking::service("HTTP/gate") };
            let Ok(ticket) = realm.tgs(&gate, &asking) else { continue };
            assert_eq!(ticket.client, name(meant), "{user:?}: in the realm's own name for it, no alias");
        }
    }
}

#[test]
fn b10_an_alias_in_the_form_of_a_trust_opens_no_ticket_of_another_realm() {
    let mut realm = Joined::new();
    let trust = Principal::cross_tgs(REALM, "OTHER.ORG");
    realm.change("host/a.example.org", |entry| entry.aliases = vec![trust.clone()]);
    let own = alice(&mut realm, O::NONE);
    let there = Credential { client: name("admin").in_realm("OTHER.ORG"), ..own };
    let forged = realm.forge(&there, &trust.to_string(), |_| ());
    let asking = Asking::service("host/b.example.org");
    assert_eq!(realm.tgs(&forged, &asking).expect_err("no trust"), ErrorCode::NOT_US);
}

#[test]
fn b19_what_strangers_are_told_fits_a_datagram_and_grows_with_nothing_that_they_send() {
    let mut realm = modern();
    let bare = realm.as_req(&Asking::login("alice"), None);
    let usual = realm.send(&bare).reply.expect("an answer").len();
    assert!(usual <= 700 && usual <= 5 * bare.len(), "{usual} octets for {}", bare.len());
    let of = |kind: PaType, value: Vec<u8>| Asking { padata: vec![(kind, value)], ..Asking::login("alice") };
    let huge = vec![0x30; 60_000];
    let groups = GROUPS.iter().map(|group| of(PaType::SPAKE, client::support(&[group])));
    let junk = [PaType::SPAKE, PaType::PK_AS_REQ, PaType::FX_FAST, PaType::FX_COOKIE, PaType::OTP_REQUEST]
        .map(|kind| of(kind, huge.clone()));
    let many = Asking { padata: vec![(PaType::SPAKE, client::support(&[&GROUPS[3]])); 500], ..Asking::login("alice") };
    let unknown: Vec<i32> = (5..8000).collect();
    let unknown = PaSpake::Support(SpakeSupport { groups: List::Items(&unknown) });
    let strange = of(PaType::SPAKE, wire::encode(&unknown));
    for asking in groups.chain(junk).chain([many, strange]) {
        let request = realm.as_req(&asking, None);
        let reply = realm.send(&request).reply.expect("an answer");
        let kind = asking.padata[0].0;
        assert!(as_error(&reply).is_some() && reply.len() <= 1000, "{kind}: {} octets", reply.len());
        assert!(reply.len() <= 5 * request.len(), "{kind}: {} octets for {}", reply.len(), request.len());
    }
    let strangers = certificates::logins("alice-p256", 1).expect("a login").remove(0);
    let mut other = certificates::realm_with(Pkinit {
        trust: Trust::from_pem(&certificates::file("other-ca.crt"), b"", b"").expect("an authority"),
        ..certificates::pkinit()
    });
    let reply = other.send(&strangers).reply.expect("an answer");
    assert!(as_error(&reply).is_some() && reply.len() < strangers.len(), "whom it believes, and no more");
}

#[test]
fn b19_what_a_login_by_certificate_and_a_ticket_with_a_pac_get_has_bounds() {
    let mut realm = certificates::realm();
    let login = certificates::logins("alice", 1).expect("a login").remove(0);
    realm.tick();
    let outcome = realm.send(&login);
    let reply = outcome.reply.expect("an answer");
    assert!(reply.len() <= 4096, "{} octets", reply.len());
    // Roles and evidence are what makes tickets grow: so far and no further.
    realm.change("alice", |entry| {
        for number in 0..2000 {
            entry.strings.insert(format!("role:host/{}*", "?".repeat(number % 7)), format!("role-{number}"));
        }
        let many: Vec<_> = (0..5000).map(|number| format!("role-number-{number}")).collect();
        entry.strings.insert("role:*".into(), many.join(" "));
    });
    let tgt = alice(&mut realm, O::NONE);
    let ticket = realm.tgs(&tgt, &Asking::service("host/a.example.org")).expect("a ticket").ticket;
    assert!(ticket.len() <= 16_384, "{} octets", ticket.len());
}

/// What is done to a realm where a ticket-granting ticket is known, and the request that then comes with it.
type Attack = fn(&mut Joined, &Credential) -> Vec<u8>;

/// Asks for a ticket, bent.
fn bent(realm: &mut Joined, tgt: &Credential, bend: Bend) -> Vec<u8> {
    realm.tgs_req_with(tgt, &Asking::service("host/a.example.org"), &bend)
}

fn plain(realm: &mut Joined, tgt: &Credential) -> Vec<u8> {
    bent(realm, tgt, Bend::default())
}

/// The ticket with one octet of its ciphertext changed, counted from the end.
fn changed(tgt: &Credential, from_end: usize) -> Credential {
    let mut ticket = tgt.ticket.clone();
    let at = ticket.len() - 1 - from_end;
    ticket[at] ^= 1;
    Credential { ticket, ..tgt.clone() }
}

/// By name: what was found for a ticket that is opened anew each time holds for one that is known.
const ATTACKS: [(&str, Attack); 21] = [
    ("nothing", plain),
    ("another client", |realm, tgt| bent(realm, tgt, Bend { client: Some(name("bob")), ..Bend::default() })),
    ("an old time", |realm, tgt| {
        let time = Some((realm.now.time - 301).into());
        bent(realm, tgt, Bend { time, ..Bend::default() })
    }),
    ("another key around the authenticator", |realm, tgt| {
        let other = Key::random(tgt.key.etype(), &mut Sequence(9)).expect("a key");
        bent(realm, tgt, Bend { authenticator_key: Some(other), ..Bend::default() })
    }),
    ("no checksum", |realm, tgt| bent(realm, tgt, Bend { no_checksum: true, ..Bend::default() })),
    ("a checksum over something else", |realm, tgt| {
        bent(realm, tgt, Bend { checksum_over: Some(vec![1, 2, 3]), ..Bend::default() })
    }),
    ("an authenticator for armor", |realm, tgt| {
        bent(realm, tgt, Bend { armor: Some(AuthDataType::FX_ARMOR), ..Bend::default() })
    }),
    ("an envelope that is gone", |realm, tgt| {
        bent(realm, tgt, Bend { armor: Some(AuthDataType::FX_FAST_USED), ..Bend::default() })
    }),
    ("the same request again", |realm, tgt| {
        let request = plain(realm, tgt);
        realm.send(&request);
        request
    }),
    ("the ticket's checksum changed", |realm, tgt| plain(realm, &changed(tgt, 0))),
    ("the ticket's contents changed", |realm, tgt| plain(realm, &changed(tgt, 40))),
    ("the ticket has ended", |realm, tgt| {
        realm.now.time = tgt.end_time;
        plain(realm, tgt)
    }),
    ("a renewal of what is not renewable", |realm, tgt| realm.tgs_req(tgt, &Asking::login("alice").with(O::RENEW))),
    ("the client is locked", |realm, tgt| {
        realm.change("alice", |entry| entry.attributes = entry.attributes.with(Attributes::DISALLOW_ALL_TIX, true));
        plain(realm, tgt)
    }),
    ("another account of the client's name", |realm, tgt| {
        realm.change("alice", |entry| entry.id = [9; 16]);
        plain(realm, tgt)
    }),
    ("the realm's keys are others", |realm, tgt| {
        let other = realm.entry("host/a.example.org").keys.clone();
        realm.change("krbtgt/EXAMPLE.ORG", |entry| entry.keys = other);
        plain(realm, tgt)
    }),
    ("the realm's key has died", |realm, tgt| {
        let until = realm.now.time + 60;
        realm.change("krbtgt/EXAMPLE.ORG", |entry| entry.keys[0].until = Some(until));
        let known = plain(realm, tgt);
        realm.send(&known);
        let known = plain(realm, tgt);
        realm.send(&known);
        realm.now.time = until;
        plain(realm, tgt)
    }),
    ("the enctype is not allowed any more", |realm, tgt| {
        realm.policy.etypes = vec![EncryptionType::AES128_SHA1];
        plain(realm, tgt)
    }),
    ("the service wants another proof", |realm, tgt| {
        realm.change("host/a.example.org", |entry| {
            entry.strings.insert("require_auth".into(), "otp".into());
        });
        plain(realm, tgt)
    }),
    ("in somebody's name", |realm, tgt| {
        let user = s4u::for_user(&tgt.key, &name("bob"));
        let padata = vec![(PaType::FOR_USER, user)];
        realm.tgs_req(tgt, &Asking { padata, ..Asking::service("host/a.example.org") })
    }),
    ("a user-to-user ticket with itself", |realm, tgt| {
        let additional = vec![tgt.ticket.clone()];
        realm.tgs_req(tgt, &Asking { additional, ..Asking::service("alice") }.with(O::ENC_TKT_IN_SKEY))
    }),
];

#[test]
fn a_ticket_that_is_known_is_good_for_nothing_that_one_is_not_that_is_opened_anew() {
    let said = |max: usize, attack: Attack| {
        let mut realm = Joined::new();
        realm.tickets = KnownTgts::new(max, 300);
        let tgt = alice(&mut realm, O::NONE);
        for _ in 0..3 {
            let request = plain(&mut realm, &tgt);
            assert!(realm.send(&request).event.issued.is_some());
        }
        assert_eq!(realm.tickets.len(), max.min(1));
        let request = attack(&mut realm, &tgt);
        let outcome = realm.send(&request);
        (outcome.event.refusal, outcome.reply.as_deref().and_then(as_error), outcome.event.indicators)
    };
    for (what, attack) in ATTACKS {
        let (known, anew) = (said(64, attack), said(0, attack));
        assert_eq!(known, anew, "{what}");
        let harmless = ["nothing", "a user-to-user ticket with itself"].contains(&what);
        assert_eq!(known.0.is_none(), harmless, "{what}: {:?}", known.0);
    }
}

#[test]
fn a_ticket_is_remembered_only_of_who_has_its_key_and_if_it_is_the_realms_own() {
    let mut realm = Joined::new();
    let tgt = alice(&mut realm, O::NONE);
    let thief = Credential { key: Key::random(tgt.key.etype(), &mut Sequence(9)).expect("a key"), ..tgt.clone() };
    for _ in 0..3 {
        let request = plain(&mut realm, &thief);
        assert_eq!(code(&realm.send(&request)), ErrorCode::BAD_INTEGRITY);
    }
    assert!(realm.tickets.is_empty());
    // A service's ticket shown as evidence, or to be renewed, is opened anew each time.
    let host = realm.tgs(&tgt, &Asking::service("host/a.example.org")).expect("a ticket");
    for _ in 0..3 {
        let request = realm.tgs_req(&host, &Asking::service("host/a.example.org").with(O::RENEW));
        realm.send(&request);
    }
    assert_eq!(realm.tickets.len(), 0);
    for _ in 0..3 {
        let request = plain(&mut realm, &tgt);
        realm.send(&request);
    }
    assert_eq!(realm.tickets.len(), 1);
}
