//! HOTP (RFC 4226): one-time passwords of a secret and a count; with the time for a count, TOTP (RFC
//! 6238). Not here: which counts are good, and what was used before.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

/// The hash function under the HMAC (RFC 6238 1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtpHash {
    /// What every app and token knows.
    #[default]
    Sha1,
    /// Known to some.
    Sha256,
    /// Known to some.
    Sha512,
}

/// The fewest and the most digits of a one-time password (RFC 4226 5.3, R4).
pub const OTP_DIGITS: std::ops::RangeInclusive<u32> = 6..=8;

/// The one-time password of a count, with as many digits.
pub fn hotp(hash: OtpHash, secret: &[u8], count: u64, digits: u32) -> String {
    let count = count.to_be_bytes();
    let number = match hash {
        OtpHash::Sha1 => truncated(&tag::<Hmac<Sha1>>(secret, &count)),
        OtpHash::Sha256 => truncated(&tag::<Hmac<Sha256>>(secret, &count)),
        OtpHash::Sha512 => truncated(&tag::<Hmac<Sha512>>(secret, &count)),
    };
    let digits = digits.clamp(*OTP_DIGITS.start(), *OTP_DIGITS.end());
    let number = number % 10_u32.pow(digits);
    format!("{number:0width$}", width = digits as usize)
}

/// HMAC takes keys of any length (RFC 2104), so this never falls back to no key at all.
fn tag<M: Mac + KeyInit>(secret: &[u8], count: &[u8]) -> Vec<u8> {
    let Ok(mac) = <M as KeyInit>::new_from_slice(secret) else { return vec![] };
    mac.chain_update(count).finalize().into_bytes().to_vec()
}

/// Dynamic truncation (RFC 4226 5.3).
fn truncated(tag: &[u8]) -> u32 {
    let offset = usize::from(tag.last().copied().unwrap_or(0) & 0xf);
    let word = tag.get(offset..offset + 4).and_then(|word| word.first_chunk::<4>()).copied().unwrap_or_default();
    u32::from_be_bytes(word) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4226_appendix_d() {
        let codes =
            ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
        for (count, code) in (0..).zip(codes) {
            assert_eq!(hotp(OtpHash::Sha1, b"12345678901234567890", count, 6), code, "{count}");
        }
    }

    #[test]
    fn rfc_6238_appendix_b() {
        let secret = "1234567890".repeat(7);
        let rows: [(u64, [&str; 3]); 6] = [
            (59, ["94287082", "46119246", "90693936"]),
            (1_111_111_109, ["07081804", "68084774", "25091201"]),
            (1_111_111_111, ["14050471", "67062674", "99943326"]),
            (1_234_567_890, ["89005924", "91819424", "93441116"]),
            (2_000_000_000, ["69279037", "90698825", "38618901"]),
            (20_000_000_000, ["65353130", "77737706", "47863826"]),
        ];
        let hashes = [(OtpHash::Sha1, 20), (OtpHash::Sha256, 32), (OtpHash::Sha512, 64)];
        for (time, codes) in rows {
            for ((hash, length), code) in hashes.into_iter().zip(codes) {
                let secret = &secret.as_bytes()[..length];
                assert_eq!(hotp(hash, secret, time / 30, 8), code, "{time} {hash:?}");
            }
        }
    }
}
