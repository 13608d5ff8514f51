use super::*;
use crate::storage::vectors;
use crate::wire;

type Recode = fn(&[u8]) -> Result<Vec<u8>>;

fn again<'a, T: Decode<'a> + Encode>(bytes: &'a [u8]) -> Result<Vec<u8>> {
    Ok(wire::encode(&wire::decode::<T>(bytes)?))
}

const TYPES: [(&str, Recode); 5] = [
    ("PA-PK-AS-REQ", |der| again::<PaPkAsReq<'_>>(der)),
    ("PA-PK-AS-REP-EXT", |der| again::<PaPkAsRep<'_>>(der)),
    ("AuthPack-EXT", |der| again::<AuthPack<'_>>(der)),
    ("KDCDHKeyInfo", |der| again::<KdcDhKeyInfo<'_>>(der)),
    ("PkinitSuppPubInfo", |der| again::<PkinitSuppPubInfo<'_>>(der)),
];

#[test]
fn what_mit_encodes_is_read_and_encoded_to_the_same_bytes() {
    let Some(file) = vectors::outside("asn1_pkinit.json") else { return };
    let mut seen = 0;
    for vector in vectors::list(&file["vectors"]) {
        let Some((_, recode)) = TYPES.iter().find(|(name, _)| vector["asn1_type"] == *name) else { continue };
        let der = vectors::hex(&vector["der_hex"]);
        assert_eq!(recode(&der), Ok(der), "{}", vector["mit_name"]);
        seen += 1;
    }
    assert_eq!(seen, 6);
}

#[test]
fn other_info_is_encoded_as_mit_encodes_it() {
    let Some(file) = vectors::outside("asn1_pkinit.json") else { return };
    let of_name = |vector: &&serde_json::Value| vector["mit_name"] == "sp80056a_other_info";
    let vector = vectors::list(&file["vectors"]).iter().find(of_name).expect("the vector");
    let part = |name: &str| vectors::hex(&vector["value"][name]["hex"]);
    let (party_u, party_v, supp_pub_info) = (part("partyUInfo"), part("partyVInfo"), part("suppPubInfo"));
    let info = OtherInfo {
        algorithm: AlgorithmIdentifier::bare(Oid::KERBEROS),
        party_u: &party_u,
        party_v: &party_v,
        supp_pub_info: &supp_pub_info,
    };
    assert_eq!(wire::encode(&info), vectors::hex(&vector["der_hex"]));
}

#[test]
fn a_choice_with_an_unknown_tag_is_an_error() {
    for der in [&[0xa2, 0][..], &[0x82, 1, 0], &[0x30, 0], &[]] {
        assert!(wire::decode::<PaPkAsRep<'_>>(der).is_err(), "{der:?}");
    }
}

#[test]
fn large_numbers_have_no_sign_and_bit_strings_whole_octets() {
    assert_eq!(wire::decode::<wire::Unsigned<'_>>(&[2, 3, 0, 0x80, 1]), Ok(wire::Unsigned(&[0x80, 1])));
    assert_eq!(wire::encode(&wire::Unsigned(&[0, 0x80, 1])), [2, 3, 0, 0x80, 1]);
    assert_eq!(wire::encode(&wire::Unsigned(&[0, 0])), [2, 1, 0]);
    for der in [&[2, 1, 0x80][..], &[2, 0], &[3, 1, 0]] {
        assert!(wire::decode::<wire::Unsigned<'_>>(der).is_err(), "{der:?}");
    }
    for der in [&[3, 0][..], &[3, 2, 4, 0xf0]] {
        assert!(wire::decode::<BitString<'_>>(der).is_err(), "{der:?}");
    }
}
