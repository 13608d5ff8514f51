//! MIT's rules for choosing certificates (`pkinit_cert_match`): `[&&|||]` before parts such as
//! `<SUBJECT>pattern`, `<ISSUER>pattern`, `<SAN>pattern`, `<EKU>list`, `<KU>list`.

use regex_lite::{Regex, RegexBuilder};

use super::certificate::{Certificate, KeyUses, Purpose};
use crate::error::{Error, Result};

/// The longest rule, in bytes, and the most memory that its patterns may take.
const LONGEST: usize = 4096;
const MOST_MEMORY: usize = 1 << 20;

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    any: bool,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Subject(Regex),
    Issuer(Regex),
    Name(Regex),
    Purposes(Vec<Purpose>),
    Uses(Vec<KeyUses>),
}

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// [`Error::Setting`] that says what was expected.
    pub fn parse(text: &str) -> Result<Rule> {
        let wrong = |problem: &str| Error::Setting(format!("a rule for certificates: {problem}"));
        if text.len() > LONGEST {
            return Err(wrong("longer than 4096 bytes"));
        }
        let (any, text) = match (text.strip_prefix("||"), text.strip_prefix("&&")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => (false, text),
        };
        let mut parts = vec![];
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let keyword = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
            let (keyword, after) = keyword.ok_or_else(|| {
                wrong("<SUBJECT>, <ISSUER>, <SAN>, <EKU> or <KU> expected, such as `<SUBJECT>CN=alice,.*`")
            })?;
            let end = next_part(after);
            let (value, next) = after.split_at(end);
            parts.push(Part::parse(keyword, value.trim_end()).map_err(|problem| wrong(&problem))?);
            rest = next;
        }
        if parts.is_empty() {
            Err(wrong("at least one part such as <EKU>pkinit expected"))
        } else {
            Ok(Rule { any, parts })
        }
    }

    /// Whether a certificate matches.
    pub fn matches(&self, certificate: &Certificate<'_>) -> bool {
        let mut parts = self.parts.iter();
        if self.any { parts.any(|part| part.matches(certificate)) } else { parts.all(|part| part.matches(certificate)) }
    }
}

/// Where the next keyword begins; patterns may have a `<` of their own.
fn next_part(text: &str) -> usize {
    let keywords = ["<SUBJECT>", "<ISSUER>", "<SAN>", "<EKU>", "<KU>"];
    keywords.iter().filter_map(|keyword| text.find(keyword)).min().unwrap_or(text.len())
}

impl Part {
    fn parse(keyword: &str, value: &str) -> Result<Part, String> {
        let pattern = || {
            let built = RegexBuilder::new(value).size_limit(MOST_MEMORY).build();
            built.map_err(|_| format!("<{keyword}> is followed by no regular expression"))
        };
        let words = value.split(',').map(str::trim);
        match keyword {
            "SUBJECT" => pattern().map(Part::Subject),
            "ISSUER" => pattern().map(Part::Issuer),
            "SAN" => pattern().map(Part::Name),
            "EKU" => {
                let known = "pkinit, msScLogin, clientAuth and emailProtection are known to <EKU>";
                let purposes = words.map(Purpose::parse).collect::<Option<_>>();
                purposes.map(Part::Purposes).ok_or_else(|| known.to_owned())
            }
            "KU" => {
                let use_of = |word| match word {
                    "digitalSignature" => Some(KeyUses::DIGITAL_SIGNATURE),
                    "keyEncipherment" => Some(KeyUses::KEY_ENCIPHERMENT),
                    _ => None,
                };
                let known = "digitalSignature and keyEncipherment are known to <KU>";
                words.map(use_of).collect::<Option<_>>().map(Part::Uses).ok_or_else(|| known.to_owned())
            }
            _ => Err("<SUBJECT>, <ISSUER>, <SAN>, <EKU> and <KU> are known".to_owned()),
        }
    }

    fn matches(&self, certificate: &Certificate<'_>) -> bool {
        match self {
            Part::Subject(pattern) => pattern.is_match(&certificate.subject_text()),
            Part::Issuer(pattern) => pattern.is_match(&certificate.issuer_text()),
            Part::Name(pattern) => certificate.names().texts().iter().any(|name| pattern.is_match(name)),
            Part::Purposes(wanted) => {
                let has = certificate.purposes().unwrap_or_default();
                wanted.iter().all(|purpose| has.contains(purpose))
            }
            Part::Uses(wanted) => {
                let has = certificate.key_uses().unwrap_or(KeyUses(0));
                wanted.iter().all(|uses| has.has(*uses))
            }
        }
    }
}
