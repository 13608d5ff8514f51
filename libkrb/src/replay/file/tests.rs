use std::collections::HashMap;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::thread;

use tempfile::TempDir;

use super::*;

const NOW: Time = Time(1_800_000_000);
const WINDOW: Seconds = 300;

fn key(number: usize) -> ReplayKey {
    ReplayKey::new([number.to_be_bytes().as_slice()])
}

/// A folder with a cache in it.
struct Place {
    folder: TempDir,
    told: Arc<Mutex<Vec<Event>>>,
    options: FileOptions,
}

impl Place {
    fn new(max_entries: u64) -> Place {
        let told = Arc::new(Mutex::new(vec![]));
        let hears = Arc::clone(&told);
        let observer = Observer::new(move |event| hears.lock().unwrap().push(event.clone()));
        let options = FileOptions { window: WINDOW, max_entries, observer, ..FileOptions::default() };
        Place { folder: tempfile::tempdir().unwrap(), told, options }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("replay")
    }

    fn try_open(&self, now: Time) -> Result<FileReplayCache> {
        FileReplayCache::open(self.path(), self.options.clone(), now)
    }

    fn open(&self) -> FileReplayCache {
        self.try_open(NOW).unwrap()
    }

    fn problem(&self) -> String {
        self.try_open(NOW).expect_err("a refusal").to_string()
    }

    fn told(&self) -> Vec<Event> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    /// Writes over a part of the file, as no process of ours would.
    fn spoil(&self, at: u64, bytes: &[u8]) {
        OpenOptions::new().write(true).open(self.path()).unwrap().write_all_at(bytes, at).unwrap();
    }

    /// Where the slots with something in them are.
    fn taken(&self) -> Vec<u64> {
        let bytes = fs::read(self.path()).unwrap();
        let slots = (PAGE..bytes.len()).step_by(PAGE).flat_map(|page| (0..SLOTS).map(move |n| page + Slot::offset(n)));
        slots.filter(|at| bytes[*at..at + 24] != [0; 24]).map(|at| at as u64).collect()
    }
}

#[test]
fn an_authenticator_is_fresh_once_also_for_those_who_open_the_file_later() {
    let place = Place::new(1000);
    let cache = place.open();
    assert_eq!(cache.insert(key(1), NOW, NOW), Verdict::Fresh);
    assert_eq!(cache.insert(key(1), NOW, NOW), Verdict::Replay);
    let beside = place.open();
    assert_eq!(beside.insert(key(1), NOW, NOW), Verdict::Replay);
    assert_eq!(beside.insert(key(2), NOW, NOW), Verdict::Fresh);
    drop((cache, beside));
    let later = place.try_open(NOW + 1).unwrap();
    assert_eq!(later.insert(key(2), NOW, NOW + 1), Verdict::Replay);
    assert_eq!(later.insert(key(3), NOW, NOW + 1), Verdict::Fresh, "a restart refuses nothing that is new");
}

#[test]
fn of_many_threads_that_bring_the_same_authenticators_one_each_hears_fresh() {
    const THREADS: usize = 4;
    const KEYS: usize = 300;
    let place = Place::new(1000);
    let (cache, start) = (place.open(), Barrier::new(THREADS));
    let fresh: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    (0..KEYS).filter(|number| cache.insert(key(*number), NOW, NOW) == Verdict::Fresh).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(fresh, KEYS);
}

#[test]
fn an_authenticator_is_remembered_for_as_long_as_it_could_be_accepted() {
    for offset in [0, 1, WINDOW] {
        let place = Place::new(10);
        let (cache, time) = (place.open(), NOW + offset);
        assert_eq!(cache.insert(key(1), time, NOW), Verdict::Fresh);
        // Others press for its place: it is given away only when it is stale.
        for now in NOW.seconds()..=time.seconds() + 3 * WINDOW {
            let now = Time(now);
            let _ = cache.insert(key(now.seconds() as usize), now, now);
            assert_eq!(cache.insert(key(1), time, now), Verdict::Replay, "made {offset} later, at {now}");
        }
    }
}

#[test]
fn a_new_file_refuses_what_was_made_before_it() {
    let place = Place::new(10);
    let cache = place.open();
    assert_eq!(cache.insert(key(1), NOW - 1, NOW), Verdict::Replay);
    assert_eq!(cache.insert(key(1), NOW, NOW), Verdict::Fresh);
}

#[test]
fn pages_that_are_full_spill_over_and_the_file_never_grows() {
    let place = Place::new(1000);
    let cache = place.open();
    let size = fs::metadata(place.path()).unwrap().len();
    let room = cache.inner.shape.pages as usize * SLOTS;
    assert!(room > 1300, "a third more than asked for");
    let verdicts: Vec<_> = (0..room + 100).map(|number| cache.insert(key(number), NOW, NOW)).collect();
    let fresh = verdicts.iter().filter(|verdict| **verdict == Verdict::Fresh).count();
    assert_eq!(fresh, room, "every slot is found, and no more");
    for (number, verdict) in verdicts.iter().enumerate() {
        let again = if *verdict == Verdict::Fresh { Verdict::Replay } else { Verdict::Full };
        assert_eq!(cache.insert(key(number), NOW, NOW), again);
    }
    assert_eq!(fs::metadata(place.path()).unwrap().len(), size);
}

#[test]
fn one_that_spilled_is_found_when_the_page_it_belongs_to_has_room_again() {
    let place = Place::new(500);
    let cache = place.open();
    let room = cache.inner.shape.pages as usize * SLOTS;
    // Old ones fill everything but some slots; young ones have to take what is left, wherever it is.
    let later = NOW + 2 * WINDOW;
    let old = (0..room - 200).filter(|number| cache.insert(key(*number), NOW, NOW) == Verdict::Fresh).count();
    let young: Vec<_> = (room..room + 200).filter(|n| cache.insert(key(*n), later, later) == Verdict::Fresh).collect();
    assert_eq!((old, young.len()), (room - 200, 200));
    let end = NOW + 2 * WINDOW + 1;
    assert_eq!(cache.insert(key(room * 2), end, end), Verdict::Fresh);
    for number in young {
        assert_eq!(cache.insert(key(number), later, end), Verdict::Replay);
    }
}

#[test]
fn stale_entries_make_room() {
    let place = Place::new(1000);
    let cache = place.open();
    let fresh = |numbers: std::ops::Range<usize>, now: Time| {
        numbers.filter(|number| cache.insert(key(*number), now, now) == Verdict::Fresh).count()
    };
    for round in 0..5 {
        let now = NOW + round * (2 * WINDOW + 1);
        let first = round as usize * 1000;
        assert_eq!(fresh(first..first + 1000, now), 1000);
    }
}

#[test]
fn a_file_that_others_have_a_say_in_is_refused() {
    let place = Place::new(10);
    drop(place.open());
    fs::set_permissions(place.path(), Permissions::from_mode(0o640)).unwrap();
    assert!(place.problem().contains("mode 0640"), "{}", place.problem());
    fs::set_permissions(place.path(), Permissions::from_mode(0o600)).unwrap();
    fs::hard_link(place.path(), place.folder.path().join("other")).unwrap();
    assert!(place.problem().contains("second name"), "{}", place.problem());
    fs::rename(place.folder.path().join("other"), place.folder.path().join("target")).unwrap();
    fs::remove_file(place.path()).unwrap();
    symlink(place.folder.path().join("target"), place.path()).unwrap();
    assert!(place.problem().contains("symbolic link"), "{}", place.problem());
    fs::remove_file(place.path()).unwrap();
    if rustix::process::geteuid().is_root() {
        drop(place.open());
        std::os::unix::fs::chown(place.path(), Some(12_345), None).unwrap();
        assert!(place.problem().contains("belongs to user 12345"), "{}", place.problem());
    }
}

#[test]
fn a_new_file_is_ours_alone() {
    let place = Place::new(10);
    drop(place.open());
    assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn what_is_no_replay_cache_is_refused_and_left_as_it_is() {
    let place = Place::new(10);
    for content in [b"short".to_vec(), vec![b'x'; 3 * PAGE]] {
        fs::write(place.path(), &content).unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o600)).unwrap();
        assert!(place.problem().ends_with("not a replay cache"), "{}", place.problem());
        assert_eq!(fs::read(place.path()).unwrap(), content);
    }
}

#[test]
fn a_damaged_header_or_size_is_told_and_not_made_anew() {
    let place = Place::new(10);
    drop(place.open());
    let whole = fs::read(place.path()).unwrap();
    place.spoil(60, &[0xff]);
    assert!(place.problem().contains("damaged"), "{}", place.problem());
    place.spoil(8, &[9]);
    assert!(place.problem().contains("version 9"), "{}", place.problem());
    fs::write(place.path(), &whole[..PAGE]).unwrap();
    assert!(place.problem().contains("cut off"), "{}", place.problem());
}

#[test]
fn users_of_a_file_have_to_agree_on_its_options() {
    let mut place = Place::new(1000);
    drop(place.open());
    for options in [
        FileOptions { window: 600, ..place.options.clone() },
        FileOptions { max_entries: 2000, ..place.options.clone() },
        FileOptions { durability: Durability::Synced, ..place.options.clone() },
    ] {
        let kept = std::mem::replace(&mut place.options, options);
        assert!(
            place.problem().contains("other options (window 300, 8 pages, entries written)"),
            "{}",
            place.problem()
        );
        place.options = kept;
    }
}

#[test]
fn a_file_from_the_future_is_told_and_not_a_service_that_refuses_everybody() {
    let place = Place::new(10);
    drop(place.try_open(NOW + WINDOW + 1).unwrap());
    assert!(place.problem().contains("made in the future"), "{}", place.problem());
}

#[test]
fn after_a_boot_what_was_made_before_is_refused_unless_all_was_synced() {
    for durability in [Durability::Written, Durability::Synced] {
        let mut place = Place::new(10);
        place.options.durability = durability;
        let cache = place.open();
        assert_eq!(cache.insert(key(1), NOW, NOW), Verdict::Fresh);
        drop(cache);
        let mut page = [0; PAGE];
        OpenOptions::new().read(true).open(place.path()).unwrap().read_exact_at(&mut page, 0).unwrap();
        let header = header::Header::decode(&page).unwrap().unwrap();
        place.spoil(0, &header::Header { boot: [1, 2], ..header }.encode());

        for _ in 0..2 {
            let cache = place.try_open(NOW + 10).unwrap();
            assert_eq!(cache.insert(key(1), NOW, NOW + 10), Verdict::Replay);
        }
        let cache = place.try_open(NOW + 20).unwrap();
        let unseen = if durability == Durability::Synced { Verdict::Fresh } else { Verdict::Replay };
        assert_eq!(cache.insert(key(2), NOW + 9, NOW + 20), unseen);
        assert_eq!(cache.insert(key(3), NOW + 10, NOW + 20), Verdict::Fresh);
    }
}

#[test]
fn a_torn_slot_is_healed_and_what_may_have_stood_there_is_refused() {
    let place = Place::new(10);
    let cache = place.open();
    for number in 0..5 {
        assert_eq!(cache.insert(key(number), NOW, NOW), Verdict::Fresh);
    }
    let taken = place.taken();
    place.spoil(taken[2] + 7, &[0x55]);
    for number in 0..9 {
        assert_eq!(cache.insert(key(number), NOW, NOW), Verdict::Replay, "{number}");
    }
    let since = NOW + WINDOW;
    assert_eq!(place.told(), [Event::Forgot { since }]);
    assert_eq!(place.taken().len(), 4, "the others are kept");
    assert_eq!(cache.insert(key(9), since, since), Verdict::Fresh);
}

#[test]
fn a_torn_head_is_healed_and_spilled_entries_are_still_found() {
    let place = Place::new(500);
    let cache = place.open();
    let room = cache.inner.shape.pages as usize * SLOTS;
    assert!((0..room).all(|number| cache.insert(key(number), NOW, NOW) == Verdict::Fresh));
    for page in 0..cache.inner.shape.pages {
        place.spoil(door::offset(page) + 1, &[0x55]);
    }
    for number in 0..room {
        assert_eq!(cache.insert(key(number), NOW, NOW), Verdict::Replay);
    }
    assert_eq!(cache.insert(key(room), NOW, NOW), Verdict::Replay, "it may have been lost");
    assert!(!place.told().is_empty());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_becomes_of_some_octets_no_authenticator_is_fresh_again(
        at in 0u64..4 * PAGE as u64, octets in proptest::collection::vec(1u8.., 1..40)
    ) {
        let place = Place::new(500);
        let cache = place.open();
        let known: Vec<_> = (0..400).filter(|n| cache.insert(key(*n), NOW, NOW) == Verdict::Fresh).collect();
        place.spoil(PAGE as u64 + at, &octets);
        for number in known {
            assert_ne!(cache.insert(key(number), NOW, NOW), Verdict::Fresh);
        }
    }
}

#[test]
fn a_file_that_was_removed_is_left_for_the_one_that_stands_there_now() {
    let place = Place::new(10);
    let cache = place.open();
    assert_eq!(cache.insert(key(1), NOW, NOW), Verdict::Fresh);
    fs::remove_file(place.path()).unwrap();
    let other = place.try_open(NOW + 1).unwrap();
    assert_eq!(other.insert(key(2), NOW + 1, NOW + 1), Verdict::Fresh);
    assert_eq!(cache.insert(key(2), NOW + 1, NOW + 1), Verdict::Replay);
    assert_eq!(cache.insert(key(1), NOW, NOW + 1), Verdict::Replay, "made before the new file was");
}

#[test]
fn what_cannot_be_written_is_refused_and_told_once_until_it_can() {
    let place = Place::new(10);
    let cache = place.open();
    let size = fs::metadata(place.path()).unwrap().len();
    let file = OpenOptions::new().write(true).open(place.path()).unwrap();
    file.set_len(PAGE as u64).unwrap();
    assert_eq!(cache.insert(key(1), NOW, NOW), Verdict::Unavailable);
    assert_eq!(cache.insert(key(1), NOW, NOW), Verdict::Unavailable);
    assert!(matches!(place.told().as_slice(), [Event::Away { .. }]));
    file.set_len(size).unwrap();
    assert_eq!(cache.insert(key(1), NOW, NOW), Verdict::Fresh);
    assert_eq!(place.told(), [Event::Back]);
}

#[test]
fn a_full_disk_refuses_and_forgets_nobody() {
    let place = Place::new(10);
    let cache = place.open();
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
        assert_eq!(cache.inner.failed(&kind.into()), Verdict::Full);
    }
    assert_eq!(cache.inner.failed(&io::ErrorKind::Other.into()), Verdict::Unavailable);
    let told = place.told();
    assert!(matches!(&told[..], [Event::Away { cause }] if cause.contains("no storage space")), "{told:?}");
}

#[cfg(feature = "net")]
#[test]
fn a_task_does_not_wait_for_the_disk() {
    let mut place = Place::new(10);
    place.options.durability = Durability::Synced;
    let cache = place.open();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        assert_eq!(cache.insert_async(key(1), NOW, NOW).await, Verdict::Fresh);
        assert_eq!(cache.insert_async(key(1), NOW, NOW).await, Verdict::Replay);
    });
    assert_eq!(cache.insert(key(1), NOW, NOW), Verdict::Replay);
}

/// Another process that inserts what it is told to, and says which were fresh.
struct Worker {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

const FOLDER: &str = "KRB_TEST_REPLAY_FOLDER";
const STEP: &str = "KRB_TEST_REPLAY_STEP";
const KEYS: usize = 4999;

impl Worker {
    /// Starts one that goes through all keys in steps of that length once it is told to.
    fn start(place: &Place, step: usize) -> Worker {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "replay::file::tests::worker", "--ignored", "--nocapture"])
            .env(FOLDER, place.folder.path())
            .env(STEP, step.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut worker = Worker { child, said };
        assert_eq!(worker.hear().as_deref(), Some("ready"));
        worker
    }

    fn go(&mut self) {
        self.child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }

    /// The next word that is ours among what a test prints.
    fn hear(&mut self) -> Option<String> {
        let mut lines = self.said.by_ref().lines().map_while(io::Result::ok);
        lines.find_map(|line| Some(line.split_once("replay worker: ")?.1.to_owned()))
    }

    fn fresh(&mut self) -> Vec<usize> {
        std::iter::from_fn(|| self.hear()).map(|number| number.parse().unwrap()).collect()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "the process that other tests start"]
#[expect(clippy::print_stdout, reason = "this is how it talks to its parent")]
fn worker() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("started by another test"));
    let step: usize = std::env::var(STEP).unwrap().parse().unwrap();
    let options = FileOptions { window: WINDOW, max_entries: 2 * KEYS as u64, ..FileOptions::default() };
    let cache = FileReplayCache::open(folder.join("replay"), options, NOW).unwrap();
    println!("\nreplay worker: ready");
    io::stdin().read_line(&mut String::new()).unwrap();
    for number in (0..KEYS).map(|number| number * step % KEYS) {
        if cache.insert(key(number), NOW, NOW) == Verdict::Fresh {
            println!("replay worker: {number}");
        }
    }
}

#[test]
fn of_processes_that_bring_the_same_authenticators_one_each_hears_fresh() {
    let place = Place::new(2 * KEYS as u64);
    let mut workers = [1, 1, 2, KEYS - 1].map(|step| Worker::start(&place, step));
    workers.iter_mut().for_each(Worker::go);
    let heard = thread::scope(|scope| {
        let threads: Vec<_> = workers.iter_mut().map(|worker| scope.spawn(|| worker.fresh())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let mut times: HashMap<usize, usize> = HashMap::new();
    heard.into_iter().for_each(|number| *times.entry(number).or_default() += 1);
    assert_eq!(times.len(), KEYS);
    assert!(times.values().all(|times| *times == 1));
}

#[test]
fn a_process_that_is_killed_takes_nothing_with_it() {
    let place = Place::new(2 * KEYS as u64);
    let mut worker = Worker::start(&place, 1);
    worker.go();
    let before: Vec<usize> = (0..1000).map(|_| worker.hear().unwrap().parse().unwrap()).collect();
    worker.child.kill().unwrap();
    // What it had said and nobody had read yet.
    let heard: Vec<usize> = before.into_iter().chain(worker.fresh()).collect();
    let cache = place.open();
    for number in &heard {
        assert_eq!(cache.insert(key(*number), NOW, NOW), Verdict::Replay, "{number} of {}", heard.len());
    }
    let left = (0..KEYS).filter(|number| cache.insert(key(*number), NOW, NOW) == Verdict::Fresh).count();
    assert!(left >= KEYS - heard.len() - 1, "one at most was written and not said");
    assert_eq!(place.told(), [], "nothing was torn");
}
