//! A KDC's socket in the file system, for clients of the same machine or pod. MIT's know it from 1.22 on.

use tests::Family;

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
