//! Why a password was not changed: for the person who typed it, for the log, and as a KRB-ERROR
//! where there is no key to answer under.

use libkrb::codes::KpasswdCode;
use libkrb::time::Instant;
use libkrb::wire::{self, Fixed, KpasswdReply, KpasswdResult, KrbError};
use libkrb::{ErrorCode, Principal};

use crate::admin::{self, Reason};

/// A refusal.
#[derive(Debug)]
pub(super) struct Refusal {
    pub code: KpasswdCode,
    /// Which rule failed, as a sentence for people.
    pub text: String,
}

impl Refusal {
    fn new(code: KpasswdCode, text: impl Into<String>) -> Self {
        Refusal { code, text: text.into() }
    }

    pub fn malformed(text: &str) -> Self {
        Refusal::new(KpasswdCode::MALFORMED, text)
    }

    pub fn bad_version() -> Self {
        Refusal::new(KpasswdCode::BAD_VERSION, "Versions 1 and 0xff80 are spoken here")
    }

    pub fn unproven(code: ErrorCode) -> Self {
        Refusal::new(KpasswdCode::AUTHERROR, format!("The ticket was refused: {code}"))
    }

    pub fn no_subkey() -> Self {
        Refusal::new(KpasswdCode::AUTHERROR, "The request has no subkey")
    }

    pub fn unopened() -> Self {
        Refusal::new(KpasswdCode::AUTHERROR, "The new password can't be decrypted")
    }

    pub fn not_initial() -> Self {
        Refusal::new(KpasswdCode::INITIAL_FLAG_NEEDED, "The ticket must come straight from a login with the password")
    }

    pub fn denied(text: &str) -> Self {
        Refusal::new(KpasswdCode::ACCESSDENIED, text)
    }

    pub fn rejected(text: &str) -> Self {
        Refusal::new(KpasswdCode::SOFTERROR, text)
    }

    pub fn failed() -> Self {
        Refusal::new(KpasswdCode::HARDERROR, "The KDC can't do it at the moment; try again later")
    }

    /// What the registry says, which is told to the client as it is.
    pub fn of_registry(refusal: admin::Refusal) -> Self {
        let code = match refusal.reason {
            Reason::Denied | Reason::LockedDown => KpasswdCode::ACCESSDENIED,
            Reason::Exists | Reason::Missing | Reason::Failed => KpasswdCode::HARDERROR,
            // It is about the password, and another one may do.
            _ => KpasswdCode::SOFTERROR,
        };
        let text = match refusal.advice {
            Some(advice) => format!("{}: {advice}", refusal.text),
            None => refusal.text,
        };
        Refusal::new(code, text)
    }

    /// For the event.
    pub fn told(&self) -> (ErrorCode, &'static str) {
        (ErrorCode::POLICY, self.code.name().unwrap_or("Password change failed"))
    }
}

/// The reply to a client that has not proven itself.
pub(super) fn krb_error(server: &Principal, now: Instant, code: ErrorCode, refusal: &Refusal) -> Vec<u8> {
    let data = KpasswdResult { code: refusal.code, text: refusal.text.as_bytes() }.encode();
    let error = wire::encode(&KrbError {
        version: Fixed,
        kind: Fixed,
        client_time: None,
        client_micros: None,
        server_time: now.time,
        server_micros: now.micros,
        code,
        client_realm: None,
        client: None,
        realm: server.realm(),
        server: server.into(),
        text: None,
        data: Some(&data),
    });
    // A realm is far shorter than a frame.
    KpasswdReply::Error(&error).encode().unwrap_or_default()
}
