//! The whole room against the RFCs' vectors, and against those who tamper. Vectors of triple DES
//! (rfc3961_des3 and etype 16 elsewhere) are passed over: the project has no DES.

use super::testing::{Script, Vector, open, outside};
use super::*;
use crate::codes::{ChecksumType, EncryptionType};
use crate::error::Error;

fn all_etypes() -> impl Iterator<Item = EncryptionType> {
    SUPPORTED.iter().copied().chain([EncryptionType::RC4_HMAC]).filter(|etype| supported(*etype))
}

fn some_key(etype: EncryptionType) -> Key {
    Key::random(etype, &mut Script((1..=32).collect())).unwrap()
}

/// Names for one thing differ between the files.
fn either(vector: &Vector, names: [&str; 2]) -> Vec<u8> {
    vector.maybe_bytes(names[0]).unwrap_or_else(|| vector.bytes(names[1]))
}

fn usable(vectors: Vec<Vector>, op: Option<&str>) -> Vec<Vector> {
    let keep = |vector: &Vector| op.is_none_or(|op| vector.is("op", op)) && supported(vector.etype());
    vectors.into_iter().filter(keep).collect()
}

fn usage(vector: &Vector) -> KeyUsage {
    KeyUsage(vector.number("usage") as i32)
}

#[test]
fn ciphertexts_are_those_of_the_vectors_both_ways() {
    let mut vectors = usable(open("rfc8009"), Some("encrypt"));
    vectors.extend(usable(open("rfc6803"), Some("encrypt")));
    assert_eq!(vectors.len(), 18);
    vectors.extend(usable(outside("encryption"), None));
    for vector in vectors {
        let key = Key::new(vector.etype(), &either(&vector, ["key", "base_key"])).unwrap();
        let (plain, cipher) = (either(&vector, ["plaintext", "plaintext_hex"]), vector.bytes("ciphertext"));
        let mut script = Script(vector.bytes("confounder"));
        assert_eq!(key.encrypt(usage(&vector), &mut script, &plain), cipher, "{vector:?}");
        assert_eq!(*key.decrypt(usage(&vector), &cipher).unwrap(), plain, "{vector:?}");
        assert_eq!(cipher_len(key.etype(), plain.len()).unwrap(), cipher.len());
    }
}

#[test]
fn checksums_are_those_of_the_vectors() {
    let mut vectors = usable(open("rfc8009"), Some("checksum"));
    vectors.extend(usable(open("rfc6803"), Some("checksum")));
    assert_eq!(vectors.len(), 6);
    vectors.extend(outside("checksums").into_iter().filter(|vector| vector.maybe_number("etype").is_some()));
    for vector in vectors.iter().filter(|vector| supported(vector.etype())) {
        let key = Key::new(vector.etype(), &either(vector, ["key", "base_key"])).unwrap();
        let data = ["plaintext", "plaintext_hex", "data_hex"].iter().find_map(|name| vector.maybe_bytes(name)).unwrap();
        let (kind, mac) = (ChecksumType(vector.maybe_number("cksumtype").unwrap() as i32), vector.bytes("checksum"));
        if kind != key.checksum_type() {
            assert_eq!(kind, ChecksumType(-137), "the old checksum of RC4 is the only other one");
            assert!(key.verify_checksum(usage(vector), kind, &data, &mac).is_err());
            continue;
        }
        assert_eq!(key.checksum(usage(vector), &data), mac, "{vector:?}");
        key.verify_checksum(usage(vector), kind, &data, &mac).unwrap();
    }
}

#[test]
fn unkeyed_checksums_are_refused_even_when_they_are_right() {
    for vector in outside("checksums").into_iter().filter(|vector| vector.maybe_number("etype").is_none()) {
        let kind = ChecksumType(vector.maybe_number("cksumtype").unwrap() as i32);
        for key in all_etypes().map(some_key) {
            let verdict =
                key.verify_checksum(usage(&vector), kind, &vector.bytes("data_hex"), &vector.bytes("checksum"));
            assert_eq!(verdict, Err(Error::ChecksumNotSupported(kind)));
        }
    }
}

#[test]
fn checksums_of_another_keys_type_are_refused() {
    for key in all_etypes().map(some_key) {
        let mac = key.checksum(KeyUsage(7), b"data");
        for (kind, _) in ChecksumType::TABLE.iter().filter(|(kind, _)| *kind != key.checksum_type()) {
            let verdict = key.verify_checksum(KeyUsage(7), *kind, b"data", &mac);
            assert_eq!(verdict, Err(Error::ChecksumNotSupported(*kind)));
            assert_eq!(key.prepare_checksum(KeyUsage(7)).verify(*kind, b"data", &mac), verdict);
        }
    }
}

#[test]
fn the_prf_is_that_of_the_vectors() {
    let mut vectors = usable(open("rfc8009"), Some("prf"));
    assert_eq!(vectors.len(), 2);
    vectors.extend(usable(outside("prf"), None));
    for vector in vectors {
        assert_eq!(vector.key("key").prf(&vector.bytes("input_hex")).unwrap(), vector.bytes("output"), "{vector:?}");
    }
}

#[test]
fn the_prf_gives_what_gss_builds_of_it() {
    for vector in usable(outside("gss_prf"), None) {
        let (key, length) = (vector.key("key"), vector.number("output_length"));
        let mut out = Vec::new();
        for number in 0u32.. {
            if out.len() >= length {
                break;
            }
            out.extend(key.prf(&[&number.to_be_bytes()[..], &vector.bytes("input_hex")].concat()).unwrap());
        }
        out.truncate(length);
        assert_eq!(out, vector.bytes("output"), "{vector:?}");
    }
}

#[test]
fn two_keys_become_one_as_in_rfc_6113() {
    for vector in outside("cf2") {
        let etype =
            |name: &str| EncryptionType(vector.maybe_number(name).unwrap_or(vector.number("etype") as i64) as i32);
        let (etype1, etype2) = (etype("etype1"), etype("etype2"));
        if ![vector.etype(), etype1, etype2].into_iter().all(supported) {
            continue;
        }
        let password = |etype, name: &str, salt: &str| {
            Key::from_password(etype, vector.text(name).as_bytes(), vector.text(salt).as_bytes(), None).unwrap()
        };
        let k1 = password(etype1, "password1", "salt1");
        let k2 = password(etype2, "password2", "salt2");
        let (pepper1, pepper2) = (vector.text("pepper1").as_bytes(), vector.text("pepper2").as_bytes());
        let length = key_len(vector.etype()).unwrap();
        let parts = [(&k1, pepper1), (&k2, pepper2)].map(|(key, pepper)| key.prf_plus(pepper, length).unwrap());
        let out: Vec<_> = parts[0].iter().zip(&parts[1]).map(|(one, other)| one ^ other).collect();
        assert_eq!(out, vector.bytes("output"), "{vector:?}");
        if vector.etype() == etype1 {
            let key = Key::cf2(&k1, pepper1, &k2, pepper2).unwrap();
            assert_eq!((key.etype(), key.expose()), (etype1, &*out));
        }
    }
}

#[test]
fn prf_plus_stops_where_its_counter_ends() {
    for key in all_etypes().map(some_key) {
        let block = key.prf(b"").unwrap().len();
        let all = key.prf_plus(b"data", 255 * block).unwrap();
        assert_eq!(all[..block], key.prf(b"\x01data").unwrap());
        assert_eq!(all[254 * block..], key.prf(b"\xffdata").unwrap());
        assert!(key.prf_plus(b"data", 255 * block + 1).is_err());
        assert!(key.prf_plus(b"data", usize::MAX).is_err());
        assert_eq!(key.prf_plus(b"data", 0).unwrap(), b"");
    }
}

#[test]
fn passwords_become_the_keys_of_rfc_8009() {
    let vectors = usable(open("rfc8009"), Some("string-to-key"));
    assert_eq!(vectors.len(), 2);
    for vector in vectors {
        let (password, salt) = (vector.bytes("password_hex"), vector.bytes("salt_hex"));
        for params in [vector.maybe_bytes("s2kparams_hex"), None] {
            let key = Key::from_password(vector.etype(), &password, &salt, params.as_deref()).unwrap();
            assert_eq!(key.expose(), vector.bytes("key"), "{vector:?}");
        }
    }
}

#[test]
fn passwords_become_the_keys_of_mit() {
    for vector in usable(outside("string_to_key"), None) {
        let (password, salt) = (vector.bytes("password_hex"), vector.bytes("salt_hex"));
        let params = vector.maybe_bytes("s2kparams_hex");
        let key = Key::from_password(vector.etype(), &password, &salt, params.as_deref());
        let weak = vector.maybe_number("iterations").is_some_and(|rounds| rounds < i64::from(MIN_ITERATIONS));
        if !weak {
            assert_eq!(key.unwrap().expose(), vector.bytes("key"), "{vector:?}");
            continue;
        }
        assert_eq!(key.err(), Some(Error::S2kParams("too few iterations")));
        if let Some(expected) = vector.maybe_bytes("key") {
            let rounds = vector.number("iterations") as u32;
            let profile = etype::profile(vector.etype()).unwrap();
            let key = Key::made(profile, |out| s2k::string_to_key(profile, &password, &salt, rounds, out)).unwrap();
            assert_eq!(key.expose(), expected, "{vector:?}");
        }
    }
}

#[test]
fn hostile_string_to_key_parameters_are_refused_without_work() {
    let counts = [0, 1, MIN_ITERATIONS - 1, MAX_ITERATIONS + 1, u32::MAX];
    for etype in SUPPORTED {
        for count in counts {
            let key = Key::from_password(*etype, b"password", b"salt", Some(&count.to_be_bytes()));
            assert!(matches!(key, Err(Error::S2kParams(_))), "{etype} {count}");
        }
        for params in [&b""[..], &[0, 0, 16], &[0, 0, 0, 16, 0]] {
            let key = Key::from_password(*etype, b"password", b"salt", Some(params));
            assert!(matches!(key, Err(Error::S2kParams(_))), "{etype} {params:?}");
        }
    }
}

#[test]
fn default_parameters_are_what_is_meant_without_any() {
    for etype in SUPPORTED {
        let params = default_s2kparams(*etype).unwrap();
        let said = Key::from_password(*etype, b"password", b"salt", Some(&params)).unwrap();
        assert!(said.same_as(&Key::from_password(*etype, b"password", b"salt", None).unwrap()));
    }
    assert_eq!(default_s2kparams(EncryptionType::RC4_HMAC), None);
}

#[test]
fn keys_of_the_wrong_length_or_type_are_refused() {
    for etype in all_etypes() {
        let right = key_len(etype).unwrap();
        for length in (0..70).filter(|length| *length != right) {
            assert_eq!(Key::new(etype, &vec![7; length]).err(), Some(Error::KeyLength(etype)));
        }
        assert_eq!(Key::new(etype, &vec![7; right]).unwrap().expose(), vec![7; right]);
        assert_eq!(Key::random_to_key(etype, &vec![7; right]).unwrap().expose(), vec![7; right]);
    }
    for etype in [0, 1, 2, 3, 16, 24, -1, 99, i32::MIN].map(EncryptionType) {
        assert!(!supported(etype));
        assert_eq!(Key::new(etype, &[0; 16]).err(), Some(Error::EtypeNotSupported(etype)));
        assert!(Key::from_password(etype, b"", b"", None).is_err());
        assert!(Key::random(etype, &mut OsRandom::new()).is_err());
    }
    assert_eq!(supported(EncryptionType::RC4_HMAC), cfg!(feature = "danger-rc4"));
}

#[test]
fn nothing_that_is_offered_by_default_is_weak() {
    assert!(SUPPORTED.iter().all(|etype| supported(*etype) && !is_weak(*etype)));
    assert!([1, 2, 3, 16, 23, 24].map(EncryptionType).into_iter().all(is_weak));
}

#[test]
fn every_plaintext_length_comes_back_by_every_way() {
    let message: Vec<u8> = (0..100).collect();
    for key in all_etypes().map(some_key) {
        let prepared = key.prepare(KeyUsage::TICKET);
        for length in 0..message.len() {
            let plain = &message[..length];
            let mut out = b"before".to_vec();
            prepared.encrypt_into(&mut OsRandom::new(), plain, &mut out);
            assert_eq!(&out[..6], b"before");
            assert_eq!(*key.decrypt(KeyUsage::TICKET, &out[6..]).unwrap(), plain);
            assert_eq!(prepared.clone().decrypt_in_place(&mut out[6..]).unwrap(), plain);
            let mut one = Vec::new();
            key.encrypt_into(KeyUsage::TICKET, &mut Script(vec![5; 16]), plain, &mut one);
            assert_eq!(one, prepared.encrypt(&mut Script(vec![5; 16]), plain));
            assert_eq!(key.decrypt_in_place(KeyUsage::TICKET, &mut one).unwrap(), plain);
        }
    }
}

#[test]
fn ciphertexts_too_short_to_be_any_are_refused_without_a_panic() {
    for key in all_etypes().map(some_key) {
        for length in 0..64 {
            let mut noise = vec![0x41; length];
            assert_eq!(key.decrypt(KeyUsage(1), &noise).err(), Some(Error::Integrity), "{length}");
            assert_eq!(key.prepare(KeyUsage(1)).decrypt_in_place(&mut noise).err(), Some(Error::Integrity));
        }
    }
}

#[test]
fn a_ciphertext_with_any_bit_changed_or_any_octet_lost_is_refused_and_wiped() {
    for key in all_etypes().map(some_key) {
        let prepared = key.prepare(KeyUsage(3));
        for plain in [&b""[..], b"short", &[9; 16], &[9; 37]] {
            let cipher = key.encrypt(KeyUsage(3), &mut OsRandom::new(), plain);
            for bit in 0..cipher.len() * 8 {
                let mut changed = cipher.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(prepared.decrypt(&changed).err(), Some(Error::Integrity));
                assert_eq!(prepared.decrypt_in_place(&mut changed).err(), Some(Error::Integrity));
                assert!(changed.iter().all(|octet| *octet == 0));
            }
            for length in 0..cipher.len() {
                assert_eq!(prepared.decrypt(&cipher[..length]).err(), Some(Error::Integrity));
            }
            assert_eq!(prepared.decrypt(&[&cipher[..], b"\0"].concat()).err(), Some(Error::Integrity));
            assert_eq!(*prepared.decrypt(&cipher).unwrap(), plain);
        }
    }
}

/// D8: a comparison with its sense reversed accepts what is wrong and refuses what is right.
#[test]
fn attack_d8_right_checksums_are_accepted_and_all_others_refused() {
    for key in all_etypes().map(some_key) {
        let (kind, data) = (key.checksum_type(), b"some data to sign");
        let prepared = key.prepare_checksum(KeyUsage(6));
        let right = key.checksum(KeyUsage(6), data);
        let verify = |data: &[u8], mac: &[u8]| {
            let verdict = key.verify_checksum(KeyUsage(6), kind, data, mac);
            assert_eq!(prepared.verify(kind, data, mac), verdict);
            verdict
        };
        assert_eq!(verify(data, &right), Ok(()));
        for bit in 0..right.len() * 8 {
            let mut wrong = right.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(data, &wrong), Err(Error::Integrity));
        }
        for bit in 0..data.len() * 8 {
            let mut wrong = *data;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(&wrong, &right), Err(Error::Integrity));
        }
        for length in 0..right.len() {
            assert_eq!(verify(data, &right[..length]), Err(Error::Integrity), "cut to {length}");
        }
        assert_eq!(verify(data, &[&right[..], &[0]].concat()), Err(Error::Integrity));
        assert_eq!(verify(data, &vec![0; right.len()]), Err(Error::Integrity));
        let other_usage = key.verify_checksum(KeyUsage(7), kind, data, &right);
        assert_eq!(other_usage, Err(Error::Integrity));
    }
}

#[test]
fn another_usage_or_key_opens_nothing() {
    for key in all_etypes().map(some_key) {
        let cipher = key.encrypt(KeyUsage(2), &mut OsRandom::new(), b"for usage 2");
        assert!(key.decrypt(KeyUsage(4), &cipher).is_err());
        let other = Key::random(key.etype(), &mut OsRandom::new()).unwrap();
        assert!(other.decrypt(KeyUsage(2), &cipher).is_err());
    }
}

#[test]
fn keys_are_the_same_only_with_the_same_octets_and_type() {
    for key in all_etypes().map(some_key) {
        assert!(key.same_as(&key.clone()));
        for bit in 0..key.expose().len() * 8 {
            let mut other = key.expose().to_vec();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.same_as(&Key::new(key.etype(), &other).unwrap()));
        }
    }
    let aes = Key::new(EncryptionType::AES128_SHA1, &[1; 16]).unwrap();
    assert!(!aes.same_as(&Key::new(EncryptionType::AES128_SHA256, &[1; 16]).unwrap()));
}

#[test]
fn debug_shows_no_octet_of_a_key() {
    let key = Key::new(EncryptionType::AES128_SHA1, &[0xab; 16]).unwrap();
    assert_eq!(format!("{key:?}"), "Key(aes128-cts-hmac-sha1-96, redacted)");
    assert_eq!(format!("{:?}", key.prepare(KeyUsage(1))), "PreparedKey(aes128-cts-hmac-sha1-96, redacted)");
    assert_eq!(format!("{:?}", key.prepare_checksum(KeyUsage(1))), "PreparedChecksum(hmac-sha1-96-aes128, redacted)");
    assert_eq!(format!("{:?}", OsRandom::new()), "OsRandom");
}

#[test]
fn prepared_keys_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<Key>();
    shared::<PreparedKey>();
    shared::<PreparedChecksum>();
}

#[test]
fn negative_usages_are_written_as_32_bits() {
    let key = some_key(EncryptionType::AES256_SHA1);
    let cipher = key.encrypt(KeyUsage(-5), &mut OsRandom::new(), b"message");
    assert_eq!(*key.decrypt(KeyUsage(-5), &cipher).unwrap(), b"message");
    assert!(key.decrypt(KeyUsage(5), &cipher).is_err());
}
