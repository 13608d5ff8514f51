//! `kinit`: a password or a keytab becomes a ticket-granting ticket in a credential cache.

mod arguments;
mod armor;
mod certificate;
mod expired;
pub(crate) mod failure;
mod plan;
mod recall;

use std::io::Write;
use std::process::ExitCode;

use chrono::{Local, TimeZone};
use libkrb::ccache::CacheName;
use libkrb::client::{AsRequest, ClockOffset, Exchange, TgsExchange, TgsRequest};
use libkrb::net::{Login, Transport};
use libkrb::preauth::Means;
use libkrb::{Error, Principal, Time};
use tokio::runtime::Runtime;

use crate::local;
use crate::report::{self, During, Result};
use crate::secret::{self, Typed};
use crate::settings::Settings;
use arguments::Arguments;
use plan::Plan;

/// Its command line.
pub(crate) fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs it.
pub fn main() -> ExitCode {
    report::run("kinit", 2, run)
}

fn run(arguments: Arguments) -> Result<u8> {
    if arguments.four {
        return Ok(report::kerberos_4());
    }
    if let Some(words) = arguments.contradiction() {
        return Ok(report::usage("kinit", words, 2));
    }
    let spans = match arguments.spans() {
        Ok(spans) => spans,
        Err(words) => return Ok(report::usage("kinit", &words, 2)),
    };
    if arguments.keytab_alone() {
        report::complain("keytab specified, forcing -k\n");
    }
    let settings = Settings::load_during("while initializing Kerberos 5 library")?;
    let plan = Plan::make(&arguments, &settings)?;
    let done = if arguments.renew || arguments.validate {
        again(&arguments, &settings, &plan)
    } else {
        plan.request(&arguments, &settings, &spans).and_then(|request| {
            let login = first(&arguments, &settings, &plan, request)?;
            finish(&arguments, &plan, login)
        })
    };
    if done.is_err() && plan.new {
        // Made to have a name; without a ticket nobody needs it.
        let _ = plan.cache.destroy();
    }
    done?;
    if arguments.verbose {
        report::complain("Authenticated to Kerberos v5\n");
    }
    Ok(0)
}

/// Gets a first ticket. Where the client is referred to another realm, armor that was found for the
/// one is found for the other too.
fn first(arguments: &Arguments, settings: &Settings, plan: &Plan, request: AsRequest) -> Result<Login> {
    let (typed, doing) = (Typed::default(), arguments.doing());
    let (runtime, transport) = (runtime()?, settings.transport());
    let mut client = plan.client.clone();
    loop {
        let secret = plan.secret(arguments, settings, &typed)?;
        let means = means(arguments, settings, plan)?;
        let attributes = &arguments.attribute;
        let (runtime, transport) = (&runtime, &transport);
        let place = armor::Place { settings, client: &client, attributes, runtime, transport };
        let asked = arguments.armor.as_deref();
        let armor = place.ticket(asked, doing)?;
        let request = AsRequest { armor, client: client.clone(), ..request.clone() };
        match runtime.block_on(transport.login_with(request.clone(), secret, means)) {
            Err(Error::NoArmor(realm)) if place.finds(asked) && client == plan.client => {
                client = client.in_realm(&realm);
            }
            Err(error) if expired::is_it(&error) && !arguments.by_keytab() => {
                return expired::change_and_login(runtime, transport, request, &typed);
            }
            login => return login.map_err(|error| failure::of(&error, &plan.client, doing)),
        }
    }
}

/// What the client has besides a password or a keytab.
fn means(arguments: &Arguments, settings: &Settings, plan: &Plan) -> Result<Means> {
    let mut means = Means::default();
    if let Some(name) = &arguments.input_cache {
        recall::add(&mut means, &settings.cache(Some(name)).during(&format!("resolving ccache {name}"))?, plan)
            .during(arguments.doing())?;
    }
    certificate::add(&mut means, settings, &plan.client, &arguments.attribute)?;
    if !arguments.by_keytab() {
        means.ask = Some(secret::ask());
    }
    Ok(means)
}

/// What exchanges run on.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Keeps a first ticket.
fn finish(arguments: &Arguments, plan: &Plan, login: Login) -> Result<()> {
    let expires = login.outcome.password_expires.filter(|_| !arguments.by_keytab());
    let doing = arguments.doing();
    store(&plan.cache, login).map_err(|error| failure::of_storing(&error, doing))?;
    switch(plan)?;
    expires.map_or(Ok(()), warn_of_expiry)
}

/// Renews or validates the ticket that the cache holds.
fn again(arguments: &Arguments, settings: &Settings, plan: &Plan) -> Result<()> {
    let doing = arguments.doing();
    let cache = plan.cache.load().during(doing)?;
    let server = plan.server.clone().unwrap_or_else(|| Principal::tgs(plan.client.realm()));
    let held = cache.tickets().find(|ticket| ticket.server == server && ticket.client == plan.client);
    let ticket = held.ok_or_else(|| report::not_in_cache(&plan.resolved(), doing))?.clone();
    let request = if arguments.renew { TgsRequest::renew(ticket) } else { TgsRequest::validate(ticket) };
    let config = settings.config();
    let (etypes, follow_clock) = (config.default_tgs_enctypes(), config.kdc_timesync());
    let request = TgsRequest { etypes, follow_clock, armored: cache.fast_known(&request.tgt), ..request };
    let failed = |error: Error| failure::of(&error, &plan.client, doing);
    let login = runtime()?.block_on(changed(&settings.transport(), request, settings.offset(&cache)));
    store(&plan.cache, login.map_err(failed)?).map_err(|error| failure::of_storing(&error, doing))?;
    if arguments.verbose {
        report::complain("Initialized cache\nStored credentials\n");
    }
    switch(plan)
}

/// The changed ticket, with what is known of the KDC's clock by now.
async fn changed(transport: &Transport, request: TgsRequest, known: ClockOffset) -> libkrb::Result<Login> {
    let mut exchange = TgsExchange::new(request)?;
    let outcome = transport.drive(&mut exchange, known).await?;
    let now = local::now().into();
    let learned = exchange.clock_offset().map(|more| ClockOffset::between(more.apply(known.apply(now)), now));
    Ok(Login { outcome, offset: Some(learned.unwrap_or(known)) })
}

/// Writes a new cache with the ticket and with what is worth knowing the next time.
fn store(cache: &CacheName, login: Login) -> libkrb::Result<()> {
    cache.replace(&login.into_ccache())
}

fn switch(plan: &Plan) -> Result<()> {
    if plan.switch { plan.cache.switch().during("while switching to new ccache") } else { Ok(()) }
}

/// Whoever types a password is told a week before it expires.
fn warn_of_expiry(expires: Time) -> Result<()> {
    const WEEK: i64 = 7 * 24 * 3600;
    let left = expires - local::now();
    if !(0..WEEK).contains(&left) {
        return Ok(());
    }
    let when = Local.timestamp_opt(expires.seconds(), 0).earliest().map(|time| time.format("%c").to_string());
    let span = match left {
        ..3600 => "less than one hour".to_owned(),
        3600..172_800 => format!("{} hour{}", left / 3600, if left < 7200 { "" } else { "s" }),
        _ => format!("{} days", left / 86_400),
    };
    writeln!(report::output(), "Warning: Your password will expire in {span} on {}", when.unwrap_or_default())?;
    Ok(())
}
