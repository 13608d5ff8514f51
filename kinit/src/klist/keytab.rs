//! Keytabs as klist shows them.

use std::io::Write;

use libkrb::Error;
use libkrb::keytab::{Keytab, KeytabEntry, KeytabName};

use super::{Arguments, etype_text, json};
use crate::local;
use crate::report::{During, Result};

/// Shows the keytab.
pub(super) fn show(arguments: &Arguments, name: &KeytabName, out: &mut dyn Write) -> Result<()> {
    if arguments.json {
        return super::print_json(&json::keytab(name, &scanned(name.load())?, arguments.keys), out);
    }
    writeln!(out, "Keytab name: {name}")?;
    let keytab = match name.load() {
        Err(error) if is_damage(&error) => {
            heading(arguments, out)?;
            Err(error)
        }
        loaded => loaded,
    };
    // Whoever reads both streams sees the name before what is wrong with it.
    out.flush()?;
    let keytab = scanned(keytab)?;
    heading(arguments, out)?;
    for entry in &keytab.entries {
        show_entry(arguments, entry, out)?;
    }
    Ok(())
}

fn heading(arguments: &Arguments, out: &mut dyn Write) -> Result<()> {
    let width = local::long().width;
    if arguments.timestamps {
        writeln!(out, "KVNO {:<1$}Principal", "Timestamp", width + 1)?;
        writeln!(out, "---- {} {}", "-".repeat(width), "-".repeat(73 - width))?;
    } else {
        writeln!(out, "KVNO Principal\n---- {}", "-".repeat(74))?;
    }
    Ok(())
}

/// Whether MIT finds this out only after it has printed the heading.
fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Storage { problem, .. } if problem.starts_with("Bad format"))
}

fn scanned(keytab: libkrb::Result<Keytab>) -> Result<Keytab> {
    match keytab {
        Err(error) if is_damage(&error) => Err(error).briefly_during("while scanning keytab"),
        Err(error @ Error::Storage { .. }) => Err(error).briefly_during("while starting keytab scan"),
        keytab => keytab.during("while starting keytab scan"),
    }
}

fn show_entry(arguments: &Arguments, entry: &KeytabEntry, out: &mut dyn Write) -> Result<()> {
    write!(out, "{:>4} ", entry.kvno)?;
    if arguments.timestamps {
        write!(out, "{} ", local::long().show(entry.timestamp))?;
    }
    write!(out, "{}", entry.principal)?;
    if arguments.etypes {
        write!(out, " ({}) ", etype_text(entry.key.etype))?;
    }
    if arguments.keys {
        write!(out, " (0x{})", json::hex(&entry.key.bytes))?;
    }
    writeln!(out)?;
    Ok(())
}
