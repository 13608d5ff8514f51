//! Sockets that are open before this process is: from systemd (socket activation), or from the KDC
//! that this one takes over from. Each is known by what it is bound to, so that `listen` stays the
//! one place that says what is served. Not here: sockets of our own.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::Path;

use listenfd::ListenFd;

/// Sockets that nobody has asked for yet.
#[derive(Debug, Default)]
pub struct Inherited {
    tcp: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
    unix: Vec<UnixListener>,
}

impl Inherited {
    /// Those that the environment tells of (LISTEN_FDS), which is forgotten. To be called once, before
    /// there are threads.
    pub fn from_environment() -> Self {
        let mut files = ListenFd::from_env();
        let mut inherited = Inherited::default();
        for place in 0..files.len() {
            // What is none of these is an error and stays where it is.
            inherited.tcp.extend(files.take_tcp_listener(place).ok().flatten());
            inherited.udp.extend(files.take_udp_socket(place).ok().flatten());
            inherited.unix.extend(files.take_unix_listener(place).ok().flatten());
        }
        inherited
    }

    /// The TCP listener of an address.
    pub fn tcp(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let place = self.tcp.iter().position(|socket| socket.local_addr().ok() == Some(address))?;
        Some(self.tcp.swap_remove(place))
    }

    /// The UDP sockets of an address.
    pub fn udp(&mut self, address: SocketAddr) -> Vec<UdpSocket> {
        self.udp.extract_if(.., |socket| socket.local_addr().ok() == Some(address)).collect()
    }

    /// The listener of a path.
    pub fn unix(&mut self, path: &Path) -> Option<UnixListener> {
        let is_there = |socket: &UnixListener| {
            socket.local_addr().is_ok_and(|address| address.as_pathname().is_some_and(|own| own == path))
        };
        let place = self.unix.iter().position(is_there)?;
        Some(self.unix.swap_remove(place))
    }

    /// Those that nobody asked for, as text.
    pub fn left(&self) -> Vec<String> {
        let tcp = self.tcp.iter().filter_map(|socket| Some(format!("{} (TCP)", socket.local_addr().ok()?)));
        let udp = self.udp.iter().filter_map(|socket| Some(format!("{} (UDP)", socket.local_addr().ok()?)));
        let unix =
            self.unix.iter().filter_map(|socket| Some(socket.local_addr().ok()?.as_pathname()?.display().to_string()));
        tcp.chain(udp).chain(unix).collect()
    }
}
