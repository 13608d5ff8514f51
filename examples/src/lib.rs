//! What the smallest client and the smallest service share: messages on a TCP connection, each
//! behind its length, and a clock. Not here: anything of Kerberos; that is in the two programs.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "libkrb asks no clock; programs do")]

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

use libkrb::time::Instant;

/// The longest message that is read: the other side is a stranger.
const LONGEST: usize = 64 * 1024;

/// Sends a message behind its length, four bytes in network order.
///
/// # Errors
/// Those of the connection.
pub fn send(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(message)
}

/// Receives a message.
///
/// # Errors
/// Those of the connection, and a message that is too long.
pub fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(Error::from(ErrorKind::InvalidData));
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message)?;
    Ok(message)
}

/// What the system's clock shows.
pub fn now() -> Instant {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant::from_micros(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
}
