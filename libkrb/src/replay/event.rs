//! What a replay cache outside of this process's memory tells of its health. Not here: verdicts,
//! which say all that a single request has to know.

use std::fmt;
use std::sync::Arc;

use crate::time::Time;

/// Something happened to a replay cache that its operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// From now on it cannot be asked or written to. Told once, until it is [`Event::Back`].
    Away {
        /// Why, without secrets.
        cause: String,
    },
    /// It can be asked again.
    Back,
    /// It has lost what it knew, or a part of that; what was made before that moment is refused
    /// where it may have been accepted already.
    Forgot {
        /// Authenticators made before are refused.
        since: Time,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Away { cause } => write!(f, "the replay cache cannot be asked: {cause}"),
            Event::Back => f.write_str("the replay cache can be asked again"),
            Event::Forgot { since } => {
                write!(f, "the replay cache has forgotten authenticators, and refuses those made before {since}")
            }
        }
    }
}

/// Who is told of events: on the thread of the request that noticed, so it should not wait.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(&Event) + Send + Sync>);

impl Observer {
    /// Calls this closure.
    pub fn new(closure: impl Fn(&Event) + Send + Sync + 'static) -> Observer {
        Observer(Arc::new(closure))
    }

    pub(super) fn tell(&self, event: &Event) {
        (self.0)(event);
    }
}

impl Default for Observer {
    /// Nobody.
    fn default() -> Self {
        Observer::new(|_| ())
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
