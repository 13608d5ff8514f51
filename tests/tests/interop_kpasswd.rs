//! Passwords changed over the wire (RFC 3244): MIT's and Heimdal's `kpasswd` and `kinit` at our KDC,
//! ours at theirs.

use tests::{Family, Pair, Realm, suite};

/// A realm of the pair whose passwords can be changed; `None` where a side is not here.
fn realm(pair: Pair) -> Option<Realm> {
    if !pair.client.has_passwords() || !pair.kdc.has_passwords() {
        return None;
    }
    let mut realm = pair.realm();
    realm.serve_passwords();
    Some(realm)
}

/// What the client says when the password was changed.
fn success(pair: Pair) -> &'static str {
    if pair.client == Family::Heimdal { "Success" } else { "Password changed." }
}

fn a_password_is_changed_by_who_knows_it(pair: Pair) {
    let Some(realm) = realm(pair) else { return };
    let seat = pair.seat(&realm);
    let said = seat.asked("kpasswd", &["alice"], &["secret", "another secret", "another secret"]);
    said.succeeds().saying(success(pair));
    seat.kinit(&["alice"], "secret").fails();
    seat.kinit(&["alice"], "another secret").succeeds();
}

fn who_does_not_know_it_changes_nothing(pair: Pair) {
    let Some(realm) = realm(pair) else { return };
    let seat = pair.seat(&realm);
    seat.asked("kpasswd", &["alice"], &["wrong", "another secret", "another secret"]).fails();
    seat.kinit(&["alice"], "secret").succeeds();
}

fn who_mistypes_it_changes_nothing(pair: Pair) {
    let Some(realm) = realm(pair) else { return };
    let seat = pair.seat(&realm);
    seat.asked("kpasswd", &["alice"], &["secret", "another secret", "an other secret"]).fails();
    seat.kinit(&["alice"], "secret").succeeds();
}

fn kinit_offers_the_change_of_a_password_that_has_expired(pair: Pair) {
    let Some(realm) = realm(pair) else { return };
    let seat = pair.seat(&realm);
    realm.modify("alice", &["+needchange"]);
    let said = seat.asked("kinit", &["alice"], &["secret", "another secret", "another secret"]);
    let heard = said.succeeds();
    if pair.client != Family::Heimdal {
        heard.saying("Password expired.  You must change it now.");
    }
    assert!(seat.tgt().has("I"));
    seat.kinit(&["alice"], "another secret").succeeds();
}

suite! {
    mit_tools_our_kdc: Mit, Ours;
    our_tools_mit_kdc: Ours, Mit;
    our_tools_our_kdc: Ours, Ours;
    heimdal_tools_our_kdc: Heimdal, Ours;
    our_tools_heimdal_kdc: Ours, Heimdal;
    => {
        a_password_is_changed_by_who_knows_it;
        who_does_not_know_it_changes_nothing;
        who_mistypes_it_changes_nothing;
        kinit_offers_the_change_of_a_password_that_has_expired;
    }
}

mod texts {
    use super::*;

    /// Puts alice under a policy of this KDC's own making.
    fn restrain(realm: &Realm) {
        realm.query(&["addpol", "-minlength", "10", "staff"]);
        realm.modify("alice", &["-policy", "staff"]);
    }

    fn a_rejection_says_the_rule(pair: Pair) {
        let Some(realm) = realm(pair) else { return };
        restrain(&realm);
        let seat = pair.seat(&realm);
        let said = seat.asked("kpasswd", &["alice"], &["secret", "short", "short"]);
        if pair.client == Family::Heimdal {
            // Its exit code tells nothing.
            assert!(said.stdout.contains("Soft error : Password is too short: policy staff"), "{said}");
        } else {
            said.fails_with(2).saying("Password change rejected: ").saying("short");
        }
        seat.kinit(&["alice"], "secret").succeeds();
    }

    fn kinit_asks_again_for_a_password_that_was_rejected(pair: Pair) {
        let Some(realm) = realm(pair) else { return };
        restrain(&realm);
        realm.modify("alice", &["+needchange"]);
        let seat = pair.seat(&realm);
        let answers = ["secret", "short", "short", "long enough now", "mistyped", "long enough now", "long enough now"];
        let heard = seat.asked("kinit", &["alice"], &answers).succeeds();
        let heard = heard.saying("Password change rejected: ").saying("Password mismatch.  Please try again.");
        heard.saying(".  Please try again.");
        seat.kinit(&["alice"], "long enough now").succeeds();
    }

    suite! {
        mit_tools_our_kdc: Mit, Ours;
        our_tools_mit_kdc: Ours, Mit;
        our_tools_our_kdc: Ours, Ours;
        => {
            a_rejection_says_the_rule;
            kinit_asks_again_for_a_password_that_was_rejected;
        }
    }

    mod heimdal_tools_our_kdc {
        use super::*;

        #[test]
        fn a_rejection_says_the_rule() {
            if let Some(pair) = Pair::present(Family::Heimdal, Family::Ours) {
                super::a_rejection_says_the_rule(pair);
            }
        }
    }
}

mod transports {
    use super::*;

    fn either_transport_will_do(pair: Pair) {
        let Some(realm) = realm(pair) else { return };
        let seat = pair.seat(&realm);
        let mut old = "secret".to_owned();
        for (prefix, traced) in [("udp/", "dgram"), ("tcp/", "stream")] {
            seat.kpasswd_prefix(prefix);
            let new = format!("secret over {traced}");
            seat.asked("kpasswd", &["alice"], &[&old, &new, &new]).succeeds().saying("Password changed.");
            let answer = format!("from {traced} {}", realm.kpasswd_address());
            assert!(seat.trace().contains(&answer), "{answer}");
            old = new;
        }
    }

    suite! {
        our_tools_mit_kdc: Ours, Mit;
        our_tools_our_kdc: Ours, Ours;
        => { either_transport_will_do; }
    }
}

mod ours_alone {
    use super::*;

    fn pair() -> Option<Pair> {
        Pair::present(Family::Ours, Family::Ours).filter(|pair| pair.client == Family::Ours && pair.kdc == Family::Ours)
    }

    #[test]
    fn another_principals_password_is_refused_where_no_list_allows_it() {
        let Some(pair) = pair() else { return };
        let Some(realm) = realm(pair) else { return };
        realm.add("bob", "bobs", &[]);
        let seat = pair.seat(&realm);
        let said = seat.asked("kpasswd", &["--by", "alice", "bob"], &["secret", "taken over", "taken over"]);
        said.fails_with(2).saying("Access denied: ");
        seat.kinit(&["bob"], "bobs").succeeds();
    }

    #[test]
    fn the_kdc_tells_of_a_change_and_of_a_refusal_and_never_the_password() {
        let Some(pair) = pair() else { return };
        let Some(realm) = realm(pair) else { return };
        let seat = pair.seat(&realm);
        seat.asked("kpasswd", &["alice"], &["secret", "", ""]).fails_with(2);
        seat.asked("kpasswd", &["alice"], &["secret", "another secret", "another secret"]).succeeds();
        realm.says("outcome=\"changed\"");
        let log = realm.log();
        assert!(log.contains("cause=\"Password change rejected\""), "{log}");
        assert!(log.contains("from=\"kpasswd 127.0.0.1:"), "{log}");
        assert!(!log.contains("another secret"), "{log}");
    }

    #[test]
    fn who_finds_no_server_for_passwords_is_told_where_to_name_one() {
        let Some(pair) = pair() else { return };
        let Some(mut realm) = realm(pair) else { return };
        let seat = pair.seat(&realm);
        let named = std::fs::read_to_string(seat.configuration()).expect("krb5.conf");
        let unnamed: String =
            named.lines().filter(|line| !line.contains("kpasswd")).map(|line| format!("{line}\n")).collect();
        std::fs::write(seat.configuration(), unnamed).expect("krb5.conf");
        let said = seat.asked("kpasswd", &["alice"], &["secret", "another secret", "another secret"]);
        said.fails_with(1).saying("Cannot find KDC for realm").saying("kpasswd_server");
        drop(seat);
        realm.stop();
    }
}
