//! One request and what becomes of it: what it bears, what its answer proves, and whether to send
//! it again. Without sending: the layers do that. Not here: tokens ([`crate::gss`]).

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use super::answer::{Answer, authorization};
use super::hosts::Origin;
use super::sessions::{Place, Session};
use super::source::Opening;
use super::{Negotiator, Standing, Use};
use crate::credentials::{Channel, Initiation, Remedy};
use crate::crypto::KeptRandom;
use crate::error::{Error, ErrorCode, Result};
use crate::gss::{ChannelBindings, InitiatorContext, InitiatorStep};
use crate::spn::Spn;
use crate::time::{Instant, Time};

/// An opening over HTTP has no more legs than these on our side.
const LEGS: u8 = 3;

/// A request to a host that may have tokens.
pub(super) struct Exchange<'a> {
    negotiator: &'a Negotiator,
    place: Place,
    spn: Spn,
    bindings: Option<ChannelBindings>,
    bears: Bears,
    legs: u8,
    /// Whether what the service objected to was mended already.
    mended: bool,
}

/// What the request bears.
enum Bears {
    Nothing,
    Session(Session),
    Token { opening: Box<InitiatorContext>, token: HeaderValue, until: Time },
}

/// What to do with an answer.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Hand it on.
    Pass(Standing),
    /// Send the request again, if that can be done, after [`Exchange::again`].
    Again(Standing),
}

impl<'a> Exchange<'a> {
    /// What a request shall bear; nothing of ours if `None`.
    pub(super) async fn begin(
        negotiator: &'a Negotiator,
        url: &Uri,
        headers: &HeaderMap,
        bindings: Option<&ChannelBindings>,
    ) -> Result<Option<Exchange<'a>>> {
        let settings = &negotiator.settings;
        let Some(origin) = Origin::of(url) else { return Ok(None) };
        if headers.contains_key(AUTHORIZATION) || !settings.hosts.allow(&origin) {
            return Ok(None);
        }
        let spn = settings.source.spn(&address(url))?;
        let place = (origin, spn.principal.clone());
        let (bindings, bears) = (bindings.cloned(), Bears::Nothing);
        let mut exchange = Exchange { negotiator, place, spn, bindings, bears, legs: 0, mended: false };
        let now = settings.source.clock().time;
        let session = negotiator.state().sessions.find(&exchange.place, now);
        match session {
            Some(session) => exchange.bears = Bears::Session(session),
            None if settings.preemptive => exchange.negotiate().await?,
            None => {}
        }
        Ok(Some(exchange))
    }

    /// Adds to a request what it shall bear.
    pub(super) fn dress(&self, headers: &mut HeaderMap) {
        match &self.bears {
            Bears::Nothing => {}
            Bears::Session(session) => session.dress(headers),
            Bears::Token { token, .. } => {
                headers.insert(AUTHORIZATION, token.clone());
            }
        }
    }

    /// Judges an answer.
    ///
    /// # Errors
    /// For one that should prove something and does not.
    pub(super) fn answered(&mut self, status: StatusCode, headers: &HeaderMap) -> Result<Verdict> {
        let answer = Answer::read(status, headers);
        let verdict = match std::mem::replace(&mut self.bears, Bears::Nothing) {
            Bears::Nothing if answer.refused && answer.offered => Verdict::Again(Standing::Unknown),
            Bears::Nothing => Verdict::Pass(Standing::Unknown),
            Bears::Session(session) if answer.refused => {
                self.negotiator.state().sessions.remove(&self.place, &session);
                Verdict::Again(Standing::Unknown)
            }
            Bears::Session(session) => {
                self.keep(headers, session.ticket_end());
                Verdict::Pass(Standing::Session)
            }
            Bears::Token { opening, until, .. } if answer.refused => self.refused(*opening, answer, until)?,
            Bears::Token { opening, until, .. } => {
                let standing = self.proven(*opening, answer)?;
                if standing == Standing::Proven {
                    self.keep(headers, until);
                }
                Verdict::Pass(standing)
            }
        };
        Ok(verdict)
    }

    /// Gets ready what the request shall bear when it is sent again.
    pub(super) async fn again(&mut self) -> Result<()> {
        match self.bears {
            // The opening goes on: its next token is there.
            Bears::Token { .. } => Ok(()),
            Bears::Nothing | Bears::Session(_) => self.negotiate().await,
        }
    }

    /// Begins an opening.
    async fn negotiate(&mut self) -> Result<()> {
        let settings = &self.negotiator.settings;
        let bindings = self.bindings.clone();
        let wanted = Initiation { bindings, delegation: settings.delegation, ..Initiation::default() };
        let Opening { mut context, until } = settings.source.open(&self.spn, wanted).await?;
        match context.step(self.clock(), &mut KeptRandom::take(), None)? {
            InitiatorStep::Continue(token) => self.bear(context, &token, until),
            InitiatorStep::Done(..) => Err(unproven("no proof was asked for")),
        }
    }

    /// The service's clock, as far as it is known.
    fn clock(&self) -> Instant {
        let ours = self.negotiator.settings.source.clock();
        let offset = self.negotiator.state().clocks.get(&self.place).copied();
        offset.unwrap_or_default().apply(ours)
    }

    fn bear(&mut self, opening: InitiatorContext, token: &[u8], until: Time) -> Result<()> {
        self.legs += 1;
        self.bears = Bears::Token { opening: Box::new(opening), token: authorization(token)?, until };
        Ok(())
    }

    /// The answer to a token is that it is not enough. Whatever else it says is no reason to fail:
    /// it claims nothing.
    fn refused(&mut self, mut opening: InitiatorContext, answer: Answer, until: Time) -> Result<Verdict> {
        let token = match answer.token {
            Ok(Some(token)) => token,
            // Some services do not say why: it may be the ticket.
            Ok(None) => {
                let again = answer.offered && self.mend(None, None);
                return Ok(verdict(again, Standing::Refused(None)));
            }
            Err(error) => return Ok(Verdict::Pass(Standing::Refused(Some(error)))),
        };
        let now = self.clock();
        Ok(match opening.step(now, &mut KeptRandom::take(), Some(&token)) {
            Ok(InitiatorStep::Continue(token)) if self.legs < LEGS => {
                self.bear(opening, &token, until)?;
                Verdict::Again(Standing::Refused(None))
            }
            Ok(InitiatorStep::Continue(_)) => Verdict::Pass(Standing::Refused(None)),
            // It knows who we are, and proves who it is, and does not want us.
            Ok(InitiatorStep::Done(..)) => Verdict::Pass(Standing::Proven),
            Err(error) => {
                let theirs = opening.clock_offset().map(|offset| offset.apply(now));
                let again = self.mend(Some(&error), theirs);
                verdict(again, Standing::Refused(Some(error)))
            }
        })
    }

    /// Whether a second try may succeed, for which everything is done then. Once a request. Some
    /// services do not say why they refuse: it may be that they cannot open the ticket.
    fn mend(&mut self, refusal: Option<&Error>, theirs: Option<Instant>) -> bool {
        if std::mem::replace(&mut self.mended, true) {
            return false;
        }
        let (source, place) = (&self.negotiator.settings.source, &self.place);
        let now = source.clock().time;
        if self.negotiator.state().is_mended(place, now) {
            // By another request, just now.
            return true;
        }
        let channel = if place.0.plain { Channel::Open } else { Channel::Authenticated };
        let remedy = match refusal {
            Some(refusal) => source.remedy(&self.spn, refusal, theirs, channel),
            None => {
                source.forget(&self.spn);
                Some(Remedy::NewTicket)
            }
        };
        if let Some(remedy) = remedy {
            self.negotiator.state().mend(place, remedy, now);
        }
        remedy.is_some()
    }

    fn proven(&self, mut opening: InitiatorContext, answer: Answer) -> Result<Standing> {
        let now = self.clock();
        let token = match answer.token? {
            Some(token) => token,
            None if answer.status.is_server_error() => return Ok(Standing::Unknown),
            None => return Err(unproven(&format!("the answer with status {} bears no proof", answer.status.as_u16()))),
        };
        match opening.step(now, &mut KeptRandom::take(), Some(&token))? {
            InitiatorStep::Done(_, None) => Ok(Standing::Proven),
            InitiatorStep::Done(_, Some(_)) | InitiatorStep::Continue(_) => {
                Err(unproven("the service serves before its proof is whole"))
            }
        }
    }

    /// Keeps the session that a proven answer gives.
    fn keep(&self, headers: &HeaderMap, until: Time) {
        let settings = &self.negotiator.settings;
        let wanted = match settings.sessions {
            Use::Nowhere => false,
            Use::OverTls => !self.place.0.plain,
            Use::Everywhere => true,
        };
        let now = settings.source.clock().time;
        if wanted && let Some(session) = Session::of(headers, &settings.cookies, now, until) {
            self.negotiator.state().sessions.put(self.place.clone(), session, now);
        }
    }
}

fn verdict(again: bool, standing: Standing) -> Verdict {
    if again { Verdict::Again(standing) } else { Verdict::Pass(standing) }
}

/// Says in the log why an answer that asks for a token gets none.
pub(super) fn note_foreign(url: &Uri, status: StatusCode, headers: &HeaderMap) {
    let answer = Answer::read(status, headers);
    if let (true, true, Some(origin)) = (answer.refused, answer.offered, Origin::of(url)) {
        tracing::warn!(%origin, "it asks for Negotiate, but is not among the hosts that tokens may go to");
    }
}

/// The URL without what may be secret in it.
fn address(url: &Uri) -> String {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{}://{host}{}", url.scheme_str().unwrap_or_default(), url.path())
}

fn unproven(text: &str) -> Error {
    Error::protocol(ErrorCode::MUT_FAIL, text)
}
