//! The enctype lists of krb5.conf: names, families, `DEFAULT`, and words to add (`+`) or take
//! away (`-`). Not here: what an enctype does.

use crate::codes::EncryptionType;

/// What `DEFAULT` stands for, MIT's order. RC4 takes part only where it is allowed.
const DEFAULT: [EncryptionType; 7] = [
    EncryptionType::AES256_SHA1,
    EncryptionType::AES128_SHA1,
    EncryptionType::AES256_SHA384,
    EncryptionType::AES128_SHA256,
    EncryptionType::RC4_HMAC,
    EncryptionType::CAMELLIA128,
    EncryptionType::CAMELLIA256,
];

/// The words that stand for several enctypes.
const FAMILIES: [(&str, &[EncryptionType]); 4] = [
    ("default", &DEFAULT),
    (
        "aes",
        &[
            EncryptionType::AES256_SHA1,
            EncryptionType::AES128_SHA1,
            EncryptionType::AES256_SHA384,
            EncryptionType::AES128_SHA256,
        ],
    ),
    ("camellia", &[EncryptionType::CAMELLIA256, EncryptionType::CAMELLIA128]),
    ("rc4", &[EncryptionType::RC4_HMAC]),
];

/// An enctype list as read, and the words of it that came to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnctypeList {
    /// The enctypes, best first.
    pub enctypes: Vec<EncryptionType>,
    /// Words that name no enctype, or one that is not supported or not allowed.
    pub unused: Vec<String>,
}

/// Parses a list separated by blanks or commas: `aes256-sha2, DEFAULT -camellia`. DES and DES3 do
/// not exist here; RC4 counts only with `allow_rc4` and in a build that has it.
pub fn parse_enctypes(text: &str, allow_rc4: bool) -> EnctypeList {
    let rc4 = allow_rc4 && cfg!(feature = "danger-rc4");
    let usable = |etype: &EncryptionType| DEFAULT.contains(etype) && (rc4 || *etype != EncryptionType::RC4_HMAC);
    let mut list = EnctypeList::default();
    for word in text.split(|c: char| c.is_ascii_whitespace() || c == ',').filter(|word| !word.is_empty()) {
        let (add, name) = match word.strip_prefix('-') {
            Some(name) => (false, name),
            None => (true, word.strip_prefix('+').unwrap_or(word)),
        };
        let named: Vec<EncryptionType> = family(name).into_iter().filter(usable).collect();
        if named.is_empty() && add {
            list.unused.push(word.to_owned());
        }
        for etype in named {
            list.enctypes.retain(|known| add || *known != etype);
            if add && !list.enctypes.contains(&etype) {
                list.enctypes.push(etype);
            }
        }
    }
    list
}

fn family(name: &str) -> Vec<EncryptionType> {
    match FAMILIES.iter().find(|(family, _)| family.eq_ignore_ascii_case(name)) {
        Some((_, members)) => members.to_vec(),
        None => EncryptionType::parse(name).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, allow_rc4: bool) -> Vec<i32> {
        parse_enctypes(text, allow_rc4).enctypes.iter().map(|etype| etype.0).collect()
    }

    #[test]
    fn the_default_is_aes_then_camellia() {
        assert_eq!(names("DEFAULT", false), [18, 17, 20, 19, 25, 26]);
    }

    #[test]
    fn words_add_and_take_away_in_the_order_they_stand() {
        assert_eq!(names("aes256-sha2,DEFAULT -camellia", false), [20, 18, 17, 19]);
        assert_eq!(names("aes -aes128-cts +camellia -aes", false), [26, 25]);
        assert_eq!(names("+aes256-cts\taes256-cts-hmac-sha1-96", false), [18]);
    }

    #[test]
    fn what_is_unknown_or_too_weak_is_left_out_and_named() {
        let list = parse_enctypes("des3 des-cbc-crc rot13 aes256-cts rc4 -des", false);
        assert_eq!(list.enctypes, [EncryptionType::AES256_SHA1]);
        assert_eq!(list.unused, ["des3", "des-cbc-crc", "rot13", "rc4"]);
    }

    #[test]
    fn rc4_needs_permission_and_a_build_that_has_it() {
        assert_eq!(names("rc4", true).is_empty(), !cfg!(feature = "danger-rc4"));
        assert!(names("rc4", false).is_empty());
    }
}
