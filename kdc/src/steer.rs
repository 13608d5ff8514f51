//! `kdc reload` and `kdc restart`: tell the running KDC what to do, and wait until it is done. Not
//! here: how it does it ([`crate::run`]).

use std::path::Path;

use crate::admin::{Operation, Perform, Reason, Refusal, Remote};
use crate::config;
use crate::error::{Error, Result};

/// Has the running KDC read its settings again; they are in force afterwards.
///
/// # Errors
/// What is wrong with the settings, or that no KDC runs. Then nothing is changed.
pub fn reload(path: &Path) -> Result<()> {
    running(path)?.perform(Operation::Reload)?;
    Ok(())
}

/// Has the running KDC give way to a new one, which serves afterwards.
///
/// # Errors
/// Why a new one could not start, or that no KDC runs. Then the old one goes on.
pub fn restart(path: &Path) -> Result<()> {
    let old = running(path)?;
    match old.perform(Operation::Restart) {
        // It may be gone before its answer is.
        Err(refusal) if refusal.reason == Reason::Failed => {}
        done => drop(done?),
    }
    // From here on only the new one answers, and callers wait for it.
    old.perform(Operation::List { pattern: Some("krbtgt/*".into()), after: None, limit: None }).map_err(|refusal| {
        let next = "the new KDC does not answer; its log says why";
        Error::Refused(Refusal { text: format!("{next} ({refusal})"), ..refusal })
    })?;
    Ok(())
}

fn running(path: &Path) -> Result<Remote> {
    let config = config::load(path)?;
    let nobody = || Error::file(&config.admin_socket, "no KDC runs here; `kdc run` starts one");
    Remote::find(&config.admin_socket)?.ok_or_else(nobody)
}
