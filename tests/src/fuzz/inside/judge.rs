//! What holds of every answer: it decodes, refusals of what came in FAST come in FAST, and nobody gets
//! a ticket that is not his, or that is more than was asked for and had.

use kdc::core::{Issued, Outcome};
use libkrb::codes::PaType;
use libkrb::crypto::Key;
use libkrb::flags::{KdcOptions as O, TicketFlags as F};
use libkrb::preauth::fast;
use libkrb::wire::{self, EncTicketPart, KdcRep, KdcReqBody, KrbError, List, MethodData, TypedData};
use libkrb::{ErrorCode, Principal, Time};

use super::realm::{BEHIND, GATE};
use crate::joined::{as_error, name};

/// A request, and what is known of it.
pub struct Sent {
    /// The message.
    pub request: Vec<u8>,
    /// The body that counts, if that can be read.
    pub body: Vec<u8>,
    /// The key of its envelope, if the KDC can open that and read the request.
    pub envelope: Option<Key>,
    /// Whose request it is.
    pub whose: Whose,
}

/// Whose tickets may come of it.
pub enum Whose {
    /// Those of these clients, who prove themselves.
    Clients(Vec<Principal>),
    /// Those of the client of a presented ticket; the ticket's contents, and those of a user's.
    Ticket {
        /// The presented one's.
        part: Vec<u8>,
        /// The user's.
        evidence: Option<Vec<u8>>,
    },
    /// No ticket's: it asks for keys.
    Keys,
}

impl Whose {
    /// That of a user.
    pub fn of(user: &str) -> Whose {
        Whose::Clients(vec![name(user)])
    }
}

/// Looks at an answer.
pub fn look(sent: &Sent, outcome: &Outcome) {
    let event = &outcome.event;
    let reply = outcome.reply.as_deref();
    let Some(reply) = reply else { return assert!(event.issued.is_none(), "a ticket for nobody") };
    assert!(reply.len() <= 8192 + 2 * sent.request.len(), "{} bytes make {}", sent.request.len(), reply.len());
    let envelope = sent.envelope.as_ref().map(|key| (key, wire::decode::<KdcReqBody<'_>>(&sent.body)));
    if let Some(code) = as_error(reply) {
        assert_eq!(event.refusal.map(|(code, _)| code), Some(code), "the log tells what the client was told");
        assert!(event.issued.is_none(), "issued and refused");
        let error = wire::decode::<KrbError<'_>>(reply).expect("a KRB-ERROR");
        if let Some(data) = error.data {
            let methods = wire::decode::<MethodData<'_>>(data).is_ok();
            let typed = wire::decode::<List<'_, TypedData<'_>>>(data).is_ok();
            assert!(methods || typed, "e-data that nobody can read");
        }
        if let Some((key, body)) = envelope {
            let data = error.data.expect("a refusal of what came in FAST comes in FAST");
            let methods = wire::decode::<MethodData<'_>>(data).expect("METHOD-DATA");
            enveloped(key, methods, body.ok().map(|body| body.nonce), (None, code));
        }
        return;
    }
    assert!(event.refusal.is_none(), "an answer to a refused request");
    let Some(issued) = &event.issued else {
        assert!(matches!(sent.whose, Whose::Keys) && wire::application_tag(reply) == Some(21), "no ticket");
        return;
    };
    let read = wire::decode::<KdcRep<'_>>(reply).expect("a KDC-REP");
    let body = wire::decode::<KdcReqBody<'_>>(&sent.body).expect("a ticket without a request");
    let within = envelope
        .and_then(|(key, _)| enveloped(key, read.padata, Some(body.nonce), (Some(read.ticket.der), ErrorCode(0))));
    let client = read.client.principal(read.client_realm).expect("a name");
    // Out of the envelope the reply may hide whose it is (RFC 6113 5.4.2).
    let client = within.filter(|_| client == *Principal::anonymous()).unwrap_or(client);
    assert!(body.till == Time::EPOCH || issued.end_time <= body.till || again(&body), "longer than was asked for");
    match &sent.whose {
        Whose::Clients(clients) => {
            assert!(clients.contains(&client), "a ticket of {client}, who proved nothing");
            login(&body, issued, event.proof);
        }
        Whose::Ticket { part, evidence } => {
            let behalf = event.on_behalf_of.as_ref();
            let part = wire::decode::<EncTicketPart<'_>>(part).expect("a ticket that nobody can read");
            let evidence = evidence.as_deref().filter(|_| body.options.has(O::CNAME_IN_ADDL_TKT));
            let evidence = evidence.map(|part| wire::decode::<EncTicketPart<'_>>(part).expect("unreadable evidence"));
            let presented = part.client.principal(part.client_realm).expect("a client");
            let server = event.server.as_ref().expect("a server");
            match behalf {
                None => assert_eq!(client, presented, "somebody else's ticket"),
                Some(user) => {
                    assert_eq!(client, *user, "somebody else's ticket");
                    let listed = presented == name(GATE) && [BEHIND, "host/list"].map(name).contains(server);
                    let through = evidence.is_some() && listed;
                    assert!(presented == *server || through, "{presented} acts for {user} at {server}");
                }
            }
            further(&body, issued, &part, evidence.as_ref().unwrap_or(&part));
        }
        Whose::Keys => panic!("a ticket instead of keys"),
    }
}

/// Looks at an answer to bytes that nobody vouches for.
pub fn look_at_stranger(outcome: &Outcome) {
    let answered = outcome.reply.as_deref().map(|reply| as_error(reply).is_none());
    assert!(outcome.event.refusal.is_none() == answered.unwrap_or(false), "{:?}", outcome.event);
}

/// An answer in its envelope, with this nonce and for this ticket, whose client it names; or with this error.
fn enveloped(
    key: &Key,
    padata: MethodData<'_>,
    nonce: Option<u32>,
    (ticket, code): (Option<&[u8]>, ErrorCode),
) -> Option<Principal> {
    let opened = fast::open_response(key, padata).expect("the same envelope").expect("an envelope");
    let nonce = nonce?;
    let said = opened.response(nonce).expect("the nonce of the request");
    let error = said.padata.iter().find(|element| element.kind == PaType::FX_ERROR);
    let Some(ticket) = ticket else {
        let error = error.expect("PA-FX-ERROR");
        assert_eq!(wire::decode::<KrbError<'_>>(error.value).expect("a KRB-ERROR").code, code);
        assert!(said.finished.is_none());
        return None;
    };
    assert!(error.is_none());
    let finished = said.finished.expect("vouched for");
    fast::verify_ticket(key, &finished, ticket).expect("this ticket");
    Some(finished.client.principal(finished.client_realm).expect("a name"))
}

fn again(body: &KdcReqBody<'_>) -> bool {
    body.options.any(O::RENEW | O::VALIDATE)
}

/// The flags that somebody must have asked for.
const WISHES: [(F, O); 5] = [
    (F::FORWARDABLE, O::FORWARDABLE),
    (F::PROXIABLE, O::PROXIABLE),
    (F::MAY_POSTDATE, O::ALLOW_POSTDATE),
    (F::POSTDATED, O::POSTDATED),
    (F::RENEWABLE, O(O::RENEWABLE.0 | O::RENEWABLE_OK.0)),
];

fn asked_for(body: &KdcReqBody<'_>, issued: &Issued) {
    for (flag, option) in WISHES {
        assert!(!issued.flags.has(flag) || body.options.any(option), "{flag} that nobody asked for");
    }
    assert_eq!(issued.flags.has(F::RENEWABLE), issued.renew_till.is_some());
    assert!(issued.end_time - issued.start_time <= 24 * 3600, "a life beyond the realm's bound");
    let last = issued.start_time + 7 * 24 * 3600;
    assert!(issued.renew_till.is_none_or(|till| till <= last), "renewable beyond the realm's bound");
}

fn login(body: &KdcReqBody<'_>, issued: &Issued, proof: &str) {
    asked_for(body, issued);
    assert!(issued.flags.has(F::INITIAL) && !issued.flags.any(F::FORWARDED | F::PROXY));
    let short = proof != "pkinit" || issued.end_time - issued.start_time <= 600;
    assert!(short, "longer than the indicator allows");
}

/// `part` is what the presented ticket says, `source` the ticket that the new one goes on from.
fn further(body: &KdcReqBody<'_>, issued: &Issued, part: &EncTicketPart<'_>, source: &EncTicketPart<'_>) {
    assert!(!issued.flags.has(F::INITIAL), "INITIAL from a TGS");
    if again(body) {
        assert!(issued.end_time <= part.renew_till.unwrap_or(part.end_time).max(part.end_time));
        return assert_eq!(issued.flags & !(part.flags | F::ENC_PA_REP), F::NONE, "a flag that the old one had not");
    }
    asked_for(body, issued);
    for of in [part, source] {
        assert!(issued.end_time <= of.end_time, "it outlives the one it comes from");
        assert!(issued.renew_till.is_none_or(|till| of.renew_till.is_some_and(|bound| till <= bound)));
        let kept = F::FORWARDABLE | F::PROXIABLE | F::MAY_POSTDATE | F::RENEWABLE;
        assert_eq!(issued.flags & kept & !of.flags, F::NONE, "a flag that the ticket it comes from has not");
    }
    let proven = F::PRE_AUTHENT | F::HW_AUTHENT | F::ANONYMOUS;
    assert_eq!(issued.flags & proven & !source.flags, F::NONE, "a proof that nobody gave");
    assert_eq!(issued.auth_time, source.auth_time);
}
