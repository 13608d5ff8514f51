//! A way to a node of etcd that can be cut: what is on it then arrives when it is mended, as with a network that
//! loses its packets. And servers that are no KDC: silent ones, and one that is always busy.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Condvar, Mutex};

use kdc::core::{Policy, busy};
use libkrb::time::Instant;
use tests::Port;

use crate::place::REALM;

/// A wire.
pub struct Wire {
    url: String,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    cut: Mutex<bool>,
    mended: Condvar,
}

impl Gate {
    fn wait(&self) {
        let cut = self.cut.lock().expect("unpoisoned");
        drop(self.mended.wait_while(cut, |cut| *cut).expect("unpoisoned"));
    }
}

impl Wire {
    /// A wire to the node of this URL.
    pub fn to(url: &str) -> Wire {
        let node: SocketAddr = url.strip_prefix("http://").expect("plain").parse().expect("an address");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let gate = Arc::new(Gate::default());
        let open = Arc::clone(&gate);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let gate = Arc::clone(&open);
                std::thread::spawn(move || {
                    gate.wait();
                    let Ok(far) = TcpStream::connect(node) else { return };
                    let _ = (near.set_nodelay(true), far.set_nodelay(true));
                    let both = (near.try_clone().expect("a stream"), far.try_clone().expect("a stream"));
                    let other = Arc::clone(&gate);
                    std::thread::spawn(move || carry(&other, both.1, both.0));
                    carry(&gate, near, far);
                });
            }
        });
        Wire { url, gate }
    }

    /// Where it begins.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    pub fn cut(&self) {
        *self.gate.cut.lock().expect("unpoisoned") = true;
    }

    pub fn mend(&self) {
        *self.gate.cut.lock().expect("unpoisoned") = false;
        self.gate.mended.notify_all();
    }
}

fn carry(gate: &Gate, mut from: TcpStream, mut to: TcpStream) {
    let mut octets = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut octets) {
        gate.wait();
        if to.write_all(&octets[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// Something at a port that is no good KDC, for as long as the program runs.
pub struct Other {
    port: Port,
    _sockets: (UdpSocket, TcpListener),
}

impl Other {
    /// It takes all and says nothing.
    pub fn silent() -> Other {
        let port = Port::claim();
        let sockets =
            (UdpSocket::bind(port.address()).expect("bound"), TcpListener::bind(port.address()).expect("bound"));
        Other { port, _sockets: sockets }
    }

    /// It says that it has too much to do.
    pub fn busy() -> Other {
        let other = Other::silent();
        let reply = || busy(&Policy::new(REALM), Instant::from(kdc::admin::now()));
        let udp = other._sockets.0.try_clone().expect("a socket");
        std::thread::spawn(move || {
            let mut octets = [0; 1 << 16];
            while let Ok((_, from)) = udp.recv_from(&mut octets) {
                let _ = udp.send_to(&reply(), from);
            }
        });
        let tcp = other._sockets.1.try_clone().expect("a socket");
        std::thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                let _ = stream.read(&mut [0; 1 << 16]);
                let reply = reply();
                let _ = stream.write_all(&[&(reply.len() as u32).to_be_bytes()[..], &reply].concat());
            }
        });
        other
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }
}
