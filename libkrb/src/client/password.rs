//! The change of a password as a client sees it (RFC 3244): an AP-REQ for `kadmin/changepw` and the
//! new password in a KRB-PRIV go out, a result comes back. Not here: how the ticket is got
//! ([`super::AsExchange`]), and the server.

use super::ap_exchange::{ApExchange, ApRequest};
use crate::ccache::Credential;
use crate::codes::KpasswdCode;
use crate::crypto::{Key, Random};
use crate::error::{Error, ErrorCode, Result};
use crate::name::Principal;
use crate::session::{Address, Role, Session};
use crate::time::Instant;
use crate::wire::{
    self, AdPasswordRules, ChangePasswdData, KpasswdReply, KpasswdRequest, KpasswdResult, KrbError, NewPassword,
    PrincipalName,
};

/// The longest text of a server that is passed on.
const MAX_TEXT: usize = 4096;
/// A day in the units of Active Directory.
const AD_DAY: u64 = 24 * 60 * 60 * 10_000_000;

/// A new password, and for whom.
#[derive(Clone, Copy)]
pub struct NewSecret<'a> {
    /// The password.
    pub password: &'a str,
    /// Whose it is to be; `None`: the ticket's client's.
    pub target: Option<&'a Principal>,
}

/// A request to change a password that was made, and awaits its reply.
#[derive(Debug)]
pub struct PasswordExchange {
    exchange: ApExchange,
    subkey: Key,
    sequence: u32,
}

impl PasswordExchange {
    /// The exchange and its request. `ticket` is one for `kadmin/changepw` from an AS exchange. Some
    /// servers compare `local`, the address from which it will be sent, with the one that they see.
    ///
    /// # Errors
    /// As [`ApExchange::new`]; [`Error::Malformed`] for a password that is too long for a message.
    pub fn new(
        ticket: &Credential,
        new: &NewSecret<'_>,
        local: Address,
        now: Instant,
        random: &mut dyn Random,
    ) -> Result<(PasswordExchange, Vec<u8>)> {
        let (exchange, ap_req) = ApExchange::new(ticket, &ApRequest::default(), now, random)?;
        let shared = exchange.begun();
        let subkey = shared.client_subkey.clone().ok_or(Error::Malformed("AP-REQ without a subkey"))?;
        let sequence = shared.send_seq;
        let mut session = Session::new(&subkey, Role::Initiator, sequence, 0).with_addresses(local, None);
        let (version, data) = match new.target {
            None => (KpasswdRequest::CHANGE, new.password.as_bytes().to_vec().into()),
            Some(target) => (KpasswdRequest::SET, wire::encode_secret(&data(new.password, target))),
        };
        let message = session.make_priv(now, random, &data)?;
        let request = KpasswdRequest { version, ap_req: &ap_req, message: &message }.encode()?;
        Ok((PasswordExchange { exchange, subkey, sequence }, request))
    }

    /// What came of it. That the password was changed is believed only of a server that could read
    /// the ticket.
    ///
    /// # Errors
    /// [`Error::PasswordRefused`] when it was not changed, [`Error::Protocol`] when the ticket was
    /// refused, and what is wrong with a reply that is none.
    pub fn finish(self, now: Instant, reply: &[u8]) -> Result<()> {
        let (ap_rep, message) = match KpasswdReply::decode(reply)? {
            KpasswdReply::Answer { ap_rep, message } => (ap_rep, message),
            KpasswdReply::Error(error) => return Err(refusal(error)?),
        };
        let shared = self.exchange.finish(ap_rep)?;
        // Under our subkey even where the AP-REP brings another. Which address the server takes for
        // ours is its own matter: there may be a translation in between.
        let session = Session::new(&self.subkey, Role::Initiator, self.sequence, shared.recv_seq);
        let mut session = session.with_addresses(Address::initiator(), None);
        let data = session.read_priv(now, message)?;
        let result = KpasswdResult::decode(&data)?;
        match result.code {
            KpasswdCode::SUCCESS => Ok(()),
            code => Err(Error::PasswordRefused { code, text: text(result.text) }),
        }
    }
}

fn data<'a>(password: &'a str, target: &'a Principal) -> ChangePasswdData<'a> {
    ChangePasswdData {
        new_password: NewPassword(password.as_bytes()),
        target: Some(PrincipalName::from(target)),
        realm: Some(target.realm()),
    }
}

/// What a KRB-ERROR says, of which nobody knows who made it: its text goes nowhere.
fn refusal(error: &[u8]) -> Result<Error> {
    let error: KrbError<'_> = wire::decode(error)?;
    let result = error.data.and_then(|data| KpasswdResult::decode(data).ok());
    let known = result.map(|result| result.code).filter(|code| code.name().is_some() && *code != KpasswdCode::SUCCESS);
    Ok(match known {
        Some(code) => Error::PasswordRefused { code, text: None },
        None if error.code == ErrorCode::NONE => Error::code(ErrorCode::GENERIC),
        None => Error::code(error.code),
    })
}

/// The server's words; those of MIT for the rules that Active Directory sends.
fn text(bytes: &[u8]) -> Option<String> {
    if let Some(rules) = AdPasswordRules::decode(bytes) {
        return Some(in_words(&rules)).filter(|text| !text.is_empty());
    }
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && text.len() <= MAX_TEXT && !text.contains('\0')).then(|| text.to_owned())
}

fn in_words(rules: &AdPasswordRules) -> String {
    let mut words = vec![];
    if rules.properties & AdPasswordRules::COMPLEX != 0 {
        let complex =
            "The password must include numbers or symbols.  Don't include any part of your name in the password.";
        words.push(complex.to_owned());
    }
    match rules.min_length {
        0 => {}
        1 => words.push("The password must contain at least 1 character.".to_owned()),
        length => words.push(format!("The password must contain at least {length} characters.")),
    }
    match rules.history {
        0 => {}
        1 => words.push("The password must be different from the previous password.".to_owned()),
        number => words.push(format!("The password must be different from the previous {number} passwords.")),
    }
    match rules.min_age / AD_DAY {
        _ if rules.min_age == 0 => {}
        0 | 1 => words.push("The password can only be changed once a day.".to_owned()),
        days => words.push(format!("The password can only be changed every {days} days.")),
    }
    words.join("  ")
}

#[cfg(test)]
mod tests;
