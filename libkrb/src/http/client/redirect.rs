//! Where a redirect leads and what may go along (RFC 9110 15.4). Nothing that was meant for one
//! origin goes to another. Not here: sending.

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, LOCATION, PROXY_AUTHORIZATION,
    TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use reqwest::{Request, Url};

/// What only the origin that it was meant for may see.
const SECRET: [HeaderName; 3] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];

/// What speaks of a body that is not sent any more.
const OF_BODY: [HeaderName; 4] = [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, TRANSFER_ENCODING];

/// The request that an answer leads to; `None` when it leads nowhere, or the body would be needed
/// again and cannot be had. `asked` is the request as it was before a token came to it.
pub(super) fn follow(
    asked: &Request,
    again: impl FnOnce() -> Option<Request>,
    status: StatusCode,
    headers: &HeaderMap,
) -> Option<Request> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let url = asked.url().join(location).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let method = method(status, asked.method())?;
    let mut request = if method == *asked.method() {
        again()?
    } else {
        let mut request = Request::new(method, url.clone());
        *request.headers_mut() = asked.headers().clone();
        *request.timeout_mut() = asked.timeout().copied();
        OF_BODY.iter().for_each(|name| drop(request.headers_mut().remove(name)));
        request
    };
    if !same_origin(asked.url(), &url) {
        SECRET.iter().for_each(|name| drop(request.headers_mut().remove(name)));
    }
    *request.url_mut() = url;
    Some(request)
}

/// The method of the next request, if the status leads on.
fn method(status: StatusCode, asked: &Method) -> Option<Method> {
    match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND if *asked == Method::POST => Some(Method::GET),
        StatusCode::SEE_OTHER if *asked != Method::HEAD => Some(Method::GET),
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::SEE_OTHER
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => Some(asked.clone()),
        _ => None,
    }
}

fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asked(method: Method) -> Request {
        let mut request = Request::new(method, "https://a.example.org/x/y?q".parse().unwrap());
        for (name, value) in [
            ("authorization", "Basic eDp5"),
            ("cookie", "a=b"),
            ("proxy-authorization", "Basic eDp5"),
            ("accept", "text/html"),
            ("content-type", "text/plain"),
        ] {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        request
    }

    fn followed(method: Method, status: u16, location: &str) -> Option<Request> {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_str(location).unwrap());
        let again = || {
            let mut again = asked(method.clone());
            *again.body_mut() = Some("body".into());
            Some(again)
        };
        follow(&asked(method.clone()), again, StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn a_location_is_read_as_seen_from_the_request() {
        for (location, url) in [
            ("z", "https://a.example.org/x/z"),
            ("/z?w", "https://a.example.org/z?w"),
            ("//b.example.org/z", "https://b.example.org/z"),
            ("http://b.example.org", "http://b.example.org/"),
        ] {
            assert_eq!(followed(Method::GET, 302, location).unwrap().url().as_str(), url);
        }
        for nowhere in ["ftp://a/", "file:///etc/passwd", "javascript:x", "https://", "https://a b/"] {
            assert!(followed(Method::GET, 302, nowhere).is_none(), "{nowhere}");
        }
        assert!(followed(Method::GET, 200, "/z").is_none());
        assert!(followed(Method::GET, 304, "/z").is_none());
    }

    #[test]
    fn secrets_stay_at_their_origin() {
        for location in ["http://a.example.org/", "https://a.example.org:8443/", "https://b.example.org/"] {
            let request = followed(Method::GET, 302, location).unwrap();
            assert!(SECRET.iter().all(|name| !request.headers().contains_key(name)), "{location}");
            assert!(request.headers().contains_key("accept"));
        }
        let request = followed(Method::GET, 302, "https://A.example.org:443/z").unwrap();
        assert!(SECRET.iter().all(|name| request.headers().contains_key(name)));
    }

    #[test]
    fn the_status_says_with_which_method_and_body_to_go_on() {
        for (method, status, next, with_body) in [
            (Method::POST, 301, Method::GET, false),
            (Method::POST, 302, Method::GET, false),
            (Method::POST, 303, Method::GET, false),
            (Method::POST, 307, Method::POST, true),
            (Method::POST, 308, Method::POST, true),
            (Method::PUT, 302, Method::PUT, true),
            (Method::PUT, 303, Method::GET, false),
            (Method::HEAD, 303, Method::HEAD, true),
        ] {
            let request = followed(method.clone(), status, "/z").unwrap();
            assert_eq!((request.method(), request.body().is_some()), (&next, with_body), "{method} {status}");
            assert_eq!(request.headers().contains_key(CONTENT_TYPE), with_body);
        }
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_static("/z"));
        let lost = follow(&asked(Method::POST), || None, StatusCode::TEMPORARY_REDIRECT, &headers);
        assert!(lost.is_none(), "a body that cannot be had again");
    }
}
