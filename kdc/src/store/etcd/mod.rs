//! One realm, many KDCs: etcd has the truth and the order of changes, and every KDC answers from a copy
//! of its own, a store in one file. A commit is a transaction of etcd, made onto what the copy has; its
//! caller hears of it when it has come back and stands in the copy. A request never waits for the
//! network. Not here: what a commit comes to (`plan`), the file (`redb`), etcd's own settings.
//!
//! A thread of its own follows etcd (`follower`), commits (`writer`), measures how old the copy is (`pulse`),
//! and counts failed logins together with the other KDCs (`tallies`).

mod ahead;
mod answers;
mod client;
mod faces;
mod follower;
mod layout;
mod master;
mod names;
mod publish;
mod pulse;
mod standing;
mod tallies;
#[allow(missing_docs, reason = "the names are etcd's own, of its rpc.proto")]
pub mod wire;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use libkrb::Time;
use prost::Message;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use zeroize::Zeroizing;

use self::answers::Answers;
use self::client::{Client, Trouble};
use self::follower::Follower;
use self::layout::{Kind, Layout, Realm};
use self::pulse::{Lives, Pulse};
use self::standing::Progress;
use self::tallies::Tallies;
use self::wire::{DeleteRequest, Op};
use self::writer::{Job, Writer};
use super::redb::opens_check;
use super::{Cached, Kept, MasterKey, Redb};
use crate::attempts::Together;
use crate::core::{Change, StoreError};

pub use self::client::Line;
pub use self::layout::Presence;
pub use self::publish::{Compared, compare, fence, publish};
pub use self::pulse::Living;

/// How long etcd is waited for at the start before the copy serves as it is.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the first copy of a realm may take.
const FIRST: Duration = Duration::from_secs(600);

/// How long a KDC that ends may take to say so.
const GOODBYE: Duration = Duration::from_secs(1);

/// Where etcd is, and what of it is the realm's.
#[derive(Clone, Default)]
pub struct Options {
    /// URLs of its nodes.
    pub endpoints: Vec<String>,
    /// What all keys of the realm begin with.
    pub prefix: String,
    /// The certificates of authorities that nodes are believed by.
    pub ca: Option<PathBuf>,
    /// The KDC's own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// As whom it comes.
    pub user: Option<String>,
    /// What proves that.
    pub password: Option<Zeroizing<String>>,
    /// How old the copy may become before it serves no more; `None`: it serves on.
    pub max_staleness: Option<Duration>,
    /// Whether names are sealed there.
    pub seal_names: bool,
    /// What is around.
    pub world: World,
}

/// The ways to nodes, by their URLs.
pub type Lines = Arc<dyn Fn(&str) -> Line + Send + Sync>;

/// What is around a KDC. A simulation plays it.
#[derive(Clone)]
pub struct World {
    /// How nodes are reached; `None`: over the network.
    pub lines: Option<Lines>,
    /// The time of day.
    pub clock: Arc<dyn Fn() -> Time + Send + Sync>,
}

impl Default for World {
    fn default() -> Self {
        World { lines: None, clock: Arc::new(crate::admin::now) }
    }
}

/// A realm in etcd with its copy.
pub struct Etcd {
    changer: Changer,
    runtime: Handle,
    /// What is done for as long as this is open.
    tasks: Mutex<JoinSet<()>>,
    /// The key that says that this KDC lives, and who keeps saying so.
    lives: Mutex<Option<(Vec<u8>, AbortHandle)>>,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    thread: Option<JoinHandle<()>>,
}

/// Who changes the realm.
#[derive(Clone)]
struct Changer {
    copy: Arc<Cached<Redb>>,
    progress: Arc<Progress>,
    client: Arc<Client>,
    layout: Layout,
    jobs: mpsc::UnboundedSender<Job>,
    clock: Arc<dyn Fn() -> Time + Send + Sync>,
}

/// What the thread hands out once it follows.
type Begun = Result<(Changer, JoinSet<()>, Handle), StoreError>;

/// The copy that is to be.
struct Plot {
    options: Options,
    file: PathBuf,
    realm: String,
    master: MasterKey,
    kept: Kept,
}

impl Etcd {
    /// Opens the copy in `file` of a realm in etcd, or makes it, and follows from then on. Where etcd is
    /// away, a copy serves as it is.
    ///
    /// # Errors
    /// [`StoreError`] when there is no such realm, it has another master key, or there is neither etcd nor a copy.
    pub fn open(options: Options, file: &Path, realm: &str, master: MasterKey, kept: Kept) -> Result<Self, StoreError> {
        let plot = Plot { options, file: file.to_owned(), realm: realm.to_owned(), master, kept };
        let (told, hear) = sync_channel::<Begun>(1);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("etcd".to_owned()).spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(plot.live(told, stopped)),
                // Nobody else holds the other end.
                Err(error) => drop(told.send(Err(StoreError::Storage(format!("no thread for etcd: {error}"))))),
            }
        });
        let thread = thread.map_err(|error| StoreError::Storage(format!("no thread for etcd: {error}")))?;
        let begun = await_start(&hear);
        let (changer, tasks, runtime) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                let _ = thread.join();
                return Err(error);
            }
        };
        let (tasks, stop, thread) = (Mutex::new(tasks), Mutex::new(Some(stop)), Some(thread));
        Ok(Etcd { changer, runtime, tasks, lives: Mutex::default(), stop, thread })
    }

    /// The same in a world that is played ([`Options::world`]), on the runtime that there is and no thread: whoever calls this must
    /// not call what waits, but [`Etcd::change`] and [`Etcd::count`].
    ///
    /// # Errors
    /// As [`Etcd::open`].
    pub async fn within(
        options: Options,
        (file, realm): (&Path, &str),
        master: MasterKey,
        kept: Kept,
    ) -> Result<Self, StoreError> {
        let plot = Plot { options, file: file.to_owned(), realm: realm.to_owned(), master, kept };
        let (changer, tasks, runtime) = plot.begin().await?;
        let (lives, stop) = (Mutex::default(), Mutex::default());
        Ok(Etcd { changer, runtime, tasks: Mutex::new(tasks), lives, stop, thread: None })
    }

    /// The copy.
    pub fn copy(&self) -> &Redb {
        self.changer.copy.inner()
    }

    /// Says, from now on and for as long as this is open, that a KDC of this name lives.
    pub fn announce(&self, id: String, says: Box<dyn Fn() -> Presence + Send + Sync>) {
        let Changer { client, layout, progress, .. } = self.changer.clone();
        let key = layout.kdc(&id);
        let task = self.tasks().spawn_on(Lives { client, layout, progress, id, says }.say(), &self.runtime);
        *self.lives.lock().unwrap_or_else(PoisonError::into_inner) = Some((key, task));
    }

    /// Waits until the copy has come to a revision; whether it has.
    pub fn comes_to(&self, revision: i64, patience: Duration) -> bool {
        let mut applied = self.changer.progress.applied();
        let comes = async move {
            let comes = applied.wait_for(|applied| applied.revision >= revision);
            timeout(patience, comes).await.is_ok_and(|come| come.is_ok())
        };
        self.wait_for(comes).unwrap_or(false)
    }

    /// Makes one commit, in one transaction or, where keys are announced, in two.
    ///
    /// # Errors
    /// As [`crate::store::Store::commit`].
    pub async fn change(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.changer.change(changes).await
    }

    /// Counts failed logins together with the other KDCs from now on.
    pub fn count(&self) -> Arc<Together> {
        let together = Arc::new(Together::default());
        let Changer { client, layout, progress, .. } = self.changer.clone();
        let tallies = Tallies::new(client, layout, progress, Arc::clone(&together));
        let mut tasks = self.tasks();
        tasks.spawn_on(tallies.clone().tell(), &self.runtime);
        tasks.spawn_on(tallies.hear(), &self.runtime);
        together
    }

    /// Makes one commit with rows that are none of principals and policies.
    fn submit_rows(&self, changes: Vec<Change>, rows: Vec<Op>) -> Result<i64, StoreError> {
        let changer = self.changer.clone();
        self.wait_for(async move { changer.submit(changes, rows).await }).unwrap_or_else(|| Err(ending()))
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something on the thread of etcd, and waits for it; `None` where that has ended.
    fn wait_for<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (done, is_done) = sync_channel(1);
        self.runtime.spawn(async move {
            let _ = done.send(work.await);
        });
        is_done.recv().ok()
    }

    /// How far the copy has come.
    pub fn revision(&self) -> i64 {
        self.changer.progress.applied().borrow().revision
    }
}

impl Changer {
    async fn change(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let ahead = self.ahead(&changes)?;
        if ahead.is_empty() {
            self.submit(changes, vec![]).await.map(drop)
        } else {
            self.one_after_the_other(changes, ahead).await
        }
    }

    /// Makes one commit; at which revision.
    async fn submit(&self, changes: Vec<Change>, rows: Vec<Op>) -> Result<i64, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { changes, rows, answer }).map_err(|_| ending())?;
        answered.await.unwrap_or_else(|_| Err(ending()))
    }
}

fn await_start(hear: &Receiver<Begun>) -> Begun {
    hear.recv().unwrap_or_else(|_| Err(StoreError::Storage("the thread for etcd ended".into())))
}

impl Plot {
    /// What the thread does.
    async fn live(self, told: std::sync::mpsc::SyncSender<Begun>, stopped: oneshot::Receiver<()>) {
        match self.begin().await {
            Ok(begun) => {
                let _ = told.send(Ok(begun));
                // An error: who would have said so is gone.
                let _ = stopped.await;
            }
            Err(error) => drop(told.send(Err(error))),
        }
    }

    async fn begin(self) -> Begun {
        let Plot { options, file, realm, master, kept } = self;
        let client = Arc::new(Client::new(&options)?);
        let layout = Layout::of(&options);
        let record = look(&client, &layout).await;
        let master = match &record {
            Ok(_) => master::completed(&client, &layout, master).await.map_err(client::refused)?,
            Err(_) => master,
        };
        let record = record.and_then(|record| {
            let next = "`kdc store publish` puts the realm of a store there";
            let problem = || Trouble::Refused(format!("there is no realm at {}; {next}", layout.prefix()));
            record.ok_or_else(problem)
        });
        let (copy, fresh) = match &record {
            Ok(record) => take(&file, &realm, master, record, &layout, kept.records)?,
            Err(trouble) => (existing(&file, master, trouble, kept.records)?, false),
        };
        let seals = match &record {
            Ok(record) => record.master.clone(),
            Err(_) => copy.master_check()?,
        };
        if let Some(version) = master::sealed_by(&seals) {
            let sealing = copy.master.load().sealing(version)?;
            copy.master.store(Arc::new(sealing));
        }
        let copy = Arc::new(Cached::new(copy, kept.entries));
        let progress = Arc::new(Progress::new(options.max_staleness));
        if let Err(trouble) = record {
            progress.away(trouble.to_string());
            progress.at(&copy.inner().position()?.unwrap_or_default());
        }
        let (jobs, waiting) = mpsc::unbounded_channel();
        let parts = || (Arc::clone(&client), layout.clone(), Arc::clone(&copy), Arc::clone(&progress));
        let follow = |(client, layout, copy, progress)| Follower { client, layout, copy, progress, hasty: false };
        let write = |jobs, (client, layout, copy, progress)| {
            let answers = Answers::default();
            Writer { client, layout, copy, progress, jobs, answers }
        };
        let beat = |(client, layout, _, progress)| Pulse { client, layout, progress };
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(parts()).follow());
        tasks.spawn(write(waiting, parts()).write());
        tasks.spawn(beat(parts()).beat());
        let patience = if fresh { FIRST } else { PATIENCE };
        let known = progress.trouble().is_none();
        if known && timeout(patience, progress.begun()).await.is_err() {
            if fresh {
                let why = progress.trouble().unwrap_or_else(|| "the first copy of the realm takes too long".into());
                return Err(StoreError::Storage(why));
            }
            tracing::warn!("the copy has not come up to date in time: it serves as it is");
        }
        let changer = Changer { copy, progress, client, layout, jobs, clock: options.world.clock };
        Ok((changer, tasks, Handle::current()))
    }
}

/// The KDCs of a realm that live.
///
/// # Errors
/// When etcd does not answer.
pub async fn living(options: &Options) -> Result<Living, StoreError> {
    let client = Client::new(options)?;
    pulse::living(&client, &Layout::below(&options.prefix)).await.map_err(client::refused)
}

/// What stands in etcd of the realm as a whole.
async fn look(client: &Client, layout: &Layout) -> Result<Option<Realm>, Trouble> {
    let answer = client.range(layout.one(&Kind::Realm), Duration::from_secs(5)).await?;
    let Some(kv) = answer.kvs.first() else { return Ok(None) };
    Realm::decode(&*kv.value).map(Some).map_err(|_| Trouble::Refused("what stands there is no realm".into()))
}

fn ending() -> StoreError {
    StoreError::ReadOnly("this KDC is ending".into())
}

/// The copy of a realm that is there; whether it is a new one.
fn take(
    file: &Path,
    name: &str,
    master: MasterKey,
    record: &Realm,
    layout: &Layout,
    records: usize,
) -> Result<(Redb, bool), StoreError> {
    let prefix = layout.prefix();
    record.can_be_read(layout)?;
    if record.name != name {
        let problem = format!("{prefix} in etcd is the realm {}, but `realm` in kdc.toml is {name}", record.name);
        return Err(StoreError::Storage(problem));
    }
    if !opens_check(&master, &record.master) {
        let key = master.file().display();
        let next = "where it was rolled over meanwhile, copy the file from a KDC that lives, and move the copy away";
        let problem = format!("wrong master key: {key} is not the one of {prefix} in etcd; {next}");
        return Err(StoreError::Storage(problem));
    }
    layout.agree(record, &master)?;
    if !file.exists() {
        let copy = Redb::create(file, name, master)?.keeping(records);
        copy.become_copy(true)?;
        return Ok((copy, true));
    }
    let copy = Redb::open_served(file, master, records)?;
    match copy.position()? {
        Some(position) => Ok((copy, position.revision == 0)),
        None => Err(no_copy(file)),
    }
}

/// The copy that is there, while etcd is not.
fn existing(file: &Path, master: MasterKey, trouble: &Trouble, records: usize) -> Result<Redb, StoreError> {
    if !file.exists() {
        return Err(StoreError::Storage(format!("{}: no copy of the realm yet, and {trouble}", file.display())));
    }
    let copy = Redb::open_served(file, master, records)?;
    match copy.position()? {
        Some(position) if position.revision > 0 => Ok(copy),
        Some(_) => Err(StoreError::Storage(format!("{}: not a whole copy yet, and {trouble}", file.display()))),
        None => Err(no_copy(file)),
    }
}

fn no_copy(file: &Path) -> StoreError {
    let next = "`kdc store publish` puts it into etcd; or move it away, and a copy is made";
    StoreError::Storage(format!("{}: a store of its own, no copy of what is in etcd; {next}", file.display()))
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // Nobody is to wait for who has ended; should this fail, the lease ends.
        if let Some((key, task)) = self.lives.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
            let client = Arc::clone(&self.changer.client);
            let gone = async move { client.delete(DeleteRequest { key, end: vec![] }, GOODBYE).await };
            if self.thread.is_some() && self.changer.progress.trouble().is_none() {
                let _ = self.wait_for(gone);
            }
        }
        let stop = self.stop.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let _ = stop.map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
        // What was taken over since the last time is durable from here on; else it is heard of again.
        if let Ok(Some(at)) = self.changer.copy.inner().position() {
            let _ = self.changer.copy.inner().follow(&[], &at, &at, true);
        }
    }
}
