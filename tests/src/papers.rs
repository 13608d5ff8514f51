//! Manual pages and shell completions, made from the command lines that the programs parse.

use std::fs;
use std::io;
use std::path::Path;

use clap::Command;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;

/// The shells that get completions.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// The command lines of all programs, each with the section of its manual page.
pub fn programs() -> Vec<(Command, &'static str)> {
    let ours = kdc::commands().into_iter().map(|command| (command, "8"));
    ours.chain(kinit::commands().into_iter().map(|command| (command, "1"))).collect()
}

/// Writes `man/` and `completions/` into a folder.
///
/// # Errors
/// Those of the files.
pub fn write(folder: &Path) -> io::Result<()> {
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    for (mut command, section) in programs() {
        command.build();
        let name = command.get_name().to_owned();
        pages(&command, &name, section, &man)?;
        for shell in SHELLS {
            generate_to(shell, &mut command, &name, &completions)?;
        }
    }
    Ok(())
}

/// The page of a command and those of its own commands: `kdc.8`, `kdc-run.8`.
fn pages(command: &Command, name: &str, section: &str, folder: &Path) -> io::Result<()> {
    let mut page = vec![];
    // The version is that of the source, not of the day: a page made twice is the same.
    let source = format!("kerberos {}", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).title(name).section(section).date("").source(source).render(&mut page)?;
    fs::write(folder.join(format!("{name}.{section}")), page)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        pages(sub, &format!("{name}-{}", sub.get_name()), section, folder)?;
    }
    Ok(())
}
