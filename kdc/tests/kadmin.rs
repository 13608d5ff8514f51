//! `kdc init`, `kdc check` and `kadmin` as people and scripts run them, with and without a running
//! KDC behind the socket.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use kdc::core::Store;
use kdc::{admin, config, kadmin, store};
use libkrb::Principal;

/// A realm in a folder of its own.
struct Realm {
    dir: tempfile::TempDir,
}

/// How a program ended and what it said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Realm {
    fn new() -> Realm {
        let realm = Realm { dir: tempfile::tempdir().expect("a folder") };
        let made = Command::new(env!("CARGO_BIN_EXE_kdc"))
            .args(["init", "--realm", "R", "--listen", "127.0.0.1:8888", "--dir"])
            .arg(realm.dir.path().join("realm"))
            .output()
            .expect("runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        realm
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("realm").join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("TZ", "UTC").env("KRB5_KTNAME", self.file("default.keytab"));
        command
    }

    /// kadmin with these arguments and this on its standard input.
    fn kadmin(&self, arguments: &[&str], input: &str) -> Said {
        let mut child = self
            .command(env!("CARGO_BIN_EXE_kadmin"))
            .arg("--config")
            .arg(self.file("kdc.toml"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("runs");
        let mut stdin = child.stdin.take().expect("piped");
        // A program that needs no input may be gone before it is written.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        Said::of(child.wait_with_output().expect("ends"))
    }

    fn query(&self, query: &str) -> Said {
        self.kadmin(&["-q", query], "")
    }

    fn check(&self) -> Said {
        let output =
            self.command(env!("CARGO_BIN_EXE_kdc")).arg("check").arg("--config").arg(self.file("kdc.toml")).output();
        Said::of(output.expect("runs"))
    }

    /// Runs `test` while the realm is served as a KDC does it; the store is the KDC's.
    fn served<T>(&self, test: impl FnOnce(&dyn Store) -> T) -> T {
        let config = config::load(&self.file("kdc.toml")).expect("sound");
        let opened =
            Arc::new(store::open(&config.store.file, &config.master_key, config.limits.kept()).expect("opens"));
        let registry = kadmin::registry(&config, Arc::clone(&opened)).expect("sound");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(async { admin::bind(&config.admin_socket) }).expect("bound");
        runtime.spawn(admin::serve(listener, Arc::new(registry), kdc::accept::Host::default().guest()));
        test(&*opened)
    }
}

impl Said {
    fn of(output: Output) -> Said {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        // Said of every new principal.
        let err = text(output.stderr)
            .lines()
            .filter(|line| !line.starts_with("No policy"))
            .map(|line| format!("{line}\n"))
            .collect();
        Said { code: output.status.code(), out: text(output.stdout), err }
    }

    /// What it printed, having ended well.
    #[track_caller]
    fn done(self) -> String {
        assert_eq!((self.code, &*self.err), (Some(0), ""), "{}", self.out);
        self.out
    }

    /// What it complained of, having failed.
    #[track_caller]
    fn failed(self) -> String {
        assert_eq!(self.code, Some(1), "{}{}", self.out, self.err);
        self.err
    }
}

/// The life of a few principals: queries, and what is typed at them.
const LIFE: &[(&str, &str)] = &[
    ("addprinc -pw secret alice", ""),
    ("addprinc -pw secret alice", ""),
    ("addprinc -randkey host/a.b", ""),
    ("addprinc bob", "hush\nhush\n"),
    ("addprinc carol", "hush\nhash\n"),
    ("modprinc -maxlife 10h -expire 2030-01-01 +needchange alice", ""),
    ("getprinc alice", ""),
    ("getprinc -terse alice", ""),
    ("getprinc nobody", ""),
    ("cpw -randkey -keepold host/a.b", ""),
    ("cpw -pw new alice", ""),
    ("purgekeys host/a.b", ""),
    ("alias host/a host/a.b", ""),
    ("alias host/a alice", ""),
    ("getprinc host/a", ""),
    ("setstr alice session_enctypes aes256-cts", ""),
    ("getstrs alice", ""),
    ("delstr alice session_enctypes", ""),
    ("ktadd -k KEYTAB host/a.b", ""),
    ("ktadd -k KEYTAB krbtgt/R", ""),
    ("ktadd host/a.b", ""),
    ("ktrem -k KEYTAB host/a.b old", ""),
    ("renprinc -force bob bobby", ""),
    ("delprinc bobby", "no\n"),
    ("delprinc bobby", "yes\n"),
    ("delprinc -force krbtgt/R", ""),
    ("listprincs", ""),
    ("listprincs *a*", ""),
    ("frob", ""),
];

/// Everything that the queries of [`LIFE`] print, and how each ends.
fn live(realm: &Realm) -> String {
    let keytab = realm.file("keytab").display().to_string();
    let mut life = String::new();
    for (query, typed) in LIFE {
        let said = realm.kadmin(&["-q", &query.replace("KEYTAB", &keytab)], typed);
        life += &format!("> {query}\n{}{}[{:?}]\n", said.out, said.err, said.code);
    }
    // What differs from one run to the next: the folder and the times.
    let life = life.replace(realm.dir.path().to_str().expect("text"), "DIR");
    let undated = |line: &str| match line {
        _ if line.starts_with("Last ") && !line.contains("never") => "Last ...".to_owned(),
        _ if line.starts_with("\"alice@R\"") => line.split('\t').filter(|field| field.len() < 9).collect(),
        _ => line.to_owned(),
    };
    life.lines().map(|line| undated(line) + "\n").collect()
}

#[test]
fn a_running_and_a_stopped_kdc_are_administered_alike() {
    let (stopped, running) = (Realm::new(), Realm::new());
    let without = live(&stopped);
    let with = running.served(|_| live(&running));
    assert_eq!(with, without);
    for expected in [
        "> addprinc -pw secret alice\nPrincipal \"alice@R\" created.\n[Some(0)]\n",
        "add_principal: Principal or policy already exists while creating \"alice@R\".\n[Some(1)]\n",
        "> addprinc bob\nPrincipal \"bob@R\" created.\n",
        "add_principal: Password mismatch while reading password for \"carol@R\".\n[Some(1)]\n",
        "Maximum ticket life: 0 days 10:00:00\n",
        "Entry for principal host/a.b with kvno 3, encryption type aes256-cts-hmac-sha1-96 added to keytab WRFILE:DIR/realm/keytab.\n",
        "kadmin: Principal keys are locked down while changing krbtgt/R's key\n[Some(1)]\n",
        "added to keytab FILE:DIR/realm/default.keytab.\n",
        "> listprincs\nalice@R\nhost/a.b@R\nkadmin/changepw@R\nkadmin/fetch@R\nkrbtgt/R@R\n[Some(0)]\n",
        "kadmin: Command not found frob\n[Some(1)]\n",
    ] {
        assert!(without.contains(expected), "{expected:?} is missing in\n{without}");
    }
    assert_eq!(stopped.query("listprincs").done(), running.query("listprincs").done());
}

#[test]
fn a_running_kdc_sees_a_change_at_once() {
    let realm = Realm::new();
    realm.served(|store| {
        let alice = Principal::parse("alice@R", None).expect("a name");
        let look = || store.lookup(&alice).expect("readable");
        assert!(look().is_none());
        realm.query("addprinc -pw secret alice").done();
        let first = look().expect("created");
        realm.query("cpw -pw other alice").done();
        assert!(!look().expect("there").keys[0].keys[0].key.same_as(&first.keys[0].keys[0].key));
        realm.query("delprinc -force alice").done();
        assert!(look().is_none());
    });
}

#[test]
fn words_after_the_options_are_a_quiet_query() {
    let realm = Realm::new();
    assert_eq!(realm.kadmin(&["addprinc", "-pw", "two words", "alice"], "").done(), "");
    assert_eq!(realm.kadmin(&["setstr", "alice", "key", "a b"], "").done(), "");
    assert_eq!(realm.kadmin(&["getstrs", "alice"], "").done(), "key: a b\n");
    assert!(realm.kadmin(&["addprinc", "-randkey", "alice"], "").failed().contains("already exists"));
    assert_eq!(realm.kadmin(&["delprinc", "alice"], "").done(), "");
    assert!(realm.kadmin(&["-q", "getprivs", "getprivs"], "").code == Some(2));
}

#[test]
fn a_password_may_come_through_a_pipe_once_or_twice() {
    let realm = Realm::new();
    realm.kadmin(&["addprinc", "once"], "secret").done();
    realm.kadmin(&["addprinc", "twice"], "secret\nsecret\n").done();
    assert!(realm.kadmin(&["addprinc", "none"], "").failed().contains("no password on the standard input"));
    let keys = |name: &str| {
        let config = config::load(&realm.file("kdc.toml")).expect("sound");
        let store = store::open(&config.store.file, &config.master_key, config.limits.kept()).expect("opens");
        let name = Principal::parse(name, Some("R")).expect("a name");
        let entry = store.lookup(&name).expect("readable").expect("there");
        entry.keys[0].keys[0].key.clone()
    };
    let etype = libkrb::codes::EncryptionType::AES256_SHA1;
    let of = |salt: &[u8]| libkrb::crypto::Key::from_password(etype, b"secret", salt, None).expect("a key");
    assert!(keys("once").same_as(&of(b"Ronce")) && keys("twice").same_as(&of(b"Rtwice")));
}

#[test]
fn queries_are_read_from_a_pipe_and_one_failure_is_told_at_the_end() {
    let realm = Realm::new();
    let script =
        "addprinc alice\nsecret\nsecret\n\n  \ngetprinc nobody\n\"unbalanced\nlistprincs al*\nquit\nlistprincs\n";
    let said = realm.kadmin(&[], script);
    assert_eq!((said.code, &*said.out), (Some(1), "Principal \"alice@R\" created.\nalice@R\n"));
    assert_eq!(
        said.err,
        "get_principal: Principal does not exist while retrieving \"nobody@R\".\nkadmin: Unbalanced quotes in command line\n"
    );
    assert_eq!(realm.kadmin(&[], "listprincs al*\n").done(), "alice@R\n");
}

#[test]
fn several_kadmins_at_once_wait_for_each_other() {
    let realm = Realm::new();
    std::thread::scope(|scope| {
        for number in 0..6 {
            let realm = &realm;
            scope.spawn(move || realm.query(&format!("addprinc -randkey host/{number}")).done());
        }
    });
    assert_eq!(realm.query("listprincs host/*").done().lines().count(), 6);
}

#[test]
fn the_realm_and_the_kinds_of_keys_can_be_said_on_the_command_line() {
    let realm = Realm::new();
    assert!(realm.kadmin(&["-r", "S", "listprincs"], "").failed().contains("is for R, not S"));
    realm.kadmin(&["-r", "R", "-e", "aes128-cts:normal", "addprinc", "-randkey", "a"], "").done();
    let shown = realm.query("getprinc a").done();
    assert!(shown.contains("Number of keys: 1\nKey: vno 1, aes128-cts-hmac-sha1-96\n"), "{shown}");
    assert!(realm.kadmin(&["-e", "rot13", "listprincs"], "").failed().contains("rot13 is no encryption type"));
}

#[test]
fn what_keeps_kadmin_from_the_realm_is_told() {
    let realm = Realm::new();
    let config = std::fs::read_to_string(realm.file("kdc.toml")).expect("there");
    std::fs::write(realm.file("kdc.toml"), format!("frob = 1\n{config}")).expect("written");
    assert!(realm.query("listprincs").failed().contains("kdc.toml:1: unknown field `frob`"));
    std::fs::write(realm.file("kdc.toml"), config.replace("\"R\"", "\"S\"")).expect("written");
    assert!(realm.query("listprincs").failed().contains("the store of R, not of S"));
    std::fs::write(realm.file("kdc.toml"), &config).expect("written");
    std::fs::rename(realm.file("master.key"), realm.file("kept")).expect("moved");
    assert!(realm.query("listprincs").failed().contains("master.key: No such file"));
    std::fs::rename(realm.file("kept"), realm.file("master.key")).expect("moved");
    std::fs::write(realm.file("principals.redb"), "torn").expect("written");
    assert!(realm.query("listprincs").failed().contains("not a store of kdc"));
}

#[test]
fn check_says_ok_or_what_is_wrong() {
    let realm = Realm::new();
    assert_eq!(realm.check().done(), "ok (R, 3 principals)\n");
    realm.served(|_| assert_eq!(realm.check().done(), "ok (R, store in use by a running KDC, not looked into)\n"));
    let bytes = std::fs::read(realm.file("principals.redb")).expect("there");
    std::fs::write(realm.file("principals.redb"), &bytes[..bytes.len() / 2]).expect("written");
    assert!(realm.check().failed().contains("restore it from a backup"));
}

#[test]
fn no_secret_is_printed_or_kept_in_the_clear() {
    let realm = Realm::new();
    let said =
        realm.kadmin(&[], "addprinc alice\nhunter2-secret\nhunter2-secret\ngetprinc alice\ngetprinc -terse alice\n");
    assert!(!said.done().contains("hunter2"));
    let bytes = std::fs::read(realm.file("principals.redb")).expect("there");
    assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
}

#[test]
fn another_user_is_refused_even_when_the_socket_lets_him_in() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    if !rustix::process::geteuid().is_root() {
        // Only root can become somebody else.
        return;
    }
    let realm = Realm::new();
    // Where he may run it: the folder of the build is root's.
    let program = realm.file("kadmin");
    std::fs::copy(env!("CARGO_BIN_EXE_kadmin"), &program).expect("copied");
    realm.served(|store| {
        let open = |path: PathBuf, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("opened");
        };
        for (path, mode) in
            [(realm.dir.path().to_owned(), 0o755), (realm.file(""), 0o755), (realm.file("kdc.toml"), 0o644)]
        {
            open(path, mode);
        }
        let run = || {
            let mut command = realm.command(program.to_str().expect("text"));
            command
                .uid(65534)
                .gid(65534)
                .arg("--config")
                .arg(realm.file("kdc.toml"))
                .args(["addprinc", "-randkey", "mine"]);
            Said::of(command.output().expect("runs")).failed()
        };
        assert!(run().contains("run kadmin as root or as the user of the KDC"));
        open(realm.file("admin.sock"), 0o666);
        assert!(run().contains("only root and the user that the KDC runs as may administer the realm"));
        assert_eq!(store.list(None, 10).expect("listed").len(), 3);
    });
}

#[test]
fn words_of_the_realms_file_are_no_passwords_and_a_file_that_is_missing_is_named() {
    let realm = Realm::new();
    let settings = realm.file("kdc.toml");
    let text = std::fs::read_to_string(&settings).expect("read").replace("#dictionary =", "dictionary =");
    std::fs::write(&settings, text).expect("written");
    for said in [realm.query("listprincs"), realm.check()] {
        assert!(said.code == Some(1) && said.err.contains("realm/words: No such file"), "{}", said.err);
    }
    std::fs::write(realm.file("words"), "swordfish\n").expect("written");
    realm.query("addpol strict").done();
    let weak = realm.query("addprinc -policy strict -pw SwordFish alice");
    assert_eq!(weak.code, Some(1));
    let expected =
        "add_principal: Password is in the password dictionary while creating \"alice@R\".\n  words that many";
    assert!(weak.err.starts_with(expected), "{}", weak.err);
    realm.query("modpol -dictionary off strict").done();
    realm.query("addprinc -policy strict -pw SwordFish alice").done();
}
