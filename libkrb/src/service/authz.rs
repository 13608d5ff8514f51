//! Authorization data of ticket and authenticator (RFC 4120 5.2.6): gathered out of AD-IF-RELEVANT,
//! and refused where it restricts in a way that nobody here understands.
//!
//! MIT krb5 and Heimdal let such restrictions pass unread; the RFC says that authentication MUST
//! fail, and so it does here. No KDC in use sends one outside of AD-IF-RELEVANT.

use crate::codes::AuthDataType;
use crate::error::{Error, ErrorCode, Result};
use crate::wire::{self, AuthorizationData};

/// How deep AD-IF-RELEVANT may nest, and how many elements there may be.
const MAX_DEPTH: usize = 4;
const MAX_ELEMENTS: usize = 256;

/// What anyone may pass over (RFC 4120 5.2.6.2), and what only a KDC has to heed (5.2.6.4).
const DISPENSABLE: [AuthDataType; 2] = [AuthDataType::KDC_ISSUED, AuthDataType::MANDATORY_FOR_KDC];

/// Where an element stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the ticket: from the KDC, or from the client through the KDC.
    Ticket,
    /// In the authenticator: from the client.
    Authenticator,
}

/// One element of authorization data. Unless it bears a KDC's signature the client may have written
/// it: such an element can take rights away, and never give any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthzElement {
    /// What it is.
    pub kind: AuthDataType,
    /// Its content; often DER.
    pub data: Vec<u8>,
    /// Where it stood.
    pub source: Source,
    /// Whether it must be understood: it stood outside of AD-IF-RELEVANT.
    pub critical: bool,
}

/// Adds the elements of one place, in their order, to those that were found before.
pub(super) fn collect(
    understood: &[AuthDataType],
    source: Source,
    data: Option<AuthorizationData<'_>>,
    found: &mut Vec<AuthzElement>,
) -> Result<()> {
    data.map_or(Ok(()), |data| Collector { understood, source, found }.add(data, 0))
}

struct Collector<'a> {
    understood: &'a [AuthDataType],
    source: Source,
    found: &'a mut Vec<AuthzElement>,
}

impl Collector<'_> {
    fn add(&mut self, data: AuthorizationData<'_>, depth: usize) -> Result<()> {
        let critical = depth == 0;
        for element in data.iter() {
            if element.kind == AuthDataType::IF_RELEVANT {
                if depth == MAX_DEPTH {
                    return Err(Error::Malformed("authorization data nested too deep"));
                }
                self.add(wire::decode(element.data)?, depth + 1)?;
                continue;
            }
            if critical && !DISPENSABLE.contains(&element.kind) && !self.understood.contains(&element.kind) {
                let text = format!("the ticket has a restriction of unknown type {}", element.kind);
                return Err(Error::protocol(ErrorCode::POLICY, text));
            }
            if self.found.len() == MAX_ELEMENTS {
                return Err(Error::Malformed("too many elements of authorization data"));
            }
            let (kind, data, source) = (element.kind, element.data.to_vec(), self.source);
            self.found.push(AuthzElement { kind, data, source, critical });
        }
        Ok(())
    }
}
