//! What kinit is going to do: who, with which secret, into which cache.

use std::io::BufRead;
use std::net::IpAddr;

use libkrb::ccache::{Address, CacheName};
use libkrb::client::{AsRequest, Secret};
use libkrb::codes::AddressType;
use libkrb::flags::KdcOptions;
use libkrb::keytab::{Keytab, KeytabName};
use libkrb::net::as_request;
use libkrb::{Error, Principal};
use zeroize::Zeroizing;

use super::arguments::{Arguments, Spans};
use crate::report::{self, During, Failure, Result};
use crate::secret;
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
}

impl Plan {
    pub(super) fn make(arguments: &Arguments, settings: &Settings) -> Result<Plan> {
        let default = settings.cache(arguments.cache.as_deref()).during("while resolving ccache")?;
        let client = client(arguments, settings, &default)?;
        let named = arguments.cache.is_some();
        let (cache, switch, what) = if named || !matches!(default, CacheName::Dir(_)) {
            (default, false, if named { "specified" } else { "default" })
        } else {
            in_collection(&default, &client)?
        };
        let server = arguments.service.as_deref().map(|name| settings.principal(name)).transpose();
        let server = server.during("while parsing the service's name")?;
        if arguments.verbose {
            report::complain(&format!("Using {what} cache: {cache}\nUsing principal: {client}\n"));
        }
        Ok(Plan { client, server, cache, switch })
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
    pub(super) fn secret(&self, arguments: &Arguments, settings: &Settings) -> Result<Secret> {
        if !(arguments.use_keytab || arguments.keytab.is_some() || arguments.client_keytab) {
            return Ok(Secret::Prompt(Box::new(ask)));
        }
        let name = keytab_name(arguments, settings)?;
        if arguments.verbose {
            report::complain(&format!("Using keytab: {name}\n"));
        }
        let keytab = load(&name)?;
        let entries = keytab.entries.iter().filter(|entry| entry.principal == self.client);
        Ok(Secret::Keys(entries.filter_map(|entry| Some((entry.kvno, entry.key.key().ok()?))).collect()))
    }
}

/// Asks a person, or takes the next line of a pipe.
fn ask(client: &Principal) -> libkrb::Result<Zeroizing<String>> {
    let mut input: Box<dyn BufRead> = Box::new(std::io::stdin().lock());
    let line = secret::hidden_line(&format!("Password for {client}: "), &mut input);
    let line = line.map_err(|_| Error::Setting("Cannot read password".to_owned()))?;
    line.ok_or_else(|| Error::Setting("Cannot read password".to_owned()))
}

fn keytab_name(arguments: &Arguments, settings: &Settings) -> Result<KeytabName> {
    let name = match &arguments.keytab {
        Some(name) => KeytabName::parse(name),
        None if arguments.client_keytab => settings.client_keytab(),
        None => settings.keytab(),
    };
    name.during("while resolving keytab")
}

fn load(name: &KeytabName) -> Result<Keytab> {
    name.load().during("while getting initial credentials")
}

/// Named, or of the keytab, or the cache's owner, or who is logged in.
fn client(arguments: &Arguments, settings: &Settings, default: &CacheName) -> Result<Principal> {
    if let Some(name) = &arguments.principal {
        let parsed = if arguments.enterprise {
            Principal::parse_enterprise(name, settings.config().default_realm())
        } else {
            settings.principal(name)
        };
        return parsed.during(&format!("when parsing name {name}"));
    }
    if arguments.client_keytab {
        let keytab = load(&keytab_name(arguments, settings)?)?;
        let first = keytab.entries.first().map(|entry| entry.principal.clone());
        return first.ok_or_else(|| Failure::new("the client keytab holds no key"));
    }
    if arguments.use_keytab || arguments.keytab.is_some() {
        let host = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
        let realm = settings.config().needed_default_realm().during("when creating default server principal name")?;
        return Ok(Principal::service("host", &host, realm));
    }
    if let Ok(cache) = default.load() {
        return Ok(cache.principal);
    }
    let user = settings
        .user()
        .ok_or_else(|| Failure::new("Unable to identify user").next("Name the principal: kinit alice@EXAMPLE.ORG"))?;
    settings.principal(&user).during(&format!("when parsing name {user}"))
}

/// The client's cache in the collection, else the default one while it is empty, else a new one.
fn in_collection(default: &CacheName, client: &Principal) -> Result<(CacheName, bool, &'static str)> {
    if let Ok(own) = default.member_of(client) {
        return Ok((own, true, "existing"));
    }
    let primary = default.resolve().during("while resolving ccache")?;
    if matches!(primary.load(), Err(Error::NoCache(_))) {
        return Ok((primary, true, "default"));
    }
    Ok((default.new_unique().during("while creating a cache")?, true, "new"))
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
