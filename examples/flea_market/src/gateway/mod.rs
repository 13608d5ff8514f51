//! The edge: what users and their browsers see. It knows who they are, and keeps nothing; what there
//! is it gets from the ad service, in the user's name where the user's tickets came along.

mod badge;
mod origin;
mod page;

use std::path::PathBuf;

use axum::extract::{Path, State};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{delete, get, post};
use axum::{Form, Json, Router};
use clap::Args;
use http::StatusCode;
use libkrb::http::Caller;
use reqwest::Url;
use serde::Deserialize;

use crate::api::{Ad, AdId, Mine, NewAd, Offers};
use crate::chassis::callers::{SessionKind, seen};
use crate::chassis::calls::Upstream;
use crate::chassis::problem::Problem;
use crate::chassis::settings::Settings;
use crate::chassis::{Chassis, Error};

/// How this service is called in logs and metrics.
pub const NAME: &str = "gateway";

/// Users alone: services have no business at the edge.
const POLICY: &str = "
    role   user  *@{realm}
    allow  role:user
";

/// The gateway's command line.
#[derive(Args, Clone, Debug)]
pub struct Gateway {
    #[command(flatten)]
    settings: Settings,
    /// Where the ad service is
    #[arg(long, env = "AD_SERVICE", value_name = "URL")]
    ad_service: Url,
    /// Where the user service is, for users with badges
    #[arg(long, env = "USER_SERVICE", value_name = "URL", requires = "badges")]
    user_service: Option<Url>,
    /// A file with a badge and its owner on each line: who shows one is let in without a ticket
    #[arg(long, env = "BADGES", value_name = "FILE", requires = "user_service")]
    badges: Option<PathBuf>,
}

impl Gateway {
    /// Serves until told to end.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub async fn run(self) -> Result<(), Error> {
        let chassis = Chassis::start(NAME, self.settings, SessionKind::Cookie).await?;
        let ads = chassis.upstream("ad_service", self.ad_service)?;
        let mut routes = chassis.guard(routes(ads), POLICY)?.merge(page::style());
        if let (Some(url), Some(file)) = (self.user_service, &self.badges) {
            let badges = badge::Badges::read(file, chassis.realm())?;
            routes = routes.merge(badge::routes(badges, chassis.upstream("user_service", url)?));
        }
        chassis.serve(routes).await
    }
}

fn routes(ads: Upstream) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/sell", post(sell_form))
        .route("/take-back", post(take_back_form))
        .route("/ads", get(list).post(sell))
        .route("/ads/mine", get(mine))
        .route("/ads/{id}", delete(take_back))
        .layer(from_fn(origin::check))
        .with_state(ads)
}

async fn list(State(ads): State<Upstream>, caller: Caller) -> Result<Json<Offers>, Problem> {
    let mut offers: Offers = ads.for_caller(&caller).get("/ads").await?;
    offers.seen.push(seen(NAME, &caller));
    Ok(Json(offers))
}

async fn mine(State(ads): State<Upstream>, caller: Caller) -> Result<Json<Mine>, Problem> {
    let mut mine: Mine = ads.as_caller(&caller)?.get("/ads/mine").await?;
    mine.seen.push(seen(NAME, &caller));
    Ok(Json(mine))
}

async fn sell(
    State(ads): State<Upstream>,
    caller: Caller,
    Json(new): Json<NewAd>,
) -> Result<(StatusCode, Json<Ad>), Problem> {
    Ok((StatusCode::CREATED, Json(ads.as_caller(&caller)?.post("/ads", &new).await?)))
}

async fn take_back(State(ads): State<Upstream>, caller: Caller, Path(id): Path<AdId>) -> Result<StatusCode, Problem> {
    ads.as_caller(&caller)?.delete(&format!("/ads/{id}")).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The page for browsers: what is for sale, and the caller's own things if that can be.
async fn home(State(ads): State<Upstream>, caller: Caller) -> Response {
    let mine = match caller.delegated() {
        Some(_) => mine(State(ads.clone()), caller.clone()).await.map(|Json(mine)| Some(mine)),
        None => Ok(None),
    };
    let offers = list(State(ads), caller.clone()).await;
    match (offers, mine) {
        (Ok(Json(offers)), Ok(mine)) => page::show(&caller, &offers, mine.as_ref()),
        (Err(problem), _) | (_, Err(problem)) => page::sorry(&problem),
    }
}

async fn sell_form(state: State<Upstream>, caller: Caller, Form(new): Form<NewAd>) -> Response {
    back_home(sell(state, caller, Json(new)).await)
}

#[derive(Deserialize)]
struct Which {
    id: AdId,
}

async fn take_back_form(state: State<Upstream>, caller: Caller, Form(Which { id }): Form<Which>) -> Response {
    back_home(take_back(state, caller, Path(id)).await)
}

fn back_home<T>(outcome: Result<T, Problem>) -> Response {
    match outcome {
        Ok(_) => Redirect::to("/").into_response(),
        Err(problem) => page::sorry(&problem),
    }
}
