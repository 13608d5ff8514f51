//! PA-ENCRYPTED-CHALLENGE: a clock under a key of armor and long-term key, from either side, so that
//! the KDC proves itself too (RFC 6113 5.4.6). In FAST only. Not here: how far a clock may be off, and
//! what was seen before.

use super::{Armored, ClientProof, Elements, Means, MethodContext, MethodReply};
use crate::codes::PaType;
use crate::crypto::{Key, KeyUsage, Pepper, PreparedPrf, Random};
use crate::error::{Error, Result};
use crate::time::Instant;
use crate::wire::{self, EncryptedData, PaEncTsEnc};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The client.
    Client,
    /// The KDC.
    Kdc,
}

impl Speaker {
    fn usage(self) -> KeyUsage {
        match self {
            Speaker::Client => KeyUsage::ENC_CHALLENGE_CLIENT,
            Speaker::Kdc => KeyUsage::ENC_CHALLENGE_KDC,
        }
    }

    /// The key that this one's clock is encrypted with.
    fn key(self, armor: &PreparedPrf, long_term: &PreparedPrf) -> Result<Key> {
        static LONG_TERM: Pepper<'_> = Pepper::new(b"challengelongterm");
        static CLIENT: Pepper<'_> = Pepper::new(b"clientchallengearmor");
        static KDC: Pepper<'_> = Pepper::new(b"kdcchallengearmor");
        let pepper = match self {
            Speaker::Client => &CLIENT,
            Speaker::Kdc => &KDC,
        };
        armor.cf2(pepper, long_term, &LONG_TERM)
    }
}

/// The value of the element, for a clock that shows `now`.
///
/// # Errors
/// None for keys of this library's enctypes.
pub fn make(
    who: Speaker,
    armor: &PreparedPrf,
    long_term: &PreparedPrf,
    now: Instant,
    random: &mut dyn Random,
) -> Result<Vec<u8>> {
    let plain = wire::encode(&PaEncTsEnc { time: now.time, micros: Some(now.micros) });
    let cipher = who.key(armor, long_term)?.encrypt(who.usage(), random, &plain);
    Ok(wire::encode(&EncryptedData { etype: armor.etype(), kvno: None, cipher: &cipher }))
}

/// The clock in an element.
///
/// # Errors
/// [`Error::Integrity`] if another key or somebody else made it, [`Error::Malformed`] for anything but
/// a timestamp.
pub fn open(who: Speaker, armor: &PreparedPrf, long_term: &PreparedPrf, sealed: &EncryptedData<'_>) -> Result<Instant> {
    if sealed.etype != armor.etype() {
        return Err(Error::Integrity);
    }
    let plain = who.key(armor, long_term)?.decrypt(who.usage(), sealed.cipher)?;
    let stamp: PaEncTsEnc = wire::decode(&plain)?;
    match stamp.micros.unwrap_or(0) {
        micros @ 0..=999_999 => Ok(Instant { time: stamp.time, micros }),
        _ => Err(Error::Malformed("more microseconds than a second has")),
    }
}

/// The client's row.
pub(super) fn begin(_: &Means, armored: Armored) -> Option<Box<dyn ClientProof>> {
    (armored == Armored::Yes).then(|| Box::new(Client) as Box<dyn ClientProof>)
}

/// The client's side. The KDC's element is empty when it offers the method.
#[derive(Debug)]
struct Client;

impl ClientProof for Client {
    fn answer(&mut self, context: &mut MethodContext<'_>, _hint: &[u8]) -> Result<Elements> {
        let Some(armor) = context.armor else { return Ok(vec![]) };
        let key = (context.client_key)()?;
        let value = make(Speaker::Client, &armor.prepare_prf(), &key.prepare_prf(), context.now, context.random)?;
        Ok(vec![(PaType::ENCRYPTED_CHALLENGE, value)])
    }

    /// Who has the long-term key is the KDC.
    fn reply_key(&mut self, context: &mut MethodContext<'_>, reply: &MethodReply<'_>) -> Result<Option<Key>> {
        let unproven = Error::ReplyMismatch("the KDC does not prove that it knows the client's key");
        let (Some(armor), Some(value)) = (context.armor, reply.padata(PaType::ENCRYPTED_CHALLENGE)) else {
            return Err(unproven);
        };
        let sealed: EncryptedData<'_> = wire::decode(value)?;
        let key = (context.client_key)()?;
        open(Speaker::Kdc, &armor.prepare_prf(), &key.prepare_prf(), &sealed).map_err(|_| unproven)?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::EncryptionType;
    use crate::crypto::{OsRandom, SUPPORTED};
    use crate::time::Time;

    const NOW: Instant = Instant { time: Time(1_795_304_411), micros: 535_640 };

    fn key(etype: EncryptionType, octet: u8) -> PreparedPrf {
        Key::new(etype, &vec![octet; crate::crypto::key_len(etype).unwrap()]).unwrap().prepare_prf()
    }

    #[test]
    fn either_side_opens_what_the_other_made_whatever_the_enctypes_of_armor_and_key() {
        for armor in SUPPORTED.iter().map(|etype| key(*etype, 1)) {
            for long_term in SUPPORTED.iter().map(|etype| key(*etype, 2)) {
                for who in [Speaker::Client, Speaker::Kdc] {
                    let value = make(who, &armor, &long_term, NOW, &mut OsRandom::new()).unwrap();
                    let sealed: EncryptedData<'_> = wire::decode(&value).unwrap();
                    assert_eq!(sealed.etype, armor.etype());
                    assert_eq!(open(who, &armor, &long_term, &sealed), Ok(NOW));
                }
            }
        }
    }

    #[test]
    fn neither_another_key_nor_another_armor_nor_the_other_side_opens_it() {
        let etype = EncryptionType::AES256_SHA1;
        let (armor, long_term, other) = (key(etype, 1), key(etype, 2), key(etype, 3));
        let value = make(Speaker::Client, &armor, &long_term, NOW, &mut OsRandom::new()).unwrap();
        let sealed: EncryptedData<'_> = wire::decode(&value).unwrap();
        assert_eq!(open(Speaker::Client, &armor, &other, &sealed), Err(Error::Integrity));
        assert_eq!(open(Speaker::Client, &other, &long_term, &sealed), Err(Error::Integrity));
        assert_eq!(open(Speaker::Kdc, &armor, &long_term, &sealed), Err(Error::Integrity));
        assert_eq!(
            open(Speaker::Client, &key(EncryptionType::AES128_SHA1, 1), &long_term, &sealed),
            Err(Error::Integrity)
        );
    }
}
