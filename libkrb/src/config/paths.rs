//! The way from a client's realm to a server's: `[capaths]`, else the hierarchy of names
//! (RFC 4120 1.2). Not here: getting the tickets ([`crate::client`]).

use super::Config;
use crate::transited::{MAX_PATH, Paths, hierarchy};

impl Config {
    /// The realms from the client's to the server's, both included: each next one has its
    /// ticket-granting service known to the one before. One realm alone when they are the same.
    ///
    /// `[capaths]` names the realms between; without an entry they follow from the names, up to
    /// the common parent and down again.
    pub fn realm_path(&self, client: &str, server: &str) -> Vec<String> {
        if client == server {
            return vec![client.to_owned()];
        }
        match self.capath(client, server) {
            Some(between) => [client].into_iter().chain(between).chain([server]).map(str::to_owned).collect(),
            None => hierarchy(client, server),
        }
    }

    /// All of `[capaths]`, for an acceptor that looks at transited realms itself (RFC 4120 2.7).
    pub fn realm_paths(&self) -> Paths {
        let mut paths = Paths::default();
        for client in self.profile.sections(&["capaths"]) {
            for server in self.profile.names(&["capaths", client]) {
                let between = self.capath(client, server).unwrap_or_default();
                paths.set(client, server, between.into_iter().map(str::to_owned).collect());
            }
        }
        paths
    }

    /// The realms that `[capaths]` allows between two realms; `None` without an entry. A server
    /// checks the transited realms of a ticket against it (RFC 4120 2.7).
    pub fn capath(&self, client: &str, server: &str) -> Option<Vec<&str>> {
        let values = self.values(&["capaths", client, server]).into_iter();
        let mut names = values.filter_map(|value| value.text.split_ascii_whitespace().next()).peekable();
        match names.peek()? {
            // A dot: the two share a key.
            first if first.starts_with('.') => Some(vec![]),
            _ => Some(names.take(MAX_PATH).collect()),
        }
    }
}
