//! The standard streams as whom a console talks to. Not here: what is said.

use std::io::Write;

use zeroize::Zeroizing;

use crate::admin::Secret;
use crate::admin::console::Talk;

/// The standard streams.
pub(super) struct Stdio {
    /// Whether somebody types.
    pub(super) terminal: bool,
}

impl Stdio {
    /// The next line of the standard input, without its end.
    fn line(&self) -> Option<Zeroizing<String>> {
        let mut line = Zeroizing::new(String::new());
        match std::io::stdin().read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => {
                let end = line.trim_end_matches(['\n', '\r']).len();
                line.truncate(end);
                Some(line)
            }
        }
    }
}

impl Stdio {
    /// A password that somebody has.
    pub(super) fn password(&mut self, prompt: &str) -> Option<Zeroizing<String>> {
        match self.terminal {
            true => rpassword::prompt_password(prompt).ok().map(Zeroizing::new),
            false => self.line(),
        }
    }
}

impl Talk for Stdio {
    fn out(&mut self, text: &str) {
        let _ = std::io::stdout().write_all(text.as_bytes());
    }

    fn err(&mut self, text: &str) {
        // In the order in which things were said, should both be the same file.
        let _ = std::io::stdout().flush();
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    fn ask(&mut self, question: &str) -> Option<String> {
        self.out(question);
        let _ = std::io::stdout().flush();
        let answer = self.line().map(|line| line.to_string());
        if answer.is_none() && !question.is_empty() {
            self.out("\n");
        }
        answer
    }

    fn new_password(&mut self, prompt: &str, again: &str) -> Result<Secret, String> {
        let read = |prompt| match self.terminal {
            true => rpassword::prompt_password(prompt).map(Some).map_err(|error| error.to_string()),
            false => Ok(self.line().map(|line| line.to_string())),
        };
        let password = read(prompt)?.map(Secret::new).ok_or("no password on the standard input")?;
        match read(again)?.map(Secret::new) {
            Some(other) if other != password => Err("Password mismatch".into()),
            _ => Ok(password),
        }
    }
}
