//! The way from a client's realm to a server's: `[capaths]`, else the hierarchy of names
//! (RFC 4120 1.2). Not here: getting the tickets ([`crate::client`]).

use super::Config;

/// A longer path is no path.
const MAX_PATH: usize = 64;

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

/// From `A.B.C` to `X.Y.C`: A.B.C, B.C, C, Y.C, X.Y.C. Without a common parent the tops are
/// neighbours.
fn hierarchy(client: &str, server: &str) -> Vec<String> {
    let up = ancestry(client);
    let down = ancestry(server);
    let common = up.iter().rev().zip(down.iter().rev()).take_while(|(a, b)| a == b).count();
    // Of the common ancestors only the nearest lies on the way.
    let up = up.iter().take(up.len() - common.saturating_sub(1));
    let down = down.iter().take(down.len() - common).rev();
    up.chain(down).map(|realm| (*realm).to_owned()).collect()
}

/// The realm and what is left of it after each dot.
fn ancestry(realm: &str) -> Vec<&str> {
    let mut realms = vec![realm];
    let mut rest = realm;
    while let Some((_, parent)) = rest.split_once('.').filter(|(_, parent)| !parent.is_empty()) {
        if realms.len() == MAX_PATH {
            break;
        }
        realms.push(parent);
        rest = parent;
    }
    realms
}
