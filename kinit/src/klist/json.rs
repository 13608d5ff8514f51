//! Credential caches and keytabs as JSON. Times are UTC; what is unknown or does not apply is null.

use libkrb::Time;
use libkrb::ccache::{CacheName, Ccache, Credential};
use libkrb::flags::TicketFlags;
use libkrb::keytab::{Keytab, KeytabName};
use libkrb::wire::{self, Ticket};
use serde_json::{Value, json};

use super::{address, cache, indicators};

/// One cache of a list.
pub(super) fn summary(name: &CacheName, cache: &Ccache, good: bool) -> Value {
    json!({ "cache": name.to_string(), "principal": cache.principal.to_string(), "expired": !good })
}

/// A cache with everything in it but the keys, and with what a keytab's keys find in the tickets.
pub(super) fn cache(name: &CacheName, cache: &Ccache, keytab: Option<&Keytab>) -> Value {
    let (config, tickets): (Vec<_>, Vec<_>) = cache.credentials.iter().partition(|credential| credential.is_config());
    json!({
        "cache": name.to_string(),
        "principal": cache.principal.to_string(),
        "kdc_offset_seconds": cache.kdc_offset.map(|(seconds, _)| seconds),
        "tickets": tickets.into_iter().map(|credential| ticket(credential, keytab)).collect::<Vec<_>>(),
        "config": config.into_iter().map(entry).collect::<Vec<_>>(),
    })
}

fn ticket(credential: &Credential, keytab: Option<&Keytab>) -> Value {
    let sealed = wire::decode::<Ticket<'_>>(&credential.ticket).ok();
    let mut shown = json!({
        "client": credential.client.to_string(),
        "server": credential.server.to_string(),
        "ticket_server": cache::ticket_server(credential).map(|server| server.to_string()),
        "authenticated": time(credential.auth_time),
        "starts": time(cache::start(credential)),
        "expires": time(credential.end_time),
        "renew_until": time(credential.renew_till),
        "flags": flags(credential.flags),
        "session_etype": credential.key.etype.to_string(),
        "ticket_etype": sealed.map(|ticket| ticket.enc_part.etype.to_string()),
        "kvno": sealed.and_then(|ticket| ticket.enc_part.kvno),
        "user_to_user": credential.is_skey,
        "addresses": credential.addresses.iter().map(address::number).collect::<Vec<_>>(),
        "authdata_types": credential.authdata.iter().map(|data| data.kind.0).collect::<Vec<_>>(),
    });
    if let Some(keytab) = keytab {
        shown["indicators"] = indicators::of(credential, keytab).into();
    }
    shown
}

fn entry(credential: &Credential) -> Value {
    json!({
        "key": credential.config_key(),
        "principal": credential.config_principal(),
        "value": String::from_utf8_lossy(&credential.ticket),
    })
}

/// A keytab; with the keys only if they were asked for.
pub(super) fn keytab(name: &KeytabName, keytab: &Keytab, with_keys: bool) -> Value {
    let entries = keytab.entries.iter().map(|entry| {
        let mut shown = json!({
            "principal": entry.principal.to_string(),
            "kvno": entry.kvno,
            "timestamp": time(entry.timestamp),
            "etype": entry.key.etype.to_string(),
        });
        if with_keys {
            shown["key"] = hex(&entry.key.bytes).into();
        }
        shown
    });
    json!({ "keytab": name.to_string(), "entries": entries.collect::<Vec<_>>() })
}

fn time(time: Time) -> Option<String> {
    (time != Time::EPOCH).then(|| time.to_string())
}

fn flags(flags: TicketFlags) -> Vec<&'static str> {
    TicketFlags::TABLE.iter().filter(|(flag, _)| flags.has(*flag)).map(|(_, name)| *name).collect()
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
