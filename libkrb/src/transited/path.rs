//! The way from one realm to another: as it was written down, else by the hierarchy of their names
//! (RFC 4120 1.2). Not here: where it was written down.

use std::collections::BTreeMap;

/// A longer path is no path.
pub(crate) const MAX_PATH: usize = 64;

/// Which realms lie between which: a table as `[capaths]` of krb5.conf is, and the hierarchy of names
/// for what is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths(BTreeMap<String, BTreeMap<String, Vec<String>>>);

impl Paths {
    /// Writes down the realms between a client's realm and a server's, in their order; none where the
    /// two share a key.
    pub fn set(&mut self, client: &str, server: &str, mut between: Vec<String>) {
        between.truncate(MAX_PATH);
        self.0.entry(client.to_owned()).or_default().insert(server.to_owned(), between);
    }

    /// The realms from the client's to the server's, both included; one alone when they are the same.
    pub fn path(&self, client: &str, server: &str) -> Vec<String> {
        if client == server {
            return vec![client.to_owned()];
        }
        match self.0.get(client).and_then(|servers| servers.get(server)) {
            Some(between) => std::iter::once(client)
                .chain(between.iter().map(String::as_str))
                .chain([server])
                .map(str::to_owned)
                .collect(),
            None => hierarchy(client, server),
        }
    }

    /// Whether a client may have come through all of these realms, in whatever order (RFC 4120 2.7). A
    /// client whose realm shares a key with the server's came through none.
    pub fn accept(&self, client: &str, server: &str, transited: &[String]) -> bool {
        if transited.is_empty() {
            return true;
        }
        let path = self.path(client, server);
        // The server's own realm is the end of the way, never a stage of it.
        transited.iter().all(|realm| realm != server && path.contains(realm))
    }
}

/// From `A.B.C` to `X.Y.C`: A.B.C, B.C, C, Y.C, X.Y.C; from `/C/B` to `/C/X`: /C/B, /C, /C/X. Without
/// a common parent the tops are neighbours.
pub fn hierarchy(client: &str, server: &str) -> Vec<String> {
    let up = ancestry(client);
    let down = ancestry(server);
    joined(&up, &down, common(&up, &down))
}

/// The same, for realms that have a parent in common or are one the other's.
pub(super) fn related(client: &str, server: &str) -> Option<Vec<String>> {
    let up = ancestry(client);
    let down = ancestry(server);
    let common = common(&up, &down);
    (common > 0).then(|| joined(&up, &down, common))
}

fn common(up: &[&str], down: &[&str]) -> usize {
    up.iter().rev().zip(down.iter().rev()).take_while(|(a, b)| a == b).count()
}

fn joined(up: &[&str], down: &[&str], common: usize) -> Vec<String> {
    // Of the common ancestors only the nearest lies on the way.
    let up = up.iter().take(up.len() - common.saturating_sub(1));
    let down = down.iter().take(down.len() - common).rev();
    up.chain(down).map(|realm| (*realm).to_owned()).collect()
}

/// The realm and its parents: what is left after each dot, or before each slash of an X.500 name.
fn ancestry(realm: &str) -> Vec<&str> {
    let above = |realm: &'_ str| -> Option<(usize, usize)> {
        if realm.starts_with('/') {
            realm.rfind('/').map(|slash| (0, slash))
        } else {
            realm.find('.').map(|dot| (dot + 1, realm.len()))
        }
    };
    let mut realms = vec![realm];
    let mut rest = realm;
    while let Some(parent) = above(rest).and_then(|(from, to)| rest.get(from..to)).filter(|parent| !parent.is_empty()) {
        if realms.len() == MAX_PATH {
            break;
        }
        realms.push(parent);
        rest = parent;
    }
    realms
}
