//! `kdc master-key`: the versions of the master key, and its roll-over with the progress shown. Asks the
//! running KDC, or does it itself where none runs. Not here: the roll-over ([`crate::store`]).

use std::io::{IsTerminal, Write};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::admin::{Answer, Operation};
use crate::error::{Error, Result};
use crate::settings::Settings;
use crate::{config, kadmin};

/// What to do with the master key.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show its versions, and how many principals' keys each seals
    List(Arguments),
    /// Make a new version, seal every key anew under it, and take the old versions away; goes on where
    /// an earlier run was cut short
    Rotate(Arguments),
}

/// Of which realm, and how it is told.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Tell in JSON, a line each
    #[arg(long)]
    json: bool,
}

/// Does it.
///
/// # Errors
/// What went wrong, and what to do.
pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::List(arguments) => list(arguments),
        Command::Rotate(arguments) => rotate(arguments),
    }
}

fn list(arguments: &Arguments) -> Result<()> {
    let registry = kadmin::reach(&config::load(&arguments.settings.file()?)?)?;
    let Answer::MasterKey { source, versions } = registry.perform(Operation::MasterKey)? else {
        return Err(unexpected());
    };
    let newest = versions.keys().max().copied();
    if arguments.json {
        return say(&serde_json::json!({ "source": source, "versions": versions, "seals": newest }).to_string());
    }
    let mut text = format!("Master key from {source}\n");
    for (version, records) in versions.iter().rev() {
        let seals = if Some(*version) == newest { ", seals what is new" } else { "" };
        text += &format!("version {version}: {records} principals{seals}\n");
    }
    say(text.trim_end())
}

fn rotate(arguments: &Arguments) -> Result<()> {
    let registry = kadmin::reach(&config::load(&arguments.settings.file()?)?)?;
    let bar = (!arguments.json && std::io::stderr().is_terminal()).then(bar);
    let (mut after, mut done) = (None, 0);
    loop {
        let answer = registry.perform(Operation::RotateMasterKey { after })?;
        let Answer::Resealed { version, seen, total, next, removed, left } = answer else { return Err(unexpected()) };
        done += seen;
        if let Some(bar) = &bar {
            bar.set_length(total);
            bar.set_position(done);
        }
        if arguments.json {
            let finished = next.is_none();
            let line = serde_json::json!({
                "version": version, "done": done, "total": total, "finished": finished, "removed": removed, "left": left,
            });
            say(&line.to_string())?;
        }
        if next.is_some() {
            after = next;
            continue;
        }
        if let Some(bar) = &bar {
            bar.finish_and_clear();
        }
        return if arguments.json { Ok(()) } else { say(&outcome(version, done, &removed, &left)) };
    }
}

fn outcome(version: u32, done: u64, removed: &[u32], left: &[u32]) -> String {
    let mut text = format!("The keys of {done} principals are sealed under version {version} of the master key.");
    if !removed.is_empty() {
        text += &format!("\nGone from its file: version {}.", numbers(removed));
        text += "\nKeep a copy of the new file. Backups made before need the old one, for as long as you keep them.";
    }
    if !left.is_empty() {
        text += &format!("\nNeeded no more, take it away where the key comes from: version {}.", numbers(left));
    }
    text
}

fn numbers(versions: &[u32]) -> String {
    versions.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} principals, {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn unexpected() -> Error {
    Error::Other("the answer is not one to this question; is the KDC of another version?".into())
}

fn say(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| Error::Other(error.to_string()))
}
