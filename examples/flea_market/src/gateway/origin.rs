//! A browser proves who its user is whenever it is asked, also when another site's page makes it
//! call: so what changes something must come from our own pages. Programs that are no browsers send
//! none of these headers and are not concerned.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Method, StatusCode};

use crate::chassis::problem::Problem;

/// Refuses what another site's page sends.
pub async fn check(request: Request, next: Next) -> Response {
    if request.method() == Method::GET || request.method() == Method::HEAD || is_ours(request.headers()) {
        return next.run(request).await;
    }
    tracing::warn!("refused: another site's page sent it");
    Problem::new(StatusCode::FORBIDDEN, "this comes from another site's page").into_response()
}

fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    match (text("sec-fetch-site"), text(ORIGIN.as_str()), text(HOST.as_str())) {
        (Some(site), ..) => site == "same-origin" || site == "none",
        (None, Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, whence)| whence == host),
        (None, Some(_), None) => false,
        (None, None, _) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(headers: &[(&'static str, &str)]) -> bool {
        let headers =
            headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().expect("a value")));
        is_ours(&headers.collect())
    }

    #[test]
    fn a_page_of_another_site_cannot_speak_for_its_reader() {
        assert!(!ours(&[("sec-fetch-site", "cross-site"), ("host", "a:80")]));
        assert!(!ours(&[("sec-fetch-site", "same-site"), ("host", "a:80")]));
        assert!(!ours(&[("origin", "http://evil.example"), ("host", "a:80")]));
        assert!(!ours(&[("origin", "null"), ("host", "a:80")]));
        assert!(!ours(&[("origin", "http://a:81"), ("host", "a:80")]));
    }

    #[test]
    fn our_own_pages_and_programs_can() {
        assert!(ours(&[("sec-fetch-site", "same-origin"), ("origin", "http://a:80"), ("host", "a:80")]));
        assert!(ours(&[("origin", "http://a:80"), ("host", "a:80")]));
        assert!(ours(&[("host", "a:80")]));
    }
}
