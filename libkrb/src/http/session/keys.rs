//! The secrets that seal sessions: one for the process, or a file that replicas share. The newest
//! seals; older ones open until they are gone.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::crypto::{MIN_SECRET, OsRandom, Random, SealingKey};
use crate::error::{Error, Result};
use crate::time::{Seconds, Time};

/// How many secrets there may be at once.
const MAX_KEYS: usize = 16;

/// More than any file of secrets has.
const MAX_FILE: u64 = 64 * 1024;

/// How long a file is not looked at again.
const PAUSE: Seconds = 10;

/// What the keys are for: a secret may have other uses too.
const PURPOSE: &str = "http session";

/// The secrets that seal sessions. Clones share them.
///
/// A file has one secret a line in base64, of at least 32 octets (`openssl rand -base64 32`), the
/// newest first; a line that begins with `#` is a remark. To renew it, write a line above the
/// others, and take the last one away when the longest session under it has ended. The file is read
/// again when it has changed. A replica that has not read it yet asks for Negotiate again where it
/// does not know a key. Renew it before 2^32 sessions were begun.
#[derive(Clone)]
pub struct SessionKeys(Arc<Shared>);

struct Shared {
    /// Held for no longer than it takes to look at it; a file is read without it.
    state: Mutex<State>,
    file: Option<Watched>,
}

struct State {
    ring: Ring,
    /// Whether the file still says which keys there are, and when it was changed.
    followed: bool,
    changed: Option<SystemTime>,
}

/// The newest first.
pub(super) type Ring = Arc<[Arc<SealingKey>]>;

/// The file that they came from.
struct Watched {
    path: PathBuf,
    /// When it was last looked at: who looks next says so first, and everybody else goes on meanwhile.
    looked: AtomicI64,
}

impl SessionKeys {
    fn of(ring: Ring, file: Option<(PathBuf, Option<SystemTime>)>) -> SessionKeys {
        let changed = file.as_ref().and_then(|(_, changed)| *changed);
        let file = file.map(|(path, _)| Watched { path, looked: AtomicI64::new(i64::MIN) });
        SessionKeys(Arc::new(Shared { state: Mutex::new(State { ring, followed: true, changed }), file }))
    }

    /// A secret of this process alone: sessions end with it, and another replica does not know them.
    ///
    /// # Errors
    /// None that can be provoked.
    pub fn random() -> Result<SessionKeys> {
        Ok(SessionKeys::of(Arc::new([fresh()?]), None))
    }

    /// These secrets, the newest first; each needs at least 32 octets from a random generator.
    ///
    /// # Errors
    /// [`Error::Setting`] for none, too many, or one that is too short.
    pub fn from_secrets<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Result<SessionKeys> {
        ring(secrets).map(|ring| SessionKeys::of(ring, None))
    }

    /// The secrets of a file, which is read again when it has changed.
    ///
    /// # Errors
    /// [`Error::File`] with the line, and what was expected.
    pub fn from_file(path: impl Into<PathBuf>) -> Result<SessionKeys> {
        let path = path.into();
        let changed = changed(&path);
        let ring = read(&path)?;
        Ok(SessionKeys::of(ring, Some((path, changed))))
    }

    /// Seals with a new random secret from now on. The old ones open what they have sealed, until
    /// sixteen newer ones have come: so not to be called more often than sixteen times in the life
    /// of a session. A file of secrets is left as it is and read no more.
    ///
    /// # Errors
    /// None that can be provoked.
    pub fn rotate(&self) -> Result<()> {
        let mut state = self.lock();
        let old = state.ring.iter().take(MAX_KEYS - 1).cloned();
        state.ring = [fresh()?].into_iter().chain(old).collect();
        state.followed = false;
        Ok(())
    }

    /// The keys as they are now.
    pub(super) fn ring(&self, now: Time) -> Ring {
        self.ring_read_by(now, read)
    }

    pub(super) fn ring_read_by(&self, now: Time, read: impl FnOnce(&Path) -> Result<Ring>) -> Ring {
        if let Some(file) = self.0.file.as_ref().filter(|file| file.is_due(now)) {
            self.look(file, read);
        }
        self.lock().ring.clone()
    }

    /// Takes the keys of a file that has changed since it was read. One that cannot be read leaves
    /// them as they are.
    fn look(&self, file: &Watched, read: impl FnOnce(&Path) -> Result<Ring>) {
        let changed = changed(&file.path);
        let State { followed, changed: known, .. } = *self.lock();
        if !followed || changed == known {
            return;
        }
        match read(&file.path) {
            Ok(ring) => {
                let mut state = self.lock();
                // It may have been renewed meanwhile.
                if state.followed {
                    (state.ring, state.changed) = (ring, changed);
                }
            }
            Err(error) => {
                tracing::warn!(target: "libkrb::http", %error, "the secrets of sessions stay as they were");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    /// Whether it is time to look at it: true for one who asks.
    fn is_due(&self, now: Time) -> bool {
        let looked = self.looked.load(Ordering::Relaxed);
        let due = Time(looked).distance(now) >= PAUSE;
        due && self.looked.compare_exchange(looked, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

fn fresh() -> Result<Arc<SealingKey>> {
    let mut secret = Zeroizing::new([0; MIN_SECRET]);
    OsRandom::new().fill(&mut *secret);
    SealingKey::derive(&*secret, PURPOSE).map(Arc::new)
}

fn ring<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Result<Ring> {
    let keys = secrets.into_iter().map(|secret| SealingKey::derive(secret.as_ref(), PURPOSE).map(Arc::new));
    let ring = keys.collect::<Result<Ring>>()?;
    match ring.len() {
        0 => Err(Error::Setting("there is no secret to seal sessions with".to_owned())),
        1..=MAX_KEYS => Ok(ring),
        _ => Err(Error::Setting(format!("there are more than {MAX_KEYS} secrets to seal sessions with"))),
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn read(path: &Path) -> Result<Ring> {
    use std::io::Read;
    use std::os::unix::fs::MetadataExt;
    let mut text = Zeroizing::new(String::new());
    let metadata = std::fs::metadata(path).map_err(|error| Error::file(path, error))?;
    if !metadata.is_file() {
        return Err(Error::file(path, "not a file"));
    }
    // Whoever writes it can be anybody here. Mounted secrets are often readable by all, so that may be.
    if metadata.mode() & 0o002 != 0 {
        return Err(Error::file(path, format!("everybody may write it; chmod o-w {}", path.display())));
    }
    let file = std::fs::File::open(path).map_err(|error| Error::file(path, error))?;
    file.take(MAX_FILE).read_to_string(&mut text).map_err(|error| Error::file(path, error))?;
    let lines = (1..).zip(text.lines()).map(|(number, line)| (number, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let secrets = lines.map(|(number, line)| {
        let secret = STANDARD.decode(line).ok().filter(|secret| secret.len() >= MIN_SECRET).map(Zeroizing::new);
        let expected = "is no secret: write one with openssl rand -base64 32";
        secret.ok_or_else(|| Error::file(path, format!("line {number} {expected}")))
    });
    let secrets = secrets.collect::<Result<Vec<_>>>()?;
    ring(secrets.iter().map(|secret| secret.as_slice())).map_err(|error| Error::file(path, error))
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKeys")
    }
}
