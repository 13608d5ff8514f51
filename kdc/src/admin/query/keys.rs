//! The commands on keys and keytabs.

use super::dates::interval;
use super::{Context, Query, Typed, Which, Whose, Wrong};
use crate::admin::keys::key_kinds;
use crate::admin::operation::{Keep, KeyKind};

pub(super) fn kinds(list: &str) -> Result<Vec<KeyKind>, Wrong> {
    key_kinds(list).map_err(Wrong::Value)
}

/// The options that come before the principals of `ktadd` and `ktremove`.
#[derive(Default)]
struct Options<'a> {
    keytab: Option<String>,
    quiet: bool,
    norandkey: bool,
    kinds: Option<Vec<KeyKind>>,
    rest: &'a [String],
}

fn options(words: &[String], add: bool) -> Result<Options<'_>, Wrong> {
    let mut options = Options { rest: words, ..Options::default() };
    // The last word is a principal, or a number after one, whatever it looks like.
    while let [word, rest @ ..] = options.rest
        && word.starts_with('-')
        && !rest.is_empty()
    {
        options.rest = rest;
        let mut value = || match options.rest {
            [value, rest @ ..] => {
                options.rest = rest;
                Ok(value)
            }
            [] => Err(Wrong::Usage),
        };
        match word.as_str() {
            "-k" | "-keytab" => options.keytab = Some(value()?.clone()),
            "-q" => options.quiet = true,
            "-norandkey" if add => options.norandkey = true,
            "-e" if add => options.kinds = Some(kinds(value()?)?),
            "-glob" if add => {
                options.rest = words.get(words.len() - rest.len() - 1..).unwrap_or_default();
                break;
            }
            _ => return Err(Wrong::Option(format!("unrecognized option {word}"))),
        }
    }
    Ok(options)
}

pub(super) fn keytab_add(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    let options = options(words, true)?;
    if options.norandkey && options.kinds.is_some() {
        return Err(Wrong::Value("cannot specify keysaltlist when not changing key".into()));
    }
    let mut whose = vec![];
    let mut words = options.rest.iter();
    while let Some(word) = words.next() {
        whose.push(match word.as_str() {
            "-glob" if words.len() > 0 => Whose::Matching(words.next().cloned().unwrap_or_default()),
            _ => Whose::One(typed(context, word)?),
        });
    }
    if whose.is_empty() {
        return Err(Wrong::Usage);
    }
    let fresh = (!options.norandkey).then(|| options.kinds.unwrap_or_default());
    Ok(Query::KeytabAdd { keytab: options.keytab, quiet: options.quiet, fresh, whose })
}

pub(super) fn keytab_remove(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    let options = options(words, false)?;
    let (name, which) = match options.rest {
        [name] => (name, Which::All),
        [name, which] => (
            name,
            match which.as_str() {
                "all" => Which::All,
                "old" => Which::Old,
                number => Which::Version(number.parse().map_err(|_| Wrong::Usage)?),
            },
        ),
        _ => return Err(Wrong::Usage),
    };
    Ok(Query::KeytabRemove { keytab: options.keytab, quiet: options.quiet, name: typed(context, name)?, which })
}

pub(super) fn purge(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    let (name, keep) = match words {
        [name] => (name, Keep::Newest),
        [option, name] if option == "-all" => (name, Keep::Nothing),
        [option, age, name] if option == "-olderthan" => (name, Keep::ReplacedWithin(interval(context, age)?)),
        [option, kvno, name] if option == "-keepkvno" => (name, Keep::From(kvno.parse().map_err(|_| Wrong::Usage)?)),
        _ => return Err(Wrong::Usage),
    };
    Ok(Query::PurgeKeys { name: context.principal(name)?, keep })
}

pub(super) fn rotate(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    let (mut announce, mut overlap, mut words) = (0, None, words);
    while let [option, value, rest @ ..] = words {
        match option.as_str() {
            "-announce" => announce = interval(context, value)?,
            "-overlap" => overlap = Some(interval(context, value)?),
            _ => return Err(Wrong::Usage),
        }
        words = rest;
    }
    let [name] = words else { return Err(Wrong::Usage) };
    Ok(Query::Rotate { name: context.principal(name)?, announce, overlap })
}

fn typed(context: &Context<'_>, word: &str) -> Result<Typed, Wrong> {
    Ok(Typed { name: context.principal(word)?, typed: word.to_owned() })
}
