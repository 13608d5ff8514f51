//! What an answer says about authentication: whether it refuses, and with which token (RFC 4559 4.2,
//! RFC 9110 11.6.1). Not here: whether the token is true.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::error::{Error, Result};

/// The longest token that is taken from an answer: an AP-REP has a few hundred octets.
const MAX_TOKEN: usize = 65_536;

const SCHEME: &str = "Negotiate";

/// gRPC's UNAUTHENTICATED, which comes with status 200.
const GRPC_UNAUTHENTICATED: &[u8] = b"16";

/// The part of an answer that is about authentication.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Whether it says that the request was not authenticated.
    pub(super) refused: bool,
    /// Whether `Negotiate` would be welcome, or goes on.
    pub(super) offered: bool,
    /// The token in it, if there is one, or what is wrong with it.
    pub(super) token: Result<Option<Vec<u8>>>,
}

impl Answer {
    pub(super) fn read(status: StatusCode, headers: &HeaderMap) -> Answer {
        let mut challenges = headers.get_all(WWW_AUTHENTICATE).iter().flat_map(challenges);
        let first = challenges.next();
        let token = match (&first, challenges.next()) {
            (_, Some(_)) => Err(Error::Malformed("the answer has more than one challenge for Negotiate")),
            (Some(text), None) => token(text),
            (None, None) => Ok(None),
        };
        let grpc = headers.get("grpc-status").is_some_and(|status| status.as_bytes() == GRPC_UNAUTHENTICATED);
        let offered = first.is_some();
        Answer { status, refused: status == StatusCode::UNAUTHORIZED || (grpc && offered), offered, token }
    }
}

/// What follows each `Negotiate` in a header, which may list challenges of several schemes.
fn challenges(value: &HeaderValue) -> impl Iterator<Item = &str> {
    // Quoted strings of other schemes may hold commas, and then what looks like a challenge. Nothing
    // is lost by it: a token has to be true wherever it stands.
    value.to_str().unwrap_or_default().split(',').filter_map(|part| {
        let part = part.trim_matches([' ', '\t']);
        let (scheme, rest) = part.split_once(' ').unwrap_or((part, ""));
        scheme.eq_ignore_ascii_case(SCHEME).then(|| rest.trim_matches(' '))
    })
}

fn token(text: &str) -> Result<Option<Vec<u8>>> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > MAX_TOKEN.div_ceil(3) * 4 {
        return Err(Error::Malformed("the token in the answer is too long"));
    }
    let token = STANDARD.decode(text).map_err(|_| Error::Malformed("the token in the answer is not base64"))?;
    Ok(Some(token))
}

/// The value of an Authorization header.
pub(super) fn authorization(token: &[u8]) -> Result<HeaderValue> {
    let value = HeaderValue::try_from(format!("{SCHEME} {}", STANDARD.encode(token)));
    let mut value = value.map_err(|_| Error::Malformed("the token does not fit into a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, values: &[&str]) -> Answer {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Answer::read(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn a_token_is_found_among_other_schemes() {
        for values in [
            &["Negotiate aGVsbG8="][..],
            &["negotiate   aGVsbG8="],
            &["Basic realm=\"x\"", "Negotiate aGVsbG8="],
            &["NTLM, Negotiate aGVsbG8=, Basic realm=\"x\""],
            &["Basic realm=\"a, b\", NEGOTIATE aGVsbG8="],
        ] {
            let answer = read(401, values);
            assert_eq!(answer.token, Ok(Some(b"hello".to_vec())), "{values:?}");
            assert!(answer.offered && answer.refused);
        }
    }

    #[test]
    fn an_answer_without_negotiate_offers_none() {
        for values in [&[][..], &["Basic realm=\"x\""], &["NTLM"], &["Bearer"], &["NegotiateX a"], &["Kerberos"]] {
            let answer = read(401, values);
            assert!(!answer.offered && answer.refused, "{values:?}");
            assert_eq!(answer.token, Ok(None));
        }
        let bare = read(401, &["Negotiate"]);
        assert!(bare.offered);
        assert_eq!(bare.token, Ok(None));
    }

    #[test]
    fn garbage_in_place_of_a_token_is_malformed() {
        let long = format!("Negotiate {}", "A".repeat(90_000));
        for values in [
            &["Negotiate aGVsbG8"][..],
            &["Negotiate !!!!"],
            &["Negotiate aGVs bG8="],
            &[long.as_str()],
            &["Negotiate aGVsbG8=", "Negotiate aGVsbG8="],
            &["Negotiate aGVsbG8=, Negotiate"],
        ] {
            assert!(matches!(read(200, values).token, Err(Error::Malformed(_))), "{values:?}");
        }
    }

    #[test]
    fn grpcs_own_status_refuses_too() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", HeaderValue::from_static("16"));
        assert!(!Answer::read(StatusCode::OK, &headers).refused, "the application may have its own reasons");
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Negotiate"));
        assert!(Answer::read(StatusCode::OK, &headers).refused);
    }
}
