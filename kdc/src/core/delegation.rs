//! Which services may act for users, and where: lists of patterns on the service that acts, and on the
//! service that it acts at (MS-SFU 3.2.5.2). Not here: whether the users let themselves be acted for.

use libkrb::Principal;
use libkrb::access::Glob;

use super::entry::Entry;

/// The string attribute of a service with the services where it may act for users.
pub const TO: &str = "allowed_to_delegate_to";
/// The string attribute of a service with the services that may act for users there.
pub const FROM: &str = "allowed_to_delegate_from";

/// How many patterns a list has at most.
const MOST: usize = 256;

/// Whether the list of the acting service has the other one. No list, no delegation.
pub fn allowed_to(service: &Entry, target: &Entry, asked_for: &Principal) -> bool {
    let names = [&target.principal, asked_for];
    patterns(service, TO).any(|pattern| names.iter().any(|name| pattern.matches(name)))
}

/// Whether the list of the service at which it acts has the acting one.
pub fn allowed_from(service: &Entry, target: &Entry) -> bool {
    patterns(target, FROM).any(|pattern| pattern.matches(&service.principal))
}

/// What does not read as a pattern names nobody.
fn patterns<'a>(entry: &'a Entry, list: &str) -> impl Iterator<Item = Glob> + 'a {
    let text = entry.strings.get(list).map(String::as_str).unwrap_or_default();
    let realm = entry.principal.realm();
    words(text).take(MOST).filter_map(move |word| pattern(word, realm).ok())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty())
}

/// A pattern without a realm is of the entry's own one.
fn pattern(word: &str, realm: &str) -> Result<Glob, String> {
    Glob::parse(word).or_else(|problem| Glob::parse(&format!("{word}@{realm}")).map_err(|_| problem))
}

/// Whether a string attribute is one of these lists and well written, so that nobody believes in a rule
/// that does not hold.
///
/// # Errors
/// What is wrong, and the way out.
pub fn check_string(name: &str, value: &str) -> Result<(), String> {
    if name != TO && name != FROM {
        return Ok(());
    }
    let count = words(value).try_fold(0, |count, word| pattern(word, "REALM").map(|_| count + 1))?;
    match count {
        0 => Err(format!("{name} names no service: use delstr to remove it")),
        count if count > MOST => Err(format!("{name} has {count} patterns; write at most {MOST}, with * for many")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use libkrb::Time;

    use super::*;

    fn entry(name: &str, strings: &[(&str, &str)]) -> Entry {
        let name = Principal::parse(name, Some("EXAMPLE.ORG")).expect("a name");
        let mut entry = Entry::new(name, [1; 16], Time::EPOCH, "test");
        entry.strings = strings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        entry
    }

    #[test]
    fn without_a_list_nobody_acts_for_anybody() {
        let (gateway, users) = (entry("HTTP/gateway", &[]), entry("HTTP/users", &[]));
        assert!(!allowed_to(&gateway, &users, &users.principal));
        assert!(!allowed_from(&gateway, &users));
    }

    #[test]
    fn a_star_stays_within_its_component_and_realm() {
        let gateway = entry("HTTP/gateway", &[(TO, "HTTP/user*, host/*@EXAMPLE.ORG *")]);
        let allowed = |name: &str| {
            let target = entry(name, &[]);
            allowed_to(&gateway, &target, &target.principal)
        };
        assert!(allowed("HTTP/users") && allowed("host/a") && allowed("alice"));
        assert!(!allowed("HTTP/ads") && !allowed("kadmin/admin") && !allowed("host/a@EXAMPLE.COM"));
    }

    #[test]
    fn the_target_may_list_who_acts_there() {
        let users = entry("HTTP/users", &[(FROM, "HTTP/gateway")]);
        assert!(allowed_from(&entry("HTTP/gateway", &[]), &users));
        assert!(!allowed_from(&entry("HTTP/ads", &[]), &users));
        let ads = entry("HTTP/ads", &[]);
        assert!(!allowed_to(&users, &ads, &ads.principal), "one list is not the other");
    }

    #[test]
    fn a_list_that_would_not_hold_is_refused_when_it_is_written() {
        assert!(check_string(TO, "HTTP/a HTTP/b@OTHER.ORG").is_ok());
        assert!(check_string(FROM, " , ").expect_err("empty").contains("names no service"));
        assert!(check_string(TO, "HTTP/a@B@C").is_err());
        assert!(check_string("other", "anything@at@all").is_ok());
    }
}
