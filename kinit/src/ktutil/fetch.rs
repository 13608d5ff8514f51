//! `ktutil fetch`: a service's new keys, from its KDC into its keytab, with the keys that it has for a
//! proof.

use std::io::Write;

use clap::Args;
use libkrb::keytab::KeytabName;
use libkrb::{Error, ErrorCode, Principal};

use crate::report::{self, During, Failure, Result};
use crate::settings::Settings;

/// Fetch new keys for a keytab from the KDC that made them; old ones stay.
///
/// The keys that are in the keytab are the proof. Where the KDC turns keys over by itself, run this
/// several times in the time for which it announces them.
#[derive(Args)]
pub(super) struct Arguments {
    /// The keytab [default: that of krb5.conf]
    #[arg(short, long, value_name = "KEYTAB")]
    keytab: Option<String>,
    /// Say nothing of what went well
    #[arg(short, long)]
    quiet: bool,
    /// Whose keys [default: everybody's in the keytab]
    #[arg(value_name = "PRINCIPAL")]
    principals: Vec<String>,
}

/// Fetches; 1 if it failed for one of them.
pub(super) fn fetch(arguments: &Arguments) -> Result<u8> {
    let settings = Settings::load()?;
    let keytab = match &arguments.keytab {
        Some(name) => KeytabName::parse(name),
        None => settings.keytab(),
    };
    let keytab = keytab.during("while resolving keytab")?;
    let content = keytab.load().during(&format!("while reading keytab {keytab}"))?;
    let named = arguments.principals.iter().map(|name| settings.principal(name)).collect::<libkrb::Result<Vec<_>>>();
    let mut principals = named.during("while parsing principal name")?;
    if principals.is_empty() {
        principals = content.principals();
    }
    if principals.is_empty() {
        return Err(
            Failure::new(format!("{keytab}: the keytab is empty")).next("An administrator fills it with ktadd.")
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let transport = settings.transport();
    let mut failed = false;
    for principal in &principals {
        match runtime.block_on(transport.renew_keytab(&keytab, principal)) {
            Ok(_) if arguments.quiet => {}
            Ok(0) => writeln!(report::output(), "{principal}: no new keys")?,
            Ok(1) => writeln!(report::output(), "{principal}: 1 new key")?,
            Ok(added) => writeln!(report::output(), "{principal}: {added} new keys")?,
            Err(error) => {
                failure(&error, principal).print("ktutil");
                failed = true;
            }
        }
    }
    Ok(failed.into())
}

fn failure(error: &Error, principal: &Principal) -> Failure {
    let failure = report::while_doing(error, &format!("while fetching keys for {principal}"));
    match error {
        Error::Protocol { code: ErrorCode::S_PRINCIPAL_UNKNOWN, .. } => {
            failure.next("The KDC has no kadmin/fetch: not every KDC gives keys to services.")
        }
        Error::Protocol { code: ErrorCode::POLICY, .. } => {
            failure.next("Its keys are locked down or made from a password: an administrator has to bring new ones.")
        }
        Error::Protocol { code: ErrorCode::PREAUTH_FAILED | ErrorCode::BAD_INTEGRITY, .. } => {
            failure.next("The KDC does not take these keys any more: an administrator has to bring new ones.")
        }
        Error::Protocol { code, .. } => failure.next(report::refused(*code)),
        _ => failure.next("Check that the KDC runs and that krb5.conf names it; KRB5_TRACE=/dev/stderr shows more."),
    }
}
