//! Socket addresses and control messages as the kernel lays them out, read and written as octets. Not here: calls.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Room for a `sockaddr_in` or a `sockaddr_in6`.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub struct Name([u8; NAME]);

const NAME: usize = 32;
const V4: usize = size_of::<libc::sockaddr_in>();
const V6: usize = size_of::<libc::sockaddr_in6>();

/// Room for one control message with an `in_pktinfo` or an `in6_pktinfo`.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub struct Control([u8; CONTROL]);

const CONTROL: usize = 48;
/// Length, level and kind; what it says begins behind them, for they end on a multiple of the length of a word.
const HEADER: usize = size_of::<libc::cmsghdr>();
const WORD: usize = size_of::<usize>();

impl Name {
    pub const EMPTY: Name = Name([0; NAME]);

    /// The address that the kernel wrote here; none for a family that we don't know.
    pub fn address(&self) -> Option<SocketAddr> {
        let port = u16::from_be_bytes(*octets(&self.0, 2)?);
        match libc::c_int::from(u16::from_ne_bytes(*octets(&self.0, 0)?)) {
            libc::AF_INET => Some((Ipv4Addr::from(*octets::<4>(&self.0, 4)?), port).into()),
            libc::AF_INET6 => {
                let (flow, scope) =
                    (u32::from_be_bytes(*octets(&self.0, 4)?), u32::from_ne_bytes(*octets(&self.0, 24)?));
                let address = Ipv6Addr::from(*octets::<16>(&self.0, 8)?);
                Some(SocketAddrV6::new(address, port, flow, scope).into())
            }
            _ => None,
        }
    }

    /// Writes an address; its length.
    pub fn set(&mut self, address: SocketAddr) -> usize {
        put(&mut self.0, 2, &address.port().to_be_bytes());
        let (family, length) = match address {
            SocketAddr::V4(address) => {
                put(&mut self.0, 4, &address.ip().octets());
                (libc::AF_INET, V4)
            }
            SocketAddr::V6(address) => {
                put(&mut self.0, 4, &address.flowinfo().to_be_bytes());
                put(&mut self.0, 8, &address.ip().octets());
                put(&mut self.0, 24, &address.scope_id().to_ne_bytes());
                (libc::AF_INET6, V6)
            }
        };
        put(&mut self.0, 0, &(family as u16).to_ne_bytes());
        length
    }
}

impl Control {
    pub const EMPTY: Control = Control([0; CONTROL]);

    /// Our address, of a message of which the kernel has written so many octets here.
    pub fn own_address(&self, written: usize) -> Option<IpAddr> {
        let message = self.0.get(..written)?;
        let level = i32::from_ne_bytes(*octets(message, WORD)?);
        let kind = i32::from_ne_bytes(*octets(message, WORD + 4)?);
        match (level, kind) {
            // The interface, the local address, and the one in the datagram: for a broadcast not ours.
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => Some(IpAddr::from(*octets::<4>(message, HEADER + 4)?)),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => Some(IpAddr::from(*octets::<16>(message, HEADER)?)),
            _ => None,
        }
    }

    /// Has a message be sent from this address of ours; the length of that.
    pub fn set(&mut self, from: IpAddr) -> usize {
        let (level, kind, length) = match from {
            IpAddr::V4(address) => {
                put(&mut self.0, HEADER + 4, &address.octets());
                (libc::IPPROTO_IP, libc::IP_PKTINFO, size_of::<libc::in_pktinfo>())
            }
            IpAddr::V6(address) => {
                put(&mut self.0, HEADER, &address.octets());
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, size_of::<libc::in6_pktinfo>())
            }
        };
        put(&mut self.0, 0, &(HEADER + length).to_ne_bytes());
        put(&mut self.0, WORD, &level.to_ne_bytes());
        put(&mut self.0, WORD + 4, &kind.to_ne_bytes());
        (HEADER + length).next_multiple_of(WORD)
    }
}

fn octets<const N: usize>(from: &[u8], at: usize) -> Option<&[u8; N]> {
    from.get(at..)?.first_chunk()
}

fn put(to: &mut [u8], at: usize, octets: &[u8]) {
    if let Some(place) = to.get_mut(at..at + octets.len()) {
        place.copy_from_slice(octets);
    }
}
