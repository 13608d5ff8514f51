//! What the services say to each other and to their users, as JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Tells an ad from all others; the later, the greater. It is part of paths, so that nothing else
/// may look like one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AdId(String);

impl AdId {
    /// Of a time in microseconds and something random.
    pub fn new(time: u64, random: u32) -> AdId {
        AdId(format!("{time:016x}{random:08x}"))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AdId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<AdId, &'static str> {
        let is_one = text.len() == 24 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        if is_one { Ok(AdId(text)) } else { Err("this is no id of an ad") }
    }
}

impl From<AdId> for String {
    fn from(id: AdId) -> String {
        id.0
    }
}

impl fmt::Display for AdId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something for sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ad {
    /// Tells it from all others.
    pub id: AdId,
    /// The principal who sells it.
    pub owner: String,
    /// What it is.
    pub title: String,
    /// What it costs, in euros.
    pub price: u32,
}

/// Something that shall be for sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAd {
    /// What it is.
    pub title: String,
    /// What it costs, in euros.
    pub price: u32,
}

/// What anyone may know of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seller {
    /// The principal.
    pub principal: String,
    /// What the user wants to be called.
    pub name: String,
    /// Where things can be fetched.
    pub town: String,
}

/// What only the user may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// What others may know.
    #[serde(flatten)]
    pub seller: Seller,
    /// Nobody else's business.
    pub telephone: String,
}

/// What a service has seen of a request: who called it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Which service.
    pub service: String,
    /// The principal that proved itself to it.
    pub caller: String,
    /// Whether the caller's own tickets came along, so that the service can act for the caller.
    pub may_act_for_caller: bool,
}

/// What is for sale, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offers {
    /// The newest first.
    pub ads: Vec<Ad>,
    /// The owners of these.
    pub sellers: Vec<Seller>,
    /// The way of the request, the last service first.
    pub seen: Vec<Seen>,
}

/// The caller's own things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mine {
    /// The newest first.
    pub ads: Vec<Ad>,
    /// Who the caller is.
    pub profile: Profile,
    /// The way of the request, the last service first.
    pub seen: Vec<Seen>,
}

/// The answer to a question for sellers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sellers {
    /// Those who are known.
    pub sellers: Vec<Seller>,
    /// Who asked.
    pub seen: Vec<Seen>,
}

/// The answer to a question for one's own profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// The profile.
    pub profile: Profile,
    /// Who asked.
    pub seen: Vec<Seen>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_id_cannot_be_part_of_a_path() {
        let id = AdId::new(u64::MAX, u32::MAX);
        assert_eq!(AdId::try_from(id.to_string()), Ok(id));
        for text in ["", "mine", "../../me", "0000000000000000000000/x", "0123456789ABCDEF01234567"] {
            assert!(AdId::try_from(text.to_owned()).is_err(), "{text}");
        }
        assert!(AdId::new(1, u32::MAX) < AdId::new(2, 0));
    }
}
