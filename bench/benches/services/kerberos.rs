//! The same ticket shown and accepted by libkrb and by MIT's libgssapi, with mutual authentication and
//! each one's replay cache.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use libkrb::Principal;
use libkrb::ccache::{CacheName, Credential};
use libkrb::crypto::{KeptRandom, Key, KeyUsage, OsRandom};
use libkrb::gss::{
    AcceptStep, AcceptorContext, AcceptorOptions, InitiatorContext, InitiatorOptions, InitiatorStep, Mechanism,
};
use libkrb::keytab::{Keytab, KeytabName, RawKey};
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Acceptor, Options};
use libkrb::time::Instant;
use libkrb::wire::{self, EncTicketPart, EncryptedData, Ticket};
use tests::{Family, Realm};

use crate::report::median;
use crate::{Cost, micros};

const SERVICE: &str = "HTTP/bench.example.org";

/// How many tokens are made, then accepted, then answered: ours and MIT's.
pub const BATCH: usize = 3_000;

/// A realm with a user who has a ticket for a service.
pub struct Site {
    realm: Realm,
    pub keytab: PathBuf,
    pub ticket: Credential,
    /// Where MIT's library looks: krb5.conf and the cache.
    environment: [(&'static str, PathBuf); 4],
}

impl Site {
    pub fn new() -> Site {
        let realm = Realm::start(Family::Ours);
        realm.add("alice", "secret", &[]);
        let keytab = realm.add_service(SERVICE);
        let seat = realm.seat(Family::Ours);
        seat.kinit(&["alice"], "secret").succeeds();
        seat.fetch(&[SERVICE]).succeeds();
        let cache = CacheName::parse(&format!("FILE:{}", seat.ccache().display())).expect("a cache's name");
        let cache = cache.load().expect("a cache");
        let service = Principal::parse(SERVICE, Some(realm.name())).expect("a name");
        let ticket = cache.tickets().find(|ticket| ticket.server == service).expect("a ticket").clone();
        let environment = [
            ("KRB5_CONFIG", seat.configuration()),
            ("KRB5CCNAME", seat.ccache()),
            ("KRB5_KTNAME", keytab.clone()),
            // Its replay cache is as it comes: a file.
            ("KRB5RCACHEDIR", realm.folder().to_owned()),
        ];
        drop(seat);
        Site { keytab, ticket, environment, realm }
    }

    fn keys(&self) -> Keytab {
        KeytabName::File(self.keytab.clone()).load().expect("a keytab")
    }

    pub fn acceptor(&self) -> Arc<Acceptor> {
        let options = Options::default();
        let replay = Arc::new(MemoryReplayCache::new(options.clock_skew, 1_000_000));
        Arc::new(Acceptor::new(&self.keys(), options, replay).expect("an acceptor"))
    }

    pub fn configuration(&self) -> &Path {
        &self.environment[0].1
    }

    pub fn cache(&self) -> &Path {
        &self.environment[1].1
    }

    /// An opened initiator with its first token.
    pub fn initiate(&self, mechanism: Mechanism, now: Instant) -> (InitiatorContext, Vec<u8>) {
        initiate(&self.ticket, mechanism, now)
    }

    /// With a ticket that the service has seen before, as most are: a client uses it for hours.
    pub fn known(&self, batches: usize) -> Cost {
        let acceptor = self.acceptor();
        of_batches((0..batches).map(|batch| exchange(&acceptor, &vec![&self.ticket; BATCH], batch)))
    }

    /// With tickets that it has never seen.
    pub fn new_tickets(&self, batches: usize) -> Cost {
        let acceptor = self.acceptor();
        of_batches((0..batches).map(|batch| {
            let tickets: Vec<_> = (0..BATCH).map(|_| self.another()).collect();
            exchange(&acceptor, &tickets.iter().collect::<Vec<_>>(), batch)
        }))
    }

    /// The same ticket with another session key: as the KDC would give it to another client.
    fn another(&self) -> Credential {
        let mut random = OsRandom::new();
        let sealed: Ticket<'_> = wire::decode(&self.ticket.ticket).expect("a ticket");
        let etype = sealed.enc_part.etype;
        let keys = self.keys();
        let key = keys.entries.iter().find(|entry| entry.key.etype == etype).expect("the ticket's key");
        let key = key.key.key().expect("a key");
        let plain = key.decrypt(KeyUsage::TICKET, sealed.enc_part.cipher).expect("our ticket");
        let session = Key::random(self.ticket.key.etype, &mut random).expect("a key");
        let part: EncTicketPart<'_> = wire::decode(&plain).expect("a ticket");
        let plain = wire::encode_secret(&EncTicketPart { key: (&session).into(), ..part });
        let cipher = key.encrypt(KeyUsage::TICKET, &mut random, &plain);
        let enc_part = EncryptedData { cipher: &cipher, ..sealed.enc_part };
        let ticket = wire::encode(&Ticket { enc_part, ..sealed });
        Credential { key: RawKey::from(&session), ticket, ..self.ticket.clone() }
    }

    /// None where MIT's library or a C compiler is missing.
    pub fn mit(&self, rounds: usize) -> Option<Cost> {
        let program = self.realm.folder().join("mit_gss");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/services/mit_gss.c");
        let mut build = Command::new("cc");
        build.args(["-O2", "-w", "-o"]).arg(&program).arg(source).arg("-l:libgssapi_krb5.so.2");
        if !build.status().is_ok_and(|status| status.success()) {
            println!("MIT's libgssapi is left out: cc or libgssapi_krb5.so.2 is missing");
            return None;
        }
        // As new: it grows, and is slower then.
        let replays = std::fs::read_dir(self.realm.folder()).expect("a folder").flatten().map(|file| file.path());
        let replays = replays.filter(|path| path.extension().is_some_and(|end| end == "rcache2"));
        replays.for_each(|path| std::fs::remove_file(path).expect("a file that is gone"));
        let mut run = Command::new(&program);
        run.arg(format!("{SERVICE}@{}", self.realm.name())).arg(rounds.to_string());
        let output = run.envs(self.environment.clone()).output().expect("a program that was just built");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        let mut nanos = text.split_whitespace().map(|word| word.parse::<f64>().expect("a number") / 1000.0);
        Some(Cost { client: nanos.next()?, server: nanos.next()? })
    }
}

fn initiate(ticket: &Credential, mechanism: Mechanism, now: Instant) -> (InitiatorContext, Vec<u8>) {
    let options = InitiatorOptions { mechanism, ..InitiatorOptions::default() };
    let mut initiator = InitiatorContext::new(ticket, options).expect("an initiator");
    match initiator.step(now, &mut KeptRandom::take(), None).expect("a first token") {
        InitiatorStep::Continue(token) => (initiator, token),
        InitiatorStep::Done(..) => panic!("the service has not proven itself yet"),
    }
}

/// One exchange with each of the tickets.
fn exchange(acceptor: &Arc<Acceptor>, tickets: &[&Credential], batch: usize) -> Cost {
    let (rounds, now) = (tickets.len(), tests::library::now());
    // No two with one ticket in the same microsecond.
    let at = |round: usize| Instant::from_micros(now.as_micros() + (batch * rounds + round) as i64);
    let mut initiators = Vec::with_capacity(rounds);
    let make = micros(rounds, || {
        let tickets = tickets.iter().enumerate();
        initiators.extend(tickets.map(|(round, ticket)| initiate(ticket, Mechanism::Kerberos, at(round))));
    });
    let mut answers = Vec::with_capacity(rounds);
    let mut random = OsRandom::new();
    let server = micros(rounds, || {
        for (round, (_, token)) in initiators.iter().enumerate() {
            let mut context = AcceptorContext::new(acceptor.clone(), AcceptorOptions::default());
            match context.step(at(round), &mut random, token, None).expect("accepted") {
                AcceptStep::Done(_, _, answer) => answers.push(answer.expect("an AP-REP")),
                AcceptStep::Continue(_) => panic!("one leg each way"),
            }
        }
    });
    let check = micros(rounds, || {
        for (round, ((mut initiator, _), answer)) in initiators.into_iter().zip(&answers).enumerate() {
            let step = initiator.step(at(round), &mut random, Some(answer)).expect("proven");
            assert!(matches!(step, InitiatorStep::Done(..)));
        }
    });
    Cost { client: make + check, server }
}

fn of_batches(costs: impl Iterator<Item = Cost>) -> Cost {
    median(&costs.collect::<Vec<_>>())
}
