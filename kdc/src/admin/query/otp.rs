//! `otp add`, `otp list` and `otp del`: one-time password tokens.

use super::{Context, Query, Wrong};
use crate::admin::tokens::OtpAlgorithm;

/// A token that is wanted; its secret is made when it is enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenWish {
    /// What it is called.
    pub name: String,
    /// Seconds of a step; 0: it counts.
    pub period: u32,
    /// The hash function.
    pub algorithm: OtpAlgorithm,
    /// The digits of a value.
    pub digits: u32,
    /// Whether the password is asked for too.
    pub with_password: bool,
    /// What tickets say of it beside `otp`.
    pub indicators: Vec<String>,
    /// Without a picture.
    pub plain: bool,
}

impl Default for TokenWish {
    fn default() -> Self {
        TokenWish {
            name: "phone".to_owned(),
            period: 30,
            algorithm: OtpAlgorithm::Sha1,
            digits: 6,
            with_password: false,
            indicators: vec![],
            plain: false,
        }
    }
}

pub(super) fn otp(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    let (verb, words) = words.split_first().ok_or(Wrong::Usage)?;
    match (verb.as_str(), words) {
        ("add", words) => add(context, words),
        ("list", [name]) => Ok(Query::Tokens { name: context.principal(name)? }),
        ("del" | "delete", [name, token]) => {
            Ok(Query::DeleteToken { name: context.principal(name)?, token: token.clone() })
        }
        _ => Err(Wrong::Usage),
    }
}

/// As everywhere, the last word is the principal.
fn add(context: &Context<'_>, words: &[String]) -> Result<Query, Wrong> {
    let (name, mut words) = words.split_last().ok_or(Wrong::Usage)?;
    let mut token = TokenWish::default();
    loop {
        words = match words {
            [] => return Ok(Query::AddToken { name: context.principal(name)?, token }),
            [flag, rest @ ..] if flag == "-counting" => {
                token.period = 0;
                rest
            }
            [flag, rest @ ..] if flag == "-with_password" => {
                token.with_password = true;
                rest
            }
            [flag, rest @ ..] if flag == "-noqr" => {
                token.plain = true;
                rest
            }
            [option, value, rest @ ..] => {
                option_of(&mut token, option, value)?;
                rest
            }
            _ => return Err(Wrong::Usage),
        };
    }
}

fn option_of(token: &mut TokenWish, option: &str, value: &str) -> Result<(), Wrong> {
    let number = || value.parse().map_err(|_| Wrong::Option(format!("{option} {value}: a number was expected")));
    match option {
        "-name" => value.clone_into(&mut token.name),
        "-period" => token.period = number()?,
        "-digits" => token.digits = number()?,
        "-indicator" => token.indicators.push(value.to_owned()),
        "-algorithm" => {
            token.algorithm = match value.to_ascii_lowercase().as_str() {
                "sha1" => OtpAlgorithm::Sha1,
                "sha256" => OtpAlgorithm::Sha256,
                "sha512" => OtpAlgorithm::Sha512,
                _ => return Err(Wrong::Option(format!("-algorithm {value}: sha1, sha256 or sha512"))),
            }
        }
        _ => return Err(Wrong::Usage),
    }
    Ok(())
}
