use std::os::unix::fs::symlink;

use super::*;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("there").mode() & 0o777
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[test]
fn a_new_file_is_for_its_owner_only_and_never_written_over() {
    let directory = directory();
    let path = directory.path().join("new");
    create(&path, b"first").expect("created");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(create(&path, b"second").expect_err("is there").kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(**read(&path).expect("read"), *b"first");
}

#[test]
fn replacing_believes_nothing_of_the_file_that_stood_there() {
    let directory = directory();
    let path = directory.path().join("cache");
    std::fs::write(&path, "planted").expect("written");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).expect("opened up");
    let mut reader = File::open(&path).expect("opened by somebody else");
    replace(&path, b"secret").expect("replaced");
    assert_eq!(mode(&path), 0o600);
    let mut seen = String::new();
    reader.read_to_string(&mut seen).expect("read");
    assert_eq!(seen, "planted", "the old file must not become the new one");
}

#[test]
fn replacing_a_link_leaves_alone_what_it_points_to() {
    let directory = directory();
    let (target, link) = (directory.path().join("target"), directory.path().join("link"));
    std::fs::write(&target, "theirs").expect("written");
    symlink(&target, &link).expect("linked");
    replace(&link, b"ours").expect("replaced");
    assert_eq!(std::fs::read(&target).expect("read"), b"theirs");
    assert_eq!(std::fs::read(&link).expect("read"), b"ours");
}

#[test]
fn destroying_a_link_leaves_alone_what_has_another_name() {
    let directory = directory();
    let (target, link) = (directory.path().join("target"), directory.path().join("link"));
    std::fs::write(&target, "theirs").expect("written");
    let links: [fn(&Path, &Path) -> io::Result<()>; 2] =
        [|to, from| symlink(to, from), |to, from| std::fs::hard_link(to, from)];
    for make in links {
        make(&target, &link).expect("linked");
        open(&link, Access::Change).expect("opened").destroy().expect("destroyed");
        assert_eq!(std::fs::read(&target).expect("read"), b"theirs");
        assert!(!link.exists() && !link.is_symlink());
    }
}

#[test]
fn writing_a_file_anew_keeps_its_mode_and_its_link() {
    let directory = directory();
    let (target, link) = (directory.path().join("target"), directory.path().join("link"));
    create(&target, b"old").expect("created");
    std::fs::set_permissions(&target, PermissionsExt::from_mode(0o640)).expect("set");
    symlink(&target, &link).expect("linked");
    open(&link, Access::Change).expect("opened").replace(b"new").expect("replaced");
    assert_eq!(std::fs::read(&target).expect("read"), b"new");
    assert_eq!(mode(&target), 0o640);
    assert!(link.is_symlink());
}

#[test]
fn who_waited_for_the_lock_gets_the_file_that_took_the_place() {
    let directory = directory();
    let path = directory.path().join("file");
    create(&path, b"old").expect("created");
    let first = open(&path, Access::Change).expect("opened");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| open(&path, Access::Change).expect("opened").append(b"+").expect("appended"));
        first.replace(b"new").expect("replaced");
        drop(first);
        waiting.join().expect("no panic");
    });
    assert_eq!(std::fs::read(&path).expect("read"), b"new+");
}

#[test]
fn a_destroyed_file_is_gone_and_its_bytes_are_zero() {
    let directory = directory();
    let path = directory.path().join("file");
    create(&path, b"secret").expect("created");
    let mut other = File::open(&path).expect("opened");
    open(&path, Access::Change).expect("opened").destroy().expect("destroyed");
    assert!(!path.exists());
    let mut seen = vec![];
    other.read_to_end(&mut seen).expect("read");
    assert_eq!(seen, [0; 6]);
}

#[test]
fn what_never_ends_is_refused() {
    assert_eq!(read(Path::new("/dev/zero")).expect_err("endless").kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn a_unique_file_begins_with_its_prefix_and_is_for_its_owner_only() {
    let directory = directory();
    let one = create_unique(directory.path(), "tkt", b"a").expect("created");
    let two = create_unique(directory.path(), "tkt", b"b").expect("created");
    assert_ne!(one, two);
    assert_eq!(mode(&one), 0o600);
    assert!(one.file_name().expect("named").to_string_lossy().starts_with("tkt"));
}
