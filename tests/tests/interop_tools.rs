//! What the tools say and where they put things, in the words that people's scripts wait for: MIT's
//! tools go through the same tests, so that the words are theirs. What needs no KDC is in
//! `kinit/tests`.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};

use libkrb::ccache::CacheName;
use tests::{Family, PATIENCE, Pair, Port, Realm, Said, Seat, optional_peer, suite};

const SERVICE: &str = "host/server.example.org";
const OTHER: &str = "host/other.example.org";

suite! {
    mit_tools_our_kdc: Mit, Ours;
    our_tools_our_kdc: Ours, Ours;
    our_tools_mit_kdc: Ours, Mit;
    => {
        verbose_kinit_says_which_cache_and_whose;
        verbose_kinit_says_that_it_renewed;
        a_named_keytab_needs_no_k;
        a_ticket_that_cannot_be_stored_is_a_failure;
        a_stopped_kdc_cannot_be_contacted;
        a_silent_kdc_is_passed_over;
        an_unknown_realm_has_no_kdc;
        an_empty_password_is_a_wrong_one;
        no_password_is_none;
        a_password_that_expires_soon_is_announced_to_who_types_it;
        an_enterprise_name_logs_in;
        a_pac_can_be_asked_for_or_not;
        an_unknown_service_gives_no_first_ticket;
        only_the_owners_ticket_is_renewed;
        a_collection_keeps_one_cache_a_principal;
        the_trace_tells_what_the_kdc_answered;
        nothing_typed_is_shown;
        kvno_goes_on_after_a_service_that_fails;
        kvno_makes_names_of_hosts;
        kvno_asks_for_an_etype;
        kvno_proves_keytabs;
        kvno_takes_only_what_is_cached;
        kvno_stores_where_it_is_told;
        kvno_gets_user_to_user_tickets;
        kvno_does_not_use_an_offset_where_clocks_are_not_followed;
    }
}

/// Where our tools do more than MIT's.
mod beyond {
    use super::{
        a_clock_that_the_kdc_does_not_share_is_corrected, a_failed_login_leaves_no_empty_cache_in_a_collection,
        a_locked_users_kvno_says_what_to_do, a_password_from_a_pipe_is_not_asked_for,
        an_interrupted_password_leaves_the_terminal_as_it_was, suite,
    };

    suite! {
        our_tools: Ours, Ours;
        => {
            a_clock_that_the_kdc_does_not_share_is_corrected;
            a_failed_login_leaves_no_empty_cache_in_a_collection;
            a_password_from_a_pipe_is_not_asked_for;
            a_locked_users_kvno_says_what_to_do;
            an_interrupted_password_leaves_the_terminal_as_it_was;
        }
    }
}

/// What MIT's tools cannot be asked for.
fn is_ours(pair: Pair) -> bool {
    pair.client == Family::Ours
}

fn kvno(seat: &Seat<'_>, arguments: &[&str]) -> Said {
    seat.tool("kvno").args(arguments).run()
}

fn verbose_kinit_says_which_cache_and_whose(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    let said = seat.kinit(&["-V", "alice"], "secret").succeeds();
    let expected = format!(
        "Using default cache: {}\nUsing principal: alice@EXAMPLE.ORG\nAuthenticated to Kerberos v5\n",
        seat.ccache().display()
    );
    assert_eq!(said.stderr(), expected);
    let other = format!("FILE:{}", seat.path("other").display());
    let said = seat.kinit(&["-V", "-c", &other, "alice"], "secret").succeeds();
    assert!(said.stderr().starts_with(&format!("Using specified cache: {other}\n")), "{}", said.stderr());
    assert!(seat.path("other").exists());
}

fn verbose_kinit_says_that_it_renewed(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["-r", "2d", "alice"], "secret").succeeds();
    let said = seat.tool("kinit").args(["-V", "-R"]).run().succeeds();
    let expected = "Using principal: alice@EXAMPLE.ORG\nInitialized cache\nStored credentials\n\
                    Authenticated to Kerberos v5\n";
    assert!(said.stderr().ends_with(expected), "{}", said.stderr());
}

fn a_named_keytab_needs_no_k(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.keytab("alice").display().to_string();
    let seat = pair.seat(&realm);
    let said = seat.tool("kinit").args(["-V", "-t", &keytab, "alice"]).run().succeeds();
    assert!(said.stderr().starts_with("keytab specified, forcing -k\n"), "{}", said.stderr());
    said.saying(&format!("Using keytab: {keytab}\n"));
    seat.tool("kinit")
        .args(["-k", "-t", &keytab, "bob"])
        .run()
        .fails_with(1)
        .saying("Keytab contains no suitable keys for bob@EXAMPLE.ORG while getting initial credentials");
}

fn a_ticket_that_cannot_be_stored_is_a_failure(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    let nowhere = seat.path("no/such/directory/cache").display().to_string();
    seat.kinit(&["-c", &nowhere, "alice"], "secret")
        .fails_with(1)
        .saying("kinit: Failed to store credentials: No credentials cache found")
        .saying("while getting initial credentials");
    let directory = seat.path("directory").display().to_string();
    std::fs::create_dir(&directory).expect("a directory");
    seat.kinit(&["-c", &directory, "alice"], "secret")
        .fails_with(1)
        .saying("kinit: Failed to store credentials: Credentials cache permissions incorrect");
}

fn a_stopped_kdc_cannot_be_contacted(pair: Pair) {
    let mut realm = pair.realm();
    realm.add_service(SERVICE);
    pair.seat(&realm).kinit(&["alice"], "secret").succeeds();
    let address = realm.address();
    realm.stop();
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret")
        .fails_with(1)
        .saying("kinit: Cannot contact any KDC for realm 'EXAMPLE.ORG' while getting initial credentials");
    assert!(seat.trace().contains(&address.to_string()), "the trace says who was asked: {}", seat.trace());
}

fn a_silent_kdc_is_passed_over(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    let port = Port::claim();
    let _silent = UdpSocket::bind(port.address()).expect("a port that answers nobody");
    let configuration = format!(
        "[libdefaults]\n default_realm = EXAMPLE.ORG\n dns_lookup_kdc = false\n\
         [realms]\n EXAMPLE.ORG = {{\n  kdc = {}\n  kdc = {}\n }}\n",
        port.address(),
        realm.address()
    );
    std::fs::write(seat.path("two.conf"), configuration).expect("a krb5.conf");
    let kinit = seat.tool("kinit").env("KRB5_CONFIG", seat.path("two.conf")).args(["alice"]).stdin("secret\n");
    kinit.run().succeeds();
    for asked in [port.address(), realm.address()] {
        assert!(seat.trace().contains(&asked.to_string()), "{asked} was asked: {}", seat.trace());
    }
}

fn an_unknown_realm_has_no_kdc(pair: Pair) {
    let realm = pair.realm();
    pair.seat(&realm)
        .kinit(&["alice@NOWHERE.ORG"], "secret")
        .fails_with(1)
        .saying("kinit: Cannot find KDC for realm \"NOWHERE.ORG\" while getting initial credentials");
}

fn an_empty_password_is_a_wrong_one(pair: Pair) {
    let realm = pair.realm();
    pair.seat(&realm)
        .kinit(&["alice"], "")
        .fails_with(1)
        .saying("kinit: Password incorrect while getting initial credentials");
}

fn no_password_is_none(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.tool("kinit")
        .args(["alice"])
        .run()
        .fails_with(1)
        .saying("Cannot read password while getting initial credentials");
}

fn a_password_that_expires_soon_is_announced_to_who_types_it(pair: Pair) {
    let realm = pair.realm();
    realm.modify("alice", &["-pwexpire", "3days"]);
    let seat = pair.seat(&realm);
    let said = seat.kinit(&["alice"], "secret").succeeds();
    assert!(said.stdout().contains("Warning: Your password will expire in "), "{}", said.stdout());
    seat.kinit_with(&realm.keytab("alice"), &["alice"]).succeeds().not_saying("Warning");
}

fn an_enterprise_name_logs_in(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    let said = seat.kinit(&["-V", "-E", "alice@mail.org"], "secret").fails_with(1);
    said.saying("Using principal: alice\\@mail.org@EXAMPLE.ORG\n");
    seat.kinit(&["-E", "-C", "alice"], "secret").succeeds();
    assert!(seat.tgt().has("IA"));
}

fn a_pac_can_be_asked_for_or_not(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    for wish in ["--request-pac", "--no-request-pac"] {
        seat.kinit(&[wish, "alice"], "secret").succeeds();
    }
}

fn an_unknown_service_gives_no_first_ticket(pair: Pair) {
    let realm = pair.realm();
    pair.seat(&realm)
        .kinit(&["-S", "host/nosuch.example.org", "alice"], "secret")
        .fails_with(1)
        .saying("kinit: Server not found in Kerberos database while getting initial credentials");
}

fn only_the_owners_ticket_is_renewed(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["-r", "2d", "alice"], "secret").succeeds();
    let missing = format!(
        "kinit: Matching credential not found (filename: {}) while renewing credentials",
        seat.ccache().display()
    );
    seat.tool("kinit").args(["-R", "bob"]).run().fails_with(1).saying(&missing);
    seat.tool("kinit").args(["-R", "-S", SERVICE]).run().fails_with(1).saying(&missing);
    seat.kinit(&["alice"], "secret").succeeds();
    seat.tool("kinit")
        .args(["-R"])
        .run()
        .fails_with(1)
        .saying("kinit: KDC can't fulfill requested option while renewing credentials");
}

fn in_collection(seat: &Seat<'_>, arguments: &[&str], password: &str) -> Said {
    let collection = format!("DIR:{}", seat.path("collection").display());
    seat.tool("kinit").env("KRB5CCNAME", collection).args(arguments).stdin(format!("{password}\n")).run()
}

fn a_collection_keeps_one_cache_a_principal(pair: Pair) {
    let realm = pair.realm();
    realm.add("bob", "secret", &[]);
    let seat = pair.seat(&realm);
    let collection = seat.path("collection").display().to_string();
    let klist = |arguments: &[&str]| {
        let tool = seat.tool("klist").env("KRB5CCNAME", format!("DIR:{collection}"));
        tool.args(arguments).run().succeeds().stdout().to_owned()
    };
    in_collection(&seat, &["-V", "alice"], "secret").succeeds().saying(&format!("default cache: :{collection}/tkt\n"));
    in_collection(&seat, &["-V", "bob"], "secret").succeeds().saying(&format!("Using new cache: :{collection}/tkt"));
    assert!(klist(&[]).contains("Default principal: bob@"), "the new one becomes the primary one");
    let said = in_collection(&seat, &["-V", "alice"], "secret").succeeds();
    said.saying(&format!("Using existing cache: :{collection}/tkt\n"));
    assert!(klist(&[]).contains("Default principal: alice@"), "the existing one becomes the primary one");
    assert_eq!(klist(&["-l"]).matches("@EXAMPLE.ORG").count(), 2);
    in_collection(&seat, &[], "secret").succeeds();
    assert!(klist(&[]).contains("Default principal: alice@"), "without a name it is the owner of the primary one");
}

fn the_trace_tells_what_the_kdc_answered(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    let kinit = seat.tool("kinit").env("KRB5_TRACE", "/dev/stderr").args(["alice"]).stdin("secret\n");
    let said = kinit.run().succeeds();
    for line in [
        "Getting initial credentials for alice@EXAMPLE.ORG",
        "bytes) to EXAMPLE.ORG",
        &format!("Sending initial UDP request to dgram {}", realm.address()),
        "Received error from KDC: -1765328359/Additional pre-authentication required",
    ] {
        assert!(said.stderr().contains(line), "{line}: {}", said.stderr());
    }
}

/// A terminal on which a command runs: what it shows, piece by piece, and the keys that are typed.
struct Terminal {
    child: std::process::Child,
    keys: std::process::ChildStdin,
    pieces: Receiver<Vec<u8>>,
    shown: String,
}

impl Terminal {
    /// Runs a line of the shell on a terminal of its own; none without the program `script`.
    fn open(seat: &Seat<'_>, line: &str) -> Option<Terminal> {
        let script = optional_peer("script", "/usr/bin/script")?;
        let mut command = seat.program(script).args(["-q", "-e", "-c", line, "/dev/null"]).command();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a terminal");
        let (sender, pieces) = channel();
        let mut screen = child.stdout.take().expect("a piped screen");
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut piece) {
                if sender.send(piece[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keys = child.stdin.take().expect("piped keys");
        Some(Terminal { child, keys, pieces, shown: String::new() })
    }

    fn wait_for(&mut self, text: &str) {
        while !self.shown.contains(text) {
            let piece = self.pieces.recv_timeout(PATIENCE);
            let piece = piece.unwrap_or_else(|why| panic!("'{text}' was not shown ({why}):\n{}", self.shown));
            self.shown.push_str(&String::from_utf8_lossy(&piece));
        }
    }

    fn type_keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("typed");
        self.keys.flush().expect("typed");
    }

    /// What was shown until the end, and the exit code.
    fn close(mut self) -> (String, Option<i32>) {
        while let Ok(piece) = self.pieces.recv_timeout(PATIENCE) {
            self.shown.push_str(&String::from_utf8_lossy(&piece));
        }
        (self.shown, self.child.wait().expect("an exit status").code())
    }
}

fn kinit_path(pair: Pair) -> String {
    pair.client.program("kinit").path.display().to_string()
}

fn nothing_typed_is_shown(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    let Some(mut terminal) = Terminal::open(&seat, &format!("{} alice", kinit_path(pair))) else { return };
    terminal.wait_for("Password for alice@EXAMPLE.ORG: ");
    // A typing error, taken back.
    terminal.type_keys("secrex\x7ft\n");
    let (shown, code) = terminal.close();
    assert_eq!((shown.as_str(), code), ("Password for alice@EXAMPLE.ORG: \r\n", Some(0)));
    assert!(seat.tgt().has("IA"));
}

fn an_interrupted_password_leaves_the_terminal_as_it_was(pair: Pair) {
    if !is_ours(pair) {
        return;
    }
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    let line = format!("{} alice; echo ended with $?; stty -a", kinit_path(pair));
    let Some(mut terminal) = Terminal::open(&seat, &line) else { return };
    terminal.wait_for("Password for alice@EXAMPLE.ORG: ");
    terminal.type_keys("sec\x03");
    let (shown, _) = terminal.close();
    assert!(shown.contains("kinit: Password read interrupted while getting initial credentials"), "{shown}");
    assert!(shown.contains("ended with 1"), "{shown}");
    assert!(shown.contains(" echo ") && shown.contains("isig ") && !shown.contains("-isig"), "{shown}");
    assert!(!seat.ccache().exists());
}

fn a_password_from_a_pipe_is_not_asked_for(pair: Pair) {
    if !is_ours(pair) {
        return;
    }
    let realm = pair.realm();
    let said = pair.seat(&realm).kinit(&["alice"], "secret").succeeds();
    assert_eq!((said.stdout(), said.stderr()), ("", ""));
}

fn a_failed_login_leaves_no_empty_cache_in_a_collection(pair: Pair) {
    if !is_ours(pair) {
        return;
    }
    let realm = pair.realm();
    realm.add("bob", "secret", &[]);
    let seat = pair.seat(&realm);
    in_collection(&seat, &["alice"], "secret").succeeds();
    in_collection(&seat, &["bob"], "wrong").fails_with(1).saying("Password incorrect");
    let names = std::fs::read_dir(seat.path("collection")).expect("the collection");
    let mut names: Vec<_> = names.map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["primary", "tkt"]);
}

/// A realm with two services and a user who has a ticket-granting ticket.
fn realm_with_services(pair: Pair) -> Realm {
    let realm = pair.realm();
    realm.add_service(SERVICE);
    realm.add_service(OTHER);
    realm
}

fn logged_in(pair: Pair, realm: &Realm) -> Seat<'_> {
    let seat = pair.seat(realm);
    seat.kinit(&["alice"], "secret").succeeds();
    seat
}

fn kvno_goes_on_after_a_service_that_fails(pair: Pair) {
    let realm = realm_with_services(pair);
    let seat = logged_in(pair, &realm);
    let unknown = "kvno: Server host/nosuch@EXAMPLE.ORG not found in Kerberos database \
                   while getting credentials for host/nosuch@EXAMPLE.ORG\n";
    let said = kvno(&seat, &[SERVICE, "host/nosuch", OTHER]).fails_with(1);
    assert_eq!(said.stdout().lines().count(), 2, "{}", said.stdout());
    assert!(said.stdout().contains(&format!("{OTHER}@EXAMPLE.ORG: kvno = ")), "{}", said.stdout());
    assert!(said.stderr().starts_with(unknown), "{}", said.stderr());
    let said = kvno(&seat, &["-q", SERVICE, "host/nosuch"]).fails_with(1);
    assert!(said.stdout().is_empty() && said.stderr().starts_with(unknown), "{} {}", said.stdout(), said.stderr());
    kvno(&seat, &["-u", "-S", "host", "server.example.org"]).fails_with(1).saying("mutually exclusive");
}

fn a_locked_users_kvno_says_what_to_do(pair: Pair) {
    let realm = realm_with_services(pair);
    let seat = logged_in(pair, &realm);
    realm.modify("alice", &["-allow_tix"]);
    kvno(&seat, &[SERVICE]).fails_with(1).saying("revoked").saying("locked or disabled: ask an administrator.");
}

fn kvno_makes_names_of_hosts(pair: Pair) {
    let realm = realm_with_services(pair);
    let seat = logged_in(pair, &realm);
    let said = kvno(&seat, &["-S", "host", "server.example.org", "OTHER.Example.ORG"]).succeeds();
    let said = said.saying("host/server.example.org@EXAMPLE.ORG: kvno = ");
    said.saying("host/other.example.org@EXAMPLE.ORG: kvno = ");
    kvno(&seat, &["-u", SERVICE]).succeeds();
}

fn kvno_asks_for_an_etype(pair: Pair) {
    let realm = realm_with_services(pair);
    let seat = logged_in(pair, &realm);
    kvno(&seat, &["-e", "aes128-cts", SERVICE]).succeeds();
    assert_eq!(seat.ticket(SERVICE).session_etype, "aes128-cts-hmac-sha1-96");
    kvno(&seat, &["-e", "rot13", SERVICE]).fails_with(1).saying("kvno: Invalid argument while converting etype");
}

fn kvno_proves_keytabs(pair: Pair) {
    let realm = realm_with_services(pair);
    let seat = logged_in(pair, &realm);
    let text = |path: &Path| path.display().to_string();
    let (good, others, old) = (text(&realm.keytab(SERVICE)), text(&realm.keytab(OTHER)), text(&seat.path("old")));
    kvno(&seat, &["-k", &good, SERVICE]).succeeds().saying(", keytab entry valid\n");
    let invalid = format!("kvno: Wrong principal in request while decrypting ticket for {SERVICE}@EXAMPLE.ORG\n");
    kvno(&seat, &["-k", &others, SERVICE]).fails_with(1).saying(", keytab entry invalid\n").saying(&invalid);
    kvno(&seat, &["-q", "-k", &others, SERVICE]).fails_with(1).not_saying("kvno = ");
    std::fs::copy(&good, &old).expect("a copy of the keytab");
    realm.change(SERVICE, tests::Secret::Random);
    kvno(&seat, &["-k", &old, SERVICE]).succeeds().saying(", keytab entry valid\n");
    let fresh = logged_in(pair, &realm);
    kvno(&fresh, &["-k", &old, SERVICE]).fails_with(1).saying(", keytab entry invalid\n").saying(&invalid);
    let missing = text(&seat.path("nosuch"));
    kvno(&seat, &["-k", &missing, SERVICE]).fails_with(1).saying(&format!("Key table file '{missing}' not found"));
}

fn kvno_takes_only_what_is_cached(pair: Pair) {
    let realm = realm_with_services(pair);
    let seat = logged_in(pair, &realm);
    let missing = format!(
        "kvno: Matching credential not found (filename: {}) while getting credentials for {SERVICE}@EXAMPLE.ORG",
        seat.ccache().display()
    );
    kvno(&seat, &["--cached-only", SERVICE]).fails_with(1).saying(&missing);
    kvno(&seat, &[SERVICE]).succeeds();
    kvno(&seat, &["--cached-only", SERVICE]).succeeds();
}

fn kvno_stores_where_it_is_told(pair: Pair) {
    let realm = realm_with_services(pair);
    let seat = logged_in(pair, &realm);
    kvno(&seat, &["--no-store", SERVICE]).succeeds();
    let out = seat.path("out").display().to_string();
    kvno(&seat, &["--out-cache", &out, "host/nosuch"]).fails_with(1);
    assert!(!seat.path("out").exists(), "no cache without a ticket");
    kvno(&seat, &["--out-cache", &out, SERVICE, OTHER]).succeeds();
    assert_eq!(seat.tickets().len(), 1, "the ticket-granting ticket alone");
    let listed = seat.tool("klist").args(["-c", &out]).run().succeeds();
    assert_eq!(listed.stdout().matches("host/").count(), 2, "{}", listed.stdout());
    kvno(&seat, &["-c", &out, "--cached-only", SERVICE]).succeeds();
}

fn kvno_gets_user_to_user_tickets(pair: Pair) {
    let realm = realm_with_services(pair);
    realm.add("bob", "secret", &[]);
    let bob = pair.seat(&realm);
    bob.kinit(&["bob"], "secret").succeeds();
    let seat = logged_in(pair, &realm);
    let second = bob.ccache().display().to_string();
    kvno(&seat, &["--u2u", &second, "bob"]).succeeds().saying("bob@EXAMPLE.ORG: kvno = 0\n");
    let missing = seat.path("nosuch").display().to_string();
    kvno(&seat, &["--u2u", &missing, "bob"])
        .fails_with(1)
        .saying(&format!("No credentials cache found (filename: {missing}) while getting user-to-user ticket from"));
}

/// Makes the cache say that the KDC's clock is far ahead.
fn put_ahead(seat: &Seat<'_>) {
    let name = CacheName::File(seat.ccache());
    let mut cache = name.load().expect("the cache");
    cache.kdc_offset = Some((5000, 0));
    name.replace(&cache).expect("a cache with another offset");
}

fn kvno_does_not_use_an_offset_where_clocks_are_not_followed(pair: Pair) {
    let realm = realm_with_services(pair);
    let seat = logged_in(pair, &realm);
    put_ahead(&seat);
    seat.set("kdc_timesync = 0");
    kvno(&seat, &[SERVICE]).succeeds();
    assert!(!seat.trace().contains("Clock skew too great"));
}

fn a_clock_that_the_kdc_does_not_share_is_corrected(pair: Pair) {
    if !is_ours(pair) {
        return;
    }
    let realm = realm_with_services(pair);
    let seat = pair.seat(&realm);
    seat.kinit(&["-r", "2d", "alice"], "secret").succeeds();
    put_ahead(&seat);
    kvno(&seat, &[SERVICE]).succeeds();
    assert!(seat.trace().contains("-1765328347/Clock skew too great"), "{}", seat.trace());
    seat.tool("kinit").args(["-R"]).run().succeeds();
    let offset = CacheName::File(seat.ccache()).load().expect("the cache").kdc_offset;
    assert!(offset.is_none_or(|(seconds, _)| seconds.abs() < 60), "what was learned is kept: {offset:?}");
}
