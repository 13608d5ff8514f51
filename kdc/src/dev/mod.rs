//! `kdc dev`: a realm on this machine in a second, the life of a ticket on one screen, and then a
//! KDC to play with. Not here: anything that a real realm needs.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "sockets, files, the clock and the environment of a program"
)]

mod realm;
mod screen;
mod service;
mod show;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::observe::start_log;
use crate::run::{Daemon, serve};
use realm::Realm;
use screen::Screen;

/// Where a realm listens unless it is told.
pub const ADDRESS: &str = "127.0.0.1:8888";
/// What a realm is called unless it is told.
pub const REALM: &str = "EXAMPLE.ORG";

/// What can be wished of a realm to play with.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// The folder that keeps it.
    pub dir: PathBuf,
    /// Its name; `None`: as it is, at first [`REALM`].
    pub realm: Option<String>,
    /// Where it listens beside its socket; `None`: as it did, at first at [`ADDRESS`].
    pub listen: Option<Listen>,
    /// Whether to end after the show.
    pub once: bool,
}

/// Where a realm listens beside its socket.
#[derive(Clone, Copy, Debug)]
pub enum Listen {
    /// At an address.
    At(SocketAddr),
    /// At no port.
    Nowhere,
}

/// Makes the realm, or finds it as it was left; shows the life of a ticket; serves on.
///
/// # Errors
/// What is in the way, and what to do; a show that did not go as it must.
pub fn dev(wishes: &Wishes) -> Result<()> {
    let realm = Realm::prepare(wishes)?;
    let mut screen = Screen::stdout();
    serve(realm.config(), |daemon| {
        let addresses = daemon.addresses();
        realm.tell_clients(&addresses)?;
        introduce(&mut screen, &realm, &wishes.dir, daemon)?;
        show::show(&mut screen, &realm, &addresses)?;
        if wishes.once {
            return Ok(false);
        }
        invite(&mut screen, &realm)?;
        start_log("info", false);
        Ok(true)
    })
}

fn introduce(screen: &mut Screen, realm: &Realm, dir: &Path, daemon: &Daemon) -> Result<()> {
    let addresses = daemon.addresses().kdc.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let addresses = if addresses.is_empty() { addresses } else { format!(" at {addresses}") };
    screen.title(&format!("The realm {}{addresses}, kept in {}", realm.name(), dir.display()))?;
    screen.fact("user", &realm.user().without_realm().to_string(), &format!("password {}", realm.password()))?;
    screen.fact("service", &realm.service().without_realm().to_string(), &realm.keytab().display().to_string())?;
    for socket in daemon.addresses().sockets {
        screen.fact("socket", &socket.display().to_string(), "")?;
    }
    let mut pages = daemon.management().into_iter().map(|address| format!("http://{address}/metrics"));
    pages.try_for_each(|page| screen.fact("metrics", &page, ""))
}

/// Lines to paste into another shell, for clients that are there.
fn invite(screen: &mut Screen, realm: &Realm) -> Result<()> {
    screen.title("Your turn, in another shell")?;
    for line in [
        format!("export KRB5_CONFIG={} KRB5CCNAME={}", quoted(realm.client_config()), quoted(&realm.ccache())),
        format!("{} alice    # {}", tool("kinit"), realm.password()),
        format!("{} {}", tool("kvno"), realm.service().without_realm()),
        tool("klist"),
        format!("{} --config {}", tool("kadmin"), quoted(realm.kdc_config())),
    ] {
        screen.command(&line)?;
    }
    screen.title("Requests are told here; Ctrl-C ends the KDC and leaves the realm for the next time")
}

/// How to call a program: by its name if a shell finds it, by its path if it lies beside this one,
/// else through cargo.
pub fn tool(name: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(name).is_file()) && name != "kadmin" {
        return name.to_owned();
    }
    match std::env::current_exe().ok().map(|own| own.with_file_name(name)).filter(|beside| beside.is_file()) {
        Some(beside) => quoted(&beside),
        None => format!("cargo run --quiet --bin {name} --"),
    }
}

/// A path as a shell reads it.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,=@%".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
