//! Dumps of other KDCs' databases, which an administrator brings from elsewhere.

use kdc::moving::{heimdal, mit};
use libkrb::codes::EncryptionType;
use libkrb::crypto::Key;

use crate::joined::REALM;

/// The master key that sealed the keys of MIT's dump among the seeds.
const MASTER: [u8; 16] =
    [0x11, 0x8a, 0x91, 0x0c, 0x7f, 0x11, 0x76, 0xfa, 0x3b, 0xc1, 0xdb, 0x1e, 0x6e, 0x97, 0x94, 0x52];

/// Any text as a dump of MIT's: principals, or an error that says something.
pub fn mit_dump(data: &[u8]) {
    let master = Key::new(EncryptionType::AES128_SHA1, &MASTER).expect("a key");
    let done = mit::try_lines(&String::from_utf8_lossy(data), REALM, &mit::Told::Key(master));
    said(done);
}

/// Any text as a dump of Heimdal's.
pub fn heimdal_dump(data: &[u8]) {
    said(heimdal::try_lines(&String::from_utf8_lossy(data), REALM));
}

fn said(done: Result<usize, String>) {
    if let Err(problem) = done {
        assert!(!problem.is_empty() && !problem.contains('\n'), "{problem:?}");
    }
}
