//! A password that has expired: whoever knows it is offered to change it, and is then logged in with
//! the new one. Words and number of tries are MIT's.

use std::io::Write;

use libkrb::client::{AsRequest, NewSecret, Secret};
use libkrb::codes::KpasswdCode;
use libkrb::net::{Login, Transport, changepw_request};
use libkrb::{Error, ErrorCode};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use super::failure;
use crate::kpasswd;
use crate::report::{self, Failure, Result};
use crate::secret::{self, Typed};

const DOING: &str = "while getting initial credentials";
/// How often a new password may be rejected.
const TRIES: usize = 3;

/// Whether a login failed because the password has expired.
pub(super) fn is_it(error: &Error) -> bool {
    matches!(error, Error::Protocol { code: ErrorCode::KEY_EXPIRED, .. })
}

/// Changes the password, with the one that was or will be typed as the proof, and logs in.
pub(super) fn change_and_login(
    runtime: &Runtime,
    transport: &Transport,
    request: AsRequest,
    typed: &Typed,
) -> Result<Login> {
    let client = request.client.clone();
    let failed = |error: &Error| failure::of(error, &client, DOING);
    // In the same armor: without it the password would be proven where others can guess.
    let wanted = changepw_request(transport.config(), client.clone());
    let wanted = AsRequest { armor: request.armor.clone(), ..wanted };
    let ticket = runtime.block_on(transport.login(wanted, typed.secret()));
    let ticket = ticket.map_err(|error| failed(&error))?;
    let password = change(runtime, transport, &ticket, &failed)?;
    runtime.block_on(transport.login(request, Secret::Password(password))).map_err(|error| failed(&error))
}

/// The new password, once the server has taken it.
fn change(
    runtime: &Runtime,
    transport: &Transport,
    ticket: &Login,
    failed: &dyn Fn(&Error) -> Failure,
) -> Result<Zeroizing<String>> {
    say("Password expired.  You must change it now.")?;
    let mut last = Failure::new(format!("Password change failed {DOING}"));
    for _ in 0..TRIES {
        let why = match secret::new_password() {
            Err(Error::Setting(words)) if words == secret::MISMATCH => {
                last = Failure::new(format!("{words} {DOING}"));
                words
            }
            // Nobody is there to change it.
            Err(Error::Setting(words)) if words == secret::UNREAD => {
                return Err(failed(&Error::code(ErrorCode::KEY_EXPIRED)));
            }
            Err(error) => return Err(failed(&error)),
            Ok(password) if password.is_empty() => {
                let words = "New password cannot be zero length";
                last = Failure::new(format!("{words} {DOING}"));
                words.to_owned()
            }
            Ok(password) => {
                let new = NewSecret { password: &password, target: None };
                match runtime.block_on(transport.set_password(ticket, &new)) {
                    Ok(()) => return Ok(password),
                    Err(Error::PasswordRefused { code, text }) => {
                        let why = kpasswd::words(code, text.as_deref());
                        last = Failure::new(format!("Password change failed {DOING}")).next(why.clone());
                        if code != KpasswdCode::SOFTERROR {
                            return Err(last);
                        }
                        why
                    }
                    Err(error) => return Err(kpasswd::unreached(&error, "changing password")),
                }
            }
        };
        say(&format!("{why}.  Please try again."))?;
    }
    Err(last)
}

fn say(text: &str) -> Result<()> {
    let mut output = report::output();
    writeln!(output, "{text}")?;
    Ok(output.flush()?)
}
