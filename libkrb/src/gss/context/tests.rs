use super::super::ContextFlags as F;
use super::super::testing::{AES, Counter, kerberos, key, opened};
use super::*;
use crate::codes::EncryptionType;
use crate::crypto::KeyUsage;
use crate::crypto::testing::outside;
use crate::error::ErrorCode;

const MESSAGE: &[u8] = b"twenty-two octets long";

/// Both ends of a context with these flags, under the acceptor's subkey or not.
fn ends_of(flags: F, acceptor_subkey: bool) -> (Context, Context) {
    let end = |role| {
        let (send, receive) = if role == Role::Initiator { (100, 200) } else { (200, 100) };
        let acceptor_subkey = acceptor_subkey.then(|| key(AES, 6));
        Context::open(Opening { flags, role, initiator_key: key(AES, 5), acceptor_subkey, send, receive })
    };
    (end(Role::Initiator), end(Role::Acceptor))
}

/// With all that is offered by default.
fn ends() -> (Context, Context) {
    ends_of(F::DEFAULT, true)
}

fn wrapped(context: &mut Context, confidential: bool, message: &[u8]) -> Vec<u8> {
    context.wrap(&mut Counter(0), confidential, message).unwrap()
}

/// What an acceptor that has seen nothing says of a token.
fn verdict(token: &[u8]) -> Result<Unwrapped> {
    ends().1.unwrap(token)
}

fn code<T: fmt::Debug>(result: Result<T>) -> ErrorCode {
    result.unwrap_err().wire_code()
}

#[test]
fn messages_go_both_ways_under_every_enctype() {
    for etype in crypto::SUPPORTED {
        let (mut initiator, mut acceptor, _) = opened(*etype, kerberos());
        for message in [b"".as_slice(), b"a", &[7; 15], &[8; 16], &[9; 70_000]] {
            for confidential in [true, false] {
                let ends = [&mut initiator, &mut acceptor];
                for [from, to] in [[0, 1], [1, 0]] {
                    let token = wrapped(ends[from], confidential, message);
                    let opened = ends[to].unwrap(&token).unwrap();
                    assert_eq!((opened.message.as_slice(), opened.confidential), (message, confidential), "{etype}");
                    let mic = ends[from].mic(message).unwrap();
                    ends[to].verify_mic(message, &mic).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_sealed_message_cannot_be_seen_and_a_signed_one_can() {
    let (mut initiator, _) = ends();
    let sees = |token: &[u8]| token.windows(MESSAGE.len()).any(|window| window == MESSAGE);
    assert!(!sees(&wrapped(&mut initiator, true, MESSAGE)));
    assert!(sees(&wrapped(&mut initiator, false, MESSAGE)));
}

#[test]
fn tokens_are_those_of_another_implementation() {
    for vector in outside("gss_tokens") {
        let Some(number) = vector.value("fields")["snd_seq"].as_u64() else { continue };
        let (token, message) = (vector.bytes("token"), vector.bytes("message"));
        let key = Key::new(EncryptionType(vector.number("enctype") as i32), &vector.bytes("key")).unwrap();
        let end = |role| {
            let first = u32::try_from(number).unwrap();
            let (flags, initiator_key) = (F::DEFAULT, key.clone());
            Context::open(Opening { flags, role, initiator_key, acceptor_subkey: None, send: first, receive: first })
        };
        let (mut from, mut to) = (end(Role::Initiator), end(Role::Acceptor));
        if token[2] & 1 != 0 {
            std::mem::swap(&mut from, &mut to);
        }
        if vector.is("kind", "rfc4121-mic") {
            assert_eq!(from.mic(&message).unwrap(), token, "{vector:?}");
            to.verify_mic(&message, &token).unwrap();
        } else {
            assert_eq!(wrapped(&mut from, false, &message), token, "{vector:?}");
            assert_eq!(to.unwrap(&token).unwrap().message.as_slice(), message, "{vector:?}");
        }
    }
}

#[test]
fn the_pseudo_random_function_is_mits() {
    for vector in outside("gss_prf") {
        if !crypto::supported(vector.etype()) {
            continue;
        }
        let (mut initiator, _) = ends();
        let which = if vector.text("key_role").contains("PARTIAL") { PrfKey::Partial } else { PrfKey::Full };
        match which {
            PrfKey::Full => initiator.key = vector.key("key"),
            PrfKey::Partial => initiator.initiator_key = vector.key("key"),
        }
        let out = initiator.prf(which, &vector.bytes("input_hex"), vector.number("output_length")).unwrap();
        assert_eq!(out.as_slice(), vector.bytes("output"), "{vector:?}");
    }
}

#[test]
fn both_ends_make_the_same_of_the_same_input_and_each_key_its_own() {
    let (initiator, acceptor) = ends();
    for which in [PrfKey::Full, PrfKey::Partial] {
        assert_eq!(initiator.prf(which, b"in", 100).unwrap(), acceptor.prf(which, b"in", 100).unwrap());
        assert_eq!(initiator.prf(which, b"in", 100).unwrap()[..7], *initiator.prf(which, b"in", 7).unwrap());
        assert!(initiator.prf(which, b"in", 0).unwrap().is_empty());
    }
    assert_ne!(initiator.prf(PrfKey::Full, b"in", 16).unwrap(), initiator.prf(PrfKey::Partial, b"in", 16).unwrap());
}

#[test]
fn a_message_is_found_however_far_its_token_is_rotated() {
    for confidential in [true, false] {
        let token = wrapped(&mut ends().0, confidential, MESSAGE);
        let length = token.len() - 16;
        for by in (0..=2 * length + 1).chain([0x7fff, 0xfffe, 0xffff]) {
            let mut rotated = token.clone();
            rotated[6..8].copy_from_slice(&(by as u16).to_be_bytes());
            rotated[16..].rotate_right(by % length);
            let opened = verdict(&rotated).unwrap();
            assert_eq!((opened.message.as_slice(), opened.confidential), (MESSAGE, confidential), "{by}");
        }
    }
}

#[test]
fn filler_before_the_sealed_header_is_passed_over_and_cannot_be_more_than_there_is() {
    let sealed = |filler: u16, inside: &[u8]| {
        let mut header = [5, 4, 6, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100];
        header[4..6].copy_from_slice(&filler.to_be_bytes());
        let plain = [inside, &header].concat();
        let cipher = key(AES, 6).encrypt(KeyUsage::GSS_INITIATOR_SEAL, &mut Counter(0), &plain);
        [header.as_slice(), &cipher].concat()
    };
    assert_eq!(verdict(&sealed(0, b"message")).unwrap().message.as_slice(), b"message");
    assert_eq!(verdict(&sealed(3, b"message")).unwrap().message.as_slice(), b"mess");
    assert_eq!(verdict(&sealed(7, b"message")).unwrap().message.as_slice(), b"");
    for filler in [8, 16, 23, 0xffff] {
        assert!(verdict(&sealed(filler, b"message")).is_err(), "{filler}");
    }
}

#[test]
fn a_token_that_is_cut_is_refused_at_every_length() {
    let (mut initiator, mut acceptor) = ends();
    for confidential in [true, false] {
        let token = wrapped(&mut ends().0, confidential, MESSAGE);
        for length in 0..token.len() {
            assert!(acceptor.unwrap(&token[..length]).is_err(), "{length}");
        }
    }
    let token = initiator.mic(MESSAGE).unwrap();
    for length in 0..token.len() {
        assert!(acceptor.verify_mic(MESSAGE, &token[..length]).is_err(), "{length}");
    }
    acceptor.verify_mic(MESSAGE, &token).unwrap();
}

#[test]
fn a_token_with_any_bit_changed_is_refused() {
    let (mut initiator, mut acceptor) = ends();
    let bent = |token: &[u8]| {
        let token = token.to_vec();
        (0..token.len() * 8).map(move |bit| {
            let mut bent = token.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            bent
        })
    };
    for confidential in [true, false] {
        for token in bent(&wrapped(&mut ends().0, confidential, MESSAGE)) {
            assert!(acceptor.unwrap(&token).is_err(), "{token:02x?}");
        }
    }
    let token = initiator.mic(MESSAGE).unwrap();
    for bent in bent(&token) {
        assert!(acceptor.verify_mic(MESSAGE, &bent).is_err(), "{bent:02x?}");
    }
    for message in bent(MESSAGE) {
        assert!(acceptor.verify_mic(&message, &token).is_err());
    }
    acceptor.verify_mic(MESSAGE, &token).unwrap();
}

#[test]
fn our_own_tokens_are_no_ones_that_we_take() {
    for confidential in [true, false] {
        let (mut initiator, mut acceptor) = ends();
        for end in [&mut initiator, &mut acceptor] {
            let token = wrapped(end, confidential, MESSAGE);
            assert_eq!(code(end.unwrap(&token)), ErrorCode::BADDIRECTION);
            let token = end.mic(MESSAGE).unwrap();
            assert_eq!(code(end.verify_mic(MESSAGE, &token)), ErrorCode::BADDIRECTION);
        }
    }
}

#[test]
fn the_flag_of_the_acceptors_subkey_has_to_be_what_was_agreed_on() {
    for agreed in [true, false] {
        let (mut initiator, mut acceptor) = ends_of(F::DEFAULT, agreed);
        let mut token = initiator.mic(MESSAGE).unwrap();
        assert_eq!(token[2] & 4 != 0, agreed);
        token[2] ^= 4;
        // As a peer would make it that uses the right key and the wrong flag.
        let usage = KeyUsage::GSS_INITIATOR_SIGN;
        let signed = [MESSAGE, &token[..16]].concat();
        token.truncate(16);
        token.extend(acceptor.key.checksum(usage, &signed));
        assert!(matches!(acceptor.verify_mic(MESSAGE, &token), Err(Error::Malformed(_))));
    }
}

#[test]
fn a_mic_that_says_it_is_sealed_is_refused() {
    let mut token = vec![4, 4, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 100];
    let signed = [MESSAGE, &token].concat();
    token.extend(key(AES, 6).checksum(KeyUsage::GSS_INITIATOR_SIGN, &signed));
    assert!(matches!(ends().1.verify_mic(MESSAGE, &token), Err(Error::Malformed(_))));
}

#[test]
fn a_mic_is_no_wrap_token_and_a_wrap_token_no_mic() {
    let (mut initiator, mut acceptor) = ends();
    let mic = initiator.mic(b"").unwrap();
    assert!(acceptor.unwrap(&mic).is_err());
    let token = wrapped(&mut initiator, false, b"");
    assert!(acceptor.verify_mic(b"", &token).is_err());
}

#[test]
fn a_message_of_the_past_or_the_future_is_taken_as_the_flags_say() {
    type Verdict = Option<ErrorCode>;
    const ORDER: ErrorCode = ErrorCode::BADORDER;
    const REPEAT: ErrorCode = ErrorCode::REPEAT;
    // The second first, then the first, then the first again, then the third.
    let table: [(F, [Verdict; 4]); 4] = [
        (F::NONE, [None; 4]),
        (F::REPLAY, [None, None, Some(REPEAT), None]),
        (F::SEQUENCE, [Some(ORDER), None, Some(REPEAT), Some(ORDER)]),
        (F::REPLAY | F::SEQUENCE, [Some(ORDER), None, Some(REPEAT), Some(ORDER)]),
    ];
    for (flags, expected) in table {
        let (mut initiator, mut acceptor) = ends_of(flags | F::CONFIDENTIALITY | F::INTEGRITY, true);
        let tokens = [true, false, true].map(|confidential| wrapped(&mut initiator, confidential, MESSAGE));
        let said =
            [1, 0, 0, 2].map(|which: usize| acceptor.unwrap(&tokens[which]).err().map(|error| error.wire_code()));
        assert_eq!(said, expected, "{flags}");
    }
}

#[test]
fn a_forged_number_moves_nothing() {
    let (mut initiator, mut acceptor) = ends_of(F::DEFAULT.with(F::SEQUENCE, false), true);
    let token = wrapped(&mut initiator, true, MESSAGE);
    let mut forged = token.clone();
    forged[8] = 0x7f;
    assert_eq!(code(acceptor.unwrap(&forged)), ErrorCode::BAD_INTEGRITY);
    acceptor.unwrap(&token).unwrap();
}

#[test]
fn what_was_not_asked_for_is_not_sent() {
    let (mut initiator, _) = ends_of(F::INTEGRITY, true);
    assert!(initiator.wrap(&mut Counter(0), true, MESSAGE).is_err());
    assert_eq!(initiator.wrap_size_limit(true, 1000), 0);
    wrapped(&mut initiator, false, MESSAGE);
    let (mut initiator, _) = ends_of(F::NONE, true);
    assert!(initiator.wrap(&mut Counter(0), false, MESSAGE).is_err());
    assert!(initiator.mic(MESSAGE).is_err());
}

#[test]
fn the_longest_message_for_a_token_fits_and_one_octet_more_does_not() {
    for etype in crypto::SUPPORTED {
        let (mut initiator, _, _) = opened(*etype, kerberos());
        for confidential in [true, false] {
            let limit = initiator.wrap_size_limit(confidential, 500);
            assert_eq!(wrapped(&mut initiator, confidential, &vec![1; limit]).len(), 500, "{etype}");
            assert_eq!(initiator.wrap_size_limit(confidential, 3), 0);
        }
    }
}

#[test]
fn a_token_made_where_the_message_stands_is_the_same_and_is_opened_where_it_stands() {
    for confidential in [true, false] {
        let (mut initiator, mut acceptor) = ends();
        let room = initiator.wrap_room(confidential).unwrap();
        let mut buffer = [vec![0xee; room.before], MESSAGE.to_vec(), vec![0xee; room.after]].concat();
        initiator.wrap_in_place(&mut Counter(0), confidential, &mut buffer).unwrap();
        assert_eq!(buffer, wrapped(&mut ends().0, confidential, MESSAGE));
        let found = acceptor.unwrap_in_place(&mut buffer).unwrap();
        assert_eq!(found.confidential, confidential);
        assert_eq!(found.message, room.before..room.before + MESSAGE.len());
        assert_eq!(buffer[found.message], *MESSAGE);
        let mut small = vec![0; room.before + room.after - 1];
        assert!(initiator.wrap_in_place(&mut Counter(0), confidential, &mut small).is_err());
    }
}

#[test]
fn a_buffer_too_small_takes_no_number() {
    let (mut initiator, mut acceptor) = ends();
    assert!(initiator.wrap_in_place(&mut Counter(0), true, &mut [0; 10]).is_err());
    acceptor.unwrap(&wrapped(&mut initiator, true, MESSAGE)).unwrap();
}

#[test]
fn numbers_go_on_past_32_bits() {
    let flags = F::DEFAULT;
    let end = |role| {
        let (send, receive) = (u32::MAX, u32::MAX);
        Context::open(Opening { flags, role, initiator_key: key(AES, 5), acceptor_subkey: None, send, receive })
    };
    let (mut initiator, mut acceptor) = (end(Role::Initiator), end(Role::Acceptor));
    for _ in 0..3 {
        let token = wrapped(&mut initiator, true, MESSAGE);
        acceptor.unwrap(&token).unwrap();
    }
    assert_eq!(wrapped(&mut initiator, false, MESSAGE)[8..16], (u64::from(u32::MAX) + 3).to_be_bytes());
}

#[test]
fn a_context_shows_no_key_and_can_be_sent_to_another_thread() {
    fn sent<T: Send + Sync>(_: &T) {}
    let (initiator, _) = ends();
    sent(&initiator);
    let shown = format!("{initiator:?}");
    assert!(shown.contains("redacted") && !shown.contains("06, 06") && !shown.contains("0606"), "{shown}");
}

#[test]
#[cfg(feature = "danger-rc4")]
fn a_context_under_rc4_opens_and_signs_nothing() {
    let etype = EncryptionType::RC4_HMAC;
    let (mut initiator, mut acceptor, _) = opened(etype, kerberos());
    assert!(matches!(initiator.mic(MESSAGE), Err(Error::EtypeNotSupported(_))));
    assert!(matches!(initiator.wrap(&mut Counter(0), true, MESSAGE), Err(Error::EtypeNotSupported(_))));
    let (mut other, _) = ends();
    let token = wrapped(&mut other, true, MESSAGE);
    assert!(acceptor.unwrap(&token).is_err());
}
