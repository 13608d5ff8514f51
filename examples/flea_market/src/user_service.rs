//! Who the users are. Anyone in the house may know a seller's name and town; the rest of a profile
//! is for the user alone, who has to come in person: by tickets that were handed on from service to
//! service. A service that asks in its own name learns nothing of it, whatever it says.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Args;
use libkrb::Principal;
use libkrb::http::Caller;

use crate::api::{Me, Profile, Seller, Sellers};
use crate::chassis::callers::{SessionKind, only, seen};
use crate::chassis::database::Shelf;
use crate::chassis::problem::Problem;
use crate::chassis::settings::Settings;
use crate::chassis::{Chassis, Error};

/// How this service is called in logs and metrics.
pub const NAME: &str = "user_service";

/// Who may come in. What each role may do stands with the routes.
const POLICY: &str = "
    role   user     *@{realm}
    role   service  HTTP/ad-service.shop@{realm}
    allow  role:user
    allow  role:service
";
/// A page of ads has no more sellers.
const MOST: usize = 200;
/// Where newcomers live.
const TOWN: &str = "Springfield";

/// The user service's command line.
#[derive(Args, Clone, Debug)]
pub struct UserService {
    #[command(flatten)]
    settings: Settings,
}

impl UserService {
    /// Serves until told to end.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub async fn run(self) -> Result<(), Error> {
        let mut chassis = Chassis::start(NAME, self.settings, SessionKind::Bearer).await?;
        let profiles = Profiles::open(&chassis.file("profiles.redb"))?;
        let database = profiles.clone();
        chassis.readiness.needs("database", move || database.check());
        let routes = chassis.guard(routes(profiles), POLICY)?;
        chassis.serve(routes).await
    }
}

type Profiles = Shelf<Profile>;

fn routes(profiles: Profiles) -> Router {
    Router::new()
        // A question, but too long for a URL.
        .route("/sellers", post(sellers).layer(only(&["user", "service"])))
        .route("/me", get(me).layer(only(&["user"])))
        .with_state(profiles)
}

/// What anyone in the house may know.
async fn sellers(
    State(profiles): State<Profiles>,
    caller: Caller,
    Json(principals): Json<Vec<String>>,
) -> Result<Json<Sellers>, Problem> {
    let mut sellers = vec![];
    for name in principals.iter().take(MOST) {
        sellers.extend(profiles.find(name).await.map_err(Problem::ours)?.map(|profile| profile.seller));
    }
    Ok(Json(Sellers { sellers, seen: vec![seen(NAME, &caller)] }))
}

/// The profile of whoever asks. There is no parameter to get wrong: the name is the ticket's.
async fn me(State(profiles): State<Profiles>, caller: Caller) -> Result<Json<Me>, Problem> {
    let newcomer = newcomer(caller.principal());
    let known_now = |known: Option<Profile>| {
        let profile = known.unwrap_or(newcomer);
        (Some(profile.clone()), profile)
    };
    let profile = profiles.change(&caller.to_string(), known_now).await.map_err(Problem::ours)?;
    Ok(Json(Me { profile, seen: vec![seen(NAME, &caller)] }))
}

/// What is known of somebody who has never been here.
fn newcomer(principal: &Principal) -> Profile {
    let name = principal.components().first().map(ToString::to_string).unwrap_or_default();
    let telephone = format!("555-{:04}", name.bytes().fold(0, |sum, byte| (sum * 31 + u32::from(byte)) % 10_000));
    Profile { seller: Seller { principal: principal.to_string(), name, town: TOWN.to_owned() }, telephone }
}
