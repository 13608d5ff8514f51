//! The command line of `kadmin`: where queries come from and to whom they go. Not here: the queries.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use libkrb::config::Environment;
use zeroize::Zeroizing;

use crate::admin::console::{Console, Outcome, Talk};
use crate::admin::query::{key_kinds, words};
use crate::admin::{
    Answer, KeyRules, Local, LocalZone, Operation, Perform, Reason, Refusal, Registry, Remote, Secret, now,
};
use crate::attempts::Counted;
use crate::config::{self, Config};
use crate::core::{Ledger, Store, StoreError};
use crate::error::{Error, Result};
use crate::manage;
use crate::observe::Observer;
use crate::store::{MasterKey, Redb};

/// How often another kadmin is waited for, which has the store for a moment.
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(50);

const EXAMPLES: &str = "\
Examples, each with --config FILE before it:
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
    /// The realm's kdc.toml
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
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
    let keys = KeyRules { etypes: config.keys.etypes.clone(), iterations: config.keys.iterations };
    let attempts = Arc::new(Counted::over(Arc::clone(&store) as Arc<dyn Ledger>));
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
    let config = config::load(&cli.config)?;
    if let Some(realm) = cli.realm.filter(|realm| *realm != config.realm) {
        return Err(Error::Other(format!("{} is for {}, not {realm}", cli.config.display(), config.realm)));
    }
    let terminal = std::io::stdin().is_terminal();
    let registry = hold(&config, cli.query.is_none() && cli.words.is_empty() && terminal)?;
    let console = Console {
        registry: &*registry,
        realm: &config.realm,
        zone: &LocalZone,
        clock: now,
        quiet: !cli.words.is_empty(),
        kinds: cli.enctypes.map_or(Ok(vec![]), |list| key_kinds(&list).map_err(Error::Other))?,
        keytab: default_keytab(),
    };
    let mut talk = Stdio { terminal };
    let outcome = match cli.query {
        Some(query) => line(&console, &query, &mut talk),
        None if cli.words.is_empty() => lines(&console, &mut talk),
        None => console.run(&cli.words, &mut talk),
    };
    Ok(if outcome == Outcome::Failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A registry for a command line, or for a prompt, which may stand there for hours: it must not
/// keep the store from a KDC that is started meanwhile.
fn hold(config: &Config, prompt: bool) -> Result<Box<dyn Perform>> {
    let registry = reach(config)?;
    Ok(if prompt { Box::new(Anew { config: config.clone() }) } else { registry })
}

/// The running KDC's registry, or else one over the store itself.
pub(crate) fn reach(config: &Config) -> Result<Box<dyn Perform>> {
    for _ in 0..TRIES {
        if let Some(remote) = Remote::find(&config.admin_socket)? {
            return Ok(Box::new(remote));
        }
        match Redb::open(&config.store, MasterKey::load(&config.master_key)?) {
            Ok(store) if store.realm() != config.realm => {
                let problem = format!("the store of {}, not of {}", store.realm(), config.realm);
                return Err(Error::file(store.file(), problem));
            }
            Ok(store) => {
                let store = Arc::new(store);
                let observer = Observer::new(manage::audit(&config.audit)?);
                let registry = registry(config, Arc::clone(&store))?.with_vault(store);
                let registry = registry.told_to(Arc::new(observer));
                return Ok(Box::new(Local::new(Arc::new(registry))));
            }
            Err(StoreError::InUse(_)) => std::thread::sleep(PAUSE),
            Err(error) => return Err(error.into()),
        }
    }
    let problem =
        format!("in use by another process, but nobody answers at {}; end it first", config.admin_socket.display());
    Err(Error::file(&config.store, problem))
}

/// The registry reached anew for every operation.
struct Anew {
    config: Config,
}

impl Perform for Anew {
    fn perform(&self, operation: Operation) -> Result<Answer, Refusal> {
        let registry = reach(&self.config).map_err(|error| match error {
            Error::Refused(refusal) => refusal,
            error => Refusal::new(Reason::Failed, error.to_string()),
        })?;
        registry.perform(operation)
    }
}

/// Queries until there are no more; whether one failed, where nobody watched.
fn lines(console: &Console<'_>, talk: &mut Stdio) -> Outcome {
    let mut outcome = Outcome::Done;
    let prompt = if talk.terminal { "kadmin:  " } else { "" };
    while let Some(text) = talk.ask(prompt) {
        match line(console, &text, talk) {
            Outcome::Quit => break,
            Outcome::Failed if !talk.terminal => outcome = Outcome::Failed,
            _ => {}
        }
    }
    outcome
}

fn line(console: &Console<'_>, text: &str, talk: &mut Stdio) -> Outcome {
    match words(text) {
        Ok(words) if words.is_empty() => Outcome::Done,
        Ok(words) => console.run(&words, talk),
        Err(problem) => {
            talk.err(&format!("kadmin: {problem}\n"));
            Outcome::Failed
        }
    }
}

fn default_keytab() -> String {
    let environment = Environment::from_process();
    let config = libkrb::config::Config::load(&environment).unwrap_or_default();
    config.keytab_name(&environment).unwrap_or_else(|_| "FILE:/etc/krb5.keytab".into())
}

/// The standard streams.
struct Stdio {
    /// Whether somebody types.
    terminal: bool,
}

impl Stdio {
    /// The next line of the standard input, without its end.
    fn line(&self) -> Option<Zeroizing<String>> {
        let mut line = Zeroizing::new(String::new());
        match std::io::stdin().read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => {
                let end = line.trim_end_matches(['\n', '\r']).len();
                line.truncate(end);
                Some(line)
            }
        }
    }
}

impl Talk for Stdio {
    fn out(&mut self, text: &str) {
        let _ = std::io::stdout().write_all(text.as_bytes());
    }

    fn err(&mut self, text: &str) {
        // In the order in which things were said, should both be the same file.
        let _ = std::io::stdout().flush();
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    fn ask(&mut self, question: &str) -> Option<String> {
        self.out(question);
        let _ = std::io::stdout().flush();
        let answer = self.line().map(|line| line.to_string());
        if answer.is_none() && !question.is_empty() {
            self.out("\n");
        }
        answer
    }

    fn new_password(&mut self, prompt: &str, again: &str) -> Result<Secret, String> {
        let read = |prompt| match self.terminal {
            true => rpassword::prompt_password(prompt).map(Some).map_err(|error| error.to_string()),
            false => Ok(self.line().map(|line| line.to_string())),
        };
        let password = read(prompt)?.map(Secret::new).ok_or("no password on the standard input")?;
        match read(again)?.map(Secret::new) {
            Some(other) if other != password => Err("Password mismatch".into()),
            _ => Ok(password),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_does_not_keep_the_store_from_others() {
        let dir = tempfile::tempdir().expect("a folder");
        let files = crate::init::init("R", dir.path(), &["127.0.0.1:88".parse().expect("an address")]).expect("made");
        let config = config::load(&files.config).expect("sound");
        let open = || Redb::open(&files.store, MasterKey::load(&files.master_key).expect("loads")).map(drop);
        let list = || Operation::List { pattern: None, after: None, limit: None };
        let held = hold(&config, false).expect("reached");
        assert_eq!(open(), Err(StoreError::InUse(files.store.clone())));
        drop(held);
        let prompt = hold(&config, true).expect("reached");
        assert!(prompt.perform(list()).is_ok());
        assert_eq!(open(), Ok(()));
        assert!(prompt.perform(list()).is_ok());
    }
}
