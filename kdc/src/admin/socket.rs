//! The registry served over a Unix socket: frames of a length (four octets, big-endian) and as many
//! octets of JSON, an operation in, its answer or refusal out. Only root and the daemon's own user
//! are heard. Not here: what the operations do.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use libkrb::{Error, Result};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::caller::{Caller, Door};
use super::operation::{Answer, Operation, Reason, Refusal};
use super::registry::Registry;
use super::remote::user_name;

/// The longest frame, either way: a page of the longest names fits.
pub(super) const MAX_FRAME: usize = 4 << 20;
/// Connections at a time; more wait.
const CONNECTIONS: usize = 64;
/// How long a connection may stay silent, and how long a frame may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What goes back in a frame.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// It went well.
    Answer(Answer),
    /// It did not.
    Refusal(Refusal),
}

/// Binds the socket, for its owner only. One that a killed daemon left behind is replaced.
///
/// # Errors
/// [`Error::File`] when another daemon serves it, or it can't be made.
pub fn bind(path: &Path) -> Result<UnixListener> {
    let wrong = |error: std::io::Error| match error.kind() {
        ErrorKind::InvalidInput => Error::file(path, "too long for a socket; set a shorter admin_socket in kdc.toml"),
        _ => Error::file(path, error),
    };
    if let Ok(kind) = std::fs::symlink_metadata(path).map(|it| it.file_type()) {
        use std::os::unix::fs::FileTypeExt;
        if !kind.is_socket() {
            return Err(Error::file(path, "there is another file where the admin socket should be"));
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(Error::file(path, "another KDC serves this realm"));
        }
        std::fs::remove_file(path).map_err(wrong)?;
    }
    let listener = UnixListener::bind(path).map_err(wrong)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(wrong)?;
    Ok(listener)
}

/// Serves `registry` at `listener` until dropped. A commit that has begun is finished also then.
pub async fn serve(listener: UnixListener, registry: Arc<Registry>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let registry = Arc::clone(&registry);
                tokio::spawn(async move {
                    converse(stream, registry).await;
                    drop(place);
                });
            }
            // Out of file descriptors, or a connection gone before it was taken.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// One connection: operations as long as they come. Whatever fails ends it.
async fn converse(mut stream: UnixStream, registry: Arc<Registry>) {
    let peer = stream.peer_cred().map(|peer| peer.uid());
    let own = rustix::process::geteuid().as_raw();
    let Some(user) = peer.ok().filter(|user| *user == 0 || *user == own) else {
        let text = "only root and the user that the KDC runs as may administer the realm";
        let _ = send(&mut stream, &Reply::Refusal(Refusal::new(Reason::Denied, text))).await;
        return;
    };
    let caller = Caller::login(&user_name(user), registry.realm(), Door::Socket);
    while let Ok(Some(frame)) = receive(&mut stream).await {
        let reply = match serde_json::from_slice::<Operation>(&frame) {
            Ok(operation) => answer(Arc::clone(&registry), caller.clone(), operation).await,
            // What serde says may repeat the frame, and so a password.
            Err(_) => Reply::Refusal(Refusal::new(Reason::Invalid, "not an operation; is kadmin of another version?")),
        };
        if send(&mut stream, &reply).await.is_err() {
            return;
        }
    }
}

/// Performs away from the threads that serve sockets: passwords and commits take their time.
async fn answer(registry: Arc<Registry>, caller: Caller, operation: Operation) -> Reply {
    match tokio::task::spawn_blocking(move || registry.perform(&caller, operation)).await {
        Ok(Ok(answer)) => Reply::Answer(answer),
        Ok(Err(refusal)) => Reply::Refusal(refusal),
        Err(_) => Reply::Refusal(Refusal::new(Reason::Failed, "the KDC failed to perform this; see its log")),
    }
}

async fn receive(stream: &mut UnixStream) -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
    let read = async {
        let length = match stream.read_u32().await {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            length => length? as usize,
        };
        if length > MAX_FRAME {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut frame = Zeroizing::new(vec![]);
        // Grows as octets arrive: a length alone costs no memory.
        (&mut *stream).take(length as u64).read_to_end(&mut frame).await?;
        Ok((frame.len() == length).then_some(frame))
    };
    tokio::time::timeout(PATIENCE, read).await?
}

async fn send(stream: &mut UnixStream, reply: &Reply) -> std::io::Result<()> {
    let frame = frame(reply)?;
    tokio::time::timeout(PATIENCE, stream.write_all(&frame)).await?
}

/// A frame with its length.
pub(super) fn frame(content: &impl Serialize) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let json = Zeroizing::new(serde_json::to_vec(content)?);
    let length = u32::try_from(json.len()).ok().filter(|_| json.len() <= MAX_FRAME);
    let length = length.ok_or(ErrorKind::InvalidData)?;
    Ok(Zeroizing::new([&length.to_be_bytes(), &**json].concat()))
}
