//! Exchanges with the realm of `tests::certificates`, run to their end.

use libkrb::client::{AsExchange, Exchange, Outcome, Step};
use libkrb::codes::PaType;
use libkrb::{Error, ErrorCode, Result};
use tests::joined::{Joined, Sequence, as_error, name};

pub use tests::certificates::*;

/// What an exchange came to, and what the KDC refused on the way.
pub struct Course {
    pub outcome: Result<Outcome>,
    pub refusals: Vec<ErrorCode>,
    pub requests: Vec<Vec<u8>>,
}

/// Runs an exchange; `bend` may change each reply on its way.
pub fn run(realm: &mut Joined, mut exchange: AsExchange, bend: &mut dyn FnMut(&mut Vec<u8>)) -> Course {
    let mut random = Sequence(u64::from(realm.now.micros) + 7);
    let (mut refusals, mut requests) = (vec![], vec![]);
    let mut reply: Option<Vec<u8>> = None;
    let outcome = loop {
        realm.tick();
        match exchange.step(realm.now, &mut random, reply.as_deref()) {
            Err(error) => break Err(error),
            Ok(Step::Done(outcome)) => break Ok(*outcome),
            Ok(Step::Send { message, .. }) => {
                let mut answer = realm.send(&message).reply.expect("a reply");
                requests.push(message);
                refusals.extend(as_error(&answer));
                bend(&mut answer);
                reply = Some(answer);
            }
        }
    };
    Course { outcome, refusals, requests }
}

/// A login of a client with one of the certificates.
pub fn login(realm: &mut Joined, client: &str, who: &str) -> Result<Outcome, ErrorCode> {
    let course = run(realm, exchange(&name(client), means(Some(who))), &mut |_| {});
    course.outcome.map_err(|error| match error {
        Error::Protocol { code, .. } => code,
        other => panic!("{client} {who}: {other}"),
    })
}

/// The value of the element of a kind in a request.
pub fn padata(request: &[u8], kind: PaType) -> Option<Vec<u8>> {
    let request = libkrb::wire::decode::<libkrb::wire::KdcReq<'_>>(request).expect("a request");
    request.padata(kind).map(|element| element.value.to_vec())
}
