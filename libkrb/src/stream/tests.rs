use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::error::ErrorCode;
use crate::gss::testing::{AES, NOW, acceptor, ticket};
use crate::gss::{AcceptorOptions, ContextFlags, InitiatorOptions, Mechanism};

/// Both sides of a context that offers what `flags` ask for.
fn sides(flags: ContextFlags, mechanism: Mechanism) -> (InitiatorContext, AcceptorContext) {
    let options = InitiatorOptions { flags, mechanism, ..InitiatorOptions::default() };
    let initiator = InitiatorContext::new(&ticket(AES), options).unwrap();
    (initiator, AcceptorContext::new(acceptor(AES), AcceptorOptions::default()))
}

/// The defaults, by the clock of the tests.
fn options() -> StreamOptions {
    StreamOptions { clock: Arc::new(|| NOW), ..StreamOptions::default() }
}

type Pair = (KrbStream<DuplexStream>, KrbStream<DuplexStream>);

async fn opened(ends: (DuplexStream, DuplexStream), options: &StreamOptions) -> Pair {
    let (initiator, acceptor) = sides(ContextFlags::DEFAULT, Mechanism::Kerberos);
    let (client, service) = tokio::join!(
        KrbStream::connect(ends.0, initiator, options),
        KrbStream::accept(ends.1, acceptor, None, options),
    );
    (client.unwrap(), service.unwrap())
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// Writes as a client and reads as a service until the end.
async fn carried((mut client, mut service): Pair, message: &[u8]) -> Vec<u8> {
    let write = async {
        client.write_all(message).await.unwrap();
        client.shutdown().await.unwrap();
    };
    let mut got = Vec::new();
    tokio::join!(write, async { service.read_to_end(&mut got).await.unwrap() });
    got
}

/// Frames as a client makes them, in the clear of the connection, and a service to show them to.
async fn frames(messages: &[&[u8]], ended: bool) -> (Vec<Vec<u8>>, KrbStream<DuplexStream>, DuplexStream) {
    let (mut client, service) = opened(duplex(1 << 20), &options()).await;
    // From now on the client speaks into a connection that the test holds.
    let (ours, mut theirs) = duplex(1 << 20);
    client.io = ours;
    for message in messages {
        client.write_all(message).await.unwrap();
    }
    client.flush().await.unwrap();
    if ended {
        client.shutdown().await.unwrap();
    }
    drop(client);
    let mut all = Vec::new();
    theirs.read_to_end(&mut all).await.unwrap();
    let mut rest = all.as_slice();
    let mut frames = vec![];
    while let Some(length) = rest.first_chunk() {
        let (frame, more) = rest.split_at(LENGTH + u32::from_be_bytes(*length) as usize);
        frames.push(frame.to_vec());
        rest = more;
    }
    let (ours, theirs) = duplex(1 << 20);
    let service = KrbStream { io: ours, ..service };
    (frames, service, theirs)
}

/// What a service makes of these octets, after which the connection ends.
async fn read(mut service: KrbStream<DuplexStream>, mut io: DuplexStream, octets: &[u8]) -> (Vec<u8>, io::Result<()>) {
    io.write_all(octets).await.unwrap();
    drop(io);
    let mut got = Vec::new();
    let outcome = service.read_to_end(&mut got).await;
    let again = service.read(&mut [0; 1]).await;
    assert_eq!(outcome.is_err(), again.is_err(), "what failed stays failed, and what ended stays ended");
    (got, outcome.map(drop))
}

fn code(error: &io::Error) -> Option<ErrorCode> {
    let failure = error.get_ref()?.downcast_ref::<Failure>()?;
    Some(failure.cause.wire_code())
}

#[tokio::test]
async fn both_sides_read_what_the_other_wrote_until_it_ended() {
    for mechanism in [Mechanism::Kerberos, Mechanism::Spnego] {
        for confidential in [true, false] {
            let options = StreamOptions { confidential, ..options() };
            let (initiator, acceptor) = sides(ContextFlags::DEFAULT, mechanism);
            let (ours, theirs) = duplex(100);
            let client = async {
                let mut stream = KrbStream::connect(ours, initiator, &options).await.unwrap();
                assert!(stream.caller().is_none());
                stream.write_all(b"ping").await.unwrap();
                stream.shutdown().await.unwrap();
                let mut got = String::new();
                stream.read_to_string(&mut got).await.unwrap();
                got
            };
            let service = async {
                let mut stream = KrbStream::accept(theirs, acceptor, None, &options).await.unwrap();
                let caller = stream.caller().unwrap().accepted.client.to_string();
                let mut got = String::new();
                stream.read_to_string(&mut got).await.unwrap();
                stream.write_all(b"pong").await.unwrap();
                stream.shutdown().await.unwrap();
                (got, caller)
            };
            let (pong, (ping, caller)) = tokio::join!(client, service);
            assert_eq!((pong.as_str(), ping.as_str(), caller.as_str()), ("pong", "ping", "alice@EXAMPLE.ORG"));
        }
    }
}

#[tokio::test]
async fn what_goes_over_the_wire_can_be_read_only_if_that_was_chosen() {
    let secret = b"a secret of forty octets, for both of us";
    for (confidential, readable) in [(true, false), (false, true)] {
        let (mut client, _service) = opened(duplex(1 << 16), &StreamOptions { confidential, ..options() }).await;
        let (ours, mut theirs) = duplex(1 << 16);
        client.io = ours;
        client.write_all(secret).await.unwrap();
        client.flush().await.unwrap();
        drop(client);
        let mut wire = Vec::new();
        theirs.read_to_end(&mut wire).await.unwrap();
        assert_eq!(wire.windows(secret.len()).any(|window| window == secret), readable);
    }
}

#[tokio::test]
async fn a_connection_of_single_octets_carries_everything() {
    let message = bytes(40_000);
    let pair = opened(duplex(1), &options()).await;
    assert_eq!(carried(pair, &message).await, message);
}

#[tokio::test]
async fn much_is_carried_and_little_is_held() {
    let megabytes = if cfg!(debug_assertions) { 8 } else { 100 };
    let (mut client, mut service) = opened(duplex(64 * 1024), &options()).await;
    let chunk = bytes(1 << 20);
    let write = async {
        for _ in 0..megabytes {
            client.write_all(&chunk).await.unwrap();
        }
        client.shutdown().await.unwrap();
        client.outgoing.held()
    };
    let read = async {
        let mut buffer = vec![0; 1 << 20];
        for _ in 0..megabytes {
            service.read_exact(&mut buffer).await.unwrap();
            assert!(buffer == chunk);
        }
        assert_eq!(service.read(&mut buffer).await.unwrap(), 0);
        service.incoming.held()
    };
    let (sent, came) = tokio::join!(write, read);
    assert!(sent <= MAX_FRAME && came <= MAX_FRAME + LENGTH, "{sent} {came}");
}

#[tokio::test]
async fn halves_work_on_different_tasks() {
    let (client, service) = opened(duplex(1000), &options()).await;
    let message = bytes(300_000);
    let (mut from, mut to) = tokio::io::split(service);
    let echo = tokio::spawn(async move {
        tokio::io::copy(&mut from, &mut to).await.unwrap();
        to.shutdown().await.unwrap();
    });
    let (mut from, mut to) = tokio::io::split(client);
    let sent = message.clone();
    let send = tokio::spawn(async move {
        to.write_all(&sent).await.unwrap();
        to.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    from.read_to_end(&mut got).await.unwrap();
    assert!(got == message);
    send.await.unwrap();
    echo.await.unwrap();
}

#[tokio::test]
async fn a_read_that_is_given_up_loses_nothing() {
    let (mut client, mut service) = opened(duplex(7), &options()).await;
    let message = bytes(5000);
    let writing = async {
        client.write_all(&message).await.unwrap();
        client.shutdown().await.unwrap();
    };
    tokio::pin!(writing);
    let mut got = Vec::new();
    let mut written = false;
    loop {
        let mut buffer = [0; 64];
        // Whichever waits is dropped as often as the other is ready.
        tokio::select! {
            biased;
            () = &mut writing, if !written => written = true,
            read = service.read(&mut buffer) => match read.unwrap() {
                0 => break,
                count => got.extend_from_slice(&buffer[..count]),
            },
            () = tokio::task::yield_now() => {}
        }
    }
    assert!(got == message);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_sizes_of_writes_and_reads_and_connections_carry_the_same_octets(
        writes in prop::collection::vec(0usize..40_000, 1..8),
        reads in prop::collection::vec(1usize..20_000, 1..8),
        capacity in 1usize..70_000,
        confidential: bool,
        flushed: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let message = bytes(writes.iter().sum());
        let got = runtime.block_on(async {
            let ends = duplex(capacity.max(16));
            let (mut client, mut service) = opened(ends, &StreamOptions { confidential, ..options() }).await;
            let write = async {
                let mut rest = message.as_slice();
                for size in writes {
                    let (now, more) = rest.split_at(size);
                    client.write_all(now).await.unwrap();
                    if flushed {
                        client.flush().await.unwrap();
                    }
                    rest = more;
                }
                client.shutdown().await.unwrap();
            };
            let read = async {
                let mut got = Vec::new();
                for size in reads.iter().cycle() {
                    let mut buffer = vec![0; *size];
                    match service.read(&mut buffer).await.unwrap() {
                        0 => break,
                        count => got.extend_from_slice(&buffer[..count]),
                    }
                }
                got
            };
            tokio::join!(write, read).1
        });
        prop_assert!(got == message);
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_no_end() {
    let (frames, service, io) = frames(&[b"all of", b" it"], true).await;
    let whole = frames.concat();
    let (got, outcome) = read(service, io, &whole).await;
    assert_eq!(got, b"all of it");
    outcome.unwrap();
    for cut in 0..whole.len() {
        let (frames, service, io) = self::frames(&[b"all of", b" it"], true).await;
        let error = read(service, io, &frames.concat()[..cut]).await.1.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "cut after {cut} octets");
        assert_eq!(error.to_string(), "the connection was cut before the peer ended the stream");
    }
}

#[tokio::test]
async fn a_frame_that_is_moved_dropped_or_repeated_is_refused() {
    let orders: [(&[usize], &[u8], ErrorCode); 4] = [
        (&[1, 0, 2, 3], b"", ErrorCode::BADORDER),
        (&[0, 2, 3], b"one ", ErrorCode::BADORDER),
        (&[0, 0, 1, 2, 3], b"one ", ErrorCode::REPEAT),
        (&[0, 1, 3], b"one two ", ErrorCode::BADORDER),
    ];
    for (order, taken, wanted) in orders {
        let (frames, service, io) = frames(&[b"one ", b"two ", b"three"], true).await;
        let octets: Vec<_> = order.iter().flat_map(|at| frames[*at].clone()).collect();
        let (got, outcome) = read(service, io, &octets).await;
        let error = outcome.unwrap_err();
        assert_eq!(got, taken, "{order:?}");
        assert_eq!((error.kind(), code(&error)), (io::ErrorKind::InvalidData, Some(wanted)), "{order:?}: {error}");
    }
}

#[tokio::test]
async fn a_frame_in_which_any_bit_is_wrong_is_refused() {
    let whole = frames(&[b"a message"], true).await.0.concat();
    for at in 0..whole.len() * 8 {
        let (frames, service, io) = frames(&[b"a message"], true).await;
        let mut octets = frames.concat();
        octets[at / 8] ^= 1 << (at % 8);
        let (got, outcome) = read(service, io, &octets).await;
        assert!(outcome.is_err(), "bit {at}");
        assert!(got.is_empty() || got == b"a message", "bit {at}: {got:?}");
    }
}

#[tokio::test]
async fn ones_own_frames_sent_back_are_refused() {
    let (mut client, _service) = opened(duplex(1 << 16), &options()).await;
    let (ours, mut theirs) = duplex(1 << 16);
    client.io = ours;
    client.write_all(b"hello").await.unwrap();
    client.flush().await.unwrap();
    let mut wire = vec![0; 1 << 10];
    let count = theirs.read(&mut wire).await.unwrap();
    theirs.write_all(&wire[..count]).await.unwrap();
    let error = client.read(&mut [0; 10]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn a_frame_longer_than_any_may_be_is_refused_before_it_comes() {
    let (_, service, io) = frames(&[], false).await;
    let (_, outcome) = read(service, io, &(MAX_FRAME as u32 + 1).to_be_bytes()).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(error.to_string(), "a frame is longer than any may be");
}

#[tokio::test]
async fn a_frame_of_64_kib_is_taken() {
    let (mut client, service) = opened(duplex(1 << 20), &options()).await;
    let token = client.context.wrap(&mut client.random, true, &bytes(65_536)).unwrap();
    let end = client.context.wrap(&mut client.random, true, &[]).unwrap();
    let frame = |token: &[u8]| [&(token.len() as u32).to_be_bytes(), token].concat();
    let (ours, theirs) = duplex(1 << 20);
    let service = KrbStream { io: ours, ..service };
    let (got, outcome) = read(service, theirs, &[frame(&token), frame(&end)].concat()).await;
    outcome.unwrap();
    assert!(got == bytes(65_536));
}

#[tokio::test]
async fn a_message_in_the_clear_is_refused_where_encryption_was_chosen() {
    let (mut client, mut service) = opened(duplex(1 << 16), &options()).await;
    client.outgoing = Outgoing::new(false);
    client.write_all(b"hello").await.unwrap();
    client.flush().await.unwrap();
    let error = service.read(&mut [0; 10]).await.unwrap_err();
    assert_eq!(error.to_string(), "the peer sent a message that is not encrypted");
}

#[tokio::test]
async fn nothing_is_written_after_the_end() {
    let (mut client, mut service) = opened(duplex(1 << 16), &options()).await;
    client.shutdown().await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(client.write(b"more").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(service.read(&mut [0; 10]).await.unwrap(), 0);
    // The other direction goes on.
    service.write_all(b"still here").await.unwrap();
    service.flush().await.unwrap();
    assert_eq!(client.read(&mut [0; 10]).await.unwrap(), 10);
}

#[tokio::test]
async fn a_peer_that_is_slow_to_prove_itself_is_left() {
    let options = StreamOptions { handshake_timeout: Duration::from_millis(20), ..options() };
    for sent in [&[][..], &[0, 0], &[0, 0, 1, 0, 1, 2, 3]] {
        let (mut theirs, ours) = duplex(1000);
        theirs.write_all(sent).await.unwrap();
        let (initiator, acceptor) = sides(ContextFlags::DEFAULT, Mechanism::Kerberos);
        let error = KrbStream::accept(ours, acceptor, None, &options).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "the peer took too long to prove who it is");
        // One that does not read is no better.
        let (_theirs, ours) = duplex(10);
        let error = KrbStream::connect(ours, initiator, &options).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}

#[tokio::test]
async fn a_peer_that_hangs_up_before_its_proof_is_told_so() {
    for sent in [&[][..], &[0, 0], &[0, 0, 1, 0, 1, 2, 3]] {
        let (mut theirs, ours) = duplex(1000);
        theirs.write_all(sent).await.unwrap();
        drop(theirs);
        let (_, acceptor) = sides(ContextFlags::DEFAULT, Mechanism::Kerberos);
        let error = KrbStream::accept(ours, acceptor, None, &options()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{sent:?}");
        assert_eq!(error.to_string(), "the peer hung up before it proved who it is");
    }
}

#[tokio::test]
async fn a_token_longer_than_allowed_is_refused_before_it_comes() {
    let (mut theirs, ours) = duplex(1000);
    theirs.write_u32(65_537).await.unwrap();
    let (_, acceptor) = sides(ContextFlags::DEFAULT, Mechanism::Kerberos);
    let error = KrbStream::accept(ours, acceptor, None, &options()).await.unwrap_err();
    assert_eq!(error.to_string(), "a token is longer than this side takes");
}

#[tokio::test]
async fn a_caller_that_is_refused_hears_why() {
    let (initiator, acceptor) = sides(ContextFlags::DEFAULT, Mechanism::Kerberos);
    let (ours, theirs) = duplex(10_000);
    let late = StreamOptions { clock: Arc::new(|| Instant::from(NOW.time + 3000)), ..options() };
    let options = options();
    let (client, service) =
        tokio::join!(KrbStream::connect(ours, initiator, &options), KrbStream::accept(theirs, acceptor, None, &late),);
    let (client, service) = (client.unwrap_err(), service.unwrap_err());
    for error in [&client, &service] {
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(code(error), Some(ErrorCode::SKEW), "{error}");
    }
    assert!(service.to_string().starts_with("the caller was refused: Clock skew too great"), "{service}");
    assert!(client.to_string().starts_with("the service was not reached: Clock skew too great"), "{client}");
}

#[tokio::test]
async fn a_context_that_cannot_carry_a_stream_is_refused() {
    let without = |flag: ContextFlags| ContextFlags(ContextFlags::DEFAULT.0 & !flag.0);
    for (flag, words) in [
        (ContextFlags::REPLAY, "the context does not notice repeated messages"),
        (ContextFlags::SEQUENCE, "the context does not notice lost messages"),
        (ContextFlags::CONFIDENTIALITY, "the context does not encrypt messages"),
        (ContextFlags::MUTUAL, "the context has no mutual authentication"),
    ] {
        let (initiator, acceptor) = sides(without(flag), Mechanism::Kerberos);
        let (ours, theirs) = duplex(10_000);
        let options = options();
        let (client, service) = tokio::join!(
            KrbStream::connect(ours, initiator, &options),
            KrbStream::accept(theirs, acceptor, None, &options),
        );
        let said = [client.unwrap_err().to_string(), service.unwrap_err().to_string()];
        assert!(said.iter().any(|said| said == words), "{said:?}");
    }
}

#[tokio::test]
async fn a_stranger_with_a_service_of_the_same_name_is_noticed() {
    let (initiator, _) = sides(ContextFlags::DEFAULT, Mechanism::Kerberos);
    let (mut theirs, ours) = duplex(10_000);
    let options = options();
    let stranger = async {
        let length = theirs.read_u32().await.unwrap();
        let mut token = vec![0; length as usize];
        theirs.read_exact(&mut token).await.unwrap();
        // It cannot read the ticket; an echo is what it can say.
        theirs.write_u32(length).await.unwrap();
        theirs.write_all(&token).await.unwrap();
    };
    let (client, ()) = tokio::join!(KrbStream::connect(ours, initiator, &options), stranger);
    assert_eq!(client.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
}
