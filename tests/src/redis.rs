//! A Redis server of a test's own, which keeps nothing on disk unless it is asked to.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use tempfile::TempDir;

use crate::{Daemon, PATIENCE, Port, Tool, optional_peer};

/// A running server.
pub struct Redis {
    tool: Tool,
    daemon: Daemon,
    port: Port,
    folder: TempDir,
}

const READY: &str = "Ready to accept connections";

impl Redis {
    /// Starts one, where it is installed; absence is treated as for [`crate::Family::present`].
    pub fn start(options: &[&str]) -> Option<Redis> {
        let program = optional_peer("redis-server", "/usr/bin/redis-server")?;
        let (port, folder) = (Port::claim(), tempfile::tempdir().expect("a folder"));
        let tool = Tool::new(program)
            .folder(folder.path())
            .args(["--port", &port.number().to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .args(options);
        Some(Redis { daemon: Daemon::start(tool.command(), READY), tool, port, folder })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The folder with what it keeps.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Its URL, for everybody.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Ends it as a crash would; [`Redis::restart`] brings it back.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Starts it again, on the same port and folder.
    pub fn restart(&mut self) {
        self.daemon.kill();
        self.daemon = Daemon::start(self.tool.command(), READY);
    }

    /// Gives it one command, and returns the first line of its answer.
    pub fn command(&self, words: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).expect("a connection to the server");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(format!("{words}\r\n").as_bytes()).expect("a command sent");
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).expect("an answer");
        answer.trim_end().to_owned()
    }
}
