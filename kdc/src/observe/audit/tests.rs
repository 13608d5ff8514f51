use std::fs;
use std::io::Cursor;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("audit.jsonl")
    }

    /// Writes so many records in one run of the program.
    fn run(&self, rotation: Rotation, count: usize) -> Head {
        let plan = Plan { file: Some((self.path(), rotation)), ..Plan::default() };
        write(&Audit::start(plan).expect("a file"), count)
    }

    /// All files, in the order of their names but the present one last.
    fn files(&self) -> Vec<(String, Cursor<Vec<u8>>)> {
        let mut paths =
            fs::read_dir(self.0.path()).expect("a folder").map(|it| it.expect("a file").path()).collect::<Vec<_>>();
        paths.sort_by_key(|path| (*path == self.path(), path.clone()));
        let name = |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
        paths.iter().map(|path| (name(path), Cursor::new(fs::read(path).expect("a file")))).collect()
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(self.path()).expect("a file").lines().map(str::to_owned).collect()
    }

    fn found(&self) -> Result<Verified, Broken> {
        verify(self.files(), None, None, false).expect("readable")
    }
}

fn write(audit: &Audit, count: usize) -> Head {
    for number in 0..count {
        audit.append(&json!({ "exchange": "AS", "number": number }));
    }
    head(audit)
}

fn head(audit: &Audit) -> Head {
    audit.lock()[0].head.clone()
}

/// What is found when the lines of a sound chain of ten were changed so.
fn changed(change: impl FnOnce(&mut Vec<String>)) -> Result<Verified, Broken> {
    let folder = Folder::new();
    let head = folder.run(Rotation::default(), 9);
    let mut lines = folder.lines();
    assert_eq!(lines.len(), 10);
    change(&mut lines);
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    verify(vec![("audit".into(), Cursor::new(text))], None, Some(&head), false).expect("readable")
}

fn broken(line: u64, fault: Fault) -> Result<Verified, Broken> {
    Err(Broken { file: "audit".into(), line, fault })
}

#[test]
fn a_chain_goes_on_over_restarts_and_rotation() {
    let folder = Folder::new();
    let rotation = Rotation { size: 600, ..Rotation::default() };
    folder.run(rotation, 5);
    let head = folder.run(rotation, 5);
    assert!(folder.files().len() > 2);
    let verified = folder.found().expect("unbroken");
    assert_eq!((verified.first, verified.head.clone(), verified.lost), (1, head, 0));
    assert_eq!(verified.lines, verified.head.seq);
    for (name, file) in folder.files() {
        let alone = verify(vec![(name, file)], None, None, false).expect("readable");
        assert!(alone.is_ok(), "a file alone: {alone:?}");
    }
}

#[test]
fn the_first_broken_line_is_named() {
    assert!(changed(|_| ()).is_ok());
    let altered = |lines: &mut Vec<String>| lines[4] = lines[4].replace("\"number\":3", "\"number\":4");
    assert_eq!(changed(altered), broken(5, Fault::Altered(0)));
    assert_eq!(changed(|lines| drop(lines.remove(4))), broken(5, Fault::Missing(5, 5)));
    assert_eq!(changed(|lines| drop(lines.drain(2..5))), broken(3, Fault::Missing(3, 5)));
    assert_eq!(changed(|lines| lines.swap(4, 5)), broken(5, Fault::Missing(5, 5)));
    assert_eq!(changed(|lines| lines.insert(4, "{\"exchange\":\"AS\"}".into())), broken(5, Fault::NoLine));
    assert_eq!(changed(|lines| lines.insert(6, lines[2].clone())), broken(7, Fault::OutOfPlace(3, 7)));
    assert_eq!(changed(|lines| drop(lines.drain(..3))), broken(1, Fault::Missing(1, 3)));
    assert_eq!(changed(|lines| lines[9].truncate(40)), broken(10, Fault::NoLine));
}

#[test]
fn lines_cut_off_at_the_end_are_noticed_by_who_knows_what_was_written() {
    assert_eq!(changed(|lines| lines.truncate(8)), broken(8, Fault::CutOff(10)));
    let folder = Folder::new();
    folder.run(Rotation { size: 600, ..Rotation::default() }, 10);
    let (mut files, cut) = (folder.files(), 0);
    let text = String::from_utf8(files[cut].1.get_ref().clone()).expect("UTF-8");
    let shorter = text.lines().take(text.lines().count() - 1).map(|line| format!("{line}\n")).collect::<String>();
    files[cut].1 = Cursor::new(shorter.into_bytes());
    let found = verify(files, None, None, false).expect("readable").expect_err("broken");
    assert!(matches!(found.fault, Fault::Missing(..)) && found.line == 1, "by the next file: {found}");
}

#[test]
fn a_chain_that_was_cut_and_written_on_is_noticed_by_who_knows_what_was_written() {
    let folder = Folder::new();
    let known = folder.run(Rotation::default(), 9);
    let cut = folder.lines().iter().take(5).map(|line| format!("{line}\n")).collect::<String>();
    fs::write(folder.path(), cut).expect("written");
    folder.run(Rotation::default(), 9);
    let found = |known: &Head, new_chains| verify(folder.files(), None, Some(known), new_chains).expect("readable");
    assert!(folder.found().is_ok(), "the chain alone can't tell");
    let altered = found(&known, false).expect_err("broken");
    assert_eq!((altered.line, altered.fault), (10, Fault::Altered(0)));
    assert_eq!(found(&known, true).expect_err("broken").fault, Fault::Absent(10));
    let passed = Line::parse(&folder.lines()[6]).and_then(|line| line.head()).expect("a head");
    assert!(found(&passed, false).is_ok(), "what is known may have been written on");
}

#[test]
fn a_known_line_that_is_older_than_all_that_is_kept_is_not_taken_as_seen() {
    let folder = Folder::new();
    folder.run(Rotation { size: 600, ..Rotation::default() }, 10);
    let heads = |text: &[u8]| {
        let text = String::from_utf8(text.to_vec()).expect("UTF-8");
        text.lines().filter_map(|line| Line::parse(line)?.head()).collect::<Vec<_>>()
    };
    let first = heads(folder.files()[0].1.get_ref());
    let found = |known: &Head| verify(folder.files().split_off(1), None, Some(known), false).expect("readable");
    assert!(found(&first[first.len() - 1]).is_ok(), "the next file says what it comes after");
    assert_eq!(found(&first[0]).expect_err("broken").fault, Fault::Absent(1));
    let nothing = verify(vec![("audit".into(), Cursor::new(""))], None, Some(&Head::default()), false);
    assert!(nothing.expect("readable").is_ok());
}

#[test]
fn a_new_chain_in_the_midst_is_sound_only_where_it_is_wanted() {
    let (one, other) = (Folder::new(), Folder::new());
    one.run(Rotation::default(), 3);
    other.run(Rotation::default(), 3);
    let both = || one.files().into_iter().chain(other.files()).collect::<Vec<_>>();
    let found = verify(both(), None, None, false).expect("readable").expect_err("broken");
    assert_eq!((found.line, found.fault), (1, Fault::NewChain));
    assert!(verify(both(), None, None, true).expect("readable").is_ok());
}

#[test]
fn without_the_key_no_line_can_be_made() {
    let (folder, key) = (Folder::new(), ChainKey::new(&"k".repeat(32)));
    let plan = Plan { file: Some((folder.path(), Rotation::default())), key: key.clone(), ..Plan::default() };
    write(&Audit::start(plan).expect("a file"), 3);
    assert!(verify(folder.files(), key.as_ref(), None, false).expect("readable").is_ok());
    assert_eq!(folder.found().expect_err("broken").fault, Fault::Altered(0));
    let last = folder.lines().last().and_then(|line| Line::parse(line)?.head()).expect("a line");
    let (forged, _) = chain::line(None, &last, "\"exchange\":\"AS\"");
    fs::write(folder.path(), fs::read_to_string(folder.path()).expect("a file") + &forged).expect("written");
    let found = verify(folder.files(), key.as_ref(), None, false).expect("readable").expect_err("broken");
    assert_eq!((found.line, found.fault), (5, Fault::Altered(0)));
    assert!(ChainKey::new("short").is_none());
}

#[test]
fn what_a_crash_left_of_a_line_is_accounted_for_by_the_next_run() {
    let folder = Folder::new();
    folder.run(Rotation::default(), 3);
    let text = fs::read_to_string(folder.path()).expect("a file");
    fs::write(folder.path(), format!("{text}{{\"seq\":5,\"exch")).expect("written");
    folder.run(Rotation::default(), 2);
    let verified = folder.found().expect("unbroken");
    assert_eq!((verified.lines, verified.torn), (4 + 1 + 2, 1));
}

#[test]
fn old_files_that_are_too_many_or_too_old_are_removed_and_the_rest_is_unbroken() {
    let folder = Folder::new();
    folder.run(Rotation { size: 400, keep: 3, keep_for: None }, 30);
    assert_eq!(folder.files().len(), 3 + 1);
    let verified = folder.found().expect("unbroken");
    assert!(verified.first > 1);
    let old = fs::File::open(folder.0.path().join(&folder.files()[0].0)).expect("a file");
    old.set_modified(SystemTime::now() - std::time::Duration::from_secs(100)).expect("an old file");
    folder.run(Rotation { keep: 3, keep_for: Some(std::time::Duration::from_secs(50)), ..Rotation::default() }, 1);
    assert_eq!(folder.files().len(), 2 + 1);
    folder.found().expect("unbroken");
}

#[test]
fn two_processes_do_not_write_into_one_file() {
    let folder = Folder::new();
    let held = fs::OpenOptions::new().create(true).append(true).open(folder.path()).expect("a file");
    held.lock().expect("a lock");
    let error = Audit::open(&folder.path()).expect_err("refused").to_string();
    assert!(error.contains("in use by another process"), "{error}");
}

/// Takes lines while there is room.
struct Disk {
    full: Arc<AtomicBool>,
    lines: Arc<Mutex<String>>,
}

/// Takes many at a time, each time apart.
struct Many(Arc<Mutex<Vec<String>>>);

impl Writer for Many {
    fn takes_many(&self) -> bool {
        true
    }

    fn write(&mut self, lines: &str, _seq: u64) -> io::Result<()> {
        if lines.contains("\"number\":666") {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.lock().expect("lines").push(lines.to_owned());
        Ok(())
    }
}

#[test]
fn what_is_answered_together_is_written_at_once_or_missing_as_a_whole() {
    let writes = Arc::new(Mutex::default());
    let mut sink = Sink::new("file", "many".into(), Box::new(Many(Arc::clone(&writes))), Head::default());
    sink.begin(None, false);
    let audit = Audit { key: None, sync: Sync::Changes, sinks: Mutex::new(vec![sink]) };
    let mut lines = Lines::default();
    let mut together = |numbers: &[u32]| {
        numbers.iter().for_each(|number| lines.add(&format!("\"number\":{number}")));
        let before = writes.lock().expect("lines").len();
        audit.commit(&mut lines);
        writes.lock().expect("lines").len() - before
    };
    assert_eq!([together(&[1, 2, 3]), together(&[]), together(&[4])], [1, 0, 1]);
    assert_eq!(together(&[5, 666]), 0);
    assert_eq!(audit.lost(), 2);
    assert_eq!(together(&[7, 8]), 2, "the one that says how many are missing, and these");
    let text = writes.lock().expect("lines").concat();
    let found = verify(vec![("many".into(), Cursor::new(text))], None, Some(&head(&audit)), false);
    let found = found.expect("readable").expect("unbroken");
    assert_eq!((found.lines, found.lost), (8, 2));
}

/// A file with a chain whose last three lines were written at once.
fn together() -> Folder {
    let folder = Folder::new();
    let audit = Audit::open(&folder.path()).expect("a file");
    write(&audit, 2);
    let mut lines = Lines::default();
    (2..5).for_each(|number| lines.add(&format!("\"number\":{number}")));
    audit.commit(&mut lines);
    folder
}

#[test]
fn of_lines_that_are_written_at_once_the_last_has_the_hash_of_all() {
    let folder = together();
    let hashes =
        folder.lines().iter().map(|line| Line::parse(line).expect("a line").hash.is_some()).collect::<Vec<_>>();
    assert_eq!(hashes, [true, true, true, false, false, true]);
    let numbers =
        folder.lines().into_iter().map(|line| serde_json::from_str::<Value>(&line).expect("JSON")["seq"].clone());
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(folder.found().expect("unbroken").lines, 6);

    let changed = |change: fn(&mut Vec<String>)| {
        let mut lines = folder.lines();
        change(&mut lines);
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        verify(vec![("audit".into(), Cursor::new(text))], None, None, false).expect("readable")
    };
    let alter = |lines: &mut Vec<String>| lines[3] = lines[3].replace("\"number\":2", "\"number\":9");
    assert_eq!(changed(alter), broken(6, Fault::Altered(2)));
    assert_eq!(changed(|lines| drop(lines.remove(4))), broken(5, Fault::Missing(5, 5)));
    assert_eq!(changed(|lines| lines.swap(3, 4)), broken(4, Fault::Missing(4, 4)));
    assert_eq!(changed(|lines| lines.insert(4, "{\"seq\":5,\"number\":9}".into())), broken(6, Fault::OutOfPlace(5, 6)));
    assert_eq!(changed(|lines| drop(lines.remove(5))), broken(4, Fault::Open));
    assert_eq!(changed(|lines| lines.push("{\"seq\":7,\"number\":9}".into())), broken(7, Fault::Open));
}

#[test]
fn what_a_crash_left_of_lines_that_were_written_at_once_is_accounted_for_by_the_next_run() {
    // So much of the end is not there: of the hash of all three, of their last line, and just that line.
    for (cut, torn) in [(20, 2 + 1), (90, 2 + 1), (usize::MAX, 2)] {
        let folder = together();
        let text = fs::read(folder.path()).expect("a file");
        let last = folder.lines()[5].len() + 1;
        let kept = text.len() - cut.min(last);
        fs::write(folder.path(), &text[..kept]).expect("written");
        folder.run(Rotation::default(), 1);
        let verified = folder.found().expect("unbroken");
        assert_eq!((verified.lines, verified.head.seq, verified.torn), (3 + 2, 5, torn), "{cut}");
    }
}

#[test]
fn lines_that_no_hash_covers_are_excused_by_nothing_but_a_line_that_says_so_and_are_told_of() {
    let open = |seq: u64| format!("{{\"seq\":{seq},\"number\":9}}\n");
    let found = |text: &str| verify(vec![("audit".into(), Cursor::new(text.to_owned()))], None, None, true);
    let (begun, one) =
        chain::line(None, &Head::default(), &format!("\"audit\":\"begun\",\"prev\":\"{}\"", "0".repeat(64)));
    let after = |fields| chain::line(None, &one, fields).0;
    let torn = found(&[begun.clone(), open(2), open(3), after("\"audit\":\"begun\",\"torn\":true")].concat());
    let torn = torn.expect("readable").expect("unbroken");
    assert_eq!((torn.lines, torn.torn, torn.torn_at.as_deref()), (2, 2, Some("audit:2")));
    assert!(torn.to_string().contains("2 torn lines, accounted for and worth nothing, the first at audit:2"), "{torn}");
    // There may be no more of them than are ever written at once, nor does the loss of others excuse them.
    let lost = found(&[begun.clone(), open(2), after("\"audit\":\"lost\",\"lost\":7")].concat());
    assert_eq!(lost.expect("readable"), broken(3, Fault::OutOfPlace(2, 3)));
    let many = (2..100).map(open).collect::<String>();
    let many = found(&[begun.clone(), many, after("\"audit\":\"begun\",\"torn\":true")].concat());
    assert_eq!(many.expect("readable"), broken(2, Fault::Open));
    let other = chain::line(None, &Head::default(), &format!("\"audit\":\"begun\",\"prev\":\"{}\"", "0".repeat(64))).0;
    assert_eq!(found(&[begun, open(2), other].concat()).expect("readable"), broken(2, Fault::Open));
}

#[test]
fn a_line_may_be_torn_behind_any_of_its_octets() {
    let (folder, last) = (Folder::new(), json!({ "a": { "b": { "c": "}" } }, "d": {}, "e": [{}] }));
    Audit::open(&folder.path()).expect("a file").append(&last);
    let text = fs::read(folder.path()).expect("a file");
    let start = folder.lines()[0].len() + 1;
    for end in start + 1..text.len() - 1 {
        fs::write(folder.path(), &text[..end]).expect("written");
        folder.run(Rotation::default(), 1);
        let verified = folder.found().expect("unbroken");
        assert_eq!((verified.lines, verified.torn), (1 + 2, 1), "{end}");
    }
}

#[test]
fn what_a_crash_left_in_the_newest_old_file_is_accounted_for_by_the_present_one() {
    let folder = together();
    let text = fs::read(folder.path()).expect("a file");
    fs::write(folder.0.path().join("audit.jsonl.000000000006"), &text[..text.len() - 20]).expect("an old file");
    fs::remove_file(folder.path()).expect("a file");
    folder.run(Rotation::default(), 1);
    let verified = folder.found().expect("unbroken");
    assert_eq!((verified.lines, verified.head.seq, verified.torn), (3 + 2, 5, 3));
}

impl Writer for Disk {
    fn write(&mut self, line: &str, _seq: u64) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.lines.lock().expect("lines").push_str(line);
        Ok(())
    }
}

#[test]
fn records_that_could_not_be_written_are_counted_in_the_chain_itself() {
    let (full, lines) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::default()));
    let disk = Disk { full: Arc::clone(&full), lines: Arc::clone(&lines) };
    let mut sink = Sink::new("file", "disk".into(), Box::new(disk), Head::default());
    sink.begin(None, false);
    let audit = Audit { key: None, sync: Sync::Changes, sinks: Mutex::new(vec![sink]) };
    write(&audit, 2);
    full.store(true, Ordering::Relaxed);
    write(&audit, 3);
    assert_eq!(audit.lost(), 3);
    assert_eq!(audit.problems().len(), 1, "{:?}", audit.problems());
    full.store(false, Ordering::Relaxed);
    assert_eq!(audit.problems(), [""; 0], "it is tried again when somebody asks");
    write(&audit, 1);
    let (facts, text) = (audit.facts(), lines.lock().expect("lines").clone());
    assert_eq!((facts[0].lost, facts[0].lines, audit.lost()), (3, 5, 0));
    assert!(text.contains("\"audit\":\"lost\",\"lost\":3"), "{text}");
    let found = verify(vec![("disk".into(), Cursor::new(text))], None, Some(&head(&audit)), false);
    assert_eq!(found.expect("readable").expect("unbroken").lost, 3);
}

/// Counts how often somebody waits for the disk.
struct Slow(Arc<AtomicUsize>);

impl Writer for Slow {
    fn write(&mut self, _line: &str, _seq: u64) -> io::Result<()> {
        Ok(())
    }

    fn on_disk(&self) -> Option<OnDisk> {
        self.0.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[test]
fn what_is_forced_to_the_disk_is_what_the_settings_say() {
    for (sync, waits) in [(Sync::Everything, [1, 1]), (Sync::Changes, [0, 1]), (Sync::Nothing, [0, 0])] {
        let waited = Arc::new(AtomicUsize::new(0));
        let sink = Sink::new("file", "slow".into(), Box::new(Slow(Arc::clone(&waited))), Head::default());
        let audit = Audit { key: None, sync, sinks: Mutex::new(vec![sink]) };
        audit.append(&json!({ "exchange": "AS" }));
        let for_request = waited.swap(0, Ordering::Relaxed);
        audit.append_change(&json!({ "operation": "create" }));
        assert_eq!([for_request, waited.load(Ordering::Relaxed)], waits, "{sync:?}");
    }
}

#[test]
fn a_device_that_is_always_full_loses_lines_and_says_so_from_the_start() {
    let audit = Audit::open(Path::new("/dev/full")).expect("a device");
    write(&audit, 2);
    assert_eq!(audit.facts()[0].lost, 3);
    assert!(audit.problems()[0].contains("No space left on device"), "{:?}", audit.problems());
}

/// What arrives at a socket when two records are written, and whether the daemon's absence is told.
fn received(plan: impl Fn(PathBuf) -> Plan) -> Vec<String> {
    let folder = Folder::new();
    let path = folder.0.path().join("socket");
    let mut octets = vec![0; 65_536];
    let mut receive = |socket: &UnixDatagram| {
        let length = socket.recv(&mut octets).expect("a datagram");
        String::from_utf8(octets[..length].to_vec()).expect("UTF-8")
    };
    let first = UnixDatagram::bind(&path).expect("a socket");
    let audit = Audit::start(plan(path.clone())).expect("an audit");
    write(&audit, 1);
    let mut heard = vec![receive(&first), receive(&first)];
    drop(first);
    fs::remove_file(&path).expect("a socket");
    write(&audit, 2);
    assert_eq!(audit.lost(), 2);
    let second = UnixDatagram::bind(&path).expect("a socket");
    write(&audit, 1);
    heard.extend([receive(&second), receive(&second)]);
    heard
}

#[test]
fn journald_gets_each_line_as_a_message_with_its_number() {
    let heard = received(|path| Plan { journald: Some(path), ..Plan::default() });
    let mut chain = String::new();
    for (place, message) in heard.iter().enumerate() {
        let fields = message.lines().filter_map(|line| line.split_once('=')).collect::<Vec<_>>();
        let field = |name| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        assert_eq!((field("SYSLOG_IDENTIFIER"), field("PRIORITY")), (Some("kdc"), Some("6")), "{message}");
        assert_eq!(field("KDC_AUDIT_SEQ"), Some((place + 1).to_string()).as_deref());
        chain += &format!("{}\n", field("MESSAGE").expect("a message"));
    }
    assert!(chain.contains("\"lost\":2"), "{chain}");
    let found = verify(vec![("journal".into(), Cursor::new(chain))], None, None, false);
    assert_eq!(found.expect("readable").expect("unbroken").lines, 4);
}

#[test]
fn syslog_gets_each_line_as_the_c_library_writes_it() {
    for message in received(|path| Plan { syslog: Some(path), ..Plan::default() }) {
        let (header, line) = message.split_once(": ").expect("a tag");
        assert!(header.starts_with("<86>") && header.ends_with(&format!("kdc[{}]", std::process::id())), "{message}");
        // "Nov 22 06:02:48", 15 characters.
        assert_eq!(header.split_once('>').expect("a priority").1.find("kdc["), Some(16), "{message}");
        assert!(serde_json::from_str::<Value>(line).expect("JSON")["hash"].is_string());
    }
}
