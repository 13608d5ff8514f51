use super::*;
use crate::wire;

fn sample<'a>(certificates: &'a [Any<'a>], attributes: Option<&'a [u8]>) -> SignedData<'a> {
    let signer = attributes.map(|attributes| SignerInfo {
        id: SignerId::IssuerAndSerial(&[0x30, 0], &[7]),
        digest: AlgorithmIdentifier::bare(Oid::KERBEROS),
        signed: Some(SignedAttributes(attributes)),
        signature_algorithm: AlgorithmIdentifier::null(Oid::SPNEGO),
        signature: b"signature",
    });
    SignedData { content_type: Oid::NTLM, content: b"content", certificates: List::Items(certificates), signer }
}

#[test]
fn what_is_written_is_read_again_and_sets_are_in_order() {
    let attributes = SignedAttributes::make(Oid::NTLM, b"digest");
    let certificates = [Any(&[0x30, 2, 5, 0]), Any(&[0x30, 0])];
    let der = wire::encode(&sample(&certificates, Some(&attributes)));
    let read: SignedData<'_> = wire::decode(&der).expect("sound");
    assert_eq!((read.content_type, read.content), (Oid::NTLM, b"content".as_slice()));
    assert_eq!(read.certificates.iter().collect::<Vec<_>>(), [Any(&[0x30, 0]), Any(&[0x30, 2, 5, 0])]);
    let signer = read.signer.expect("a signer");
    assert_eq!(signer.id, SignerId::IssuerAndSerial(&[0x30, 0], &[7]));
    let signed = signer.signed.expect("attributes");
    assert_eq!(signed.value(Oid::MESSAGE_DIGEST), Some(Any(b"\x04\x06digest")));
    assert_eq!(signed.to_sign()[..2], [SET, attributes.len() as u8]);
    assert_eq!(wire::encode(&read), der);
}

#[test]
fn a_key_identifier_is_read_as_the_rfc_has_it_and_as_heimdal_writes_it() {
    for der in [&[0x80, 2, 7, 8][..], &[0xa0, 4, 4, 2, 7, 8]] {
        assert_eq!(wire::decode::<SignerId<'_>>(der), Ok(SignerId::KeyIdentifier(&[7, 8])), "{der:?}");
    }
}

#[test]
fn nobody_need_have_signed() {
    let der = wire::encode(&sample(&[], None));
    let read: SignedData<'_> = wire::decode(&der).expect("sound");
    assert!(read.signer.is_none() && read.certificates.is_empty());
}

#[test]
fn an_attribute_that_is_there_twice_is_not_there() {
    let once = SignedAttributes::make(Oid::NTLM, b"digest");
    let twice = [once.clone(), once].concat();
    assert_eq!(SignedAttributes(&twice).value(Oid::MESSAGE_DIGEST), None);
}

#[test]
fn every_truncation_is_an_error_and_no_panic() {
    let attributes = SignedAttributes::make(Oid::NTLM, b"digest");
    let der = wire::encode(&sample(&[Any(&[0x30, 0])], Some(&attributes)));
    for length in 0..der.len() {
        assert!(wire::decode::<SignedData<'_>>(&der[..length]).is_err(), "{length}");
    }
}
