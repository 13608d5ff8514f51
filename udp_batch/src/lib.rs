//! Datagrams in batches: many received with one system call (`recvmmsg`), many sent with another (`sendmmsg`), and
//! for sockets of no particular address to which of ours each was sent. Not here: what a datagram says.
//!
//! This is the one crate of the workspace with `unsafe` in it: three calls into the C library, whose buffers are all
//! made, and borrowed for the call, in the function that makes it.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod octets;

use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

use octets::{Control, Name};

/// Datagrams that are received or sent with one call, at most.
pub const BATCH: usize = 32;
/// Between buffers: an odd number of cache lines, or the beginnings of all of them would compete for the same places
/// in the cache.
const BETWEEN: usize = 9 * 64;

/// Room for a batch of datagrams, and what was received last.
pub struct Inbox {
    buffers: Box<[u8]>,
    longest: usize,
    arrived: [Option<Arrived>; BATCH],
    /// How many came.
    count: usize,
}

#[derive(Clone, Copy)]
struct Arrived {
    from: SocketAddr,
    to: Option<IpAddr>,
    length: usize,
    cut: bool,
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// Our address that it was sent to, where the socket was told to say so ([`tell_own_address`]).
    pub to: Option<IpAddr>,
    /// What is in it.
    pub bytes: &'a [u8],
    /// It was longer than there was room for, and `bytes` is its beginning.
    pub cut: bool,
}

/// A datagram to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// To whom.
    pub to: SocketAddr,
    /// From which of our addresses; none: from the socket's, or as the system chooses.
    pub from: Option<IpAddr>,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// Has a socket of no particular address say to which of ours each datagram was sent.
///
/// # Errors
/// Those of the system.
pub fn tell_own_address(socket: &UdpSocket) -> io::Result<()> {
    let (level, option) = match socket.local_addr()? {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    };
    let on: libc::c_int = 1;
    let length = size_of_val(&on) as libc::socklen_t;
    // SAFETY: the descriptor is open while `socket` is borrowed; the value is an int of the length that is told.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl Inbox {
    /// Room for a batch of datagrams that are not longer than so many octets.
    pub fn new(longest: usize) -> Inbox {
        Inbox { buffers: vec![0; BATCH * (longest + BETWEEN)].into(), longest, arrived: [None; BATCH], count: 0 }
    }

    /// Receives what is there, but not more than `most` datagrams nor more than [`BATCH`]. How many came. A socket that
    /// blocks waits for the first.
    ///
    /// # Errors
    /// Those of the system; `WouldBlock` when there is nothing.
    pub fn receive(&mut self, socket: &UdpSocket, most: usize) -> io::Result<usize> {
        (self.arrived, self.count) = ([None; BATCH], 0);
        self.receive_more(socket, most)
    }

    /// The same, behind those that came last: the next of a batch that is to be answered as one.
    ///
    /// # Errors
    /// Those of the system; `WouldBlock` when there is nothing.
    pub fn receive_more(&mut self, socket: &UdpSocket, most: usize) -> io::Result<usize> {
        let most = most.min(BATCH - self.count);
        if most == 0 {
            return Ok(0);
        }
        let mut names = [Name::EMPTY; BATCH];
        let mut controls = [Control::EMPTY; BATCH];
        let mut vectors = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
        let mut headers = empty_headers();
        let buffers = self.buffers.chunks_exact_mut(self.longest + BETWEEN).skip(self.count);
        let room = buffers.zip(&mut names).zip(&mut controls).zip(&mut vectors);
        for (header, (((buffer, name), control), vector)) in headers.iter_mut().zip(room) {
            *vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: self.longest };
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_namelen = size_of::<Name>() as libc::socklen_t;
            header.msg_hdr.msg_iov = &raw mut *vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = (&raw mut *control).cast();
            header.msg_hdr.msg_controllen = size_of::<Control>() as _;
        }
        let count = retried(|| {
            // SAFETY: of the headers no more are used than there are. Each points to a name, a control buffer, a
            // vector and through it to a buffer, of the lengths that it tells, all of them alive and borrowed by
            // nobody else until the end of this function. There is no timeout.
            let most = most as libc::c_uint;
            unsafe {
                libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), most, libc::MSG_WAITFORONE, ptr::null_mut())
            }
        })?;
        #[allow(clippy::unnecessary_cast, reason = "some C libraries have another type there")]
        let written = |header: &libc::mmsghdr| header.msg_hdr.msg_controllen as usize;
        let came = headers.iter().zip(&names).zip(&controls).take(count);
        for (arrived, ((header, name), control)) in self.arrived.iter_mut().skip(self.count).zip(came) {
            *arrived = name.address().map(|from| Arrived {
                from,
                to: control.own_address(written(header)),
                length: header.msg_len as usize,
                cut: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            });
        }
        self.count += count;
        Ok(count)
    }

    /// The datagram at this place of the last batch.
    pub fn get(&self, place: usize) -> Option<Datagram<'_>> {
        let Arrived { from, to, length, cut } = (*self.arrived.get(place)?)?;
        let bytes = self.buffers.get(place * (self.longest + BETWEEN)..)?.get(..length)?;
        Some(Datagram { from, to, bytes, cut })
    }
}

/// Sends datagrams, but not more than [`BATCH`]. How many of the first ones went.
///
/// # Errors
/// What the system says of the first of them, when not even that went.
pub fn send<'a>(socket: &UdpSocket, outgoing: impl Iterator<Item = Outgoing<'a>>) -> io::Result<usize> {
    let mut names = [Name::EMPTY; BATCH];
    let mut controls = [Control::EMPTY; BATCH];
    let mut vectors = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
    let mut headers = empty_headers();
    let mut count = 0;
    let room = headers.iter_mut().zip(&mut names).zip(&mut controls).zip(&mut vectors);
    for ((((header, name), control), vector), Outgoing { to, from, bytes }) in room.zip(outgoing) {
        // The system reads what a vector of a sent message points to, and never writes there.
        *vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        header.msg_hdr.msg_namelen = name.set(to) as libc::socklen_t;
        header.msg_hdr.msg_name = (&raw mut *name).cast();
        header.msg_hdr.msg_iov = &raw mut *vector;
        header.msg_hdr.msg_iovlen = 1;
        if let Some(from) = from {
            header.msg_hdr.msg_controllen = control.set(from) as _;
            header.msg_hdr.msg_control = (&raw mut *control).cast();
        }
        count += 1;
    }
    retried(|| {
        // SAFETY: so many headers were filled. Each points to a name, a vector and maybe a control buffer of the
        // lengths that it tells, alive until the end of this function; the vectors point to bytes that are
        // borrowed for longer, and sending only reads them.
        unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) }
    })
}

fn empty_headers() -> [libc::mmsghdr; BATCH] {
    // SAFETY: of null pointers, zeros and (with some C libraries) padding; zeros are a value of each.
    unsafe { mem::zeroed() }
}

/// The count that a system call returns, called again as long as a signal interrupts it.
fn retried(mut call: impl FnMut() -> libc::c_int) -> io::Result<usize> {
    loop {
        match usize::try_from(call()) {
            Ok(count) => return Ok(count),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
