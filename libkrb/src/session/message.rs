//! KRB-SAFE and KRB-PRIV, and the control data that both carry (RFC 4120 3.4, 3.5).

use zeroize::Zeroizing;

use super::{Address, Role, Session};
use crate::codes::{AddressType, ChecksumType, MessageType};
use crate::crypto::Random;
use crate::error::{Error, ErrorCode, Result};
use crate::replay::ReplayKey;
use crate::time::{Instant, Time};
use crate::wire::{
    self, Checksum, EncKrbPrivPart, EncryptedData, Fixed, HostAddress, KrbPriv, KrbSafe, KrbSafeBody, Raw,
};

/// Where, when and in which place a message was sent.
#[derive(Clone, Copy)]
struct Control<'a> {
    time: Option<Time>,
    micros: Option<u32>,
    sequence: Option<u32>,
    sender: HostAddress<'a>,
    receiver: Option<HostAddress<'a>>,
}

impl Session {
    /// KRB-PRIV: data that only the peer can read (RFC 4120 3.5.1).
    ///
    /// # Errors
    /// When times are used and the replay cache is full.
    pub fn make_priv(&mut self, now: Instant, random: &mut dyn Random, user_data: &[u8]) -> Result<Vec<u8>> {
        let stamp = self.stamp(now);
        let Control { time, micros, sequence, sender, receiver } = self.control(stamp);
        let plain = wire::encode_secret(&EncKrbPrivPart { user_data, time, micros, sequence, sender, receiver });
        let cipher = self.privacy.encrypt(random, &plain);
        self.sent(stamp, now, &plain)?;
        let enc_part = EncryptedData { etype: self.key.etype(), kvno: None, cipher: &cipher };
        Ok(wire::encode(&KrbPriv { version: Fixed, kind: Fixed, enc_part }))
    }

    /// What the peer wrote into a KRB-PRIV (RFC 4120 3.5.2).
    ///
    /// # Errors
    /// MSG_TYPE, BAD_INTEGRITY, BADADDR, SKEW, REPEAT, BADORDER, MODIFIED (KRB_AP_ERR_ each).
    pub fn read_priv(&mut self, now: Instant, message: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        expect(message, MessageType::PRIV)?;
        let sealed: KrbPriv<'_> = wire::decode(message)?;
        if sealed.enc_part.etype != self.key.etype() {
            return Err(Error::EtypeNotSupported(sealed.enc_part.etype));
        }
        let plain = self.privacy.decrypt(sealed.enc_part.cipher)?;
        let EncKrbPrivPart { user_data, time, micros, sequence, sender, receiver } = wire::decode(&plain)?;
        self.check(now, Control { time, micros, sequence, sender, receiver }, &plain)?;
        Ok(Zeroizing::new(user_data.to_vec()))
    }

    /// KRB-SAFE: data that anyone can read and nobody can change (RFC 4120 3.4.1).
    ///
    /// # Errors
    /// When times are used and the replay cache is full.
    pub fn make_safe(&mut self, now: Instant, user_data: &[u8]) -> Result<Vec<u8>> {
        let stamp = self.stamp(now);
        let Control { time, micros, sequence, sender, receiver } = self.control(stamp);
        let value = KrbSafeBody { user_data, time, micros, sequence, sender, receiver };
        let der = wire::encode(&value);
        let checksum = self.integrity.checksum(&der);
        let checksum = Checksum { kind: self.integrity.checksum_type(), checksum: &checksum };
        let message = wire::encode(&KrbSafe { version: Fixed, kind: Fixed, body: Raw { der: &der, value }, checksum });
        self.sent(stamp, now, &der)?;
        Ok(message)
    }

    /// What the peer wrote into a KRB-SAFE (RFC 4120 3.4.2).
    ///
    /// # Errors
    /// MSG_TYPE, INAPP_CKSUM, MODIFIED, BADADDR, SKEW, REPEAT, BADORDER (KRB_AP_ERR_ each).
    pub fn read_safe(&mut self, now: Instant, message: &[u8]) -> Result<Vec<u8>> {
        expect(message, MessageType::SAFE)?;
        let safe: KrbSafe<'_> = wire::decode(message)?;
        self.verify(&safe)?;
        let KrbSafeBody { user_data, time, micros, sequence, sender, receiver } = safe.body.value;
        self.check(now, Control { time, micros, sequence, sender, receiver }, safe.body.der)?;
        Ok(user_data.to_vec())
    }

    /// The checksum is over the body as it was sent. MIT krb5 makes it over the whole message with
    /// an empty checksum of type 0 in it, so that is tried next.
    fn verify(&self, safe: &KrbSafe<'_>) -> Result<()> {
        let Checksum { kind, checksum } = safe.checksum;
        let over_body = self.integrity.verify(kind, safe.body.der, checksum);
        let verdict = over_body.or_else(|_| {
            let blank = KrbSafe { checksum: Checksum { kind: ChecksumType(0), checksum: &[] }, ..*safe };
            self.integrity.verify(kind, &wire::encode(&blank), checksum)
        });
        verdict.map_err(|error| match error {
            Error::ChecksumNotSupported(_) => Error::code(ErrorCode::INAPP_CKSUM),
            _ => Error::code(ErrorCode::MODIFIED),
        })
    }

    /// The time for the next message: now, or a microsecond after the last one.
    fn stamp(&mut self, now: Instant) -> Instant {
        let after_last = Instant::from_micros(self.last_sent.as_micros().saturating_add(1));
        self.last_sent = now.max(after_last);
        self.last_sent
    }

    fn control(&self, stamp: Instant) -> Control<'_> {
        let times = self.replay.as_ref().map(|_| stamp);
        Control {
            time: times.map(|stamp| stamp.time),
            micros: times.map(|stamp| stamp.micros),
            sequence: self.sequence.as_ref().map(|sequence| sequence.send),
            sender: self.local.view(),
            receiver: self.remote.as_ref().filter(|remote| remote.kind != AddressType::DIRECTIONAL).map(Address::view),
        }
    }

    /// Counts a message that was made, and remembers it, so that it is known when it comes back.
    fn sent(&mut self, stamp: Instant, now: Instant, plain: &[u8]) -> Result<()> {
        self.remember(stamp.time, now, plain)?;
        if let Some(sequence) = &mut self.sequence {
            sequence.send = sequence.send.wrapping_add(1);
        }
        Ok(())
    }

    fn remember(&self, time: Time, now: Instant, plain: &[u8]) -> Result<()> {
        let Some(replay) = &self.replay else { return Ok(()) };
        replay.insert(ReplayKey::new([self.key.expose(), plain]), time, now.time).admit()
    }

    /// The checks of RFC 4120 3.4.2 and 3.5.2 on a message whose integrity is proven. Only when all
    /// have passed does the conversation move on.
    fn check(&mut self, now: Instant, control: Control<'_>, plain: &[u8]) -> Result<()> {
        self.check_addresses(&control)?;
        let time = self.check_time(now, &control)?;
        // A number 0 is left out by MIT krb5, which takes it for no number.
        let expected = self.sequence.as_ref().map(|sequence| sequence.receive);
        let present = control.sequence.or(expected.filter(|next| *next == 0));
        if time.is_none() && present.is_none() {
            return Err(Error::code(ErrorCode::MODIFIED));
        }
        if expected.is_some() && expected != present {
            return Err(Error::code(ErrorCode::BADORDER));
        }
        if let Some(time) = time {
            self.remember(time, now, plain)?;
        }
        if let Some(sequence) = &mut self.sequence {
            sequence.receive = sequence.receive.wrapping_add(1);
        }
        Ok(())
    }

    fn check_addresses(&self, control: &Control<'_>) -> Result<()> {
        let (peer, own) = match self.role {
            Role::Initiator => (Address::acceptor(), Address::initiator()),
            Role::Acceptor => (Address::initiator(), Address::acceptor()),
        };
        let from_peer = match &self.remote {
            // Directional addresses are always understood (RFC 4120 8.1).
            Some(remote) => remote.is(&control.sender) || peer.is(&control.sender),
            None => !own.is(&control.sender),
        };
        let knows_itself = self.local.kind != AddressType::DIRECTIONAL;
        let to_us = control.receiver.is_none_or(|receiver| !knows_itself || self.local.is(&receiver));
        if from_peer && to_us { Ok(()) } else { Err(Error::code(ErrorCode::BADADDR)) }
    }

    fn check_time(&self, now: Instant, control: &Control<'_>) -> Result<Option<Time>> {
        match (control.time, control.micros) {
            (Some(time), Some(_)) if time.distance(now.time) <= self.skew => Ok(Some(time)),
            (None, _) | (_, None) if self.replay.is_none() => Ok(None),
            _ => Err(Error::code(ErrorCode::SKEW)),
        }
    }
}

/// The message must be of this type; the tag tells, before anything is decoded.
pub(super) fn expect(message: &[u8], kind: MessageType) -> Result<()> {
    match wire::application_tag(message) {
        Some(tag) if i32::from(tag) == kind.0 => Ok(()),
        _ => Err(Error::code(ErrorCode::MSG_TYPE)),
    }
}
