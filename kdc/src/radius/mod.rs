//! A RADIUS server that knows one-time passwords (RFC 2865): the other door of RFC 6560. Over UDP, on
//! the thread that asks, for a bounded time and by a bounded number at once, for which others stand in
//! meanwhile. Not here: whose password it is, and what follows from the answer (`core::preauth`).
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the door to servers of one-time passwords")]

pub mod packet;

use std::fmt;
use std::net::{SocketAddr, UdpSocket};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::core::second::{Answer, OtpServer};
use crate::net::while_waiting;
use crate::source::Source;
use packet::{LONGEST, Request, Verdict};

/// A server.
pub struct Radius {
    /// Where it is.
    pub address: SocketAddr,
    /// Where the secret comes from.
    source: Source,
    /// What it shares with us, once it was read.
    secret: OnceLock<Zeroizing<String>>,
    /// How long an answer is waited for, and how often it is asked.
    patience: (Duration, u32),
    /// How many may wait at once; others are told to come again.
    most: usize,
    /// How many do.
    waiting: AtomicUsize,
}

/// One that waits.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Radius {
    /// A server at an address.
    pub fn new(address: SocketAddr, secret: Source, patience: (Duration, u32), most: usize) -> Self {
        Radius { address, source: secret, secret: OnceLock::new(), patience, most, waiting: AtomicUsize::new(0) }
    }

    /// The secret: the first line of where it comes from.
    fn secret(&self) -> Option<&[u8]> {
        if self.secret.get().is_none() {
            match self.source.read() {
                Ok(text) => drop(self.secret.set(text)),
                Err(error) => {
                    tracing::error!(%error, server = %self.address, "the secret of a RADIUS server can't be read")
                }
            }
        }
        let line = self.secret.get()?.lines().next().unwrap_or_default().as_bytes();
        (!line.is_empty()).then_some(line)
    }

    fn place(&self) -> Option<Place<'_>> {
        let place = (self.waiting.fetch_add(1, Ordering::Relaxed), Place(&self.waiting));
        (place.0 < self.most).then_some(place.1)
    }

    fn exchange(&self, user: &str, password: &[u8], state: Option<&[u8]>) -> Option<Verdict> {
        let any: SocketAddr = if self.address.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
        let socket = UdpSocket::bind(any).ok()?;
        // The system passes on only what comes from there.
        socket.connect(self.address).ok()?;
        let secret = self.secret()?;
        for _ in 0..self.patience.1 {
            let mut fresh = [0; 17];
            getrandom::fill(&mut fresh).ok()?;
            let (identifier, authenticator) = fresh.split_first()?;
            let fresh = (*identifier, authenticator.try_into().ok()?);
            let request = Request::new(fresh, secret, "kdc", (user, password), state)?;
            if let Some(verdict) = self.ask_once(&socket, &request, secret) {
                return Some(verdict);
            }
        }
        None
    }

    /// Waits for what is an answer to this; whatever else comes is passed over.
    fn ask_once(&self, socket: &UdpSocket, request: &Request, secret: &[u8]) -> Option<Verdict> {
        socket.send(&request.bytes).ok()?;
        let end = Instant::now() + self.patience.0;
        let mut buffer = [0; LONGEST];
        loop {
            let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            socket.set_read_timeout(Some(left)).ok()?;
            let length = socket.recv(&mut buffer).ok()?;
            if let Some(verdict) = request.verdict(secret, buffer.get(..length)?) {
                return Some(verdict);
            }
        }
    }
}

impl OtpServer for Radius {
    fn ask(&self, user: &str, password: &[u8], state: Option<&[u8]>) -> Answer {
        let Some(_place) = self.place() else { return Answer::Silent };
        match while_waiting(|| self.exchange(user, password, state)) {
            Some(Verdict::Accept) => Answer::Right,
            Some(Verdict::Reject) => Answer::Wrong,
            Some(Verdict::Challenge(more)) => Answer::More(more),
            None => Answer::Silent,
        }
    }
}

impl fmt::Debug for Radius {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Radius({})", self.address)
    }
}

#[cfg(test)]
mod tests;
