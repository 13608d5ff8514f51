//! The last phase: seals a grant's ticket and reply (RFC 4120 3.1.3, 3.3.3). Decides nothing.

use libkrb::codes::{AuthDataType, MessageType};
use libkrb::crypto::Random;
use libkrb::wire::{
    self, AuthData, EncKdcRepPart, EncTicketPart, Encode, EncryptedData, EncryptionKey, Fixed, KdcRep, List, PaData,
    Raw, Ticket, Writer,
};

mod cammac;
mod pac;

use smallvec::SmallVec;

use super::event::{Event, Issued};
use super::grant::{Element, Grant, SealingKey};

/// The AS-REP or TGS-REP of a grant; the event learns what was issued.
pub fn seal(grant: &Grant<'_>, random: &mut dyn Random, event: &mut Event) -> Vec<u8> {
    event.issued = Some(issued(grant));
    let fields = ticket_part(grant).fields();
    let said = cammac::element(grant, &fields);
    let mut data = SmallVec::<[_; 4]>::new();
    data.extend(grant.authorization_data.iter().copied());
    data.extend(said.iter().map(|(kind, data)| AuthData { kind: *kind, data }));
    // Last, for it signs all of the ticket; first, where MIT krb5 has it.
    let pac = pac::element(grant, &fields, &data);
    let pac = pac.iter().map(|pac| AuthData { kind: AuthDataType::IF_RELEVANT, data: pac.bytes() });
    let data = pac.chain(data.iter().copied()).collect::<SmallVec<[_; 4]>>();
    let ticket_cipher = encrypt(&grant.ticket_key, random, &fields.with(List::Items(&data)));
    let encrypted = pa_data(&grant.encrypted_padata);
    let reply_cipher = encrypt(&grant.reply_key, random, &reply_part(grant, &encrypted));
    let ticket = Ticket {
        version: Fixed,
        realm: grant.server.realm(),
        server: grant.server.into(),
        enc_part: sealed(&grant.ticket_key, ticket_cipher.bytes()),
    };
    // The ticket stands in the reply as a value; its bytes are written when the reply is.
    let ticket_der = written(&ticket);
    let ticket_der = ticket_der.bytes();
    let (client, enveloped) = match &grant.envelope {
        Some(envelope) => {
            let around = envelope.padata(random, grant.client, ticket_der, &pa_data(&grant.padata));
            (envelope.client(grant.client), Some([around]))
        }
        None => (grant.client, None),
    };
    let padata = pa_data(enveloped.as_ref().map_or(&grant.padata[..], |around| around));
    let reply = KdcRep {
        kind: grant.kind,
        padata: List::Items(&padata),
        client_realm: client.realm(),
        client: client.into(),
        ticket: Raw { der: ticket_der, value: ticket },
        enc_part: sealed(&grant.reply_key, reply_cipher.bytes()),
    };
    wire::encode(&reply)
}

fn encrypt(key: &SealingKey<'_>, random: &mut dyn Random, part: &impl Encode) -> Writer {
    let mut writer = Writer::new();
    writer.encrypted(&key.key, random, |writer| part.encode(writer));
    writer
}

fn written(part: &impl Encode) -> Writer {
    let mut writer = Writer::new();
    part.encode(&mut writer);
    writer
}

fn sealed<'a>(key: &SealingKey<'_>, cipher: &'a [u8]) -> EncryptedData<'a> {
    EncryptedData { etype: key.etype(), kvno: key.kvno, cipher }
}

fn pa_data(padata: &[Element]) -> SmallVec<[PaData<'_>; 4]> {
    padata.iter().map(|(kind, value)| PaData { kind: *kind, value }).collect()
}

/// All that a ticket says but its authorization data.
fn ticket_part<'a>(grant: &'a Grant<'a>) -> EncTicketPart<'a> {
    EncTicketPart {
        flags: grant.flags,
        key: EncryptionKey::from(&grant.session),
        client_realm: grant.client.realm(),
        client: grant.client.into(),
        transited: grant.transited,
        auth_time: grant.times.auth,
        start_time: Some(grant.times.start),
        end_time: grant.times.end,
        renew_till: grant.times.renew_till,
        addresses: grant.addresses,
        authorization_data: None,
    }
}

fn reply_part<'a>(grant: &'a Grant<'a>, encrypted: &'a [PaData<'a>]) -> EncKdcRepPart<'a> {
    EncKdcRepPart {
        kind: grant.kind,
        key: EncryptionKey::from(&grant.session),
        last_req: List::Items(&grant.last_req),
        nonce: grant.nonce,
        key_expiration: grant.key_expiration,
        flags: grant.flags,
        auth_time: grant.times.auth,
        start_time: Some(grant.times.start),
        end_time: grant.times.end,
        renew_till: grant.times.renew_till,
        server_realm: grant.server.realm(),
        server: grant.server.into(),
        addresses: grant.addresses,
        encrypted_padata: (!encrypted.is_empty()).then_some(List::Items(encrypted)),
    }
}

fn issued(grant: &Grant<'_>) -> Issued {
    debug_assert!(grant.kind == MessageType::AS_REP || grant.kind == MessageType::TGS_REP);
    Issued {
        auth_time: grant.times.auth,
        start_time: grant.times.start,
        end_time: grant.times.end,
        renew_till: grant.times.renew_till,
        flags: grant.flags,
        ticket_etype: grant.ticket_key.etype(),
        session_etype: grant.session.etype(),
        reply_etype: grant.reply_key.etype(),
    }
}
