//! A line of `kdb5_util dump` taken apart (MIT krb5, src/kadmin/dbutil/dump.c): fields between tabs,
//! octets in hexadecimal or `-1` for none. Not here: what they mean.

use crate::core::PasswordPolicy;

/// A line of a dump.
pub enum Record<'a> {
    /// `princ`
    Principal(Princ<'a>),
    /// `policy`
    Policy(Policy),
}

/// The fields of a principal.
pub struct Princ<'a> {
    /// Its name.
    pub name: &'a str,
    /// Flags.
    pub attributes: u32,
    /// Seconds; 0: the realm's.
    pub max_life: i64,
    /// Seconds; 0: the realm's.
    pub max_renewable_life: i64,
    /// Seconds since 1970; 0: never.
    pub expires: i64,
    /// Seconds since 1970; 0: never.
    pub password_expires: i64,
    /// Seconds since 1970; 0: never.
    pub last_success: i64,
    /// Seconds since 1970; 0: never.
    pub last_failure: i64,
    /// Failures in a row.
    pub failures: u32,
    /// What later versions added: type and octets.
    pub tagged: Vec<(i32, Vec<u8>)>,
    /// Its keys.
    pub keys: Vec<KeyData>,
    /// What a database module keeps of its own.
    pub extra: usize,
}

/// A key, still sealed, and its salt.
pub struct KeyData {
    /// Its version.
    pub kvno: u32,
    /// Enctype, and the length and ciphertext of the key.
    pub key: Option<(i32, Vec<u8>)>,
    /// Type and octets of the salt; none for the normal one.
    pub salt: Option<(i32, Vec<u8>)>,
}

/// The fields of a policy.
pub struct Policy {
    /// What we have too.
    pub policy: PasswordPolicy,
    /// Flags.
    pub attributes: u32,
    /// Types of what later versions added.
    pub tagged: Vec<i32>,
}

/// Takes a line apart, which is without its end.
///
/// # Errors
/// What is wrong with it.
pub fn record(line: &str) -> Result<Record<'_>, String> {
    let mut fields = Fields(line.split('\t'));
    match fields.0.next() {
        Some("princ") => princ(fields).map(Record::Principal),
        Some("policy") => policy(fields).map(Record::Policy),
        _ => Err("neither a principal nor a policy".into()),
    }
}

impl Princ<'_> {
    /// The octets of a tag.
    pub fn tag(&self, kind: i32) -> Option<&[u8]> {
        self.tagged.iter().find(|(known, _)| *known == kind).map(|(_, octets)| &**octets)
    }
}

struct Fields<'a>(std::str::Split<'a, char>);

impl<'a> Fields<'a> {
    fn text(&mut self, what: &str) -> Result<&'a str, String> {
        self.0.next().ok_or_else(|| format!("it ends where {what} was expected"))
    }

    fn number(&mut self, what: &str) -> Result<i64, String> {
        self.text(what)?.parse().map_err(|_| format!("{what} is no number"))
    }

    fn between(&mut self, what: &str, least: i64, most: i64) -> Result<i64, String> {
        let number = self.number(what)?;
        match (least..=most).contains(&number) {
            true => Ok(number),
            false => Err(format!("{what} is out of range")),
        }
    }

    fn count(&mut self, what: &str) -> Result<usize, String> {
        Ok(self.between(what, 0, u16::MAX.into())? as usize)
    }

    /// A number of 32 bits that may have been written as a negative one.
    fn word(&mut self, what: &str) -> Result<u32, String> {
        Ok(self.between(what, i32::MIN.into(), u32::MAX.into())? as u32)
    }

    fn short(&mut self, what: &str) -> Result<i32, String> {
        Ok(self.between(what, i16::MIN.into(), i16::MAX.into())? as i32)
    }

    /// `length` octets, or `-1`.
    fn octets(&mut self, length: usize, what: &str) -> Result<Vec<u8>, String> {
        let text = self.text(what)?;
        match length {
            0 if text == "-1" => Ok(vec![]),
            0 => Err(format!("{what} was to be -1")),
            _ => hex(text)
                .filter(|octets| octets.len() == length)
                .ok_or_else(|| format!("{what} was to be {length} octets in hexadecimal")),
        }
    }

    fn end(mut self) -> Result<(), String> {
        self.0.next().map_or(Ok(()), |_| Err("there is more than was expected".into()))
    }
}

/// Octets from hexadecimal digits of either case.
pub fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let octets = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { octets } else { None }
}

fn princ(mut fields: Fields<'_>) -> Result<Princ<'_>, String> {
    fields.number("the length of the base")?;
    let name_length = fields.count("the length of the name")?;
    let tags = fields.count("the number of tags")?;
    let keys = fields.count("the number of keys")?;
    let extra = fields.count("the length of the extra data")?;
    let name = fields.text("the name")?;
    if name.len() != name_length {
        return Err(format!("the name was to be {name_length} bytes long"));
    }
    let princ = Princ {
        name,
        attributes: fields.word("the attributes")?,
        max_life: fields.number("the maximum life")?,
        max_renewable_life: fields.number("the maximum renewable life")?,
        expires: fields.word("the expiration")?.into(),
        password_expires: fields.word("the password's expiration")?.into(),
        last_success: fields.word("the last success")?.into(),
        last_failure: fields.word("the last failure")?.into(),
        failures: fields.word("the number of failures")?,
        tagged: (0..tags).map(|_| tagged(&mut fields)).collect::<Result<_, _>>()?,
        keys: (0..keys).map(|_| key(&mut fields)).collect::<Result<_, _>>()?,
        extra,
    };
    // MIT's own reader lets the end be without its semicolon.
    let last = fields.text("the extra data")?;
    let last = last.strip_suffix(';').unwrap_or(last);
    Fields(last.split('\t')).octets(extra, "the extra data")?;
    fields.end()?;
    Ok(princ)
}

fn tagged(fields: &mut Fields<'_>) -> Result<(i32, Vec<u8>), String> {
    let kind = fields.short("the type of a tag")?;
    let length = fields.count("the length of a tag")?;
    Ok((kind, fields.octets(length, "the content of a tag")?))
}

fn key(fields: &mut Fields<'_>) -> Result<KeyData, String> {
    let parts = fields.between("the parts of a key", 0, 2)?;
    let kvno = fields.between("the version of a key", 0, u16::MAX.into())? as u32;
    let mut part = |wanted: bool, what: &str| -> Result<Option<(i32, Vec<u8>)>, String> {
        if !wanted {
            return Ok(None);
        }
        let kind = fields.short(what)?;
        let length = fields.count(what)?;
        Ok(Some((kind, fields.octets(length, what)?)))
    };
    Ok(KeyData { kvno, key: part(parts > 0, "a key")?, salt: part(parts > 1, "the salt of a key")? })
}

fn policy(mut fields: Fields<'_>) -> Result<Policy, String> {
    let mut policy = PasswordPolicy::new(fields.text("the name")?);
    if policy.name.is_empty() {
        return Err("the policy has no name".into());
    }
    // MIT looks into its dictionary, if it has one, for everybody under a policy.
    policy.dictionary = true;
    policy.min_life = fields.word("the minimum life")?.into();
    policy.max_life = fields.word("the maximum life")?.into();
    policy.min_length = fields.word("the minimum length")?;
    policy.min_classes = fields.word("the minimum number of classes")?;
    policy.history = fields.word("the length of the history")?;
    fields.word("the number of references")?;
    policy.max_failures = fields.word("the number of failures")?;
    policy.failure_interval = fields.word("the interval of failures")?.into();
    policy.lockout_duration = fields.word("the duration of a lock")?.into();
    // Version 6 ends here, and so does what some releases wrote as version 7.
    let Some(attributes) = fields.0.next() else {
        return Ok(Policy { policy, attributes: 0, tagged: vec![] });
    };
    let attributes = attributes.parse().map_err(|_| "the attributes are no number")?;
    policy.max_ticket_life = fields.word("the maximum life of tickets")?.into();
    policy.max_renewable_life = fields.word("the maximum renewable life of tickets")?.into();
    policy.allowed_key_salts = match fields.text("the allowed key salts")? {
        "-" => String::new(),
        list => list.to_owned(),
    };
    let tags = fields.count("the number of tags")?;
    let tagged = (0..tags).map(|_| Ok(tagged(&mut fields)?.0)).collect::<Result<_, String>>()?;
    fields.end()?;
    Ok(Policy { policy, attributes, tagged })
}
