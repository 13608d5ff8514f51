//! Queries carried out, with MIT's words for how they went. Not here: reading them ([`super::query`])
//! and the principals themselves ([`super::Perform`]).

mod keytab;
mod otp;
mod policy;
mod show;

use libkrb::{Principal, Time};

use super::operation::{Answer, KeyKind, Name, NewKeys, Operation, Reason, Refusal, Secret};
use super::query::{COMMANDS, Context, KeyWish, Query, read};
use super::registry::Perform;
use super::zone::Zone;

/// Whom the console talks to.
pub trait Talk {
    /// What was asked for.
    fn out(&mut self, text: &str);
    /// What went wrong.
    fn err(&mut self, text: &str);
    /// The answer to a question; `None` when there is nobody to answer.
    fn ask(&mut self, question: &str) -> Option<String>;
    /// A new password, asked for with both prompts so that a slip is noticed.
    ///
    /// # Errors
    /// Why there is none.
    fn new_password(&mut self, prompt: &str, again: &str) -> Result<Secret, String>;
}

/// Where queries are carried out.
pub struct Console<'a> {
    /// The principals.
    pub registry: &'a dyn Perform,
    /// Their realm.
    pub realm: &'a str,
    /// The time zone of the dates.
    pub zone: &'a dyn Zone,
    /// The time.
    pub clock: fn() -> Time,
    /// Says nothing but what was asked for, and asks for no confirmation.
    pub quiet: bool,
    /// Kinds of new keys when a query does not say; none: the realm's.
    pub kinds: Vec<KeyKind>,
    /// The keytab when a query does not say.
    pub keytab: String,
}

/// How a query went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Done,
    /// Not well, and it was said why.
    Failed,
    /// It was the last one.
    Quit,
}

/// What is said when a query fails: the whole line.
type Done = Result<(), String>;

impl Console<'_> {
    /// Carries out the query that `words` are.
    pub fn run(&self, words: &[String], talk: &mut dyn Talk) -> Outcome {
        let context = Context { realm: self.realm, now: (self.clock)(), zone: self.zone };
        let done = match read(&context, words) {
            Ok(Query::Quit) => return Outcome::Quit,
            Ok(query) => self.perform(query, talk),
            Err(misuse) => {
                talk.err(&misuse.text());
                return Outcome::Failed;
            }
        };
        match done {
            Ok(()) => Outcome::Done,
            Err(text) => {
                talk.err(&format!("{text}\n"));
                Outcome::Failed
            }
        }
    }

    fn perform(&self, query: Query, talk: &mut dyn Talk) -> Done {
        match query {
            Query::Add { name, keys, kvno, settings } => {
                self.tell_policy(&name, settings.policy.as_deref(), talk);
                let keys = self.keys("add_principal", &name, keys, talk)?;
                let create = Operation::Create { principal: Name(name.clone()), keys, kvno, settings };
                self.ask(create, "add_principal", || format!("while creating \"{name}\"."))?;
                self.inform(talk, format!("Principal \"{name}\" created.\n"))
            }
            Query::Modify { name, kvno, settings } => {
                self.warn_of_missing(settings.policy.as_deref(), talk);
                let modify = Operation::Modify { principal: Name(name.clone()), kvno, settings };
                self.registry.perform(modify).map_err(|refusal| {
                    let doing = if refusal.reason == Reason::Missing { "getting" } else { "modifying" };
                    refused("modify_principal", &refusal, &format!("while {doing} \"{name}\"."))
                })?;
                self.inform(talk, format!("Principal \"{name}\" modified.\n"))
            }
            Query::ChangeKeys { name, keys, keep_old } => self.change_keys(&name, keys, keep_old, talk),
            Query::Delete { name, force } => self.delete(&name, force, talk),
            Query::Rename { name, to, force } => self.rename(&name, &to, force, talk),
            Query::Alias { alias, name } => {
                let add = Operation::Alias { alias: Name(alias.clone()), principal: Name(name.clone()) };
                self.ask(add, "add_alias", || format!("while aliasing principal \"{alias}\" to \"{name}\""))?;
                self.inform(talk, format!("Principal \"{alias}\" aliased to \"{name}\".\n"))
            }
            Query::Describe { name, terse } => self.describe(&name, terse, talk),
            Query::List { pattern } => self.list(pattern, talk),
            Query::AddPolicy { name, rules } => self.add_policy(name, rules),
            Query::ModifyPolicy { name, rules } => self.modify_policy(name, rules),
            Query::DeletePolicy { name, force } => self.delete_policy(name, force, talk),
            Query::DescribePolicy { name, terse } => self.describe_policy(name, terse, talk),
            Query::ListPolicies { pattern } => self.list_policies(pattern, talk),
            Query::Privileges => self.privileges(talk),
            Query::Kdcs => self.kdcs(talk),
            Query::KeytabAdd { keytab, quiet, fresh, whose } => self.keytab_add(keytab, quiet, fresh, &whose, talk),
            Query::KeytabRemove { keytab, quiet, name, which } => self.keytab_remove(keytab, quiet, &name, which, talk),
            Query::PurgeKeys { name, keep } => {
                let purge = Operation::PurgeKeys { principal: Name(name.clone()), keep };
                self.ask(purge, "purgekeys", || format!("while purging keys for principal \"{name}\""))?;
                self.inform(
                    talk,
                    match keep {
                        super::Keep::Nothing => format!("All keys for principal \"{name}\" removed.\n"),
                        _ => format!("Old keys for principal \"{name}\" purged.\n"),
                    },
                )
            }
            Query::Rotate { name, announce, overlap } => self.rotate(&name, announce, overlap, talk),
            Query::Strings { name } => self.strings(&name, talk),
            Query::SetString { name, key, value } => self.set_string(&name, key, value, talk),
            Query::AddToken { name, token } => self.add_token(&name, token, talk),
            Query::Tokens { name } => self.tokens(&name, talk),
            Query::DeleteToken { name, token } => self.delete_token(&name, token, talk),
            Query::Help { command: None } => say(talk, &help()),
            Query::Help { command: Some(command) } => say(talk, &command.help()),
            Query::Quit => Ok(()),
        }
    }

    /// Performs an operation; a refusal becomes MIT's line: `command: refusal circumstance`.
    fn ask(
        &self,
        operation: Operation,
        command: &str,
        circumstance: impl FnOnce() -> String,
    ) -> Result<Answer, String> {
        self.registry.perform(operation).map_err(|refusal| refused(command, &refusal, &circumstance()))
    }

    /// Says what nobody asked for.
    fn inform(&self, talk: &mut dyn Talk, text: String) -> Done {
        if !self.quiet {
            talk.out(&text);
        }
        Ok(())
    }

    fn keys(&self, command: &str, name: &Principal, wish: KeyWish, talk: &mut dyn Talk) -> Result<NewKeys, String> {
        let or_default = |kinds: Vec<KeyKind>| if kinds.is_empty() { self.kinds.clone() } else { kinds };
        Ok(match wish {
            KeyWish::Keyless => NewKeys::Keyless,
            KeyWish::Random(kinds) => NewKeys::Random(or_default(kinds)),
            KeyWish::Password(given, kinds) => {
                let ask = || {
                    let prompt = format!("Enter password for principal \"{name}\": ");
                    let password = talk.new_password(&prompt, &format!("Re-{}", prompt.replacen('E', "e", 1)));
                    password.map_err(|why| format!("{command}: {why} while reading password for \"{name}\"."))
                };
                NewKeys::Password { password: given.map_or_else(ask, Ok)?, kinds: or_default(kinds) }
            }
        })
    }

    fn change_keys(&self, name: &Principal, wish: KeyWish, keep_old: bool, talk: &mut dyn Talk) -> Done {
        let random = matches!(wish, KeyWish::Random(_));
        let keys = self.keys("change_password", name, wish, talk)?;
        let change = Operation::ChangeKeys { principal: Name(name.clone()), keys, keep_old };
        self.ask(change, "change_password", || match random {
            true => format!("while randomizing key for \"{name}\"."),
            false => format!("while changing password for \"{name}\"."),
        })?;
        self.inform(
            talk,
            match random {
                true => format!("Key for \"{name}\" randomized.\n"),
                false => format!("Password for \"{name}\" changed.\n"),
            },
        )
    }

    /// Whether something that can't be undone is meant.
    fn confirmed(&self, force: bool, question: &str, talk: &mut dyn Talk) -> bool {
        force || self.quiet || talk.ask(&format!("{question} (yes/no): ")).is_some_and(|answer| answer.trim() == "yes")
    }

    fn delete(&self, name: &Principal, force: bool, talk: &mut dyn Talk) -> Done {
        if !self.confirmed(force, &format!("Are you sure you want to delete the principal \"{name}\"?"), talk) {
            return Err(format!("Principal \"{name}\" not deleted"));
        }
        let delete = Operation::Delete { principal: Name(name.clone()) };
        self.ask(delete, "delete_principal", || format!("while deleting principal \"{name}\""))?;
        let advice = "Make sure that you have removed this principal from all ACLs before reusing.";
        self.inform(talk, format!("Principal \"{name}\" deleted.\n{advice}\n"))
    }

    fn rename(&self, name: &Principal, to: &Principal, force: bool, talk: &mut dyn Talk) -> Done {
        let question = format!("Are you sure you want to rename the principal \"{name}\" to \"{to}\"?");
        if !self.confirmed(force, &question, talk) {
            return Err(format!("Principal \"{name}\" not renamed"));
        }
        let rename = Operation::Rename { principal: Name(name.clone()), to: Name(to.clone()) };
        self.registry.perform(rename).map_err(|refusal| {
            // MIT's word for it here, and here only.
            let why = if refusal.reason == Reason::Missing { "No such entry in the database" } else { &*refusal.text };
            format!("rename_principal: {why} while renaming principal \"{name}\" to \"{to}\"")
        })?;
        let advice = "Make sure that you have removed the old principal from all ACLs before reusing.";
        self.inform(talk, format!("Principal \"{name}\" renamed to \"{to}\".\n{advice}\n"))
    }

    fn describe(&self, name: &Principal, terse: bool, talk: &mut dyn Talk) -> Done {
        let describe = Operation::Describe { principal: Name(name.clone()) };
        let found = self.ask(describe, "get_principal", || format!("while retrieving \"{name}\"."))?;
        let Answer::Principal(found) = found else { return Err(unexpected()) };
        let text = if terse { show::terse(&found) } else { show::full(&found, self.zone) };
        say(talk, &text)
    }

    fn list(&self, pattern: Option<String>, talk: &mut dyn Talk) -> Done {
        self.matching(pattern, &mut |name| talk.out(&format!("{name}\n")))
            .map_err(|refusal| format!("get_principals: {refusal} while retrieving list."))
    }

    /// Hands over every name that matches.
    fn matching(&self, pattern: Option<String>, take: &mut dyn FnMut(Name)) -> Result<(), Refusal> {
        let mut after = None;
        loop {
            match self.registry.perform(Operation::List { pattern: pattern.clone(), after, limit: None })? {
                Answer::Names { names, next } => {
                    names.into_iter().for_each(&mut *take);
                    after = match next {
                        Some(next) => Some(next),
                        None => return Ok(()),
                    };
                }
                _ => return Err(Refusal::new(Reason::Failed, unexpected())),
            }
        }
    }

    fn rotate(&self, name: &Principal, announce: i64, overlap: Option<i64>, talk: &mut dyn Talk) -> Done {
        let principal = Name(name.clone());
        let turn = Operation::Rotate { principal, announce, overlap, newest: None };
        let turned = self.ask(turn, "rotate_keys", || format!("while turning over the keys of \"{name}\""))?;
        let Answer::Rotated { kvno, from, until } = turned else { return Err(unexpected()) };
        let [from, until] = [from, until].map(|time| show::date(Time(time), self.zone));
        let text =
            format!("Keys of \"{name}\": version {kvno} is used from {from}, older ones are good until {until}.\n");
        self.inform(talk, text)
    }

    fn strings(&self, name: &Principal, talk: &mut dyn Talk) -> Done {
        let strings = Operation::Strings { principal: Name(name.clone()) };
        let found =
            self.ask(strings, "get_strings", || format!("while getting attributes for principal \"{name}\""))?;
        match found {
            Answer::Strings(strings) if strings.is_empty() => say(talk, "(No string attributes.)\n"),
            Answer::Strings(strings) => {
                strings.iter().for_each(|(key, value)| talk.out(&format!("{key}: {value}\n")));
                Ok(())
            }
            _ => Err(unexpected()),
        }
    }

    fn set_string(&self, name: &Principal, key: String, value: Option<String>, talk: &mut dyn Talk) -> Done {
        let (command, doing, done) = match value {
            Some(_) => ("set_string", "setting attribute on", "Attribute set for"),
            None => ("del_string", "deleting attribute from", "Attribute removed from"),
        };
        let set = Operation::SetString { principal: Name(name.clone()), name: key, value };
        self.ask(set, command, || format!("while {doing} principal \"{name}\""))?;
        self.inform(talk, format!("{done} principal \"{name}\".\n"))
    }
}

/// MIT's line for a refusal; and the way out in a line of its own, which begins with blanks.
fn refused(command: &str, refusal: &Refusal, circumstance: &str) -> String {
    let advice = refusal.advice.as_ref().map_or_else(String::new, |advice| format!("\n  {advice}"));
    format!("{command}: {refusal} {circumstance}{advice}")
}

impl Console<'_> {
    /// What MIT calls privileges: the four that it has words for.
    fn privileges(&self, talk: &mut dyn Talk) -> Done {
        const SHOWN: [(&str, &str); 4] =
            [("inquire", "INQUIRE"), ("add", "ADD"), ("modify", "MODIFY"), ("delete", "DELETE")];
        let privileges = self.ask(Operation::Privileges, "get_privs", || "while retrieving privileges".into())?;
        let Answer::Privileges(names) = privileges else { return Err(unexpected()) };
        let held = SHOWN.iter().filter(|(name, _)| names.iter().any(|held| held == name));
        let shown: String = held.map(|(_, shown)| format!(" {shown}")).collect();
        say(talk, &format!("current privileges:{shown}\n"))
    }
}

impl Console<'_> {
    fn kdcs(&self, talk: &mut dyn Talk) -> Done {
        let kdcs = self.ask(Operation::Kdcs, "kdcs", || "while asking who lives".into())?;
        let Answer::Kdcs(kdcs) = kdcs else { return Err(unexpected()) };
        say(talk, &kdcs.table(self.realm, (self.clock)()))
    }
}

fn say(talk: &mut dyn Talk, text: &str) -> Done {
    talk.out(text);
    Ok(())
}

fn unexpected() -> String {
    "kadmin: the answer is not one to this question; is the KDC of another version?".into()
}

fn help() -> String {
    let mut text = "Available kadmin requests:\n\n".to_owned();
    for command in COMMANDS {
        let names = command.names.join(", ");
        // Names that leave no room for two blanks before column 25 have a line of their own.
        let gap = if names.len() < 24 { " ".repeat(25 - names.len()) } else { format!("\n{}", " ".repeat(25)) };
        text += &format!("{names}{gap}{}\n", command.about);
    }
    text
}

#[cfg(test)]
mod tests;
