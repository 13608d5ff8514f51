//! A KDC and its surroundings: what the service manager hears, sockets that are open before it starts,
//! and what the kernel keeps it from.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::process::{Pid, Signal, kill_process};
use tests::{PATIENCE, Tool};

use crate::place::*;

#[test]
fn the_service_manager_hears_when_it_is_ready_that_it_lives_and_that_it_ends() {
    let place = Place::new();
    let manager = UnixDatagram::bind(place.path("notify")).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut command = place.kdc("run").env("NOTIFY_SOCKET", place.path("notify")).command();
    command.env("WATCHDOG_USEC", "20000");
    let daemon = place.start_as(command);
    let next = || {
        let mut text = [0; 4096];
        let length = manager.recv(&mut text).expect("a message");
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let ready = std::iter::repeat_with(next).find(|text| text.contains("READY=1")).expect("ready");
    assert!(ready.contains(&format!("STATUS={REALM} is ready at {}", place.port.address())), "{ready}");
    (0..3).for_each(|_| assert!(next().contains("WATCHDOG=1")));
    let pid = i32::try_from(daemon.pid()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, Signal::TERM).expect("told");
    assert!(std::iter::repeat_with(next).any(|text| text.contains("STOPPING=1")));
}

/// A copy of a file descriptor that a child gets too, with this number.
fn given(socket: &impl std::os::fd::AsFd, number: i32) -> OwnedFd {
    let copy = fcntl_dupfd_cloexec(socket, number).expect("a copy");
    assert_eq!(copy.as_raw_fd(), number, "nobody else has it");
    fcntl_setfd(&copy, FdFlags::empty()).expect("kept over exec");
    copy
}

#[test]
fn sockets_that_are_open_before_it_starts_are_served_and_lose_nothing() {
    let place = Place::new();
    drop(place.start()); // The port is free, and what is there is sound.
    let udp = std::net::UdpSocket::bind(place.port.address()).expect("a socket");
    let tcp = std::net::TcpListener::bind(place.port.address()).expect("a listener");
    let stray = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let _given = [given(&udp, 200), given(&tcp, 201), given(&stray, 202)];
    // Asked before anybody is there to hear.
    let asking = std::thread::spawn({
        let (mut over_udp, mut over_tcp) = (place.udp(), place.tcp());
        move || [log_in("nobody", &mut over_udp), log_in("nobody", &mut over_tcp)]
    });
    let mut command = place.kdc("run").command();
    command.env("LISTEN_FDS", "3").env("LISTEN_FDS_FIRST_FD", "200");
    let daemon = place.start_as(command);
    for answer in asking.join().expect("answers") {
        let answer = answer.expect_err("there is no such client");
        assert!(answer.contains("not found") || answer.contains("UNKNOWN"), "{answer}");
    }
    assert!(daemon.log().contains("closed: it was handed over and is none of the settings"), "{}", daemon.log());
}

#[test]
fn it_says_to_which_folders_it_is_confined_and_that_can_be_turned_off() {
    let place = Place::new();
    let daemon = place.start();
    let log = daemon.log();
    let folder = place.path("kdc.toml").parent().map(Path::to_owned).expect("a folder");
    assert!(log.contains("confined") && log.contains(&folder.display().to_string()), "{log}");
    drop(daemon);
    place.set("landlock = false");
    assert!(!place.start().log().contains("confined"));
}

#[test]
fn the_unit_of_the_guide_leaves_little_to_whoever_takes_the_process_over() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/systemd/kdc.service");
    let Some(analyze) = tests::optional_peer("systemd-analyze", "/usr/bin/systemd-analyze") else { return };
    let said =
        Tool::new(analyze).args(["security", "--offline=true", "--threshold=15", "--no-pager"]).args([unit]).run();
    assert_eq!(said.code, Some(0), "{}", said.stdout);
    assert!(said.stdout.contains("Overall exposure level"), "{}", said.stdout);
}
