//! The bytes of RADIUS (RFC 2865): one request, and whether an answer is the server's. MD5 is all that
//! the protocol has; what keeps an answer from being forged (attack C4) is the Message-Authenticator
//! (RFC 3579 3.2), which we send first of all attributes and without which we believe nothing.

use libkrb::crypto::danger_md5;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::core::second::More;

const ACCESS_REQUEST: u8 = 1;
const ACCESS_ACCEPT: u8 = 2;
const ACCESS_REJECT: u8 = 3;
const ACCESS_CHALLENGE: u8 = 11;

const USER_NAME: u8 = 1;
const USER_PASSWORD: u8 = 2;
const SERVICE_TYPE: u8 = 6;
const REPLY_MESSAGE: u8 = 18;
const STATE: u8 = 24;
const NAS_IDENTIFIER: u8 = 32;
const MESSAGE_AUTHENTICATOR: u8 = 80;

/// RFC 2865 5.6: Authenticate Only.
const AUTHENTICATE_ONLY: u32 = 8;
/// Code, identifier, length, authenticator.
const HEADER: usize = 20;
/// RFC 2865 5.2.
const LONGEST_PASSWORD: usize = 128;
/// RFC 2865 3.
pub const LONGEST: usize = 4096;
const MD5: usize = 16;

/// What the user is shown of a further question.
const LONGEST_MESSAGE: usize = 256;

/// What a server says of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is right.
    Accept,
    /// It is wrong.
    Reject,
    /// It wants another value (RFC 2865 4.4).
    Challenge(More),
}

/// A request that was sent.
pub struct Request {
    /// Its bytes.
    pub bytes: Vec<u8>,
    identifier: u8,
    authenticator: [u8; MD5],
}

impl Request {
    /// Asks for a user and a password, with the state of the challenge that it answers. `None`: one of them is too long for
    /// the protocol.
    pub fn new(
        (identifier, authenticator): (u8, [u8; MD5]),
        secret: &[u8],
        nas: &str,
        (user, password): (&str, &[u8]),
        state: Option<&[u8]>,
    ) -> Option<Request> {
        let mut bytes = vec![ACCESS_REQUEST, identifier, 0, 0];
        bytes.extend_from_slice(&authenticator);
        attribute(&mut bytes, MESSAGE_AUTHENTICATOR, &[0; MD5])?;
        attribute(&mut bytes, USER_NAME, user.as_bytes())?;
        attribute(&mut bytes, USER_PASSWORD, &hidden(secret, &authenticator, password)?)?;
        attribute(&mut bytes, SERVICE_TYPE, &AUTHENTICATE_ONLY.to_be_bytes())?;
        attribute(&mut bytes, NAS_IDENTIFIER, nas.as_bytes())?;
        if let Some(state) = state {
            attribute(&mut bytes, STATE, state)?;
        }
        let length = u16::try_from(bytes.len()).ok()?;
        bytes.get_mut(2..4)?.copy_from_slice(&length.to_be_bytes());
        let tag = hmac_md5(secret, &bytes);
        bytes.get_mut(HEADER + 2..HEADER + 2 + MD5)?.copy_from_slice(&tag);
        Some(Request { bytes, identifier, authenticator })
    }

    /// What an answer says, if it is the server's answer to this request. `None`: it is not.
    pub fn verdict(&self, secret: &[u8], answer: &[u8]) -> Option<Verdict> {
        let [code, identifier, high, low, ..] = *answer else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if identifier != self.identifier || !(HEADER..=LONGEST).contains(&length) {
            return None;
        }
        // What follows the length is padding (RFC 2865 3).
        let answer = answer.get(..length)?;
        let (header, attributes) = answer.split_at_checked(HEADER)?;
        let told = header.get(4..)?;
        let rest = [header.get(..4)?, &self.authenticator, attributes].concat();
        let expected = danger_md5(&[&rest, secret].concat());
        let tag = message_authenticator(attributes)?;
        let mut unsigned = rest;
        unsigned.get_mut(HEADER + tag.0..HEADER + tag.0 + MD5)?.fill(0);
        let signed = hmac_md5(secret, &unsigned).ct_eq(tag.1) & expected.ct_eq(told);
        if !bool::from(signed) {
            return None;
        }
        match code {
            ACCESS_ACCEPT => Some(Verdict::Accept),
            ACCESS_REJECT => Some(Verdict::Reject),
            ACCESS_CHALLENGE => Some(Verdict::Challenge(further(attributes))),
            _ => None,
        }
    }
}

/// Where the Message-Authenticator stands among the attributes, and what it is. `None`: there is not
/// just one, or the attributes are none.
fn message_authenticator(attributes: &[u8]) -> Option<(usize, &[u8])> {
    let mut walk = Attributes { all: attributes.len(), rest: attributes };
    let mut found = None;
    for (at, kind, value) in &mut walk {
        let tag = kind == MESSAGE_AUTHENTICATOR;
        if tag && (value.len() != MD5 || found.replace((at, value)).is_some()) {
            return None;
        }
    }
    found.filter(|_| walk.rest.is_empty())
}

/// What an Access-Challenge asks: its state, and what the user is to read, without what could harm a terminal or be
/// thought unprintable by MIT's client.
fn further(attributes: &[u8]) -> More {
    let mut more = More::default();
    for (_, kind, value) in (Attributes { all: attributes.len(), rest: attributes }) {
        match kind {
            STATE if !value.is_empty() => more.state = Some(value.to_vec()),
            REPLY_MESSAGE => more.message.extend(String::from_utf8_lossy(value).chars().map(printable)),
            _ => {}
        }
    }
    more.message.truncate(LONGEST_MESSAGE);
    more.message.truncate(more.message.trim_end().len());
    more
}

fn printable(letter: char) -> char {
    match letter {
        ' '..='~' => letter,
        _ if letter.is_control() => ' ',
        _ => '?',
    }
}

/// Attributes one after the other: where the value stands, the kind, the value. Ends at what is none.
struct Attributes<'a> {
    all: usize,
    rest: &'a [u8],
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (usize, u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [kind, length, ..] = *self.rest else { return None };
        let at = self.all.checked_sub(self.rest.len())?.checked_add(2)?;
        let (one, rest) = self.rest.split_at_checked(length.into())?;
        let value = one.get(2..)?;
        self.rest = rest;
        Some((at, kind, value))
    }
}

fn attribute(bytes: &mut Vec<u8>, kind: u8, value: &[u8]) -> Option<()> {
    bytes.extend([kind, u8::try_from(value.len() + 2).ok()?]);
    bytes.extend_from_slice(value);
    Some(())
}

/// User-Password (RFC 2865 5.2).
fn hidden(secret: &[u8], authenticator: &[u8; MD5], password: &[u8]) -> Option<Vec<u8>> {
    if password.len() > LONGEST_PASSWORD {
        return None;
    }
    let mut padded = Zeroizing::new(password.to_vec());
    padded.resize(password.len().max(1).next_multiple_of(MD5), 0);
    let (mut before, mut hidden) = (*authenticator, vec![]);
    for block in padded.chunks_exact(MD5) {
        let pad = danger_md5(&[secret, &before].concat());
        for ((out, pad), plain) in before.iter_mut().zip(pad).zip(block) {
            *out = pad ^ plain;
        }
        hidden.extend_from_slice(&before);
    }
    Some(hidden)
}

/// HMAC-MD5 (RFC 2104).
pub fn hmac_md5(secret: &[u8], bytes: &[u8]) -> [u8; MD5] {
    const BLOCK: usize = 64;
    let mut key = Zeroizing::new([0; BLOCK]);
    let digest = danger_md5(secret);
    let short = if secret.len() > BLOCK { &digest[..] } else { secret };
    key.iter_mut().zip(short).for_each(|(key, octet)| *key = *octet);
    let pad = |with: u8| Zeroizing::new(key.map(|octet| octet ^ with));
    let inner = danger_md5(&[&pad(0x36)[..], bytes].concat());
    danger_md5(&[&pad(0x5c)[..], &inner].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"xyzzy5461";

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
    }

    /// An answer as a server makes it: attributes first, then signed.
    fn answer(request: &Request, code: u8, secret: &[u8], attributes: &[u8]) -> Vec<u8> {
        let mut answer = vec![code, request.identifier, 0, 0];
        answer.extend_from_slice(&request.authenticator);
        answer.extend_from_slice(attributes);
        let length = answer.len() as u16;
        answer[2..4].copy_from_slice(&length.to_be_bytes());
        if let Some((at, _)) = message_authenticator(attributes) {
            let tag = hmac_md5(secret, &answer);
            answer[HEADER + at..HEADER + at + MD5].copy_from_slice(&tag);
        }
        let told = danger_md5(&[&answer, secret].concat());
        answer[4..HEADER].copy_from_slice(&told);
        answer
    }

    const SIGNED: [u8; 18] = [MESSAGE_AUTHENTICATOR, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    fn request() -> Request {
        Request::new((7, [9; 16]), SECRET, "kdc", ("alice", b"123456"), None).expect("a request")
    }

    #[test]
    fn a_password_is_hidden_as_in_rfc_2865_7_1() {
        let authenticator: [u8; 16] = hex("0f403f9473978057bd83d5cb98f4227a").try_into().expect("16");
        let expected = hex("0dbe708d93d413ce3196e43f782a0aee");
        assert_eq!(hidden(SECRET, &authenticator, b"arctangent"), Some(expected));
        assert_eq!(hidden(SECRET, &authenticator, b"").map(|hidden| hidden.len()), Some(16));
        assert_eq!(hidden(SECRET, &authenticator, &[1; 17]).map(|hidden| hidden.len()), Some(32));
        assert_eq!(hidden(SECRET, &authenticator, &[1; 129]), None);
    }

    #[test]
    fn hmac_md5_is_that_of_rfc_2202() {
        assert_eq!(hmac_md5(&[0x0b; 16], b"Hi There").to_vec(), hex("9294727a3638bb1c13f48ef8158bfc9d"));
        assert_eq!(
            hmac_md5(&[0xaa; 80], b"Test Using Larger Than Block-Size Key - Hash Key First").to_vec(),
            hex("6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd")
        );
    }

    #[test]
    fn the_message_authenticator_is_sent_first_and_over_the_whole_request() {
        let request = request();
        assert_eq!(request.bytes[HEADER..HEADER + 2], [MESSAGE_AUTHENTICATOR, 18]);
        let mut unsigned = request.bytes.clone();
        unsigned[HEADER + 2..HEADER + 18].fill(0);
        assert_eq!(hmac_md5(SECRET, &unsigned)[..], request.bytes[HEADER + 2..HEADER + 18]);
    }

    #[test]
    fn answers_of_the_server_are_read() {
        let request = request();
        for (code, verdict) in [(2, Verdict::Accept), (3, Verdict::Reject), (11, Verdict::Challenge(More::default()))] {
            assert_eq!(request.verdict(SECRET, &answer(&request, code, SECRET, &SIGNED)), Some(verdict));
        }
        let mut padded = answer(&request, 2, SECRET, &[&[18, 4, b'h', b'i'][..], &SIGNED].concat());
        padded.extend([0; 9]);
        assert_eq!(request.verdict(SECRET, &padded), Some(Verdict::Accept), "with other attributes and padding");
    }

    #[test]
    fn a_challenge_has_a_state_to_give_back_and_words_that_harm_nobody() {
        let request = request();
        let attributes = [&[24, 5, 0, 1, 2][..], &[18, 8, b'N', b'e', b'x', b't', 0x1b, b'['], &SIGNED];
        let words = "\u{e9}!\n".as_bytes();
        let attributes = [&attributes.concat()[..], &[18, 2 + words.len() as u8], words].concat();
        let answer = answer(&request, 11, SECRET, &attributes);
        let more = More { state: Some(vec![0, 1, 2]), message: "Next [?!".into() };
        assert_eq!(request.verdict(SECRET, &answer), Some(Verdict::Challenge(more)));
        let long = [[18, 255].as_slice(), &[b'a'; 253]].concat().repeat(9);
        assert_eq!(further(&long).message.len(), LONGEST_MESSAGE);
        let state = [7; 253];
        let next = Request::new((1, [1; 16]), SECRET, "kdc", ("alice", b"1"), Some(&state)).expect("a request");
        assert!(next.bytes.ends_with(&[&[24, 255][..], &state].concat()), "unchanged (RFC 2865 5.24)");
        assert!(Request::new((1, [1; 16]), SECRET, "kdc", ("alice", b"1"), Some(&[7; 254])).is_none());
    }

    #[test]
    fn c4_an_answer_without_a_message_authenticator_is_none() {
        let request = request();
        let bare = answer(&request, 2, SECRET, &[]);
        assert_eq!(request.verdict(SECRET, &bare), None, "its Response Authenticator is right, and can be forged");
        let other = answer(&request, 2, SECRET, &[18, 4, b'h', b'i']);
        assert_eq!(request.verdict(SECRET, &other), None);
        let twice = answer(&request, 2, SECRET, &[SIGNED, SIGNED].concat());
        assert_eq!(request.verdict(SECRET, &twice), None, "one of two is not enough");
    }

    #[test]
    fn bent_answers_are_none() {
        let request = request();
        let good = answer(&request, 2, SECRET, &SIGNED);
        assert_eq!(request.verdict(b"other", &good), None);
        for at in 0..good.len() {
            let mut bent = good.clone();
            bent[at] ^= 1;
            assert_eq!(request.verdict(SECRET, &bent), None, "{at}");
            assert_eq!(request.verdict(SECRET, &good[..at]), None, "{at}");
        }
        let other = Request::new((7, [8; 16]), SECRET, "kdc", ("alice", b"123456"), None).expect("a request");
        assert_eq!(other.verdict(SECRET, &good), None, "an answer to another request");
    }
}
