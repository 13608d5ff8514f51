use super::*;
use crate::storage::vectors::{hex, outside};
use crate::wire;

#[test]
fn a_request_and_a_reply_survive_their_frames() {
    let request = KpasswdRequest { version: KpasswdRequest::SET, ap_req: b"ap", message: b"priv" };
    let bytes = request.encode().unwrap();
    assert_eq!(bytes, b"\0\x0c\xff\x80\0\x02appriv");
    assert_eq!(KpasswdRequest::decode(&bytes).unwrap(), request);
    for reply in [KpasswdReply::Answer { ap_rep: b"rep", message: b"priv" }, KpasswdReply::Error(b"\x7e\0")] {
        assert_eq!(KpasswdReply::decode(&reply.encode().unwrap()).unwrap(), reply);
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    for bytes in [
        &b""[..],
        b"\0\x05\0\x01\0",
        b"\0\x07\0\x01\0\0",
        b"\0\x06\0\x01\0\0x",
        b"\0\x08\0\x01\0\x03ap",
        b"\0\x06\0\x01\0\0",
        b"\0\x08\0\x01\xff\xffap",
    ] {
        assert!(matches!(KpasswdRequest::decode(bytes), Err(Error::Malformed(_))), "{bytes:02x?}");
    }
    let long = vec![7; 65_530];
    let request = KpasswdRequest { version: 1, ap_req: &long, message: b"" };
    assert!(request.encode().is_err(), "one byte too many");
    assert!(KpasswdRequest { ap_req: &long[1..], ..request }.encode().is_ok());
}

#[test]
fn an_error_without_a_frame_is_an_error_and_other_versions_are_none_of_ours() {
    assert_eq!(KpasswdReply::decode(b"\x7e\x02xy").unwrap(), KpasswdReply::Error(b"\x7e\x02xy"));
    assert!(KpasswdReply::decode(b"\0\x08\0\x02\0\x01ab").is_err());
    assert!(KpasswdReply::decode(b"junk").is_err());
    // A frame whose length looks like the tag of a KRB-ERROR.
    let message = vec![1; 0x7e00 - 8];
    let reply = KpasswdReply::Answer { ap_rep: b"ap", message: &message };
    assert_eq!(KpasswdReply::decode(&reply.encode().unwrap()).unwrap(), reply);
}

#[test]
fn a_result_is_a_code_and_a_text() {
    let result = KpasswdResult { code: KpasswdCode::SOFTERROR, text: b"too short" };
    assert_eq!(KpasswdResult::decode(&result.encode()).unwrap(), result);
    assert_eq!(KpasswdResult::decode(b"\xff\xff").unwrap().code, KpasswdCode(0xffff));
    assert!(KpasswdResult::decode(b"\0").is_err());
}

#[test]
fn a_new_password_is_shown_nowhere() {
    let data = ChangePasswdData { new_password: NewPassword(b"hunter2"), target: None, realm: None };
    assert!(!format!("{data:?}").contains("hunter2"));
}

#[test]
fn the_messages_of_other_implementations_are_read() {
    let Some(file) = outside("kpasswd.json") else { return };
    let vector = |name: &str| {
        let found = file["vectors"].as_array().unwrap().iter().find(|vector| vector["name"] == name);
        found.unwrap_or_else(|| panic!("no vector {name}")).clone()
    };
    let data = hex(&vector("ChangePasswdData")["hex"]);
    let read: ChangePasswdData<'_> = wire::decode(&data).unwrap();
    assert_eq!((read.new_password.0, read.realm), (&b"newpassword"[..], Some("TEST.GOKRB5")));
    assert!(read.target.unwrap().components.iter().eq(["testuser1"]));
    assert_eq!(wire::encode(&read), data);

    let bytes = hex(&vector("request (set-password version 0xff80)")["hex"]);
    let request = KpasswdRequest::decode(&bytes).unwrap();
    assert_eq!((request.version, request.ap_req.len()), (KpasswdRequest::SET, 705));
    wire::decode::<wire::ApReq<'_>>(request.ap_req).unwrap();
    wire::decode::<wire::KrbPriv<'_>>(request.message).unwrap();
    assert_eq!(request.encode().unwrap(), bytes);

    let bytes = hex(&vector("reply")["hex"]);
    let KpasswdReply::Answer { ap_rep, message } = KpasswdReply::decode(&bytes).unwrap() else { panic!("an error") };
    wire::decode::<wire::ApRep<'_>>(ap_rep).unwrap();
    wire::decode::<wire::KrbPriv<'_>>(message).unwrap();

    for name in ["complex", "length", "history", "age", "all"] {
        let vector = vector(&format!("result_ad_{name}"));
        let rules = AdPasswordRules::decode(&hex(&vector["result_string_hex"])).unwrap();
        let expected = &vector["ad_policy"];
        let number = |field: &str| expected[field].as_u64().unwrap();
        assert_eq!(u64::from(rules.min_length), number("min_length"), "{name}");
        assert_eq!(u64::from(rules.history), number("history"), "{name}");
        assert_eq!(u64::from(rules.properties), number("properties"), "{name}");
        assert_eq!((rules.max_age, rules.min_age), (number("expire_100ns"), number("min_age_100ns")), "{name}");
    }
    assert_eq!(AdPasswordRules::decode(&hex(&vector("result_utf8")["result_string_hex"])), None);
}
