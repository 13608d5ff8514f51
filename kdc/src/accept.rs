//! How connections of strangers are taken and let go, at every door that speaks HTTP: one way to wait
//! when the system has no room, one way to count a peer, one way to end without cutting anybody off.
//! Not here: what is served.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

/// How long is waited after an error: until others have closed files, or the next peer is there.
const PAUSE: Duration = Duration::from_millis(50);

/// The next connection. That one can't be taken (no file descriptors left, a peer gone again) is no
/// reason to serve nobody any more.
pub async fn next<T, F: Future<Output = io::Result<T>>>(accept: impl Fn() -> F) -> T {
    loop {
        match accept().await {
            Ok(taken) => return taken,
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Whom an address stands for: itself, or the /64 network that one customer has whole.
pub fn peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// A place that is served, and everybody who is there.
pub struct Host {
    leaving: watch::Sender<bool>,
    alive: mpsc::Sender<Infallible>,
    gone: mpsc::Receiver<Infallible>,
}

/// What each connection holds, to hear when it is time to go, and to be waited for.
#[derive(Clone)]
pub struct Guest {
    leaving: watch::Receiver<bool>,
    _alive: mpsc::Sender<Infallible>,
}

impl Default for Host {
    fn default() -> Self {
        let (alive, gone) = mpsc::channel(1);
        Host { leaving: watch::channel(false).0, alive, gone }
    }
}

impl Host {
    /// One more guest.
    pub fn guest(&self) -> Guest {
        Guest { leaving: self.leaving.subscribe(), _alive: self.alive.clone() }
    }

    /// Asks all guests to go, and does not wait.
    pub fn close(&self) {
        self.leaving.send_replace(true);
    }

    /// Asks all guests to go, and waits until they have, or for so long.
    pub async fn empty(self, patience: Duration) {
        let Host { leaving, alive, mut gone } = self;
        leaving.send_replace(true);
        drop(alive);
        let _ = timeout(patience, gone.recv()).await;
    }
}

impl Guest {
    /// Waits until it is time to go; for ever where the host has forgotten its guests.
    pub async fn asked_to_go(&mut self) {
        if self.leaving.wait_for(|leaving| *leaving).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether it is time to go.
    pub fn must_go(&self) -> bool {
        *self.leaving.borrow()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn after_an_error_the_next_connection_is_taken_all_the_same() {
        let tries = AtomicU32::new(0);
        let accept = || {
            let number = tries.fetch_add(1, Ordering::Relaxed);
            async move { if number < 3 { Err(io::Error::other("no files left")) } else { Ok(number) } }
        };
        assert_eq!(next(accept).await, 3);
    }

    #[tokio::test]
    async fn a_host_waits_for_its_guests_and_they_hear_that_it_is_time() {
        let host = Host::default();
        let mut guest = host.guest();
        let work = tokio::spawn(async move {
            guest.asked_to_go().await;
            guest.must_go()
        });
        host.empty(Duration::from_secs(60)).await;
        assert!(work.await.expect("ended"));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_peer() {
        let of = |text: &str| peer(text.parse().expect(text)).to_string();
        assert_eq!(of("2001:db8:1:2:3::4"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
    }
}
