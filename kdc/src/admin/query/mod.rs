//! MIT's query language: a line of words into what is wanted. A command is a row of [`COMMANDS`].
//! Not here: how it is done and what is said about it ([`super::console`]).
//!
//! As in MIT's, the last word of a command on a principal is the principal, whatever it looks like:
//! a script may pass on a name that begins with a dash.

mod dates;
mod keys;
mod otp;
mod policy;
mod principal;
mod words;

use libkrb::{Principal, Time};

pub use super::keys::key_kinds;
use super::operation::{Keep, KeyKind, Secret, Settings};
use super::policies::PolicyRules;
use super::zone::Zone;

pub use otp::TokenWish;
pub use words::words;

/// What a query asks for.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are the query language's own")]
pub enum Query {
    Add { name: Principal, keys: KeyWish, kvno: Option<u32>, settings: Settings },
    Modify { name: Principal, kvno: Option<u32>, settings: Settings },
    ChangeKeys { name: Principal, keys: KeyWish, keep_old: bool },
    Delete { name: Principal, force: bool },
    Rename { name: Principal, to: Principal, force: bool },
    Alias { alias: Principal, name: Principal },
    Describe { name: Principal, terse: bool },
    List { pattern: Option<String> },
    AddPolicy { name: String, rules: PolicyRules },
    ModifyPolicy { name: String, rules: PolicyRules },
    DeletePolicy { name: String, force: bool },
    DescribePolicy { name: String, terse: bool },
    ListPolicies { pattern: Option<String> },
    Privileges,
    Kdcs,
    KeytabAdd { keytab: Option<String>, quiet: bool, fresh: Option<Vec<KeyKind>>, whose: Vec<Whose> },
    KeytabRemove { keytab: Option<String>, quiet: bool, name: Typed, which: Which },
    PurgeKeys { name: Principal, keep: Keep },
    Rotate { name: Principal, announce: i64, overlap: Option<i64> },
    Strings { name: Principal },
    SetString { name: Principal, key: String, value: Option<String> },
    AddToken { name: Principal, token: TokenWish },
    Tokens { name: Principal },
    DeleteToken { name: Principal, token: String },
    Help { command: Option<&'static Command> },
    Quit,
}

/// The keys that are wanted.
#[derive(Clone, Debug)]
pub enum KeyWish {
    /// None.
    Keyless,
    /// Random ones.
    Random(Vec<KeyKind>),
    /// Of a password; to be asked for, if it is not given.
    Password(Option<Secret>, Vec<KeyKind>),
}

/// A principal, and the word that named it, which some answers repeat.
#[derive(Clone, Debug)]
pub struct Typed {
    /// The principal.
    pub name: Principal,
    /// As it was typed.
    pub typed: String,
}

/// Whose keys go to a keytab.
#[derive(Clone, Debug)]
pub enum Whose {
    /// A principal's.
    One(Typed),
    /// Those of all that match a pattern.
    Matching(String),
}

/// Which entries leave a keytab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All but those of the highest version.
    Old,
    /// Those of one version.
    Version(u32),
    /// All, and what a missing word means.
    All,
}

/// What a query is read against.
pub struct Context<'a> {
    /// The realm of names that have none.
    pub realm: &'a str,
    /// The time.
    pub now: Time,
    /// Where it is that time.
    pub zone: &'a dyn Zone,
}

/// Why a query can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misuse {
    /// What is wrong; empty when the usage says all.
    pub problem: String,
    /// How the command is used; empty when that is not the problem.
    pub usage: &'static str,
}

/// A command.
pub struct Command {
    /// Its name, and its other names.
    pub names: &'static [&'static str],
    /// What it does, in the list of commands.
    pub about: &'static str,
    usage: &'static str,
    read: fn(&Context<'_>, &[String]) -> Result<Query, Wrong>,
}

impl Command {
    /// How it is used: a line or several.
    pub fn help(&self) -> String {
        Misuse { problem: String::new(), usage: self.usage }.text()
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.names.first().copied().unwrap_or_default())
    }
}

/// What is wrong with the words of a command.
enum Wrong {
    /// Their number or order: the usage says it.
    Usage,
    /// This; and the usage says more.
    Option(String),
    /// This.
    Value(String),
}

const PRINCIPAL_ATTRIBUTES: &str = "\tattributes are:
\t\tallow_postdated allow_forwardable allow_tgs_req allow_renewable
\t\tallow_proxiable allow_dup_skey allow_tix requires_preauth
\t\trequires_hwauth needchange allow_svr password_changing_service
\t\tok_as_delegate ok_to_auth_as_delegate no_auth_data_required
\t\tlockdown_keys
";

const ADD_USAGE: &str = "usage: add_principal [options] principal
\toptions are:
\t\t[-randkey|-nokey] [-expire expdate] [-pwexpire pwexpdate] [-maxlife maxtixlife]
\t\t[-kvno kvno] [-policy policy] [-clearpolicy]
\t\t[-pw password] [-maxrenewlife maxrenewlife]
\t\t[-e keysaltlist]
\t\t[{+|-}attribute]
";

const MODIFY_USAGE: &str = "usage: modify_principal [options] principal
\toptions are:
\t\t[-expire expdate] [-pwexpire pwexpdate] [-maxlife maxtixlife]
\t\t[-kvno kvno] [-policy policy] [-clearpolicy]
\t\t[-maxrenewlife maxrenewlife] [-unlock] [{+|-}attribute]
";

macro_rules! policy_usage {
    ($command:literal) => {
        concat!(
            "usage; ",
            $command,
            " [options] policy\n",
            "\toptions are:\n",
            "\t\t[-maxlife time] [-minlife time] [-minlength length]\n",
            "\t\t[-minclasses number] [-history number]\n",
            "\t\t[-maxfailure number] [-failurecountinterval time]\n",
            "\t\t[-allowedkeysalts keysalts]\n",
            "\t\t[-lockoutduration time]\n",
            "\t\t[-dictionary on|off] [-minstrength 0..4]\n",
            "\t\t[-maxticketlife time] [-maxrenewlife time]\n",
            "\t\t[-rotatekeysafter time] [-keepoldkeys time]\n",
        )
    };
}

const ADD_POLICY_USAGE: &str = policy_usage!("add_policy");
const MODIFY_POLICY_USAGE: &str = policy_usage!("modify_policy");

/// Every command, in the order in which they are listed.
pub static COMMANDS: &[Command] = &[
    Command {
        names: &["add_principal", "addprinc", "ank"],
        about: "Add principal",
        usage: ADD_USAGE,
        read: principal::add,
    },
    Command {
        names: &["delete_principal", "delprinc"],
        about: "Delete principal",
        usage: "usage: delete_principal [-force] principal\n",
        read: principal::delete,
    },
    Command {
        names: &["modify_principal", "modprinc"],
        about: "Modify principal",
        usage: MODIFY_USAGE,
        read: principal::modify,
    },
    Command {
        names: &["rename_principal", "renprinc"],
        about: "Rename principal",
        usage: "usage: rename_principal [-force] old_principal new_principal\n",
        read: principal::rename,
    },
    Command {
        names: &["add_alias", "alias"],
        about: "Add alias",
        usage: "usage: add_alias alias_principal target_principal\n",
        read: principal::alias,
    },
    Command {
        names: &["change_password", "cpw"],
        about: "Change password",
        usage: "usage: change_password [-randkey] [-keepold] [-e keysaltlist] [-pw password] principal\n",
        read: principal::change_password,
    },
    Command {
        names: &["get_principal", "getprinc"],
        about: "Get principal",
        usage: "usage: get_principal [-terse] principal\n",
        read: principal::describe,
    },
    Command {
        names: &["list_principals", "listprincs", "get_principals", "getprincs"],
        about: "List principals",
        usage: "usage: get_principals [expression]\n",
        read: principal::list,
    },
    Command { names: &["add_policy", "addpol"], about: "Add policy", usage: ADD_POLICY_USAGE, read: policy::add },
    Command {
        names: &["modify_policy", "modpol"],
        about: "Modify policy",
        usage: MODIFY_POLICY_USAGE,
        read: policy::modify,
    },
    Command {
        names: &["delete_policy", "delpol"],
        about: "Delete policy",
        usage: "usage: delete_policy [-force] policy\n",
        read: policy::delete,
    },
    Command {
        names: &["get_policy", "getpol"],
        about: "Get policy",
        usage: "usage: get_policy [-terse] policy\n",
        read: policy::describe,
    },
    Command {
        names: &["list_policies", "listpols", "get_policies", "getpols"],
        about: "List policies",
        usage: "usage: get_policies [expression]\n",
        read: policy::list,
    },
    Command {
        names: &["get_privs", "getprivs"],
        about: "Get privileges",
        usage: "usage: get_privs\n",
        read: |_, words| none(words, Query::Privileges),
    },
    Command {
        names: &["kdcs"],
        about: "List the KDCs of the realm that live",
        usage: "usage: kdcs\n",
        read: |_, words| none(words, Query::Kdcs),
    },
    Command {
        names: &["ktadd", "xst"],
        about: "Add entry(s) to a keytab",
        usage: "Usage: ktadd [-k[eytab] keytab] [-q] [-e keysaltlist] [-norandkey] [principal | -glob princ-exp] [...]\n",
        read: keys::keytab_add,
    },
    Command {
        names: &["ktremove", "ktrem"],
        about: "Remove entry(s) from a keytab",
        usage: "Usage: ktremove [-k[eytab] keytab] [-q] principal [kvno|\"all\"|\"old\"]\n",
        read: keys::keytab_remove,
    },
    Command {
        names: &["purgekeys"],
        about: "Purge previously retained old keys from a principal",
        usage: "usage: purgekeys [-all|-keepkvno oldest_kvno_to_keep|-olderthan duration] principal\n",
        read: keys::purge,
    },
    Command {
        names: &["rotate_keys", "rotate"],
        about: "Announce new random keys and let the old ones end",
        usage: "usage: rotate_keys [-announce duration] [-overlap duration] principal\n",
        read: keys::rotate,
    },
    Command {
        names: &["get_strings", "getstrs"],
        about: "Show string attributes on a principal",
        usage: "usage: get_strings principal\n",
        read: principal::strings,
    },
    Command {
        names: &["set_string", "setstr"],
        about: "Set a string attribute on a principal",
        usage: "usage: set_string principal key value\n",
        read: principal::set_string,
    },
    Command {
        names: &["del_string", "delstr"],
        about: "Delete a string attribute on a principal",
        usage: "usage: del_string principal key\n",
        read: principal::delete_string,
    },
    Command {
        names: &["otp"],
        about: "Enrol, list and remove one-time password tokens",
        usage: "usage: otp add [-name name] [-counting] [-period seconds] [-digits number] [-algorithm sha1|sha256|sha512]\n\
                \x20          [-with_password] [-indicator text] [-noqr] principal\n\
                \x20      otp list principal\n\
                \x20      otp del principal name\n",
        read: otp::otp,
    },
    Command {
        names: &["list_requests", "lr", "?"],
        about: "List available requests.",
        usage: "usage: list_requests [request]\n",
        read: |_, words| help(words),
    },
    Command {
        names: &["quit", "exit", "q"],
        about: "Exit program.",
        usage: "usage: quit\n",
        read: |_, words| none(words, Query::Quit),
    },
];

/// What MIT has and this does not, and why.
const UNSUPPORTED: &[(&[&str], &str)] =
    &[(&["lock", "unlock"], "the store needs no lock: every change is made whole or not at all")];

/// Reads the words of a query.
///
/// # Errors
/// [`Misuse`], in MIT's words.
pub fn read(context: &Context<'_>, words: &[String]) -> Result<Query, Misuse> {
    let misuse = |problem: String, usage| Err(Misuse { problem, usage });
    let Some((verb, words)) = words.split_first() else { return misuse("no command given".into(), "") };
    let Some(command) = COMMANDS.iter().find(|command| command.names.contains(&verb.as_str())) else {
        let known = UNSUPPORTED.iter().find(|(names, _)| names.contains(&verb.as_str()));
        return match known {
            Some((_, why)) => misuse(format!("{verb}: {why}"), ""),
            None => misuse(format!("kadmin: Command not found {verb}"), ""),
        };
    };
    let name = command.names.first().copied().unwrap_or_default();
    match (command.read)(context, words) {
        Ok(query) => Ok(query),
        Err(Wrong::Usage) => misuse(String::new(), command.usage),
        Err(Wrong::Option(problem)) => misuse(format!("{name}: {problem}"), command.usage),
        Err(Wrong::Value(problem)) => misuse(format!("{name}: {problem}"), ""),
    }
}

impl Misuse {
    /// The text, a line or several.
    pub fn text(&self) -> String {
        let attributes = match self.usage {
            ADD_USAGE | MODIFY_USAGE => PRINCIPAL_ATTRIBUTES,
            _ => "",
        };
        let line = if self.problem.is_empty() { String::new() } else { format!("{}\n", self.problem) };
        format!("{line}{}{attributes}", self.usage)
    }
}

/// Reads `+flag` or `-flag` into settings; `false` if it is none.
pub(super) fn flag(settings: &mut Settings, word: &str) -> bool {
    principal::flag(settings, word).is_ok()
}

/// The list of commands, or how one is used.
fn help(words: &[String]) -> Result<Query, Wrong> {
    match words {
        [] => Ok(Query::Help { command: None }),
        [name] => {
            let command = COMMANDS.iter().find(|command| command.names.contains(&name.as_str()));
            let command = command.ok_or_else(|| Wrong::Value(format!("there is no request {name}")))?;
            Ok(Query::Help { command: Some(command) })
        }
        _ => Err(Wrong::Usage),
    }
}

fn none(words: &[String], query: Query) -> Result<Query, Wrong> {
    if words.is_empty() { Ok(query) } else { Err(Wrong::Usage) }
}

impl Context<'_> {
    fn principal(&self, word: &str) -> Result<Principal, Wrong> {
        self.named(word, "principal")
    }

    /// A principal, which MIT calls `what` when it is none.
    fn named(&self, word: &str, what: &str) -> Result<Principal, Wrong> {
        Principal::parse(word, Some(self.realm))
            .map_err(|_| Wrong::Value(format!("Malformed representation of principal while parsing {what}")))
    }
}

#[cfg(test)]
mod tests;
