//! Whether a keytab's key opens a ticket; and if not, why.

use libkrb::Principal;
use libkrb::crypto::KeyUsage;
use libkrb::keytab::{Keytab, KeytabName};
use libkrb::wire::Ticket;

use crate::report::{During, Failure, Result};

/// Opens a ticket for `server` with any key of the keytab, as MIT does: a service may have a name
/// that its keytab does not know.
pub(super) fn opens(name: &KeytabName, ticket: &Ticket<'_>, server: &Principal) -> Result<()> {
    let doing = format!("while decrypting ticket for {server}");
    let keytab = name.load().during(&doing)?;
    let sealed = &ticket.enc_part;
    let keys = keytab.entries.iter().filter(|entry| entry.key.etype == sealed.etype);
    let mut keys = keys.filter_map(|entry| entry.key.key().ok());
    if keys.any(|key| key.decrypt(KeyUsage::TICKET, sealed.cipher).is_ok()) {
        return Ok(());
    }
    let why = why(&keytab, ticket, server);
    Err(Failure::new(format!("Wrong principal in request {doing}"))
        .next(why)
        .next(format!("klist -ke {name} shows what it holds; kadmin ktadd exports the present key.")))
}

fn why(keytab: &Keytab, ticket: &Ticket<'_>, server: &Principal) -> String {
    let kvno = ticket.enc_part.kvno.unwrap_or(0);
    let etype = ticket.enc_part.etype;
    let theirs = || keytab.entries.iter().filter(|entry| entry.principal == *server);
    if theirs().next().is_none() {
        format!("The keytab has no key of {server}.")
    } else if !theirs().any(|entry| entry.kvno == kvno) {
        format!("The keytab has keys of {server}, but none of version {kvno}.")
    } else if !theirs().any(|entry| entry.kvno == kvno && entry.key.etype == etype) {
        format!("The keytab has version {kvno} of {server}'s key, but not of type {etype}.")
    } else {
        "The keytab's key has the right name, version and type, but is another one.".to_owned()
    }
}
