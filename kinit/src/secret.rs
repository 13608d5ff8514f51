//! Lines that nobody may see: passwords and keys. From a terminal they are read without echo after
//! a prompt; from a pipe or a file they are just the next line.

use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use libkrb::client::Secret;
use libkrb::preauth::Ask;
use libkrb::{Error, Principal};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// No line of a person is longer; what is, is no line.
const MAX_LINE: usize = 64 * 1024;

/// Whether a person is typing.
pub(crate) fn is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Prints a prompt, if a person is typing.
pub(crate) fn prompt(text: &str) {
    if is_terminal() {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// A password that is asked for when it is needed, and then known: who has to log in twice types it
/// once.
#[derive(Clone, Default)]
pub(crate) struct Typed(Arc<Mutex<Option<Zeroizing<String>>>>);

impl Typed {
    /// The secret of a login.
    pub(crate) fn secret(&self) -> Secret {
        let typed = self.clone();
        Secret::Prompt(Box::new(move |client| typed.password(client)))
    }

    fn password(&self, client: &Principal) -> libkrb::Result<Zeroizing<String>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(password) => Ok(password.clone()),
            None => Ok(known.insert(asked(&format!("Password for {client}: "))?).clone()),
        }
    }
}

/// What a person is asked to type twice, for a mistake would lock them out.
///
/// # Errors
/// "Password mismatch", and as [`asked`].
pub(crate) fn new_password() -> libkrb::Result<Zeroizing<String>> {
    let once = asked("Enter new password: ")?;
    match once == asked("Enter it again: ")? {
        true => Ok(once),
        false => Err(Error::Setting(MISMATCH.to_owned())),
    }
}

/// That a new password was not typed the same twice.
pub(crate) const MISMATCH: &str = "Password mismatch";
/// That there is nothing to read a password from.
pub(crate) const UNREAD: &str = "Cannot read password";

/// Asks for what a login wants besides the password: the value of a token, its PIN.
pub(crate) fn ask() -> Ask {
    Box::new(|question| asked(&format!("{question}: ")))
}

/// Asks a person, or takes the next line of a pipe.
pub(crate) fn asked(question: &str) -> libkrb::Result<Zeroizing<String>> {
    match hidden_line(question, &mut io::stdin().lock()) {
        Ok(line) => line.ok_or_else(|| Error::Setting(UNREAD.to_owned())),
        Err(error) if error.kind() == ErrorKind::Interrupted => {
            Err(Error::Setting("Password read interrupted".to_owned()))
        }
        Err(error) => Err(Error::Setting(format!("{UNREAD}: {error}"))),
    }
}

/// The next line of the standard input without its end; `None` where there is none.
pub(crate) fn line(input: &mut impl BufRead) -> io::Result<Option<Zeroizing<String>>> {
    line_or_interrupt(input, None)
}

/// The next line, which is not shown while it is typed.
///
/// # Errors
/// [`ErrorKind::Interrupted`] when the person typed Ctrl-C, and what reading brings.
pub(crate) fn hidden_line(question: &str, input: &mut impl BufRead) -> io::Result<Option<Zeroizing<String>>> {
    // In this order: who types as soon as the question stands there is not shown either.
    let hidden = Hidden::begin();
    prompt(question);
    let line = line_or_interrupt(input, hidden.as_ref().map(Hidden::interrupt));
    if hidden.is_some() {
        prompt("\n");
    }
    line
}

fn line_or_interrupt(input: &mut impl BufRead, interrupt: Option<u8>) -> io::Result<Option<Zeroizing<String>>> {
    // Never grown, so that no copy stays behind.
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
    let mut ended = false;
    while !ended {
        let bytes = match input.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            bytes => bytes?,
        };
        let end = bytes.iter().position(|byte| *byte == b'\n' || Some(*byte) == interrupt);
        ended = end.is_some() || bytes.is_empty();
        let taken = end.map_or(bytes.len(), |end| end + 1);
        if line.len() + taken > MAX_LINE {
            return Err(io::Error::new(ErrorKind::InvalidData, "the line is too long"));
        }
        line.extend_from_slice(bytes.get(..taken).unwrap_or(bytes));
        input.consume(taken);
    }
    match line.last() {
        None => return Ok(None),
        last if interrupt.is_some() && last.copied() == interrupt => return Err(ErrorKind::Interrupted.into()),
        _ => {}
    }
    let text = std::str::from_utf8(&line).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))?;
    Ok(Some(Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned())))
}

/// The echo of the terminal is off as long as this lives. Ctrl-C ends the line instead of the
/// program, which otherwise would leave a terminal without echo behind.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> Option<Hidden> {
        let before = tcgetattr(io::stdin()).ok()?;
        let hidden = Hidden(before.clone());
        let mut without = before;
        without.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        without.special_codes[SpecialCodeIndex::VEOL] = hidden.interrupt();
        tcsetattr(io::stdin(), OptionalActions::Now, &without).ok()?;
        Some(hidden)
    }

    /// What Ctrl-C, or the key in its place, sends.
    fn interrupt(&self) -> u8 {
        self.0.special_codes[SpecialCodeIndex::VINTR]
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut input: &[u8], interrupt: Option<u8>) -> io::Result<Option<String>> {
        line_or_interrupt(&mut input, interrupt).map(|line| line.map(|line| line.to_string()))
    }

    #[test]
    fn a_line_is_what_stands_before_its_end() {
        for (input, line) in [("secret\n", "secret"), ("secret", "secret"), ("a b \r\nrest", "a b "), ("\n", "")] {
            assert_eq!(read(input.as_bytes(), None).expect(input).as_deref(), Some(line));
        }
        assert_eq!(read(b"", None).expect("read"), None);
    }

    #[test]
    fn lines_are_taken_one_by_one() {
        let mut input: &[u8] = b"one\ntwo\n";
        for expected in ["one", "two"] {
            assert_eq!(line(&mut input).expect("read").expect("a line").as_str(), expected);
        }
        assert!(line(&mut input).expect("read").is_none());
    }

    #[test]
    fn an_interrupt_ends_the_line_where_a_person_types() {
        assert_eq!(read(b"sec\x03", Some(3)).expect_err("interrupted").kind(), ErrorKind::Interrupted);
        assert_eq!(read(b"sec\x03\n", None).expect("a pipe").as_deref(), Some("sec\x03"));
    }

    #[test]
    fn what_is_no_line_of_text_is_refused() {
        for input in [&b"\xff\n"[..], &[b'a'; MAX_LINE + 1]] {
            assert_eq!(read(input, None).expect_err("no text").kind(), ErrorKind::InvalidData);
        }
    }
}
