//! `KCM:` - our daemon with MIT's programs and ours, and ours with Heimdal's daemon.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use libkrb::ccache::{CacheName, Credential};
use libkrb::config::Config;
use libkrb::{Principal, Time};
use tests::{Daemon, Family, Seat, Tool, User, is_root, optional_peer, peers_home};

use super::{At, a_collection_is_shared, realm};

/// Where Heimdal's daemon listens, whatever one tells it.
const HEIMDALS: &str = "/var/run/.heim_org.h5l.kcm-socket";

fn kcmd(socket: &Path) -> Daemon {
    let tool = Tool::new(Family::Ours.program("kcmd")).args(["--socket"]).args([socket]);
    Daemon::start(tool.command(), "ready at")
}

fn setting(socket: &Path) -> String {
    format!("kcm_socket = {}", socket.display())
}

/// Has somebody sit where the caches are our daemon's.
fn at_our_daemon(work: impl FnOnce(&Seat<'_>)) {
    let realm = realm();
    let socket = realm.folder().join("kcm");
    let _daemon = kcmd(&socket);
    let seat = realm.seat(Family::Ours);
    seat.set(&setting(&socket));
    work(&seat);
}

#[test]
fn mits_programs_and_ours_share_the_caches_of_our_daemon() {
    if !Family::Mit.present() {
        return;
    }
    at_our_daemon(|seat| {
        a_collection_is_shared(&At::new(seat, "KCM:"), Family::Ours, Family::Mit);
        a_collection_is_shared(&At::new(seat, "KCM:"), Family::Mit, Family::Ours);
        // A cache of a name of one's own is no collection.
        let named = At::new(seat, "KCM:mine");
        named.kinit(Family::Mit, "alice");
        named.kinit(Family::Ours, "bob");
        assert!(named.klist(Family::Mit, &[]).contains("Default principal: bob@"));
        assert_eq!(named.klist(Family::Ours, &["-l"]).lines().count(), 3);
    });
}

#[test]
fn nobody_sees_the_caches_of_another_user_and_a_users_daemon_serves_that_user_alone() {
    let Some(nobody) = User::named("nobody").filter(|_| is_root()) else { return };
    let realm = realm();
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path());
    let socket = folder.path().join("kcm");
    let daemon = kcmd(&socket);
    let seat = realm.seat(Family::Ours);
    seat.set(&setting(&socket));
    let configuration = folder.path().join("krb5.conf");
    std::fs::copy(seat.configuration(), &configuration).expect("a copy");
    let root = At::new(&seat, "KCM:");
    root.kinit(Family::Ours, "alice");
    let program = readable(folder.path(), "klist");
    let klist = |arguments: &[&str]| {
        let tool = Tool::new(tests::Program { path: program.clone(), arguments: vec![], libraries: None });
        tool.env("KRB5_CONFIG", &configuration).env("KRB5CCNAME", "KCM:").user(nobody).args(arguments)
    };
    klist(&["-l"]).run().fails_with(1);
    klist(&["KCM:0"]).run().fails_with(1).not_saying("alice");
    assert!(root.klist(Family::Ours, &[]).contains("alice@"));
    drop(daemon);

    nobody.owns(folder.path());
    let kcmd = Family::Ours.program("kcmd");
    let copy = folder.path().join("kcmd");
    std::fs::copy(kcmd.path, &copy).expect("a copy");
    let own = tests::Program { path: copy, arguments: vec![], libraries: None };
    let tool = Tool::new(own).args(["--socket"]).args([&socket]).user(nobody);
    let _daemon = Daemon::start(tool.command(), "ready at");
    root.tool(Family::Ours, "kinit").args(["alice"]).stdin("secret\n").run().fails();
    klist(&["-l"]).run().fails_with(1).not_saying("No KCM server");
}

/// What MIT's library asks a daemon to remove goes, and nothing else: the flags say what has to fit.
fn what_fits_is_removed(at: &At<'_>) {
    let [names, times_exact, any_server_realm] = ["0", "0x8", "0x40"];
    const NOT_FOUND: &str = "-1765328243";
    let Some(python) = optional_peer("python3", "/usr/bin/python3") else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/caches.py");
    let remove = |service: &str, flags: &str| {
        let tool = at.program(python.clone()).args([script, service, flags, "7"]);
        tool.run().succeeds().stdout().trim().to_owned()
    };
    let service = "host/www.example.org";
    at.kinit(Family::Mit, "alice");
    at.tool(Family::Mit, "kvno").args([service]).run().succeeds();
    let there = || at.klist(Family::Mit, &[]).contains(service);
    assert_eq!(remove(service, times_exact), NOT_FOUND);
    assert_eq!(remove("host/www.example.org@ELSEWHERE", names), NOT_FOUND);
    assert!(there());
    assert_eq!(remove("host/www.example.org@ELSEWHERE", any_server_realm), "0");
    assert!(!there() && at.klist(Family::Ours, &[]).contains("krbtgt/"));
    at.tool(Family::Mit, "kvno").args([service]).run().succeeds();
    assert_eq!(remove(service, names), "0");
    assert!(!there());
}

#[test]
fn mits_library_removes_from_our_daemon_what_it_says_and_nothing_else() {
    if !Family::Mit.present() {
        return;
    }
    at_our_daemon(|seat| what_fits_is_removed(&At::new(seat, "KCM:")));
}

/// Tickets for services of these numbers.
fn tickets(owner: &Principal, numbers: std::ops::Range<i64>) -> impl Iterator<Item = Credential> {
    numbers.map(|number| {
        let server = Principal::parse(&format!("host/{number}"), Some("R")).expect("a name");
        Credential {
            server,
            auth_time: Time(1),
            end_time: Time(number + 2),
            ..Credential::config(owner, "", None, b"")
        }
    })
}

/// Several who remove and store at once, each at a cache of their own name for the same place.
fn all_at_once(cache: &CacheName) {
    let owner = Principal::parse("alice@R", None).expect("a name");
    cache.initialize(&owner, None).expect("a cache");
    tickets(&owner, 0..40).for_each(|ticket| cache.store(&ticket).expect("stored"));
    let of_first = |credential: &Credential| credential.end_time < Time(42);
    let removed: usize = std::thread::scope(|scope| {
        let removers = [(); 3].map(|()| scope.spawn(|| cache.remove(of_first).expect("removed")));
        tickets(&owner, 100..140).for_each(|ticket| cache.store(&ticket).expect("stored"));
        removers.into_iter().map(|remover| remover.join().expect("no panic")).sum()
    });
    assert_eq!(removed, 40, "each was removed by one of them");
    let mut left = cache.load().expect("a cache").credentials;
    left.sort_by_key(|credential| credential.end_time);
    assert!(left.into_iter().eq(tickets(&owner, 100..140)), "what was stored meanwhile is there");
    cache.destroy().expect("gone");
}

#[test]
fn those_who_remove_and_store_at_once_take_nothing_from_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("kcm");
    let _daemon = kcmd(&socket);
    let config = Config::parse("krb5.conf", &format!("[libdefaults]\n{}\n", setting(&socket))).expect("a krb5.conf");
    all_at_once(&CacheName::parse("KCM:busy").expect("a name").as_configured(&config));
}

#[test]
fn b10_users_whom_a_namespace_does_not_know_are_not_served_as_one() {
    let Some(nobody) = User::named("nobody").filter(|_| is_root()) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path());
    let socket = folder.path().join("kcm");
    let arguments = vec!["--user", "--map-root-user"];
    let unshare = tests::Program { path: "/usr/bin/unshare".into(), arguments, libraries: None };
    if !Tool::new(unshare.clone()).args(["true"]).run().is_success() {
        tests::tell("SKIPPED: no user namespaces here\n");
        return;
    }
    let tool = Tool::new(unshare).args([Family::Ours.program("kcmd").path]).args(["--socket"]).args([&socket]);
    let _daemon = Daemon::start(tool.command(), "ready at");
    let configuration = folder.path().join("krb5.conf");
    std::fs::write(&configuration, format!("[libdefaults]\n{}\n", setting(&socket))).expect("a krb5.conf");
    let klist = tests::Program { path: readable(folder.path(), "klist"), arguments: vec![], libraries: None };
    let klist = || -> Tool {
        let tool = Tool::new(klist.clone()).env("KRB5_CONFIG", &configuration);
        tool.env("KRB5CCNAME", "KCM:x").env("LC_ALL", "C")
    };
    klist().run().fails().not_saying("I/O");
    klist().user(nobody).run().fails().saying("I/O");
}

fn open(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("open to all");
}

/// A program that everybody may run.
fn readable(folder: &Path, name: &'static str) -> PathBuf {
    let copy = folder.join(name);
    std::fs::copy(Family::Ours.program(name).path, &copy).expect("a copy");
    copy
}

#[test]
fn what_is_no_request_ends_a_connection_or_is_refused_and_nobody_else_notices() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("kcm");
    let mut daemon = kcmd(&socket);
    let ask = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(&socket).expect("a daemon");
        stream.write_all(bytes).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("said all");
        let mut answer = vec![];
        let _ = stream.read_to_end(&mut answer);
        answer
    };
    assert_eq!(ask(&u32::MAX.to_be_bytes()), [0; 0], "too long");
    assert_eq!(ask(b"\0\0"), [0; 0]);
    assert_eq!(ask(b"\0\0\0\x08\x02\0"), [0; 0], "half a request");
    let malformed = (-1_765_328_185_i32).to_be_bytes();
    let unsupported = (-1_765_328_137_i32).to_be_bytes();
    assert_eq!(ask(b"\0\0\0\0"), [&[0, 0, 0, 4, 0, 0, 0, 0], &malformed[..]].concat());
    assert_eq!(ask(b"\0\0\0\x04\x02\0\0\x10"), [&[0, 0, 0, 4, 0, 0, 0, 0], &unsupported[..]].concat());
    let silent: Vec<_> = (0..200).map(|_| UnixStream::connect(&socket).expect("a daemon")).collect();
    drop(silent);
    // Those are of one user, who has no more places until the daemon has noticed that they are gone.
    let deadline = std::time::Instant::now() + tests::PATIENCE;
    while ask(b"\0\0\0\x04\x02\0\0\0") != [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0] {
        assert!(std::time::Instant::now() < deadline, "nobody is served any more");
        std::thread::yield_now();
    }
    // A second daemon does not take the place of one that lives; that of a dead one it does.
    Tool::new(Family::Ours.program("kcmd")).args(["--socket"]).args([&socket]).run().fails_with(1);
    daemon.kill();
    let mut next = kcmd(&socket);
    assert!(next.stop().success());
    assert!(!socket.exists());
}

#[test]
fn our_programs_use_heimdals_daemon() {
    let path = peers_home().join("heimdal/usr/sbin/kcm");
    if optional_peer("heimdal-kcm", &path.display().to_string()).is_none() || !is_root() || !Family::Mit.present() {
        return;
    }
    // It listens where it wants to.
    if UnixStream::connect(HEIMDALS).is_ok() {
        return;
    }
    let realm = realm();
    let seat = realm.seat(Family::Ours);
    let tool = seat.program(Family::Heimdal.program("kcm"));
    let mut child = tool.command().spawn().expect("a daemon");
    let deadline = std::time::Instant::now() + tests::PATIENCE;
    while UnixStream::connect(HEIMDALS).is_err() {
        assert!(std::time::Instant::now() < deadline, "it does not listen");
        std::thread::yield_now();
    }
    let at = At::new(&seat, "KCM:");
    let used = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        at.kinit(Family::Ours, "alice");
        at.tool(Family::Ours, "kvno").args(["host/www.example.org"]).run().succeeds();
        let listing = at.klist(Family::Ours, &["-e"]);
        assert!(listing.contains("host/www.example.org") && listing.contains("alice@"), "{listing}");
        assert_eq!(at.klist(Family::Mit, &["-e"]), listing, "MIT's reads there what ours wrote");
        at.kinit(Family::Mit, "bob");
        let all = at.klist(Family::Ours, &["-l"]);
        assert!(all.contains("alice@") && all.contains("bob@"), "{all}");
        at.tool(Family::Ours, "kswitch").args(["-p", "alice"]).run().succeeds();
        assert!(at.klist(Family::Mit, &[]).contains("Default principal: alice@"));
        at.tool(Family::Ours, "kdestroy").args(["-A"]).run().succeeds();
        at.tool(Family::Ours, "klist").run().fails_with(1);
        what_fits_is_removed(&at);
        all_at_once(&CacheName::parse("KCM:0:busy").expect("a name"));
    }));
    let _ = child.kill();
    let _ = child.wait();
    let _ = std::fs::remove_file(HEIMDALS);
    if let Err(panic) = used {
        std::panic::resume_unwind(panic);
    }
}
