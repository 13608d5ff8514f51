use std::path::PathBuf;

use super::*;
use crate::codes::{EncryptionType, MessageType, NameType, PaType};
use crate::flags::{KdcOptions, TicketFlags};
use crate::time::Time;

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex")).collect()
}

fn again<'a, T: Decode<'a> + Encode>(bytes: &'a [u8]) -> Result<Vec<u8>> {
    Ok(encode(&decode::<T>(bytes)?))
}

type Recode = fn(&[u8]) -> Result<Vec<u8>>;

/// Each ASN.1 type of RFC 4120 section 5 with the way to decode and encode it again.
const TYPES: [(&str, Recode); 37] = [
    ("Authenticator", |b| again::<Authenticator<'_>>(b)),
    ("Ticket", |b| again::<Ticket<'_>>(b)),
    ("EncryptionKey", |b| again::<EncryptionKey<'_>>(b)),
    ("EncTicketPart", |b| again::<EncTicketPart<'_>>(b)),
    ("EncTGSRepPart", |b| again::<EncKdcRepPart<'_>>(b)),
    ("EncASRepPart", |b| again::<EncKdcRepPart<'_>>(b)),
    ("AS-REP", |b| again::<KdcRep<'_>>(b)),
    ("TGS-REP", |b| again::<KdcRep<'_>>(b)),
    ("AP-REQ", |b| again::<ApReq<'_>>(b)),
    ("AP-REP", |b| again::<ApRep<'_>>(b)),
    ("EncAPRepPart", |b| again::<EncApRepPart<'_>>(b)),
    ("AS-REQ", |b| again::<KdcReq<'_>>(b)),
    ("TGS-REQ", |b| again::<KdcReq<'_>>(b)),
    ("KDC-REQ-BODY", |b| again::<KdcReqBody<'_>>(b)),
    ("KRB-SAFE", |b| again::<KrbSafe<'_>>(b)),
    ("KRB-PRIV", |b| again::<KrbPriv<'_>>(b)),
    ("EncKrbPrivPart", |b| again::<EncKrbPrivPart<'_>>(b)),
    ("KRB-CRED", |b| again::<KrbCred<'_>>(b)),
    ("EncKrbCredPart", |b| again::<EncKrbCredPart<'_>>(b)),
    ("KRB-ERROR", |b| again::<KrbError<'_>>(b)),
    ("AuthorizationData", |b| again::<AuthorizationData<'_>>(b)),
    ("PA-DATA-SEQ", |b| again::<MethodData<'_>>(b)),
    ("METHOD-DATA", |b| again::<MethodData<'_>>(b)),
    ("TYPED-DATA", |b| again::<List<'_, TypedData<'_>>>(b)),
    ("ETYPE-INFO", |b| again::<List<'_, EtypeInfoEntry<'_>>>(b)),
    ("ETYPE-INFO2", |b| again::<List<'_, EtypeInfo2Entry<'_>>>(b)),
    ("PA-ENC-TS-ENC", |b| again::<PaEncTsEnc>(b)),
    ("EncryptedData", |b| again::<EncryptedData<'_>>(b)),
    ("AD-KDCIssued", |b| again::<AdKdcIssued<'_>>(b)),
    ("AD-CAMMAC", |b| again::<AdCammac<'_>>(b)),
    ("OTP-TOKENINFO", |b| again::<OtpTokenInfo<'_>>(b)),
    ("PA-OTP-CHALLENGE", |b| again::<PaOtpChallenge<'_>>(b)),
    ("PA-OTP-REQUEST", |b| again::<PaOtpRequest<'_>>(b)),
    ("PA-OTP-ENC-REQUEST", |b| again::<PaOtpEncRequest<'_>>(b)),
    ("KDC-PROXY-MESSAGE", |b| again::<KdcProxyMessage<'_>>(b)),
    ("IAKERB-HEADER", |b| again::<IakerbHeader<'_>>(b)),
    ("IAKERB-FINISHED", |b| again::<IakerbFinished<'_>>(b)),
];

fn recode(asn1_type: &str) -> Option<Recode> {
    TYPES.iter().find(|(name, _)| *name == asn1_type).map(|(_, recode)| *recode)
}

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Peers' reference values that may not stand in this tree are read where they lie, if they do.
fn outside(name: &str) -> Option<serde_json::Value> {
    let folder = std::env::var_os("KRB_VECTORS_OUTSIDE")
        .map_or_else(|| workspace().join("../shared/reference/vectors/outside"), PathBuf::from);
    Some(serde_json::from_slice(&std::fs::read(folder.join(name)).ok()?).expect("JSON"))
}

#[test]
fn reference_encodings_come_back_to_the_byte() {
    let Some(file) = outside("asn1_krb5.json") else { return };
    let mut checked = 0;
    for vector in file["vectors"].as_array().expect("vectors") {
        let Some(recode) = recode(vector["asn1_type"].as_str().expect("type")) else { continue };
        let name = format!("{} {}", vector["mit_name"], vector["variant"]);
        let der = unhex(vector["der_hex"].as_str().expect("hex"));
        let ours = recode(&der).unwrap_or_else(|error| panic!("{name}: {error}"));
        // A key version above i32 is written unsigned, as the RFC has it; MIT writes it signed.
        if !name.contains("kvno") {
            assert_eq!(ours, der, "{name}");
        }
        checked += 1;
    }
    assert!(checked > 45, "only {checked} vectors found");
}

#[test]
fn every_truncation_of_a_reference_encoding_is_an_error() {
    let Some(file) = outside("asn1_krb5.json") else { return };
    for vector in file["vectors"].as_array().expect("vectors") {
        let Some(recode) = recode(vector["asn1_type"].as_str().expect("type")) else { continue };
        let der = unhex(vector["der_hex"].as_str().expect("hex"));
        for end in 0..der.len() {
            assert!(recode(&der[..end]).is_err());
        }
        for at in 0..der.len() {
            for value in [0, 0x7f, 0x80, 0x84, 0xff, der[at] ^ 1] {
                let mut bent = der.clone();
                bent[at] = value;
                let _ = recode(&bent);
            }
        }
    }
}

fn body<'a>(server: &'a crate::Principal, etypes: &'a [EncryptionType]) -> KdcReqBody<'a> {
    KdcReqBody {
        options: KdcOptions::FORWARDABLE,
        client: None,
        realm: server.realm(),
        server: Some(server.into()),
        from: None,
        till: Time::EPOCH,
        renew_till: None,
        nonce: 0xffff_fffe,
        etypes: List::Items(etypes),
        addresses: None,
        authorization_data: None,
        additional_tickets: None,
    }
}

#[test]
fn a_request_keeps_the_bytes_of_its_body() {
    let server = crate::Principal::tgs("R");
    let encoded = encode(&body(&server, &[EncryptionType::AES256_SHA1]));
    let padata = [PaData { kind: PaType::TGS_REQ, value: b"ap-req" }];
    let body = Raw::parse(&encoded).expect("body");
    let request = encode(&KdcReq { kind: MessageType::TGS_REQ, padata: List::Items(&padata).into(), body });
    assert_eq!(application_tag(&request), Some(12));
    let back: KdcReq<'_> = decode(&request).expect("request");
    assert_eq!(back.body.der, encoded);
    assert_eq!(back.body.nonce, 0xffff_fffe);
    assert_eq!(back.padata(PaType::TGS_REQ).expect("padata").value, b"ap-req");
    assert!(back.body.server.expect("server").names(&server));
}

#[test]
fn unknown_trailing_fields_are_passed_over_and_repeated_ones_refused() {
    let mut data = encode(&EncryptedData { etype: EncryptionType(18), kvno: None, cipher: b"x" });
    data.extend([0xa3, 3, 2, 1, 9]);
    data[1] += 5;
    assert!(decode::<EncryptedData<'_>>(&data).is_ok());
    let length = data.len();
    data[length - 5] = 0xa1;
    assert!(decode::<EncryptedData<'_>>(&data).is_err());
}

#[test]
fn numbers_are_lenient_in_and_minimal_out() {
    for (der, value) in
        [(&[2, 1, 0xff][..], u32::MAX), (&[2, 5, 0, 0xff, 0xff, 0xff, 0xff], u32::MAX), (&[2, 2, 0, 5], 5)]
    {
        assert_eq!(decode::<u32>(der).expect("integer"), value);
    }
    assert!(decode::<u32>(&[2, 5, 1, 0, 0, 0, 0]).is_err());
    assert!(decode::<u32>(&[2, 0]).is_err());
    for (value, der) in [
        (0, &[2, 1, 0][..]),
        (127, &[2, 1, 127]),
        (128, &[2, 2, 0, 128]),
        (-1, &[2, 1, 0xff]),
        (-129, &[2, 2, 0xff, 0x7f]),
    ] {
        assert_eq!(encode(&value), der, "{value}");
        assert_eq!(decode::<i32>(der).expect("integer"), value);
    }
}

#[test]
fn bit_strings_of_any_length_become_32_bits() {
    for (der, flags) in [
        (&[3, 2, 0, 0x40][..], 0x4000_0000),
        (&[3, 6, 0, 0x40, 0, 0, 1, 0xff], 0x4000_0001),
        (&[3, 1, 0], 0),
        (&[3, 2, 6, 0x40], 0x4000_0000),
    ] {
        assert_eq!(decode::<TicketFlags>(der).expect("flags").0, flags);
    }
    for der in [&[3, 0][..], &[3, 1, 1], &[3, 2, 8, 0]] {
        assert!(decode::<TicketFlags>(der).is_err());
    }
}

#[test]
fn octets_of_any_length_are_written_whole() {
    for length in 0..100 {
        let octets: Vec<u8> = (0..length).map(|octet: u8| octet ^ 0x5a).collect();
        let mut writer = Writer::new();
        writer.prepend(b">");
        writer.prepend(&octets);
        writer.prepend(b"<");
        assert_eq!(writer.bytes(), [b"<", &octets[..], b">"].concat());
    }
}

#[test]
fn what_writes_itself_within_a_tag_is_as_an_element_around_it() {
    fn same(value: &impl Encode) {
        let (mut within, mut around) = (Writer::new(), Writer::new());
        value.encode_within(0xa3, &mut within);
        around.element(0xa3, |writer| value.encode(writer));
        assert_eq!(within.bytes(), around.bytes());
    }
    for number in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 1 << 23, 1 << 24, i32::MAX, -1, -129, i32::MIN] {
        same(&number);
        same(&(number as u32));
        same(&TicketFlags(number as u32));
    }
    same(&Fixed::<5>);
    for length in [0, 1, 3, 17, 0x7c, 0x7d, 0x7e, 0x7f, 0x80, 0xfd, 0xfe, 0xff, 0x100, 5_000] {
        let text = "x".repeat(length);
        same(&&*text);
        same(&text.as_bytes());
    }
    for seconds in [i64::MIN, -62_167_219_201, -1, 0, 951_782_400, 1_800_000_000, Time::MAX.0, i64::MAX] {
        same(&Time(seconds));
    }
}

#[test]
fn times_are_exactly_fifteen_characters() {
    let der = encode(&Time(1_795_304_411));
    assert_eq!(&der[2..], b"20261121234011Z");
    assert_eq!(decode::<Time>(&der).expect("time"), Time(1_795_304_411));
    // Every number that a part can be, in every part.
    for time in (0..).step_by(86_400 * 29 + 3_661).take_while(|time| *time <= Time::MAX.seconds()).map(Time) {
        let (year, month, day, hour, minute, second) = time.civil();
        let text = format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z");
        assert_eq!(encode(&time)[2..], *text.as_bytes());
    }
    for text in ["20261121234011+", "2026112123401Z", "20261321234011Z", "2026112123401\u{0}Z", "20261121234011.1Z"] {
        let mut der = vec![0x18, text.len() as u8];
        der.extend(text.as_bytes());
        assert!(decode::<Time>(&der).is_err(), "{text}");
    }
}

#[test]
fn a_time_has_its_own_text_whichever_was_written_before() {
    let times = [0, 1, 36_000, 1_795_304_411, 1_795_304_412, 1_795_340_411, Time::MAX.0, -1, i64::MIN].map(Time);
    let text = |time: Time| encode(&time)[2..].to_vec();
    let fresh = times.map(|time| std::thread::spawn(move || text(time)).join().expect("a text"));
    for (before, _) in times.iter().zip(&fresh) {
        for (time, fresh) in times.iter().zip(&fresh) {
            text(*before);
            assert_eq!((text(*time), text(*time)), (fresh.clone(), fresh.clone()), "{time} after {before}");
        }
    }
}

#[test]
fn a_field_says_the_same_however_its_lengths_are_written() {
    fn read<'a, T: Decode<'a>>(contents: &'a [u8]) -> Option<T> {
        T::decode_whole(contents).ok()
    }
    // One octet for the length, and two: what is short is read at once, and all else step by step.
    let with = |tag: u8, octets: &[u8]| {
        let short = [&[tag, octets.len() as u8], octets].concat();
        let long = [&[tag, 0x81, octets.len() as u8], octets].concat();
        (short, long)
    };
    for digits in
        [&[0][..], &[0x7f], &[0x80], &[0, 0x80], &[0x12, 0x34, 0x56, 0x78], &[0, 0xff, 0xff, 0xff, 0xff], &[], &[0; 6]]
    {
        let (short, long) = with(2, digits);
        assert_eq!(read::<i32>(&short), read::<i32>(&long), "{digits:?}");
        assert_eq!(read::<i32>(&[&short[..], &[0]].concat()), None, "more follows");
    }
    for octets in [&[0, 1, 2, 3, 4][..], &[7, 0, 0, 0, 0x80], &[0, 1], &[0], &[8, 1], &[]] {
        let (short, long) = with(3, octets);
        assert_eq!(read::<KdcOptions>(&short).map(|it| it.0), read::<KdcOptions>(&long).map(|it| it.0), "{octets:?}");
    }
    for octets in [&b""[..], b"text", &[0xff, 0xfe], b"20261121234011Z", b"20261121234011+"] {
        for tag in [4, 27, 24] {
            let (short, long) = with(tag, octets);
            assert_eq!(read::<&[u8]>(&short), read::<&[u8]>(&long), "{tag} {octets:?}");
            assert_eq!(read::<&str>(&short), read::<&str>(&long), "{tag} {octets:?}");
            assert_eq!(read::<Time>(&short), read::<Time>(&long), "{tag} {octets:?}");
        }
        let (short, _) = with(4, octets);
        assert_eq!(read::<&[u8]>(&[&short[..], b"x"].concat()), None, "more follows");
        assert_eq!(read::<&[u8]>(&short[..short.len() - 1]), None, "something is missing");
    }
}

#[test]
fn either_tag_is_accepted_on_the_encrypted_part_of_a_reply() {
    let server = crate::Principal::tgs("R");
    let part = EncKdcRepPart {
        kind: MessageType::AS_REP,
        key: EncryptionKey { etype: EncryptionType(18), value: &[7; 32] },
        last_req: List::Items(&[]),
        nonce: 1,
        key_expiration: None,
        flags: TicketFlags::INITIAL,
        auth_time: Time(5),
        start_time: None,
        end_time: Time(6),
        renew_till: None,
        server_realm: "R",
        server: (&server).into(),
        addresses: None,
        encrypted_padata: None,
    };
    let mut der = encode(&part);
    assert_eq!(der[0], 0x79);
    der[0] = 0x7a;
    assert_eq!(decode::<EncKdcRepPart<'_>>(&der).expect("part").kind, MessageType::TGS_REP);
    assert!(!format!("{part:?}").contains("7, 7"), "a key in Debug");
}

#[test]
fn names_without_utf8_and_with_too_many_parts_are_refused() {
    let latin1 = [0x30, 12, 0xa0, 3, 2, 1, 1, 0xa1, 5, 0x30, 3, 0x1b, 1, 0xe9];
    assert!(decode::<PrincipalName<'_>>(&latin1).is_err());
    let parts: Vec<Box<str>> = vec!["x".into(); crate::name::MAX_COMPONENTS + 1];
    let name = PrincipalName { kind: NameType::PRINCIPAL, components: Components::Parts(&parts) };
    assert!(decode::<PrincipalName<'_>>(&encode(&name)).is_err());
}

#[test]
fn indefinite_and_overlong_lengths_are_refused() {
    for der in
        [&[0x30, 0x80, 0, 0][..], &[0x30, 0x85, 0, 0, 0, 0, 0], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x1f, 1, 0]]
    {
        assert!(Reader::new(der).element().is_err());
    }
}

#[test]
fn a_growing_writer_keeps_what_it_holds() {
    let mut writer = Writer::with_capacity(1);
    for byte in (0..=255).rev() {
        writer.prepend(&[byte]);
    }
    assert!(writer.bytes().iter().copied().eq(0..=255));
}
