//! What kinit is going to do: who, with which secret, into which cache.

use std::collections::BTreeSet;
use std::net::IpAddr;

use libkrb::Principal;
use libkrb::ccache::{Address, CacheName};
use libkrb::client::{AsRequest, Secret};
use libkrb::codes::AddressType;
use libkrb::flags::KdcOptions;
use libkrb::keytab::{Keytab, KeytabName};
use libkrb::net::as_request;

use super::arguments::{Arguments, Spans};
use crate::report::{self, During, Failure, Result};
use crate::secret::Typed;
use crate::settings::Settings;

/// The decisions that come before the first message.
pub(super) struct Plan {
    /// Who.
    pub client: Principal,
    /// The service, if not the ticket-granting one.
    pub server: Option<Principal>,
    /// Where the ticket goes.
    pub cache: CacheName,
    /// Whether the cache becomes the primary one of its collection.
    pub switch: bool,
    /// Whether the cache was made for this ticket.
    pub new: bool,
}

impl Plan {
    pub(super) fn make(arguments: &Arguments, settings: &Settings) -> Result<Plan> {
        let default = match arguments.cache.as_deref() {
            Some(name) => settings.cache(Some(name)).during(&format!("resolving ccache {name}")),
            None => settings.cache(None).during("while getting default ccache"),
        }?;
        let primary = match default.resolve() {
            // A directory that is none stops here; a cache that is none is only empty.
            Err(error) if arguments.cache.is_none() => return Err(error).during("while getting default ccache"),
            resolved => resolved.ok(),
        };
        let client = client(arguments, settings, &default)?;
        let chosen = match (&arguments.cache, primary) {
            (None, Some(primary)) if default.is_collection() => in_collection(&default, primary, &client)?,
            (Some(name), _) => Chosen { told: format!("specified cache: {name}"), ..Chosen::plain(default) },
            (None, _) => Chosen::plain(default),
        };
        let server = arguments.service.as_deref().map(|name| settings.principal(name)).transpose();
        let server = server.during("while parsing the service's name")?;
        if let Some(name) = &arguments.input_cache {
            settings.cache(Some(name)).during(&format!("resolving ccache {name}"))?;
        }
        if arguments.verbose {
            let input = arguments.input_cache.as_deref();
            let input = input.map(|name| format!("Using specified input cache: {name}\n")).unwrap_or_default();
            report::complain(&format!("Using {}\n{input}Using principal: {client}\n", chosen.told));
        }
        Ok(Plan { client, server, cache: chosen.cache, switch: chosen.switch, new: chosen.new })
    }

    /// The cache itself, where its name stands for a collection.
    pub(super) fn resolved(&self) -> CacheName {
        self.cache.resolve().unwrap_or_else(|_| self.cache.clone())
    }

    /// The request: krb5.conf's, as the command line changes it.
    pub(super) fn request(&self, arguments: &Arguments, settings: &Settings, spans: &Spans) -> Result<AsRequest> {
        let config = settings.config();
        let mut request = as_request(config, self.client.clone());
        let realm = self.client.realm();
        let wish = |yes: bool, no: bool, otherwise: bool| (yes || otherwise) && !no;
        let options = [
            (KdcOptions::FORWARDABLE, wish(arguments.forwardable, arguments.no_forwardable, config.forwardable(realm))),
            (KdcOptions::PROXIABLE, wish(arguments.proxiable, arguments.no_proxiable, config.proxiable(realm))),
            (KdcOptions::CANONICALIZE, arguments.canonicalize || config.canonicalize(realm)),
        ];
        request.options = options.into_iter().fold(request.options, |all, (option, on)| all.with(option, on));
        request.server = self.server.clone();
        request.lifetime = spans.lifetime.or(request.lifetime);
        request.renewable_for = spans.renewable.or(request.renewable_for);
        request.start_in = spans.start_in;
        request.include_pac = match (arguments.request_pac, arguments.no_request_pac) {
            (false, false) => None,
            (yes, _) => Some(yes),
        };
        if wish(arguments.addresses, arguments.no_addresses, !config.noaddresses(realm)) {
            request.addresses = local_addresses(settings)?;
        }
        Ok(request)
    }

    /// The password, asked for when it is needed, or the keys of a keytab.
    pub(super) fn secret(&self, arguments: &Arguments, settings: &Settings, typed: &Typed) -> Result<Secret> {
        if self.client.is_anonymous() {
            return Ok(Secret::None);
        }
        if !arguments.by_keytab() {
            return Ok(typed.secret());
        }
        if arguments.verbose
            && let Some(name) = &arguments.keytab
        {
            report::complain(&format!("Using keytab: {name}\n"));
        }
        let keytab = keytab_name(arguments, settings)?.load().during(arguments.doing())?;
        let entries = keytab.entries.iter().filter(|entry| entry.principal == self.client);
        Ok(Secret::Keys(entries.filter_map(|entry| Some((entry.kvno, entry.key.key().ok()?))).collect()))
    }
}

fn keytab_name(arguments: &Arguments, settings: &Settings) -> Result<KeytabName> {
    match &arguments.keytab {
        Some(name) => KeytabName::parse(name).during(&format!("resolving keytab {name}")),
        None if arguments.client_keytab => settings.client_keytab().during("resolving default client keytab"),
        None => settings.keytab().during("resolving default keytab"),
    }
}

/// Named, or of the keytab, or the cache's owner, or who is logged in.
fn client(arguments: &Arguments, settings: &Settings, default: &CacheName) -> Result<Principal> {
    if arguments.anonymous {
        return anonymous(arguments, settings);
    }
    if let Some(name) = &arguments.principal {
        let parsed = if arguments.enterprise { settings.enterprise(name) } else { settings.principal(name) };
        return parsed.during(&format!("when parsing name {name}"));
    }
    if arguments.client_keytab {
        let doing = "When determining client principal name from keytab";
        let keytab = keytab_name(arguments, settings)?.load().during(doing)?;
        let first = keytab.entries.first().map(|entry| entry.principal.clone());
        let empty = || Failure::new(format!("Keytab contains no keys {doing}")).next("kadmin ktadd puts one there.");
        return first.ok_or_else(empty);
    }
    if arguments.by_keytab() {
        return this_host(arguments, settings);
    }
    if let Ok(cache) = default.load() {
        return Ok(cache.principal);
    }
    let user = settings
        .user()
        .ok_or_else(|| Failure::new("Unable to identify user").next("Name the principal: kinit alice@EXAMPLE.ORG"))?;
    settings.principal(&user).during(&format!("when parsing name {user}"))
}

/// Nobody in particular, of the realm that is named, or else the default one.
fn anonymous(arguments: &Arguments, settings: &Settings) -> Result<Principal> {
    let realm = match arguments.principal.as_deref() {
        None => settings.config().needed_default_realm().during("while getting default realm")?,
        Some(name) => name.strip_prefix('@').filter(|realm| !realm.is_empty()).ok_or_else(|| {
            Failure::new("A ticket without a name (-n) is for nobody: a principal can't be named with it")
                .next("Name a realm only: kinit -n @EXAMPLE.ORG")
        })?,
    };
    Ok(Principal::anonymous().in_realm(realm))
}

/// host/NAME for this host, under the whole name if the keytab knows only one such.
fn this_host(arguments: &Arguments, settings: &Settings) -> Result<Principal> {
    let name = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    let keytab = keytab_name(arguments, settings)?.load().unwrap_or_default();
    let host = qualified(&name, &keytab).unwrap_or(name);
    let config = settings.config();
    let realm = config.realm_of_host(&host).map_or_else(|| config.needed_default_realm(), Ok);
    Ok(Principal::service("host", &host, realm.during("when creating default server principal name")?))
}

fn qualified(name: &str, keytab: &Keytab) -> Option<String> {
    let hosts = keytab.entries.iter().filter_map(|entry| match entry.principal.components() {
        [service, host] if &**service == "host" => Some(&**host),
        _ => None,
    });
    let is_it = |host: &&str| host.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let candidates: BTreeSet<&str> = hosts.filter(is_it).collect();
    let only = candidates.first().filter(|first| candidates.len() == 1 || **first == name);
    only.map(|host| (*host).to_owned())
}

/// A cache, and why this one.
struct Chosen {
    cache: CacheName,
    switch: bool,
    new: bool,
    told: String,
}

impl Chosen {
    fn plain(cache: CacheName) -> Chosen {
        Chosen { told: format!("default cache: {}", report::residual(&cache)), cache, switch: false, new: false }
    }
}

/// The client's cache in the collection, else the default one while it is empty, else a new one.
fn in_collection(default: &CacheName, primary: CacheName, client: &Principal) -> Result<Chosen> {
    let told = |what: &str, cache: &CacheName| format!("{what} cache: {}", report::residual(cache));
    if let Ok(own) = default.member_of(client) {
        return Ok(Chosen { told: told("existing", &own), switch: true, new: false, cache: own });
    }
    if primary.load().is_err() {
        return Ok(Chosen::plain(primary));
    }
    let cache = default.new_unique().during("while generating new ccache")?;
    Ok(Chosen { told: told("new", &cache), switch: true, new: true, cache })
}

/// The addresses of this host that others can reach, and those that krb5.conf adds
/// (`extra_addresses`: the outside of an address translation).
fn local_addresses(settings: &Settings) -> Result<Vec<Address>> {
    let interfaces = if_addrs::get_if_addrs()?;
    let reachable = interfaces.iter().filter(|interface| !interface.is_loopback() && !interface.is_link_local());
    let mut addresses: Vec<_> = reachable.map(|interface| address(interface.ip())).collect();
    for value in settings.config().values(&["libdefaults", "extra_addresses"]) {
        for text in value.text.split([',', ' ', '\t']).filter(|text| !text.is_empty()) {
            let ip = text.parse().map_err(|_| Failure::new(format!("extra_addresses: {text} is no IP address")))?;
            addresses.push(address(ip));
        }
    }
    if addresses.is_empty() {
        return Err(Failure::new("this host has no address that others can reach")
            .next("Leave -a out: a ticket without addresses is good from anywhere."));
    }
    Ok(addresses)
}

fn address(ip: IpAddr) -> Address {
    match ip {
        IpAddr::V4(address) => Address { kind: AddressType::IPV4, bytes: address.octets().to_vec() },
        IpAddr::V6(address) => Address { kind: AddressType::IPV6, bytes: address.octets().to_vec() },
    }
}

#[cfg(test)]
mod tests {
    use libkrb::Time;
    use libkrb::codes::EncryptionType;
    use libkrb::keytab::{KeytabEntry, RawKey};

    use super::*;

    fn keytab(names: &[&str]) -> Keytab {
        let entry = |name: &&str| KeytabEntry {
            principal: Principal::parse(name, Some("R")).expect("a name"),
            timestamp: Time::EPOCH,
            kvno: 1,
            key: RawKey::new(EncryptionType::AES128_SHA1, [7; 16]),
        };
        Keytab { entries: names.iter().map(entry).collect() }
    }

    #[test]
    fn the_keytab_tells_the_whole_name_of_this_host() {
        let only = keytab(&["alice", "HTTP/vm.b", "host/vm.example.org", "host/vm.example.org", "host/vmware.a"]);
        assert_eq!(qualified("vm", &only).as_deref(), Some("vm.example.org"));
        assert_eq!(qualified("vm", &keytab(&["host/vm.a", "host/vm"])).as_deref(), Some("vm"));
        assert_eq!(qualified("vm", &keytab(&["host/vm.a", "host/vm.b"])), None);
        assert_eq!(qualified("vm", &keytab(&[])), None);
    }
}
