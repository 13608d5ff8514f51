//! Where the tests take place: a realm of ours, a service in it, and what it takes for one of the two
//! ends to be somebody else's library.

use std::path::PathBuf;
use std::sync::Arc;

use libkrb::crypto::OsRandom;
use libkrb::error::Error;
use libkrb::gss::{
    AcceptStep, AcceptorContext, AcceptorOptions, Caller, ChannelBindings, Context, ContextFlags, InitiatorContext,
    InitiatorStep,
};
use libkrb::service::Acceptor;
use tests::library::{acceptor, now};
use tests::remote::{Refused, Remote, Stepped};
use tests::{Etype, Family, Plan, Realm, Seat};

pub const SERVICE: &str = "HTTP/localhost";
/// The same, as GSS-API names services.
pub const HOSTBASED: &str = "HTTP@localhost";
pub const BACKEND: &str = "HTTP/backend.example.org";

/// A realm with alice and two services.
pub struct Place {
    pub realm: Realm,
    keytab: PathBuf,
    backend: PathBuf,
    etype: Option<Etype>,
}

impl Place {
    pub fn new() -> Place {
        Place::of(Plan::default(), None)
    }

    /// Where no other encryption type is known.
    pub fn under(etype: Etype) -> Place {
        Place::of(Plan::default().with_etypes(&[etype]), Some(etype))
    }

    fn of(plan: Plan, etype: Option<Etype>) -> Place {
        let realm = plan.start(Family::Ours);
        realm.add("alice", "secret", &[]);
        let (keytab, backend) = (realm.add_service(SERVICE), realm.add_service(BACKEND));
        Place { realm, keytab, backend, etype }
    }

    /// A seat from which somebody else's library can initiate and accept.
    pub fn seat(&self) -> Seat<'_> {
        let seat = self.realm.seat(Family::Ours);
        seat.set("forwardable = true").set(&format!("default_keytab_name = FILE:{}", self.keytab.display()));
        if let Some(etype) = self.etype {
            seat.set(&format!("permitted_enctypes = {}", etype.name));
        }
        seat.kinit(&["-f", "alice"], "secret").succeeds();
        seat
    }

    /// Our acceptor.
    pub fn acceptor(&self) -> Arc<Acceptor> {
        Arc::new(acceptor(&self.keytab))
    }

    /// The acceptor of the service behind the service.
    pub fn backend(&self) -> Arc<Acceptor> {
        Arc::new(acceptor(&self.backend))
    }
}

/// A context of which one end is ours.
pub struct Both {
    pub ours: Context,
    /// Who calls us, if we are called.
    pub caller: Option<Caller>,
    /// What the other end says that the context offers.
    pub flags: ContextFlags,
    /// Whom the other end speaks with.
    pub peer: String,
    /// How many tokens it took.
    pub tokens: usize,
}

/// A context that was not opened, by whose will.
#[derive(Debug)]
pub struct Failure {
    pub ours: Option<Error>,
    pub theirs: Option<Refused>,
}

/// What the other end makes of a refusal of ours, or of what we answer.
fn tell(remote: &mut Remote, token: &[u8]) -> Option<Refused> {
    if token.is_empty() { None } else { remote.step(token).err() }
}

/// Their initiator, whose context has begun, calls our acceptor.
pub fn they_call(remote: &mut Remote, ours: &mut AcceptorContext) -> Result<Both, Box<Failure>> {
    let (mut answer, mut theirs, mut accepted, mut tokens) = (vec![], None, None, 0);
    for _ in 0..5 {
        let token = match remote.step(&answer) {
            Ok(Stepped::Continue(token)) => token,
            Ok(Stepped::Open { token, flags, peer }) => {
                theirs = Some((flags, peer));
                token
            }
            Err(refused) => return Err(Box::new(Failure { ours: None, theirs: Some(refused) })),
        };
        answer = vec![];
        if !token.is_empty() {
            answer = match ours.step(now(), &mut OsRandom::new(), &token, None) {
                Ok(AcceptStep::Continue(token)) => token,
                Ok(AcceptStep::Done(context, caller, token)) => {
                    accepted = Some((context, caller));
                    token.unwrap_or_default()
                }
                Err(refusal) => {
                    let theirs = tell(remote, &refusal.token.unwrap_or_default());
                    return Err(Box::new(Failure { ours: Some(refusal.cause), theirs }));
                }
            };
            tokens += 1 + usize::from(!answer.is_empty());
        }
        if let (Some((flags, peer)), true) = (&theirs, accepted.is_some()) {
            assert!(answer.is_empty(), "a token for an initiator that is done");
            let (ours, caller) = accepted.expect("it is there");
            return Ok(Both { ours: *ours, caller: Some(*caller), flags: *flags, peer: peer.clone(), tokens });
        }
    }
    panic!("they do not come to an end")
}

/// Our initiator calls their acceptor, whose context has begun.
pub fn we_call(remote: &mut Remote, ours: &mut InitiatorContext) -> Result<Both, Box<Failure>> {
    let (mut answer, mut theirs, mut opened, mut tokens) = (None, None, None, 0);
    for _ in 0..5 {
        let token = match ours.step(now(), &mut OsRandom::new(), answer.as_deref()) {
            Ok(InitiatorStep::Continue(token)) => token,
            Ok(InitiatorStep::Done(context, token)) => {
                opened = Some(context);
                token.unwrap_or_default()
            }
            Err(error) => return Err(Box::new(Failure { ours: Some(error), theirs: None })),
        };
        answer = None;
        if !token.is_empty() {
            answer = match remote.step(&token) {
                Ok(Stepped::Continue(token)) => Some(token),
                Ok(Stepped::Open { token, flags, peer }) => {
                    theirs = Some((flags, peer));
                    Some(token).filter(|token| !token.is_empty())
                }
                Err(refused) => {
                    let told = Some(refused.token.as_slice()).filter(|token| !token.is_empty());
                    let ours = told.and_then(|token| ours.step(now(), &mut OsRandom::new(), Some(token)).err());
                    return Err(Box::new(Failure { ours, theirs: Some(refused) }));
                }
            };
            tokens += 1 + usize::from(answer.is_some());
        }
        if let (Some((flags, peer)), true) = (&theirs, opened.is_some()) {
            assert!(answer.is_none(), "a token for an initiator that is done");
            let ours = opened.expect("it is there");
            return Ok(Both { ours: *ours, caller: None, flags: *flags, peer: peer.clone(), tokens });
        }
    }
    panic!("they do not come to an end")
}

/// An acceptor of ours with channel bindings.
pub fn bound(acceptor: &Arc<Acceptor>, bindings: Option<ChannelBindings>, require: bool) -> AcceptorContext {
    AcceptorContext::new(acceptor.clone(), AcceptorOptions { bindings, require_bindings: require })
}

/// An acceptor of ours without.
pub fn unbound(acceptor: &Arc<Acceptor>) -> AcceptorContext {
    bound(acceptor, None, false)
}

/// Both ends wrap and sign, each in turn, and each message is understood.
pub fn talk(remote: &mut Remote, ours: &mut Context, message: &[u8]) {
    for confidential in [true, false] {
        let token = remote.wrap(confidential, message).unwrap_or_else(|refused| panic!("{refused}"));
        let read = ours.unwrap(&token).expect("their message");
        assert_eq!((read.message.as_slice(), read.confidential), (message, confidential));
        let token = ours.wrap(&mut OsRandom::new(), confidential, message).expect("a message");
        let read = remote.unwrap(&token).unwrap_or_else(|refused| panic!("{refused}"));
        assert_eq!((read.message.as_slice(), read.confidential, read.notes.as_str()), (message, confidential, ""));
    }
    let mic = remote.mic(message).unwrap_or_else(|refused| panic!("{refused}"));
    ours.verify_mic(message, &mic).expect("their signature");
    let mic = ours.mic(message).expect("a signature");
    assert_eq!(remote.verify(message, &mic).unwrap_or_else(|refused| panic!("{refused}")), "");
}
