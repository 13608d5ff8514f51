//! What the KDC vouches for in a ticket, read when somebody wants to know it: out of AD-CAMMACs whose checksum was made with the very
//! key that seals the ticket (RFC 7751 4, RFC 8129 5). What stands elsewhere, the client may have written.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::authz::AuthzElement;
use crate::authz::{cammac, indicators, roles};
use crate::codes::AuthDataType;
use crate::crypto::PreparedChecksum;
use crate::wire::{self, AdCammac};

/// How many containers of one ticket are looked at; a KDC makes one.
const MOST: usize = 8;

/// What the KDC says of the client, as soon as it was read.
pub(super) struct Vouched {
    /// What the ticket has of authorization data.
    authz: Arc<[AuthzElement]>,
    /// The key that opened the ticket.
    signs: PreparedChecksum,
    said: OnceLock<Said>,
}

struct Said {
    indicators: Vec<String>,
    roles: Vec<String>,
}

impl Vouched {
    pub(super) fn new(authz: Arc<[AuthzElement]>, signs: PreparedChecksum) -> Vouched {
        Vouched { authz, signs, said: OnceLock::new() }
    }

    pub(super) fn indicators(&self) -> &[String] {
        &self.said().indicators
    }

    pub(super) fn roles(&self) -> &[String] {
        &self.said().roles
    }

    fn said(&self) -> &Said {
        self.said.get_or_init(|| Said::read(&self.authz, &self.signs))
    }
}

impl fmt::Debug for Vouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vouched").field("indicators", &self.indicators()).field("roles", &self.roles()).finish()
    }
}

impl Said {
    /// A container with another checksum, or none that can be read, says nothing.
    fn read(authz: &[AuthzElement], signs: &PreparedChecksum) -> Said {
        let mut said = Said { indicators: vec![], roles: vec![] };
        let containers = authz.iter().filter(|element| element.kind == AuthDataType::CAMMAC);
        for container in containers.filter_map(|element| wire::decode::<AdCammac<'_>>(&element.data).ok()).take(MOST) {
            let Ok(elements) = cammac::vouched_by_service(&container, signs) else { continue };
            said.indicators.extend(indicators::read(&elements));
            said.roles.extend(roles::read(&elements));
        }
        said
    }
}
