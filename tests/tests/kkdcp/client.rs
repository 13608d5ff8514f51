//! Our client with proxies that are broken or mean no good: what is no answer is not taken for one, nobody else is asked
//! because of it, and the next server has its turn.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use libkrb::Error;
use libkrb::config::Config;
use libkrb::net::Transport;
use libkrb::wire::KdcProxyMessage;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::place::Authority;

const ANSWER: &[u8] = b"\x6b\x03yes";

/// Proxies that answer with these bytes, one connection each, and what they were asked.
fn asked(answers: Vec<Vec<u8>>) -> (Result<Vec<u8>, Error>, Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    Authority::in_folder(folder.path()).certify(folder.path(), "localhost");
    let config = Arc::new(server(folder.path()));
    let mut lines = format!("  http_anchors = FILE:{}\n", folder.path().join("ca.pem").display());
    let mut threads = vec![];
    for answer in answers {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let port = listener.local_addr().expect("an address").port();
        lines.push_str(&format!("  kdc = https://localhost:{port}/some/Where?x\n"));
        let config = Arc::clone(&config);
        threads.push(std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            let connection = ServerConnection::new(config).expect("a connection");
            let mut stream = StreamOwned::new(connection, stream);
            let mut heard = vec![];
            let mut piece = [0; 1024];
            while !heard.ends_with(b"\x1b\x01R") {
                let count = stream.read(&mut piece).expect("a request");
                assert_ne!(count, 0, "a whole request");
                heard.extend_from_slice(&piece[..count]);
            }
            let _ = stream.write_all(&answer);
            stream.conn.send_close_notify();
            let _ = stream.flush();
            String::from_utf8_lossy(&heard).into_owned()
        }));
    }
    let text = format!("[libdefaults]\n dns_lookup_kdc = false\n[realms]\n R = {{\n{lines} }}\n");
    let transport = Transport::new(Arc::new(Config::parse("krb5.conf", &text).expect("a configuration")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answer = runtime.block_on(transport.send("R", b"\x6a\x03abc"));
    drop(runtime);
    (answer, threads.into_iter().map(|thread| thread.join().expect("a proxy")).collect())
}

fn server(folder: &Path) -> ServerConfig {
    let chain = vec![CertificateDer::from_pem_file(folder.join("own.pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(folder.join("own-key.pem")).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    builder.expect("versions").with_no_client_auth().with_single_cert(chain, key).expect("an identity")
}

fn http(status: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

fn good() -> Vec<u8> {
    http("200 OK", &KdcProxyMessage::wrap(ANSWER, None).expect("short"))
}

#[test]
fn a_message_is_posted_with_its_realm_where_krb5_conf_says() {
    let (answer, heard) = asked(vec![good()]);
    assert_eq!(answer, Ok(ANSWER.to_vec()));
    let head = heard[0].to_lowercase();
    assert!(head.starts_with("post /some/where?x http/1.1\r\n"), "{head}");
    assert!(
        head.contains("\r\nhost: localhost:") && head.contains("\r\ncontent-type: application/kerberos\r\n"),
        "{head}"
    );
    assert!(heard[0].ends_with("\0\0\0\u{5}j\u{3}abc\u{fffd}\u{3}\u{1b}\u{1}R"), "{:?}", heard[0]);
}

#[test]
fn what_is_no_answer_is_not_taken_for_one_and_the_next_proxy_has_its_turn() {
    let whole = KdcProxyMessage::wrap(ANSWER, None).expect("short");
    let framed = |framed: &[u8]| libkrb::wire::encode(&KdcProxyMessage { framed, realm: None, locator_hint: None });
    for bad in [
        // As MIT's client would take it.
        http("403 Forbidden", &whole),
        http("500 Internal Server Error", &whole),
        [&b"HTTP/1.1 302 Found\r\nLocation: https://localhost:1/KdcProxy\r\nContent-Length: 0\r\n\r\n"[..]].concat(),
        http("200 OK", b""),
        http("200 OK", b"<html>no KDC here</html>"),
        http("200 OK", &whole[..whole.len() - 1]),
        http("200 OK", &[&whole[..], b"x"].concat()),
        http("200 OK", &framed(b"\0\0\0\x06\x6b\x03yes")),
        http("200 OK", &framed(b"\xff\xff\xff\xff\x6b\x03yes")),
        http("200 OK", &KdcProxyMessage::wrap(b"\x6a\x03no!", None).expect("short")),
        http("200 OK", &KdcProxyMessage::wrap(&vec![0x6b; 2 << 20], None).expect("short")),
        [b"HTTP/1.1 200 OK\r\nX: ", &vec![b'x'; 100_000][..], b"\r\n\r\n"].concat(),
        b"no HTTP at all\r\n\r\n".to_vec(),
        vec![],
    ] {
        let shown = String::from_utf8_lossy(&bad[..bad.len().min(60)]).into_owned();
        let (answer, heard) = asked(vec![bad, good()]);
        assert_eq!((answer, heard.len()), (Ok(ANSWER.to_vec()), 2), "{shown}");
    }
}
