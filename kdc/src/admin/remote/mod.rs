//! The registry of a KDC elsewhere, asked through one of its doors, and that of this process. Not
//! here: the serving side.

mod https;
mod socket;

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use https::{Proof, Server, fetch};

use super::api::Call;
use super::caller::{Caller, Door};
use super::operation::{Answer, Operation, Reason, Refusal};
use super::registry::{Perform, Registry, fresh_id};

/// Octets of the longest response: a page of the longest names fits.
const MAX_ANSWER: usize = 4 << 20;

/// The registry behind a door. Each operation has its own connection: a prompt may wait for hours.
pub struct Remote(Way);

enum Way {
    Socket(PathBuf),
    Https(Box<https::Client>),
}

impl Remote {
    /// The registry behind `socket`; `None` when nobody serves it.
    ///
    /// # Errors
    /// [`Reason::Denied`] when the socket is somebody else's.
    pub fn find(socket: &Path) -> Result<Option<Remote>, Refusal> {
        match UnixStream::connect(socket) {
            Ok(_) => Ok(Some(Remote(Way::Socket(socket.to_owned())))),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let text = format!("{}: {error}; run kadmin as root or as the user of the KDC", socket.display());
                Err(Refusal::new(Reason::Denied, text))
            }
            Err(_) => Ok(None),
        }
    }

    /// The registry behind the API of `server`, for who has `proof`.
    ///
    /// # Errors
    /// Why there is no ticket for it: a wrong password, no KDC.
    pub fn log_in(server: Server, proof: Proof) -> libkrb::Result<Remote> {
        Ok(Remote(Way::Https(Box::new(https::Client::log_in(server, proof)?))))
    }
}

impl Perform for Remote {
    fn perform(&self, operation: Operation) -> Result<Answer, Refusal> {
        let unasked = || Refusal::invalid("the API has no resource for this");
        let operation = if let Way::Https(_) = self.0 { once(operation)? } else { operation };
        let call = Call::of(&operation).ok_or_else(unasked)?;
        let response = match &self.0 {
            Way::Socket(path) => socket::ask(path, &call)
                .map_err(|error| format!("{}: {error}; is the KDC still running?", path.display())),
            Way::Https(client) => {
                let again = |error| if operation.is_once() { client.ask(&call) } else { Err(error) };
                client.ask(&call).or_else(again)
            }
        };
        let (status, body) = response.map_err(|text| Refusal::new(Reason::Failed, text))?;
        call.answer(status, &body)
    }
}

/// A change with an id of its own: asked for again where the answer was lost, it is made once.
fn once(operation: Operation) -> Result<Operation, Refusal> {
    if operation.is_once() || !operation.is_change() {
        return Ok(operation);
    }
    let request = fresh_id()?.iter().map(|octet| format!("{octet:02x}")).collect();
    Ok(Operation::Once { request, operation: Box::new(operation) })
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
