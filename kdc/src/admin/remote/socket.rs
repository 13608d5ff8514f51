//! The API of a running KDC, asked through its socket: one request, one connection, which the server
//! closes. Blocking, so that anything can ask. Not here: what is asked.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use super::MAX_ANSWER;
use crate::admin::api::Call;

/// How long the KDC may take; a batch of passwords takes long.
const PATIENCE: Duration = Duration::from_secs(300);
/// Octets of a response's head.
const MAX_HEAD: usize = 16 * 1024;

/// The status and the body of the response to a call.
pub(super) fn ask(socket: &Path, call: &Call) -> Result<(u16, Zeroizing<Vec<u8>>)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head =
        format!("{} {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n", call.route.method(), call.target);
    for (name, value) in &call.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let body = call.body.as_deref().map(Vec::as_slice);
    if let Some(body) = body {
        head += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    }
    let message = Zeroizing::new([head.as_bytes(), b"\r\n", body.unwrap_or_default()].concat());
    // A caller who may not speak is told so, perhaps before anything is read.
    let sent = stream.write_all(&message);
    let mut response = Zeroizing::new(vec![]);
    let read = stream.take(MAX_ANSWER as u64).read_to_end(&mut response);
    if response.is_empty() {
        sent?;
        read?;
    }
    parse(&response).ok_or_else(|| Error::new(ErrorKind::InvalidData, "no answer of an admin API"))
}

/// The parts of a whole response with a length, as our server sends them.
fn parse(response: &[u8]) -> Option<(u16, Zeroizing<Vec<u8>>)> {
    let end = response.windows(4).take(MAX_HEAD).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = (response.get(..end)?, response.get(end + 4..)?);
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let mut lengths = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())
    });
    let length = lengths.next().unwrap_or(Some(0))?;
    (body.len() == length).then(|| (status, Zeroizing::new(body.to_vec())))
}
