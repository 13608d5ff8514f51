use super::*;
use crate::codes::EncryptionType;
use crate::flags::TicketFlags;
use crate::name::Principal;
use crate::storage::RawKey;
use crate::time::Time;

fn name(text: &str) -> KeyringName {
    KeyringName::parse(text).expect(text)
}

fn alice() -> Principal {
    Principal::parse("alice@R", None).expect("a name")
}

fn ticket(service: &str) -> Credential {
    Credential {
        server: Principal::parse(service, Some("R")).expect("a name"),
        key: RawKey::new(EncryptionType::AES256_SHA1, vec![7; 32]),
        auth_time: Time(1),
        end_time: Time(4_000_000_000),
        flags: TicketFlags(0x40),
        ticket: vec![3; 5000],
        ..Credential::config(&alice(), "", None, b"")
    }
}

#[test]
fn names_are_mits() {
    for (text, printed) in [
        ("cache", "KEYRING:cache"),
        ("legacy:cache:cache", "KEYRING:cache"),
        ("legacy:cache:other", "KEYRING:legacy:cache:other"),
        ("session:x", "KEYRING:session:x"),
        ("persistent:1000", "KEYRING:persistent:1000"),
        ("persistent:", "KEYRING:persistent:"),
        ("user:x:krb_ccache_abc", "KEYRING:user:x:krb_ccache_abc"),
        ("process:x:", "KEYRING:process:x"),
    ] {
        assert_eq!(name(text).to_string(), printed);
    }
    for (text, problem) in [
        ("elsewhere:x", "Invalid keyring anchor"),
        ("persistent:alice", "Invalid UID in persistent keyring name"),
        ("persistent:-1", "Invalid UID in persistent keyring name"),
    ] {
        let error = KeyringName::parse(text).expect_err(text).to_string();
        assert!(error.starts_with(problem), "{error}");
    }
}

#[allow(clippy::print_stdout, reason = "who runs the tests has to know")]
/// A collection of this process's own; `None`, and said so, where the kernel has no keyrings for us.
fn own(collection: &str) -> Option<KeyringName> {
    let name = name(&format!("process:{collection}"));
    match Ring::anchor(Anchor::Process) {
        Ok(_) => Some(name),
        Err(error) => {
            println!("SKIPPED: the kernel's keyring can't be used: {error}");
            None
        }
    }
}

#[test]
fn a_cache_comes_back_as_it_was_put_there() {
    let Some(name) = own("whole") else { return };
    assert!(matches!(name.load(), Err(Error::NoCache(_))));
    let mut cache = Ccache::new(alice());
    cache.kdc_offset = Some((-3, 7));
    cache.set_config("fast_avail", None, b"yes");
    cache.credentials.extend([ticket("krbtgt/R"), ticket("host/x")]);
    name.replace(&cache).expect("written");
    assert_eq!(name.load().expect("read"), cache);
    // Of the tickets for one service the last one stays.
    let newer = Credential { ticket: b"newer".to_vec(), ..ticket("host/x") };
    name.store(&newer).expect("stored");
    assert_eq!(name.load().expect("read").find(&newer.server, Time(5)), Some(&newer));
    assert_eq!(name.remove(|credential| credential.server == newer.server), Ok(1));
    assert_eq!(name.load().expect("read").tickets().count(), 1);
    name.replace(&Ccache::new(alice())).expect("written");
    assert_eq!(name.load().expect("read"), Ccache::new(alice()), "nothing of the old one is left");
    name.destroy().expect("destroyed");
    assert!(matches!(name.load(), Err(Error::NoCache(_))));
}

#[test]
fn a_collection_has_members_of_which_one_is_the_primary_one() {
    let Some(name) = own("several") else { return };
    assert_eq!(name.members(), Ok(vec![]));
    let first = name.resolve().expect("a primary");
    assert_eq!(first.to_string(), "KEYRING:process:several:several", "as MIT calls the first one");
    first.replace(&Ccache::new(alice())).expect("written");
    let second = name.new_unique().expect("a new one");
    assert!(second.to_string().starts_with("KEYRING:process:several:krb_ccache_"), "{second}");
    assert_eq!(name.members().expect("listed").len(), 1, "one that nobody has filled does not count");
    second.replace(&Ccache::new(Principal::parse("bob@R", None).expect("a name"))).expect("written");
    second.switch().expect("switched");
    assert_eq!(name.resolve(), Ok(second.clone()));
    assert_eq!(name.members(), Ok(vec![CacheName::Keyring(second), CacheName::Keyring(first)]));
}

#[test]
fn a_collection_without_a_name_begins_with_tkt_and_others_keyrings_are_not_asked_for() {
    let Some(name) = own("") else { return };
    assert_eq!(name.resolve().expect("a primary").to_string(), "KEYRING:process::tkt");
    let other = KeyringName::parse("persistent:4294967294").expect("a name");
    assert!(other.load().expect_err("another's").to_string().contains("only your own"));
}

#[test]
fn a_service_whose_name_no_key_can_have_is_kept_all_the_same() {
    let Some(name) = own("odd") else { return };
    let mut cache = Ccache::new(alice());
    cache.credentials.push(ticket("host/a;b;c"));
    name.replace(&cache).expect("written");
    assert_eq!(name.load().expect("read"), cache);
}
