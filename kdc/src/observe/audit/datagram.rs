//! Audit lines as datagrams to a daemon of this machine: journald in its own protocol, or syslog as the C
//! library writes it (RFC 3164, without a host). Nobody is waited for: a daemon that is away or busy
//! misses lines, and is told how many when it is back.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use super::Writer;

/// What these daemons know us as.
const IDENTIFIER: &str = "kdc";
/// Security and authorization messages, private.
const FACILITY: u8 = 10;
/// Informational.
const SEVERITY: u8 = 6;

struct Socket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Socket {
    fn new(path: &Path) -> io::Result<Socket> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Socket { socket, path: path.to_owned() })
    }

    /// By its path each time: a daemon that was started anew has another socket there.
    fn send(&self, message: &str) -> io::Result<()> {
        self.socket.send_to(message.as_bytes(), &self.path).map(drop)
    }
}

/// journald (its "native protocol": a field a line).
pub struct Journald(Socket);

impl Journald {
    /// The socket at `path`, whether somebody listens there or not.
    pub fn new(path: &Path) -> io::Result<Self> {
        Socket::new(path).map(Journald)
    }
}

impl Writer for Journald {
    fn write(&mut self, line: &str, seq: u64) -> io::Result<()> {
        let line = line.trim_end();
        let id = format!("SYSLOG_IDENTIFIER={IDENTIFIER}\nSYSLOG_FACILITY={FACILITY}\nPRIORITY={SEVERITY}");
        self.0.send(&format!("MESSAGE={line}\n{id}\nKDC_AUDIT_SEQ={seq}\n"))
    }
}

/// syslog.
pub struct Syslog(Socket);

impl Syslog {
    /// The socket at `path`, whether somebody listens there or not.
    pub fn new(path: &Path) -> io::Result<Self> {
        Socket::new(path).map(Syslog)
    }
}

impl Writer for Syslog {
    fn write(&mut self, line: &str, _seq: u64) -> io::Result<()> {
        let (priority, pid) = (FACILITY * 8 + SEVERITY, std::process::id());
        let time = chrono::Local::now().format("%b %e %H:%M:%S");
        self.0.send(&format!("<{priority}>{time} {IDENTIFIER}[{pid}]: {}", line.trim_end()))
    }
}
