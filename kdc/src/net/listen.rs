//! Binding: for each address one TCP listener and one UDP socket a thread, on the same port.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};

use super::Inherited;
use super::udp::LONGEST;

/// Connections that wait to be accepted; the kernel takes less when `somaxconn` is lower.
const BACKLOG: i32 = 4096;
/// Room for datagrams that wait for a busy thread; the kernel takes less when `rmem_max` is lower.
const BUFFER: usize = 4 << 20;
/// How often another port is tried when the system may choose one and UDP's is taken.
const ATTEMPTS: usize = 32;

/// The sockets of one address.
#[derive(Debug)]
pub struct Listener {
    /// As it was asked for, maybe with port 0.
    asked: SocketAddr,
    address: SocketAddr,
    tcp: TcpListener,
    udp: Vec<UdpSocket>,
}

impl Listener {
    /// Takes the sockets of `address` that are open already, and binds those that are not.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub fn take(address: SocketAddr, inherited: &mut Inherited) -> Result<Listener, BindError> {
        let (tcp, udp) = (inherited.tcp(address), inherited.udp(address));
        if tcp.is_none() && udp.is_empty() {
            return Listener::bind(address);
        }
        let tcp_failed = |cause| BindError { address, protocol: "TCP", cause };
        let udp_failed = |cause| BindError { address, protocol: "UDP", cause };
        let tcp = tcp.map_or_else(|| bind_tcp(address), adopt_tcp).map_err(tcp_failed)?;
        let udp = if udp.is_empty() { bind_all_udp(address) } else { adopt_udp(udp) }.map_err(udp_failed)?;
        Ok(Listener { asked: address, address, tcp, udp })
    }

    /// Binds `address`; with port 0 the system chooses one that is free for UDP and TCP.
    ///
    /// # Errors
    /// [`BindError`] says what to do.
    pub fn bind(address: SocketAddr) -> Result<Listener, BindError> {
        let mut attempts = if address.port() == 0 { ATTEMPTS } else { 1 };
        loop {
            attempts -= 1;
            match Self::try_bind(address) {
                Err(error) if attempts > 0 && error.cause.kind() == io::ErrorKind::AddrInUse => {}
                result => return result,
            }
        }
    }

    /// TCP comes first: its port belongs to one process, while UDP's is shared by several sockets.
    fn try_bind(asked: SocketAddr) -> Result<Listener, BindError> {
        let address = asked;
        let tcp = bind_tcp(address).map_err(|cause| BindError { address, protocol: "TCP", cause })?;
        let address = SocketAddr::new(address.ip(), tcp.local_addr().map_or(address.port(), |bound| bound.port()));
        let udp = bind_all_udp(address).map_err(|cause| BindError { address, protocol: "UDP", cause })?;
        Ok(Listener { asked, address, tcp, udp })
    }

    /// The address, with the port that is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same with one UDP socket, and so one thread: for what is much work for few.
    #[must_use]
    pub fn narrow(mut self) -> Listener {
        self.udp.truncate(1);
        self
    }

    pub(super) fn asked(&self) -> SocketAddr {
        self.asked
    }

    /// The same sockets, for one more owner.
    pub(super) fn clone_all(&self) -> io::Result<Listener> {
        Ok(Listener { asked: self.asked, address: self.address, tcp: self.tcp()?, udp: self.udp()? })
    }

    /// Its TCP listener, for one more owner.
    pub(super) fn tcp(&self) -> io::Result<TcpListener> {
        self.tcp.try_clone()
    }

    /// Its UDP sockets, for one more owner.
    pub(super) fn udp(&self) -> io::Result<Vec<UdpSocket>> {
        self.udp.iter().map(UdpSocket::try_clone).collect()
    }

    /// Its sockets, for another process.
    pub fn into_files(self) -> Vec<OwnedFd> {
        self.udp.into_iter().map(OwnedFd::from).chain([self.tcp.into()]).collect()
    }
}

/// The TCP listener of an address: one that is open already, or a new one.
pub(super) fn take_tcp(address: SocketAddr, inherited: &mut Inherited) -> Result<TcpListener, BindError> {
    let listener = inherited.tcp(address).map_or_else(|| bind_tcp(address), adopt_tcp);
    listener.map_err(|cause| BindError { address, protocol: "TCP", cause })
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted KDC must not wait for the connections of the one before.
    socket.set_reuse_address(true)?;
    finish(&socket, address)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A socket a core.
fn bind_all_udp(address: SocketAddr) -> io::Result<Vec<UdpSocket>> {
    (0..threads()).map(|_| bind_udp(address)).collect()
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn adopt_tcp(listener: TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    // Whoever opened it may have had another backlog in mind.
    SockRef::from(&listener).listen(BACKLOG)?;
    Ok(listener)
}

/// Systemd opens one; then the threads share it.
fn adopt_udp(mut sockets: Vec<UdpSocket>) -> io::Result<Vec<UdpSocket>> {
    for socket in &sockets {
        socket.set_nonblocking(true)?;
        // Less room than wished for is no reason not to serve.
        let _ = SockRef::from(socket).set_recv_buffer_size(BUFFER);
        let _ = SockRef::from(socket).set_send_buffer_size(BUFFER);
        drop_what_is_longer(&SockRef::from(socket));
    }
    for place in sockets.len()..threads() {
        let shared = sockets.get(place % sockets.len().max(1)).map(UdpSocket::try_clone);
        sockets.extend(shared.transpose()?);
    }
    Ok(sockets)
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // Several sockets on one port: the kernel spreads the peers over them.
    socket.set_reuse_port(true)?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_send_buffer_size(BUFFER)?;
    drop_what_is_longer(&socket);
    finish(&socket, address)?;
    Ok(socket.into())
}

/// Has the system drop datagrams that are longer than any request, before they take room or wake anybody. Where it
/// can't, they are received and not read.
fn drop_what_is_longer(socket: &Socket) {
    // Instructions of a socket filter, which sees the header of UDP too.
    const LOAD_LENGTH: u16 = 0x80;
    const IF_GREATER: u16 = 0x25;
    const RETURN: u16 = 0x06;
    const HEADER: u32 = 8;
    let filter = [
        SockFilter::new(LOAD_LENGTH, 0, 0, 0),
        SockFilter::new(IF_GREATER, 0, 1, LONGEST as u32 + HEADER),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    let _ = socket.attach_filter(&filter);
}

fn finish(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())
}

/// An address that can't be served.
#[derive(Debug)]
pub struct BindError {
    address: SocketAddr,
    protocol: &'static str,
    cause: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindError { address, protocol, cause } = self;
        write!(f, "cannot listen on {address} ({protocol}): ")?;
        match cause.kind() {
            io::ErrorKind::AddrInUse => f.write_str(
                "the port is in use; end the program that has it, or name another (`listen`, `kpasswd_listen` or that of [kkdcp]; kdc dev --listen)",
            ),
            io::ErrorKind::PermissionDenied => f.write_str(
                "permission denied; ports below 1024 need root or the capability CAP_NET_BIND_SERVICE \
                 (in a systemd unit: AmbientCapabilities=CAP_NET_BIND_SERVICE)",
            ),
            io::ErrorKind::AddrNotAvailable => {
                f.write_str("no interface of this machine has this address; correct `listen`")
            }
            _ => cause.fmt(f),
        }
    }
}

impl std::error::Error for BindError {}
