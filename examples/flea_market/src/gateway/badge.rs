//! Users who have no tickets: they show a badge, as they would show a token of whatever identity
//! provider a company has. The gateway lets them in by it and goes on in their names, as far as the
//! realm's rules for it say (S4U2Self, S4U2Proxy). Their secrets of the realm are nowhere here.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use libkrb::Principal;

use super::NAME;
use crate::api::{Me, Seen};
use crate::chassis::Error;
use crate::chassis::calls::Upstream;
use crate::chassis::problem::Problem;

/// The demo's identity provider: badges and whose they are. A real one would verify a signed token here.
#[derive(Clone)]
pub struct Badges(Arc<HashMap<String, Principal>>);

impl Badges {
    /// Reads a file with a badge and a principal on each line.
    ///
    /// # Errors
    /// A file that cannot be read, or a line that is none.
    pub fn read(file: &Path, realm: &str) -> Result<Badges, Error> {
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut badges = HashMap::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (badge, user) = line.split_once(' ').ok_or("a line of badges is BADGE PRINCIPAL")?;
            badges.insert(badge.to_owned(), Principal::parse(user, Some(realm))?);
        }
        Ok(Badges(Arc::new(badges)))
    }

    /// Whose badge came along. It is random and long: that a table is asked, in whatever time, tells
    /// nothing of those in it.
    fn owner(&self, headers: &HeaderMap) -> Result<&Principal, Problem> {
        let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Badge "));
        let owner = shown.and_then(|badge| self.0.get(badge.trim()));
        let missing = Problem::new(StatusCode::UNAUTHORIZED, "this takes a badge");
        owner.ok_or_else(|| missing.next("curl -H \"Authorization: Badge ...\""))
    }
}

/// What somebody with a badge can do.
pub fn routes(badges: Badges, users: Upstream) -> Router {
    Router::new().route("/badge/me", get(me)).with_state((badges, users))
}

/// The user's own profile, which the user service shows to nobody else.
async fn me(State((badges, users)): State<(Badges, Upstream)>, headers: HeaderMap) -> Result<Json<Me>, Problem> {
    let user = badges.owner(&headers)?;
    let mut me: Me = users.as_user(user)?.get("/me").await?;
    me.seen.push(Seen { service: NAME.to_owned(), caller: format!("badge of {user}"), may_act_for_caller: true });
    Ok(Json(me))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_is_its_owners_and_nothing_else_is_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("badges");
        fs::write(&file, "abc alice\ndef bob@SHOP.EXAMPLE\n").expect("a file");
        let badges = Badges::read(&file, "SHOP.EXAMPLE").expect("badges");
        let owner = |header: &str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, header.parse().expect("a header"))]);
            badges.owner(&headers).map(ToString::to_string).map_err(|problem| problem.status)
        };
        assert_eq!(owner("Badge abc"), Ok("alice@SHOP.EXAMPLE".to_owned()));
        assert_eq!(owner("Badge def"), Ok("bob@SHOP.EXAMPLE".to_owned()));
        for other in ["Badge ab", "Badge ", "Bearer abc", "Badge alice"] {
            assert_eq!(owner(other), Err(401), "{other}");
        }
        assert!(badges.owner(&HeaderMap::new()).is_err());
    }
}
