use super::super::testing::*;
use super::*;
use crate::codes::AddressType;
use crate::crypto::{KeyUsage, OsRandom};
use crate::storage::vectors::outside;
use crate::wire::{ApRep, ApReq, Authenticator, EncApRepPart, EncryptedData, Fixed};

fn here() -> Address {
    Address::ip([192, 0, 2, 7].into())
}

fn ticket() -> Credential {
    tgt(Principal::changepw("KRBTEST.COM"))
}

fn begin(target: Option<&Principal>) -> (PasswordExchange, Vec<u8>) {
    let new = NewSecret { password: "new secret", target };
    PasswordExchange::new(&ticket(), &new, here(), NOW, &mut OsRandom::new()).unwrap()
}

/// A server that could read the ticket: what the client shares with it, and what it was sent.
struct Server {
    session_key: Key,
    subkey: Key,
    sequence: u32,
    clock: Instant,
    version: u16,
    data: Vec<u8>,
}

impl Server {
    fn read(request: &[u8]) -> Server {
        let request = KpasswdRequest::decode(request).unwrap();
        let session_key = any_key(0x5e);
        let ap_req: ApReq<'_> = wire::decode(request.ap_req).unwrap();
        let plain = session_key.decrypt(KeyUsage::AP_REQ_AUTHENTICATOR, ap_req.authenticator.cipher).unwrap();
        let authenticator: Authenticator<'_> = wire::decode(&plain).unwrap();
        let (subkey, sequence) = (authenticator.subkey.unwrap().key().unwrap(), authenticator.sequence.unwrap());
        let mut session = Session::new(&subkey, Role::Acceptor, 0, sequence).with_addresses(here(), Some(here()));
        let data = session.read_priv(NOW, request.message).unwrap().to_vec();
        let clock = Instant { time: authenticator.time, micros: authenticator.micros };
        Server { session_key, subkey, sequence, clock, version: request.version, data }
    }

    /// A reply with this result; `own` is a subkey of the server's own choice.
    fn answer(&self, code: KpasswdCode, text: &[u8], own: Option<&Key>) -> Vec<u8> {
        let mut random = OsRandom::new();
        let part = EncApRepPart {
            time: self.clock.time,
            micros: self.clock.micros,
            subkey: own.map(Into::into),
            sequence: Some(41),
        };
        let cipher = self.session_key.encrypt(KeyUsage::AP_REP, &mut random, &wire::encode(&part));
        let enc_part = EncryptedData { etype: self.session_key.etype(), kvno: None, cipher: &cipher };
        let ap_rep = wire::encode(&ApRep { version: Fixed, kind: Fixed, enc_part });
        let there = Address::ip([192, 0, 2, 1].into());
        let mut session = Session::new(&self.subkey, Role::Acceptor, 41, self.sequence);
        session = session.with_addresses(there, Some(Address::ip([10, 9, 8, 7].into())));
        let message = session.make_priv(NOW, &mut random, &KpasswdResult { code, text }.encode()).unwrap();
        KpasswdReply::Answer { ap_rep: &ap_rep, message: &message }.encode().unwrap()
    }
}

fn refused(reply: &[u8]) -> (KpasswdCode, Option<String>) {
    match begin(None).0.finish(NOW, reply) {
        Err(Error::PasswordRefused { code, text }) => (code, text),
        other => panic!("{other:?}"),
    }
}

fn krb_error(code: ErrorCode, data: Option<&[u8]>) -> Vec<u8> {
    Refuse { data: data.map(<[u8]>::to_vec), ..Refuse::with(code) }.encode()
}

#[test]
fn an_own_password_goes_as_it_is_and_that_of_another_with_its_name() {
    let (exchange, request) = begin(None);
    let server = Server::read(&request);
    assert_eq!((server.version, &server.data[..]), (KpasswdRequest::CHANGE, &b"new secret"[..]));
    exchange.finish(NOW, &server.answer(KpasswdCode::SUCCESS, b"", None)).unwrap();

    let bob = principal("bob@KRBTEST.COM");
    let (exchange, request) = begin(Some(&bob));
    let server = Server::read(&request);
    let data: ChangePasswdData<'_> = wire::decode(&server.data).unwrap();
    assert_eq!((server.version, data.new_password.0), (KpasswdRequest::SET, &b"new secret"[..]));
    assert_eq!(data.target.unwrap().principal(data.realm.unwrap()).unwrap(), bob);
    exchange.finish(NOW, &server.answer(KpasswdCode::SUCCESS, b"", None)).unwrap();
}

#[test]
fn the_reply_is_read_with_our_subkey_whatever_the_server_proposes() {
    let (exchange, request) = begin(None);
    let server = Server::read(&request);
    exchange.finish(NOW, &server.answer(KpasswdCode::SUCCESS, b"", Some(&any_key(9)))).unwrap();
}

#[test]
fn the_words_of_a_refusal_are_the_servers() {
    let (exchange, request) = begin(None);
    let reply = Server::read(&request).answer(KpasswdCode::SOFTERROR, "zu kurz für uns".as_bytes(), None);
    let error = exchange.finish(NOW, &reply).unwrap_err();
    let text = Some("zu kurz für uns".to_owned());
    assert_eq!(error, Error::PasswordRefused { code: KpasswdCode::SOFTERROR, text });
    assert_eq!(error.to_string(), "Password change rejected", "a log gets no words of a peer");
}

#[test]
fn a_server_that_could_not_read_the_ticket_is_not_believed() {
    let (exchange, request) = begin(None);
    let server = Server { session_key: any_key(1), ..Server::read(&request) };
    let error = exchange.finish(NOW, &server.answer(KpasswdCode::SUCCESS, b"", None)).unwrap_err();
    assert_eq!(error, Error::code(ErrorCode::MUT_FAIL));
    let (exchange, request) = begin(None);
    let server = Server { subkey: any_key(1), ..Server::read(&request) };
    assert_eq!(
        exchange.finish(NOW, &server.answer(KpasswdCode::SUCCESS, b"", None)).unwrap_err(),
        Error::Integrity,
        "nor one that answers in another key"
    );
    let error = krb_error(ErrorCode::NONE, Some(b"\0\0"));
    let error = begin(None).0.finish(NOW, &error).unwrap_err();
    assert_eq!(error, Error::code(ErrorCode::GENERIC), "no success without a proof");
}

#[test]
fn an_error_of_a_stranger_is_a_code_without_words() {
    let framed = KpasswdReply::Error(&krb_error(ErrorCode::GENERIC, Some(b"\0\x03call 555-1234"))).encode().unwrap();
    assert_eq!(refused(&framed), (KpasswdCode::AUTHERROR, None));
    let bare = krb_error(ErrorCode::GENERIC, Some(b"\0\x06"));
    assert_eq!(refused(&bare), (KpasswdCode::BAD_VERSION, None));
    let skew = krb_error(ErrorCode::SKEW, None);
    assert_eq!(begin(None).0.finish(NOW, &skew).unwrap_err(), Error::code(ErrorCode::SKEW));
}

#[test]
fn what_is_no_reply_is_malformed() {
    let good = Server::read(&begin(None).1).answer(KpasswdCode::SUCCESS, b"", None);
    for length in 0..good.len() {
        assert!(begin(None).0.finish(NOW, &good[..length]).is_err(), "{length}");
    }
}

#[test]
fn rules_of_active_directory_and_what_is_no_text_are_told_in_words() {
    let Some(file) = outside("kpasswd.json") else { return };
    for vector in file["vectors"].as_array().unwrap().iter().filter(|vector| vector["meaning"].is_array()) {
        let name = vector["name"].as_str().unwrap();
        let said = text(&hex(&vector["result_string_hex"]));
        let expected = match name {
            "result_utf8" => Some("This is a valid string."),
            "result_invalid_utf8" => None,
            "result_ad_complex" => Some(
                "The password must include numbers or symbols.  Don't include any part of your name in the password.",
            ),
            "result_ad_length" => Some("The password must contain at least 13 characters."),
            "result_ad_history" => Some("The password must be different from the previous 9 passwords."),
            "result_ad_age" => Some("The password can only be changed every 2 days."),
            "result_ad_all" => Some(
                "The password must include numbers or symbols.  Don't include any part of your name in the \
                 password.  The password must contain at least 5 characters.  The password must be different from \
                 the previous 13 passwords.  The password can only be changed once a day.",
            ),
            other => panic!("{other}"),
        };
        assert_eq!(said.as_deref(), expected, "{name}");
    }
}

#[test]
fn what_mits_server_answered_once_is_read() {
    let file = transcripts("mit");
    let recorded = exchanges(&file).iter().find(|exchange| exchange["service"] == "kpasswd").unwrap();
    let (session, private) = (step(recorded, "AP-REP").unwrap(), step(recorded, "KRB-PRIV request").unwrap());
    let plain = hex(&step(recorded, "authenticator").unwrap()["plaintext"]);
    let authenticator: Authenticator<'_> = wire::decode(&plain).unwrap();
    let now = Instant { time: authenticator.time, micros: authenticator.micros };
    let ticket = Credential { key: (&step_key(session)).into(), ..ticket() };
    let mut random = Script(step_key(private).expose().to_vec());
    let new = NewSecret { password: "Newpw-1", target: None };
    let (exchange, _) = PasswordExchange::new(&ticket, &new, here(), now, &mut random).unwrap();
    exchange.finish(now, &hex(&recorded["reply"])).unwrap();
    let request = hex(&recorded["request"]);
    let request = KpasswdRequest::decode(&request).unwrap();
    assert_eq!(request.version, KpasswdRequest::CHANGE);
    let mut session = Session::new(&step_key(private), Role::Acceptor, 0, 0)
        .with_addresses(Address { kind: AddressType::IPV4, bytes: vec![127, 0, 0, 1] }, None);
    assert_eq!(&**session.read_priv(now, request.message).unwrap(), b"Newpw-1");
}
