//! What krb5.conf says of the tickets to ask for, as requests. Not here: asking.

use crate::ccache::Credential;
use crate::client::{AsRequest, TgsRequest};
use crate::config::Config;
use crate::flags::KdcOptions;
use crate::name::Principal;

/// The AS request that the configuration describes for this client: enctypes, lifetimes, flags.
pub fn as_request(config: &Config, client: Principal) -> AsRequest {
    let realm = client.realm();
    let options = KdcOptions::RENEWABLE_OK
        .with(KdcOptions::FORWARDABLE, config.forwardable(realm))
        .with(KdcOptions::PROXIABLE, config.proxiable(realm))
        .with(KdcOptions::CANONICALIZE, config.canonicalize(realm));
    AsRequest {
        options,
        lifetime: Some(config.ticket_lifetime(realm)),
        renewable_for: Some(config.renew_lifetime(realm)).filter(|life| *life > 0),
        etypes: config.default_tkt_enctypes(),
        follow_clock: config.kdc_timesync(),
        clock_skew: config.clockskew(),
        ..AsRequest::new(client)
    }
}

/// A request for a ticket to change passwords with (RFC 3244): short, and good for nothing else.
pub fn changepw_request(config: &Config, client: Principal) -> AsRequest {
    let server = Principal::changepw(client.realm());
    short_request(config, client, server)
}

/// A request for a ticket to fetch one's own keys with: short, and good for nothing else.
pub(super) fn fetch_request(config: &Config, client: Principal) -> AsRequest {
    let server = Principal::fetch(client.realm());
    short_request(config, client, server)
}

fn short_request(config: &Config, client: Principal, server: Principal) -> AsRequest {
    const LIFE: i64 = 5 * 60;
    let request = as_request(config, client);
    AsRequest {
        server: Some(server),
        options: request.options & KdcOptions::CANONICALIZE,
        lifetime: Some(LIFE),
        renewable_for: None,
        ..request
    }
}

/// A request in a user's name ([`TgsRequest::for_user`], [`TgsRequest::on_behalf`]) with what the configuration
/// says besides; a user of another realm is asked for there.
pub fn request_in_a_name(config: &Config, asked: TgsRequest) -> TgsRequest {
    let TgsRequest { behalf, second_ticket, options, tgt, server, .. } = asked;
    let begin = tgt.server.tgs_target().unwrap_or(tgt.client.realm()).to_owned();
    let request = tgs_request(config, tgt, server);
    let abroad = behalf.abroad(&begin).map(|realm| config.realm_path(&begin, realm));
    let path = abroad.unwrap_or(request.path);
    TgsRequest { behalf, second_ticket, options: options | request.options, path, ..request }
}

/// The TGS request that the configuration describes for this service: enctypes, and the realms on
/// the way. `tgt` is the ticket to begin with.
pub fn tgs_request(config: &Config, tgt: Credential, server: Principal) -> TgsRequest {
    let begin = tgt.server.tgs_target().unwrap_or(tgt.client.realm());
    let path = if server.realm().is_empty() { vec![] } else { config.realm_path(begin, server.realm()) };
    let request = TgsRequest::new(tgt, server);
    TgsRequest {
        options: request.options | KdcOptions::CANONICALIZE,
        etypes: config.default_tgs_enctypes(),
        path,
        follow_clock: config.kdc_timesync(),
        ..request
    }
}
