//! Whether audit lines are those that were written, all of them and in their order: `kdc audit verify`.
//!
//! What a chain can't tell: whether its last lines were cut off, unless what it had come to is known from
//! elsewhere (the running KDC, a later file); and, without a key, whether somebody who could write the
//! files has made a whole new chain.

use std::fmt;
use std::io::{self, BufRead};

use super::chain::{ChainKey, Hash, Hasher, Head, Line, MOST_AT_ONCE, hex};

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is no line of a chain.
    NoLine,
    /// Lines before it are not there: from, to.
    Missing(u64, u64),
    /// It stands where another should.
    OutOfPlace(u64, u64),
    /// It, or one of so many before it that share its hash, is not as it was written.
    Altered(u64),
    /// The hash of these last lines is not there.
    Open,
    /// A chain begins in the midst.
    NewChain,
    /// The lines end before the one that is known to have been written.
    CutOff(u64),
    /// The line that is known to have been written is not among them.
    Absent(u64),
}

/// The first line that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The file.
    pub file: String,
    /// The line in it, from 1.
    pub line: u64,
    /// What is wrong.
    pub fault: Fault,
}

/// What was found where nothing is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Lines.
    pub lines: u64,
    /// The number of the first.
    pub first: u64,
    /// The last.
    pub head: Head,
    /// Records that could not be written, as the lines themselves say.
    pub lost: u64,
    /// Lines, and parts of lines, that a crash or a full disk has left and that no hash covers.
    pub torn: u64,
    /// Where the first of these is.
    pub torn_at: Option<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        match &self.fault {
            Fault::NoLine => f.write_str("not a line of an audit chain: it was altered, or put in"),
            Fault::Missing(from, to) if from == to => write!(f, "line {from} of the chain is missing before it"),
            Fault::Missing(from, to) => write!(f, "lines {from} to {to} of the chain are missing before it"),
            Fault::OutOfPlace(found, due) => write!(f, "line {found} of the chain stands where line {due} was due"),
            Fault::Altered(0) => f.write_str("it is not as it was written, or was made with another key"),
            Fault::Altered(others) => write!(
                f,
                "it, or one of the {others} before it that share its hash, is not as it was written, or was made with \
                 another key"
            ),
            Fault::Open => f.write_str(
                "from here on no line has a hash: the one that has theirs was cut off, or is about to be written",
            ),
            Fault::NewChain => f.write_str(
                "a new chain begins here; what came before it can't be tied to it (--new-chains takes it as sound)",
            ),
            Fault::CutOff(seq) => write!(f, "the lines end here, but line {seq} of the chain was written"),
            Fault::Absent(seq) => {
                write!(
                    f,
                    "up to here no line {seq} of the chain has the hash that is known: give the file that it is in"
                )
            }
        }
    }
}

/// Reads files in the order of their lines.
///
/// # Errors
/// Those of reading; inside, the first line that is wrong.
pub fn verify<R: BufRead>(
    files: Vec<(String, R)>,
    key: Option<&ChainKey>,
    known: Option<&Head>,
    new_chains: bool,
) -> io::Result<Result<Verified, Broken>> {
    let (found, at) = (Verified::default(), (String::new(), 0));
    let mut reader = Reader { key, new_chains, awaited: known, found, at, torn: None, open: None };
    for (name, file) in files {
        reader.at = (name, 0);
        for line in file.split(b'\n') {
            reader.at.1 += 1;
            if let Err(fault) = reader.take(&line?) {
                return Ok(Err(reader.broken(fault)));
            }
        }
    }
    Ok(reader.end())
}

struct Reader<'a> {
    key: Option<&'a ChainKey>,
    new_chains: bool,
    /// What is known to have been written, until it has passed.
    awaited: Option<&'a Head>,
    found: Verified,
    at: (String, u64),
    /// Something that is no line, which the next line may account for.
    torn: Option<(String, u64)>,
    open: Option<Open>,
}

/// Lines whose hash is still to come.
struct Open {
    lines: u64,
    /// The number of the last of them.
    last: u64,
    hasher: Hasher,
    /// Where the first of them stands.
    at: (String, u64),
}

impl Reader<'_> {
    fn broken(self, fault: Fault) -> Broken {
        // What was put in stands before the line at which it is noticed.
        let (file, line) = match (&fault, self.torn) {
            (Fault::NoLine, Some(at)) => at,
            (Fault::Open, _) => self.open.map_or(self.at, |open| open.at),
            _ => self.at,
        };
        Broken { file, line, fault }
    }

    fn take(&mut self, octets: &[u8]) -> Result<(), Fault> {
        if octets.is_empty() {
            return Ok(());
        }
        let line = std::str::from_utf8(octets).ok().and_then(Line::parse);
        let Some((line, fields)) = line.and_then(|line| Some((line, fields(&line)?))) else {
            return match self.torn.replace(self.at.clone()) {
                Some(first) => {
                    self.torn = Some(first);
                    Err(Fault::NoLine)
                }
                None => Ok(()),
            };
        };
        let torn = fields["torn"] == true;
        let accounts = fields["audit"] == "lost" || torn;
        // Of what was written at once a part may be all that a crash has left.
        if let Some(open) = self.open.take_if(|open| torn && line.seq <= open.last) {
            self.tore(open.lines, open.at);
        }
        let before = self.before(&line)?;
        let begun = || Open { lines: 0, last: 0, hasher: Hasher::after(self.key, &before), at: self.at.clone() };
        let mut open = self.open.take().unwrap_or_else(begun);
        open.hasher.take(line.text.as_bytes());
        let Some(head) = line.head() else {
            open.hasher.take(b"\n");
            (open.lines, open.last) = (open.lines + 1, line.seq);
            let many = open.lines >= MOST_AT_ONCE as u64;
            self.open = Some(open);
            return if many { Err(Fault::Open) } else { Ok(()) };
        };
        if open.hasher.end() != head.hash {
            return Err(Fault::Altered(open.lines));
        }
        if self.torn.is_some() && !accounts {
            return Err(Fault::NoLine);
        }
        if let Some(at) = self.torn.take() {
            self.tore(1, at);
        }
        if fields["audit"] == "lost" {
            self.found.lost += fields["lost"].as_u64().unwrap_or(0);
        }
        if self.found.lines == 0 {
            // What the first line says that it comes after may be what is known.
            self.pass(&Head { seq: line.seq.saturating_sub(1), hash: before })?;
            self.found.first = line.seq;
        }
        self.pass(&head)?;
        self.found.lines += open.lines + 1;
        self.found.head = head;
        Ok(())
    }

    /// So many lines there are parts of something, and the chain says so.
    fn tore(&mut self, lines: u64, (file, line): (String, u64)) {
        self.found.torn += lines;
        self.found.torn_at.get_or_insert_with(|| format!("{file}:{line}"));
    }

    /// The number of the next line.
    fn due(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |open| open.lines);
        self.found.head.seq.saturating_add(open).saturating_add(1)
    }

    /// The hash that a line must have been made after.
    fn before(&self, line: &Line<'_>) -> Result<Hash, Fault> {
        let due = self.due();
        if self.found.lines == 0 {
            // The first of what was kept says what it comes after.
            return prev(line).ok_or(Fault::Missing(1, line.seq.saturating_sub(1)));
        }
        match line.seq {
            seq if seq == due => Ok(self.found.head.hash),
            1 if prev(line) == Some([0; 32]) => match (&self.open, self.new_chains) {
                (Some(_), _) => Err(Fault::Open),
                (None, true) => Ok([0; 32]),
                (None, false) => Err(Fault::NewChain),
            },
            seq if seq > due => Err(Fault::Missing(due, seq - 1)),
            seq => Err(Fault::OutOfPlace(seq, due)),
        }
    }

    /// Compares a line with what is known to have been written, whatever follows it: else lines that were
    /// cut off could be made up for by others. Where there are several chains another may be meant.
    fn pass(&mut self, head: &Head) -> Result<(), Fault> {
        match self.awaited {
            Some(known) if known == head => self.awaited = None,
            Some(known) if known.seq == head.seq && !self.new_chains => return Err(Fault::Altered(0)),
            _ => {}
        }
        Ok(())
    }

    fn end(self) -> Result<Verified, Broken> {
        if self.torn.is_some() {
            return Err(self.broken(Fault::NoLine));
        }
        if self.open.is_some() {
            return Err(self.broken(Fault::Open));
        }
        let head = &self.found.head;
        match self.awaited {
            Some(known) if known.seq > head.seq => Err(self.broken(Fault::CutOff(known.seq))),
            // Nothing was written, and nothing is there.
            Some(known) if known != head => Err(self.broken(Fault::Absent(known.seq))),
            _ => Ok(self.found),
        }
    }
}

/// What a line says.
fn fields(line: &Line<'_>) -> Option<serde_json::Value> {
    // A hash stands in front of the end.
    let end = if line.hash.is_some() { "}" } else { "" };
    serde_json::from_str(&[line.text, end].concat()).ok()
}

/// What the first line of a file says that it comes after.
fn prev(line: &Line<'_>) -> Option<Hash> {
    let fields = fields(line)?;
    let hash = Head::parse(&format!("0:{}", fields["prev"].as_str()?))?.hash;
    (fields["audit"] == "begun").then_some(hash)
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verified { lines, first, head, lost, torn, torn_at } = self;
        write!(f, "{lines} lines, {first} to {}, unbroken; the last is {}:{}", head.seq, head.seq, hex(&head.hash))?;
        if *lost > 0 {
            write!(f, "; {lost} records could not be written")?;
        }
        if *torn > 0 {
            let at = torn_at.as_deref().unwrap_or_default();
            write!(f, "; {torn} torn lines, accounted for and worth nothing, the first at {at}")?;
        }
        Ok(())
    }
}
