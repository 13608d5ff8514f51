//! What is for sale. Who the sellers are it asks the user service: in its own name what anyone may
//! know, in the caller's name what only the caller may.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Path, State};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use clap::Args;
use http::StatusCode;
use libkrb::crypto::{OsRandom, Random};
use libkrb::http::Caller;
use reqwest::Url;

use crate::api::{Ad, AdId, Me, Mine, NewAd, Offers, Sellers};
use crate::chassis::callers::{SessionKind, only, seen};
use crate::chassis::calls::Upstream;
use crate::chassis::database::Shelf;
use crate::chassis::problem::Problem;
use crate::chassis::settings::Settings;
use crate::chassis::{Chassis, Error};

/// How this service is called in logs and metrics.
pub const NAME: &str = "ad_service";

/// Who may come in. What each role may do stands with the routes. `seller` is in the tickets of those to whom
/// the realm gives it (`setstr alice role:HTTP/ad-service.shop seller`).
const POLICY: &str = "
    role   user     *@{realm}
    role   service  HTTP/gateway.*@{realm}
    allow  role:user
    allow  role:service
";
/// A page.
const MOST: usize = 100;
/// Nobody fills the market alone.
const MOST_OF_ONE: usize = 50;
const LONGEST_TITLE: usize = 80;

/// The ad service's command line.
#[derive(Args, Clone, Debug)]
pub struct AdService {
    #[command(flatten)]
    settings: Settings,
    /// Where the user service is
    #[arg(long, env = "USER_SERVICE", value_name = "URL")]
    user_service: Url,
}

impl AdService {
    /// Serves until told to end.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub async fn run(self) -> Result<(), Error> {
        let mut chassis = Chassis::start(NAME, self.settings, SessionKind::Bearer).await?;
        let ads = Shelf::open(&chassis.file("ads.redb"))?;
        let users = chassis.upstream("user_service", self.user_service)?;
        let stalls = Stalls { ads, users };
        let database = stalls.ads.clone();
        chassis.readiness.needs("database", move || database.check());
        let routes = chassis.guard(routes(stalls), POLICY)?;
        chassis.serve(routes).await
    }
}

#[derive(Clone)]
struct Stalls {
    ads: Shelf<Ad>,
    users: Upstream,
}

fn routes(stalls: Stalls) -> Router {
    Router::new()
        .route("/ads", get(list).layer(only(&["user", "service"])).merge(post(sell).layer(only(&["seller"]))))
        .route("/ads/mine", get(mine).layer(only(&["user"])))
        .route("/ads/{id}", delete(take_back).layer(only(&["user"])))
        .with_state(stalls)
}

async fn list(State(stalls): State<Stalls>, caller: Caller) -> Result<Json<Offers>, Problem> {
    let ads = stalls.ads.last(MOST, |_| true).await.map_err(Problem::ours)?;
    let mut owners: Vec<_> = ads.iter().map(|ad| ad.owner.as_str()).collect();
    owners.sort_unstable();
    owners.dedup();
    let Sellers { sellers, mut seen } = stalls.users.for_caller(&caller).post("/sellers", &owners).await?;
    seen.push(self::seen(NAME, &caller));
    Ok(Json(Offers { ads, sellers, seen }))
}

async fn mine(State(stalls): State<Stalls>, caller: Caller) -> Result<Json<Mine>, Problem> {
    let Me { profile, mut seen } = stalls.users.as_caller(&caller)?.get("/me").await?;
    let ads = of(&stalls, &caller).await?;
    seen.push(self::seen(NAME, &caller));
    Ok(Json(Mine { ads, profile, seen }))
}

/// A new ad is its caller's; the user service has to know the caller.
async fn sell(
    State(stalls): State<Stalls>,
    caller: Caller,
    Json(new): Json<NewAd>,
) -> Result<(StatusCode, Json<Ad>), Problem> {
    let title = new.title.trim().to_owned();
    if title.is_empty() || title.chars().count() > LONGEST_TITLE || title.chars().any(char::is_control) {
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "this is no title");
        return Err(problem.next(format!("one line, of at most {LONGEST_TITLE} letters")));
    }
    stalls.users.as_caller(&caller)?.get::<Me>("/me").await?;
    if of(&stalls, &caller).await?.len() >= MOST_OF_ONE {
        return Err(Problem::new(StatusCode::CONFLICT, "you have enough for sale").next("take something back first"));
    }
    let ad = Ad { id: new_id(), owner: caller.to_string(), title, price: new.price };
    let kept = ad.clone();
    stalls.ads.change(ad.id.as_str(), move |_| (Some(kept), ())).await.map_err(Problem::ours)?;
    Ok((StatusCode::CREATED, Json(ad)))
}

/// Only the owner takes an ad back; to others it looks as if there were none.
async fn take_back(State(stalls): State<Stalls>, caller: Caller, Path(id): Path<AdId>) -> Result<StatusCode, Problem> {
    let owner = caller.to_string();
    let gone = stalls.ads.change(id.as_str(), move |ad| match ad {
        Some(ad) if ad.owner == owner => (None, true),
        ad => (ad, false),
    });
    match gone.await.map_err(Problem::ours)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::new(StatusCode::NOT_FOUND, "you have no such ad")),
    }
}

async fn of(stalls: &Stalls, caller: &Caller) -> Result<Vec<Ad>, Problem> {
    let owner = caller.to_string();
    stalls.ads.last(MOST_OF_ONE, move |ad| ad.owner == owner).await.map_err(Problem::ours)
}

/// The later, the greater; no two are the same.
fn new_id() -> AdId {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut random = [0; 4];
    OsRandom::new().fill(&mut random);
    AdId::new(u64::try_from(since.as_micros()).unwrap_or(u64::MAX), u32::from_be_bytes(random))
}
