//! Principals and realms: parsed once at the border, typed inside (RFC 4120 6, RFC 1964 2.1.1).
//! Not here: the DER of names ([`crate::wire`]) and the mapping of hosts to realms.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::Chars;
use std::sync::{Arc, LazyLock};

use crate::codes::NameType;
use crate::error::{Error, Result};

/// The most components a name may have; the RFC sets no bound, strangers need one.
pub const MAX_COMPONENTS: usize = 64;

/// A principal: name type, components and realm.
///
/// Equality ignores the name type, which is only a hint (RFC 4120 6.2). Cloning is cheap.
#[derive(Clone)]
pub struct Principal {
    kind: NameType,
    realm: Arc<str>,
    components: Arc<[Box<str>]>,
}

impl Principal {
    /// A principal of these parts. The realm may be empty only for a referral's "any realm".
    ///
    /// # Errors
    /// [`Error::Name`] for no component or more than [`MAX_COMPONENTS`].
    pub fn new<C: AsRef<str>>(kind: NameType, realm: &str, components: impl IntoIterator<Item = C>) -> Result<Self> {
        let components: Arc<[Box<str>]> = components.into_iter().map(|part| part.as_ref().into()).collect();
        Self::of(kind, realm.into(), components)
    }

    /// The same of components that are counted.
    pub(crate) fn counted<'a>(
        kind: NameType,
        realm: impl Into<Arc<str>>,
        (count, mut components): (usize, impl Iterator<Item = &'a str>),
    ) -> Result<Self> {
        // A range knows its length, so that what is collected lies where it is to stay.
        let components = (0..count).map(|_| components.next().unwrap_or_default().into()).collect();
        Self::of(kind, realm.into(), components)
    }

    fn of(kind: NameType, realm: Arc<str>, components: Arc<[Box<str>]>) -> Result<Self> {
        if components.is_empty() {
            return Err(Error::Name("no name component"));
        }
        if components.len() > MAX_COMPONENTS {
            return Err(Error::Name("too many name components"));
        }
        Ok(Principal { kind, realm, components })
    }

    /// A name without components: MIT writes it into a credential cache where it has no name. No other
    /// room makes one.
    pub(crate) fn nameless(kind: NameType, realm: &str) -> Self {
        Self::known(kind, realm, [])
    }

    fn known<const N: usize>(kind: NameType, realm: &str, components: [&str; N]) -> Self {
        Principal { kind, realm: realm.into(), components: components.map(Into::into).into() }
    }

    /// `krbtgt/REALM@REALM`: the ticket-granting service of a realm in its own eyes (RFC 4120 7.3).
    pub fn tgs(realm: &str) -> Self {
        Self::cross_tgs(realm, realm)
    }

    /// `krbtgt/TARGET@REALM`: how to get from `realm` to `target`.
    pub fn cross_tgs(target: &str, realm: &str) -> Self {
        Self::known(NameType::SRV_INST, realm, ["krbtgt", target])
    }

    /// `kadmin/fetch@REALM`: the service of our KDC at which services fetch their own keys.
    pub fn fetch(realm: &str) -> Self {
        Self::known(NameType::SRV_INST, realm, ["kadmin", "fetch"])
    }

    /// `kadmin/changepw@REALM`: the password-changing service (RFC 3244).
    pub fn changepw(realm: &str) -> Self {
        Self::known(NameType::SRV_INST, realm, ["kadmin", "changepw"])
    }

    /// `service/host@REALM`, of type NT-SRV-HST.
    pub fn service(service: &str, host: &str, realm: &str) -> Self {
        Self::known(NameType::SRV_HST, realm, [service, host])
    }

    /// `WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS` (RFC 8062 3).
    pub fn anonymous() -> &'static Self {
        static NOBODY: LazyLock<Principal> =
            LazyLock::new(|| Principal::known(NameType::WELLKNOWN, "WELLKNOWN:ANONYMOUS", ["WELLKNOWN", "ANONYMOUS"]));
        &NOBODY
    }

    /// Parses `a/b@REALM`. A backslash quotes `/`, `@` and itself; `\n \t \b \0` stand for control
    /// characters, and so does `\u{1b}` for any of them. Without a realm part `default_realm` is used.
    ///
    /// # Errors
    /// [`Error::Name`] for a second `@`, a dangling backslash, an empty name, or a missing realm.
    pub fn parse(text: &str, default_realm: Option<&str>) -> Result<Self> {
        if let Some((name, realm)) = plain(text)
            && let Some(realm) = realm.or(default_realm)
        {
            let kind = guess_kind(name.split('/'));
            return Principal::new(kind, realm, name.split('/'));
        }
        let (components, realm) = split(text, true)?;
        let realm = realm.or_else(|| default_realm.map(str::to_owned)).ok_or(Error::Name("no realm given"))?;
        let kind = guess_kind(components.iter().map(String::as_str));
        Principal::new(kind, &realm, components)
    }

    /// Parses an enterprise name (RFC 6806 5): `user@mail.example`, one component, whose realm may
    /// follow after a second `@`.
    ///
    /// # Errors
    /// As [`Principal::parse`].
    pub fn parse_enterprise(text: &str, default_realm: Option<&str>) -> Result<Self> {
        let (mut components, realm) = split(text, false)?;
        let realm = realm.or_else(|| default_realm.map(str::to_owned)).ok_or(Error::Name("no realm given"))?;
        let name = components.pop().filter(|_| components.is_empty()).ok_or(Error::Name("enterprise name"))?;
        Principal::new(NameType::ENTERPRISE, &realm, [name])
    }

    /// The name type; a hint, not part of the identity.
    pub fn kind(&self) -> NameType {
        self.kind
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The realm, to be shared.
    pub(crate) fn shared_realm(&self) -> Arc<str> {
        Arc::clone(&self.realm)
    }

    /// The components; never empty, but for a name left out in a credential cache.
    pub fn components(&self) -> &[Box<str>] {
        &self.components
    }

    /// The same name in another realm.
    #[must_use]
    pub fn in_realm(&self, realm: &str) -> Self {
        Principal { kind: self.kind, realm: realm.into(), components: self.components.clone() }
    }

    /// The same name with another name type.
    #[must_use]
    pub fn with_kind(mut self, kind: NameType) -> Self {
        self.kind = kind;
        self
    }

    /// Whether these are the same components, whatever the realms.
    pub fn same_name(&self, other: &Principal) -> bool {
        self.components == other.components
    }

    /// For `krbtgt/X@Y`: `X`.
    pub fn tgs_target(&self) -> Option<&str> {
        match &*self.components {
            [service, target] if &**service == "krbtgt" => Some(target),
            _ => None,
        }
    }

    /// Whether this is `krbtgt/X@X`.
    pub fn is_local_tgs(&self) -> bool {
        self.tgs_target() == Some(self.realm())
    }

    /// Whether this is `kadmin/changepw`, in whatever realm.
    pub fn is_changepw(&self) -> bool {
        matches!(&*self.components, [service, what] if &**service == "kadmin" && &**what == "changepw")
    }

    /// Whether this is `WELLKNOWN/ANONYMOUS`, in whatever realm (RFC 8062 3).
    pub fn is_anonymous(&self) -> bool {
        matches!(&*self.components, [first, second] if &**first == "WELLKNOWN" && &**second == "ANONYMOUS")
    }

    /// The default salt of its password keys: realm and components without separators (RFC 4120 4).
    pub fn salt(&self) -> String {
        let mut salt = self.realm.to_string();
        self.components.iter().for_each(|part| salt.push_str(part));
        salt
    }

    /// The name for a text about a stranger who may have made it as long as he likes: cut.
    pub(crate) fn in_brief(&self) -> String {
        let mut brief = Brief(String::new());
        if fmt::Write::write_fmt(&mut brief, format_args!("{self}")).is_err() {
            brief.0.push_str("...");
        }
        brief.0
    }

    /// The name without its realm, escaped as in [`fmt::Display`].
    pub fn without_realm(&self) -> impl fmt::Display + '_ {
        WithoutRealm(self)
    }
}

/// What `krb5_parse_name` guesses: krbtgt is a service instance, WELLKNOWN is well-known.
fn guess_kind<'a>(mut components: impl Iterator<Item = &'a str>) -> NameType {
    match (components.next(), components.count()) {
        (Some("krbtgt"), 1) => NameType::SRV_INST,
        (Some("WELLKNOWN"), 1..) => NameType::WELLKNOWN,
        _ => NameType::PRINCIPAL,
    }
}

/// Name and realm of a text in which nothing is quoted and nothing is wrong: most.
fn plain(text: &str) -> Option<(&str, Option<&str>)> {
    if text.bytes().any(|octet| matches!(octet, b'\\' | 0)) {
        return None;
    }
    let (name, realm) = text.split_once('@').map_or((text, None), |(name, realm)| (name, Some(realm)));
    let sound = !name.is_empty() && realm.is_none_or(|realm| !realm.is_empty() && !realm.contains('@'));
    sound.then_some((name, realm))
}

/// Splits at unquoted `/` and `@`. An enterprise name has no separators and keeps its first `@`.
fn split(text: &str, separators: bool) -> Result<(Vec<String>, Option<String>)> {
    let mut components = vec![];
    let mut realm = None;
    let mut part = String::new();
    let mut ats = 0;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => part.push(quoted(&mut chars).ok_or(Error::Name("backslash at the end"))?),
            '/' if separators && ats == 0 => components.push(std::mem::take(&mut part)),
            '@' => {
                ats += 1;
                match (separators, ats) {
                    (false, 1) => part.push('@'),
                    (true, 1) | (false, 2) => {
                        components.push(std::mem::take(&mut part));
                        realm = Some(());
                    }
                    _ => return Err(Error::Name("second '@'")),
                }
            }
            '\0' => return Err(Error::Name("NUL character")),
            c => part.push(c),
        }
    }
    let realm = match realm {
        Some(()) => Some(part),
        None => {
            components.push(part);
            None
        }
    };
    if components.iter().all(String::is_empty) && components.len() == 1 {
        return Err(Error::Name("empty name"));
    }
    if realm.as_deref() == Some("") {
        return Err(Error::Name("empty realm"));
    }
    Ok((components, realm))
}

/// The character that a backslash and what follows it stand for.
pub(crate) fn quoted(rest: &mut Chars<'_>) -> Option<char> {
    let c = rest.next()?;
    let number = rest.as_str().strip_prefix('{').filter(|_| c == 'u').and_then(|text| text.split_once('}'));
    let control = number.and_then(|(digits, after)| {
        let control = char::from_u32(u32::from_str_radix(digits, 16).ok()?).filter(|c| c.is_control())?;
        Some((control, after))
    });
    let Some((control, after)) = control else { return Some(unquote(c)) };
    *rest = after.chars();
    Some(control)
}

/// The character that a backslash and `c` stand for.
fn unquote(c: char) -> char {
    match c {
        'n' => '\n',
        't' => '\t',
        'b' => '\u{8}',
        '0' => '\0',
        c => c,
    }
}

fn write_escaped(f: &mut fmt::Formatter<'_>, part: &str) -> fmt::Result {
    use fmt::Write;
    if part.bytes().all(|octet| matches!(octet, b' '..=b'~') && !matches!(octet, b'/' | b'@' | b'\\')) {
        return f.write_str(part);
    }
    for c in part.chars() {
        match c {
            '/' | '@' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\u{8}' => f.write_str("\\b")?,
            '\0' => f.write_str("\\0")?,
            // A terminal that a name is shown on obeys these.
            c if c.is_control() => write!(f, "\\u{{{:x}}}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    Ok(())
}

/// A text that takes no more than so many characters.
struct Brief(String);

const BRIEF: usize = 200;

impl fmt::Write for Brief {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend(text.chars().take(BRIEF.saturating_sub(self.0.chars().count())));
        if self.0.chars().count() < BRIEF { Ok(()) } else { Err(fmt::Error) }
    }
}

struct WithoutRealm<'a>(&'a Principal);

impl fmt::Display for WithoutRealm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.components.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            write_escaped(f, part)?;
        }
        Ok(())
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@", WithoutRealm(self))?;
        write_escaped(f, &self.realm)
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Principal({self})")
    }
}

impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        self.components == other.components && self.realm == other.realm
    }
}

impl Eq for Principal {}

impl Hash for Principal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_parts(self.components.iter().map(|part| part.as_bytes()), &self.realm, state);
    }
}

/// As a principal of these components is hashed.
pub(crate) fn hash_parts<'a, H: Hasher>(parts: impl Iterator<Item = &'a [u8]>, realm: &str, state: &mut H) {
    for part in parts {
        state.write(part);
        // No text has this octet.
        state.write_u8(0xff);
    }
    state.write(realm.as_bytes());
}

impl PartialOrd for Principal {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Principal {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.components, &self.realm).cmp(&(&other.components, &other.realm))
    }
}

#[cfg(test)]
mod tests;
