//! Addresses of hosts, and those that only say who sent a message (RFC 4120 5.2.5, 7.1).

use std::net::IpAddr;

use crate::codes::AddressType;
use crate::wire::HostAddress;

/// An address as messages and tickets carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The kind of address.
    pub kind: AddressType,
    /// The address, in network byte order.
    pub bytes: Vec<u8>,
}

impl Address {
    /// An Internet address; one of IPv4 that is mapped into IPv6 is one of IPv4.
    pub fn ip(address: IpAddr) -> Address {
        match address.to_canonical() {
            IpAddr::V4(address) => Address { kind: AddressType::IPV4, bytes: address.octets().to_vec() },
            IpAddr::V6(address) => Address { kind: AddressType::IPV6, bytes: address.octets().to_vec() },
        }
    }

    /// The directional address of whoever sent the AP-REQ.
    pub fn initiator() -> Address {
        Address { kind: AddressType::DIRECTIONAL, bytes: vec![0, 0, 0, 0] }
    }

    /// The directional address of whoever received the AP-REQ.
    pub fn acceptor() -> Address {
        Address { kind: AddressType::DIRECTIONAL, bytes: vec![0, 0, 0, 1] }
    }

    /// Whether a message names this address.
    pub fn is(&self, address: &HostAddress<'_>) -> bool {
        self.kind == address.kind && self.bytes == address.address
    }

    /// The address for a message.
    pub fn view(&self) -> HostAddress<'_> {
        HostAddress { kind: self.kind, address: &self.bytes }
    }
}

impl From<HostAddress<'_>> for Address {
    fn from(address: HostAddress<'_>) -> Address {
        Address { kind: address.kind, bytes: address.address.to_vec() }
    }
}
