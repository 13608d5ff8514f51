//! AP-REQ: a ticket and the proof that its session key is known (RFC 4120 3.2.2, 5.5.1). Not here:
//! what the proof is for, a service ([`super::ApExchange`]) or another ticket
//! ([`super::TgsExchange`]).

use crate::ccache::Credential;
use crate::crypto::{Key, KeyUsage, Random};
use crate::error::Result;
use crate::flags::ApOptions;
use crate::time::Instant;
use crate::wire::{
    self, ApReq, AuthData, Authenticator, Checksum, EncryptedData, EncryptionKey, Fixed, List, PrincipalName, Raw,
};

/// What goes into an AP-REQ.
pub(super) struct ApMessage<'a> {
    pub credential: &'a Credential,
    /// The credential's key, and what the authenticator is encrypted for.
    pub session: &'a Key,
    pub usage: KeyUsage,
    pub options: ApOptions,
    pub checksum: Option<Checksum<'a>>,
    pub subkey: Option<&'a Key>,
    pub sequence: Option<u32>,
    pub now: Instant,
    /// What the authenticator says of itself.
    pub authdata: &'a [AuthData<'a>],
}

impl ApMessage<'_> {
    /// The message.
    pub fn seal(&self, random: &mut dyn Random) -> Result<Vec<u8>> {
        let authenticator = wire::encode_secret(&Authenticator {
            version: Fixed,
            client_realm: self.credential.client.realm(),
            client: PrincipalName::from(&self.credential.client),
            checksum: self.checksum,
            micros: self.now.micros,
            time: self.now.time,
            subkey: self.subkey.map(EncryptionKey::from),
            sequence: self.sequence,
            authorization_data: (!self.authdata.is_empty()).then_some(List::Items(self.authdata)),
        });
        let cipher = self.session.encrypt(self.usage, random, &authenticator);
        Ok(wire::encode(&ApReq {
            version: Fixed,
            kind: Fixed,
            options: self.options,
            ticket: Raw::parse(&self.credential.ticket)?,
            authenticator: EncryptedData { etype: self.session.etype(), kvno: None, cipher: &cipher },
        }))
    }
}
