use super::super::testing::*;
use super::*;
use crate::ccache::{Address, Ccache};
use crate::codes::{AddressType, AuthDataType, EncryptionType};
use crate::crypto::{OsRandom, SUPPORTED};
use crate::flags::TicketFlags;
use crate::time::Time;
use crate::wire::AuthorizationData;

const HOST: &str = "host/server.krbtest.com@KRBTEST.COM";

fn local() -> Credential {
    tgt(Principal::tgs("KRBTEST.COM"))
}

fn flagged(flags: TicketFlags) -> Credential {
    Credential { flags, ..local() }
}

fn host() -> TgsRequest {
    TgsRequest::new(local(), principal(HOST))
}

fn get(request: TgsRequest, kdc: impl FnMut(&str, &[u8]) -> Vec<u8>) -> Result<Outcome> {
    drive(&mut TgsExchange::new(request).unwrap(), kdc)
}

/// The exchange with a KDC whose good answer is bent.
fn bent(request: TgsRequest, bend: impl Fn(&mut Draft)) -> Result<Outcome> {
    get(request, |_, request| {
        let mut draft = Draft::tgs_rep(request);
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

fn refuse(code: ErrorCode) -> Vec<u8> {
    Refuse::with(code).encode()
}

/// What a request asks a KDC for, in short.
fn asks(realm: &str, request: &[u8]) -> String {
    let canonicalize = read(request).body.options.has(KdcOptions::CANONICALIZE);
    format!("{realm}: {}{}", asked_server(&read(request)), if canonicalize { "?" } else { "" })
}

/// Realms with the ways between them: who asks for a realm that is not a neighbour, or for a service
/// that is not there, gets an error; who may be referred is referred.
struct World {
    neighbours: &'static [(&'static str, &'static str)],
    referrals: &'static [(&'static str, &'static str)],
    asked: Vec<String>,
}

impl World {
    fn answer(&mut self, realm: &str, request: &[u8]) -> Vec<u8> {
        self.asked.push(asks(realm, request));
        let draft = Draft::tgs_rep(request);
        let header = header(request, &any_key(0x5e));
        assert_eq!(header.ticket_server.tgs_target(), Some(realm));
        assert_eq!(header.client, principal("user@KRBTEST.COM"));
        let server = draft.server.clone();
        if let Some(target) = server.tgs_target().filter(|target| *target != realm) {
            let known = self.neighbours.contains(&(realm, target));
            return if known { draft.seal() } else { refuse(ErrorCode::S_PRINCIPAL_UNKNOWN) };
        }
        match self.referrals.iter().find(|(from, _)| *from == realm) {
            Some((_, to)) if read(request).body.options.has(KdcOptions::CANONICALIZE) => {
                draft.of(&format!("krbtgt/{to}@{realm}")).seal()
            }
            Some(_) => refuse(ErrorCode::S_PRINCIPAL_UNKNOWN),
            None => draft.seal(),
        }
    }
}

fn travel(world: &mut World, server: Principal, path: &[&str]) -> Result<Outcome> {
    let path = path.iter().map(|realm| (*realm).to_owned()).collect();
    get(TgsRequest { path, ..TgsRequest::new(local(), server) }, |realm, request| world.answer(realm, request))
}

fn anywhere() -> Principal {
    Principal::service("http", "www.example", "")
}

#[test]
fn a_ticket_granting_ticket_gets_a_service_ticket() {
    let outcome = get(host(), |realm, request| {
        assert_eq!(realm, "KRBTEST.COM");
        let body = *read(request).body;
        assert!(body.client.is_none());
        assert_eq!(body.options, KdcOptions::CANONICALIZE);
        assert_eq!(body.till, NOW.time + 36_000);
        assert_eq!(body.etypes.iter().collect::<Vec<_>>(), SUPPORTED);
        assert_eq!(header(request, &any_key(0x5e)).clock, NOW);
        Draft::tgs_rep(request).seal()
    });
    let outcome = outcome.unwrap();
    assert_eq!(outcome.credential.server, principal(HOST));
    assert_eq!(outcome.credential.client, principal("user@KRBTEST.COM"));
    assert_eq!(outcome.credential.ticket, ticket(&principal(HOST)));
    assert!(!outcome.credential.is_skey && outcome.hops.is_empty());
}

#[test]
fn a_kdc_that_knows_no_subkey_answers_under_the_session_key() {
    let old = |draft: &mut Draft| (draft.reply_key, draft.usage) = (any_key(0x5e), KeyUsage::TGS_REP_SESSION);
    assert!(bent(host(), old).is_ok());
    assert_eq!(bent(host(), |draft| draft.reply_key = any_key(9)).unwrap_err(), Error::Integrity);
}

#[test]
fn each_bent_field_of_a_reply_is_noticed() {
    type Bend = (fn(&mut Draft), &'static str);
    let address = |d: &mut Draft| d.addresses = vec![Address { kind: AddressType::IPV4, bytes: vec![10, 0, 0, 1] }];
    let bends: [Bend; 13] = [
        (|d| d.nonce ^= 1, "another nonce"),
        (|d| d.kind = MessageType::AS_REP, "another message type"),
        (|d| d.label = EncryptionType::AES128_SHA1, "an encryption type that was not offered"),
        (|d| d.client = principal("root@KRBTEST.COM"), "another client"),
        (|d| d.client = principal("user@ELSEWHERE"), "another client"),
        (
            |d| d.ticket_server = principal("host/x@KRBTEST.COM"),
            "a ticket for another server than the encrypted part says",
        ),
        (|d| *d = d.clone().of("host/x@KRBTEST.COM"), "another server"),
        (|d| *d = d.clone().of("krbtgt/B@ELSEWHERE"), "another server"),
        (|d| d.end_time = NOW.time + 36_001, "a later end time than was asked for"),
        (|d| d.end_time = NOW.time - 1, "a ticket that ends before it starts"),
        (|d| d.flags |= TicketFlags::FORWARDED, "a ticket flag that was not asked for"),
        (|d| d.flags |= TicketFlags::INVALID, "a ticket flag that was not asked for"),
        (address, "an address that was not asked for"),
    ];
    for (bend, what) in bends {
        assert_eq!(mismatch(bent(host(), bend)), what);
    }
}

#[test]
fn d1_the_servers_name_in_the_clear_counts_for_nothing() {
    let what = mismatch(bent(host(), |d| d.server = principal("host/evil@KRBTEST.COM")));
    assert_eq!(what, "a ticket for another server than the encrypted part says");
}

#[test]
fn the_session_key_has_an_enctype_that_was_offered() {
    let request = TgsRequest { etypes: vec![EncryptionType::AES256_SHA1], ..host() };
    let what = mismatch(bent(request, |d| d.session = key(EncryptionType::AES128_SHA1, 1)));
    assert_eq!(what, "a session key of an encryption type that was not offered");
}

#[test]
fn a_ticket_inherits_what_its_parent_has_and_no_more() {
    let heirlooms = TicketFlags::FORWARDABLE | TicketFlags::PROXIABLE | TicketFlags::RENEWABLE;
    let parent = flagged(heirlooms | TicketFlags::INITIAL | TicketFlags::PRE_AUTHENT);
    let options = |inherit: TicketFlags| {
        let mut seen = KdcOptions::NONE;
        get(TgsRequest { inherit, ..TgsRequest::new(parent.clone(), principal(HOST)) }, |_, request| {
            seen = read(request).body.options;
            Draft::tgs_rep(request).seal()
        })
        .unwrap();
        seen
    };
    let all = KdcOptions::FORWARDABLE | KdcOptions::PROXIABLE | KdcOptions::RENEWABLE | KdcOptions::CANONICALIZE;
    assert_eq!(options(!TicketFlags::NONE), all);
    assert_eq!(options(TicketFlags::PROXIABLE), KdcOptions::PROXIABLE | KdcOptions::CANONICALIZE);
}

#[test]
fn every_use_of_a_ticket_has_its_options() {
    let home = || vec![Address { kind: AddressType::IPV4, bytes: vec![127, 0, 0, 1] }];
    let inherited =
        KdcOptions::FORWARDABLE | KdcOptions::PROXIABLE | KdcOptions::ALLOW_POSTDATE | KdcOptions::RENEWABLE;
    let parent = || flagged(TicketFlags(inherited.0));
    let later = NOW.time + 3600;
    let uses: [(TgsRequest, KdcOptions, Time, &str); 6] = [
        (TgsRequest::renew(parent()), KdcOptions::RENEW, Time::EPOCH, "krbtgt/KRBTEST.COM@KRBTEST.COM"),
        (TgsRequest::validate(parent()), KdcOptions::VALIDATE, Time::EPOCH, "krbtgt/KRBTEST.COM@KRBTEST.COM"),
        (
            TgsRequest::forward(parent(), home()),
            KdcOptions::FORWARDED,
            parent().end_time,
            "krbtgt/KRBTEST.COM@KRBTEST.COM",
        ),
        (TgsRequest::proxy(parent(), principal(HOST), home()), KdcOptions::PROXY, parent().end_time, HOST),
        (TgsRequest::postdated(parent(), principal(HOST), later), KdcOptions::POSTDATED, parent().end_time, HOST),
        (
            TgsRequest::user_to_user(parent(), principal("friend@KRBTEST.COM"), ticket(&Principal::tgs("KRBTEST.COM"))),
            KdcOptions::ENC_TKT_IN_SKEY | KdcOptions::CANONICALIZE,
            parent().end_time,
            "friend@KRBTEST.COM",
        ),
    ];
    for (request, option, till, server) in uses {
        let wanted = request.clone();
        let outcome = get(request, |_, request| {
            let body = *read(request).body;
            assert_eq!(body.options, option | inherited);
            assert_eq!(body.till, till, "{option}");
            assert_eq!(asked_server(&read(request)), principal(server), "{option}");
            assert_eq!(body.addresses.is_some(), !wanted.addresses.is_empty(), "{option}");
            assert_eq!(body.from, wanted.from, "{option}");
            let second = body.additional_tickets.map(|list| list.iter().next().unwrap().der.to_vec());
            assert_eq!(second, wanted.second_ticket, "{option}");
            Draft::tgs_rep(request).seal()
        });
        let credential = outcome.unwrap_or_else(|error| panic!("{option}: {error}")).credential;
        assert_eq!(credential.addresses, wanted.addresses);
        assert_eq!(credential.is_skey, wanted.second_ticket.is_some());
        assert_eq!(credential.second_ticket, wanted.second_ticket.unwrap_or_default());
        assert_eq!(credential.flags.has(TicketFlags::INVALID), wanted.from.is_some());
    }
}

#[test]
fn a_service_ticket_is_renewed_by_the_realm_that_issued_it() {
    let ticket = tgt(principal("host/server@B.TEST"));
    let outcome = get(TgsRequest::renew(ticket), |realm, request| {
        assert_eq!(realm, "B.TEST");
        assert_eq!(header(request, &any_key(0x5e)).ticket_server, principal("host/server@B.TEST"));
        Draft::tgs_rep(request).seal()
    });
    assert_eq!(outcome.unwrap().credential.server, principal("host/server@B.TEST"));
}

#[test]
fn a_cross_realm_ticket_is_renewed_by_the_realm_that_issued_it() {
    let outcome = get(TgsRequest::renew(tgt(principal("krbtgt/B@A"))), |realm, request| {
        assert_eq!(realm, "A");
        Draft::tgs_rep(request).seal()
    });
    assert_eq!(outcome.unwrap().credential.server, principal("krbtgt/B@A"));
}

#[test]
fn a_service_ticket_gets_no_other_ticket() {
    let refused = TgsExchange::new(TgsRequest::new(tgt(principal(HOST)), principal(HOST)));
    assert_eq!(refused.unwrap_err(), Error::code(ErrorCode::NO_TGT));
}

#[test]
fn an_expired_ticket_is_not_even_shown() {
    let expired = Credential { end_time: NOW.time - 1, ..local() };
    let outcome = get(TgsRequest::new(expired, principal(HOST)), |_, _| panic!("nothing to send"));
    assert_eq!(outcome.unwrap_err().to_string(), "Ticket expired");
}

#[test]
fn restrictions_travel_encrypted_in_the_subkey() {
    let authdata = vec![AuthData { kind: AuthDataType::IF_RELEVANT, bytes: b"0\0".to_vec() }];
    let outcome = get(TgsRequest { authdata: authdata.clone(), ..host() }, |_, request| {
        let sealed = read(request).body.authorization_data.expect("authorization data");
        let subkey = header(request, &any_key(0x5e)).subkey;
        let plain = subkey.decrypt(KeyUsage::TGS_REQ_AUTHZ_SUBKEY, sealed.cipher).unwrap();
        let elements: AuthorizationData<'_> = wire::decode(&plain).unwrap();
        assert_eq!(
            elements.iter().map(|e| (e.kind, e.data.to_vec())).collect::<Vec<_>>(),
            [(AuthDataType::IF_RELEVANT, b"0\0".to_vec())]
        );
        Draft::tgs_rep(request).seal()
    });
    assert_eq!(outcome.unwrap().credential.authdata, authdata);
}

#[test]
fn a_service_of_an_unknown_realm_is_found_by_referrals() {
    let mut world = World { neighbours: &[], referrals: &[("KRBTEST.COM", "B"), ("B", "C")], asked: vec![] };
    let outcome = travel(&mut world, anywhere(), &[]).unwrap();
    assert_eq!(outcome.credential.server, Principal::service("http", "www.example", "C"));
    let hops: Vec<_> = outcome.hops.iter().map(|hop| hop.server.to_string()).collect();
    assert_eq!(hops, ["krbtgt/B@KRBTEST.COM", "krbtgt/C@B"]);
    assert_eq!(
        world.asked,
        ["KRBTEST.COM: http/www.example@KRBTEST.COM?", "B: http/www.example@B?", "C: http/www.example@C?"]
    );
}

#[test]
fn a_service_of_a_known_realm_is_reached_at_once_if_that_is_a_neighbour() {
    let mut world = World { neighbours: &[("KRBTEST.COM", "C")], referrals: &[], asked: vec![] };
    let outcome = travel(&mut world, principal("http/www@C"), &["KRBTEST.COM", "B", "C"]).unwrap();
    assert_eq!(outcome.credential.server, principal("http/www@C"));
    assert_eq!(world.asked, ["KRBTEST.COM: krbtgt/C@KRBTEST.COM", "C: http/www@C?"]);
}

#[test]
fn a_path_is_walked_from_its_far_end() {
    let neighbours = &[("KRBTEST.COM", "A"), ("A", "B"), ("B", "C"), ("C", "D")];
    let mut world = World { neighbours, referrals: &[], asked: vec![] };
    let outcome = travel(&mut world, principal("http/www@D"), &["KRBTEST.COM", "A", "B", "C", "D"]).unwrap();
    let hops: Vec<_> = outcome.hops.iter().map(|hop| hop.server.to_string()).collect();
    assert_eq!(hops, ["krbtgt/A@KRBTEST.COM", "krbtgt/B@A", "krbtgt/C@B", "krbtgt/D@C"]);
    assert_eq!(world.asked[..4], ["D", "C", "B", "A"].map(|realm| format!("KRBTEST.COM: krbtgt/{realm}@KRBTEST.COM")));
}

#[test]
fn without_any_way_the_answer_about_the_services_realm_is_told() {
    let mut world = World { neighbours: &[], referrals: &[], asked: vec![] };
    let outcome = travel(&mut world, principal("http/www@C"), &["KRBTEST.COM", "B", "C"]);
    assert_eq!(outcome.unwrap_err(), Error::code(ErrorCode::S_PRINCIPAL_UNKNOWN));
    assert_eq!(world.asked.len(), 2);
}

#[test]
fn a_kdc_may_give_a_nearer_realm_than_was_asked_for() {
    let mut asked = vec![];
    let outcome = get(TgsRequest::new(local(), principal("http/www@C")), |realm, request| {
        asked.push(asks(realm, request));
        let draft = Draft::tgs_rep(request);
        if realm == "KRBTEST.COM" { draft.of("krbtgt/B@KRBTEST.COM").seal() } else { draft.seal() }
    });
    assert_eq!(outcome.unwrap().credential.server, principal("http/www@C"));
    assert_eq!(asked, ["KRBTEST.COM: krbtgt/C@KRBTEST.COM", "B: krbtgt/C@B", "C: http/www@C?"]);
}

#[test]
fn restrictions_and_second_tickets_go_to_the_services_kdc_alone() {
    let mut request = TgsRequest::user_to_user(local(), principal("friend@C"), ticket(&Principal::tgs("C")));
    request.authdata = vec![AuthData { kind: AuthDataType::IF_RELEVANT, bytes: b"0\0".to_vec() }];
    let outcome = get(request, |realm, request| {
        let body = *read(request).body;
        let last = realm == "C";
        assert_eq!(body.authorization_data.is_some(), last);
        assert_eq!(body.additional_tickets.is_some(), last);
        assert_eq!(body.options.has(KdcOptions::ENC_TKT_IN_SKEY), last);
        Draft::tgs_rep(request).seal()
    });
    assert!(outcome.unwrap().credential.is_skey);
}

#[test]
fn realms_that_refer_to_one_another_are_left() {
    let mut world = World { neighbours: &[], referrals: &[("KRBTEST.COM", "B"), ("B", "KRBTEST.COM")], asked: vec![] };
    assert_eq!(mismatch(travel(&mut world, anywhere(), &[])), "the realms refer to one another");
}

#[test]
fn referrals_without_end_end() {
    let outcome = get(TgsRequest::new(local(), anywhere()), |realm, request| {
        Draft::tgs_rep(request).of(&format!("krbtgt/{realm}X@{realm}")).seal()
    });
    assert_eq!(mismatch(outcome), "too many referrals");
    let outcome = get(TgsRequest::new(local(), principal("http/www@FAR")), |realm, request| {
        Draft::tgs_rep(request).of(&format!("krbtgt/{realm}X@{realm}")).seal()
    });
    assert_eq!(mismatch(outcome), "too many referrals");
}

#[test]
fn a_path_of_a_thousand_realms_ends_too() {
    let path: Vec<_> = (0..1000).map(|number| format!("R{number}")).collect();
    let request = TgsRequest { path, ..TgsRequest::new(local(), principal("http/www@FAR")) };
    let outcome = get(request, |_, _| refuse(ErrorCode::S_PRINCIPAL_UNKNOWN));
    assert_eq!(mismatch(outcome), "the KDCs do not come to an end");
}

#[test]
fn a_referral_is_followed_only_from_the_realm_that_was_asked_and_only_when_allowed() {
    let outcome = bent(TgsRequest::new(local(), anywhere()), |d| *d = d.clone().of("krbtgt/C@B"));
    assert_eq!(mismatch(outcome), "another server");
    let plain = TgsRequest { options: KdcOptions::NONE, ..host() };
    assert_eq!(mismatch(bent(plain, |d| *d = d.clone().of("krbtgt/B@KRBTEST.COM"))), "another server");
}

#[test]
fn a_kdc_that_cannot_canonicalize_or_renames_is_asked_without() {
    type Old = fn(&[u8]) -> Vec<u8>;
    let olds: [Old; 2] =
        [|_| refuse(ErrorCode::BADOPTION), |request| Draft::tgs_rep(request).of("other/name@KRBTEST.COM").seal()];
    for old in olds {
        let mut asked = vec![];
        let outcome = get(host(), |realm, request| {
            asked.push(asks(realm, request));
            let may = read(request).body.options.has(KdcOptions::CANONICALIZE);
            if may { old(request) } else { Draft::tgs_rep(request).seal() }
        });
        assert_eq!(outcome.unwrap().credential.server, principal(HOST));
        assert_eq!(asked, [format!("KRBTEST.COM: {HOST}?"), format!("KRBTEST.COM: {HOST}")]);
    }
}

#[test]
fn a_clock_that_is_off_is_followed_once() {
    let theirs = Instant { time: NOW.time + 4000, micros: 5 };
    let mut exchange = TgsExchange::new(host()).unwrap();
    let outcome = drive(&mut exchange, |_, request| {
        if header(request, &any_key(0x5e)).clock != theirs {
            return Refuse { clock: theirs, ..Refuse::with(ErrorCode::SKEW) }.encode();
        }
        Draft::tgs_rep(request).seal()
    });
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(exchange.clock_offset(), Some(ClockOffset::between(theirs, NOW)));
    let outcome = get(host(), |_, _| refuse(ErrorCode::SKEW));
    assert_eq!(outcome.unwrap_err(), Error::code(ErrorCode::SKEW));
    let outcome = get(TgsRequest { follow_clock: false, ..host() }, |_, _| refuse(ErrorCode::SKEW));
    assert_eq!(outcome.unwrap_err(), Error::code(ErrorCode::SKEW));
}

#[test]
fn refusals_keep_their_code_and_lose_their_text() {
    for code in [ErrorCode::S_PRINCIPAL_UNKNOWN, ErrorCode::POLICY, ErrorCode(4711)] {
        assert_eq!(get(host(), |_, _| refuse(code)).unwrap_err(), Error::code(code));
    }
}

#[test]
fn recorded_replies_to_heimdals_and_mits_clients_give_what_they_kept() {
    let file = transcripts("heimdal");
    let mut compared = 0;
    for exchange in exchanges(&file) {
        let fast = !exchange["fast_reply_padata_types"].is_null();
        let Some(part) = step(exchange, "TGS-REP enc-part").filter(|_| !fast) else { continue };
        let name = &exchange["scenario"];
        let header = hex(&step(exchange, "authenticator").unwrap()["plaintext"]);
        let header: wire::Authenticator<'_> = wire::decode(&header).unwrap();
        let shown = hex(&step(exchange, "AP-REQ ticket").unwrap()["plaintext"]);
        let shown: wire::EncTicketPart<'_> = wire::decode(&shown).unwrap();
        let theirs = hex(&exchange["request"]);
        let body = *read(&theirs).body;
        let ap_req: wire::ApReq<'_> = wire::decode(read(&theirs).padata(PaType::TGS_REQ).unwrap().value).unwrap();
        let tgt = Credential {
            client: shown.client.principal(shown.client_realm).unwrap(),
            server: ap_req.ticket.server.principal(ap_req.ticket.realm).unwrap(),
            key: crate::ccache::RawKey::new(shown.key.etype, shown.key.value),
            end_time: shown.end_time,
            ticket: ap_req.ticket.der.to_vec(),
            flags: shown.flags,
            ..local()
        };
        let now = Instant { time: header.time, micros: header.micros };
        let mut ours = TgsExchange::new(TgsRequest::new(tgt, asked_server(&read(&theirs)))).unwrap();
        assert!(matches!(ours.step(now, &mut OsRandom::new(), None), Ok(Step::Send { .. })), "{name}");
        // The recorded client's nonce and subkey; Heimdal's client sent none.
        let sent = ours.sent.as_mut().unwrap();
        sent.wishes.nonce = body.nonce;
        sent.subkey = header.subkey.map_or_else(|| any_key(1), |key| key.key().unwrap());
        let outcome = match ours.step(now, &mut OsRandom::new(), Some(&hex(&exchange["reply"]))) {
            Ok(Step::Done(outcome)) => outcome,
            other => panic!("{name}: {other:?}"),
        };
        let plain = hex(&part["plaintext"]);
        let told: EncKdcRepPart<'_> = wire::decode(&plain).unwrap();
        assert_eq!(*outcome.credential.key.bytes, told.key.value, "{name}");
        let run = file["runs"].as_array().unwrap().iter().find(|run| run["name"] == *name).unwrap();
        let cache = Ccache::parse(&hex(&run["ccache_after"])).unwrap();
        let kept = cache.tickets().find(|ticket| ticket.server == outcome.credential.server).unwrap();
        assert_eq!(outcome.credential, *kept, "{name}");
        compared += 1;
    }
    assert_eq!(compared, 2);
}

#[test]
fn no_cut_or_flipped_reply_is_accepted_or_does_harm() {
    let length = Draft::tgs_rep(&first_message()).seal().len();
    for at in 0..length {
        let cut = get(host(), |_, request| {
            let reply = Draft::tgs_rep(request).seal();
            reply[..at.min(reply.len() - 1)].to_vec()
        });
        assert!(cut.is_err(), "{at}");
        let _ = get(host(), |_, request| {
            let mut reply = Draft::tgs_rep(request).seal();
            let at = at % reply.len();
            reply[at] ^= 1 << (at % 8);
            reply
        });
    }
}

fn first_message() -> Vec<u8> {
    match TgsExchange::new(host()).unwrap().step(NOW, &mut OsRandom::new(), None) {
        Ok(Step::Send { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}
