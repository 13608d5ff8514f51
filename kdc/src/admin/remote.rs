//! The registry of a running KDC, asked through its socket. Not here: the serving side.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::caller::{Caller, Door};
use super::operation::{Answer, Operation, Reason, Refusal};
use super::registry::{Perform, Registry};
use super::socket::{MAX_FRAME, Reply, frame};

/// The registry behind a socket. Each operation has its own connection: a prompt may wait for hours.
pub struct Remote {
    socket: PathBuf,
}

impl Remote {
    /// The registry behind `socket`; `None` when nobody serves it.
    ///
    /// # Errors
    /// [`Reason::Denied`] when the socket is somebody else's.
    pub fn find(socket: &Path) -> Result<Option<Remote>, Refusal> {
        match UnixStream::connect(socket) {
            Ok(_) => Ok(Some(Remote { socket: socket.to_owned() })),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let text = format!("{}: {error}; run kadmin as root or as the user of the KDC", socket.display());
                Err(Refusal::new(Reason::Denied, text))
            }
            Err(_) => Ok(None),
        }
    }

    fn ask(&self, operation: &Operation) -> std::io::Result<Reply> {
        let mut stream = UnixStream::connect(&self.socket)?;
        // A caller who may not speak is told so before anything is read.
        let sent = stream.write_all(&frame(operation)?);
        let mut length = [0; 4];
        stream.read_exact(&mut length).map_err(|error| sent.err().unwrap_or(error))?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_FRAME {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut reply = Zeroizing::new(vec![0; length]);
        stream.read_exact(&mut reply)?;
        Ok(serde_json::from_slice(&reply)?)
    }
}

impl Perform for Remote {
    fn perform(&self, operation: Operation) -> Result<Answer, Refusal> {
        match self.ask(&operation) {
            Ok(Reply::Answer(answer)) => Ok(answer),
            Ok(Reply::Refusal(refusal)) => Err(refusal),
            Err(error) => {
                let text = format!("{}: {error}; is the KDC still running?", self.socket.display());
                Err(Refusal::new(Reason::Failed, text))
            }
        }
    }
}

/// A registry of this process, used by the user who started it.
pub struct Local {
    registry: Arc<Registry>,
    caller: Caller,
}

impl Local {
    /// `registry`, in the name of this process's user.
    pub fn new(registry: Arc<Registry>) -> Self {
        let user = user_name(rustix::process::getuid().as_raw());
        let caller = Caller::login(&user, registry.realm(), Door::Process);
        Local { registry, caller }
    }
}

impl Perform for Local {
    fn perform(&self, operation: Operation) -> Result<Answer, Refusal> {
        self.registry.perform(&self.caller, operation)
    }
}

/// The login name of a user, or what tells him from others.
pub(super) fn user_name(user: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(user)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("uid{user}"))
}
