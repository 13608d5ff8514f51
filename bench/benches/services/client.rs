//! A caller that holds its tickets: from the wish to speak with a service to its first token.

use std::sync::Arc;

use bench::rows::{Goal, Rows};
use libkrb::ccache::CacheName;
use libkrb::config::Config;
use libkrb::crypto::KeptRandom;
use libkrb::gss::{InitiatorContext, InitiatorOptions, InitiatorStep, Mechanism};
use libkrb::net::{Client, Transport};

use crate::kerberos::Site;

const TOKENS: usize = 5_000;

pub fn rows(site: &Site) -> Rows {
    let text = std::fs::read_to_string(site.configuration()).expect("a krb5.conf");
    let transport = Transport::new(Arc::new(Config::parse("krb5.conf", &text).expect("a krb5.conf")));
    let cache = CacheName::parse(&format!("FILE:{}", site.cache().display())).expect("a cache's name");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut rows = Rows::default();
    runtime.block_on(async {
        let client = Client::with_cache(transport, cache).await.expect("the user's tickets");
        let service = &site.ticket.server;
        client.ticket(service).await.expect("a ticket that is held from now on");
        let mut length = 0;
        for (what, mechanism, goal) in [
            ("Client, cached ticket -> token of Kerberos", Mechanism::Kerberos, Goal::AtMost(4.0)),
            ("Client, cached ticket -> token of SPNEGO", Mechanism::Spnego, Goal::Stated),
        ] {
            let mut turns = vec![];
            for _ in 0..bench::TURNS {
                let start = bench::thread_nanos();
                for _ in 0..TOKENS {
                    let ticket = client.ticket(service).await.expect("the ticket that is held");
                    let options = InitiatorOptions { mechanism, ..InitiatorOptions::default() };
                    let mut context = InitiatorContext::new(&ticket, options).expect("a context");
                    let step = context.step(tests::library::now(), &mut KeptRandom::take(), None);
                    let InitiatorStep::Continue(token) = step.expect("a token") else {
                        panic!("no proof was asked for")
                    };
                    length = token.len();
                }
                turns.push((bench::thread_nanos() - start) as f64 / 1000.0 / TOKENS as f64);
            }
            let detail = format!("mutual, aes256-sha1, {length} octets; median of {} turns", bench::TURNS);
            rows.add(what, goal, bench::median(turns.into_iter()), " us", detail);
        }
    });
    rows
}
