//! The Authorization header, strictly: one of them, `Negotiate`, blanks, one token in base64 (RFC
//! 4559 4.2, RFC 9110 11.4). Not here: what the token says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use super::Reason;

/// What a request brings to prove who sent it.
pub(super) enum Authorization {
    /// No header.
    Absent,
    /// A token of GSS-API.
    Negotiate(Vec<u8>),
    /// A bearer token; perhaps one of our sessions.
    Bearer(String),
    /// A scheme that is not ours.
    Other,
}

/// Reads the Authorization header. `max` is the most octets that a token may have.
pub(super) fn authorization(headers: &HeaderMap, max: usize) -> Result<Authorization, Reason> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(Authorization::Absent) };
    if values.next().is_some() {
        return Err(Reason::SeveralHeaders);
    }
    let text = value.to_str().map_err(|_| Reason::Malformed("the header is not ASCII text"))?;
    // A scheme ends at the first blank; who writes a tab there hopes that two readers differ.
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    if scheme.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
        return Err(Reason::Malformed("the scheme is no token"));
    }
    let credentials = rest.trim_matches(' ');
    match () {
        () if scheme.eq_ignore_ascii_case("negotiate") => negotiate(credentials, max),
        () if scheme.eq_ignore_ascii_case("bearer") => Ok(Authorization::Bearer(credentials.to_owned())),
        () => Ok(Authorization::Other),
    }
}

fn negotiate(credentials: &str, max: usize) -> Result<Authorization, Reason> {
    if credentials.is_empty() {
        return Err(Reason::Malformed("no token after the scheme"));
    }
    if credentials.len() > max.div_ceil(3).saturating_mul(4) {
        return Err(Reason::TooLarge);
    }
    let token = STANDARD.decode(credentials).map_err(|_| Reason::Malformed("the token is not base64"))?;
    if token.len() > max { Err(Reason::TooLarge) } else { Ok(Authorization::Negotiate(token)) }
}

/// `Negotiate`, with a token if there is one to send.
pub(super) fn challenge(token: Option<&[u8]>) -> HeaderValue {
    let bare = HeaderValue::from_static("Negotiate");
    let Some(token) = token else { return bare };
    HeaderValue::try_from(format!("Negotiate {}", STANDARD.encode(token))).unwrap_or(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).expect("a header"));
        }
        match authorization(&headers, 30) {
            Ok(Authorization::Absent) => Ok("absent".to_owned()),
            Ok(Authorization::Negotiate(token)) => Ok(String::from_utf8(token).expect("text")),
            Ok(Authorization::Bearer(text)) => Ok(format!("bearer {text}")),
            Ok(Authorization::Other) => Ok("other".to_owned()),
            Err(reason) => Err(reason.name()),
        }
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_with_any_number_of_blanks() {
        for value in ["Negotiate aGVsbG8=", "negotiate aGVsbG8=", "NEGOTIATE    aGVsbG8=", "nEgOtIaTe aGVsbG8= "] {
            assert_eq!(read(&[value]), Ok("hello".to_owned()), "{value}");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let bent = [
            "Negotiate\taGVsbG8=",
            "Negotiate \taGVsbG8=",
            "Negotiate,aGVsbG8=",
            "Negotiate aGVsbG8=, Basic eDp5",
            "Negotiate aGVsbG8",
            "Negotiate aGVsbG9=",
            "Negotiate aGVs bG8=",
            "Negotiate aGVsbG8==",
            "Negotiate aGVs\u{e9}",
            "Negotiate",
            "Negotiate ",
            "Negotiate aGV-",
        ];
        for value in bent {
            assert_eq!(read(&[value]), Err("malformed"), "{value}");
        }
        assert_eq!(read(&["Negotiate aGVsbG8=", "Negotiate aGVsbG8="]), Err("several-headers"));
        assert_eq!(read(&["Negotiate aGVsbG8=", "Basic eDp5"]), Err("several-headers"));
    }

    #[test]
    fn a_token_may_be_as_long_as_was_said_and_no_longer() {
        let five = "aGVsbG8h".repeat(5);
        assert_eq!(read(&[&format!("Negotiate {five}")]), Ok("hello!".repeat(5)));
        assert_eq!(read(&[&format!("Negotiate {five}IQ==")]), Err("too-large"));
        assert_eq!(read(&[&format!("Negotiate {}", "!".repeat(100_000))]), Err("too-large"));
    }

    #[test]
    fn other_schemes_are_told_apart() {
        assert_eq!(read(&[]), Ok("absent".to_owned()));
        assert_eq!(read(&["Basic eDp5"]), Ok("other".to_owned()));
        assert_eq!(read(&["NegotiateX eDp5"]), Ok("other".to_owned()));
        assert_eq!(read(&["NTLM TlRMTVNTUAAB"]), Ok("other".to_owned()));
        assert_eq!(read(&["Bearer x"]), Ok("bearer x".to_owned()));
    }
}
