//! What the access list can give, under its names in kdc.toml and the letters of MIT's kadm5.acl.
//! Not here: to whom, and over whom.

use serde::Deserialize;

macro_rules! rights {
    ($($(#[$doc:meta])* $right:ident = $name:literal, $letter:literal, $shown:literal;)*) => {
        /// One right. Its number is its bit in [`Rights`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Right {
            $($(#[$doc])* $right,)*
        }

        impl Right {
            /// Each right, its name in kdc.toml, the letter of kadm5.acl that gives it, and what MIT
            /// calls it in a refusal.
            pub const TABLE: &'static [(Right, &'static str, char, &'static str)] =
                &[$((Right::$right, $name, $letter, $shown)),*];
        }
    };
}

rights! {
    /// To make principals.
    Add = "add", 'a', "add";
    /// To give principals further names.
    Alias = "alias", 'a', "add";
    /// To make password policies.
    AddPolicy = "add-policy", 'a', "add";
    /// To change settings of principals.
    Modify = "modify", 'm', "modify";
    /// To set string attributes.
    Strings = "strings", 'm', "modify";
    /// To remove old keys.
    PurgeKeys = "purge-keys", 'm', "modify";
    /// To change password policies.
    ModifyPolicy = "modify-policy", 'm', "modify";
    /// To remove principals.
    Delete = "delete", 'd', "delete";
    /// To remove password policies.
    DeletePolicy = "delete-policy", 'd', "delete";
    /// To give principals new passwords or random keys, and see the latter.
    ChangePassword = "changepw", 'c', "change-password";
    /// To see all of principals but their keys.
    Inquire = "inquire", 'i', "get";
    /// To see password policies.
    InquirePolicy = "inquire-policy", 'i', "get";
    /// To see the names of principals.
    List = "list", 'l', "list";
    /// To see the names of password policies.
    ListPolicies = "list-policies", 'l', "list";
    /// To give principals keys that were made elsewhere.
    SetKeys = "set-keys", 's', "setkey";
    /// To tell the KDC itself what to do: read its settings anew, turn over the master key.
    Manage = "manage", '-', "manage";
    /// To see the keys that principals have. No wildcard gives this.
    Extract = "extract", 'e', "extract-keys";
}

/// Names for several rights.
const GROUPS: &[(&str, Rights)] = &[
    ("all", Rights::ALL),
    ("*", Rights::ALL),
    (
        "policies",
        Rights::of(&[
            Right::AddPolicy,
            Right::ModifyPolicy,
            Right::DeletePolicy,
            Right::InquirePolicy,
            Right::ListPolicies,
        ]),
    ),
];

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Rights(u32);

impl Rights {
    /// What a wildcard gives: everything but [`Right::Extract`].
    pub const ALL: Rights = Rights((1 << Right::Extract as u32) - 1);

    /// These rights.
    pub const fn of(rights: &[Right]) -> Rights {
        let mut bits = 0;
        let mut rest = rights;
        while let [right, more @ ..] = rest {
            bits |= 1 << *right as u32;
            rest = more;
        }
        Rights(bits)
    }

    /// What a letter of kadm5.acl gives; `None` for one that there is not.
    pub fn of_letter(letter: char) -> Option<Rights> {
        let rows = Right::TABLE.iter().filter(|(_, _, given_by, _)| *given_by == letter);
        let given = rows.fold(Rights::default(), |given, (right, ..)| given.with(Rights::of(&[*right])));
        match letter {
            'x' | '*' => Some(Rights::ALL),
            // Replication has no rights of its own here.
            'p' => Some(given),
            'a'..='z' => (given != Rights::default()).then_some(given),
            _ => None,
        }
    }

    /// Whether a right is in it.
    pub const fn has(self, right: Right) -> bool {
        self.0 & (1 << right as u32) != 0
    }

    /// These rights and those.
    #[must_use]
    pub const fn with(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// These rights without those.
    #[must_use]
    pub const fn without(self, other: Rights) -> Rights {
        Rights(self.0 & !other.0)
    }

    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Right::TABLE.iter().filter(move |(right, ..)| self.has(*right)).map(|(_, name, ..)| *name)
    }
}

impl Right {
    /// What MIT calls it in a refusal.
    pub fn shown(self) -> &'static str {
        Right::TABLE.iter().find(|(right, ..)| *right == self).map_or("", |(.., shown)| shown)
    }
}

impl TryFrom<Vec<String>> for Rights {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        let mut rights = Rights::default();
        for name in names {
            let single =
                Right::TABLE.iter().find(|(_, known, ..)| *known == name).map(|(right, ..)| Rights::of(&[*right]));
            let group = || GROUPS.iter().find(|(known, _)| *known == name).map(|(_, group)| *group);
            let found = single.or_else(group).ok_or_else(|| {
                let known: Vec<_> = Right::TABLE.iter().map(|(_, name, ..)| *name).collect();
                format!("{name:?} is no right; expected some of all, policies, {}", known.join(", "))
            })?;
            rights = rights.with(found);
        }
        Ok(rights)
    }
}
