//! OpenSSH with GSSAPIAuthentication: ssh and sshd, both with MIT's library, meet with tickets of our
//! KDC; who may log in, what is handed on, and a host that is known by its ticket alone.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tests::{Daemon, Pair, Port, Realm, Said, Seat, Secret, Tool, is_root, optional_peer, suite};

const SERVICE: &str = "host/localhost";

suite! {
    mit_tools_our_kdc: Mit, Ours;
    our_tools_our_kdc: Ours, Ours;
    our_tools_mit_kdc: Ours, Mit;
    => {
        a_ticket_logs_in;
        a_listed_principal_logs_in_and_no_other;
        who_has_no_ticket_is_refused;
        a_forwarded_ticket_serves_for_the_next_hop;
        nothing_is_handed_on_that_was_not_asked_for;
        a_host_is_known_by_its_ticket;
    }
}

/// The one user that every machine has.
const USER: &str = "root";

const BY_TICKET: &[&str] = &["PreferredAuthentications=gssapi-with-mic", "StrictHostKeyChecking=accept-new"];

/// Who may log in as [`USER`].
enum Welcome<'a> {
    /// alice, by a rule of the host's krb5.conf.
    Rule,
    /// Those on the user's own list, its .k5login.
    List(&'a str),
}

/// A host with a key of its own. Gone when dropped.
struct Host {
    port: Port,
    log: Daemon,
    folder: TempDir,
}

impl Host {
    /// `None` where there is no OpenSSH, or it cannot be started.
    fn start(realm: &Realm, welcome: &Welcome<'_>) -> Option<Host> {
        let sshd = optional_peer("OpenSSH", "/usr/sbin/sshd").filter(|_| is_root())?;
        let keytab = realm.add_service(SERVICE);
        let folder = tempfile::Builder::new().prefix("krb-sshd-").tempdir().expect("a temporary folder");
        let (place, port) = (folder.path(), Port::claim());
        write_krb5_conf(realm, place, welcome);
        let configuration = write_sshd_config(place, &port);
        // Where sshd shuts in the part of it that strangers talk to; Debian makes it when the service starts.
        std::fs::create_dir_all("/run/sshd").expect("a folder for sshd");
        let daemon = Tool::new(sshd)
            .env("KRB5_CONFIG", place.join("krb5.conf"))
            .env("KRB5_KTNAME", keytab)
            .env("KRB5RCACHEDIR", place)
            .args(["-D", "-e", "-f"])
            .args([configuration]);
        let log = Daemon::start(daemon.command(), "Server listening");
        Some(Host { port, log, folder })
    }

    /// A command run here by ssh from this seat.
    fn run(&self, seat: &Seat<'_>, options: &[&str], command: &str) -> Said {
        let known = format!("UserKnownHostsFile={}", self.folder.path().join("known_hosts").display());
        let common = ["BatchMode=yes", "GSSAPIAuthentication=yes", "GlobalKnownHostsFile=/dev/null", &known];
        let ssh = seat.program(optional_peer("OpenSSH", "/usr/bin/ssh").expect("ssh beside sshd"));
        let ssh = ssh.args(["-F", "none", "-p", &self.port.number().to_string(), "-l", USER]);
        let ssh = common.iter().chain(options).fold(ssh, |ssh, option| ssh.args(["-o", option]));
        ssh.args(["localhost", command]).run()
    }
}

/// The list of who may log in is not looked for in anybody's home.
fn write_krb5_conf(realm: &Realm, place: &Path, welcome: &Welcome<'_>) {
    let lists = place.join("k5login");
    std::fs::create_dir(&lists).expect("a folder for lists");
    let rule = match welcome {
        Welcome::Rule => "auth_to_local = RULE:[1:$1@$0](^alice@EXAMPLE\\.ORG$)s/.*/root/",
        Welcome::List(names) => {
            std::fs::write(lists.join(USER), names).expect("a list");
            ""
        }
    };
    let text = format!(
        "[libdefaults]\n default_realm = EXAMPLE.ORG\n rdns = false\n dns_lookup_kdc = false\n k5login_directory = {}\n\
         [realms]\n EXAMPLE.ORG = {{\n  kdc = {}\n  {rule}\n }}\n[domain_realm]\n localhost = EXAMPLE.ORG\n",
        lists.display(),
        realm.address(),
    );
    std::fs::write(place.join("krb5.conf"), text).expect("the host's krb5.conf");
}

fn write_sshd_config(place: &Path, port: &Port) -> PathBuf {
    let key = place.join("host_key");
    let keygen = optional_peer("OpenSSH", "/usr/bin/ssh-keygen").expect("ssh-keygen beside sshd");
    Tool::new(keygen).args(["-q", "-t", "ed25519", "-N", "", "-f"]).args([&key]).run().succeeds();
    let text = format!(
        "ListenAddress 127.0.0.1\nPort {}\nHostKey {}\nPidFile none\nLogLevel VERBOSE\nUsePAM no\n\
         PermitRootLogin yes\nPrintMotd no\nPasswordAuthentication no\nPubkeyAuthentication no\n\
         GSSAPIAuthentication yes\nGSSAPIKeyExchange yes\nGSSAPIStrictAcceptorCheck no\n",
        port.number(),
        key.display(),
    );
    let path = place.join("sshd_config");
    std::fs::write(&path, text).expect("an sshd_config");
    path
}

fn at_the_host(pair: Pair, welcome: &Welcome<'_>, test: impl FnOnce(&Realm, &Seat<'_>, &Host)) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["-f", "alice"], "secret").succeeds();
    if let Some(host) = Host::start(&realm, welcome) {
        test(&realm, &seat, &host);
    }
}

fn bob<'a>(pair: Pair, realm: &'a Realm) -> Seat<'a> {
    realm.add("bob", "hunter2", &[]);
    let seat = pair.seat(realm);
    seat.kinit(&["bob"], "hunter2").succeeds();
    seat
}

fn a_ticket_logs_in(pair: Pair) {
    at_the_host(pair, &Welcome::Rule, |realm, seat, host| {
        assert_eq!(host.run(seat, BY_TICKET, "id -un").succeeds().stdout(), "root\n");
        seat.ticket(SERVICE);
        host.log.says("Authorized to root, krb5 principal alice@EXAMPLE.ORG");
        // bob's ticket is as good, and he is nobody here.
        host.run(&bob(pair, realm), BY_TICKET, "id -un").fails_with(255).saying("Permission denied");
    });
}

fn a_listed_principal_logs_in_and_no_other(pair: Pair) {
    at_the_host(pair, &Welcome::List("bob@EXAMPLE.ORG\n"), |realm, seat, host| {
        assert_eq!(host.run(&bob(pair, realm), BY_TICKET, "id -un").succeeds().stdout(), "root\n");
        host.run(seat, BY_TICKET, "id -un").fails_with(255).saying("Permission denied");
    });
}

fn who_has_no_ticket_is_refused(pair: Pair) {
    at_the_host(pair, &Welcome::Rule, |realm, seat, host| {
        host.run(&pair.seat(realm), BY_TICKET, "id -un").fails_with(255).saying("Permission denied");
        // Nor does a ticket help for a key that the host does not have.
        realm.change(SERVICE, Secret::Random);
        host.run(seat, BY_TICKET, "id -un").fails_with(255).saying("Permission denied");
    });
}

fn a_forwarded_ticket_serves_for_the_next_hop(pair: Pair) {
    at_the_host(pair, &Welcome::Rule, |realm, seat, host| {
        let keytab = realm.add_service("nfs/next.example.org");
        let configuration = host.folder.path().join("krb5.conf");
        let hop = format!(
            "export KRB5_CONFIG={}; klist -f && kvno -k {} nfs/next.example.org",
            configuration.display(),
            keytab.display()
        );
        let options = [BY_TICKET, &["GSSAPIDelegateCredentials=yes"]].concat();
        let said = host.run(seat, &options, &hop).succeeds();
        let said = said.saying("Default principal: alice@EXAMPLE.ORG").saying("Flags: Ff").saying("keytab entry valid");
        assert!(!said.stdout().contains(&seat.ccache().display().to_string()), "it is a cache of its own");
    });
}

fn nothing_is_handed_on_that_was_not_asked_for(pair: Pair) {
    at_the_host(pair, &Welcome::Rule, |_, seat, host| {
        assert_eq!(host.run(seat, BY_TICKET, "echo cache=$KRB5CCNAME").succeeds().stdout(), "cache=\n");
    });
}

fn a_host_is_known_by_its_ticket(pair: Pair) {
    at_the_host(pair, &Welcome::Rule, |realm, seat, host| {
        let strict = ["StrictHostKeyChecking=yes", "PreferredAuthentications=gssapi-keyex,gssapi-with-mic"];
        host.run(seat, &strict, "id -un").fails_with(255).saying("Host key verification failed");
        let by_ticket = [&strict[..], &["GSSAPIKeyExchange=yes"]].concat();
        assert_eq!(host.run(seat, &by_ticket, "id -un").succeeds().stdout(), "root\n");
        host.log.says("Accepted gssapi-keyex for root");
        // Another host that calls itself by this name has not its key.
        realm.change(SERVICE, Secret::Random);
        seat.kinit(&["alice"], "secret").succeeds();
        host.run(seat, &by_ticket, "id -un").fails_with(255).not_saying("root");
    });
}
