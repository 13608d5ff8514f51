//! What the tests of this room share: servers on loopback and answers without DNS.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::dns::{Answer, Resolve, Srv, Uri};
use crate::error::ErrorCode;
use crate::time::Time;
use crate::wire::{self, Fixed, KrbError, PrincipalName};

/// Bytes that pass for an AS-REP.
pub(super) const ANSWER: &[u8] = b"\x6b\x03yes";

/// A KRB-ERROR with this code.
pub(super) fn refusal(code: ErrorCode) -> Vec<u8> {
    let principal = crate::Principal::tgs("R");
    wire::encode(&KrbError {
        version: Fixed,
        kind: Fixed,
        client_time: None,
        client_micros: None,
        server_time: Time(0),
        server_micros: 0,
        code,
        client_realm: None,
        client: None,
        realm: "R",
        server: PrincipalName::from(&principal),
        text: None,
        data: None,
    })
}

/// A KDC that does what the test says, on UDP and TCP of one port.
pub(super) struct Kdc {
    pub(super) udp: UdpSocket,
    pub(super) tcp: TcpListener,
    pub(super) address: SocketAddr,
}

impl Kdc {
    pub(super) async fn on(host: &str) -> io::Result<Kdc> {
        for _ in 0..50 {
            let udp = UdpSocket::bind((host, 0)).await?;
            let address = udp.local_addr()?;
            if let Ok(tcp) = TcpListener::bind(address).await {
                return Ok(Kdc { udp, tcp, address });
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    pub(super) async fn new() -> Kdc {
        Kdc::on("127.0.0.1").await.unwrap()
    }

    /// Takes a datagram and says who sent it.
    pub(super) async fn datagram(&self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = vec![0; 65_535];
        let (length, from) = self.udp.recv_from(&mut buffer).await.unwrap();
        buffer.truncate(length);
        (buffer, from)
    }

    /// Answers one datagram.
    pub(super) async fn answer_udp(&self, answer: &[u8]) {
        let (_, from) = self.datagram().await;
        self.udp.send_to(answer, from).await.unwrap();
    }

    /// Takes a connection and the request on it; those that were given up meanwhile do not count.
    pub(super) async fn connection(&self) -> (Vec<u8>, TcpStream) {
        loop {
            let (mut stream, _) = self.tcp.accept().await.unwrap();
            let Ok(length) = stream.read_u32().await else { continue };
            let mut request = vec![0; length as usize];
            if stream.read_exact(&mut request).await.is_ok() {
                return (request, stream);
            }
        }
    }

    /// Answers one request over TCP.
    pub(super) async fn answer_tcp(&self, answer: &[u8]) {
        let (_, mut stream) = self.connection().await;
        stream.write_u32(answer.len() as u32).await.unwrap();
        stream.write_all(answer).await.unwrap();
    }
}

/// Answers from a table, and the questions that were put.
#[derive(Default)]
pub(super) struct Table {
    pub(super) addresses: BTreeMap<String, Vec<SocketAddr>>,
    pub(super) srv: BTreeMap<String, Vec<Srv>>,
    pub(super) uri: BTreeMap<String, Vec<Uri>>,
    pub(super) txt: BTreeMap<String, Vec<String>>,
    pub(super) asked: Mutex<Vec<String>>,
}

impl Table {
    fn take<T: Clone>(&self, table: &BTreeMap<String, Vec<T>>, name: &str) -> Vec<T> {
        self.asked.lock().unwrap().push(name.to_owned());
        table.get(name).cloned().unwrap_or_default()
    }
}

impl Resolve for Table {
    fn addresses<'a>(&'a self, host: &'a str, port: u16) -> Answer<'a, io::Result<Vec<SocketAddr>>> {
        let found = match host.parse() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => self.take(&self.addresses, host),
        };
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no such host");
        Box::pin(async move { if found.is_empty() { Err(missing()) } else { Ok(found) } })
    }

    fn srv<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<Srv>> {
        let found = self.take(&self.srv, name);
        Box::pin(async move { found })
    }

    fn uri<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<Uri>> {
        let found = self.take(&self.uri, name);
        Box::pin(async move { found })
    }

    fn txt<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<String>> {
        let found = self.take(&self.txt, name);
        Box::pin(async move { found })
    }
}
