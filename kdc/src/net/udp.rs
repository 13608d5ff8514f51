//! UDP (RFC 4120 7.2.1): each datagram a request, each reply one datagram from the address that was
//! asked.
//!
//! A thread a core, each with a socket of its own for every address served: a request is received,
//! answered and sent without being handed to anybody. Datagrams are received in batches and so are their
//! replies sent; a thread waits in `poll` for its sockets and for the end of the pipe whose other end
//! [`Threads`] holds.

use std::io::{self, ErrorKind, PipeReader, PipeWriter};
use std::iter;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use udp_batch::{Inbox, Outgoing};

use super::answers::{Answers, Ends, Hands, Post};
use super::gauges::Serving;
use super::lookaside::Answer;
use super::responder::too_long;
use crate::observe::Transport;

/// No client sends a longer request as a datagram, but for one that could not get through over TCP. The system drops
/// what is longer (`listen`); where it can't, that is where its sender is sent before more of it is looked at.
pub(super) const LONGEST: usize = 16 << 10;
/// As much of a full batch came, and more is likely to have come meanwhile.
const MANY: usize = udp_batch::BATCH / 4;
/// How many batches of a socket are answered before others are looked at.
const IN_A_ROW: usize = 8;
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
    /// Our address; none where there are several, and replies must say from which they come.
    local: Option<IpAddr>,
}

/// A reply that waits for the others of its batch.
struct Reply {
    /// The request's place in the batch.
    place: usize,
    to: SocketAddr,
    from: Option<IpAddr>,
    answer: Answer,
}

impl Reply {
    fn outgoing(&self) -> Outgoing<'_> {
        Outgoing { to: self.to, from: self.from, bytes: &self.answer }
    }
}

impl Socket {
    fn new(socket: UdpSocket) -> io::Result<Socket> {
        let local = Some(socket.local_addr()?.ip()).filter(|ip| !ip.is_unspecified());
        if local.is_none() {
            udp_batch::tell_own_address(&socket)?;
        }
        Ok(Socket { socket, local })
    }

    /// Receives a batch and answers it; how many datagrams that were.
    fn serve<A: Answers>(self: &Arc<Self>, responder: &A, tools: &mut Tools) -> usize {
        let mut count = match tools.inbox.receive(&self.socket, A::AT_ONCE) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return 0,
            Err(error) => {
                tracing::warn!(%error, "receiving datagrams");
                // Whatever it is, it must not keep a core busy.
                thread::sleep(Duration::from_millis(10));
                return 0;
            }
        };
        self.answer(responder, tools, 0..count);
        let (mut came, gathers) = (count, responder.gathers());
        // What is written down before replies are sent costs little more for many of them.
        while gathers && came >= MANY && count < A::AT_ONCE {
            tools.hands.ended = None;
            // An error comes again when nobody waits for a reply.
            came = tools.inbox.receive_more(&self.socket, A::AT_ONCE - count).unwrap_or(0);
            self.answer(responder, tools, count..count + came);
            count += came;
        }
        let Tools { inbox, replies, hands } = tools;
        responder.commit(hands);
        self.reply(responder, inbox, replies);
        replies.clear();
        count
    }

    /// Answers the datagrams at these places.
    fn answer<A: Answers>(self: &Arc<Self>, responder: &A, tools: &mut Tools, places: Range<usize>) {
        let Tools { inbox, replies, hands } = tools;
        for place in places {
            let Some(request) = inbox.get(place) else { continue };
            let ends = Ends { from: request.from, to: self.local.or(request.to), via: Transport::Udp };
            let (to, from) = (request.from, request.to);
            let post = || -> Post {
                let socket = Arc::clone(self);
                Box::new(move |answer| socket.send(iter::once(Outgoing { to, from, bytes: answer })).map(drop))
            };
            let answer = match request.cut {
                true => responder.too_big(request.bytes),
                false => responder.datagram(ends, request.bytes, hands, &post),
            };
            if let Some(answer) = answer {
                replies.push(Reply { place, to, from, answer });
            }
        }
    }

    /// Sends all replies. One that can't be sent keeps none of the others.
    fn reply(&self, responder: &impl Answers, inbox: &Inbox, replies: &[Reply]) {
        let mut left = replies;
        while let Some((first, others)) = left.split_first() {
            match self.send(left.iter().map(Reply::outgoing)) {
                Ok(count) => left = left.get(count.max(1)..).unwrap_or_default(),
                Err(error) => {
                    self.unsent(responder, inbox, first, error);
                    left = others;
                }
            }
        }
    }

    /// A reply that is too long for a datagram sends its client to TCP.
    fn unsent(&self, responder: &impl Answers, inbox: &Inbox, reply: &Reply, error: io::Error) {
        let request = inbox.get(reply.place).filter(|_| too_long(&error));
        let sent = match request.and_then(|request| responder.too_big(request.bytes)) {
            Some(answer) => self.send(iter::once(Outgoing { bytes: &answer, ..reply.outgoing() })).map(drop),
            None => Err(error),
        };
        if let Err(error) = sent {
            tracing::debug!(to = %reply.to, %error, "sending a reply");
        }
    }

    /// Sends as many of these as go at once. Where there is no room it waits a little.
    fn send<'a>(&self, outgoing: impl Iterator<Item = Outgoing<'a>> + Clone) -> io::Result<usize> {
        match udp_batch::send(&self.socket, outgoing.clone()) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                wait(&mut [PollFd::new(&self.socket, PollFlags::OUT)], Some(Duration::from_millis(50)));
                udp_batch::send(&self.socket, outgoing)
            }
            sent => sent,
        }
    }
}

/// What a thread works with.
struct Tools {
    inbox: Inbox,
    replies: Vec<Reply>,
    hands: Hands,
}

fn serve<A: Answers>(sockets: &[Arc<Socket>], end: &PipeReader, responder: &A) {
    let mut tools = Tools { inbox: Inbox::new(LONGEST), replies: vec![], hands: Hands::default() };
    let mut waiting = sockets.iter().map(|socket| PollFd::new(&socket.socket, PollFlags::IN)).collect::<Vec<_>>();
    waiting.push(PollFd::new(end, PollFlags::IN));
    let ready = |polled: &PollFd<'_>| !polled.revents().is_empty();
    // Where many came the next are asked for without waiting; but not for ever, for others may have called.
    let many = MANY.min(A::AT_ONCE);
    while !waiting.last().is_some_and(ready) {
        wait(&mut waiting, None);
        for (socket, _) in sockets.iter().zip(&waiting).filter(|(_, polled)| ready(polled)) {
            (0..IN_A_ROW).take_while(|_| socket.serve(responder, &mut tools) >= many).for_each(drop);
        }
    }
    for socket in sockets {
        (0..LAST_BATCHES).take_while(|_| socket.serve(responder, &mut tools) > 0).for_each(drop);
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Writes down what is done in which order. When eight are answered, five more come.
    struct Recorder {
        client: UdpSocket,
        gathers: bool,
        done: Mutex<Vec<&'static str>>,
    }

    impl Answers for Recorder {
        fn datagram(&self, _: Ends, bytes: &[u8], _: &mut Hands, _: &dyn Fn() -> Post) -> Option<Answer> {
            let mut done = self.done.lock().unwrap();
            done.push("answered");
            if done.len() == 8 {
                (0..5).for_each(|_| _ = self.client.send(b"later").unwrap());
            }
            Some(bytes.to_vec())
        }

        fn commit(&self, _: &mut Hands) {
            self.done.lock().unwrap().push("committed");
        }

        fn gathers(&self) -> bool {
            self.gathers
        }

        fn too_big(&self, _: &[u8]) -> Option<Answer> {
            None
        }

        async fn message(&self, _: Ends, _: &[u8]) -> Option<Answer> {
            None
        }

        fn too_long(&self, _: SocketAddr) -> Answer {
            vec![]
        }
    }

    #[test]
    fn what_comes_while_others_are_answered_is_written_down_with_them_where_anything_is() {
        for (gathers, batches) in [(true, vec![13]), (false, vec![8, 5])] {
            let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            let client = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
            client.connect(socket.local_addr().unwrap()).unwrap();
            (0..8).for_each(|_| _ = client.send(b"first").unwrap());
            let socket = Arc::new(Socket::new(socket).unwrap());
            let recorder = Recorder { client, gathers, done: Mutex::default() };
            let mut tools = Tools { inbox: Inbox::new(LONGEST), replies: vec![], hands: Hands::default() };
            let served: Vec<_> =
                iter::repeat_with(|| socket.serve(&recorder, &mut tools)).take_while(|count| *count > 0).collect();
            assert_eq!(served, batches);
            let done = batches.iter().flat_map(|count| [vec!["answered"; *count], vec!["committed"]].concat());
            assert_eq!(*recorder.done.lock().unwrap(), done.collect::<Vec<_>>());
            recorder.client.set_nonblocking(true).unwrap();
            let replies = iter::repeat_with(|| recorder.client.recv(&mut [0; 16])).take_while(Result::is_ok).count();
            assert_eq!(replies, 13);
        }
    }
}
