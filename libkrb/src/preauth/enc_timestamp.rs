//! PA-ENC-TIMESTAMP: the client's clock under its long-term key (RFC 4120 5.2.7.2).
//! Not here: how far that clock may be off, and what was seen before.

use super::{Armored, ClientProof, Elements, Means, MethodContext};
use crate::codes::PaType;
use crate::crypto::{Key, KeyUsage, PreparedKey, Random};
use crate::error::{Error, Result};
use crate::time::Instant;
use crate::wire::{self, EncryptedData, PaEncTsEnc};

/// What the key is used for.
pub const USAGE: KeyUsage = KeyUsage::AS_REQ_ENC_TIMESTAMP;

/// The value of the element for a clock that shows `now`.
pub fn make(key: &Key, now: Instant, random: &mut dyn Random) -> Vec<u8> {
    let plain = wire::encode(&PaEncTsEnc { time: now.time, micros: Some(now.micros) });
    let cipher = key.encrypt(USAGE, random, &plain);
    wire::encode(&EncryptedData { etype: key.etype(), kvno: None, cipher: &cipher })
}

/// The client's clock in an element that was encrypted with this key, which is prepared for
/// [`USAGE`].
///
/// # Errors
/// [`Error::Integrity`] if it was another key, [`Error::Malformed`] for anything but a timestamp.
pub fn open(key: &PreparedKey, sealed: &EncryptedData<'_>) -> Result<Instant> {
    if sealed.etype != key.etype() {
        return Err(Error::Integrity);
    }
    let plain = key.decrypt(sealed.cipher)?;
    let stamp: PaEncTsEnc = wire::decode(&plain)?;
    match stamp.micros.unwrap_or(0) {
        micros @ 0..=999_999 => Ok(Instant { time: stamp.time, micros }),
        _ => Err(Error::Malformed("more microseconds than a second has")),
    }
}

/// The client's row.
pub(super) fn begin(means: &Means, _: Armored) -> Option<Box<dyn ClientProof>> {
    (!means.no_timestamp).then(|| Box::new(Client) as Box<dyn ClientProof>)
}

/// The client's side. The KDC's element is empty, whatever it holds.
#[derive(Debug)]
struct Client;

impl ClientProof for Client {
    fn answer(&mut self, context: &mut MethodContext<'_>, _hint: &[u8]) -> Result<Elements> {
        let key = (context.client_key)()?;
        Ok(vec![(PaType::ENC_TIMESTAMP, make(&key, context.now, context.random))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::EncryptionType;
    use crate::crypto::OsRandom;
    use crate::time::Time;

    const NOW: Instant = Instant { time: Time(1_795_304_411), micros: 535_640 };

    fn key(etype: EncryptionType, octet: u8) -> Key {
        Key::new(etype, &vec![octet; crate::crypto::key_len(etype).unwrap()]).unwrap()
    }

    #[test]
    fn what_a_client_makes_a_kdc_opens_in_every_enctype() {
        for etype in crate::crypto::SUPPORTED {
            let key = key(*etype, 7);
            let value = make(&key, NOW, &mut OsRandom::new());
            let sealed: EncryptedData<'_> = wire::decode(&value).unwrap();
            assert_eq!(open(&key.prepare(USAGE), &sealed), Ok(NOW));
        }
    }

    #[test]
    fn another_key_opens_nothing() {
        let (right, wrong) = (key(EncryptionType::AES256_SHA1, 1), key(EncryptionType::AES256_SHA1, 2));
        let value = make(&right, NOW, &mut OsRandom::new());
        let sealed: EncryptedData<'_> = wire::decode(&value).unwrap();
        assert_eq!(open(&wrong.prepare(USAGE), &sealed), Err(Error::Integrity));
        let other_type = key(EncryptionType::AES256_SHA384, 1);
        assert_eq!(open(&other_type.prepare(USAGE), &sealed), Err(Error::Integrity));
    }

    #[test]
    fn a_timestamp_of_more_than_a_million_microseconds_is_refused() {
        let key = key(EncryptionType::AES128_SHA1, 1);
        let value = make(&key, Instant { micros: 1_000_000, ..NOW }, &mut OsRandom::new());
        let sealed: EncryptedData<'_> = wire::decode(&value).unwrap();
        assert!(matches!(open(&key.prepare(USAGE), &sealed), Err(Error::Malformed(_))));
    }
}
