//! One suite, several pairs: the same test functions for every client and KDC that have to
//! understand each other, each pair a module of tests with names of their own.

use crate::{Family, Plan, Realm, Seat};

/// A client and a KDC, of which one at least is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Whose client programs.
    pub client: Family,
    /// Whose KDC.
    pub kdc: Family,
}

impl Pair {
    /// The pair with the subject of `KRB_SUBJECT` in our place; `None` when one side is not here.
    pub fn present(client: Family, kdc: Family) -> Option<Pair> {
        let kdc = kdc.or_subject();
        // Heimdal's programs have other options than MIT's and ours, so they cannot stand in for ours.
        let client = match client.or_subject() {
            Family::Heimdal if client == Family::Ours => Family::Mit,
            family => family,
        };
        // MIT's klist and kvno read what Heimdal's clients wrote.
        let reader = client != Family::Heimdal || Family::Mit.has_clients();
        (client.has_clients() && kdc.has_kdc() && reader).then_some(Pair { client, kdc })
    }

    /// A realm EXAMPLE.ORG with the user `alice`, whose password is `secret`.
    pub fn realm(self) -> Realm {
        self.realm_of(Plan::default())
    }

    /// A realm with the user `alice`, whose password is `secret`.
    pub fn realm_of(self, plan: Plan) -> Realm {
        let realm = plan.start(self.kdc);
        realm.add("alice", "secret", &[]);
        realm
    }

    /// A seat for the client.
    pub fn seat(self, realm: &Realm) -> Seat<'_> {
        realm.seat(self.client)
    }
}

/// Makes a test of each function for each pair: `pair::function`.
///
/// ```ignore
/// suite! {
///     mit_tools_our_kdc: Mit, Ours;
///     our_tools_mit_kdc: Ours, Mit;
///     => { a_password_opens_a_tgt; a_wrong_password_is_refused; }
/// }
/// ```
#[macro_export]
macro_rules! suite {
    ($($pair:ident: $client:ident, $kdc:ident;)+ => $tests:tt) => {
        $($crate::suite!(@pair $pair $client $kdc $tests);)+
    };
    (@pair $pair:ident $client:ident $kdc:ident { $($test:ident;)+ }) => {
        mod $pair {
            $(#[test]
            fn $test() {
                if let Some(pair) = $crate::Pair::present($crate::Family::$client, $crate::Family::$kdc) {
                    super::$test(pair);
                }
            })+
        }
    };
}
