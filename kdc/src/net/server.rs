//! What is served where, from the start to the end: addresses may come and go meanwhile, and in the
//! end the sockets may go to another process. Nothing that has arrived is lost by any of that.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::answers::Answers;
use super::streams::{At, Socket};
use super::{Gauges, Limits, Listener, tcp, udp};

/// Starts the threads for the datagrams of some sockets.
type Start = Box<dyn Fn(&[Listener]) -> io::Result<udp::Threads> + Send + Sync>;

/// A realm being served.
pub struct Server {
    open: Vec<Listener>,
    udp: udp::Threads,
    tcp: tcp::Tasks,
    gauges: Gauges,
    start: Start,
}

impl Server {
    /// Serves on these sockets: UDP on threads of its own, TCP on the tokio runtime that this is
    /// called in.
    ///
    /// # Errors
    /// What the system says when it has no threads or file descriptors left.
    pub fn start(listeners: Vec<Listener>, responder: Arc<impl Answers>, limits: &Limits) -> io::Result<Server> {
        let serving = Arc::default();
        let mut tcp = tcp::Tasks::new(Arc::clone(&responder), limits, &serving);
        for listener in &listeners {
            tcp.add(At::Tcp(listener.asked()), Socket::Tcp(listener.tcp()?))?;
        }
        let gauges = Gauges { serving: Arc::clone(&serving), tcp: tcp.held() };
        let start = move |open: &[Listener]| {
            let sockets = open.iter().map(Listener::udp).collect::<io::Result<_>>()?;
            udp::Threads::start(sockets, &responder, &serving)
        };
        Ok(Server { udp: start(&listeners)?, tcp, gauges, start: Box::new(start), open: listeners })
    }

    /// A look at it from outside.
    pub fn gauges(&self) -> Gauges {
        self.gauges.clone()
    }

    /// Where it serves.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.open.iter().map(Listener::address).collect()
    }

    /// Whether all its threads are there.
    pub fn lives(&self) -> bool {
        self.udp.lives()
    }

    /// Those of these addresses that it does not serve yet.
    pub fn missing(&self, wanted: &[SocketAddr]) -> Vec<SocketAddr> {
        let open = |address: &&SocketAddr| self.open.iter().any(|listener| listener.asked() == **address);
        wanted.iter().filter(|address| !open(address)).copied().collect()
    }

    /// Holds connections to other limits from now on.
    pub fn limit(&self, limits: &Limits) {
        self.tcp.limit(limits);
    }

    /// Serves these addresses and no others from now on, with `new` for those that were
    /// [`Server::missing`]. Those that stay do not notice; those that go answer what they hold.
    ///
    /// # Errors
    /// What the system says when it has no threads or file descriptors left; then nothing is changed.
    pub async fn rearrange(&mut self, wanted: &[SocketAddr], new: Vec<Listener>) -> io::Result<()> {
        let stays = |listener: &Listener| wanted.contains(&listener.asked());
        if new.is_empty() && self.open.iter().all(stays) {
            return Ok(());
        }
        let added =
            new.iter().map(|listener| Ok((listener.asked(), listener.tcp()?))).collect::<io::Result<Vec<_>>>()?;
        let before = self.open.len();
        self.open.extend(new);
        // The new threads begin before the old ones end: a socket that stays is always served.
        let threads = self.threads_of(&stays).inspect_err(|_| self.open.truncate(before))?;
        let old = mem::replace(&mut self.udp, threads);
        for (address, listener) in added {
            self.tcp.add(At::Tcp(address), Socket::Tcp(listener))?;
        }
        let gone = self.open.extract_if(.., |listener| !stays(listener)).map(|gone| gone.asked()).collect::<Vec<_>>();
        for address in gone {
            self.tcp.remove(&At::Tcp(address)).await;
        }
        let _ = tokio::task::spawn_blocking(|| old.join()).await;
        Ok(())
    }

    fn threads_of(&self, stays: &impl Fn(&Listener) -> bool) -> io::Result<udp::Threads> {
        let staying = self.open.iter().filter(|listener| stays(listener)).map(Listener::clone_all);
        (self.start)(&staying.collect::<io::Result<Vec<_>>>()?)
    }

    /// Takes no further requests and answers those that have arrived; gives up on the rest after
    /// `patience`.
    pub async fn drain(self, patience: Duration) {
        let Server { open, mut udp, tcp, .. } = self;
        drop(open);
        udp.close();
        tcp.drain(patience).await;
        // The threads look for nothing but what their sockets already hold.
        let _ = tokio::task::spawn_blocking(|| udp.join()).await;
    }

    /// Answers what was taken in hand and takes no more: what arrives from now on waits in the sockets,
    /// for whoever serves them next.
    pub async fn hand_over(self, patience: Duration) -> Vec<Listener> {
        // Datagrams last: their senders wait for as long as nobody reads.
        self.tcp.hand_over(patience).await;
        let udp = self.udp;
        let _ = tokio::task::spawn_blocking(|| udp.join()).await;
        self.open
    }
}
