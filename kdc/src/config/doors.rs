//! Where else than at addresses and ports of its own the KDC is found: `unix_listen`, and the section `[kkdcp]`. Not
//! here: serving there.

use std::net::SocketAddr;
use std::path::PathBuf;

use libkrb::{Error, Result};
use serde::Deserialize;

use super::Config;

/// The section `[kkdcp]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KkdcpSettings {
    /// Where messages are taken over HTTPS (MS-KKDCP); nowhere unless said.
    pub listen: Vec<SocketAddr>,
    /// The certificate for that, with its chain, in PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, in PEM.
    pub key: Option<PathBuf>,
}

impl KkdcpSettings {
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.certificate, &mut self.key].into_iter().flatten()
    }
}

impl Config {
    /// The certificate and the key for HTTPS; `None` where it is not served.
    ///
    /// # Errors
    /// [`Error::Setting`] when one is missing.
    pub fn kkdcp_identity(&self) -> Result<Option<(&PathBuf, &PathBuf)>> {
        let KkdcpSettings { listen, certificate, key } = &self.kkdcp;
        let missing = |name: &str| Error::Setting(format!("[kkdcp] listen needs [kkdcp] {name} too"));
        if listen.is_empty() {
            return Ok(None);
        }
        let certificate = certificate.as_ref().ok_or_else(|| missing("certificate"))?;
        Ok(Some((certificate, key.as_ref().ok_or_else(|| missing("key"))?)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::parse;

    #[test]
    fn https_needs_a_certificate_and_its_key_and_their_paths_are_taken_from_the_folder() {
        let read = |text: &str| parse(Path::new("/realm/kdc.toml"), &format!("realm = 'R'\n{text}")).expect("sound");
        assert_eq!(read("").kkdcp_identity(), Ok(None));
        let lacking = read("[kkdcp]\nlisten = ['127.0.0.1:443']\ncertificate = 'a.pem'");
        assert!(lacking.kkdcp_identity().expect_err("no key").to_string().contains("needs [kkdcp] key too"));
        let whole = read("[kkdcp]\nlisten = ['127.0.0.1:443']\ncertificate = 'a.pem'\nkey = '/b.pem'");
        let (certificate, key) = whole.kkdcp_identity().expect("whole").expect("served");
        assert_eq!((&**certificate, &**key), (Path::new("/realm/a.pem"), Path::new("/b.pem")));
        assert!(read("listen = []\nunix_listen = ['kdc.sock']").listen.is_empty());
        assert_eq!(read("unix_listen = ['kdc.sock']").unix_listen, [Path::new("/realm/kdc.sock")]);
    }
}
