//! The commands on principals.

use super::dates::{date, interval};
use super::keys::kinds;
use super::{Context, KeyWish, Query, Wrong};
use crate::admin::operation::{Secret, Settings};
use crate::core::Attributes;

/// The options of `addprinc` and `modprinc`, whose sets differ by a few.
#[derive(Default)]
struct Options {
    settings: Settings,
    kvno: Option<u32>,
    password: Option<Secret>,
    random: bool,
    keyless: bool,
    kinds: Vec<super::KeyKind>,
}

pub(super) fn add(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    let (name, words) = words.split_last().ok_or(Wrong::Usage)?;
    let options = options(context, words, true)?;
    let keys = match (options.keyless, options.random, options.password) {
        (true, false, None) => KeyWish::Keyless,
        (false, true, None) => KeyWish::Random(options.kinds),
        (false, false, password) => KeyWish::Password(password, options.kinds),
        _ => return Err(Wrong::Option("only one of -randkey, -nokey and -pw can be given".into())),
    };
    let name = usage_too(context.principal(name))?;
    Ok(Query::Add { name, keys, kvno: options.kvno, settings: options.settings })
}

pub(super) fn modify(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    let (name, words) = words.split_last().ok_or(Wrong::Usage)?;
    let Options { settings, kvno, .. } = options(context, words, false)?;
    Ok(Query::Modify { name: usage_too(context.principal(name))?, kvno, settings })
}

/// MIT says how these two commands are used whatever is wrong with them.
fn usage_too<T>(read: Result<T, Wrong>) -> Result<T, Wrong> {
    read.map_err(|wrong| match wrong {
        Wrong::Value(problem) => Wrong::Option(problem),
        wrong => wrong,
    })
}

fn options(context: &Context<'_>, words: &[String], new: bool) -> Result<Options, Wrong> {
    let mut options = Options::default();
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(Wrong::Usage);
        match word {
            "-expire" => options.settings.expires = Some(date(context, value()?)?.seconds()),
            "-pwexpire" => options.settings.password_expires = Some(date(context, value()?)?.seconds()),
            "-maxlife" => options.settings.max_life = Some(interval(context, value()?)?),
            "-maxrenewlife" => options.settings.max_renewable_life = Some(interval(context, value()?)?),
            "-kvno" => options.kvno = Some(number(value()?)?),
            "-policy" => options.settings.policy = Some(value()?.to_owned()),
            "-clearpolicy" => options.settings.policy = Some(String::new()),
            "-unlock" if !new => options.settings.unlock = true,
            "-x" => return Err(Wrong::Value("-x: the store of this KDC takes no such arguments".into())),
            "-pw" if new => options.password = Some(Secret::new(value()?.into())),
            "-randkey" if new => options.random = true,
            "-nokey" if new => options.keyless = true,
            "-e" if new => options.kinds = kinds(value()?)?,
            word => flag(&mut options.settings, word)?,
        }
    }
    Ok(options)
}

fn number(word: &str) -> Result<u32, Wrong> {
    word.parse().map_err(|_| Wrong::Option(format!("a key version number was expected, not {word}")))
}

/// `+flag` or `-flag`, in the query language's spelling or the output's, in any case.
pub(super) fn flag(settings: &mut Settings, word: &str) -> Result<(), Wrong> {
    let unknown = || match word.starts_with(['+', '-']) {
        true => Wrong::Option(format!("unrecognized option {word}")),
        false => Wrong::Usage,
    };
    let plus = word.starts_with('+');
    let name = word.get(1..).filter(|_| word.starts_with(['+', '-'])).ok_or_else(unknown)?.replace('-', "_");
    let row = |(bit, shown, query, positive): &(Attributes, &str, &str, bool)| {
        if name.eq_ignore_ascii_case(query) {
            Some((bit.0, *positive == plus))
        } else {
            name.eq_ignore_ascii_case(shown).then_some((bit.0, plus))
        }
    };
    let (bit, set) = Attributes::TABLE.iter().find_map(row).ok_or_else(unknown)?;
    let (to, from) = match set {
        true => (&mut settings.set, &mut settings.clear),
        false => (&mut settings.clear, &mut settings.set),
    };
    *to |= bit;
    *from &= !bit;
    Ok(())
}

pub(super) fn change_password(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    let (mut random, mut keep_old, mut password, mut kinds_given) = (false, false, None, vec![]);
    let mut words = words.iter().map(String::as_str);
    let mut names = vec![];
    while let Some(word) = words.next() {
        match word {
            _ if words.len() == 0 => names.push(word),
            "-randkey" => random = true,
            "-keepold" => keep_old = true,
            "-pw" => {
                let given = words.next().ok_or_else(|| Wrong::Option("missing password arg".into()))?;
                password = Some(Secret::new(given.into()));
            }
            "-e" => kinds_given = kinds(words.next().ok_or_else(|| Wrong::Option("missing keysaltlist arg".into()))?)?,
            word if word.starts_with('-') => return Err(Wrong::Option(format!("unrecognized option {word}"))),
            word => names.push(word),
        }
    }
    let name = match names[..] {
        [name] => context.named(name, "principal name")?,
        [] => return Err(Wrong::Option("missing principal name".into())),
        _ => return Err(Wrong::Option("too many arguments".into())),
    };
    let keys = match (random, password) {
        (true, None) => KeyWish::Random(kinds_given),
        (false, password) => KeyWish::Password(password, kinds_given),
        (true, Some(_)) => return Err(Wrong::Option("only one of -randkey and -pw can be given".into())),
    };
    Ok(Query::ChangeKeys { name, keys, keep_old })
}

pub(super) fn delete(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    let (force, name) = forced(words);
    match name {
        [name] => Ok(Query::Delete { name: context.named(name, "principal name")?, force }),
        _ => Err(Wrong::Usage),
    }
}

pub(super) fn rename(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    let (force, names) = forced(words);
    match names {
        [name, to] => {
            let name = context.named(name, "old principal name")?;
            Ok(Query::Rename { name, to: context.named(to, "new principal name")?, force })
        }
        _ => Err(Wrong::Usage),
    }
}

/// Whether the first of several words is `-force`, and the others.
fn forced(words: &[String]) -> (bool, &[String]) {
    match words {
        [first, rest @ ..] if first == "-force" && !rest.is_empty() => (true, rest),
        words => (false, words),
    }
}

pub(super) fn alias(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    match words {
        [alias, name] => {
            let alias = context.named(alias, "alias principal name")?;
            Ok(Query::Alias { alias, name: context.named(name, "target principal name")? })
        }
        _ => Err(Wrong::Usage),
    }
}

pub(super) fn describe(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    match words {
        [terse, name] if terse == "-terse" => Ok(Query::Describe { name: context.principal(name)?, terse: true }),
        [name] => Ok(Query::Describe { name: context.principal(name)?, terse: false }),
        _ => Err(Wrong::Usage),
    }
}

pub(super) fn list(_: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    match words {
        [] => Ok(Query::List { pattern: None }),
        [pattern] => Ok(Query::List { pattern: Some(pattern.clone()) }),
        _ => Err(Wrong::Usage),
    }
}

pub(super) fn strings(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    match words {
        [name] => Ok(Query::Strings { name: context.principal(name)? }),
        _ => Err(Wrong::Usage),
    }
}

pub(super) fn set_string(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    match words {
        [name, key, value] => {
            Ok(Query::SetString { name: context.principal(name)?, key: key.clone(), value: Some(value.clone()) })
        }
        _ => Err(Wrong::Usage),
    }
}

pub(super) fn delete_string(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    match words {
        [name, key] => Ok(Query::SetString { name: context.principal(name)?, key: key.clone(), value: None }),
        _ => Err(Wrong::Usage),
    }
}
