//! Programs of others that call a URL with a seat's tickets, and what each made of the answer.

use crate::family::{java, optional_peer, peers_home};
use crate::tool::Heard;
use crate::{Seat, Tool};

/// A program that speaks HTTP Negotiate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// `curl --negotiate`, with MIT's library.
    Curl,
    /// Python's requests with requests-gssapi, which wants the server to prove itself.
    Requests,
    /// Java's HttpURLConnection.
    Connection,
    /// Java's HttpClient with tokens of JGSS, which wants the server to prove itself.
    HttpClient,
    /// Headless Chromium that trusts localhost and example.org.
    Chromium,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status, where the caller tells it.
    pub status: Option<u16>,
    /// Whether the server has proven itself, where the caller looks.
    pub proven: Option<bool>,
    /// The page.
    pub page: String,
}

impl Caller {
    /// Calls a URL; `None` where there is no such program here.
    pub fn get(self, seat: &Seat<'_>, url: &str) -> Option<Answer> {
        let tool = match self {
            Caller::Curl => curl(seat)?.args([url]),
            Caller::Requests => requests(seat)?.args([url, "required"]),
            Caller::Connection => java_caller(seat)?.args(["connection", url]),
            Caller::HttpClient => java_caller(seat)?.args(["client", url]),
            Caller::Chromium => chromium(seat, &["--auth-server-allowlist=localhost,*.example.org"])?.args([url]),
        };
        let said = tool.run().succeeds();
        Some(match self {
            Caller::Curl => curls_answer(&said),
            Caller::Chromium => Answer { status: None, proven: None, page: text_of(said.stdout()) },
            Caller::Connection => Answer { proven: None, ..Answer::parse(said.stdout()) },
            Caller::Requests | Caller::HttpClient => Answer::parse(said.stdout()),
        })
    }
}

impl Answer {
    /// Reads `200 proven THE PAGE`.
    #[track_caller]
    pub fn parse(line: &str) -> Answer {
        let mut words = line.trim_end().splitn(3, ' ');
        let (status, proven, page) = (words.next(), words.next(), words.next().unwrap_or_default());
        let status = status.and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("not an answer: {line}"));
        Answer { status: Some(status), proven: Some(proven == Some("proven")), page: page.to_owned() }
    }
}

/// curl with the seat's tickets; [`curls_answer`] reads what it says.
pub fn curl(seat: &Seat<'_>) -> Option<Tool> {
    let curl = seat.program(optional_peer("curl", "/usr/bin/curl")?);
    Some(curl.args(["--silent", "--show-error", "--write-out", "\n%{http_code}", "--negotiate", "--user", ":"]))
}

/// The page and status that [`curl`] prints.
#[track_caller]
pub fn curls_answer(said: &Heard) -> Answer {
    let (page, status) = said.stdout().rsplit_once('\n').expect("a status behind the page");
    Answer { status: status.parse().ok(), proven: None, page: page.trim_end().to_owned() }
}

/// `tests/python/caller.py`: words are a URL, how much proof is wanted, and how many calls.
pub fn requests(seat: &Seat<'_>) -> Option<Tool> {
    let packages = peers_home().join("python");
    optional_peer("requests-gssapi", &packages.join("requests_gssapi").to_string_lossy())?;
    optional_peer("python3-gssapi", "/usr/lib/python3/dist-packages/gssapi")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/caller.py");
    Some(seat.program(optional_peer("python3", "/usr/bin/python3")?).env("PYTHONPATH", packages).args([script]))
}

/// `tests/java/Caller.java`: words are which of its clients, and a URL.
fn java_caller(seat: &Seat<'_>) -> Option<Tool> {
    let configuration = format!("-Djava.security.krb5.conf={}", seat.configuration().display());
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/java/Caller.java");
    Some(seat.program(java()?).args([configuration.as_str(), "-Xshare:auto", source]))
}

/// Headless Chromium that prints the page, with a profile of its own and no sandbox: root has none.
pub fn chromium(seat: &Seat<'_>, options: &[&str]) -> Option<Tool> {
    let chromium = seat.program(optional_peer("Chromium", "/usr/bin/chromium")?);
    let profile = seat.path("chromium");
    // A profile that has never seen Negotiate lets the first challenge pass and loads MIT's library
    // for the second. And like everybody here it is to ask no DNS what a service is called.
    let state = r#"{"net": {"received_http_auth_negotiate_headers": true},
                    "auth": {"disable_negotiate_cname_lookup": true}}"#;
    std::fs::create_dir_all(&profile).expect("a folder for the profile");
    std::fs::write(profile.join("Local State"), state).expect("the profile's state");
    let profile = format!("--user-data-dir={}", profile.display());
    let common = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];
    Some(chromium.args(common).args([profile]).args(options).args(["--dump-dom"]))
}

/// What stands between the tags of a page.
fn text_of(html: &str) -> String {
    html.split('<')
        .filter_map(|piece| piece.split_once('>'))
        .map(|(_, text)| text)
        .collect::<String>()
        .trim()
        .to_owned()
}
