//! Conversations over TCP between a program and the test, or between two programs while the test
//! listens: messages behind their length, four octets in network order.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::PATIENCE;
use crate::tool::{Said, Tool};

/// Runs a program that calls the address it is given, and answers the call. What the answering came
/// to is for after a look at what the program said: where that failed, this did too.
pub fn called<T: Send>(
    caller: impl FnOnce(SocketAddr) -> Tool,
    answer: impl FnOnce(TcpStream) -> T + Send,
) -> (Said, thread::Result<T>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("its address");
    thread::scope(|scope| {
        let answering = scope.spawn(move || {
            let (stream, _) = listener.accept().expect("a call");
            stream.set_read_timeout(Some(PATIENCE)).expect("a connection with a timeout");
            answer(stream)
        });
        let said = caller(address).run();
        // A program that ended before it called leaves the other side waiting; this call wakes it.
        drop(TcpStream::connect(address));
        (said, answering.join())
    })
}

/// Sends a message.
pub fn send(stream: &mut TcpStream, message: &[u8]) {
    let length = u32::try_from(message.len()).expect("a short message");
    stream.write_all(&[&length.to_be_bytes(), message].concat()).expect("a message sent");
}

/// Receives a message.
#[track_caller]
pub fn receive(stream: &mut impl Read) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("the length of a message");
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut message).expect("a message");
    message
}

/// Lets two programs talk to each other until both have hung up; gives what each of them said.
pub fn connect(first: &TcpStream, second: &TcpStream) -> (Vec<u8>, Vec<u8>) {
    thread::scope(|scope| {
        let answers = scope.spawn(|| pass_on(second, first));
        (pass_on(first, second), answers.join().expect("the other direction"))
    })
}

fn pass_on(mut from: &TcpStream, mut to: &TcpStream) -> Vec<u8> {
    let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
    // A broken connection ends the talk as a closed one does.
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        said.extend_from_slice(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    said
}
