//! Few threads for requests that are much work, behind a bounded queue: whoever sends many of them
//! waits for others of his kind, and nobody else for him. Not here: which requests those are (the
//! core), and what one hears for whom there was no room.
//!
//! The threads give way to all others of the process: a request that is little work is answered first.
//! Datagrams get half of the queue, for anybody can send them in somebody else's name; the other half
//! is for who has a connection. A thread that waits for somebody else meanwhile ([`while_waiting`]) has another one
//! stand in for it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::setpriority_process;

use super::answers::Hands;
use crate::observe::Transport;

/// By how much the threads give way (`nice`): a tenth of a processor is theirs whatever comes.
const NICENESS: i32 = 10;

/// Something to be done.
pub type Job = Box<dyn FnOnce(&mut Hands) + Send>;

/// The threads and their queue. Ends them when dropped, once they have done what is in the queue.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// How much there is in a pool, and how much there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    /// Jobs that wait.
    pub waiting: usize,
    /// Jobs that may wait.
    pub room: usize,
    /// Jobs for which there was no room, since the start.
    pub refused: u64,
}

struct Shared {
    state: Mutex<State>,
    /// Told when a job is there, or the end.
    called: Condvar,
    /// Told when a job is done.
    finished: Condvar,
    room: usize,
    refused: AtomicU64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    taken: u64,
    done: u64,
    closed: bool,
}

/// How many threads are enough where nobody says: the other half of the processors is for all else.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, |count| (usize::from(count) / 2).max(1))
}

impl Pool {
    /// So many threads, with a queue of so many places.
    pub fn new(threads: usize, room: usize) -> Pool {
        let (called, finished) = (Condvar::new(), Condvar::new());
        let shared =
            Shared { state: Mutex::default(), called, finished, room: room.max(2), refused: AtomicU64::new(0) };
        let shared = Arc::new(shared);
        let start = |number| {
            let shared = Arc::clone(&shared);
            let started = thread::Builder::new().name(format!("heavy-{number}")).spawn(move || shared.work(None));
            started.inspect_err(|error| tracing::error!(%error, "starting a thread for costly requests")).ok()
        };
        let threads = (0..threads.max(1)).filter_map(start).collect();
        Pool { shared, threads }
    }

    /// Has a job done; `false` where there is no room for it.
    pub fn submit(&self, transport: Transport, job: Job) -> bool {
        let shared = &self.shared;
        let room = if transport == Transport::Udp { shared.room / 2 } else { shared.room };
        let mut state = shared.lock();
        if state.queue.len() >= room {
            drop(state);
            shared.refused.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        state.queue.push_back(job);
        state.taken += 1;
        drop(state);
        shared.called.notify_one();
        true
    }

    /// Waits until what was submitted is done, but not for longer than `patience`.
    pub fn settle(&self, patience: Duration) {
        let state = self.shared.lock();
        let goal = state.taken;
        let left = self.shared.finished.wait_timeout_while(state, patience, |state| state.done < goal);
        drop(left.unwrap_or_else(PoisonError::into_inner));
    }

    /// How full the queue is.
    pub fn fill(&self) -> Fill {
        let waiting = self.shared.lock().queue.len();
        Fill { waiting, room: self.shared.room, refused: self.shared.refused.load(Ordering::Relaxed) }
    }
}

impl Shared {
    /// Nothing that panics holds the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is in the queue, until its end; who stands in for another, until that one is `back`.
    fn work(self: Arc<Self>, back: Option<&AtomicBool>) {
        OWN.set(Some(Arc::clone(&self)));
        // Linux has a priority for every thread. Without it the pool is as good, if less polite.
        if let Err(error) = setpriority_process(None, NICENESS) {
            tracing::debug!(%error, "the priority of a thread for costly requests");
        }
        let mut hands = Hands::default();
        while let Some(job) = self.next(back) {
            job(&mut hands);
            self.lock().done += 1;
            self.finished.notify_all();
        }
    }

    fn next(&self, back: Option<&AtomicBool>) -> Option<Job> {
        let over = || back.is_some_and(|back| back.load(Ordering::Relaxed));
        let idle = |state: &mut State| state.queue.is_empty() && !state.closed && !over();
        let state = self.called.wait_while(self.lock(), idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if over() {
            // The call may have been for a job.
            self.called.notify_one();
            return None;
        }
        state.queue.pop_front()
    }
}

thread_local! {
    /// Whose queue this thread works on.
    static OWN: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

/// Waits for somebody else. If that is on a thread of a pool, another one does its work until it is back: so whoever
/// is slow holds nobody up. There are no more of these than there are who wait, of which the caller bounds the number.
pub fn while_waiting<T>(wait: impl FnOnce() -> T) -> T {
    let Some(shared) = OWN.with_borrow(Clone::clone) else { return wait() };
    let _away = Away::begin(shared);
    wait()
}

/// Somebody else works in the place of this thread; until dropped.
struct Away {
    shared: Arc<Shared>,
    back: Arc<AtomicBool>,
}

impl Away {
    fn begin(shared: Arc<Shared>) -> Away {
        let away = Away { shared, back: Arc::default() };
        let (shared, back) = (Arc::clone(&away.shared), Arc::clone(&away.back));
        let stand_in = thread::Builder::new().name("heavy-other".into()).spawn(move || shared.work(Some(&back)));
        if let Err(error) = stand_in {
            tracing::warn!(%error, "starting a thread in the place of one that waits: costly requests wait too");
        }
        away
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        let state = self.shared.lock();
        self.back.store(true, Ordering::Relaxed);
        drop(state);
        self.shared.called.notify_all();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.called.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A pool of one thread that is busy until the sender is dropped.
    fn busy(room: usize) -> (Pool, mpsc::Sender<()>) {
        let pool = Pool::new(1, room);
        let (hold, held) = mpsc::channel::<()>();
        let (begun, beginning) = mpsc::channel();
        let job = move |_: &mut Hands| {
            begun.send(()).expect("awaited");
            let _ = held.recv();
        };
        assert!(pool.submit(Transport::Tcp, Box::new(job)));
        beginning.recv_timeout(PATIENCE).expect("begun");
        (pool, hold)
    }

    fn nothing() -> Job {
        Box::new(|_| {})
    }

    #[test]
    fn a_full_queue_refuses_and_datagrams_may_fill_but_half_of_it() {
        let (pool, hold) = busy(4);
        let submit = |transport, times: usize| (0..times).filter(|_| pool.submit(transport, nothing())).count();
        assert_eq!(submit(Transport::Udp, 3), 2);
        assert_eq!(submit(Transport::Tcp, 3), 2);
        assert_eq!(pool.fill(), Fill { waiting: 4, room: 4, refused: 2 });
        drop(hold);
        pool.settle(PATIENCE);
        assert_eq!(pool.fill().waiting, 0);
        assert!(pool.submit(Transport::Udp, nothing()));
    }

    #[test]
    fn what_is_in_the_queue_is_done_before_the_end() {
        let (pool, hold) = busy(8);
        let (done, count) = mpsc::channel();
        for _ in 0..5 {
            let done = done.clone();
            assert!(pool.submit(Transport::Tcp, Box::new(move |_| done.send(()).expect("counted"))));
        }
        drop((hold, done));
        drop(pool);
        assert_eq!(count.iter().count(), 5);
    }

    #[test]
    fn who_waits_for_somebody_else_holds_nobody_up_and_is_stood_in_for_no_longer() {
        let pool = Pool::new(1, 8);
        let (answer, answered) = mpsc::channel::<()>();
        let (told, heard) = mpsc::channel();
        let tell = |what: &'static str| {
            let told = told.clone();
            Box::new(move |_: &mut Hands| told.send((what, thread::current().id())).expect("heard"))
        };
        let back = tell("back");
        let asking = move |hands: &mut Hands| {
            while_waiting(|| answered.recv().expect("answered"));
            back(hands);
        };
        assert!(pool.submit(Transport::Tcp, Box::new(asking)));
        let mut others = vec![];
        for _ in 0..3 {
            assert!(pool.submit(Transport::Tcp, tell("meanwhile")));
            others.push(heard.recv_timeout(PATIENCE).expect("done while the first one waits"));
        }
        answer.send(()).expect("awaited");
        let (what, own) = heard.recv_timeout(PATIENCE).expect("back");
        assert!(what == "back" && others.iter().all(|(what, other)| *what == "meanwhile" && *other != own));
        for _ in 0..20 {
            assert!(pool.submit(Transport::Tcp, tell("after")));
            let _ = heard.recv_timeout(PATIENCE).expect("no call is lost on who has ended");
        }
    }

    #[test]
    fn settling_waits_for_what_came_before_and_gives_up_in_time() {
        let (pool, hold) = busy(8);
        pool.settle(Duration::from_millis(1));
        assert_eq!(pool.shared.lock().done, 0, "given up");
        let (done, seen) = mpsc::channel();
        assert!(pool.submit(Transport::Tcp, Box::new(move |_| done.send(()).expect("seen"))));
        drop(hold);
        pool.settle(PATIENCE);
        assert!(seen.try_recv().is_ok());
    }
}
