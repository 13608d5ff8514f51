//! Whether the kernel's keyrings are a place for tickets here: in a container they may be closed, or be those of the
//! host, which knows nothing of containers but user namespaces. Not here: keyrings.

use std::path::Path;

use super::{Anchor, KeyringName, kernel::Ring};

/// Marks that container engines leave.
const MARKS: [&str; 2] = ["/run/.containerenv", "/.dockerenv"];
/// All users of the machine are those of this namespace.
const EVERYBODY: [&str; 3] = ["0", "0", "4294967295"];

impl KeyringName {
    /// Why tickets should not lie there unless somebody insists; `None`: they may.
    pub(in super::super) fn unfit(&self) -> Option<String> {
        let marked = || MARKS.iter().any(|mark| Path::new(mark).exists());
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        if matches!(self.anchor, Anchor::User | Anchor::Persistent) && marked() && is_hosts(&map) {
            return Some("a container without a user namespace shares its users' keyrings with the host".to_owned());
        }
        Ring::anchor(self.anchor).err().map(|error| format!("the kernel's keyring can't be used: {error}"))
    }
}

/// Whether the users of a namespace are the host's.
fn is_hosts(uid_map: &str) -> bool {
    uid_map.split_ascii_whitespace().eq(EVERYBODY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_in_which_everybody_is_who_they_are_outside_is_the_hosts() {
        assert!(is_hosts("         0          0 4294967295\n"));
        assert!(!is_hosts("         0     100000      65536\n") && !is_hosts(""));
        assert!(!is_hosts("0 1000 1\n1 100000 65536\n"));
    }
}
