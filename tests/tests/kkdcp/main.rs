//! MS-KKDCP: tickets and new passwords over HTTPS, and who is turned away there; and the KDC's socket in the file
//! system.

mod client;
mod place;
mod server;
mod unix;

use place::Place;
use tests::{Pair, suite};

fn a_login_and_a_ticket_go_over_https(pair: Pair) {
    let Some(place) = Place::of(pair) else { return };
    place.realm.add_service("host/www.example.org");
    let seat = place.seat(pair.client);
    seat.kinit(&["alice"], "secret").succeeds();
    assert!(seat.tgt().has("I"));
    seat.fetch(&["host/www.example.org"]).succeeds();
    assert!(seat.trace().contains("HTTPS"), "{}", seat.trace());
    if pair.kdc == tests::Family::Ours {
        place.realm.says("via=\"https\"");
    }
}

fn a_password_is_changed_over_https(pair: Pair) {
    let Some(place) = Place::of(pair) else { return };
    let seat = place.seat(pair.client);
    let said = seat.asked("kpasswd", &["alice"], &["secret", "another secret", "another secret"]);
    said.succeeds().saying("Password changed.");
    seat.kinit(&["alice"], "secret").fails();
    seat.kinit(&["alice"], "another secret").succeeds();
}

fn a_server_with_the_certificate_of_another_is_not_asked(pair: Pair) {
    let Some(place) = Place::of(pair) else { return };
    let seat = place.seat(pair.client);
    // The right authority, another host.
    let url = place.url().replace("localhost", "127.0.0.1");
    seat.reach(&url, &url, &format!("http_anchors = FILE:{}", place.file("ca.pem").display()));
    seat.kinit(&["alice"], "secret").fails();
    // The right host, another authority.
    seat.reach(&place.url(), &place.url(), &format!("http_anchors = FILE:{}", place.strange_authority().display()));
    seat.kinit(&["alice"], "secret").fails();
    // Anchors in a directory.
    let folder = place.realm.folder().join("anchors");
    std::fs::create_dir(&folder).expect("a folder");
    // The name by which OpenSSL looks for it has a number that only OpenSSL knows.
    std::fs::copy(place.file("ca.pem"), folder.join("ca.pem")).expect("a copy");
    if pair.client == tests::Family::Ours {
        seat.reach(&place.url(), &place.url(), &format!("http_anchors = DIR:{}", folder.display()));
        seat.kinit(&["alice"], "secret").succeeds();
    }
}

suite! {
    mit_tools_our_kdc: Mit, Ours;
    our_tools_proxied_mit_kdc: Ours, Mit;
    our_tools_our_kdc: Ours, Ours;
    => {
        a_login_and_a_ticket_go_over_https;
        a_password_is_changed_over_https;
        a_server_with_the_certificate_of_another_is_not_asked;
    }
}
