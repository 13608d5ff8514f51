//! Real KDCs on both sides of a trust: two of ours, ours with MIT's, ours with Heimdal's; and clients of each
//! family that go from one to the other.

use std::path::PathBuf;

use tests::{AES128_SHA1, AES256_SHA1, Daemon, Family, Plan, Port, Realm, Seat};

/// What both sides of a trust know.
const PASSWORD: &str = "between these realms only";
const SERVICE: &str = "host/server.away.test";

/// A realm with the kinds of keys that all families have, which are also quickly made of passwords.
fn plan(name: &str) -> Plan {
    Plan::default().named(name).with_etypes(&[AES256_SHA1, AES128_SHA1])
}

/// Whose tools go from whose realm to whose.
#[derive(Clone, Copy)]
pub struct Trio {
    pub client: Family,
    pub home: Family,
    pub away: Family,
}

impl Trio {
    /// With the subject in our place; `None` when one of them is not here.
    pub fn present(client: Family, home: Family, away: Family) -> Option<Trio> {
        let [client, home, away] = [client, home, away].map(Family::or_subject);
        let all = client.has_clients() && home.has_kdc() && away.has_kdc() && Family::Mit.has_clients();
        all.then_some(Trio { client, home, away })
    }

    /// Realms HOME.TEST with the user alice and AWAY.TEST with bob and a service.
    pub fn realms(self) -> (Realm, Realm) {
        let home = plan("HOME.TEST").start(self.home);
        let away = plan("AWAY.TEST").start(self.away);
        home.add("alice", "secret", &[]);
        away.add("bob", "secret", &[]);
        (home, away)
    }

    /// The same; who asks at home for a name of mail.test is sent away. `None` for MIT's database, which has
    /// no aliases.
    pub fn referring(self) -> Option<(Realm, Realm)> {
        let (mut home, away) = (self.away == Family::Ours).then(|| self.realms())?;
        let file = home.folder().join("kdc/kdc.toml");
        let text = std::fs::read_to_string(&file).expect("kdc.toml");
        let text = text.replace("[referrals]\n", "[referrals]\nclient_realm = { \"mail.test\" = \"AWAY.TEST\" }\n");
        std::fs::write(&file, text).expect("kdc.toml");
        home.restart();
        away.query(&["add_alias", r"robert\@mail.test", "bob"]);
        Some((home, away))
    }
}

macro_rules! between {
    ($($pair:ident: $client:ident, $home:ident, $away:ident;)+ => $tests:tt) => {
        $(between!(@one $pair $client $home $away $tests);)+
    };
    (@one $pair:ident $client:ident $home:ident $away:ident { $($test:ident;)+ }) => {
        mod $pair {
            use tests::Family;
            $(#[test]
            fn $test() {
                if let Some(trio) = super::Trio::present(Family::$client, Family::$home, Family::$away) {
                    super::$test(trio);
                }
            })+
        }
    };
}

between! {
    our_tools_between_ours: Ours, Ours, Ours;
    mit_tools_between_ours: Mit, Ours, Ours;
    heimdal_tools_between_ours: Heimdal, Ours, Ours;
    our_tools_from_ours_to_mit: Ours, Ours, Mit;
    mit_tools_from_ours_to_mit: Mit, Ours, Mit;
    our_tools_from_mit_to_ours: Ours, Mit, Ours;
    mit_tools_from_mit_to_ours: Mit, Mit, Ours;
    our_tools_from_ours_to_heimdal: Ours, Ours, Heimdal;
    mit_tools_from_heimdal_to_ours: Mit, Heimdal, Ours;
    heimdal_tools_from_heimdal_to_ours: Heimdal, Heimdal, Ours;
    => {
        a_trust_leads_in_its_own_direction_only;
    }
}

/// Lets the clients of `from` go to `to`.
pub fn trust(from: &Realm, to: &Realm) {
    let name = format!("krbtgt/{}@{}", to.name(), from.name());
    [from, to].iter().for_each(|realm| realm.add(&name, PASSWORD, &[]));
}

/// A seat at home that knows the other realms.
pub fn seat<'a>(client: Family, home: &'a Realm, others: &[&Realm]) -> Seat<'a> {
    let seat = home.seat(client);
    others.iter().for_each(|other| {
        let domain = other.name().to_lowercase();
        seat.knows(other).append(&format!("[domain_realm]\n .{domain} = {}\n", other.name()));
    });
    seat
}

/// Whether the seat's ticket for a service opens with this keytab.
pub fn opens(seat: &Seat<'_>, service: &str, keytab: &PathBuf) {
    let kvno = seat.program(Family::Mit.program("kvno")).args(["-k"]).args([keytab]).args([service]);
    kvno.run().succeeds().saying("keytab entry valid");
}

fn a_trust_leads_in_its_own_direction_only(trio: Trio) {
    let (home, away) = trio.realms();
    let keytab = away.add_service(SERVICE);
    home.add_service("host/server.home.test");
    trust(&home, &away);
    let alice = seat(trio.client, &home, &[&away]);
    alice.kinit(&["alice"], "secret").succeeds();
    let service = format!("{SERVICE}@AWAY.TEST");
    alice.fetch(&[&service]).succeeds();
    opens(&alice, &service, &keytab);
    let names: Vec<_> = alice.tickets().into_iter().map(|ticket| ticket.service).collect();
    assert!(names.contains(&"krbtgt/AWAY.TEST@HOME.TEST".to_owned()), "{names:?}");
    let back = seat(trio.client, &away, &[&home]);
    back.kinit(&["bob"], "secret").succeeds();
    back.fetch(&["host/server.home.test@HOME.TEST"]).fails_with(1);
    trust(&away, &home);
    back.fetch(&["host/server.home.test@HOME.TEST"]).succeeds();
}

/// Says to a KDC of ours or MIT's which realms may lie between, and which hosts are elsewhere.
fn configure(realm: &mut Realm, capaths: &[(&str, &str, &str)], hosts: &[(&str, &str)]) {
    let ours = realm.family() == Family::Ours;
    let file = realm.folder().join(if ours { "kdc/kdc.toml" } else { "kdc-krb5.conf" });
    let mut text = std::fs::read_to_string(&file).expect("the KDC's settings");
    if ours {
        let rows: Vec<_> = hosts.iter().map(|(host, realm)| format!("\"{host}\" = \"{realm}\"")).collect();
        let table = format!("[referrals]\ndomain_realm = {{ {} }}\n", rows.join(", "));
        text = text.replace("[referrals]\n", &table);
        for (client, server, between) in capaths {
            text += &format!("[capaths.\"{client}\"]\n\"{server}\" = [\"{between}\"]\n");
        }
    } else {
        for (client, server, between) in capaths {
            text += &format!("[capaths]\n {client} = {{\n  {server} = {between}\n }}\n");
        }
        text += "[domain_realm]\n";
        hosts.iter().for_each(|(host, realm)| text += &format!(" {host} = {realm}\n"));
    }
    std::fs::write(&file, text).expect("the KDC's settings");
    realm.restart();
}

/// Through B.TEST, whom nobody finds between A.TEST and C.TEST by their names.
fn a_path_is_walked_where_it_is_written_down(families: [Family; 3]) {
    let families = families.map(Family::or_subject);
    if !families.iter().all(|family| family.has_kdc()) || !Family::Mit.has_clients() {
        return;
    }
    let mut number = 0;
    let [a, b, mut c] = families.map(|family| {
        number += 1;
        plan(["A.TEST", "B.TEST", "C.TEST"][number - 1]).start(family)
    });
    a.add("alice", "secret", &[]);
    let keytab = c.add_service("host/server.c.test");
    trust(&a, &b);
    trust(&b, &c);
    let service = "host/server.c.test@C.TEST";
    for client in [Family::Ours, Family::Mit].map(Family::or_subject) {
        let alice = seat(client, &a, &[&b, &c]);
        alice.append("[capaths]\n A.TEST = {\n  C.TEST = B.TEST\n }\n");
        alice.kinit(&["alice"], "secret").succeeds();
        alice.fetch(&[service]).fails_with(1).saying("KDC policy rejects");
    }
    configure(&mut c, &[("A.TEST", "C.TEST", "B.TEST")], &[]);
    for client in [Family::Ours, Family::Mit].map(Family::or_subject) {
        let alice = seat(client, &a, &[&b, &c]);
        alice.append("[capaths]\n A.TEST = {\n  C.TEST = B.TEST\n }\n");
        alice.kinit(&["alice"], "secret").succeeds();
        alice.fetch(&[service]).succeeds();
        opens(&alice, service, &keytab);
        let ticket = alice.tickets().into_iter().find(|ticket| ticket.service == service).expect("the ticket");
        assert!(ticket.has("T"), "the KDC has looked at the path: {}", ticket.flags);
    }
}

#[test]
fn three_realms_of_ours_on_a_path_that_is_written_down() {
    a_path_is_walked_where_it_is_written_down([Family::Ours; 3]);
}

#[test]
fn ours_between_two_of_mits() {
    a_path_is_walked_where_it_is_written_down([Family::Mit, Family::Ours, Family::Mit]);
}

#[test]
fn mits_between_two_of_ours() {
    a_path_is_walked_where_it_is_written_down([Family::Ours, Family::Mit, Family::Ours]);
}

/// From HOME.A.TEST to C.A.TEST through A.TEST, which nobody has to say.
#[test]
fn a_hierarchy_is_walked_without_a_word_about_it() {
    let [client, home, parent, child] = [Family::Mit, Family::Ours, Family::Mit, Family::Ours].map(Family::or_subject);
    if !client.has_clients() || ![home, parent, child].iter().all(|family| family.has_kdc()) {
        return;
    }
    let home = plan("HOME.A.TEST").start(home);
    let parent = plan("A.TEST").start(parent);
    let child = plan("C.A.TEST").start(child);
    home.add("alice", "secret", &[]);
    let keytab = child.add_service("host/server.c.a.test");
    trust(&home, &parent);
    trust(&parent, &child);
    for client in [client, Family::Ours.or_subject()] {
        let alice = seat(client, &home, &[&parent, &child]);
        alice.kinit(&["alice"], "secret").succeeds();
        alice.fetch(&["host/server.c.a.test@C.A.TEST"]).succeeds();
        opens(&alice, "host/server.c.a.test@C.A.TEST", &keytab);
    }
}

#[test]
fn who_asks_for_a_host_of_another_realm_is_referred_there() {
    for (home, away) in [(Family::Ours, Family::Ours), (Family::Ours, Family::Mit), (Family::Mit, Family::Ours)] {
        let Some(trio) = Trio::present(Family::Mit, home, away) else { return };
        let (mut home, away) = trio.realms();
        let keytab = away.add_service("HTTP/web.away.test");
        trust(&home, &away);
        configure(&mut home, &[], &[(".away.test", "AWAY.TEST")]);
        for client in [Family::Mit, Family::Ours].map(Family::or_subject) {
            // It knows where the other realm's KDC is, and nothing of its hosts.
            let alice = home.seat(client);
            alice.knows(&away);
            alice.kinit(&["alice"], "secret").succeeds();
            let kvno = alice.tool("kvno").args(["-S", "HTTP", "web.away.test"]);
            kvno.run().succeeds().saying("HTTP/web.away.test@");
            opens(&alice, "HTTP/web.away.test@AWAY.TEST", &keytab);
        }
    }
}

#[test]
fn who_logs_in_by_a_name_of_another_realm_is_sent_there() {
    let Some(trio) = Trio::present(Family::Mit, Family::Ours, Family::Ours) else { return };
    let Some((home, away)) = trio.referring() else { return };
    for client in [Family::Mit, Family::Ours] {
        let somebody = seat(client, &home, &[&away]);
        somebody.kinit(&["-E", "robert@mail.test"], "secret").succeeds();
        let names: Vec<_> = somebody.tickets().into_iter().map(|ticket| ticket.service).collect();
        assert_eq!(names, ["krbtgt/AWAY.TEST@AWAY.TEST"], "{client:?}");
    }
}

#[test]
fn who_is_sent_to_another_realm_gets_armor_for_it_with_the_armor_so_far() {
    let Some(trio) = Trio::present(Family::Mit, Family::Ours, Family::Ours) else { return };
    let Some((home, away)) = trio.referring() else { return };
    let keytab = home.add_service("host/server.home.test");
    let armored = |client: Family| {
        let somebody = seat(client, &home, &[&away]);
        let armor = somebody.path("armor").display().to_string();
        somebody.kinit_with(&keytab, &["-c", &armor, "host/server.home.test"]).succeeds();
        let said = somebody.kinit(&["-T", &armor, "-E", "robert@mail.test"], "secret");
        (somebody, said)
    };
    let said = armored(Family::Ours).1.fails_with(1);
    said.saying("no armor for realm \"AWAY.TEST\"").saying("kinit -T CACHE").saying("@AWAY.TEST");
    trust(&home, &away);
    for client in [Family::Mit, Family::Ours] {
        let (somebody, said) = armored(client);
        said.succeeds();
        let cache = std::fs::read(somebody.ccache()).expect("a cache");
        let cache = libkrb::ccache::Ccache::parse(&cache).expect("a cache");
        let method = cache.config("pa_type", Some(&libkrb::Principal::tgs("AWAY.TEST")));
        assert_eq!(method, Some(&b"138"[..]), "{client:?}: {}", somebody.trace());
    }
}

#[test]
fn armor_that_is_found_by_itself_is_found_for_the_other_realm_too() {
    let Some(trio) = Trio::present(Family::Ours, Family::Ours, Family::Ours) else { return };
    let Some((home, away)) = trio.referring().filter(|_| trio.client == Family::Ours) else { return };
    let hosts = [home.add_service("host/server.home.test"), away.add_service("host/server.home.test")];
    let both: String = hosts.iter().map(|keytab| format!("rkt {}\n", keytab.display())).collect();
    let somebody = seat(Family::Ours, &home, &[&away]);
    let keytab = somebody.path("keytab");
    let commands = format!("{both}wkt {}\n", keytab.display());
    somebody.tool("ktutil").stdin(commands).run().succeeds();
    let login = somebody.tool("kinit").args(["--armor", "auto", "-E", "robert@mail.test"]).env("KRB5_KTNAME", &keytab);
    login.stdin("secret\n").run().succeeds();
    assert!(somebody.trace().contains("in the armor of host/server.home.test@AWAY.TEST"), "{}", somebody.trace());
}

#[test]
fn a_service_of_mits_accepts_whoever_comes_through_our_kdc() {
    let Some(trio) = Trio::present(Family::Mit, Family::Mit, Family::Ours) else { return };
    let (home, away) = trio.realms();
    let keytab = away.add_service(SERVICE);
    trust(&home, &away);
    let (alice, service) = (seat(trio.client, &home, &[&away]), seat(trio.client, &away, &[&home]));
    alice.kinit(&["alice"], "secret").succeeds();
    service.append("[domain_realm]\n .away.test = AWAY.TEST\n");
    let port = Port::claim();
    let number = port.number().to_string();
    let name = "host@server.away.test";
    let server = service.program(Family::Mit.program("gss-server")).env("KRB5_KTNAME", &keytab);
    let server = Daemon::start(server.args(["-port", &number, "-verbose", name]).command(), "starting...");
    let client = alice.program(Family::Mit.program("gss-client")).args(["-port", &number]);
    client.args(["127.0.0.1", name, "a message"]).run().succeeds().saying("Signature verified.");
    assert!(server.log().contains("alice@HOME.TEST"), "{}", server.log());
}

#[test]
fn a_rule_of_kdc_toml_keeps_some_clients_from_some_services() {
    let Some(trio) = Trio::present(Family::Ours, Family::Ours, Family::Ours) else { return };
    if trio.away != Family::Ours {
        return;
    }
    let (home, mut away) = trio.realms();
    away.add_service(SERVICE);
    away.add_service("HTTP/server.away.test");
    trust(&home, &away);
    let file = away.folder().join("kdc/kdc.toml");
    let rule = "\n[[trust]]\nrealm = \"HOME.TEST\"\nservices = [\"HTTP/*\"]\nmax_life = \"10m\"\n";
    let text = std::fs::read_to_string(&file).expect("kdc.toml") + rule;
    std::fs::write(&file, text).expect("kdc.toml");
    away.restart();
    let alice = seat(trio.client, &home, &[&away]);
    alice.kinit(&["alice"], "secret").succeeds();
    alice.fetch(&["host/server.away.test@AWAY.TEST"]).fails_with(1).saying("KDC policy rejects request");
    alice.fetch(&["HTTP/server.away.test@AWAY.TEST"]).succeeds();
    let ticket = alice.tickets().into_iter().find(|ticket| ticket.service == "HTTP/server.away.test@AWAY.TEST");
    assert_eq!(ticket.expect("the ticket").life(), 600);
}

#[test]
fn kdc_trust_makes_both_sides_of_a_trust() {
    let Some(trio) = Trio::present(Family::Ours, Family::Ours, Family::Ours) else { return };
    if trio.home != Family::Ours {
        return;
    }
    let (home, away) = trio.realms();
    let keytab = away.add_service(SERVICE);
    let trust = |realm: &Realm, words: &[&str], input: &str| {
        let tool = tests::Tool::new(Family::Ours.program("kdc")).args(["trust"]).args(words).args(["--config"]);
        tool.args([realm.folder().join("kdc/kdc.toml")]).stdin(input).run()
    };
    let made = trust(&home, &["add", "AWAY.TEST", "--generate"], "").succeeds();
    let password = made.stdout().lines().find_map(|line| line.strip_prefix("Password: ")).expect("it is shown");
    trust(&away, &["add", "HOME.TEST"], &format!("{password}\n")).succeeds().saying("krbtgt/HOME.TEST@AWAY.TEST");
    trust(&away, &["list"], "").succeeds().saying("HOME.TEST  both ways");
    let alice = seat(trio.client, &home, &[&away]);
    alice.kinit(&["alice"], "secret").succeeds();
    let service = format!("{SERVICE}@AWAY.TEST");
    alice.tool("kvno").args(["-k"]).args([&keytab]).args([&service]).run().succeeds().saying("keytab entry valid");
    trust(&away, &["remove", "HOME.TEST"], "").succeeds().saying("deleted");
    alice.kinit(&["alice"], "secret").succeeds();
    alice.fetch(&[&service]).fails_with(1);
}
