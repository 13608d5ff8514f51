//! `kpasswd`: changes a password, also one that has expired (RFC 3244).

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use libkrb::client::NewSecret;
use libkrb::codes::KpasswdCode;
use libkrb::{Error, Principal};

use crate::kinit::{failure, runtime};
use crate::report::{self, During, Failure, Result};
use crate::secret::{self, Typed};
use crate::settings::Settings;

/// MIT's words where the server has none.
const NO_WORDS: &str = "Try a more complex password, or contact your administrator.";

const EXAMPLES: &str = "\
Examples:
  kpasswd                            your own
  kpasswd alice@EXAMPLE.ORG          somebody's whose password you know
  kpasswd --by bob/admin alice       somebody's, as an administrator who may set it
  (echo \"$OLD\"; echo \"$NEW\"; echo \"$NEW\") | kpasswd alice
                                     from a script: one password a line of the input

What went wrong: KRB5_TRACE=/dev/stderr kpasswd
Exit code: 0 if the password was changed, 1 if not, 2 if the server did not take it.";

/// Change a password.
#[derive(Parser)]
#[command(name = "kpasswd", version, after_help = EXAMPLES, disable_version_flag = true)]
struct Arguments {
    /// Whose; without it the owner of the credential cache, else the name you are logged in with
    principal: Option<String>,
    /// Who sets it; the realm's access list says whether they may
    #[arg(long, value_name = "PRINCIPAL", requires = "principal")]
    by: Option<String>,
    /// Print the version
    #[arg(long = "version", action = clap::ArgAction::Version)]
    _version: Option<bool>,
}

/// Its command line.
pub(crate) fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs it.
pub fn main() -> ExitCode {
    report::run("kpasswd", 1, run)
}

fn run(arguments: Arguments) -> Result<u8> {
    let settings = Settings::load_during("initializing kerberos library")?;
    let target = client(&arguments, &settings)?;
    let by = arguments.by.as_deref().map(|name| settings.principal(name)).transpose();
    let by = by.during("parsing client name")?;
    let (caller, target) = match by {
        Some(by) => (by, Some(target)),
        None => (target, None),
    };
    let (runtime, transport) = (runtime()?, settings.transport());
    let login = runtime.block_on(transport.login_to_change_password(caller.clone(), Typed::default().secret()));
    let login = login.map_err(|error| {
        let doing =
            if error == Error::PasswordIncorrect { "while getting initial ticket" } else { "getting initial ticket" };
        failure::of(&error, &caller, doing)
    })?;
    let password = secret::new_password().during("while reading password")?;
    let new = NewSecret { password: &password, target: target.as_ref() };
    match runtime.block_on(transport.set_password(&login, &new)) {
        Ok(()) => {
            writeln!(report::output(), "Password changed.")?;
            Ok(0)
        }
        Err(Error::PasswordRefused { code, text }) => {
            writeln!(report::output(), "{}", words(code, text.as_deref()))?;
            Ok(2)
        }
        Err(error) => Err(unreached(&error, "changing password")),
    }
}

/// Named, or the cache's owner, or who is logged in.
fn client(arguments: &Arguments, settings: &Settings) -> Result<Principal> {
    const DOING: &str = "parsing client name";
    if let Some(name) = &arguments.principal {
        return settings.principal(name).during(DOING);
    }
    if let Ok(cache) = settings.cache(None).and_then(|cache| cache.load()) {
        return Ok(cache.principal);
    }
    let nobody = || Failure::new("Unable to identify user").next("Name the principal: kpasswd alice@EXAMPLE.ORG");
    settings.principal(&settings.user().ok_or_else(nobody)?).during(DOING)
}

/// Why the server did not take a password, as MIT's tools say it.
pub(crate) fn words(code: KpasswdCode, text: Option<&str>) -> String {
    let result = code.name().unwrap_or("Password change failed");
    match text {
        Some(text) => format!("{result}: {text}"),
        None if code == KpasswdCode::SOFTERROR => format!("{result}: {NO_WORDS}"),
        None => result.to_owned(),
    }
}

/// That there was no answer, or none that can be read.
pub(crate) fn unreached(error: &Error, doing: &str) -> Failure {
    let (words, next) = match error {
        Error::NoKdc(realm) => (
            format!("Cannot find KDC for realm \"{realm}\""),
            "Name the server as kpasswd_server in [realms] of krb5.conf, or in DNS as _kpasswd._udp.REALM.",
        ),
        Error::Unreachable(realm) => (
            format!("Cannot contact any KDC for realm '{realm}'"),
            "Check that the server for passwords runs, on port 464 or the one of kpasswd_server in krb5.conf.",
        ),
        Error::Protocol { code, .. } => (code.to_string(), report::refused(*code)),
        error => return report::while_doing(error, doing),
    };
    Failure::new(format!("{words} {doing}")).next(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_mits_words_and_the_servers() {
        assert_eq!(words(KpasswdCode::SOFTERROR, Some("too short")), "Password change rejected: too short");
        assert_eq!(words(KpasswdCode::SOFTERROR, None), format!("Password change rejected: {NO_WORDS}"));
        assert_eq!(words(KpasswdCode::ACCESSDENIED, None), "Access denied");
        assert_eq!(words(KpasswdCode(0xffff), None), "Password change failed");
    }
}
