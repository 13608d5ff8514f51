//! New settings for a KDC that runs: all of them or none.

use rustix::process::{Pid, Signal, kill_process};
use tests::{Daemon, Port};

use crate::place::*;

fn rewrite(place: &Place, change: impl Fn(String) -> String) {
    let text = std::fs::read_to_string(&place.files.config).expect("settings");
    std::fs::write(&place.files.config, change(text)).expect("settings");
}

fn hang_up(daemon: &Daemon) {
    let pid = i32::try_from(daemon.pid()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, Signal::HUP).expect("told");
}

#[test]
fn new_rules_are_in_force_when_the_command_ends() {
    let place = Place::new();
    let _daemon = place.start();
    let before = log_in("nobody", &mut place.udp()).expect_err("nobody is nobody");
    rewrite(&place, |text| text.replace("#hide_unknown_clients = false", "hide_unknown_clients = true"));
    place.kdc("reload").run().succeeds();
    let after = log_in("nobody", &mut place.udp()).expect_err("and asked for a password now");
    assert_ne!(before, after);
}

#[test]
fn wrong_settings_change_nothing_and_are_named_with_their_line() {
    let place = Place::new();
    let daemon = place.start();
    place.add("alice");
    rewrite(&place, |text| text.replace("#hide_unknown_clients = false", "hide_unknown_clients = true"));
    let before = log_in("nobody", &mut place.udp()).expect_err("nobody is nobody");
    place.set("relam = 'X'");
    let said = place.kdc("reload").run();
    assert_eq!(said.code, Some(1));
    let place_of_it = format!("{}:1: unknown field `relam`", place.files.config.display());
    assert!(said.stderr.contains(&place_of_it), "{}", said.stderr);
    hang_up(&daemon);
    daemon.says("not reloaded");
    daemon.says("nothing was changed");
    assert!(daemon.log().contains(&place_of_it), "{}", daemon.log());
    assert_eq!(log_in("nobody", &mut place.udp()), Err(before));
    log_in("alice", &mut place.udp()).expect("a ticket");
}

#[test]
fn what_can_not_change_while_it_runs_is_refused_by_name_and_a_restart_does_it() {
    let place = Place::new();
    let daemon = place.start();
    rewrite(&place, |text| text.replace("#replay_memory = \"64 MiB\"", "replay_memory = \"1 MiB\""));
    let said = place.kdc("reload").run();
    assert_eq!(said.code, Some(1));
    assert!(
        said.stderr.contains("`limits.replay_memory` can't be changed while the KDC runs; `kdc restart`"),
        "{}",
        said.stderr
    );
    place.kdc("restart").run().succeeds();
    place.kdc("reload").run().succeeds();
    drop(daemon);
    let said = place.kdc("reload").run();
    assert!(said.code == Some(1) && said.stderr.contains("no KDC runs here"), "{}", said.stderr);
}

#[test]
fn addresses_come_and_go_and_those_that_stay_do_not_notice() {
    let place = Place::new();
    let _daemon = place.start();
    place.add("alice");
    let (old, new) = (place.port.address(), Port::claim());
    let listen = |addresses: &str| {
        rewrite(&place, |text| {
            let lines = text.lines().map(|line| match line.starts_with("listen = ") {
                true => format!("listen = [{addresses}]"),
                false => line.to_owned(),
            });
            lines.collect::<Vec<_>>().join("\n")
        });
        place.kdc("reload").run()
    };
    // A connection that is open stays so.
    let mut kept = std::net::TcpStream::connect(old).expect("connected");
    listen(&format!("\"{old}\", \"{}\"", new.address())).succeeds();
    for address in [old, new.address()] {
        log_in("alice", &mut Udp::to(address)).expect("a ticket over UDP");
        log_in("alice", &mut Tcp(address)).expect("a ticket over TCP");
    }
    Tcp::ask_over(&mut kept, &[0x6a, 0x00]).expect("an answer");
    let taken = Port::claim();
    let _taken = std::net::TcpListener::bind(taken.address()).expect("a listener");
    let refused = listen(&format!("\"{}\", \"{}\"", new.address(), taken.address()));
    assert!(refused.stderr.contains("the port is in use"), "{}", refused.stderr);
    log_in("alice", &mut Udp::to(old)).expect("nothing was changed");
    listen(&format!("\"{}\"", new.address())).succeeds();
    log_in("alice", &mut Udp::to(new.address())).expect("a ticket");
    assert!(std::net::TcpStream::connect(old).is_err(), "nobody listens there");
    drop(std::net::UdpSocket::bind(old).expect("the port is free"));
    listen(&format!("\"{old}\"")).succeeds();
    log_in("alice", &mut Tcp(old)).expect("a ticket where there was none a moment ago");
}
