//! What a further KDC is invited with (`kdc invite`), handed out over TLS once, to whoever can name it. It is
//! sealed under a secret that nobody here keeps, so that who asks has to prove nothing. Not here: what is
//! in it, and who makes and opens it (`cluster`).

use std::path::{Path, PathBuf};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::admin::api::Problem;
use crate::admin::registry::now;
use crate::config::Config;

/// The invitations that wait.
pub struct Invitations;

impl Invitations {
    /// Where one is asked for: its name follows.
    pub const PLACE: &str = "/v1/invitations/";
    /// Hexadecimal digits of a name.
    pub const NAME: usize = 32;

    /// The folder in which they lie, each by its name: eight octets say until when, the rest is sealed.
    pub fn folder(config: &Config) -> PathBuf {
        config.store.file.with_file_name("invitations")
    }

    /// Hands out those of a folder.
    pub(super) fn router(folder: PathBuf) -> Router {
        let hand_out = move |request: Request| {
            let name = request.uri().path().strip_prefix(Self::PLACE).unwrap_or_default().to_owned();
            let folder = folder.clone();
            let handed = tokio::task::spawn_blocking(move || hand_out(&folder, &name));
            async move { handed.await.unwrap_or_else(|_| gone()) }
        };
        Router::new().route("/v1/invitations/{name}", get(hand_out))
    }
}

fn hand_out(folder: &Path, name: &str) -> Response {
    // No other path leads out of the folder.
    let is_name = name.len() == Invitations::NAME && name.bytes().all(|letter| letter.is_ascii_hexdigit());
    let taken = if is_name { take(&folder.join(name)) } else { None };
    tracing::info!(found = taken.is_some(), "somebody asked for an invitation");
    taken.map_or_else(gone, IntoResponse::into_response)
}

/// Of many who ask at once one gets it.
fn take(file: &Path) -> Option<Vec<u8>> {
    let taken = file.with_extension("taken");
    std::fs::rename(file, &taken).ok()?;
    let octets = std::fs::read(&taken);
    let _ = std::fs::remove_file(&taken);
    let octets = octets.ok()?;
    let (until, sealed) = octets.split_first_chunk()?;
    (now().seconds() < i64::from_be_bytes(*until)).then(|| sealed.to_vec())
}

fn gone() -> Response {
    Problem::new(StatusCode::NOT_FOUND, "no such invitation: it was taken, has expired, or never was").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_is_handed_out_once_and_in_time_and_nothing_else_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str, until: i64| {
            let octets = [&until.to_be_bytes()[..], b"sealed"].concat();
            std::fs::write(folder.path().join(name), octets).expect("written");
        };
        let status = |name: &str| hand_out(folder.path(), name).status();
        let (good, late) = ("0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcde0");
        put(good, now().seconds() + 60);
        put(late, now().seconds());
        put("secret", i64::MAX);
        for name in ["secret", "../secret", "", late, late] {
            assert_eq!(status(name), StatusCode::NOT_FOUND, "{name}");
        }
        assert_eq!((status(good), status(good)), (StatusCode::OK, StatusCode::NOT_FOUND));
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "only what is none is left");
    }
}
