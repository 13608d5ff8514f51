//! A service's credentials against our KDC behind a socket of loopback, with the clock in hand: what is
//! asked for and when, what is taken over from disk, what is handed on. With daemons: `credentials.rs`.

mod ccache;
mod certificate;
mod delegation;
mod fetching;
mod keytab;
mod tickets;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kdc::core::{KeySet, LongTermKey};
use libkrb::Principal;
use libkrb::credentials::{Builder, Credentials, Initiation, State};
use libkrb::crypto::{Key, OsRandom};
use libkrb::gss::{AcceptStep, AcceptorContext, AcceptorOptions, Caller, Context, InitiatorContext, InitiatorStep};
use libkrb::keytab::{Keytab, KeytabEntry, KeytabName};
use libkrb::replay::MemoryReplayCache;
use libkrb::service::{Acceptor, Options};
use libkrb::spn::Spn;
use libkrb::time::Instant;
use tempfile::TempDir;
use tests::PATIENCE;
use tests::joined::{Joined, NOW, PASSWORD, name};
use tests::served::Served;

const HOUR: i64 = 3600;
const SERVICE: &str = "host/a.example.org";
const OTHER: &str = "host/b.example.org";

/// A realm and a folder for files.
struct Scene {
    served: Served,
    folder: TempDir,
}

impl Scene {
    async fn new() -> Scene {
        Scene::with("").await
    }

    async fn with(settings: &str) -> Scene {
        Scene::of(Joined::new(), settings).await
    }

    async fn of(realm: Joined, settings: &str) -> Scene {
        let served = Served::with(realm, settings).await;
        Scene { served, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Puts the keys of these versions of a principal into a keytab, in the place of what it held.
    fn write_keytab(&self, path: &Path, principal: &str, kvnos: &[u32]) {
        let entry = self.served.realm.lock().unwrap().entry(principal);
        let sets = entry.keys.iter().filter(|set| kvnos.contains(&set.kvno));
        let keys = sets.flat_map(|set| set.keys.iter().map(|key| (set.kvno, &key.key)));
        let entries =
            keys.map(|(kvno, key)| KeytabEntry { principal: name(principal), timestamp: NOW, kvno, key: key.into() });
        KeytabName::File(path.to_owned()).replace(&Keytab { entries: entries.collect() }).unwrap();
    }

    /// Gives a principal a key of the next version; the KDC knows the old ones still.
    fn rotate(&self, principal: &str) -> u32 {
        let mut kvno = 0;
        self.served.realm.lock().unwrap().change(principal, |entry| {
            kvno = entry.keys[0].kvno + 1;
            let new =
                |key: &LongTermKey| LongTermKey::new(Key::random(key.etype(), &mut OsRandom::new()).unwrap(), None);
            let keys = entry.keys[0].keys.iter().map(new).collect();
            entry.keys.insert(0, KeySet::new(kvno, keys));
        });
        kvno
    }

    /// Credentials with the clock in hand.
    fn with_clock(&self, builder: Builder) -> Builder {
        builder.transport(self.served.transport.clone()).alarm(self.served.ours.clone())
    }

    /// The credentials of [`SERVICE`], of a keytab with its first keys.
    async fn service(&self) -> Credentials {
        let path = self.path("a.keytab");
        self.write_keytab(&path, SERVICE, &[1]);
        self.with_clock(Credentials::from_keytab(path.to_str().unwrap())).start().await.unwrap()
    }

    /// A user's credentials, which can be delegated.
    async fn alice(&self) -> Credentials {
        let builder = Credentials::from_password("alice", std::str::from_utf8(PASSWORD).unwrap());
        self.with_clock(builder).forwardable().start().await.unwrap()
    }

    /// Lets a client open a context with an acceptor.
    async fn call(
        &self,
        client: &Credentials,
        wanted: Initiation,
        acceptor: &Arc<Acceptor>,
    ) -> Result<(Box<Context>, Box<Caller>), Refused> {
        let initiator = client.initiator(&Spn::from(name(SERVICE)), wanted).await.unwrap();
        open(initiator, client, acceptor, self.served.theirs.now())
    }
}

/// A refusal as the initiator sees it.
#[derive(Debug)]
struct Refused {
    error: libkrb::Error,
    /// The service's clock, as it says.
    clock: Option<Instant>,
}

/// Passes tokens to and fro until a context is open. `now` is the service's clock.
fn open(
    mut initiator: InitiatorContext,
    client: &Credentials,
    acceptor: &Arc<Acceptor>,
    now: Instant,
) -> Result<(Box<Context>, Box<Caller>), Refused> {
    let mut random = OsRandom::new();
    let mut acceptor = AcceptorContext::new(acceptor.clone(), AcceptorOptions::default());
    let InitiatorStep::Continue(token) = initiator.step(client.clock(), &mut random, None).unwrap() else {
        panic!("no token")
    };
    let (caller, answer) = match acceptor.step(now, &mut random, &token, None) {
        Ok(AcceptStep::Done(_, caller, answer)) => (Some(caller), answer.unwrap()),
        Ok(AcceptStep::Continue(_)) => panic!("another leg"),
        Err(refusal) => (None, refusal.token.unwrap()),
    };
    match initiator.step(client.clock(), &mut random, Some(&answer)) {
        Ok(InitiatorStep::Done(context, None)) => Ok((context, caller.unwrap())),
        Ok(_) => panic!("another leg"),
        Err(error) => {
            let clock = initiator.clock_offset().map(|offset| offset.apply(client.clock()));
            Err(Refused { error, clock })
        }
    }
}

fn acceptor(credentials: &Credentials) -> Arc<Acceptor> {
    credentials.acceptor(Options::default(), Arc::new(MemoryReplayCache::new(300, 1000))).unwrap()
}

/// Waits until the state is such.
async fn until(credentials: &Credentials, such: impl FnMut(&State) -> bool) -> State {
    let mut watch = credentials.watch();
    let state = tokio::time::timeout(PATIENCE, watch.wait_for(such)).await;
    state.unwrap_or_else(|_| panic!("it stays {:?}", credentials.state())).unwrap().clone()
}

fn principals(names: &[&str]) -> Vec<Principal> {
    names.iter().map(|text| name(text)).collect()
}
