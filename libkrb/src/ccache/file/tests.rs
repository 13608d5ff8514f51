use std::os::unix::fs::PermissionsExt;

use super::super::tests::ticket;
use super::*;
use crate::ccache::CacheName;
use crate::name::Principal;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str) -> CacheName {
        CacheName::File(self.path(name))
    }
}

fn name(text: &str) -> Principal {
    Principal::parse(text, Some("R")).expect("a name")
}

fn servers(cache: &CacheName) -> Vec<String> {
    cache.load().expect("loads").credentials.iter().map(|credential| credential.server.to_string()).collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[test]
fn a_cache_that_is_not_there_says_so_in_the_words_that_scripts_know() {
    let error = CacheName::parse("/nowhere/krb5cc_0").expect("a name").load().expect_err("not there");
    assert_eq!(error.to_string(), "No credentials cache found (filename: /nowhere/krb5cc_0)");
    let error = CacheName::parse("/").expect("a name").load().expect_err("a directory").to_string();
    assert!(error.starts_with("Credentials cache permissions incorrect (filename: /)"), "{error}");
    let error = CacheName::Memory("nowhere".into()).load().expect_err("not there");
    assert_eq!(error.to_string(), "No credentials cache found (filename: MEMORY:nowhere)");
}

#[test]
fn a_fault_in_the_file_names_the_file() {
    let place = Place::new();
    std::fs::write(place.path("cc"), "hello").expect("written");
    let error = place.file("cc").load().expect_err("no cache").to_string();
    assert_eq!(
        error,
        format!(
            "Unsupported credentials cache format version number (filename: {}): byte 0: expected 5, this is no credential cache",
            place.path("cc").display()
        )
    );
}

#[test]
fn every_kind_of_cache_initializes_stores_removes_and_is_destroyed() {
    let place = Place::new();
    let kinds = [place.file("cc"), CacheName::Dir(place.path("dir")), CacheName::Memory("battery".into())];
    for cache in kinds {
        assert!(matches!(cache.load(), Err(Error::NoCache(_))), "{cache}");
        assert!(matches!(cache.store(&ticket("host/a", 9)), Err(Error::NoCache(_))), "{cache}");
        cache.initialize(&name("alice"), Some((3, 4))).expect("initialized");
        for server in ["host/a", "host/b", "host/c"] {
            cache.store(&ticket(server, 9)).expect("stored");
        }
        assert_eq!(cache.remove(|credential| credential.server == name("host/b")).expect("removed"), 1);
        assert_eq!(cache.remove(|credential| credential.server == name("host/b")).expect("nothing"), 0);
        cache.store(&ticket("host/d", 9)).expect("stored");
        assert_eq!(servers(&cache), ["host/a@R", "host/c@R", "host/d@R"]);
        assert_eq!(cache.load().expect("loads").kdc_offset, Some((3, 4)));
        cache.initialize(&name("bob"), None).expect("initialized");
        assert_eq!(cache.load().expect("loads").principal, name("bob"));
        assert!(servers(&cache).is_empty());
        cache.destroy().expect("destroyed");
        assert!(matches!(cache.destroy(), Err(Error::NoCache(_))), "{cache}");
    }
}

#[test]
fn a_removed_ticket_leaves_neither_key_nor_ticket_in_the_file() {
    let place = Place::new();
    let cache = place.file("cc");
    cache.initialize(&name("alice"), None).expect("initialized");
    cache.store(&ticket("host/a", 9)).expect("stored");
    let before = std::fs::read(place.path("cc")).expect("read");
    cache.remove(|_| true).expect("removed");
    let after = std::fs::read(place.path("cc")).expect("read");
    assert_eq!(before.len(), after.len(), "the length stays for who appends at the same time");
    assert!(!after.windows(6).any(|window| window == b"ticket" || window == [7; 6]));
}

#[test]
fn what_an_old_version_holds_becomes_version_4_when_it_is_changed() {
    let place = Place::new();
    let old = b"\x05\x03\0\0\0\x01\0\0\0\x01\0\0\0\x01R\0\0\0\x05alice";
    for (file, change) in [("stored", true), ("removed", false)] {
        let cache = place.file(file);
        std::fs::write(place.path(file), old).expect("written");
        if change {
            cache.store(&ticket("host/a", 9)).expect("stored");
            assert_eq!(std::fs::read(place.path(file)).expect("read")[..2], [5, 4]);
            assert_eq!(servers(&cache), ["host/a@R"]);
        } else {
            assert_eq!(cache.remove(|_| true).expect("nothing there"), 0);
            assert_eq!(std::fs::read(place.path(file)).expect("read"), old);
        }
    }
}

#[test]
fn nothing_is_added_after_a_torn_end() {
    let place = Place::new();
    let cache = place.file("cc");
    cache.initialize(&name("alice"), None).expect("initialized");
    cache.store(&ticket("host/a", 9)).expect("stored");
    let whole = std::fs::read(place.path("cc")).expect("read");
    std::fs::write(place.path("cc"), &whole[..whole.len() - 1]).expect("torn");
    assert!(cache.store(&ticket("host/b", 9)).expect_err("torn").to_string().contains("expected"));
}

#[test]
fn threads_that_store_at_once_lose_nothing() {
    let place = Place::new();
    let cache = place.file("cc");
    cache.initialize(&name("alice"), None).expect("initialized");
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let cache = &cache;
            scope.spawn(move || {
                for number in 0..25 {
                    cache.store(&ticket(&format!("host/{thread}-{number}"), 9)).expect("stored");
                    cache.load().expect("whole at every moment");
                }
            });
        }
    });
    let mut seen = servers(&cache);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 200);
}

#[test]
fn processes_that_store_at_once_lose_nothing() {
    let place = Place::new();
    let cache = place.file("cc");
    cache.initialize(&name("alice"), None).expect("initialized");
    let writer = |number: usize| {
        std::process::Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "ccache::file::tests::a_process_that_stores", "--ignored"])
            .env("KRB_TEST_CACHE", place.path("cc"))
            .env("KRB_TEST_NUMBER", number.to_string())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("started")
    };
    let mut writers: Vec<_> = (0..4).map(writer).collect();
    assert!(writers.iter_mut().all(|writer| writer.wait().expect("ended").success()));
    assert_eq!(servers(&cache).len(), 100);
}

#[test]
#[ignore = "a part of processes_that_store_at_once_lose_nothing, which starts it with its environment"]
fn a_process_that_stores() {
    let cache = CacheName::File(std::env::var_os("KRB_TEST_CACHE").expect("set").into());
    let process = std::env::var("KRB_TEST_NUMBER").expect("set");
    for number in 0..25 {
        cache.store(&ticket(&format!("host/{process}-{number}"), 9)).expect("stored");
    }
}

#[test]
fn a_cache_is_for_its_owner_only_and_appears_whole() {
    let place = Place::new();
    let cache = place.file("cc");
    cache.initialize(&name("alice"), None).expect("initialized");
    assert_eq!(mode(&place.path("cc")), 0o600);
    std::fs::set_permissions(place.path("cc"), PermissionsExt::from_mode(0o666)).expect("opened up");
    let of_old = std::fs::File::open(place.path("cc")).expect("opened");
    cache.initialize(&name("bob"), None).expect("initialized");
    assert_eq!(mode(&place.path("cc")), 0o600);
    let mut of_old = io::BufReader::new(of_old);
    let mut seen = vec![];
    io::Read::read_to_end(&mut of_old, &mut seen).expect("read");
    assert_eq!(Ccache::parse(&seen).expect("still whole").principal, name("alice"));
    assert_eq!(std::fs::read_dir(place.0.path()).expect("listed").count(), 1, "no temporary file stays");
}

#[test]
fn a_directory_has_a_primary_member_that_can_be_switched() {
    let place = Place::new();
    let collection = CacheName::Dir(place.path("dir"));
    assert!(collection.members().expect("none yet").is_empty());
    collection.initialize(&name("alice"), None).expect("initialized");
    assert_eq!(collection.resolve().expect("resolves"), CacheName::Member(place.path("dir/tkt")));
    assert_eq!(mode(&place.path("dir")), 0o700);
    let second = collection.new_unique().expect("new");
    assert!(matches!(second.load(), Err(Error::NoCache(_))), "a name alone is no cache");
    second.initialize(&name("bob"), None).expect("initialized");
    assert_eq!(collection.members().expect("both"), [CacheName::Member(place.path("dir/tkt")), second.clone()]);
    collection.member_of(&name("bob")).expect("found").switch().expect("switched");
    assert_eq!(collection.resolve().expect("resolves"), second);
    assert_eq!(collection.members().expect("both"), [second.clone(), CacheName::Member(place.path("dir/tkt"))]);
    assert_eq!(second.members().expect("itself"), std::slice::from_ref(&second));
    assert_eq!(
        collection.member_of(&name("carol")).expect_err("none").to_string(),
        "Can't find client principal carol@R in cache collection"
    );
}

#[test]
fn a_primary_file_that_names_no_member_is_refused() {
    let place = Place::new();
    let collection = CacheName::Dir(place.path("dir"));
    collection.resolve().expect("made");
    for wrong in ["", "tkt", "../tkt\n", "tkt/../../x\n", "krb5cc\n"] {
        std::fs::write(place.path("dir/primary"), wrong).expect("written");
        let error = collection.resolve().expect_err(wrong).to_string();
        assert!(error.contains("dir/primary contains invalid filename"), "{error}");
    }
    let missing = CacheName::Dir(place.path("a/b")).resolve().expect_err("two levels").to_string();
    assert_eq!(missing, format!("Credential cache directory {} does not exist", place.path("a/b").display()));
    std::fs::write(place.path("plain"), "").expect("written");
    let plain = CacheName::Dir(place.path("plain")).resolve().expect_err("a file").to_string();
    assert!(plain.ends_with("plain exists but is not a directory"), "{plain}");
}

#[test]
fn a_file_is_a_collection_of_one() {
    let place = Place::new();
    let cache = place.file("cc");
    assert!(cache.members().expect("none").is_empty());
    cache.initialize(&name("alice"), None).expect("initialized");
    assert_eq!(cache.members().expect("one"), std::slice::from_ref(&cache));
    cache.switch().expect("nothing to do");
    assert_ne!(cache.new_unique().expect("new"), cache);
}

#[test]
fn memory_caches_form_one_collection() {
    let one = CacheName::Memory("collection-1".into());
    let two = CacheName::Memory("collection-2".into()).new_unique().expect("new");
    one.initialize(&name("alice"), None).expect("initialized");
    two.initialize(&name("bob"), None).expect("initialized");
    let members = two.members().expect("all");
    assert_eq!(members[0], two);
    assert!(members.contains(&one));
}
