//! What a running KDC is told: by signals, and through the admin socket by whoever waits for the
//! outcome. Not here: how it is done.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::admin::Helm;

/// How many may wait to be heard.
const WAITING: usize = 16;

/// What the KDC is told to do.
pub enum Order {
    /// To read its settings again.
    Reload(Told),
    /// To give way to a new process.
    Restart(Told),
    /// To end.
    End,
}

/// Where the outcome goes.
pub struct Told(Option<oneshot::Sender<Result<(), String>>>);

impl Told {
    /// Tells whoever waits.
    pub fn of(self, outcome: Result<(), String>) {
        // Who gave up waiting, or told by a signal, reads the log.
        let _ = self.0.map(|sender| sender.send(outcome));
    }
}

/// Hears orders.
pub struct Orders {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    renew: Signal,
    others: mpsc::Receiver<Order>,
    sender: mpsc::Sender<Order>,
}

impl Orders {
    /// Hears signals from now on.
    ///
    /// # Errors
    /// What the system says when it can't.
    pub fn new() -> std::io::Result<Orders> {
        let (sender, others) = mpsc::channel(WAITING);
        Ok(Orders {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            renew: signal(SignalKind::user_defined2())?,
            others,
            sender,
        })
    }

    /// Where others may give orders.
    pub fn helm(&self) -> Wheel {
        Wheel(self.sender.clone())
    }

    /// The next order.
    pub async fn next(&mut self) -> Order {
        tokio::select! {
            () = end(&mut self.terminate, &mut self.interrupt) => Order::End,
            _ = self.hangup.recv() => Order::Reload(Told(None)),
            _ = self.renew.recv() => Order::Restart(Told(None)),
            Some(order) = self.others.recv() => order,
        }
    }

    /// Hears nobody any more: who waits to be heard is told so.
    pub fn refuse(&mut self) {
        self.others.close();
        while self.others.try_recv().is_ok() {}
    }

    /// Waits to be told to end.
    pub async fn end(&mut self) {
        end(&mut self.terminate, &mut self.interrupt).await;
    }
}

async fn end(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Gives orders from any thread that may wait.
pub struct Wheel(mpsc::Sender<Order>);

impl Wheel {
    fn give(&self, order: fn(Told) -> Order) -> Result<(), String> {
        let (sender, outcome) = oneshot::channel();
        let gone = |_| "the KDC is about to end".to_owned();
        self.0.blocking_send(order(Told(Some(sender)))).map_err(|_| gone(()))?;
        outcome.blocking_recv().map_err(|_| gone(()))?
    }
}

impl Helm for Wheel {
    fn reload(&self) -> Result<(), String> {
        self.give(Order::Reload)
    }

    fn restart(&self) -> Result<(), String> {
        self.give(Order::Restart)
    }
}
