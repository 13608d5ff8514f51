//! The door to the daemon: a connection to its socket, and one request after the other on it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::protocol::{Reply, Request, Status};
use crate::error::{Error, Result};

/// The longest reply; MIT's bound.
const MAX_REPLY: u32 = 10 << 20;
/// How long the daemon may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a request was not done.
pub(super) enum Failed {
    /// The daemon says so.
    Refused(Status),
    /// The daemon is not there, or not to be understood.
    Lost(Error),
}

/// A connection.
pub(super) struct Link {
    stream: UnixStream,
    socket: PathBuf,
}

impl Link {
    /// Connects.
    pub(super) fn to(socket: &Path) -> Result<Link> {
        let failed = |error: std::io::Error| {
            let way = "start kcmd, or name another default_ccache_name in krb5.conf";
            Error::storage("No KCM server found", "", format!("{way}; {}: {error}", socket.display()))
        };
        if socket == Path::new("-") {
            return Err(Error::storage("No KCM server found", "", "kcm_socket in krb5.conf says that there is none"));
        }
        let stream = UnixStream::connect(socket).map_err(failed)?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
            .map_err(failed)?;
        Ok(Link { stream, socket: socket.to_owned() })
    }

    /// Asks, and reads what comes back.
    pub(super) fn ask(&mut self, request: &Request) -> Result<Reply, Failed> {
        let reply = self.exchange(request)?;
        Reply::decode(request, &reply).map_err(Failed::Lost)
    }

    /// The same, where nothing may come back.
    pub(super) fn ask_or_nothing(&mut self, request: &Request) -> Result<Option<Reply>, Failed> {
        let reply = self.exchange(request)?;
        if reply.is_empty() {
            return Ok(None);
        }
        Reply::decode(request, &reply).map(Some).map_err(Failed::Lost)
    }

    fn exchange(&mut self, request: &Request) -> Result<Zeroizing<Vec<u8>>, Failed> {
        let lost = |detail: String, socket: &Path| {
            Failed::Lost(Error::storage("Credentials cache I/O operation failed", socket.display().to_string(), detail))
        };
        let bytes = request.encode();
        let length = u32::try_from(bytes.len()).map_err(|_| lost("too much to say".into(), &self.socket))?;
        let mut framed = Zeroizing::new(Vec::with_capacity(bytes.len().saturating_add(4)));
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(&bytes);
        let mut answer = || -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
            self.stream.write_all(&framed)?;
            let [mut length, mut status] = [[0; 4]; 2];
            self.stream.read_exact(&mut length)?;
            self.stream.read_exact(&mut status)?;
            if status != [0; 4] {
                return Ok(None);
            }
            let length = u32::from_be_bytes(length);
            if length > MAX_REPLY {
                return Err(std::io::Error::other("the KCM server's reply is too long"));
            }
            let mut reply = Zeroizing::new(vec![0; length as usize]);
            self.stream.read_exact(&mut reply)?;
            Ok(Some(reply))
        };
        let answer = answer().map_err(|error| lost(error.to_string(), &self.socket))?;
        let answer = answer.ok_or_else(|| lost("the KCM server takes no requests".into(), &self.socket))?;
        let (status, rest) =
            answer.split_first_chunk().ok_or_else(|| lost("a reply without a status".into(), &self.socket))?;
        match Status(i32::from_be_bytes(*status)) {
            Status::OK => Ok(Zeroizing::new(rest.to_vec())),
            status => Err(Failed::Refused(status)),
        }
    }
}
