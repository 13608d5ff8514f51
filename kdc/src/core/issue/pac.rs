//! The octets of a ticket's PAC. Signed last, over everything else that the ticket says.

use libkrb::authz::pac::{self, ClientInfo, Signatures};
use libkrb::codes::{AuthDataType, PacType};
use libkrb::wire::{AuthData, Encode, List, TicketFields, Writer};

use smallvec::SmallVec;

use super::super::grant::Grant;

/// The contents of AD-IF-RELEVANT around the PAC of a ticket with these other `elements`; `None` where
/// none is to be made, or where the names are too long for one.
pub fn element(grant: &Grant<'_>, ticket: &TicketFields, elements: &[AuthData<'_>]) -> Option<Writer> {
    let plan = grant.pac.as_ref()?;
    let about = match plan.user {
        Some(user) => ClientInfo::encode_user(user, grant.times.auth),
        None => ClientInfo::encode(grant.client, grant.times.auth),
    };
    let about = about.ok()?;
    let mut buffers = SmallVec::<[_; 4]>::new();
    buffers.push((PacType::CLIENT_INFO, &*about));
    buffers.extend(plan.buffers.iter().map(|(kind, octets)| (*kind, &**octets)));
    let signed = plan.for_service.then(|| {
        let mut all = SmallVec::<[_; 4]>::new();
        all.push(AuthData { kind: AuthDataType::IF_RELEVANT, data: pac::placeholder() });
        all.extend(elements.iter().copied());
        let mut writer = Writer::secret();
        ticket.with(List::Items(&all)).encode(&mut writer);
        writer
    });
    let by = Signatures { server: &plan.server, kdc: &plan.kdc, ticket: signed.as_ref().map(Writer::bytes) };
    pac::sign(&buffers, by).ok().map(|pac| pac::wrapped(&pac))
}
