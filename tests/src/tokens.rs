//! Tokens as they are enrolled. Not here: what a KDC makes of them.

/// The secret of an otpauth URI, wherever in a text it is.
pub fn otp_secret(uri: &str) -> Vec<u8> {
    let text = uri.split_once("secret=").expect("a secret").1.split('&').next().expect("a value");
    let (mut octets, mut word, mut bits) = (vec![], 0_u32, 0);
    for letter in text.bytes() {
        let value = if letter.is_ascii_uppercase() { letter - b'A' } else { letter - b'2' + 26 };
        (word, bits) = (word << 5 | u32::from(value), bits + 5);
        if bits >= 8 {
            bits -= 8;
            octets.push((word >> bits & 0xff) as u8);
        }
    }
    octets
}
