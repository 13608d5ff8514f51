//! Somebody else's GSS-API, called from a test one call at a time: MIT's and Heimdal's libraries, the
//! Python module over MIT's, and Java's. The calls are made by `tests/gss/peer.py` and
//! `tests/java/Remote.java`; the words in which they are asked for stand there.

use std::fmt;
use std::net::TcpStream;

use libkrb::gss::{ContextFlags, Mechanism};

use crate::call::{called, receive, send};
use crate::family::unpacked;
use crate::tool::tell;
use crate::{Program, Seat, Tool, java, optional_peer};

/// Whose GSS-API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// MIT's `libgssapi_krb5`.
    Mit,
    /// The same with NTLM as another mechanism, and a password for that.
    MitWithNtlm,
    /// Heimdal's `libgssapi`.
    Heimdal,
    /// The Python module `gssapi`, as Debian builds it on MIT's.
    Python,
    /// JGSS, without a line of C.
    Java,
}

impl Library {
    /// What runs it, if it is here; absence is treated as for [`crate::Family::present`].
    fn program(self, seat: &Seat<'_>) -> Option<Tool> {
        if self == Library::Java {
            let configuration = format!("-Djava.security.krb5.conf={}", seat.configuration().display());
            let source = concat!(env!("CARGO_MANIFEST_DIR"), "/java/Remote.java");
            let own = "-Djavax.security.auth.useSubjectCredsOnly=false";
            return Some(seat.program(java()?).args([configuration.as_str(), own, "-Xshare:auto", source]));
        }
        let libraries = match self {
            Library::Heimdal => unpacked("heimdal"),
            Library::MitWithNtlm => unpacked("ntlm"),
            _ => None,
        };
        let place = libraries.clone().unwrap_or_default();
        let shared = match self {
            Library::Heimdal => place.join("libgssapi.so.3"),
            Library::Python => "/usr/lib/python3/dist-packages/gssapi".into(),
            _ => "/usr/lib/x86_64-linux-gnu/libgssapi_krb5.so.2".into(),
        };
        optional_peer("libgssapi", &shared.to_string_lossy())?;
        let python = optional_peer("python3", "/usr/bin/python3")?;
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/gss/peer.py");
        let which = if self == Library::Python { "python".as_ref() } else { shared.as_os_str() };
        let tool = seat.program(Program { libraries, ..python }).args(["-B", source]).args([which]);
        Some(match self {
            Library::MitWithNtlm => {
                let mechanism = place.join("gssntlmssp/gssntlmssp.so");
                optional_peer("gss-ntlmssp", &mechanism.to_string_lossy())?;
                let row = format!("ntlm 1.3.6.1.4.1.311.2.2.10 {}\n", mechanism.display());
                tool.env("GSS_MECH_CONFIG", seat.write("mechanisms", &row))
                    .env("NTLM_USER_FILE", seat.write("ntlm", "EXAMPLE:alice:secret\n"))
            }
            _ => tool,
        })
    }
}

/// The other end of a context, in another process.
pub struct Remote {
    stream: TcpStream,
}

/// A call that failed.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What the standard calls it.
    pub reason: String,
    /// What the library says.
    pub text: String,
    /// The token that it made nevertheless; empty if none.
    pub token: Vec<u8>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.text)
    }
}

/// How far a context is.
#[derive(Clone, Debug)]
pub enum Stepped {
    /// The token asks for an answer.
    Continue(Vec<u8>),
    /// It is open.
    Open {
        /// A token to pass on; empty if none.
        token: Vec<u8>,
        /// What the context offers.
        flags: ContextFlags,
        /// Who is at the other end.
        peer: String,
    },
}

/// A message that came out of a Wrap token, or was found to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The message.
    pub message: Vec<u8>,
    /// Whether it was encrypted.
    pub confidential: bool,
    /// What is wrong with its order, in words; empty if nothing.
    pub notes: String,
}

impl Remote {
    /// Runs a library at a seat, with a keytab if it is to accept. What the conversation comes to;
    /// `None` if the library is not here.
    pub fn with<T: Send>(
        library: Library,
        seat: &Seat<'_>,
        converse: impl FnOnce(&mut Remote) -> T + Send,
    ) -> Option<T> {
        let tool = library.program(seat)?;
        let (said, talk) = called(
            |address| tool.args([address.ip().to_string(), address.port().to_string()]),
            |stream| {
                let mut remote = Remote { stream };
                let came = converse(&mut remote);
                remote.say(&[b"end"]);
                came
            },
        );
        match talk {
            Ok(came) => {
                said.succeeds();
                Some(came)
            }
            Err(panic) => {
                tell(&said.to_string());
                std::panic::resume_unwind(panic)
            }
        }
    }

    fn say(&mut self, words: &[&[u8]]) {
        let mut message = Vec::new();
        for word in words {
            message.extend_from_slice(&u32::try_from(word.len()).expect("a short word").to_be_bytes());
            message.extend_from_slice(word);
        }
        send(&mut self.stream, &message);
    }

    /// Asks for a call; the first word says which.
    fn ask(&mut self, words: &[&[u8]]) -> Result<Vec<Vec<u8>>, Refused> {
        self.say(words);
        let answer = receive(&mut self.stream);
        let mut rest = answer.as_slice();
        let mut fields = Vec::new();
        while let Some((length, more)) = rest.split_first_chunk() {
            let (field, more) = more.split_at(u32::from_be_bytes(*length) as usize);
            fields.push(field.to_vec());
            rest = more;
        }
        match fields.as_slice() {
            [first, reason, text, token] if first == b"refused" => {
                Err(Refused { reason: words_of(reason), text: words_of(text), token: token.clone() })
            }
            _ => Ok(fields),
        }
    }

    /// Begins a context with a service, `HTTP@host`.
    pub fn initiate(&mut self, mechanism: Mechanism, service: &str, flags: ContextFlags, bound: Option<&[u8]>) {
        let mechanism: &[u8] = match mechanism {
            Mechanism::Kerberos => b"krb5",
            Mechanism::Spnego => b"spnego",
        };
        let flags = flags.0.to_string();
        let words = [b"initiate", mechanism, service.as_bytes(), flags.as_bytes()];
        self.begin(&[&words, bound.as_slice()].concat());
    }

    /// What SPNEGO shall offer, as the contents of object identifiers, the favourite first.
    pub fn prefer(&mut self, mechanisms: &[&[u8]]) -> Result<(), Refused> {
        self.ask(&[[b"prefer".as_slice()].as_slice(), mechanisms].concat()).map(drop)
    }

    /// Waits for a context.
    pub fn accept(&mut self, bound: Option<&[u8]>) {
        self.begin(&[[b"accept".as_slice()].as_slice(), bound.as_slice()].concat());
    }

    fn begin(&mut self, words: &[&[u8]]) {
        self.ask(words).unwrap_or_else(|refused| panic!("no context: {refused}"));
    }

    /// Takes a token; the initiator's first one is empty.
    pub fn step(&mut self, token: &[u8]) -> Result<Stepped, Refused> {
        self.ask(&[b"step", token]).map(stepped)
    }

    /// The first token of a context of the Kerberos mechanism, with the ticket that was handed over.
    pub fn hop(&mut self, service: &str) -> Result<Stepped, Refused> {
        self.ask(&[b"hop", service.as_bytes()]).map(stepped)
    }

    /// GSS_Wrap.
    pub fn wrap(&mut self, confidential: bool, message: &[u8]) -> Result<Vec<u8>, Refused> {
        let fields = self.ask(&[b"wrap", flag(confidential), message])?;
        assert_eq!(fields[2], flag(confidential), "whether it encrypted");
        Ok(fields[1].clone())
    }

    /// GSS_Unwrap.
    pub fn unwrap(&mut self, token: &[u8]) -> Result<Message, Refused> {
        let fields = self.ask(&[b"unwrap", token])?;
        Ok(Message { message: fields[1].clone(), confidential: fields[2] == b"1", notes: words_of(&fields[3]) })
    }

    /// GSS_GetMIC.
    pub fn mic(&mut self, message: &[u8]) -> Result<Vec<u8>, Refused> {
        self.ask(&[b"mic", message]).map(|fields| fields[1].clone())
    }

    /// GSS_VerifyMIC: what is wrong with the order.
    pub fn verify(&mut self, message: &[u8], token: &[u8]) -> Result<String, Refused> {
        self.ask(&[b"verify", message, token]).map(|fields| words_of(&fields[1]))
    }

    /// GSS_Wrap_size_limit.
    pub fn limit(&mut self, confidential: bool, most: usize) -> Result<usize, Refused> {
        let fields = self.ask(&[b"limit", flag(confidential), most.to_string().as_bytes()])?;
        Ok(words_of(&fields[1]).parse().expect("a length"))
    }

    /// GSS_Pseudo_random, with the full key or the initiator's.
    pub fn prf(&mut self, full: bool, input: &[u8], length: usize) -> Result<Vec<u8>, Refused> {
        let which = flag(!full);
        self.ask(&[b"prf", which, input, length.to_string().as_bytes()]).map(|fields| fields[1].clone())
    }
}

fn flag(set: bool) -> &'static [u8] {
    if set { b"1" } else { b"0" }
}

fn words_of(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

fn stepped(mut fields: Vec<Vec<u8>>) -> Stepped {
    let token = std::mem::take(&mut fields[1]);
    match fields[0].as_slice() {
        b"continue" => Stepped::Continue(token),
        b"open" => {
            let flags = ContextFlags(words_of(&fields[2]).parse().expect("flags"));
            Stepped::Open { token, flags, peer: words_of(&fields[3]) }
        }
        other => panic!("neither continue nor open: {other:?}"),
    }
}
