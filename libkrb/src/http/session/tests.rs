use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::flags::TicketFlags;
use crate::gss::ContextFlags;
use crate::http::How;
use crate::http::caller::{Delegated, Facts};
use crate::service::TicketTimes;
use crate::session::ReceivedCred;

const NOW: Time = Time(1_800_000_000);

fn principal(text: &str) -> Principal {
    Principal::parse(text, Some("R")).unwrap()
}

fn caller(change: impl FnOnce(&mut Facts)) -> Caller {
    let times = TicketTimes { auth: NOW - 60, start: NOW - 30, end: NOW + 3600, renew_till: Some(NOW + 7200) };
    let mut facts = Facts {
        principal: principal("alice/admin"),
        local_name: Some("al".to_owned()),
        times,
        flags: TicketFlags::INITIAL,
        context_flags: ContextFlags::MUTUAL,
        bound: true,
        roles: vec!["admins".to_owned(), "ü".to_owned()],
        indicators: vec!["otp".to_owned()],
        delegated: None,
        how: How::Negotiate,
    };
    change(&mut facts);
    Caller::new(facts)
}

fn alice() -> Caller {
    caller(|_| {})
}

fn bearer(keys: &SessionKeys) -> Sessions {
    Sessions::bearer(keys.clone(), &principal("HTTP/a"))
}

fn keys() -> SessionKeys {
    SessionKeys::from_secrets([[1; 32]]).unwrap()
}

/// The token that headers of an answer bring.
fn token(headers: &[(HeaderName, HeaderValue)]) -> String {
    let text = headers.first().expect("a session").1.to_str().unwrap();
    text.split_once("; max-age=").expect("a bearer token").0.to_owned()
}

fn begun(sessions: &Sessions) -> String {
    token(&sessions.begin("", &alice(), NOW))
}

fn fault(sessions: &Sessions, token: &str, now: Time) -> &'static str {
    sessions.resume("", token, now).expect_err("a refusal")
}

#[test]
fn a_session_gives_the_caller_back_as_it_was() {
    let sessions = bearer(&keys());
    let headers = sessions.begin("", &alice(), NOW);
    let text = headers[0].1.to_str().unwrap();
    assert!(text.starts_with("krb1.") && text.ends_with("; max-age=3600"), "{text}");
    assert!(headers[0].1.is_sensitive());
    let resumed = sessions.resume("", &token(&headers), NOW + 3599).unwrap();
    let expected = caller(|facts| facts.how = How::Session);
    assert_eq!(format!("{:?}", resumed.caller.facts()), format!("{:?}", expected.facts()));
    assert!(resumed.headers.is_empty());
    let plain = caller(|facts| {
        facts.local_name = None;
        facts.times.renew_till = None;
        facts.roles.clear();
        facts.how = How::Session;
    });
    let resumed = sessions.resume("", &token(&sessions.begin("", &plain, NOW)), NOW).unwrap();
    assert_eq!(format!("{:?}", resumed.caller.facts()), format!("{:?}", plain.facts()));
}

#[test]
fn a_session_never_outlives_its_ticket_or_its_longest_life() {
    let sessions = bearer(&keys());
    let token = begun(&sessions);
    assert!(sessions.resume("", &token, NOW + 3599).is_ok());
    assert_eq!(fault(&sessions, &token, NOW + 3600), "it has ended");
    let short = bearer(&keys()).max_life(60);
    let token = begun(&short);
    assert!(short.resume("", &token, NOW + 59).is_ok());
    assert_eq!(fault(&short, &token, NOW + 60), "it has ended");
    assert!(sessions.begin("", &alice(), NOW + 3600).is_empty(), "a ticket that has ended begins no session");
    assert!(bearer(&keys()).max_life(0).begin("", &alice(), NOW).is_empty());
}

#[test]
fn a_session_that_is_not_used_ends_and_one_that_is_used_goes_on() {
    let sessions = bearer(&keys()).idle(100);
    let first = begun(&sessions);
    assert!(sessions.resume("", &first, NOW + 49).unwrap().headers.is_empty());
    let resumed = sessions.resume("", &first, NOW + 50).unwrap();
    let second = token(&resumed.headers);
    assert_eq!(fault(&sessions, &first, NOW + 100), "it was not used for too long");
    assert!(sessions.resume("", &second, NOW + 149).is_ok());
    let renewed = (1..).map(|count| NOW + 50 * count).take_while(|now| *now < NOW + 3600);
    let last = renewed.fold(first, |current, now| token(&sessions.resume("", &current, now).unwrap().headers));
    assert_eq!(fault(&sessions, &last, NOW + 3600), "it has ended");
}

#[test]
fn a_changed_shortened_or_lengthened_token_is_refused() {
    let sessions = bearer(&keys());
    let token = begun(&sessions);
    for at in 0..token.len() {
        assert!(sessions.resume("", &token[..at], NOW).is_err(), "{at}");
        for other in ['A', 'B'] {
            let bent = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            assert!(bent == token || sessions.resume("", &bent, NOW).is_err(), "{at}");
        }
    }
    for bent in [format!("{token}A"), format!("{token}AAAA"), format!(" {token}"), token.to_uppercase()] {
        assert!(sessions.resume("", &bent, NOW).is_err());
    }
    assert_eq!(fault(&sessions, &format!("krb1.{}", "A".repeat(100_000)), NOW), "it is too long");
    assert_eq!(fault(&sessions, "eyJhbGciOi.x.y", NOW), "it is none of ours");
}

#[test]
fn another_secret_service_or_kind_of_session_opens_nothing() {
    let sessions = bearer(&keys());
    let token = begun(&sessions);
    let other = SessionKeys::from_secrets([[2; 32]]).unwrap();
    assert_eq!(fault(&bearer(&other), &token, NOW), "its key is not known here");
    let elsewhere = Sessions::bearer(keys(), &principal("HTTP/b"));
    assert_eq!(fault(&elsewhere, &token, NOW), "it was changed");
    let cookie = Sessions::cookie(keys(), &principal("HTTP/a"), Cookie::default()).unwrap();
    assert_eq!(fault(&cookie, &token, NOW), "it was changed");
    assert!(!cookie.is_bearer(&token) && sessions.is_bearer(&token) && !sessions.is_bearer("other"));
    assert!(Sessions::bearer(keys(), &principal("HTTP/a")).resume("", &token, NOW).is_ok(), "another replica");
}

#[test]
fn a_new_secret_seals_and_the_old_ones_still_open() {
    let keys = SessionKeys::random().unwrap();
    let sessions = bearer(&keys);
    let mut tokens = vec![begun(&sessions)];
    for _ in 0..15 {
        keys.rotate().unwrap();
        tokens.push(begun(&sessions));
    }
    assert!(tokens.iter().all(|token| sessions.resume("", token, NOW).is_ok()));
    keys.rotate().unwrap();
    assert_eq!(fault(&sessions, &tokens[0], NOW), "its key is not known here");
    assert!(tokens[1..].iter().all(|token| sessions.resume("", token, NOW).is_ok()));

    let newest_first = SessionKeys::from_secrets([[2; 32], [1; 32]]).unwrap();
    let old = begun(&bearer(&self::keys()));
    assert!(bearer(&newest_first).resume("", &old, NOW).is_ok());
    let only_new = SessionKeys::from_secrets([[2; 32]]).unwrap();
    assert!(bearer(&only_new).resume("", &begun(&bearer(&newest_first)), NOW).is_ok(), "the first one seals");
}

#[test]
fn a_file_of_secrets_is_read_again_when_it_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets");
    let base64 = |octet: u8| base64::engine::general_purpose::STANDARD.encode([octet; 32]);
    let write = |text: &str, age: u64| {
        std::fs::write(&path, text).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 + age);
        std::fs::File::open(&path).unwrap().set_modified(time).unwrap();
    };
    write(&format!("# the first one\n{}\n", base64(1)), 0);
    let shared = SessionKeys::from_file(&path).unwrap();
    let sessions = bearer(&shared);
    let old = begun(&sessions);
    assert!(bearer(&keys()).resume("", &old, NOW).is_ok(), "the secret of the file");

    write(&format!("{}\n\n{}", base64(2), base64(1)), 1);
    let newer = bearer(&SessionKeys::from_secrets([[2; 32]]).unwrap());
    assert!(newer.resume("", &begun(&sessions), NOW).is_err(), "it was just looked at");
    let resumed =
        |sessions: &Sessions, now: Time| newer.resume("", &token(&sessions.begin("", &alice(), now)), now).is_ok();
    assert!(resumed(&sessions, NOW + 10));
    assert!(sessions.resume("", &old, NOW + 10).is_ok());

    write("nonsense", 2);
    assert!(resumed(&sessions, NOW + 30), "what cannot be read changes nothing");
    std::fs::remove_file(&path).unwrap();
    assert!(resumed(&sessions, NOW + 50));
    for (text, expected) in [
        ("nonsense", "line 1 is no secret: write one with openssl rand -base64 32"),
        ("# x\n\nc2hvcnQ=", "line 3 is no secret: write one with openssl rand -base64 32"),
        ("", "there is no secret to seal sessions with"),
    ] {
        write(text, 3);
        let error = SessionKeys::from_file(&path).unwrap_err().to_string();
        assert_eq!(error, format!("{}: {expected}", path.display()));
    }
    assert!(SessionKeys::from_file(folder.path().join("none")).is_err());
    assert!(SessionKeys::from_secrets([[1; 31]]).is_err());
    assert!(SessionKeys::from_secrets([[1; 32]; 17]).is_err());
}

#[test]
fn nobody_waits_for_a_slow_file_of_secrets_but_the_one_who_reads_it() {
    use std::sync::mpsc;

    use base64::engine::general_purpose::STANDARD;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets");
    let write = |secret: u8, at: u64| {
        std::fs::write(&path, STANDARD.encode([secret; 32])).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(at);
        std::fs::File::open(&path).unwrap().set_modified(time).unwrap();
    };
    write(1, 0);
    let (keys, two) = (SessionKeys::from_file(&path).unwrap(), SessionKeys::from_secrets([[2; 32]]).unwrap().ring(NOW));
    let id = |ring: &[Arc<SealingKey>]| ring[0].id();
    let one = id(&keys.ring(NOW));
    write(2, 1);
    let ((reading, is_read), (go, may_go)) = (mpsc::channel(), mpsc::channel::<()>());
    std::thread::scope(|scope| {
        let (keys, new) = (&keys, two.clone());
        let slow = scope.spawn(move || {
            keys.ring_read_by(NOW + 10, |_| {
                reading.send(()).unwrap();
                may_go.recv().unwrap();
                Ok(new)
            })
        });
        is_read.recv().unwrap();
        assert_eq!(id(&keys.ring(NOW + 10)), one);
        go.send(()).unwrap();
        assert_eq!(id(&slow.join().unwrap()), id(&two));
    });
    assert_eq!(id(&keys.ring(NOW + 10)), id(&two));
}

#[test]
fn a_file_that_was_being_read_does_not_undo_a_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets");
    std::fs::write(&path, base64::engine::general_purpose::STANDARD.encode([1; 32])).unwrap();
    let keys = SessionKeys::from_file(&path).unwrap();
    std::fs::File::open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let old = keys.clone();
    let ring = keys.ring_read_by(NOW, |_| {
        old.rotate()?;
        Ok(SessionKeys::from_secrets([[1; 32]])?.ring(NOW))
    });
    assert_eq!(ring.len(), 2);
}

#[test]
fn secrets_that_everybody_may_write_and_what_is_no_file_are_refused() {
    use std::os::unix::fs::PermissionsExt;

    use base64::engine::general_purpose::STANDARD;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets");
    std::fs::write(&path, format!("{}\n", STANDARD.encode([7; 32]))).unwrap();
    for (mode, taken) in [(0o600, true), (0o644, true), (0o646, false), (0o602, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(SessionKeys::from_file(&path).is_ok(), taken, "{mode:o}");
    }
    assert!(SessionKeys::from_file(folder.path()).is_err());
}

#[test]
fn a_session_bears_the_roles_of_one_table_and_is_none_for_another() {
    for sessions in [bearer(&keys()), bearer(&keys()).idle(100)] {
        let begun = token(&sessions.begin("ads", &alice(), NOW));
        let renewed = sessions.resume("ads", &begun, NOW + 60).unwrap();
        assert!(renewed.caller.has_role("admins"));
        for table in ["", "ad", "adss", "users", "ads\0"] {
            assert_eq!(sessions.resume(table, &begun, NOW).expect_err(table), "it was changed");
        }
        if let Some((_, again)) = renewed.headers.first() {
            let again = again.to_str().unwrap().split(';').next().unwrap().to_owned();
            assert!(sessions.resume("ads", &again, NOW + 60).is_ok());
            assert!(sessions.resume("users", &again, NOW + 60).is_err(), "nor is the one that follows it");
        }
    }
}

#[test]
fn a_revoked_principal_has_to_prove_itself_again() {
    let since = Arc::new(Mutex::new(None));
    let hook = {
        let since = since.clone();
        move |principal: &Principal| since.lock().unwrap().filter(|_| principal.components().len() == 2)
    };
    let sessions = bearer(&keys()).not_before(hook);
    let (alice, bob) =
        (begun(&sessions), token(&sessions.begin("", &caller(|facts| facts.principal = principal("bob")), NOW)));
    assert!(sessions.resume("", &alice, NOW).is_ok());
    *since.lock().unwrap() = Some(NOW);
    assert_eq!(fault(&sessions, &alice, NOW), "it was revoked");
    assert!(sessions.resume("", &bob, NOW).is_ok());
    let later = token(&sessions.begin("", &self::alice(), NOW + 1));
    assert!(sessions.resume("", &later, NOW + 1).is_ok());
}

#[test]
fn tickets_handed_over_are_there_in_every_request_or_the_session_is_refused() {
    let tickets = Arc::new(Delegated::new(ReceivedCred { tickets: vec![], time: None, nonce: None }));
    let with_tickets = caller(|facts| facts.delegated = Some(tickets.clone()));
    let here = bearer(&keys());
    let token = token(&here.begin("", &with_tickets, NOW));
    let resumed = here.resume("", &token, NOW).unwrap();
    assert!(Arc::ptr_eq(&resumed.caller.kept().unwrap(), &tickets));
    assert!(here.clone().resume("", &token, NOW).is_ok(), "clones share them");
    assert_eq!(fault(&bearer(&keys()), &token, NOW), "the tickets handed over are not known here");
    assert!(bearer(&keys()).max_delegations(0).begin("", &with_tickets, NOW).is_empty(), "without room no session");
    assert!(!bearer(&keys()).max_delegations(0).begin("", &alice(), NOW).is_empty());
}

#[test]
fn a_session_that_would_be_too_large_is_not_begun() {
    let many = |count: usize| caller(|facts| facts.roles = vec!["x".repeat(100); count]);
    let sessions = bearer(&keys());
    let large = sessions.begin("", &many(20), NOW);
    assert!(sessions.resume("", &token(&large), NOW).is_ok());
    assert!(sessions.begin("", &many(40), NOW).is_empty());
    assert!(sessions.begin("", &caller(|facts| facts.roles = vec!["x".repeat(70_000)]), NOW).is_empty());
}

#[test]
fn a_cookie_brings_the_session_back_even_behind_a_planted_one() {
    let cookie = Cookie { secure: false, ..Cookie::default() };
    let sessions = Sessions::cookie(keys(), &principal("HTTP/a"), cookie).unwrap();
    let headers = sessions.begin("", &alice(), NOW);
    let set = headers[0].1.to_str().unwrap();
    assert!(set.ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"), "{set}");
    let pair = set.split(';').next().unwrap();
    let request = |value: &str| HeaderMap::from_iter([(http::header::COOKIE, HeaderValue::from_str(value).unwrap())]);
    assert!(sessions.resume_cookie("", &request(pair), NOW).unwrap().is_ok());
    assert!(sessions.resume_cookie("", &request(&format!("krb_session=planted; {pair}")), NOW).unwrap().is_ok());
    assert!(sessions.resume_cookie("", &request("krb_session=planted"), NOW).unwrap().is_err());
    assert!(sessions.resume_cookie("", &request("a=b"), NOW).is_none());
    let (name, value) = sessions.erase().unwrap();
    assert_eq!(
        (name, value.to_str().unwrap()),
        (SET_COOKIE, "krb_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")
    );
    assert!(bearer(&keys()).erase().is_none());
}

proptest! {
    #[test]
    fn no_token_panics(text in ".{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let sessions = bearer(&keys());
        prop_assert!(sessions.resume("", &text, NOW).is_err());
        let sealed = URL_SAFE_NO_PAD.encode(&bytes);
        for rest in [text, sealed] {
            prop_assert!(sessions.resume("", &[PREFIX, &rest].concat(), NOW).is_err());
        }
        let _ = Content::decode(&bytes);
    }

    #[test]
    fn content_cut_short_is_none(cut in 1usize..200) {
        let content = Content { id: [1; 16], issued: NOW, seen: NOW, end: NOW, delegated: true, caller: alice() };
        let bytes = content.encode();
        prop_assert!(Content::decode(&bytes).is_some());
        prop_assert!(Content::decode(&bytes[..bytes.len().saturating_sub(cut)]).is_none());
    }
}
