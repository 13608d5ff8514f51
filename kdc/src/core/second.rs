//! One-time passwords that somebody else knows: servers that can be asked, the types of tokens that
//! kdc.toml names, and the string attribute `otp` that says who has one, as MIT krb5 has it. Not here: how
//! a server is asked.

use std::fmt::Debug;
use std::sync::Arc;

use libkrb::Principal;
use libkrb::flags::OtpFlags;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::entry::Entry;
use super::policy::Policy;
use super::preauth::Proof;

/// The string attribute with the tokens of a principal: a JSON list.
pub const OTP: &str = "otp";
/// The type of a token that names none.
pub const DEFAULT: &str = "DEFAULT";
/// Tokens of a principal, at most.
const MOST: usize = 4;

/// What a server says of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is right.
    Right,
    /// It is wrong.
    Wrong,
    /// It wants another value: the token's next one, a new PIN.
    More(More),
    /// Nothing, or nothing that can be believed.
    Silent,
}

/// A further question of a server's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct More {
    /// What it wants to be told again with the value, if anything.
    pub state: Option<Vec<u8>>,
    /// What the user is to read: printable ASCII.
    pub message: String,
}

/// A server that knows one-time passwords. It may take seconds to answer: nothing is held meanwhile.
pub trait OtpServer: Send + Sync + Debug {
    /// Whether this is the user's password now; with the state of a further question, if it answers one.
    fn ask(&self, user: &str, password: &[u8], state: Option<&[u8]>) -> Answer;
}

/// A type of tokens.
#[derive(Clone, Debug)]
pub struct OtpType {
    /// Who knows their values.
    pub server: Arc<dyn OtpServer>,
    /// Whether the server knows its users without the realm.
    pub strip_realm: bool,
    /// What tickets say of such a token beside `otp`.
    pub indicators: Vec<String>,
    /// Whether the client asks for a PIN and puts it before the value; `None`: it is left to who types.
    pub collect_pin: Option<bool>,
}

/// A token of a principal, as the string attribute has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Held {
    /// Its type.
    #[serde(rename = "type", default = "default_type")]
    pub kind: String,
    /// What the server calls its owner; the principal's name unless given.
    pub username: Option<String>,
    /// What tickets say of it, in place of what the type says.
    pub indicators: Option<Vec<String>>,
}

fn default_type() -> String {
    DEFAULT.to_owned()
}

impl OtpType {
    /// What the challenge says of a PIN (RFC 6560 4.1).
    pub fn pin(&self) -> OtpFlags {
        match self.collect_pin {
            None => OtpFlags::NONE,
            Some(true) => OtpFlags::COLLECT_PIN,
            Some(false) => OtpFlags::DO_NOT_COLLECT_PIN,
        }
    }
}

/// A question that is asked when nothing is held, and the proof if the answer is yes.
#[derive(Debug)]
pub struct Question {
    /// Whom to ask.
    pub server: Arc<dyn OtpServer>,
    /// What it calls the client.
    pub user: String,
    /// What the client sent.
    pub password: Zeroizing<Vec<u8>>,
    /// The type of the token.
    pub kind: String,
    /// What was further asked that this answers.
    pub further: Option<Further>,
    /// The proof.
    pub proof: Proof,
}

/// What the KDC remembers of a further question, in the cookie: of which token's server it is, and the server's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Further {
    kind: String,
    /// What the server wants to be told again.
    pub state: Option<Vec<u8>>,
}

impl Further {
    /// A further question of the server of tokens of this type.
    pub fn new(kind: &str, more: &More) -> Self {
        Further { kind: kind.to_owned(), state: more.state.clone() }
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        // A state has one octet at least (RFC 2865 5.24).
        [self.kind.as_bytes(), &[0], self.state.as_deref().unwrap_or_default()].concat()
    }

    /// Reads them; `None` for those of another type.
    pub fn decode(bytes: &[u8], kind: &str) -> Option<Self> {
        let (0, state) = bytes.strip_prefix(kind.as_bytes())?.split_first()? else { return None };
        let state = Some(state).filter(|state| !state.is_empty()).map(<[u8]>::to_vec);
        Some(Further { kind: kind.to_owned(), state })
    }
}

/// The tokens of a principal that others know. An empty list is one of the default type; what is no list
/// is no token.
pub fn held(entry: &Entry) -> Vec<Held> {
    let Some(text) = entry.strings.get(OTP) else { return vec![] };
    let mut held: Vec<Held> = serde_json::from_str(text).unwrap_or_default();
    held.truncate(MOST);
    if held.is_empty() && text.trim().starts_with('[') {
        held.push(Held { kind: default_type(), username: None, indicators: None });
    }
    held
}

impl Held {
    /// What the server calls the owner.
    pub fn user(&self, kind: &OtpType, owner: &Principal) -> String {
        match &self.username {
            Some(name) => name.clone(),
            None if kind.strip_realm => owner.components().join("/"),
            None => owner.to_string(),
        }
    }

    /// Its type, if kdc.toml has it.
    pub fn kind<'a>(&self, policy: &'a Policy) -> Option<&'a OtpType> {
        policy.otp_types.get(&self.kind)
    }
}

/// Whether the string attribute can be read, so that nobody believes in a token that is none.
///
/// # Errors
/// What is wrong, and the way out.
pub fn check_string(value: &str) -> Result<(), String> {
    let way = "write a JSON list such as [{\"type\": \"DEFAULT\", \"username\": \"alice\"}], or []";
    match serde_json::from_str::<Vec<Held>>(value) {
        Ok(held) if held.len() > MOST => Err(format!("a principal has at most {MOST} tokens")),
        Ok(_) => Ok(()),
        Err(_) => Err(format!("{OTP} can't be read: {way}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libkrb::Time;

    fn entry(otp: &str) -> Entry {
        let mut entry = Entry::new(Principal::parse("alice/x@R", None).expect("a name"), [0; 16], Time::EPOCH, "");
        entry.strings.insert(OTP.into(), otp.into());
        entry
    }

    #[test]
    fn the_string_attribute_is_read_as_mit_does_it() {
        let row = |kind: &str, username: Option<&str>| Held {
            kind: kind.into(),
            username: username.map(Into::into),
            indicators: None,
        };
        assert_eq!(held(&entry("[]")), [row("DEFAULT", None)]);
        assert_eq!(
            held(&entry("[{\"type\":\"corp\",\"username\":\"al\"},{}]")),
            [row("corp", Some("al")), row("DEFAULT", None)]
        );
        let said = held(&entry("[{\"indicators\":[\"a\",\"b\"]}]"));
        assert_eq!(said[0].indicators.as_deref(), Some(&["a".to_owned(), "b".to_owned()][..]));
        assert_eq!(held(&entry("yes")), []);
        assert_eq!(held(&entry(&format!("[{}{{}}]", "{},".repeat(9)))).len(), MOST);
    }

    #[test]
    fn owners_are_called_by_their_names_without_the_realm_unless_told_otherwise() {
        #[derive(Debug)]
        struct Nobody;
        impl OtpServer for Nobody {
            fn ask(&self, _: &str, _: &[u8], _: Option<&[u8]>) -> Answer {
                Answer::Silent
            }
        }
        let alice = entry("[]").principal;
        let stripped = OtpType { server: Arc::new(Nobody), strip_realm: true, indicators: vec![], collect_pin: None };
        let whole = OtpType { strip_realm: false, ..stripped.clone() };
        let token = &held(&entry("[]"))[0];
        assert_eq!((&*token.user(&stripped, &alice), &*token.user(&whole, &alice)), ("alice/x", "alice/x@R"));
        assert_eq!(held(&entry("[{\"username\":\"al\"}]"))[0].user(&whole, &alice), "al");
    }

    #[test]
    fn a_further_question_is_remembered_for_its_type_alone() {
        for state in [None, Some(vec![0, 1])] {
            let further = Further::new("corp", &More { state, message: "more".into() });
            assert_eq!(Further::decode(&further.encode(), "corp"), Some(further.clone()));
            for other in ["cor", "corp2", "", "DEFAULT"] {
                assert_eq!(Further::decode(&further.encode(), other), None, "{other}");
            }
        }
        assert_eq!(Further::decode(b"corp", "corp"), None);
    }

    #[test]
    fn what_is_no_list_of_tokens_is_refused() {
        assert!(check_string("[]").is_ok());
        assert!(check_string("[{\"type\":\"x\"}]").is_ok());
        for wrong in ["", "yes", "{}", "[1]", "[{\"type\":1}]", "[{},{},{},{},{}]"] {
            assert!(check_string(wrong).is_err(), "{wrong}");
        }
    }
}
