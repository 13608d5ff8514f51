//! Who asks for an operation, through which door, and by what authority. Not here: what the access
//! list gives them ([`super::acl`]).

use std::fmt;
use std::net::SocketAddr;

use libkrb::Principal;
use libkrb::codes::NameType;

/// Somebody who asks for operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name under which changes are recorded.
    pub name: Principal,
    /// Where the question came in.
    pub door: Door,
    /// What decides whether it is answered.
    pub authority: Authority,
}

/// Where a question comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The process itself, which has the store open.
    Process,
    /// The KDC's own business, with nobody asking.
    Kdc,
    /// The Unix socket in the realm's folder.
    Socket,
    /// The admin API over TLS.
    Https(SocketAddr),
    /// The protocol of RFC 3244.
    Kpasswd(SocketAddr),
}

/// What decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// Nothing: root, the owner of the realm's files, and the KDC may do all that can be done.
    All,
    /// The access list.
    Acl {
        /// Whether the caller proved itself with its own key just now, rather than with a ticket of
        /// an earlier proof: so much is asked of who changes the own keys.
        initial: bool,
    },
}

impl Caller {
    /// A login of this machine, who is all-mighty and recorded as `user/admin`.
    pub fn login(user: &str, realm: &str, door: Door) -> Self {
        let name = Principal::service(user, "admin", realm).with_kind(NameType::PRINCIPAL);
        Caller { name, door, authority: Authority::All }
    }

    /// A principal that the access list decides about.
    pub fn principal(name: Principal, door: Door, initial: bool) -> Self {
        Caller { name, door, authority: Authority::Acl { initial } }
    }

    /// Whether nothing is forbidden to it but what is forbidden to all.
    pub fn is_mighty(&self) -> bool {
        self.authority == Authority::All
    }
}

impl fmt::Display for Door {
    /// As logs name it: `https 192.0.2.1:4711`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Door::Process => f.write_str("process"),
            Door::Kdc => f.write_str("kdc"),
            Door::Socket => f.write_str("socket"),
            Door::Https(from) => write!(f, "https {from}"),
            Door::Kpasswd(from) => write!(f, "kpasswd {from}"),
        }
    }
}
