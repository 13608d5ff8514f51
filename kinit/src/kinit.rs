//! `kinit`: a password or a keytab becomes a ticket-granting ticket in a credential cache.

mod arguments;
mod plan;

use std::process::ExitCode;

use chrono::{Local, TimeZone};
use libkrb::client::{ClockOffset, Outcome, TgsExchange, TgsRequest};
use libkrb::net::{Login, Transport};
use libkrb::{Error, ErrorCode, Principal, Time};

use crate::report::{self, During, Failure, Result};
use crate::settings::Settings;
use crate::{local, secret};
use arguments::Arguments;
use plan::Plan;

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
    let Ok(spans) = arguments.spans() else {
        return Ok(report::usage("kinit", &arguments.bad_span(), 2));
    };
    arguments.not_yet()?;
    let settings = Settings::load()?;
    let plan = Plan::make(&arguments, &settings)?;
    let transport = settings.transport();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let doing = arguments.doing();
    let (login, renewed) = if arguments.renew || arguments.validate {
        let outcome =
            runtime.block_on(again(&transport, &arguments, &plan)).map_err(|error| failure(error, &plan, doing))?;
        (Login { outcome, offset: None }, true)
    } else {
        let request = plan.request(&arguments, &settings, &spans)?;
        let secret = plan.secret(&arguments, &settings)?;
        let login = runtime.block_on(transport.login(request, secret));
        (login.map_err(|error| failure(error, &plan, doing))?, false)
    };
    let expires = login.outcome.password_expires.filter(|_| !renewed);
    store(&plan, login).during(&format!("while storing credentials in cache {}", plan.cache))?;
    expires.into_iter().for_each(warn_of_expiry);
    if arguments.verbose && !renewed {
        report::complain("Authenticated to Kerberos v5\n");
    }
    Ok(0)
}

/// Renews or validates the ticket that the cache holds.
async fn again(transport: &Transport, arguments: &Arguments, plan: &Plan) -> libkrb::Result<Outcome> {
    let cache = plan.cache.load()?;
    let server = match &plan.server {
        Some(server) => server.clone(),
        None => Principal::tgs(plan.client.realm()),
    };
    let ticket = cache.tickets().find(|ticket| ticket.server == server).ok_or(Error::NoCredential)?.clone();
    let request = if arguments.renew { TgsRequest::renew(ticket) } else { TgsRequest::validate(ticket) };
    let mut exchange = TgsExchange::new(request)?;
    let (seconds, micros) = cache.kdc_offset.unwrap_or_default();
    transport.drive(&mut exchange, ClockOffset::new(seconds, micros)).await
}

/// Writes a new cache with the ticket and with what is worth knowing the next time.
fn store(plan: &Plan, login: Login) -> libkrb::Result<()> {
    plan.cache.replace(&login.into_ccache())?;
    if plan.switch { plan.cache.switch() } else { Ok(()) }
}

/// MIT's words for what went wrong, and the next step.
fn failure(error: Error, plan: &Plan, doing: &str) -> Failure {
    use ErrorCode as E;
    let client = &plan.client;
    let (words, next) = match &error {
        Error::PasswordIncorrect => {
            ("Password incorrect".to_owned(), "Check caps lock and the keyboard's layout, and type it again.")
        }
        Error::Unreachable(realm) => (
            format!("Cannot contact any KDC for realm '{realm}'"),
            "Check that the KDC runs and that krb5.conf names it; KRB5_TRACE=/dev/stderr shows whom kinit asked.",
        ),
        Error::NoKdc(realm) => (
            format!("Cannot find KDC for realm \"{realm}\""),
            "Name one in [realms] of krb5.conf, or in DNS as _kerberos._udp.REALM, and check the spelling of the realm.",
        ),
        Error::Protocol { code, .. } => match *code {
            E::C_PRINCIPAL_UNKNOWN => (
                format!("Client '{client}' not found in Kerberos database"),
                "Check the spelling; names are case-sensitive, and realms are usually in capitals.",
            ),
            E::S_PRINCIPAL_UNKNOWN => {
                (code.text().to_owned(), "Check the service's name; an administrator can list them.")
            }
            E::SKEW => (code.text().to_owned(), "Set this machine's clock: it differs by more than the KDC allows."),
            E::CLIENT_REVOKED => (code.text().to_owned(), "The account is locked or disabled: ask an administrator."),
            E::NAME_EXP => (code.text().to_owned(), "The account has expired: ask an administrator."),
            E::KEY_EXPIRED => ("Password has expired".to_owned(), "Change it with kpasswd, or ask an administrator."),
            E::ETYPE_NOSUPP => (
                code.text().to_owned(),
                "The KDC and krb5.conf (permitted_enctypes) have no encryption type in common.",
            ),
            E::PREAUTH_FAILED => (
                code.text().to_owned(),
                "The keytab's key is not the KDC's: export it again (kadmin ktadd), klist -k shows kvnos.",
            ),
            E::BADOPTION => (code.text().to_owned(), "The ticket's flags (klist -f) do not allow it."),
            E::TKT_EXPIRED => (code.text().to_owned(), "It is too late for that: get a new ticket with kinit."),
            E::TKT_NYV => (code.text().to_owned(), "klist shows from when it is good."),
            _ => (code.text().to_owned(), "KRB5_TRACE=/dev/stderr shows what the KDC was asked."),
        },
        _ => return report::while_doing(&error, doing),
    };
    Failure::new(format!("{words} {doing}")).next(next)
}

/// People are told a week before.
fn warn_of_expiry(expires: Time) {
    const WEEK: i64 = 7 * 24 * 3600;
    let left = expires - local::now();
    if !(0..WEEK).contains(&left) {
        return;
    }
    let when = Local.timestamp_opt(expires.seconds(), 0).earliest().map(|time| time.format("%c").to_string());
    let span = match left {
        ..3600 => "less than one hour".to_owned(),
        3600..172_800 => format!("{} hour{}", left / 3600, if left < 7200 { "" } else { "s" }),
        _ => format!("{} days", left / 86_400),
    };
    secret::prompt(&format!("Warning: Your password will expire in {span} on {}\n", when.unwrap_or_default()));
}
