//! A KDC's socket in the file system, for clients of the same machine or pod. MIT's know it from 1.22 on.

use tests::{Daemon, Family, Tool};

use crate::place::Place;

#[test]
fn tickets_and_new_passwords_come_through_a_socket_in_the_file_system() {
    let place = Place::ours();
    place.realm.add_service("host/www.example.org");
    let seat = place.realm.seat(Family::Ours);
    let path = place.file("kdc.sock").display().to_string();
    seat.reach(&path, &path, "");
    seat.kinit(&["alice"], "secret").succeeds();
    seat.fetch(&["host/www.example.org"]).succeeds();
    seat.asked("kpasswd", &["alice"], &["secret", "another secret", "another secret"]).succeeds();
    seat.kinit(&["alice"], "another secret").succeeds();
    assert!(seat.trace().contains("Connecting to unix /"), "{}", seat.trace());
    place.realm.says("via=\"unix\"");
}

#[test]
fn the_socket_of_a_kdc_that_was_killed_is_replaced_and_that_of_one_which_ended_is_gone() {
    let mut place = Place::ours();
    place.realm.kill();
    assert!(place.file("kdc.sock").exists());
    place.realm.restart();
    let path = place.file("kdc.sock").display().to_string();
    let seat = place.realm.seat(Family::Ours);
    seat.reach(&path, &path, "");
    seat.kinit(&["alice"], "secret").succeeds();
    drop(seat);
    assert!(place.realm.stop().success());
    assert!(!place.file("kdc.sock").exists());
}

/// What an old client makes of the socket's line: MIT's of this version, Heimdal's and Java take it for a host, and do not
/// come so far.
#[test]
fn a_realm_to_play_with_has_a_socket_for_those_who_know_it_and_an_address_for_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let realm = folder.path().join("realm");
    let dev = |listen: &str| {
        let tool = Tool::new(Family::Ours.program("kdc")).args(["dev", "--listen", listen, "--dir"]).args([&realm]);
        Daemon::start(tool.command(), "Ctrl-C ends")
    };
    let log_in = |family: Family| {
        let password = std::fs::read_to_string(realm.join("alice.password")).expect("her password");
        let tool = |name| {
            let tool = Tool::new(family.program(name)).env("KRB5_CONFIG", realm.join("krb5.conf"));
            tool.env("KRB5CCNAME", folder.path().join("ccache")).env("KRB5_TRACE", "/dev/stderr").env("LC_ALL", "C")
        };
        let said = tool("kinit").args(["alice"]).stdin(password.clone()).run().succeeds();
        tool("kvno").args(["demo/localhost"]).run().succeeds();
        said.stderr().to_owned()
    };
    let mut both = dev("127.0.0.1:0");
    for family in [Family::Ours, Family::Mit].into_iter().filter(|family| family.present()) {
        assert!(!log_in(family).contains("kdc.sock"), "nobody needs it while an address answers");
    }
    assert!(both.stop().success());
    let _alone = dev("none");
    assert!(log_in(Family::Ours).contains("kdc.sock"));
}
