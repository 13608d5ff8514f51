//! Asking in a user's name (MS-SFU): what a service adds to its TGS-REQ, and whose the ticket is that
//! comes back.

use crate::ccache::Credential;
use crate::codes::{NameType, PaType};
use crate::crypto::{Key, KeyUsage};
use crate::error::{Error, Result};
use crate::flags::{KdcOptions, PacOptions};
use crate::name::Principal;
use crate::preauth::s4u;
use crate::wire::{self, MethodData, PaPacOptions, PaS4uX509User};

use super::tgs_request::TgsRequest;

/// Whom a service wants a ticket for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum User {
    /// A principal; by an enterprise name, whoever the KDC finds by it.
    Named(Principal),
    /// Whoever a certificate (in DER) is of, in a realm.
    Certified(Vec<u8>, String),
}

impl From<&User> for Principal {
    /// The user's name; of a certificate, nobody's in its realm.
    fn from(user: &User) -> Principal {
        match user {
            User::Named(name) => name.clone(),
            User::Certified(_, realm) => Principal::anonymous().in_realm(realm),
        }
    }
}

/// In whose name a ticket is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Behalf {
    /// The client's own.
    #[default]
    Own,
    /// A user's, to the asking service itself (S4U2Self).
    ToSelf(User),
    /// A user's, whose ticket to the asking service is the second ticket (S4U2Proxy).
    Through(Principal),
}

impl Behalf {
    /// What goes with the request besides PA-TGS-REQ.
    pub(super) fn padata(&self, session: &Key, subkey: &Key, nonce: u32) -> Vec<(PaType, Vec<u8>)> {
        match self {
            Behalf::Own => vec![],
            Behalf::ToSelf(User::Named(user)) => vec![
                (PaType::FOR_X509_USER, s4u::x509_user(subkey, nonce, s4u::User::Named(user))),
                // For KDCs that know no other.
                (PaType::FOR_USER, s4u::for_user(session, user)),
            ],
            Behalf::ToSelf(User::Certified(certificate, realm)) => {
                vec![(PaType::FOR_X509_USER, s4u::x509_user(subkey, nonce, s4u::User::Certified(certificate, realm)))]
            }
            Behalf::Through(_) => {
                let flags = PacOptions::RESOURCE_BASED_DELEGATION;
                vec![(PaType::PAC_OPTIONS, wire::encode(&PaPacOptions { flags }))]
            }
        }
    }

    /// The realm whose KDC is to be asked for a ticket in the user's name, if that is another one than the
    /// service's own.
    pub(crate) fn abroad(&self, own: &str) -> Option<&str> {
        match self {
            Behalf::ToSelf(User::Named(user)) => Some(user.realm()),
            Behalf::ToSelf(User::Certified(_, realm)) => Some(realm.as_str()),
            Behalf::Own | Behalf::Through(_) => None,
        }
        .filter(|realm| !realm.is_empty() && *realm != own)
    }

    /// For whom the reply says, signed, that it is; an old KDC does not.
    pub(super) fn signed(&self, padata: MethodData<'_>, subkey: &Key, nonce: u32) -> Result<Option<Principal>> {
        let found = padata.iter().find(|padata| padata.kind == PaType::FOR_X509_USER);
        let (Behalf::ToSelf(_), Some(padata)) = (self, found) else { return Ok(None) };
        let padata: PaS4uX509User<'_> = wire::decode(padata.value)?;
        s4u::verify_x509_user(subkey, KeyUsage::S4U_X509_USER_REPLY, nonce, &padata)?;
        let nobody = Error::ReplyMismatch("a ticket in nobody's name");
        padata.user.user.ok_or(nobody)?.principal(padata.user.realm).map(Some)
    }

    /// Whose ticket a reply brings: the one who was asked for. A reply's names are not encrypted, so what
    /// another name in it is worth only the ticket's service can tell. A ticket on the way to there is the
    /// service's own.
    pub(super) fn client(
        &self,
        own: &Principal,
        (named, signed): (&Principal, Option<&Principal>),
        options: KdcOptions,
        on_the_way: bool,
    ) -> Result<Principal> {
        const ANOTHER: Error = Error::ReplyMismatch("another client");
        let named = named.clone();
        match self {
            _ if on_the_way => Some(named).filter(|named| named == own).ok_or(ANOTHER),
            Behalf::Own => Some(named).filter(|named| named == own).ok_or(ANOTHER),
            Behalf::Through(user) => Some(named).filter(|named| named == user).ok_or(ANOTHER),
            Behalf::ToSelf(user) => {
                let by_name = match user {
                    User::Named(name) => Some(name),
                    User::Certified(..) => None,
                };
                let as_asked = by_name == Some(&named);
                if named == *own && !as_asked || by_name.is_none() && signed.is_none() {
                    return Err(Error::ReplyMismatch("a KDC that gives no tickets in others' names"));
                }
                if signed.is_some_and(|signed| *signed != named) {
                    return Err(ANOTHER);
                }
                let free = options.has(KdcOptions::CANONICALIZE)
                    || by_name.is_none_or(|name| name.kind() == NameType::ENTERPRISE);
                if as_asked || free { Ok(named) } else { Err(ANOTHER) }
            }
        }
    }
}

impl TgsRequest {
    /// A ticket in a user's name to the service that asks (S4U2Self, MS-SFU 3.1.5.1.1). A user of another
    /// realm is asked for there first, and that realm's KDC leads back. The KDC gives it to whoever owns `tgt`, so it proves nothing to others; where the service may act for users, it can
    /// be shown with [`TgsRequest::on_behalf`].
    pub fn for_user(tgt: Credential, user: User) -> TgsRequest {
        let server = tgt.client.clone();
        TgsRequest { behalf: Behalf::ToSelf(user), ..TgsRequest::new(tgt, server) }
    }

    /// A ticket to another service in the name of the user whose ticket to us this is (S4U2Proxy, MS-SFU
    /// 3.1.5.2.1).
    pub fn on_behalf(tgt: Credential, server: Principal, evidence: &Credential) -> TgsRequest {
        let behalf = Behalf::Through(evidence.client.clone());
        let second_ticket = Some(evidence.ticket.clone());
        let mut request = TgsRequest { behalf, second_ticket, ..TgsRequest::new(tgt, server) };
        request.options |= KdcOptions::CNAME_IN_ADDL_TKT;
        request
    }
}
