//! The realms between a client's and a server's: how a ticket names them (DOMAIN-X500-COMPRESS, RFC
//! 4120 3.3.3.2), and which of them are to be trusted ([`Paths`], 1.2). Pure text: not here is who
//! adds a realm, and what becomes of a ticket that came through the wrong ones.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod path;

pub(crate) use path::MAX_PATH;
pub use path::{Paths, hierarchy};

use crate::codes::TransitedType;
use crate::error::{Error, ErrorCode, Result};
use crate::wire::TransitedEncoding;

/// The most realms that a ticket may have come through. The shorthand lets a few octets stand for many.
pub const MAX_REALMS: usize = 64;

/// The most octets of a realm's name, written out.
const MAX_NAME: usize = 512;

/// The realms that the transited field of a ticket names, written out, each once, in the order of the
/// field. `client` and `server` are the realms of the ticket's client and server, between which a null
/// subfield is understood.
///
/// # Errors
/// KDC_ERR_TRTYPE_NOSUPP for another encoding. [`Error::Malformed`] for what is none: a dangling
/// backslash, a null subfield between realms that have no parent in common, too many realms, too long
/// names.
pub fn expand(field: TransitedEncoding<'_>, client: &str, server: &str) -> Result<Vec<String>> {
    if field.contents.is_empty() {
        return Ok(vec![]);
    }
    if field.kind != TransitedType::DOMAIN_X500_COMPRESS {
        return Err(Error::code(ErrorCode::TRTYPE_NOSUPP));
    }
    let text = std::str::from_utf8(field.contents).map_err(|_| Error::Malformed(MALFORMED))?;
    let mut realms = Realms::default();
    // The last realm that was named, to which shortened ones are joined, and whether all up to the next
    // one are meant.
    let (mut previous, mut all) = (None::<String>, false);
    for subfield in subfields(text)? {
        if subfield.is_null() {
            all = true;
            continue;
        }
        let realm = subfield.joined(previous.as_deref().unwrap_or(""));
        if realm.is_empty() {
            return Err(Error::Malformed(MALFORMED));
        }
        if std::mem::take(&mut all) {
            realms.between(previous.as_deref().unwrap_or(client), &realm)?;
        }
        realms.add(&realm)?;
        previous = Some(realm);
    }
    if all {
        realms.between(previous.as_deref().unwrap_or(client), server)?;
    }
    Ok(realms.0)
}

/// The contents of a transited field that names these realms, each shortened by the one before it
/// where it can be. Empty names, which no realm has, are left out.
pub fn compress<R: AsRef<str>>(realms: impl IntoIterator<Item = R>) -> String {
    let mut field = String::new();
    let mut previous: Option<R> = None;
    for realm in realms {
        let name = realm.as_ref();
        if name.is_empty() {
            continue;
        }
        if previous.is_some() {
            field.push(',');
        }
        shorten(name, previous.as_ref().map_or("", R::as_ref), &mut field);
        previous = Some(realm);
    }
    field
}

const MALFORMED: &str = "malformed transited field";

/// Realms, each once, within the bounds.
#[derive(Default)]
struct Realms(Vec<String>);

impl Realms {
    fn add(&mut self, realm: &str) -> Result<()> {
        if self.0.iter().any(|known| known == realm) {
            return Ok(());
        }
        if self.0.len() == MAX_REALMS || realm.len() > MAX_NAME {
            return Err(Error::Malformed("a transited field of too many realms or too long names"));
        }
        self.0.push(realm.to_owned());
        Ok(())
    }

    /// All on the way from one realm to another, by their names.
    fn between(&mut self, from: &str, to: &str) -> Result<()> {
        let path = path::related(from, to).ok_or(Error::Malformed(MALFORMED))?;
        let inner = path.len().saturating_sub(2);
        path.iter().skip(1).take(inner).try_for_each(|realm| self.add(realm))
    }
}

/// What stands between two commas, with its quoting taken off.
#[derive(Default)]
struct Subfield {
    text: String,
    /// A leading space: what follows is not joined to the realm before, though it begins with a slash.
    alone: bool,
    /// Whether the first character was quoted.
    quoted_first: bool,
    /// Whether the last one was.
    quoted_last: bool,
}

impl Subfield {
    fn is_null(&self) -> bool {
        self.text.is_empty() && !self.alone
    }

    fn push(&mut self, c: char, quoted: bool) {
        if self.text.is_empty() {
            if c == ' ' && !quoted {
                self.alone = true;
                return;
            }
            self.quoted_first = quoted;
        }
        self.quoted_last = quoted;
        self.text.push(c);
    }

    /// The realm that it names after `previous`.
    fn joined(self, previous: &str) -> String {
        if self.text.starts_with('/') && !self.alone && !self.quoted_first {
            format!("{previous}{}", self.text)
        } else if self.text.ends_with('.') && !self.quoted_last {
            format!("{}{previous}", self.text)
        } else {
            self.text
        }
    }
}

fn subfields(text: &str) -> Result<Vec<Subfield>> {
    let mut fields = vec![];
    let mut field = Subfield::default();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ',' => fields.push(std::mem::take(&mut field)),
            '\\' => field.push(chars.next().ok_or(Error::Malformed(MALFORMED))?, true),
            c => field.push(c, false),
        }
    }
    fields.push(field);
    Ok(fields)
}

/// Writes `realm` as it stands after `previous`.
fn shorten(realm: &str, previous: &str, field: &mut String) {
    let below = realm.strip_prefix(previous).filter(|rest| rest.starts_with('/'));
    let above = realm.strip_suffix(previous).filter(|_| !previous.is_empty());
    let above = above.and_then(|rest| rest.strip_suffix('.')).filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
    match (below, above) {
        (Some(below), _) => quote(below, field),
        (None, Some(above)) => {
            quote(above, field);
            field.push('.');
        }
        (None, None) => {
            if realm.starts_with('/') {
                field.push(' ');
            }
            quote(realm, field);
        }
    }
}

/// Commas and backslashes, leading spaces and trailing dots mean something else unless they are quoted.
fn quote(text: &str, field: &mut String) {
    let body = text.trim_start_matches(' ').trim_end_matches('.').len();
    let start = text.len() - text.trim_start_matches(' ').len();
    for (at, c) in text.char_indices() {
        if at < start || at >= start + body || matches!(c, ',' | '\\') {
            field.push('\\');
        }
        field.push(c);
    }
}

#[cfg(test)]
mod tests;
