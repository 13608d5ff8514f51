//! `kdc dump`: a copy of the realm's store into a file, while its KDC runs or while it does not. Not
//! here: the lines (`store::dump`).

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::progress::Progress;
use crate::admin::{Answer, Operation, Perform, Reason, Refusal, Remote, now};
use crate::config::Config;
use crate::core::store::ExportHead;
use crate::core::{Store, StoreError};
use crate::error::{Error, Result};
use crate::store::{DumpLine, MasterKey, Redb, Trailer, dump_lines, dump_trailer, read_dump_line};

/// Lines as they come, wherever from.
type Lines<'a> = Box<dyn Iterator<Item = Result<String>> + 'a>;

/// Writes a dump of the realm's store into `to`; what it says of itself.
///
/// # Errors
/// When the store can't be read or the file not written; then the file is as it was.
pub fn dump(config: &Config, to: &Path, silent: bool) -> Result<ExportHead> {
    // Opened here, it stays ours until all is written.
    let store = match Redb::open(&config.store.file, MasterKey::load(&config.master_key)?) {
        Ok(store) => Some(store),
        Err(StoreError::InUse(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let lines: Lines<'_> = match &store {
        Some(store) => Box::new(dump_lines(store.export()?, now()).map(|line| Ok(line?))),
        None => Box::new(asked(config)?),
    };
    if to == Path::new("-") {
        return write(lines, std::io::stdout().lock(), to, silent);
    }
    let making = Making::beside(to)?;
    let head = write(lines, &making.file, to, silent)?;
    making.finish(to)?;
    Ok(head)
}

/// The lines that a running KDC says, page by page.
pub fn asked(config: &Config) -> Result<impl Iterator<Item = Result<String>>> {
    let problem = || {
        let socket = config.admin_socket.display();
        Error::file(
            &config.store.file,
            format!("in use by another process, but nobody answers at {socket}; end it first"),
        )
    };
    let kdc = Remote::find(&config.admin_socket)?.ok_or_else(problem)?;
    let mut next = Some(None);
    Ok(std::iter::from_fn(move || {
        let page = kdc.perform(Operation::Dump { next: next.take()? });
        Some(match page {
            Ok(Answer::Dump { lines, next: more }) => {
                next = more.map(Some);
                Ok(lines)
            }
            Ok(_) => Err(Refusal::new(Reason::Failed, "the KDC did not answer what was asked").into()),
            Err(refusal) => Err(Error::from(refusal)),
        })
    })
    .flat_map(|page: Result<Vec<String>>| {
        let (lines, error) = page.map_or_else(|error| (vec![], Some(Err(error))), |lines| (lines, None));
        lines.into_iter().map(Ok).chain(error)
    }))
}

fn write(lines: Lines<'_>, out: impl Write, to: &Path, silent: bool) -> Result<ExportHead> {
    let mut out = BufWriter::with_capacity(256 << 10, out);
    let failed = |error: std::io::Error| Error::file(to, error);
    let mut digest = Sha256::new();
    let (mut progress, mut found) = (None, None);
    let mut records = 0;
    for (number, line) in (0..).zip(lines) {
        let mut line = line?;
        if number == 0
            && let Ok(DumpLine::Header(head)) = read_dump_line(&line)
        {
            progress = Some(Progress::new("dumping", head.records(), silent));
            found = Some(head);
        }
        line.push('\n');
        digest.update(&line);
        out.write_all(line.as_bytes()).map_err(failed)?;
        records = number;
        if let Some(progress) = progress.as_mut().filter(|_| number % 1000 == 0) {
            progress.at(number);
        }
    }
    let sha256 = digest.finalize().iter().map(|octet| format!("{octet:02x}")).collect();
    let last = dump_trailer(Trailer { records, sha256 })? + "\n";
    out.write_all(last.as_bytes()).and_then(|()| out.flush()).map_err(failed)?;
    found.ok_or_else(|| Error::file(to, "the store says nothing of itself; try again"))
}

/// A file beside the one that it becomes when it is whole.
struct Making {
    path: PathBuf,
    file: File,
}

impl Making {
    fn beside(to: &Path) -> Result<Self> {
        let mut path = to.to_owned().into_os_string();
        path.push(format!(".{}", std::process::id()));
        let path = PathBuf::from(path);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        Ok(Making { file: file.map_err(|error| Error::file(&path, error))?, path })
    }

    fn finish(self, to: &Path) -> Result<()> {
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.file
            .sync_all()
            .and_then(|()| std::fs::rename(&self.path, to))
            .and_then(|()| File::open(folder)?.sync_all())
            .map_err(|error| Error::file(to, error))
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        // Once it is finished, there is none.
        let _ = std::fs::remove_file(&self.path);
    }
}
