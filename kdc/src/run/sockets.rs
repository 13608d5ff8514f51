//! Every socket that the settings name: taken over from systemd or from the process before, or bound.
//! Not here: what is served there.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;

use super::beside::Doors;
use crate::admin;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::net::{Inherited, Listener};

/// The settings about sockets, for messages.
const SETTINGS: &str =
    "`listen`, `kpasswd_listen`, `unix_listen`, `kkdcp.listen`, `admin_socket`, `admin.listen`, `management.listen`";

/// The sockets of a KDC.
pub struct Sockets {
    /// Where tickets are issued.
    pub kdc: Vec<Listener>,
    /// Where passwords are changed.
    pub passwords: Vec<Listener>,
    /// Where both are done over HTTPS, and in the file system.
    pub beside: Doors,
    /// Where it is administered from this machine.
    pub admin: UnixListener,
    /// Where it is administered from others.
    pub https: Vec<TcpListener>,
    /// Where it is watched.
    pub management: Vec<TcpListener>,
}

impl Sockets {
    /// Opens what the settings name; says which of `inherited` they don't.
    ///
    /// # Errors
    /// The address or path that can't be had, and what to do.
    pub fn open(config: &Config, mut inherited: Inherited) -> Result<Sockets> {
        let sockets = Sockets {
            kdc: take(&config.listen, &mut inherited)?,
            passwords: take(&config.kpasswd_addresses(), &mut inherited)?,
            beside: Doors::take(config, &mut inherited)?,
            admin: match inherited.unix(&config.admin_socket) {
                Some(socket) => socket,
                None => local(config)?,
            },
            https: plain(&config.admin.listen, "[admin] listen", &mut inherited)?,
            management: plain(&config.management.listen, "[management] listen", &mut inherited)?,
        };
        for socket in inherited.left() {
            tracing::warn!(socket, "closed: it was handed over and is none of the settings ({SETTINGS})");
        }
        Ok(sockets)
    }
}

/// Listens at these addresses, UDP and TCP, on sockets that were handed over where there are some.
pub fn take(addresses: &[SocketAddr], inherited: &mut Inherited) -> Result<Vec<Listener>> {
    let listeners = addresses.iter().map(|address| Listener::take(*address, inherited)).collect::<Result<Vec<_>, _>>();
    listeners.map_err(|error| Error::Other(error.to_string()))
}

/// Listens at these addresses, UDP and TCP.
pub fn bind(addresses: &[SocketAddr]) -> Result<Vec<Listener>> {
    take(addresses, &mut Inherited::default())
}

/// Listens at the path of the admin socket.
pub fn local(config: &Config) -> Result<UnixListener> {
    admin::bind(&config.admin_socket)?.into_std().map_err(super::unserved)
}

/// Listens at these addresses, TCP alone, on sockets that were handed over where there are some.
pub fn plain(addresses: &[SocketAddr], setting: &str, inherited: &mut Inherited) -> Result<Vec<TcpListener>> {
    let wrong = |address: &SocketAddr, error: io::Error| {
        let next = match error.kind() {
            ErrorKind::AddrInUse => "; end the program that has it, or name another",
            ErrorKind::PermissionDenied => "; ports below 1024 need root, CAP_NET_BIND_SERVICE, or a row in kdc.socket",
            _ => "",
        };
        Error::Other(format!("cannot listen on {address} for {setting} in kdc.toml: {error}{next}"))
    };
    let open = |address: &SocketAddr| {
        let socket = inherited.tcp(*address).map_or_else(|| TcpListener::bind(address), Ok);
        let socket = socket.and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
        socket.map_err(|error| wrong(address, error))
    };
    addresses.iter().map(open).collect()
}
