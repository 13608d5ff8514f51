//! Private keys in PEM that a password seals: PKCS #8 under PBES2 (RFC 5958 3, RFC 8018 6.2). Not here:
//! whom to ask for the password, and OpenSSL's own older form, which seals with MD5.

use der::asn1::OctetStringRef;
use der::{Decode, Reader, SliceReader};
use pkcs5::EncryptionScheme;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
/// What stands in every sealed key, of whichever form.
const SEALED: &str = "ENCRYPTED";
/// How to come by a form that is read here.
const WAY: &str = "openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEW makes one that can be used";

/// Whether a key takes a password.
pub(super) fn is_sealed(pem: &[u8]) -> bool {
    pem.windows(SEALED.len()).any(|window| window == SEALED.as_bytes())
}

/// The key, in PKCS #8.
///
/// # Errors
/// [`Error::Setting`] for another password, and for a form that is not read here.
pub(super) fn open(pem: &[u8], password: &str) -> Result<Zeroizing<Vec<u8>>> {
    let unread = || Error::Setting(format!("the private key is sealed otherwise than by PBES2 with AES; {WAY}"));
    let text = std::str::from_utf8(pem).map_err(|_| unread())?;
    let (_, rest) = text.split_once(BEGIN).ok_or_else(unread)?;
    let (inside, _) = rest.split_once(END).ok_or_else(unread)?;
    let whole = format!("{BEGIN}{inside}{END}\n");
    let (_, bytes) = der::pem::decode_vec(whole.as_bytes()).map_err(|_| unread())?;
    let (scheme, sealed) = parts(&bytes).map_err(|_| unread())?;
    match scheme.decrypt(password, sealed) {
        Ok(key) => Ok(Zeroizing::new(key)),
        Err(pkcs5::Error::DecryptFailed) => {
            Err(Error::Setting("the password does not open the private key".to_owned()))
        }
        Err(_) => Err(unread()),
    }
}

/// EncryptedPrivateKeyInfo.
fn parts(bytes: &[u8]) -> der::Result<(EncryptionScheme, &[u8])> {
    let mut reader = SliceReader::new(bytes)?;
    reader.sequence(|fields| Ok((EncryptionScheme::decode(fields)?, <&OctetStringRef>::decode(fields)?.as_bytes())))
}
