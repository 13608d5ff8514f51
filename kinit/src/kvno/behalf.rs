//! Tickets in a user's name (MS-SFU): to the owner of the cache, and with -P further to the services.

use std::path::Path;

use libkrb::ccache::Credential;
use libkrb::client::{TgsRequest, User};
use libkrb::net::request_in_a_name;
use libkrb::{Error, Principal};

use super::Call;
use crate::local;
use crate::report::{During, Failure, Result};

impl Call {
    /// The user in whose name tickets are wanted, if in another's.
    pub(super) fn user(&self) -> Result<Option<User>> {
        let arguments = &self.arguments;
        if let Some(file) = &arguments.for_certificate {
            let doing = "while reading the certificate";
            // Else its words would be those for a krb5.conf.
            let unread = |error| Failure::new(format!("{} {doing}", Error::file(Path::new(file), error)));
            let bytes = std::fs::read(file).map_err(unread)?;
            let der = certificate(&bytes)
                .ok_or_else(|| Failure::new(format!("{file}: no certificate, in PEM or DER, {doing}")))?;
            return Ok(Some(User::Certified(der, self.content.principal.realm().to_owned())));
        }
        let doing = |name: &str| format!("while parsing principal name {name}");
        let plain = arguments.for_user.as_ref().map(|name| self.settings.principal(name).during(&doing(name)));
        let realm = self.content.principal.realm();
        let enterprise = arguments.for_enterprise.as_ref();
        let enterprise = enterprise.map(|name| Principal::parse_enterprise(name, Some(realm)).during(&doing(name)));
        Ok(plain.or(enterprise).transpose()?.map(User::Named))
    }

    /// A ticket for a service in the user's name.
    pub(super) fn in_the_name_of(&mut self, user: &User, server: &Principal) -> Result<Credential> {
        let own = self.content.principal.clone();
        if !self.arguments.proxy && *server != own {
            return Err(Failure::new("Invalid argument client and server principal names must match")
                .next(format!("This cache is of {own}: name that, or add -P to go on from there to {server}.")));
        }
        let evidence = self.evidence(user).map_err(|error| self.failure(&error, &own))?;
        if !self.arguments.proxy {
            return Ok(evidence);
        }
        self.through(&evidence, server).map_err(|error| self.failure(&error, server))
    }

    fn evidence(&mut self, user: &User) -> libkrb::Result<Credential> {
        if let User::Named(name) = user {
            let own = self.content.principal.clone();
            if let Some(ticket) = self.cached(name, &own)? {
                return Ok(ticket);
            }
        }
        let tgt = self.tgt()?;
        let user = self.runtime.block_on(self.transport.identify(user, self.offset))?;
        let asked = TgsRequest::for_user(tgt, user);
        self.exchange(request_in_a_name(self.transport.config(), asked))
    }

    fn through(&mut self, evidence: &Credential, server: &Principal) -> libkrb::Result<Credential> {
        if let Some(ticket) = self.cached(&evidence.client, server)? {
            return Ok(ticket);
        }
        let tgt = self.tgt()?;
        let asked = TgsRequest::on_behalf(tgt, server.clone(), evidence);
        self.exchange(request_in_a_name(self.transport.config(), asked))
    }

    fn cached(&self, client: &Principal, server: &Principal) -> libkrb::Result<Option<Credential>> {
        let now = self.offset.apply(local::now().into()).time;
        let found = self.content.find_of(client, server, now);
        let found = found.filter(|ticket| self.etype.is_none_or(|etype| ticket.key.etype == etype));
        match found {
            None if self.arguments.cached_only => Err(Error::NoCredential),
            found => Ok(found.cloned()),
        }
    }
}

/// The DER of a certificate's file, which may be PEM (RFC 7468).
fn certificate(bytes: &[u8]) -> Option<Vec<u8>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    if bytes.first() == Some(&0x30) {
        return Some(bytes.to_vec());
    }
    let (_, rest) = std::str::from_utf8(bytes).ok()?.split_once(BEGIN)?;
    let (text, _) = rest.split_once("-----END CERTIFICATE-----")?;
    base64(text)
}

/// Base64 (RFC 4648 4), whatever space is in between.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=');
    let (mut bytes, mut bits, mut count) = (vec![], 0_u32, 0);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_read_from_pem_and_from_der() {
        let pem = b"text before\n-----BEGIN CERTIFICATE-----\nMAMC\nAQE=\n-----END CERTIFICATE-----\n";
        assert_eq!(certificate(pem), Some(vec![0x30, 3, 2, 1, 1]));
        assert_eq!(certificate(&[0x30, 0]), Some(vec![0x30, 0]));
        assert_eq!(certificate(b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----"), None);
    }
}
