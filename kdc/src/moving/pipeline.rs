//! The lines of a large file through as many threads as there are processors, and out again in their
//! order: one thread reads, several make something of the lines, the caller's puts it away. What is
//! under way is bounded, however large the file. Not here: what is made.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Bytes of lines that go to a thread at once.
const CHUNK: usize = 256 << 10;
/// No line is longer: a bound for files that are none of ours.
pub const MAX_LINE: usize = 4 << 20;
/// Threads at most: the one that puts away is the narrow place.
const THREADS: usize = 16;

/// A file of lines.
pub struct Lines {
    path: PathBuf,
    input: BufReader<File>,
    /// How many lines were read.
    read: u64,
}

/// Some whole lines, and the number of the first. They may hold keys.
struct Chunk {
    sequence: u64,
    first: u64,
    text: Zeroizing<Vec<u8>>,
}

/// What was made of a chunk: values with the numbers of their lines.
struct Made<M> {
    sequence: u64,
    bytes: u64,
    values: Result<Vec<(u64, M)>>,
}

impl Lines {
    /// Opens a file.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::file(path, error))?;
        let regular = file.metadata().map_err(|error| Error::file(path, error))?.is_file();
        if !regular {
            return Err(Error::file(path, "a file was expected: it is read twice, so a pipe won't do"));
        }
        Ok(Lines { path: path.to_owned(), input: BufReader::with_capacity(CHUNK, file), read: 0 })
    }

    /// The size of the file.
    pub fn size(&self) -> u64 {
        self.input.get_ref().metadata().map(|metadata| metadata.len()).unwrap_or_default()
    }

    /// The number of the line that was read last.
    pub fn number(&self) -> u64 {
        self.read
    }

    /// Adds the next line, with its end, to `text`; whether there was one.
    ///
    /// # Errors
    /// When the file can't be read, or a line is longer than any.
    pub fn next_line(&mut self, text: &mut Vec<u8>) -> Result<bool> {
        let before = text.len();
        loop {
            let there = self.input.fill_buf().map_err(|error| Error::file(&self.path, error))?;
            let end = there.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
            let taken = end.unwrap_or(there.len());
            text.extend_from_slice(there.get(..taken).unwrap_or_default());
            self.input.consume(taken);
            if text.len() - before > MAX_LINE {
                return Err(wrong(&self.path, self.read + 1, &format!("longer than {MAX_LINE} bytes")));
            }
            if end.is_some() || taken == 0 {
                let read = text.len() > before;
                self.read += u64::from(read);
                return Ok(read);
            }
        }
    }

    fn chunk(&mut self, sequence: u64) -> Result<Option<Chunk>> {
        // Room for the last line too, lest growing leaves a copy of a key behind.
        let mut text = Zeroizing::new(Vec::with_capacity(CHUNK + (64 << 10)));
        let first = self.read + 1;
        while text.len() < CHUNK && self.next_line(&mut text)? {}
        Ok((!text.is_empty()).then_some(Chunk { sequence, first, text }))
    }
}

/// A problem with a line of a file.
pub fn wrong(path: &Path, line: u64, problem: &str) -> Error {
    Error::file(path, format!("line {line}: {problem}"))
}

/// Gives every line (without its end) to `make`, on several threads, and what comes of it to `put`,
/// in order and with the number of the line. `done` is told how many bytes are behind.
///
/// # Errors
/// The first that `put` has, or that `make` had on an earlier line; `make`'s get the line's number.
pub fn each<M: Send>(
    mut lines: Lines,
    make: &(dyn Fn(&str) -> Result<M, String> + Sync),
    put: &mut dyn FnMut(u64, M) -> Result<()>,
    done: &mut dyn FnMut(u64),
) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    let stop = AtomicBool::new(false);
    let path = lines.path.clone();
    let (permit, permits) = sync_channel(4 * threads);
    for _ in 0..4 * threads {
        // There is room for all of them.
        let _ = permit.try_send(());
    }
    let (chunks, waiting) = channel::<Chunk>();
    let waiting = Mutex::new(waiting);
    let (made, results) = channel::<Made<M>>();
    std::thread::scope(|scope| {
        let (stop, path, waiting) = (&stop, &*path, &waiting);
        let failed = made.clone();
        scope.spawn(move || read(&mut lines, &permits, &chunks, &failed, stop));
        for _ in 0..threads {
            let made = made.clone();
            scope.spawn(move || work(path, waiting, &made, make));
        }
        drop(made);
        let outcome = collect(&results, &permit, put, done);
        // The reader ends at its next line, and the others when it has.
        stop.store(true, Ordering::Relaxed);
        drop(permit);
        outcome
    })
}

fn read<M>(
    lines: &mut Lines,
    permits: &Receiver<()>,
    chunks: &Sender<Chunk>,
    made: &Sender<Made<M>>,
    stop: &AtomicBool,
) {
    for sequence in 0.. {
        if permits.recv().is_err() || stop.load(Ordering::Relaxed) {
            return;
        }
        match lines.chunk(sequence) {
            Ok(Some(chunk)) => match chunks.send(chunk) {
                Ok(()) => {}
                Err(_) => return,
            },
            Ok(None) => return,
            Err(error) => return drop(made.send(Made { sequence, bytes: 0, values: Err(error) })),
        }
    }
}

fn work<M>(
    path: &Path,
    waiting: &Mutex<Receiver<Chunk>>,
    made: &Sender<Made<M>>,
    make: &(dyn Fn(&str) -> Result<M, String> + Sync),
) {
    loop {
        let chunk = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(chunk) = chunk else { return };
        let lines = chunk.text.split_inclusive(|byte| *byte == b'\n').zip(chunk.first..);
        let values = lines
            .map(|(line, number)| {
                let line = line.strip_suffix(b"\n").ok_or("it breaks off; the file is torn".to_owned());
                let text = line.and_then(|line| std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned()));
                text.and_then(make).map(|value| (number, value)).map_err(|problem| wrong(path, number, &problem))
            })
            .collect();
        let bytes = chunk.text.len() as u64;
        if made.send(Made { sequence: chunk.sequence, bytes, values }).is_err() {
            return;
        }
    }
}

fn collect<M>(
    results: &Receiver<Made<M>>,
    permit: &SyncSender<()>,
    put: &mut dyn FnMut(u64, M) -> Result<()>,
    done: &mut dyn FnMut(u64),
) -> Result<()> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    let mut behind = 0;
    for made in results {
        early.insert(made.sequence, made);
        while let Some(made) = early.remove(&next) {
            next += 1;
            behind += made.bytes;
            for (line, value) in made.values? {
                put(line, value)?;
            }
            done(behind);
            let _ = permit.try_send(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text).expect("written");
        file
    }

    fn run(text: &[u8], make: &(dyn Fn(&str) -> Result<u64, String> + Sync)) -> Result<Vec<(u64, u64)>> {
        let file = file(text);
        let mut got = vec![];
        let lines = Lines::open(file.path())?;
        each(
            lines,
            make,
            &mut |line, value| {
                got.push((line, value));
                Ok(())
            },
            &mut |_| {},
        )?;
        Ok(got)
    }

    #[test]
    fn what_is_made_comes_out_in_the_order_of_the_lines() {
        let text: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
        let got = run(text.as_bytes(), &|line| line.parse().map_err(|_| "no number".into())).expect("made");
        assert_eq!(got.len(), 200_000);
        assert!(got.iter().all(|(line, value)| line == value));
    }

    #[test]
    fn the_first_line_that_is_wrong_is_named_whichever_thread_met_it() {
        let text: String = (1..=200_000).map(|n| if n > 150_000 { "x\n".into() } else { format!("{n}\n") }).collect();
        let error = run(text.as_bytes(), &|line| line.parse().map_err(|_| "no number".into())).expect_err("an x");
        assert!(error.to_string().contains("line 150001: no number"), "{error}");
    }

    #[test]
    fn a_last_line_without_its_end_is_an_error() {
        let error = run(b"1\n2", &|line| line.parse().map_err(|_| "no number".into())).expect_err("torn");
        assert!(error.to_string().contains("line 2: it breaks off"), "{error}");
    }

    #[test]
    fn a_line_longer_than_any_is_not_read_into_memory() {
        let error = run(&vec![b'7'; MAX_LINE + 2], &|_| Ok(0)).expect_err("too long");
        assert!(error.to_string().contains("line 1: longer than"), "{error}");
    }
}
