//! The transcript hash (RFC 9588 6): what was said in the clear, so that nobody can have changed it.

use super::group::Group;

/// The hash of what was said so far. Of no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transcript(Vec<u8>);

impl Transcript {
    /// Of the support message, if there was one, and the challenge.
    pub fn begin(group: &Group, support: Option<&[u8]>, challenge: &[u8]) -> Transcript {
        let start = vec![0; group.hash.len()];
        Transcript(group.hash.of(&[&start, support.unwrap_or_default(), challenge].concat()))
    }

    /// As it was kept; `None` for what is no hash of this group.
    pub fn resume(group: &Group, octets: &[u8]) -> Option<Transcript> {
        (octets.len() == group.hash.len()).then(|| Transcript(octets.to_vec()))
    }

    /// With the client's public key: final.
    pub fn end(&self, group: &Group, public: &[u8]) -> Transcript {
        Transcript(group.hash.of(&[&self.0, public].concat()))
    }

    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}
