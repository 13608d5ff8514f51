//! PostgreSQL with `gss` in pg_hba.conf: psql and the server, both with MIT's library, meet with
//! tickets of our KDC, over plain connections and over such that GSS-API encrypts.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tests::{Daemon, Pair, Port, Program, Realm, Said, Seat, Secret, Tool, User, optional_peer, suite};

const SERVICE: &str = "postgres/localhost";

suite! {
    mit_tools_our_kdc: Mit, Ours;
    our_tools_our_kdc: Ours, Ours;
    our_tools_mit_kdc: Ours, Mit;
    => {
        a_ticket_opens_the_database;
        a_connection_is_encrypted_with_the_tickets_key;
        who_has_no_ticket_is_refused;
        a_ticket_opens_no_role_but_its_own;
        a_map_turns_principals_into_roles;
        a_server_without_the_services_key_refuses_the_ticket;
    }
}

/// Which role is whose, one line a way of telling.
const HBA: &str = r#"
host       all  alice                 127.0.0.1/32  gss  include_realm=0 krb_realm=EXAMPLE.ORG
host       all  "alice@EXAMPLE.ORG"   127.0.0.1/32  gss  include_realm=1
host       all  auditor               127.0.0.1/32  gss  map=auditors
host       all  stranger              127.0.0.1/32  gss  map=auditors krb_realm=OTHER.ORG
hostgssenc all  sealed                127.0.0.1/32  gss  map=auditors
"#;

const IDENT: &str = r#"
auditors  /^([a-z]+)@EXAMPLE\.ORG$  auditor
auditors  alice@EXAMPLE.ORG         stranger
auditors  alice@EXAMPLE.ORG         sealed
"#;

const ROLES: &str = r#"
create role alice login;
create role "alice@EXAMPLE.ORG" login;
create role auditor login;
create role stranger login;
create role sealed login;
"#;

/// Who the server says that we are, and how it knows.
const WHO: &str = "select current_user, principal, encrypted from pg_stat_gssapi where pid = pg_backend_pid()";

/// A database server with one keytab. Gone when dropped.
struct Postgres {
    port: Port,
    log: Daemon,
    _folder: TempDir,
}

impl Postgres {
    /// `None` when there is no PostgreSQL here.
    fn start(seat: &Seat<'_>, keytab: &Path) -> Option<Postgres> {
        let (initdb, postgres) = (program("initdb")?, program("postgres")?);
        let folder = tempfile::Builder::new().prefix("krb-postgres-").tempdir().expect("a temporary folder");
        let place = folder.path();
        for (name, from) in [("krb5.conf", seat.configuration()), ("keytab", keytab.to_owned())] {
            std::fs::copy(from, place.join(name)).expect("a file for the server");
            give(&place.join(name));
        }
        give(place);
        let (data, port) = (place.join("data"), Port::claim());
        at_home(initdb, place).args(["-N", "-A", "reject", "-D"]).args([&data]).run().succeeds();
        std::fs::write(data.join("pg_hba.conf"), HBA).expect("a pg_hba.conf");
        std::fs::write(data.join("pg_ident.conf"), IDENT).expect("a pg_ident.conf");
        // The server alone with its files: no password and no socket is needed to make the roles.
        let single = at_home(postgres.clone(), place).args(["--single", "-F", "-D"]).args([&data]);
        single.args(["postgres"]).stdin(ROLES).run().succeeds();
        let daemon = at_home(postgres, place).args(["-F", "-D"]).args([&data]).args([
            "-c".to_owned(),
            format!("krb_server_keyfile={}", place.join("keytab").display()),
            "-c".to_owned(),
            format!("port={}", port.number()),
            "-c".to_owned(),
            "listen_addresses=127.0.0.1".to_owned(),
            "-c".to_owned(),
            "unix_socket_directories=".to_owned(),
        ]);
        let log = Daemon::start(daemon.command(), "ready to accept connections");
        Some(Postgres { port, log, _folder: folder })
    }

    /// What psql at this seat says to a query in this role.
    fn ask(&self, seat: &Seat<'_>, role: &str, gssencmode: &str, query: &str) -> Said {
        let psql = program("psql").expect("psql beside the server");
        let place = format!(
            "host=localhost hostaddr=127.0.0.1 port={} dbname=postgres user={role} gssencmode={gssencmode}",
            self.port.number()
        );
        seat.program(psql).args(["--no-psqlrc", "--no-password", "-At", "-c", query, &place]).run()
    }
}

/// PostgreSQL's own folder of programs, whichever its version; absence is treated as for any peer.
fn program(name: &str) -> Option<Program> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folder = versions.map(|entry| entry.path()).max().unwrap_or(PathBuf::from("/usr/lib/postgresql/VERSION"));
    optional_peer("PostgreSQL", &folder.join("bin").join(name).to_string_lossy())
}

/// The server refuses to be root.
fn give(path: &Path) {
    if let Some(user) = User::named("postgres") {
        user.owns(path);
    }
}

fn at_home(program: Program, place: &Path) -> Tool {
    let tool = Tool::new(program)
        .env("KRB5_CONFIG", place.join("krb5.conf"))
        .env("KRB5RCACHEDIR", place)
        .env("HOME", place)
        .folder(place);
    match User::named("postgres") {
        Some(user) => tool.user(user),
        None => tool,
    }
}

/// A server with the service's key, and alice with a ticket in front of it; nothing without a peer.
fn at_the_database(pair: Pair, test: impl FnOnce(&Realm, &Seat<'_>, &Postgres)) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    if let Some(server) = Postgres::start(&seat, &keytab) {
        test(&realm, &seat, &server);
    }
}

fn a_ticket_opens_the_database(pair: Pair) {
    at_the_database(pair, |_, seat, server| {
        let said = server.ask(seat, "alice", "disable", WHO).succeeds();
        assert_eq!(said.stdout(), "alice|alice@EXAMPLE.ORG|f\n");
        assert_eq!(seat.ticket(SERVICE).service, "postgres/localhost@EXAMPLE.ORG");
    });
}

fn a_connection_is_encrypted_with_the_tickets_key(pair: Pair) {
    at_the_database(pair, |_, seat, server| {
        let said = server.ask(seat, "alice", "require", WHO).succeeds();
        assert_eq!(said.stdout(), "alice|alice@EXAMPLE.ORG|t\n");
        let much = server.ask(seat, "sealed", "require", "select repeat('0123456789', 100000)").succeeds();
        assert_eq!(much.stdout().trim_end().len(), 1_000_000);
        // This role is for encrypted connections only: the ticket alone does not open it.
        server.ask(seat, "sealed", "disable", WHO).fails_with(2).saying("no pg_hba.conf entry");
    });
}

fn who_has_no_ticket_is_refused(pair: Pair) {
    at_the_database(pair, |realm, _, server| {
        let nobody = pair.seat(realm);
        server.ask(&nobody, "alice", "disable", WHO).fails_with(2).saying("No Kerberos credentials available");
        server.ask(&nobody, "alice", "require", WHO).fails_with(2).saying("GSSAPI encryption required");
    });
}

fn a_ticket_opens_no_role_but_its_own(pair: Pair) {
    at_the_database(pair, |realm, _, server| {
        realm.add("bob", "hunter2", &[]);
        let bob = pair.seat(realm);
        bob.kinit(&["bob"], "hunter2").succeeds();
        for gssencmode in ["disable", "require"] {
            server.ask(&bob, "alice", gssencmode, WHO).fails_with(2).saying("GSSAPI authentication failed");
        }
        server.log.says("authenticated user name (bob) do not match");
    });
}

fn a_map_turns_principals_into_roles(pair: Pair) {
    at_the_database(pair, |_, seat, server| {
        for role in ["auditor", "alice@EXAMPLE.ORG"] {
            let said = server.ask(seat, role, "disable", WHO).succeeds();
            assert_eq!(said.stdout(), format!("{role}|alice@EXAMPLE.ORG|f\n"));
        }
        server.ask(seat, "stranger", "disable", WHO).fails_with(2).saying("GSSAPI authentication failed");
    });
}

fn a_server_without_the_services_key_refuses_the_ticket(pair: Pair) {
    at_the_database(pair, |realm, seat, server| {
        // The service's key changes and the server keeps the old one.
        server.ask(seat, "alice", "disable", WHO).succeeds();
        realm.change(SERVICE, Secret::Random);
        seat.kinit(&["alice"], "secret").succeeds();
        server.ask(seat, "alice", "disable", WHO).fails_with(2).saying("Key version is not available");
        server.log.says("accepting GSS security context failed");
    });
}
