//! Apache with mod_auth_gssapi, which speaks through MIT's libgssapi. Its page says `hello`, its
//! header `x-user` whom it took us for.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tests::{Daemon, Port, Tool, optional_peer};

/// Where Debian puts its modules.
const MODULES: &str = "/usr/lib/apache2/modules";

/// In the order in which they need each other.
const NEEDED: [&str; 9] = [
    "mpm_event",
    "authn_core",
    "authz_core",
    "authz_user",
    "dir",
    "headers",
    "session",
    "session_cookie",
    "auth_gssapi",
];

/// Debian's www-data: as whom an Apache serves that root started.
const WWW_DATA: u32 = 33;

/// What it says when it takes connections.
const READY: &str = "AH02471";

/// A running Apache for `HTTP/localhost`.
pub struct Apache {
    // Dropped first: the daemon ends before its files go.
    daemon: Daemon,
    program: Tool,
    folder: TempDir,
    port: Port,
}

impl Apache {
    /// Starts one with this keytab, and with more lines for the server and for `/`, in which `ROOT` is
    /// its folder. `None` where there is no Apache.
    pub fn start(keytab: &Path, server: &str, location: &str) -> Option<Apache> {
        let program = optional_peer("apache", "/usr/sbin/apache2")?;
        optional_peer("mod_auth_gssapi", &format!("{MODULES}/mod_auth_gssapi.so"))?;
        let folder = tempfile::Builder::new().prefix("krb-apache-").tempdir().expect("a temporary folder");
        let port = Port::claim();
        let root = folder.path();
        std::fs::set_permissions(root, PermissionsExt::from_mode(0o755)).expect("a folder that www-data can enter");
        for name in ["www", "www/closed", "delegated"] {
            std::fs::create_dir(root.join(name)).expect("a folder for Apache");
        }
        // Not as root there is nobody to give it to, and no need.
        let _ = chown(root.join("delegated"), Some(WWW_DATA), Some(WWW_DATA));
        std::fs::write(root.join("www/index.html"), "hello").expect("a page");
        std::fs::write(root.join("krb5.conf"), "[libdefaults]\n rdns = false\n").expect("a krb5.conf");
        std::fs::write(root.join("apache.conf"), configuration(root, &port, server, location)).expect("apache.conf");
        give(keytab, root);
        // One process, which a signal ends wholly.
        let program = Tool::new(program).args(["-X", "-f"]).args([root.join("apache.conf")]);
        let program = program.env("KRB5_CONFIG", root.join("krb5.conf"));
        let daemon = Daemon::start(program.command(), READY);
        Some(Apache { daemon, program, folder, port })
    }

    /// Where it is, without TLS.
    pub fn url(&self) -> String {
        format!("http://localhost:{}/", self.port.number())
    }

    /// The pattern by which tokens may go there.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.port.number())
    }

    /// Starts it again with other keys.
    pub fn restart(&mut self, keytab: &Path) {
        self.daemon.kill();
        give(keytab, self.folder.path());
        self.daemon = Daemon::start(self.program.command(), READY);
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// The credential caches of those who handed it tickets.
    pub fn delegated(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path().join("delegated")).expect("the folder of delegated tickets");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }
}

/// Lets Apache read the keytab, whoever it is.
fn give(keytab: &Path, root: &Path) {
    let copy = root.join("keytab");
    std::fs::copy(keytab, &copy).expect("a copy of the keytab");
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o644)).expect("a keytab that www-data can read");
}

fn configuration(root: &Path, port: &Port, server: &str, location: &str) -> String {
    let root = root.display();
    let [server, location] = [server, location].map(|lines| lines.replace("ROOT", &root.to_string()));
    let port = port.number();
    let modules: String =
        NEEDED.iter().map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n")).collect();
    format!(
        "{modules}ServerRoot {root}\nServerName localhost\nPidFile {root}/pid\nListen 127.0.0.1:{port}\n\
         User www-data\nGroup www-data\nDocumentRoot {root}/www\n\
         ErrorLog /dev/stderr\nLogLevel notice auth_gssapi:debug mpm_event:debug\n\
         {server}\n\
         <Location />\n AuthType GSSAPI\n AuthName tests\n GssapiCredStore keytab:{root}/keytab\n \
         Require valid-user\n Header always set x-user expr=%{{REMOTE_USER}}\n{location}\n</Location>\n"
    )
}
