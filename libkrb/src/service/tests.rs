mod known;

use std::sync::Barrier;
use std::thread;

use proptest::prelude::*;

use super::testing::{Counter, Draft, NOW, authz, hex, key, principal, step_time, transcripts};
use super::*;
use crate::config::Config;
use crate::crypto::KeyUsage;
use crate::flags::{ApOptions, TicketFlags};
use crate::keytab::{KeytabEntry, RawKey};
use crate::replay::MemoryReplayCache;
use crate::session::{Address, Role, Session};
use crate::time::Time;
use crate::wire::{ApRep, EncApRepPart, KrbError, Reader};

fn keytab(entries: &[(&str, u32, Key)]) -> Keytab {
    let entry = |(name, kvno, key): &(&str, u32, Key)| KeytabEntry {
        principal: principal(name),
        timestamp: NOW.time,
        kvno: *kvno,
        key: RawKey::from(key),
    };
    Keytab { entries: entries.iter().map(entry).collect() }
}

fn replay() -> Arc<dyn ReplayCache> {
    Arc::new(MemoryReplayCache::new(DEFAULT_SKEW, 1000))
}

fn acceptor_with(options: Options, entries: &[(&str, u32, Key)]) -> Acceptor {
    Acceptor::new(&keytab(entries), options, replay()).unwrap()
}

fn acceptor(options: Options) -> Acceptor {
    acceptor_with(options, &[("host/a", 3, key(1))])
}

fn accept(acceptor: &Acceptor, ap_req: &[u8]) -> Result<Accepted, AcceptError> {
    acceptor.accept(NOW, &mut Counter(0), ap_req, None)
}

/// What an acceptor in the default state says of a draft that was changed.
fn verdict(change: impl FnOnce(&mut Draft)) -> Result<Accepted, AcceptError> {
    accept(&acceptor(Options::default()), &Draft::with(change))
}

fn code(verdict: Result<Accepted, AcceptError>) -> ErrorCode {
    verdict.expect_err("a refusal").code()
}

/// What the log says after the text of the code.
fn text(verdict: Result<Accepted, AcceptError>) -> String {
    let text = verdict.expect_err("a refusal").to_string();
    text.split_once(": ").expect("a cause").1.to_owned()
}

/// Takes a future that is ready at once, and could be moved to another thread.
fn now_or_never<T>(future: impl Future<Output = T> + Send) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("nothing to wait for"),
    }
}

#[test]
fn a_task_accepts_and_refuses_what_a_thread_does() {
    let (acceptor, request) = (acceptor(Options::default()), Draft::default().ap_req());
    let accept = |request: &[u8]| now_or_never(acceptor.accept_async(NOW, &mut Counter(0), request, None));
    let accepted = accept(&request).unwrap();
    assert_eq!(accepted.client, principal("alice"));
    assert_eq!(accepted.reply, verdict(|_| ()).unwrap().reply);
    assert_eq!(code(accept(&request)), ErrorCode::REPEAT);
    assert_eq!(code(accept(&Draft::with(|draft| draft.claimed = principal("bob")))), ErrorCode::BADMATCH);
}

#[test]
fn what_nobody_can_remember_is_refused() {
    struct Deaf(Verdict);
    impl ReplayCache for Deaf {
        fn insert(&self, _: ReplayKey, _: Time, _: Time) -> Verdict {
            self.0
        }
    }
    for (verdict, refusal) in [(Verdict::Full, ErrorCode::GENERIC), (Verdict::Unavailable, ErrorCode::SVC_UNAVAILABLE)]
    {
        let keytab = keytab(&[("host/a", 3, key(1))]);
        let acceptor = Acceptor::new(&keytab, Options::default(), Arc::new(Deaf(verdict))).unwrap();
        assert_eq!(code(accept(&acceptor, &Draft::default().ap_req())), refusal);
        let request = Draft::default().ap_req();
        let refused = now_or_never(acceptor.accept_async(NOW, &mut Counter(0), &request, None));
        assert_eq!(code(refused), refusal);
    }
}

#[test]
fn an_accepted_request_says_who_the_client_is_and_what_its_ticket_says() {
    let accepted = verdict(|draft| draft.checksum = Some((crate::codes::ChecksumType::GSSAPI, vec![1, 2]))).unwrap();
    assert_eq!(accepted.client, principal("alice"));
    assert_eq!(accepted.server, principal("host/a"));
    assert!(accepted.flags.has(TicketFlags::PRE_AUTHENT));
    let times = TicketTimes { auth: NOW.time - 3600, start: NOW.time - 1800, end: NOW.time + 3600, renew_till: None };
    assert_eq!(accepted.times, times);
    assert_eq!(accepted.checksum, Some((crate::codes::ChecksumType::GSSAPI, vec![1, 2])));
    assert_eq!(accepted.client_sequence, Some(77));
    assert!(accepted.session_key.same_as(&key(2)));
    assert!(accepted.client_subkey.unwrap().same_as(&key(4)));
}

#[test]
fn what_is_no_ap_req_is_of_the_wrong_type() {
    let acceptor = acceptor(Options::default());
    for bytes in [b"".as_slice(), &[0x6f, 0], &[0x30, 0], b"GET / HTTP/1.1"] {
        assert_eq!(code(accept(&acceptor, bytes)), ErrorCode::MSG_TYPE);
    }
}

#[test]
fn a_key_version_that_is_not_there_is_a_bad_key_version() {
    let refused = verdict(|draft| draft.kvno = Some(4));
    assert_eq!(
        text(refused.clone()),
        "Cannot find key for host/a@EXAMPLE.ORG kvno 4 in keytab (request ticket server host/a@EXAMPLE.ORG)",
        "as MIT krb5 says it",
    );
    assert_eq!(code(refused), ErrorCode::BADKEYVER);
}

#[test]
fn old_and_new_key_versions_serve_side_by_side() {
    let acceptor = acceptor_with(Options::default(), &[("host/a", 3, key(1)), ("host/a", 4, key(9))]);
    assert!(accept(&acceptor, &Draft::default().ap_req()).is_ok());
    let new = Draft::with(|draft| (draft.kvno, draft.service_key, draft.session_key) = (Some(4), key(9), key(5)));
    assert!(accept(&acceptor, &new).is_ok());
}

#[test]
fn a_ticket_without_a_key_version_is_tried_with_all() {
    let acceptor = acceptor_with(Options::default(), &[("host/a", 2, key(8)), ("host/a", 3, key(1))]);
    assert!(accept(&acceptor, &Draft::with(|draft| draft.kvno = None)).is_ok());
    assert!(accept(&acceptor, &Draft::with(|draft| (draft.kvno, draft.sequence) = (Some(0), None))).is_ok());
}

#[test]
fn a_key_version_above_255_fits_the_last_byte_that_old_keytabs_keep() {
    let acceptor = acceptor_with(Options::default(), &[("host/a", 3, key(1))]);
    assert!(accept(&acceptor, &Draft::with(|draft| draft.kvno = Some(0x0103))).is_ok());
    assert_eq!(code(accept(&acceptor, &Draft::with(|draft| draft.kvno = Some(0x0104)))), ErrorCode::BADKEYVER);
}

#[test]
fn a_ticket_for_someone_else_finds_no_key() {
    let refused = verdict(|draft| (draft.asked, draft.service_key) = (principal("host/b"), key(7)));
    assert_eq!(text(refused.clone()), "Request ticket server host/b@EXAMPLE.ORG not found in keytab (ticket kvno 3)");
    assert_eq!(code(refused), ErrorCode::NOKEY);
}

#[test]
fn a_ticket_of_an_enctype_for_which_there_is_no_key_finds_none() {
    let other = Key::new(EncryptionType::AES128_SHA256, &[1; 16]).unwrap();
    let refused = verdict(|draft| draft.service_key = other);
    assert_eq!(code(refused), ErrorCode::NOKEY);
}

#[test]
fn a_ticket_under_another_key_fails_its_integrity() {
    let refused = verdict(|draft| draft.service_key = key(7));
    assert_eq!(
        text(refused.clone()),
        "Cannot decrypt ticket for host/a@EXAMPLE.ORG using keytab key for host/a@EXAMPLE.ORG"
    );
    assert_eq!(code(refused), ErrorCode::BAD_INTEGRITY);
}

#[test]
fn an_alias_is_served_by_any_key_of_the_keytab_under_the_name_of_the_key() {
    let accepted = verdict(|draft| draft.asked = principal("host/alias")).unwrap();
    assert_eq!(accepted.server, principal("host/a"));
}

#[test]
fn a_strict_acceptor_uses_the_keys_of_its_service_alone() {
    let entries = [("host/a", 3, key(1)), ("HTTP/a", 3, key(6))];
    let options = Options { service: Some(principal("HTTP/a")), ..Options::default() };
    let acceptor = acceptor_with(options.clone(), &entries);
    let refused = accept(&acceptor, &Draft::default().ap_req());
    assert_eq!(text(refused), "Cannot decrypt ticket for host/a@EXAMPLE.ORG using keytab key for HTTP/a@EXAMPLE.ORG");
    let accepted = accept(&acceptor, &Draft::with(|draft| draft.service_key = key(6))).unwrap();
    assert_eq!(accepted.server, principal("HTTP/a"), "the clear name decides nothing");
    let none = Acceptor::new(&keytab(&entries[..1]), options, replay());
    assert_eq!(none.unwrap_err().to_string(), "No key table entry found for HTTP/a@EXAMPLE.ORG");
}

#[test]
fn a_keytab_without_a_usable_key_makes_no_acceptor() {
    let mut foreign = keytab(&[("host/a", 3, key(1))]);
    foreign.entries[0].key = RawKey::new(EncryptionType::DES_CBC_CRC, [1; 8]);
    assert!(matches!(Acceptor::new(&foreign, Options::default(), replay()), Err(Error::NoKey(_))));
    assert!(Acceptor::new(&Keytab::default(), Options::default(), replay()).is_err());
}

#[test]
fn keys_can_be_changed_while_it_serves() {
    let acceptor = acceptor(Options::default());
    let new = || Draft::with(|draft| (draft.kvno, draft.service_key) = (Some(4), key(9)));
    assert_eq!(code(accept(&acceptor, &new())), ErrorCode::BADKEYVER);
    acceptor.reload(&Keytab::default()).unwrap_err();
    assert!(accept(&acceptor, &Draft::default().ap_req()).is_ok(), "an empty keytab changes nothing");
    acceptor.reload(&keytab(&[("host/a", 4, key(9))])).unwrap();
    assert!(
        accept(
            &acceptor,
            &Draft::with(|draft| {
                (draft.kvno, draft.service_key, draft.session_key) = (Some(4), key(9), key(5));
            })
        )
        .is_ok()
    );
    assert_eq!(code(accept(&acceptor, &new())), ErrorCode::REPEAT, "what was seen before stays known");
}

#[test]
fn an_authenticator_under_another_key_fails_its_integrity() {
    let mut draft = Draft::default();
    let honest = draft.ap_req();
    draft.session_key = key(9);
    let other = draft.ap_req();
    let (honest, other): (ApReq<'_>, ApReq<'_>) = (wire::decode(&honest).unwrap(), wire::decode(&other).unwrap());
    let mixed = wire::encode(&ApReq { authenticator: other.authenticator, ..honest });
    assert_eq!(code(accept(&acceptor(Options::default()), &mixed)), ErrorCode::BAD_INTEGRITY);
}

#[test]
fn an_authenticator_made_for_a_kdc_is_none_for_a_service() {
    let refused = verdict(|draft| draft.usage = KeyUsage::TGS_REQ_AUTHENTICATOR);
    assert_eq!(code(refused), ErrorCode::BAD_INTEGRITY);
}

#[test]
fn ticket_and_authenticator_must_name_the_same_client() {
    assert_eq!(code(verdict(|draft| draft.claimed = principal("mallory"))), ErrorCode::BADMATCH);
    assert_eq!(code(verdict(|draft| draft.claimed = principal("alice/admin"))), ErrorCode::BADMATCH);
    assert_eq!(code(verdict(|draft| draft.claimed = principal("alice@OTHER.ORG"))), ErrorCode::BADMATCH);
    let hint = verdict(|draft| draft.claimed = principal("alice").with_kind(crate::codes::NameType::ENTERPRISE));
    assert!(hint.is_ok(), "the name type is a hint");
}

#[test]
fn a_ticket_bound_to_addresses_is_good_only_from_there() {
    let from = |peer: Option<&str>, bound: &[&str], require_addresses: bool| {
        let acceptor = acceptor(Options { require_addresses, ..Options::default() });
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let request = Draft::with(|draft| draft.addresses = bound.iter().map(|text| Address::ip(ip(text))).collect());
        acceptor.accept(NOW, &mut Counter(0), &request, peer.map(ip)).err().map(|error| error.code())
    };
    let bound = ["10.0.0.1", "2001:db8::1"];
    assert_eq!(from(Some("10.0.0.1"), &bound, false), None);
    assert_eq!(from(Some("::ffff:10.0.0.1"), &bound, true), None);
    assert_eq!(from(Some("2001:db8::1"), &bound, true), None);
    assert_eq!(from(Some("10.0.0.2"), &bound, false), Some(ErrorCode::BADADDR));
    assert_eq!(from(None, &bound, false), None, "nobody asked for the check");
    assert_eq!(from(Some("10.0.0.2"), &[], false), None);
    assert_eq!(from(Some("10.0.0.2"), &[], true), Some(ErrorCode::BADADDR));
}

#[test]
fn a_netbios_name_among_the_addresses_binds_to_nothing() {
    let netbios = Address { kind: crate::codes::AddressType::NETBIOS, bytes: b"WORKSTATION    \0".to_vec() };
    let request = Draft::with(|draft| draft.addresses = vec![netbios]);
    let peer = Some("10.0.0.1".parse().unwrap());
    assert!(acceptor(Options::default()).accept(NOW, &mut Counter(0), &request, peer).is_ok());
}

#[test]
fn a_clock_off_by_more_than_the_skew_is_skewed() {
    for off in [-DEFAULT_SKEW, 0, DEFAULT_SKEW] {
        assert!(verdict(|draft| draft.time.time = NOW.time + off).is_ok(), "{off}");
    }
    for off in [-DEFAULT_SKEW - 1, DEFAULT_SKEW + 1, i64::from(i32::MAX)] {
        assert_eq!(code(verdict(|draft| draft.time.time = NOW.time + off)), ErrorCode::SKEW, "{off}");
    }
}

#[test]
fn a_ticket_that_has_not_begun_or_is_invalid_is_not_yet_valid() {
    assert!(verdict(|draft| draft.start_time = Some(NOW.time + DEFAULT_SKEW)).is_ok());
    let early = verdict(|draft| draft.start_time = Some(NOW.time + DEFAULT_SKEW + 1));
    assert_eq!(code(early), ErrorCode::TKT_NYV);
    let early = verdict(|draft| (draft.start_time, draft.auth_time) = (None, NOW.time + DEFAULT_SKEW + 1));
    assert_eq!(code(early), ErrorCode::TKT_NYV, "without a start time it begins when the client was authenticated");
    assert_eq!(code(verdict(|draft| draft.flags |= TicketFlags::INVALID)), ErrorCode::TKT_NYV);
}

#[test]
fn a_ticket_that_has_ended_is_expired() {
    assert!(verdict(|draft| draft.end_time = NOW.time - DEFAULT_SKEW).is_ok());
    assert_eq!(code(verdict(|draft| draft.end_time = NOW.time - DEFAULT_SKEW - 1)), ErrorCode::TKT_EXPIRED);
}

#[test]
fn a_path_through_realms_that_no_kdc_has_checked_is_held_against_the_paths_that_are_known() {
    let through = |transited: &'static [u8]| {
        move |draft: &mut Draft| {
            draft.client = draft.client.in_realm("A.OTHER.ORG");
            draft.claimed = draft.client.clone();
            (draft.transited, draft.flags) = (transited.to_vec(), TicketFlags::PRE_AUTHENT);
        }
    };
    assert!(verdict(through(b"")).is_ok(), "the two realms share a key");
    assert!(verdict(through(b"OTHER.ORG,ORG")).is_ok(), "the hierarchy of their names");
    for bad in [b"MIDDLE.NET".as_slice(), b"OTHER.ORG,EVIL.", b"A\\", b"EXAMPLE.ORG"] {
        assert_eq!(code(verdict(through(bad))), ErrorCode::AP_PATH_NOT_ACCEPTED, "{bad:?}");
    }
    let config = Config::parse("krb5.conf", "[capaths]\nA.OTHER.ORG = {\nEXAMPLE.ORG = MIDDLE.NET\n}\n").unwrap();
    let told = acceptor(Options { paths: config.realm_paths(), ..Options::default() });
    assert!(accept(&told, &Draft::with(through(b"MIDDLE.NET"))).is_ok());
    assert_eq!(code(accept(&told, &Draft::with(through(b"ORG")))), ErrorCode::AP_PATH_NOT_ACCEPTED);
    let lenient = acceptor(Options { accept_unchecked_path: true, ..Options::default() });
    assert_eq!(accept(&lenient, &Draft::with(through(b"MIDDLE.NET"))).unwrap().transited.1, b"MIDDLE.NET");
    let checked = |draft: &mut Draft| {
        through(b"MIDDLE.NET")(draft);
        draft.flags |= TicketFlags::TRANSITED_POLICY_CHECKED;
    };
    assert!(verdict(checked).is_ok(), "the KDC has checked it");
}

#[test]
fn only_a_fresh_login_will_do_where_that_is_asked_for() {
    let options = Options { require_initial: true, ..Options::default() };
    assert_eq!(code(accept(&acceptor(options.clone()), &Draft::default().ap_req())), ErrorCode::POLICY);
    let initial = Draft::with(|draft| draft.flags |= TicketFlags::INITIAL);
    assert!(accept(&acceptor(options), &initial).is_ok());
}

#[test]
fn the_same_authenticator_is_accepted_once() {
    let acceptor = acceptor(Options::default());
    let request = Draft::default().ap_req();
    assert!(accept(&acceptor, &request).is_ok());
    assert_eq!(code(accept(&acceptor, &request)), ErrorCode::REPEAT);
}

#[test]
fn the_same_second_and_microsecond_of_another_client_is_no_replay() {
    let acceptor = acceptor(Options::default());
    assert!(accept(&acceptor, &Draft::default().ap_req()).is_ok());
    let bob = Draft::with(|draft| {
        (draft.client, draft.claimed) = (principal("bob"), principal("bob"));
        draft.session_key = key(5);
    });
    assert!(accept(&acceptor, &bob).is_ok());
}

#[test]
fn a_request_that_was_refused_is_not_remembered() {
    let acceptor = acceptor(Options::default());
    let request = Draft::with(|draft| draft.start_time = Some(NOW.time + DEFAULT_SKEW + 1));
    for _ in 0..2 {
        assert_eq!(code(accept(&acceptor, &request)), ErrorCode::TKT_NYV);
    }
    let later = Instant { time: NOW.time + 1, ..NOW };
    assert!(acceptor.accept(later, &mut Counter(0), &request, None).is_ok());
}

/// Attack D7: the clear server name changes, what is encrypted does not.
#[test]
fn a_replay_under_another_clear_name_is_a_replay() {
    let acceptor = acceptor_with(
        Options::default(),
        &[("host/a", 3, key(1)), ("HTTP/a", 3, key(1)), ("HTTP/a@OTHER.ORG", 3, key(1))],
    );
    assert!(accept(&acceptor, &Draft::default().ap_req()).is_ok());
    for name in ["HTTP/a", "HTTP/a@OTHER.ORG", "no/such", "host/a/"] {
        assert_eq!(code(accept(&acceptor, &Draft::with(|draft| draft.asked = principal(name)))), ErrorCode::REPEAT);
    }
    let without_mutual = Draft::with(|draft| draft.options = ApOptions::NONE);
    assert_eq!(code(accept(&acceptor, &without_mutual)), ErrorCode::REPEAT);
    assert_eq!(code(accept(&acceptor, &Draft::with(|draft| draft.kvno = None))), ErrorCode::REPEAT);
}

#[test]
fn of_many_threads_with_the_same_request_one_is_accepted() {
    const THREADS: usize = 8;
    let acceptor = acceptor(Options::default());
    let request = Draft::default().ap_req();
    let start = Barrier::new(THREADS);
    let accepted = thread::scope(|scope| {
        let attempt = || {
            start.wait();
            accept(&acceptor, &request).is_ok()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(attempt)).collect();
        threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum::<usize>()
    });
    assert_eq!(accepted, 1);
}

#[test]
fn a_full_replay_cache_refuses_the_next_one() {
    let replay = Arc::new(MemoryReplayCache::new(DEFAULT_SKEW, 1));
    let acceptor = Acceptor::new(&keytab(&[("host/a", 3, key(1))]), Options::default(), replay).unwrap();
    assert!(accept(&acceptor, &Draft::default().ap_req()).is_ok());
    assert_eq!(code(accept(&acceptor, &Draft::with(|draft| draft.sequence = None))), ErrorCode::GENERIC);
}

/// Attack A11, the acceptor's half: weak encryption is not used because a ticket says so.
#[test]
fn rc4_is_refused_in_tickets_session_keys_and_subkeys() {
    let request = Draft::default().ap_req();
    let request: ApReq<'_> = wire::decode(&request).unwrap();
    let mut ticket = request.ticket.value;
    ticket.enc_part.etype = EncryptionType::RC4_HMAC;
    let der = wire::encode(&ticket);
    let weak = wire::encode(&ApReq { ticket: wire::Raw { der: &der, value: ticket }, ..request });
    assert_eq!(code(accept(&acceptor(Options::default()), &weak)), ErrorCode::ETYPE_NOSUPP);

    let strict = || acceptor(Options { etypes: vec![EncryptionType::AES256_SHA1], ..Options::default() });
    let small = || Key::new(EncryptionType::AES128_SHA1, &[1; 16]).unwrap();
    let session = Draft::with(|draft| draft.session_key = small());
    assert_eq!(code(accept(&strict(), &session)), ErrorCode::ETYPE_NOSUPP);
    let subkey = Draft::with(|draft| draft.subkey = Some(small()));
    assert_eq!(code(accept(&strict(), &subkey)), ErrorCode::ETYPE_NOSUPP);
    assert!(!Options::default().etypes.iter().any(|etype| crypto::is_weak(*etype)));
}

#[test]
fn user_to_user_needs_the_tgt_and_nothing_else_will_do() {
    let alone = Draft::with(|draft| draft.options = ApOptions::USE_SESSION_KEY);
    assert_eq!(code(accept(&acceptor(Options::default()), &alone)), ErrorCode::NO_TGT);

    let tgt = key(6);
    let acceptor = Acceptor::user_to_user(principal("bob"), &tgt, Options::default(), replay());
    assert_eq!(code(accept(&acceptor, &Draft::default().ap_req())), ErrorCode::USER_TO_USER_REQUIRED);
    let request = |service_key: Key| {
        Draft::with(|draft| {
            (draft.asked, draft.kvno, draft.service_key) = (principal("bob"), Some(0), service_key);
            draft.options = ApOptions::USE_SESSION_KEY | ApOptions::MUTUAL_REQUIRED;
        })
    };
    assert_eq!(code(accept(&acceptor, &request(key(1)))), ErrorCode::BAD_INTEGRITY);
    let accepted = accept(&acceptor, &request(tgt)).unwrap();
    assert_eq!((accepted.client, accepted.server), (principal("alice"), principal("bob")));
}

const PAC: AuthDataType = AuthDataType::WIN2K_PAC;
const UNKNOWN: AuthDataType = AuthDataType(4711);

fn if_relevant(inner: &[(AuthDataType, Vec<u8>)]) -> (AuthDataType, Vec<u8>) {
    (AuthDataType::IF_RELEVANT, authz(inner))
}

#[test]
fn authorization_data_is_gathered_from_ticket_and_authenticator() {
    let accepted = verdict(|draft| {
        draft.ticket_authz = vec![if_relevant(&[(PAC, b"pac".to_vec())])];
        draft.authz = vec![if_relevant(&[if_relevant(&[(UNKNOWN, b"?".to_vec())])])];
    });
    let element = |kind, data: &[u8], source| AuthzElement { kind, data: data.to_vec(), source, critical: false };
    assert_eq!(
        *accepted.unwrap().authz,
        [element(PAC, b"pac", Source::Ticket), element(UNKNOWN, b"?", Source::Authenticator)]
    );
}

#[test]
fn a_restriction_that_nobody_understands_refuses_the_ticket() {
    for kind in [UNKNOWN, AuthDataType::AND_OR, AuthDataType::FX_ARMOR] {
        let restriction = || vec![(kind, b"?".to_vec())];
        assert_eq!(code(verdict(|draft| draft.ticket_authz = restriction())), ErrorCode::POLICY);
        assert_eq!(code(verdict(|draft| draft.authz = restriction())), ErrorCode::POLICY);
        let acceptor = acceptor(Options { understood: vec![kind], ..Options::default() });
        let accepted = accept(&acceptor, &Draft::with(|draft| draft.authz = restriction())).unwrap();
        assert!(accepted.authz[0].critical);
    }
    for kind in [AuthDataType::KDC_ISSUED, AuthDataType::MANDATORY_FOR_KDC] {
        assert!(verdict(|draft| draft.ticket_authz = vec![(kind, b"?".to_vec())]).is_ok());
    }
}

#[test]
fn authorization_data_without_end_is_refused() {
    let mut nested = if_relevant(&[(UNKNOWN, vec![])]);
    for _ in 0..200 {
        nested = if_relevant(&[nested]);
    }
    assert!(verdict(|draft| draft.authz = vec![nested]).is_err());
    let many = vec![(UNKNOWN, vec![]); 1000];
    assert!(verdict(|draft| draft.authz = vec![if_relevant(&many)]).is_err());
    assert!(verdict(|draft| draft.authz = vec![(AuthDataType::IF_RELEVANT, b"junk".to_vec())]).is_err());
}

fn open_reply(reply: &[u8], session_key: &Key) -> (Instant, Option<Key>, Option<u32>) {
    let reply: ApRep<'_> = wire::decode(reply).unwrap();
    let plain = session_key.decrypt(KeyUsage::AP_REP, reply.enc_part.cipher).unwrap();
    let part: EncApRepPart<'_> = wire::decode(&plain).unwrap();
    let time = Instant { time: part.time, micros: part.micros };
    (time, part.subkey.map(|subkey| subkey.key().unwrap()), part.sequence)
}

#[test]
fn mutual_authentication_answers_with_the_clients_clock_under_the_session_key() {
    let accepted = verdict(|draft| draft.time.micros = 42).unwrap();
    let (time, subkey, sequence) = open_reply(accepted.reply.as_ref().unwrap(), &key(2));
    assert_eq!(time, Instant { micros: 42, ..NOW });
    assert!(subkey.unwrap().same_as(accepted.key()));
    assert_eq!(sequence, Some(accepted.acceptor_sequence));
    assert!(accepted.acceptor_sequence < 1 << 30);
}

#[test]
fn without_mutual_authentication_there_is_no_answer_and_the_clients_subkey_holds() {
    let accepted = verdict(|draft| draft.options = ApOptions::NONE).unwrap();
    assert!(accepted.reply.is_none() && accepted.acceptor_subkey.is_none());
    assert!(accepted.key().same_as(&key(4)));
    let accepted = verdict(|draft| (draft.options, draft.subkey) = (ApOptions::NONE, None)).unwrap();
    assert!(accepted.key().same_as(&key(2)));
}

#[test]
fn an_acceptor_may_leave_the_subkey_to_the_client() {
    let acceptor = acceptor(Options { acceptor_subkey: false, ..Options::default() });
    let accepted = accept(&acceptor, &Draft::default().ap_req()).unwrap();
    assert!(open_reply(accepted.reply.as_ref().unwrap(), &key(2)).1.is_none());
    assert!(accepted.key().same_as(&key(4)));
}

#[test]
fn a_conversation_follows_with_the_numbers_and_the_key_that_were_agreed() {
    let accepted = verdict(|_| ()).unwrap();
    let (_, subkey, sequence) = open_reply(accepted.reply.as_ref().unwrap(), &key(2));
    let mut client = Session::new(&subkey.unwrap(), Role::Initiator, 77, sequence.unwrap());
    let mut server = accepted.session();
    let question = client.make_priv(NOW, &mut Counter(0), b"ping").unwrap();
    assert_eq!(server.read_priv(NOW, &question).unwrap().as_slice(), b"ping");
    let answer = server.make_priv(NOW, &mut Counter(9), b"pong").unwrap();
    assert_eq!(client.read_priv(NOW, &answer).unwrap().as_slice(), b"pong");
}

#[test]
fn a_refusal_is_answered_with_its_code_our_clock_and_no_details() {
    let skewed = verdict(|draft| draft.time.time = NOW.time + 1000).unwrap_err().krb_error();
    let error: KrbError<'_> = wire::decode(&skewed).unwrap();
    assert_eq!(error.code, ErrorCode::SKEW);
    assert_eq!((error.server_time, error.server_micros), (NOW.time, NOW.micros));
    assert_eq!((error.client_time, error.client_micros), (Some(NOW.time + 1000), Some(NOW.micros)));
    assert!(error.server.names(&principal("host/a")));
    assert_eq!(error.text, Some("Clock skew too great"));

    let junk = accept(&acceptor(Options::default()), b"junk").unwrap_err().krb_error();
    let error: KrbError<'_> = wire::decode(&junk).unwrap();
    assert_eq!((error.code, error.client_time), (ErrorCode::MSG_TYPE, None));
    assert!(error.server.names(&principal("host/a")));
}

/// The first AP-REQ inside other bytes, such as a GSS token.
fn find_ap_req(bytes: &[u8]) -> Option<Vec<u8>> {
    (0..bytes.len()).find_map(|at| {
        let mut reader = Reader::new(&bytes[at..]);
        let (0x6e, contents) = reader.element().ok()? else { return None };
        let length = bytes.len() - at - reader.rest().len();
        let whole = &bytes[at..at + length];
        (!contents.is_empty() && wire::decode::<ApReq<'_>>(whole).is_ok()).then(|| whole.to_vec())
    })
}

#[test]
fn the_requests_that_mit_clients_made_are_accepted_once() {
    let transcripts = transcripts();
    let keytab = Keytab::parse(&hex(transcripts["keytab_hex"].as_str().unwrap())).unwrap();
    let options = Options::default();
    let acceptor = Acceptor::new(&keytab, options, replay()).unwrap();
    let mut accepted = vec![];
    let tokens = |dialogue: &serde_json::Value| dialogue["tokens"].as_array().unwrap()[1]["token"].clone();
    let gss = transcripts["gss"].as_array().unwrap().iter().map(|dialogue| (tokens(dialogue), dialogue));
    let others =
        transcripts["exchanges"].as_array().unwrap().iter().filter(|exchange| exchange["service"] == "kpasswd");
    let others = others.map(|exchange| (exchange["request"].clone(), exchange));
    for (bytes, record) in gss.chain(others) {
        let steps = record["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["what"] == "authenticator").expect("decrypted");
        let now = step_time(step);
        let request = find_ap_req(&hex(bytes.as_str().unwrap())).expect("an AP-REQ");
        let verdict = acceptor.accept(now, &mut Counter(0), &request, None);
        let client = verdict.unwrap_or_else(|error| panic!("{}: {error}", record["scenario"])).client;
        assert_eq!(acceptor.accept(now, &mut Counter(0), &request, None).unwrap_err().code(), ErrorCode::REPEAT);
        accepted.push(client.to_string());
    }
    assert_eq!(accepted, ["user@KRBTEST.COM"; 5].into_iter().chain(["u-aes256sha1@KRBTEST.COM"]).collect::<Vec<_>>());
}

/// Attack D8 among them: whatever is changed, a check must notice, or what comes out is the same.
#[test]
fn no_changed_or_truncated_request_is_accepted_after_the_honest_one() {
    let draft = Draft {
        ticket_authz: vec![if_relevant(&[(PAC, vec![7; 40])])],
        addresses: vec![Address::ip("10.0.0.1".parse().unwrap())],
        ..Draft::default()
    };
    let honest = draft.ap_req();
    let acceptor = acceptor(Options::default());
    accept(&acceptor, &honest).unwrap();
    for at in 0..honest.len() {
        assert!(accept(&acceptor, &honest[..at]).is_err(), "cut at {at}");
        for change in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff] {
            let mut changed = honest.clone();
            changed[at] ^= change;
            assert!(accept(&acceptor, &changed).is_err(), "{change:#x} at {at}");
        }
    }
}

#[test]
fn a_change_that_goes_unnoticed_is_outside_of_what_is_encrypted_and_changes_nothing() {
    let honest = Draft::default().ap_req();
    let request: ApReq<'_> = wire::decode(&honest).unwrap();
    let place = |part: &[u8]| part.as_ptr() as usize - honest.as_ptr() as usize;
    let [ticket, authenticator] = [request.ticket.enc_part.cipher, request.authenticator.cipher]
        .map(|part| place(part)..place(part) + part.len());
    for at in 0..honest.len() {
        let mut changed = honest.clone();
        changed[at] ^= 0x01;
        if let Ok(accepted) = accept(&acceptor(Options::default()), &changed) {
            assert!(!ticket.contains(&at) && !authenticator.contains(&at), "byte {at} is not protected");
            assert_eq!((accepted.client, accepted.server), (principal("alice"), principal("host/a")));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(accept(&acceptor(Options::default()), &bytes).is_err());
    }

    #[test]
    fn arbitrary_changes_are_refused(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9)) {
        let acceptor = acceptor(Options::default());
        let honest = Draft::default().ap_req();
        accept(&acceptor, &honest).unwrap();
        let mut changed = honest.clone();
        for (index, byte) in changes {
            *index.get_mut(&mut changed) = byte;
        }
        prop_assert!(accept(&acceptor, &changed).is_err());
    }
}
