//! Words that are no passwords: a file of one word a line, sorted in memory. Case does not matter.
//! Not here: whose passwords are looked up (a policy says so).

use std::fs::File;
use std::io::Read;
use std::path::Path;

use libkrb::{Error, Result};

/// The longest file. Twice the largest list that is in common use.
const MAX_FILE: u64 = 256 << 20;

/// A sorted list of words, in one piece of memory: as much as the file has, and eight octets a word.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    /// The words, lower case, each as it ended.
    text: String,
    /// Where each begins and ends, in the order of the words.
    words: Vec<(u32, u32)>,
}

impl Dictionary {
    /// The words of a file. Lines that are no UTF-8 are taken as they can be read; empty ones are none.
    ///
    /// # Errors
    /// [`Error::File`] when it can't be read, or is longer than any list of words.
    pub fn load(file: &Path) -> Result<Dictionary> {
        let mut bytes = vec![];
        let opened = File::open(file).map_err(|error| Error::file(file, error))?;
        opened.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| Error::file(file, error))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(Error::file(file, format!("longer than {} MiB; give a shorter list of words", MAX_FILE >> 20)));
        }
        Ok(Dictionary::of(&String::from_utf8_lossy(&bytes)))
    }

    /// The words of a text, one a line.
    pub fn of(text: &str) -> Dictionary {
        let text = text.to_lowercase();
        let mut words = vec![];
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            // A line is a part of the text, so it begins where its octets do.
            let start = line.as_ptr() as usize - text.as_ptr() as usize;
            if let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(start + line.len())) {
                words.push((start, end));
            }
        }
        words.sort_unstable_by(|one, other| slice(&text, *one).cmp(slice(&text, *other)));
        words.dedup_by(|one, other| slice(&text, *one) == slice(&text, *other));
        words.shrink_to_fit();
        Dictionary { text, words }
    }

    /// Whether `text` is one of the words, in whatever case.
    pub fn has(&self, text: &str) -> bool {
        let wanted = text.to_lowercase();
        self.words.binary_search_by(|word| slice(&self.text, *word).cmp(&wanted)).is_ok()
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

fn slice(text: &str, (start, end): (u32, u32)) -> &str {
    text.get(start as usize..end as usize).unwrap_or_default()
}
