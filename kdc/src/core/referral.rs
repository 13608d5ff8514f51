//! Who is not here but elsewhere: the next realm on the way to a service, and the realm of a client
//! (RFC 4120 3.3.3, RFC 6806 7 to 9). Not here: whether the client may go there.

use std::sync::Arc;

use libkrb::codes::NameType;
use libkrb::config::realm_of_host;
use libkrb::flags::KdcOptions;
use libkrb::wire::KdcReqBody;
use libkrb::{ErrorCode, Principal};

use super::Kdc;
use super::abroad::Referrals;
use super::entry::Entry;
use super::refuse::Refusal;

/// Options of requests that are for exactly the server that they name.
const NOWHERE_ELSE: KdcOptions = KdcOptions(
    KdcOptions::FORWARDED.0
        | KdcOptions::PROXY.0
        | KdcOptions::RENEW.0
        | KdcOptions::VALIDATE.0
        | KdcOptions::ENC_TKT_IN_SKEY.0
        | KdcOptions::CNAME_IN_ADDL_TKT.0,
);

/// The server that the reply to a TGS-REQ is about: the one that is asked for, else the
/// ticket-granting service of the realm that is nearest to it.
///
/// # Errors
/// S_PRINCIPAL_UNKNOWN when there is none.
pub fn server(kdc: &Kdc<'_>, body: &KdcReqBody<'_>, name: Principal) -> Result<(Principal, Arc<Entry>), Refusal> {
    let unknown = |cause| Refusal::new(ErrorCode::S_PRINCIPAL_UNKNOWN, cause);
    let ours = body.realm == kdc.policy.realm;
    if ours && let Some(entry) = kdc.store.lookup(&name)? {
        return Ok((name, entry));
    }
    let nowhere = if ours { "no such server in this realm" } else { "no way to that realm from here" };
    let realm = realm_of(kdc, body, &name).ok_or(unknown(nowhere))?;
    let entry = next_hop(kdc, &realm)?.ok_or(unknown("no way to that realm from here"))?;
    Ok((entry.principal.clone(), entry))
}

/// The other realm in which a server is to be looked for that is not in ours.
fn realm_of(kdc: &Kdc<'_>, body: &KdcReqBody<'_>, name: &Principal) -> Option<String> {
    let elsewhere = |realm: &&str| *realm != kdc.policy.realm && !realm.is_empty();
    if body.options.any(NOWHERE_ELSE) {
        return None;
    }
    let canonicalize = body.options.has(KdcOptions::CANONICALIZE);
    let realm = if body.realm != kdc.policy.realm {
        // RFC 6806 9
        canonicalize.then_some(body.realm)
    } else if let Some(target) = name.tgs_target() {
        // RFC 4120 3.3.3: this much needs no leave to change names.
        Some(target)
    } else if let ([text], NameType::ENTERPRISE) = (name.components(), name.kind()) {
        // A service that asks for a ticket to itself in the realm of a user (MS-SFU 3.1.5.1.1).
        text.rsplit_once('@').map(|(_, realm)| realm).filter(|_| canonicalize)
    } else {
        canonicalize.then(|| kdc.policy.abroad.referrals.realm_of_service(name)).flatten()
    };
    realm.filter(elsewhere).map(str::to_owned)
}

/// The ticket-granting service of the realm on the way to this one that is nearest to it, of those with
/// which we share a key.
fn next_hop(kdc: &Kdc<'_>, realm: &str) -> Result<Option<Arc<Entry>>, Refusal> {
    let ours = &kdc.policy.realm;
    for next in kdc.policy.abroad.paths.path(ours, realm).iter().rev().filter(|next| *next != ours) {
        let name = Principal::cross_tgs(next, ours);
        // An alias is no trust.
        if let Some(entry) = kdc.store.lookup(&name)?.filter(|entry| entry.principal == name) {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// Where a client is to be looked for that is not here: the refusal that names the realm, if one is
/// known (RFC 6806 7). Who logs in by an enterprise name wants to be found: MIT's clients follow without
/// having set canonicalize.
pub fn client(kdc: &Kdc<'_>, name: &Principal) -> Option<Refusal> {
    let ([text], NameType::ENTERPRISE) = (name.components(), name.kind()) else { return None };
    let (_, domain) = text.rsplit_once('@')?;
    let realm = kdc.policy.abroad.referrals.clients.get(&domain.to_ascii_lowercase())?;
    let cause = "the client is of another realm";
    Some(Refusal { realm: Some(realm.clone()), ..Refusal::new(ErrorCode::WRONG_REALM, cause) })
}

impl Referrals {
    /// The realm of a host-based service: by its name type, or where that says nothing by its first
    /// component.
    fn realm_of_service(&self, name: &Principal) -> Option<&str> {
        let [service, host] = name.components() else { return None };
        let listed = |list: &std::collections::BTreeSet<String>| list.contains(&**service) || list.contains("*");
        let host_based = match name.kind() {
            NameType::SRV_HST | NameType::SRV_INST => true,
            NameType::UNKNOWN => listed(&self.host_based_services),
            _ => false,
        };
        // What has no dot is no host of the world.
        let referred = host_based && !listed(&self.no_host_referral) && host.contains('.');
        if !referred { None } else { realm_of_host(host, |name| self.hosts.get(name).map(String::as_str)) }
    }
}
