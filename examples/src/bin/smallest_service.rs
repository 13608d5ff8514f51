//! The smallest service: it learns who calls, proves who it is, and speaks in private.
//!
//! `smallest_service 127.0.0.1:7000 FILE:./host.keytab`
#![allow(clippy::print_stdout, clippy::disallowed_types, reason = "a program, not a library")]

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use std::{env, error::Error, thread};

use examples::{now, receive, send};
use libkrb::crypto::OsRandom;
use libkrb::keytab::KeytabName;
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Acceptor, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let (address, keytab) = env::args().nth(1).zip(env::args().nth(2)).ok_or("usage: ADDRESS KEYTAB")?;

    // One acceptor for the life of the process: it remembers whom it has seen, so that nobody who
    // listens on the wire can send the same again.
    let options = Options::default();
    let replay = Arc::new(MemoryReplayCache::new(options.clock_skew, 1_000_000));
    let acceptor = Arc::new(Acceptor::new(&KeytabName::parse(&keytab)?.load()?, options, replay)?);

    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming().flatten() {
        let acceptor = acceptor.clone();
        thread::spawn(move || serve(&acceptor, stream).unwrap_or_else(|error| println!("refused: {error}")));
    }
    Ok(())
}

fn serve(acceptor: &Acceptor, mut stream: TcpStream) -> Result<(), Box<dyn Error>> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let peer = stream.peer_addr()?.ip();

    // Who calls? The AP-REQ says it, or is refused; then the client is told why.
    let ap_req = receive(&mut stream)?;
    let caller = match acceptor.accept(now(), &mut OsRandom::new(), &ap_req, Some(peer)) {
        Ok(caller) => caller,
        Err(refusal) => {
            send(&mut stream, &refusal.krb_error())?;
            return Err(refusal.into());
        }
    };

    // Who are we? The AP-REP proves it: only the real service could read the ticket.
    send(&mut stream, caller.reply.as_ref().ok_or("the client does not ask who we are")?)?;

    // From here on nobody else can read, change or repeat what is said.
    let mut session = caller.session();
    let question = session.read_priv(now(), &receive(&mut stream)?)?;
    let answer = format!("hello {}, you said: {}", caller.client, String::from_utf8_lossy(&question));
    send(&mut stream, &session.make_priv(now(), &mut OsRandom::new(), answer.as_bytes())?)?;
    Ok(())
}
