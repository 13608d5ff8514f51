use libkrb::ccache::kcm::protocol::Tag;

use super::*;

const ALICE: u32 = 1000;
const BOB: u32 = 1001;

fn principal(name: &str) -> Principal {
    Principal::parse(name, Some("R")).expect("a name")
}

fn ticket(service: &str, length: usize) -> Credential {
    let config = Credential::config(&principal("alice"), "", None, &vec![1; length]);
    Credential { server: principal(service), ..config }
}

fn houses(bounds: Bounds) -> Houses {
    let mut count = 0_u128;
    Houses::new(bounds, move || {
        count += 1;
        count.to_be_bytes()
    })
}

fn filled(houses: &mut Houses, user: u32, name: &str) {
    houses.answer(user, Request::Initialize(name.into(), principal("alice"))).expect("made");
    let credential = Box::new(ticket("krbtgt/R", 10));
    houses.answer(user, Request::Store(name.into(), credential)).expect("stored");
}

fn credentials(houses: &mut Houses, user: u32, name: &str) -> Result<Vec<Credential>, Status> {
    match houses.answer(user, Request::Credentials(name.into()))? {
        Reply::Credentials(credentials) => Ok(credentials),
        other => panic!("{other:?}"),
    }
}

fn primary(houses: &mut Houses, user: u32) -> String {
    match houses.answer(user, Request::Primary).expect("answered") {
        Reply::Name(name) => name,
        other => panic!("{other:?}"),
    }
}

#[test]
fn b10_nobody_sees_or_touches_what_is_anothers_under_whatever_name() {
    let mut houses = houses(Bounds::default());
    filled(&mut houses, ALICE, "1000");
    let Reply::Ids(ids) = houses.answer(ALICE, Request::CacheIds).expect("answered") else { panic!("no identifiers") };
    let id = ids[0];
    let Reply::Ids(own) = houses.answer(ALICE, Request::CredentialIds("1000".into())).expect("answered") else {
        panic!("no identifiers")
    };
    for request in [
        Request::Owner("1000".into()),
        Request::Credentials("1000".into()),
        Request::CredentialIds("1000".into()),
        Request::CredentialById("1000".into(), own[0]),
        Request::Store("1000".into(), Box::new(ticket("host/x", 1))),
        Request::Remove("1000".into(), Tag::default()),
        Request::Destroy("1000".into()),
        Request::Move("1000".into(), "1001".into()),
        Request::SetPrimary("1000".into()),
        Request::Offset("1000".into()),
        Request::SetOffset("1000".into(), 1),
    ] {
        assert_eq!(houses.answer(BOB, request.clone()), Err(Status::NO_CACHE), "{request:?}");
    }
    assert_eq!(houses.answer(BOB, Request::CacheById(id)), Err(Status::END));
    assert_eq!(houses.answer(BOB, Request::CacheIds), Ok(Reply::Ids(vec![])));
    // A cache of the same name is another cache.
    houses.answer(BOB, Request::Initialize("1000".into(), principal("bob"))).expect("made");
    assert_eq!(credentials(&mut houses, BOB, "1000"), Ok(vec![]));
    assert_eq!(credentials(&mut houses, ALICE, "1000").expect("hers").len(), 1);
}

#[test]
fn the_primary_cache_is_the_chosen_one_else_the_first_else_the_users_own_name() {
    let mut houses = houses(Bounds::default());
    assert_eq!(primary(&mut houses, ALICE), "1000");
    filled(&mut houses, ALICE, "b");
    filled(&mut houses, ALICE, "c");
    assert_eq!(primary(&mut houses, ALICE), "b");
    houses.answer(ALICE, Request::SetPrimary("c".into())).expect("chosen");
    assert_eq!(primary(&mut houses, ALICE), "c");
    houses.answer(ALICE, Request::Destroy("c".into())).expect("gone");
    assert_eq!(primary(&mut houses, ALICE), "b");
}

#[test]
fn what_is_removed_moved_or_made_anew_leaves_nothing_behind() {
    let mut houses = houses(Bounds::default());
    filled(&mut houses, ALICE, "a");
    houses.answer(ALICE, Request::Store("a".into(), Box::new(ticket("host/x", 5)))).expect("stored");
    let tag = Tag { server: Some(principal("host/x")), ..Tag::default() };
    houses.answer(ALICE, Request::Remove("a".into(), tag.clone())).expect("removed");
    let again = houses.answer(ALICE, Request::Remove("a".into(), tag));
    assert_eq!(again, Err(Status::NOT_FOUND), "who removes it learns that they did");
    assert_eq!(credentials(&mut houses, ALICE, "a").expect("a cache").len(), 1);
    houses.answer(ALICE, Request::Move("a".into(), "b".into())).expect("moved");
    assert_eq!(credentials(&mut houses, ALICE, "a"), Err(Status::NO_CACHE));
    let replaced = Request::Replace("b".into(), 4, principal("bob"), vec![ticket("host/y", 1), ticket("host/z", 1)]);
    houses.answer(ALICE, replaced).expect("replaced");
    assert_eq!(houses.answer(ALICE, Request::Owner("b".into())), Ok(Reply::Principal(principal("bob"))));
    assert_eq!(houses.answer(ALICE, Request::Offset("b".into())), Ok(Reply::Offset(4)));
    houses.answer(ALICE, Request::Initialize("b".into(), principal("alice"))).expect("made");
    assert_eq!(credentials(&mut houses, ALICE, "b"), Ok(vec![]));
    houses.answer(ALICE, Request::Destroy("b".into())).expect("gone");
    assert_eq!(houses.held(), 0);
}

#[test]
fn nobody_holds_more_than_is_theirs_and_what_does_not_fit_changes_nothing() {
    let bounds = Bounds { of_user: 20_000, of_all: 30_000 };
    let mut houses = houses(bounds);
    filled(&mut houses, ALICE, "a");
    let mut stored = 0;
    while houses.answer(ALICE, Request::Store("a".into(), Box::new(ticket("host/x", 1000)))).is_ok() {
        stored += 1;
        assert!(houses.held() <= bounds.of_user);
    }
    assert!((5..20).contains(&stored), "{stored}");
    let big = vec![ticket("host/x", 30_000)];
    let replace = |user, name: &str| (user, Request::Replace(name.into(), 0, principal("bob"), big.clone()));
    let (user, request) = replace(ALICE, "a");
    assert_eq!(houses.answer(user, request), Err(Status::NO_ROOM));
    assert_eq!(houses.answer(ALICE, Request::Owner("a".into())), Ok(Reply::Principal(principal("alice"))));
    // Others have what is left of the whole.
    filled(&mut houses, BOB, "b");
    while houses.answer(BOB, Request::Store("b".into(), Box::new(ticket("host/x", 1000)))).is_ok() {}
    assert!(houses.held() <= bounds.of_all);
    houses.answer(ALICE, Request::Destroy("a".into())).expect("gone");
    houses.answer(BOB, Request::Store("b".into(), Box::new(ticket("host/x", 1000)))).expect("room again");
}

#[test]
fn names_are_bounded_and_those_that_nobody_filled_give_way() {
    let mut houses = houses(Bounds::default());
    for _ in 0..10 * MAX_CACHES {
        houses.answer(ALICE, Request::NewName).expect("a name");
    }
    for number in 0..MAX_CACHES {
        filled(&mut houses, ALICE, &format!("cache{number}"));
    }
    let one_more = Request::Initialize("more".into(), principal("alice"));
    assert_eq!(houses.answer(ALICE, one_more), Err(Status::NO_ROOM));
    assert_eq!(houses.answer(ALICE, Request::NewName), Err(Status::NO_ROOM));
    for name in [String::new(), "x".repeat(MAX_NAME + 1), "a\nb".into()] {
        let request = Request::Initialize(name, principal("bob"));
        assert_eq!(houses.answer(BOB, request), Err(Status::MALFORMED));
    }
    filled(&mut houses, BOB, "b");
    for _ in 1..MAX_CREDENTIALS {
        houses.answer(BOB, Request::Store("b".into(), Box::new(ticket("host/x", 1)))).expect("stored");
    }
    let one_more = Request::Store("b".into(), Box::new(ticket("host/x", 1)));
    assert_eq!(houses.answer(BOB, one_more), Err(Status::NO_ROOM));
}
