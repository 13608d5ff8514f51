//! The opening of a stream: the tokens of a context, each in a frame, in time. Not here: what the
//! tokens say ([`crate::gss`]).

use std::future::Future;
use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Failure, StreamOptions};
use crate::crypto::OsRandom;
use crate::gss::{AcceptStep, AcceptorContext, Caller, Context, ContextFlags, InitiatorContext, InitiatorStep};

/// No opening has more legs on one side: an honest one has two at most.
const LEGS: usize = 5;

/// The connection, and the randomness of its stream.
type Opening<S> = (S, OsRandom);

/// Ends what takes too long.
pub(super) async fn in_time<T>(options: &StreamOptions, opening: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(options.handshake_timeout, opening).await {
        Ok(outcome) => outcome,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the peer took too long to prove who it is")),
    }
}

pub(super) async fn initiate<S: AsyncRead + AsyncWrite + Unpin>(
    (io, random): &mut Opening<S>,
    mut initiator: InitiatorContext,
    options: &StreamOptions,
) -> io::Result<Box<Context>> {
    let mut answer: Option<Vec<u8>> = None;
    for _ in 0..LEGS {
        let step = initiator.step((options.clock)(), random, answer.as_deref());
        match step.map_err(|cause| refusal("the service was not reached", cause))? {
            InitiatorStep::Continue(token) => send(io, &token).await?,
            InitiatorStep::Done(context, token) => {
                suffices(&context, options)?;
                if let Some(token) = token {
                    send(io, &token).await?;
                }
                return Ok(context);
            }
        }
        answer = Some(receive(io, options.max_token).await?);
    }
    Err(endless())
}

pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    (io, random): &mut Opening<S>,
    mut acceptor: AcceptorContext,
    peer: Option<IpAddr>,
    options: &StreamOptions,
) -> io::Result<(Box<Context>, Box<Caller>)> {
    for _ in 0..LEGS {
        let token = receive(io, options.max_token).await?;
        match acceptor.step_async((options.clock)(), random, &token, peer).await {
            Ok(AcceptStep::Continue(token)) => send(io, &token).await?,
            Ok(AcceptStep::Done(context, caller, token)) => {
                suffices(&context, options)?;
                if let Some(token) = token {
                    send(io, &token).await?;
                }
                return Ok((context, caller));
            }
            Err(refused) => {
                if let Some(token) = refused.token {
                    // The reason to refuse outweighs that the peer did not wait to hear it.
                    let _ = send(io, &token).await;
                    let _ = io.shutdown().await;
                }
                return Err(refusal("the caller was refused", refused.cause));
            }
        }
    }
    Err(endless())
}

/// Refuses a context that cannot carry a stream: one whose acceptor is unproven, or in which frames
/// could be dropped, repeated or read unnoticed.
fn suffices(context: &Context, options: &StreamOptions) -> io::Result<()> {
    let needs = [
        (ContextFlags::MUTUAL, "the context has no mutual authentication"),
        (ContextFlags::REPLAY, "the context does not notice repeated messages"),
        (ContextFlags::SEQUENCE, "the context does not notice lost messages"),
        (ContextFlags::INTEGRITY, "the context does not sign messages"),
        (ContextFlags::CONFIDENTIALITY, "the context does not encrypt messages"),
    ];
    let flags = context.flags();
    let unmet = needs.into_iter().filter(|(flag, _)| options.confidential || *flag != ContextFlags::CONFIDENTIALITY);
    match unmet.into_iter().find(|(flag, _)| !flags.has(*flag)) {
        Some((_, problem)) => Err(io::Error::new(io::ErrorKind::PermissionDenied, problem)),
        None => Ok(()),
    }
}

async fn send(io: &mut (impl AsyncWrite + Unpin), token: &[u8]) -> io::Result<()> {
    let length = u32::try_from(token.len()).map_err(|_| too_long())?;
    // One write, so that it leaves as one segment where it fits into one.
    io.write_all(&[&length.to_be_bytes(), token].concat()).await?;
    io.flush().await
}

/// A token. Memory is taken as its bytes come, not as its length claims.
async fn receive(io: &mut (impl AsyncRead + Unpin), max: usize) -> io::Result<Vec<u8>> {
    let length = io.read_u32().await.map_err(gone)? as usize;
    if length > max {
        return Err(too_long());
    }
    let mut token = Vec::new();
    io.take(length as u64).read_to_end(&mut token).await?;
    if token.len() == length { Ok(token) } else { Err(gone(io::ErrorKind::UnexpectedEof.into())) }
}

fn gone(error: io::Error) -> io::Error {
    match error.kind() {
        kind @ io::ErrorKind::UnexpectedEof => io::Error::new(kind, "the peer hung up before it proved who it is"),
        _ => error,
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a token is longer than this side takes")
}

fn endless() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the opening of the context has too many legs")
}

fn refusal(what: &'static str, cause: crate::Error) -> io::Error {
    Failure::io(io::ErrorKind::PermissionDenied, what, cause)
}
