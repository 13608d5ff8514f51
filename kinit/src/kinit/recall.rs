//! What the cache of a former login remembers of how its client proved itself, for the next one to do it
//! so again (`-I`), as MIT's kinit reads it. Not here: what is remembered ([`libkrb::net::Login`]).

use libkrb::ccache::CacheName;
use libkrb::codes::PaType;
use libkrb::preauth::Means;
use libkrb::{Error, Principal, Result};

use super::plan::Plan;

/// Takes over the method and its choices. A cache that is not there, or remembers nothing, leaves all open.
pub(super) fn add(means: &mut Means, cache: &CacheName, plan: &Plan) -> Result<()> {
    let content = match cache.load() {
        Err(Error::NoCache(_)) => return Ok(()),
        content => content?,
    };
    let server = plan.server.clone().unwrap_or_else(|| Principal::tgs(plan.client.realm()));
    let text = |key| content.config(key, Some(&server)).and_then(|value| std::str::from_utf8(value).ok());
    means.only = text("pa_type").and_then(|kind| kind.trim().parse().ok()).map(PaType);
    means.choices = text("pa_config_data").and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    Ok(())
}
