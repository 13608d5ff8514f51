//! The settings of `[libdefaults]` as types, read once: a value that cannot be is an error with
//! its line. Not here: `[realms]` and the other sections.

use super::enctypes::{EnctypeList, parse_enctypes};
use super::tree::{Notice, Profile, Value};
use super::{Canonicalize, parse_duration};
use crate::codes::EncryptionType;
use crate::error::Result;
use crate::time::Seconds;

/// Up to this size a request goes by UDP first, if nothing else is said.
pub(super) const UDP_PREFERENCE_LIMIT: usize = 1465;

/// What stands in `[libdefaults]`, or in a realm's subsection of it. `None`: not set.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    pub(super) default_realm: Option<String>,
    pub(super) dns_lookup_kdc: Option<bool>,
    pub(super) dns_lookup_realm: Option<bool>,
    pub(super) dns_uri_lookup: Option<bool>,
    pub(super) dns_canonicalize_hostname: Option<Canonicalize>,
    pub(super) rdns: Option<bool>,
    pub(super) qualify_shortname: Option<String>,
    pub(super) allow_weak_crypto: Option<bool>,
    pub(super) allow_rc4: Option<bool>,
    pub(super) permitted_enctypes: Option<Vec<EncryptionType>>,
    pub(super) default_tkt_enctypes: Option<Vec<EncryptionType>>,
    pub(super) default_tgs_enctypes: Option<Vec<EncryptionType>>,
    pub(super) ticket_lifetime: Option<Seconds>,
    pub(super) renew_lifetime: Option<Seconds>,
    pub(super) forwardable: Option<bool>,
    pub(super) proxiable: Option<bool>,
    pub(super) noaddresses: Option<bool>,
    pub(super) canonicalize: Option<bool>,
    pub(super) clockskew: Option<Seconds>,
    pub(super) kdc_timesync: Option<bool>,
    pub(super) udp_preference_limit: Option<usize>,
    pub(super) request_timeout: Option<Seconds>,
    pub(super) verify_ap_req_nofail: Option<bool>,
    pub(super) ignore_acceptor_hostname: Option<bool>,
    pub(super) enforce_ok_as_delegate: Option<bool>,
    pub(super) client_aware_channel_bindings: Option<bool>,
    pub(super) preferred_preauth_types: Option<Vec<i32>>,
}

/// The relations of one section, by name.
struct Reader<'a> {
    profile: &'a Profile,
    path: Vec<&'a str>,
    notices: Vec<Notice>,
}

impl Defaults {
    /// Reads the section at `path`; its notices name enctypes that came to nothing.
    pub(super) fn read(profile: &Profile, path: &[&str]) -> Result<(Defaults, Vec<Notice>)> {
        let mut reader = Reader { profile, path: path.to_vec(), notices: vec![] };
        let allow_weak_crypto = reader.typed("allow_weak_crypto", BOOLEAN)?;
        let allow_rc4 = reader.typed("allow_rc4", BOOLEAN)?;
        let rc4 = allow_rc4 == Some(true) || allow_weak_crypto == Some(true);
        let fallback = reader.typed("dns_fallback", BOOLEAN)?;
        let defaults = Defaults {
            allow_weak_crypto,
            allow_rc4,
            permitted_enctypes: reader.enctypes("permitted_enctypes", rc4)?,
            default_tkt_enctypes: reader.enctypes("default_tkt_enctypes", rc4)?,
            default_tgs_enctypes: reader.enctypes("default_tgs_enctypes", rc4)?,
            default_realm: reader.text("default_realm"),
            dns_lookup_kdc: reader.typed("dns_lookup_kdc", BOOLEAN)?.or(fallback),
            dns_lookup_realm: reader.typed("dns_lookup_realm", BOOLEAN)?.or(fallback),
            dns_uri_lookup: reader.typed("dns_uri_lookup", BOOLEAN)?,
            dns_canonicalize_hostname: reader.typed("dns_canonicalize_hostname", CANONICALIZE)?,
            rdns: reader.typed("rdns", BOOLEAN)?,
            qualify_shortname: reader.text("qualify_shortname"),
            ticket_lifetime: reader.typed("ticket_lifetime", DURATION)?,
            renew_lifetime: reader.typed("renew_lifetime", DURATION)?,
            forwardable: reader.typed("forwardable", BOOLEAN)?,
            proxiable: reader.typed("proxiable", BOOLEAN)?,
            noaddresses: reader.typed("noaddresses", BOOLEAN)?,
            canonicalize: reader.typed("canonicalize", BOOLEAN)?,
            clockskew: reader.typed("clockskew", DURATION)?,
            kdc_timesync: reader.typed("kdc_timesync", SWITCH)?,
            udp_preference_limit: reader.typed("udp_preference_limit", LIMIT)?,
            request_timeout: reader.typed("request_timeout", DURATION)?,
            verify_ap_req_nofail: reader.typed("verify_ap_req_nofail", BOOLEAN)?,
            ignore_acceptor_hostname: reader.typed("ignore_acceptor_hostname", BOOLEAN)?,
            enforce_ok_as_delegate: reader.typed("enforce_ok_as_delegate", BOOLEAN)?,
            client_aware_channel_bindings: reader.typed("client_aware_channel_bindings", BOOLEAN)?,
            preferred_preauth_types: reader.typed("preferred_preauth_types", NUMBERS)?,
        };
        Ok((defaults, reader.notices))
    }
}

impl<'a> Reader<'a> {
    fn value(&self, name: &'a str) -> Option<&'a Value> {
        let path: Vec<&str> = self.path.iter().copied().chain([name]).collect();
        self.profile.value(&path)
    }

    fn text(&self, name: &'a str) -> Option<String> {
        self.value(name).map(|value| value.text.to_string())
    }

    fn typed<T>(&self, name: &'a str, parse: Parse<T>) -> Result<Option<T>> {
        self.value(name).map(|value| typed(value, name, parse)).transpose()
    }

    fn enctypes(&mut self, name: &'a str, rc4: bool) -> Result<Option<Vec<EncryptionType>>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let EnctypeList { enctypes, unused } = parse_enctypes(&value.text, rc4);
        if enctypes.is_empty() {
            let problem =
                format!("{name}: No supported encryption types (config file error?): found \"{}\"", value.text);
            return Err(value.place.error(problem));
        }
        for word in unused {
            let text = format!("{name}: \"{word}\" is no encryption type that is supported and allowed");
            self.notices.push(Notice { place: value.place.clone(), text });
        }
        Ok(Some(enctypes))
    }
}

/// A parser, with what it expects in words.
pub(super) type Parse<T> = (fn(&str) -> Option<T>, &'static str);

/// The value as its type, or the error that says what was expected.
pub(super) fn typed<T>(value: &Value, name: &str, (parse, expected): Parse<T>) -> Result<T> {
    parse(value.text.trim()).ok_or_else(|| value.unexpected(name, expected))
}

pub(super) const BOOLEAN: Parse<bool> = (parse_boolean, "true or false");
const DURATION: Parse<Seconds> = (parse_span, "a duration such as 300, 10h or 1d12h");
const LIMIT: Parse<usize> = (parse_limit, "a number of bytes");
const SWITCH: Parse<bool> = (parse_switch, "0 or 1");
const NUMBERS: Parse<Vec<i32>> = (parse_numbers, "numbers separated by commas");
const CANONICALIZE: Parse<Canonicalize> = (parse_canonicalize, "true, false or fallback");

fn parse_boolean(text: &str) -> Option<bool> {
    const WORDS: [(&str, bool); 12] = [
        ("true", true),
        ("yes", true),
        ("y", true),
        ("t", true),
        ("1", true),
        ("on", true),
        ("false", false),
        ("no", false),
        ("n", false),
        ("nil", false),
        ("0", false),
        ("off", false),
    ];
    WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, meaning)| *meaning)
}

fn parse_canonicalize(text: &str) -> Option<Canonicalize> {
    match parse_boolean(text) {
        Some(true) => Some(Canonicalize::Always),
        Some(false) => Some(Canonicalize::Never),
        None => text.eq_ignore_ascii_case("fallback").then_some(Canonicalize::Fallback),
    }
}

fn parse_span(text: &str) -> Option<Seconds> {
    parse_duration(text).ok().filter(|seconds| *seconds >= 0)
}

/// MIT knows 0 and 1 here; other numbers are on, words are as good.
fn parse_switch(text: &str) -> Option<bool> {
    parse_boolean(text).or_else(|| text.parse::<i32>().ok().map(|number| number != 0))
}

/// A negative limit is the default, as in MIT.
fn parse_limit(text: &str) -> Option<usize> {
    text.parse::<i32>().ok().map(|number| usize::try_from(number).unwrap_or(UDP_PREFERENCE_LIMIT))
}

fn parse_numbers(text: &str) -> Option<Vec<i32>> {
    text.split([',', ' ', '\t']).filter(|word| !word.is_empty()).map(|word| word.parse().ok()).collect()
}
