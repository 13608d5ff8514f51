//! Every message of RFC 4120: what decodes, encodes, and decodes to the same.

use libkrb::wire::{
    AdAndOr, AdCammac, AdKdcIssued, ApRep, ApReq, Authenticator, AuthorizationData, ChangePasswdData, Checksum, Decode,
    EncApRepPart, EncKdcRepPart, EncKrbCredPart, EncKrbPrivPart, EncTicketPart, Encode, EncryptedData, EncryptionKey,
    EtypeInfo2Entry, EtypeInfoEntry, HostAddress, IakerbFinished, IakerbHeader, InitialToken, KdcProxyMessage, KdcRep,
    KdcReq, KdcReqBody, KrbCred, KrbError, KrbFastReq, KrbFastResponse, KrbPriv, KrbSafe, List, MethodData,
    NegotiationToken, PaEncTsEnc, PaForUser, PaFxFastReply, PaFxFastRequest, PaOtpChallenge, PaOtpEncRequest,
    PaOtpPinChange, PaOtpRequest, PaPacOptions, PaPacRequest, PaS4uX509User, PrincipalName, Ticket, TypedData, Utf8,
};

/// Decodes, encodes and decodes again; the bytes in between.
type Again = fn(&[u8]) -> Option<Vec<u8>>;

fn again<'a, T: Decode<'a> + Encode + std::fmt::Debug>(bytes: &'a [u8]) -> Option<Vec<u8>> {
    let message = libkrb::wire::decode::<T>(bytes).ok()?;
    Some(libkrb::wire::encode(&message))
}

fn shown<'a, T: Decode<'a> + std::fmt::Debug>(bytes: &'a [u8]) -> String {
    format!("{:?}", libkrb::wire::decode::<T>(bytes).expect("what was encoded decodes"))
}

type Shown = fn(&[u8]) -> String;

macro_rules! types {
    ($($name:literal = $type:ty,)*) => {
        /// Each ASN.1 type, with how it is read and written and how it is shown.
        pub const TYPES: &[(&str, Again, Shown)] = &[
            $(($name, |bytes| again::<$type>(bytes), |bytes| shown::<$type>(bytes)),)*
        ];
    };
}

types! {
    "KDC-REQ" = KdcReq<'_>,
    "KDC-REP" = KdcRep<'_>,
    "KDC-REQ-BODY" = KdcReqBody<'_>,
    "KRB-ERROR" = KrbError<'_>,
    "Ticket" = Ticket<'_>,
    "EncTicketPart" = EncTicketPart<'_>,
    "EncKDCRepPart" = EncKdcRepPart<'_>,
    "AP-REQ" = ApReq<'_>,
    "AP-REP" = ApRep<'_>,
    "Authenticator" = Authenticator<'_>,
    "EncAPRepPart" = EncApRepPart<'_>,
    "KRB-SAFE" = KrbSafe<'_>,
    "KRB-PRIV" = KrbPriv<'_>,
    "EncKrbPrivPart" = EncKrbPrivPart<'_>,
    "KRB-CRED" = KrbCred<'_>,
    "EncKrbCredPart" = EncKrbCredPart<'_>,
    "METHOD-DATA" = MethodData<'_>,
    "PA-FOR-USER" = PaForUser<'_>,
    "PA-S4U-X509-USER" = PaS4uX509User<'_>,
    "PA-PAC-OPTIONS" = PaPacOptions,
    "TYPED-DATA" = List<'_, TypedData<'_>>,
    "ETYPE-INFO" = List<'_, EtypeInfoEntry<'_>>,
    "ETYPE-INFO2" = List<'_, EtypeInfo2Entry<'_>>,
    "PA-ENC-TS-ENC" = PaEncTsEnc,
    "PA-PAC-REQUEST" = PaPacRequest,
    "PA-FX-FAST-REQUEST" = PaFxFastRequest<'_>,
    "PA-FX-FAST-REPLY" = PaFxFastReply<'_>,
    "KrbFastReq" = KrbFastReq<'_>,
    "KrbFastResponse" = KrbFastResponse<'_>,
    "EncryptedData" = EncryptedData<'_>,
    "EncryptionKey" = EncryptionKey<'_>,
    "Checksum" = Checksum<'_>,
    "HostAddress" = HostAddress<'_>,
    "PrincipalName" = PrincipalName<'_>,
    "AuthorizationData" = AuthorizationData<'_>,
    "AD-KDCIssued" = AdKdcIssued<'_>,
    "AD-AND-OR" = AdAndOr<'_>,
    "AD-CAMMAC" = AdCammac<'_>,
    "AD-AUTHENTICATION-INDICATOR" = List<'_, Utf8<'_>>,
    "PA-OTP-CHALLENGE" = PaOtpChallenge<'_>,
    "PA-OTP-REQUEST" = PaOtpRequest<'_>,
    "PA-OTP-ENC-REQUEST" = PaOtpEncRequest<'_>,
    "PA-OTP-PIN-CHANGE" = PaOtpPinChange<'_>,
    "NegotiationToken" = NegotiationToken<'_>,
    "InitialToken" = InitialToken<'_>,
    "ChangePasswdData" = ChangePasswdData<'_>,
    "KDC-PROXY-MESSAGE" = KdcProxyMessage<'_>,
    "IAKERB-HEADER" = IakerbHeader<'_>,
    "IAKERB-FINISHED" = IakerbFinished<'_>,
}

/// Any bytes, read as every message.
pub fn wire(data: &[u8]) {
    for (name, again, shown) in TYPES {
        let Some(encoded) = again(data) else { continue };
        let twice = again(&encoded).unwrap_or_else(|| panic!("{name}: what was encoded does not decode"));
        assert_eq!(twice, encoded, "{name}: not stable");
        assert_eq!(shown(&encoded), shown(data), "{name}: not the same");
    }
}
