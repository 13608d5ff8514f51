//! A realm behind HTTPS: our KDC, which serves it itself, or another's behind a proxy of another make.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tests::{Daemon, Family, Pair, Port, Realm, Seat, Tool, optional_peer, peers_home};

/// A connection under TLS.
pub type Secure = StreamOwned<ClientConnection, TcpStream>;

pub struct Place {
    pub realm: Realm,
    pub port: Port,
    authority: Authority,
    _proxy: Option<Daemon>,
}

/// An authority whose certificates clients believe.
pub struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// A new one, with its certificate in `ca.pem`.
    pub fn in_folder(folder: &Path) -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, "an authority");
        let pem = parameters.self_signed(&key).expect("a certificate").pem();
        std::fs::write(folder.join("ca.pem"), pem).expect("written");
        Authority(Issuer::new(parameters, key))
    }

    /// Writes `own.pem` and `own-key.pem`.
    pub fn certify(&self, folder: &Path, host: &str) {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new([host.to_owned()]).expect("parameters");
        let certificate = parameters.signed_by(&key, &self.0).expect("a certificate").pem();
        std::fs::write(folder.join("own.pem"), certificate).expect("written");
        std::fs::write(folder.join("own-key.pem"), key.serialize_pem()).expect("written");
    }
}

impl Place {
    /// A realm of the pair, with alice; `None` where a side is not here.
    pub fn of(pair: Pair) -> Option<Place> {
        if !pair.client.has_passwords() || !pair.kdc.has_passwords() {
            return None;
        }
        if pair.client == Family::Mit {
            let machine = format!("{}-linux-gnu", std::env::consts::ARCH);
            optional_peer("k5tls", &format!("/usr/lib/{machine}/krb5/plugins/tls/k5tls.so"))?;
        }
        match pair.kdc {
            Family::Ours => Some(Place::ours()),
            other => Place::proxied(other),
        }
    }

    /// Our KDC.
    pub fn ours() -> Place {
        let mut realm = Realm::start(Family::Ours);
        realm.add("alice", "secret", &[]);
        let (folder, port) = (realm.folder().join("kdc"), Port::claim());
        let authority = Authority::in_folder(&folder);
        authority.certify(&folder, "localhost");
        let settings = std::fs::read_to_string(folder.join("kdc.toml")).expect("settings");
        let section =
            format!("[kkdcp]\nlisten = [\"{}\"]\ncertificate = 'own.pem'\nkey = 'own-key.pem'\n", port.address());
        let settings = format!("unix_listen = ['kdc.sock']\n{}", settings.replace("[kkdcp]\n", &section));
        std::fs::write(folder.join("kdc.toml"), settings).expect("written");
        realm.restart();
        Place { realm, port, authority, _proxy: None }
    }

    /// Another's KDC behind kdcproxy.
    fn proxied(kdc: Family) -> Option<Place> {
        let python = optional_peer("python3", "/usr/bin/python3")?;
        let package = peers_home().join("python");
        optional_peer("kdcproxy", &package.join("kdcproxy/__init__.py").display().to_string())?;
        let mut realm = Realm::start(kdc);
        realm.add("alice", "secret", &[]);
        realm.serve_passwords();
        let (folder, port) = (realm.folder().join("kdc"), Port::claim());
        std::fs::create_dir_all(&folder).expect("a folder");
        let authority = Authority::in_folder(&folder);
        authority.certify(&folder, "localhost");
        let settings = format!(
            "[global]\nuse_dns = false\n[{}]\nkerberos = kerberos+tcp://{}\nkpasswd = kpasswd+tcp://{}\n",
            realm.name(),
            realm.address(),
            realm.kpasswd_address()
        );
        std::fs::write(folder.join("kdcproxy.conf"), settings).expect("written");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/kdcproxy_behind_tls.py");
        let tool = Tool::new(python).env("PYTHONPATH", &package).env("KDCPROXY_CONFIG", folder.join("kdcproxy.conf"));
        let files = ["own.pem", "own-key.pem"].map(|name| folder.join(name));
        let tool = tool.args([script]).args([port.number().to_string()]).args(files);
        let proxy = Daemon::start(tool.command(), "ready");
        Some(Place { realm, port, authority, _proxy: Some(proxy) })
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.realm.folder().join("kdc").join(name)
    }

    /// Gives the door another certificate.
    pub fn certify(&self, host: &str) {
        self.authority.certify(&self.realm.folder().join("kdc"), host);
    }

    /// The certificate of an authority that has certified nobody here.
    pub fn strange_authority(&self) -> PathBuf {
        let folder = self.realm.folder().join("strange");
        std::fs::create_dir(&folder).expect("a folder");
        Authority::in_folder(&folder);
        folder.join("ca.pem")
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}/KdcProxy", self.port.number())
    }

    /// A seat that reaches the realm through nothing but HTTPS.
    pub fn seat(&self, client: Family) -> Seat<'_> {
        let seat = self.realm.seat(client);
        seat.reach(&self.url(), &self.url(), &format!("http_anchors = FILE:{}", self.file("ca.pem").display()));
        seat
    }

    /// A connection, its handshake done.
    pub fn connect(&self) -> Secure {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.file("ca.pem")).expect("a certificate")).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
        let stream = TcpStream::connect(self.port.address()).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).expect("a handshake");
        }
        stream
    }

    /// Sends a head, and a body with its length, and gives the status and the body of the answer.
    pub fn post(&self, first: &str, headers: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = self.connect();
        let head = format!("{first}\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), body].concat()).expect("sent");
        answer(&mut stream)
    }
}

/// Reads an answer to the end of the connection.
pub fn answer(stream: &mut Secure) -> (u16, Vec<u8>) {
    let mut bytes = vec![];
    stream.read_to_end(&mut bytes).expect("an answer, and a good end of the connection");
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let line = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{line}")), bytes[head + 4..].to_vec())
}
