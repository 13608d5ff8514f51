//! The commands of ktutil: a table, and all of them but the one that makes entries.

use std::io::{BufRead, Write};

use libkrb::Time;
use libkrb::keytab::{Keytab, KeytabName};

use super::{Session, Then, entry};
use crate::local;
use crate::report::{self, During, Failure, Result};

/// A command.
pub(super) struct Command {
    names: &'static [&'static str],
    help: &'static str,
    /// Runs it in a session, with the name it was called by, its arguments, and the lines after it.
    pub(super) run: fn(&mut Session, &str, &[String], &mut dyn BufRead) -> Result<Then>,
}

const COMMANDS: &[Command] = &[
    Command { names: &["clear_list", "clear"], help: "Clear the current keylist.", run: clear },
    Command { names: &["read_kt", "rkt"], help: "Read a krb5 keytab into the current keylist.", run: read },
    Command { names: &["read_st", "rst"], help: "Deprecated and removed.", run: removed },
    Command { names: &["write_kt", "wkt"], help: "Write the current keylist to a krb5 keytab.", run: write },
    Command { names: &["write_st", "wst"], help: "Deprecated and removed.", run: removed },
    Command { names: &["add_entry", "addent"], help: "Add an entry to the current keylist.", run: entry::add },
    Command { names: &["delete_entry", "delent"], help: "Delete an entry from the current keylist.", run: delete },
    Command { names: &["list", "l"], help: "List the current keylist.", run: list },
    Command { names: &["list_requests", "lr", "?"], help: "List available requests.", run: list_requests },
    Command { names: &["quit", "exit", "q"], help: "Exit program.", run: quit },
];

/// The command of this name.
pub(super) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.names.contains(&name))
}

fn list_requests(_: &mut Session, _: &str, _: &[String], _: &mut dyn BufRead) -> Result<Then> {
    let mut out = report::output();
    writeln!(out, "Available ktutil requests:\n")?;
    for command in COMMANDS {
        writeln!(out, "{:<25}{}", command.names.join(", "), command.help)?;
    }
    Ok(Then::GoOn)
}

fn quit(_: &mut Session, _: &str, _: &[String], _: &mut dyn BufRead) -> Result<Then> {
    Ok(Then::Quit)
}

fn removed(_: &mut Session, name: &str, _: &[String], _: &mut dyn BufRead) -> Result<Then> {
    let doing = if name.starts_with('r') { "reading" } else { "writing" };
    Err(Failure::new(format!("{doing} srvtabs is no longer supported")))
}

fn clear(session: &mut Session, _: &str, arguments: &[String], _: &mut dyn BufRead) -> Result<Then> {
    if !arguments.is_empty() {
        return Err(Failure::new("invalid arguments"));
    }
    session.list = Keytab::default();
    Ok(Then::GoOn)
}

fn read(session: &mut Session, _: &str, arguments: &[String], _: &mut dyn BufRead) -> Result<Then> {
    let [name] = arguments else { return Err(Failure::new("must specify keytab to read")) };
    let keytab = KeytabName::parse(name).and_then(|name| name.load());
    session.list.entries.extend(keytab.briefly_during(&format!("while reading keytab \"{name}\""))?.entries);
    Ok(Then::GoOn)
}

fn write(session: &mut Session, _: &str, arguments: &[String], _: &mut dyn BufRead) -> Result<Then> {
    let [name] = arguments else { return Err(Failure::new("must specify keytab to write")) };
    // The time in a keytab is when the key was put there.
    let now = local::now();
    let mut entries = session.list.entries.clone();
    entries.iter_mut().for_each(|entry| entry.timestamp = now);
    let written = KeytabName::parse(name).and_then(|name| name.add(&entries));
    written.briefly_during(&format!("while writing keytab \"{name}\""))?;
    Ok(Then::GoOn)
}

fn delete(session: &mut Session, _: &str, arguments: &[String], _: &mut dyn BufRead) -> Result<Then> {
    let [slot] = arguments else { return Err(Failure::new("must specify entry to delete")) };
    let index = slot.parse::<usize>().ok().and_then(|slot| slot.checked_sub(1));
    match index.filter(|index| *index < session.list.entries.len()) {
        Some(index) => {
            session.list.entries.remove(index);
            Ok(Then::GoOn)
        }
        None => {
            let failure = Failure::new(format!("Invalid argument while deleting entry {slot}"));
            Err(failure.next("Give the number of a slot, as list shows it."))
        }
    }
}

fn list(session: &mut Session, name: &str, arguments: &[String], _: &mut dyn BufRead) -> Result<Then> {
    let (mut time, mut key, mut etype) = (false, false, false);
    for argument in arguments {
        match &**argument {
            "-t" => time = true,
            "-k" => key = true,
            "-e" => etype = true,
            _ => return Err(Failure::new(format!("usage: {name} [-t] [-k] [-e]"))),
        }
    }
    let mut out = report::output();
    let (heading, dashes) = if time { ("Timestamp         ", 51) } else { ("", 69) };
    let rule = if time { "----------------- " } else { "" };
    writeln!(out, "slot KVNO {heading}Principal\n---- ---- {rule}{}", "-".repeat(dashes))?;
    for (index, entry) in session.list.entries.iter().enumerate() {
        write!(out, "{:>4} {:>4} ", index + 1, entry.kvno)?;
        if time {
            write!(out, "{} ", shown(entry.timestamp))?;
        }
        write!(out, "{:>40}", entry.principal.to_string())?;
        if etype {
            write!(out, " ({}) ", entry.key.etype)?;
        }
        if key {
            let digits: String = entry.key.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            write!(out, " (0x{digits})")?;
        }
        writeln!(out)?;
    }
    Ok(Then::GoOn)
}

fn shown(time: Time) -> String {
    local::short().show(time)
}
