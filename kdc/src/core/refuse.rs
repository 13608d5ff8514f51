//! Refusals, and the one place where they become KRB-ERROR (RFC 4120 5.9.1).

use libkrb::time::Instant;
use libkrb::wire::{self, Fixed, KdcReq, KdcReqBody, KrbError, PrincipalName};
use libkrb::{Error, ErrorCode, Principal};

use super::policy::Policy;
use super::store::StoreError;

/// Why a request gets no ticket.
#[derive(Debug)]
pub struct Refusal {
    /// The code for the client.
    pub code: ErrorCode,
    /// Words for the client and for the log; constant, so that nothing secret can be in it.
    pub cause: &'static str,
    /// e-data, whose form the code tells.
    pub data: Option<Vec<u8>>,
    /// The client's realm, where it is known to be another one (RFC 6806 7).
    pub realm: Option<String>,
}

impl Refusal {
    /// A refusal without e-data.
    pub fn new(code: ErrorCode, cause: &'static str) -> Self {
        Refusal { code, cause, data: None, realm: None }
    }

    /// Fails with this refusal unless `condition`.
    pub fn unless(condition: bool, code: ErrorCode, cause: &'static str) -> Result<(), Refusal> {
        if condition { Ok(()) } else { Err(Refusal::new(code, cause)) }
    }
}

impl From<StoreError> for Refusal {
    fn from(_: StoreError) -> Self {
        Refusal::new(ErrorCode::SVC_UNAVAILABLE, "the principal database can't be read")
    }
}

/// Another code for an error of libkrb, with our words.
pub fn because(code: ErrorCode, cause: &'static str) -> impl Fn(Error) -> Refusal {
    move |_| Refusal::new(code, cause)
}

/// Whom a KRB-ERROR names.
#[derive(Debug, Default)]
pub struct Names<'a> {
    client: Option<(&'a str, PrincipalName<'a>)>,
    server: Option<PrincipalName<'a>>,
}

impl<'a> Names<'a> {
    /// Those of a request, as the client sent them.
    pub fn of(request: &KdcReq<'a>) -> Self {
        Names::of_body(&request.body)
    }

    /// Those of a request's body.
    pub fn of_body(body: &KdcReqBody<'a>) -> Self {
        Names { client: body.client.map(|client| (body.realm, client)), server: body.server }
    }

    /// Those of a request without its client (RFC 6113 5.4.2).
    pub fn hidden(request: &KdcReq<'a>) -> Self {
        let nobody = Principal::anonymous();
        Names { client: Some((nobody.realm(), nobody.into())), server: request.body.server }
    }
}

/// The KRB-ERROR for a refusal.
pub fn reply(policy: &Policy, now: Instant, names: &Names<'_>, refusal: &Refusal) -> Vec<u8> {
    // Heimdal's tools show e-text in place of their own words: so those come first, then the cause.
    let text = format!("{}: {}", refusal.code, refusal.cause);
    error(
        policy,
        now,
        KrbError {
            client_realm: names.client.map(|(realm, _)| refusal.realm.as_deref().unwrap_or(realm)),
            client: names.client.map(|(_, client)| client),
            data: refusal.data.as_deref(),
            text: Some(&text),
            code: refusal.code,
            ..skeleton(names.server)
        },
    )
}

/// The KRB-ERROR that sends a client to TCP; smaller than any request that can cause it, so that
/// nobody gains by having it sent to somebody else.
pub fn too_big(policy: &Policy, now: Instant) -> Vec<u8> {
    error(policy, now, KrbError { code: ErrorCode::RESPONSE_TOO_BIG, ..skeleton(None) })
}

/// The KRB-ERROR for a message that is longer than any request may be (RFC 4120 7.2.2).
pub fn field_too_long(policy: &Policy, now: Instant) -> Vec<u8> {
    error(policy, now, KrbError { code: ErrorCode::FIELD_TOOLONG, ..skeleton(None) })
}

/// The KRB-ERROR for a request that was not looked at, for too many came before it. Clients give up
/// at this code rather than ask again at once.
pub fn limited(policy: &Policy, now: Instant) -> Vec<u8> {
    let code = ErrorCode::POLICY;
    let text = format!("{code}: too many failures or costly requests; wait and try again");
    error(policy, now, KrbError { code, text: Some(&text), ..skeleton(None) })
}

/// The KRB-ERROR for a costly request when too many others wait. Clients go on with the next KDC.
pub fn busy(policy: &Policy, now: Instant) -> Vec<u8> {
    let code = ErrorCode::SVC_UNAVAILABLE;
    let text = format!("{code}: too many costly requests at once; try again");
    error(policy, now, KrbError { code, text: Some(&text), ..skeleton(None) })
}

fn error(policy: &Policy, now: Instant, error: KrbError<'_>) -> Vec<u8> {
    let server = if error.server.components.iter().next().is_some() { error.server } else { (&policy.tgs).into() };
    wire::encode(&KrbError { server_time: now.time, server_micros: now.micros, realm: &policy.realm, server, ..error })
}

fn skeleton<'a>(server: Option<PrincipalName<'a>>) -> KrbError<'a> {
    let nobody = PrincipalName { kind: Default::default(), components: wire::Components::Parts(&[]) };
    KrbError {
        version: Fixed,
        kind: Fixed,
        client_time: None,
        client_micros: None,
        server_time: Default::default(),
        server_micros: 0,
        code: ErrorCode::NONE,
        client_realm: None,
        client: None,
        realm: "",
        server: server.unwrap_or(nobody),
        text: None,
        data: None,
    }
}
