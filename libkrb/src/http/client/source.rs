//! What a negotiator wants of those who have tickets. Not here: having them
//! ([`crate::credentials`]).

use std::future::Future;
use std::pin::Pin;

use crate::credentials::{Channel, Credentials, Initiation, Remedy};
use crate::error::{Error, Result};
use crate::gss::InitiatorContext;
use crate::spn::Spn;
use crate::time::{Instant, Time};

pub(super) type Opened<'a> = Pin<Box<dyn Future<Output = Result<Opening>> + Send + 'a>>;

/// A context to open, and when its ticket ends.
pub(super) struct Opening {
    pub(super) context: InitiatorContext,
    pub(super) until: Time,
}

pub(super) trait Source: Send + Sync {
    /// The service behind a URL.
    fn spn(&self, url: &str) -> Result<Spn>;

    /// A context for a service.
    fn open<'a>(&'a self, spn: &'a Spn, wanted: Initiation) -> Opened<'a>;

    /// Drops a service's ticket.
    fn forget(&self, spn: &Spn);

    /// What can make a second try succeed.
    fn remedy(&self, spn: &Spn, refusal: &Error, theirs: Option<Instant>, channel: Channel) -> Option<Remedy>;

    /// The own clock, as far as it is corrected.
    fn clock(&self) -> Instant;
}

impl Source for Credentials {
    fn spn(&self, url: &str) -> Result<Spn> {
        Credentials::spn(self, url)
    }

    fn open<'a>(&'a self, spn: &'a Spn, wanted: Initiation) -> Opened<'a> {
        Box::pin(async move {
            let context = self.initiator(spn, wanted).await?;
            let until = self.ticket(&spn.principal).await?.end_time;
            Ok(Opening { context, until })
        })
    }

    fn forget(&self, spn: &Spn) {
        Credentials::forget(self, &spn.principal);
    }

    fn remedy(&self, spn: &Spn, refusal: &Error, theirs: Option<Instant>, channel: Channel) -> Option<Remedy> {
        Credentials::remedy(self, spn, refusal, theirs, channel)
    }

    fn clock(&self) -> Instant {
        Credentials::clock(self)
    }
}
