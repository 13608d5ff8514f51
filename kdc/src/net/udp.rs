//! UDP (RFC 4120 7.2.1): each datagram a request, each reply one datagram from the address that was
//! asked.
//!
//! A thread a core, each with a socket of its own for every address served: a request is received,
//! answered and sent without being handed to anybody. Datagrams are received in batches; a thread
//! waits in `poll` for its sockets and for the end of the pipe whose other end [`Threads`] holds.

use std::io::{self, ErrorKind, IoSliceMut, PipeReader, PipeWriter};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use libkrb::crypto::OsRandom;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};

use super::answers::{Answers, Ends, Post};
use super::gauges::Serving;
use super::responder::too_long;
use crate::observe::Transport;

/// The kernel may hand over several datagrams of one sender as one, 64 KiB at most.
const BUFFER: usize = 65_535;
/// How many batches of a socket are answered after the end was called.
const LAST_BATCHES: usize = 1024;

/// The threads that answer datagrams.
pub struct Threads {
    threads: Vec<JoinHandle<()>>,
    open: Option<PipeWriter>,
}

impl Threads {
    /// Starts one thread for each socket that every address has.
    pub fn start(
        addresses: Vec<Vec<UdpSocket>>,
        responder: &Arc<impl Answers>,
        serving: &Arc<Serving>,
    ) -> io::Result<Threads> {
        let (end, open) = io::pipe()?;
        let mut threads = vec![];
        let mut addresses = addresses.into_iter().map(Vec::into_iter).collect::<Vec<_>>();
        loop {
            let sockets = addresses.iter_mut().filter_map(Iterator::next).map(Socket::new);
            let sockets = sockets.map(|socket| socket.map(Arc::new)).collect::<io::Result<Vec<_>>>()?;
            if sockets.is_empty() {
                return Ok(Threads { threads, open: Some(open) });
            }
            let (end, responder) = (end.try_clone()?, Arc::clone(responder));
            let serves = serving.begin();
            let name = format!("udp-{}", threads.len());
            threads.push(thread::Builder::new().name(name).spawn(move || {
                let _serves = serves;
                serve(&sockets, &end, &*responder);
            })?);
        }
    }

    /// Whether none has ended.
    pub fn lives(&self) -> bool {
        !self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Tells the threads to answer what their sockets hold and to end.
    pub fn close(&mut self) {
        self.open = None;
    }

    /// Tells the threads to end, and waits until they have.
    pub fn join(mut self) {
        self.close();
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
    /// Our address; none where there are several, and replies must say from which they come.
    local: Option<IpAddr>,
}

impl Socket {
    fn new(socket: UdpSocket) -> io::Result<Socket> {
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let address = socket.local_addr()?;
        // quinn-udp forbids fragments, as QUIC must; a long reply needs them.
        if address.is_ipv4() {
            sockopt::set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::WANT)?;
        } else {
            sockopt::set_ipv6_mtu_discover(&socket, Ipv6PathMtuDiscovery::WANT)?;
        }
        Ok(Socket { socket, state, local: Some(address.ip()).filter(|ip| !ip.is_unspecified()) })
    }

    /// Receives a batch and answers it; `false` when there is none.
    fn serve(self: &Arc<Self>, responder: &impl Answers, desk: &mut Desk) -> bool {
        let mut buffers = desk.buffers.chunks_exact_mut(BUFFER).map(IoSliceMut::new).collect::<Vec<_>>();
        let count = match self.state.recv(UdpSockRef::from(&self.socket), &mut buffers, &mut desk.metas) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) => {
                tracing::warn!(%error, "receiving datagrams");
                // Whatever it is, it must not keep a core busy.
                thread::sleep(Duration::from_millis(10));
                return false;
            }
        };
        for (meta, buffer) in desk.metas.iter().zip(&buffers).take(count) {
            let received = buffer.get(..meta.len).unwrap_or_default();
            for datagram in received.chunks(meta.stride.max(1)) {
                let ends = Ends { from: meta.addr, to: self.local.or(meta.dst_ip), via: Transport::Udp };
                let (to, from) = (meta.addr, meta.dst_ip.filter(|_| self.local.is_none()));
                let post = || -> Post {
                    let socket = Arc::clone(self);
                    Box::new(move |answer| socket.send(to, from, answer))
                };
                if let Some(answer) = responder.datagram(ends, datagram, &mut desk.random, &post) {
                    self.reply(responder, to, from, datagram, &answer);
                }
            }
        }
        true
    }

    fn reply(&self, responder: &impl Answers, to: SocketAddr, from: Option<IpAddr>, request: &[u8], answer: &[u8]) {
        let sent = match self.send(to, from, answer) {
            Err(error) if too_long(&error) => {
                responder.too_big(request).map_or(Ok(()), |answer| self.send(to, from, &answer))
            }
            sent => sent,
        };
        if let Err(error) = sent {
            tracing::debug!(%to, %error, "sending a reply");
        }
    }

    fn send(&self, to: SocketAddr, from: Option<IpAddr>, answer: &[u8]) -> io::Result<()> {
        let transmit = Transmit { destination: to, ecn: None, contents: answer, segment_size: None, src_ip: from };
        match self.state.try_send(UdpSockRef::from(&self.socket), &transmit) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                wait(&mut [PollFd::new(&self.socket, PollFlags::OUT)], Some(Duration::from_millis(50)));
                self.state.try_send(UdpSockRef::from(&self.socket), &transmit)
            }
            sent => sent,
        }
    }
}

/// What a thread works with.
struct Desk {
    buffers: Vec<u8>,
    metas: [RecvMeta; BATCH_SIZE],
    random: OsRandom,
}

fn serve(sockets: &[Arc<Socket>], end: &PipeReader, responder: &impl Answers) {
    let mut desk = Desk {
        buffers: vec![0; BATCH_SIZE * BUFFER],
        metas: [RecvMeta::default(); BATCH_SIZE],
        random: OsRandom::new(),
    };
    let mut waiting = sockets.iter().map(|socket| PollFd::new(&socket.socket, PollFlags::IN)).collect::<Vec<_>>();
    waiting.push(PollFd::new(end, PollFlags::IN));
    let ready = |polled: &PollFd<'_>| !polled.revents().is_empty();
    while !waiting.last().is_some_and(ready) {
        wait(&mut waiting, None);
        for (socket, _) in sockets.iter().zip(&waiting).filter(|(_, polled)| ready(polled)) {
            socket.serve(responder, &mut desk);
        }
    }
    for socket in sockets {
        (0..LAST_BATCHES).take_while(|_| socket.serve(responder, &mut desk)).for_each(drop);
    }
    responder.finish();
}

/// Waits for an event; a signal's interruption looks like none.
fn wait(waiting: &mut [PollFd<'_>], patience: Option<Duration>) {
    waiting.iter_mut().for_each(PollFd::clear_revents);
    let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
    if let Err(error) = poll(waiting, patience.as_ref())
        && error != rustix::io::Errno::INTR
    {
        tracing::error!(%error, "waiting for datagrams");
        thread::sleep(Duration::from_millis(10));
    }
}
