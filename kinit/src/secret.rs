//! Lines that nobody may see: passwords and keys. From a terminal they are read without echo after
//! a prompt; from a pipe or a file they are just the next line.

use std::io::{BufRead, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// No line of a person is longer; what is, is no line.
const MAX_LINE: u64 = 64 * 1024;

/// Whether a person is typing.
pub(crate) fn is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// Prints a prompt, if a person is typing.
pub(crate) fn prompt(text: &str) {
    if is_terminal() {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// The next line of the standard input without its end; `None` where there is none.
pub(crate) fn line(input: &mut impl BufRead) -> std::io::Result<Option<Zeroizing<String>>> {
    let mut line = Zeroizing::new(String::with_capacity(1024));
    if input.take(MAX_LINE).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let length = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(length);
    Ok(Some(line))
}

/// The next line, which is not shown while it is typed.
pub(crate) fn hidden_line(question: &str, input: &mut impl BufRead) -> std::io::Result<Option<Zeroizing<String>>> {
    prompt(question);
    let hidden = Hidden::begin();
    let line = line(input);
    if hidden.is_some() {
        prompt("\n");
    }
    line
}

/// The echo of the terminal is off as long as this lives.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> Option<Hidden> {
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut without = before.clone();
        without.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &without).ok()?;
        Some(Hidden(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
