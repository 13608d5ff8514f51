//! The smallest client: it shows its ticket, makes the service prove itself, and speaks in private.
//!
//! `kinit alice`, then `smallest_client 127.0.0.1:7000 host/a.example.org 'good morning'`
#![allow(clippy::print_stdout, clippy::disallowed_types, reason = "a program, not a library")]

use std::net::TcpStream;
use std::sync::Arc;
use std::{env, error::Error};

use examples::{now, receive, send};
use libkrb::Principal;
use libkrb::ccache::CacheName;
use libkrb::client::{ApExchange, ApRequest};
use libkrb::config::{Config, Environment};
use libkrb::crypto::OsRandom;
use libkrb::net::{Client, Transport};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, service, question] = arguments.as_slice() else { return Err("usage: ADDRESS SERVICE WORDS".into()) };

    // krb5.conf says where the KDCs are, the credential cache who we are.
    let environment = Environment::from_process();
    let config = Arc::new(Config::load(&environment)?);
    let cache = CacheName::parse(&config.ccache_name(&environment)?)?;
    let client = Client::with_cache(Transport::new(config), cache).await?;

    // A ticket for the service: from the cache, or from a KDC.
    let service = Principal::parse(service, Some(client.principal().realm()))?;
    let ticket = client.ticket(&service).await?;

    // Who are we? The AP-REQ shows the ticket, and that we know its key.
    let mut random = OsRandom::new();
    let (exchange, ap_req) = ApExchange::new(&ticket, &ApRequest::default(), now(), &mut random)?;
    let mut stream = TcpStream::connect(address)?;
    send(&mut stream, &ap_req)?;

    // Who answers? Only the real service can say in the AP-REP what was in the AP-REQ.
    let mut session = exchange.finish(&receive(&mut stream)?)?.session();

    // From here on nobody else can read, change or repeat what is said.
    send(&mut stream, &session.make_priv(now(), &mut random, question.as_bytes())?)?;
    let answer = session.read_priv(now(), &receive(&mut stream)?)?;
    println!("{}", String::from_utf8_lossy(&answer));
    Ok(())
}
