//! The command line of `kadmin`: where queries come from and to whom they go. Not here: the queries.

mod away;
mod json;
mod prompt;
mod reach;
mod stdio;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use libkrb::config::Environment;

use crate::admin::console::{Console, Outcome, Talk};
use crate::admin::query::{key_kinds, words};
use crate::admin::{KeyRules, LocalZone, Perform, Registry, now};
use crate::attempts::Counted;
use crate::config::{self, Config};
use crate::core::{Ledger, Store};
use crate::error::{Error, Result};
use crate::settings::Settings;
use away::Away;
use json::Recorder;
use prompt::Prompt;
pub(crate) use reach::reach;
use stdio::Stdio;

const EXAMPLES: &str = "\
Examples, each with --config FILE before it, or -p admin/admin -s HOST from afar:
  addprinc alice                                a user; asks for a password
  addprinc -randkey HTTP/www.example.org        a service
  ktadd -k www.keytab HTTP/www.example.org      new keys for it, in a file
  modprinc -allow_tix alice                     lock a user; +allow_tix unlocks
  listprincs '*/www.example.org'                whom there is
  -q 'getprinc alice'                           one query in one text

Exit code: 0 if every query went well, 1 if one did not, 2 for a wrong command line.";

/// Administer a realm's principals, whether its KDC runs or not.
///
/// Queries are those of MIT's kadmin; `?` lists them. Words after the options are one query, said
/// quietly and without asking back, as scripts like it; -q takes it as one text; without either,
/// queries are read from the standard input, a line each.
///
/// Give a password on the standard input rather than with a query's -pw, which other users can read
/// in the list of processes.
#[derive(Debug, Parser)]
#[command(name = "kadmin", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    away: Away,
    /// Answer in JSON, a line for every query
    #[arg(long)]
    json: bool,
    /// Carry out this query, in one text
    #[arg(short, value_name = "QUERY", conflicts_with = "words")]
    query: Option<String>,
    /// Make sure that this is the realm
    #[arg(short, value_name = "REALM")]
    realm: Option<String>,
    /// Make new keys of these kinds unless a query says otherwise
    #[arg(short, value_name = "ENCTYPE:SALT,...")]
    enctypes: Option<String>,
    /// Carry out this query
    #[arg(value_name = "QUERY", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// The registry that `config` asks for over an opened store.
///
/// # Errors
/// What of it can't be read.
pub fn registry<S: Store + Ledger + 'static>(config: &Config, store: Arc<S>) -> Result<Registry> {
    let counted = Counted::over(Arc::clone(&store) as Arc<dyn Ledger>);
    registry_over(config, store, counted)
}

fn registry_over(config: &Config, store: Arc<dyn Store>, counted: Counted) -> Result<Registry> {
    let keys = KeyRules { etypes: config.keys.etypes.clone(), iterations: config.keys.iterations };
    let attempts = Arc::new(counted);
    let registry = Registry::new(store, config.policy(), keys).with_attempts(attempts);
    Ok(registry.with_dictionary(config.dictionary()?))
}

/// Its command line.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Does what the command line of this process says.
pub fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "kadmin: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let terminal = std::io::stdin().is_terminal();
    let asks = cli.query.is_none() && cli.words.is_empty();
    let (registry, realm) = find(&cli.settings, cli.away, cli.realm, asks && terminal)?;
    let recorder = cli.json.then(|| Recorder::new(&*registry));
    let console = Console {
        registry: recorder.as_ref().map_or(&*registry, |recorder| recorder),
        realm: &realm,
        zone: &LocalZone,
        clock: now,
        quiet: !cli.words.is_empty() || cli.json,
        kinds: cli.enctypes.map_or(Ok(vec![]), |list| key_kinds(&list).map_err(Error::Other))?,
        keytab: default_keytab(),
    };
    let mut session = Session { console: &console, recorder: recorder.as_ref(), talk: Stdio { terminal } };
    let outcome = match cli.query {
        Some(query) => session.line(&query),
        None if asks => session.lines(&*registry),
        None => session.words(&cli.words),
    };
    Ok(if outcome == Outcome::Failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The registry that is meant, and its realm.
fn find(settings: &Settings, away: Away, realm: Option<String>, prompt: bool) -> Result<(Box<dyn Perform>, String)> {
    if away.is_meant() {
        let (remote, realm) = away.log_in(realm, std::io::stdin().is_terminal())?;
        return Ok((Box::new(remote), realm));
    }
    let file = settings.file()?;
    let config = config::load(&file)?;
    if let Some(realm) = realm.filter(|realm| *realm != config.realm) {
        return Err(Error::Other(format!("{} is for {}, not {realm}", file.display(), config.realm)));
    }
    Ok((reach::hold(&config, prompt)?, config.realm))
}

/// Queries on their way to a console.
struct Session<'a> {
    console: &'a Console<'a>,
    /// The console's registry, where answers are to be JSON.
    recorder: Option<&'a Recorder<'a>>,
    talk: Stdio,
}

impl Session<'_> {
    /// Queries until there are no more; whether one failed, where nobody watched.
    fn lines(&mut self, registry: &dyn Perform) -> Outcome {
        let terminal = self.talk.terminal;
        let mut prompt = if terminal { Prompt::open(registry) } else { None };
        let mut outcome = Outcome::Done;
        loop {
            let text = match &mut prompt {
                Some(prompt) => prompt.line(),
                None => self.talk.ask(if terminal { "kadmin:  " } else { "" }),
            };
            match text.map(|text| self.line(&text)) {
                None | Some(Outcome::Quit) => return outcome,
                Some(Outcome::Failed) if !terminal => outcome = Outcome::Failed,
                Some(_) => {}
            }
        }
    }

    fn line(&mut self, text: &str) -> Outcome {
        match words(text) {
            Ok(words) if words.is_empty() => Outcome::Done,
            Ok(words) => self.words(&words),
            Err(problem) => {
                self.talk.err(&format!("kadmin: {problem}\n"));
                Outcome::Failed
            }
        }
    }

    fn words(&mut self, words: &[String]) -> Outcome {
        match self.recorder {
            Some(recorder) => json::run(self.console, recorder, words, &mut self.talk),
            None => self.console.run(words, &mut self.talk),
        }
    }
}

fn default_keytab() -> String {
    let environment = Environment::from_process();
    let config = libkrb::config::Config::load(&environment).unwrap_or_default();
    config.keytab_name(&environment).unwrap_or_else(|_| "FILE:/etc/krb5.keytab".into())
}
