//! What went wrong, in MIT's words, and the next step to take.

use libkrb::{Error, ErrorCode, Principal};

use crate::report::{self, Failure};

/// A failure to get, renew or validate a ticket.
pub(crate) fn of(error: &Error, client: &Principal, doing: &str) -> Failure {
    let (words, next) = match error {
        Error::PasswordIncorrect => {
            ("Password incorrect".to_owned(), "Check caps lock and the keyboard's layout, and type it again.")
        }
        Error::Unreachable(realm) => (
            format!("Cannot contact any KDC for realm '{realm}'"),
            "Check that the KDC runs and that krb5.conf names it; KRB5_TRACE=/dev/stderr shows whom kinit asked.",
        ),
        Error::NoKdc(realm) => (
            format!("Cannot find KDC for realm \"{realm}\""),
            "Name one in [realms] of krb5.conf, or in DNS as _kerberos._udp.REALM, and check the spelling of the realm.",
        ),
        Error::NoArmor(realm) => (
            error.to_string(),
            &*format!("Get armor of that realm, and name the client there: kinit -T CACHE {}", client.in_realm(realm)),
        ),
        Error::NoKey(words) => (words.clone(), "klist -ke KEYTAB shows whose keys it holds, and of which types."),
        Error::Protocol { code: ErrorCode::C_PRINCIPAL_UNKNOWN, .. } if client.is_anonymous() => (
            format!("Client '{client}' not found in Kerberos database"),
            "The realm gives tickets without a name once an administrator has made this principal: addprinc -randkey.",
        ),
        Error::Protocol { code: ErrorCode::C_PRINCIPAL_UNKNOWN, .. } => (
            format!("Client '{client}' not found in Kerberos database"),
            "Check the spelling; names are case-sensitive, and realms are usually in capitals.",
        ),
        Error::Protocol { code: code @ ErrorCode::KDC_NOT_TRUSTED, text: Some(text) } => {
            (format!("{code}: {text}"), next_step(*code))
        }
        Error::Protocol { code, .. } => (code.to_string(), next_step(*code)),
        _ => return report::while_doing(error, doing),
    };
    Failure::new(format!("{words} {doing}")).next(next)
}

fn next_step(code: ErrorCode) -> &'static str {
    use ErrorCode as E;
    match code {
        E::S_PRINCIPAL_UNKNOWN => "Check the service's name; an administrator can list them.",
        E::ETYPE_NOSUPP => "The KDC and krb5.conf (permitted_enctypes) have no encryption type in common.",
        E::PREAUTH_FAILED => {
            "A one-time password is good once: wait for the next. A keytab may be old: klist -k shows kvnos, kadmin ktadd \
             makes it anew. The KDC's log has the cause."
        }
        E::BAD_INTEGRITY => "The keytab's key is not the KDC's: export it again (kadmin ktadd); klist -k shows kvnos.",
        E::PREAUTH_REQUIRED => {
            "The KDC asks for a proof that cannot be given like this: a one-time password, and where the realm wants it \
             any password, takes armor (-T CACHE, or --armor auto); KRB5_TRACE=/dev/stderr shows more."
        }
        E::BADOPTION => "The ticket's flags (klist -f) do not allow it.",
        E::TKT_EXPIRED => "It is too late for that: get a new ticket with kinit.",
        E::KDC_NOT_TRUSTED => {
            "Check `pkinit_anchors` in krb5.conf; who can't show the realm's certificate may be anybody."
        }
        E::CANT_VERIFY_CERTIFICATE => {
            "The KDC does not know who issued your certificate: its `anchors` must name that authority."
        }
        E::INVALID_CERTIFICATE | E::REVOKED_CERTIFICATE => {
            "Your certificate is no longer good, or not yet: get a new one."
        }
        E::CLIENT_NAME_MISMATCH => {
            "The certificate is not bound to that principal; openssl x509 -noout -ext subjectAltName shows whose it is."
        }
        E::INCONSISTENT_KEY_PURPOSE => {
            "The certificate is meant for something else; `kdc pki user` shows by example what is asked."
        }
        E::NULL_KEY => "This realm gives no tickets without a name.",
        E::TKT_NYV => "klist shows from when it is good.",
        E::CANNOT_POSTDATE => "The KDC's policy allows no postdated tickets for you: leave -s out.",
        E::NEVER_VALID => "The ticket would end before it starts: look at -l and -s.",
        code => report::refused(code),
    }
}

/// A failure to keep the ticket that was got.
pub(super) fn of_storing(error: &Error, doing: &str) -> Failure {
    report::while_writing(error, doing).after("Failed to store credentials: ")
}
