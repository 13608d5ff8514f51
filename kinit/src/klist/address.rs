//! Addresses as klist shows them: by name, unless only numbers are wanted.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::Resolver;
use hickory_resolver::proto::rr::RData;
use libkrb::ccache::Address;
use libkrb::codes::AddressType;

/// How long the names of one list may take; after that, numbers are good enough.
const PATIENCE: Duration = Duration::from_secs(5);

/// The list, in MIT's words.
pub(super) fn list(addresses: &[Address], numeric: bool) -> String {
    if addresses.is_empty() {
        return "(none)".to_owned();
    }
    let names = if numeric { vec![] } else { names(addresses).unwrap_or_default() };
    let name_of = |index: usize| names.get(index).cloned().flatten();
    let shown = addresses.iter().enumerate().map(|(index, address)| name_of(index).unwrap_or_else(|| number(address)));
    shown.collect::<Vec<_>>().join(", ")
}

/// The address in numbers.
pub(super) fn number(address: &Address) -> String {
    let broken = || format!("broken address (type {} length {})", address.kind.0, address.bytes.len());
    match address.kind {
        AddressType::IPV4 | AddressType::IPV6 => ip(address).map_or_else(broken, |ip| ip.to_string()),
        AddressType::NETBIOS if address.bytes.len() != 16 => broken(),
        AddressType::NETBIOS => {
            let name = address.bytes.iter().take(15).take_while(|byte| !matches!(byte, 0 | b' '));
            name.flat_map(|byte| std::ascii::escape_default(*byte)).map(char::from).collect()
        }
        kind => format!("unknown addrtype {}", kind.0),
    }
}

fn ip(address: &Address) -> Option<IpAddr> {
    match address.kind {
        AddressType::IPV4 => <[u8; 4]>::try_from(&*address.bytes).ok().map(IpAddr::from),
        AddressType::IPV6 => <[u8; 16]>::try_from(&*address.bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// The names that `/etc/hosts` and DNS know for them.
fn names(addresses: &[Address]) -> Option<Vec<Option<String>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let resolver = Resolver::builder_tokio().ok()?.build().ok()?;
        let lookups = async {
            let mut names = vec![];
            for address in addresses {
                names.push(match ip(address) {
                    Some(ip) => name(&resolver, ip).await,
                    None => None,
                });
            }
            names
        };
        tokio::time::timeout(PATIENCE, lookups).await.ok()
    })
}

async fn name(resolver: &hickory_resolver::TokioResolver, ip: IpAddr) -> Option<String> {
    let answer = resolver.reverse_lookup(ip).await.ok()?;
    let name = answer.answers().iter().find_map(|record| match &record.data {
        RData::PTR(name) => Some(name.to_string()),
        _ => None,
    })?;
    Some(name.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: i32, bytes: &[u8]) -> String {
        list(&[Address { kind: AddressType(kind), bytes: bytes.to_vec() }], true)
    }

    #[test]
    fn addresses_are_shown_in_mits_words() {
        assert_eq!(list(&[], true), "(none)");
        assert_eq!(shown(2, &[10, 0, 0, 1]), "10.0.0.1");
        assert_eq!(shown(24, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), "2001:db8::1");
        assert_eq!(shown(20, b"WORKSTATION    \0"), "WORKSTATION");
        assert_eq!(shown(20, b"\x1b[31mWORK       "), "\\x1b[31mWORK");
        assert_eq!(shown(2, &[10, 0]), "broken address (type 2 length 2)");
        assert_eq!(shown(257, &[10, 0]), "unknown addrtype 257");
    }
}
