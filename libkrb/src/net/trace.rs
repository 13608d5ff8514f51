//! What happens on the way to a KDC, line by line, for the one who looks for a fault: which KDC
//! was asked, what it answered, what was decided. Costs nothing when it is off.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::Environment;
use crate::error::{Error, Result};

/// Where trace lines go.
pub trait TraceSink: Send + Sync {
    /// Takes one line, without its end and free of control characters.
    fn line(&self, text: &str);
}

/// A trace, or none. Cloning it is cheap: the clones write to the same place.
#[derive(Clone, Default)]
pub struct Trace(Option<Arc<dyn TraceSink>>);

impl Trace {
    /// No trace.
    pub fn off() -> Trace {
        Trace(None)
    }

    /// A trace to a sink of one's own.
    pub fn to(sink: Arc<dyn TraceSink>) -> Trace {
        Trace(Some(sink))
    }

    /// A trace to a file, which is added to; `/dev/stderr` and `/dev/stdout` are the process's own.
    /// Lines look like MIT's: `[pid] 1700000000.123456: Sending request (159 bytes) to R`.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be opened.
    pub fn to_file(path: &Path) -> Result<Trace> {
        use std::os::unix::fs::OpenOptionsExt;
        // Opened by name they fail where the stream is a socket.
        let output: Output = match path.to_str() {
            Some("/dev/stderr") => Box::new(|line| drop(std::io::stderr().write_all(line))),
            Some("/dev/stdout") => Box::new(|line| drop(std::io::stdout().write_all(line))),
            _ => {
                let mut options = std::fs::OpenOptions::new();
                let opened = options.append(true).create(true).mode(0o600).open(path);
                let file = opened.map_err(|error| Error::file(path, error))?;
                Box::new(move |line| drop((&file).write_all(line)))
            }
        };
        Ok(Trace::to(Arc::new(Stamped(output))))
    }

    /// The trace that `KRB5_TRACE` asks for, or none. A file that cannot be opened is no reason to
    /// fail, as in MIT.
    pub fn from_environment(environment: &Environment) -> Trace {
        let trace = environment.trace.as_deref().map(|path| Trace::to_file(Path::new(path)));
        trace.and_then(Result::ok).unwrap_or_default()
    }

    /// Writes a line: `trace.line(format_args!("..."))`. Peers' names in it cannot do harm: control
    /// characters are written as `\x0a`.
    pub fn line(&self, text: fmt::Arguments<'_>) {
        if let Some(sink) = &self.0 {
            let mut line = String::new();
            for c in text.to_string().chars() {
                match u32::from(c) {
                    code if c.is_control() => line.push_str(&format!("\\x{code:02x}")),
                    _ => line.push(c),
                }
            }
            sink.line(&line);
        }
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Trace(on)" } else { "Trace(off)" })
    }
}

/// Puts process and time before each line and writes it in one piece.
struct Stamped(Output);

type Output = Box<dyn Fn(&[u8]) + Send + Sync>;

impl TraceSink for Stamped {
    fn line(&self, text: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = format!("[{}] {}.{:06}: {text}\n", std::process::id(), now.as_secs(), now.subsec_micros());
        (self.0)(line.as_bytes());
    }
}

#[cfg(test)]
pub(super) mod testing {
    use std::sync::Mutex;

    use super::*;

    /// Keeps the lines.
    #[derive(Default)]
    pub(crate) struct Lines(Mutex<Vec<String>>);

    impl Lines {
        pub(crate) fn all(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }

        pub(crate) fn contains(&self, text: &str) -> bool {
            self.all().iter().any(|line| line.contains(text))
        }
    }

    impl TraceSink for Lines {
        fn line(&self, text: &str) {
            self.0.lock().unwrap().push(text.to_owned());
        }
    }

    /// A trace and the lines that it writes.
    pub(crate) fn kept() -> (Trace, Arc<Lines>) {
        let lines = Arc::new(Lines::default());
        (Trace::to(lines.clone()), lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_lines_like_those_of_mit_and_is_added_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace");
        std::fs::write(&path, "before\n").unwrap();
        let environment = Environment { trace: Some(path.display().to_string()), ..Environment::default() };
        Trace::from_environment(&environment).line(format_args!("Sending request ({} bytes) to R", 159));
        let text = std::fs::read_to_string(&path).unwrap();
        let line = text.strip_prefix("before\n").unwrap().strip_suffix('\n').unwrap();
        let (pid, rest) = line.strip_prefix('[').unwrap().split_once("] ").unwrap();
        let (time, text) = rest.split_once(": ").unwrap();
        assert_eq!(pid, std::process::id().to_string());
        assert_eq!(time.split_once('.').unwrap().1.len(), 6);
        assert_eq!(text, "Sending request (159 bytes) to R");
    }

    #[test]
    fn a_trace_that_cannot_be_written_is_off() {
        let environment = Environment { trace: Some("/nowhere/trace".into()), ..Environment::default() };
        assert_eq!(format!("{:?}", Trace::from_environment(&environment)), "Trace(off)");
        assert!(Trace::to_file(Path::new("/nowhere/trace")).is_err());
    }

    #[test]
    fn a_peers_control_characters_do_not_reach_the_terminal() {
        let (trace, lines) = testing::kept();
        trace.line(format_args!("realm {}", "R\n\u{1b}[2J"));
        assert_eq!(lines.all(), ["realm R\\x0a\\x1b[2J"]);
    }

    #[test]
    fn nothing_is_formatted_when_the_trace_is_off() {
        struct Never;
        impl fmt::Display for Never {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("formatted")
            }
        }
        Trace::off().line(format_args!("{Never}"));
    }
}
