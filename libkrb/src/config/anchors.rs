//! Whom to believe that an HTTPS proxy is who it should be: `http_anchors` of a realm. Not here: reading certificates.

use std::path::PathBuf;

use super::Config;
use crate::error::Result;

/// Certificates of authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpAnchor {
    /// `FILE:path`: those of a file, in PEM.
    File(PathBuf),
    /// `DIR:path`: those of every file of a directory, in PEM.
    Directory(PathBuf),
}

impl Config {
    /// The `http_anchors` entries of a realm; without any, the system's own authorities count.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for an entry that is none.
    pub fn http_anchors(&self, realm: &str) -> Result<Vec<HttpAnchor>> {
        let values = self.values(&["realms", realm, "http_anchors"]);
        let anchor = |value: &&super::Value| match value.text.split_once(':') {
            Some(("FILE", path)) if !path.is_empty() => Ok(HttpAnchor::File(path.into())),
            Some(("DIR", path)) if !path.is_empty() => Ok(HttpAnchor::Directory(path.into())),
            _ => Err(value.unexpected("http_anchors", "FILE: and a file, or DIR: and a directory")),
        };
        values.iter().map(anchor).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_directories_are_anchors_and_all_else_is_refused_by_its_line() {
        let read = |text: &str| {
            let text = format!("[realms]\nR = {{\n{text}\n}}\n");
            Config::parse("krb5.conf", &text).expect("a configuration").http_anchors("R")
        };
        let both = read("http_anchors = FILE:/etc/a.pem\nhttp_anchors = DIR:/etc/b").expect("two");
        assert_eq!(both, [HttpAnchor::File("/etc/a.pem".into()), HttpAnchor::Directory("/etc/b".into())]);
        assert_eq!(read("kdc = x"), Ok(vec![]));
        for wrong in ["ENV:X", "/etc/a.pem", "FILE:"] {
            let error = read(&format!("http_anchors = {wrong}")).expect_err(wrong).to_string();
            assert!(error.starts_with("krb5.conf:3: http_anchors: found"), "{error}");
        }
    }
}
