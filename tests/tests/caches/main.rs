//! Credential caches that no file holds: `KCM:` with our daemon and Heimdal's, `KEYRING:` with MIT's programs on the
//! other side.

mod kcm;
mod keyring;

use tests::{Family, Program, Realm, Seat, Tool};

/// A realm with two users and a service.
fn realm() -> Realm {
    let realm = Realm::start(Family::subject());
    realm.add("alice", "secret", &[]);
    realm.add("bob", "secret", &[]);
    realm.add_service("host/www.example.org");
    realm
}

/// Programs of a family at a seat, with this cache as the default one.
struct At<'a> {
    seat: &'a Seat<'a>,
    cache: &'a str,
    user: Option<tests::User>,
}

impl<'a> At<'a> {
    fn new(seat: &'a Seat<'a>, cache: &'a str) -> At<'a> {
        At { seat, cache, user: None }
    }

    fn tool(&self, family: Family, name: &'static str) -> Tool {
        self.program(family.program(name))
    }

    fn program(&self, program: Program) -> Tool {
        let tool = self.seat.program(program).env("KRB5CCNAME", self.cache);
        match self.user {
            Some(user) => tool.user(user),
            None => tool,
        }
    }

    #[track_caller]
    fn kinit(&self, family: Family, who: &str) {
        self.tool(family, "kinit").args([who]).stdin("secret\n").run().succeeds();
    }

    #[track_caller]
    fn klist(&self, family: Family, options: &[&str]) -> String {
        self.tool(family, "klist").args(options).run().succeeds().stdout().to_owned()
    }
}

/// The lines of a listing: the kernel has an order of its own.
fn sorted(listing: &str) -> Vec<&str> {
    let mut lines: Vec<_> = listing.lines().collect();
    lines.sort_unstable();
    lines
}

/// What either family's programs do to a collection, the other's see.
fn a_collection_is_shared(at: &At<'_>, ours: Family, theirs: Family) {
    at.kinit(theirs, "alice");
    let listing = at.klist(ours, &[]);
    assert!(listing.contains("Default principal: alice@EXAMPLE.ORG"), "{listing}");
    assert!(listing.contains("krbtgt/EXAMPLE.ORG@EXAMPLE.ORG"), "{listing}");
    at.tool(ours, "kvno").args(["host/www.example.org"]).run().succeeds();
    let listing = at.klist(theirs, &["-e"]);
    assert!(listing.contains("host/www.example.org@EXAMPLE.ORG"), "{listing}");
    assert_eq!(sorted(&at.klist(ours, &["-e"])), sorted(&listing), "both tell the same");
    assert_eq!(
        at.klist(ours, &["-C"]).matches("config: ").count(),
        at.klist(theirs, &["-C"]).matches("config: ").count()
    );

    // Another principal gets another cache of the collection, which becomes the primary one.
    at.kinit(ours, "bob");
    for family in [ours, theirs] {
        let listing = at.klist(family, &[]);
        assert!(listing.contains("Default principal: bob@EXAMPLE.ORG"), "{listing}");
        let all = at.klist(family, &["-l"]);
        let (bob, alice) = (all.find("bob@").expect("bob"), all.find("alice@").expect("alice"));
        assert!(bob < alice, "the primary one first: {all}");
        assert_eq!(at.klist(family, &["-A"]).matches("Default principal: ").count(), 2);
    }
    at.tool(ours, "kswitch").args(["-p", "alice"]).run().succeeds();
    assert!(at.klist(theirs, &[]).contains("Default principal: alice@"));
    at.tool(theirs, "kswitch").args(["-p", "bob"]).run().succeeds();
    assert!(at.klist(ours, &[]).contains("Default principal: bob@"));

    // A new login takes the place of the old one.
    at.kinit(theirs, "alice");
    assert!(!at.klist(ours, &[]).contains("host/www.example.org"));
    at.tool(ours, "kdestroy").run().succeeds();
    assert!(!at.klist(theirs, &["-l"]).contains("alice@"));
    at.kinit(ours, "alice");
    at.tool(ours, "kdestroy").args(["-A"]).run().succeeds();
    at.tool(theirs, "klist").run().fails();
    at.tool(ours, "klist").run().fails_with(1);
}
